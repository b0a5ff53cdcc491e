# SPDX-License-Identifier: GPL-2.0-only
"""The exercises of the chapter "The buddy system".

    ex.reading          read a report: a line of /proc/buddyinfo, and what it is good for
    ex.unusable         implement: the share of free memory that is of no use for an order
    ex.whose_list       choose: on which list is it, and why did it not merge?
    ex.then_and_now     compute: which orders pass the watermark check, in 2.6.34 and in 6.12
    ex.spoil            design: with few pages, leave no block of eight
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

from kmm_sim.catalogue import _
from kmm_sim.exercises.choose import Situation, choose
from kmm_sim.exercises.compute import compute
from kmm_sim.exercises.design import Score, design
from kmm_sim.exercises.exercise import Exercise, Misconception, Series
from kmm_sim.exercises.implement import Function, implement
from kmm_sim.exercises.questions import Ask, mistake
from kmm_sim.exercises.reading import Malformed, numbers, whole_number
from kmm_sim.exercises.report import read_report
from kmm_sim.exercises.state import State
from kmm_sim.observe import snapshot
from kmm_sim.workload import Alloc, Free, Op

__all__ = ["EXERCISES", "reading", "spoil", "then_and_now", "unusable", "whose_list"]

_LINE = "Node 0, zone   Normal   1000    200     20      5      2      1      0      0      0      0      0"
_COUNTS = (1000, 200, 20, 5, 2, 1, 0, 0, 0, 0, 0)
_FREE = sum(count << order for order, count in enumerate(_COUNTS))

reading = read_report(
    name="buddy-system/reading", title=_("What is it good for?"), level=1,
    task=_("A line of `/proc/buddyinfo`. Work it out in pages and blocks; the index in thousandths, rounded down where "
           "the kernel divides."),
    text=_LINE,
    asks=(
        Ask(key="free", words=_("free pages"), right=_FREE),
        Ask(key="blocks", words=_("free blocks of all orders"), right=sum(_COUNTS)),
        Ask(key="fit", words=_("free pages that are of use to a request for 8 in a row"), right=40 + 32 + 32),
        Ask(key="largest", words=_("the largest order that a request can have"), right=5),
        Ask(key="index", words=_("the fragmentation index for order 6, in thousandths"),
            right=1000 - (1000 + _FREE * 1000 // 64) // sum(_COUNTS)),
    ),
    lines={"free": 1},
    mistakes=(
        mistake("counts blocks as pages", _("The columns count blocks. One of order n has 2**n pages."),
                free=sum(_COUNTS), fit=8),
        mistake("forgets larger blocks", _("A request for 8 also takes from orders 4 and 5: a larger block is split."),
                fit=40),
        mistake("counts orders from one", _("The first column is order 0. The last that is not 0 is the sixth, order "
                                            "5."), largest=6),
        mistake("unusable, not index", _("That is the share of memory that is of no use. The index weighs how many "
                                         "blocks there are: 1000 - (1000 + free * 1000 / wanted) / blocks."),
                index=1000),
        mistake("takes the index the other way round", _("1000 would mean: nothing but fragmentation is to blame. "
                                                         "Take the quotient from 1000."),
                index=(1000 + _FREE * 1000 // 64) // sum(_COUNTS)),
    ),
    hints=(_("1000 + 2 * 200 + 4 * 20 + ..."), _("Orders 3, 4 and 5 are of use to a request for 8."),
           _("The index: 1000 - (1000 + free * 1000 // 64) // blocks.")),
    why=_("1584 pages lie in 1228 blocks, and 104 pages of them serve a request for 8. For order 6 the index is 0.980: "
          "1584 pages would be plenty, but they are in pieces. Compaction, not reclaim, is what helps."),
)


def _unusable(counts: list[int], order: int) -> int:
    free = sum(count << size for size, count in enumerate(counts))
    if not free:
        return 1000
    small = sum(count << size for size, count in enumerate(counts[:order]))
    return small * 1000 // free


def _unusable_by_what_fits(counts: list[int], order: int) -> int:
    free = fits = 0
    for size, count in enumerate(counts):
        free += count << size
        if size >= order:
            fits += count << (size - order)
    return (free - (fits << order)) * 1000 // free if free else 1000


def _lines(rng: random.Random) -> Iterator[tuple[list[int], int]]:
    yield [0, 0, 0, 0], 1
    yield [8, 0, 0, 0], 0
    yield [8, 0, 0, 0], 1
    yield [2, 1, 0, 0], 1
    yield [0, 0, 0, 1], 2
    for _case in range(20):
        counts = [rng.randrange(0, 1 << max(1, 7 - size)) for size in range(rng.randrange(4, 12))]
        yield counts, rng.randrange(len(counts))


unusable = implement(
    name="buddy-system/unusable", title=_("Of no use"), level=2,
    task=_("Write `unusable(counts, order)`: `counts[n]` is the number of free blocks of order n. Return, in "
           "thousandths and rounded down, which share of the free pages lies in blocks too small for `order`; 1000 if "
           "nothing is free."),
    template="def unusable(counts, order):\n    ...\n",
    asked=Function(
        parameters=("counts", "order"), cases=_lines, reference=_unusable,
        read=lambda value: whole_number(value, _("The share")),
        misconceptions=(
            Misconception("counts blocks", _("You counted blocks. What matters are the pages in them: a block of order "
                                             "n has 2**n."),
                          lambda counts, order: sum(counts[:order]) * 1000 // sum(counts) if sum(counts) else 1000),
            Misconception("nothing free is no trouble", _("If nothing is free, nothing is of use: the kernel says "
                                                          "1000, not 0."),
                          lambda counts, order: _unusable(counts, order) if any(counts) else 0),
            Misconception("the usable share", _("That is the share that *is* of use; what was asked for is the rest."),
                          lambda counts, order: 1000 - _unusable(counts, order)),
            Misconception("only the same order fits", _("A block larger than asked for is of use too: it is split."),
                          lambda counts, order: (
                              (sum(c << n for n, c in enumerate(counts)) - (counts[order] << order)) * 1000
                              // sum(c << n for n, c in enumerate(counts)) if any(counts) else 1000)),
            Misconception("per cent", _("That is per cent. Give thousandths, as the kernel does: 500 for a half."),
                          lambda counts, order: _unusable(counts, order) // 10),
        ),
    ),
    right_answers=(_unusable, _unusable_by_what_fits),
    hints=(_("First all the free pages: the sum of `count << order`."),
           _("Then the pages in blocks of an order below the one asked for."),
           _("Multiply by 1000 before you divide.")),
    why=_("It is `unusable_free_index()` of mm/vmstat.c, line 2213, behind /sys/kernel/debug/extfrag/unusable_index. "
          "The kernel takes what fits off all that is free, which is the same."),
)

_WHERE = ("U", "M", "E", "H", "a CPU's list", "no list")

whose_list = choose(
    name="buddy-system/whose-list", title=_("Where is it now?"), level=2,
    task=_("Where does each block end, on a machine with per-CPU lists and one idle CPU? U, M, E and H are the lists "
           "of the buddy system by type."),
    options=_WHERE,
    situations=(
        Situation(key="page", words=_("a single page of a movable pageblock, freed just now"), right="a CPU's list",
                  wrong={"M": _("Orders 0 to 3 stay with the CPU first. The buddy system gets them when there are too "
                                "many, or at a drain.")}),
        Situation(key="drained", words=_("the same, after drain_all_pages()"), right="M",
                  wrong={"U": _("Its pageblock is movable, and that decides.")}),
        Situation(key="stolen", words=_("a block of order 5 that an unmovable request had stolen from a movable "
                                        "pageblock, freed"), right="M",
                  wrong={"U": _("To steal does not change the pageblock. A block is filed under its pageblock's type, "
                                "not under what was asked for."),
                         "a CPU's list": _("CPUs keep orders 0 to 3, and 9 for huge pages. A block of order 5 goes to "
                                           "the buddy system.")}),
        Situation(key="claimed", words=_("the same, but the request had claimed the pageblock"), right="U",
                  wrong={"M": _("To claim is to convert the pageblock: it is unmovable now.")}),
        Situation(key="urgent", words=_("a block of order 4 from a highatomic pageblock, freed"), right="H",
                  wrong={"M": _("The reserve keeps its pageblock until it is given up.")}),
        Situation(key="held", words=_("a block of order 4 that a driver holds"), right="no list",
                  wrong={"U": _("What is held is on no list; the driver alone knows of it.")}),
    ),
    hints=(_("First ask: is the order one that CPUs keep?"), _("Then: what is the type of its pageblock, now?"),
           _("Claiming changes a pageblock's type, stealing does not.")),
    why=_("`free_unref_page()` sends orders 0 to 3 and 9 to the CPU's lists, all others to the buddy system, under the "
          "type of the pageblock at this moment."),
)

then_and_now = compute(
    name="buddy-system/then-and-now", title=_("Which orders pass?"), level=3,
    task=_("The zone of the first exercise again: 1584 pages free in 1000, 200, 20, 5, 2 and 1 blocks of orders 0 to "
           "5. *min* is 1000. An ordinary request is checked against it. What is the highest order that passes?"),
    asks=(
        Ask(key="6.12", words=_("in 6.12: room for single pages, and one block large enough"), right=5),
        Ask(key="2.6.34", words=_("in 2.6.34: the pages of each smaller order are taken off, and half the mark must "
                                  "remain, a quarter after the next ..."), right=1),
        Ask(key="left", words=_("in 2.6.34, for order 2: how many pages count after orders 0 and 1 are taken off?"),
            right=1584 - 3 - 1000 - 400),
        Ask(key="wanted", words=_("in 2.6.34, for order 2: and how many must be exceeded then?"), right=250),
    ),
    mistakes=(
        Misconception("the old rule today", _("Since 4.4 no smaller order is taken off: the check asks for room above "
                                              "the mark, and for one block."), {"6.12": 1}),
        Misconception("the new rule then", _("2.6.34 took off what lies in smaller blocks, and there was too little "
                                             "left for order 2."), {"2.6.34": 5}),
        Misconception("nothing above order 0", _("For order 1: 1584 - 1 - 1000 = 583, and that is above 500."),
                      {"2.6.34": 0}),
        Misconception("forgets the block itself", _("2**order - 1 pages are taken off first: 3 for order 2."),
                      {"left": 184}),
        Misconception("halves once", _("The mark is halved at each step: 500 after order 0, 250 after order 1."),
                      {"wanted": 500}),
    ),
    hints=(_("6.12: is 1584 - (2**order - 1) above 1000, and is there a block of that order or more?"),
           _("2.6.34, order 1: 1583 is above 1000; take 1000 pages of order 0 off; is 583 above 500?"),
           _("Order 2: 1581, minus 1000, minus 400. Against 1000, then 500, then 250.")),
    why=_("6.12 lets orders 0 to 5 through: 1584 - 31 is above 1000, and a block of 32 is there. 2.6.34 stops at order "
          "1: for order 2, 181 is not above 250. The old rule kept large blocks for the urgent; today the highatomic "
          "reserve does that."),
)


def _pfns(value: Any) -> tuple[int, ...]:
    entries = list(islice(value, 65)) if isinstance(value, set | frozenset) else value  # one more than there are pages
    pfns = numbers(entries, _("Your list of pages"))
    outside = [pfn for pfn in pfns if not 0 <= pfn < 64]
    if outside:
        raise Malformed(_("There is no page {pfn}: the bench has pages 0 to 63.").format(pfn=outside[0]))
    return tuple(sorted(set(pfns)))


def _spoiled(pfns: tuple[int, ...], rng: random.Random) -> Score:
    """Play it: take all 64 pages, give back all but these, and look for a block of eight."""
    taken: tuple[Op, ...] = (Alloc(0),) * 64
    freed: tuple[Op, ...] = tuple(Free(pfn) for pfn in range(64) if pfn not in pfns)
    state = State(64, before=taken + freed, then=(Alloc(3),), caption=_("Your pages are held; a block of eight is "
                                                                        "asked for."))
    left = any(block.order == 3 for block in snapshot(state.machine()).allocated.values())
    empty = [block for block in range(8) if not any(pfn // 8 == block for pfn in pfns)]
    if left:
        name = "all in one place" if len(pfns) > 8 - len(empty) and len(empty) >= 6 else "a block is left"
        return Score(value=None, misconception=name, state=state, got=_("pages {first} to {last} are free").format(
            first=8 * empty[0], last=8 * empty[0] + 7))
    pairs = {pfn // 2 for pfn in pfns}
    name = "every other page" if len(pairs) == 32 else "more than one in eight" if len(pfns) > 8 else ""
    return Score(value=float(len(pfns)), misconception=name, state=state)


spoil = design(
    name="buddy-system/spoil", title=_("A few pages in the wrong places"), level=3,
    task=_("On a bench of 64 pages all are taken, one by one, and then all are given back but those you name. Name as "
           "few as you can so that no block of eight pages (order 3 or more) is free in the end."),
    template="answer = [...]    # pfns, 0 to 63",
    read=_pfns, play=_spoiled, enough=8, best=8, unit=_("pages held"), better="less",
    right_answers=(list(range(0, 64, 8)), list(range(7, 64, 8)), [3, 12, 17, 30, 36, 43, 50, 61]),
    mistakes=(
        Misconception("all in one place", _(
            "Pages side by side spoil one neighbourhood, and leave all the others whole. That is just what the kernel "
            "tries to do with unmovable pages."), list(range(8))),
        Misconception("a block is left", _(
            "A block of eight begins at a multiple of eight. At least one of those eight ranges holds none of your "
            "pages, and merges."), [0, 8, 16, 24, 32, 40, 48]),
        Misconception("every other page", _(
            "That works, and spoils even pairs. For blocks of eight far fewer will do: how many ranges of eight "
            "pages are there?"), list(range(0, 64, 2))),
        Misconception("more than one in eight", _(
            "It works. But one page spoils the whole range of eight in which it lies; a second one in there is for "
            "nothing."), list(range(0, 64, 4))),
    ),
    hints=(_("Blocks are aligned: a block of eight is pages 0 to 7, or 8 to 15, never 4 to 11."),
           _("How many such ranges has a bench of 64 pages?"), _("One held page in each is enough. Which one does not "
                                                                 "matter.")),
    why=_("Eight pages of 64, one in each aligned range of eight: 56 pages are free, and none of it serves a request "
          "of order 3. On a real machine one unmovable page in 512 does that to huge pages."),
)

EXERCISES: tuple[Exercise | Series, ...] = (reading, unusable, whose_list, then_and_now, spoil)
