# SPDX-License-Identifier: GPL-2.0-only
"""Zones and their free lists: where free memory is written down.

A node is one bank of memory; it is divided into zones, because some devices reach only low
addresses.  A zone keeps its free blocks in an array indexed by order, and for each order in
one list per migratetype.  A zone is also cut into pageblocks of 512 pages, each with the
migratetype of what lives there.

Linux: include/linux/mmzone.h
Simplified: no contiguous-memory areas, no device memory.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from kmm_sim.mm.gfp import ZONE_TABLE
from kmm_sim.mm.memory import Memory
from kmm_sim.mm.page import Page
from kmm_sim.mm.page_flags import location_bits
from kmm_sim.mm.sched import Task
from kmm_sim.mm.slab_pages import SlabPages
from kmm_sim.trace import Trace

__all__ = [
    "HPAGE_PMD_ORDER",
    "MAX_NR_ZONES",
    "MAX_PAGE_ORDER",
    "MIGRATE_PCPTYPES",
    "MIGRATE_TYPES",
    "NR_LOWORDER_PCP_LISTS",
    "NR_PAGE_ORDERS",
    "NR_PCP_LISTS",
    "PAGEBLOCK_NR_PAGES",
    "PAGEBLOCK_ORDER",
    "PAGE_ALLOC_COSTLY_ORDER",
    "FreeArea",
    "FreeList",
    "Kswapd",
    "LruPage",
    "Migrate",
    "Node",
    "PcpFlag",
    "PerCpuPages",
    "Sysctl",
    "Wmark",
    "Zone",
    "ZoneFlag",
    "ZoneType",
    "build_all_zonelists",
    "build_zonelists",
    "find_next_best_node",
]

MAX_PAGE_ORDER = 10
NR_PAGE_ORDERS = MAX_PAGE_ORDER + 1
PAGE_ALLOC_COSTLY_ORDER = 3
"""Up to this order the kernel tries hard; larger requests it gives up more easily."""
PAGEBLOCK_ORDER = 9
HPAGE_PMD_ORDER = 9
"""The order of a huge page, 2 MiB."""
PAGEBLOCK_NR_PAGES = 1 << PAGEBLOCK_ORDER


class Migrate(IntEnum):
    """What kind of pages a pageblock is for.  Linux: enum migratetype, include/linux/mmzone.h"""

    UNMOVABLE = 0
    MOVABLE = 1
    RECLAIMABLE = 2
    HIGHATOMIC = 3
    ISOLATE = 4


MIGRATE_TYPES = len(Migrate)
MIGRATE_PCPTYPES = 3
"""Types below this number are ordinary: they may be mixed, merged and kept on per-CPU lists."""


class ZoneType(IntEnum):
    """The zones of a node, lowest memory first.

    Linux numbers only the zones that a kernel is built with.  Here a number is the same on every
    machine: a 32-bit one has no DMA32, and has HighMem where others have Movable.

    Linux: enum zone_type, include/linux/mmzone.h
    """

    DMA = 0
    DMA32 = 1
    NORMAL = 2
    MOVABLE = 3
    DEVICE = 4
    HIGHMEM = 3


MAX_NR_ZONES = len(ZoneType)


NR_LOWORDER_PCP_LISTS = MIGRATE_PCPTYPES * (PAGE_ALLOC_COSTLY_ORDER + 1)
NR_PCP_LISTS = NR_LOWORDER_PCP_LISTS + 2
"""A CPU's lists: one for each order up to 3 and each ordinary type, and two for huge pages."""


class ZoneFlag:
    """How a zone is doing: bits, as plain numbers, because every request tests them.

    Linux: enum zone_flags, include/linux/mmzone.h
    """

    BOOSTED_WATERMARK = 1 << 0
    RECLAIM_ACTIVE = 1 << 1
    BELOW_HIGH = 1 << 2


class PcpFlag:
    """Notes about a CPU's lists.  Linux: PCPF_PREV_FREE_HIGH_ORDER, include/linux/mmzone.h"""

    PREV_FREE_HIGH_ORDER = 1 << 0
    FREE_HIGH_BATCH = 1 << 1


class Wmark(IntEnum):
    """The marks of a zone.  Linux: enum zone_watermarks, include/linux/mmzone.h"""

    MIN = 0
    LOW = 1
    HIGH = 2
    PROMO = 3


class FreeList:
    """A list of free blocks, head first, that unlinks any block in one step.

    The kernel links ``struct page`` through a list head.  Two dicts keyed by pfn are that list,
    as a dict remembers the order of its entries and gives back its last one at once: ``front``
    has the blocks from the head on, its *last* entry first, ``back`` those up to the tail.  When
    the front is used up the back is turned round and becomes the front, so that an empty front
    is an empty list.  ``untouched`` is a run of blocks that nobody has taken since boot: they
    wait behind all others, in order, and cost nothing, so that a machine of a terabyte is made
    at once.

    Linux: struct list_head, include/linux/list.h
    """

    __slots__ = ("_back", "_untouched", "front")

    def __init__(self, pfns: Iterable[int] = (), untouched: range = range(0)) -> None:
        self.front: dict[int, None] = {}
        self._back: dict[int, None] = dict.fromkeys(pfns)
        self._untouched = untouched
        self.turn()

    def __len__(self) -> int:
        return len(self.front) + len(self._back) + len(self._untouched)

    def __bool__(self) -> bool:
        return bool(self.front)

    def __iter__(self) -> Iterator[int]:
        yield from reversed(self.front)
        yield from self._back
        yield from self._untouched

    def __contains__(self, pfn: int) -> bool:
        return pfn in self.front or pfn in self._back or pfn in self._untouched

    def first(self) -> int | None:
        """Return the block at the head, or None.  Linux: list_first_entry_or_null()"""
        return next(reversed(self.front), None)

    def list_add(self, pfn: int) -> None:
        """Put a block at the head.  Linux: list_add(), include/linux/list.h"""
        self.front[pfn] = None

    def list_add_tail(self, pfn: int) -> None:
        """Put a block at the tail.  Linux: list_add_tail(), include/linux/list.h"""
        if self._untouched:
            self._link_untouched()
        end = self._back if self.front else self.front
        end[pfn] = None

    def list_del(self, pfn: int) -> None:
        """Unlink a block, wherever it is.  Linux: list_del(), include/linux/list.h"""
        if pfn in self.front:
            last, _ = self.front.popitem()  # a dict forgets its gaps when its last entry is taken
            if last != pfn:
                self.front[last] = None
                del self.front[pfn]
        else:
            if pfn not in self._back:
                self._link_untouched()
            del self._back[pfn]
        if not self.front:
            self.turn()

    def turn(self) -> None:
        """Go on with the back of the list, now that the front is used up."""
        if self._back:
            self.front.update(dict.fromkeys(reversed(self._back)))
            self._back = {}
        elif self._untouched:
            self.front[self._untouched[0]] = None
            self._untouched = self._untouched[1:]

    def _link_untouched(self) -> None:
        """Give up the short form of the untouched blocks: somebody wants a place among them."""
        self._back.update(dict.fromkeys(self._untouched))
        self._untouched = range(0)


class FreeArea:
    """The free blocks of one order, a list for each migratetype.

    Linux: struct free_area, include/linux/mmzone.h
    """

    __slots__ = ("free_list",)

    def __init__(self) -> None:
        self.free_list = [FreeList() for _ in range(MIGRATE_TYPES)]

    @property
    def nr_free(self) -> int:
        """The number of free blocks (not pages) of this order."""
        return sum(map(len, self.free_list))


@dataclass(slots=True, eq=False)
class PerCpuPages:
    """One CPU's free pages of one zone: ``count`` pages in 14 lists, and limits in pages.

    A double-ended queue of pfns stands for each list: pages come and go only at its ends.

    Linux: struct per_cpu_pages, include/linux/mmzone.h
    """

    count: int = 0
    high: int = 0
    high_min: int = 0
    high_max: int = 0
    batch: int = 1
    flags: int = 0
    alloc_factor: int = 0
    free_count: int = 0
    lists: list[deque[int]] = field(default_factory=lambda: [deque() for _ in range(NR_PCP_LISTS)])


@dataclass(slots=True, eq=False)
class Zone:
    """A range of page frames with the same uses, and the state of its free blocks.

    ``start_pfn`` and ``spanned_pages`` are in pages, holes included; ``managed_pages`` counts
    what the allocator owns.  ``buddy`` maps the first pfn of a free block to its order, for
    all blocks but the untouched ones (those have the largest order, and are never a buddy).
    ``pcp`` are the per-CPU lists of the CPU that runs, ``cpu``, or None where there are none;
    ``lru`` are the page frames whose owner could move or reclaim them, ``suspects`` those that
    somebody referred to while they were free.  ``nr_unaccounted`` are pages in use by whom nobody knows:
    since before a dump was taken, or lost by a broken caller.  Pages of ``highmem`` have no address of their own.

    Linux: struct zone, include/linux/mmzone.h
    """

    index: int
    type: ZoneType
    start_pfn: int
    spanned_pages: int
    managed_pages: int
    nid: int = 0
    trace: Trace | None = None
    watermark: list[int] = field(default_factory=lambda: [0] * len(Wmark))
    watermark_boost: int = 0
    lowmem_reserve: list[int] = field(default_factory=lambda: [0] * MAX_NR_ZONES)
    free_area: list[FreeArea] = field(
        default_factory=lambda: [FreeArea() for _ in range(NR_PAGE_ORDERS)]
    )
    buddy: dict[int, int] = field(default_factory=dict)
    pageblocks: dict[int, int] = field(default_factory=dict)
    pageblock_default: int = Migrate.MOVABLE
    vm_stat_free: int = 0
    vm_stat_diff: list[int] = field(default_factory=lambda: [0])
    stat_threshold: int = 0
    flags: int = 0
    cpu: int = 0
    per_cpu_pageset: list[PerCpuPages] = field(default_factory=list)
    pcp: PerCpuPages | None = None
    lru: set[int] = field(default_factory=set)
    nr_reserved_highatomic: int = 0
    nr_free_highatomic: int = 0
    nr_unaccounted: int = 0
    watermark_boost_factor: int = 15000
    node: Node | None = None
    page_links: int = 0
    suspects: set[int] = field(default_factory=set)
    present_pages: int = 0
    highmem: bool = False

    def __post_init__(self) -> None:
        self.page_links = location_bits(self.nid, self.type)

    @property
    def name(self) -> str:
        """The zone's name as /proc prints it: DMA, DMA32, Normal, HighMem, Movable."""
        return "HighMem" if self.highmem else ZONE_NAMES[self.type]

    @property
    def end_pfn(self) -> int:
        """The first page frame after the zone.  Linux: zone_end_pfn(), include/linux/mmzone.h"""
        return self.start_pfn + self.spanned_pages

    def spans_pfn(self, pfn: int) -> bool:
        """Return whether a page frame lies in the zone.  Linux: zone_spans_pfn()"""
        return self.start_pfn <= pfn < self.start_pfn + self.spanned_pages

    def run_on(self, cpu: int) -> None:
        """Make ``cpu`` the CPU that runs.  Linux: no counterpart; there all of them run"""
        self.cpu = cpu
        self.pcp = self.per_cpu_pageset[cpu] if self.per_cpu_pageset else None

    def pageblock_migratetype(self, pfn: int) -> int:
        """Return the migratetype of the pageblock around ``pfn``.

        Linux: get_pageblock_migratetype(), include/linux/mmzone.h
        """
        return self.pageblocks.get(pfn >> PAGEBLOCK_ORDER, self.pageblock_default)


ZONE_NAMES = ("DMA", "DMA32", "Normal", "Movable", "Device")


@dataclass(slots=True)
class Sysctl:
    """What an administrator may set, as in /proc/sys/vm; see kmm_sim/mm/sysctl.py.

    ``watermark_scale_factor`` and ``watermark_boost_factor`` are in ten-thousandths.

    Linux: page_alloc_sysctl_table, mm/page_alloc.c
    """

    min_free_kbytes: int = 0
    watermark_scale_factor: int = 10
    watermark_boost_factor: int = 15000
    lowmem_reserve_ratio: tuple[int, ...] = (256, 256, 32, 0)
    percpu_pagelist_high_fraction: int = 0


@dataclass(slots=True)
class LruPage:
    """A page in use that can be reclaimed: anonymous memory of its owner, or a file's page.

    Linux: struct lruvec, include/linux/mmzone.h
    """

    anon: bool
    dirty: bool
    owner: Task | None


@dataclass(slots=True)
class Kswapd:
    """The daemon that reclaims for one bank: whether it was woken, for what order, how often it failed.

    Linux: struct pglist_data, include/linux/mmzone.h
    """

    awake: bool = False
    order: int = 0
    failures: int = 0


@dataclass(slots=True, eq=False)
class Node:
    """One bank of memory: its zones, its pages, its bytes.

    ``mem_map`` has a struct page for every page frame that somebody has asked about.
    ``zonelists[i]`` are the zones to try, in order, for a request whose highest zone is i, as
    the CPU that runs has them: its own bank first; ``fallback_zonelists`` has those of each bank,
    ``thisnode_zonelists`` those that leave all other banks out.  A machine of several banks (NUMA) is one
    Node too, whose zones know their bank's number, ``nid``; Linux has a node for each bank.
    Without ``group_by_mobility`` all pages count as unmovable, as on a machine of a few MiB.
    ``slab_report`` returns the table of caches for the report of the OOM killer; ``nr_kernel_stack`` counts
    the KiB of stacks in each bank.
    With ``teaching`` a broken call is an error; without, it does what it does in Linux.
    ``current`` is the task that runs, ``tasks`` are those that have memory of their own; ``lru``
    has the pages that can be reclaimed, oldest first; ``kswapd`` is the daemon of each bank.  On a
    32-bit machine ``highmem`` is what kmap() keeps, and ``zone_table`` lets a mask reach the pages
    that have no address.

    Linux: struct pglist_data, include/linux/mmzone.h
    """

    zones: tuple[Zone, ...]
    mem_map: dict[int, Page] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)
    zonelists: tuple[tuple[Zone, ...], ...] = ()
    fallback_zonelists: dict[int, tuple[tuple[Zone, ...], ...]] = field(default_factory=dict)
    thisnode_zonelists: dict[int, tuple[tuple[Zone, ...], ...]] = field(default_factory=dict)
    nids: tuple[int, ...] = (0,)
    nid: int = 0
    trace: Trace | None = None
    group_by_mobility: bool = True
    dmesg: list[str] = field(default_factory=list)
    sysctl: Sysctl = field(default_factory=Sysctl)
    teaching: bool = True
    reclaim: bool = False
    current: Task = field(default_factory=Task)
    tasks: list[Task] = field(default_factory=list)
    last_pid: int = 130
    lru: dict[int, LruPage] = field(default_factory=dict)
    slab_pages: SlabPages = field(default_factory=SlabPages)
    slab_report: Callable[[], list[str]] = list
    nr_kernel_stack: Counter[int] = field(default_factory=Counter)
    nr_swap_pages: int = 0
    total_swap_pages: int = 0
    kswapd: dict[int, Kswapd] = field(default_factory=dict)
    warned_order: bool = False
    debug_atomic_sleep: bool = False
    init_on_alloc: bool = False
    init_on_free: bool = False
    page_poison: bool = False
    zone_table: tuple[int, ...] = ZONE_TABLE
    highmem: Any = None

    def __post_init__(self) -> None:
        for zone in self.zones:
            zone.node = self
        self.nids = tuple(sorted({zone.nid for zone in self.zones}))
        self.kswapd = {nid: Kswapd() for nid in self.nids}
        self.fallback_zonelists = build_all_zonelists(self.zones)
        for nid in self.nids:
            own = [zone for zone in self.zones if zone.nid == nid]
            self.thisnode_zonelists[nid] = build_all_zonelists(own)[nid]
        self.set_local_node(self.nids[0])

    def set_local_node(self, nid: int) -> None:
        """Let requests start at bank ``nid``.  Linux: numa_node_id(), include/linux/topology.h"""
        self.nid = nid
        self.zonelists = self.fallback_zonelists[nid]

    def node_of_cpu(self, cpu: int) -> int:
        """Return the bank next to a CPU.  Linux: cpu_to_node(), include/linux/topology.h"""
        return self.nids[cpu * len(self.nids) // len(self.zones[0].vm_stat_diff)]

    def zone_of(self, pfn: int) -> Zone | None:
        """Return the zone that spans page frame ``pfn``, or None.  Linux: page_zone()"""
        for zone in self.zones:
            if zone.start_pfn <= pfn < zone.start_pfn + zone.spanned_pages:
                return zone
        return None

    def pfn_to_page(self, pfn: int) -> Page | None:
        """Return the struct page of a page frame, or None outside memory.

        Linux: pfn_to_page(), include/asm-generic/memory_model.h
        """
        page = self.mem_map.get(pfn)
        if page is not None:
            return page
        for zone in self.zones:
            if zone.start_pfn <= pfn < zone.start_pfn + zone.spanned_pages:
                page = self.mem_map[pfn] = Page(pfn, zone)
                return page
        return None

    def page(self, pfn: int) -> Page:
        """Return the struct page of a frame that is known to exist."""
        page = self.pfn_to_page(pfn)
        assert page is not None, f"page frame {pfn} is outside memory"
        return page


def build_all_zonelists(zones: Sequence[Zone]) -> dict[int, tuple[tuple[Zone, ...], ...]]:
    """Return for each bank the zones that a CPU next to it tries, for each highest zone.

    Linux: __build_all_zonelists(), mm/page_alloc.c
    """
    node_load = dict.fromkeys(sorted({zone.nid for zone in zones}), 0)
    return {nid: build_zonelists(zones, nid, node_load) for nid in node_load}


def build_zonelists(
    zones: Sequence[Zone], nid: int, node_load: dict[int, int]
) -> tuple[tuple[Zone, ...], ...]:
    """Return, for each highest zone, the zones to try: bank ``nid`` first, highest zone first.

    ``node_load`` counts for each bank how many others turn to it first, and is updated.

    Linux: build_zonelists(), mm/page_alloc.c
    """
    banks = [nid]
    while len(banks) < len(node_load):
        banks.append(find_next_best_node(nid, banks, node_load))
    if len(banks) > 1:
        node_load[banks[1]] += 1
    order = [zone for bank in banks for zone in reversed(zones) if zone.nid == bank]
    return tuple(
        tuple(zone for zone in order if zone.type <= highest)
        for highest in range(MAX_NR_ZONES)
    )


def find_next_best_node(nid: int, used: Sequence[int], node_load: Mapping[int, int]) -> int:
    """Return the bank to try next: one that follows ``nid``, then one that few others turn to.

    Linux: find_next_best_node(), mm/page_alloc.c
    Simplified: all other banks are equally far away, and all have CPUs.
    """
    return min(
        (bank for bank in node_load if bank not in used),
        key=lambda bank: (bank < nid, node_load[bank], bank),
    )
