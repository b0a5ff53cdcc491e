# SPDX-License-Identifier: GPL-2.0-only
"""The state of a machine in the form in which a real kernel's state was recorded.

``Machine.from_dump(dump(machine))`` is the same machine again, but for who holds its pages.
"""

from __future__ import annotations

from typing import Any

from kmm_sim.machine import Machine
from kmm_sim.mm.mmzone import MIGRATE_TYPES, NR_PAGE_ORDERS, PAGEBLOCK_NR_PAGES, PerCpuPages, Zone

__all__ = ["MIGRATE_LETTERS", "dump"]

MIGRATE_LETTERS = "UMEHI"
"""A letter for each migratetype, by its number, as /proc/pagetypeinfo and the recordings have it."""


def dump(machine: Machine, tag: str = "start") -> dict[str, Any]:
    """Return the machine's state as a recorded dump has it, ready for JSON."""
    return {"k": "dump", "tag": tag, "zones": [_zone(zone) for zone in machine.zones]}


def _zone(zone: Zone) -> dict[str, Any]:
    first = zone.start_pfn - zone.start_pfn % PAGEBLOCK_NR_PAGES
    return {
        "name": zone.name,
        "node": zone.nid,
        "idx": int(zone.type),
        "start": zone.start_pfn,
        "spanned": zone.spanned_pages,
        "managed": zone.managed_pages,
        "wm": list(zone.watermark),
        "boost": zone.watermark_boost,
        "lowmem": list(zone.lowmem_reserve),
        "zflags": int(zone.flags),
        "free_global": zone.vm_stat_free,
        **_cpus(zone),
        "stat_thr": zone.stat_threshold,
        "hi_res": zone.nr_reserved_highatomic,
        "hi_free": zone.nr_free_highatomic,
        "nr_free": [area.nr_free for area in zone.free_area],
        "free": [
            [order, migratetype, list(zone.free_area[order].free_list[migratetype])]
            for order in range(NR_PAGE_ORDERS)
            for migratetype in range(MIGRATE_TYPES)
            if zone.free_area[order].free_list[migratetype]
        ],
        "blocks": "".join(
            MIGRATE_LETTERS[zone.pageblock_migratetype(pfn)]
            for pfn in range(first, zone.end_pfn, PAGEBLOCK_NR_PAGES)
        ),
    }


def _cpus(zone: Zone) -> dict[str, Any]:
    """The part that each CPU has of its own; recordings number it if there is more than one."""
    pcps = [_pcp(pcp) for pcp in zone.per_cpu_pageset or [PerCpuPages()]]
    if len(zone.vm_stat_diff) == 1:
        return {"free_diff": zone.vm_stat_diff[0], "pcp": pcps[0]}
    numbered = {f"pcp{cpu}": pcp for cpu, pcp in enumerate(pcps)}
    return {"free_diffs": list(zone.vm_stat_diff), **numbered}


def _pcp(pcp: PerCpuPages) -> dict[str, Any]:
    return {
        "count": pcp.count,
        "high": pcp.high,
        "high_min": pcp.high_min,
        "high_max": pcp.high_max,
        "batch": pcp.batch,
        "flags": int(pcp.flags),
        "alloc_factor": pcp.alloc_factor,
        "free_count": pcp.free_count,
        "lists": {str(pindex): list(pfns) for pindex, pfns in enumerate(pcp.lists) if pfns},
    }
