# SPDX-License-Identifier: GPL-2.0-only
"""What the rarer events of the page allocator mean, in a sentence: notes about zones, reclaim, the OOM killer."""

from __future__ import annotations

from kmm_sim.catalogue import _
from kmm_sim.mm.events import (
    BadPage,
    FlusherWrite,
    HeadRemains,
    MarkVictim,
    MmCompactionBegin,
    MmCompactionEnd,
    MmLruInsertion,
    MmMigratePage,
    MmVmscanDirectReclaimBegin,
    MmVmscanDirectReclaimEnd,
    MmVmscanKswapdSleep,
    MmVmscanKswapdWake,
    MmVmscanWakeupKswapd,
    MmVmscanWriteFolio,
    OutOfMemory,
    PageRefMod,
    SetBoost,
    SetHighatomic,
    SetWatermarks,
    SetZoneFlag,
    SlowPath,
)
from kmm_sim.mm.mmzone import ZoneFlag
from kmm_sim.trace import Event

__all__ = ["sentence"]

FLAGS = {
    ZoneFlag.BOOSTED_WATERMARK: "its marks are raised, and kswapd is to be woken",
    ZoneFlag.RECLAIM_ACTIVE: "kswapd is at work in it",
    ZoneFlag.BELOW_HIGH: "it is below its high mark",
}


def sentence(event: Event) -> str:
    """Return what an event means; "" for one that is told elsewhere."""
    match event:
        case SetZoneFlag(zone, flag, on):
            return f"{'Noted' if on else 'No longer true'} of zone {zone}: {FLAGS[flag]}."
        case SetBoost(zone, 0):
            return _("The marks of zone {zone} are no longer raised.", zone=zone)
        case SetBoost(zone, boost):
            return _("The marks of zone {zone} are raised by {pages}, so that kswapd frees more.",
                     zone=zone, pages=_pages(boost))
        case SetHighatomic(zone, pages):
            return f"Zone {zone} keeps {_pages(pages)} for urgent requests of high order now."
        case SetWatermarks(zone, (least, low, high, *_)):
            return _("The marks of zone {zone} are computed anew: min {least}, low {low}, high {high} pages.",
                     zone=zone, least=least, low=low, high=high)
        case PageRefMod(pfn, count, val):
            if val > 0:
                return _("A reference to pfn {pfn} is taken: {count} now.", pfn=pfn, count=count)
            return _("A reference to pfn {pfn} is given back: {count} now.", pfn=pfn, count=count)
        case HeadRemains(pfn):
            return _("Somebody still refers to pfn {pfn}: that page stays, the rest of its block is freed.", pfn=pfn)
        case BadPage(pfn, reason):
            return f"Page {pfn} does not look unused ({reason}): its block is never used again."
        case SlowPath(stage, reason):
            return _("Next on the slow path: {stage}. {reason}.", stage=stage, reason=reason[:1].upper() + reason[1:])
        case MmLruInsertion(pfn, anon):
            return f"pfn {pfn}, {'anonymous memory' if anon else 'a page of a file'}, may be reclaimed from now on."
        case _:
            return _reclaim(event)


def _reclaim(event: Event) -> str:
    match event:
        case MmVmscanWakeupKswapd(nid, _, order):
            return f"kswapd of node {nid} is woken, for a request of order {order}."
        case MmVmscanKswapdWake(nid):
            return f"kswapd of node {nid} is awake and begins to reclaim."
        case MmVmscanKswapdSleep(nid):
            return f"kswapd of node {nid} has done what it could, and sleeps."
        case MmVmscanDirectReclaimBegin(order):
            return _("Who asks for order {order} begins to reclaim pages himself.", order=order)
        case MmVmscanDirectReclaimEnd(reclaimed):
            return _("Direct reclaim is over: it has freed {pages}.", pages=_pages(reclaimed))
        case MmVmscanWriteFolio(pfn):
            return f"pfn {pfn} is written to swap by whoever reclaims: it is clean now."
        case FlusherWrite(pfn):
            return _("The flusher threads write pfn {pfn} to its file: it is clean now.", pfn=pfn)
        case MmCompactionBegin(zone, order):
            return _("Compaction begins to make a block of order {order} in zone {zone}.", order=order, zone=zone)
        case MmCompactionEnd(zone, success):
            return f"Compaction of zone {zone} {'has made the block' if success else 'could not make the block'}."
        case MmMigratePage(pfn, to):
            return _("What was in pfn {pfn} is in pfn {to} now, and so is its owner.", pfn=pfn, to=to)
        case OutOfMemory(order):
            return _("Nothing is left to reclaim for a request of order {order}: somebody has to give up his memory.",
                     order=order)
        case MarkVictim(pid, comm):
            return _("The OOM killer has chosen {comm}, process {pid}.", comm=comm, pid=pid)
    return ""


def _pages(count: int) -> str:
    return f"{count} page{'s' * (count != 1)}"
