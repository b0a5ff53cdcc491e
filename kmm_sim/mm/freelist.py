# SPDX-License-Identifier: GPL-2.0-only
"""From the free lists: finding a zone that may serve a request, and taking a block from it.

A request walks the zones that its mask allows, highest first.  The first one that stays above
its watermark serves it, from the lists of the CPU that asks or from the buddy system.

Linux: mm/page_alloc.c
"""

from __future__ import annotations

from kmm_sim.mm.bad_page import check_new_pages
from kmm_sim.mm.buddy import rmqueue_smallest
from kmm_sim.mm.events import PcpDel
from kmm_sim.mm.fallback import rmqueue_or_fallback
from kmm_sim.mm.gfp import DIRECT_RECLAIM, HIGH, KSWAPD_RECLAIM, NOMEMALLOC
from kmm_sim.mm.highatomic import reserve_highatomic_pageblock
from kmm_sim.mm.internal import (
    ALLOC_HIGHATOMIC,
    ALLOC_KSWAPD,
    ALLOC_MIN_RESERVE,
    ALLOC_NO_WATERMARKS,
    ALLOC_NOFRAGMENT,
    ALLOC_NON_BLOCK,
    ALLOC_OOM,
    ALLOC_WMARK_MASK,
    ALLOC_WMARK_MIN,
)
from kmm_sim.mm.mmzone import (
    MIGRATE_PCPTYPES,
    NR_PAGE_ORDERS,
    PAGE_ALLOC_COSTLY_ORDER,
    Migrate,
    Node,
    Wmark,
    Zone,
    ZoneFlag,
    ZoneType,
)
from kmm_sim.mm.pcp import pcp_allowed_order, rmqueue_pcplist
from kmm_sim.mm.vmscan import wakeup_kswapd
from kmm_sim.mm.vmstat import clear_zone_flag, set_zone_flag
from kmm_sim.mm.watermark import has_free_block, zone_watermark_fast

# Looked up once: a member of an enumeration costs more than the test it is for.
WMARK_LOW, WMARK_HIGH = int(Wmark.LOW), int(Wmark.HIGH)
BELOW_HIGH = ZoneFlag.BELOW_HIGH
NORMAL = ZoneType.NORMAL
PCP_ALLOWED = tuple(pcp_allowed_order(order) for order in range(NR_PAGE_ORDERS))

__all__ = [
    "alloc_flags_nofragment",
    "get_page_from_freelist",
    "get_page_from_pcplist",
    "gfp_to_alloc_flags",
    "rmqueue",
    "rmqueue_buddy",
    "zone_has_room",
]


def rmqueue_buddy(zone: Zone, order: int, alloc_flags: int, migratetype: int) -> int | None:
    """Take a block of ``order`` from the buddy system of one zone; return its pfn or None.

    Linux: rmqueue_buddy(), mm/page_alloc.c
    """
    while True:
        pfn = None
        if alloc_flags & ALLOC_HIGHATOMIC:
            pfn = rmqueue_smallest(zone, order, Migrate.HIGHATOMIC)
        if pfn is None:
            pfn, _ = rmqueue_or_fallback(zone, order, migratetype, alloc_flags)
            if pfn is None and alloc_flags & (ALLOC_OOM | ALLOC_NON_BLOCK):
                pfn = rmqueue_smallest(zone, order, Migrate.HIGHATOMIC)
        if pfn is None or not (zone.suspects and check_new_pages(zone, pfn, order)):
            return pfn


def rmqueue(zone: Zone, order: int, alloc_flags: int, migratetype: int) -> int | None:
    """Take a block of ``order`` from a zone: from this CPU's lists, or the buddy system.

    Linux: rmqueue(), mm/page_alloc.c
    """
    pfn = None
    if zone.pcp is not None and PCP_ALLOWED[order]:
        pfn = rmqueue_pcplist(zone, zone.pcp, order, migratetype, alloc_flags)
    if pfn is None:
        pfn = rmqueue_buddy(zone, order, alloc_flags, migratetype)
    if alloc_flags & ALLOC_KSWAPD and zone.flags & ZoneFlag.BOOSTED_WATERMARK:
        clear_zone_flag(zone, ZoneFlag.BOOSTED_WATERMARK)
        if zone.node is not None:
            wakeup_kswapd(zone.node, zone, 0, 0, zone.type)
    return pfn


def get_page_from_pcplist(zone: Zone, order: int, highest_zoneidx: int, migratetype: int) -> int | None:
    """Take a block from this CPU's lists, if they have one and the zone is above its marks.

    Most requests are of this kind: it is get_page_from_freelist() for them, in one step.
    Returns None, and has done nothing, if there is anything else to look at.

    Linux: get_page_from_freelist(), rmqueue_pcplist(), mm/page_alloc.c
    """
    pcp = zone.pcp
    if pcp is None or order > PAGE_ALLOC_COSTLY_ORDER or zone.suspects:
        return None
    blocks = pcp.lists[MIGRATE_PCPTYPES * order + migratetype]
    if not blocks:
        return None
    wmark, size = WMARK_HIGH, 1 << order
    if zone.flags:
        if zone.flags != BELOW_HIGH:
            return None
        wmark = WMARK_LOW
    least = zone.watermark[wmark] + zone.watermark_boost + zone.lowmem_reserve[highest_zoneidx]
    if zone.vm_stat_free - zone.nr_free_highatomic - size + 1 <= least:
        return None
    if order and not (zone.free_area[order].free_list[migratetype].front or has_free_block(zone, order, 0)):
        return None
    pfn = blocks.popleft()
    pcp.count -= size
    pcp.free_count >>= 1
    if zone.trace is not None:
        zone.trace.note(PcpDel, zone.index, zone.cpu, pfn, order, migratetype)
    return pfn


def zone_has_room(
    zone: Zone, order: int, alloc_flags: int, highest_zoneidx: int
) -> bool:
    """Return whether a zone may serve a request, by its marks; note if it is below high.

    Linux: get_page_from_freelist(), mm/page_alloc.c
    """
    if zone.pcp is not None and not zone.flags & ZoneFlag.BELOW_HIGH:
        mark = zone.watermark[WMARK_HIGH] + zone.watermark_boost
        if zone_watermark_fast(zone, order, mark, highest_zoneidx, alloc_flags):
            return True
        set_zone_flag(zone, ZoneFlag.BELOW_HIGH)
    mark = zone.watermark[alloc_flags & ALLOC_WMARK_MASK] + zone.watermark_boost
    if zone_watermark_fast(zone, order, mark, highest_zoneidx, alloc_flags):
        return True
    return bool(alloc_flags & ALLOC_NO_WATERMARKS)


def get_page_from_freelist(
    node: Node, order: int, alloc_flags: int, highest_zoneidx: int, migratetype: int
) -> int | None:
    """Try the zones from the highest allowed down; return the pfn of a block, or None.

    The first round keeps migratetypes apart; if no zone can, a second one may mix them.

    Linux: get_page_from_freelist(), mm/page_alloc.c
    """
    local = node.nid
    for zone in node.zonelists[highest_zoneidx]:
        if zone.nid != local and alloc_flags & ALLOC_NOFRAGMENT:
            break  # rather mix migratetypes here than go to another bank
        if not zone_has_room(zone, order, alloc_flags, highest_zoneidx):
            continue
        pfn = rmqueue(zone, order, alloc_flags, migratetype)
        if pfn is not None:
            if alloc_flags & ALLOC_HIGHATOMIC:
                reserve_highatomic_pageblock(zone, pfn, order)
            return pfn
    if alloc_flags & ALLOC_NOFRAGMENT:
        alloc_flags &= ~ALLOC_NOFRAGMENT
        return get_page_from_freelist(node, order, alloc_flags, highest_zoneidx, migratetype)
    return None


def alloc_flags_nofragment(node: Node, gfp: int, highest_zoneidx: int) -> int:
    """Return the flags that make the first try avoid mixing types, if it begins in Normal.

    Only where there is a zone DMA32 to keep in one piece: not on a 32-bit machine.

    Linux: alloc_flags_nofragment(), mm/page_alloc.c
    """
    alloc_flags = gfp & KSWAPD_RECLAIM
    zonelist = node.zonelists[highest_zoneidx]
    if zonelist and zonelist[0].type is NORMAL and node.highmem is None:
        banks = len(node.nids)
        if banks == 1 or (len(zonelist) > 1 and zonelist[1].nid == zonelist[0].nid):
            alloc_flags |= ALLOC_NOFRAGMENT
    return alloc_flags


def gfp_to_alloc_flags(gfp: int, order: int) -> int:
    """Return how hard the second try may try: the min mark, and reserves for the urgent.

    Linux: gfp_to_alloc_flags(), mm/page_alloc.c
    """
    alloc_flags = ALLOC_WMARK_MIN | (gfp & (HIGH | KSWAPD_RECLAIM))
    if not gfp & DIRECT_RECLAIM and not gfp & NOMEMALLOC:
        alloc_flags |= ALLOC_NON_BLOCK
        if order > 0 and alloc_flags & ALLOC_MIN_RESERVE:
            alloc_flags |= ALLOC_HIGHATOMIC
    return alloc_flags
