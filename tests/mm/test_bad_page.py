"""Broken callers: what the kernel really does, and what it says; compared with recorded texts."""

import re
from pathlib import Path

import pytest

from kmm_sim import GFP_KERNEL, Gfp, KernelBug, Machine
from kmm_sim.mm.events import BadPage, HeadRemains, MmPageFree, PageRefMod
from kmm_sim.mm.page_flags import PageFlag, format_page_flags
from kmm_sim.observe import replay, snapshot, validate

DATA = Path(__file__).parents[1] / "data"


def recorded(name):
    """The kernel's lines about bad pages, without time stamps and with the pfn left open."""
    lines = (DATA / f"linux-6.12.117-dmesg-{name}.txt").read_text().splitlines()
    return [re.sub(r"pfn:(0x)?[0-9a-f]+", "pfn:", line.partition("] ")[2]) for line in lines]


def log(machine):
    return [re.sub(r"pfn:(0x)?[0-9a-f]+", "pfn:", line) for line in machine.dmesg]


def real(**kind):
    """A machine that treats its callers as Linux does."""
    return Machine(**kind or {"memory": "6 GiB"}, teaching=False)


def consistent(machine, start):
    """The machine is whole, and its trace tells everything."""
    validate(machine)
    assert replay(start, machine.trace) == snapshot(machine)


def test_a_double_free_is_silent_and_noticed_when_the_page_is_handed_out_next():
    machine = real()
    start = snapshot(machine)
    page = machine.alloc_page(GFP_KERNEL)
    machine.free_page(page)
    machine.free_page(page)
    assert machine.dmesg == []
    assert page.refcount == -1
    other = machine.alloc_page(GFP_KERNEL)
    assert other is not page
    assert log(machine) == recorded("page_double_free")
    assert machine.trace.count(BadPage(page.pfn, "nonzero _refcount")) == 1
    consistent(machine, start)
    handed_out = {machine.alloc_page(GFP_KERNEL).pfn for _ in range(500)}
    assert page.pfn not in handed_out, "the kernel never uses it again"


def test_too_large_an_order_is_reported_for_each_page_that_somebody_else_holds():
    machine = real()
    start = snapshot(machine)
    pages = [machine.alloc_page(GFP_KERNEL) for _ in range(8)]
    first = min(pages, key=lambda page: page.pfn)
    machine.free_pages(first, 2)
    report = recorded("page_wrong_order")
    assert log(machine)[:12] == report[:12]
    assert [event.pfn for event in machine.trace if isinstance(event, BadPage)] == [first.pfn + i for i in (1, 2, 3)]
    consistent(machine, start)
    assert first.pfn not in snapshot(machine).allocated, "nobody holds it"


def test_too_small_an_order_leaks_the_rest_without_a_word():
    machine = real(pages=64)
    start = snapshot(machine)
    block = machine.alloc_pages(GFP_KERNEL, 3)
    machine.free_pages(block, 1)
    assert machine.dmesg == []
    consistent(machine, start)
    assert snapshot(machine).allocated == {}
    assert snapshot(machine).zones[0].nr_free_pages == 64 - 6


def test_a_page_freed_over_its_free_neighbour_can_be_handed_out_twice():
    machine = real(memory="1 GiB")
    pages = [machine.alloc_page(GFP_KERNEL) for _ in range(63)]
    first, second = sorted(pages, key=lambda page: page.pfn)[:2]
    machine.free_page(second)
    machine.free_pages(first, 1)  # the second page is free, on a per-CPU list, and looks unused
    assert machine.dmesg == []
    with pytest.raises(AssertionError, match="in two blocks"):
        validate(machine)
    got = [machine.alloc_page(GFP_KERNEL).pfn for _ in range(2)] + [machine.alloc_pages(GFP_KERNEL, 1).pfn]
    assert second.pfn in got
    assert first.pfn in got, "two owners of one page"


def test_a_tail_page_freed_is_silent_and_noticed_when_the_block_comes_back():
    machine = real(pages=64)
    start = snapshot(machine)
    block = machine.alloc_pages(GFP_KERNEL, 2)
    machine.free_page(machine.node.page(1))
    assert machine.dmesg == []
    machine.free_pages(block, 2)
    assert machine.trace[-1] == BadPage(1, "nonzero _refcount")
    consistent(machine, start)
    assert snapshot(machine).zones[0].nr_free_pages == 60, "the whole block is lost"


def side_by_side(gfp, order, neighbour_gfp, neighbour_order):
    """A compound page of ``order``, and a block of somebody else right behind it."""
    machine = real(pages=64)
    block = machine.alloc_pages(gfp, order)
    pages = [machine.alloc_pages(neighbour_gfp, neighbour_order) for _ in range(1 << 5)]
    assert block.pfn + (1 << order) in {page.pfn for page in pages if page}
    return machine, block


@pytest.mark.parametrize(("order", "neighbour", "size", "reasons"), [
    (1, GFP_KERNEL, 0, {2: ["on deferred list", "nonzero _refcount"], 3: ["PageTail not set", "nonzero _refcount"]}),
    (2, GFP_KERNEL, 0, {
        nth: ["corrupted mapping in tail page", "nonzero _refcount"] for nth in (4, 5, 6, 7)}),
    (2, GFP_KERNEL | Gfp.COMP, 2, {
        4: ["corrupted mapping in tail page", "nonzero _refcount"], 5: ["corrupted mapping in tail page"],
        6: ["corrupted mapping in tail page"], 7: ["compound_head not consistent"]}),
    (1, GFP_KERNEL | Gfp.COMP, 1, {
        2: ["on deferred list", "nonzero _refcount"], 3: ["compound_head not consistent"]}),
])
def test_a_compound_page_freed_with_too_large_an_order_is_not_whole(order, neighbour, size, reasons):
    """free_tail_page_prepare() sees that these are not its tails, each in its own way."""
    machine, block = side_by_side(GFP_KERNEL | Gfp.COMP, order, neighbour, size)
    machine.free_pages(block, order + 1)
    told = [event for event in machine.trace if isinstance(event, BadPage)]
    assert [(event.pfn - block.pfn, event.reason) for event in told] == [
        (nth, reason) for nth, each in reasons.items() for reason in each
    ]
    assert sum(line.startswith("BUG: Bad page state") for line in machine.dmesg) == len(told)
    validate(machine)


def test_a_mapped_page_that_comes_back_is_reported_and_lost():
    machine = real()
    page = machine.alloc_page(GFP_KERNEL)
    page.mapping = 0x1000
    machine.free_page(page)
    assert log(machine) == recorded("page_free_mapped")


def test_a_locked_page_that_comes_back_is_reported_and_lost():
    machine = real()
    page = machine.alloc_page(GFP_KERNEL)
    page.flags |= PageFlag.LOCKED | PageFlag.LRU
    machine.free_page(page)
    assert log(machine) == recorded("page_free_locked")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"mapping": 0x1000}, "non-NULL mapping"),
        ({"mapcount": 1}, "nonzero mapcount"),
        ({"flags": int(PageFlag.LOCKED)}, "PAGE_FLAGS_CHECK_AT_FREE"),
    ],
)
def test_the_teacher_refuses_a_page_that_is_at_work(change, reason):
    machine = Machine(pages=16)
    page = machine.alloc_page(GFP_KERNEL)
    for name, value in change.items():
        setattr(page, name, value)
    before = snapshot(machine)
    with pytest.raises(KernelBug, match=f"bad page state: pfn 0 comes back with {reason}"):
        machine.free_page(page)
    assert snapshot(machine) == before
    assert machine.dmesg == []


def test_flags_are_printed_as_the_kernel_prints_them():
    page = real().alloc_page(GFP_KERNEL)
    assert format_page_flags(page.flags) == "0x17ffffc0000000(node=0|zone=2|lastcpupid=0x1fffff)"
    assert format_page_flags(1 << 13) == "0x2000(reserved|node=0|zone=0|lastcpupid=0x0)"


# References


def test_a_page_lives_until_its_last_reference_is_gone():
    machine = Machine(pages=4)
    start = snapshot(machine)
    page = machine.alloc_page(GFP_KERNEL)
    machine.get_page(page)
    assert snapshot(machine).allocated[page.pfn].refcount == 2
    machine.put_page(page)
    assert page.refcount == 1
    machine.put_page(page)
    assert snapshot(machine).allocated == {}
    assert [event for event in machine.trace if isinstance(event, PageRefMod)] == [
        PageRefMod(0, 2, 1),
        PageRefMod(0, 1, -1),
    ]
    consistent(machine, start)


def test_a_compound_page_is_counted_in_its_head_and_freed_whole():
    machine = Machine(pages=16)
    start = snapshot(machine)
    head = machine.alloc_pages(GFP_KERNEL | Gfp.COMP, 2)
    tail = machine.node.page(head.pfn + 3)
    assert head.flags & PageFlag.HEAD
    assert machine.compound_head(tail) is head
    machine.get_page(tail)
    assert (head.refcount, tail.refcount) == (2, 0)
    machine.put_page(head)
    machine.put_page(tail)
    assert not head.flags & PageFlag.HEAD
    assert MmPageFree(head.pfn, 2) in machine.trace
    assert snapshot(machine).zones == start.zones
    consistent(machine, start)


def test_a_block_that_is_not_compound_has_no_head_to_find():
    machine = Machine(pages=16)
    machine.alloc_pages(GFP_KERNEL, 2)
    tail = machine.node.page(3)
    assert machine.compound_head(tail) is tail


def test_freeing_a_block_to_whose_first_page_somebody_refers_keeps_that_page():
    machine = real(pages=16)
    start = snapshot(machine)
    block = machine.alloc_pages(GFP_KERNEL, 2)
    machine.get_page(block)
    machine.free_pages(block, 2)
    assert HeadRemains(0) in machine.trace
    assert snapshot(machine).allocated[0].order == 0
    assert snapshot(machine).zones[0].nr_free_pages == 15
    machine.put_page(block)
    assert snapshot(machine).zones == start.zones
    consistent(machine, start)


def test_put_page_of_a_block_that_is_not_compound_leaks_the_rest():
    machine = real(pages=16)
    block = machine.alloc_pages(GFP_KERNEL, 2)
    machine.put_page(block)
    assert snapshot(machine).zones[0].nr_free_pages == 13
    assert snapshot(machine).allocated == {}
    validate(machine)


BROKEN = {
    "freed while referred to": (lambda m, page: (m.get_page(page), m.free_pages(page, 2)), "2 references"),
    "put_page() of a block": (lambda m, page: m.put_page(page), "the others leak"),
    "get_page() of a free page": (lambda m, page: m.get_page(m.node.page(9)), "use after free"),
    "put_page() of a free page": (lambda m, page: m.put_page(m.node.page(9)), "nobody has a reference"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_the_teacher_says_what_was_done_with_a_reference(case):
    call, message = BROKEN[case]
    machine = Machine(pages=16)
    start = snapshot(machine)
    block = machine.alloc_pages(GFP_KERNEL, 2)
    with pytest.raises(KernelBug, match=message):
        call(machine, block)
    consistent(machine, start)


@pytest.mark.parametrize("case", BROKEN)
def test_without_a_teacher_the_same_goes_through(case):
    machine = real(pages=16)
    BROKEN[case][0](machine, machine.alloc_pages(GFP_KERNEL, 2))


# Bytes


def test_memory_can_be_zeroed_when_it_is_handed_out_or_when_it_comes_back():
    for setting in ("init_on_alloc", "init_on_free"):
        machine = Machine(pages=4)
        setattr(machine.node, setting, True)
        addr = machine.get_free_page(GFP_KERNEL)
        machine.write(addr, b"secret")
        machine.free_page_addr(addr)
        assert machine.read(addr, 6) == (b"secret" if setting == "init_on_alloc" else bytes(6))
        assert machine.get_free_page(GFP_KERNEL) == addr
        assert machine.read(addr, 6) == bytes(6)


def test_poison_shows_a_stale_reader_that_it_is_late():
    machine = Machine(pages=4)
    machine.node.page_poison = True
    addr = machine.get_free_page(GFP_KERNEL)
    machine.free_page_addr(addr)
    assert machine.read(addr, 8) == b"\xaa" * 8
