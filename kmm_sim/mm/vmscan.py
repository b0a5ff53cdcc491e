# SPDX-License-Identifier: GPL-2.0-only
"""Reclaim: taking back memory that its owner can do without.

A page of a file that was only read can be dropped: it can be read again.  One that was written
to must be written back first, and that is the work of the flusher threads, whom reclaim wakes.
Anonymous memory, a process's heap and stacks, has no file; it needs swap space to go to, and who
reclaims writes it there himself.  kswapd does this in the background once a zone is below its
low mark; a request that finds a zone below min does it itself, *direct reclaim*.

Linux: mm/vmscan.c
Simplified: one list for files and one for anonymous memory, oldest first, with no second
chance; a write takes no time; kswapd never writes to a file, which it does in Linux if the
flushers lag behind; no page has buffers; kswapd runs only when the machine lets it, and goes on until all
zones are above high, not one; no shrinkers; no kcompactd, which is woken where memory is enough and in pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kmm_sim.mm.bad_page import free_pages_prepare
from kmm_sim.mm.events import (
    FlusherWrite,
    MmLruInsertion,
    MmVmscanDirectReclaimBegin,
    MmVmscanDirectReclaimEnd,
    MmVmscanKswapdSleep,
    MmVmscanKswapdWake,
    MmVmscanWakeupKswapd,
    MmVmscanWriteFolio,
    SetBoost,
    SlowPath,
)
from kmm_sim.mm.gfp import GFP_KERNEL, IO, KSWAPD_RECLAIM
from kmm_sim.mm.internal import MAX_RECLAIM_RETRIES
from kmm_sim.mm.mmzone import LruPage, Node, Wmark, Zone
from kmm_sim.mm.page import Page
from kmm_sim.mm.page_flags import PageFlag
from kmm_sim.mm.pcp import free_unref_page
from kmm_sim.mm.sched import Task
from kmm_sim.mm.watermark import SWAP_CLUSTER_MAX, why_refused, wmark_pages, zone_watermark_ok

__all__ = [
    "balance_pgdat",
    "lru_add",
    "lru_del",
    "shrink_lruvec",
    "shrink_node",
    "try_to_free_pages",
    "wakeup_flusher_threads",
    "wakeup_kswapd",
    "zone_reclaimable_pages",
]

LRU_FLAGS = int(PageFlag.LRU | PageFlag.DIRTY | PageFlag.SWAPBACKED | PageFlag.UPTODATE)


def lru_add(node: Node, page: Page, owner: Task | None, dirty: bool = False) -> None:
    """Put a page at the young end of its list: anonymous if it has an owner, else of a file.

    Linux: folio_add_lru(), mm/swap.c
    """
    page.flags |= PageFlag.LRU | PageFlag.UPTODATE
    if owner is not None:
        page.flags |= PageFlag.SWAPBACKED | PageFlag.DIRTY
        owner.anon.add(page.pfn)
    elif dirty:
        page.flags |= PageFlag.DIRTY
    node.lru[page.pfn] = LruPage(owner is not None, dirty or owner is not None, owner)
    page.zone.lru.add(page.pfn)
    if node.trace is not None:
        node.trace.emit(MmLruInsertion(page.pfn, owner is not None, dirty or owner is not None))


def lru_del(node: Node, pfn: int) -> None:
    """Take a page off its list and free it.

    Linux: lruvec_del_folio(), include/linux/mm_inline.h
    """
    entry = node.lru.pop(pfn)
    if entry.owner is not None:
        entry.owner.anon.discard(pfn)
    page = node.page(pfn)
    page.zone.lru.discard(pfn)
    page.flags &= ~LRU_FLAGS
    page.refcount = 0
    if free_pages_prepare(node, page, 0):
        free_unref_page(page.zone, pfn, 0)


def zone_reclaimable_pages(node: Node, zone: Zone) -> int:
    """Return how many pages of a zone could be reclaimed; of one that has none, the free pages.

    Anonymous memory counts whole as soon as there is any room in swap.

    Linux: zone_reclaimable_pages(), mm/vmscan.c
    """
    listed = [node.lru[pfn] for pfn in zone.lru if pfn in node.lru]
    reclaimable = sum(not entry.anon or node.nr_swap_pages > 0 for entry in listed)
    return reclaimable or zone.vm_stat_free + sum(zone.vm_stat_diff)


def shrink_lruvec(node: Node, zones: Sequence[Zone], nr_to_reclaim: int, gfp: int) -> int:
    """Reclaim up to ``nr_to_reclaim`` pages of these zones, files first; return how many.

    A file's page is taken only if it is clean: since 3.2 a request writes none itself.

    Linux: shrink_lruvec(), shrink_folio_list(), mm/vmscan.c
    """
    victims: list[int] = []
    for anon in (False, True):
        for pfn, entry in node.lru.items():
            if len(victims) == nr_to_reclaim:
                break
            writable = anon and gfp & IO and len(victims) < node.nr_swap_pages
            if entry.anon == anon and (writable or not entry.dirty) and node.zone_of(pfn) in zones:
                victims.append(pfn)
    reclaimed = [pfn for pfn in victims if _pageout(node, pfn)]
    for pfn in reclaimed:
        node.kswapd[node.page(pfn).zone.nid].failures = 0  # there is hope
        lru_del(node, pfn)
    return len(reclaimed)


def _pageout(node: Node, pfn: int) -> bool:
    """Write a page to swap, if it is dirty; return whether it is clean now."""
    entry = node.lru[pfn]
    if not entry.dirty:
        return True
    if not node.nr_swap_pages:
        return False
    node.nr_swap_pages -= 1
    if entry.owner is not None:
        entry.owner.swapped += 1
    if node.trace is not None:
        node.trace.emit(MmVmscanWriteFolio(pfn, entry.anon))
    entry.dirty = False
    return True


def wakeup_flusher_threads(node: Node, zones: Sequence[Zone], nr_pages: int) -> int:
    """Have up to ``nr_pages`` dirty pages of files in these zones written; return how many were.

    Linux: wakeup_flusher_threads(), fs/fs-writeback.c
    """
    dirty = [pfn for pfn, entry in node.lru.items() if entry.dirty and not entry.anon and node.zone_of(pfn) in zones]
    for pfn in dirty[:nr_pages]:
        node.lru[pfn].dirty = False
        if node.trace is not None:
            node.trace.emit(FlusherWrite(pfn))
    return min(len(dirty), nr_pages)


def shrink_node(node: Node, zones: Sequence[Zone], nr_to_reclaim: int, gfp: int) -> int:
    """Reclaim what can be had at once, then what the flushers have made clean; return how many.

    Linux: shrink_node(), shrink_inactive_list(), mm/vmscan.c
    """
    nr_reclaimed = shrink_lruvec(node, zones, nr_to_reclaim, gfp)
    missing = nr_to_reclaim - nr_reclaimed
    if missing and wakeup_flusher_threads(node, zones, missing):
        nr_reclaimed += shrink_lruvec(node, zones, missing, gfp)
    return nr_reclaimed


def try_to_free_pages(node: Node, zones: Sequence[Zone], order: int, gfp: int) -> int:
    """Reclaim a few pages on behalf of a request; return how many.

    Linux: try_to_free_pages(), mm/vmscan.c
    """
    if node.trace is not None:
        node.trace.emit(MmVmscanDirectReclaimBegin(order, gfp))
    nr_reclaimed = shrink_node(node, zones, max(SWAP_CLUSTER_MAX, 1 << order), gfp)
    if node.trace is not None:
        node.trace.emit(MmVmscanDirectReclaimEnd(nr_reclaimed))
    return nr_reclaimed


def pgdat_balanced(zones: Iterable[Zone], order: int, highest_zoneidx: int) -> bool:
    """Return whether some zone is above its high mark, so that kswapd may sleep.

    Linux: pgdat_balanced(), mm/vmscan.c
    """
    return any(
        zone_watermark_ok(zone, order, wmark_pages(zone, Wmark.HIGH), highest_zoneidx, 0)
        for zone in zones
    )


def wakeup_kswapd(node: Node, zone: Zone, gfp: int, order: int, highest_zoneidx: int) -> None:
    """Let the kswapd of a zone's bank know that it is needed, unless there is nothing for it to do.

    One that has failed so often that there is no hope is left alone: direct reclaim may find more.

    Linux: wakeup_kswapd(), mm/vmscan.c
    """
    if not node.reclaim or (gfp and not gfp & KSWAPD_RECLAIM):
        return
    kswapd = node.kswapd[zone.nid]
    kswapd.order = max(kswapd.order, order)
    if kswapd.awake or kswapd.failures >= MAX_RECLAIM_RETRIES:
        return
    zones = [one for one in node.zones if one.nid == zone.nid and one.type <= highest_zoneidx]
    boosted = [one.name for one in zones if one.watermark_boost]
    if not boosted and pgdat_balanced(zones, order, highest_zoneidx):
        return
    kswapd.awake = True
    if node.trace is not None:
        if boosted:
            why = f"the marks of {' and '.join(boosted)} are raised, since migratetypes were mixed"
        else:
            why = f"at high: {why_refused(zones[::-1], order, Wmark.HIGH, highest_zoneidx, 0)}"
        node.trace.emit(SlowPath("kswapd", why))
        node.trace.emit(MmVmscanWakeupKswapd(zone.nid, highest_zoneidx, order, gfp))


def balance_pgdat(node: Node, nid: int) -> int:
    """Be the kswapd of a bank: reclaim until its zones are above high, take the boost back, and sleep.

    Returns the number of pages reclaimed.

    Linux: balance_pgdat(), mm/vmscan.c
    """
    kswapd, zones = node.kswapd[nid], [zone for zone in node.zones if zone.nid == nid]
    if not kswapd.awake:
        return 0
    if node.trace is not None:
        node.trace.emit(MmVmscanKswapdWake(nid, kswapd.order))
    total, tried = 0, False
    for zone in zones:
        while zone.vm_stat_free + sum(zone.vm_stat_diff) <= wmark_pages(zone, Wmark.HIGH):
            tried = True
            nr_reclaimed = shrink_node(node, (zone,), SWAP_CLUSTER_MAX, int(GFP_KERNEL))
            total += nr_reclaimed
            if not nr_reclaimed:
                break
        if zone.watermark_boost:
            zone.watermark_boost = 0
            if node.trace is not None:
                node.trace.emit(SetBoost(zone.index, 0))
    kswapd.failures += tried and not total
    kswapd.awake, kswapd.order = False, 0
    if node.trace is not None:
        node.trace.emit(MmVmscanKswapdSleep(nid))
    return total
