# SPDX-License-Identifier: GPL-2.0-only
"""Exercises to compute: numbers, sizes, addresses.

    overhead = compute(
        name="pages/overhead", title=_("What does mem_map cost?"), level=1,
        task=_("A machine has 16 GiB ..."),
        asks=(Ask(key="bytes", right=268435456), Ask(key="percent", right=1.5625, read=number, close=0.01)),
        mistakes=(mistake("counts in bytes", _("..."), bytes=4194304), ...),
        hints=(...), why=_("..."),
    )

``predict`` is the same for a state that the simulator works out: it says what was expected, since another
seed is another question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Unpack

from kmm_sim.exercises.card import Facts, Part
from kmm_sim.exercises.exercise import Exercise, Misconception
from kmm_sim.exercises.questions import About, Ask, Asked, blank_of, completed, judge_answers, right_answer
from kmm_sim.exercises.state import Look

__all__ = ["answered", "compute", "predict"]


def compute(*, asks: tuple[Ask, ...], mistakes: tuple[Misconception, ...], other_answers: tuple[Any, ...] = (),
            rules: Callable[[Mapping[Any, Any]], str] = lambda got: "", **about: Unpack[About]) -> Exercise:
    """Return an exercise with numbers as answers; ``mistakes`` give the wrong answers that they lead to."""
    asked = Asked(asks=asks, misconceptions=completed(asks, mistakes), rules=rules)
    return answered("compute", asked, other_answers, **about)


def predict(*, asks: tuple[Ask, ...], mistakes: tuple[Misconception, ...], other_answers: tuple[Any, ...] = (),
            rules: Callable[[Mapping[Any, Any]], str] = lambda got: "", state: Look | None = None,
            states: Mapping[str, Look] | None = None, again: str = "", **about: Unpack[About]) -> Exercise:
    """Return a question about a state; put it in a Series for one each seed.

    ``state`` is where to look at a wrong answer, ``states`` where by the name of the mistake, ``again`` a sentence
    that leads to the next question.
    """
    asked = Asked(asks=asks, misconceptions=completed(asks, mistakes), rules=rules, reveal=True, beliefs=True,
                  state=state, states=states or {}, next=again)
    return answered("predict", asked, other_answers, **about)


def answered(kind: str, asked: Asked, other_answers: tuple[Any, ...] = (), **about: Unpack[About]) -> Exercise:
    """Return an exercise of any kind whose answer is a table; its template and solution are written from the asks."""
    right = right_answer(asked.asks)
    words = tuple((str(ask.key), ask.words) for ask in asked.asks if ask.words)
    parts: tuple[Part, ...] = (*about.get("parts", ()), *((Facts(words),) if words else ()))
    return Exercise(
        name=about["name"], title=about["title"], kind=kind, level=about["level"], task=about["task"],
        hints=about["hints"], why=about["why"], given=about.get("given", ""), parts=parts,
        template=about.get("template") or f"answer = {blank_of(asked.asks)}",
        code=about.get("code") or f"answer = {_typed(right)}",
        judge=lambda answer, _rng: judge_answers(asked, answer),
        right_answers=(right, list(right.values()), *other_answers),
        misconceptions=asked.misconceptions,
    )


def _typed(right: Mapping[Any, Any]) -> str:
    rows = [f"{key!r}: {_value(value)}" for key, value in right.items()]
    line = "{" + ", ".join(rows) + "}"
    return line if len(line) < 80 else "{\n" + "".join(f"    {row},\n" for row in rows) + "}"


def _value(value: Any) -> str:
    if isinstance(value, frozenset):
        return "{" + ", ".join(map(repr, sorted(value))) + "}"
    if isinstance(value, tuple) and not any(isinstance(each, str) for each in value):
        return repr(list(value))
    return hex(value) if isinstance(value, int) and not isinstance(value, bool) and value >= 1 << 40 else repr(value)
