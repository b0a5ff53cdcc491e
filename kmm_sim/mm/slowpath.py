# SPDX-License-Identifier: GPL-2.0-only
"""The slow path: what is tried when no zone is above its low mark.

kswapd is woken, to have more memory later.  The request is tried again against the min mark,
with what reserves its mask allows.  One that may sleep then tries to make a large block by
compaction, reclaims some pages itself, compacts again, and tries as long as that helps.  At
last a process is killed, or the request gives up.  Each step is told, with its reason: what each
zone lacked, a page above its mark or a block large enough, or the flag that ends it here.

Linux: __alloc_pages_slowpath(), mm/page_alloc.c
Simplified: no cpusets.  A request without __GFP_FS gives up where Linux would try for ever: when
kswapd has nothing to reclaim either.
"""

from __future__ import annotations

from dataclasses import dataclass

from kmm_sim.errors import KernelBug
from kmm_sim.mm.compaction import (
    CompactPriority,
    CompactResult,
    compaction_suitable,
    try_to_compact_pages,
)
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
    ALLOC_WMARK_LOW,
    ALLOC_WMARK_MASK,
    MAX_RECLAIM_RETRIES,
)
from kmm_sim.mm.mmzone import PAGE_ALLOC_COSTLY_ORDER, Migrate, Node, Wmark, Zone, ZoneType
from kmm_sim.mm.oom_kill import exit_mmap, out_of_memory
from kmm_sim.mm.pcp import drain_pages_zone
from kmm_sim.mm.sched import PF_MEMALLOC, in_interrupt, in_softirq
from kmm_sim.mm.vmscan import balance_pgdat, try_to_free_pages, wakeup_kswapd, zone_reclaimable_pages
from kmm_sim.mm.watermark import why_refused, wmark_pages, zone_watermark_ok

__all__ = [
    "alloc_pages_direct_compact",
    "alloc_pages_direct_reclaim",
    "alloc_pages_may_oom",
    "alloc_pages_slowpath",
    "gfp_pfmemalloc_flags",
    "should_compact_retry",
    "should_reclaim_retry",
    "wake_all_kswapds",
]

MAX_COMPACT_RETRIES = 16


@dataclass(slots=True)
class Request:
    """What the steps of the slow path need to know of one another.

    ``alloc_flags`` are what it may use now; the rest counts the rounds that were of no use.

    Linux: struct alloc_context, mm/internal.h, and the variables of __alloc_pages_slowpath()
    """

    node: Node
    gfp: int
    order: int
    highest_zoneidx: int
    migratetype: int
    alloc_flags: int = 0
    no_progress_loops: int = 0
    compact_priority: int = CompactPriority.SYNC_LIGHT
    compact_result: int = CompactResult.SKIPPED
    compaction_retries: int = 0

    @property
    def zones(self) -> tuple[Zone, ...]:
        """The zones to try, in order."""
        return self.node.zonelists[self.highest_zoneidx]

    @property
    def costly(self) -> bool:
        """Whether the order is so large that the kernel does not insist."""
        return self.order > PAGE_ALLOC_COSTLY_ORDER

    def try_freelist(self, alloc_flags: int) -> int | None:
        """Try the free lists once; return the pfn of a block or None."""
        return get_page_from_freelist(
            self.node, self.order, alloc_flags, self.highest_zoneidx, self.migratetype
        )

    def tell(self, stage: str, reason: str, refused: int | None = None) -> None:
        """Tell of a step, on a machine that has one; first what the zones lacked for these flags."""
        node = self.node
        if node.trace is not None and node.reclaim:
            if refused is not None:
                mark = refused & ALLOC_WMARK_MASK
                lack = why_refused(self.zones, self.order, mark, self.highest_zoneidx, refused)
                reason = f"{lack}: {reason}"
            node.trace.emit(SlowPath(stage, reason))


def wake_all_kswapds(request: Request) -> None:
    """Wake the kswapd of each node that has a zone for the request.

    Linux: wake_all_kswapds(), mm/page_alloc.c
    """
    node, seen = request.node, set()
    for zone in request.zones:
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


def alloc_pages_direct_compact(request: Request) -> int | None:
    """Make a block by moving pages together, and take it; note what came of it.

    Linux: __alloc_pages_direct_compact(), mm/page_alloc.c
    """
    node, order = request.node, request.order
    if not order or not request.gfp & IO:
        return None
    suitable = any(compaction_suitable(zone, order, request.highest_zoneidx) for zone in request.zones)
    if not node.lru:  # nothing here can be moved
        request.compact_result = CompactResult.COMPLETE if suitable else CompactResult.SKIPPED
        return None
    words = "move pages together" if suitable else "too few are free to move others there"
    request.tell("compact", words, refused=request.alloc_flags)
    request.compact_result = try_to_compact_pages(
        node, request.zones, order, request.alloc_flags, request.highest_zoneidx
    )
    if request.compact_result == CompactResult.SKIPPED:
        return None
    return request.try_freelist(request.alloc_flags)


def alloc_pages_direct_reclaim(request: Request) -> tuple[int | None, int]:
    """Reclaim some pages and try again; return the pfn or None, and how many were reclaimed.

    Linux: __alloc_pages_direct_reclaim(), mm/page_alloc.c
    """
    node, zones = request.node, request.zones
    request.tell("direct reclaim", "the caller may sleep", refused=request.alloc_flags)
    progress = 0
    if node.reclaim:
        progress = try_to_free_pages(node, zones, request.order, request.gfp)
    if not progress:
        return None, 0
    pfn = request.try_freelist(request.alloc_flags)
    if pfn is None:
        request.tell("drain", "what was reclaimed may lie on per-CPU lists")
        unreserve_highatomic_pageblock(zones, request.migratetype, force=False)
        for zone in node.zones:
            for cpu in range(len(zone.per_cpu_pageset)):
                drain_pages_zone(zone, cpu)
        pfn = request.try_freelist(request.alloc_flags)
    return pfn, progress


def should_reclaim_retry(request: Request, did_some_progress: bool) -> bool:
    """Return whether the request could be served if all that can be reclaimed were free.

    Linux: should_reclaim_retry(), mm/page_alloc.c
    """
    node = request.node
    useful = did_some_progress and not request.costly
    request.no_progress_loops = 0 if useful else request.no_progress_loops + 1
    if request.no_progress_loops <= MAX_RECLAIM_RETRIES:
        for zone in request.zones:
            available = zone_reclaimable_pages(node, zone)
            available += zone.vm_stat_free + sum(zone.vm_stat_diff)
            least = wmark_pages(zone, Wmark.MIN)
            if zone_watermark_ok(
                zone, request.order, least, request.highest_zoneidx, request.alloc_flags, available
            ):
                return True
    return unreserve_highatomic_pageblock(request.zones, request.migratetype, force=True)


def should_compact_retry(request: Request) -> bool:
    """Return whether another round of compaction may help, after some reclaim or at a higher priority.

    Linux: should_compact_retry(), mm/page_alloc.c
    """
    order = request.order
    if not order or request.node.current.oom_victim:
        return False
    if request.compact_result == CompactResult.SKIPPED:
        return any(
            compaction_suitable(
                zone, order, request.highest_zoneidx,
                zone_reclaimable_pages(request.node, zone) // order + zone.vm_stat_free + sum(zone.vm_stat_diff),
            )
            for zone in request.zones
        )
    if request.compact_result == CompactResult.SUCCESS:
        request.compaction_retries += 1
        if request.compaction_retries <= (MAX_COMPACT_RETRIES // 4 if request.costly else MAX_COMPACT_RETRIES):
            return True
    if request.compact_priority > (CompactPriority.SYNC_LIGHT if request.costly else CompactPriority.SYNC_FULL):
        request.compact_priority -= 1
        request.compaction_retries = 0
        return True
    return False


def alloc_pages_may_oom(request: Request) -> tuple[int | None, str]:
    """Try once more, then kill a process if that can help.

    Returns the pfn, or None and in words why nobody was killed; the words are empty if there is hope.

    Linux: __alloc_pages_may_oom(), mm/page_alloc.c
    """
    node, gfp = request.node, request.gfp
    pfn = request.try_freelist(ALLOC_WMARK_HIGH)
    why = _nobody_is_killed(request)
    if pfn is not None or why:
        return pfn, why
    if not gfp & FS and not node.current.oom_victim:
        # There may be much to reclaim that this caller must not touch: no reason to kill anybody.
        request.tell("wait", "without __GFP_FS nobody is killed; kswapd reclaims what this caller may not")
        banks = sorted({zone.nid for zone in request.zones})
        if sum(balance_pgdat(node, nid) for nid in banks):
            return None, ""
        return None, "kswapd finds nothing to reclaim either, and without __GFP_FS nobody is killed"
    if not node.current.oom_victim:
        request.tell("oom", "nothing is left to reclaim")
    if not out_of_memory(node, gfp, request.order):
        return None, "the kernel has panicked: nothing is left to reclaim, and there is nobody to kill"
    if gfp & NOFAIL:
        pfn = request.try_freelist(ALLOC_NO_WATERMARKS)
    return pfn, ""


def _nobody_is_killed(request: Request) -> str:
    """Return why no process is killed for a request, if none is."""
    if request.gfp & RETRY_MAYFAIL:
        return "nothing is left to reclaim, and with __GFP_RETRY_MAYFAIL nobody is killed"
    if request.gfp & THISNODE:
        return "nobody is killed for __GFP_THISNODE: it might free memory of another node"
    if request.highest_zoneidx < ZoneType.NORMAL:
        return "nobody is killed for memory of a low zone"
    return "" if request.node.reclaim else "there is nothing to reclaim and nobody to kill"


def alloc_pages_slowpath(
    node: Node, gfp: int, order: int, highest_zoneidx: int, migratetype: int
) -> int | None:
    """Try harder, as far as the mask allows; return the pfn of a block or None.

    Linux: __alloc_pages_slowpath(), mm/page_alloc.c
    """
    alloc_flags = gfp_to_alloc_flags(gfp, order)
    request = Request(node, gfp, order, highest_zoneidx, migratetype, alloc_flags)
    pfn, why = None, "" if request.zones else "this node has no zone that the mask allows"
    if not why:
        if request.alloc_flags & ALLOC_KSWAPD:
            wake_all_kswapds(request)
        request.tell("retry", "try down to min", refused=ALLOC_WMARK_LOW)
        pfn = request.try_freelist(request.alloc_flags)
        if pfn is None:
            pfn, why = _compact_first(request)
    while pfn is None:
        if not why:
            pfn, why = _one_round(request)
        elif gfp & NOFAIL and gfp & DIRECT_RECLAIM:
            pfn, why = _insist(request), ""
        else:
            request.tell("give up", why)
            return None
    return pfn


def _compact_first(request: Request) -> tuple[int | None, str]:
    """Compact before anything is reclaimed, where that is worth a try; return the pfn, or why to end here."""
    order, gfp = request.order, request.gfp
    wanted = request.costly or (order > 0 and request.migratetype != Migrate.MOVABLE)
    if not wanted or not gfp & DIRECT_RECLAIM or not gfp & IO or gfp_pfmemalloc_flags(request.node, gfp):
        return None, ""
    pfn = alloc_pages_direct_compact(request)
    if pfn is None and request.costly and gfp & NORETRY:
        request.compact_priority = CompactPriority.ASYNC
        if request.compact_result == CompactResult.SKIPPED:
            return None, f"too few pages are free to compact, and with __GFP_NORETRY order {order} is too costly"
        if gfp & THISNODE:
            return None, "compaction failed, and with __GFP_NORETRY one node is not pressed for a costly order"
    return pfn, ""


def _one_round(request: Request) -> tuple[int | None, str]:
    """Go round the loop once; return the pfn, or None and why to give up: empty words to go on."""
    node, gfp = request.node, request.gfp
    if request.alloc_flags & ALLOC_KSWAPD:
        wake_all_kswapds(request)  # so that it does not go to sleep while we try
    reserve_flags = gfp_pfmemalloc_flags(node, gfp)
    if reserve_flags:
        request.tell("reserves", _whose_reserves(request, reserve_flags))
        request.alloc_flags = reserve_flags | (request.alloc_flags & ALLOC_KSWAPD)
    pfn = request.try_freelist(request.alloc_flags)
    if pfn is not None:
        return pfn, ""
    if not gfp & DIRECT_RECLAIM:
        return None, "the caller cannot wait"
    if node.current.flags & PF_MEMALLOC:
        return None, "the caller frees memory itself, and reclaim must not call itself"
    pfn, progress = alloc_pages_direct_reclaim(request)
    if pfn is None:
        pfn = alloc_pages_direct_compact(request)
    return (pfn, "") if pfn is not None else _after_reclaim(request, progress > 0)


def _after_reclaim(request: Request, progress: bool) -> tuple[int | None, str]:
    """Decide what to do after a round in vain: another, the OOM killer, or the end."""
    node, gfp = request.node, request.gfp
    if gfp & NORETRY:
        return None, "with __GFP_NORETRY one round is all"
    if request.costly and not (gfp & IO and gfp & RETRY_MAYFAIL):
        return None, f"order {request.order} is too costly to insist: above {PAGE_ALLOC_COSTLY_ORDER}, one round is all"
    if should_reclaim_retry(request, progress):
        return None, ""
    if progress and gfp & IO and should_compact_retry(request):
        return None, ""
    pfn, why = alloc_pages_may_oom(request)
    spent = request.alloc_flags & (ALLOC_OOM | ALLOC_NO_WATERMARKS) or gfp & NOMEMALLOC
    if pfn is None and node.current.oom_victim and spent:
        return None, "the caller is being killed, and has had its share of the reserves"
    request.no_progress_loops = 0
    return pfn, why


def _whose_reserves(request: Request, reserve_flags: int) -> str:
    """Say why a request may go below its mark."""
    if reserve_flags & ALLOC_OOM:
        return "the caller is being killed, and may use half of min to get out"
    if request.gfp & MEMALLOC:
        return "__GFP_MEMALLOC says that this will free more memory: it may use all there is"
    return "the caller frees memory itself, and may use all there is"


def _insist(request: Request) -> int | None:
    """Try once more for a caller who cannot take no for an answer."""
    pfn = request.try_freelist(ALLOC_MIN_RESERVE)
    current = request.node.current
    if pfn is None and current.oom_victim and current.anon:
        exit_mmap(request.node, current)  # meanwhile the oom reaper comes for what it has
    elif pfn is None:
        raise KernelBug(
            f"__GFP_NOFAIL: the kernel would try for order {request.order} for ever, and here "
            "nobody else runs who could free memory"
        )
    return pfn
