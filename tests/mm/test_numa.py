"""Several banks of memory: near first, far if need be."""

import random
import re

import pytest

from kmm_sim import GFP_ATOMIC, GFP_DMA, GFP_KERNEL, Gfp, Machine
from kmm_sim.observe import buddyinfo, replay, snapshot, validate, zoneinfo
from kmm_sim.workload import play, traffic


def banks():
    return Machine(memory="64 MiB", nodes=2, cpus=2, pcp=False)


def nid(machine, page):
    return machine.zones[page.zone.index].nid


def test_the_banks_divide_memory_between_them():
    machine = Machine(memory="8 GiB", nodes=2, cpus=4)
    assert [(zone.nid, zone.name, zone.start_pfn, zone.end_pfn) for zone in machine.zones] == [
        (0, "DMA", 1, 1 << 12),
        (0, "DMA32", 1 << 12, 1 << 20),
        (1, "Normal", 1 << 20, 1 << 21),
    ]
    assert [line.split(",")[0] for line in buddyinfo(machine).splitlines()] == ["Node 0", "Node 0", "Node 1"]
    four = Machine(memory="64 GiB", nodes=4)
    assert [zone.nid for zone in four.zones] == [0, 0, 0, 1, 2, 3]


def test_a_cpu_gets_memory_from_its_own_bank():
    machine = banks()
    for cpu in (0, 1):
        machine.cpu = cpu
        assert nid(machine, machine.alloc_page(GFP_KERNEL)) == cpu


def test_a_bank_that_is_used_up_is_helped_out_by_the_other():
    machine = banks()
    got = [nid(machine, machine.alloc_pages(GFP_ATOMIC, 5)) for _ in range(400)]
    assert set(got) == {0, 1}
    assert got == sorted(got), "first all of the near one"


def test_this_node_and_no_other():
    machine = banks()
    while page := machine.alloc_pages(GFP_ATOMIC | Gfp.THISNODE | Gfp.NOWARN, 4):
        assert nid(machine, page) == 0
    assert nid(machine, machine.alloc_pages(GFP_ATOMIC, 4)) == 1
    assert machine.alloc_pages(GFP_ATOMIC | Gfp.THISNODE | Gfp.NOWARN, 4) is None


def test_memory_of_a_given_bank():
    machine = banks()
    assert nid(machine, machine.alloc_pages_node(1, GFP_KERNEL, 3)) == 1
    assert nid(machine, machine.alloc_page(GFP_KERNEL)) == 0
    with pytest.raises(ValueError, match="not 2"):
        machine.alloc_pages_node(2, GFP_KERNEL, 0)


def test_after_its_own_each_bank_is_tried_that_follows_and_few_others_turn_to():
    """find_next_best_node(): the distances are equal, the next one up comes first."""
    machine = Machine(memory="256 MiB", nodes=4, cpus=4)
    banks = [[zone.nid for zone in lists[-1]] for lists in machine.node.fallback_zonelists.values()]
    assert banks == [[0, 0, 1, 2, 3], [1, 2, 3, 0, 0], [2, 3, 0, 0, 1], [3, 0, 0, 1, 2]]
    machine.cpu = 2
    got = [nid(machine, machine.alloc_pages(GFP_ATOMIC, 9)) for _ in range(120)]
    assert sorted(set(got), key=got.index) == [2, 3, 0, 1]


def test_nobody_is_killed_for_one_bank_and_the_mask_stays_whole():
    """__alloc_pages_may_oom(): "The OOM killer may not free memory on a specific node."."""
    machine = Machine(memory="64 MiB", nodes=2, cpus=2)
    machine.start_process("hog", 1000)
    mask = GFP_KERNEL | Gfp.THISNODE
    page = machine.alloc_pages_node(1, mask, 0)
    assert page.gfp == machine.trace[-1].gfp == 0x200CC0
    while machine.alloc_pages_node(1, mask, 0):
        pass
    assert [task.comm for task in machine.tasks] == ["hog"]
    assert machine.dmesg[0] == (
        "insmod: page allocation failure: order:0, mode:0x200cc0(GFP_KERNEL|__GFP_THISNODE), "
        "nodemask=(null),cpuset=/,mems_allowed=0-1"
    )
    assert nid(machine, machine.alloc_page(GFP_KERNEL)) == 0
    assert machine.alloc_pages_bulk(mask, 4), "bank 0 has some"
    machine.cpu = 1
    assert machine.alloc_pages_bulk(mask | Gfp.NOWARN, 4) == []
    assert len(machine.alloc_pages_bulk(GFP_KERNEL, 4)) == 1, "one, of the other bank"


def test_a_bank_without_a_zone_that_fits_has_nothing():
    machine = Machine(memory="64 MiB", nodes=2, cpus=2)
    assert machine.alloc_pages_node(1, GFP_DMA | Gfp.THISNODE | Gfp.NOWARN, 0) is None
    assert machine.alloc_pages_bulk(GFP_DMA | Gfp.THISNODE | Gfp.NOWARN, 3)


def test_each_bank_has_its_own_counters_in_zoneinfo():
    machine = Machine(memory="64 MiB", nodes=2, cpus=2)
    machine.read_file(30)
    machine.cpu = 1
    machine.read_file(7, dirty=True)
    machine.node.kswapd[1].failures = 16
    text = zoneinfo(machine)
    for name, values in (("nr_file_pages", [30, 7]), ("nr_dirty", [0, 7]), ("nr_zone_inactive_file", [0, 30, 7])):
        assert [int(value) for value in re.findall(rf" {name} +(\d+)\n", text)] == values
    assert re.findall(r"node_unreclaimable: +(\d)", text) == ["0", "0", "1"]


@pytest.mark.parametrize("nodes", [0, -1, 9, 5])
def test_a_bank_has_some_memory(nodes):
    with pytest.raises(ValueError, match="1 to 8 nodes"):
        Machine(memory="64 MiB", nodes=nodes)


def test_the_lists_of_a_cpu_share_the_zones_of_its_bank():
    machine = Machine(memory="8 GiB", nodes=2, cpus=4)
    one = Machine(memory="8 GiB", cpus=2)
    assert machine.zones[2].pcp.high_min == one.zones[2].pcp.high_min, "two of the four CPUs are next to it"


@pytest.mark.parametrize("seed", range(4))
def test_the_trace_rebuilds_a_machine_of_several_banks(seed):
    rng = random.Random(seed)
    machine = Machine(memory="96 MiB", nodes=3, cpus=3)
    start = snapshot(machine)
    for op in [list(traffic(rng, 500, orders=(0, 1, 3, 6, 9), gfps=(GFP_KERNEL, GFP_ATOMIC)))]:
        machine.cpu = rng.randrange(3)
        play(machine, op)
    validate(machine)
    assert replay(start, machine.trace) == snapshot(machine)
