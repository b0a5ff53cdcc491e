# SPDX-License-Identifier: GPL-2.0-only
"""The buddy lab: pages in blocks, free lists by order, alloc_pages() and __free_pages().

    buddy_lab()                             64 pages, nothing done yet
    buddy_lab(script="+3 +0 -0")            ... with a recorded run to play
    buddy_lab(Machine(pages=1000))          another machine, from the state it is in
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kmm_sim.catalogue import _
from kmm_sim.labs import page_words
from kmm_sim.labs.ask import Question, among
from kmm_sim.labs.run import Call, Run
from kmm_sim.labs.scene import (
    Block,
    Cells,
    Choice,
    Count,
    EntryList,
    Form,
    Kind,
    Line,
    Lists,
    Node,
    Number,
    Pick,
    Scene,
    Stage,
    Text,
)
from kmm_sim.labs.view import PAGES
from kmm_sim.machine import Machine
from kmm_sim.mm.events import (
    FreeListAdd,
    FreeListDel,
    FreeListMove,
    Merge,
    MmPageAlloc,
    MmPageAllocExtfrag,
    MmPageFree,
    MmPagePcpuDrain,
    PcpAdd,
    PcpDel,
    SetPageblock,
    Split,
    SplitPage,
)
from kmm_sim.mm.gfp import GFP_ATOMIC, GFP_HIGHUSER_MOVABLE, GFP_KERNEL, Gfp, gfp_migratetype, gfp_names
from kmm_sim.mm.mmzone import MAX_PAGE_ORDER, NR_PAGE_ORDERS
from kmm_sim.mm.page import PAGE_SIZE, Page, pfn_to_virt
from kmm_sim.observe import Snapshot, ZoneSnapshot
from kmm_sim.trace import Event
from kmm_sim.workload import Alloc, Op, parse, traffic

__all__ = ["MAX_PAGES", "Allocate", "BuddyLab", "Free", "first_sentence", "recorded"]

MAX_PAGES = 1024
"""The most pages that are drawn one by one."""

MAX_STEPS = 400
"""The most steps of random traffic that a lab opens with."""

MASKS = {
    gfp_names(mask): int(mask)
    for mask in (GFP_KERNEL, GFP_ATOMIC, GFP_HIGHUSER_MOVABLE, GFP_KERNEL | Gfp.RECLAIMABLE)
}
LETTERS = "UMEH"  # by migratetype, as show_migration_types() prints them
KINDS = tuple(Kind(letter, tone, (f"kind.{letter}",)) for tone, letter in enumerate("UME", 1))


@dataclass(frozen=True, slots=True)
class Allocate:
    """The call alloc_pages(gfp, order)."""

    gfp: int
    order: int

    def text(self) -> Text:
        """Return the call as C."""
        return "call.alloc", gfp_names(self.gfp) or "0", self.order

    def __call__(self, machine: Machine) -> Page | None:
        """Make the call."""
        return machine.alloc_pages(self.gfp, self.order)


@dataclass(frozen=True, slots=True)
class Free:
    """The call __free_pages(page, order), on the page with this frame number."""

    pfn: int
    order: int

    def text(self) -> Text:
        """Return the call as C."""
        return "call.free", self.pfn, self.order

    def __call__(self, machine: Machine) -> None:
        """Make the call; raises KernelBug if this is not what was allocated."""
        machine.free_pages(machine.virt_to_page(pfn_to_virt(self.pfn)), self.order)


class BuddyLab:
    """From a machine's state to a scene, and from what a reader asks for to a call."""

    view = PAGES
    phrases: Mapping[str, str] = {}

    def __init__(self, title: Text = ("title",), caption: Text = "") -> None:
        self.title = title
        self.caption = caption

    def draw(self, state: Snapshot) -> Scene:
        """Return the scene of a state: for each zone its memory, its free lists, its line of /proc."""
        names = [str(zone.index) if len(state.zones) > 1 else "" for zone in state.zones]
        scene: dict[str, Node] = {"": self._stage(names)}
        for zone, name in zip(state.zones, names, strict=True):
            scene |= _memory(zone, state, name)
            scene |= _free_lists(zone, name)
        return scene

    def _stage(self, names: list[str]) -> Stage:
        panels = tuple(panel + name for name in names for panel in "mfp")
        cells = tuple("m" + name for name in names)
        return Stage(self.title, panels, (_allocate_form(), _free_form(cells)), KINDS, self.caption)

    def tell(self, event: Event) -> tuple[Any, ...]:
        """Return an event as a phrase, which has a sentence and a line of ftrace.

        An event of another part of the kernel is told in the words of its class.
        """
        name, *gaps = _tell(event)
        return name, *(gap if isinstance(gap, str) else int(gap) for gap in gaps)

    def ask(self, before: Snapshot, after: Snapshot, events: Sequence[Event]) -> Question | None:
        """Return a question about a call: where it finds its pages, how many splits, how many merges."""
        return _ask(before, events)

    def read(self, action: Mapping[str, Any]) -> Call:
        """Return the call for ``{"do": "alloc", "gfp": ..., "order": ...}`` or ``{"do": "free", ...}``.

        Raises ValueError if it is none; whether the order exists is for the machine to say.
        """
        order = action.get("order")
        if isinstance(order, bool) or not isinstance(order, int):
            raise ValueError(_("an order is a whole number from 0 to {most}, not {order!r}",
                               most=MAX_PAGE_ORDER, order=order))
        match action.get("do"):
            case "alloc":
                if (gfp := action.get("gfp")) not in MASKS:
                    raise ValueError(_("{gfp!r} is none of the masks {masks}", gfp=gfp, masks=", ".join(MASKS)))
                return Allocate(MASKS[gfp], order)
            case "free":
                pfn = str(action.get("page") or "").partition(":")[2]
                if not pfn.isdecimal():
                    raise ValueError(_("there is no block to free: nothing is held"))
                return Free(int(pfn), order)
            case other:
                raise ValueError(_("{other!r} is nothing that this lab can do", other=other))


def opened(lab: BuddyLab, pages: int, script: str = "", seed: int = 0, steps: int = 0) -> Run:
    """Return the run of a lab with these settings: a script, or so many steps of traffic drawn from a seed."""
    if not 1 <= pages <= MAX_PAGES:
        raise ValueError(_("buddy_lab() draws every page, from 1 up to {most} of them, not {pages}",
                           most=MAX_PAGES, pages=pages))
    return record(Machine(pages=pages), lab, seeded(seed, steps) if steps else parse(script))


def seeded(seed: int, steps: int) -> Iterator[Op]:
    """Yield random steps for a small machine; the same seed, the same ones."""
    if not 0 <= steps <= MAX_STEPS:
        raise ValueError(_("a lab does 0 to {most} random steps, not {steps}", most=MAX_STEPS, steps=steps))
    return traffic(random.Random(seed), steps)


def record(machine: Machine, lab: BuddyLab, ops: Iterable[Op]) -> Run:
    """Return a run on ``machine`` with these steps as what was recorded."""
    size = sum(zone.spanned_pages for zone in machine.zones)
    if size > MAX_PAGES:
        raise ValueError(_("buddy_lab() draws every page, up to {most} of them; this machine has {size}",
                           most=MAX_PAGES, size=size))
    if not machine.tracing:
        raise ValueError(_("buddy_lab() shows what a machine traces: set machine.tracing = True"))
    run = Run(machine, lab)
    for call in recorded(machine, ops):
        run.make(call)
    run.keep_as_recorded()
    return run


def recorded(machine: Machine, ops: Iterable[Op]) -> Iterator[Call]:
    """Yield the calls of a script one by one, each to be made before the next is asked for.

    ``machine`` is only looked at, to learn which page each allocation got.
    """
    got: list[tuple[int | None, int]] = []
    for op in ops:
        if isinstance(op, Alloc):
            before = len(machine.trace)
            yield Allocate(op.gfp, op.order)
            answers = (e.pfn for e in machine.trace[before:] if isinstance(e, MmPageAlloc))
            got.append((next(answers), op.order))
        else:
            pfn, order = got[op.nth]
            if pfn is not None:
                yield Free(pfn, order)


def _allocate_form() -> Form:
    order = Number("order", ("order.label",), 2, 0, MAX_PAGE_ORDER, NOTES)
    gfp = Choice("gfp", ("gfp.label",), tuple(MASKS), "GFP_KERNEL")
    return Form("alloc", ("page = alloc_pages(", gfp, ", ", order, ");"), ("alloc.button",), ("alloc.prototype",))


def _free_form(panels: tuple[str, ...]) -> Form:
    page = Pick("page", ("page.label",), panels, "used")
    order = Number("order", ("order.label",), 0, 0, MAX_PAGE_ORDER, NOTES, follows="page")
    return Form(
        "free", ("__free_pages(", page, ", ", order, ");"), ("free.button",), ("free.prototype",), ("hint",), "page"
    )


def _size(order: int) -> Text:
    kib = (PAGE_SIZE << order) >> 10
    size = f"{kib} KiB" if kib < 1 << 10 else f"{kib >> 10} MiB"
    return ("order.many", 1 << order, size) if order else ("order.one",)


NOTES = tuple(_size(order) for order in range(NR_PAGE_ORDERS))


def _memory(zone: ZoneSnapshot, state: Snapshot, name: str) -> dict[str, Node]:
    end = zone.start_pfn + zone.spanned_pages
    blocks = {pfn: Block(free.order) for free in zone.free for pfn in free.pfns}
    for pfn, held in state.allocated.items():
        if zone.start_pfn <= pfn < end:
            blocks[pfn] = Block(held.order, "used", LETTERS[gfp_migratetype(held.gfp)])
    blocks |= {pfn: Block(pcp.order, "cpu") for pcp in zone.pcp for pfn in pcp.pfns}
    _add_blocks_in_hand(blocks, zone.start_pfn, end)
    title: Text = ("memory.zone", zone.name) if name else ("memory",)
    cells = Cells(title, ("memory.note", zone.managed_pages), zone.start_pfn, end - zone.start_pfn, _columns(zone))
    return {f"m{name}": cells, **{f"m{name}:{pfn}": blocks[pfn] for pfn in sorted(blocks)}}


def _columns(zone: ZoneSnapshot) -> int:
    return next(columns for columns in (8, 16, 32) if zone.spanned_pages <= 16 * columns or columns == 32)


def _add_blocks_in_hand(blocks: dict[int, Block], start: int, end: int) -> None:
    """Fill the gaps: what is neither on a list nor with a caller is in the allocator's hands."""
    for pfn in [*sorted(blocks), end]:
        while start < pfn:
            order = min((start & -start or end).bit_length(), (pfn - start).bit_length()) - 1
            blocks[start] = Block(order, "hand")
            start += 1 << order
        if pfn < end:
            start = pfn + (1 << blocks[pfn].order)


def _free_lists(zone: ZoneSnapshot, name: str) -> dict[str, Node]:
    """Return the panel of lists, a list for each order and migratetype, and the line that counts them."""
    usual = zone.pageblock_default
    largest = min(zone.spanned_pages.bit_length() - 1, MAX_PAGE_ORDER)
    blocks = {(free.order, free.migratetype): free.pfns for free in zone.free}
    keys = {
        (order, migratetype): f"f{name}:{order}" + ("" if migratetype == usual else LETTERS[migratetype])
        for order, migratetype in sorted(blocks.keys() | {(order, usual) for order in range(largest + 1)})
    }
    lists: dict[str, Node] = {
        key: EntryList(
            ("order", order) if migratetype == usual else ("order.type", order, LETTERS[migratetype]),
            NOTES[order],
            tuple(f"m{name}:{pfn}" for pfn in blocks.get((order, migratetype), ())),
        )
        for (order, migratetype), key in keys.items()
    }
    for pcp in zone.pcp:
        letter = LETTERS[pcp.migratetype]
        lists[f"f{name}:cpu{pcp.cpu}.{pcp.order}{letter}"] = EntryList(
            ("pcp", pcp.cpu, pcp.order, letter), NOTES[pcp.order], tuple(f"m{name}:{pfn}" for pfn in pcp.pfns)
        )
    title: Text = ("lists.zone", zone.name) if name else ("lists",)
    counts = (Count(tuple(key for (o, _), key in keys.items() if o == order)) for order in range(NR_PAGE_ORDERS))
    line = Line(("buddyinfo.title",), ("buddyinfo", zone.node, zone.name, *counts))
    return {f"f{name}": Lists(title, ("lists.note",), tuple(lists), (f"m{name}",)), **lists, f"p{name}": line}


def _tell(event: Event) -> tuple[Any, ...]:
    """Return the name of an event's phrase, its own fields, and what else the sentence needs."""
    match event:
        case MmPageAlloc(None, order, migratetype, gfp):
            return "alloc_failed", 0, order, migratetype, gfp_names(gfp)
        case MmPageAlloc(pfn, 0, migratetype, gfp):
            return "alloc_one", pfn, 0, migratetype, gfp_names(gfp)
        case MmPageAlloc(int(pfn), order, migratetype, gfp):
            return "alloc", pfn, order, migratetype, gfp_names(gfp), pfn + (1 << order) - 1
        case MmPageFree(pfn, order):
            return "free", pfn, order
        case FreeListDel(zone, pfn, order, migratetype):
            return "del", zone, pfn, order, migratetype
        case FreeListAdd(zone, pfn, order, migratetype, tail):
            return "add_tail" if tail else "add", zone, pfn, order, migratetype, tail
        case FreeListMove(zone, pfn, order, migratetype, to):
            return "move", zone, pfn, order, migratetype, to
        case Split(zone, pfn, order, migratetype):
            return "split", zone, pfn, order, migratetype, order + 1, pfn + (1 << order)
        case Merge(zone, pfn, order, buddy, migratetype):
            return "merge", zone, pfn, order, buddy, migratetype, order + 1, min(pfn, buddy)
        case SetPageblock(zone, pfn, migratetype):
            return "pageblock", zone, pfn, migratetype
        case SplitPage(pfn, order):
            return "split_page", pfn, order
        case MmPageAllocExtfrag(pfn, order, fallback_order, migratetype, fallback, change):
            return "extfrag", pfn, order, fallback_order, migratetype, fallback, change
        case PcpAdd(zone, cpu, pfn, order, migratetype, tail):
            return "pcp_add", zone, cpu, pfn, order, migratetype, tail
        case PcpDel(zone, cpu, pfn, order, migratetype):
            return "pcp_del", zone, cpu, pfn, order, migratetype
        case MmPagePcpuDrain(pfn, order, migratetype):
            return "drain", pfn, order, migratetype
    return "other", str(event), page_words.sentence(event) or first_sentence(type(event))


def _ask(before: Snapshot, events: Sequence[Event]) -> Question | None:
    """Ask for the splits of an allocation, or else for its pages; for the merges of a free."""
    splits = sum(isinstance(event, Split) for event in events)
    merges = sum(isinstance(event, Merge) for event in events)
    match next((event for event in events if isinstance(event, (MmPageAlloc, MmPageFree))), None):
        case MmPageFree():
            return _ask_how_many("ask.merges", merges)
        case MmPageAlloc(None):
            return Question(("ask.served",), (("ask.yes",), ("ask.null",)), 1)
        case MmPageAlloc(int(pfn), order) if splits < 3:
            heads = (head for zone in before.zones for free in zone.free if free.order >= order for head in free.pfns)
            pfns, answer = among(pfn, [pfn ^ (1 << order), *heads, pfn + (2 << order)])
            return Question(("ask.pfn",), tuple(("pfn.plain", pfn) for pfn in pfns), answer)
        case MmPageAlloc():
            return _ask_how_many("ask.splits", splits)
    return None


def _ask_how_many(phrase: str, count: int) -> Question:
    """Ask for a number, among four that follow one another, right or just beside it."""
    low = max(0, count - 1 - count % 2)
    return Question((phrase,), tuple(str(number) for number in range(low, low + 4)), count - low)


def first_sentence(kind: type[Event]) -> str:
    """Return what a kind of event means: the first paragraph of its docstring, without its marks."""
    words = (kind.__doc__ or "").partition("\n\n")[0]
    return " ".join(words.replace("``", "").split())
