"""Invariants: they hold after any calls; and they notice what is broken on purpose."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kmm_sim import GFP_ATOMIC, GFP_DMA, GFP_HIGHUSER_MOVABLE, GFP_KERNEL, PAGE_SIZE, Gfp, KernelBug, Machine
from kmm_sim.observe import replay, snapshot, validate

MACHINES = (
    {"pages": 16},
    {"pages": 100},
    {"pages": 2048},
    {"memory": "4 MiB"},
    {"memory": "20 MiB"},
    {"memory": "6 GiB"},
)
MASKS = (GFP_KERNEL, GFP_ATOMIC, GFP_HIGHUSER_MOVABLE, GFP_DMA, GFP_KERNEL | Gfp.RECLAIMABLE | Gfp.ZERO)


class AnyCalls(RuleBasedStateMachine):
    """Any calls in any order, good and bad, on any machine."""

    @initialize(kind=st.sampled_from(MACHINES))
    def power_on(self, kind):
        self.machine = Machine(**kind)
        self.start = snapshot(self.machine)
        self.held = []
        self.exact = []

    @rule(gfp=st.sampled_from(MASKS), order=st.integers(0, 10))
    def alloc(self, gfp, order):
        page = self.machine.alloc_pages(gfp, order)
        if page is not None:
            self.held.append((page, order))

    @rule(gfp=st.sampled_from(MASKS), size=st.integers(1, 40 * PAGE_SIZE))
    def alloc_exact(self, gfp, size):
        addr = self.machine.alloc_pages_exact(size, gfp)
        if addr:
            self.exact.append((addr, size))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def free(self, data):
        page, order = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.machine.free_pages(page, order)

    @precondition(lambda self: self.exact)
    @rule(data=st.data())
    def free_exact(self, data):
        addr, size = self.exact.pop(data.draw(st.integers(0, len(self.exact) - 1)))
        self.machine.free_pages_exact(addr, size)

    @rule(pfn=st.integers(0, 3000), order=st.integers(0, 10))
    def free_anything(self, pfn, order):
        """Only what is held with that order may be freed; the rest is an error without effect."""
        page = self.machine.node.pfn_to_page(pfn)
        mine = [(held, size) for held, size in self.held if held is page and size == order]
        singles = [addr for addr, _ in self.exact if page and order == 0 and self._inside(page, addr)]
        if page is None or mine or singles:
            return
        before = snapshot(self.machine)
        with pytest.raises(KernelBug):
            self.machine.free_pages(page, order)
        assert snapshot(self.machine) == before

    def _inside(self, page, addr):
        size = next(size for start, size in self.exact if start == addr)
        return addr <= self.machine.page_address(page) < addr + size

    @rule(order=st.sampled_from([-1, 11, 99]), gfp=st.sampled_from([GFP_KERNEL, 1 << 30]))
    def misuse(self, order, gfp):
        with pytest.raises(ValueError, match=r"order|gfp"):
            self.machine.alloc_pages(gfp, order)

    @invariant()
    def nothing_is_lost(self):
        validate(self.machine)
        held = sum(1 << a.order for a in snapshot(self.machine).allocated.values())
        free = sum(zone.nr_free_pages + zone.nr_pcp_pages for zone in snapshot(self.machine).zones)
        assert held + free == sum(zone.managed_pages for zone in self.machine.zones)

    def teardown(self):
        assert replay(self.start, self.machine.trace) == snapshot(self.machine)


AnyCalls.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestAnyCalls = AnyCalls.TestCase


def broken():
    machine = Machine(pages=64)
    machine.alloc_page(GFP_KERNEL)  # free: 1 (0), 2 (1), 4 (2), 8 (3), 16 (4), 32 (5)
    return machine, machine.zones[0]


def misalign(zone):
    zone.free_area[1].free_list[0].list_add(5)


def lose(zone):
    zone.free_area[2].free_list[0].list_del(4)


def count_wrong(zone):
    zone.vm_stat_free += 1


def forget_the_order(zone):
    del zone.buddy[4]


def leave_unmerged(zone):
    zone.free_area[1].free_list[0].list_del(2)
    for pfn in (2, 3):
        zone.free_area[0].free_list[0].list_add(pfn)
        zone.buddy[pfn] = 0


def put_on_the_wrong_list(zone):
    zone.free_area[2].free_list[0].list_del(4)
    zone.free_area[2].free_list[1].list_add(4)


def put_in_two_blocks(zone):
    zone.free_area[2].free_list[0].list_del(4)
    zone.free_area[2].free_list[0].list_add(60)
    zone.buddy[60] = 2


def reach_outside(zone):
    zone.free_area[2].free_list[0].list_del(4)
    zone.free_area[2].free_list[0].list_add(64)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (misalign, "5 is not aligned"),
        (lose, "counts 63 free pages, its lists hold 59"),
        (count_wrong, "counts 64"),
        (forget_the_order, "4 is not marked"),
        (leave_unmerged, "were not merged"),
        (put_on_the_wrong_list, "list of type 1, its pageblock is 0"),
        (put_in_two_blocks, "in two blocks"),
        (reach_outside, "outside zone Normal"),
    ],
)
def test_validate_names_what_is_broken(damage, sentence):
    machine, zone = broken()
    validate(machine)
    damage(zone)
    with pytest.raises(AssertionError, match=sentence):
        validate(machine)


def lose_a_largest_block_and_the_count_of_it(zone):
    free_list = zone.free_area[10].free_list[1]
    free_list.list_del(free_list.first())
    zone.vm_stat_free -= 1 << 10


def lose_a_page_of_the_per_cpu_lists(zone):
    pcp = zone.per_cpu_pageset[0]
    next(pfns for pfns in pcp.lists if pfns).pop()
    pcp.count -= 1


def count_highatomic_wrong(zone):
    zone.nr_free_highatomic = 500


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lose_a_largest_block_and_the_count_of_it, "has 61440 pages; its blocks have 60416, and 0 are in use"),
        (lose_a_page_of_the_per_cpu_lists, r"has 61440 pages; its blocks have 61439"),
        (count_highatomic_wrong, "zone DMA32 counts 500 free pages of the highatomic reserve, its lists hold 0"),
    ],
)
def test_validate_notices_a_page_that_is_nowhere(damage, sentence):
    machine = Machine(memory="256 MiB")
    machine.alloc_page(GFP_KERNEL)
    validate(machine)
    damage(machine.zones[1])
    with pytest.raises(AssertionError, match=sentence):
        validate(machine)


def test_pages_that_a_broken_caller_loses_are_counted():
    machine = Machine(memory="64 MiB", teaching=False)
    lost = []
    for freed in (1, 0, 3):
        machine.free_pages(machine.alloc_pages(GFP_KERNEL, 3), freed)
        validate(machine)
        lost.append(sum(zone.nr_unaccounted for zone in machine.zones))
    assert lost == [6, 13, 13]
    page = machine.alloc_pages(GFP_KERNEL, 2)
    machine.get_page(page)
    machine.free_pages(page, 2)
    validate(machine)
    machine.free_pages(page, 0)
    validate(machine)
    double = machine.alloc_page(GFP_KERNEL)
    for _ in range(2):
        machine.free_page(double)
    assert machine.alloc_page(GFP_KERNEL)
    validate(machine)
    assert sum(zone.nr_unaccounted for zone in machine.zones) == 14


def test_pages_that_were_in_use_before_a_dump_stay_so():
    machine = Machine.preset("the recorded VM")
    before = [zone.nr_unaccounted for zone in machine.zones]
    assert all(0 <= count < zone.managed_pages for count, zone in zip(before, machine.zones, strict=True))
    for _ in range(50):
        machine.alloc_pages(GFP_KERNEL, 2)
    validate(machine)
    assert [zone.nr_unaccounted for zone in machine.zones] == before


def test_validate_notices_a_page_that_is_free_and_held():
    machine, _ = broken()
    machine.node.page(9).order = 0
    with pytest.raises(AssertionError, match="in two blocks"):
        validate(machine)
