# SPDX-License-Identifier: GPL-2.0-only
"""Machines as they are when a driver first meets them: right after boot, or as recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from operator import index
from typing import Any

from kmm_sim.mm.buddy import add_to_free_list
from kmm_sim.mm.gfp import ZONE_TABLE_32
from kmm_sim.mm.highmem import Highmem
from kmm_sim.mm.memblock import memblock_free_all
from kmm_sim.mm.mmzone import (
    MAX_PAGE_ORDER,
    MIGRATE_TYPES,
    PAGEBLOCK_NR_PAGES,
    PAGEBLOCK_ORDER,
    Migrate,
    Node,
    PerCpuPages,
    Sysctl,
    Wmark,
    Zone,
    ZoneType,
)
from kmm_sim.mm.page import PAGE_SHIFT
from kmm_sim.mm.pcp import zone_set_pageset_high_and_batch
from kmm_sim.mm.vmstat import calculate_normal_threshold
from kmm_sim.mm.watermark import (
    calculate_min_free_kbytes,
    setup_per_zone_lowmem_reserve,
    setup_per_zone_wmarks,
)

__all__ = ["boot_bench", "boot_dump", "boot_pc", "parse_size"]

# Where the zones of x86-64 end, in pages.
ZONE_ENDS = ((ZoneType.DMA, 1 << 12), (ZoneType.DMA32, 1 << 20), (ZoneType.NORMAL, 1 << 52))
# Those of x86-32 without PAE: what is above 896 MiB has no address of its own.
ZONE_ENDS_32 = ((ZoneType.DMA, 1 << 12), (ZoneType.NORMAL, 896 << 8), (ZoneType.HIGHMEM, 1 << 20))
UNITS = {"B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
MIGRATE_LETTERS = {"U": 0, "M": 1, "E": 2, "H": 3, "I": 4}


def boot_bench(pages: int, cpus: int = 1, pcp: bool = False) -> Node:
    """Return a node of a few pages with nothing held back, to watch single blocks in.

    One zone, Normal, from pfn 0, with watermarks of 0.  Migratetypes are off, as Linux itself
    turns them off where there are fewer pages than would fill a pageblock of each.

    Linux: build_all_zonelists(), mm/page_alloc.c
    """
    pages = index(pages)
    if not 1 <= pages <= 1 << 20:
        raise ValueError(f"a bench has 1 to {1 << 20} pages, not {pages}; use memory= for more")
    zone = Zone(0, ZoneType.NORMAL, 0, pages, pages, pageblock_default=Migrate.UNMOVABLE)
    memblock_free_all(zone)
    _setup_cpus((zone,), cpus, pcp)
    return Node((zone,), group_by_mobility=False)


def boot_pc(
    memory: int | str, cpus: int = 1, pcp: bool = True, nodes: int = 1, highmem: bool = False
) -> Node:
    """Return the node of a PC with ``memory`` bytes, its zones and marks as x86-64 has them.

    With more than one of ``nodes`` the memory is in that many banks of the same size.  With
    ``highmem`` it is a PC of 32 bits, whose memory above 896 MiB is high memory.

    Linux: free_area_init(), mm/mm_init.c
    Simplified: no holes, and all memory but page frame 0 belongs to the allocator.
    """
    end = parse_size(memory) >> PAGE_SHIFT
    if not 1 << 8 <= end <= 1 << 34:
        raise ValueError(f"a PC has from 1 MiB to 64 TiB of memory, not {memory!r}")
    if not 1 <= index(nodes) <= 8 or (nodes > 1 and end // nodes < 1 << 12):
        raise ValueError(f"a PC has 1 to 8 nodes of at least 16 MiB each, not {nodes} in {memory!r}")
    if highmem and (nodes > 1 or end > 1 << 20):
        raise ValueError(f"a 32-bit PC has up to 4 GiB in one bank, not {memory!r} in {nodes}")
    grouped = end >= PAGEBLOCK_NR_PAGES * MIGRATE_TYPES
    ends = ZONE_ENDS_32 if highmem else ZONE_ENDS
    zones = _zones_of_banks(end, nodes) if nodes > 1 else _zones_between(1, end, 0, 0, ends)
    for zone in zones:
        zone.highmem = highmem and zone.type is ZoneType.HIGHMEM
        zone.pageblock_default = Migrate.MOVABLE if grouped else Migrate.UNMOVABLE
        zone.stat_threshold = calculate_normal_threshold(zone.managed_pages, cpus)
        memblock_free_all(zone)
    sysctl = Sysctl(min_free_kbytes=calculate_min_free_kbytes(zones))
    setup_per_zone_wmarks(zones, sysctl.min_free_kbytes)
    setup_per_zone_lowmem_reserve(zones)
    node = Node(tuple(zones), group_by_mobility=grouped, sysctl=sysctl, reclaim=True)
    if highmem:
        node.zone_table, node.highmem = ZONE_TABLE_32, Highmem()
    _setup_cpus(zones, cpus, pcp)
    return node


def _zones_between(
    start: int, end: int, nid: int, index: int, ends: Sequence[tuple[ZoneType, int]] = ZONE_ENDS
) -> list[Zone]:
    """Return the zones of one bank of memory, from page frame ``start`` to ``end``."""
    zones: list[Zone] = []
    for kind, limit in ends:
        if start < min(limit, end):
            spanned = min(limit, end) - start
            zones.append(Zone(index + len(zones), kind, start, spanned, spanned, nid=nid))
            start += spanned
    return zones


def _zones_of_banks(end: int, nodes: int) -> list[Zone]:
    """Return the zones of several banks; a bank ends where a block of the largest order does."""
    zones: list[Zone] = []
    largest = 1 << MAX_PAGE_ORDER
    ends = [end * (nid + 1) // nodes // largest * largest for nid in range(nodes - 1)] + [end]
    start = 1
    for nid, bank_end in enumerate(ends):
        zones += _zones_between(start, bank_end, nid, len(zones))
        start = bank_end
    return zones


def boot_dump(dump: Mapping[str, Any]) -> Node:
    """Return a node in the state that a recorded dump of a real kernel describes.

    The knobs are those of its record ``"sysctl"``; without one, ``min_free_kbytes`` is what the min
    marks add up to.  Raises KeyError if a field is missing, ValueError if there is no zone.
    """
    if not dump["zones"]:
        raise ValueError("the dump has no zone")
    records = sorted(dump["zones"], key=lambda record: (record["node"], record["idx"]))
    zones = tuple(_zone_from_dump(at, record) for at, record in enumerate(records))
    knobs = dump.get("sysctl", {})
    sysctl = Sysctl(**{field.name: knobs[field.name] for field in fields(Sysctl) if field.name in knobs})
    sysctl.lowmem_reserve_ratio = tuple(sysctl.lowmem_reserve_ratio)
    if "min_free_kbytes" not in knobs:
        lowmem = [zone for zone in zones if zone.type is not ZoneType.MOVABLE]
        sysctl.min_free_kbytes = sum(zone.watermark[Wmark.MIN] for zone in lowmem) << (PAGE_SHIFT - 10)
    for zone in zones:
        zone.watermark_boost_factor = sysctl.watermark_boost_factor
    grouped = not knobs.get("page_group_by_mobility_disabled", 0)
    return Node(zones, group_by_mobility=grouped, sysctl=sysctl, reclaim=True)


def _zone_from_dump(position: int, record: Mapping[str, Any]) -> Zone:
    zone = Zone(
        position,
        ZoneType(record["idx"]),
        record["start"],
        record["spanned"],
        record["managed"],
        present_pages=record.get("present", 0),
        nid=record["node"],
        watermark=list(record["wm"]),
        watermark_boost=record["boost"],
        lowmem_reserve=list(record["lowmem"]),
        vm_stat_free=record["free_global"],
        vm_stat_diff=list(record.get("free_diffs") or [record["free_diff"]]),
        flags=record["zflags"],
        stat_threshold=record["stat_thr"],
        nr_reserved_highatomic=record["hi_res"],
        nr_free_highatomic=record["hi_free"],
    )
    for start, nr_pages in record.get("lru", ()):
        zone.lru.update(range(start, start + nr_pages))
    for cpu in range(len(zone.vm_stat_diff)):
        zone.per_cpu_pageset.append(_pcp_from_dump(record.get(f"pcp{cpu}") or record["pcp"]))
    zone.run_on(0)
    first = zone.start_pfn >> PAGEBLOCK_ORDER
    for number, letter in enumerate(record["blocks"], first):
        if letter in MIGRATE_LETTERS and letter != "M":
            zone.pageblocks[number] = MIGRATE_LETTERS[letter]
    for order, migratetype, pfns in record["free"]:
        for pfn in pfns:
            add_to_free_list(zone, pfn, order, migratetype, tail=True)
    free = sum(len(pfns) << order for order, _, pfns in record["free"])
    zone.nr_unaccounted = zone.managed_pages - free - sum(pcp.count for pcp in zone.per_cpu_pageset)
    return zone


def _pcp_from_dump(record: Mapping[str, Any]) -> PerCpuPages:
    pcp = PerCpuPages(**{name: value for name, value in record.items() if name != "lists"})
    for pindex, pfns in record["lists"].items():
        pcp.lists[int(pindex)].extend(pfns)
    return pcp


def _setup_cpus(zones: Sequence[Zone], cpus: int, pcp: bool) -> None:
    """Give each zone a counter for each CPU and, with ``pcp``, page lists.

    Linux: setup_zone_pageset(), mm/page_alloc.c
    """
    if not 1 <= index(cpus) <= 64:
        raise ValueError(f"a machine has 1 to 64 CPUs, not {cpus}")
    for zone in zones:
        zone.vm_stat_diff = [0] * cpus
        if pcp:
            zone.per_cpu_pageset = [PerCpuPages() for _ in range(cpus)]
            zone_set_pageset_high_and_batch(zone)
        zone.run_on(0)


def parse_size(size: int | str) -> int:
    """Return a number of bytes from a number or from text such as ``"8 GiB"`` or ``"96MiB"``.

    Raises ValueError for text that is no size.
    """
    if not isinstance(size, str):
        return index(size)
    text = size.strip().upper()
    digits = text.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    unit = text[len(digits) :].strip()
    if not digits.isdecimal() or unit not in UNITS:
        raise ValueError(f"{size!r} is no size; write a number and B, KiB, MiB, GiB or TiB")
    return int(digits) * UNITS[unit]
