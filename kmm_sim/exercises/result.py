# SPDX-License-Identifier: GPL-2.0-only
"""The four outcomes of a check, and what hint() and solution() return.

    Result
    ├── NotAttempted    the cell is as the chapter left it, or a blank is still in it
    ├── Wrong           the answer differs: for which input, what was expected, what came
    ├── Raised          the reader's code stopped with an error; where
    └── Right

All are frozen values that display themselves.  ``outcome`` names the kind, ``right`` is a
truth value, and a Wrong that has a state to look at opens it with ``lab()``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from kmm_sim.catalogue import _, ngettext
from kmm_sim.exercises.card import Card, Code, Facts, Part, Shown, Steps, Text
from kmm_sim.exercises.state import Look
from kmm_sim.machine import Machine

__all__ = ["Hint", "NotAttempted", "Raised", "Result", "Right", "Solution", "Wrong"]


@dataclass(frozen=True, repr=False, kw_only=True)
class NotAttempted(Shown):
    """Nothing to judge yet.  ``missing`` says which blanks are left, if only some are."""

    outcome: ClassVar[str] = "not-attempted"
    right: ClassVar[bool] = False
    exercise: str = ""
    missing: str = ""

    def card(self) -> Card:
        """Return the card to show."""
        words = _("Still to fill in: {missing}.").format(missing=self.missing) if self.missing else _(
            "Put your answer where `...` stands, then run this cell again. `hint()` helps.")
        return Card(self.outcome, _("Not attempted yet"), (Text(words),), self.exercise)


@dataclass(frozen=True, repr=False, kw_only=True)
class Wrong(Shown):
    """An answer that is not right.

    ``given``, ``expected`` and ``got`` describe the smallest failing case as text, ``why`` says
    what is wrong in a sentence, ``misconception`` names a known one.  ``state`` is
    where the case can be looked at.
    """

    outcome: ClassVar[str] = "wrong"
    right: ClassVar[bool] = False
    exercise: str = ""
    misconception: str = ""
    why: str = ""
    given: str = ""
    expected: str = ""
    got: str = ""
    printed: str = ""
    state: Look | None = None
    score: float | None = None

    @property
    def machine(self) -> Machine | None:
        """A new machine in the state of the failing case, or None if the case has none."""
        return self.state.machine() if self.state is not None else None

    def lab(self) -> Any:
        """Return a lab on the state of the failing case; LookupError if the case has none."""
        if self.state is None:
            raise LookupError(_("this result has no state to open in a lab"))
        return self.state.lab()

    def card(self) -> Card:
        """Return the card to show."""
        rows = ((_("for"), self.given), (_("expected"), self.expected), (_("your answer"), self.got),
                (_("it printed"), self.printed))
        facts = tuple((label, value) for label, value in rows if value)
        parts: list[Part] = [Text(self.why)] if self.why else []
        parts += [Facts(facts)] if facts else []
        parts += [Text(_("To see it in the lab, write `.lab()` after `check(...)`."))] if self.state else []
        link = self.state.link() if self.state else ""
        return Card(self.outcome, _("Not right"), tuple(parts), self.exercise, link, self.score)


@dataclass(frozen=True, repr=False, kw_only=True)
class Raised(Shown):
    """The reader's code raised ``error`` (its type's name) with ``message``.

    ``lineno``, ``line`` and ``function`` say where in it, ``given`` for which input.
    """

    outcome: ClassVar[str] = "raised"
    right: ClassVar[bool] = False
    exercise: str = ""
    error: str = ""
    message: str = ""
    lineno: int = 0
    line: str = ""
    function: str = ""
    given: str = ""
    printed: str = ""
    why: str = ""

    def card(self) -> Card:
        """Return the card to show."""
        parts: list[Part] = [Text(self.why)] if self.why else []
        if self.lineno:
            where = _("line {lineno}, in {function}").format(lineno=self.lineno, function=self.function)
            parts.append(Code(f"{where}:\n    {self.line}" if self.line else where))
        rows = ((_("error"), f"{self.error}: {self.message}" if self.message else self.error),
                (_("for"), self.given), (_("it printed"), self.printed))
        parts.append(Facts(tuple((label, value) for label, value in rows if value)))
        return Card(self.outcome, _("Your code stopped with an error"), tuple(parts), self.exercise)


@dataclass(frozen=True, repr=False, kw_only=True)
class Right(Shown):
    """The answer holds.  ``tried`` counts the cases it was tried with, ``next`` says what may follow.

    ``score`` is what a design reached.
    """

    outcome: ClassVar[str] = "right"
    right: ClassVar[bool] = True
    exercise: str = ""
    tried: int = 0
    next: str = ""
    score: float | None = None

    def card(self) -> Card:
        """Return the card to show."""
        tried = ngettext("Tried with {n} case.", "Tried with {n} cases.", self.tried)
        words = [tried] * (self.tried > 1) + [self.next] * bool(self.next)
        return Card(self.outcome, _("Right"), tuple(map(Text, words)), self.exercise, score=self.score)


Result = NotAttempted | Wrong | Raised | Right


@dataclass(frozen=True, repr=False, kw_only=True)
class Hint(Shown):
    """The ``number``-th of ``total`` hints; past the last one, all of them again."""

    exercise: str = ""
    number: int
    hints: tuple[str, ...]

    def card(self) -> Card:
        """Return the card to show."""
        total = len(self.hints)
        if self.number > total:
            parts: tuple[Part, ...] = (Steps(self.hints), Text(_("If it still does not come: `solution()`.")))
            return Card("hint", _("No more hints; these were all"), parts, self.exercise)
        more = () if self.number == total else (Text(_("Run this again for the next hint.")),)
        heading = _("Hint {number} of {total}").format(number=self.number, total=total)
        return Card("hint", heading, (Text(self.hints[self.number - 1]), *more), self.exercise)


@dataclass(frozen=True, repr=False, kw_only=True)
class Solution(Shown):
    """One right answer as code, and why it is right."""

    exercise: str = ""
    code: str
    why: str

    def card(self) -> Card:
        """Return the card to show."""
        return Card("solution", _("A solution"), (Code(self.code), Text(self.why)), self.exercise)
