# SPDX-License-Identifier: GPL-2.0-only
"""The exercises of the chapter "Getting pages".

    from kmm_sim.exercises import getting_pages as ex

    ex.get_order    compute: the order that holds so many bytes
    ex.buddy_of     implement: where a block's buddy is, and where the two begin together
    ex.free_lists   predict: the free lists after a few calls; a series, ``ex.free_lists(seed=1)``
"""

from __future__ import annotations

import inspect
import random
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from kmm_sim.catalogue import _
from kmm_sim.exercises.exercise import Exercise, Misconception, Series
from kmm_sim.exercises.free_list_beliefs import Belief, Call, FreeLists
from kmm_sim.exercises.implement import Function, judge_function, judge_table
from kmm_sim.exercises.predict import Prediction, judge_free_lists, run, written
from kmm_sim.exercises.predict import free_lists as free_lists_of
from kmm_sim.exercises.reading import Blank, Malformed, describe, sequence, whole_number
from kmm_sim.exercises.state import State
from kmm_sim.mm.buddy import find_buddy_pfn
from kmm_sim.mm.mmzone import MAX_PAGE_ORDER
from kmm_sim.mm.page import PAGE_SIZE
from kmm_sim.mm.page import get_order as linux_get_order
from kmm_sim.workload import Alloc, Free

__all__ = ["EXERCISES", "buddy_of", "free_lists", "get_order"]


def _source(function: Callable[..., Any]) -> str:
    """Return the source of a solution, so that what is shown is what is tested."""
    return textwrap.dedent(inspect.getsource(function)).replace("def _", "def ").strip()


# get_order

SIZES = (1, 4096, 4097, 12288, 20000)


def _by_doubling(size: int) -> int:
    order = 0
    while (4096 << order) < size:
        order += 1
    return order


def _by_counting_pages(size: int) -> int:
    pages = -(-size // 4096)
    return (pages - 1).bit_length()


def _sizes(rng: random.Random) -> Iterator[tuple[int]]:
    """Around every power of two, where mistakes show, and anywhere; from 1 byte to 4 MiB."""
    edges = {(PAGE_SIZE << order) + step for order in range(MAX_PAGE_ORDER) for step in (-1, 0, 1)}
    anywhere = {rng.randrange(1, (PAGE_SIZE << rng.randrange(MAX_PAGE_ORDER)) + 1) for _case in range(40)}
    yield from ((size,) for size in sorted({2, *SIZES, *edges, *anywhere, PAGE_SIZE << MAX_PAGE_ORDER}))


_order_of = Function(
    parameters=("size",),
    cases=_sizes,
    reference=linux_get_order,
    read=lambda value: whole_number(value, _("An order")),
    misconceptions=(
        Misconception("rounds down", _(
            "You rounded down, so the block is too small for the size. A part of a page needs a whole page, and a "
            "number of pages between two powers of two needs the larger one: round up."),
            lambda size: max(0, (size // PAGE_SIZE).bit_length() - 1)),
        Misconception("drops the last page", _(
            "You dropped the last, partly used page: `size // 4096` forgets what is left over. Round up to whole pages "
            "first, then to a power of two."),
            lambda size: (max(1, size // PAGE_SIZE) - 1).bit_length()),
        Misconception("one order too many at exact powers", _(
            "A size that is exactly a power of two of pages already fits. 4096 bytes are one page, order 0; only the "
            "next byte needs more. Take one off the size before you look at its bits."),
            lambda size: (size // PAGE_SIZE).bit_length()),
        Misconception("counts from one", _(
            "Orders begin at 0: one page is order 0, because 2**0 is 1. Your orders are all one too large."),
            lambda size: linux_get_order(size) + 1),
        Misconception("bytes as order", _(
            "You gave the size itself as the order. An order is an exponent: order n means 2**n pages. A driver that "
            "makes this mistake asks for more memory than there is."),
            lambda size: size),
        Misconception("logarithm of bytes", _(
            "That is the power of two that holds so many bytes. An order counts pages: 12 of those bits lie inside one "
            "page of 4096 bytes."),
            lambda size: (size - 1).bit_length()),
        Misconception("pages as order", _(
            "That is the number of pages the size needs. The order is the exponent: the smallest n for which 2**n "
            "pages are enough."),
            lambda size: -(-size // PAGE_SIZE)),
        Misconception("block size as order", _(
            "That is the size of the block in pages, a power of two. The order is the exponent: 1, 2, 4, 8 pages are "
            "orders 0, 1, 2, 3."),
            lambda size: 1 << linux_get_order(size)),
    ),
)


def _judge_get_order(answer: Any, rng: random.Random) -> Any:
    return judge_function(_order_of, answer, rng) if callable(answer) else judge_table(_order_of, answer, SIZES)


get_order = Exercise(
    name="getting-pages/get-order",
    title=_("Which order holds so many bytes?"),
    kind="compute",
    level=1,
    task=_("For each size in bytes, give the smallest order whose block holds it. A page has 4096 bytes. "
           "If you would rather write it once and for all, hand in a function `get_order(size)`."),
    template="orders = {1: ..., 4096: ..., 4097: ..., 12288: ..., 20000: ...}    # size in bytes: order",
    judge=_judge_get_order,
    hints=(
        _("A block of order n has 2**n pages. Write down how many bytes that is for orders 0, 1, 2 and 3."),
        _("That gives 4096, 8192, 16384 and 32768 bytes. Which is the first that is large enough for 12288?"),
        _("A size that fits exactly needs nothing larger: 4096 bytes are one page, 4097 are two."),
        _("In code: how often must you double 4096 until it is at least the size?"),
    ),
    code=f"{_source(_by_doubling).replace('by_doubling', 'get_order')}\n\n"
         f"orders = {({size: linux_get_order(size) for size in SIZES})}",
    why=_("Linux does it with one shift, `fls((size - 1) >> PAGE_SHIFT)`: take one off, so that an exact power of two "
          "stays where it is, drop the 12 bits that lie inside a page, and count the bits that are left. "
          "It is in include/asm-generic/getorder.h."),
    right_answers=(
        {1: 0, 4096: 0, 4097: 1, 12288: 2, 20000: 3},
        [0, 0, 1, 2, 3],
        _by_doubling,
        _by_counting_pages,
        linux_get_order,
    ),
    misconceptions=(
        *_order_of.misconceptions,
        Misconception("rounds down", "", {1: 0, 4096: 0, 4097: 0, 12288: 1, 20000: 2}),
    ),
)


# buddy_of

def _by_exclusive_or(pfn: int, order: int) -> tuple[int, int]:
    buddy = pfn ^ (1 << order)
    return buddy, pfn & buddy


def _by_halves(pfn: int, order: int) -> tuple[int, int]:
    size = 1 << order
    start = pfn - pfn % (2 * size)
    return (start + size if pfn == start else start), start


def _blocks(rng: random.Random) -> Iterator[tuple[int, int]]:
    """Small blocks first, each a legal one: its pfn is a multiple of its size."""
    small = {(pfn, order) for order in range(4) for pfn in range(0, 33, 1 << order)}
    large = {(rng.randrange(1 << 8) << order, order) for order in range(MAX_PAGE_ORDER) for _case in range(4)}
    yield from sorted(small | large, key=lambda block: (block[0] + (1 << block[1]), block))


def _read_pair(value: Any) -> tuple[int, int]:
    what = _("Your function should return two numbers, the buddy's pfn and the start of the merged block; its answer")
    if value is None or isinstance(value, int):
        raise Malformed(_("Your function should return two numbers, the buddy's pfn and the start of the merged block; "
                          "it returned {value}.").format(value=describe(value)))
    pair = sequence(value, what)
    blanks = [name for name, each in zip((_("the buddy"), _("the start")), pair, strict=False) if each is ...]
    if blanks:
        raise Blank("" if len(blanks) == len(pair) else blanks[0])
    if len(pair) != 2:
        raise Malformed(_("Your function should return two numbers, the buddy's pfn and the start of the merged block; "
                          "it returned {n}.").format(n=len(pair)))
    return whole_number(pair[0], _("The buddy")), whole_number(pair[1], _("The start"))


def _state_with(pfn: int, order: int) -> State | None:
    """Return a bench on which the block is held and its buddy is free: free the block, and they merge."""
    buddy = find_buddy_pfn(pfn, order)
    end = max(pfn, buddy) + (1 << order)
    if end > 128:  # too many pages to see anything
        return None
    blocks = (Alloc(order),) * (end >> order)
    return State(max(16, 1 << (end - 1).bit_length()), before=(*blocks, Free(buddy >> order)), caption=_(
        "Free the block at pfn {pfn}, and see which block it merges with.").format(pfn=pfn))


_buddy = Function(
    parameters=("pfn", "order"),
    cases=_blocks,
    reference=_by_exclusive_or,
    read=_read_pair,
    symptom=lambda expected, got: got[0] if got[0] != expected[0] else got,
    state=_state_with,
    misconceptions=(
        Misconception("always the next block", _(
            "A buddy is not simply the next block. Blocks come in pairs, cut from one larger block; for the upper half "
            "of a pair the buddy lies below. One bit of the pfn tells which half it is."),
            lambda pfn, order: (pfn + (1 << order), pfn)),
        Misconception("always the block before", _(
            "A buddy is not simply the block before. Blocks come in pairs, cut from one larger block; for the lower "
            "half of a pair the buddy lies above, and pfn 0 has nothing below it at all."),
            lambda pfn, order: (pfn - (1 << order), pfn - (1 << order))),
        Misconception("looks at the lowest bit", _(
            "Whether pfn is even says which half it is only for order 0. A block of order n begins at a multiple of "
            "2**n, so its lowest n bits are 0 in any case: look at bit n."),
            lambda pfn, order: (pfn + (1 << order), pfn) if pfn % 2 == 0 else (pfn - (1 << order), pfn - (1 << order))),
        Misconception("flips the bits of the order", _(
            "You flipped the bits of the number `order` itself. What changes is one bit, the one that is worth the "
            "block's size: `1 << order`."),
            lambda pfn, order: (pfn ^ order, pfn & (pfn ^ order))),
        Misconception("merged block stays at pfn", _(
            "The buddy is right. But the merged block does not always begin where the freed one did: it begins at the "
            "lower of the two."),
            lambda pfn, order: (pfn ^ (1 << order), pfn)),
        Misconception("merged block begins at the buddy", _(
            "The buddy is right. But the merged block does not always begin at the buddy: it begins at the lower of "
            "the two."),
            lambda pfn, order: (pfn ^ (1 << order),) * 2),
        Misconception("merged block begins at the upper", _(
            "The buddy is right. A block is named after its first page, so the merged block begins at the lower of the "
            "two, not at the upper."),
            lambda pfn, order: (pfn ^ (1 << order), pfn | (1 << order))),
        Misconception("swapped", _(
            "These are the right two numbers, the other way round: first the buddy, then the start."),
            lambda pfn, order: _by_exclusive_or(pfn, order)[::-1]),
    ),
)

buddy_of = Exercise(
    name="getting-pages/buddy-of",
    title=_("Find a block's buddy"),
    kind="implement",
    level=2,
    task=_("Write `buddy_of(pfn, order)`: for the block of this order that begins at pfn, return the pfn of its buddy, "
           "and the pfn at which the two begin once they are merged."),
    template="""def buddy_of(pfn, order):
    buddy = ...
    start = ...
    return buddy, start
""",
    judge=lambda answer, rng: judge_function(_buddy, answer, rng),
    hints=(
        _("Draw the pages 0 to 7 and cut them into pairs of order-0 blocks: (0, 1), (2, 3), (4, 5), (6, 7). Then into "
          "pairs of order-1 blocks: (0, 2), (4, 6). Does a pair ever begin at an odd multiple of its half?"),
        _("The two halves of a pair differ in one bit of their pfn: the one that is worth the block's size, "
          "`1 << order`."),
        _("`^` flips a bit. The lower of the two has that bit clear; which operator keeps only the bits that both "
          "have?"),
    ),
    code=_source(_by_exclusive_or).replace("by_exclusive_or", "buddy_of"),
    why=_("The two halves of a block differ in the one bit that is worth their size, so flipping it goes from either "
          "to the other. The merged block begins where that bit is clear: `pfn & buddy`, which is also the smaller. "
          "Linux has no tree and no table for this, only these two lines: `__find_buddy_pfn()` in mm/internal.h, and "
          "`combined_pfn = buddy_pfn & pfn` in `__free_one_page()`."),
    right_answers=(
        _by_exclusive_or,
        _by_halves,
        lambda pfn, order: [pfn ^ 1 << order, min(pfn, pfn ^ 1 << order)],
        lambda pfn, order: (float(pfn ^ 1 << order), float(pfn & ~(1 << order))),
    ),
    misconceptions=_buddy.misconceptions,
)


# free_lists

TOP = 5
"""The bench of the question has 2**5 pages: few enough to draw."""
_BENCH = f"machine = Machine(pages={1 << TOP})"

_beliefs: tuple[tuple[str, str, Belief], ...] = (
    ("hands out the upper half", _(
        "You handed out the upper half of a block that was split. Linux keeps the lower half in hand and puts the "
        "upper half on the list below, so a caller gets the lowest pages of the block."),
        Belief(hands_out="upper half")),
    ("never merges", _(
        "You put blocks back as they came. A block that is freed merges with its buddy if that is free too, and the "
        "block of both with its buddy, for as long as it goes."),
        Belief(merges="nothing")),
    ("merges neighbours", _(
        "You merged two free blocks because they touch. Only buddies merge: the two halves of one larger block, whose "
        "pfns differ in the bit `1 << order` alone."),
        Belief(merges="neighbours")),
    ("lists by address", _(
        "You wrote the lists by address. They are kept as they came: the block put on a list last stands at its head "
        "and is taken first."),
        Belief(lists="by address")),
)
_no_tail = ("always at the head", _(
    "You put every block at the head of its list. A block whose parent's buddy is free will probably merge soon: Linux "
    "puts it at the tail, so that it is taken last (`buddy_merge_likely()`)."),
    Belief(inserts_at="head"))


_SHAPES = {1: ((5, 3), (6, 3), (6, 4)), 2: ((7, 5), (6, 4))}
"""By level: how many blocks are allocated, and how many of them freed."""


def _random_calls(rng: random.Random, level: int) -> tuple[Call, ...]:
    """Allocate a few small blocks, then free some of them in any order."""
    allocations, frees = _SHAPES[level][rng.randrange(len(_SHAPES[level]))]
    blocks = [Call(name, (0, 0, 0, 0, 1, 1, 2)[rng.randrange(7)]) for name in "abcdefg"[:allocations]]
    held = list(blocks)
    freed = [held.pop(rng.randrange(len(held))) for _block in range(frees)]
    return (*blocks, *(Call(block.block, block.order, frees=True) for block in freed))


def _free_lists_question(seed: int, level: int) -> Exercise:
    """Return question ``seed``: calls, and what they lead to, rightly and by each misconception."""
    beliefs = {name: belief for name, _words, belief in (*_beliefs, _no_tail)[: len(_beliefs) + level - 1]}
    calls = _telling_calls(random.Random(f"{level} {seed}"), level, tuple(beliefs.values()))
    wrong = {name: list(belief.states(calls, TOP)) for name, belief in beliefs.items()}
    right = [free_lists_of(run(calls[:n], TOP)) for n in range(len(calls) + 1)]
    return _free_lists_exercise(seed, level, calls, right, wrong)


def _telling_calls(rng: random.Random, level: int, beliefs: tuple[Belief, ...]) -> tuple[Call, ...]:
    """Look for calls in which every misconception leads to an answer of its own.

    One set of random calls in about forty does.  On level 1 the rule of the tail plays no part.
    """
    for _attempt in range(20_000):
        calls = _random_calls(rng, level)
        try:
            ends = [belief.after(calls, TOP) for belief in (Belief(), *beliefs)]
            simple = _no_tail[2].after(calls, TOP) == ends[0]
        except LookupError:  # a belief may run out of memory where Linux does not
            continue
        if simple == (level == 1) and all(end not in ends[:n] for n, end in enumerate(ends)):
            return calls
    raise RuntimeError(f"no calls of level {level} tell the misconceptions apart")


def _free_lists_exercise(seed: int, level: int, calls: tuple[Call, ...], right: list[FreeLists],
                         wrong: dict[str, list[FreeLists]]) -> Exercise:
    words = {name: words for name, words, _belief in (*_beliefs, _no_tail)}
    misconceptions = tuple(Misconception(name, words[name], states[-1]) for name, states in wrong.items())
    again = f"ex.free_lists(seed={seed + 1}{f', level={level}' if level > 1 else ''})"
    asked = Prediction(top=TOP, calls=calls, misconceptions=misconceptions,
                       turns={name: _first_difference(right, states) for name, states in wrong.items()},
                       next=_("Another question: `{call}`.").format(call=again))
    return Exercise(
        name="getting-pages/free-lists",
        title=_("Predict the free lists, question {seed}").format(seed=seed),
        kind="predict",
        level=level + 1,
        task=_("A bench of 32 pages has one free block, of order 5 at pfn 0. What is on the free lists after these "
               "calls? For each order, give the first pfns of its blocks, the head of the list first."),
        given="\n".join([_BENCH, *map(str, calls)]),
        template="puzzle.check({0: ..., 1: ..., 2: ..., 3: ..., 4: ...})",
        judge=lambda answer, _rng: judge_free_lists(asked, answer),
        hints=_free_lists_hints(calls, right),
        code="\n".join([_BENCH,
                        *(f"{call}\n    # {written(lists)}" for call, lists in zip(calls, right[1:], strict=True)),
                        "", f"puzzle.check({written(right[-1])})"]),
        why=_("A split puts the upper half at the head of the list one order down; a "
              "freed block first takes its buddy off the list, for as long as there is one, and is put back once."),
        right_answers=(
            right[-1],
            {order: list(pfns) for order, pfns in right[-1].items()},
            [list(right[-1].get(order, ())) for order in range(TOP + 1)],
        ),
        misconceptions=misconceptions,
    )


def _free_lists_hints(calls: tuple[Call, ...], right: list[FreeLists]) -> tuple[str, ...]:
    free = next(number for number, call in enumerate(calls, 1) if call.frees)
    return (
        _("Go call by call, and write the lists after each. An allocation takes the head of the smallest order that "
          "has a block and halves it until it fits: the caller keeps the lower half, the upper goes to its "
          "list's head."),
        _("After the first call the lists are `{lists}`.").format(lists=written(right[1])),
        _("A free looks for the buddy, pfn with the bit `1 << order` flipped. Is it on the list of the same order? "
          "Then take it off, and look again one order higher with the block of both."),
        _("After call {number}, `{call}`, the lists are `{lists}`.").format(
            number=free, call=calls[free - 1], lists=written(right[free])),
    )


def _first_difference(right: list[FreeLists], wrong: list[FreeLists]) -> int:
    return next(n for n, (one, other) in enumerate(zip(right, wrong, strict=True)) if one != other)


free_lists = Series(
    name="getting-pages/free-lists",
    title=_("Predict the free lists"),
    make=_free_lists_question,
    levels=2,
)

EXERCISES: tuple[Exercise | Series, ...] = (get_order, buddy_of, free_lists)
