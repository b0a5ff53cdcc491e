# SPDX-License-Identifier: GPL-2.0-only
"""From boot to buddy: how memory gets into the free lists in the first place.

At boot a simple allocator, memblock, owns all memory.  At its end it hands every free range
to the buddy system, lowest first, cut into the largest blocks that are aligned.

Linux: mm/memblock.c
Simplified: nothing is reserved at boot, for the kernel's own code or for mem_map.
"""

from __future__ import annotations

from kmm_sim.mm.buddy import add_to_free_list
from kmm_sim.mm.mmzone import MAX_PAGE_ORDER, FreeList, Zone

__all__ = ["memblock_free_all"]


def memblock_free_all(zone: Zone) -> None:
    """Put all pages of a new zone on its free lists, in ascending order.

    The blocks of the largest order are put there as one range: nobody writes down a terabyte.

    Linux: memblock_free_all(), mm/memblock.c
    """
    migratetype = zone.pageblock_default
    pfn, end = zone.start_pfn, zone.end_pfn
    while pfn < end:
        order = min(_alignment(pfn), (end - pfn).bit_length() - 1)
        if order >= MAX_PAGE_ORDER:
            step = 1 << MAX_PAGE_ORDER
            whole = range(pfn, pfn + (end - pfn) // step * step, step)
            zone.free_area[MAX_PAGE_ORDER].free_list[migratetype] = FreeList(untouched=whole)
            pfn = whole.stop
        else:
            add_to_free_list(zone, pfn, order, migratetype, tail=True)
            pfn += 1 << order
    zone.vm_stat_free = zone.managed_pages


def _alignment(pfn: int) -> int:
    """Return the largest order that ``pfn`` is aligned to: the number of its zero bits."""
    return (pfn & -pfn).bit_length() - 1 if pfn else MAX_PAGE_ORDER
