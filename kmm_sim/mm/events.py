# SPDX-License-Identifier: GPL-2.0-only
"""What the allocator tells, step by step.

The names that begin with ``mm_`` are Linux's own tracepoints.  Those that begin with
``sim_`` stand for steps that Linux takes without telling: a split, a merge, a block put on a
list.  Between leaving a list and reaching a caller or another list, a block is *in hand*.

Linux: include/trace/events/kmem.h
Simplified: page frame numbers only; the hashed pointers of ``page=`` are left out everywhere.  Only NULL is
printed, which Linux does not hash.
What else a line of Linux has, and ours has not, stands at the event.
"""

from __future__ import annotations

from dataclasses import dataclass

from kmm_sim.mm.gfp import gfp_names
from kmm_sim.trace import Event

__all__ = [
    "BadPage",
    "FlusherWrite",
    "FreeListAdd",
    "FreeListDel",
    "FreeListMove",
    "HeadRemains",
    "MarkVictim",
    "Merge",
    "MmCompactionBegin",
    "MmCompactionEnd",
    "MmLruInsertion",
    "MmMigratePage",
    "MmPageAlloc",
    "MmPageAllocExtfrag",
    "MmPageFree",
    "MmPagePcpuDrain",
    "MmVmscanDirectReclaimBegin",
    "MmVmscanDirectReclaimEnd",
    "MmVmscanKswapdSleep",
    "MmVmscanKswapdWake",
    "MmVmscanWakeupKswapd",
    "MmVmscanWriteFolio",
    "OutOfMemory",
    "PageRefMod",
    "PcpAdd",
    "PcpDel",
    "SetBoost",
    "SetHighatomic",
    "SetPageblock",
    "SetWatermarks",
    "SetZoneFlag",
    "SlowPath",
    "Split",
    "SplitPage",
]


@dataclass(frozen=True, slots=True)
class MmPageAlloc(Event):
    """The caller got the block at pfn, or nothing (pfn is None): then page is NULL, and pfn 0 as in Linux.

    Simplified: left out are ``page=`` of a block that was got, a hashed pointer.
    """

    tracepoint = "mm_page_alloc"
    pfn: int | None
    order: int
    migratetype: int
    gfp: int

    def __str__(self) -> str:
        null = "page=0000000000000000 " if self.pfn is None else ""
        return (
            f"mm_page_alloc: {null}pfn={self.pfn or 0:#x} order={self.order} "
            f"migratetype={self.migratetype} gfp_flags={gfp_names(self.gfp) or 'none'}"
        )


@dataclass(frozen=True, slots=True)
class MmPageFree(Event):
    """The caller gave the block at pfn back; it is in hand now.

    Simplified: left out are ``page=``.
    """

    tracepoint = "mm_page_free"
    pfn: int
    order: int


@dataclass(frozen=True, slots=True)
class MmPageAllocExtfrag(Event):
    """A request had to be served from another migratetype's block of ``fallback_order``.

    ``change_ownership``: the pageblock around it became one of the request's type.

    Simplified: left out are ``page=``, ``pageblock_order=``, ``fragmenting=``.
    """

    tracepoint = "mm_page_alloc_extfrag"
    pfn: int
    alloc_order: int
    fallback_order: int
    alloc_migratetype: int
    fallback_migratetype: int
    change_ownership: bool = False


@dataclass(frozen=True, slots=True)
class FreeListDel(Event):
    """A free block left its list; it is in hand now."""

    tracepoint = "sim_free_list_del"
    zone: int
    pfn: int
    order: int
    migratetype: int


@dataclass(frozen=True, slots=True)
class FreeListAdd(Event):
    """The block in hand went on a list: at its head, or at its tail."""

    tracepoint = "sim_free_list_add"
    zone: int
    pfn: int
    order: int
    migratetype: int
    tail: bool


@dataclass(frozen=True, slots=True)
class FreeListMove(Event):
    """A free block went from its list to the tail of another migratetype's."""

    tracepoint = "sim_free_list_move"
    zone: int
    pfn: int
    order: int
    migratetype: int
    to: int


@dataclass(frozen=True, slots=True)
class Split(Event):
    """The block in hand was cut in two of ``order``; the upper half heads its list now."""

    tracepoint = "sim_split"
    zone: int
    pfn: int
    order: int
    migratetype: int


@dataclass(frozen=True, slots=True)
class Merge(Event):
    """The block in hand, of ``order``, joined its buddy, which left the list of ``migratetype``."""

    tracepoint = "sim_merge"
    zone: int
    pfn: int
    order: int
    buddy: int
    migratetype: int


@dataclass(frozen=True, slots=True)
class SetPageblock(Event):
    """The pageblock that begins at pfn is for another migratetype now."""

    tracepoint = "sim_set_pageblock"
    zone: int
    pfn: int
    migratetype: int


@dataclass(frozen=True, slots=True)
class SplitPage(Event):
    """An allocated block of ``order`` became single pages, each with an owner of its own."""

    tracepoint = "sim_split_page"
    pfn: int
    order: int


@dataclass(frozen=True, slots=True)
class PcpAdd(Event):
    """The block in hand went on a CPU's own list: at its tail if it was fetched, else its head."""

    tracepoint = "sim_pcp_add"
    zone: int
    cpu: int
    pfn: int
    order: int
    migratetype: int
    tail: bool


@dataclass(frozen=True, slots=True)
class PcpDel(Event):
    """A block left a CPU's own list; it is in hand now."""

    tracepoint = "sim_pcp_del"
    zone: int
    cpu: int
    pfn: int
    order: int
    migratetype: int


@dataclass(frozen=True, slots=True)
class MmPagePcpuDrain(Event):
    """A block went from a CPU's own list back to the buddy system.

    Simplified: left out are ``page=``.
    """

    tracepoint = "mm_page_pcpu_drain"
    pfn: int
    order: int
    migratetype: int


@dataclass(frozen=True, slots=True)
class SetZoneFlag(Event):
    """A note about a zone (a bit of ``ZoneFlag``) was made or struck out."""

    tracepoint = "sim_set_zone_flag"
    zone: int
    flag: int
    on: bool


@dataclass(frozen=True, slots=True)
class SetBoost(Event):
    """The zone's marks are raised by ``boost`` pages now."""

    tracepoint = "sim_set_boost"
    zone: int
    boost: int


@dataclass(frozen=True, slots=True)
class SetHighatomic(Event):
    """So many pages of a zone are reserved for urgent high-order requests now."""

    tracepoint = "sim_set_highatomic"
    zone: int
    nr_pages: int


@dataclass(frozen=True, slots=True)
class SetWatermarks(Event):
    """A zone's marks (min, low, high, promo), boost and reserves were computed anew, in pages."""

    tracepoint = "sim_set_watermarks"
    zone: int
    watermark: tuple[int, ...]
    boost: int
    lowmem_reserve: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PageRefMod(Event):
    """Somebody took (val 1) or gave back (val -1) a reference; now there are ``count``.

    Simplified: left out are ``flags=``, ``mapcount=``, ``mapping=``, ``mt=``.
    """

    tracepoint = "page_ref_mod"
    pfn: int
    count: int
    val: int


@dataclass(frozen=True, slots=True)
class HeadRemains(Event):
    """The owner freed a block to whose first page somebody else refers; only that page stays."""

    tracepoint = "sim_head_remains"
    pfn: int


@dataclass(frozen=True, slots=True)
class BadPage(Event):
    """The page at pfn does not look unused; the block in hand is never used again."""

    tracepoint = "sim_bad_page"
    pfn: int
    reason: str


@dataclass(frozen=True, slots=True)
class SlowPath(Event):
    """A request that was not served at once takes another step: ``stage``, and why."""

    tracepoint = "sim_slow_path"
    stage: str
    reason: str


@dataclass(frozen=True, slots=True)
class MmLruInsertion(Event):
    """A page in use may be reclaimed from now on: a file's page, or anonymous memory.

    Simplified: left out are ``page=``; the flags stand as ``anon=`` and ``dirty=``, and no list is named.
    """

    tracepoint = "mm_lru_insertion"
    pfn: int
    anon: bool
    dirty: bool


@dataclass(frozen=True, slots=True)
class MmVmscanWakeupKswapd(Event):
    """kswapd, asleep, is woken: a zone is below its low mark."""

    tracepoint = "mm_vmscan_wakeup_kswapd"
    nid: int
    zid: int
    order: int
    gfp: int

    def __str__(self) -> str:
        return f"{self.tracepoint}: nid={self.nid} order={self.order} gfp_flags={gfp_names(self.gfp) or 'none'}"


@dataclass(frozen=True, slots=True)
class MmVmscanKswapdWake(Event):
    """kswapd begins to reclaim."""

    tracepoint = "mm_vmscan_kswapd_wake"
    nid: int
    order: int


@dataclass(frozen=True, slots=True)
class MmVmscanKswapdSleep(Event):
    """kswapd has done what it could and sleeps."""

    tracepoint = "mm_vmscan_kswapd_sleep"
    nid: int


@dataclass(frozen=True, slots=True)
class MmVmscanDirectReclaimBegin(Event):
    """The one who asks for memory begins to reclaim some himself."""

    tracepoint = "mm_vmscan_direct_reclaim_begin"
    order: int
    gfp: int

    def __str__(self) -> str:
        return f"{self.tracepoint}: order={self.order} gfp_flags={gfp_names(self.gfp) or 'none'}"


@dataclass(frozen=True, slots=True)
class MmVmscanDirectReclaimEnd(Event):
    """Direct reclaim has freed so many pages."""

    tracepoint = "mm_vmscan_direct_reclaim_end"
    nr_reclaimed: int


@dataclass(frozen=True, slots=True)
class MmVmscanWriteFolio(Event):
    """A page was written to swap by whoever reclaims; it is clean now.

    Simplified: left out are ``page=``; of the flags only ``anon=``.
    """

    tracepoint = "mm_vmscan_write_folio"
    pfn: int
    anon: bool


@dataclass(frozen=True, slots=True)
class FlusherWrite(Event):
    """The flusher threads, woken by reclaim, wrote a page to its file; it is clean now."""

    tracepoint = "sim_flusher_write"
    pfn: int


@dataclass(frozen=True, slots=True)
class MmCompactionBegin(Event):
    """Compaction begins to make a block of ``order`` in a zone.

    Simplified: left out are the bounds and the positions of the scanners, ``mode=``; ours names the zone and the order.
    """

    tracepoint = "mm_compaction_begin"
    zone: int
    order: int


@dataclass(frozen=True, slots=True)
class MmCompactionEnd(Event):
    """Compaction made the block, or could not.

    Simplified: left out are the bounds and the positions of the scanners, ``mode=``; the status is ``success=``.
    """

    tracepoint = "mm_compaction_end"
    zone: int
    success: bool


@dataclass(frozen=True, slots=True)
class MmMigratePage(Event):
    """What was in the page at pfn is in the page ``to`` now, and so is its owner.

    Simplified: Linux counts the pages of a batch in ``mm_migrate_pages``; ours tells each.
    """

    tracepoint = "mm_migrate_page"
    pfn: int
    to: int


@dataclass(frozen=True, slots=True)
class OutOfMemory(Event):
    """Nothing is left to reclaim: somebody has to give up his memory."""

    tracepoint = "sim_out_of_memory"
    order: int
    gfp: int

    def __str__(self) -> str:
        return f"{self.tracepoint}: order={self.order} gfp_flags={gfp_names(self.gfp) or 'none'}"


@dataclass(frozen=True, slots=True)
class MarkVictim(Event):
    """The OOM killer has chosen a process.

    Simplified: left out are what the process has of memory, ``uid=``, ``oom_score_adj=``.
    """

    tracepoint = "mark_victim"
    pid: int
    comm: str
