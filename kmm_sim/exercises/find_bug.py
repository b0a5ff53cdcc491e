# SPDX-License-Identifier: GPL-2.0-only
"""Exercises to find the bug: a piece of a driver in C, its lines numbered.

    answer = {4: "sleeps"}                      the line, and what is wrong there
    answer = {4: ("sleeps", "size"), 7: "leak"}     more than one; "sleeps, size" is the same

The kinds of bug to choose from have short names.  A line that is all right, a bug called by another name and a
bug that was not found each get their own words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Unpack

from kmm_sim.catalogue import _
from kmm_sim.exercises.card import Facts, Text
from kmm_sim.exercises.exercise import Exercise, Misconception
from kmm_sim.exercises.questions import About
from kmm_sim.exercises.reading import Blank, Malformed, Reader, describe, sequence, whole_number, word
from kmm_sim.exercises.result import Result, Right, Wrong

__all__ = ["Bug", "find_bug", "numbered"]

Found = frozenset[tuple[int, str]]


@dataclass(frozen=True, kw_only=True)
class Bug:
    """One bug: its line, or several of which any will do, and its short name; ``also`` are names as good.

    ``missed`` is said to a reader who has not found it (a nudge, not the answer); ``misread`` says for another
    name why that is not what is wrong.
    """

    lines: int | tuple[int, ...]
    name: str
    missed: str
    also: tuple[str, ...] = ()
    misread: Mapping[str, str] = field(default_factory=dict)

    @property
    def places(self) -> tuple[int, ...]:
        """The lines that will do, the best first."""
        return (self.lines,) if isinstance(self.lines, int) else self.lines

    @property
    def names(self) -> tuple[str, ...]:
        """The names that will do, the best first."""
        return (self.name, *self.also)


@dataclass(frozen=True, kw_only=True)
class Snippet:
    """The source, its bugs, the names to choose from, and lines that look wrong and are not."""

    source: str
    bugs: tuple[Bug, ...]
    names: Mapping[str, str]
    innocent: Mapping[int, str]


def numbered(source: str) -> str:
    """Return source with its lines numbered from 1."""
    lines = source.strip("\n").splitlines()
    return "\n".join(f"{number:2}  {line}".rstrip() for number, line in enumerate(lines, 1))


def find_bug(*, source: str, bugs: tuple[Bug, ...], names: Mapping[str, str], innocent: Mapping[int, str] | None = None,
             **about: Unpack[About]) -> Exercise:
    """Return an exercise on a piece of C.

    ``names`` are the kinds of bug to choose from, short name to meaning (offer more than there are bugs);
    ``innocent`` says for a suspicious line why it is all right.
    """
    snippet = Snippet(source=source.strip("\n"), bugs=bugs, names=names, innocent=innocent or {})
    right = _written([(bug.places[0], bug.name) for bug in bugs])
    pairs = [(bug.places[0], bug.name) for bug in bugs]
    last = _written([(bug.places[-1], bug.names[-1]) for bug in bugs])
    parts = (*about.get("parts", ()), Text(_("What is wrong, by its short name:")), Facts(tuple(names.items())))
    return Exercise(
        name=about["name"], title=about["title"], kind="find the bug", level=about["level"], task=about["task"],
        hints=about["hints"], why=about["why"], given=numbered(source), parts=parts,
        template=about.get("template") or "# line: what is wrong there\nanswer = {...: ...}",
        code=about.get("code") or f"answer = {right!r}",
        judge=lambda answer, _rng: _judge(snippet, answer),
        right_answers=(right, pairs, last),
        misconceptions=tuple(_misconceptions(snippet)),
    )


def _written(found: list[tuple[int, str]]) -> dict[int, Any]:
    """Return pairs as the dict that a reader would type."""
    table: dict[int, Any] = {}
    for line, name in found:
        table[line] = name if line not in table else (
            (*table[line], name) if isinstance(table[line], tuple) else (table[line], name))
    return table


def _judge(snippet: Snippet, answer: Any) -> Result:
    found = _read(snippet, answer)
    if not found:
        return Wrong(why=_("There is a bug in it: read it line by line, as the kernel runs it."), given=_("all lines"),
                     got=_("no bug"))
    for line, name in sorted(found):
        if wrong := _misread(snippet, line, name):
            return wrong
    missed = [bug for bug in snippet.bugs if not any(_hits(bug, line, name) for line, name in found)]
    if missed:
        return Wrong(misconception=_missed(missed[0]), why=_nudge(snippet, missed) + _together(missed[0], found),
                     given=_("the whole snippet"), got=describe(_written(sorted(found))))
    return Right(tried=len(snippet.bugs))


def _hits(bug: Bug, line: int, name: str) -> bool:
    return line in bug.places and name in bug.names


def _misread(snippet: Snippet, line: int, name: str) -> Wrong | None:
    """Return what is wrong with one line of the answer, or None."""
    here = [bug for bug in snippet.bugs if line in bug.places]
    if any(name in bug.names for bug in here):
        return None
    code = snippet.source.splitlines()[line - 1].strip()
    given = _("line {line}: {code}").format(line=line, code=code)
    if here:
        known = next((bug for bug in here if name in bug.misread), None)
        words = known.misread[name] if known else _("This line is not right, but that is not what is wrong with it.")
        return Wrong(misconception=f"line {line}: {name}" if known else "", why=words, given=given, got=name)
    if line in snippet.innocent:
        return Wrong(misconception=f"line {line} is all right", why=snippet.innocent[line], given=given, got=name)
    return Wrong(why=_("This line is all right by itself. Where does the trouble begin?"), given=given, got=name)


def _nudge(snippet: Snippet, missed: list[Bug]) -> str:
    return _("What you found is right, and it is {n} of {total}. {nudge}").format(
        n=len(snippet.bugs) - len(missed), total=len(snippet.bugs), nudge=missed[0].missed)


def _together(bug: Bug, found: Found) -> str:
    """Say how two names for one line are written, to a reader who has found one of them.

    Who gave the line twice is not told so by Python: a dict keeps the last.
    """
    here = [(line, name) for line, name in sorted(found) if line in bug.places]
    if not here:
        return ""
    line, name = here[0]
    return " " + _("For line {line} only `{name}` has arrived. Two names for one line are written together, as "
                   "`{line}: (\"{name}\", ...)`: of a key that is there twice, Python keeps the last.").format(
        line=line, name=name)


def _missed(bug: Bug) -> str:
    return f"missed: {bug.name} in line {bug.places[0]}"


def _misconceptions(snippet: Snippet) -> list[Misconception]:
    """What the tests try: each innocent line, each misread bug, and each bug that may be missed."""
    right = [(bug.places[0], bug.name) for bug in snippet.bugs]
    some = next(iter(snippet.names))
    known = [Misconception(f"line {line} is all right", words, {line: some})
             for line, words in snippet.innocent.items()]
    for bug in snippet.bugs:
        known += [Misconception(f"line {bug.places[0]}: {name}", words, {bug.places[0]: name})
                  for name, words in bug.misread.items()]
        others = [pair for pair in right if pair != (bug.places[0], bug.name)]
        known += [Misconception(_missed(bug), _nudge(snippet, [bug]), _written(others))] if others else []
    return known


def _read(snippet: Snippet, answer: Any) -> Found:
    """Return the lines and names of an answer: a dict, or a list of pairs, or one pair."""
    if isinstance(answer, Mapping):
        pairs = [(line, answer[line]) for line in list(answer)[:100]]
    else:
        entries = _listed(answer)
        lone = len(entries) == 2 and hasattr(entries[0], "__index__") and not isinstance(entries[0], bool)
        pairs = [entries] if lone else [_entry(entry) for entry in entries]
    name = word(tuple(snippet.names))
    return frozenset(pair for entry in pairs for pair in _pair(snippet, entry, name))


def _listed(answer: Any) -> tuple[Any, ...]:
    try:
        return sequence(answer, _("Your answer"))
    except Malformed:
        raise Malformed(_("Your answer should be a dict of lines and what is wrong there, or a list of such pairs, not "
                          "{value}.").format(value=describe(answer))) from None


def _entry(entry: Any) -> tuple[Any, ...]:
    try:
        return sequence(entry, "")
    except Malformed:
        raise _no_pair(entry) from None


def _no_pair(entry: Any) -> Malformed:
    return Malformed(_("Each entry of your answer should be a pair, a line and what is wrong there, not {value}. A "
                       "dict of lines will do as well.").format(value=describe(entry)))


def _pair(snippet: Snippet, entry: tuple[Any, ...], name: Reader) -> list[tuple[int, str]]:
    if len(entry) != 2:
        raise _no_pair(entry)
    blanks = [label for label, each in zip((_("the line"), _("what is wrong")), entry, strict=True) if each is ...]
    if blanks:
        raise Blank("" if len(blanks) == 2 else blanks[0])
    line = whole_number(entry[0], _("The line"))
    last = len(snippet.source.splitlines())
    if not 1 <= line <= last:
        raise Malformed(_("There is no line {line}: the snippet has lines 1 to {last}.").format(
            line=describe(line), last=last))
    return [(line, name(each, _("What is wrong"))) for each in _names(entry[1])]


def _names(value: Any) -> Iterable[Any]:
    """Return the names for one line: one, several, or several in one text, "sleeps, size"."""
    if isinstance(value, str):
        return str.split(value, ",")
    return value if isinstance(value, tuple | list | set | frozenset) else (value,)
