"""Watermarks: who gets the last pages; and the knobs that move them."""

import pytest

from kmm_sim import GFP_ATOMIC, GFP_KERNEL, GFP_NOWAIT, Gfp, Machine
from kmm_sim.mm.events import SetBoost, SetWatermarks
from kmm_sim.mm.mmzone import Wmark
from kmm_sim.mm.watermark import zone_watermark_ok, zone_watermark_ok_2_6
from kmm_sim.observe import replay, snapshot, validate

MARK_OF_FIRST_ZONE = 190


def emptied(gfp):
    """A zone with a min mark of 190 pages, emptied with one mask; the free pages it stops at."""
    machine = Machine(memory="15 MiB", pcp=False)
    machine.sysctl("vm.min_free_kbytes", MARK_OF_FIRST_ZONE * 4)
    machine.sysctl("vm.watermark_boost_factor", 0)
    machine.zones[0].stat_threshold = 0
    while machine.alloc_page(gfp | Gfp.NOWARN):
        pass
    validate(machine)
    return snapshot(machine).zones[0].nr_free_pages


@pytest.mark.parametrize(("gfp", "stops_at"), [
    (GFP_KERNEL | Gfp.NORETRY, 190),
    (GFP_NOWAIT, 190),
    (GFP_KERNEL | Gfp.HIGH, 95),
    (GFP_ATOMIC | Gfp.NOMEMALLOC, 95),
    (GFP_ATOMIC, 72),
    (GFP_ATOMIC | Gfp.MEMALLOC, 0),
])
def test_who_may_go_how_low(gfp, stops_at):
    assert emptied(gfp) == stops_at


def test_the_low_zones_are_kept_for_those_who_need_them():
    machine = Machine(memory="6 GiB", pcp=False)
    dma = machine.zones[0]
    reserve = dma.lowmem_reserve[2]
    assert reserve == sum(zone.managed_pages for zone in machine.zones[1:]) // 256
    assert reserve > dma.managed_pages, "on a machine this large GFP_KERNEL never gets a DMA page"
    machine.sysctl("vm.lowmem_reserve_ratio", (0, 0, 0, 0))
    assert not any(any(zone.lowmem_reserve) for zone in machine.zones)


@pytest.mark.parametrize(("memory", "kbytes"), [
    ("64 MiB", 1023), ("256 MiB", 2047), ("1 GiB", 45056), ("8 GiB", 67584), ("1 TiB", 131071), ("64 TiB", 262144),
])
def test_how_much_is_kept_free_by_default(memory, kbytes):
    assert Machine(memory=memory).sysctl("vm.min_free_kbytes") == kbytes


def test_the_marks_are_in_order_and_a_gap_apart():
    for zone in Machine(memory="8 GiB").zones:
        low, gap = zone.watermark[Wmark.LOW], zone.watermark[Wmark.LOW] - zone.watermark[Wmark.MIN]
        assert gap > 0
        assert zone.watermark == [low - gap, low, low + gap, low + 2 * gap]


def test_turning_a_knob_is_told():
    machine = Machine(memory="1 GiB")
    start = snapshot(machine)
    machine.sysctl("vm.min_free_kbytes", 8192)
    assert [type(event) for event in machine.trace] == [SetWatermarks, SetWatermarks]
    assert replay(start, machine.trace) == snapshot(machine) != start


def test_claiming_a_pageblock_raises_the_marks_for_a_while():
    machine = Machine(memory="16 MiB", pcp=False)
    pages = []
    while page := machine.alloc_page(GFP_ATOMIC | Gfp.MOVABLE):
        pages.append(page)
    for page in pages[::2]:
        machine.free_page(page)
    assert machine.alloc_page(GFP_ATOMIC)
    assert any(isinstance(event, SetBoost) for event in machine.trace)
    assert snapshot(machine).zones[0].watermark_boost == 512
    machine.sysctl("vm.min_free_kbytes", 512)
    assert snapshot(machine).zones[0].watermark_boost == 0


@pytest.mark.parametrize(("name", "value"), [
    ("vm.swappiness", 60), ("min", 1), ("vm.min_free_kbytes", -1), ("vm.watermark_scale_factor", 0),
    ("vm.watermark_scale_factor", 3001), ("vm.lowmem_reserve_ratio", (1, 2)), ("vm.lowmem_reserve_ratio", 5),
    ("vm.percpu_pagelist_high_fraction", 7), ("vm.min_free_kbytes", (1, 2)),
])
def test_a_knob_that_is_not_there_or_cannot_be_turned_so_far(name, value):
    machine = Machine(memory="64 MiB")
    before = snapshot(machine)
    with pytest.raises(ValueError, match=r"vm|min"):
        machine.sysctl(name, value)
    assert snapshot(machine) == before
    assert not machine.trace


def scattered(pages_of_order_3):
    """A zone of a bench with a mark of 100 pages: many single free pages, a few blocks of order 3."""
    machine = Machine(pages=1024)
    pages = [machine.alloc_page(GFP_KERNEL) for _ in range(1024)]
    for page in pages[1::2]:
        machine.free_page(page)
    for first in range(0, 8 * pages_of_order_3, 8):
        for page in pages[first : first + 8 : 2]:
            machine.free_page(page)
    return machine.zones[0]


@pytest.mark.parametrize(("blocks", "today", "then"), [(0, False, False), (1, True, False), (8, True, True)])
def test_linux_2_6_wanted_more_than_one_block_for_a_large_request(blocks, today, then):
    zone = scattered(blocks)
    assert zone.vm_stat_free > 500
    assert zone_watermark_ok(zone, 3, 100, 2, 0) == today
    assert zone_watermark_ok_2_6(zone, 3, 100, 2, 0) == then


@pytest.mark.parametrize("mark", [0, 100, 511, 512, 513])
def test_for_single_pages_both_say_the_same(mark):
    zone = scattered(0)
    for flags in (0, 0x20, 0x10, 0x30):
        old, new = (ok(zone, 0, mark, 2, flags) for ok in (zone_watermark_ok_2_6, zone_watermark_ok))
        assert old == new or flags == 0x10, "who could not wait was favoured then, with __GFP_HIGH or without"
