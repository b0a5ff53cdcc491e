# SPDX-License-Identifier: GPL-2.0-only
"""Invariants: what must hold between any two calls, said as sentences that name the culprit."""

from __future__ import annotations

from collections.abc import Iterator

from kmm_sim.machine import Machine
from kmm_sim.mm.buddy import find_buddy_pfn, migratetype_is_mergeable
from kmm_sim.mm.mmzone import (
    MAX_PAGE_ORDER,
    PAGEBLOCK_ORDER,
    Migrate,
    PerCpuPages,
    Zone,
)
from kmm_sim.mm.pcp import pindex_to_order

__all__ = ["validate", "validate_zone"]


def validate(machine: Machine) -> None:
    """Check the whole machine; raises AssertionError with a sentence for the first fault.

    Every page is in exactly one place: in a free block, on one CPU's list, or in a block that
    somebody holds.  Only those are nowhere that were in use before a dump was taken, and those that
    a broken caller has lost; they are counted.
    """
    for zone in machine.zones:
        validate_zone(zone)
    held = [(p.pfn, p.order) for p in machine.node.mem_map.values() if p.order >= 0]
    for zone in machine.zones:
        mine = [(pfn, order) for pfn, order in held if zone.spans_pfn(pfn)]
        stocked = [block for pcp in zone.per_cpu_pageset for block in _pcp_blocks(pcp)]
        _check_overlap(zone, sorted([*_free_blocks(zone), *stocked, *mine]))


def validate_zone(zone: Zone) -> None:
    """Check one zone's free lists; raises AssertionError with a sentence for the first fault."""
    for order, area in enumerate(zone.free_area):
        for migratetype, free_list in enumerate(area.free_list):
            for pfn in free_list:
                _check_block(zone, pfn, order, migratetype)
    on_lists = sum(1 << order for _, order in _free_blocks(zone))
    isolated = sum(len(area.free_list[Migrate.ISOLATE]) << o for o, area in enumerate(zone.free_area))
    counted = zone.vm_stat_free + sum(zone.vm_stat_diff)
    assert counted == on_lists - isolated, (
        f"zone {zone.name} counts {counted} free pages, its lists hold {on_lists - isolated}"
    )
    urgent = sum(len(area.free_list[Migrate.HIGHATOMIC]) << o for o, area in enumerate(zone.free_area))
    assert zone.nr_free_highatomic == urgent, (
        f"zone {zone.name} counts {zone.nr_free_highatomic} free pages of the highatomic reserve, "
        f"its lists hold {urgent}"
    )
    for cpu, diff in enumerate(zone.vm_stat_diff):
        assert abs(diff) <= zone.stat_threshold, (
            f"CPU {cpu} holds back {diff} pages of the count of zone {zone.name}, "
            f"more than {zone.stat_threshold}"
        )
    for cpu, pcp in enumerate(zone.per_cpu_pageset):
        listed = sum(1 << order for _, order in _pcp_blocks(pcp))
        assert pcp.count == listed, (
            f"CPU {cpu} counts {pcp.count} pages of zone {zone.name} on its lists, they hold {listed}"
        )


def _free_blocks(zone: Zone) -> Iterator[tuple[int, int]]:
    for order, area in enumerate(zone.free_area):
        for free_list in area.free_list:
            for pfn in free_list:
                yield pfn, order


def _pcp_blocks(pcp: PerCpuPages) -> Iterator[tuple[int, int]]:
    for pindex, pfns in enumerate(pcp.lists):
        for pfn in pfns:
            yield pfn, pindex_to_order(pindex)


def _check_block(zone: Zone, pfn: int, order: int, migratetype: int) -> None:
    last = pfn + (1 << order) - 1
    assert pfn % (1 << order) == 0, f"free block {pfn} is not aligned to order {order}"
    inside = zone.spans_pfn(pfn) and zone.spans_pfn(last)
    assert inside, f"free block {pfn} of order {order} reaches outside zone {zone.name}"
    block_type = zone.pageblock_migratetype(pfn)
    assert block_type == migratetype, (
        f"free block {pfn} is on the list of type {migratetype}, its pageblock is {block_type}"
    )
    if order == MAX_PAGE_ORDER:
        return
    assert zone.buddy.get(pfn) == order, f"free block {pfn} is not marked with order {order}"
    buddy = find_buddy_pfn(pfn, order)
    if zone.buddy.get(buddy) == order:
        types = block_type, zone.pageblock_migratetype(buddy)
        apart = order >= PAGEBLOCK_ORDER and not all(map(migratetype_is_mergeable, types))
        rightly = apart and types[0] != types[1]
        assert rightly, f"buddies {pfn} and {buddy} of order {order} are both free and were not merged"


def _check_overlap(zone: Zone, blocks: list[tuple[int, int]]) -> None:
    end = zone.start_pfn
    for pfn, order in blocks:
        assert pfn >= end, f"page {pfn} of zone {zone.name} is in two blocks"
        end = pfn + (1 << order)
    total = sum(1 << order for _, order in blocks)
    assert total + zone.nr_unaccounted == zone.managed_pages, (
        f"zone {zone.name} has {zone.managed_pages} pages; its blocks have {total}, and {zone.nr_unaccounted} "
        "are in use by nobody knows whom"
    )
