"""vmalloc: addresses, pages, tables, what waits, and what is said to those who misuse it."""

import random
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kmm_sim import GFP_KERNEL, PAGE_SIZE, ContextError, KernelBug, Machine
from kmm_sim.mm import vmalloc
from kmm_sim.mm.vmalloc import VmFlag, get_vm_area
from kmm_sim.mm.vmap_area import VMALLOC_START
from kmm_sim.mm.vmap_node import lazy_max_pages
from kmm_sim.observe import buddyinfo, replay, snapshot, validate, validate_vmalloc, vmap_replay, vmap_snapshot

MIB = 1 << 20


@pytest.fixture
def machine():
    return Machine(memory="64 MiB")


def frames(machine, addr, pages):
    return [machine.vmalloc_to_page(addr + at * PAGE_SIZE).pfn for at in range(pages)]


def test_areas_follow_one_another_with_a_guard_page_between(machine):
    one, two = machine.vmalloc(PAGE_SIZE), machine.vmalloc(3 * PAGE_SIZE)
    assert [one, two] == [VMALLOC_START, VMALLOC_START + 2 * PAGE_SIZE]
    assert machine.vmalloc(1) == two + 4 * PAGE_SIZE


def test_each_page_is_a_frame_of_its_own_that_need_not_be_next_to_the_others(machine):
    pages = [machine.alloc_page(GFP_KERNEL) for _ in range(40)]
    for page in pages[::2]:
        machine.free_page(page)
    addr = machine.vmalloc(20 * PAGE_SIZE)
    found = frames(machine, addr, 20)
    assert len(set(found)) == 20
    assert any(abs(b - a) > 1 for a, b in pairwise(found))
    assert machine.alloc_pages(GFP_KERNEL, 0) is not None


def test_what_is_written_through_the_area_is_in_the_pages(machine):
    addr = machine.vmalloc(2 * PAGE_SIZE)
    machine.write(addr + PAGE_SIZE - 2, b"four")
    first, second = (machine.vmalloc_to_page(addr + at) for at in (0, PAGE_SIZE))
    assert machine.read(machine.page_address(first) + PAGE_SIZE - 2, 2) == b"fo"
    assert machine.read(machine.page_address(second), 2) == b"ur"
    assert machine.read(addr + PAGE_SIZE - 2, 4) == b"four"


def test_vzalloc_gives_zeros_and_vmalloc_what_was_there(machine):
    page = machine.alloc_page(GFP_KERNEL)
    machine.write(machine.page_address(page), b"secret")
    machine.free_page(page)
    stale = machine.vmalloc(PAGE_SIZE)
    assert machine.vmalloc_to_page(stale) is page
    assert machine.read(stale, 6) == b"secret"
    machine.vfree(stale)
    assert machine.read(machine.vzalloc(PAGE_SIZE), 6) == bytes(6)


def test_one_page_costs_three_the_first_time_and_the_tables_stay():
    bench = Machine(pages=64)
    free = bench.zones[0].vm_stat_free
    addr = bench.vmalloc(PAGE_SIZE)
    assert free - bench.zones[0].vm_stat_free == 3  # the page, its PTE table, its PMD table
    bench.vfree(addr)
    assert free - bench.zones[0].vm_stat_free == 2
    bench.vmalloc(PAGE_SIZE)
    assert free - bench.zones[0].vm_stat_free == 3


def test_every_2_mib_of_addresses_need_a_pte_table(machine):
    machine.vmalloc(5 * MIB)
    made = machine.vmap_space.tables.made
    assert sorted(made) == [("PMD", VMALLOC_START), *(("PTE", VMALLOC_START + at * 2 * MIB) for at in range(3))]


def test_above_512_pages_the_array_of_pages_is_an_area_too(machine):
    addr = machine.vmalloc(513 * PAGE_SIZE, caller="big")
    areas = vmap_snapshot(machine).areas
    assert [(area.addr, area.nr_pages) for area in areas.values()] == [
        (addr, 513), (addr + 514 * PAGE_SIZE, 2)]
    machine.vfree(addr)
    assert not vmap_snapshot(machine).areas


def test_addresses_are_not_used_again_before_a_purge(machine):
    addr = machine.vmalloc(PAGE_SIZE)
    machine.vfree(addr)
    assert machine.vmalloc(PAGE_SIZE) == addr + 2 * PAGE_SIZE
    assert machine.vm_unmap_aliases() == 1
    assert machine.vmalloc(PAGE_SIZE) == addr


def test_a_worker_purges_when_32_mib_wait(machine):
    space = machine.vmap_space
    assert lazy_max_pages(space) == 8192
    for _ in range(31):  # 31 times 257 pages wait: 7967
        machine.vfree(machine.vmalloc(MIB))
    assert (space.nr_lazy, space.nr_tlb_flushes) == (7967, 0)
    machine.vfree(machine.vmalloc(MIB))
    assert (space.nr_lazy, space.nr_tlb_flushes) == (0, 1)


def test_with_more_cpus_a_purge_fills_pools_and_the_newest_comes_back_first():
    machine = Machine(memory="64 MiB", cpus=4)
    first, second = machine.vmalloc(PAGE_SIZE), machine.vmalloc(PAGE_SIZE)
    machine.vfree(first)
    machine.vfree(second)
    machine.vm_unmap_aliases()
    assert vmap_snapshot(machine).pools == {(0, 2): (second, first)}
    assert machine.vmalloc(PAGE_SIZE) == second
    machine.cpu = 1
    assert machine.vmalloc(PAGE_SIZE) not in (first, second)
    validate_vmalloc(machine)


def test_areas_for_devices_are_aligned_to_their_size(machine):
    machine.vmalloc(PAGE_SIZE)
    addr = machine.ioremap(0xFED0_0100, 3 * PAGE_SIZE)
    assert addr % (4 * PAGE_SIZE) == 0x100
    assert machine.vmalloc_to_page(addr) is None  # a device's memory has no struct page
    machine.iounmap(addr)
    assert not [area for area in vmap_snapshot(machine).areas.values() if area.flags & VmFlag.IOREMAP]


def test_memory_is_not_mapped_as_a_device(machine):
    assert machine.ioremap(0x10000, PAGE_SIZE) == 0
    assert "ioremap on RAM" in machine.dmesg[-1]


def test_vmap_maps_the_pages_given_in_the_order_given(machine):
    pages = [machine.alloc_page(GFP_KERNEL) for _ in range(3)]
    addr = machine.vmap(pages[::-1])
    assert frames(machine, addr, 3) == [page.pfn for page in pages[::-1]]
    machine.vunmap(addr)
    assert all(page.refcount == 1 for page in pages)


def test_when_pages_run_out_all_is_given_back_but_the_tables():
    bench = Machine(pages=32)
    assert bench.vmalloc(31 * PAGE_SIZE) == 0
    assert any("vmalloc error: size 126976, failed to map pages" in line for line in bench.dmesg)
    assert bench.vmalloc(33 * PAGE_SIZE) == 0
    assert any("exceeds total pages, mode:0xcc0(GFP_KERNEL)" in line for line in bench.dmesg)
    validate(bench)
    validate_vmalloc(bench)


def test_the_guard_page_reports_the_first_byte_past_the_end(machine):
    addr = machine.vmalloc(2 * PAGE_SIZE)
    with pytest.raises(KernelBug, match="guard page of the area"):
        machine.write(addr + 2 * PAGE_SIZE, b"\1")
    report = machine.dmesg[-5:]
    assert report[0] == f"BUG: unable to handle page fault for address: {addr + 2 * PAGE_SIZE:016x}"
    assert report[1] == "#PF: supervisor write access in kernel mode"
    assert report[2] == "#PF: error_code(0x0002) - not-present page"
    assert report[3].startswith("PGD ")
    assert report[3].endswith("067 PTE 0")
    assert report[4] == "Oops: Oops: 0002 [#1] PREEMPT SMP NOPTI"
    machine.write(addr + 2 * PAGE_SIZE - 1, b"\1")


MISUSES = {
    "twice": (lambda m, addr: m.vfree(addr) or m.vfree(addr), "double free", "nonexistent vm area"),
    "inside": (lambda m, addr: m.vfree(addr + PAGE_SIZE), "4096 bytes inside the area", None),
    "odd": (lambda m, addr: m.vfree(addr + 10), "10 bytes inside the area", "Trying to vfree() bad address"),
    "from the page allocator": (lambda m, addr: m.vfree(m.get_free_page(GFP_KERNEL)), "direct map", "nonexistent"),
    "never handed out": (lambda m, addr: m.vfree(addr + MIB), "nothing is there", "nonexistent vm area"),
    "a device": (lambda m, addr: m.vfree(m.ioremap(0xFED00000, 8)), "given back with iounmap", None),
    "vunmap of vmalloc": (lambda m, addr: m.vunmap(addr), "its pages would never be freed", None),
    "iounmap of vmalloc": (lambda m, addr: m.iounmap(addr), "ioremap\\(\\) did not return", None),
    "virt_to_page": (lambda m, addr: m.virt_to_page(addr), "use vmalloc_to_page", None),
    "page allocator's free": (lambda m, addr: m.free_pages_addr(addr, 0), "use vmalloc_to_page", None),
}


@pytest.mark.parametrize("what", MISUSES)
def test_misuse_is_named_and_changes_nothing(machine, what):
    call, sentence, log = MISUSES[what]
    addr = machine.vmalloc(2 * PAGE_SIZE)
    with pytest.raises(KernelBug, match=sentence):
        call(machine, addr)
    assert log is None or log in "\n".join(machine.dmesg)
    validate(machine)
    validate_vmalloc(machine)


def test_without_a_teacher_linux_frees_by_any_page_of_the_area_and_warns_of_the_rest():
    machine = Machine(memory="64 MiB", teaching=False)
    addr = machine.vmalloc(2 * PAGE_SIZE)
    machine.vfree(addr + 10)
    assert machine.dmesg[1::2] == [f"Trying to vfree() bad address ({addr + 10:016x})",
                                   f"Trying to vfree() nonexistent vm area ({addr + 10:016x})"]
    machine.vfree(addr + PAGE_SIZE)
    assert len(machine.dmesg) == 4
    assert not vmap_snapshot(machine).areas
    validate_vmalloc(machine)


def test_the_tlb_still_finds_what_was_freed_until_a_purge():
    machine = Machine(memory="64 MiB", teaching=False)
    addr = machine.vmalloc(2 * PAGE_SIZE)
    page = machine.vmalloc_to_page(addr)
    machine.write(addr, b"1")
    machine.vfree(addr)
    machine.write(addr, b"2")  # silent: the page may be somebody else's by now
    assert machine.read(machine.page_address(page), 1) == b"2"
    machine.vm_unmap_aliases()
    with pytest.raises(KernelBug, match="nothing of vmalloc"):
        machine.write(addr, b"3")


def test_a_teacher_notices_use_after_free_that_linux_does_not(machine):
    addr = machine.vmalloc(PAGE_SIZE)
    machine.write(addr, b"1")
    machine.vfree(addr)
    with pytest.raises(KernelBug, match="use after free"):
        machine.write(addr, b"2")


@pytest.mark.parametrize("context", ["hardirq", "softirq"])
def test_not_in_an_interrupt_with_a_teacher_or_without(machine, context):
    machine.node.teaching = context == "hardirq"
    before = snapshot(machine)
    with machine.context(context), pytest.raises(ContextError, match="in an interrupt"):
        machine.vmalloc(PAGE_SIZE)
    assert snapshot(machine) == before
    assert machine.dmesg[-1] == "kernel BUG at mm/vmalloc.c:3176!"


def test_under_a_spinlock_a_debug_build_complains_and_a_teacher_stops_it(machine):
    with machine.context("spinlock"), pytest.raises(ContextError, match="holds a spinlock"):
        machine.vmalloc(PAGE_SIZE)
    machine.node.teaching, machine.node.debug_atomic_sleep = False, True
    with machine.context("spinlock"):
        assert machine.vmalloc(PAGE_SIZE)
    assert machine.dmesg[0] == "BUG: sleeping function called from invalid context at include/linux/sched/mm.h:321"


def test_pages_are_asked_for_a_hundred_at_a_time(monkeypatch):
    asked, bulk = [], vmalloc.alloc_pages_bulk

    def noted(node, gfp, count):
        asked.append(count)
        return bulk(node, gfp, count)

    monkeypatch.setattr(vmalloc, "alloc_pages_bulk", noted)
    Machine(memory="64 MiB").vmalloc(250 * PAGE_SIZE)
    assert asked == [100, 100, 50]


def test_vfree_in_an_interrupt_leaves_it_to_a_worker(machine):
    addr, other = machine.vmalloc(PAGE_SIZE), machine.vmalloc(PAGE_SIZE)
    with machine.context("hardirq"):
        machine.vfree(addr)
        with pytest.raises(KernelBug, match="waits for a worker"):
            machine.vfree(addr)
    assert machine.vmalloc_to_page(addr) is not None
    machine.vfree(other)
    assert not vmap_snapshot(machine).areas


def test_a_size_is_a_number_of_bytes(machine):
    assert machine.vmalloc(0) == 0
    with pytest.raises(ValueError, match="-1 bytes"):
        machine.vmalloc(-1)
    with pytest.raises(ValueError, match="unknown gfp bits"):
        machine.vmalloc(8, 1 << 30)


@pytest.mark.parametrize("cpus", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_the_trace_alone_rebuilds_the_addresses(seed, cpus):
    machine, rng, held = Machine(memory="64 MiB", cpus=cpus), random.Random(seed), []
    start, pages = vmap_snapshot(machine), snapshot(machine)
    for _ in range(250):
        machine.cpu = rng.randrange(cpus)
        if held and rng.random() < 0.5:
            machine.vfree(held.pop(rng.randrange(len(held))))
        elif rng.random() < 0.05:
            machine.vm_unmap_aliases()
        else:
            addr = machine.vmalloc(rng.randrange(1, 30 * PAGE_SIZE), caller="test")
            held += [addr] if addr else []
    assert vmap_replay(start, machine.trace) == vmap_snapshot(machine)
    assert replay(pages, machine.trace) == snapshot(machine)
    validate(machine)
    validate_vmalloc(machine)
    for addr in held:
        machine.vfree(addr)
    machine.drain_all_pages()
    left = sum(1 << a.order for a in snapshot(machine).allocated.values())
    assert left == len(machine.vmap_space.tables.made)


def test_all_comes_back_but_the_tables():
    bench = Machine(pages=64)
    addrs = [bench.vmalloc(5 * PAGE_SIZE) for _ in range(10)]
    tables = len(bench.vmap_space.tables.made)
    for addr in addrs:
        bench.vfree(addr)
    assert bench.zones[0].vm_stat_free == 64 - tables
    assert tables == 2  # pages 5 and 6: the first area had 0 to 4 by then
    assert buddyinfo(bench).split()[4:] == ["2", "0", "1", "1", "1", "1", "0", "0", "0", "0", "0"]


class AnyCalls(RuleBasedStateMachine):
    """Any calls in any order, good and bad."""

    @initialize(cpus=st.sampled_from([1, 2, 4]), memory=st.sampled_from(["4 MiB", "64 MiB"]))
    def power_on(self, cpus, memory):
        self.machine = Machine(memory=memory, cpus=cpus)
        self.start = vmap_snapshot(self.machine)
        self.held, self.reserved = [], []

    @rule(size=st.integers(1, 600 * PAGE_SIZE), zero=st.booleans())
    def vmalloc(self, size, zero):
        addr = self.machine.vzalloc(size) if zero else self.machine.vmalloc(size)
        if addr:
            self.held.append(addr)

    @rule(size=st.integers(1, 300 * PAGE_SIZE), flags=st.sampled_from([VmFlag.MAP, VmFlag.IOREMAP]))
    def reserve(self, size, flags):
        area = get_vm_area(self.machine.vmap_space, size, flags)
        self.reserved.append(area.addr)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def vfree(self, data):
        self.machine.vfree(self.held.pop(data.draw(st.integers(0, len(self.held) - 1))))

    @rule()
    def purge(self):
        self.machine.vm_unmap_aliases()

    @rule(cpu=st.integers(0, 3))
    def migrate(self, cpu):
        self.machine.cpu = cpu % self.machine.cpus

    @rule(offset=st.integers(0, 800 * PAGE_SIZE))
    def free_anything(self, offset):
        addr = VMALLOC_START + offset
        if addr not in self.held and addr not in self.reserved:
            before = vmap_snapshot(self.machine)
            with pytest.raises(KernelBug):
                self.machine.vfree(addr)
            assert vmap_snapshot(self.machine) == before

    @invariant()
    def nothing_is_lost(self):
        validate_vmalloc(self.machine)
        validate(self.machine)

    def teardown(self):
        assert vmap_replay(self.start, self.machine.trace) == vmap_snapshot(self.machine)


AnyCalls.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestAnyCalls = AnyCalls.TestCase
