# SPDX-License-Identifier: GPL-2.0-only
"""Machines with several zones that are small enough to be drawn, or filled in a moment.

    small_machine(DMA=64, DMA32=64, Normal=128, min_free_pages=32)

The zones follow each other without a gap; their marks and reserves come from the kernel's own
formulas.  Real zones end at 16 MiB and 4 GiB, so that a real machine with all three has more
than a million pages.
"""

from __future__ import annotations

from typing import Any

from kmm_sim.machine import Machine
from kmm_sim.mm.gfp import gfp_zone
from kmm_sim.mm.mmzone import MAX_NR_ZONES, MAX_PAGE_ORDER, PAGEBLOCK_ORDER, Migrate, ZoneType
from kmm_sim.mm.pcp import zone_set_pageset_high_and_batch
from kmm_sim.mm.sysctl import sysctl_write

__all__ = ["small_machine", "where_it_stops", "without_per_cpu_lists"]

TYPES = {"DMA": ZoneType.DMA, "DMA32": ZoneType.DMA32, "Normal": ZoneType.NORMAL, "Movable": ZoneType.MOVABLE}


def small_machine(
    *,
    min_free_pages: int = 0,
    reserve_ratio: tuple[int, int, int, int] = (256, 256, 32, 0),
    per_cpu_lists: bool = False,
    grouped: bool = True,
    **zones: int,
) -> Machine:
    """Return a machine with zones of these sizes in pages, by name: ``DMA=64, Normal=128``.

    ``min_free_pages`` is shared out among the zones as vm.min_free_kbytes is; ``reserve_ratio``
    is vm.lowmem_reserve_ratio.  Unless ``grouped``, all pages count as unmovable.  Raises
    ValueError for a zone of another name, or without a page.
    """
    unknown = [name for name, pages in zones.items() if name not in TYPES or pages < 1]
    if unknown or not zones:
        raise ValueError(f"zones are {', '.join(TYPES)}, each of one page or more, not {unknown or 'none'}")
    start, records = 0, []
    for name in sorted(zones, key=lambda name: TYPES[name]):
        records.append(_record(TYPES[name], start, zones[name], grouped))
        start += zones[name]
    machine = Machine.from_dump({"zones": records})
    machine.node.group_by_mobility = grouped
    if not grouped:
        for zone in machine.zones:
            zone.pageblock_default = Migrate.UNMOVABLE
            zone.pageblocks.clear()
    _set_up(machine, min_free_pages, reserve_ratio, per_cpu_lists)
    machine.trace.clear()
    return machine


def without_per_cpu_lists(machine: Machine) -> Machine:
    """Turn a machine's per-CPU lists off, giving what is on them back, and return the machine."""
    machine.drain_all_pages()
    for zone in machine.zones:
        zone.per_cpu_pageset = []
        zone.run_on(zone.cpu)
    return machine


def where_it_stops(machine: Machine, gfp: int, order: int = 0) -> int:
    """Ask with one mask until the answer is None; return how many pages the first zone tried still has.

    Everything is given back before it returns.
    """
    machine.tracing, pages = False, []
    while (page := machine.alloc_pages(gfp, order)) is not None:
        pages.append(page)
    zone = machine.node.zonelists[gfp_zone(gfp)][0]
    left = sum(area.nr_free << size for size, area in enumerate(zone.free_area))
    for page in reversed(pages):
        machine.free_pages(page, order)
    machine.tracing = True
    return left


def _record(kind: ZoneType, start: int, pages: int, grouped: bool) -> dict[str, Any]:
    """Return a zone as a recording would describe it, all of it free."""
    usual = Migrate.MOVABLE if grouped else Migrate.UNMOVABLE
    first, end = start >> PAGEBLOCK_ORDER, -(-(start + pages) >> PAGEBLOCK_ORDER)
    free: dict[int, list[int]] = {}
    pfn, stop = start, start + pages
    while pfn < stop:
        order = min((pfn & -pfn or 1 << MAX_PAGE_ORDER).bit_length(), (stop - pfn).bit_length()) - 1
        order = min(order, MAX_PAGE_ORDER)
        free.setdefault(order, []).append(pfn)
        pfn += 1 << order
    return {
        "idx": int(kind), "node": 0, "start": start, "spanned": pages, "managed": pages, "present": pages,
        "wm": [0] * 4, "boost": 0, "lowmem": [0] * MAX_NR_ZONES, "zflags": 0, "free_global": pages,
        "free_diff": 0, "stat_thr": 0, "hi_res": 0, "hi_free": 0, "pcp": {"lists": {}},
        "blocks": ("M" if grouped else "U") * max(end - first, 1),
        "free": [[order, int(usual), pfns] for order, pfns in sorted(free.items())],
    }


def _set_up(machine: Machine, min_free_pages: int, ratio: tuple[int, ...], per_cpu_lists: bool) -> None:
    node = machine.node
    sysctl_write(node, "vm.lowmem_reserve_ratio", ratio)
    sysctl_write(node, "vm.min_free_kbytes", min_free_pages * 4)
    for zone in machine.zones:
        if per_cpu_lists:
            zone_set_pageset_high_and_batch(zone)
        else:
            zone.per_cpu_pageset = []
        zone.run_on(0)
