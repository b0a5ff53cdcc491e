# SPDX-License-Identifier: GPL-2.0-only
"""The scene of the vmalloc lab: addresses above, page frames, the walk of one address, what it cost, dmesg."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kmm_sim.catalogue import _
from kmm_sim.labs.buddy import BuddyLab
from kmm_sim.labs.forms import sentence
from kmm_sim.labs.scene import (
    Block,
    Box,
    Cells,
    Choice,
    Flow,
    Form,
    Kind,
    Line,
    Node,
    Number,
    Pick,
    Row,
    Scene,
    Shelf,
    Shelves,
    Stage,
    Step,
    Table,
    Text,
)
from kmm_sim.labs.view import Called
from kmm_sim.mm.mmzone import MAX_PAGE_ORDER
from kmm_sim.mm.page import PAGE_SIZE
from kmm_sim.mm.pgtable import LEVELS, PAGE_PRESENT, pte_index
from kmm_sim.mm.tlb import TlbCount
from kmm_sim.mm.vmalloc_events import (
    AllocVmapArea,
    ClearPte,
    FlushTlb,
    FreeVmapAreaNoflush,
    PurgeVmapAreaLazy,
    SetPte,
    SetPteTable,
    SetVmStruct,
    VmapFreeAdd,
    VmapFreeDel,
    VmapPoolAdd,
    VmapPoolDel,
    VmapPoolRotate,
)
from kmm_sim.trace import Event

if TYPE_CHECKING:
    from kmm_sim.labs.vmalloc import VmallocState

__all__ = ["NAMES", "WAYS", "WAYS_SPOKEN", "Walked", "draw", "tell"]

WAYS = ("vmalloc", "the direct map")
WHICH = ("this page", "its whole area")
WHICH_SPOKEN = (_("this page"), _("its whole area"))
WAYS_SPOKEN = {WAYS[0]: _("vmalloc"), WAYS[1]: _("the direct map")}
TONES = (1, 2, 3, 5, 6)
POOLS: dict[type[Event], str] = {
    VmapPoolAdd: "goes to the head of its node’s pool of ranges of that size",
    VmapPoolDel: "leaves its node’s pool, to be used again",
    VmapPoolRotate: "is not aligned as asked, and goes to the tail of its pool",
}
NAMES = "ABCDEF" + "HIJKLMNOQRSUVXYZ"
"""Letters for areas; G is the guard page, T a page table, P what alloc_pages() gave."""
KINDS = (
    *(Kind(name, TONES[nth % len(TONES)], ("vm.kind.area", name)) for nth, name in enumerate(NAMES[:4])),
    Kind("G", 4, ("vm.kind.guard",)),
    Kind("T", 6, ("vm.kind.table",)),
    Kind("P", 5, ("vm.kind.pages",)),
    Kind("x", 0, ("vm.kind.others",)),
    Kind("w", 0, ("vm.kind.lazy",)),
)


@dataclass(frozen=True, slots=True)
class Walked:
    """How the processor found what is behind an address, for the last of the pages touched.

    ``path`` are the entries read, ``count`` what it cost; ``bug`` is what was wrong, if anything.
    """

    addr: int
    way: str
    path: tuple[tuple[str, int], ...]
    pfn: int | None
    count: TlbCount
    pages: int
    bug: str


def draw(state: VmallocState, title: Text, caption: Text) -> Scene:
    """Return the scene of a state."""
    layout = (("v", "m"), ("w",), ("c",), ("d",))
    panels = tuple(key for row in layout for key in row)
    scene: dict[str, Node] = {"": Stage(title, panels, _forms(), KINDS, caption, layout, 1)}
    return scene | _addresses(state) | _memory(state) | _walk(state.walked) | _cost(state) | {
        "d": Line(("vm.dmesg",), "\n".join(state.log) or ("vm.silence",))}


def _forms() -> tuple[Form, ...]:
    order = Number("order", ("vm.order.label",), 1, 0, MAX_PAGE_ORDER)
    pages = Number("pages", ("vm.pages.label",), 3, 1, 16)
    page = Pick("page", ("vm.page.label",), ("v",), of="slots")
    which = Choice("which", ("vm.which.label",), WHICH, WHICH[0], words=WHICH_SPOKEN)
    way = Choice("way", ("vm.way.label",), WAYS, WAYS[0], words=tuple(WAYS_SPOKEN.values()))
    area = Pick("area", ("vm.area.label",), ("v",), "area")
    return (
        Form("vmalloc", ("addr = vmalloc(", pages, " * PAGE_SIZE);"), ("vm.vmalloc.button",),
             ("vm.vmalloc.prototype",)),
        Form("touch", sentence(_("c = *(char *){page};  /* {which}, via {way} */"), page=page, which=which, way=way),
             ("vm.touch.button",),
             ("vm.touch.prototype",), ("vm.hint.touch",), "page"),
        Form("vfree", ("vfree(", area, ");"), ("vm.vfree.button",), ("vm.vfree.prototype",)),
        Form("purge", ("vm_unmap_aliases();",), ("vm.purge.button",), ("vm.purge.prototype",)),
        Form("alloc", ("page = alloc_pages(GFP_KERNEL, ", order, ");"), ("vm.alloc.button",),
             ("vm.alloc.prototype",)),
    )


def _short(addr: int) -> str:
    """Return the end of an address, which is where those of a small machine differ."""
    return f"…{addr & 0xFFFFFF:06x}"


def _addresses(state: VmallocState) -> dict[str, Node]:
    """Return the panel of areas: those in use, and those that wait for a purge."""
    boxes: dict[str, Node] = {}
    for addr, area in state.vmap.areas.items():
        name, pages = state.names.get(addr, "?"), area.size // PAGE_SIZE
        mapped = [state.vmap.ptes.get(at) for at in range(addr, addr + area.size, PAGE_SIZE)]
        slots = tuple(name if pfn is not None else "" for pfn in mapped[:-1])
        refs = tuple(f"m:{pfn}" if pfn is not None else "" for pfn in mapped[:-1])
        boxes[f"v:{addr:x}"] = Box(("vm.area", name, _short(addr)), (*slots, "G"), refs=(*refs, ""), state="area",
                                   note=("vm.area.note", pages - 1), says=("vm.area.says", f"{addr:#x}"))
    lazy: dict[str, Node] = {
        f"v:{addr:x}": Box(("vm.area", state.names.get(addr, "?"), _short(addr)), ("w",) * (size // PAGE_SIZE),
                           state="lazy", note=("vm.area.lazy", size // PAGE_SIZE), says=("vm.area.says", f"{addr:#x}"))
        for addr, size in state.vmap.lazy.items()
    }
    shelves: dict[str, Node] = {
        "v": Shelves(("vm.addresses",), ("vm.addresses.note",), ("v:used", "v:lazy")),
        "v:used": Shelf(("vm.in_use",), keys=tuple(boxes)),
        "v:lazy": Shelf(("vm.waiting",), keys=tuple(lazy)),
    }
    return shelves | boxes | lazy


def _memory(state: VmallocState) -> dict[str, Node]:
    """Return the panel of page frames, each with the letter of whose it is."""
    zone = state.pages.zones[0]
    end = zone.start_pfn + zone.spanned_pages
    free = {pfn + at for block in zone.free for pfn in block.pfns for at in range(1 << block.order)}
    note = ("vm.memory.note", len(free), zone.managed_pages)
    columns = 8 if zone.spanned_pages <= 64 else 16
    cells: dict[str, Node] = {"m": Cells(("vm.memory",), note, zone.start_pfn, end - zone.start_pfn, columns, False)}
    owner = _owners(state)
    held = {pfn + at for pfn, block in state.pages.allocated.items() for at in range(1 << block.order)}
    for pfn in range(zone.start_pfn, end):
        if pfn in held:
            cells[f"m:{pfn}"] = Block(0, "used", owner.get(pfn) or _newest(state))
        else:
            cells[f"m:{pfn}"] = Block(0, "free" if pfn in free else "hand")
    return cells


def _owners(state: VmallocState) -> dict[int, str]:
    owner = dict.fromkeys(state.others, "x") | dict.fromkeys(state.held, "P")
    owner |= dict.fromkeys(state.vmap.tables.values(), "T")
    for addr, area in state.vmap.areas.items():
        name = state.names.get(addr, "?")
        owner |= {state.vmap.ptes[at]: name for at in range(addr, addr + area.size, PAGE_SIZE) if at in state.vmap.ptes}
    return owner


def _newest(state: VmallocState) -> str:
    """Return the name of the area that is being filled: pages that nothing else explains are for it."""
    unfilled = [addr for addr in state.vmap.areas if addr not in state.vmap.ptes]
    return state.names.get(unfilled[-1], "?") if unfilled else "T"


# The walk

def _walk(walked: Walked | None) -> dict[str, Node]:
    steps = dict(_steps(walked))
    note: Text = ("vm.walk.none",) if walked is None else ("vm.walk.of", f"{walked.addr:#x}", WAYS_SPOKEN[walked.way])
    flow = Flow(("vm.walk",), note, tuple(steps), across=True)
    return {"w": flow, **steps}


def _steps(walked: Walked | None) -> Iterator[tuple[str, Step]]:
    missed = walked is not None and (walked.count.misses > 0 or bool(walked.bug))
    if walked is None:
        yield "w:tlb", Step(("vm.tlb",))
    elif missed:
        yield "w:tlb", Step(("vm.tlb",), "failed", ("vm.miss",), ("vm.miss.says",))
    else:
        yield "w:tlb", Step(("vm.tlb",), "done", ("vm.hit",), ("vm.hit.says",))
    for name, shift in LEVELS:
        yield f"w:{name}", _level(walked, name, shift, missed)
    if walked is None:
        yield "w:frame", Step(("vm.frame",))
    elif walked.pfn is None or walked.bug:
        yield "w:frame", Step(("vm.frame",), "failed", "", ("vm.fault.says",))
    else:
        says = ("vm.frame.says", walked.pfn, walked.addr % PAGE_SIZE)
        yield "w:frame", Step(("vm.frame",), "done", ("vm.pfn", walked.pfn), says, f"m:{walked.pfn}")


def _level(walked: Walked | None, name: str, shift: int, missed: bool) -> Step:
    """Return the step of one level: skipped after a hit, and below a large page."""
    if walked is None:
        return Step(name)
    if not missed:
        return Step(name, "skipped")
    if walked.way != WAYS[0]:
        if name == "PTE":
            return Step(name, "skipped")
        large = name == "PMD"
        return Step(name, "done", ("vm.entry.large",) if large else ("vm.entry.direct",),
                    ("vm.entry.large.says",) if large else "")
    entry = dict(walked.path).get(name)
    if entry is None:
        return Step(name, "skipped")
    if not entry & PAGE_PRESENT:
        return Step(name, "failed", ("vm.absent",), ("vm.absent.says",))
    index = pte_index(walked.addr, shift)
    return Step(name, "done", ("vm.entry", index), ("vm.entry.says", shift, shift + 8))


def _cost(state: VmallocState) -> dict[str, Node]:
    rows: dict[str, Node] = {}
    for nth, way in enumerate(WAYS):
        count = state.cost[way]
        label: Text = ("vm.cost.vmalloc",) if nth == 0 else ("vm.cost.direct",)
        rows[f"c:{nth}"] = Row((label, count.accesses, count.misses, count.walked))
    columns: tuple[Text, ...] = (("vm.cost.way",), ("vm.cost.accesses",), ("vm.cost.misses",), ("vm.cost.reads",))
    return {"c": Table(("vm.cost",), ("vm.cost.note",), columns, tuple(rows), "lrrr"), **rows}


# What happened

_pages = BuddyLab()


def tell(event: Event) -> tuple[Any, ...]:
    """Return an event as a phrase; those of the page allocator in the words of the buddy lab."""
    match event:
        case VmapFreeDel(addr, size):
            return "vm.free_del", f"{addr:#x}", size, size // PAGE_SIZE
        case AllocVmapArea(addr, size, failed=failed):
            return "vm.failed" if failed else "vm.area", f"{addr:#x}", size, size // PAGE_SIZE - 1
        case SetVmStruct(addr, flags, _, nr_pages):
            return "vm.pages" if nr_pages else "vm.struct", f"{addr:#x}", f"{int(flags):#x}", nr_pages
        case SetPteTable(level, addr, pfn):
            return "vm.table", level, f"{addr:#x}", pfn
        case SetPte(addr, pfn):
            return "vm.set_pte", f"{addr:#x}", pfn
        case ClearPte(addr):
            return "vm.clear_pte", f"{addr:#x}"
        case FreeVmapAreaNoflush(addr, nr_lazy, nr_lazy_max):
            return "vm.lazy", f"{addr:#x}", nr_lazy, nr_lazy_max
        case FlushTlb(start, end):
            return "vm.flush", f"{start:#x}", f"{end:#x}"
        case VmapFreeAdd(addr, size):
            return "vm.free_add", f"{addr:#x}", size
        case PurgeVmapAreaLazy(start, end, npurged):
            return "vm.purged", f"{start:#x}", f"{end:#x}", npurged
        case Called(Walked() as walked):
            return _tell_walk(walked)
        case VmapPoolAdd(_, addr, size) | VmapPoolDel(_, addr, size) | VmapPoolRotate(_, addr, size):
            return "other", str(event), f"The range of {size // PAGE_SIZE} pages at {addr:#x} {POOLS[type(event)]}."
    return _pages.tell(event)


def _tell_walk(walked: Walked) -> tuple[Any, ...]:
    if walked.bug:
        return "vm.fault", f"{walked.addr:#x}", walked.bug
    if walked.pages > 1:
        return "vm.sweep", walked.pages, walked.count.misses, walked.count.walked
    if walked.count.misses:
        return "vm.miss", f"{walked.addr:#x}", walked.pfn, walked.count.walked
    return "vm.hit", f"{walked.addr:#x}", walked.pfn
