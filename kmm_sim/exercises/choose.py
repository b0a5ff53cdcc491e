# SPDX-License-Identifier: GPL-2.0-only
"""Exercises to choose, with a reason: which flag, which allocator, for each situation.

    answer = {"a": ("GFP_ATOMIC", "must not sleep"), "b": ("GFP_KERNEL", "may sleep")}

Choice and reason are judged apart: the right choice for a wrong reason is not right yet, and is told so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Unpack

from kmm_sim.catalogue import _
from kmm_sim.exercises.card import Facts, Part, Text
from kmm_sim.exercises.compute import answered
from kmm_sim.exercises.exercise import Exercise, Misconception
from kmm_sim.exercises.questions import About, Ask, Asked
from kmm_sim.exercises.reading import Blank, Malformed, Reader, describe, sequence, word

__all__ = ["Situation", "choose"]


@dataclass(frozen=True, kw_only=True)
class Situation:
    """One case to decide.

    ``right`` names an option, or several that are as good; ``because`` a reason, or several.  ``wrong`` says for
    options that people take what is wrong with them here, ``misread`` the same for reasons.
    """

    key: str
    words: str
    right: str | tuple[str, ...]
    because: str | tuple[str, ...] = ()
    wrong: Mapping[str, str] = field(default_factory=dict)
    misread: Mapping[str, str] = field(default_factory=dict)

    @property
    def choices(self) -> tuple[str, ...]:
        """The right options, the best first."""
        return (self.right,) if isinstance(self.right, str) else self.right

    @property
    def reasons(self) -> tuple[str, ...]:
        """The right reasons, the best first."""
        return (self.because,) if isinstance(self.because, str) else self.because


def choose(*, options: Mapping[str, Iterable[Any]] | tuple[str, ...], situations: tuple[Situation, ...],
           reasons: Mapping[str, str] | None = None, mistakes: tuple[Misconception, ...] = (),
           **about: Unpack[About]) -> Exercise:
    """Return an exercise in which each situation gets an option and, if there are ``reasons``, one of these.

    ``options`` as for ``reading.word``: a mapping brings other ways to write an option, such as a flag's value.
    ``reasons`` are short names with what they mean.  ``mistakes`` give wrong answers by key, for beliefs that lead to
    more than one; each situation's own wrong options become misconceptions by themselves.
    """
    read = _pair(options, reasons) if reasons else word(options)
    asks = tuple(_ask(each, read, bool(reasons)) for each in situations)
    right = {ask.key: ask.right for ask in asks}
    known = [Misconception(each.name, each.words, right | each.answer) for each in mistakes]
    known += [Misconception(name, words, right | {key: answer})
              for name, words, key, answer in _singles(situations, bool(reasons))]
    blank = "(..., ...)" if reasons else "..."
    rows = "".join(f'    "{each.key}": {blank},\n' for each in situations)
    about.setdefault("template", f"answer = {{\n{rows}}}")
    about["parts"] = (*about.get("parts", ()), *_offered(tuple(options), reasons))
    return answered("choose", Asked(asks=asks, misconceptions=tuple(known)), _others(situations, right), **about)


def _pair(options: Mapping[str, Iterable[Any]] | tuple[str, ...], reasons: Mapping[str, str]) -> Reader:
    choice, reason = word(options), word(tuple(reasons))

    def read(value: Any, what: str) -> tuple[str, str]:
        if isinstance(value, str):
            raise Malformed(_("{what} should be a pair: your choice and your reason. There is no reason yet.").format(
                what=what))
        entries = sequence(value, what)
        if len(entries) != 2:
            raise Malformed(_("{what} should be a pair, your choice and your reason, not {value}.").format(
                what=what, value=describe(value)))
        blanks = [name for name, entry in zip((_("the choice"), _("the reason")), entries, strict=True) if entry is ...]
        if blanks:
            raise Blank(blanks[0])
        return choice(entries[0], _("The choice")), reason(entries[1], _("The reason"))

    return read


def _ask(each: Situation, read: Reader, with_reasons: bool) -> Ask:
    every: list[Any] = [(choice, reason) for choice in each.choices for reason in each.reasons]
    first, *others = every if with_reasons else list(each.choices)
    return Ask(key=each.key, words=each.words, right=first, also=tuple(others), read=read,
               alike=_alike(each) if with_reasons else None,
               says=lambda got: _unnamed(each, got, with_reasons))


def _unnamed(each: Situation, got: Any, with_reasons: bool) -> str:
    """Say of a wrong answer without a name whether it is the choice that is wrong, or only the reason."""
    if with_reasons and got[0] in each.choices:
        return _("The choice is right, and the reason is another one.")
    return _("Look at this one again: another choice is right here.")


def _alike(each: Situation) -> Callable[[Any, Any], bool]:
    """A wrong choice is the same mistake for whatever reason; a right one is judged by its reason."""
    return lambda said, got: said == got or (said[0] == got[0] and said[0] not in each.choices)


def _singles(situations: Iterable[Situation], with_reasons: bool) -> Iterable[tuple[str, str, str, Any]]:
    """The misconceptions of one situation: a wrong option (for whatever right reason), or a wrong reason."""
    for each in situations:
        for option, words in each.wrong.items():
            yield f"{each.key}: {option}", words, each.key, (option, each.reasons[0]) if with_reasons else option
        for reason, words in each.misread.items():
            yield f"{each.key}: {reason}", words, each.key, (each.choices[0], reason)


def _offered(options: tuple[str, ...], reasons: Mapping[str, str] | None) -> tuple[Part, ...]:
    listed = ", ".join(f"`{option}`" for option in options)
    parts: tuple[Part, ...] = (Text(_("To choose from: {options}.").format(options=listed)),)
    if reasons:
        parts += (Text(_("And your reason, by its short name:")), Facts(tuple(reasons.items())))
    return parts


def _others(situations: tuple[Situation, ...], right: dict[Any, Any]) -> tuple[Any, ...]:
    """Right answers besides the first: each other option and reason that is as good."""
    others: list[Any] = []
    for each in situations:
        if each.reasons:
            others += [right | {each.key: (choice, reason)} for choice in each.choices for reason in each.reasons
                       if (choice, reason) != right[each.key]]
        else:
            others += [right | {each.key: choice} for choice in each.choices[1:]]
    return tuple(others)
