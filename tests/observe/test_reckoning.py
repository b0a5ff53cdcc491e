"""The sum that is shown is the sum that decides; broken-up memory is measured as the kernel does it."""

import random

import pytest

from kmm_sim import GFP_ATOMIC, GFP_KERNEL, Gfp, Machine
from kmm_sim.mm.freelist import gfp_to_alloc_flags
from kmm_sim.mm.gfp import GFP_NOWAIT
from kmm_sim.mm.internal import ALLOC_OOM
from kmm_sim.mm.mmzone import Wmark
from kmm_sim.mm.watermark import zone_watermark_ok, zone_watermark_ok_2_6
from kmm_sim.observe import frames, snapshot
from kmm_sim.observe.fragmentation import contig_page_info, fragmentation_index, unusable_free_index
from kmm_sim.observe.reckoning import reckon, reckon_2_6, why
from kmm_sim.observe.replay import moments
from kmm_sim.small import small_machine
from kmm_sim.workload import play, traffic

FLAGS = [gfp_to_alloc_flags(int(mask), order) for order in (0, 1) for mask in (
    GFP_KERNEL, GFP_ATOMIC, GFP_NOWAIT, GFP_KERNEL | Gfp.HIGH, GFP_ATOMIC | Gfp.NOMEMALLOC)] + [ALLOC_OOM]


def busy_machine(seed):
    machine = small_machine(DMA=64, DMA32=192, Normal=700, min_free_pages=80, reserve_ratio=(8, 8, 8, 0))
    rng = random.Random(seed)
    play(machine, traffic(rng, 600, orders=(0, 0, 0, 1, 2, 3), frees=0.35))
    rng.choice(machine.zones).watermark_boost = rng.choice((0, 7))
    return machine


@pytest.mark.parametrize("seed", range(12))
def test_the_sum_written_out_gives_the_answer_of_the_allocator(seed):
    machine = busy_machine(seed)
    state, refused = snapshot(machine), 0
    for zone, seen in zip(machine.zones, state.zones, strict=True):
        for flags in FLAGS:
            for order in range(6):
                for mark in (Wmark.MIN, Wmark.LOW):
                    pages = zone.watermark[mark] + zone.watermark_boost
                    now = reckon(seen, order, flags, 2, mark)
                    assert now.ok == zone_watermark_ok(zone, order, pages, 2, flags), str(now)
                    then = reckon_2_6(seen, order, flags, 2, mark)
                    assert then.ok == zone_watermark_ok_2_6(zone, order, pages, 2, flags), str(then)
                    refused += not now.ok
    assert refused, "every sum says yes: nothing was tested"


def test_the_sum_reads_as_it_is_done():
    machine = small_machine(Normal=1024, min_free_pages=100)
    state = snapshot(machine)
    assert str(reckon(state.zones[0], 3, gfp_to_alloc_flags(int(GFP_ATOMIC), 3), 2)).splitlines() == [
        "zone Normal",
        "     1024  free pages",
        "       -7  all but one page of the block itself",
        "     1017  count as free",
        "      100  the min mark",
        "      -50  half of it, for __GFP_HIGH",
        "      -12  a quarter of the rest, for one who cannot wait",
        "       38  must remain: 1017 > 38",
        "  it may serve the request",
    ]


def test_why_goes_through_the_zones_that_the_mask_allows_from_the_top():
    state = snapshot(small_machine(DMA=16, DMA32=32, Normal=64))
    assert [each.zone for each in why(state, int(GFP_KERNEL), 0)] == ["Normal", "DMA32", "DMA"]
    assert [each.zone for each in why(state, int(Gfp.DMA32), 0)] == ["DMA32", "DMA"]


def every_other_page():
    machine = Machine(pages=16)
    pages = [machine.alloc_page(GFP_KERNEL) for _ in range(16)]
    for page in pages[::2]:
        machine.free_page(page)
    return machine.zones[0]


def test_every_other_page_free_is_perfect_for_one_page_and_useless_for_two():
    zone = every_other_page()
    assert [unusable_free_index(zone, order) for order in (0, 1, 2)] == [0.0, 1.0, 1.0]
    # (1000 + 8 * 1000 // 2) // 8 = 625, which the kernel takes from 1000
    assert [fragmentation_index(zone, order) for order in (0, 1)] == [-1.0, 0.375]
    assert contig_page_info(zone, 1).free_blocks_total == 8


def test_full_memory_is_not_fragmented():
    machine = Machine(pages=16)
    machine.alloc_pages(GFP_KERNEL, 4)
    assert unusable_free_index(machine.zones[0], 2) == 1.0
    assert fragmentation_index(machine.zones[0], 2) == 0.0


def test_zones_and_snapshots_of_them_are_measured_alike():
    machine = busy_machine(1)
    for zone, seen in zip(machine.zones, snapshot(machine).zones, strict=True):
        for order in range(11):
            assert fragmentation_index(zone, order) == fragmentation_index(seen, order)
            assert unusable_free_index(zone, order) == unusable_free_index(seen, order)


def test_chosen_moments_are_those_of_the_frames():
    machine = Machine(pages=64)
    start = snapshot(machine)
    play(machine, traffic(random.Random(5), 60))
    whole = list(frames(start, machine.trace))
    at = [0, 1, 7, 7, 40, len(whole)]
    assert list(moments(start, machine.trace, at)) == [start if n == 0 else whole[n - 1] for n in at]
