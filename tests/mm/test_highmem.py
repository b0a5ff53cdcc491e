"""High memory: pages without an address, and the ways to give them one for a while."""

import pytest

from kmm_sim import GFP_ATOMIC, GFP_HIGHUSER, GFP_HIGHUSER_MOVABLE, GFP_KERNEL, ContextError, KernelBug, Machine
from kmm_sim.mm.freelist import alloc_flags_nofragment
from kmm_sim.mm.gfp import GFP_DMA, GFP_DMA32, Gfp
from kmm_sim.mm.highmem import KM_MAX_IDX, LAST_PKMAP, PAGE_OFFSET_32, PKMAP_BASE, kmap_users
from kmm_sim.mm.internal import ALLOC_NOFRAGMENT
from kmm_sim.observe import replay, snapshot, validate
from kmm_sim.observe.procfs import buddyinfo, meminfo, zoneinfo


@pytest.fixture
def machine():
    return Machine.preset("lkd-32bit", pcp=False)


@pytest.fixture
def high(machine):
    return machine.alloc_page(GFP_HIGHUSER)


def test_the_zones_are_those_of_a_32_bit_pc(machine):
    ends = [(zone.name, zone.end_pfn << 12 >> 20) for zone in machine.zones]
    assert ends == [("DMA", 16), ("Normal", 896), ("HighMem", 2048)]


def test_a_machine_without_that_much_memory_has_no_high_memory():
    small = Machine(memory="512 MiB", highmem=True)
    assert [zone.name for zone in small.zones] == ["DMA", "Normal"]
    assert small.page_address(small.alloc_page(GFP_HIGHUSER)) >= PAGE_OFFSET_32


@pytest.mark.parametrize(("mask", "zone"), [
    (GFP_KERNEL, "Normal"),
    (GFP_ATOMIC, "Normal"),
    (GFP_KERNEL | Gfp.MOVABLE, "Normal"),
    (GFP_HIGHUSER, "HighMem"),
    (GFP_HIGHUSER_MOVABLE, "HighMem"),
    (GFP_KERNEL | GFP_DMA, "DMA"),
    (GFP_KERNEL | GFP_DMA32, "Normal"),  # there is no such zone
])
def test_a_mask_reaches_its_zone(machine, mask, zone):
    assert machine.alloc_page(mask).zone.name == zone


def test_only_a_request_that_says_so_gets_high_memory_and_it_falls_back_to_low(machine):
    high = machine.zones[-1]
    while machine.alloc_pages(GFP_HIGHUSER, 10).zone is high:
        pass
    # Order 10 no longer fits above the mark there, and Normal helped out.
    assert machine.alloc_pages(GFP_KERNEL, 10).zone.name == "Normal"
    validate(machine)


def test_a_page_of_high_memory_has_no_address(machine, high):
    assert machine.page_highmem(high)
    assert machine.page_address(high) == 0


def test_low_memory_lies_at_page_offset(machine):
    page = machine.alloc_page(GFP_KERNEL)
    addr = machine.page_address(page)
    assert addr == 0xC000_0000 + (page.pfn << 12)
    assert machine.kmap(page) == machine.kmap_local_page(page) == addr
    machine.kunmap(page)
    machine.kunmap_local(addr)
    assert machine.virt_to_page(addr) is page


def test_get_free_pages_never_gives_high_memory(machine):
    addr = machine.get_free_pages(GFP_HIGHUSER, 0)
    assert machine.virt_to_page(addr).zone.name == "Normal"
    exact = machine.alloc_pages_exact(4096 * 3, GFP_HIGHUSER)
    assert machine.virt_to_page(exact).zone.name == "Normal"
    machine.free_pages_exact(exact, 4096 * 3)
    machine.free_page_addr(addr)


def test_kmap_gives_a_slot_of_the_window_and_a_second_kmap_the_same(machine, high):
    addr = machine.kmap(high)
    assert PKMAP_BASE <= addr < PKMAP_BASE + LAST_PKMAP * 4096
    assert machine.kmap(high) == addr == machine.page_address(high)


def test_bytes_are_those_of_the_page_whatever_its_address(machine, high):
    addr = machine.kmap(high)
    machine.write(addr + 100, b"secret")
    local = machine.kmap_local_page(high)
    assert local != addr
    assert machine.read(local + 100, 6) == b"secret"


def test_after_the_last_kunmap_the_address_stays_until_the_slot_is_wanted(machine, high):
    addr = machine.kmap(high)
    machine.kunmap(high)
    assert machine.page_address(high) == addr
    others = [machine.alloc_page(GFP_HIGHUSER) for _ in range(LAST_PKMAP)]
    for page in others:
        machine.kmap(page)
        machine.kunmap(page)
    assert machine.page_address(high) == 0


def test_the_users_of_kmap_are_counted(machine, high):
    node, seen = machine.node, [kmap_users(machine.node, high)]
    for call in (machine.kmap, machine.kmap, machine.kunmap, machine.kunmap):
        call(high)
        seen.append(kmap_users(node, high))
    assert seen == [0, 1, 2, 1, 0]
    assert kmap_users(node, machine.alloc_page(GFP_KERNEL)) == 0


def test_the_window_has_1024_slots_and_a_slot_in_use_is_never_taken(machine, high):
    addr = machine.kmap(high)
    others = [machine.alloc_page(GFP_HIGHUSER) for _ in range(LAST_PKMAP)]
    taken = {machine.kmap(page) for page in others[:-1]}
    assert len(taken | {addr}) == LAST_PKMAP
    with pytest.raises(ContextError, match="1024 slots are in use"):
        machine.kmap(others[-1])
    machine.kunmap(others[5])
    assert machine.kmap(others[-1]) in taken
    assert machine.page_address(high) == addr


def test_without_a_teacher_a_full_window_is_no_address(machine):
    machine.node.teaching = False
    pages = [machine.alloc_page(GFP_HIGHUSER) for _ in range(LAST_PKMAP + 1)]
    assert [bool(machine.kmap(page)) for page in pages].count(False) == 1


def test_kunmap_without_kmap_is_a_bug_and_changes_nothing(machine, high):
    with pytest.raises(KernelBug, match="not mapped"):
        machine.kunmap(high)
    machine.kmap(high)
    machine.kunmap(high)
    with pytest.raises(KernelBug, match="given back once"):
        machine.kunmap(high)
    assert machine.node.highmem.pkmap_count.count(1) == 1


def test_kmap_may_sleep_and_so_not_under_a_spinlock_but_kmap_local_page_may(machine, high):
    with machine.context("spinlock"):
        with pytest.raises(ContextError, match="use kmap_local_page"):
            machine.kmap(high)
        machine.kunmap_local(machine.kmap_local_page(high))


def test_local_mappings_are_undone_in_reverse_order(machine):
    first, second = (machine.kmap_local_page(machine.alloc_page(GFP_HIGHUSER)) for _ in range(2))
    with pytest.raises(KernelBug, match="reverse order"):
        machine.kunmap_local(first)
    machine.kunmap_local(second + 17)  # any address within the page
    machine.kunmap_local(first)
    with pytest.raises(KernelBug, match="nothing is mapped"):
        machine.kunmap_local(first)


def test_a_task_has_few_local_slots(machine, high):
    for _ in range(KM_MAX_IDX - 1):
        machine.kmap_local_page(high)
    with pytest.raises(KernelBug, match="15 slots"):
        machine.kmap_local_page(high)


def test_an_address_that_is_not_mapped_is_a_page_fault(machine, high):
    local = machine.kmap_local_page(high)
    machine.kunmap_local(local)
    for addr in (local, PKMAP_BASE, 0, PAGE_OFFSET_32 + (1 << 30), PAGE_OFFSET_32 + (high.pfn << 12)):
        with pytest.raises(KernelBug, match="page fault"):
            machine.read(addr, 1)
    with pytest.raises(KernelBug, match="direct map"):
        machine.virt_to_page(local)


def test_two_slots_side_by_side_are_not_one_piece_of_memory(machine):
    first, second = (machine.kmap(machine.alloc_pages(GFP_HIGHUSER, 1)) for _ in range(2))
    assert second == first + 4096
    with pytest.raises(KernelBug, match="page fault"):
        machine.read(first + 4090, 10)


def test_on_a_64_bit_machine_there_is_nothing_to_map():
    machine = Machine(pages=16)
    page = machine.alloc_page(GFP_HIGHUSER)
    addr = machine.page_address(page)
    assert not machine.page_highmem(page)
    assert machine.kmap(page) == machine.kmap_local_page(page) == addr
    machine.kunmap(page)
    machine.kunmap_local(addr)


def test_marks_and_reserves_follow_the_formulas(machine):
    dma, normal, high = machine.zones
    assert dma.lowmem_reserve[3] == (normal.managed_pages + high.managed_pages) // 256
    assert normal.lowmem_reserve[3] == high.managed_pages // 32
    assert high.watermark[0] == 128  # a limit of its own: nobody must have a page of it
    low_kib = (dma.managed_pages + normal.managed_pages) * 4
    assert machine.sysctl("vm.min_free_kbytes") == int((low_kib * 16) ** 0.5)


def test_migratetypes_may_mix_at_once_where_there_is_no_zone_dma32(machine):
    """alloc_flags_nofragment(): #ifdef CONFIG_ZONE_DMA32."""
    assert not alloc_flags_nofragment(machine.node, int(GFP_KERNEL), 2) & ALLOC_NOFRAGMENT
    assert alloc_flags_nofragment(Machine(memory="6 GiB").node, int(GFP_KERNEL), 2) & ALLOC_NOFRAGMENT


def test_the_texts_of_proc_name_the_zone(machine):
    assert "zone  HighMem" in buddyinfo(machine)
    text = zoneinfo(machine)
    assert "zone  HighMem" in text
    assert "DMA32" not in text
    assert "protection: (0, 880, 2032, 2032)" in text
    assert "HighTotal:       1179648 kB" in meminfo(machine)


def test_the_trace_rebuilds_a_machine_with_high_memory(machine):
    before = snapshot(machine)
    pages = [machine.alloc_pages(mask, order) for order in range(4) for mask in (GFP_KERNEL, GFP_HIGHUSER_MOVABLE)]
    for page in pages[::2]:
        machine.free_pages(page, page.order)
    assert replay(before, machine.trace) == snapshot(machine)
    validate(machine)


@pytest.mark.parametrize(("options", "error", "words"), [
    ({"memory": "8 GiB", "highmem": True}, ValueError, "up to 4 GiB"),
    ({"memory": "2 GiB", "highmem": True, "nodes": 2}, ValueError, "one bank"),
    ({"pages": 64, "highmem": True}, TypeError, "no high memory"),
])
def test_a_machine_that_cannot_be_says_why(options, error, words):
    with pytest.raises(error, match=words):
        Machine(**options)


def test_what_the_32_bit_machine_lacks_it_refuses(machine):
    for call in (lambda: machine.kmalloc(8, GFP_KERNEL), lambda: machine.vmalloc(8)):
        with pytest.raises(ValueError, match="32-bit"):
            call()
