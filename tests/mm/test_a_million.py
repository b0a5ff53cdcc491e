"""A million calls from all contexts, on several machines: no page lost, none in two places, every report true."""

import random
import re
from contextlib import nullcontext

import pytest

from kmm_sim import GFP_ATOMIC, GFP_DMA, GFP_HIGHUSER_MOVABLE, GFP_KERNEL, GFP_NOFS, GFP_NOIO, Gfp, Machine
from kmm_sim.mm.page_alloc import warn_alloc
from kmm_sim.mm.sched import CONTEXTS
from kmm_sim.mm.show_mem import show_mem
from kmm_sim.observe import buddyinfo, pagetypeinfo, replay, snapshot, validate, zoneinfo
from kmm_sim.observe.failure import why_it_failed
from kmm_sim.workload import GEOMETRIC

MACHINES = (
    {"pages": 4096},
    {"pages": 30_000, "pcp": True, "cpus": 2},
    {"memory": "48 MiB", "cpus": 2},
    {"memory": "256 MiB", "cpus": 3},
    {"memory": "6 GiB", "cpus": 4, "nodes": 2},
)
CALLS = 100_000
TRACED = 10_000
"""So many calls at the end of each run are traced, and the machine is rebuilt from what they told."""

QUIET = Gfp.NOWARN.value
ATOMIC = tuple(int(mask) | QUIET for mask in (
    GFP_ATOMIC, GFP_ATOMIC | Gfp.RECLAIMABLE, GFP_DMA | GFP_ATOMIC, GFP_ATOMIC | Gfp.COMP, GFP_ATOMIC | Gfp.NOMEMALLOC,
))
SLEEPING = tuple(int(mask | Gfp.NORETRY) | QUIET for mask in (
    GFP_KERNEL, GFP_KERNEL, GFP_HIGHUSER_MOVABLE, GFP_NOFS, GFP_NOIO, GFP_KERNEL | Gfp.THISNODE,
))
MASKS = dict.fromkeys(("spinlock", "softirq", "hardirq", "irqs off"), ATOMIC) | {
    "fs": (int(GFP_NOFS | Gfp.NORETRY) | QUIET, ATOMIC[0]),
    "io": (int(GFP_NOIO | Gfp.NORETRY) | QUIET, ATOMIC[0]),
}
"""What one may ask with in each context; in the others, with anything."""


class Traffic:
    """Callers of one machine, in all contexts, and what they hold."""

    def __init__(self, machine, rng):
        self.machine, self.rng, self.held = machine, rng, []
        self.ballast = list(iter(self.block, None))

    def block(self):
        """Take a block of the largest order, until memory is so small that the traffic can fill it."""
        free = sum(zone.vm_stat_free for zone in self.machine.zones)
        return self.machine.alloc_pages(ATOMIC[0], 10) if free > 24_000 else None

    def run(self, calls, emptying):
        """Make so many calls; ``emptying`` says of each whether memory is to be given back rather than taken."""
        rng, machine = self.rng, self.machine
        for call in calls:
            name = rng.choice(PLACES)
            with machine.context(name) if name else nullcontext():
                if self.held and (emptying(call) or rng.randrange(9) < 3):
                    self.free()
                else:
                    self.alloc(rng.choice(MASKS.get(name, ATOMIC + SLEEPING)))
            if not call % 500:
                machine.cpu = rng.randrange(machine.cpus)

    def free(self):
        at = self.rng.randrange(len(self.held))
        (page, order), self.held[at] = self.held[at], self.held[-1]
        self.held.pop()
        self.machine.free_pages(page, order)

    def alloc(self, gfp):
        order = self.rng.choice(GEOMETRIC)
        page = self.machine.alloc_pages(gfp, order)
        if page is not None:
            self.held.append((page, order))


PLACES = (*CONTEXTS, *[""] * len(CONTEXTS))
"""Half of the calls come from a process, the others from each context alike."""


def numbers(pattern, text):
    return [[int(number) for number in re.findall(r"\d+", match)] for match in re.findall(pattern, text, re.MULTILINE)]


def read_the_reports(machine):
    """Parse four reports, and compare what they say with the lists."""
    zones = snapshot(machine).zones
    blocks = numbers(r"^Node \d+, zone +\w+((?: +\d+){11}) $", buddyinfo(machine))
    assert blocks == [list(zone.nr_free) for zone in zones]

    by_type = numbers(r"^Node +\d+, zone +\w+, type +\w+((?: +\d+){11}) $", pagetypeinfo(machine))
    zonewise = [by_type[at : at + 5] for at in range(0, len(by_type), 5)]
    assert [[sum(column) for column in zip(*types, strict=True)] for types in zonewise] == blocks
    pageblocks = numbers(r"^Node \d+, zone +\w+((?: +\d+){5}) $", pagetypeinfo(machine))
    assert [sum(counts) for counts in pageblocks] == [
        (zone.start_pfn + zone.spanned_pages - 1 >> 9) - (zone.start_pfn >> 9) + 1 for zone in zones
    ]

    told = [part for part in zoneinfo(machine).split("\nNode") if "start_pfn" in part]
    for zone, live, part in zip(zones, machine.zones, told, strict=True):
        assert numbers(r"pages free +(\d+)", part) == numbers(r"nr_free_pages +(\d+)", part) == [[live.vm_stat_free]]
        assert abs(live.vm_stat_free - zone.nr_free_pages) <= live.stat_threshold * machine.cpus
        assert sum(sum(counts) for counts in numbers(r" count: +(\d+)", part)) == zone.nr_pcp_pages
        assert numbers(r"managed +(\d+)", part) == [[zone.managed_pages]]

    log = len(machine.dmesg)
    warn_alloc(machine.node, int(GFP_ATOMIC), 10)
    report = "\n".join([machine.dmesg[log], *show_mem(machine.node)])
    del machine.dmesg[log:]
    sums = [int(total) for total in re.findall(r"\dkB.* = (\d+)kB$", report, re.MULTILINE)]
    assert sums == [4 * zone.nr_free_pages for zone in zones]
    assert {reckoning.zone for reckoning in why_it_failed(report)} == {zone.name for zone in zones}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("number", range(len(MACHINES)))
def test_a_million_calls(number, seed):
    machine = Machine(**MACHINES[number], trace=False)
    traffic = Traffic(machine, random.Random(f"{number} {seed}"))
    total = sum(zone.managed_pages for zone in machine.zones)

    def emptying(call):
        return call * 7 // CALLS % 2  # by turns memory fills and empties

    traffic.run(range(CALLS // 2), emptying)
    validate(machine)
    read_the_reports(machine)
    traffic.run(range(CALLS // 2, CALLS - TRACED), emptying)
    machine.tracing, start = True, snapshot(machine)
    traffic.run(range(CALLS - TRACED, CALLS), emptying)

    state = snapshot(machine)
    validate(machine)
    read_the_reports(machine)
    assert len(machine.trace) > TRACED
    assert replay(start, machine.trace) == state
    traffic.held += [(page, 10) for page in traffic.ballast]
    assert {pfn: one.order for pfn, one in state.allocated.items()} == {page.pfn: order for page, order in traffic.held}
    assert all(zone.nr_unaccounted == 0 for zone in machine.zones)
    for page, order in traffic.held:
        machine.free_pages(page, order)
    machine.drain_all_pages()
    assert sum(zone.nr_free_pages for zone in snapshot(machine).zones) == total
