"""Scripts and seeded traffic."""

import random

import pytest

from kmm_sim import GFP_ATOMIC, GFP_KERNEL, KernelBug, Machine
from kmm_sim.observe import snapshot, validate, validate_slab
from kmm_sim.observe.curves import sample
from kmm_sim.observe.fragmentation import unusable_free_index
from kmm_sim.workload import GEOMETRIC, Alloc, Free, Tenant, Workload, everyday, parse, play, traffic


def test_a_script_is_read_and_written_alike():
    assert parse("+3 +0, -0") == [Alloc(3, GFP_KERNEL), Alloc(0, GFP_KERNEL), Free(0)]
    assert " ".join(map(str, parse("+3 +0 -0"))) == "+3 +0 -0"
    assert parse("+1", GFP_ATOMIC) == [Alloc(1, GFP_ATOMIC)]
    assert parse("") == []


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("3", "no step"),
        ("+", "no step"),
        ("++1", "no step"),
        ("+x", "no step"),
        ("+11", "0 to 10"),
        ("-0", "only 0 allocations"),
        ("+0 -1", "only 1 allocations"),
        ("+0 -0 -0", "freed before"),
    ],
)
def test_a_script_that_makes_no_sense_says_which_word(script, reason):
    with pytest.raises(ValueError, match=reason):
        parse(script)


def test_playing_does_what_the_script_says():
    machine = Machine(pages=16)
    first, second = play(machine, parse("+3 +0 -0"))
    assert (first.pfn, second.pfn) == (0, 8)
    assert list(snapshot(machine).allocated) == [8]


def test_freeing_what_was_not_got_does_nothing():
    machine = Machine(pages=4)
    before = snapshot(machine)
    assert play(machine, parse("+3 -0")) == [None]
    assert snapshot(machine) == before


def test_playing_a_free_twice_is_a_double_free():
    with pytest.raises(KernelBug, match="double free"):
        play(Machine(pages=4), [Alloc(0), Free(0), Free(0)])


def test_the_same_seed_gives_the_same_traffic():
    def draw(seed):
        return list(traffic(random.Random(seed), 200, gfps=(GFP_KERNEL, GFP_ATOMIC)))

    assert draw(1) == draw(1) != draw(2)
    assert len(draw(1)) == 200


def test_traffic_frees_only_what_it_allocated_and_only_once():
    allocs, freed = 0, set()
    for op in traffic(random.Random(3), 2000, orders=GEOMETRIC, frees=0.5):
        if isinstance(op, Free):
            assert op.nth < allocs
            assert op.nth not in freed
            freed.add(op.nth)
        else:
            allocs += 1
    assert len(freed) > 500


def test_orders_are_geometric():
    assert GEOMETRIC.count(0) == 2 * GEOMETRIC.count(1) == 1024 * GEOMETRIC.count(10)


def minute(seed, seconds=30, **options):
    machine = Machine(memory="32 MiB", trace=False)
    workload = Workload(everyday(machine, **options), seed)
    return machine, workload, [sample(machine, second) for second in workload.seconds(machine, seconds)]


def test_the_same_seed_gives_the_same_seconds():
    assert minute(1)[2] == minute(1)[2] != minute(2)[2]


def test_a_machine_under_a_workload_stays_whole():
    machine, workload, samples = minute(3)
    validate(machine)
    validate_slab(machine)
    assert workload.now == 30 == samples[-1].second
    assert workload.held > 100


def test_tenants_who_leave_give_everything_back():
    machine = Machine(pages=256)
    workload = Workload([Tenant("pages", 20, 0.5, orders=(0, 1, 2), every=100, lasting=3),
                         Tenant("bytes", 50, 0.5, sizes=(100, 5000), every=100, lasting=3)])
    list(workload.seconds(machine, 3))
    assert workload.held
    list(workload.seconds(machine, 27))
    assert workload.held == 0
    for cache in machine.slabs.caches:
        machine.kmem_cache_shrink(cache)
    assert not snapshot(machine).allocated


def test_a_request_that_fails_is_counted_and_never_given_back():
    machine = Machine(pages=8)
    workload = Workload([Tenant("too many", 30, 1000, orders=(0,))])
    list(workload.seconds(machine, 2))
    assert workload.failures == 60 - 8
    assert workload.held == 8


def test_who_comes_now_and_then_comes_then_only():
    tenant = Tenant("a search", 10, 1, sizes=(64,), every=30, lasting=4)
    assert [second for second in range(62) if tenant.comes(second)] == [0, 1, 2, 3, 30, 31, 32, 33, 60, 61]


def test_a_sample_counts_what_the_files_of_proc_count():
    machine, _, samples = minute(1, seconds=5)
    assert samples[-1].nr_free == tuple(map(sum, zip(*(zone.nr_free for zone in snapshot(machine).zones), strict=True)))
    assert samples[-1].free_pages == sum(zone.nr_free_pages for zone in snapshot(machine).zones)
    assert 0 < samples[-1].slab_active <= samples[-1].slab_total
    assert samples[-1].slab_total % 4096 == 0


def test_what_is_of_no_use_is_told_of_all_zones_together():
    machine, _, samples = minute(1, seconds=20)
    zones = snapshot(machine).zones
    free = [zone.nr_free_pages for zone in zones]
    of_no_use = sum(pages * unusable_free_index(zone, 4) for pages, zone in zip(free, zones, strict=True))
    assert len(zones) == 2
    assert samples[-1].unusable(4) == pytest.approx(of_no_use / sum(free), abs=0.001)


def test_a_machine_with_nothing_free_has_nothing_of_use():
    machine = Machine(pages=4)
    play(machine, parse("+2"))
    assert sample(machine).unusable(0) == 1
