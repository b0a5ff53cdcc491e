# SPDX-License-Identifier: GPL-2.0-only
"""The process that judges one notebook: ``python -m kmm_sim.grade.judge``, with its task as JSON on standard input.

It reads the cells, has a student's process run them, and judges what comes back with seeds that nobody else knows.
A student's process that ends before its time (killed, or out of memory) is started again without the cell or the
exercise that ended it; a few times.
"""

from __future__ import annotations

import base64
import copy
import inspect
import json
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from kmm_sim.exercises import CHAPTERS, Exercise, Series, all_exercises
from kmm_sim.exercises.calling import LIMIT, NoEnd
from kmm_sim.exercises.card import plain
from kmm_sim.exercises.result import NotAttempted, Raised, Result
from kmm_sim.grade import fence, wire
from kmm_sim.grade.notebook import Broken, read_cells

__all__: list[str] = []

HIDDEN_SEEDS = 3
STARTS = 6
OWN_MEMORY = 512 << 20
ANSWERS = 10  # that are kept of one exercise
START_SECONDS = 30.0  # for Python to start, and load what the exercises need
RUN_SHARE = 0.75  # of the time that is left, for the cells; the rest is for calling their functions
GRACE_SECONDS = 2.0  # after the alarm that a student's process sets itself


class _Student:
    """A student's process: started, listened to, ended with all its descendants."""

    def __init__(self, cells: list[str], skipped: Iterable[int], task: dict[str, Any],
                 left: Callable[[], float]) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="kmm-grade-", ignore_cleanup_errors=True)
        theirs_in, self.writes = os.pipe()
        self.reads, theirs_out = os.pipe()
        environment = {
            "PATH": os.environ.get("PATH", ""), "LANG": os.environ.get("LANG", "C.UTF-8"), "HOME": self.folder.name,
            "PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": self.folder.name, "KMM_PROGRESS": "off",
            "MPLBACKEND": "agg", "MPLCONFIGDIR": self.folder.name, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "kmm_sim.grade.student", *map(str, (theirs_in, theirs_out, os.getpid()))],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder.name,
            env=environment, pass_fds=(theirs_in, theirs_out), start_new_session=True)
        os.close(theirs_in)
        os.close(theirs_out)
        self.alive, self.left = True, left
        self.call_seconds = min(LIMIT, task["cell_timeout"])
        wire.send(self.writes, {"cells": cells, "skipped": sorted(skipped), "memory": task["memory"] << 20,
                                "seconds": int(task["timeout"]) + 5, "cell_seconds": task["cell_timeout"],
                                "cells_end": time.monotonic() + left() * RUN_SHARE, "call_seconds": self.call_seconds})

    def ask(self, message: dict[str, Any]) -> Any:
        """Have a function called and return what came of it; a student who does not answer is gone."""
        if self.left() < 1:
            raise wire.Gone("the notebook's time was up, so this was not tried")
        if not self.alive:
            raise wire.Gone("the notebook's process had ended, so this was not tried")
        try:
            wire.send(self.writes, message)
            return wire.receive(self.reads, self.call_seconds + GRACE_SECONDS)
        except wire.Gone:
            self.end()
            raise

    def end(self) -> None:
        """Kill it and whatever it has started."""
        self.alive = False
        with suppress(OSError):
            os.close(self.writes)
        with suppress(OSError):
            os.close(self.reads)
        for _round in range(50):
            found = _descendants(os.getpid())
            if not found:
                break
            for pid in found:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
        self.process.returncode = -9  # it was waited for above, with all the others
        self.folder.cleanup()


def _descendants(pid: int) -> list[int]:
    """Children, their children, ...: all of them are in /proc, and an orphan becomes the judge's own child."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            parents[int(entry.parent.name)] = int(entry.read_text(errors="replace").rpartition(")")[2].split()[1])
    found, grown = {pid}, True
    while grown:
        new = {child for child, parent in parents.items() if parent in found} - found
        grown, found = bool(new), found | new
    return sorted(found - {pid})


class _Function:
    """Stands for a function of the notebook: calling it asks the student's process."""

    def __init__(self, student: _Student, number: int, takes: Any) -> None:
        self._student, self._number = student, number
        self.last: dict[str, Any] = {}
        if (signature := _signature(takes)) is not None:
            self.__signature__ = signature

    def __deepcopy__(self, memory: Any) -> _Function:
        return self

    def __call__(self, *args: Any) -> Any:
        sent = base64.b64encode(pickle.dumps(args)).decode()
        try:
            told = self._student.ask({"function": self._number, "args": sent})
        except wire.Gone as gone:
            self.last = {"error": ["", str(gone), "", ""], "lineno": 0}
            raise self._no_end() if isinstance(gone, wire.Late) else RuntimeError(f"{gone}") from None
        if not isinstance(told, dict):
            raise RuntimeError("its answer cannot be read")
        if "error" in told:
            self.last = told
            if told.get("end") is False:
                raise self._no_end()
            raise _error(told)
        _put_back(args, told.get("args"))
        return wire.unpacked(told.get("value"))

    def _no_end(self) -> NoEnd:
        return NoEnd(self._student.call_seconds)


def _error(told: dict[str, Any]) -> BaseException:
    """Return an error with the name and message of one that was raised elsewhere."""
    name, message = [str(each)[:400] for each in [*_list(told["error"]), "", ""][:2]]
    error: BaseException = type(name if name.isidentifier() else "Exception", (Exception,), {})(message)
    return error


def _list(raw: Any) -> list[Any]:
    return raw if isinstance(raw, list) else []


def _signature(takes: Any) -> inspect.Signature | None:
    try:
        return inspect.Signature([
            inspect.Parameter(str(name), list(inspect._ParameterKind)[kind], **({"default": None} if default else {}))
            for name, kind, default in takes])
    except (TypeError, ValueError, IndexError):
        return None


def _put_back(args: tuple[Any, ...], raw: Any) -> None:
    """Make the changes that a function made to the lists and tables it was given."""
    if not isinstance(raw, list) or len(raw) != len(args):
        return
    for own, theirs in zip(args, map(wire.unpacked, raw), strict=True):
        if isinstance(own, list) and isinstance(theirs, list):
            own[:] = theirs
        elif isinstance(own, dict | set) and isinstance(theirs, type(own)):
            own.clear()
            own.update(theirs)


Told = dict[str, Any]
Answers = dict[str, deque[Told]]
"""What was handed in for each exercise, the last one last."""


class _Notebook:
    """One notebook: run as often as it takes, then judged."""

    def __init__(self, cells: list[str], task: dict[str, Any]) -> None:
        self.cells, self.task = cells, task
        self.end: float = time.monotonic() + task["timeout"]
        self.skipped: set[int] = set()
        self.notes: list[str] = []
        self.fence: list[str] = []
        self.starts = 0

    def left(self) -> float:
        """Seconds that are left."""
        return max(0.1, self.end - time.monotonic())

    def run(self) -> tuple[_Student, Answers]:
        """Run the cells; return the process and the answers to each exercise."""
        while True:
            self.starts += 1
            student = _Student(self.cells, self.skipped, self.task, self.left)
            handed_in: Answers = {}
            cell, patience = -1, START_SECONDS
            try:
                while True:
                    told = wire.receive(student.reads, min(self.left(), patience))
                    patience = self.task["cell_timeout"] + GRACE_SECONDS
                    if not isinstance(told, dict):
                        raise wire.Gone("its answer cannot be read")
                    if "cell" in told and isinstance(told["cell"], int):
                        cell = told["cell"]
                    self._note(told)
                    if isinstance(told.get("exercise"), str) and not told.get("untouched"):
                        handed_in.setdefault(told["exercise"], deque(maxlen=ANSWERS)).append(told)
                    if told.get("done"):
                        return student, handed_in
            except wire.Gone as gone:
                student.end()
                self._say(f"cell {cell + 1}: {gone}; it was left out")
                if self.starts >= STARTS or self.left() < 1 or cell in self.skipped:
                    return student, handed_in
                self.skipped.add(cell)

    def _note(self, told: dict[str, Any]) -> None:
        if "fence" in told and not self.fence:
            self.fence = [str(each)[:20] for each in _list(told["fence"])[:3]]
        if "failed" in told:
            number = told["failed"] + 1 if isinstance(told["failed"], int) else "?"
            self._say(f"cell {number}: {str(told.get('error'))[:300]}")
        if "left out" in told:
            number = told["in"] + 1 if isinstance(told.get("in"), int) else "?"
            self._say(f"cell {number}: left out: {'; '.join(map(str, _list(told['left out'])))[:300]}")

    def _say(self, note: str) -> None:
        if note not in self.notes and len(self.notes) < 50:
            self.notes.append(note)

    def judged(self) -> list[dict[str, Any]]:
        """Run the notebook and judge each exercise of its chapters."""
        student, handed_in = self.run()
        exercises = wanted(self.cells, self.task["chapters"], handed_in)
        if not exercises:
            self._say("it imports the exercises of no chapter, and answers none: name its chapter with --chapter")
        results = []
        for exercise in exercises:
            functions = any("function" in told for told in handed_in.get(exercise.name, ()))
            if functions and not student.alive and self.starts < STARTS and self.left() > 2:
                student, again = self.run()
                handed_in = _without_functions(handed_in) | again
            results.append(_report(exercise, self._last_attempt(exercise, handed_in.get(exercise.name, ()), student)))
        student.end()
        return results

    def _last_attempt(self, exercise: Exercise | Series, answers: Iterable[Told], student: _Student) -> Result:
        """Judge the last answer; one with a blank in it, such as a template left below, is none if there is another."""
        blank = NotAttempted(exercise=exercise.name)
        for told in reversed(list(answers)):
            result = self._judge(exercise, told, student)
            if not isinstance(result, NotAttempted):
                if told.get("drawn"):
                    self._say(f"{exercise.name}: asked for without a seed it is another question each time, and the "
                              "answer was held against one the grader drew; write seed= and the number in its title")
                return result
            if not blank.missing:
                blank = result
        return blank

    def _judge(self, exercise: Exercise | Series, told: Told, student: _Student) -> Result:
        asked = _question(exercise, told.get("question"))
        if "function" in told:
            number = told["function"] if isinstance(told["function"], int) else 0
            answer: Any = _Function(student, number, told.get("takes"))
        else:
            answer = wire.unpacked(told.get("answer"))
        rng = random.Random(f"{self.task['seed']} {exercise.name}")
        result: Result = NotAttempted()
        for _try in range(HIDDEN_SEEDS if "function" in told else 1):
            result = asked.check(copy.deepcopy(answer), seed=rng.randrange(1 << 40))
            if not result.right:
                break
        return _placed(result, answer.last) if isinstance(result, Raised) and isinstance(answer, _Function) else result


def _without_functions(answers: Answers) -> Answers:
    """Return the answers that do not need the process that handed them in."""
    return {name: deque(told for told in given if "function" not in told) for name, given in answers.items()}


def _placed(result: Raised, last: dict[str, Any]) -> Result:
    """Say where in the notebook an error was: here it was raised anew."""
    name, _message, line, function = [str(each)[:400] for each in [*_list(last.get("error")), "", "", "", ""][:4]]
    lineno = last.get("lineno")
    return Raised(exercise=result.exercise, error=name or result.error, message=result.message,
                  lineno=lineno if type(lineno) is int else 0, line=line, function=function, given=result.given,
                  why=result.why)


def _question(exercise: Exercise | Series, question: Any) -> Exercise:
    """Return the question that was answered: of a series, the one with its seed and level."""
    if isinstance(exercise, Exercise):
        return exercise
    seed, level = question if isinstance(question, list) and len(question) == 2 else (1, 1)
    good = type(seed) is int and type(level) is int and 1 <= level <= exercise.levels and abs(seed) < 1 << 63
    return exercise(seed, level=level) if good else exercise(1)


def wanted(cells: list[str], chapters: list[str], answered: Iterable[str] = ()) -> list[Exercise | Series]:
    """Return the exercises of these chapters, or of those that the notebook names in an import or has answered."""
    source = "\n".join(cells)
    named = chapters or [chapter for chapter in CHAPTERS if re.search(rf"\bimport\b[^\n]*\b{chapter}\b", source)
                         or f"kmm_sim.exercises.{chapter}" in source]
    pages = {chapter.replace("_", "-") for chapter in named}
    if not chapters:
        pages |= {name.partition("/")[0] for name in answered}
    return [each for each in all_exercises() if each.name.partition("/")[0] in pages]


def _report(exercise: Exercise | Series, result: Result) -> dict[str, Any]:
    told: dict[str, Any] = {"exercise": exercise.name, "outcome": result.outcome, "text": plain(result.card())[:4000]}
    told["misconception"] = getattr(result, "misconception", "")
    told["score"] = getattr(result, "score", None)
    return told


def _main() -> None:
    fence.hide()
    fence.reap()
    fence.lifetime_of_parent(int(sys.argv[1]))
    task = json.load(sys.stdin)
    fence.limit_memory((task["memory"] << 20) + OWN_MEMORY)  # what a notebook sends is kept here
    told: dict[str, Any] = {"status": "ok", "exercises": [], "notes": [], "fence": []}
    try:
        notebook = _Notebook(read_cells(Path(task["path"])), task)
        told["exercises"] = notebook.judged()
        told["notes"], told["fence"] = notebook.notes, notebook.fence
    except Broken as broken:
        told |= {"status": "broken", "notes": [str(broken)]}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    _main()
