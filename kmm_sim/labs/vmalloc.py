# SPDX-License-Identifier: GPL-2.0-only
"""The vmalloc lab: areas of addresses over scattered page frames, the walk of one address, the TLB.

    vmalloc_lab()                                   every other page of 64 is taken
    vmalloc_lab(script="alloc:2 +3 touch:A0 -A")    ... with a recorded run to play

A script has ``alloc:2`` (alloc_pages of order 2), ``+3`` (vmalloc of 3 pages), ``touch:A0`` (page 0
of area A), ``all:A`` and ``direct:A`` (each page of it, by way of vmalloc or of the direct map),
``-A`` (vfree) and ``purge``.  The areas are named in the order in which they come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from kmm_sim.catalogue import _
from kmm_sim.errors import KernelBug
from kmm_sim.labs.ask import Question, among
from kmm_sim.labs.bench import Bench
from kmm_sim.labs.opening import Opening
from kmm_sim.labs.run import Call, Run
from kmm_sim.labs.scene import Text
from kmm_sim.labs.view import Desk, View
from kmm_sim.labs.vmalloc_phrases import PHRASES
from kmm_sim.labs.vmalloc_scene import NAMES, WAYS, WAYS_SPOKEN, Walked, draw, tell
from kmm_sim.machine import Machine
from kmm_sim.mm.events import MmPageAlloc
from kmm_sim.mm.gfp import GFP_KERNEL
from kmm_sim.mm.mmzone import MAX_PAGE_ORDER
from kmm_sim.mm.page import PAGE_SIZE, pfn_to_virt
from kmm_sim.mm.pgtable import walk
from kmm_sim.mm.tlb import TlbCount
from kmm_sim.mm.vmalloc_events import AllocVmapArea, VmapFreeDel
from kmm_sim.observe import Snapshot, VmapSnapshot, frames, snapshot, vmap_frames, vmap_snapshot
from kmm_sim.trace import Event

__all__ = ["VmallocLab", "VmallocState", "vmalloc_lab"]

MAX_PAGES = 256


@dataclass(frozen=True, slots=True)
class VmallocState:
    """What the lab shows: pages, addresses, the names of the areas, the last walk, what touching has cost.

    ``others`` are the page frames that were taken before, ``held`` those of alloc_pages(); ``log`` is
    the last report of the kernel.
    """

    pages: Snapshot
    vmap: VmapSnapshot
    names: Mapping[int, str]
    others: frozenset[int]
    held: frozenset[int]
    walked: Walked | None
    cost: Mapping[str, TlbCount]
    log: tuple[str, ...]


class VmallocDesk(Desk):
    """A machine, and what the lab keeps beside it."""

    machine: Machine
    others: frozenset[int]
    held: frozenset[int]
    names: dict[int, str]
    walked: Walked | None
    cost: dict[str, TlbCount]
    log: tuple[str, ...]

    def __repr__(self) -> str:
        return repr(self.machine)


def vmalloc_lab(script: str = "", *, pages: int = 64, link: str = "", title: str = "", caption: str = "") -> Bench:
    """Return a lab on a machine of ``pages`` pages, every other of which is taken, that shows vmalloc().

    ``script`` is the recorded run that it opens with; see the first lines of this module.  ``link`` is the
    text that "Copy link" in a lab gives.  Raises ValueError for a step or a size that it cannot do.
    """
    lab = VmallocLab(title or ("vm.title",), caption)
    opening = Opening("vmalloc", partial(opened, lab), {"pages": pages, "script": script})
    return Bench(opening.run(), opening, link)


def opened(lab: VmallocLab, pages: int, script: str) -> Run:
    """Return the run of a lab with these settings."""
    if not 16 <= pages <= MAX_PAGES:
        raise ValueError(_("a vmalloc lab draws every page, from 16 to {most} of them, not {pages}",
                           most=MAX_PAGES, pages=pages))
    run = Run(_desk(pages), lab)
    for call in _recorded(run.machine, script.split()):
        run.make(call)
    run.keep_as_recorded()
    return run


def _desk(pages: int) -> VmallocDesk:
    """Return a machine on which no two free pages lie side by side."""
    machine = Machine(pages=pages)
    taken = [page for _ in range(pages) if (page := machine.alloc_page(GFP_KERNEL)) is not None]
    for page in taken[1::2]:
        machine.free_page(page)
    others = frozenset(page.pfn for page in taken[::2])
    return VmallocDesk(machine=machine, others=others, held=frozenset(), names={}, walked=None,
                       cost={way: TlbCount() for way in WAYS}, log=())


class VmallocLab:
    """From the state of the desk to a scene, and from what a reader asks for to a call."""

    phrases = PHRASES

    def __init__(self, title: Text, caption: Text = "") -> None:
        self.title = title
        self.caption = caption
        self.view = View(_look, _frames)

    def draw(self, state: VmallocState) -> Any:
        """Return the scene of a state."""
        return draw(state, self.title, self.caption)

    def tell(self, event: Event) -> tuple[Any, ...]:
        """Return an event as a phrase."""
        return tell(event)

    def ask(self, before: VmallocState, after: VmallocState, events: Sequence[Event]) -> Question | None:
        """Ask whether alloc_pages() succeeds, and how many page frames vmalloc() takes."""
        taken = [event for event in events if isinstance(event, MmPageAlloc)]
        area = next((event for event in events if isinstance(event, AllocVmapArea)), None)
        if area is None:
            answer = [event.pfn is None for event in taken]
            return Question(("vm.ask.served",), (("vm.ask.yes",), ("vm.ask.null",)), int(answer[0])) if answer else None
        pages = area.size // PAGE_SIZE
        numbers, right = among(len(taken), [pages - 1, pages, pages + 1, pages + 2])
        return Question(("vm.ask.frames",), tuple(map(str, numbers)), right)

    def read(self, action: Mapping[str, Any]) -> Call:
        """Return the call that a reader asks for.  Raises ValueError if it is none."""
        match action.get("do"):
            case "alloc":
                return Pages(_number(action, "order", 0, MAX_PAGE_ORDER))
            case "vmalloc":
                return Vmalloc(_number(action, "pages", 1, 64))
            case "touch":
                addr, page = _place(action.get("page"))
                way = str(action.get("way") or WAYS[0])
                if way not in WAYS:
                    raise ValueError(_("{way!r} is none of the ways {ways}", way=way, ways=", ".join(WAYS)))
                return Touch(addr, None if action.get("which") == "its whole area" else page, way)
            case "vfree":
                return Vfree(_place(action.get("area"))[0])
            case "purge":
                return Purge()
            case other:
                raise ValueError(_("{other!r} is nothing that this lab can do", other=other))


def _number(action: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = action.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(_("{name} is a whole number from {low} to {high}, not {value!r}",
                           name=name, low=low, high=high, value=value))
    return value


def _place(key: Any) -> tuple[int, int]:
    """Return the address of an area and the number of a page in it, from a key such as ``v:ffffc90000000000/2``."""
    name, _slash, page = str(key or "").partition(":")[2].partition("/")
    try:
        return int(name, 16), int(page or 0)
    except ValueError:
        raise ValueError(_("there is no area to choose: call vmalloc() first")) from None


# The calls

@dataclass(frozen=True, slots=True)
class Pages:
    """The call alloc_pages(GFP_KERNEL, order)."""

    order: int

    def text(self) -> Text:
        """Return the call as C."""
        return "vm.call.alloc", self.order

    def __call__(self, desk: VmallocDesk) -> object:
        """Make the call, and note whose the pages are."""
        page = desk.machine.alloc_pages(GFP_KERNEL, self.order)
        if page is not None:
            desk.held |= frozenset(range(page.pfn, page.pfn + (1 << self.order)))
        return None


@dataclass(frozen=True, slots=True)
class Vmalloc:
    """The call vmalloc(pages * PAGE_SIZE)."""

    pages: int

    def text(self) -> Text:
        """Return the call as C."""
        return "vm.call.vmalloc", self.pages

    def __call__(self, desk: VmallocDesk) -> object:
        """Make the call, and give the new area a name."""
        desk.machine.vmalloc(self.pages * PAGE_SIZE, caller="lab")
        desk.names = _named(desk.names, vmap_snapshot(desk.machine))
        return None


@dataclass(frozen=True, slots=True)
class Touch:
    """A load from a page of the area at ``area``, or to each of them, by way of one of WAYS."""

    area: int
    page: int | None
    way: str

    def text(self) -> Text:
        """Return the call as C."""
        if self.page is None:
            return "vm.call.touch_all", f"{self.area:#x}", WAYS_SPOKEN[self.way]
        return "vm.call.touch", f"{self.area + self.page * PAGE_SIZE:#x}"

    def __call__(self, desk: VmallocDesk) -> Walked:
        """Touch, and note how the processor found its way; a fault is noted, too, and is no error here."""
        addrs = self._addresses(desk.machine)
        before = len(desk.machine.dmesg)
        desk.walked = _touched(desk.machine, addrs, self.way)
        desk.cost = desk.cost | {self.way: _sum(desk.cost[self.way], desk.walked.count)}
        desk.log = tuple(desk.machine.dmesg[before:]) or desk.log
        return desk.walked

    def _addresses(self, machine: Machine) -> list[int]:
        """Return what to touch: addresses of the area, or those of its frames in the direct map."""
        vmap = vmap_snapshot(machine)
        area = vmap.areas.get(self.area)
        pages = [self.page] if self.page is not None else range(area.nr_pages if area else 1)
        addrs = [self.area + page * PAGE_SIZE for page in pages]
        if self.way == WAYS[0]:
            return addrs
        if not all(addr in vmap.ptes for addr in addrs):
            raise ValueError(_("no frame is behind this page, so it has no address in the direct map"))
        return [pfn_to_virt(vmap.ptes[addr]) for addr in addrs]


@dataclass(frozen=True, slots=True)
class Vfree:
    """The call vfree(addr)."""

    addr: int

    def text(self) -> Text:
        """Return the call as C."""
        return "vm.call.vfree", f"{self.addr:#x}"

    def __call__(self, desk: VmallocDesk) -> object:
        """Make the call; raises KernelBug if nothing is there to free."""
        desk.machine.vfree(self.addr)
        return None


@dataclass(frozen=True, slots=True)
class Purge:
    """The call vm_unmap_aliases()."""

    def text(self) -> Text:
        """Return the call as C."""
        return ("vm.call.purge",)

    def __call__(self, desk: VmallocDesk) -> object:
        """Make the call, and forget the names of what is gone."""
        desk.machine.vm_unmap_aliases()
        desk.names = _named(desk.names, vmap_snapshot(desk.machine))
        return None


def _touched(machine: Machine, addrs: list[int], way: str) -> Walked:
    """Touch addresses; return what came of it, and the walk of the last one."""
    bug, count = "", TlbCount()
    try:
        count = machine.tlb_touch(addrs)
    except KernelBug as found:
        bug = str(found)
    path = tuple(walk(machine.vmap_space.tables, addrs[-1])) if way == WAYS[0] else ()
    page = machine.vmalloc_to_page(addrs[-1]) if way == WAYS[0] else machine.virt_to_page(addrs[-1])
    return Walked(addrs[-1], way, path, page.pfn if page is not None else None, count, len(addrs), bug)


def _sum(one: TlbCount, other: TlbCount) -> TlbCount:
    return TlbCount(one.hits + other.hits, one.second_hits + other.second_hits, one.misses + other.misses,
                    one.walked + other.walked)


# What is seen

def _look(desk: VmallocDesk) -> VmallocState:
    return VmallocState(snapshot(desk.machine), vmap_snapshot(desk.machine), MappingProxyType(dict(desk.names)),
                        desk.others, desk.held, desk.walked, MappingProxyType(dict(desk.cost)), desk.log)


def _frames(state: VmallocState, events: Sequence[Event]) -> Iterator[VmallocState]:
    """Yield the state after each event; a new area gets its name as soon as it is cut out of the free range."""
    names, held = dict(state.names), state.held
    in_one_piece = not any(isinstance(event, AllocVmapArea) for event in events)
    steps = zip(events, frames(state.pages, events), vmap_frames(state.vmap, events), strict=True)
    for event, pages, vmap in steps:
        if isinstance(event, VmapFreeDel):
            names = _named(names, state.vmap, event.addr)
        if isinstance(event, MmPageAlloc) and event.pfn is not None and in_one_piece:
            held |= frozenset(range(event.pfn, event.pfn + (1 << event.order)))
        yield VmallocState(pages, vmap, MappingProxyType(dict(names)), state.others, held, state.walked, state.cost,
                           state.log)


def _named(names: Mapping[int, str], vmap: VmapSnapshot, new: int | None = None) -> dict[int, str]:
    """Return the names of the areas that there are, with a free letter for each new one."""
    known = [*vmap.areas, *vmap.lazy, *([] if new is None else [new])]
    result = {addr: name for addr, name in names.items() if addr in known}
    for addr in sorted(set(known) - result.keys()):
        result[addr] = next((name for name in NAMES if name not in result.values()), NAMES[-1])
    return result


def _recorded(desk: Any, words: Sequence[str]) -> Iterator[Call]:
    """Yield the calls of a script, each to be made before the next is asked for."""
    for word in words:
        named = {name: addr for addr, name in desk.names.items()}
        does, _colon, rest = word.partition(":")
        try:
            if word == "purge":
                yield Purge()
            elif does == "alloc":
                yield Pages(int(rest))
            elif does == "touch":
                yield Touch(named[rest[0]], int(rest[1:]), WAYS[0])
            elif does in ("all", "direct"):
                yield Touch(named[rest], None, WAYS[does == "direct"])
            elif word[0] == "+":
                yield Vmalloc(int(word[1:]))
            elif word[0] == "-":
                yield Vfree(named[word[1:]])
            else:
                raise KeyError(word)
        except (KeyError, ValueError, IndexError):
            raise ValueError(_("{word!r} is no step: there are alloc:2 +3 touch:A0 all:A direct:A -A purge",
                               word=word)) from None
