# SPDX-License-Identifier: GPL-2.0-only
"""The slow path: what is tried when no zone is above its low mark.

kswapd is woken, to have more memory later.  The request is tried again against the min mark,
with what reserves its mask allows.  One that may sleep then tries to make a large block by
compaction, reclaims some pages itself, compacts again, and tries as long as that helps.  At
last a process is killed, or the request gives up.  Each step is told, with its reason.

Linux: __alloc_pages_slowpath(), mm/page_alloc.c
Simplified: one priority of compaction; no cpusets.  A request without __GFP_FS gives up where Linux
would try for ever: when kswapd has nothing to reclaim either.
"""

from __future__ import annotations

from dataclasses import dataclass

from kmm_sim.errors import KernelBug
from kmm_sim.mm.compaction import try_to_compact_pages
from kmm_sim.mm.events import SlowPath
from kmm_sim.mm.freelist import get_page_from_freelist, gfp_to_alloc_flags
from kmm_sim.mm.gfp import (
    DIRECT_RECLAIM,
    FS,
    IO,
    MEMALLOC,
    NOFAIL,
    NOMEMALLOC,
    NORETRY,
    RETRY_MAYFAIL,
    THISNODE,
)
from kmm_sim.mm.highatomic import unreserve_highatomic_pageblock
from kmm_sim.mm.internal import (
    ALLOC_KSWAPD,
    ALLOC_MIN_RESERVE,
    ALLOC_NO_WATERMARKS,
    ALLOC_OOM,
    ALLOC_WMARK_HIGH,
)
from kmm_sim.mm.mmzone import PAGE_ALLOC_COSTLY_ORDER, Migrate, Node, Wmark, ZoneType
from kmm_sim.mm.oom_kill import out_of_memory
from kmm_sim.mm.pcp import drain_pages_zone
from kmm_sim.mm.sched import PF_MEMALLOC, in_interrupt, in_softirq
from kmm_sim.mm.vmscan import balance_pgdat, try_to_free_pages, wakeup_kswapd, zone_reclaimable_pages
from kmm_sim.mm.watermark import zone_watermark_ok

__all__ = [
    "alloc_pages_direct_compact",
    "alloc_pages_direct_reclaim",
    "alloc_pages_may_oom",
    "alloc_pages_slowpath",
    "gfp_pfmemalloc_flags",
    "should_reclaim_retry",
    "wake_all_kswapds",
]

MAX_RECLAIM_RETRIES = 16


@dataclass(slots=True)
class Request:
    """What the steps of the slow path need to know.  Linux: struct alloc_context, mm/internal.h"""

    node: Node
    gfp: int
    order: int
    highest_zoneidx: int
    migratetype: int

    def try_freelist(self, alloc_flags: int) -> int | None:
        """Try the free lists once; return the pfn of a block or None."""
        return get_page_from_freelist(
            self.node, self.order, alloc_flags, self.highest_zoneidx, self.migratetype
        )

    def tell(self, stage: str, reason: str) -> None:
        """Tell of a step, on a machine that has one."""
        if self.node.trace is not None and self.node.reclaim:
            self.node.trace.emit(SlowPath(stage, reason))


def wake_all_kswapds(request: Request) -> None:
    """Wake the kswapd of each node that has a zone for the request.

    Linux: wake_all_kswapds(), mm/page_alloc.c
    """
    node, seen = request.node, set()
    for zone in node.zonelists[request.highest_zoneidx]:
        if zone.nid not in seen:
            seen.add(zone.nid)
            wakeup_kswapd(node, zone, request.gfp, request.order, request.highest_zoneidx)


def gfp_pfmemalloc_flags(node: Node, gfp: int) -> int:
    """Return how deep into the reserves a request may go that itself frees memory, or 0.

    Linux: __gfp_pfmemalloc_flags(), mm/page_alloc.c
    """
    current = node.current
    if gfp & NOMEMALLOC:
        return 0
    if gfp & MEMALLOC:
        return ALLOC_NO_WATERMARKS
    if in_softirq(current) and current.flags & PF_MEMALLOC:
        return ALLOC_NO_WATERMARKS
    if not in_interrupt(current):
        if current.flags & PF_MEMALLOC:
            return ALLOC_NO_WATERMARKS
        if current.oom_victim:
            return ALLOC_OOM
    return 0


def alloc_pages_direct_compact(request: Request, alloc_flags: int) -> int | None:
    """Make a block by moving pages together, and take it.

    Linux: __alloc_pages_direct_compact(), mm/page_alloc.c
    """
    node = request.node
    if not request.order or not node.lru:
        return None
    request.tell("compact", f"free memory lies about in blocks smaller than order {request.order}")
    zones = node.zonelists[request.highest_zoneidx]
    if not try_to_compact_pages(node, zones, request.order):
        return None
    return request.try_freelist(alloc_flags)


def alloc_pages_direct_reclaim(request: Request, alloc_flags: int) -> tuple[int | None, int]:
    """Reclaim some pages and try again; return the pfn or None, and how many were reclaimed.

    Linux: __alloc_pages_direct_reclaim(), mm/page_alloc.c
    """
    node, zones = request.node, request.node.zonelists[request.highest_zoneidx]
    request.tell("direct reclaim", "no zone is above its min mark, and the caller may sleep")
    progress = 0
    if node.reclaim:
        progress = try_to_free_pages(node, zones, request.order, request.gfp)
    if not progress:
        return None, 0
    pfn = request.try_freelist(alloc_flags)
    if pfn is None:
        request.tell("drain", "what was reclaimed may lie on per-CPU lists")
        unreserve_highatomic_pageblock(zones, request.migratetype, force=False)
        for zone in node.zones:
            for cpu in range(len(zone.per_cpu_pageset)):
                drain_pages_zone(zone, cpu)
        pfn = request.try_freelist(alloc_flags)
    return pfn, progress


def should_reclaim_retry(request: Request, alloc_flags: int, no_progress_loops: int) -> bool:
    """Return whether the request could be served if all that can be reclaimed were free.

    Linux: should_reclaim_retry(), mm/page_alloc.c
    """
    node, zones = request.node, request.node.zonelists[request.highest_zoneidx]
    if no_progress_loops <= MAX_RECLAIM_RETRIES:
        for zone in zones:
            available = zone_reclaimable_pages(node, zone)
            available += zone.vm_stat_free + sum(zone.vm_stat_diff)
            least = zone.watermark[Wmark.MIN] + zone.watermark_boost
            if zone_watermark_ok(
                zone, request.order, least, request.highest_zoneidx, alloc_flags, available
            ):
                return True
    return unreserve_highatomic_pageblock(zones, request.migratetype, force=True)


def alloc_pages_may_oom(request: Request) -> tuple[int | None, bool]:
    """Try once more, then kill a process if that can help; return the pfn, and whether to go on.

    Linux: __alloc_pages_may_oom(), out_of_memory(), mm/page_alloc.c, mm/oom_kill.c
    """
    node, gfp = request.node, request.gfp
    pfn = request.try_freelist(ALLOC_WMARK_HIGH)
    hopeless = (
        request.order > PAGE_ALLOC_COSTLY_ORDER
        or gfp & (RETRY_MAYFAIL | THISNODE)
        or request.highest_zoneidx < ZoneType.NORMAL
    )
    if pfn is not None or hopeless or not node.reclaim:
        return pfn, False
    if not gfp & FS:
        # There may be much to reclaim that this caller must not touch: no reason to kill anybody.
        request.tell("wait", "without __GFP_FS nobody is killed; kswapd reclaims what this caller may not")
        return None, balance_pgdat(node) > 0
    request.tell("oom", "nothing is left to reclaim")
    killed = out_of_memory(node, gfp, request.order)
    if killed and gfp & NOFAIL:
        pfn = request.try_freelist(ALLOC_NO_WATERMARKS)
    return pfn, killed


def alloc_pages_slowpath(
    node: Node, gfp: int, order: int, highest_zoneidx: int, migratetype: int
) -> int | None:
    """Try harder, as far as the mask allows; return the pfn of a block or None.

    Linux: __alloc_pages_slowpath(), mm/page_alloc.c
    """
    request = Request(node, gfp, order, highest_zoneidx, migratetype)
    alloc_flags = gfp_to_alloc_flags(gfp, order)
    if alloc_flags & ALLOC_KSWAPD:
        wake_all_kswapds(request)
    request.tell("retry", "no zone is above its low mark; try down to min")
    pfn = request.try_freelist(alloc_flags)
    if pfn is None and _compact_first(request):
        pfn = alloc_pages_direct_compact(request, alloc_flags)
    no_progress_loops = 0
    while pfn is None:
        pfn, alloc_flags, progress, again = _one_round(request, alloc_flags, no_progress_loops)
        if pfn is not None or not again:
            break
        costly = order > PAGE_ALLOC_COSTLY_ORDER
        no_progress_loops = no_progress_loops + 1 if not progress or costly else 0
    if pfn is None:
        return _give_up(request)
    return pfn


def _compact_first(request: Request) -> bool:
    """Return whether compaction is worth a try before anything is reclaimed."""
    order, gfp = request.order, request.gfp
    if not gfp & DIRECT_RECLAIM or not gfp & IO or gfp_pfmemalloc_flags(request.node, gfp):
        return False
    costly = order > PAGE_ALLOC_COSTLY_ORDER
    return costly or (order > 0 and request.migratetype != Migrate.MOVABLE)


def _one_round(
    request: Request, alloc_flags: int, no_progress_loops: int
) -> tuple[int | None, int, int, bool]:
    """Go round the loop once; return the pfn, the flags, the progress, and whether to go on."""
    node, gfp, order = request.node, request.gfp, request.order
    reserve_flags = gfp_pfmemalloc_flags(node, gfp)
    if reserve_flags:
        request.tell("reserves", "the caller frees memory itself, and may use all there is")
        alloc_flags = reserve_flags | (alloc_flags & ALLOC_KSWAPD)
    pfn = request.try_freelist(alloc_flags)
    if pfn is not None or not gfp & DIRECT_RECLAIM or node.current.flags & PF_MEMALLOC:
        return pfn, alloc_flags, 0, False
    pfn, progress = alloc_pages_direct_reclaim(request, alloc_flags)
    if pfn is None and gfp & IO:
        pfn = alloc_pages_direct_compact(request, alloc_flags)
    costly = order > PAGE_ALLOC_COSTLY_ORDER
    if pfn is not None or gfp & NORETRY or (costly and not gfp & RETRY_MAYFAIL):
        return pfn, alloc_flags, progress, False
    if should_reclaim_retry(request, alloc_flags, no_progress_loops + (not progress or costly)):
        return None, alloc_flags, progress, True
    pfn, killed = alloc_pages_may_oom(request)
    return pfn, alloc_flags, int(killed), killed


def _give_up(request: Request) -> int | None:
    """Fail, unless the caller has said that he cannot take no for an answer."""
    gfp = request.gfp
    if gfp & NOFAIL and gfp & DIRECT_RECLAIM:
        pfn = request.try_freelist(ALLOC_MIN_RESERVE)
        if pfn is None:
            raise KernelBug(
                f"__GFP_NOFAIL: the kernel would try for order {request.order} for ever, and here "
                "nobody else runs who could free memory"
            )
        return pfn
    why = "the caller cannot wait" if not gfp & DIRECT_RECLAIM else "all that was allowed was tried"
    request.tell("give up", why)
    return None
