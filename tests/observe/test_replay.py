"""The trace is sufficient: from it alone the machine's state can be rebuilt."""

import random
from dataclasses import dataclass

import pytest

from kmm_sim import GFP_ATOMIC, GFP_DMA, GFP_HIGHUSER_MOVABLE, GFP_KERNEL, Gfp, Machine
from kmm_sim.mm.events import FreeListAdd, FreeListDel, FreeListMove, Merge, MmPageAllocExtfrag, SetPageblock, Split
from kmm_sim.observe import buddyinfo, frames, replay, snapshot, validate
from kmm_sim.trace import Event
from kmm_sim.workload import GEOMETRIC, play, traffic

MACHINES = {
    "bench of 64 pages": {"pages": 64},
    "bench of 100 pages": {"pages": 100},
    "bench of 4096 pages": {"pages": 4096},
    "8 MiB": {"memory": "8 MiB"},
    "64 MiB": {"memory": "64 MiB"},
    "5 GiB": {"memory": "5 GiB"},
}
MASKS = (GFP_KERNEL, GFP_ATOMIC, GFP_HIGHUSER_MOVABLE, GFP_DMA, GFP_KERNEL | Gfp.RECLAIMABLE)
ORDERS = (*GEOMETRIC[::128], 3, 4, 5, 9, 9, 10, 10)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", MACHINES)
def test_the_trace_alone_rebuilds_the_machine(kind, seed):
    machine = Machine(**MACHINES[kind])
    start = snapshot(machine)
    play(machine, traffic(random.Random(seed), 600, orders=ORDERS, gfps=MASKS))
    validate(machine)
    assert replay(start, machine.trace) == snapshot(machine)


def full_of_fallback():
    """A small PC whose movable pageblocks unmovable requests have to take."""
    machine = Machine(memory="16 MiB")
    start = snapshot(machine)
    masks = (GFP_ATOMIC, GFP_ATOMIC | Gfp.MOVABLE, GFP_ATOMIC | Gfp.RECLAIMABLE)
    play(machine, traffic(random.Random(4), 3000, orders=(0, 1, 2, 3, 5, 7, 9), gfps=masks, frees=0.45))
    return start, machine


def test_fallback_is_in_the_trace_too():
    start, machine = full_of_fallback()
    kinds = {type(event) for event in machine.trace}
    assert {MmPageAllocExtfrag, FreeListMove, SetPageblock} <= kinds, "the traffic was too tame"
    validate(machine)
    assert replay(start, machine.trace) == snapshot(machine)


@pytest.mark.parametrize("kind", [Split, Merge, FreeListAdd, FreeListDel, FreeListMove, SetPageblock])
def test_with_one_event_missing_the_machine_is_another(kind):
    """Each kind of event is needed: leave out the last of its kind and the state is not rebuilt."""
    start, machine = full_of_fallback()
    at = max(number for number, event in enumerate(machine.trace) if type(event) is kind)
    short = machine.trace[:at] + machine.trace[at + 1 :]
    try:
        rebuilt = replay(start, short)
    except KeyError:
        return
    assert rebuilt != snapshot(machine)


def test_there_is_a_frame_for_each_event():
    machine = Machine(pages=8)
    start = snapshot(machine)
    machine.alloc_page(GFP_KERNEL)
    states = list(frames(start, machine.trace))
    assert [frame.zones[0].nr_free for frame in states] == [
        (0,) * 11,
        (0, 0, 1, *(0,) * 8),
        (0, 1, 1, *(0,) * 8),
        (1, 1, 1, *(0,) * 8),
        (1, 1, 1, *(0,) * 8),
    ]
    assert states[-1] == snapshot(machine)


def test_a_snapshot_stays_as_it_is():
    machine = Machine(pages=8)
    before = snapshot(machine)
    page = machine.alloc_page(GFP_KERNEL)
    assert before == snapshot(Machine(pages=8)) != snapshot(machine)
    assert buddyinfo(before) != buddyinfo(machine)
    machine.free_page(page)
    assert before == snapshot(machine)
    with pytest.raises(AttributeError):
        before.zones = ()
    with pytest.raises(TypeError):
        before.allocated[0] = None


def test_an_event_that_replay_does_not_know_is_an_error():
    @dataclass(frozen=True)
    class Unheard(Event):
        tracepoint = "sim_unheard"

    with pytest.raises(TypeError, match="does not know the event sim_unheard"):
        replay(snapshot(Machine(pages=4)), [Unheard()])
