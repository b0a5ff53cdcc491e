# SPDX-License-Identifier: GPL-2.0-only
"""Compaction: moving pages together, so that a large block becomes free.

Free memory may be enough and yet lie about in single pages.  Pages on the LRU lists can be
moved: their owner finds them through a table, and the table can be changed.  Compaction
empties a range by moving them to free pages elsewhere.

Linux: mm/compaction.c
Simplified: Linux lets two scanners walk towards each other; here the aligned range that costs
the fewest moves is emptied, as thoroughly at each priority.  Nothing is deferred after a failure, and
no fragmentation index keeps it from large orders.  A page that was moved counts as young.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from kmm_sim.mm.bad_page import free_pages_prepare
from kmm_sim.mm.buddy import add_to_free_list, del_page_from_free_list, split_large_buddy
from kmm_sim.mm.events import (
    FreeListAdd,
    FreeListDel,
    MmCompactionBegin,
    MmCompactionEnd,
    MmMigratePage,
)
from kmm_sim.mm.internal import ALLOC_WMARK_MASK
from kmm_sim.mm.mmzone import MAX_PAGE_ORDER, PAGE_ALLOC_COSTLY_ORDER, Node, Wmark, Zone
from kmm_sim.mm.page import Page
from kmm_sim.mm.pcp import drain_pages_zone
from kmm_sim.mm.vmstat import account_freepages
from kmm_sim.mm.watermark import wmark_pages, zone_watermark_ok

__all__ = [
    "CompactPriority",
    "CompactResult",
    "compact_zone",
    "compaction_suitable",
    "migrate_page",
    "try_to_compact_pages",
]


class CompactPriority(IntEnum):
    """How hard compaction tries; it begins with the highest number.

    Linux: enum compact_priority, include/linux/compaction.h
    """

    SYNC_FULL = 0
    SYNC_LIGHT = 1
    ASYNC = 2


class CompactResult(IntEnum):
    """What came of it: too little is free to begin; nothing could be made; a block is there.

    Linux: enum compact_result, include/linux/compaction.h
    """

    SKIPPED = 1
    COMPLETE = 5
    SUCCESS = 8


def compaction_suitable(zone: Zone, order: int, highest_zoneidx: int, free_pages: int | None = None) -> bool:
    """Return whether a zone has enough free pages to move others to: twice the block, above its mark.

    ``free_pages`` is how many to count with, if not those that are free now.

    Linux: __compaction_suitable(), mm/compaction.c
    """
    mark = wmark_pages(zone, Wmark.LOW if order > PAGE_ALLOC_COSTLY_ORDER else Wmark.MIN)
    return zone_watermark_ok(zone, 0, mark + (2 << order), highest_zoneidx, 0, free_pages)


def try_to_compact_pages(
    node: Node, zones: Sequence[Zone], order: int, alloc_flags: int, highest_zoneidx: int
) -> CompactResult:
    """Try to make a free block of ``order`` in one of the zones; return how far it came in the best.

    Linux: try_to_compact_pages(), mm/compaction.c
    """
    best = CompactResult.SKIPPED
    for zone in zones:
        mark = wmark_pages(zone, alloc_flags & ALLOC_WMARK_MASK)
        if zone_watermark_ok(zone, order, mark, highest_zoneidx, alloc_flags):
            return CompactResult.SUCCESS
        if compaction_suitable(zone, order, highest_zoneidx):
            if compact_zone(node, zone, order):
                return CompactResult.SUCCESS
            best = CompactResult.COMPLETE
    return best


def compact_zone(node: Node, zone: Zone, order: int) -> bool:
    """Empty one aligned range of 2**order pages of a zone; return whether there was one.

    Linux: compact_zone(), mm/compaction.c
    """
    if not node.lru:
        return False
    if node.trace is not None:
        node.trace.emit(MmCompactionBegin(zone.index, order))
    for cpu in range(len(zone.per_cpu_pageset)):
        drain_pages_zone(zone, cpu)
    start = _cheapest_range(node, zone, order)
    if start is not None:
        _empty(node, zone, start, order)
    if node.trace is not None:
        node.trace.emit(MmCompactionEnd(zone.index, start is not None))
    return start is not None


def _cheapest_range(node: Node, zone: Zone, order: int) -> int | None:
    """Return where the range begins in which the fewest pages must move, or None."""
    free = _free_pages(zone)
    best, fewest = None, (1 << order) + 1
    for start in sorted({pfn >> order << order for pfn in zone.lru if pfn in node.lru}):
        span = range(start, start + (1 << order))
        moves = [pfn for pfn in span if pfn in node.lru]
        movable = all(pfn in free or pfn in node.lru for pfn in span)
        room = len(free) - sum(pfn in free for pfn in span)
        if movable and len(moves) < fewest and len(moves) <= room:
            best, fewest = start, len(moves)
    return best


def _free_pages(zone: Zone) -> set[int]:
    """Return all page frames in free blocks smaller than the largest."""
    return {
        page
        for pfn, order in zone.buddy.items()
        if order < MAX_PAGE_ORDER
        for page in range(pfn, pfn + (1 << order))
    }


def _empty(node: Node, zone: Zone, start: int, order: int) -> None:
    """Move the pages of a range to free pages outside it, the highest first."""
    span = range(start, start + (1 << order))
    targets = sorted(_free_pages(zone).difference(span))
    for pfn in span:
        if pfn in node.lru:
            migrate_page(node, pfn, targets.pop())


def migrate_page(node: Node, pfn: int, target: int) -> None:
    """Move what a page holds, and who holds it, to a free page; free the old one.

    Linux: migrate_pages(), mm/migrate.c
    """
    zone, old = node.page(pfn).zone, node.page(pfn)
    _isolate(zone, target)
    new = node.page(target)
    new.order, new.gfp, new.refcount = 0, old.gfp, old.refcount
    new.flags, new.mapping = old.flags, old.mapping
    node.memory.write(target << 12, node.memory.read(pfn << 12, 4096))
    node.lru[target] = node.lru.pop(pfn)
    zone.lru.discard(pfn)
    zone.lru.add(target)
    owner = node.lru[target].owner
    if owner is not None:
        owner.anon.discard(pfn)
        owner.anon.add(target)
    if node.trace is not None:
        node.trace.emit(MmMigratePage(pfn, target))
    _release(node, old)


def _release(node: Node, old: Page) -> None:
    old.refcount, old.mapping = 0, 0
    old.flags = old.zone.page_links
    if free_pages_prepare(node, old, 0):
        split_large_buddy(old.zone, old.pfn, 0)


def _isolate(zone: Zone, target: int) -> None:
    """Take one page out of the free block around it; the halves it is not in stay free."""
    order = next(size for size in range(MAX_PAGE_ORDER) if zone.buddy.get(target >> size << size) == size)
    pfn, migratetype = target >> order << order, zone.pageblock_migratetype(target)
    del_page_from_free_list(zone, pfn, order, migratetype)
    account_freepages(zone, -(1 << order), migratetype)
    if zone.trace is not None:
        zone.trace.emit(FreeListDel(zone.index, pfn, order, migratetype))
    while order:
        order -= 1
        other = pfn + (1 << order)
        if target >= other:
            pfn, other = other, pfn
        add_to_free_list(zone, other, order, migratetype, tail=False)
        account_freepages(zone, 1 << order, migratetype)
        if zone.trace is not None:
            zone.trace.emit(FreeListAdd(zone.index, other, order, migratetype, False))
