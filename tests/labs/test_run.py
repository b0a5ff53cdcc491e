"""A run: calls, frames, and acting on an earlier moment."""

import copy
import random
from types import MappingProxyType

import pytest

from kmm_sim import GFP_KERNEL, KernelBug, Machine
from kmm_sim.labs.buddy import Allocate, BuddyLab, Free
from kmm_sim.labs.run import Refused, Run
from kmm_sim.labs.scene import Line, Stage, apply, encode
from kmm_sim.labs.view import Desk, View
from kmm_sim.observe import snapshot, validate

KERNEL = int(GFP_KERNEL)


@pytest.fixture
def run():
    run = Run(Machine(pages=16), BuddyLab())
    for call in (Allocate(KERNEL, 0), Allocate(KERNEL, 1), Free(0, 0)):
        run.make(call)
    run.keep_as_recorded()
    return run


def shown(run):
    """The scene after all frames, as the browser gets there."""
    scene = run.start
    for _, patch, *_ in run.frames:
        scene = apply(scene, patch)
    return scene


def agrees(run):
    validate(run.machine)
    return shown(run) == encode(BuddyLab().draw(snapshot(run.machine)))


def test_each_call_appends_a_frame_an_event(run):
    assert len(run.frames) == len(run.machine.trace)
    assert [frame[2][0] for frame in run.frames if len(frame) > 2] == ["call.alloc", "call.alloc", "call.free"]
    assert agrees(run)


def test_a_call_on_an_earlier_moment_replaces_what_came_after(run):
    first = run.calls[0][1]
    frames = copy.deepcopy(run.frames[:first])
    kept = run.make(Allocate(KERNEL, 3), at=first)
    assert kept == first
    assert run.frames[:first] == frames
    assert [call for call, _ in run.calls] == [Allocate(KERNEL, 0), Allocate(KERNEL, 3)]
    assert sorted(snapshot(run.machine).allocated) == [0, 8]
    assert agrees(run)


def test_a_moment_within_a_call_counts_as_its_end(run):
    end = run.calls[0][1]
    assert run.make(Allocate(KERNEL, 3), at=end - 1) == end
    assert [call for call, _ in run.calls] == [Allocate(KERNEL, 0), Allocate(KERNEL, 3)]


def test_the_very_start_is_a_moment_too(run):
    assert run.make(Allocate(KERNEL, 4), at=0) == 0
    assert len(run.calls) == 1
    assert agrees(run)


@pytest.mark.parametrize("at", [None, 0, 3, 7])
def test_a_call_that_breaks_the_kernel_leaves_everything_as_it_was(run, at):
    frames, state = copy.deepcopy(run.frames), snapshot(run.machine)
    with pytest.raises(KernelBug):
        run.make(Free(12, 0), at=at)
    with pytest.raises(ValueError, match="order 11"):
        run.make(Allocate(KERNEL, 11), at=at)
    assert run.frames == frames
    assert snapshot(run.machine) == state
    run.make(Allocate(KERNEL, 0))
    assert agrees(run)


def test_reset_brings_the_recorded_run_back(run):
    frames = copy.deepcopy(run.frames)
    run.make(Allocate(KERNEL, 3), at=2)
    run.make(Allocate(KERNEL, 0))
    assert run.reset() == 0
    assert run.frames == frames
    assert agrees(run)


def test_the_machine_stays_the_one_that_was_given():
    machine = Machine(pages=16)
    run = Run(machine, BuddyLab())
    run.make(Allocate(KERNEL, 0))
    run.make(Allocate(KERNEL, 2), at=0)
    assert run.machine is machine
    assert list(snapshot(machine).allocated) == [0]
    assert machine.alloc_pages(GFP_KERNEL, 0).pfn == 4


def test_what_is_done_elsewhere_is_shown_and_not_undone(run):
    before = len(run.frames)
    page = run.machine.alloc_pages(GFP_KERNEL, 2)
    assert run.catch_up() == before
    assert run.frames[before][2] == ["call.other"]
    run.make(Allocate(KERNEL, 0), at=0)
    assert page.pfn in snapshot(run.machine).allocated
    assert agrees(run)


@pytest.mark.parametrize("seed", range(8))
def test_any_mixture_of_calls_and_moments_ends_in_the_machines_own_state(seed):
    rng = random.Random(seed)
    run = Run(Machine(pages=64), BuddyLab())
    for _ in range(60):
        held = list(snapshot(run.machine).allocated.values())
        at = rng.randrange(len(run.frames) + 1) if rng.random() < 0.2 else None
        if held and at is None and rng.random() < 0.45:
            block = rng.choice(held)
            call = Free(block.pfn, block.order)
        else:
            call = Allocate(KERNEL, rng.choice((0, 0, 1, 2, 7)))
        run.make(call, at)
        assert agrees(run)


class Count:
    """A lab on a desk whose number each call adds to; ``made`` is how often any call was made."""

    view = View(lambda desk: desk.number)
    phrases = MappingProxyType({})
    made = 0

    def draw(self, number):
        return {"": Stage("Numbers", ("n",)), "n": Line("number", str(number))}

    def tell(self, event):
        return "other", "", ""


class Add:
    def __init__(self, number, error=None):
        self.number, self.error = number, error

    def text(self):
        return f"add({self.number})"

    def __call__(self, desk):
        Count.made += 1
        if self.error is Refused:
            raise Refused("no")
        desk.number += self.number
        if self.error:
            raise self.error("halfway")


@pytest.fixture
def counting():
    run = Run(Desk(number=0), Count())
    for number in range(1, 21):
        run.make(Add(number))
    Count.made = 0
    return run


def test_a_call_that_is_refused_before_it_did_anything_costs_nothing(counting):
    for _ in range(100):
        with pytest.raises(Refused):
            counting.make(Add(1, Refused))
    assert (Count.made, counting.machine.number) == (100, 210)


def test_calls_that_fail_halfway_again_and_again_do_not_make_all_the_others_again(counting):
    for _ in range(100):
        with pytest.raises(KeyError):
            counting.make(Add(1000, KeyError))
        assert counting.machine.number == 210
    assert Count.made == 100 + 20
    counting.make(Add(5))
    with pytest.raises(KeyError):
        counting.make(Add(1000, KeyError))
    assert counting.machine.number == 215


@pytest.mark.parametrize("error", [Refused, KeyError])
def test_a_failure_at_an_earlier_moment_puts_back_what_came_after_it(counting, error):
    for at in (20, 3, 0, 12):
        with pytest.raises(error):
            counting.make(Add(1000, error), at=at)
        assert (counting.machine.number, len(counting.calls)) == (210, 20)
    counting.make(Add(100), at=3)
    with pytest.raises(KeyError):
        counting.make(Add(1000, KeyError))
    assert counting.machine.number == 1 + 2 + 3 + 100


def test_a_copy_of_what_was_undone_is_never_used(counting):
    with pytest.raises(KeyError):
        counting.make(Add(1000, KeyError))
    counting.make(Add(100), at=3)
    for number in range(30):
        counting.make(Add(number))
    counting.make(Add(0), at=22)
    assert counting.machine.number == 106 + sum(range(18))
    counting.keep_as_recorded()
    counting.reset()
    assert counting.machine.number == 106 + sum(range(18))
