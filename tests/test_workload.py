"""Scripts and seeded traffic."""

import random

import pytest

from kmm_sim import GFP_ATOMIC, GFP_KERNEL, KernelBug, Machine
from kmm_sim.observe import snapshot
from kmm_sim.workload import GEOMETRIC, Alloc, Free, parse, play, traffic


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
