# SPDX-License-Identifier: GPL-2.0-only
"""The buddy system: splitting and merging blocks.

Free memory is kept as blocks of 2**order pages, each aligned to its own size.  A request
takes the first block of the smallest order that has one and halves it until it fits.  A block
that comes back merges with its buddy, the other half of the block both came from, for as long
as that buddy is free too.  There is no tree: the buddy's number differs in one bit.

Linux: mm/page_alloc.c, mm/internal.h
Simplified: no free-list shuffling, no guard pages, no compaction capture.
"""

from __future__ import annotations

from kmm_sim.mm.events import FreeListAdd, FreeListDel, Merge, SetPageblock, Split
from kmm_sim.mm.mmzone import (
    MAX_PAGE_ORDER,
    MIGRATE_PCPTYPES,
    NR_PAGE_ORDERS,
    PAGEBLOCK_NR_PAGES,
    PAGEBLOCK_ORDER,
    Zone,
)
from kmm_sim.mm.vmstat import account_freepages, mod_zone_page_state

__all__ = [
    "add_to_free_list",
    "buddy_merge_likely",
    "change_pageblock_range",
    "del_page_from_free_list",
    "expand",
    "find_buddy_pfn",
    "free_one_page",
    "free_page_alone",
    "get_page_from_free_area",
    "migratetype_is_mergeable",
    "page_del_and_expand",
    "page_is_buddy",
    "rmqueue_smallest",
    "split_large_buddy",
]


def find_buddy_pfn(pfn: int, order: int) -> int:
    """Return the other half of the pair that the block at ``pfn`` belongs to.

    Linux: __find_buddy_pfn(), mm/internal.h
    """
    return pfn ^ (1 << order)


def page_is_buddy(zone: Zone, pfn: int, order: int) -> bool:
    """Return whether a free block of exactly this order begins at ``pfn`` in this zone.

    Linux: page_is_buddy(), mm/internal.h
    """
    return zone.buddy.get(pfn) == order


def get_page_from_free_area(zone: Zone, order: int, migratetype: int) -> int | None:
    """Return the pfn at the head of a free list, or None if the list is empty.

    Linux: get_page_from_free_area(), mm/page_alloc.c
    """
    return zone.free_area[order].free_list[migratetype].first()


def add_to_free_list(
    zone: Zone, pfn: int, order: int, migratetype: int, tail: bool = False
) -> None:
    """Put a block on its list and mark its first page as the head of a free block.

    Linux: __add_to_free_list(), mm/page_alloc.c
    """
    free_list = zone.free_area[order].free_list[migratetype]
    if tail:
        free_list.list_add_tail(pfn)
    else:
        free_list.list_add(pfn)
    zone.buddy[pfn] = order


def del_page_from_free_list(zone: Zone, pfn: int, order: int, migratetype: int) -> None:
    """Take a block off its list; the counters are the caller's business.

    Linux: __del_page_from_free_list(), mm/page_alloc.c
    """
    zone.free_area[order].free_list[migratetype].list_del(pfn)
    zone.buddy.pop(pfn, None)  # an untouched block is not in there


def expand(zone: Zone, pfn: int, low: int, high: int, migratetype: int) -> int:
    """Halve a block from order ``high`` to ``low``; each upper half goes to its list's head.

    Returns the number of pages put back.

    Linux: expand(), mm/page_alloc.c
    """
    size = 1 << high
    nr_added = 0
    while high > low:
        high -= 1
        size >>= 1
        add_to_free_list(zone, pfn + size, high, migratetype)
        nr_added += size
        if zone.trace is not None:
            zone.trace.note(Split, zone.index, pfn, high, migratetype)
    return nr_added


def page_del_and_expand(zone: Zone, pfn: int, low: int, high: int, migratetype: int) -> None:
    """Take a free block of order ``high`` and keep 2**low pages of it, the lowest ones.

    Linux: page_del_and_expand(), mm/page_alloc.c
    """
    nr_pages = 1 << high
    del_page_from_free_list(zone, pfn, high, migratetype)
    if zone.trace is not None:
        zone.trace.note(FreeListDel, zone.index, pfn, high, migratetype)
    nr_pages -= expand(zone, pfn, low, high, migratetype)
    account_freepages(zone, -nr_pages, migratetype)


def rmqueue_smallest(zone: Zone, order: int, migratetype: int) -> int | None:
    """Take a block of ``order`` from the smallest order that has one; return its pfn or None.

    Linux: __rmqueue_smallest(), mm/page_alloc.c
    """
    for current_order in range(order, NR_PAGE_ORDERS):
        pfn = get_page_from_free_area(zone, current_order, migratetype)
        if pfn is None:
            continue
        page_del_and_expand(zone, pfn, order, current_order, migratetype)
        return pfn
    return None


def buddy_merge_likely(zone: Zone, pfn: int, order: int) -> bool:
    """Return whether the block is likely to merge soon: its parent's buddy is free already.

    Such a block goes to the tail of its list, to be taken last.

    Linux: buddy_merge_likely(), mm/page_alloc.c
    """
    if order >= MAX_PAGE_ORDER - 1:
        return False
    higher_pfn = pfn & ~(1 << order)
    return page_is_buddy(zone, find_buddy_pfn(higher_pfn, order + 1), order + 1)


def migratetype_is_mergeable(migratetype: int) -> bool:
    """Return whether pageblocks of this type may merge with others.

    Linux: migratetype_is_mergeable(), include/linux/mmzone.h
    """
    return migratetype < MIGRATE_PCPTYPES


def change_pageblock_range(zone: Zone, pfn: int, order: int, migratetype: int) -> None:
    """Make the pageblocks of a block of ``order`` (at least one pageblock) another type.

    Linux: change_pageblock_range(), mm/page_alloc.c
    """
    for start in range(pfn, pfn + (1 << order), PAGEBLOCK_NR_PAGES):
        zone.pageblocks[start >> PAGEBLOCK_ORDER] = migratetype
        if zone.trace is not None:
            zone.trace.emit(SetPageblock(zone.index, start, migratetype))


def free_one_page(
    zone: Zone, pfn: int, order: int, migratetype: int, to_tail: bool = False
) -> None:
    """Give a block back: merge it with its buddy while that is free, then put it on a list.

    Linux: __free_one_page(), mm/page_alloc.c
    """
    account_freepages(zone, 1 << order, migratetype)
    while order < MAX_PAGE_ORDER:
        buddy_pfn = find_buddy_pfn(pfn, order)
        if not page_is_buddy(zone, buddy_pfn, order):
            break
        buddy_mt = migratetype
        if order >= PAGEBLOCK_ORDER:
            buddy_mt = zone.pageblock_migratetype(buddy_pfn)
            if migratetype != buddy_mt and not (
                migratetype_is_mergeable(migratetype) and migratetype_is_mergeable(buddy_mt)
            ):
                break
        del_page_from_free_list(zone, buddy_pfn, order, buddy_mt)
        if zone.trace is not None:
            zone.trace.note(Merge, zone.index, pfn, order, buddy_pfn, buddy_mt)
        if buddy_mt != migratetype:  # so that a later split finds the right lists
            change_pageblock_range(zone, buddy_pfn, order, migratetype)
        pfn &= buddy_pfn
        order += 1
    tail = to_tail or buddy_merge_likely(zone, pfn, order)
    add_to_free_list(zone, pfn, order, migratetype, tail)
    if zone.trace is not None:
        zone.trace.note(FreeListAdd, zone.index, pfn, order, migratetype, tail)


def free_page_alone(zone: Zone, pfn: int, order: int, migratetype: int) -> bool:
    """Give a block back if it stays alone: it is smaller than a pageblock, its buddy is in use.

    That is so for most blocks, and it is free_one_page() in one step.  Returns False, and does
    nothing, if it is not so.

    Linux: __free_one_page(), mm/page_alloc.c
    """
    size = 1 << order
    buddy = zone.buddy
    if order >= PAGEBLOCK_ORDER or migratetype >= MIGRATE_PCPTYPES or buddy.get(pfn ^ size) == order:
        return False
    mod_zone_page_state(zone, size)
    free_list = zone.free_area[order].free_list[migratetype]
    tail = buddy.get((pfn & ~size) ^ (size << 1)) == order + 1  # buddy_merge_likely()
    if tail:
        free_list.list_add_tail(pfn)
    else:
        free_list.list_add(pfn)
    buddy[pfn] = order
    if zone.trace is not None:
        zone.trace.note(FreeListAdd, zone.index, pfn, order, migratetype, tail)
    return True


def split_large_buddy(zone: Zone, pfn: int, order: int, to_tail: bool = False) -> None:
    """Give back a block that may be larger than a pageblock, one pageblock after the other.

    Linux: split_large_buddy(), mm/page_alloc.c
    """
    end = pfn + (1 << order)
    order = min(order, PAGEBLOCK_ORDER)
    while pfn < end:
        free_one_page(zone, pfn, order, zone.pageblock_migratetype(pfn), to_tail)
        pfn += 1 << order
