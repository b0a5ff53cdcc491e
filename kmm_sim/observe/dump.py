# SPDX-License-Identifier: GPL-2.0-only
"""The state of a machine in the form in which a real kernel's state was recorded.

``Machine.from_dump(dump(machine))`` is the same machine again, but for who holds its pages.
"""

from __future__ import annotations

from typing import Any

from kmm_sim.machine import Machine
from kmm_sim.mm.mmzone import MIGRATE_TYPES, NR_PAGE_ORDERS, PAGEBLOCK_NR_PAGES, Zone

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
        "free_global": zone.vm_stat_free,
        "free_diff": zone.vm_stat_diff,
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
