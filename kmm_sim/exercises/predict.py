# SPDX-License-Identifier: GPL-2.0-only
"""Judging a prediction of the free lists: the simulator runs the calls, the lists are compared.

A wrong answer is first held against what known misconceptions lead to, then against what must
be true of any free lists (aligned, no page twice, no page that somebody holds, none missing),
and what is found first is said, with the smallest order that differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kmm_sim.catalogue import _
from kmm_sim.exercises.exercise import Misconception
from kmm_sim.exercises.free_list_beliefs import Call, FreeLists
from kmm_sim.exercises.reading import Blank, Malformed, describe, mapping, sequence, whole_number
from kmm_sim.exercises.result import Result, Right, Wrong
from kmm_sim.exercises.state import State
from kmm_sim.machine import Machine
from kmm_sim.observe import snapshot
from kmm_sim.workload import Alloc, Free, Op

__all__ = ["Prediction", "free_lists", "judge_free_lists", "run", "steps", "written"]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A question: a bench of 2**top pages and the calls made on it.

    ``misconceptions`` carry as answer the free lists they lead to, ``turns`` the number of calls
    after which they first go wrong.
    """

    top: int
    calls: tuple[Call, ...]
    misconceptions: tuple[Misconception, ...] = ()
    turns: Mapping[str, int]
    next: str = ""


def steps(calls: Sequence[Call]) -> tuple[Op, ...]:
    """Return the calls as steps that a machine or a lab can play."""
    nth = {call.block: n for n, call in enumerate(call for call in calls if not call.frees)}
    return tuple(Free(nth[call.block]) if call.frees else Alloc(call.order) for call in calls)


def run(calls: Sequence[Call], top: int) -> Machine:
    """Return a bench of 2**top pages on which the calls were made."""
    return State(1 << top, then=steps(calls)).machine()


def free_lists(machine: Machine) -> FreeLists:
    """Return the free lists of a bench: order to first pfns, head first."""
    (zone,) = snapshot(machine).zones
    return {blocks.order: blocks.pfns for blocks in zone.free}


def written(lists: Mapping[int, Sequence[int]]) -> str:
    """Write free lists as the Python that a reader would type."""
    rows = ", ".join(f"{order}: {list(pfns)}" for order, pfns in sorted(lists.items()))
    return f"{{{rows}}}"


def judge_free_lists(asked: Prediction, answer: Any) -> Result:
    """Judge an answer such as ``{0: [1], 1: [2], 4: [16]}``."""
    got = _read(asked, answer)
    machine = run(asked.calls, asked.top)
    expected = free_lists(machine)
    if got == expected:
        return Right(next=asked.next)
    known = next((each for each in asked.misconceptions if each.answer == got), None)
    order = next(each for each in range(asked.top + 1) if got.get(each) != expected.get(each))
    calls = asked.calls[: asked.turns[known.name]] if known else asked.calls
    turn = _(" It first matters in call {number}, `{call}`.").format(number=len(calls), call=calls[-1])
    return Wrong(
        misconception=known.name if known else "",
        why=known.words + turn * (len(calls) < len(asked.calls)) if known else _culprit(asked, machine, got, expected),
        given=_("the list of order {order}").format(order=order),
        expected=describe(list(expected.get(order, ()))),
        got=describe(list(got.get(order, ()))),
        state=State(1 << asked.top, then=steps(calls), caption=_("The calls of the question; watch the last one.")),
    )


def _read(asked: Prediction, answer: Any) -> FreeLists:
    """Return the reader's lists; a lone number is a list of one, and empty lists are left out."""
    table = mapping(answer, _("Your answer"))
    lists, blanks = {}, []
    for order, pfns in table.items():
        if not 0 <= order <= asked.top:
            raise Malformed(_("There is no order {order} here: orders are 0 to {top}.").format(
                order=describe(order), top=asked.top))
        try:
            lists[order] = _pfns(pfns, _("The list of order {order}").format(order=order))
        except Blank:
            blanks.append(order)
    if blanks:
        orders = ", ".join(map(str, sorted(blanks)))
        raise Blank(_("the list of order {orders}").format(orders=orders) if lists else "")
    return {order: pfns for order, pfns in sorted(lists.items()) if pfns}


def _pfns(value: Any, what: str) -> tuple[int, ...]:
    if hasattr(value, "__index__") and not isinstance(value, bool):
        return (whole_number(value, what),)
    return tuple(whole_number(each, _("A pfn in it")) for each in sequence(value, what))


def _culprit(asked: Prediction, machine: Machine, got: FreeLists, expected: FreeLists) -> str:
    """Say which rule of free lists the answer breaks, if it breaks one."""
    held = {pfn: block.pfn for block in snapshot(machine).allocated.values()
            for pfn in range(block.pfn, block.pfn + (1 << block.order))}
    seen: dict[int, int] = {}
    for order, pfn in ((order, pfn) for order, pfns in got.items() for pfn in pfns):
        if not 0 <= pfn < 1 << asked.top:
            return _("There is no page {pfn}: the bench has pages 0 to {last}.").format(
                pfn=describe(pfn), last=(1 << asked.top) - 1)
        if pfn % (1 << order):
            return _("No block of order {order} begins at pfn {pfn}: a block begins at a multiple of its size, "
                     "{size}.").format(order=order, pfn=pfn, size=1 << order)
        for page in range(pfn, pfn + (1 << order)):
            if page in seen:
                return _("Page {page} is in two blocks of your lists, those at pfn {one} and pfn {two}.").format(
                    page=page, one=seen[page], two=pfn)
            if page in held:
                return _("Page {page} is in your block at pfn {pfn}, but it is not free: it belongs to the allocation "
                         "at pfn {held}.").format(page=page, pfn=pfn, held=held[page])
            seen[page] = pfn
    return _census(asked, len(seen), len(held), got, expected)


def _census(asked: Prediction, free: int, held: int, got: FreeLists, expected: FreeLists) -> str:
    if free + held != 1 << asked.top:
        return _("Pages are missing: {free} are free in your lists and {held} are held, of {all}.").format(
            free=free, held=held, all=1 << asked.top)
    if {order: set(pfns) for order, pfns in got.items()} == {order: set(pfns) for order, pfns in expected.items()}:
        return _("These are the right blocks, but not in the order of the lists. A block that is put back goes to the "
                 "head; one that is likely to merge soon goes to the tail.")
    return _("Every free page is in your lists, but cut into other blocks.")
