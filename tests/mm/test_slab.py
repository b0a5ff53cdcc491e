"""SLAB: three lists, arrays, colours, descriptors."""

import pytest

from kmm_sim import GFP_KERNEL, Machine
from kmm_sim.mm.slab_common import SlabFlags
from kmm_sim.mm.slab_events import ArrayFill, ArrayTransfer, ObjectGet, ObjectPut, SlabDiscard, SlabList, SlabNew
from kmm_sim.observe import validate_slab


def lists(cache):
    return {name: list(slabs) for name, slabs in cache.lists.items()}


def only(machine, *kinds, since=0):
    return [event for event in machine.trace[since:] if isinstance(event, kinds)]


def test_objects_of_192_bytes_are_20_to_a_page_and_have_two_colours():
    machine = Machine(pages=64, slab="slab")
    cache = machine.kmem_cache_create("example", 192, align=64)
    assert (cache.num, cache.order, cache.slab_size, cache.colour, cache.off_slab) == (20, 0, 128, 2, False)
    objects = [machine.kmem_cache_alloc(cache, GFP_KERNEL) for _ in range(60)]
    slabs = [*cache.lists["full"].values(), *cache.lists["partial"].values()]
    assert [slab.colouroff for slab in sorted(slabs, key=lambda slab: slab.pfn)] == [0, 64, 0]
    assert min(objects) % 4096 == 128


@pytest.mark.parametrize(
    ("size", "limit", "batch"), [(256, 120, 60), (257, 54, 27), (1025, 24, 12), (4097, 8, 4), (140000, 1, 1)]
)
def test_the_array_is_the_smaller_the_larger_the_objects_are(size, limit, batch):
    cache = Machine(pages=64, slab="slab").kmem_cache_create("example", size)
    assert (cache.array[0].limit, cache.array[0].batchcount) == (limit, batch)


def test_the_first_refill_takes_16_and_the_last_of_them_is_handed_out():
    machine = Machine(pages=64, slab="slab")
    cache = machine.kmem_cache_create("example", 64)
    machine.kmem_cache_alloc(cache, GFP_KERNEL)
    assert [event.index for event in only(machine, ArrayFill)] == list(range(16))
    assert only(machine, ObjectGet)[0].index == 15
    assert [event.to for event in only(machine, SlabList)] == ["free", "partial"]


def test_a_slab_is_full_when_its_last_object_is_in_an_array():
    machine = Machine(pages=64, slab="slab")
    cache = machine.kmem_cache_create("example", 1024)
    machine.kmem_cache_alloc(cache, GFP_KERNEL)
    assert [len(slabs) for slabs in cache.lists.values()] == [1, 0, 0]
    assert cache.array[0].entry, "full, though only one object is in use"


def test_a_full_array_gives_its_oldest_objects_back():
    machine = Machine(pages=64, slab="slab")
    cache = machine.kmem_cache_create("example", 2048)
    objects = [machine.kmem_cache_alloc(cache, GFP_KERNEL) for _ in range(30)]
    assert len(cache.array[0].entry) < 24
    since = len(machine.trace)
    for ptr in objects:
        machine.kmem_cache_free(cache, ptr)
    events = only(machine, ObjectPut, SlabList, SlabDiscard, since=since)
    assert isinstance(events[0], ObjectPut)
    assert {event.to for event in events if isinstance(event, SlabList)} == {"partial", "free"}
    assert len(cache.array[0].entry) <= 24
    validate_slab(machine)
    machine.kmem_cache_shrink(cache)
    assert lists(cache) == {"full": [], "partial": [], "free": []}


def test_cpus_hand_objects_on_through_the_shared_array():
    machine = Machine(pages=256, cpus=2, slab="slab")
    cache = machine.kmem_cache_create("example", 256)
    objects = [machine.kmem_cache_alloc(cache, GFP_KERNEL) for _ in range(150)]
    for ptr in objects:
        machine.kmem_cache_free(cache, ptr)
    assert cache.shared.entry
    machine.cpu = 1
    assert machine.kmem_cache_alloc(cache, GFP_KERNEL) in objects
    assert [event.to_shared for event in only(machine, ArrayTransfer)][-1] is False
    validate_slab(machine)


def test_a_large_object_has_its_descriptor_in_an_object_of_its_own():
    machine = Machine(pages=64, slab="slab")
    cache = machine.kmem_cache_create("example", 2048)
    assert cache.off_slab
    ptr = machine.kmem_cache_alloc(cache, GFP_KERNEL)
    assert ptr % 2048 == 0
    made = [event.cache for event in only(machine, SlabNew)]
    assert made == ["kmalloc-64", "example"]
    machine.kmem_cache_free(cache, ptr)
    machine.kmem_cache_destroy(cache)
    validate_slab(machine)


def test_whether_an_object_is_large_is_asked_before_its_size_is_aligned():
    """504 bytes, aligned to a cache line, are 512; the descriptor stays on the slab all the same."""
    cache = Machine(pages=64, slab="slab").kmem_cache_create("example", 504, align=64)
    assert (cache.size, cache.num, cache.off_slab) == (512, 7, False)


GENERAL = [(32, 112, 0), (64, 59, 0), (128, 30, 0), (192, 20, 0), (256, 15, 0), (512, 8, 0), (1024, 4, 0), (2048, 2, 0),
           (4096, 1, 0), (8192, 1, 1)]


@pytest.mark.parametrize(("size", "objects", "order"), GENERAL)
def test_the_general_caches_of_2_6_34(size, objects, order):
    """By cache_estimate() and calculate_slab_order() of 2.6.34."""
    align = 64 if size >= 64 else 8
    cache = Machine(pages=64, slab="slab").kmem_cache_create(f"size-{size}", size, align=align)
    assert (cache.num, cache.order) == (objects, order)


def test_slabs_that_can_be_reclaimed_are_as_small_as_can_be():
    """592 bytes was an inode: 6 to a page, though two pages would waste less."""
    machine = Machine(pages=64, slab="slab")
    inode = machine.kmem_cache_create("inode_cache", 592, flags=SlabFlags.RECLAIM_ACCOUNT | SlabFlags.PANIC)
    other = machine.kmem_cache_create("other", 592)
    assert (inode.num, inode.order) == (6, 0)
    assert (other.num, other.order) == (13, 1)


def test_500_bytes_are_small_enough_for_a_descriptor_on_the_slab():
    assert not Machine(pages=64, slab="slab").kmem_cache_create("example", 500).off_slab
