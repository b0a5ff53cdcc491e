"""SLUB: one behaviour, one list of events; and whatever happens, nothing is in two places."""

import copy
import random
from itertools import pairwise

import pytest

from kmm_sim import GFP_ATOMIC, GFP_DMA, GFP_KERNEL, Gfp, KernelBug, Machine
from kmm_sim.mm.slab_common import SlabFlags
from kmm_sim.mm.slab_events import (
    CpuPartialAdd,
    CpuSlabLoad,
    CpuSlabUnload,
    KmemCacheAlloc,
    KmemCacheFree,
    ObjectGet,
    ObjectPut,
    PartialAdd,
    SlabDiscard,
    SlabEvent,
    SlabNew,
)
from kmm_sim.mm.slub_def import slabs_of
from kmm_sim.observe import buddyinfo, replay, slab_replay, slab_snapshot, snapshot, validate, validate_slab

ALONE = SlabFlags.NO_MERGE


def told(machine, since=0):
    return [event for event in machine.trace[since:] if isinstance(event, SlabEvent)]


def filled(machine, size=1024, slabs=1):
    """A cache with so many slabs full of objects, and the objects."""
    cache = machine.kmem_cache_create("example", size, flags=ALONE)
    return cache, [machine.kmem_cache_alloc(cache, GFP_KERNEL) for _ in range(slabs * cache.oo[1])]


def test_the_first_object_comes_from_a_new_slab():
    machine = Machine(pages=16)
    cache = machine.kmem_cache_create("inode", 2048, flags=ALONE)
    ptr = machine.kmem_cache_alloc(cache, GFP_KERNEL)
    assert cache.oo == (2, 8)
    assert told(machine)[1:] == [
        SlabNew("inode", 0, 2, tuple(range(8))),
        CpuSlabLoad("inode", 0, 0, "new"),
        ObjectGet("inode", 0, 0, 0),
        KmemCacheAlloc(ptr, 2048, 2048, int(GFP_KERNEL), "inode"),
    ]
    assert buddyinfo(machine).split()[4:8] == ["0", "0", "1", "1"]


def test_what_is_freed_last_is_handed_out_first():
    machine = Machine(pages=16)
    cache, objects = filled(machine)
    machine.kmem_cache_free(cache, objects[3])
    since = len(machine.trace)
    machine.kmem_cache_free(cache, objects[1])
    assert machine.kmem_cache_alloc(cache, GFP_KERNEL) == objects[1]
    assert told(machine, since)[:2] == [KmemCacheFree(objects[1], "example"), ObjectPut("example", 0, 0, 1)]
    assert machine.kmem_cache_alloc(cache, GFP_KERNEL) == objects[3]


def test_a_full_slab_comes_back_when_one_of_its_objects_is_freed():
    machine = Machine(pages=16)
    cache, objects = filled(machine, slabs=2)
    since = len(machine.trace)
    machine.kmem_cache_free(cache, objects[0])
    pfn = machine.virt_to_page(objects[0]).pfn
    assert told(machine, since)[1:] == [ObjectPut("example", -1, pfn, 0), CpuPartialAdd("example", 0, pfn)]
    assert slab_snapshot(machine)["example"].slabs[pfn].place == "cpu 0 partial"


def test_a_slab_put_aside_is_used_before_a_new_one():
    machine = Machine(pages=16)
    cache, objects = filled(machine, slabs=2)
    machine.kmem_cache_free(cache, objects[0])
    since = len(machine.trace)
    assert machine.kmem_cache_alloc(cache, GFP_KERNEL) == objects[0]
    loads = [event.source for event in told(machine, since) if isinstance(event, CpuSlabLoad)]
    assert loads == ["cpu partial"]


def test_objects_that_others_free_wait_on_the_slabs_own_list():
    machine = Machine(pages=16, cpus=2)
    cache, objects = filled(machine)
    machine.cpu = 1
    since = len(machine.trace)
    machine.kmem_cache_free(cache, objects[0])
    machine.cpu = 0
    assert machine.kmem_cache_alloc(cache, GFP_KERNEL) == objects[0]
    assert [type(event) for event in told(machine, since)] == [
        KmemCacheFree, ObjectPut, CpuSlabLoad, ObjectGet, KmemCacheAlloc,
    ]  # fmt: skip
    assert told(machine, since)[1].cpu == -1
    assert told(machine, since)[2].source == "own"


def test_too_many_slabs_aside_go_to_the_node_and_few_empty_ones_are_kept():
    machine = Machine(pages=256)
    cache, objects = filled(machine, size=4096, slabs=16)
    for ptr in objects:
        machine.kmem_cache_free(cache, ptr)
    kinds = {type(event) for event in told(machine)}
    assert {PartialAdd, SlabDiscard} <= kinds
    view = slab_snapshot(machine)["example"]
    assert view.in_use == 0
    assert cache.min_partial <= len(view.slabs) < 16
    machine.kmem_cache_shrink(cache)
    assert not slab_snapshot(machine)["example"].slabs


def test_shrinking_puts_the_fullest_slab_first():
    machine = Machine(pages=64)
    cache, objects = filled(machine, size=1024, slabs=3)
    per_slab = cache.oo[1]
    for nth, freed in enumerate((2, 3, 1)):
        for ptr in objects[nth * per_slab : nth * per_slab + freed]:
            machine.kmem_cache_free(cache, ptr)
    machine.kmem_cache_shrink(cache)
    view = slab_snapshot(machine)["example"]
    assert [len(view.slabs[pfn].freelist) for pfn in view.partial] == [1, 2, 3]
    assert any(isinstance(event, CpuSlabUnload) for event in told(machine))


def test_shrinking_turns_slabs_round_that_are_equally_full():
    machine = Machine(pages=64)
    cache, objects = filled(machine, slabs=4)
    for ptr in objects[:: cache.oo[1]]:
        machine.kmem_cache_free(cache, ptr)
    machine.kmem_cache_shrink(cache)
    first = slab_snapshot(machine)["example"].partial
    machine.kmem_cache_shrink(cache)
    assert len(first) == 4
    assert slab_snapshot(machine)["example"].partial == first[::-1]


def checked(machine, slabs):
    """A cache whose objects are checked, with so many full slabs, and the objects of each."""
    cache = machine.kmem_cache_create("example", 1024, flags=SlabFlags.CONSISTENCY_CHECKS)
    objects = [machine.kmem_cache_alloc(cache, GFP_KERNEL) for _ in range(slabs * cache.oo[1])]
    return cache, [objects[at : at + cache.oo[1]] for at in range(0, len(objects), cache.oo[1])]


def test_a_new_slab_of_a_checked_cache_goes_to_the_head_and_no_cpu_takes_it():
    machine = Machine(pages=64)
    cache, _ = checked(machine, 0)
    machine.kmem_cache_alloc(cache, GFP_KERNEL)
    pfn = slab_snapshot(machine)["example"].partial[0]
    assert PartialAdd("example", pfn, False) in told(machine)
    assert not any(isinstance(event, CpuSlabLoad) for event in told(machine))


def test_a_full_slab_of_a_checked_cache_comes_back_at_the_tail():
    machine = Machine(pages=64)
    cache, slabs = checked(machine, 3)
    for objects in slabs:
        machine.kmem_cache_free(cache, objects[0])
    pfns = tuple(machine.slabs.pages.around(objects[0]).pfn for objects in slabs)
    assert slab_snapshot(machine)["example"].partial == pfns
    assert [event.tail for event in told(machine) if isinstance(event, PartialAdd)][-3:] == [True] * 3


def test_a_checked_cache_keeps_few_empty_slabs():
    machine = Machine(pages=256)
    cache, slabs = checked(machine, 10)
    for objects in slabs:
        for ptr in objects:
            machine.kmem_cache_free(cache, ptr)
    assert cache.min_partial == 5
    assert cache.node.nr_slabs == cache.node.nr_partial == 4, "the slab itself counts among the partial ones"
    assert sum(isinstance(event, SlabDiscard) for event in told(machine)) == 6
    validate_slab(machine)


def test_out_of_memory_is_an_answer_and_a_report():
    machine = Machine(pages=2)
    cache = machine.kmem_cache_create("large", 8192, flags=ALONE)
    assert machine.kmem_cache_alloc(cache, GFP_KERNEL)
    assert machine.kmem_cache_alloc(cache, GFP_KERNEL) == 0
    assert "SLUB: Unable to allocate memory on CPU 0 (of node 0) on node -1, gfp=0xcc0(GFP_KERNEL)" in machine.dmesg
    assert told(machine)[-1] == KmemCacheAlloc(0, 8192, 8192, int(GFP_KERNEL), "large")
    validate_slab(machine)


def test_a_slab_of_the_least_order_will_do_when_memory_is_short():
    machine = Machine(pages=3)
    cache = machine.kmem_cache_create("example", 2048, flags=ALONE)
    assert machine.kmem_cache_alloc(cache, GFP_KERNEL)
    (slab,) = slab_snapshot(machine)["example"].slabs.values()
    assert (slab.order, slab.objects) == (0, 2)


def test_the_constructor_is_called_once_for_each_object_of_a_new_slab():
    machine = Machine(pages=4)
    built = []
    cache = machine.kmem_cache_create("built", 512, ctor=built.append)
    ptr = machine.kmem_cache_alloc(cache, GFP_KERNEL)
    assert len(built) == cache.oo[1]
    assert ptr == built[0]
    machine.kmem_cache_free(cache, ptr)
    assert machine.kmem_cache_alloc(cache, GFP_KERNEL) == ptr
    assert len(built) == cache.oo[1]


def test_a_random_freelist_hands_out_each_object_once():
    machine = Machine(pages=4, slab_random=1)
    _, objects = filled(machine, size=64)
    assert objects != sorted(objects)
    assert sorted(objects) == list(range(min(objects), min(objects) + 4096, 64))


def test_destroying_a_cache_gives_every_page_back():
    machine = Machine(pages=64)
    before = snapshot(machine)
    cache, objects = filled(machine, slabs=3)
    with pytest.raises(KernelBug, match="still has 24 objects in use"):
        machine.kmem_cache_destroy(cache)
    validate_slab(machine)
    for ptr in objects:
        machine.kmem_cache_free(cache, ptr)
    machine.kmem_cache_destroy(cache)
    assert snapshot(machine) == before
    with pytest.raises(KernelBug, match="destroyed already"):
        machine.kmem_cache_destroy(cache)


SIZES = (8, 24, 96, 192, 700, 1024, 2048, 4096, 9000)


@pytest.mark.parametrize("kind", [{"pages": 512}, {"pages": 512, "cpus": 3}, {"memory": "16 MiB", "cpus": 2}], ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_random_calls_keep_every_object_in_one_place_and_the_trace_tells_all(seed, kind):
    rng = random.Random(seed)
    machine = Machine(**kind)
    pages_before, before = snapshot(machine), slab_snapshot(machine)
    caches = [machine.kmem_cache_create(f"c{size}", size, flags=ALONE) for size in SIZES]
    held = []
    for step in range(3000):
        machine.cpu = rng.randrange(machine.cpus)
        if held and rng.random() < (0.35 if step // 500 % 2 else 0.6):
            cache, ptr = held.pop(rng.randrange(len(held)))
            machine.kfree(ptr) if cache is None else machine.kmem_cache_free(cache, ptr)
        elif rng.random() < 0.5:
            cache = rng.choice(caches)
            held.append((cache, machine.kmem_cache_alloc(cache, GFP_KERNEL | Gfp.NOWARN)))
        else:
            gfp = rng.choice((GFP_KERNEL, GFP_ATOMIC, GFP_DMA, GFP_KERNEL | Gfp.RECLAIMABLE)) | Gfp.NOWARN
            held.append((None, machine.kmalloc(rng.choice(SIZES), gfp)))
        if not held[-1:] or not held[-1][1]:
            held and held.pop()
        if rng.random() < 0.002:
            machine.kmem_cache_shrink(rng.choice(caches))
        if step % 100 == 0:
            validate_slab(machine)
    validate_slab(machine)
    validate(machine)
    assert slab_replay(before, machine.trace) == slab_snapshot(machine)
    assert replay(pages_before, machine.trace) == snapshot(machine)
    spans = sorted((ptr, ptr + machine.ksize(ptr)) for _, ptr in held)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans)), "two objects overlap"
    for cache, ptr in held:
        machine.kfree(ptr) if cache is None else machine.kmem_cache_free(cache, ptr)
    for cache in list(machine.slabs.caches):
        machine.kmem_cache_destroy(cache)
    machine.drain_all_pages()
    assert not snapshot(machine).allocated, "pages leaked"


def test_a_machine_can_be_copied_with_all_its_caches():
    machine = Machine(pages=64, cpus=2, slab_random=3)
    cache, objects = filled(machine, slabs=2)
    machine.kmem_cache_free(cache, objects[0])
    twin = copy.deepcopy(machine)
    assert slab_snapshot(twin) == slab_snapshot(machine)
    assert twin.kmalloc(100, GFP_KERNEL) == machine.kmalloc(100, GFP_KERNEL)
    twin.kfree(objects[1])
    validate_slab(twin)
    validate_slab(machine)
    assert slab_snapshot(twin) != slab_snapshot(machine)


def walk(machine, cache, slab, first):
    """Follow the free pointers from one object to the next; return the objects' indices."""
    seen, ptr = [], slab.base + first * cache.size
    while ptr:
        seen.append((ptr - slab.base) // cache.size)
        ptr = int.from_bytes(machine.read(ptr + cache.offset, 8), "little")
    return seen


@pytest.mark.parametrize("size", [8, 64, 100, 4096])
def test_a_free_object_holds_the_address_of_the_next_in_its_middle(size):
    rng = random.Random(size)
    machine = Machine(pages=512, cpus=2)
    cache = machine.kmem_cache_create("example", size, flags=ALONE)
    held = [machine.kmem_cache_alloc(cache, GFP_KERNEL) for _ in range(70)]
    for _ in range(300):
        machine.cpu = rng.randrange(2)
        machine.kmem_cache_free(cache, held.pop(rng.randrange(len(held))))
        held.append(machine.kmem_cache_alloc(cache, GFP_KERNEL))
    for shrunk in (False, True):
        if shrunk:
            for ptr in held[::2]:
                machine.kmem_cache_free(cache, ptr)
            machine.kmem_cache_shrink(cache)
        lists = [(c.slab, c.freelist) for c in cache.cpu_slab]
        lists += [(slab, slab.freelist) for slab in slabs_of(cache)]
        for slab, freelist in lists:
            if freelist:
                assert walk(machine, cache, slab, freelist[-1]) == freelist[::-1]
    assert cache.offset == size // 2 // 8 * 8


def test_without_a_trace_no_bytes_are_stored():
    machine = Machine(pages=512, trace=False)
    for _ in range(100):
        machine.kfree(machine.kmalloc(64, GFP_KERNEL))
    assert not machine.node.memory._pages
