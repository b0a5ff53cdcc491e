# SPDX-License-Identifier: GPL-2.0-only
"""The texts of /proc, as the kernel prints them.

What the model has no notion of (page tables, NUMA statistics) is printed as 0, so that the texts
have all their lines.
"""

from __future__ import annotations

from kmm_sim.machine import Machine
from kmm_sim.mm.internal import MAX_RECLAIM_RETRIES
from kmm_sim.mm.mmzone import (
    MIGRATE_TYPES,
    NR_PAGE_ORDERS,
    PAGEBLOCK_NR_PAGES,
    PAGEBLOCK_ORDER,
    ZONE_NAMES,
    Node,
    Wmark,
    Zone,
    ZoneType,
)
from kmm_sim.mm.page import PAGE_SHIFT
from kmm_sim.mm.show_mem import slab_pages
from kmm_sim.mm.tlb import HUGE_SHIFT
from kmm_sim.observe.snapshot import Snapshot, snapshot
from kmm_sim.observe.vmallocinfo import vmalloc_meminfo

__all__ = ["buddyinfo", "meminfo", "pagetypeinfo", "zoneinfo"]

TYPE_NAMES = ("Unmovable", "Movable", "Reclaimable", "HighAtomic", "Isolate")
NODE_STATS = """\
nr_inactive_anon nr_active_anon nr_inactive_file nr_active_file nr_unevictable nr_slab_reclaimable
nr_slab_unreclaimable nr_isolated_anon nr_isolated_file workingset_nodes workingset_refault_anon
workingset_refault_file workingset_activate_anon workingset_activate_file workingset_restore_anon
workingset_restore_file workingset_nodereclaim nr_anon_pages nr_mapped nr_file_pages nr_dirty
nr_writeback nr_writeback_temp nr_shmem nr_shmem_hugepages nr_shmem_pmdmapped nr_file_hugepages
nr_file_pmdmapped nr_anon_transparent_hugepages nr_vmscan_write nr_vmscan_immediate_reclaim
nr_dirtied nr_written nr_throttled_written nr_kernel_misc_reclaimable nr_foll_pin_acquired
nr_foll_pin_released nr_kernel_stack nr_page_table_pages nr_sec_page_table_pages nr_iommu_pages
nr_swapcached pgpromote_success pgpromote_candidate pgdemote_kswapd pgdemote_direct
pgdemote_khugepaged"""
ZONE_STATS = """\
nr_free_pages nr_zone_inactive_anon nr_zone_active_anon nr_zone_inactive_file nr_zone_active_file
nr_zone_unevictable nr_zone_write_pending nr_mlock nr_bounce nr_zspages nr_free_cma nr_unaccepted
numa_hit numa_miss numa_foreign numa_interleave numa_local numa_other"""
MEMINFO = """\
MemTotal MemFree MemAvailable Buffers Cached SwapCached Active Inactive Active(anon)
Inactive(anon) Active(file) Inactive(file) Unevictable Mlocked SwapTotal SwapFree Dirty Writeback
AnonPages Mapped Shmem KReclaimable Slab SReclaimable SUnreclaim KernelStack PageTables
SecPageTables NFS_Unstable Bounce WritebackTmp CommitLimit Committed_AS VmallocTotal VmallocUsed
VmallocChunk Percpu HardwareCorrupted AnonHugePages ShmemHugePages ShmemPmdMapped FileHugePages
FilePmdMapped Unaccepted HugePages_Total HugePages_Free HugePages_Rsvd HugePages_Surp Hugepagesize
Hugetlb DirectMap4k DirectMap2M"""
HIGHMEM_INFO = "HighTotal HighFree LowTotal LowFree"


def buddyinfo(source: Machine | Snapshot) -> str:
    """Return /proc/buddyinfo: for each zone, the number of free blocks of order 0 to 10.

    Linux: frag_show_print(), mm/vmstat.c
    """
    state = snapshot(source) if isinstance(source, Machine) else source
    lines = []
    for zone in state.zones:
        counts = "".join(f"{count:6d} " for count in zone.nr_free)
        lines.append(f"Node {zone.node}, zone {zone.name:>8} {counts}\n")
    return "".join(lines)


def pagetypeinfo(machine: Machine) -> str:
    """Return /proc/pagetypeinfo: free blocks by migratetype, and what the pageblocks are for.

    Linux: pagetypeinfo_show(), mm/vmstat.c
    """
    lines = [
        f"Page block order: {PAGEBLOCK_ORDER}",
        f"Pages per block:  {PAGEBLOCK_NR_PAGES}",
        "",
        f"{'Free pages count per migrate type at order':<43} "
        + "".join(f"{order:6d} " for order in range(NR_PAGE_ORDERS)),
    ]
    for zone in machine.zones:
        for migratetype, name in enumerate(TYPE_NAMES):
            counts = [len(area.free_list[migratetype]) for area in zone.free_area]
            shown = "".join(f"{count:6d} " for count in counts)
            lines.append(f"Node {zone.nid:4d}, zone {zone.name:>8}, type {name:>12} {shown}")
    lines += ["", f"{'Number of blocks type':<23}" + "".join(f"{name:>12} " for name in TYPE_NAMES)]
    for zone in machine.zones:
        shown = "".join(f"{count:12d} " for count in _pageblocks(zone))
        lines.append(f"Node {zone.nid}, zone {zone.name:>8} {shown}")
    return "\n".join(lines) + "\n"


def _pageblocks(zone: Zone) -> list[int]:
    """Count the pageblocks of each type; the first counts if any page of it is in the zone."""
    counts = [0] * MIGRATE_TYPES
    first = zone.start_pfn >> PAGEBLOCK_ORDER
    end = -((-zone.end_pfn) >> PAGEBLOCK_ORDER)
    counts[zone.pageblock_default] = end - first
    for migratetype in zone.pageblocks.values():
        counts[zone.pageblock_default] -= 1
        counts[migratetype] += 1
    return counts


def zoneinfo(machine: Machine) -> str:
    """Return /proc/zoneinfo: for each zone its marks, reserves, counters and per-CPU lists.

    Linux: zoneinfo_show_print(), mm/vmstat.c
    """
    lines: list[str] = []
    node, told = machine.node, set()
    populated = {(zone.nid, zone.type): zone for zone in machine.zones}
    for nid in sorted({zone.nid for zone in machine.zones}):
        for kind in ZoneType if node.highmem is None else (ZoneType.DMA, ZoneType.NORMAL, ZoneType.HIGHMEM):
            highmem = node.highmem is not None and kind is ZoneType.HIGHMEM
            lines.append(f"Node {nid}, zone {'HighMem' if highmem else ZONE_NAMES[kind]:>8}")
            zone = populated.get((nid, kind))
            if zone is None:
                lines += _empty_zone(kind)
                continue
            if nid not in told:
                told.add(nid)
                lines += ["  per-node stats", *(f"      {k:<12} {v}" for k, v in _node_stats(node, nid).items())]
            lines += _zone(node, zone)
    return "\n".join(lines) + "\n"


def _node_stats(node: Node, nid: int) -> dict[str, int]:
    """Return the counters of one bank."""
    entries = [node.lru[pfn] for zone in node.zones if zone.nid == nid for pfn in zone.lru if pfn in node.lru]
    anon = sum(entry.anon for entry in entries)
    files = len(entries) - anon
    reclaimable, unreclaimable = slab_pages(node, (nid,))
    known = {
        "nr_slab_reclaimable": reclaimable,
        "nr_slab_unreclaimable": unreclaimable,
        "nr_kernel_stack": node.nr_kernel_stack[nid],
        "nr_inactive_anon": anon,
        "nr_anon_pages": anon,
        "nr_inactive_file": files,
        "nr_file_pages": files,
        "nr_dirty": sum(entry.dirty and not entry.anon for entry in entries),
    }
    return {name: known.get(name, 0) for name in NODE_STATS.split()}


def _marks(free: int, boost: int, marks: list[int], sizes: tuple[int, int, int], reserve: list[int]) -> list[str]:
    names = ("boost", *(mark.name.lower() for mark in Wmark), "spanned", "present", "managed", "cma")
    values = (boost, *marks, *sizes, 0)
    return [
        f"  pages free     {free}",
        *(f"        {name:<8} {value}" for name, value in zip(names, values, strict=True)),
        f"        protection: ({', '.join(map(str, reserve))})",
    ]


def _empty_zone(kind: ZoneType) -> list[str]:
    least = 32 if kind is ZoneType.MOVABLE else 0
    return _marks(0, 0, [least] * len(Wmark), (0, 0, 0), [0] * len(ZoneType))


def _zone(node: Node, zone: Zone) -> list[str]:
    entries = [node.lru[pfn] for pfn in zone.lru if pfn in node.lru]
    anon = sum(entry.anon for entry in entries)
    known = {
        "nr_free_pages": zone.vm_stat_free,
        "nr_zone_inactive_anon": anon,
        "nr_zone_inactive_file": len(entries) - anon,
        "nr_zone_write_pending": sum(entry.dirty and not entry.anon for entry in entries),
    }
    marks = [mark + zone.watermark_boost for mark in zone.watermark]
    sizes = (zone.spanned_pages, zone.present_pages or zone.managed_pages, zone.managed_pages)
    reserve = zone.lowmem_reserve if node.highmem is None else [zone.lowmem_reserve[n] for n in (0, 2, 3, 4)]
    lines = _marks(zone.vm_stat_free, zone.watermark_boost, marks, sizes, reserve)
    lines += [f"      {name:<12} {known.get(name, 0)}" for name in ZONE_STATS.split()]
    lines.append("  pagesets")
    for cpu, pcp in enumerate(zone.per_cpu_pageset):
        lines += [
            f"    cpu: {cpu}",
            f"              count: {pcp.count}",
            f"              high:  {pcp.high}",
            f"              batch: {pcp.batch}",
            f"  vm stats threshold: {zone.stat_threshold}",
        ]
    hopeless = int(node.kswapd[zone.nid].failures >= MAX_RECLAIM_RETRIES)
    return [*lines, f"  node_unreclaimable:  {hopeless}", f"  start_pfn:           {zone.start_pfn}"]


def meminfo(machine: Machine) -> str:
    """Return /proc/meminfo.

    Linux: meminfo_proc_show(), fs/proc/meminfo.c
    """
    node = machine.node
    free = sum(zone.vm_stat_free for zone in node.zones)
    anon = sum(entry.anon for entry in node.lru.values())
    files = len(node.lru) - anon
    reclaimable = slab_pages(node, node.nids)[0]
    known = {
        "MemTotal": sum(zone.managed_pages for zone in node.zones),
        "MemFree": free,
        "MemAvailable": si_mem_available(node, free, files, reclaimable),
        "Cached": files,
        "Inactive": len(node.lru),
        "Inactive(anon)": anon,
        "Inactive(file)": files,
        "SwapTotal": node.total_swap_pages,
        "SwapFree": node.nr_swap_pages,
        "Dirty": sum(entry.dirty and not entry.anon for entry in node.lru.values()),
        "AnonPages": anon,
    }
    known |= {"HighTotal": sum(zone.managed_pages for zone in node.zones if zone.highmem)}
    known |= {"HighFree": sum(zone.vm_stat_free for zone in node.zones if zone.highmem)}
    known |= {"LowTotal": known["MemTotal"] - known["HighTotal"], "LowFree": free - known["HighFree"]}
    kib = {name: pages << (PAGE_SHIFT - 10) for name, pages in known.items()}
    kib |= {"Hugepagesize": 2048, "CommitLimit": (kib["MemTotal"] // 2) + kib["SwapTotal"]}
    kib |= _slab_kib(machine) | _elsewhere(machine) | _direct_map(node)
    names = MEMINFO.replace("SwapTotal", HIGHMEM_INFO + " SwapTotal") if node.highmem is not None else MEMINFO
    return "".join(_meminfo_line(name, kib.get(name, 0)) for name in names.split())


def _meminfo_line(name: str, value: int) -> str:
    """Return one line; numbers of huge pages are no amounts, and have no unit."""
    label = f"{name + ':':<16}"
    unit = "" if name.startswith("HugePages_") else " kB"
    return f"{label}{value:{24 - len(label)}d}{unit}\n"


def _direct_map(node: Node) -> dict[str, int]:
    """Return how much of memory is mapped in pages of 2 MiB, and what is left for pages of 4 KiB, in KiB.

    Linux: arch_report_meminfo(), arch/x86/mm/pat/set_memory.c
    Simplified: nothing has ever split a large page of it.
    """
    if node.highmem is not None:
        return {}
    large = HUGE_SHIFT - PAGE_SHIFT
    blocks = sum(max(0, (zone.end_pfn >> large) - (-(-zone.start_pfn >> large))) for zone in node.zones)
    managed = sum(zone.spanned_pages for zone in node.zones)
    return {"DirectMap4k": managed - (blocks << large) << (PAGE_SHIFT - 10), "DirectMap2M": blocks << (HUGE_SHIFT - 10)}


def _elsewhere(machine: Machine) -> dict[str, int]:
    """Return what vmalloc, the stacks and the per-CPU variables take, in KiB."""
    if machine.node.highmem is not None:
        return {}
    lines = (line.split() for line in vmalloc_meminfo(machine).splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines}


def _slab_kib(machine: Machine) -> dict[str, int]:
    """Return the lines of slabs, in KiB: all, those that shrinkers may empty, and the rest."""
    counts = slab_pages(machine.node, machine.node.nids)
    reclaimable, unreclaimable = (pages << (PAGE_SHIFT - 10) for pages in counts)
    return {"Slab": reclaimable + unreclaimable, "KReclaimable": reclaimable, "SReclaimable": reclaimable,
            "SUnreclaim": unreclaimable}


def si_mem_available(node: Node, free: int, pagecache: int, reclaimable: int = 0) -> int:
    """Return how many pages a new program could have without swapping.

    Linux: si_mem_available(), mm/show_mem.c
    """
    wmark_low = sum(zone.watermark[Wmark.LOW] for zone in node.zones)
    available = free - sum(map(_reserved, node.zones))
    available += pagecache - min(pagecache // 2, wmark_low)
    available += reclaimable - min(reclaimable // 2, wmark_low)
    return max(available, 0)


def _reserved(zone: Zone) -> int:
    """Return a zone's share of totalreserve_pages: its high mark and its largest reserve.

    Linux: calculate_totalreserve_pages(), mm/page_alloc.c
    """
    return min(max(zone.lowmem_reserve) + zone.watermark[Wmark.HIGH] + zone.watermark_boost, zone.managed_pages)
