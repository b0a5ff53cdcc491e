"""A small machine has the zones that were asked for, and the kernel's marks on them."""

import random

import pytest

from kmm_sim import GFP_ATOMIC, GFP_DMA, GFP_KERNEL, GFP_NOWAIT, Gfp, Machine
from kmm_sim.observe import buddyinfo, snapshot, validate
from kmm_sim.small import small_machine, where_it_stops, without_per_cpu_lists
from kmm_sim.workload import play, traffic


def test_the_zones_follow_each_other_without_a_gap():
    machine = small_machine(Normal=128, DMA=64, DMA32=60)
    assert [(zone.name, zone.start_pfn, zone.managed_pages) for zone in machine.zones] == [
        ("DMA", 0, 64), ("DMA32", 64, 60), ("Normal", 124, 128)]
    assert [zone.nr_free_pages for zone in snapshot(machine).zones] == [64, 60, 128]
    validate(machine)


def test_the_marks_are_shared_out_by_size():
    machine = small_machine(DMA=64, Normal=192, min_free_pages=32)
    assert [zone.watermark[:3] for zone in machine.zones] == [[8, 10, 12], [24, 30, 36]]
    assert small_machine(DMA=64, Normal=192, reserve_ratio=(8, 8, 8, 0)).zones[0].lowmem_reserve[2] == 24


def test_a_request_goes_down_zone_by_zone_and_dma_stays_below():
    machine = small_machine(DMA=16, Normal=16, grouped=False)
    assert machine.alloc_page(GFP_DMA).pfn < 16
    names = [machine.alloc_pages(GFP_KERNEL, 2).zone.name for _ in range(7)]
    assert names == ["Normal"] * 4 + ["DMA"] * 3


@pytest.mark.parametrize("lists", [False, True])
def test_traffic_leaves_it_whole(lists):
    machine = small_machine(DMA=100, Normal=900, min_free_pages=20, per_cpu_lists=lists)
    play(machine, traffic(random.Random(3), 2000))
    validate(machine)
    assert buddyinfo(machine).count("zone") == 2


@pytest.mark.parametrize("zones", [{}, {"HIGHMEM": 5}, {"DMA": 0}])
def test_zones_that_cannot_be_are_refused(zones):
    with pytest.raises(ValueError, match="zones are DMA"):
        small_machine(**zones)


def test_each_mask_stops_where_it_stopped_on_the_recorded_machine():
    """The numbers of book/recorded/where-masks-stop: the same state, the same masks."""
    machine = without_per_cpu_lists(Machine.preset("the recorded VM"))
    masks = (GFP_NOWAIT, GFP_ATOMIC, GFP_ATOMIC | Gfp.NOMEMALLOC, Gfp.HIGH, GFP_NOWAIT | Gfp.NOMEMALLOC,
             GFP_ATOMIC | Gfp.MEMALLOC)
    left = [where_it_stops(machine, int(mask | GFP_DMA | Gfp.NOWARN)) for mask in masks]
    assert left == [22, 7, 10, 7, 22, 0]
    validate(machine)
