# SPDX-License-Identifier: GPL-2.0-only
"""Exercises to read a report: text of ``/proc`` or ``dmesg``, from a real kernel or from the simulator.

Each question may name the line where its answer stands, counted from 1; a wrong answer shows that line.  A report
made by the simulator from a seed (``reveal=True``, in a Series) is another question each time.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Unpack

from kmm_sim.catalogue import _
from kmm_sim.exercises.compute import answered
from kmm_sim.exercises.exercise import Exercise, Misconception
from kmm_sim.exercises.questions import About, Ask, Asked, completed

__all__ = ["read_report"]


def read_report(*, text: str, asks: tuple[Ask, ...], mistakes: tuple[Misconception, ...],
                lines: dict[str | int, int] | None = None, other_answers: tuple[Any, ...] = (), reveal: bool = False,
                again: str = "", **about: Unpack[About]) -> Exercise:
    """Return an exercise on a report; ``lines`` says by key in which line of ``text`` the answer stands."""
    told = tuple(_with_line(ask, text, (lines or {}).get(ask.key)) for ask in asks)
    asked = Asked(asks=told, misconceptions=completed(told, mistakes), reveal=reveal, next=again)
    about["given"] = text.strip("\n")
    return answered("read a report", asked, other_answers, **about)


def _with_line(ask: Ask, text: str, line: int | None) -> Ask:
    if line is None:
        return ask
    shown = text.strip("\n").splitlines()[line - 1].strip()
    return dataclasses.replace(ask, given=_("{key}, to be read in line {line}: {shown}").format(
        key=ask.key, line=line, shown=shown))
