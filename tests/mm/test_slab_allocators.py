"""One suite for SLUB, SLUB with sheaves, SLAB and SLOB: what every slab allocator owes its callers."""

import random
from itertools import pairwise

import pytest

from kmm_sim import GFP_ATOMIC, GFP_KERNEL, Gfp, KernelBug, Machine
from kmm_sim.calls.slab import ALLOCATORS
from kmm_sim.mm.kmalloc import ZERO_SIZE_PTR
from kmm_sim.mm.slab_events import Kfree, Kmalloc, KmemCacheAlloc, KmemCacheFree
from kmm_sim.observe import replay, snapshot, validate, validate_slab

SIZES = (1, 8, 24, 60, 96, 192, 248, 500, 700, 1024, 2048, 4000, 4096, 9000)


@pytest.fixture(params=ALLOCATORS)
def slab(request):
    return request.param


@pytest.fixture
def machine(slab):
    return Machine(pages=256, slab=slab)


def test_there_are_four(slab):
    assert set(ALLOCATORS) == {"slub", "sheaves", "slab", "slob"}


@pytest.mark.parametrize("size", SIZES)
def test_memory_is_as_large_as_asked_for_and_ones_own(machine, size):
    one, two = machine.kmalloc(size, GFP_KERNEL), machine.kmalloc(size, GFP_KERNEL)
    assert one % 8 == two % 8 == 0
    assert machine.ksize(one) >= size
    machine.write(one, b"1" * size)
    machine.write(two, b"2" * size)
    assert machine.read(one, size) == b"1" * size
    machine.kfree(one)
    assert machine.read(two, size) == b"2" * size
    machine.kfree(two)
    validate_slab(machine)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("align", [0, 64])
def test_objects_of_a_cache_do_not_overlap_and_are_aligned(machine, size, align):
    cache = machine.kmem_cache_create("example", size, align)
    objects = sorted(machine.kmem_cache_alloc(cache, GFP_KERNEL) for _ in range(40))
    assert objects[0]
    assert all(b - a >= size for a, b in pairwise(objects))
    assert all(ptr % (align or 8) == 0 for ptr in objects)
    for ptr in objects:
        machine.kmem_cache_free(cache, ptr)
    validate_slab(machine)
    machine.kmem_cache_destroy(cache)
    assert not snapshot(machine).allocated or machine.slabs.allocator.name == "slab", "descriptors may remain cached"


def test_the_kernels_tracepoints_tell_of_each_call(machine):
    cache = machine.kmem_cache_create("example", 100)
    ptr, other = machine.kmalloc(30, GFP_KERNEL), machine.kmem_cache_alloc(cache, GFP_ATOMIC)
    machine.kfree(ptr)
    machine.kmem_cache_free(cache, other)
    told = [type(event) for event in machine.trace]
    assert [kind for kind in told if kind in (Kmalloc, Kfree, KmemCacheAlloc, KmemCacheFree)] == [
        Kmalloc, KmemCacheAlloc, Kfree, KmemCacheFree,
    ]  # fmt: skip


def test_nothing_is_taken_back_as_nothing(machine):
    machine.kfree(0)
    assert machine.kmalloc(0, GFP_KERNEL) == ZERO_SIZE_PTR
    machine.kfree(ZERO_SIZE_PTR)
    assert machine.ksize(0) == 0


def test_zeroed_memory_is_zero_whoever_had_it_before(machine):
    ptr = machine.kmalloc(100, GFP_KERNEL)
    machine.write(ptr, b"x" * 100)
    machine.kfree(ptr)
    assert machine.read(machine.kzalloc(100, GFP_KERNEL), 100) == bytes(100)
    cache = machine.kmem_cache_create("example", 100)
    ptr = machine.kmem_cache_alloc(cache, GFP_KERNEL)
    machine.write(ptr, b"x" * 100)
    machine.kmem_cache_free(cache, ptr)
    assert machine.read(machine.kmem_cache_zalloc(cache, GFP_KERNEL), 100) == bytes(100)


def test_krealloc_keeps_the_bytes(machine):
    ptr = machine.kmalloc(20, GFP_KERNEL)
    machine.write(ptr, b"twenty bytes of text")
    ptr = machine.krealloc(ptr, 3000, GFP_KERNEL)
    assert machine.read(ptr, 20) == b"twenty bytes of text"
    assert machine.krealloc(ptr, 0, GFP_KERNEL) == ZERO_SIZE_PTR
    validate_slab(machine)


def test_out_of_memory_is_an_answer(slab):
    machine = Machine(pages=4, slab=slab)
    held = []
    while ptr := machine.kmalloc(1000, GFP_KERNEL | Gfp.NOWARN):
        held.append(ptr)
    assert len(held) in range(12, 17)
    validate_slab(machine)
    for ptr in held:
        machine.kfree(ptr)
    assert machine.kmalloc(1000, GFP_KERNEL)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda m, c, p: (m.kfree(p), m.kfree(p)), "double free|lies in no page|is free"),
        (lambda m, c, p: m.kfree(p + 16), "inside|not the beginning|lies in a block that is free|double free"),
        (lambda m, c, p: m.kfree(m.get_free_page(GFP_KERNEL)), r"free_pages\(\)"),
        (lambda m, c, p: m.kfree(m.vmalloc(4096)), r"of vmalloc\(\), or of a stack"),
            (lambda m, c, p: m.free_page_addr(p & ~4095), "belongs to a slab allocator"),
        (lambda m, c, p: m.kmem_cache_free(c, p), "Wrong slab cache|8 bytes inside one"),
        (lambda m, c, p: m.kmem_cache_free(c, 4096), "lies in no slab"),
        (lambda m, c, p: (m.kmem_cache_alloc(c, GFP_KERNEL), m.kmem_cache_destroy(c)), "still has 1 object"),
    ],
)
def test_a_mistake_gets_a_sentence_and_the_machine_survives(machine, wrong, sentence):
    cache = machine.kmem_cache_create("example", 300)
    ptr = machine.kmalloc(64, GFP_KERNEL)
    with pytest.raises(KernelBug, match=sentence):
        wrong(machine, cache, ptr)
    validate_slab(machine)
    validate(machine)
    assert machine.kmem_cache_alloc(cache, GFP_KERNEL)
    assert machine.kmalloc(64, GFP_KERNEL)


def test_a_constructor_sees_every_object(machine):
    built = []
    cache = machine.kmem_cache_create("built", 512, ctor=built.append)
    assert machine.kmem_cache_alloc(cache, GFP_KERNEL) in built


@pytest.mark.parametrize("cpus", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_random_calls_keep_every_object_in_one_place_and_give_every_page_back(slab, cpus, seed):
    rng = random.Random(seed)
    machine = Machine(pages=600, cpus=cpus, slab=slab)
    start = snapshot(machine)
    caches = [machine.kmem_cache_create(f"c{size}", size) for size in SIZES[2::2]]
    held = {}
    for step in range(3000):
        machine.cpu = rng.randrange(cpus)
        if held and rng.random() < (0.35 if step // 400 % 2 else 0.62):
            ptr = rng.choice(list(held))
            size, cache, stamp = held.pop(ptr)
            assert machine.read(ptr, min(size, 4)) == stamp[: min(size, 4)], "somebody wrote into memory not his own"
            machine.kfree(ptr) if cache is None else machine.kmem_cache_free(cache, ptr)
        else:
            cache = rng.choice([None, *caches])
            size = rng.choice(SIZES) if cache is None else cache.object_size
            gfp = rng.choice((GFP_KERNEL, GFP_ATOMIC, GFP_KERNEL | Gfp.RECLAIMABLE)) | Gfp.NOWARN
            ptr = machine.kmalloc(size, gfp) if cache is None else machine.kmem_cache_alloc(cache, gfp)
            assert ptr not in held
            if ptr:
                stamp = step.to_bytes(4, "little")
                machine.write(ptr, stamp[: min(size, 4)])
                held[ptr] = (size, cache, stamp)
        if step % 150 == 0:
            validate_slab(machine)
    spans = sorted((ptr, ptr + size) for ptr, (size, _, _) in held.items())
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans)), "two objects overlap"
    validate_slab(machine)
    validate(machine)
    assert replay(start, machine.trace) == snapshot(machine)
    for ptr, (_, cache, _) in held.items():
        machine.kfree(ptr) if cache is None else machine.kmem_cache_free(cache, ptr)
    for cache in caches:
        machine.kmem_cache_destroy(cache)
    for _ in range(2):  # the descriptors of SLAB's slabs are objects themselves
        for cache in machine.slabs.caches:
            machine.kmem_cache_shrink(cache)
    validate_slab(machine)
    leaked = snapshot(machine).allocated
    assert not leaked, f"pages leaked: {leaked}"
