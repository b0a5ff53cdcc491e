# SPDX-License-Identifier: GPL-2.0-only
"""What the rarer events of the page allocator mean, in a sentence: notes about zones, reclaim, the OOM killer."""

from __future__ import annotations

from kmm_sim.catalogue import _, ngettext
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
    ZoneFlag.BOOSTED_WATERMARK: _("its marks are raised, and kswapd is to be woken"),
    ZoneFlag.RECLAIM_ACTIVE: _("kswapd is at work in it"),
    ZoneFlag.BELOW_HIGH: _("it is below its high mark"),
}


def sentence(event: Event) -> str:
    """Return what an event means; "" for one that is told elsewhere."""
    match event:
        case SetZoneFlag(zone, flag, on):
            if on:
                return _("Noted of zone {zone}: {flag}.", zone=zone, flag=FLAGS[flag])
            return _("No longer true of zone {zone}: {flag}.", zone=zone, flag=FLAGS[flag])
        case SetBoost(zone, 0):
            return _("The marks of zone {zone} are no longer raised.", zone=zone)
        case SetBoost(zone, boost):
            return _("The marks of zone {zone} are raised by {pages}, so that kswapd frees more.",
                     zone=zone, pages=_pages(boost))
        case SetHighatomic(zone, pages):
            return _("Zone {zone} keeps {pages} for urgent requests of high order now.", zone=zone, pages=_pages(pages))
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
            return _("Page {pfn} does not look unused ({reason}): its block is never used again.",
                     pfn=pfn, reason=reason)
        case SlowPath(stage, reason):
            return _("Next on the slow path: {stage}. {reason}.", stage=stage, reason=reason[:1].upper() + reason[1:])
        case MmLruInsertion(pfn, anon):
            if anon:
                return _("pfn {pfn}, anonymous memory, may be reclaimed from now on.", pfn=pfn)
            return _("pfn {pfn}, a page of a file, may be reclaimed from now on.", pfn=pfn)
        case _:
            return _reclaim(event)


def _reclaim(event: Event) -> str:
    match event:
        case MmVmscanWakeupKswapd(nid, _, order):
            return _("kswapd of node {nid} is woken, for a request of order {order}.", nid=nid, order=order)
        case MmVmscanKswapdWake(nid):
            return _("kswapd of node {nid} is awake and begins to reclaim.", nid=nid)
        case MmVmscanKswapdSleep(nid):
            return _("kswapd of node {nid} has done what it could, and sleeps.", nid=nid)
        case MmVmscanDirectReclaimBegin(order):
            return _("Who asks for order {order} begins to reclaim pages himself.", order=order)
        case MmVmscanDirectReclaimEnd(reclaimed):
            return _("Direct reclaim is over: it has freed {pages}.", pages=_pages(reclaimed))
        case MmVmscanWriteFolio(pfn):
            return _("pfn {pfn} is written to swap by whoever reclaims: it is clean now.", pfn=pfn)
        case FlusherWrite(pfn):
            return _("The flusher threads write pfn {pfn} to its file: it is clean now.", pfn=pfn)
        case MmCompactionBegin(zone, order):
            return _("Compaction begins to make a block of order {order} in zone {zone}.", order=order, zone=zone)
        case MmCompactionEnd(zone, success):
            if success:
                return _("Compaction of zone {zone} has made the block.", zone=zone)
            return _("Compaction of zone {zone} could not make the block.", zone=zone)
        case MmMigratePage(pfn, to):
            return _("What was in pfn {pfn} is in pfn {to} now, and so is its owner.", pfn=pfn, to=to)
        case OutOfMemory(order):
            return _("Nothing is left to reclaim for a request of order {order}: somebody has to give up his memory.",
                     order=order)
        case MarkVictim(pid, comm):
            return _("The OOM killer has chosen {comm}, process {pid}.", comm=comm, pid=pid)
    return ""


def _pages(count: int) -> str:
    return ngettext("{n} page", "{n} pages", count)
