# SPDX-License-Identifier: GPL-2.0-only
"""How broken up free memory is: the two numbers that the kernel itself keeps an eye on.

    unusable_free_index(zone, order)    0 to 1: the share of free memory that is of no use for the order
    fragmentation_index(zone, order)    -1 if a request would be served; else 0 to 1: towards 0 it fails
                                        for want of memory, towards 1 because memory is in pieces

Both are of one order: memory in single pages is perfect for order 0 and useless for order 3.

Linux: fragmentation_index(), mm/vmstat.c
"""

from __future__ import annotations

from dataclasses import dataclass

from kmm_sim.mm.mmzone import Zone
from kmm_sim.observe.snapshot import ZoneSnapshot

__all__ = ["ContigPageInfo", "contig_page_info", "fragmentation_index", "unusable_free_index"]


@dataclass(frozen=True, slots=True)
class ContigPageInfo:
    """Free pages, free blocks, and how many blocks of the order asked for could be cut from them."""

    free_pages: int
    free_blocks_total: int
    free_blocks_suitable: int


def contig_page_info(zone: Zone | ZoneSnapshot, order: int) -> ContigPageInfo:
    """Count a zone's free memory with a request of ``order`` in mind.

    Linux: fill_contig_page_info(), mm/vmstat.c
    """
    counts = zone.nr_free if isinstance(zone, ZoneSnapshot) else [area.nr_free for area in zone.free_area]
    pages = blocks = suitable = 0
    for size, count in enumerate(counts):
        blocks += count
        pages += count << size
        if size >= order:
            suitable += count << (size - order)
    return ContigPageInfo(pages, blocks, suitable)


def unusable_free_index(zone: Zone | ZoneSnapshot, order: int) -> float:
    """Return which share of a zone's free pages lies in blocks too small for ``order``.

    It has three decimals; 1.0 if nothing is free at all.

    Linux: unusable_free_index(), mm/vmstat.c
    """
    info = contig_page_info(zone, order)
    if not info.free_pages:
        return 1.0
    unusable = info.free_pages - (info.free_blocks_suitable << order)
    return unusable * 1000 // info.free_pages / 1000


def fragmentation_index(zone: Zone | ZoneSnapshot, order: int) -> float:
    """Return why a request of ``order`` fails: -1.0 if it does not, 0 no memory, 1 only small pieces.

    It has three decimals.

    Linux: __fragmentation_index(), mm/vmstat.c
    """
    info = contig_page_info(zone, order)
    if not info.free_blocks_total:
        return 0.0
    if info.free_blocks_suitable:
        return -1.0
    per_block = (1000 + info.free_pages * 1000 // (1 << order)) // info.free_blocks_total
    return (1000 - per_block) / 1000
