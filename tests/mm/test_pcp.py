"""Per-CPU page lists: what they keep, when they go to the buddy system, what nobody sees of them."""

import random

import pytest

from kmm_sim import GFP_ATOMIC, GFP_DMA, GFP_KERNEL, Gfp, Machine
from kmm_sim.mm.events import (
    FreeListAdd,
    FreeListDel,
    MmPageAlloc,
    MmPageFree,
    MmPagePcpuDrain,
    PcpAdd,
    PcpDel,
    SetZoneFlag,
    Split,
)
from kmm_sim.mm.mmzone import ZoneFlag
from kmm_sim.observe import buddyinfo, replay, snapshot, validate
from kmm_sim.workload import GEOMETRIC, play, traffic

KERNEL = int(GFP_KERNEL)


def normal(machine):
    return snapshot(machine).zones[-1]


def test_a_pc_has_lists_and_a_bench_has_none_unless_asked():
    assert Machine(memory="1 GiB").zones[-1].pcp
    assert Machine(memory="1 GiB", pcp=False).zones[-1].pcp is None
    assert Machine(pages=64).zones[0].pcp is None
    assert Machine(pages=64, pcp=True).zones[0].pcp


def test_the_first_request_fetches_one_batch_and_the_next_ones_do_not_go_to_the_buddy_system():
    machine = Machine(memory="1 GiB")
    batch = machine.zones[-1].pcp.batch
    assert batch == 63
    machine.alloc_page(GFP_KERNEL)
    info = buddyinfo(machine)
    assert normal(machine).nr_pcp_pages == batch - 1
    for _ in range(batch - 1):
        machine.alloc_page(GFP_KERNEL)
    assert buddyinfo(machine) == info
    machine.alloc_page(GFP_KERNEL)
    assert buddyinfo(machine) != info


def test_the_page_freed_last_is_handed_out_first():
    machine = Machine(memory="1 GiB")
    pages = [machine.alloc_page(GFP_KERNEL) for _ in range(3)]
    for page in pages:
        machine.free_page(page)
    assert [machine.alloc_page(GFP_KERNEL) for _ in range(3)] == pages[::-1]


def test_a_free_does_not_change_buddyinfo():
    machine = Machine(memory="1 GiB")
    page = machine.alloc_pages(GFP_KERNEL, 2)
    info = buddyinfo(machine)
    machine.free_pages(page, 2)
    assert buddyinfo(machine) == info


def test_larger_orders_go_straight_to_the_buddy_system():
    machine = Machine(memory="1 GiB")
    for order in (4, 5, 8, 10):
        machine.free_pages(machine.alloc_pages(GFP_KERNEL, order), order)
    assert not any(isinstance(event, PcpAdd) for event in machine.trace)
    machine.free_pages(machine.alloc_pages(GFP_KERNEL, 9), 9)
    assert any(isinstance(event, PcpAdd) for event in machine.trace), "a huge page has a list"


def test_the_batch_doubles_while_nothing_comes_back():
    machine = Machine(memory="4 GiB")
    fetched = []
    for _ in range(1000):
        told = len(machine.trace)
        machine.alloc_page(GFP_KERNEL)
        took = sum(isinstance(event, PcpAdd) for event in machine.trace[told:])
        fetched += [took] if took else []
    assert fetched[:4] == [63, 126, 252, 504]


def tiny():
    """A PC so small that its lists take one page at a time."""
    return Machine(memory="1 MiB")


def test_what_is_told_of_a_fetch_and_of_a_return():
    machine = tiny()
    machine.alloc_pages(GFP_KERNEL, 1)
    assert machine.trace == [
        FreeListDel(0, 2, 1, 0),
        PcpAdd(0, 0, 2, 1, 0, tail=True),
        PcpDel(0, 0, 2, 1, 0),
        MmPageAlloc(2, 1, 0, KERNEL),
    ]
    told = len(machine.trace)
    machine.free_pages(machine.node.page(2), 1)
    assert machine.trace[told:] == [MmPageFree(2, 1), PcpAdd(0, 0, 2, 1, 0, tail=False)]
    told = len(machine.trace)
    machine.drain_local_pages()
    assert machine.trace[told:] == [
        PcpDel(0, 0, 2, 1, 0),
        FreeListAdd(0, 2, 1, 0, tail=True),
        MmPagePcpuDrain(2, 1, 0),
    ]


def test_draining_gives_everything_back():
    machine = Machine(memory="64 MiB", cpus=3)
    before = snapshot(machine)
    for cpu in range(3):
        machine.cpu = cpu
        pages = [machine.alloc_page(GFP_KERNEL) for _ in range(40)]
        for page in pages:
            machine.free_page(page)
    assert {blocks.cpu for blocks in normal(machine).pcp} == {0, 1, 2}
    machine.cpu = 1
    machine.drain_local_pages()
    assert {blocks.cpu for blocks in normal(machine).pcp} == {0, 2}
    machine.drain_all_pages()
    validate(machine)
    assert normal(machine).nr_pcp_pages == 0
    assert normal(machine).nr_free == before.zones[-1].nr_free, "all of it has merged again"


def test_each_cpu_has_lists_of_its_own():
    machine = Machine(memory="64 MiB", cpus=2)
    page = machine.alloc_page(GFP_KERNEL)
    machine.free_page(page)
    machine.cpu = 1
    assert machine.alloc_page(GFP_KERNEL) is not page
    machine.cpu = 0
    assert machine.alloc_page(GFP_KERNEL) is page


@pytest.mark.parametrize("cpu", [-1, 2, 64])
def test_a_cpu_that_is_not_there_cannot_run(cpu):
    machine = Machine(memory="64 MiB", cpus=2)
    with pytest.raises(ValueError, match="the CPUs 0 to 1"):
        machine.cpu = cpu
    assert machine.cpu == 0


@pytest.mark.parametrize("cpus", [0, -1, 65])
def test_a_machine_has_a_few_cpus(cpus):
    with pytest.raises(ValueError, match="1 to 64 CPUs"):
        Machine(memory="64 MiB", cpus=cpus)


def test_a_request_can_fail_with_pages_on_the_lists():
    """The watermark is tested first, and pages on the lists are not free pages."""
    machine = Machine(memory="16 MiB")
    while machine.alloc_page(GFP_KERNEL):
        pass
    dry = Gfp.NOWARN | GFP_KERNEL
    state = normal(machine)
    assert state.nr_free_pages >= 1
    page = next(iter(snapshot(machine).allocated))
    machine.free_page(machine.node.page(page))
    assert normal(machine).nr_pcp_pages >= 1
    assert machine.alloc_page(dry) is None


def test_a_zone_below_its_high_mark_says_so_and_takes_it_back():
    machine = Machine(memory="32 MiB")
    pages = []
    while page := machine.alloc_page(GFP_KERNEL):
        pages.append(page)
    below = int(ZoneFlag.BELOW_HIGH)
    told = [event for event in machine.trace if isinstance(event, SetZoneFlag) and event.flag == below]
    assert [event.zone for event in told if event.on] == [1, 0], "Normal memory first, then the rest"
    assert normal(machine).flags & below
    for page in pages:
        machine.free_page(page)
    told = [event for event in machine.trace if event == SetZoneFlag(1, below, False)]
    assert told, "it has recovered"
    assert not normal(machine).flags & below


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "kind",
    [
        {"memory": "16 MiB", "cpus": 2},
        {"memory": "64 MiB"},
        {"memory": "5 GiB", "cpus": 4},
        {"pages": 2048, "pcp": True},
    ],
)
def test_the_trace_rebuilds_a_machine_of_many_cpus(kind, seed):
    rng = random.Random(seed)
    machine = Machine(**kind)
    start = snapshot(machine)
    masks = (GFP_KERNEL, GFP_ATOMIC | Gfp.MOVABLE, GFP_DMA, GFP_ATOMIC | Gfp.RECLAIMABLE)
    ops = traffic(rng, 1500, orders=(*GEOMETRIC[::64], 9, 4), gfps=masks, frees=0.42)

    def taking_turns():
        for op in ops:
            machine.cpu = rng.randrange(machine.cpus)
            yield op

    play(machine, taking_turns())
    validate(machine)
    assert replay(start, machine.trace) == snapshot(machine)


def test_a_bulk_of_pages_comes_from_one_list():
    machine = Machine(memory="1 GiB")
    pages = machine.alloc_pages_bulk(GFP_KERNEL, 100)
    assert len({page.pfn for page in pages}) == 100
    assert len(snapshot(machine).allocated) == 100
    for page in pages:
        machine.free_page(page)
    validate(machine)


def test_a_bulk_that_no_zone_can_give_is_one_page():
    machine = Machine(memory="16 MiB")
    assert len(machine.alloc_pages_bulk(GFP_KERNEL, 5000)) == 1
    while machine.alloc_page(GFP_KERNEL | Gfp.NOWARN):
        pass
    assert machine.alloc_pages_bulk(GFP_KERNEL, 5) == []
    with pytest.raises(ValueError, match="0 pages"):
        machine.alloc_pages_bulk(GFP_KERNEL, 0)


def test_a_bench_serves_a_bulk_page_by_page():
    assert len(Machine(pages=8).alloc_pages_bulk(GFP_KERNEL, 4)) == 1


def test_splitting_for_a_batch_is_told_block_by_block():
    machine = Machine(pages=4, pcp=True)
    machine.alloc_page(GFP_KERNEL)
    assert [type(event) for event in machine.trace] == [FreeListDel, Split, Split, PcpAdd, PcpDel, MmPageAlloc]
