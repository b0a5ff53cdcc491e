# SPDX-License-Identifier: GPL-2.0-only
"""Grading many notebooks: a judge's process for each, a line of CSV for each, a report for each."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

__all__ = ["Grade", "Outcome", "fresh_seed", "grade", "write_csv", "write_report"]

OUTCOMES = ("right", "wrong", "raised", "not-attempted")
LONGEST = 10_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one exercise: its outcome, the misconception if one was named, the card as text."""

    exercise: str
    outcome: str
    misconception: str = ""
    text: str = ""
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Grade:
    """What came of one notebook.  ``status`` is ok, broken (no notebook), time (too long) or crashed."""

    path: Path
    status: str
    outcomes: tuple[Outcome, ...] = ()
    notes: tuple[str, ...] = ()
    fence: tuple[str, ...] = ()
    seconds: float = 0.0
    seed: int = field(default=0, compare=False)

    @property
    def right(self) -> int:
        """How many exercises are right."""
        return sum(each.outcome == "right" for each in self.outcomes)

    @property
    def attempted(self) -> int:
        """How many exercises have an answer."""
        return sum(each.outcome != "not-attempted" for each in self.outcomes)


def fresh_seed() -> int:
    """Return a seed that nobody can guess."""
    return random.SystemRandom().randrange(1 << 40)


def grade(paths: Sequence[Path], *, seed: int, timeout: float = 120, memory: int = 1024, chapters: Sequence[str] = (),
          jobs: int = 0, cell_timeout: float = 20, done: Callable[[Grade], None] = lambda grade: None) -> list[Grade]:
    """Grade notebooks, each with ``timeout`` seconds and ``memory`` MiB; ``done`` is told of each as it is ready."""
    def one(path: Path) -> Grade:
        task = {"path": str(path.resolve()), "seed": seed, "timeout": timeout, "memory": memory,
                "chapters": list(chapters), "cell_timeout": min(cell_timeout, timeout / 4)}
        result = _judged(path, task)
        done(result)
        return result

    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        return list(pool.map(one, paths))


def _judged(path: Path, task: dict[str, Any]) -> Grade:
    """Have one notebook judged in a process of its own, which ends with all it started."""
    began = time.monotonic()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "KMM_PROGRESS": "off"}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "kmm_sim.grade.judge", str(os.getpid())], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, start_new_session=True)
    try:
        out, err = process.communicate(json.dumps(task).encode(), timeout=task["timeout"] + 15)
        status = "ok"
    except subprocess.TimeoutExpired:
        out, err, status = b"", b"", "time"
    finally:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
    seconds = time.monotonic() - began
    if status == "time":
        return Grade(path, "time", notes=(f"it took more than {task['timeout']:g} seconds",), seconds=seconds)
    try:
        told = json.loads(out[:LONGEST])
    except ValueError:
        last = err.decode(errors="replace").strip().splitlines()[-1:] or ["it ended without a word"]
        return Grade(path, "crashed", notes=(last[0][:300],), seconds=seconds)
    outcomes = tuple(Outcome(each["exercise"], each["outcome"], each["misconception"], each["text"], each["score"])
                     for each in told["exercises"])
    return Grade(path, told["status"], outcomes, tuple(told["notes"]), tuple(told["fence"]), seconds, task["seed"])


def write_csv(grades: Sequence[Grade], file: TextIO) -> None:
    """Write a line for each notebook: how many are right, and the outcome of each exercise."""
    names = list(dict.fromkeys(each.exercise for grade in grades for each in grade.outcomes))
    rows = csv.writer(file)
    rows.writerow(["notebook", "status", "right", "attempted", "exercises", "seconds", "seed", *names])
    for grade in grades:
        found = {each.exercise: each.outcome for each in grade.outcomes}
        rows.writerow([_harmless(str(grade.path)), grade.status, grade.right, grade.attempted, len(grade.outcomes),
                       f"{grade.seconds:.1f}", grade.seed, *(found.get(name, "") for name in names)])


def _harmless(text: str) -> str:
    """A spreadsheet must not take a file's name for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text


def write_report(grade: Grade, folder: Path, taken: set[str]) -> Path:
    """Write what came of one notebook as Markdown, for who handed it in; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    name = stem = grade.path.stem or "notebook"
    number = 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    taken.add(name)
    lines = [f"# {_one_line(grade.path.name)}", ""]
    lines += [f"{grade.right} of {len(grade.outcomes)} exercises are right, {grade.attempted} were attempted.", ""]
    if grade.status != "ok":
        lines += [f"Status: {grade.status}.", ""]
    if grade.notes:
        lines += ["While it ran:", "", *(f"- {_one_line(note)}" for note in grade.notes), ""]
    for each in grade.outcomes:
        lines += [f"## {each.exercise}: {each.outcome.replace('-', ' ')}", ""]
        lines += ["    " + line for line in each.text.splitlines()] + [""]
    path = folder / f"{name}.md"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _one_line(text: str) -> str:
    """Text of a notebook inside a report: one line, and no markup."""
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>#|!" else sign for sign in " ".join(text.split()))
