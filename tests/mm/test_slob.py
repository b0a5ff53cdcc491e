"""SLOB: three lists of pages, first fit, neighbours that join."""

import pytest

from kmm_sim import GFP_KERNEL, Machine
from kmm_sim.mm.slab_events import SlobAlloc, SlobPageGone, SlobPageNew
from kmm_sim.mm.slob import slob_state
from kmm_sim.observe import snapshot, validate_slab


@pytest.fixture
def machine():
    return Machine(pages=64, slab="slob")


def pages(machine):
    return {name: [page.pfn for page in pages] for name, pages in slob_state(machine.slabs).lists.items()}


@pytest.mark.parametrize(
    ("size", "name"),
    [(8, "small"), (247, "small"), (248, "medium"), (1015, "medium"), (1016, "large"), (4000, "large")],
)
def test_the_size_and_the_eight_bytes_before_it_choose_the_list(machine, size, name):
    machine.kmalloc(size, GFP_KERNEL)
    assert [event.list for event in machine.trace if isinstance(event, SlobPageNew)] == [name]


def test_the_size_stands_in_front_of_the_memory(machine):
    ptr = machine.kmalloc(100, GFP_KERNEL)
    assert ptr % 4096 == 8
    assert int.from_bytes(machine.read(ptr - 8, 8), "little") == 100


def test_the_first_block_that_is_large_enough_is_cut(machine):
    a, b, c, d = (machine.kmalloc(size, GFP_KERNEL) for size in (56, 56, 24, 56))
    machine.kfree(a)
    machine.kfree(c)
    assert machine.kmalloc(12, GFP_KERNEL) == a
    assert machine.kmalloc(40, GFP_KERNEL) > d, "too large for what is left of a, and for c"
    assert machine.kmalloc(24, GFP_KERNEL) == a + 24, "the first that fits, not the best"
    validate_slab(machine)
    assert b < c


@pytest.mark.parametrize("size", [8, 16, 64, 256, 1024, 2048])
def test_a_power_of_two_is_aligned_to_itself_although_its_size_stands_before_it(machine, size):
    machine.kmalloc(100, GFP_KERNEL)
    got = [machine.kmalloc(size, GFP_KERNEL) for _ in range(3)]
    assert all(ptr % size == 0 for ptr in got)
    assert all(int.from_bytes(machine.read(ptr - 8, 8), "little") == size for ptr in got)
    validate_slab(machine)


def test_an_odd_size_is_rounded_up_to_two_bytes(machine):
    assert machine.kmem_cache_create("odd", 41).size == 42


def test_freed_neighbours_become_one_block(machine):
    a, b, c, d = (machine.kmalloc(56, GFP_KERNEL) for _ in range(4))
    for ptr in (a, c, b):
        machine.kfree(ptr)
    (page,) = machine.slabs.pages.values()
    assert page.free[0] == [0, 192]
    validate_slab(machine)
    assert d > c


def test_objects_of_all_caches_share_a_page(machine):
    one, two = machine.kmem_cache_create("one", 40), machine.kmem_cache_create("two", 60)
    a, b = machine.kmem_cache_alloc(one, GFP_KERNEL), machine.kmem_cache_alloc(two, GFP_KERNEL)
    assert a // 4096 == b // 4096
    assert [event.size for event in machine.trace if isinstance(event, SlobAlloc)] == [40, 60]


def test_a_page_that_is_all_free_goes_back_at_once(machine):
    ptr = machine.kmalloc(100, GFP_KERNEL)
    machine.kfree(ptr)
    assert any(isinstance(event, SlobPageGone) for event in machine.trace)
    assert not snapshot(machine).allocated


def test_a_full_page_leaves_its_list_and_comes_back(machine):
    held = [machine.kmalloc(248, GFP_KERNEL) for _ in range(16)]
    assert pages(machine)["medium"] == []
    machine.kfree(held[5])
    assert len(pages(machine)["medium"]) == 1
    validate_slab(machine)


def test_the_next_search_begins_where_the_last_one_ended(machine):
    held = [machine.kmalloc(1992, GFP_KERNEL) for _ in range(6)]
    third, second, first = pages(machine)["large"]
    machine.kfree(held[0])
    machine.kfree(held[2])
    assert machine.kmalloc(1992, GFP_KERNEL) == held[2]
    assert pages(machine)["large"] == [second, first, third]
    validate_slab(machine)


def test_whole_pages_are_not_slobs_business(machine):
    ptr = machine.kmalloc(4090, GFP_KERNEL)
    assert ptr % 4096 == 0
    assert machine.ksize(ptr) == 4096
    assert not machine.slabs.pages
    machine.kfree(ptr)
