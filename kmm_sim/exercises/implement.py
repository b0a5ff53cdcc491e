# SPDX-License-Identifier: GPL-2.0-only
"""Judging a function: call it with cases, smallest first, and say what the first failure means.

The expected values are worked out before the reader's code runs.  If the function fails, its
results are held against those of the known misconceptions; one that contradicts nothing that was right
and explains most of what was not is named, with the smallest case that shows it.
"""

from __future__ import annotations

import copy
import dataclasses
import dis
import inspect
import random
import re
import textwrap
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Unpack

from kmm_sim.catalogue import _
from kmm_sim.exercises.calling import Called, call, is_untouched, raised, refuses
from kmm_sim.exercises.exercise import Exercise, Misconception
from kmm_sim.exercises.questions import About
from kmm_sim.exercises.reading import EXACT, Blank, Malformed, describe, in_hex, mapping
from kmm_sim.exercises.result import NotAttempted, Result, Right, Wrong
from kmm_sim.exercises.state import Look

__all__ = ["Case", "Function", "implement", "judge_function", "judge_table", "source_of"]


@dataclass(frozen=True, slots=True)
class Case:
    """Arguments and what a right function returns for them."""

    args: tuple[Any, ...]
    expected: Any


_NOTHING = object()
"""Stands for what an error or an answer of a wrong kind came to; None may be a right answer."""


@dataclass(frozen=True, slots=True)
class _Came:
    """What came of a case: the call, and its answer as plain values."""

    case: Case
    called: Called
    got: Any

    def is_right(self, asked: Function) -> bool:
        return self.got is not _NOTHING and asked.wrong(self.case, self.got) is None


@dataclass(frozen=True, kw_only=True)
class Function:
    """What is asked of a function.

    ``read`` turns what it returned into plain values or raises Malformed; ``symptom`` picks from
    (expected, got) the part that shows a mistake; ``state`` is where a case can be looked
    at, or None.  ``hexadecimal`` names the parameters that are addresses, and ``return`` if the answer is one.
    """

    parameters: tuple[str, ...]
    cases: Callable[[random.Random], Iterable[tuple[Any, ...]]]
    reference: Callable[..., Any]
    read: Callable[[Any], Any]
    misconceptions: tuple[Misconception, ...]
    symptom: Callable[[Any, Any], Hashable] = lambda expected, got: got
    state: Callable[..., Look | None] = lambda *args: None
    result: int | None = None
    accept: Callable[[tuple[Any, ...], Any, Any], str] | None = None
    hexadecimal: tuple[str, ...] = ()

    def given(self, args: Sequence[Any]) -> str:
        """Write a case's input: ``pfn = 8, order = 1``."""
        return ", ".join(f"{name} = {in_hex(value) if name in self.hexadecimal else value}"
                         for name, value in zip(self.parameters, args, strict=True))

    def shown(self, answer: Any) -> str:
        """Write an answer."""
        return in_hex(answer) if "return" in self.hexadecimal else describe(answer)

    def wrong(self, case: Case, got: Any) -> str | None:
        """Return None if ``got`` is right, or what is wrong with it (perhaps no words)."""
        if self.accept is not None:
            return self.accept(case.args, case.expected, got) or None
        return None if got == case.expected else ""

    def answer_in(self, called: Called) -> Any:
        """Return the function's answer: what it returned, or the argument that it changed."""
        return called.value if self.result is None else called.args[self.result]


def implement(*, asked: Function, right_answers: tuple[Callable[..., Any], ...], **about: Unpack[About]) -> Exercise:
    """Return an exercise to write a function; the first right answer is shown as the solution, under its asked name.

    ``template`` is the untouched cell: the function with ``...`` where the reader's code goes.
    """
    template = about["template"]
    name = template.partition("def ")[2].partition("(")[0].strip()
    return Exercise(
        name=about["name"], title=about["title"], kind="implement", level=about["level"], task=about["task"],
        hints=about["hints"], why=about["why"], given=about.get("given", ""), parts=about.get("parts", ()),
        template=template, code=about.get("code") or source_of(right_answers[0], name),
        judge=lambda answer, rng: judge_function(asked, answer, rng),
        right_answers=right_answers, misconceptions=asked.misconceptions,
    )


def source_of(function: Callable[..., Any], name: str) -> str:
    """Return the source of a solution under its asked name, so that what is shown is what is tested."""
    source = textwrap.dedent(inspect.getsource(function)).strip()
    return re.sub(rf"\b{re.escape(function.__name__)}\b", name, source)


def judge_function(asked: Function, answer: Any, rng: random.Random) -> Result:
    """Judge the reader's function by calling it."""
    if is_untouched(answer):
        return NotAttempted()
    if not callable(answer):
        raise Malformed(_("Hand in the function itself, by its name and without calling it; this is {answer}.").format(
            answer=describe(answer)))
    if words := refuses(answer, asked.parameters):
        raise Malformed(words)
    cases = [Case(args, _reference(asked, args)) for args in asked.cases(rng)]
    for case in cases:
        outcome = _try(asked, case, call(answer, *case.args))
        if isinstance(outcome, Wrong):
            own = dataclasses.replace(outcome, why=outcome.why or _rounding(asked, answer, case))
            return _explain(asked, answer, cases) or own
        if outcome is not None:
            return outcome
    return Right(tried=len(cases))


def judge_table(asked: Function, answer: Any, inputs: Sequence[Any]) -> Result:
    """Judge a table of results, {input: result}, or a list of the results in the order of the question."""
    table = mapping(answer, _("Your answer"))
    if not isinstance(answer, Mapping) and len(table) == len(inputs):
        table = dict(zip(inputs, table.values(), strict=True))
    missing = [each for each in inputs if each not in table]
    if missing:
        raise Malformed(_("There is no answer for {missing}.").format(missing=", ".join(map(str, missing))))
    blanks = [each for each in inputs if table[each] is ...]
    if blanks:
        raise Blank("" if len(blanks) == len(inputs) else ", ".join(map(str, blanks)))
    cases = [Case((each,), asked.reference(each)) for each in inputs]
    for case in cases:
        outcome = _try(asked, case, Called(value=table[case.args[0]]))
        if outcome is not None:
            return _explain(asked, table.__getitem__, cases) or outcome
    return Right(tried=len(cases))


def _try(asked: Function, case: Case, called: Called) -> Result | None:
    """Return what is wrong with one result, or None."""
    given = asked.given(case.args)
    if called.error is not None:
        return raised(called.error, given, called.printed)
    try:
        got = asked.read(asked.answer_in(called))
    except Malformed as malformed:
        return Wrong(why=str(malformed), given=given, got=describe(asked.answer_in(called)), printed=called.printed)
    words = asked.wrong(case, got)
    return None if words is None else _wrong(asked, case, got, called.printed, "", words)


def _rounding(asked: Function, answer: Callable[..., Any], case: Case) -> str:
    """Say that a function divides by way of floats, if what is right is too large for one.

    It is the floats only if the function is right once its numbers divide exactly.
    """
    code = getattr(answer, "__code__", None)
    if code is None or not isinstance(case.expected, int) or case.expected < EXACT:
        return ""
    if not any(step.opname == "BINARY_OP" and step.argrepr in ("/", "/=") for step in dis.get_instructions(code)):
        return ""
    exact = call(answer, *(_Exact(each) if isinstance(each, int) else each for each in case.args))
    if not _Came(case, exact, _plain(asked, exact)).is_right(asked):
        return ""
    return _("There is a `/` in your function. It makes a float, which has 53 bits, and an address has 64: `int()` "
             "comes too late. `//` divides whole numbers.")


def _exactly(name: str) -> Callable[[Fraction, Any], Fraction]:
    """Return an operation of Fraction that takes a float for just what it is, and is not made one by it."""
    operate = getattr(Fraction, name)
    return lambda one, other: _Exact(operate(one, Fraction(other) if isinstance(other, float) else other))


_Exact: Callable[[Any], Fraction] = type("_Exact", (Fraction,), {name: _exactly(name) for name in (
    "__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__", "__truediv__", "__rtruediv__")})
"""Makes a number whose `/` rounds nothing."""


def _reference(asked: Function, args: tuple[Any, ...]) -> Any:
    """Work out what is right; a reference that changes an argument gets a copy, as the reader's function does."""
    if asked.result is None:
        return asked.reference(*args)
    copies = copy.deepcopy(args)
    asked.reference(*copies)
    return asked.read(copies[asked.result])


def _wrong(asked: Function, case: Case, got: Any, printed: str, misconception: str, words: str) -> Wrong:
    return Wrong(
        misconception=misconception,
        why=words,
        given=asked.given(case.args),
        expected=asked.shown(case.expected),
        got=asked.shown(got),
        printed=printed,
        state=asked.state(*case.args),
    )


def _explain(asked: Function, answer: Callable[..., Any], cases: Sequence[Case]) -> Wrong | None:
    """Name the misconception that explains most of what is wrong, on the smallest case that shows it.

    Who has it would have got nothing right against it.  If something else is wrong too, its words say how far it goes;
    of True and False too many agree by chance for that, so there it must explain everything.
    """
    results = [_Came(case, called, _plain(asked, called)) for case in cases for called in [call(answer, *case.args)]]
    right = [each for each in results if each.is_right(asked)]
    wrong = [each for each in results if not each.is_right(asked)]
    by_chance = all(isinstance(case.expected, bool) for case in cases)
    if by_chance and results[0].got is not _NOTHING and len({each.got for each in results}) == 1:
        return _always(asked, wrong[0], len(cases))
    known, explained = None, wrong[:-1] if by_chance else wrong[:len(wrong) // 2]
    for misconception in asked.misconceptions:
        agreed = [each for each in wrong if _agrees(asked, misconception, each)]
        if len(agreed) > len(explained) and all(_agrees(asked, misconception, each) for each in right):
            known, explained = misconception, agreed
    if known is None:
        return None
    first = explained[0]
    words = known.words if len(explained) == len(wrong) else _(
        "{words} (That explains {n} of the {total} results that are not right.)").format(
        words=known.words, n=len(explained), total=len(wrong))
    return _wrong(asked, first.case, first.got, first.called.printed, known.name, words)


def _always(asked: Function, came: _Came, n: int) -> Wrong:
    """Say that an answer is the same for every case, which no belief has led to."""
    return _wrong(asked, came.case, came.got, came.called.printed, "", _(
        "Your answer is {answer} in each of the {n} cases, and in some of them that is wrong.").format(
            answer=asked.shown(came.got), n=n))


def _plain(asked: Function, called: Called) -> Any:
    try:
        return asked.read(asked.answer_in(called)) if called.error is None else _NOTHING
    except (Blank, Malformed):
        return _NOTHING


def _agrees(asked: Function, misconception: Misconception, came: _Came) -> bool:
    if came.got is _NOTHING:
        return False
    wrong = _plain(asked, call(misconception.answer, *came.case.args))
    if wrong is _NOTHING:
        return False
    return bool(asked.symptom(came.case.expected, came.got) == asked.symptom(came.case.expected, wrong))
