# SPDX-License-Identifier: GPL-2.0-only
"""What a reader has done, kept in a file beside JupyterLab: the same as the page keeps in the browser.

    from kmm_sim.exercises import progress
    progress.show()

Only a notebook's kernel keeps it (not the page, a test, a script), in ``~/.kmm-sim/kmm-progress.json`` or where the
environment's KMM_PROGRESS says; ``KMM_PROGRESS=off`` keeps nothing.  The progress page of the book reads the file.
A file that cannot be read or written costs the progress, never the check.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from kmm_sim.catalogue import _
from kmm_sim.exercises.card import Card, Facts, Part, Shown, Text

__all__ = ["Progress", "note", "place", "show"]

LONGEST = 1_000_000
MOST = 2000
NAME = re.compile(r"[a-z0-9][a-z0-9/#._-]{0,119}", re.ASCII | re.IGNORECASE)
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
KEPT = ("right", "wrong", "raised")


def place() -> Path | None:
    """Return the file; None if nothing is to be kept here."""
    chosen = os.environ.get("KMM_PROGRESS", "")
    if chosen:
        return None if chosen == "off" else Path(chosen).expanduser()
    if "ipykernel" not in sys.modules or sys.platform == "emscripten":
        return None
    return Path.home() / ".kmm-sim" / "kmm-progress.json"


def note(name: str, outcome: str, score: float | None = None) -> None:
    """Note one check of the exercise ``name``; what was right once stays right, and keeps the score that it had."""
    try:
        path = place()
        if path is not None and outcome in KEPT:
            _note(path, name, outcome, score)
    except Exception:  # a full disk, a home that is not ours: no reason to lose an answer's card
        return


def _note(path: Path, name: str, outcome: str, score: float | None) -> None:
    everything = _read(path)
    today = date.today().isoformat()
    before: dict[str, Any] = everything["exercises"].get(name, {})
    entry = {"outcome": "right" if before.get("outcome") == "right" else outcome, "tries": before.get("tries", 0) + 1,
             "first": before.get("first", today)}
    if outcome == "right" or "right" in before:
        entry["right"] = before.get("right", today)
    if score is None or (outcome != "right" and before.get("outcome") == "right"):
        score = before.get("score", score)
    if score is not None:
        entry["score"] = score
    everything["exercises"][name] = entry
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".json", encoding="utf-8", delete=False) as file:
        json.dump(everything, file, indent=1)
    os.replace(file.name, path)  # whole or not at all


def _read(path: Path) -> dict[str, Any]:
    """Return what a file holds, of it what can be used."""
    kept: dict[str, Any] = {"format": "kmm-progress", "version": 1, "exercises": {}, "quizzes": {}}
    if not path.is_file() or path.stat().st_size > LONGEST:
        return kept
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return kept
    if not isinstance(raw, dict) or raw.get("format") != "kmm-progress" or raw.get("version") != 1:
        return kept
    for kind in ("exercises", "quizzes"):
        found = raw.get(kind)
        for name, entry in list(found.items())[:MOST] if isinstance(found, dict) else ():
            if NAME.fullmatch(name) and isinstance(entry, dict) and entry.get("outcome") in KEPT:
                kept[kind][name] = _entry(entry)
    return kept


def _entry(raw: dict[str, Any]) -> dict[str, Any]:
    tries = raw.get("tries")
    entry: dict[str, Any] = {"outcome": raw["outcome"],
                             "tries": tries if type(tries) is int and 0 < tries < 100_000 else 1}
    entry |= {day: raw[day] for day in ("first", "right") if isinstance(raw.get(day), str) and DAY.fullmatch(raw[day])}
    score = raw.get("score")
    if isinstance(score, int | float) and not isinstance(score, bool) and score == score:
        entry["score"] = score
    return entry


class Progress(Shown):
    """What is done, by chapter."""

    __slots__ = ("_kept", "_path")

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._kept: dict[str, Any] = _read(path)["exercises"] if path is not None else {}

    def card(self) -> Card:
        """Return the card to show."""
        from kmm_sim.exercises import all_exercises

        names = [each.name for each in all_exercises()]
        rows = []
        for chapter in dict.fromkeys(name.partition("/")[0] for name in names):
            own = [name for name in names if name.startswith(f"{chapter}/")]
            done = sum(self._kept.get(name, {}).get("outcome") == "right" for name in own)
            rows.append((chapter.replace("-", " "), _("{done} of {all}").format(done=done, all=len(own))))
        where = _("Kept in `{path}`.").format(path=self._path) if self._path else _("Nothing is kept here.")
        parts: tuple[Part, ...] = (Facts(tuple(rows)), Text(where))
        return Card("task", _("What you have done"), parts)


def show() -> Progress:
    """Return what is done, as a card."""
    return Progress(place())
