"""kmalloc() and kfree(): sizes, kinds, large requests, and every way to get them wrong."""

import pytest

from kmm_sim import GFP_ATOMIC, GFP_DMA, GFP_KERNEL, GFP_KERNEL_ACCOUNT, Gfp, KernelBug, Machine
from kmm_sim.mm.kmalloc import ZERO_SIZE_PTR, kmalloc_size_roundup
from kmm_sim.mm.slab_common import SlabFlags
from kmm_sim.mm.slab_events import Kfree, Kmalloc, KmemCacheAlloc
from kmm_sim.observe import slab_snapshot, snapshot, validate, validate_slab


@pytest.fixture
def machine():
    return Machine(pages=1024)


def cache_of(machine, ptr):
    return machine.slabs.pages[machine.virt_to_page(ptr).pfn].cache.name


@pytest.mark.parametrize(
    ("size", "name", "usable"),
    [
        (1, "kmalloc-8", 8), (9, "kmalloc-16", 16), (65, "kmalloc-96", 96), (97, "kmalloc-128", 128),
        (129, "kmalloc-192", 192), (193, "kmalloc-256", 256), (1025, "kmalloc-2k", 2048), (8192, "kmalloc-8k", 8192),
    ],
)  # fmt: skip
def test_a_request_gets_the_smallest_class_that_fits(machine, size, name, usable):
    ptr = machine.kmalloc(size, GFP_KERNEL)
    assert cache_of(machine, ptr) == name
    assert machine.ksize(ptr) == usable == kmalloc_size_roundup(size)


@pytest.mark.parametrize(
    ("gfp", "name"),
    [
        (GFP_KERNEL, "kmalloc-64"), (GFP_ATOMIC, "kmalloc-64"), (GFP_DMA | GFP_KERNEL, "dma-kmalloc-64"),
        (GFP_KERNEL | Gfp.RECLAIMABLE, "kmalloc-rcl-64"), (GFP_KERNEL_ACCOUNT, "kmalloc-cg-64"),
        (GFP_DMA | Gfp.RECLAIMABLE, "dma-kmalloc-64"), (GFP_KERNEL_ACCOUNT | Gfp.RECLAIMABLE, "kmalloc-rcl-64"),
    ],
    ids=str,
)  # fmt: skip
def test_the_mask_chooses_the_kind_of_cache(gfp, name):
    machine = Machine(memory="64 MiB")
    assert cache_of(machine, machine.kmalloc(64, gfp)) == name


def test_an_event_says_what_was_asked_for_and_what_was_given(machine):
    ptr = machine.kmalloc(100, GFP_KERNEL)
    assert machine.trace[-1] == Kmalloc(ptr, 100, 128, int(GFP_KERNEL))
    assert str(machine.trace[-1]) == f"kmalloc: ptr={ptr:#x} bytes_req=100 bytes_alloc=128 gfp_flags=GFP_KERNEL"
    machine.kfree(ptr)
    assert Kfree(ptr) in machine.trace[-3:]


def test_a_large_request_is_whole_pages(machine):
    ptr = machine.kmalloc(8193, GFP_KERNEL)
    assert machine.ksize(ptr) == 16384
    assert machine.virt_to_page(ptr).order == 2
    assert not machine.slabs.pages
    machine.kfree(ptr)
    assert not snapshot(machine).allocated


def test_more_than_the_largest_block_is_refused(machine):
    assert machine.kmalloc((1 << 22) + 1, GFP_KERNEL) == 0
    assert machine.kmalloc(1 << 22, GFP_KERNEL)


def test_nothing_has_an_address_that_kfree_takes_back(machine):
    assert machine.kmalloc(0, GFP_KERNEL) == ZERO_SIZE_PTR == 16
    assert machine.ksize(ZERO_SIZE_PTR) == machine.ksize(0) == 0
    machine.kfree(ZERO_SIZE_PTR)
    machine.kfree(0)


def test_a_mask_that_no_slab_can_be_made_of_is_mended_and_told(machine):
    assert machine.kmalloc(64, GFP_KERNEL | Gfp.HIGHMEM)
    assert machine.dmesg == [
        "Unexpected gfp: 0x2 (__GFP_HIGHMEM). Fixing up to gfp: 0xcc0 (GFP_KERNEL). Fix your code!"
    ]


def test_an_array_whose_size_does_not_fit_a_word_is_refused(machine):
    assert machine.kmalloc_array(1 << 61, 8, GFP_KERNEL) == 0
    assert machine.kmalloc_array(4, 16, GFP_KERNEL)
    machine.write(ptr := machine.kmalloc(64, GFP_KERNEL), b"x" * 64)
    machine.kfree(ptr)
    assert machine.read(machine.kcalloc(8, 8, GFP_KERNEL), 64) == bytes(64)


def test_what_was_freed_can_still_be_read_but_kzalloc_clears_it(machine):
    ptr = machine.kmalloc(64, GFP_KERNEL)
    machine.write(ptr, b"secret")
    machine.kfree(ptr)
    assert machine.kmalloc(64, GFP_KERNEL) == ptr
    assert machine.read(ptr, 6) == b"secret"
    machine.kfree(ptr)
    assert machine.kzalloc(64, GFP_KERNEL) == ptr
    assert machine.read(ptr, 64) == bytes(64)


def test_krealloc_stays_while_there_is_room_and_then_moves_the_bytes(machine):
    ptr = machine.kmalloc(20, GFP_KERNEL)
    machine.write(ptr, b"twenty bytes of text")
    assert machine.krealloc(ptr, 32, GFP_KERNEL) == ptr
    moved = machine.krealloc(ptr, 33, GFP_KERNEL)
    assert moved != ptr
    assert machine.read(moved, 20) == b"twenty bytes of text"
    assert machine.krealloc(0, 8, GFP_KERNEL)
    assert machine.krealloc(moved, 0, GFP_KERNEL) == ZERO_SIZE_PTR
    with pytest.raises(KernelBug, match="double free"):
        machine.kfree(moved)


def test_when_krealloc_fails_the_old_memory_is_still_held():
    machine = Machine(pages=2)
    ptr = machine.kmalloc(4096, GFP_KERNEL)
    assert machine.krealloc(ptr, 8192, GFP_KERNEL) == 0
    machine.kfree(ptr)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda m, p: m.kfree(p + 8), "8 bytes inside object 0 of kmalloc-64, which is in use"),
        (lambda m, p: (m.kfree(p), m.kfree(p)), "double free"),
        (lambda m, p: m.kfree(m.get_free_page(GFP_KERNEL)), "free_pages"),
        (lambda m, p: m.kfree(0x1234), "outside the direct map"),
        (lambda m, p: m.kfree(m.vmalloc(4096)), r"of vmalloc\(\), or of a stack"),
        (lambda m, p: m.kfree(0xFFFF_8889_0000_0000), "no memory there"),
        (lambda m, p: m.free_page_addr(p & ~4095), "belongs to a slab allocator"),
        (lambda m, p: m.kfree(0xFFFF_8880_003F_F000), "free: freed twice, or never"),
        (lambda m, p: m.kfree(m.kmalloc(9000, GFP_KERNEL) + 4096), "4096 bytes inside"),
        (lambda m, p: m.kmem_cache_free(m.kmem_cache_create("a", 40), p), "Wrong slab cache. a but object is from"),
        (lambda m, p: m.kmem_cache_free(m.kmem_cache_create("a", 40), 4096), "lies in no slab"),
        (lambda m, p: m.ksize(p + 5000000), "no memory there"),
    ],
)
def test_a_wrong_free_says_what_is_wrong_and_changes_nothing(machine, wrong, sentence):
    ptr = machine.kmalloc(64, GFP_KERNEL)
    with pytest.raises(KernelBug, match=sentence):
        wrong(machine, ptr)
    validate_slab(machine)
    validate(machine)
    assert cache_of(machine, ptr) == "kmalloc-64"


def test_the_last_bytes_of_a_slab_belong_to_no_object(machine):
    cache = machine.kmem_cache_create("odd", 192, flags=SlabFlags.NO_MERGE)
    ptr = machine.kmem_cache_alloc(cache, GFP_KERNEL)
    with pytest.raises(KernelBug, match="in no object of it"):
        machine.kfree(ptr + 21 * 192)


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.kmalloc(-1, GFP_KERNEL),
        lambda m: m.kmalloc(8, 1 << 30),
        lambda m: m.kmalloc(8, Gfp.DMA | Gfp.HIGHMEM),
        lambda m: m.kmalloc_array(-1, 8, GFP_KERNEL),
        lambda m: m.kmem_cache_create("a", 0),
        lambda m: m.kmem_cache_create("a", 8, align=3),
        lambda m: m.kmem_cache_create("a", 8, flags=1 << 19),
        lambda m: Machine(pages=4, slab="slab-o-matic"),
        lambda m: Machine(pages=4, slab_debug="FX"),
    ],
)
def test_what_python_hands_in_is_checked(machine, call):
    with pytest.raises(ValueError, match=r"\w+"):
        call(machine)


@pytest.mark.parametrize("slab", ["slub", "sheaves", "slab", "slob"])
@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda m: m.kmalloc(1.5, GFP_KERNEL), TypeError, "a size is a whole number, not 1.5"),
        (lambda m: m.kmalloc("5", GFP_KERNEL), TypeError, "a size is a whole number, not '5'"),
        (lambda m: m.kmalloc(None, GFP_KERNEL), TypeError, "a size is a whole number, not None"),
        (lambda m: m.kmalloc(8, "GFP_KERNEL"), TypeError, "a mask is a whole number, not 'GFP_KERNEL'"),
        (lambda m: m.kmalloc(-9000, GFP_KERNEL), ValueError, "0 or more, not -9000"),
        (lambda m: m.krealloc(0, 2.5, GFP_KERNEL), TypeError, "a size is a whole number, not 2.5"),
        (lambda m: m.kfree(-5), ValueError, "an address is 0 or more, not -5"),
        (lambda m: m.kfree("p"), TypeError, "an address is a whole number, not 'p'"),
        (lambda m: m.kmem_cache_create(None, 64), TypeError, "a cache has a name, .* not None"),
        (lambda m: m.kmem_cache_create("a", "64"), TypeError, "a size is a whole number, not '64'"),
        (lambda m: m.ioremap(-4096, 10), ValueError, "a physical address is 0 or more, not -4096"),
    ],
)  # fmt: skip
def test_what_is_no_such_number_gets_a_sentence_with_the_value(slab, call, error, sentence):
    with pytest.raises(error, match=sentence):
        call(Machine(memory="64 MiB", slab=slab))


def test_a_physical_address_that_no_processor_has_is_refused():
    machine = Machine(memory="64 MiB")
    assert machine.ioremap(1 << 60, 10) == 0
    assert machine.dmesg == ["ioremap: invalid physical address 1000000000000000"]


def test_a_cache_of_another_machine_is_a_stranger(machine):
    cache = Machine(pages=4).kmem_cache_create("theirs", 64)
    with pytest.raises(KernelBug, match="another machine"):
        machine.kmem_cache_alloc(cache, GFP_KERNEL)
    with pytest.raises(TypeError, match="expected a cache"):
        machine.kmem_cache_alloc("kmalloc-64", GFP_KERNEL)


def test_alike_caches_are_one_under_many_names(machine):
    first = machine.kmem_cache_create("first", 60)
    second = machine.kmem_cache_create("second", 64)
    assert first is second
    assert (second.name, second.refcount, second.object_size) == ("first", 2, 64)
    ptr = machine.kmem_cache_alloc(second, GFP_KERNEL)
    assert isinstance(machine.trace[-1], KmemCacheAlloc)
    machine.kmem_cache_destroy(first)
    machine.kmem_cache_free(second, ptr)
    machine.kmem_cache_destroy(second)
    assert "first" not in slab_snapshot(machine)


ALIKE_BUT = [{"flags": SlabFlags.NO_MERGE}, {"flags": SlabFlags.RECLAIM_ACCOUNT}, {"ctor": print}]


@pytest.mark.parametrize("apart", ALIKE_BUT)
def test_some_caches_are_never_merged(machine, apart):
    assert machine.kmem_cache_create("first", 64) is not machine.kmem_cache_create("second", 64, **apart)


def test_kvmalloc_takes_what_is_easy_and_else_single_pages():
    machine = Machine(memory="64 MiB")
    small, large = machine.kvmalloc(100, GFP_KERNEL), machine.kvmalloc(8 << 20, GFP_KERNEL)
    assert cache_of(machine, small) == "kmalloc-128"
    assert machine.is_vmalloc_addr(large)
    assert not machine.is_vmalloc_addr(machine.kvmalloc(1 << 16, GFP_KERNEL))
    assert machine.kvmalloc(8 << 20, GFP_ATOMIC) == 0, "vmalloc() may sleep"
    assert not machine.dmesg
    machine.kvfree(small)
    machine.kvfree(large)
    machine.kvfree(0)
    validate_slab(machine)
