# SPDX-License-Identifier: GPL-2.0-only
"""A snapshot: the state of a machine, frozen, to look at and to compare.

Two snapshots are equal when the free lists hold the same blocks in the same order, the
pageblocks have the same types, and the same blocks are allocated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from kmm_sim.machine import Machine
from kmm_sim.mm.gfp import gfp_migratetype
from kmm_sim.mm.mmzone import MIGRATE_TYPES, NR_PAGE_ORDERS, Migrate, Zone
from kmm_sim.mm.pcp import pindex_to_migratetype, pindex_to_order

__all__ = ["Allocation", "FreeBlocks", "PcpBlocks", "Reclaimable", "Snapshot", "ZoneSnapshot", "snapshot"]


@dataclass(frozen=True, slots=True)
class Allocation:
    """A block that somebody holds: its first page, order, migratetype asked for, mask, references."""

    pfn: int
    order: int
    migratetype: int
    gfp: int
    refcount: int = 1


@dataclass(frozen=True, slots=True)
class FreeBlocks:
    """One free list that is not empty: the first pfn of each block, head first.

    It prints as ``order 0: 302 300 298``, with the migratetype where that is not unmovable.
    """

    order: int
    migratetype: int
    pfns: tuple[int, ...]

    def __str__(self) -> str:
        kind = f" {Migrate(self.migratetype).name.lower()}" if self.migratetype else ""
        return f"order {self.order}{kind}: {' '.join(map(str, self.pfns))}"


@dataclass(frozen=True, slots=True)
class PcpBlocks:
    """One list of one CPU that is not empty: the first pfn of each block, head first.

    Huge pages (order 9) have two lists: migratetype 1, movable, and 0 for all others.
    """

    cpu: int
    order: int
    migratetype: int
    pfns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ZoneSnapshot:
    """A zone: where it is, its marks in pages, its free lists, its pageblocks.

    ``pageblocks`` maps a pageblock's number (pfn >> 9) to its migratetype where that differs
    from ``pageblock_default``.  ``flags`` are bits of ``kmm_sim.mm.mmzone.ZoneFlag``.
    """

    index: int
    name: str
    node: int
    start_pfn: int
    spanned_pages: int
    managed_pages: int
    watermark: tuple[int, ...]
    lowmem_reserve: tuple[int, ...]
    pageblock_default: int
    pageblocks: Mapping[int, int]
    free: tuple[FreeBlocks, ...]
    pcp: tuple[PcpBlocks, ...] = ()
    watermark_boost: int = 0
    flags: int = 0
    nr_reserved_highatomic: int = 0

    @property
    def nr_pcp_pages(self) -> int:
        """The number of pages on per-CPU lists, which count as neither free nor allocated."""
        return sum(len(blocks.pfns) << blocks.order for blocks in self.pcp)

    @property
    def nr_free_pages(self) -> int:
        """The number of free pages, counted from the lists."""
        return sum(len(blocks.pfns) << blocks.order for blocks in self.free)

    @property
    def nr_free(self) -> tuple[int, ...]:
        """The number of free blocks of each order, as /proc/buddyinfo counts them."""
        counts = [0] * NR_PAGE_ORDERS
        for blocks in self.free:
            counts[blocks.order] += len(blocks.pfns)
        return tuple(counts)


@dataclass(frozen=True, slots=True)
class Reclaimable:
    """A page that can be reclaimed: anonymous memory or a file's; dirty if it must be written."""

    pfn: int
    anon: bool
    dirty: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole machine: its zones, and by first pfn every block that somebody holds.

    ``lru`` has those of the pages held that can be reclaimed, oldest first.
    """

    zones: tuple[ZoneSnapshot, ...]
    allocated: Mapping[int, Allocation]
    lru: tuple[Reclaimable, ...] = ()


def snapshot(machine: Machine) -> Snapshot:
    """Return the state of ``machine`` as it is now; later calls do not change it."""
    grouped = machine.node.group_by_mobility
    allocated = {
        page.pfn: Allocation(
            page.pfn,
            page.order,
            gfp_migratetype(page.gfp) if grouped else 0,
            page.gfp,
            page.refcount,
        )
        for page in machine.node.mem_map.values()
        if page.order >= 0
    }
    zones = tuple(map(_zone, machine.zones))
    lru = tuple(Reclaimable(pfn, one.anon, one.dirty) for pfn, one in machine.node.lru.items())
    return Snapshot(zones, MappingProxyType(dict(sorted(allocated.items()))), lru)


def _zone(zone: Zone) -> ZoneSnapshot:
    free = tuple(
        FreeBlocks(order, migratetype, tuple(zone.free_area[order].free_list[migratetype]))
        for order in range(NR_PAGE_ORDERS)
        for migratetype in range(MIGRATE_TYPES)
        if zone.free_area[order].free_list[migratetype]
    )
    special = {
        number: int(migratetype)
        for number, migratetype in sorted(zone.pageblocks.items())
        if migratetype != zone.pageblock_default
    }
    return ZoneSnapshot(
        index=zone.index,
        name=zone.name,
        node=zone.nid,
        start_pfn=zone.start_pfn,
        spanned_pages=zone.spanned_pages,
        managed_pages=zone.managed_pages,
        watermark=tuple(zone.watermark),
        lowmem_reserve=tuple(zone.lowmem_reserve),
        pageblock_default=int(zone.pageblock_default),
        pageblocks=MappingProxyType(special),
        free=free,
        pcp=tuple(
            PcpBlocks(cpu, pindex_to_order(pindex), pindex_to_migratetype(pindex), tuple(pfns))
            for cpu, pcp in enumerate(zone.per_cpu_pageset)
            for pindex, pfns in enumerate(pcp.lists)
            if pfns
        ),
        watermark_boost=zone.watermark_boost,
        flags=int(zone.flags),
        nr_reserved_highatomic=zone.nr_reserved_highatomic,
    )
