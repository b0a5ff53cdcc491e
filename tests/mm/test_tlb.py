"""The TLB: what it remembers, and what thrashing means in numbers."""

import copy

import pytest

from kmm_sim import GFP_KERNEL, PAGE_SHIFT, PAGE_SIZE, KernelBug, Machine
from kmm_sim.mm.page import PAGE_OFFSET
from kmm_sim.mm.tlb import HUGE_SHIFT, TLB_L1_SMALL, TLB_L2, Tlb, TlbCount, tlb_reach

MIB = 1 << 20


def test_1536_entries_reach_over_6_mib_in_small_pages_and_3_gib_in_huge_ones():
    assert (tlb_reach(PAGE_SHIFT), tlb_reach(HUGE_SHIFT)) == (6 * MIB, 3 << 30)


def test_a_page_is_missed_once_and_then_remembered():
    tlb = Tlb()
    assert [tlb.access(addr) for addr in (0, 8, 4095, 4096, 0)] == [False, True, True, False, True]
    assert tlb.count() == TlbCount(hits=3, misses=2, walked=8)


def test_the_first_level_holds_64_pages_the_second_catches_the_rest():
    tlb = Tlb()
    for _ in range(2):
        for page in range(TLB_L1_SMALL + 1):
            tlb.access(page << PAGE_SHIFT)
    assert tlb.count() == TlbCount(second_hits=65, misses=65, walked=260)


def test_one_page_too_many_in_a_round_and_every_access_misses():
    tlb = Tlb()
    for _ in range(10):
        for page in range(TLB_L2):
            tlb.access(page << PAGE_SHIFT)
    assert tlb.misses == TLB_L2
    thrashed = Tlb()
    for _ in range(10):
        for page in range(TLB_L2 + 1):
            thrashed.access(page << PAGE_SHIFT)
    assert thrashed.misses == 10 * (TLB_L2 + 1)


@pytest.mark.parametrize(("mib", "small", "huge"), [(4, 1024, 3), (8, 20480, 5)])
def test_the_same_bytes_in_vmalloc_and_in_the_direct_map(mib, small, huge):
    """Ten rounds over 4 MiB fit in the TLB either way; over 8 MiB those through vmalloc miss each time."""
    machine = Machine(memory="128 MiB", trace=False)
    area = machine.vmalloc(mib * MIB)
    first = machine.page_address(machine.alloc_pages(GFP_KERNEL, 10))
    first = first & -(2 * MIB) if first % (2 * MIB) else first
    rounds = 10
    scattered = machine.tlb_touch(area + at for _ in range(rounds) for at in range(0, mib * MIB, PAGE_SIZE))
    machine.vmap_space.tlbs[0].flush()
    direct = machine.tlb_touch(first + at for _ in range(rounds) for at in range(0, mib * MIB, PAGE_SIZE))
    assert scattered.accesses == direct.accesses == rounds * mib * MIB // PAGE_SIZE
    assert scattered.misses == small
    assert direct.misses <= huge
    assert scattered.walked == 4 * scattered.misses
    assert direct.walked == 3 * direct.misses


def test_flushing_a_range_forgets_only_that():
    tlb = Tlb()
    for page in range(4):
        tlb.access(page << PAGE_SHIFT)
    tlb.flush_range(PAGE_SIZE, 3 * PAGE_SIZE)
    assert [tlb.access(page << PAGE_SHIFT) for page in range(4)] == [True, False, False, True]


def test_each_cpu_has_its_own():
    machine = Machine(memory="64 MiB", cpus=2)
    addr = machine.vmalloc(PAGE_SIZE)
    assert machine.tlb_touch([addr, addr]) == TlbCount(hits=1, misses=1, walked=4)
    machine.cpu = 1
    assert machine.tlb_touch([addr]).misses == 1


def test_what_is_not_there_faults():
    machine = Machine(pages=64)
    with pytest.raises(KernelBug, match="no address of vmalloc"):
        machine.tlb_touch([PAGE_OFFSET + (64 << PAGE_SHIFT)])
    assert machine.dmesg[0].startswith("BUG: unable to handle page fault for address: ffff888000040000")


def test_a_copy_remembers_the_same_and_forgets_on_its_own():
    tlb = Tlb()
    for page in range(TLB_L2):
        tlb.access(page << PAGE_SHIFT)
    twin = copy.deepcopy(tlb)
    assert twin.access(TLB_L2 << PAGE_SHIFT) is False, "one more, and the copy throws the oldest out"
    assert twin.access(0) is False
    assert tlb.access(0) is True
