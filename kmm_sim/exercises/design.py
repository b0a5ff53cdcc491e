# SPDX-License-Identifier: GPL-2.0-only
"""Exercises to design, scored: a workload that fragments, a layout that wastes little.

The reader's design is read into plain values and played on the simulator; what it reaches is its score.  Enough is
right, and the card says how far the best we know of goes.  A design that falls short is told what holds it back.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Unpack

from kmm_sim.catalogue import _
from kmm_sim.exercises.exercise import Exercise, Misconception
from kmm_sim.exercises.questions import About
from kmm_sim.exercises.result import Result, Right, Wrong
from kmm_sim.exercises.state import Look

__all__ = ["Score", "design"]


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a design reached.

    ``value`` is None if it does not do what was asked at all; ``got`` says what came of it then.  ``words`` say what
    holds it back, ``misconception`` names it if it is a known one.
    """

    value: float | None
    got: str = ""
    words: str = ""
    misconception: str = ""
    state: Look | None = None


def design(*, read: Callable[[Any], Any], play: Callable[[Any, random.Random], Score], enough: float, best: float,
           unit: str, right_answers: tuple[Any, ...], mistakes: tuple[Misconception, ...],
           better: Literal["more", "less"] = "more", **about: Unpack[About]) -> Exercise:
    """Return a scored exercise.

    ``read`` turns an answer into plain values or raises Blank or Malformed (with a limit on how much there may be);
    ``play`` plays it and returns its Score, whose misconception, if it has one, is the name of one of ``mistakes``.
    ``enough`` is the score that counts as right, ``best`` the best we know of.
    """
    words = {each.name: each.words for each in mistakes}

    def judge(answer: Any, rng: random.Random) -> Result:
        attempt = read(answer)
        score = play(attempt, rng)
        if score.value is not None and (score.value >= enough if better == "more" else score.value <= enough):
            return Right(score=score.value, next=_("Your score: {score} {unit}. The best we know of: {best}.").format(
                score=f"{score.value:g}", unit=unit, best=f"{best:g}"))
        return Wrong(
            misconception=score.misconception,
            why=words.get(score.misconception, "") or score.words or _("That is not enough yet."),
            given=_("your design"),
            expected=(_("at least {enough} {unit}") if better == "more" else _("at most {enough} {unit}")).format(
                enough=f"{enough:g}", unit=unit),
            got=score.got if score.value is None else _("{score} {unit}").format(score=f"{score.value:g}", unit=unit),
            state=score.state, score=score.value)

    return Exercise(
        name=about["name"], title=about["title"], kind="design", level=about["level"], task=about["task"],
        hints=about["hints"], why=about["why"], given=about.get("given", ""), parts=about.get("parts", ()),
        template=about.get("template") or "answer = ...",
        code=about.get("code") or f"answer = {right_answers[0]!r}",
        judge=judge, right_answers=right_answers, misconceptions=mistakes,
    )
