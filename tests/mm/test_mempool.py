"""Mempools: the allocator first, then what was put aside, and what comes back fills the reserve."""

import random

import pytest

from kmm_sim import GFP_ATOMIC, GFP_KERNEL, GFP_NOIO, ContextError, KernelBug, Machine
from kmm_sim.observe import mempool_replay, snapshot, validate


@pytest.fixture
def bench():
    return Machine(pages=16)


def exhaust(machine):
    return list(iter(lambda: machine.alloc_page(GFP_ATOMIC), None))


def test_elements_are_put_aside_at_once_and_given_back_at_the_end(bench):
    pool = bench.mempool_create_page_pool(4)
    assert (pool.curr_nr, len(snapshot(bench).allocated)) == (4, 4)
    bench.mempool_destroy(pool)
    assert not snapshot(bench).allocated
    with pytest.raises(KernelBug, match="was destroyed"):
        bench.mempool_alloc(pool, GFP_KERNEL)


def test_the_allocator_is_asked_first_and_the_reserve_when_it_has_nothing(bench):
    pool = bench.mempool_create_page_pool(2)
    assert bench.mempool_alloc(pool, GFP_NOIO) is not None
    assert pool.curr_nr == 2
    others = exhaust(bench)
    one, two = bench.mempool_alloc(pool, GFP_NOIO), bench.mempool_alloc(pool, GFP_NOIO)
    assert pool.curr_nr == 0
    with pytest.raises(ContextError, match="Linux waits until one comes back"):
        bench.mempool_alloc(pool, GFP_NOIO)
    assert bench.mempool_alloc(pool, GFP_ATOMIC) is None
    bench.free_page(others.pop())
    assert bench.mempool_alloc(pool, GFP_ATOMIC) is not None
    for page in (one, two):
        bench.mempool_free(pool, page)
    assert pool.curr_nr == 2
    validate(bench)


def test_what_comes_back_fills_the_reserve_first_then_goes_home(bench):
    pool = bench.mempool_create_page_pool(1)
    page = bench.mempool_alloc(pool, GFP_KERNEL)
    bench.mempool_free(pool, page)
    assert (pool.curr_nr, len(snapshot(bench).allocated)) == (1, 1)
    others = exhaust(bench)
    reserved = bench.mempool_alloc(pool, GFP_KERNEL)
    bench.free_page(others[0])
    bench.mempool_free(pool, reserved)
    assert pool.elements == [reserved]
    with pytest.raises(KernelBug, match="double free"):
        bench.mempool_free(pool, reserved)


def test_without_memory_for_the_reserve_there_is_no_pool(bench):
    assert bench.mempool_create_page_pool(3, order=3) is None
    assert not snapshot(bench).allocated
    with pytest.raises(ValueError, match="0 elements or more"):
        bench.mempool_create_page_pool(-1)


def test_a_pool_of_anything_that_is_made_and_freed():
    made = []
    machine = Machine(pages=1)
    pool = machine.mempool_create(2, lambda gfp: made.append(gfp) or f"bio {len(made)}", lambda bio: None)
    assert machine.mempool_alloc(pool, GFP_NOIO) == "bio 3"
    assert (made[0], made[2]) == (GFP_KERNEL, 0x9_2800)  # NOMEMALLOC, NORETRY, NOWARN, may wake kswapd, may not wait


def test_it_may_not_sleep_where_nobody_may(bench):
    pool = bench.mempool_create_page_pool(1)
    with bench.context("spinlock"):
        with pytest.raises(ContextError, match="holds a spinlock"):
            bench.mempool_alloc(pool, GFP_KERNEL)
        assert bench.mempool_alloc(pool, GFP_ATOMIC) is not None


@pytest.mark.parametrize("seed", range(3))
def test_the_trace_alone_tells_how_full_it_is(seed):
    machine, rng, held = Machine(pages=32), random.Random(seed), []
    pool = machine.mempool_create_page_pool(6)
    others = []
    for _ in range(300):
        what = rng.random()
        if what < 0.35 and (page := machine.mempool_alloc(pool, GFP_ATOMIC)) is not None:
            held.append(page)
        elif what < 0.6 and held:
            machine.mempool_free(pool, held.pop(rng.randrange(len(held))))
        elif what < 0.8 and (page := machine.alloc_page(GFP_KERNEL)) is not None:
            others.append(page)
        elif others:
            machine.free_page(others.pop())
        assert mempool_replay(machine.trace) == {1: pool.curr_nr}
    assert len(snapshot(machine).allocated) == len(held) + len(others) + pool.curr_nr
