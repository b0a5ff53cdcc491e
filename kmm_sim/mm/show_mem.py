# SPDX-License-Identifier: GPL-2.0-only
"""Mem-Info: how memory stands, as the kernel writes it to its log when some could not be found.

Linux: mm/show_mem.c
Simplified: what the model has no notion of (page tables, huge pages in pools) is printed as 0.
"""

from __future__ import annotations

from kmm_sim.mm.internal import MAX_RECLAIM_RETRIES
from kmm_sim.mm.mmzone import MIGRATE_TYPES, NR_PAGE_ORDERS, Node, Wmark, Zone, ZoneType
from kmm_sim.mm.page import PAGE_SHIFT
from kmm_sim.mm.watermark import wmark_pages

__all__ = ["mems_allowed", "show_free_areas", "show_mem", "slab_pages"]

LETTERS = "UMEHI"


def kib(pages: int) -> int:
    """Return pages in kibibytes.  Linux: K(), mm/internal.h"""
    return pages << (PAGE_SHIFT - 10)


def slab_pages(node: Node, nids: tuple[int, ...]) -> tuple[int, int]:
    """Return how many pages of some banks are of slabs that could be reclaimed, and of those that could not.

    Whole pages that kmalloc() took count among the latter.

    Linux: account_slab(), mm/slub.c
    """
    pages, everywhere = node.slab_pages, nids == node.nids
    mine = [pfn for pfn in pages if everywhere or node.page(pfn).zone.nid in nids]
    reclaimable = sum(map(pages.reclaimable, mine))
    return reclaimable, len(mine) - reclaimable + sum(pages.large[nid] for nid in nids)


def mems_allowed(node: Node) -> str:
    """Return the memory banks that a process may use, as the log lists them: ``0``, ``0-1``, ``0,2-3``.

    Linux: cpuset_print_current_mems_allowed(), kernel/cgroup/cpuset.c
    """
    runs: list[list[int]] = []
    for nid in node.nids:
        if runs and runs[-1][-1] == nid - 1:
            runs[-1].append(nid)
        else:
            runs.append([nid])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def show_mem(node: Node) -> list[str]:
    """Return the lines of a Mem-Info report.

    Linux: __show_mem(), mm/show_mem.c
    """
    present = sum(zone.present_pages or zone.managed_pages for zone in node.zones)
    managed = sum(zone.managed_pages for zone in node.zones)
    movable = [zone for zone in node.zones if zone.type is ZoneType.MOVABLE]
    return [
        "Mem-Info:",
        *show_free_areas(node),
        f"{present} pages RAM",
        f"{sum(zone.managed_pages for zone in movable)} pages HighMem/MovableOnly",
        f"{present - managed} pages reserved",
        "0 pages hwpoisoned",
    ]


def show_free_areas(node: Node) -> list[str]:
    """Return the counters of the whole machine, of each node and zone, and the free blocks.

    Linux: show_free_areas(), mm/show_mem.c
    """
    anon = sum(entry.anon for entry in node.lru.values())
    files = len(node.lru) - anon
    dirty = sum(entry.dirty and not entry.anon for entry in node.lru.values())
    free = sum(zone.vm_stat_free for zone in node.zones)
    free_pcp = sum(pcp.count for zone in node.zones for pcp in zone.per_cpu_pageset)
    lines = [
        f"active_anon:0 inactive_anon:{anon} isolated_anon:0",
        f" active_file:0 inactive_file:{files} isolated_file:0",
        f" unevictable:0 dirty:{dirty} writeback:0",
        " slab_reclaimable:{} slab_unreclaimable:{}".format(*slab_pages(node, node.nids)),
        " mapped:0 shmem:0 pagetables:0",
        " sec_pagetables:0 bounce:0",
        " kernel_misc_reclaimable:0",
        f" free:{free} free_pcp:{free_pcp} free_cma:0",
    ]
    lines += [_node_line(node, nid) for nid in node.nids]
    for zone in node.zones:
        lines += _zone_lines(node, zone)
    lines += [_blocks(zone) for zone in node.zones]
    lines += [
        *(
            f"Node {nid} hugepages_total=0 hugepages_free=0 hugepages_surp=0 hugepages_size=2048kB"
            for nid in node.nids
        ),
        f"{files} total pagecache pages",
        "0 pages in swap cache",
        f"Free swap  = {kib(node.nr_swap_pages)}kB",
        f"Total swap = {kib(node.total_swap_pages)}kB",
    ]
    return lines


def _node_line(node: Node, nid: int) -> str:
    entries = [
        node.lru[pfn] for zone in node.zones if zone.nid == nid for pfn in zone.lru if pfn in node.lru
    ]
    anon = sum(entry.anon for entry in entries)
    dirty = sum(entry.dirty and not entry.anon for entry in entries)
    return (
        f"Node {nid} active_anon:0kB inactive_anon:{kib(anon)}kB active_file:0kB "
        f"inactive_file:{kib(len(entries) - anon)}kB unevictable:0kB isolated(anon):0kB "
        f"isolated(file):0kB mapped:0kB dirty:{kib(dirty)}kB writeback:0kB shmem:0kB shmem_thp:0kB "
        "shmem_pmdmapped:0kB anon_thp:0kB writeback_tmp:0kB "
        f"kernel_stack:{node.nr_kernel_stack[nid]}kB pagetables:0kB sec_pagetables:0kB "
        f"all_unreclaimable? {'yes' if node.kswapd[nid].failures >= MAX_RECLAIM_RETRIES else 'no'}"
    )


def _zone_lines(node: Node, zone: Zone) -> list[str]:
    entries = [node.lru[pfn] for pfn in zone.lru if pfn in node.lru]
    anon = sum(entry.anon for entry in entries)
    pending = sum(entry.dirty and not entry.anon for entry in entries)
    pcp = sum(pcp.count for pcp in zone.per_cpu_pageset)
    local = zone.pcp.count if zone.pcp is not None else 0
    return [
        f"Node {zone.nid} {zone.name} free:{kib(zone.vm_stat_free)}kB boost:{kib(zone.watermark_boost)}kB "
        f"min:{kib(wmark_pages(zone, Wmark.MIN))}kB low:{kib(wmark_pages(zone, Wmark.LOW))}kB "
        f"high:{kib(wmark_pages(zone, Wmark.HIGH))}kB "
        f"reserved_highatomic:{kib(zone.nr_reserved_highatomic)}KB active_anon:0kB "
        f"inactive_anon:{kib(anon)}kB active_file:0kB inactive_file:{kib(len(entries) - anon)}kB "
        f"unevictable:0kB writepending:{kib(pending)}kB "
        f"present:{kib(zone.present_pages or zone.managed_pages)}kB managed:{kib(zone.managed_pages)}kB "
        f"mlocked:0kB bounce:0kB free_pcp:{kib(pcp)}kB local_pcp:{kib(local)}kB free_cma:0kB",
        f"lowmem_reserve[]: {' '.join(map(str, zone.lowmem_reserve))}",
    ]


def _blocks(zone: Zone) -> str:
    """Return a zone's free blocks of each order, with the letters of the types they are of."""
    words, total = [], 0
    for order in range(NR_PAGE_ORDERS):
        free_list = zone.free_area[order].free_list
        count = zone.free_area[order].nr_free
        total += count << order
        types = "".join(LETTERS[kind] for kind in range(MIGRATE_TYPES) if free_list[kind])
        words.append(f"{count}*{kib(1) << order}kB" + (f" ({types})" if types else ""))
    return f"Node {zone.nid} {zone.name}: {' '.join(words)} = {kib(total)}kB"
