# SPDX-License-Identifier: GPL-2.0-only
"""Fallback: taking memory that was set aside for another kind of page.

Pages that can be moved and pages that cannot are kept in separate pageblocks, so that an
immovable page does not sit in the middle of what could have become a huge page.  When a kind
runs out it *claims* a whole pageblock of another, the largest block first; if that would
convert too little, it *steals* the smallest block and leaves the rest alone.

Linux: mm/page_alloc.c
Simplified: no kdump kernel.
"""

from __future__ import annotations

from kmm_sim.mm.buddy import (
    change_pageblock_range,
    del_page_from_free_list,
    expand,
    get_page_from_free_area,
    page_del_and_expand,
    rmqueue_smallest,
)
from kmm_sim.mm.events import FreeListDel, FreeListMove, MmPageAllocExtfrag, SetBoost
from kmm_sim.mm.internal import ALLOC_KSWAPD, ALLOC_NOFRAGMENT
from kmm_sim.mm.mmzone import (
    MAX_PAGE_ORDER,
    NR_PAGE_ORDERS,
    PAGEBLOCK_NR_PAGES,
    PAGEBLOCK_ORDER,
    Migrate,
    Wmark,
    Zone,
    ZoneFlag,
)
from kmm_sim.mm.vmstat import account_freepages, set_zone_flag

__all__ = [
    "FALLBACKS",
    "RmqueueMode",
    "boost_watermark",
    "can_steal_fallback",
    "count_movable_pages",
    "find_suitable_fallback",
    "move_freepages_block",
    "rmqueue_claim",
    "rmqueue_or_fallback",
    "rmqueue_steal",
    "try_to_steal_block",
]

FALLBACKS: dict[int, tuple[int, int]] = {
    Migrate.UNMOVABLE: (Migrate.RECLAIMABLE, Migrate.MOVABLE),
    Migrate.MOVABLE: (Migrate.RECLAIMABLE, Migrate.UNMOVABLE),
    Migrate.RECLAIMABLE: (Migrate.UNMOVABLE, Migrate.MOVABLE),
}
"""Whom each type asks, in this order, when its own lists are empty."""


class RmqueueMode:
    """How far a run of requests has had to go: plain numbers, compared for every page.

    Linux: enum rmqueue_mode, mm/page_alloc.c
    """

    NORMAL = 0
    CLAIM = 2
    STEAL = 3


def can_steal_fallback(order: int, start_mt: int) -> bool:
    """Return whether taking a block of ``order`` may convert the pageblock around it.

    Linux: can_steal_fallback(), mm/page_alloc.c
    """
    return order >= PAGEBLOCK_ORDER // 2 or start_mt in (Migrate.RECLAIMABLE, Migrate.UNMOVABLE)


def find_suitable_fallback(zone: Zone, order: int, migratetype: int) -> int | None:
    """Return the first other type that has a free block of this order, or None.

    Linux: find_suitable_fallback(), mm/page_alloc.c
    """
    free_list = zone.free_area[order].free_list
    for fallback_mt in FALLBACKS.get(migratetype, ()):
        if free_list[fallback_mt]:
            return fallback_mt
    return None


def boost_watermark(zone: Zone) -> bool:
    """Raise the marks for a while, so that kswapd frees whole pageblocks; say whether it did.

    Linux: boost_watermark(), mm/page_alloc.c
    """
    if zone.managed_pages < PAGEBLOCK_NR_PAGES * 4:
        return False
    max_boost = zone.watermark[Wmark.HIGH] * zone.watermark_boost_factor // 10000
    if not max_boost:
        return False
    max_boost = max(PAGEBLOCK_NR_PAGES, max_boost)
    boost = min(zone.watermark_boost + PAGEBLOCK_NR_PAGES, max_boost)
    if zone.trace is not None and boost != zone.watermark_boost:
        zone.trace.emit(SetBoost(zone.index, boost))
    zone.watermark_boost = boost
    return True


def pageblock_in_zone(zone: Zone, pfn: int) -> bool:
    """Return whether the whole pageblock around ``pfn`` lies in the zone.

    ZONE_DMA begins at page frame 1, so its first pageblock never changes type.

    Linux: prep_move_freepages_block(), mm/page_alloc.c
    """
    start = pfn & ~(PAGEBLOCK_NR_PAGES - 1)
    return zone.spans_pfn(start) and zone.spans_pfn(start + PAGEBLOCK_NR_PAGES - 1)


def free_blocks_in_pageblock(zone: Zone, pfn: int) -> list[tuple[int, int]]:
    """Return (pfn, order) of each free block in the pageblock around ``pfn``, lowest first.

    Linux: __move_freepages_block(), prep_move_freepages_block(), mm/page_alloc.c
    """
    start = pfn & ~(PAGEBLOCK_NR_PAGES - 1)
    blocks, buddy, pfn = [], zone.buddy, start
    while pfn < start + PAGEBLOCK_NR_PAGES:
        order = buddy.get(pfn)
        if order is None:
            pfn += 1
            continue
        blocks.append((pfn, order))
        pfn += 1 << order
    return blocks


def count_movable_pages(zone: Zone, pfn: int) -> int:
    """Return how many pages of the pageblock around ``pfn`` are in use by a movable owner.

    Linux: prep_move_freepages_block(), mm/page_alloc.c
    """
    start = pfn & ~(PAGEBLOCK_NR_PAGES - 1)
    if not zone.lru:
        return 0
    return sum(frame in zone.lru for frame in range(start, start + PAGEBLOCK_NR_PAGES))


def move_freepages_block(zone: Zone, pfn: int, old_mt: int, new_mt: int) -> int:
    """Convert a pageblock: its free blocks go to the tails of the new type's lists.

    Returns the number of pages moved.

    Linux: __move_freepages_block(), mm/page_alloc.c
    """
    pages_moved = 0
    for block, order in free_blocks_in_pageblock(zone, pfn):
        free_list = zone.free_area[order].free_list
        free_list[old_mt].list_del(block)
        free_list[new_mt].list_add_tail(block)
        account_freepages(zone, -(1 << order), old_mt)
        account_freepages(zone, 1 << order, new_mt)
        pages_moved += 1 << order
        if zone.trace is not None:
            zone.trace.emit(FreeListMove(zone.index, block, order, old_mt, new_mt))
    start = pfn & ~(PAGEBLOCK_NR_PAGES - 1)
    change_pageblock_range(zone, start, PAGEBLOCK_ORDER, new_mt)
    return pages_moved


def try_to_steal_block(
    zone: Zone, pfn: int, current_order: int, order: int, start_type: int, alloc_flags: int
) -> int | None:
    """Convert the pageblock around a free block and take ``order`` from it, if it is worth it.

    A block of a pageblock or more is converted whole.  A smaller one only if at least half
    of its pageblock is free or already of a kind with the request.

    Linux: try_to_steal_block(), mm/page_alloc.c
    """
    block_type = zone.pageblock_migratetype(pfn)
    if block_type == Migrate.HIGHATOMIC:
        return None
    if current_order >= PAGEBLOCK_ORDER:
        del_page_from_free_list(zone, pfn, current_order, block_type)
        if zone.trace is not None:
            zone.trace.emit(FreeListDel(zone.index, pfn, current_order, block_type))
        account_freepages(zone, -(1 << current_order), block_type)
        change_pageblock_range(zone, pfn, current_order, start_type)
        nr_added = expand(zone, pfn, order, current_order, start_type)
        account_freepages(zone, nr_added, start_type)
        return pfn
    if boost_watermark(zone) and alloc_flags & ALLOC_KSWAPD:
        set_zone_flag(zone, ZoneFlag.BOOSTED_WATERMARK)
    if not pageblock_in_zone(zone, pfn):
        return None
    free_pages = sum(1 << size for _, size in free_blocks_in_pageblock(zone, pfn))
    alike_pages = movable_pages = count_movable_pages(zone, pfn)
    if start_type != Migrate.MOVABLE:
        # What in a movable block is neither free nor movable was taken by a kind like ours.
        alike_pages = 0
        if block_type == Migrate.MOVABLE:
            alike_pages = PAGEBLOCK_NR_PAGES - (free_pages + movable_pages)
    if free_pages + alike_pages < PAGEBLOCK_NR_PAGES // 2:
        return None
    move_freepages_block(zone, pfn, block_type, start_type)
    return rmqueue_smallest(zone, order, start_type)


def rmqueue_claim(zone: Zone, order: int, migratetype: int, alloc_flags: int) -> int | None:
    """Take a block from another type by converting a pageblock, the largest block first.

    Linux: __rmqueue_claim(), mm/page_alloc.c
    """
    min_order = order
    if order < PAGEBLOCK_ORDER and alloc_flags & ALLOC_NOFRAGMENT:
        min_order = PAGEBLOCK_ORDER
    for current_order in range(MAX_PAGE_ORDER, min_order - 1, -1):
        fallback_mt = find_suitable_fallback(zone, current_order, migratetype)
        if fallback_mt is None:
            continue
        if not can_steal_fallback(current_order, migratetype):
            break
        head = get_page_from_free_area(zone, current_order, fallback_mt)
        assert head is not None  # find_suitable_fallback() saw it
        pfn = try_to_steal_block(zone, head, current_order, order, migratetype, alloc_flags)
        if pfn is not None:
            _tell_fallback(zone, pfn, order, current_order, migratetype, fallback_mt)
            return pfn
    return None


def rmqueue_steal(zone: Zone, order: int, migratetype: int) -> int | None:
    """Take the smallest block that fits from another type and leave its pageblock as it is.

    Linux: __rmqueue_steal(), mm/page_alloc.c
    """
    for current_order in range(order, NR_PAGE_ORDERS):
        fallback_mt = find_suitable_fallback(zone, current_order, migratetype)
        if fallback_mt is None:
            continue
        pfn = get_page_from_free_area(zone, current_order, fallback_mt)
        assert pfn is not None  # find_suitable_fallback() saw it
        page_del_and_expand(zone, pfn, order, current_order, fallback_mt)
        _tell_fallback(zone, pfn, order, current_order, migratetype, fallback_mt)
        return pfn
    return None


def _tell_fallback(
    zone: Zone, pfn: int, order: int, current_order: int, migratetype: int, fallback_mt: int
) -> None:
    if zone.trace is not None:
        owned = zone.pageblock_migratetype(pfn) == migratetype
        zone.trace.emit(
            MmPageAllocExtfrag(pfn, order, current_order, migratetype, int(fallback_mt), owned)
        )


def rmqueue_or_fallback(
    zone: Zone,
    order: int,
    migratetype: int,
    alloc_flags: int,
    mode: int = RmqueueMode.NORMAL,
) -> tuple[int | None, int]:
    """Take a block from the type's own lists, else claim, else steal; return pfn and mode.

    A run of requests hands the mode on: after a steal the next one steals at once.

    Linux: __rmqueue(), mm/page_alloc.c
    """
    if mode == RmqueueMode.NORMAL:
        pfn = rmqueue_smallest(zone, order, migratetype)
        if pfn is not None:
            return pfn, RmqueueMode.NORMAL
    if mode <= RmqueueMode.CLAIM:
        pfn = rmqueue_claim(zone, order, migratetype, alloc_flags)
        if pfn is not None:
            return pfn, RmqueueMode.NORMAL
    if not alloc_flags & ALLOC_NOFRAGMENT:
        pfn = rmqueue_steal(zone, order, migratetype)
        if pfn is not None:
            return pfn, RmqueueMode.STEAL
    return None, mode
