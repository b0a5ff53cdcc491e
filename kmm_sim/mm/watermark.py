# SPDX-License-Identifier: GPL-2.0-only
"""Watermarks: how low a zone may run, and for whom.

Each zone has marks, in pages.  An ordinary request must leave the zone above *low*; when
that fails it is tried again against *min*.  Below min the last pages are kept for those who
cannot wait.  A request that could have used a higher zone must leave some more of this one.

Linux: mm/page_alloc.c, mm/khugepaged.c
Simplified: no real-time tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

from kmm_sim.mm.internal import (
    ALLOC_HIGHATOMIC,
    ALLOC_MIN_RESERVE,
    ALLOC_NO_WATERMARKS,
    ALLOC_NON_BLOCK,
    ALLOC_OOM,
    ALLOC_RESERVES,
    ALLOC_WMARK_MASK,
)
from kmm_sim.mm.mmzone import (
    MAX_NR_ZONES,
    MIGRATE_PCPTYPES,
    PAGEBLOCK_NR_PAGES,
    Migrate,
    Wmark,
    Zone,
    ZoneType,
)
from kmm_sim.mm.page import PAGE_SHIFT

__all__ = [
    "SWAP_CLUSTER_MAX",
    "calculate_min_free_kbytes",
    "has_free_block",
    "min_with_reserves",
    "setup_per_zone_lowmem_reserve",
    "setup_per_zone_wmarks",
    "why_refused",
    "wmark_pages",
    "zone_watermark_fast",
    "zone_watermark_ok",
    "zone_watermark_ok_2_6",
    "zone_watermark_unusable_free",
]

SWAP_CLUSTER_MAX = 32


def wmark_pages(zone: Zone, wmark: int) -> int:
    """Return a mark of the zone in pages, the boost included.

    Linux: wmark_pages(), include/linux/mmzone.h
    """
    return zone.watermark[wmark] + zone.watermark_boost


def zone_watermark_unusable_free(zone: Zone, order: int, alloc_flags: int) -> int:
    """Return how many of the free pages this request must not count on.

    Linux: __zone_watermark_unusable_free(), mm/page_alloc.c
    """
    unusable_free = (1 << order) - 1
    if not alloc_flags & ALLOC_RESERVES:
        unusable_free += zone.nr_free_highatomic
    return unusable_free


def zone_watermark_ok(
    zone: Zone,
    order: int,
    mark: int,
    highest_zoneidx: int,
    alloc_flags: int,
    free_pages: int | None = None,
) -> bool:
    """Return whether a request leaves the zone above ``mark`` pages and has a block to take.

    ``free_pages`` is how many to count with, if not those that are free now.

    Linux: __zone_watermark_ok(), mm/page_alloc.c
    """
    least = mark
    if free_pages is None:
        free_pages = zone.vm_stat_free
    free_pages -= zone_watermark_unusable_free(zone, order, alloc_flags)
    if alloc_flags & ALLOC_RESERVES:
        least = min_with_reserves(mark, alloc_flags)
    if free_pages <= least + zone.lowmem_reserve[highest_zoneidx]:
        return False
    return not order or has_free_block(zone, order, alloc_flags)


def min_with_reserves(mark: int, alloc_flags: int) -> int:
    """Return how much of a mark is left for one who may use a part of the reserves.

    Linux: __zone_watermark_ok(), mm/page_alloc.c
    """
    if alloc_flags & ALLOC_MIN_RESERVE:
        mark -= mark // 2
        if alloc_flags & ALLOC_NON_BLOCK:
            mark -= mark // 4
    if alloc_flags & ALLOC_OOM:
        mark -= mark // 2
    return mark


def why_refused(
    zones: Sequence[Zone], order: int, mark: int, highest_zoneidx: int, alloc_flags: int
) -> str:
    """Return in words, for each zone, what kept it from serving a request; ``mark`` is one of Wmark.

    Linux: no counterpart; it is the sum of __zone_watermark_ok(), mm/page_alloc.c
    """
    words = []
    for zone in zones:
        free = zone.vm_stat_free - zone_watermark_unusable_free(zone, order, alloc_flags)
        least = min_with_reserves(wmark_pages(zone, mark), alloc_flags) + zone.lowmem_reserve[highest_zoneidx]
        name = zone.name if zone.nid == zones[0].nid else f"{zone.name} of node {zone.nid}"
        if free <= least and not alloc_flags & ALLOC_NO_WATERMARKS:
            words.append(f"{name} has {free} pages to count on, and {least} must remain")
        elif order and not has_free_block(zone, order, alloc_flags):
            words.append(f"{name} has {zone.vm_stat_free} free pages, but no block of order {order}")
        else:
            words.append(f"{name} has {zone.vm_stat_free} free pages, but none that this request may take")
    return "; ".join(words)


def zone_watermark_ok_2_6(
    zone: Zone, order: int, mark: int, highest_zoneidx: int, alloc_flags: int
) -> bool:
    """Return what Linux 2.6 answered to the same question.

    Then a large request counted the blocks of each smaller order as lost to it, and wanted
    half of the mark in what was left, a quarter after the next order, and so on.  It could be
    refused with a fitting block on the list; today one such block is enough.

    It is that of 2.6.34.

    Linux: zone_watermark_ok(), mm/page_alloc.c
    """
    least = mark
    free_pages = zone.vm_stat_free - (1 << order) + 1
    if alloc_flags & ALLOC_MIN_RESERVE:  # was ALLOC_HIGH
        least -= least // 2
    if alloc_flags & ALLOC_NON_BLOCK:  # was ALLOC_HARDER
        least -= least // 4
    if free_pages <= least + zone.lowmem_reserve[highest_zoneidx]:
        return False
    for smaller in range(order):
        free_pages -= zone.free_area[smaller].nr_free << smaller
        least >>= 1
        if free_pages <= least:
            return False
    return True


def has_free_block(zone: Zone, order: int, alloc_flags: int) -> bool:
    """Return whether any block is large enough, in a list that this request may use.

    Linux: __zone_watermark_ok(), mm/page_alloc.c
    """
    may_use = MIGRATE_PCPTYPES
    if alloc_flags & (ALLOC_HIGHATOMIC | ALLOC_OOM):
        may_use = Migrate.HIGHATOMIC + 1
    for area in zone.free_area[order:]:
        for free_list in area.free_list[:may_use]:
            if free_list.front:
                return True
    return False


def zone_watermark_fast(
    zone: Zone, order: int, mark: int, highest_zoneidx: int, alloc_flags: int
) -> bool:
    """Return the same answer, sooner for single pages, and past the boost for urgent ones.

    Linux: zone_watermark_fast(), mm/page_alloc.c
    """
    usable_free = zone.vm_stat_free - zone.nr_free_highatomic - (1 << order) + 1
    if usable_free > mark + zone.lowmem_reserve[highest_zoneidx]:
        # With this much room nobody asks how urgent it is: only whether there is a block.
        exact = zone.free_area[order].free_list[0]
        if not order or exact.front or has_free_block(zone, order, alloc_flags):
            return True
    if zone_watermark_ok(zone, order, mark, highest_zoneidx, alloc_flags):
        return True
    urgent = not order and alloc_flags & ALLOC_MIN_RESERVE and zone.watermark_boost
    if urgent and alloc_flags & ALLOC_WMARK_MASK == Wmark.MIN:
        mark = zone.watermark[Wmark.MIN]
        return zone_watermark_ok(zone, order, mark, highest_zoneidx, alloc_flags)
    return False


def calculate_min_free_kbytes(zones: Sequence[Zone]) -> int:
    """Return the kibibytes that the kernel keeps free by default on a machine of these zones.

    The square root grows slowly: 4 times the memory, twice the reserve.  Where there are
    transparent huge pages, from 512 MiB on, they raise it, so that a few whole pageblocks of
    each kind stay free; a 32-bit kernel with two-level page tables has none.

    Linux: calculate_min_free_kbytes(), mm/page_alloc.c
    """
    lowmem = [zone for zone in zones if zone.type <= ZoneType.NORMAL]
    lowmem_kbytes = sum(zone.managed_pages for zone in lowmem) << (PAGE_SHIFT - 10)
    min_free_kbytes = min(max(isqrt(lowmem_kbytes * 16), 128), 262144)
    if lowmem_kbytes >= 512 << 10 and not any(zone.highmem for zone in zones):
        min_free_kbytes = max(min_free_kbytes, _recommended_min_free_kbytes(lowmem))
    return min_free_kbytes


def _recommended_min_free_kbytes(zones: Sequence[Zone]) -> int:
    """Return what transparent huge pages ask for, at most 5 % of memory, in kibibytes.

    Linux: set_recommended_min_free_kbytes(), mm/khugepaged.c
    """
    recommended = PAGEBLOCK_NR_PAGES * len(zones) * (2 + MIGRATE_PCPTYPES**2)
    recommended = min(recommended, sum(zone.managed_pages for zone in zones) // 20)
    return recommended << (PAGE_SHIFT - 10)


def setup_per_zone_wmarks(
    zones: Sequence[Zone], min_free_kbytes: int, watermark_scale_factor: int = 10
) -> None:
    """Share ``min_free_kbytes`` out among the zones and set their four marks.

    The marks are at least ``watermark_scale_factor`` ten-thousandths of the zone apart.

    Linux: __setup_per_zone_wmarks(), mm/page_alloc.c
    """
    pages_min = min_free_kbytes >> (PAGE_SHIFT - 10)
    lowmem_pages = sum(zone.managed_pages for zone in zones if zone.type != ZoneType.MOVABLE)
    for zone in zones:
        share = pages_min * zone.managed_pages // lowmem_pages
        least = share
        if zone.type == ZoneType.MOVABLE:
            least = min(max(zone.managed_pages // 1024, SWAP_CLUSTER_MAX), 128)
        gap = max(share >> 2, zone.managed_pages * watermark_scale_factor // 10000)
        zone.watermark_boost = 0
        zone.watermark = [least + step * gap for step in range(len(Wmark))]


def setup_per_zone_lowmem_reserve(
    zones: Sequence[Zone], ratios: Sequence[int] = (256, 256, 32, 0)
) -> None:
    """Set how much of each zone is kept from requests that could have used a higher one.

    Linux: setup_per_zone_lowmem_reserve(), mm/page_alloc.c
    """
    managed = {(zone.nid, zone.type): zone.managed_pages for zone in zones}
    for zone in zones:
        ratio = ratios[zone.type]
        above = 0
        for higher in range(zone.type + 1, MAX_NR_ZONES):
            above += managed.get((zone.nid, ZoneType(higher)), 0)
            zone.lowmem_reserve[higher] = above // ratio if ratio else 0
