"""A million calls from several contexts, on several machines: no page lost, none in two places."""

import random

import pytest

from kmm_sim import GFP_ATOMIC, GFP_DMA, GFP_HIGHUSER_MOVABLE, GFP_KERNEL, GFP_NOFS, Gfp, Machine
from kmm_sim.observe import snapshot, validate
from kmm_sim.workload import GEOMETRIC

MACHINES = (
    {"pages": 4096},
    {"pages": 30_000, "pcp": True, "cpus": 2},
    {"memory": "48 MiB", "cpus": 2},
    {"memory": "1 GiB", "cpus": 3},
    {"memory": "6 GiB", "cpus": 4, "nodes": 2},
)
CALLS = 200_000
MASKS = tuple(
    int(mask) | Gfp.NOWARN.value
    for mask in (
        GFP_ATOMIC,
        GFP_KERNEL | Gfp.NORETRY,
        GFP_KERNEL | Gfp.NORETRY,
        GFP_HIGHUSER_MOVABLE | Gfp.NORETRY,
        GFP_ATOMIC | Gfp.RECLAIMABLE,
        GFP_DMA | GFP_ATOMIC,
        GFP_NOFS | Gfp.NORETRY,
        GFP_ATOMIC | Gfp.COMP,
    )
)


def interrupt(machine, rng, held):
    """A device's interrupt takes a few pages, and keeps them."""
    with machine.context("hardirq"):
        for order in (0, 1):
            page = machine.alloc_pages(MASKS[0], order)
            if page is not None:
                held.append((page, order))


@pytest.mark.parametrize("number", range(len(MACHINES)))
def test_a_million_calls(number):
    machine = Machine(**MACHINES[number], trace=False)
    rng, held = random.Random(number), []
    total = sum(zone.managed_pages for zone in machine.zones)
    choice, randrange = rng.choice, rng.randrange
    for call in range(CALLS):
        if held and (call * 7 // CALLS % 2 or randrange(9) < 4):  # by turns memory fills and empties
            at = randrange(len(held))
            (page, order), held[at] = held[at], held[-1]
            held.pop()
            machine.free_pages(page, order)
        else:
            order = choice(GEOMETRIC)
            page = machine.alloc_pages(choice(MASKS), order)
            if page is not None:
                held.append((page, order))
        if not call % 997:
            machine.cpu = randrange(machine.cpus)
            interrupt(machine, rng, held)
        if not call % 50_000:
            validate(machine)
    state = snapshot(machine)
    validate(machine)
    assert {pfn: one.order for pfn, one in state.allocated.items()} == {page.pfn: order for page, order in held}
    free = sum(zone.nr_free_pages + zone.nr_pcp_pages for zone in state.zones)
    assert free + sum(1 << order for _, order in held) == total
    for page, order in held:
        machine.free_pages(page, order)
    machine.drain_all_pages()
    assert sum(zone.nr_free_pages for zone in snapshot(machine).zones) == total
