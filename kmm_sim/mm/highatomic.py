# SPDX-License-Identifier: GPL-2.0-only
"""The reserve for urgent requests of several pages that cannot wait.

A network driver in an interrupt needs, say, eight contiguous pages, now.  When such a request
was served from below the low mark, the pageblock it came from is set aside: until memory gets
really short only requests of this kind take from it.

Linux: mm/page_alloc.c
"""

from __future__ import annotations

from collections.abc import Iterable

from kmm_sim.mm.buddy import change_pageblock_range, get_page_from_free_area
from kmm_sim.mm.events import FreeListMove, SetHighatomic
from kmm_sim.mm.fallback import move_freepages_block, pageblock_in_zone
from kmm_sim.mm.mmzone import (
    MIGRATE_PCPTYPES,
    NR_PAGE_ORDERS,
    PAGEBLOCK_NR_PAGES,
    PAGEBLOCK_ORDER,
    Migrate,
    Zone,
)
from kmm_sim.mm.vmstat import account_freepages

__all__ = ["reserve_highatomic_pageblock", "unreserve_highatomic_pageblock"]


def reserve_highatomic_pageblock(zone: Zone, pfn: int, order: int) -> None:
    """Set aside the pageblock around ``pfn``, as long as that is within 1 % of the zone.

    Linux: reserve_highatomic_pageblock(), mm/page_alloc.c
    """
    one_percent = zone.managed_pages // 100
    max_managed = -(-one_percent // PAGEBLOCK_NR_PAGES) * PAGEBLOCK_NR_PAGES
    if one_percent < PAGEBLOCK_NR_PAGES or zone.nr_reserved_highatomic >= max_managed:
        return
    migratetype = zone.pageblock_migratetype(pfn)
    if migratetype >= MIGRATE_PCPTYPES:
        return
    if order >= PAGEBLOCK_ORDER:
        change_pageblock_range(zone, pfn, order, Migrate.HIGHATOMIC)
        _set_reserved(zone, zone.nr_reserved_highatomic + (1 << order))
    elif pageblock_in_zone(zone, pfn):
        move_freepages_block(zone, pfn, migratetype, Migrate.HIGHATOMIC)
        _set_reserved(zone, zone.nr_reserved_highatomic + PAGEBLOCK_NR_PAGES)


def unreserve_highatomic_pageblock(zones: Iterable[Zone], migratetype: int, force: bool) -> bool:
    """Give one reserved pageblock up to an ordinary request that is about to fail.

    The last one of a zone only if ``force``.  Returns whether there was one.

    Linux: unreserve_highatomic_pageblock(), mm/page_alloc.c
    """
    for zone in zones:
        if not force and zone.nr_reserved_highatomic <= PAGEBLOCK_NR_PAGES:
            continue
        for order in range(NR_PAGE_ORDERS):
            pfn = get_page_from_free_area(zone, order, Migrate.HIGHATOMIC)
            if pfn is not None:
                _unreserve(zone, pfn, order, migratetype)
                return True
    return False


def _unreserve(zone: Zone, pfn: int, order: int, migratetype: int) -> None:
    """Make the pageblock around a free block of the reserve one of ``migratetype``."""
    size = max(PAGEBLOCK_NR_PAGES, 1 << order)
    _set_reserved(zone, zone.nr_reserved_highatomic - min(size, zone.nr_reserved_highatomic))
    if order < PAGEBLOCK_ORDER:
        move_freepages_block(zone, pfn, Migrate.HIGHATOMIC, migratetype)
        return
    free_list = zone.free_area[order].free_list
    free_list[Migrate.HIGHATOMIC].list_del(pfn)
    free_list[migratetype].list_add_tail(pfn)
    account_freepages(zone, -(1 << order), Migrate.HIGHATOMIC)
    account_freepages(zone, 1 << order, migratetype)
    if zone.trace is not None:
        zone.trace.emit(FreeListMove(zone.index, pfn, order, Migrate.HIGHATOMIC, migratetype))
    change_pageblock_range(zone, pfn, order, migratetype)


def _set_reserved(zone: Zone, nr_pages: int) -> None:
    zone.nr_reserved_highatomic = nr_pages
    if zone.trace is not None:
        zone.trace.emit(SetHighatomic(zone.index, nr_pages))
