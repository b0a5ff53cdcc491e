"""Sentences: one behaviour, one exact list of events."""

import pytest

from kmm_sim import GFP_KERNEL, Machine
from kmm_sim.mm.events import FreeListAdd, FreeListDel, Merge, MmPageAlloc, MmPageFree, Split, SplitPage
from kmm_sim.observe import snapshot
from kmm_sim.workload import parse, play

KERNEL = int(GFP_KERNEL)


def events_of(machine, call):
    told = len(machine.trace)
    call()
    return machine.trace[told:]


def free_lists(machine):
    return {blocks.order: blocks.pfns for blocks in snapshot(machine).zones[0].free}


def held(machine, *pfns):
    """Take all pages one by one, and give back all but ``pfns``."""
    pages = [machine.alloc_page(GFP_KERNEL) for _ in range(machine.zones[0].managed_pages)]
    for page in pages:
        if page.pfn not in pfns:
            machine.free_page(page)


def test_a_machine_begins_with_the_largest_blocks_that_are_aligned():
    assert free_lists(Machine(pages=64)) == {6: (0,)}
    assert free_lists(Machine(pages=100)) == {6: (0,), 5: (64,), 2: (96,)}
    assert free_lists(Machine(pages=3 * 1024 + 1)) == {10: (0, 1024, 2048), 0: (3072,)}


def test_a_block_that_fits_is_taken_whole():
    machine = Machine(pages=4)
    assert events_of(machine, lambda: machine.alloc_pages(GFP_KERNEL, 2)) == [
        FreeListDel(0, 0, 2, 0),
        MmPageAlloc(0, 2, 0, KERNEL),
    ]


def test_a_larger_block_is_halved_until_it_fits_and_the_upper_halves_stay():
    machine = Machine(pages=8)
    assert events_of(machine, lambda: machine.alloc_page(GFP_KERNEL)) == [
        FreeListDel(0, 0, 3, 0),
        Split(0, 0, 2, 0),
        Split(0, 0, 1, 0),
        Split(0, 0, 0, 0),
        MmPageAlloc(0, 0, 0, KERNEL),
    ]
    assert free_lists(machine) == {2: (4,), 1: (2,), 0: (1,)}


def test_the_smallest_order_that_has_a_block_is_taken_first():
    machine = Machine(pages=16)
    play(machine, parse("+0"))  # leaves blocks of order 0, 1, 2, 3
    assert [machine.alloc_pages(GFP_KERNEL, order).pfn for order in (1, 0, 3, 2)] == [2, 1, 8, 4]


def test_a_freed_block_merges_with_its_buddy_as_far_as_it_goes():
    machine = Machine(pages=8)
    page = machine.alloc_page(GFP_KERNEL)
    assert events_of(machine, lambda: machine.free_page(page)) == [
        MmPageFree(0, 0),
        Merge(0, 0, 0, 1, 0),
        Merge(0, 0, 1, 2, 0),
        Merge(0, 0, 2, 4, 0),
        FreeListAdd(0, 0, 3, 0, tail=False),
    ]
    assert free_lists(machine) == {3: (0,)}


def test_an_upper_half_merges_down_to_the_lower_pfn():
    machine = Machine(pages=4)
    first, second = machine.alloc_pages(GFP_KERNEL, 1), machine.alloc_pages(GFP_KERNEL, 1)
    machine.free_pages(first, 1)
    assert events_of(machine, lambda: machine.free_pages(second, 1)) == [
        MmPageFree(2, 1),
        Merge(0, 2, 1, 0, 0),
        FreeListAdd(0, 0, 2, 0, tail=False),
    ]


def test_neighbours_that_are_no_buddies_stay_apart():
    machine = Machine(pages=8)
    held(machine, 0, 3, 4, 5, 6, 7)
    assert free_lists(machine) == {0: (2, 1)}


def test_a_block_goes_to_the_head_if_its_parents_buddy_is_in_use():
    machine = Machine(pages=8)
    pages = [machine.alloc_page(GFP_KERNEL) for _ in range(8)]
    machine.free_page(pages[0])
    assert events_of(machine, lambda: machine.free_page(pages[4])) == [
        MmPageFree(4, 0),
        FreeListAdd(0, 4, 0, 0, tail=False),
    ]
    assert free_lists(machine) == {0: (4, 0)}


def test_a_block_goes_to_the_tail_if_its_parents_buddy_is_free():
    machine = Machine(pages=8)
    pages = [machine.alloc_page(GFP_KERNEL) for _ in range(8)]
    for pfn in (2, 3, 4):
        machine.free_page(pages[pfn])
    assert events_of(machine, lambda: machine.free_page(pages[0])) == [
        MmPageFree(0, 0),
        FreeListAdd(0, 0, 0, 0, tail=True),
    ]
    assert free_lists(machine) == {1: (2,), 0: (4, 0)}


def test_three_pages_exactly_are_four_and_one_given_back_at_once():
    machine = Machine(pages=4)
    assert events_of(machine, lambda: machine.alloc_pages_exact(3 * 4096, GFP_KERNEL)) == [
        FreeListDel(0, 0, 2, 0),
        MmPageAlloc(0, 2, 0, KERNEL),
        SplitPage(0, 2),
        MmPageFree(3, 0),
        FreeListAdd(0, 3, 0, 0, tail=True),
    ]
    assert [(a.pfn, a.order) for a in snapshot(machine).allocated.values()] == [(0, 0), (1, 0), (2, 0)]


def test_exact_pages_are_given_back_one_by_one():
    machine = Machine(pages=4)
    addr = machine.alloc_pages_exact(3 * 4096, GFP_KERNEL)
    machine.free_pages_exact(addr, 3 * 4096)
    assert free_lists(machine) == {2: (0,)}


def test_the_largest_block_comes_back_in_pieces_of_a_pageblock():
    machine = Machine(pages=1024)
    page = machine.alloc_pages(GFP_KERNEL, 10)
    assert events_of(machine, lambda: machine.free_pages(page, 10)) == [
        MmPageFree(0, 10),
        FreeListAdd(0, 0, 9, 0, tail=False),
        Merge(0, 512, 9, 0, 0),
        FreeListAdd(0, 0, 10, 0, tail=False),
    ]


def test_a_request_that_nobody_can_serve_gets_none_and_a_line_in_the_log():
    machine = Machine(pages=4)
    before = snapshot(machine)
    assert machine.alloc_pages(GFP_KERNEL, 3) is None
    assert machine.get_free_pages(GFP_KERNEL, 3) == 0
    assert machine.trace[-1] == MmPageAlloc(None, 3, 0, KERNEL)
    assert snapshot(machine) == before
    assert machine.dmesg == [
        "insmod: page allocation failure: order:3, mode:0xcc0(GFP_KERNEL), nodemask=(null),cpuset=/,mems_allowed=0"
    ] * 2


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Split(0, 64, 3, 0), "sim_split: zone=0 pfn=0x40 order=3 migratetype=0"),
        (MmPageFree(64, 3), "mm_page_free: pfn=0x40 order=3"),
        (MmPageAlloc(64, 2, 0, KERNEL), "mm_page_alloc: pfn=0x40 order=2 migratetype=0 gfp_flags=GFP_KERNEL"),
        (MmPageAlloc(0, 2, 0, 0), "mm_page_alloc: pfn=0x0 order=2 migratetype=0 gfp_flags=none"),
        (
            MmPageAlloc(None, 2, 0, 0),
            "mm_page_alloc: page=0000000000000000 pfn=0x0 order=2 migratetype=0 gfp_flags=none",
        ),
    ],
)
def test_an_event_reads_like_a_line_of_ftrace(event, line):
    assert str(event) == line
