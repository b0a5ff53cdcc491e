# SPDX-License-Identifier: GPL-2.0-only
"""Per-CPU page lists: a small stock of free pages at every CPU's elbow.

Most requests are for a page or a few, and most pages come back soon.  Each CPU keeps some in
lists of its own, for orders 0 to 3 and for huge pages, and goes to the buddy system only to
take a batch or to give one back.  What was freed last is handed out first: it may still be in
the CPU's cache.  The limits follow the traffic: ``high`` grows while pages are taken and
shrinks when the zone runs low.

A page on such a list is not free for the buddy system: it does not merge, /proc/buddyinfo
does not count it, and the watermark tests do not see it.

Linux: mm/page_alloc.c, include/linux/mmzone.h
Simplified: CPUs take turns, so that nobody ever finds a list locked; no decay by a timer.
"""

from __future__ import annotations

from kmm_sim.mm.bad_page import check_new_pages
from kmm_sim.mm.buddy import free_one_page, free_page_alone, split_large_buddy
from kmm_sim.mm.events import FreeListDel, MmPagePcpuDrain, PcpAdd, PcpDel
from kmm_sim.mm.fallback import RmqueueMode, rmqueue_or_fallback
from kmm_sim.mm.mmzone import (
    HPAGE_PMD_ORDER,
    MIGRATE_PCPTYPES,
    NR_LOWORDER_PCP_LISTS,
    NR_PCP_LISTS,
    PAGE_ALLOC_COSTLY_ORDER,
    PAGEBLOCK_ORDER,
    Migrate,
    PcpFlag,
    PerCpuPages,
    Wmark,
    Zone,
    ZoneFlag,
    ZoneType,
)
from kmm_sim.mm.vmstat import clear_zone_flag, mod_zone_page_state
from kmm_sim.mm.watermark import wmark_pages, zone_watermark_ok

__all__ = [
    "decay_pcp_high",
    "drain_pages_zone",
    "free_pcppages_bulk",
    "free_unref_page",
    "free_unref_page_commit",
    "nr_pcp_alloc",
    "nr_pcp_free",
    "nr_pcp_high",
    "nr_split_cpus",
    "order_to_pindex",
    "pcp_allowed_order",
    "pindex_to_migratetype",
    "pindex_to_order",
    "remove_from_pcplist",
    "rmqueue_bulk",
    "rmqueue_pcplist",
    "zone_batchsize",
    "zone_highsize",
    "zone_set_pageset_high_and_batch",
]

CONFIG_PCP_BATCH_SCALE_MAX = 5
MOVABLE = int(Migrate.MOVABLE)
PREV_FREE_HIGH_ORDER, FREE_HIGH_BATCH = PcpFlag.PREV_FREE_HIGH_ORDER, PcpFlag.FREE_HIGH_BATCH
MIN_PERCPU_PAGELIST_HIGH_FRACTION = 8


def pcp_allowed_order(order: int) -> bool:
    """Return whether blocks of this order have per-CPU lists: 0 to 3, and huge pages.

    Linux: pcp_allowed_order(), mm/page_alloc.c
    """
    return order <= PAGE_ALLOC_COSTLY_ORDER or order == HPAGE_PMD_ORDER


def order_to_pindex(migratetype: int, order: int) -> int:
    """Return which of the 14 lists is for this order and migratetype.

    Huge pages have two: one for movable pages, one for all others.

    Linux: order_to_pindex(), mm/page_alloc.c
    """
    if order > PAGE_ALLOC_COSTLY_ORDER:
        return NR_LOWORDER_PCP_LISTS + (migratetype == MOVABLE)
    return MIGRATE_PCPTYPES * order + migratetype


def pindex_to_order(pindex: int) -> int:
    """Return the order of the blocks on a list.

    Linux: pindex_to_order(), mm/page_alloc.c
    """
    return HPAGE_PMD_ORDER if pindex >= NR_LOWORDER_PCP_LISTS else pindex // MIGRATE_PCPTYPES


def pindex_to_migratetype(pindex: int) -> int:
    """Return the migratetype of a list; that of the other huge pages counts as unmovable.

    Linux: no counterpart; the kernel never needs to go this way
    """
    if pindex >= NR_LOWORDER_PCP_LISTS:
        return pindex - NR_LOWORDER_PCP_LISTS
    return pindex % MIGRATE_PCPTYPES


# Taking pages


def nr_pcp_alloc(pcp: PerCpuPages, zone: Zone, order: int) -> int:
    """Return how many blocks to take from the buddy system, now that a list is empty.

    Twice as many each time, as long as nothing comes back in between.

    Linux: nr_pcp_alloc(), mm/page_alloc.c
    """
    base_batch, high = pcp.batch, pcp.high
    if not pcp.high_min <= high <= pcp.high_max:
        high = pcp.high = min(max(high, pcp.high_min), pcp.high_max)
    if high < base_batch:  # the lists are turned off
        return 1
    batch = base_batch if order else base_batch << pcp.alloc_factor
    if high < pcp.high_max != pcp.high_min and not zone.flags & ZoneFlag.BELOW_HIGH:
        high = pcp.high = min(high + batch, pcp.high_max)
    if not order:
        max_nr_alloc = max(high - pcp.count - base_batch, base_batch)
        if batch <= max_nr_alloc and pcp.alloc_factor < CONFIG_PCP_BATCH_SCALE_MAX:
            pcp.alloc_factor += 1
        batch = min(batch, max_nr_alloc)
    return max(batch >> order, 2) if batch > 1 else batch


def rmqueue_bulk(
    zone: Zone, order: int, count: int, pcp: PerCpuPages, migratetype: int, alloc_flags: int
) -> int:
    """Take ``count`` blocks from the buddy system, to the tail of a list, and return how many.

    Linux: rmqueue_bulk(), mm/page_alloc.c
    """
    pindex = order_to_pindex(migratetype, order)
    blocks, trace, listed = pcp.lists[pindex], zone.trace, pindex_to_migratetype(pindex)
    free_list = zone.free_area[order].free_list[migratetype]
    front = free_list.front
    mode = RmqueueMode.NORMAL
    for taken in range(count):
        pfn: int | None
        if front and not mode:  # nothing to split: what rmqueue_smallest() does, in one step
            pfn, _ = front.popitem()
            if not front:
                free_list.turn()
            del zone.buddy[pfn]
            if trace is not None:
                trace.note(FreeListDel, zone.index, pfn, order, migratetype)
            mod_zone_page_state(zone, -1 << order)
        else:
            pfn, mode = rmqueue_or_fallback(zone, order, migratetype, alloc_flags, mode)
            if pfn is None:
                return taken
        blocks.append(pfn)
        if trace is not None:
            trace.note(PcpAdd, zone.index, zone.cpu, pfn, order, listed, True)
    return count


def remove_from_pcplist(
    zone: Zone, order: int, migratetype: int, alloc_flags: int, pcp: PerCpuPages
) -> int | None:
    """Take the block at the head of a list, filling the list first if it is empty.

    Linux: __rmqueue_pcplist(), mm/page_alloc.c
    """
    pindex = order_to_pindex(migratetype, order)
    blocks = pcp.lists[pindex]
    while True:
        if not blocks:
            batch = nr_pcp_alloc(pcp, zone, order)
            taken = rmqueue_bulk(zone, order, batch, pcp, migratetype, alloc_flags)
            pcp.count += taken << order
            if not blocks:
                return None
        pfn = blocks.popleft()
        pcp.count -= 1 << order
        if zone.trace is not None:
            listed = pindex_to_migratetype(pindex)
            zone.trace.note(PcpDel, zone.index, zone.cpu, pfn, order, listed)
        if not (zone.suspects and check_new_pages(zone, pfn, order)):
            return pfn


def rmqueue_pcplist(
    zone: Zone, pcp: PerCpuPages, order: int, migratetype: int, alloc_flags: int
) -> int | None:
    """Take a block from this CPU's lists; return its pfn or None.

    Linux: rmqueue_pcplist(), mm/page_alloc.c
    """
    pcp.free_count >>= 1
    return remove_from_pcplist(zone, order, migratetype, alloc_flags, pcp)


# Giving pages back


def free_pcppages_bulk(zone: Zone, count: int, pcp: PerCpuPages, pindex: int) -> None:
    """Give ``count`` pages back to the buddy system, the list ``pindex`` first.

    One list after the other is emptied, from its tail: what was freed longest ago.

    Linux: free_pcppages_bulk(), mm/page_alloc.c
    """
    count = min(pcp.count, count)
    pindex -= 1
    while count > 0:
        pindex = (pindex + 1) % NR_PCP_LISTS
        while not pcp.lists[pindex]:
            pindex = (pindex + 1) % NR_PCP_LISTS
        order = pindex_to_order(pindex)
        count -= _free_from_tail(zone, count, pcp, pindex, order)


def _free_from_tail(zone: Zone, count: int, pcp: PerCpuPages, pindex: int, order: int) -> int:
    """Give at least ``count`` pages of one list back, if it has them; return how many it was."""
    blocks, trace, size, done = pcp.lists[pindex], zone.trace, 1 << order, 0
    cpu, listed = zone.per_cpu_pageset.index(pcp), pindex_to_migratetype(pindex)
    pageblocks, default = zone.pageblocks, zone.pageblock_default
    while done < count and blocks:
        pfn = blocks.pop()
        migratetype = pageblocks.get(pfn >> PAGEBLOCK_ORDER, default)
        if trace is not None:
            trace.note(PcpDel, zone.index, cpu, pfn, order, listed)
        if not free_page_alone(zone, pfn, order, migratetype):
            free_one_page(zone, pfn, order, migratetype)
        if trace is not None:
            trace.note(MmPagePcpuDrain, pfn, order, migratetype)
        done += size
    pcp.count -= done
    return done


def nr_pcp_free(pcp: PerCpuPages, batch: int, high: int, free_high: bool) -> int:
    """Return how many pages to give back at once: the more, the more came in a row.

    Linux: nr_pcp_free(), mm/page_alloc.c
    """
    if free_high:
        return min(pcp.count, batch << CONFIG_PCP_BATCH_SCALE_MAX)
    if high < batch:  # the lists are turned off
        return 1
    return min(max(pcp.free_count, batch), high - batch)


def nr_pcp_high(pcp: PerCpuPages, zone: Zone, batch: int, free_high: bool) -> int:
    """Return how many pages the lists may hold now, and adapt the limit.

    Linux: nr_pcp_high(), mm/page_alloc.c
    """
    high, high_min, high_max = pcp.high, pcp.high_min, pcp.high_max
    if not high_min <= high <= high_max:
        high = pcp.high = min(max(high, high_min), high_max)
    if not high:
        return 0
    if free_high:
        pcp.high = max(high - (batch << CONFIG_PCP_BATCH_SCALE_MAX), high_min)
        return 0
    if zone.flags & ZoneFlag.RECLAIM_ACTIVE:
        pcp.high = max(high - max(pcp.free_count, batch), high_min)
        return min(batch << 2, pcp.high)
    if high_min == high_max:
        return high
    if zone.flags & ZoneFlag.BELOW_HIGH:
        pcp.high = max(high - max(pcp.free_count, batch), high_min)
        return max(pcp.count, high_min)
    if pcp.count >= high:
        need_high = pcp.free_count + batch
        if pcp.high < need_high:
            pcp.high = min(max(need_high, high_min), high_max)
    return high


def free_unref_page_commit(
    zone: Zone, pcp: PerCpuPages, pfn: int, migratetype: int, order: int
) -> None:
    """Put a block at the head of its list; give some back if there are too many now.

    Linux: free_unref_page_commit(), mm/page_alloc.c
    """
    batch, free_high = pcp.batch, False
    pcp.alloc_factor >>= 1
    pcp.count += 1 << order
    if order <= PAGE_ALLOC_COSTLY_ORDER:
        pindex = MIGRATE_PCPTYPES * order + migratetype
    else:
        pindex = order_to_pindex(migratetype, order)
    pcp.lists[pindex].appendleft(pfn)
    if zone.trace is not None:
        listed = pindex_to_migratetype(pindex)
        zone.trace.note(PcpAdd, zone.index, zone.cpu, pfn, order, listed, False)
    if order and order <= PAGE_ALLOC_COSTLY_ORDER:
        free_high = (
            pcp.free_count >= batch
            and pcp.flags & PREV_FREE_HIGH_ORDER != 0
            and (not pcp.flags & FREE_HIGH_BATCH or pcp.count >= batch)
        )
        pcp.flags |= PREV_FREE_HIGH_ORDER
    else:
        pcp.flags &= ~PREV_FREE_HIGH_ORDER
    if pcp.free_count < batch << CONFIG_PCP_BATCH_SCALE_MAX:
        pcp.free_count += 1 << order
    if pcp.count < pcp.high <= pcp.high_max and pcp.high_min <= pcp.high and not (free_high or zone.flags):
        return  # the common case: nr_pcp_high() would find room, and change nothing
    high = nr_pcp_high(pcp, zone, batch, free_high)
    if pcp.count >= high:
        free_pcppages_bulk(zone, nr_pcp_free(pcp, batch, high, free_high), pcp, pindex)
        if zone.flags & ZoneFlag.BELOW_HIGH:
            _clear_below_high(zone)


def _clear_below_high(zone: Zone) -> None:
    """Note that the zone has recovered, if it has."""
    if zone_watermark_ok(zone, 0, wmark_pages(zone, Wmark.HIGH), ZoneType.MOVABLE, 0):
        clear_zone_flag(zone, ZoneFlag.BELOW_HIGH)


def free_unref_page(zone: Zone, pfn: int, order: int) -> None:
    """Give back a block nobody refers to: to this CPU's lists if it has one for it.

    Linux: free_unref_page(), mm/page_alloc.c
    """
    pcp = zone.pcp
    if pcp is None or (order > PAGE_ALLOC_COSTLY_ORDER and order != HPAGE_PMD_ORDER):
        split_large_buddy(zone, pfn, order)
        return
    migratetype = zone.pageblocks.get(pfn >> PAGEBLOCK_ORDER, zone.pageblock_default)
    if migratetype >= MIGRATE_PCPTYPES:
        if migratetype == Migrate.ISOLATE:
            split_large_buddy(zone, pfn, order)
            return
        migratetype = Migrate.MOVABLE  # so that the reserve can get it back
    free_unref_page_commit(zone, pcp, pfn, migratetype, order)


def drain_pages_zone(zone: Zone, cpu: int) -> None:
    """Give all pages on one CPU's lists back to the buddy system.

    Linux: drain_pages_zone(), mm/page_alloc.c
    """
    if cpu < len(zone.per_cpu_pageset):
        pcp = zone.per_cpu_pageset[cpu]
        while pcp.count:
            free_pcppages_bulk(zone, pcp.batch << CONFIG_PCP_BATCH_SCALE_MAX, pcp, 0)


def decay_pcp_high(zone: Zone, pcp: PerCpuPages) -> bool:
    """Let the limit of idle lists shrink by an eighth; return whether there was work.

    The kernel does it every second or so; here the caller decides when.

    Linux: decay_pcp_high(), mm/page_alloc.c
    """
    todo = False
    if pcp.high > pcp.high_min:
        batched = pcp.count - (pcp.batch << CONFIG_PCP_BATCH_SCALE_MAX)
        pcp.high = max(batched, pcp.high - (pcp.high >> 3), pcp.high_min)
        todo = pcp.high > pcp.high_min
    to_drain = pcp.count - pcp.high
    while to_drain > 0:
        free_pcppages_bulk(zone, min(to_drain, pcp.batch), pcp, 0)
        to_drain -= pcp.batch
        todo = True
    return todo


# How long the lists may get


def zone_batchsize(zone: Zone) -> int:
    """Return how many pages to move at once: about 1/4096 of the zone, at most 63, one less than 2**n.

    Linux: zone_batchsize(), mm/page_alloc.c
    """
    batch = max(min(zone.managed_pages >> 10, 256) // 4, 1)
    batch += batch // 2
    return (1 << (batch.bit_length() - 1)) - 1


def zone_highsize(zone: Zone, batch: int, high_fraction: int) -> int:
    """Return how many pages one CPU's lists may hold: its share of the low mark, or of the zone.

    Linux: zone_highsize(), mm/page_alloc.c
    """
    low = wmark_pages(zone, Wmark.LOW)
    total_pages = zone.managed_pages // high_fraction if high_fraction else low
    return max(total_pages // nr_split_cpus(zone), batch << 2)


def nr_split_cpus(zone: Zone) -> int:
    """Return how many CPUs share a zone: those next to its bank or, if there are none, all.

    Linux: zone_highsize(), mm/page_alloc.c
    """
    cpus = len(zone.per_cpu_pageset)
    if zone.node is None:
        return cpus
    return sum(zone.node.node_of_cpu(cpu) == zone.nid for cpu in range(cpus)) or cpus


def zone_set_pageset_high_and_batch(zone: Zone, high_fraction: int = 0) -> None:
    """Set the limits of a zone's lists; with ``high_fraction`` they do not follow the traffic.

    Linux: zone_set_pageset_high_and_batch(), mm/page_alloc.c
    """
    if not zone.per_cpu_pageset:
        return
    batch = max(1, zone_batchsize(zone))
    high_min = high_max = zone_highsize(zone, batch, high_fraction)
    if not high_fraction:
        high_max = zone_highsize(zone, batch, MIN_PERCPU_PAGELIST_HIGH_FRACTION)
    for pcp in zone.per_cpu_pageset:
        pcp.batch, pcp.high_min, pcp.high_max = batch, high_min, high_max
