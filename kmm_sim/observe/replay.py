# SPDX-License-Identifier: GPL-2.0-only
"""Replay: rebuild a machine's state from a snapshot and the events that followed.

It knows nothing of how the allocator decides.  Each event says what moved where, and replay
moves it.  That this always ends in the machine's own state proves that the trace tells
everything.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from types import MappingProxyType

from kmm_sim.mm.events import (
    BadPage,
    FlusherWrite,
    FreeListAdd,
    FreeListDel,
    FreeListMove,
    HeadRemains,
    MarkVictim,
    Merge,
    MmCompactionBegin,
    MmCompactionEnd,
    MmLruInsertion,
    MmMigratePage,
    MmPageAlloc,
    MmPageAllocExtfrag,
    MmPageFree,
    MmPagePcpuDrain,
    MmVmscanDirectReclaimBegin,
    MmVmscanDirectReclaimEnd,
    MmVmscanKswapdSleep,
    MmVmscanKswapdWake,
    MmVmscanWakeupKswapd,
    MmVmscanWriteFolio,
    OutOfMemory,
    PageRefMod,
    PcpAdd,
    PcpDel,
    SetBoost,
    SetHighatomic,
    SetPageblock,
    SetWatermarks,
    SetZoneFlag,
    SlowPath,
    Split,
    SplitPage,
)
from kmm_sim.mm.mmzone import PAGEBLOCK_ORDER
from kmm_sim.mm.slab_events import SlabEvent
from kmm_sim.mm.vmalloc_events import VmallocEvent
from kmm_sim.observe.snapshot import Allocation, FreeBlocks, PcpBlocks, Reclaimable, Snapshot, ZoneSnapshot
from kmm_sim.trace import Event

__all__ = ["frames", "moments", "replay"]

REMARKS = (
    BadPage,
    MarkVictim,
    MmCompactionBegin,
    MmCompactionEnd,
    MmPageAllocExtfrag,
    MmPagePcpuDrain,
    MmVmscanDirectReclaimBegin,
    MmVmscanDirectReclaimEnd,
    MmVmscanKswapdSleep,
    MmVmscanKswapdWake,
    MmVmscanWakeupKswapd,
    OutOfMemory,
    SlowPath,
)
"""Events that say why, and move nothing."""


def replay(start: Snapshot, events: Iterable[Event]) -> Snapshot:
    """Return the state after all ``events``, beginning from ``start``.

    Raises TypeError for an event that replay does not know.
    """
    state = _State(start)
    for event in events:
        state.apply(event)
    return state.snapshot()


def frames(start: Snapshot, events: Iterable[Event]) -> Iterator[Snapshot]:
    """Yield the state after each event in turn, beginning from ``start``.

    Raises TypeError for an event that replay does not know.
    """
    state = _State(start)
    for event in events:
        state.apply(event)
        yield state.snapshot()


def moments(start: Snapshot, events: Sequence[Event], at: Iterable[int]) -> Iterator[Snapshot]:
    """Yield the state after the first n of ``events``, for each n of ``at``, which never goes back.

    For many events it is far quicker than ``frames``: a state is only made where one is asked for.
    """
    state, done = _State(start), 0
    for n in at:
        for event in events[done:n]:
            state.apply(event)
        done = max(done, n)
        yield state.snapshot()


class _State:
    """A snapshot that can change: per zone, a list per order and migratetype, head first."""

    def __init__(self, start: Snapshot) -> None:
        self.zones = [_ZoneState(zone) for zone in start.zones]
        self.allocated = dict(start.allocated)
        self.lru = {one.pfn: one for one in start.lru}

    def apply(self, event: Event) -> None:
        match event:
            case FreeListDel(zone, pfn, order, migratetype):
                self.zones[zone].unlink(pfn, order, migratetype)
            case FreeListAdd(zone, pfn, order, migratetype, tail):
                self.zones[zone].link(pfn, order, migratetype, tail)
            case FreeListMove(zone, pfn, order, migratetype, to):
                self.zones[zone].unlink(pfn, order, migratetype)
                self.zones[zone].link(pfn, order, to, tail=True)
            case Split(zone, pfn, order, migratetype):
                self.zones[zone].link(pfn + (1 << order), order, migratetype, tail=False)
            case Merge(zone, _, order, buddy, migratetype):
                self.zones[zone].unlink(buddy, order, migratetype)
            case SetPageblock(zone, pfn, migratetype):
                self.zones[zone].pageblocks[pfn >> PAGEBLOCK_ORDER] = migratetype
            case MmPageAlloc(pfn, order, migratetype, gfp):
                if pfn is not None:
                    self.allocated[pfn] = Allocation(pfn, order, migratetype, gfp)
            case MmPageFree(pfn, _):
                self.allocated.pop(pfn, None)  # a broken caller frees what nobody holds
                self.lru.pop(pfn, None)
            case MmLruInsertion(pfn, anon, dirty):
                self.lru[pfn] = Reclaimable(pfn, anon, dirty)
            case FlusherWrite(pfn):
                self.lru[pfn] = Reclaimable(pfn, False, False)
            case MmVmscanWriteFolio(pfn, anon):
                self.lru[pfn] = Reclaimable(pfn, anon, False)
            case MmMigratePage(pfn, to):
                self.allocated[to] = replace(self.allocated[pfn], pfn=to)
                self.lru[to] = replace(self.lru.pop(pfn), pfn=to)
            case PageRefMod(pfn, count, _):
                if pfn in self.allocated:
                    self.allocated[pfn] = replace(self.allocated[pfn], refcount=count)
            case HeadRemains(pfn):
                self.allocated[pfn] = replace(self.allocated[pfn], order=0)
            case SplitPage(pfn, order):
                whole = self.allocated[pfn]
                for single in range(pfn, pfn + (1 << order)):
                    self.allocated[single] = replace(whole, pfn=single, order=0)
            case PcpAdd(zone, cpu, pfn, order, migratetype, tail):
                self.zones[zone].pcp_link(cpu, pfn, order, migratetype, tail)
            case PcpDel(zone, cpu, pfn, order, migratetype):
                del self.zones[zone].pcp[cpu, order, migratetype][pfn]
            case SetZoneFlag(zone, flag, on):
                flags = self.zones[zone].flags
                self.zones[zone].flags = flags | flag if on else flags & ~flag
            case SetBoost(zone, boost):
                self.zones[zone].watermark_boost = boost
            case SetWatermarks(zone, watermark, boost, reserve):
                self.zones[zone].start = replace(
                    self.zones[zone].start, watermark=watermark, lowmem_reserve=reserve
                )
                self.zones[zone].watermark_boost = boost
            case SetHighatomic(zone, nr_pages):
                self.zones[zone].nr_reserved_highatomic = nr_pages
            case _ if isinstance(event, REMARKS):
                pass  # what moved because of it is told by other events
            case SlabEvent():
                pass  # it tells of objects; see slab_replay()
            case VmallocEvent():
                pass  # it tells of addresses; see vmap_replay()
            case _:
                raise TypeError(f"replay does not know the event {event}")

    def snapshot(self) -> Snapshot:
        return Snapshot(
            tuple(zone.snapshot() for zone in self.zones),
            MappingProxyType(dict(sorted(self.allocated.items()))),
            tuple(self.lru.values()),
        )


class _ZoneState:
    def __init__(self, start: ZoneSnapshot) -> None:
        self.start = start
        self.pageblocks = dict(start.pageblocks)
        self.watermark_boost = start.watermark_boost
        self.flags = start.flags
        self.nr_reserved_highatomic = start.nr_reserved_highatomic
        self.pcp = {
            (blocks.cpu, blocks.order, blocks.migratetype): OrderedDict.fromkeys(blocks.pfns)
            for blocks in start.pcp
        }
        self.lists = {
            (blocks.order, blocks.migratetype): OrderedDict.fromkeys(blocks.pfns)
            for blocks in start.free
        }

    def link(self, pfn: int, order: int, migratetype: int, tail: bool) -> None:
        blocks = self.lists.setdefault((order, migratetype), OrderedDict())
        blocks[pfn] = None
        blocks.move_to_end(pfn, last=tail)

    def pcp_link(self, cpu: int, pfn: int, order: int, migratetype: int, tail: bool) -> None:
        blocks = self.pcp.setdefault((cpu, order, migratetype), OrderedDict())
        blocks[pfn] = None
        blocks.move_to_end(pfn, last=tail)

    def unlink(self, pfn: int, order: int, migratetype: int) -> None:
        del self.lists[order, migratetype][pfn]

    def snapshot(self) -> ZoneSnapshot:
        default = self.start.pageblock_default
        special = {n: mt for n, mt in sorted(self.pageblocks.items()) if mt != default}
        return replace(
            self.start,
            pageblocks=MappingProxyType(special),
            free=tuple(
                FreeBlocks(order, migratetype, tuple(pfns))
                for (order, migratetype), pfns in sorted(self.lists.items())
                if pfns
            ),
            pcp=tuple(
                PcpBlocks(cpu, order, migratetype, tuple(pfns))
                for (cpu, order, migratetype), pfns in sorted(self.pcp.items())
                if pfns
            ),
            watermark_boost=self.watermark_boost,
            flags=self.flags,
            nr_reserved_highatomic=self.nr_reserved_highatomic,
        )
