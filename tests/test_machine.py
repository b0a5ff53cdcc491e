"""A machine: addresses, bytes, sizes; and what it answers to bad input."""

import time
import tracemalloc
from pathlib import Path

import pytest

from kmm_sim import (
    GFP_ATOMIC,
    GFP_DMA,
    GFP_DMA32,
    GFP_HIGHUSER_MOVABLE,
    GFP_KERNEL,
    PAGE_SIZE,
    Gfp,
    KernelBug,
    Machine,
    get_order,
)
from kmm_sim.mm.page import PAGE_OFFSET
from kmm_sim.observe import buddyinfo, replay, snapshot, validate
from kmm_sim.presets import PRESETS, RECORDED, recorded_dump

DATA = Path(__file__).parent / "data"
OUTSIDE = PAGE_OFFSET + (1 << 40)
PFN_0 = PAGE_OFFSET


class Scene:
    """A bench with one block of order 2 held at pfn 0, one page at 4, and the rest free."""

    def __init__(self):
        self.machine = Machine(pages=64)
        self.block = self.machine.alloc_pages(GFP_KERNEL, 2)
        self.page = self.machine.alloc_page(GFP_KERNEL)
        self.tail = self.machine.virt_to_page(PFN_0 + PAGE_SIZE)
        self.freed = self.machine.alloc_page(GFP_KERNEL)
        self.machine.free_page(self.freed)
        self.stranger = Machine(pages=64).alloc_page(GFP_KERNEL)


BAD_CALLS = {
    "negative order": (
        lambda s: s.machine.alloc_pages(GFP_KERNEL, -1),
        ValueError,
        "order -1 is out of range.* 0 to 10",
    ),
    "order too large": (
        lambda s: s.machine.alloc_pages(GFP_KERNEL, 11),
        ValueError,
        "order 11 is out of range.* 0 to 10",
    ),
    "order no number": (lambda s: s.machine.alloc_pages(GFP_KERNEL, "2"), TypeError, "integer"),
    "order a fraction": (lambda s: s.machine.alloc_pages(GFP_KERNEL, 1.0), TypeError, "integer"),
    "unknown flag bits": (lambda s: s.machine.alloc_pages(1 << 25, 0), ValueError, "unknown gfp bits 0x2000000"),
    "negative mask": (lambda s: s.machine.alloc_pages(-1, 0), ValueError, "unknown gfp bits"),
    "two zones": (lambda s: s.machine.alloc_page(Gfp.DMA | Gfp.HIGHMEM), ValueError, "two zones at once"),
    "two migratetypes": (lambda s: s.machine.alloc_page(Gfp.MOVABLE | Gfp.RECLAIMABLE), ValueError, "not both"),
    "order and mask swapped": (lambda s: s.machine.alloc_pages(0, GFP_KERNEL), ValueError, "order 3264"),
    "free: negative order": (lambda s: s.machine.free_pages(s.block, -1), ValueError, "order -1"),
    "free: order too large": (lambda s: s.machine.free_pages(s.block, 11), ValueError, "order 11"),
    "double free": (lambda s: s.machine.free_page(s.freed), KernelBug, "double free: pfn 5 is free already"),
    "free: smaller order": (lambda s: s.machine.free_pages(s.block, 0), KernelBug, "order 2.* freed with order 0"),
    "free: larger order": (lambda s: s.machine.free_pages(s.block, 3), KernelBug, "order 2.* freed with order 3"),
    "tail page": (lambda s: s.machine.free_page(s.tail), KernelBug, "tail page: pfn 1 .*begins at pfn 0"),
    "never allocated": (lambda s: s.machine.free_page_addr(PFN_0 + 40 * PAGE_SIZE), KernelBug, "pfn 40 is free"),
    "outside memory": (lambda s: s.machine.free_page_addr(OUTSIDE), KernelBug, "is outside memory"),
    "below the direct map": (lambda s: s.machine.free_page_addr(0x1000), KernelBug, "is outside memory"),
    "the page after the last": (
        lambda s: s.machine.free_page_addr(PFN_0 + 64 * PAGE_SIZE),
        KernelBug,
        "outside memory",
    ),
    "NULL": (lambda s: s.machine.free_page(None), KernelBug, "the allocation had failed"),
    "no page at all": (lambda s: s.machine.free_page(5), TypeError, "expected a struct page"),
    "another machine's page": (lambda s: s.machine.free_page(s.stranger), KernelBug, "another machine"),
    "exact: no bytes": (lambda s: s.machine.alloc_pages_exact(0, GFP_KERNEL), ValueError, "0 bytes is out of range"),
    "exact: too many bytes": (lambda s: s.machine.alloc_pages_exact((4 << 20) + 1, GFP_KERNEL), ValueError, "4 MiB"),
    "exact: wrong size": (
        lambda s: s.machine.free_pages_exact(PFN_0 + 4 * PAGE_SIZE, 2 * PAGE_SIZE),
        KernelBug,
        "pfn 5",
    ),
    "exact: not exact": (lambda s: s.machine.free_pages_exact(PFN_0, 3 * PAGE_SIZE), KernelBug, "order 2"),
    "read outside memory": (lambda s: s.machine.read(OUTSIDE, 1), KernelBug, "is outside memory"),
    "read over the end": (lambda s: s.machine.read(PFN_0 + 64 * PAGE_SIZE - 1, 2), KernelBug, "is outside memory"),
    "write outside memory": (lambda s: s.machine.write(0, b"x"), KernelBug, "is outside memory"),
    "read less than nothing": (lambda s: s.machine.read(PFN_0, -1), ValueError, "-1"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_input_gets_a_clear_error_and_changes_nothing(case):
    call, error, message = BAD_CALLS[case]
    scene = Scene()
    before, told, log = snapshot(scene.machine), len(scene.machine.trace), list(scene.machine.dmesg)
    with pytest.raises(error, match=message):
        call(scene)
    assert snapshot(scene.machine) == before
    assert len(scene.machine.trace) == told
    assert scene.machine.dmesg == log
    validate(scene.machine)
    scene.machine.free_pages(scene.block, 2)
    scene.machine.free_page(scene.page)
    assert snapshot(scene.machine) == snapshot(Machine(pages=64)), "the machine is usable to the end"


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"pages": 4, "memory": 4},
        {"pages": 0},
        {"pages": -1},
        {"pages": 2.5},
        {"pages": (1 << 20) + 1},
        {"memory": "8 GB"},
        {"memory": "much"},
        {"memory": "-1 GiB"},
        {"memory": 4096},
        {"memory": "128 TiB"},
        {"memory": None},
    ],
)
def test_a_machine_that_cannot_be_is_refused(arguments):
    with pytest.raises((TypeError, ValueError)):
        Machine(**arguments)


def test_memory_is_given_in_bytes_or_in_words():
    sizes = [Machine(memory=size).zones for size in (512 << 20, "512 MiB", "512MiB", "524288 kib")]
    assert len({tuple(zone.managed_pages for zone in zones) for zones in sizes}) == 1


def test_address_zero_is_no_pages_and_may_be_freed():
    machine = Machine(pages=4)
    machine.free_pages_addr(0, 1)
    machine.free_page_addr(0)
    assert not machine.trace


def test_an_address_and_a_page_name_the_same_memory():
    machine = Machine(pages=16)
    addr = machine.get_free_pages(GFP_KERNEL, 1)
    page = machine.virt_to_page(addr)
    assert machine.page_address(page) == addr == 0xFFFF_8880_0000_0000
    assert machine.virt_to_page(addr + 4096).pfn == 1
    machine.free_pages_addr(addr, 1)
    assert snapshot(machine).zones[0].nr_free_pages == 16


def test_a_page_that_was_freed_keeps_its_bytes_and_a_zeroed_page_has_none():
    machine = Machine(pages=4)
    addr = machine.get_free_page(GFP_KERNEL)
    machine.write(addr + 4090, b"secret")
    machine.free_page_addr(addr)
    stale = machine.get_free_page(GFP_KERNEL)
    assert stale == addr
    assert machine.read(stale + 4090, 6) == b"secret"
    machine.free_page_addr(stale)
    assert machine.read(machine.get_zeroed_page(GFP_KERNEL), 4096) == bytes(4096)


def test_bytes_run_across_a_page_boundary():
    machine = Machine(pages=4)
    addr = machine.get_free_pages(GFP_KERNEL, 2) + 4094
    machine.write(addr, b"bound")
    assert machine.read(addr - 1, 7) == b"\0bound\0"


@pytest.mark.parametrize(("size", "order"), [(1, 0), (4096, 0), (4097, 1), (8192, 1), (8193, 2), (4 << 20, 10)])
def test_the_order_of_a_size(size, order):
    assert get_order(size) == order


def test_a_pc_has_the_zones_of_x86():
    zones = Machine(memory="8 GiB").zones
    assert [(zone.name, zone.start_pfn, zone.end_pfn) for zone in zones] == [
        ("DMA", 1, 1 << 12),
        ("DMA32", 1 << 12, 1 << 20),
        ("Normal", 1 << 20, 1 << 21),
    ]
    assert [zone.name for zone in Machine(memory="512 MiB").zones] == ["DMA", "DMA32"]


@pytest.mark.parametrize(
    ("gfp", "zone"),
    [
        (GFP_KERNEL, "Normal"),
        (GFP_DMA32 | GFP_KERNEL, "DMA32"),
        (GFP_DMA | GFP_ATOMIC, "DMA"),
        (GFP_HIGHUSER_MOVABLE, "Normal"),
    ],
)
def test_the_mask_chooses_the_zone(gfp, zone):
    assert Machine(memory="8 GiB").alloc_page(gfp).zone.name == zone


def test_without_a_trace_the_machine_does_the_same():
    quiet, loud = Machine(pages=64, trace=False), Machine(pages=64)
    for machine in (quiet, loud):
        for page in [machine.alloc_pages(GFP_KERNEL, order) for order in (0, 3, 1)]:
            machine.free_pages(page, page.order)
        machine.alloc_pages(GFP_KERNEL, 2)
    assert not quiet.trace
    assert loud.trace
    assert snapshot(quiet) == snapshot(loud)


def test_a_terabyte_costs_nothing_until_it_is_used():
    def seconds(memory):
        begin = time.perf_counter()
        for _ in range(20):
            Machine(memory=memory)
        return time.perf_counter() - begin

    tracemalloc.start()
    Machine(memory="1 TiB")
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    machine = Machine(memory="1 TiB")
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert machine.zones[-1].managed_pages > 1 << 27
    assert peak - before < 200_000, "less than a thousandth of a byte for each page"
    assert after - before < 200_000
    assert min(seconds("1 TiB") for _ in range(3)) < 4 * min(seconds("8 GiB") for _ in range(3))


@pytest.mark.parametrize("name", [*PRESETS, RECORDED])
def test_a_machine_by_name_works(name):
    machine = Machine.preset(name)
    start = snapshot(machine)
    pages = [machine.alloc_pages(GFP_KERNEL, order) for order in (0, 3, 0)]
    for page in pages:
        machine.free_pages(page, page.order)
    validate(machine)
    assert replay(start, machine.trace) == snapshot(machine)


def test_the_recorded_machine_is_as_a_real_kernel_left_it():
    machine = Machine.preset(RECORDED)
    assert buddyinfo(machine).splitlines()[0].split()[4:] == list("00000111013")
    assert [zone.managed_pages for zone in machine.zones] == [3840, 35610, 63174]
    assert machine.zones[2].lru, "what was running there had movable pages"


def test_the_knobs_of_a_recorded_machine_are_those_that_its_marks_came_from():
    """The kernel of this size that told its own, zones/mem-3zone, has 2315: rounding down loses a little."""
    machine = Machine.preset("the recorded VM")
    marks = [zone.watermark[0] for zone in machine.zones]
    assert machine.sysctl("vm.min_free_kbytes") == 4 * sum(marks) == 2528
    machine.sysctl("vm.watermark_scale_factor", 20)
    assert [zone.watermark[0] for zone in machine.zones] == pytest.approx(marks, rel=0.06)
    told = Machine.from_dump(recorded_dump() | {"sysctl": {"min_free_kbytes": 2315, "watermark_boost_factor": 0}})
    assert (told.sysctl("vm.min_free_kbytes"), told.sysctl("vm.watermark_boost_factor")) == (2315, 0)
    assert {zone.watermark_boost_factor for zone in told.zones} == {0}


def test_the_kernel_warns_of_an_order_that_no_block_has_once():
    recorded = (DATA / "linux-6.12.117-dmesg-order_too_big.txt").read_text().splitlines()
    told = [line.partition("] ")[2] for line in recorded]
    at = told.index("------------[ cut here ]------------")
    warning = [*told[at : at + 2], "---[ end trace 0000000000000000 ]---"]
    assert set(warning) < set(told)
    machine = Machine(memory="64 MiB", teaching=False)
    machine.current.pid = 136
    assert machine.alloc_pages(GFP_KERNEL | Gfp.NOWARN, 11) is None
    assert machine.dmesg == []
    assert machine.alloc_pages(GFP_KERNEL, 11) is None
    assert machine.alloc_pages_node(0, GFP_KERNEL, 40) is None
    assert machine.alloc_pages_exact((4 << 20) + 1, GFP_KERNEL) == machine.get_free_pages(GFP_KERNEL, 11) == 0
    assert machine.dmesg == warning


def test_a_name_that_nobody_gave_is_refused():
    with pytest.raises(ValueError, match="unknown preset 'toaster': there are bench, "):
        Machine.preset("toaster")


def test_a_machine_says_what_it_is():
    assert repr(Machine(pages=64)) == "<Machine Normal 64 pages>"
    page = Machine(pages=64).alloc_pages(GFP_KERNEL, 1)
    assert repr(page) == "<struct page pfn:0x0 zone:Normal refcount:1 order:1>"
