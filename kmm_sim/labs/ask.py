# SPDX-License-Identifier: GPL-2.0-only
"""Questions for "predict, then reveal": what will a call do?

A lab that has an ``ask(before, after, events)`` is asked for one at every call: with the states
before and after it, as its view has them, and the events that it led to.  Where a lab has no
question, the browser asks which of several events comes next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from kmm_sim.labs.panels import Text
from kmm_sim.labs.scene import as_json
from kmm_sim.trace import Event

__all__ = ["Asking", "Question", "among"]


@dataclass(frozen=True, slots=True)
class Question:
    """A question with two to six answers; ``answer`` is the index of the right one.

    ``hides`` leaves the call unsaid, where it would give the answer away.
    """

    text: Text
    options: tuple[Text, ...]
    answer: int
    hides: bool = False

    def __post_init__(self) -> None:
        if not (2 <= len(self.options) <= 6 and 0 <= self.answer < len(self.options)):
            raise ValueError(f"a question has two to six answers, one of them right: {self.options}, {self.answer}")
        if len(set(self.options)) < len(self.options):
            raise ValueError(f"two answers of a question are the same: {self.options}")

    def encoded(self) -> list[Any]:
        """Return it as JSON."""
        return [as_json(self.text), as_json(self.options), self.answer, *[True] * self.hides]


@runtime_checkable
class Asking(Protocol):
    """A lab that has questions."""

    def ask(self, before: Any, after: Any, events: Sequence[Event]) -> Question | None:
        """Return a question about what a call will do, or None."""


def among(right: int, others: Iterable[int], count: int = 4) -> tuple[tuple[int, ...], int]:
    """Return up to ``count`` different numbers in their order, ``right`` among them, and where it is.

    ``others`` are wrong answers, the likeliest first.
    """
    wrong = [other for other in dict.fromkeys(others) if other != right]
    chosen = sorted([right, *wrong[: count - 1]])
    return tuple(chosen), chosen.index(right)
