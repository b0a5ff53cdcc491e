# SPDX-License-Identifier: GPL-2.0-only
"""The pages lab: all of memory as a map, one page's struct page, its bytes, and who refers to it.

    pages_lab()                                 16 MiB, some of it in use
    pages_lab(Machine(memory="8 GiB"))          another machine
    pages_lab(Machine.preset("lkd-32bit"))      ... with high memory, and the calls for it
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from kmm_sim.boot import parse_size
from kmm_sim.catalogue import _, ngettext
from kmm_sim.labs.ask import Question, among
from kmm_sim.labs.bench import Bench
from kmm_sim.labs.ftrace import ftrace
from kmm_sim.labs.opening import Opening
from kmm_sim.labs.run import Run
from kmm_sim.labs.scene import (
    Bytes,
    Choice,
    Form,
    Kind,
    Map,
    Node,
    Number,
    Pick,
    Row,
    Scene,
    Span,
    Stage,
    Table,
    Text,
    Typed,
    strips,
)
from kmm_sim.labs.view import Called, Desk, View
from kmm_sim.machine import Machine
from kmm_sim.mm.events import MmPageAlloc, MmPageFree, PageRefMod
from kmm_sim.mm.gfp import GFP_ATOMIC, GFP_DMA, GFP_HIGHUSER_MOVABLE, GFP_KERNEL, Gfp, gfp_names
from kmm_sim.mm.highmem import LAST_PKMAP, is_highmem_page, kmap_users
from kmm_sim.mm.mmzone import MAX_PAGE_ORDER
from kmm_sim.mm.page import PAGE_SIZE, Page
from kmm_sim.observe.pages import PageView, page_runs, page_view
from kmm_sim.trace import Event
from kmm_sim.workload import play, traffic

__all__ = ["Allocate", "Look", "OnPage", "PagesLab", "Write", "look", "pages_lab"]

TITLE = _("Every page of the machine")

MASKS = {
    gfp_names(mask): int(mask)
    for mask in (
        GFP_KERNEL, GFP_KERNEL | Gfp.ZERO, GFP_KERNEL | Gfp.COMP, GFP_ATOMIC, GFP_KERNEL | GFP_DMA,
        GFP_HIGHUSER_MOVABLE,
    )
}
LEGEND = (
    Kind("f", 0, _("free")), Kind("U", 1, _("held, unmovable")), Kind("M", 2, _("held, movable")),
    Kind("E", 3, _("held, reclaimable")), Kind("c", 6, _("free, on a CPU's list")),
    Kind("x", 5, _("in use before we looked")),
)


AS_C = {
    "get": "get_page(page)", "put": "put_page(page)", "free": "__free_pages(page, {order})",
    "kmap": "kmap(page)", "kunmap": "kunmap(page)", "local": "kmap_local_page(page)",
}
SMALL = "16 MiB"
BEFORE = 2  # the seed of what was done on the small machine before anybody looks
BUSY_WITH = (GFP_KERNEL, GFP_HIGHUSER_MOVABLE, GFP_HIGHUSER_MOVABLE, GFP_KERNEL | Gfp.RECLAIMABLE)
LARGEST = 256 << 30


def pages_lab(
    machine: Machine | None = None,
    calls: Iterable[Any] = (),
    *,
    pfn: int | None = None,
    link: str = "",
    title: str = "",
    caption: str = "",
) -> Bench:
    """Return a lab on ``machine`` that shows its memory, and page ``pfn`` closely.

    By default the machine has 16 MiB, and has been in use before anybody looks.

    ``calls`` are made first, and are the recorded run that the lab opens with: ``Allocate``,
    ``Look``, ``OnPage`` and ``Write`` of this module.  ValueError if there is no page ``pfn``.
    """
    lab = PagesLab(title or TITLE, caption, machine is not None and bool(machine.node.highmem))
    if machine is not None:
        return Bench(_opened(lab, calls, machine, pfn), Opening("pages"), link)
    opening = Opening("pages", partial(_small, lab, tuple(calls), pfn), {"memory": SMALL})
    return Bench(opening.run(), opening, link)


def _small(lab: PagesLab, calls: Iterable[Any], pfn: int | None, memory: str) -> Run:
    if parse_size(memory) > LARGEST:
        raise ValueError(_("this lab has room for {largest} GiB, not {memory}", largest=LARGEST >> 30, memory=memory))
    machine = Machine(memory=memory, trace=False)
    play(machine, traffic(random.Random(BEFORE), 4000, (0, 0, 1, 2, 3), BUSY_WITH))
    machine.tracing = True
    return _opened(lab, calls, machine, pfn)


def _opened(lab: PagesLab, calls: Iterable[Any], machine: Machine, pfn: int | None) -> Run:
    first = machine.zones[-1].start_pfn if pfn is None else pfn
    page_view(machine, first)
    run = Run(Desk(machine=machine, pfn=first), lab)
    for call in calls:
        run.make(call)
    run.keep_as_recorded()
    return run


@dataclass(frozen=True, slots=True)
class PagesState:
    """What the lab draws: the map as runs, the zones, and the page that is looked at."""

    start: int
    runs: tuple[tuple[str, int], ...]
    zones: tuple[tuple[int, str], ...]
    page: PageView


def look(desk: Desk) -> PagesState:
    """Return the state of a desk with a ``machine`` and the ``pfn`` that is looked at."""
    machine = desk.machine
    zones = tuple((zone.start_pfn, zone.name) for zone in machine.zones)
    return PagesState(machine.zones[0].start_pfn, tuple(page_runs(machine)), zones, page_view(machine, desk.pfn))


@dataclass(frozen=True, slots=True)
class Allocate:
    """The call alloc_pages(gfp, order); the page that it gives is looked at."""

    gfp: int
    order: int

    def text(self) -> Text:
        """Return the call as C."""
        return f"alloc_pages({gfp_names(self.gfp)}, {self.order})"

    def __call__(self, desk: Any) -> Page | None:
        """Make the call."""
        page: Page | None = desk.machine.alloc_pages(self.gfp, self.order)
        if page is not None:
            desk.pfn = page.pfn
        return page


@dataclass(frozen=True, slots=True)
class Look:
    """Look at another page."""

    pfn: int

    def text(self) -> Text:
        """Return the call as C."""
        return f"pfn_to_page({self.pfn:#x})"

    def __call__(self, desk: Any) -> str:
        """Do it; ValueError if there is no such page."""
        page = page_view(desk.machine, self.pfn)
        desk.pfn = self.pfn
        return _("This is page {pfn:#x}, in zone {zone}.", pfn=self.pfn, zone=page.zone)


@dataclass(frozen=True, slots=True)
class OnPage:
    """A call on the page that is looked at: get, put, free, kmap, kunmap or local."""

    name: str
    order: int = 0

    def text(self) -> Text:
        """Return the call as C."""
        return AS_C[self.name].format(order=self.order)

    def __call__(self, desk: Any) -> int | str | None:
        """Make the call; KernelBug if the page is in no state for it."""
        machine: Machine = desk.machine
        page = machine.node.page(desk.pfn)
        match self.name:
            case "get":
                machine.get_page(page)
            case "put":
                machine.put_page(page)
            case "free":
                machine.free_pages(page, self.order)
            case "kmap":
                return machine.kmap(page)
            case "kunmap":
                machine.kunmap(page)
                return _unmapped(machine, page)
            case _:  # shown, and given back at once: such an address must not outlive the look
                addr = machine.kmap_local_page(page)
                machine.kunmap_local(addr)
                return addr
        return None


def _unmapped(machine: Machine, page: Page) -> str:
    """Say what kunmap() left of the mapping."""
    addr, users = machine.page_address(page), kmap_users(machine.node, page)
    if not is_highmem_page(page):
        return _("The page keeps its address, {addr:#x}: it needs no window.", addr=addr)
    if users:
        return ngettext("{n} user has the page mapped still, at {addr:#x}.",
                        "{n} users have the page mapped still, at {addr:#x}.", users, addr=addr)
    return _("Nobody uses address {addr:#x} now. The page keeps it until all {slots} slots have been used.",
             addr=addr, slots=LAST_PKMAP)


@dataclass(frozen=True, slots=True)
class Write:
    """Write a text into the page that is looked at, at its start."""

    words: str

    def text(self) -> Text:
        """Return the call as C."""
        return f'strcpy(page_address(page), "{self.words}")'

    def __call__(self, desk: Any) -> str:
        """Do it; KernelBug if the kernel has no address for the page."""
        addr = desk.machine.page_address(desk.machine.node.page(desk.pfn))
        desk.machine.write(addr, self.words.encode()[: PAGE_SIZE - 1] + b"\0")
        return _("The bytes are written. The struct page is as it was.")


class PagesLab:
    """From a machine and a page to a scene, and from what a reader asks for to a call."""

    view = View(look)
    phrases: Mapping[str, str] = {}

    def __init__(self, title: Text = TITLE, caption: Text = "", highmem: bool = False) -> None:
        self.title = title
        self.caption = caption
        self.highmem = highmem

    def draw(self, state: PagesState) -> Scene:
        """Return the map, the struct page and the bytes of the page that is looked at."""
        count = sum(number for _, number in state.runs)
        size = count * PAGE_SIZE >> 20
        note = _("{count:,} pages of 4 KiB, {size:,} MiB; click to zoom in, and on a page to look at it",
                 count=count, size=size)
        scene: dict[str, Node] = {
            "": Stage(self.title, ("M", "t", "b"), _forms(self.highmem), (), self.caption, (("M",), ("t",), ("b",)), 1),
            "M": Map(_("Memory"), note, state.start, count, LEGEND, state.zones, state.page.pfn),
        }
        scene |= strips("M", state.start, state.runs)
        scene |= _struct_page(state.page)
        scene |= _bytes(state.page)
        return scene

    def tell(self, event: Event) -> tuple[Any, ...]:
        """Return what a call did, in a sentence."""
        assert isinstance(event, Called)
        answer = event.answer
        told = [each for each in event.events if isinstance(each, MmPageAlloc | MmPageFree | PageRefMod)]
        line = ftrace(event.events)
        match told[-1:], answer:
            case [MmPageAlloc(pfn=None)], _:
                words = _("No zone may give so many pages: the caller gets NULL.")
            case [MmPageAlloc()], Page():
                words = _("The caller gets the page at pfn {pfn:#x}, in zone {zone}.",
                          pfn=answer.pfn, zone=answer.zone.name)
            case [MmPageFree(pfn=pfn, order=order)], _:
                words = ngettext("The last reference to pfn {pfn:#x} is gone: the page is free.",
                                 "The last reference to pfn {pfn:#x} is gone: {n} pages are free.",
                                 1 << order, pfn=pfn)
            case [PageRefMod(pfn=pfn, count=count)], _:
                words = ngettext("pfn {pfn:#x} has {n} reference now.", "pfn {pfn:#x} has {n} references now.",
                                 count, pfn=pfn)
            case _, int():
                words = _("The page is seen at address {answer:#x}.", answer=answer)
            case _:
                words = answer or _("Done. The allocator was not asked.")
        return "other", line, words

    def ask(self, before: PagesState, after: PagesState, events: Sequence[Event]) -> Question | None:
        """Return a question about a call: how many references there are after it."""
        counts = [_count_after(each) for each in events if isinstance(each, MmPageAlloc | MmPageFree | PageRefMod)]
        if not counts:
            return None
        options, answer = among(counts[-1], (before.page.refcount, counts[-1] + 1, 0, 2))
        return Question(_("What will _refcount be then?"), tuple(map(str, options)), answer)

    def read(self, action: Mapping[str, Any]) -> Any:
        """Return the call that an action asks for; ValueError if it is none."""
        match action.get("do"):
            case "alloc":
                gfp, order = action.get("gfp"), action.get("order")
                if gfp not in MASKS:
                    raise ValueError(_("{gfp!r} is none of the masks {masks}", gfp=gfp, masks=", ".join(MASKS)))
                return Allocate(MASKS[gfp], _order(order))
            case "look":
                pfn = str(action.get("page") or "").partition(":")[2]
                if not pfn.isdecimal():
                    raise ValueError(_("choose a page: zoom into the map until you see single pages, and click on one"))
                return Look(int(pfn))
            case "free":
                return OnPage("free", _order(action.get("order")))
            case "write":
                return Write(str(action.get("words", ""))[:64])
            case "get" | "put" | "kmap" | "kunmap" | "local" as name:
                return OnPage(name)
            case other:
                raise ValueError(_("{other!r} is nothing that this lab can do", other=other))


def _count_after(event: MmPageAlloc | MmPageFree | PageRefMod) -> int:
    """Return how many references a page has after an event: one when it is handed out, none when it is freed."""
    match event:
        case PageRefMod(count=count):
            return count
        case MmPageAlloc():
            return 1
        case _:
            return 0


def _order(order: Any) -> int:
    if isinstance(order, bool) or not isinstance(order, int):
        raise ValueError(_("an order is a whole number from 0 to {most}, not {order!r}",
                           most=MAX_PAGE_ORDER, order=order))
    return order


def _forms(highmem: bool) -> tuple[Form, ...]:
    order = Number("order", _("2 to this power is the number of pages"), 0, 0, MAX_PAGE_ORDER)
    gfp = Choice("gfp", _("what kind of memory"), tuple(MASKS), "GFP_HIGHUSER_MOVABLE" if highmem else "GFP_KERNEL")
    forms = (
        Form("alloc", ("page = alloc_pages(", gfp, ", ", order, ");"), _("Allocate"),
             "struct page *alloc_pages(gfp_t gfp, unsigned int order);"),
        Form("look", ("page = pfn_to_page(", Pick("page", _("a page of the map"), ("M",), of="cells"), ");"),
             _("Look"), "struct page *pfn_to_page(unsigned long pfn);", _("or click on a page of the map"), "page"),
        Form("get", ("get_page(page);",), _("One more"), "void get_page(struct page *page);"),
        Form("put", ("put_page(page);",), _("One less"), "void put_page(struct page *page);"),
        Form("free", ("__free_pages(page, ", order, ");"), _("Free"),
             "void __free_pages(struct page *page, unsigned int order);"),
        Form("write", ('strcpy(page_address(page), "', Typed("words", _("a text"), "password"), '");'), _("Write"),
             "void *page_address(const struct page *page);"),
    )
    if not highmem:
        return forms
    return (
        *forms,
        Form("kmap", ("addr = kmap(page);",), _("Map"), "void *kmap(struct page *page);"),
        Form("kunmap", ("kunmap(page);",), _("Unmap"), "void kunmap(struct page *page);"),
        Form("local", ("addr = kmap_local_page(page);",), _("Map and unmap"),
             "void *kmap_local_page(struct page *page);"),
    )


def _struct_page(page: PageView) -> dict[str, Node]:
    """Return the struct page, field by field in the order of its bytes."""
    rows = {
        "t:flags": Row(("flags", 0, f"{page.flags:#x}", page.flag_names.partition("(")[2].rstrip(")")),
                       says=_("What happens to the page, in the low bits; its node and zone, in the high ones.")),
        "t:lru": Row(_with_place(8, _first_words(page)), says=_(
            "Five words that mean something else for each kind of page.")),
        "t:mapping": Row(("mapping", 24, _pointer(page.mapping), _("of a file") if page.mapping else _("of no file"))),
        "t:index": Row(("index", 32, page.index, _("where in the file"))),
        "t:private": Row(("private", 40, page.private, _private(page))),
        "t:mapcount": Row(_with_place(48, _mapcount(page)), says=_(
            "One less than the number of page tables that map the page.")),
        "t:refcount": Row(("_refcount", 52, page.refcount, _references(page)), tone=3 if page.refcount else 0,
                          mark="now" if page.refcount else "",
                          says=_("get_page() adds one, put_page() takes one away.")),
        "t:address": Row(("page_address()", "", _pointer(page.address), _address(page))),
    }
    where = _("64 bytes at {at:#x}", at=page.struct_page)
    if page.pointers == 4:
        where = _("as a 64-bit kernel lays it out")
    note = _("pfn {pfn:#x}, zone {zone}; {where}", pfn=page.pfn, zone=page.zone, where=where)
    table = Table("struct page", note, (_("field"), _("at"), _("value"), _("which says")), tuple(rows), "crcl")
    return {"t": table, **rows}


def _with_place(at: int, field: tuple[str, str, str]) -> tuple[str | int, ...]:
    return field[0], at, *field[1:]


def _pointer(value: int) -> str:
    return f"{value:#x}" if value else "NULL"


def _first_words(page: PageView) -> tuple[str, str, str]:
    match page.state:
        case "free" if page.pfn == page.head:
            return "buddy_list", "…", _("on the free list of order {order}", order=page.order)
        case "free":
            return "buddy_list", "", _("inside the free block of order {order} at {head:#x}",
                                       order=page.order, head=page.head)
        case "cpu":
            return "pcp_list", "…", _("on a CPU's list")
        case "held" if page.compound and page.pfn != page.head:
            head = page.struct_page - (page.pfn - page.head) * 64
            return "compound_head", f"{head + 1:#x}", _("a tail: its head is {head:#x}", head=page.head)
        case _:
            return "lru", "", _("the owner's to use")


def _private(page: PageView) -> str:
    heads = page.state == "free" and page.pfn == page.head
    return _("the order of the free block") if heads else _("the owner's to use")


def _mapcount(page: PageView) -> tuple[str, str, str]:
    if page.state == "free" and page.pfn == page.head:
        return "page_type", "0xf0000000", _("PGTY_buddy: it heads a free block")
    return "_mapcount", str(page.mapcount - 1), (
        _("mapped by {n} page tables", n=page.mapcount) if page.mapcount else _("mapped by no page tables"))


def _references(page: PageView) -> str:
    match page.state, page.refcount:
        case "held", 0:
            counts = _("only the first page is counted")
            if page.compound:
                counts = _("the head, {head:#x}, counts for all", head=page.head)
            return _("a page of the block of order {order} at {head:#x}: {counts}",
                     order=page.order, head=page.head, counts=counts)
        case "held", 1:
            return _("one owner; nobody knows who")
        case "held", _:
            return _("{refcount} refer to it; nobody knows who", refcount=page.refcount)
        case "other", _:
            return _("in use since before we looked")
        case _:
            return _("free")


def _address(page: PageView) -> str:
    if page.highmem:
        return _("high memory: kmap() gave it this") if page.address else _("high memory: the kernel cannot see it")
    return _("in the direct map: PAGE_OFFSET + pfn * 4096")


def _bytes(page: PageView) -> dict[str, Node]:
    written = tuple(page.data)
    rest = PAGE_SIZE - len(written)
    spans: dict[str, Node] = {}
    if written:
        spans["b:data"] = Span(len(written), written, tone=2, letter="W", label=_("written by somebody"),
                               says=_("It stays when the page is freed: who gets the page next can read it."))
    if rest:
        spans["b:rest"] = Span(rest, label=_("zeros"))
    note = _("{n} bytes", n=PAGE_SIZE)
    return {"b": Bytes(_("The page's bytes"), note, page.address, tuple(spans)), **spans}
