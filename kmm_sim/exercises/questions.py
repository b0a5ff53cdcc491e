# SPDX-License-Identifier: GPL-2.0-only
"""Judging several answers at once: each question has a key, a way to read its answer, and what is right.

    answer = {"pages": 4, "bytes": 16384}        or [4, 16384], in the order of the questions

Exercises of the kinds compute, predict, choose and read a report are made of these.  A wrong
answer is held against the known misconceptions: one that explains most of what is wrong is
named; otherwise the first wrong answer is explained by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

from kmm_sim.catalogue import _
from kmm_sim.exercises.card import Part
from kmm_sim.exercises.exercise import Misconception
from kmm_sim.exercises.reading import Blank, Malformed, Reader, address, describe, in_hex, table, whole_number
from kmm_sim.exercises.result import Result, Right, Wrong
from kmm_sim.exercises.state import Look

__all__ = ["About", "Ask", "Asked", "blank_of", "completed", "judge_answers", "mistake", "right_answer"]


class About(TypedDict):
    """What every factory of exercises takes besides its own arguments; see Exercise."""

    name: str
    title: str
    level: int
    task: str
    hints: tuple[str, ...]
    why: str
    template: NotRequired[str]
    code: NotRequired[str]
    given: NotRequired[str]
    parts: NotRequired[tuple[Part, ...]]


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One question.

    ``key`` names it in the answer (text or a whole number), ``words`` ask it in the card, ``right`` is
    the answer, as plain as ``read`` gives it; ``also`` are others that are as right.  ``close`` is the
    relative error that is allowed (for numbers).  ``says`` takes a wrong answer that no misconception leads to, and
    returns what to say of it; ``given`` is what stands beside "for" then.  ``alike`` compares a wrong answer with a
    misconception's.
    """

    key: str | int
    right: Any
    words: str = ""
    read: Reader = whole_number
    also: tuple[Any, ...] = ()
    close: float = 0.0
    says: Callable[[Any], str] = lambda got: _("This answer is not right.")
    given: str = ""
    alike: Callable[[Any, Any], bool] | None = None

    def holds(self, got: Any) -> bool:
        """Return whether ``got``, which was read, is right."""
        return any(self._same(right, got) for right in (self.right, *self.also))

    def _same(self, right: Any, got: Any) -> bool:
        if self.close and isinstance(got, int | float):
            return bool(abs(got - right) <= self.close * abs(right))
        return bool(got == right)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Some questions with their misconceptions, whose answers are dicts with every key.

    ``reveal``: say what was expected (for questions without an end); if not, say only what is wrong.
    ``beliefs``: a misconception leads to all answers, and is named only if it contradicts none that is right; if
    not, it may belong to one answer alone.  ``rules`` looks at the answers and says in a sentence which rule they
    break, or nothing.
    """

    asks: tuple[Ask, ...]
    misconceptions: tuple[Misconception, ...] = ()
    reveal: bool = False
    beliefs: bool = False
    rules: Callable[[Mapping[Any, Any]], str] = lambda got: ""
    states: Mapping[str, Look] = field(default_factory=dict)
    state: Look | None = None
    next: str = ""


def judge_answers(asked: Asked, answer: Any) -> Result:
    """Judge ``{key: answer}``, a list in the order of the questions, or a lone answer to a lone question."""
    got, malformed = _read(asked.asks, answer)
    wrong = [ask for ask in asked.asks if ask.key in got and not ask.holds(got[ask.key])]
    if malformed and not wrong:
        raise Malformed(malformed)
    if not wrong:
        return Right(tried=len(asked.asks), next=asked.next)
    broken = "" if malformed else asked.rules(got)
    known, ask = _known(asked, got, wrong)
    words = known.words if known else broken or ask.says(got[ask.key])
    if known is None or not _explains_most(known, got, wrong):
        words = _counted(words, len(wrong), len(asked.asks))
    return Wrong(
        misconception=known.name if known else "",
        why=f"{malformed} {words}".strip(),
        given=ask.given or (f"{ask.key}: {ask.words}" if ask.words else str(ask.key)),
        expected=shown(ask, ask.right) if asked.reveal else "",
        got=shown(ask, got[ask.key]),
        state=asked.states.get(known.name if known else "", asked.state),
    )


def _counted(words: str, wrong: int, total: int) -> str:
    if wrong < 2:
        return words
    return _("{words} ({n} of {total} answers are not right; this is the first.)").format(
        words=words, n=wrong, total=total)


def _read(asks: Sequence[Ask], answer: Any) -> tuple[dict[Any, Any], str]:
    """Return the answers by key, and what is wrong with the form of the first that cannot be read."""
    values = table(answer, [ask.key for ask in asks], _("Your answer"))
    got: dict[Any, Any] = {}
    blanks, malformed = [], ""
    for ask in asks:
        try:
            got[ask.key] = ask.read(values[ask.key], _("The answer to {key}").format(key=ask.key))
        except Blank:
            blanks.append(str(ask.key))
        except Malformed as each:
            malformed = malformed or str(each)
    if blanks and not malformed:
        raise Blank(", ".join(blanks) if got else "")
    return got, malformed


def _known(asked: Asked, got: Mapping[Any, Any], wrong: Sequence[Ask]) -> tuple[Misconception | None, Ask]:
    """Find the misconception that explains most of the wrong answers, or at least the first of them."""
    best: tuple[tuple[bool, int, int], Misconception, Ask] | None = None
    for each in asked.misconceptions:
        if asked.beliefs and not _may_be_held(asked.asks, each, got):
            continue
        explained = [ask for ask in wrong if _leads_to(ask, each, got)]
        most = 2 * len(explained) > len(wrong)
        if explained and (most or explained[0] is wrong[0]):
            rank = most, len(explained), sum(_leads_to(ask, each, got) for ask in asked.asks if ask.key in got)
            if best is None or rank > best[0]:
                best = rank, each, explained[0]
    return (None, wrong[0]) if best is None else best[1:]


def _may_be_held(asks: Sequence[Ask], known: Misconception, got: Mapping[Any, Any]) -> bool:
    """Return whether a reader who believes this may have answered so.

    Where it leads astray, nothing is right, and most answers are what it leads to.
    """
    astray = [ask for ask in asks if ask.key in got and not ask.holds(ask.read(known.answer[ask.key], ""))]
    return not any(ask.holds(got[ask.key]) for ask in astray) and (
        2 * sum(_leads_to(ask, known, got) for ask in astray) > len(astray))


def _explains_most(known: Misconception, got: Mapping[Any, Any], wrong: Sequence[Ask]) -> bool:
    return 2 * sum(_leads_to(ask, known, got) for ask in wrong) > len(wrong)


def _leads_to(ask: Ask, known: Misconception, got: Mapping[Any, Any]) -> bool:
    try:
        said = ask.read(known.answer[ask.key], "")
    except (Blank, Malformed):
        return False
    if ask.alike is not None:
        return ask.alike(said, got[ask.key])
    if ask.close and isinstance(said, int | float):
        return bool(abs(got[ask.key] - said) <= ask.close * abs(said))
    return bool(got[ask.key] == said)


def shown(ask: Ask, value: Any) -> str:
    """Write an answer as a reader would type it."""
    if ask.read is address:
        return in_hex(value)
    if isinstance(value, frozenset):
        return describe(sorted(value))
    return describe(list(value)) if isinstance(value, tuple) else describe(value)


def right_answer(asks: Sequence[Ask]) -> dict[Any, Any]:
    """Return the right answers by key."""
    return {ask.key: ask.right for ask in asks}


def completed(asks: Sequence[Ask], misconceptions: Sequence[Misconception]) -> tuple[Misconception, ...]:
    """Return the misconceptions with whole answers: what a partial one leaves out is right."""
    right = right_answer(asks)
    for each in misconceptions:
        if not isinstance(each.answer, dict) or not set(each.answer) <= set(right):
            raise ValueError(f"misconception {each.name!r}: its answer is a dict with keys of {list(right)}")
    return tuple(Misconception(each.name, each.words, right | each.answer) for each in misconceptions)


def mistake(name: str, words: str, **answers: Any) -> Misconception:
    """Return a misconception whose wrong answers are given by key: ``mistake("rounds down", "...", pages=3)``."""
    return Misconception(name, words, answers)


def blank_of(asks: Sequence[Ask], blank: str = "...") -> str:
    """Return the answer's template: ``{"pages": ..., "bytes": ...}``, one line if it is short."""
    rows = [f"{ask.key!r}: {blank}".replace("'", '"') for ask in asks]
    line = "{" + ", ".join(rows) + "}"
    return line if len(line) < 80 else "{\n" + "".join(f"    {row},\n" for row in rows) + "}"
