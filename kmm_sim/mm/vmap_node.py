# SPDX-License-Identifier: GPL-2.0-only
"""Ranges of addresses in use, waiting, and kept in pools.

A range that is given back may not be used again at once: some CPU's TLB may still remember what
was mapped there, and to make all CPUs forget is expensive.  So ranges wait, until there are
enough of them to be worth one flush for all: that is a purge.

With more than one CPU there are as many nodes, so that CPUs do not queue for one lock.  A purge
then puts ranges of up to 256 pages into pools by size, where the next request of that size
finds one without looking through the tree; and each purge gives a quarter of a pool back.

Linux: mm/vmalloc.c
Simplified: ranges in use and waiting are kept sorted in lists, not trees; one CPU at a time
purges, so the order of two purging workers never matters; no vm_map_ram() blocks.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from kmm_sim.mm.mmzone import Node
from kmm_sim.mm.page import PAGE_SHIFT, PAGE_SIZE
from kmm_sim.mm.pgtable import PageTables
from kmm_sim.mm.rbtree import LEFT, RbRoot
from kmm_sim.mm.tlb import Tlb
from kmm_sim.mm.vmalloc_events import (
    AllocVmapArea,
    FlushTlb,
    FreeVmapAreaNoflush,
    PurgeVmapAreaLazy,
    VmapFreeAdd,
    VmapFreeDel,
    VmapPoolAdd,
    VmapPoolDel,
    VmapPoolRotate,
)
from kmm_sim.mm.vmap_area import (
    ULONG_MAX,
    VMALLOC_END,
    VMALLOC_START,
    FreeRange,
    VmapArea,
    alloc_from_tree,
    free_vmap_area_root,
    merge_or_add_vmap_area,
)
from kmm_sim.trace import Event

__all__ = [
    "MAX_VA_SIZE_PAGES", "VmapNode", "VmapSpace", "addr_to_node_id", "alloc_vmap_area", "decay_va_pool_node",
    "drain_vmap_area_work", "find_vmap_area", "flush_tlb_kernel_range", "free_vmap_area_noflush", "lazy_max_pages",
    "node_alloc", "purge_vmap_area_lazy", "purge_vmap_node", "reclaim_and_purge_vmap_areas", "unlink_vmap_area",
    "vmap_space", "vmap_space_from_dump", "waiting_areas",
]

MAX_VA_SIZE_PAGES = 256
"""Larger ranges are not kept in pools."""
VMAP_ZONE_SIZE = 16 * PAGE_SIZE
TLB_SINGLE_PAGE_FLUSH_CEILING = 33
_START = attrgetter("va_start")


@dataclass(slots=True, eq=False)
class VmapNode:
    """One share of the ranges: in use, waiting for a purge, and by size in pages kept, newest first.

    Linux: struct vmap_node, mm/vmalloc.c
    """

    busy: list[VmapArea] = field(default_factory=list)
    lazy: list[VmapArea] = field(default_factory=list)
    pool: dict[int, list[int]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class VmapSpace:
    """The kernel's addresses for vmalloc, and all that is needed to hand them out.

    ``drain_pending`` is set when so much waits that a worker should purge; ``deferred`` are the
    addresses that interrupts gave to vfree().

    Linux: the variables of mm/vmalloc.c
    """

    node: Node
    free: RbRoot[FreeRange]
    nodes: list[VmapNode]
    tables: PageTables
    tlbs: list[Tlb]
    nr_lazy: int = 0
    nr_vmalloc_pages: int = 0
    drain_pending: bool = False
    deferred: list[int] = field(default_factory=list)
    nr_tlb_flushes: int = 0

    @property
    def cpu(self) -> int:
        """The CPU that makes the calls."""
        return self.node.zones[0].cpu

    @property
    def nr_cpus(self) -> int:
        """How many CPUs are on."""
        return len(self.tlbs)

    def emit(self, event: Event) -> None:
        """Tell of a step, if anybody listens."""
        if self.node.trace is not None:
            self.node.trace.emit(event)


def vmap_space(node: Node, cpus: int = 1) -> VmapSpace:
    """Return the address space as it is after boot, all free, for a machine with so many CPUs.

    Linux: vmalloc_init(), mm/vmalloc.c
    """
    free = free_vmap_area_root()
    merge_or_add_vmap_area(free, 1, ULONG_MAX)
    nodes = [VmapNode() for _ in range(min(max(cpus, 1), 128))]
    return VmapSpace(node, free, nodes, PageTables(node), [Tlb() for _ in range(cpus)])


def vmap_space_from_dump(node: Node, dump: Mapping[str, Any]) -> VmapSpace:
    """Return the address space that a recorded dump of a real kernel describes, tree and all.

    What the ranges in use are for is not recorded.  Raises KeyError if a field is missing.

    Linux: no counterpart; it is how a recording is replayed.
    """
    space = vmap_space(node)
    space.free = free_vmap_area_root()
    _grow(space.free, dump["tree"], None, LEFT)
    space.nodes = [VmapNode() for _ in range(dump["nr_vmap_nodes"])]
    for record, vn in zip(dump["nodes"], space.nodes, strict=True):
        vn.busy = [_recorded_area(*entry) for entry in record["busy"]]
        vn.lazy = [_recorded_area(*entry) for entry in record["lazylist"]]
        vn.pool = {int(pages): [addr + VMALLOC_START for addr in addrs] for pages, addrs in record["pools"].items()}
    space.nr_lazy = dump["lazy"]
    return space


def _recorded_area(offset: int, size: int, flags: int) -> VmapArea:
    start = offset + VMALLOC_START & ULONG_MAX
    node_and_one = flags >> 8  # Linux keeps the node's number plus one in the upper bits
    return VmapArea(start, start + size, node_and_one - 1 if node_and_one else None)


def _grow(root: RbRoot[FreeRange], branch: Any, parent: FreeRange | None, side: int) -> None:
    """Build the recorded tree: [va_start, va_end, black, left, right], 0 for none."""
    if not branch:
        return
    start, end, black, left, right = branch
    node = FreeRange(start, end)
    node.parent = parent
    if parent is None:
        root.node = node
    else:
        parent.children[side] = node
    _grow(root, left, node, 0)
    _grow(root, right, node, 1)
    node.red = not black
    root.summarise(node)


def addr_to_node_id(space: VmapSpace, addr: int) -> int:
    """Return which node keeps account of the range that begins at an address.

    Linux: addr_to_node_id(), mm/vmalloc.c
    """
    return addr // VMAP_ZONE_SIZE % len(space.nodes)


def find_vmap_area(space: VmapSpace, addr: int) -> VmapArea | None:
    """Return the range in use that an address lies in, or None.

    Linux: find_vmap_area(), mm/vmalloc.c
    """
    first = addr_to_node_id(space, addr)
    for step in range(len(space.nodes)):
        busy = space.nodes[(first + step) % len(space.nodes)].busy
        at = bisect_right(busy, addr, key=_START)
        if at and addr < busy[at - 1].va_end:
            return busy[at - 1]
    return None


def unlink_vmap_area(space: VmapSpace, va: VmapArea) -> None:
    """Take a range off the list of those in use.  Linux: find_unlink_vmap_area(), mm/vmalloc.c"""
    space.nodes[addr_to_node_id(space, va.va_start)].busy.remove(va)


def lazy_max_pages(space: VmapSpace) -> int:
    """Return how many pages of addresses may wait before a purge: 32 MiB, more with more CPUs.

    Linux: lazy_max_pages(), mm/vmalloc.c
    """
    return space.nr_cpus.bit_length() * ((32 << 20) // PAGE_SIZE)


def node_alloc(space: VmapSpace, size: int, align: int, vstart: int, vend: int) -> tuple[int | None, int | None]:
    """Look in this CPU's pool; return an address or None, and the node to give it back to.

    Linux: node_alloc(), mm/vmalloc.c
    """
    if vstart != VMALLOC_START or vend != VMALLOC_END or len(space.nodes) == 1:
        return None, None
    vn_id = space.cpu % len(space.nodes)
    pool = space.nodes[vn_id].pool.get(size >> PAGE_SHIFT)
    if not pool:
        return None, vn_id
    addr = pool.pop(0)
    if addr % align:
        pool.append(addr)
        space.emit(VmapPoolRotate(vn_id, addr, size))
        return None, vn_id
    space.emit(VmapPoolDel(vn_id, addr, size))
    return addr, vn_id


def alloc_vmap_area(
    space: VmapSpace, size: int, align: int, vstart: int = VMALLOC_START, vend: int = VMALLOC_END
) -> VmapArea | None:
    """Return a range of ``size`` bytes of addresses, whole pages, aligned; or None.

    When nothing fits, the waiting ranges are purged and it looks once more.

    Linux: alloc_vmap_area(), mm/vmalloc.c
    """
    addr, vn_id = node_alloc(space, size, align, vstart, vend)
    if addr is None:
        addr = _alloc_from_free(space, size, align, vstart, vend)
    if addr is None:
        reclaim_and_purge_vmap_areas(space)
        addr = _alloc_from_free(space, size, align, vstart, vend)
    if addr is None:
        space.node.dmesg.append(
            f"vmalloc_node_range for size {size} failed: Address range restricted to {vstart:#x} - {vend:#x}"
        )
        return None
    space.emit(AllocVmapArea(addr, size, align, vstart, vend, False))
    va = VmapArea(addr, addr + size, vn_id)
    insort(space.nodes[addr_to_node_id(space, addr)].busy, va, key=_START)
    return va


def _alloc_from_free(space: VmapSpace, size: int, align: int, vstart: int, vend: int) -> int | None:
    addr = alloc_from_tree(space.free, size, align, vstart, vend)
    if addr is None:
        space.emit(AllocVmapArea(vend, size, align, vstart, vend, True))
    else:
        space.emit(VmapFreeDel(addr, size))
    return addr


def free_vmap_area_noflush(space: VmapSpace, va: VmapArea) -> None:
    """Let a range that is unmapped and out of use wait for the next purge.

    Linux: free_vmap_area_noflush(), mm/vmalloc.c
    """
    space.nr_lazy += va.nr_pages
    vn_id = va.vn_id if va.vn_id is not None else addr_to_node_id(space, va.va_start)
    insort(space.nodes[vn_id].lazy, va, key=_START)
    nr_lazy_max = lazy_max_pages(space)
    space.emit(FreeVmapAreaNoflush(va.va_start, space.nr_lazy, nr_lazy_max))
    if space.nr_lazy > nr_lazy_max:
        space.drain_pending = True


def drain_vmap_area_work(space: VmapSpace) -> None:
    """Purge, if so much waits that a worker was sent for it.

    Linux: drain_vmap_area_work(), mm/vmalloc.c
    Simplified: there the worker runs some time later, here as soon as the call is over.
    """
    if space.drain_pending:
        purge_vmap_area_lazy(space)


def reclaim_and_purge_vmap_areas(space: VmapSpace) -> None:
    """Purge everything, the pools too: addresses ran out.

    Linux: reclaim_and_purge_vmap_areas(), mm/vmalloc.c
    """
    purge_vmap_area_lazy(space, full_pool_decay=True)


def purge_vmap_area_lazy(space: VmapSpace, full_pool_decay: bool = False) -> int:
    """Flush the TLBs once and let all waiting ranges be used again; return how many.

    Linux: __purge_vmap_area_lazy(), mm/vmalloc.c
    """
    space.drain_pending = False
    waiting: list[tuple[int, list[VmapArea]]] = []
    start, end = ULONG_MAX, 0
    for number, vn in enumerate(space.nodes):
        decay_va_pool_node(space, number, full_pool_decay)
        if vn.lazy:
            start, end = min(start, vn.lazy[0].va_start), max(end, vn.lazy[-1].va_end)
            waiting.append((number, vn.lazy))
            vn.lazy = []
    if waiting:
        flush_tlb_kernel_range(space, start, end)
    npurged = 0
    for number, areas in waiting:
        purge_vmap_node(space, number, areas, populate=not full_pool_decay)
        npurged += len(areas)
    space.emit(PurgeVmapAreaLazy(start, end, npurged))
    return npurged


def purge_vmap_node(space: VmapSpace, number: int, areas: list[VmapArea], populate: bool) -> None:
    """Bring one node's waiting ranges into its pools, or back to the free ones, highest first.

    Linux: purge_vmap_node(), mm/vmalloc.c
    """
    pool = space.nodes[number].pool
    back: list[VmapArea] = []
    for va in areas:
        space.nr_lazy -= va.nr_pages
        if va.vn_id is not None and populate and va.nr_pages <= MAX_VA_SIZE_PAGES:
            pool.setdefault(va.nr_pages, []).insert(0, va.va_start)
            space.emit(VmapPoolAdd(number, va.va_start, va.size))
        else:
            back.append(va)
    for va in reversed(back):
        _give_back(space, va.va_start, va.va_end)


def decay_va_pool_node(space: VmapSpace, number: int, full_decay: bool) -> None:
    """Give a quarter of each of a node's pools back, or all of them.

    A pool of one to three ranges has no quarter; its counter wraps below zero, and the pool is
    emptied.

    Linux: decay_va_pool_node(), mm/vmalloc.c
    """
    decayed = free_vmap_area_root()
    for nr_pages, pool in sorted(space.nodes[number].pool.items()):
        n_decay = len(pool) // 4
        if full_decay or n_decay == 0:
            n_decay = len(pool)
        for addr in pool[:n_decay]:
            space.emit(VmapPoolDel(number, addr, nr_pages << PAGE_SHIFT))
            merge_or_add_vmap_area(decayed, addr, addr + (nr_pages << PAGE_SHIFT))
        del pool[:n_decay]
    for merged in decayed:
        _give_back(space, merged.va_start, merged.va_end)


def _give_back(space: VmapSpace, start: int, end: int) -> None:
    merge_or_add_vmap_area(space.free, start, end)
    space.emit(VmapFreeAdd(start, end - start))


def flush_tlb_kernel_range(space: VmapSpace, start: int, end: int) -> None:
    """Make all CPUs forget what they remember of a range; all of everything, if it is long.

    Linux: flush_tlb_kernel_range(), arch/x86/mm/tlb.c
    """
    space.nr_tlb_flushes += 1
    for tlb in space.tlbs:
        if end - start > TLB_SINGLE_PAGE_FLUSH_CEILING << PAGE_SHIFT:
            tlb.flush()
        else:
            tlb.flush_range(start, end)
    space.emit(FlushTlb(start, end))


def waiting_areas(space: VmapSpace) -> Iterator[VmapArea]:
    """Yield the ranges that wait for a purge, node by node.  Linux: no counterpart; a loop in show_purge_info()."""
    for vn in space.nodes:
        yield from vn.lazy
