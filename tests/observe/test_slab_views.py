"""SLAB's lists, SLOB's pages, SLUB's sheaves: their events alone rebuild them."""

import random

import pytest

from kmm_sim import GFP_KERNEL, Machine
from kmm_sim.observe import (
    lists_frames,
    lists_replay,
    lists_snapshot,
    slab_frames,
    slab_replay,
    slab_snapshot,
    slob_frames,
    slob_replay,
    slob_snapshot,
    validate_slab,
)

VIEWS = {"slab": (lists_snapshot, lists_replay, lists_frames), "slob": (slob_snapshot, slob_replay, slob_frames),
         "sheaves": (slab_snapshot, slab_replay, slab_frames)}  # fmt: skip
each = pytest.mark.parametrize("allocator", VIEWS)


def traffic(machine, seed, steps=600):
    """Objects of three caches and of kmalloc(), freed in any order; a shrink now and then."""
    rng = random.Random(seed)
    caches = [machine.kmem_cache_create(f"cache-{size}", size) for size in (48, 700, 1900)]
    held = []
    for _ in range(steps):
        machine.cpu = rng.randrange(machine.cpus)
        if held and rng.random() < 0.48:
            cache, ptr = held.pop(rng.randrange(len(held)))
            machine.kfree(ptr) if cache is None else machine.kmem_cache_free(cache, ptr)
        elif rng.random() < 0.02:
            machine.kmem_cache_shrink(rng.choice(caches))
        elif rng.random() < 0.3:
            held.append((None, machine.kmalloc(rng.randrange(1, 3000), GFP_KERNEL)))
        else:
            cache = rng.choice(caches)
            held.append((cache, machine.kmem_cache_alloc(cache, GFP_KERNEL)))
    return held


@each
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("cpus", [1, 2])
def test_the_events_alone_rebuild_what_the_allocator_has(allocator, seed, cpus):
    snapshot, replay, _ = VIEWS[allocator]
    machine = Machine(pages=1024, cpus=cpus, slab=allocator)
    before = snapshot(machine)
    held = traffic(machine, seed)
    assert replay(before, machine.trace) == snapshot(machine)
    half, since = snapshot(machine), len(machine.trace)
    for cache, ptr in held:
        machine.kfree(ptr) if cache is None else machine.kmem_cache_free(cache, ptr)
    assert replay(half, machine.trace[since:]) == snapshot(machine)
    validate_slab(machine)


@each
def test_there_is_a_frame_for_each_event_and_the_last_is_the_state_now(allocator):
    snapshot, _, frames = VIEWS[allocator]
    machine = Machine(pages=512, slab=allocator)
    before = snapshot(machine)
    traffic(machine, 1, steps=100)
    states = list(frames(before, machine.trace))
    assert len(states) == len(machine.trace)
    assert states[-1] == snapshot(machine)


def test_in_slab_an_object_is_with_a_user_in_an_array_or_in_its_slab():
    machine = Machine(pages=64, slab="slab")
    cache = machine.kmem_cache_create("example", 1024)
    machine.kmem_cache_alloc(cache, GFP_KERNEL)
    (view,) = [view for name, view in lists_snapshot(machine).items() if name == "example"]
    assert view.in_use == 1
    assert [len(array) for array in view.arrays] == [3]
    assert view.lists["full"] == tuple(view.slabs)


def test_in_slob_what_is_not_in_use_is_free():
    machine = Machine(pages=64, slab="slob")
    first, second = machine.kmalloc(56, GFP_KERNEL), machine.kmalloc(120, GFP_KERNEL)
    machine.kfree(first)
    (page,) = slob_snapshot(machine).pages.values()
    assert page.held == ((64, 128),)
    assert page.free == ((0, 64), (192, 4096 - 192))
    assert slob_snapshot(machine).lists["small"] == (page.pfn,)
    assert second
