"""What single exercises take for right, and what they say to what a reader may well write."""

import itertools

import pytest

from kmm_sim import KernelBug, Machine
from kmm_sim.exercises import gfp_flags, the_stack, zones
from kmm_sim.mm.stack_events import StackOver

REACHES = {"the magic number": "magic", "thread_info": "thread_info", "the guard page": "guard page"}


def reached(kernel, frames):
    """Return what the simulator itself says that the last of some calls goes over."""
    machine = Machine(pages=64, teaching=False)
    machine.new_task("below", kernel)
    task = machine.new_task("task", kernel)
    try:
        for size in frames:
            machine.stack_call(task, "f", size)
    except KernelBug:
        pass
    over = [event.what for event in machine.trace if isinstance(event, StackOver)]
    return REACHES.get(over[-1], "neighbour") if over else "fits"


@pytest.mark.parametrize(("seed", "level"), list(itertools.product(range(40), (1, 2))))
def test_what_an_overflow_reaches_is_what_the_simulator_says_it_went_over(seed, level):
    question = the_stack.overflow(seed=seed, level=level)
    kernel = "6.12" if "Linux 6.12" in question.task else "2.6.34"
    frames = [int(line.split()[-2]) for line in question.given.splitlines()]
    assert question.right_answers[0]["reaches"] == reached(kernel, frames)


REST = {19: "sleeps", 33: "bare zone"}


@pytest.mark.parametrize("two", [("size", "sleeps"), ["sleeps", "size"], {"size", "sleeps"}, "size, sleeps"])
def test_two_mistakes_in_one_line_can_be_written_together(two):
    assert gfp_flags.isr.check({6: two, **REST}).right


@pytest.mark.parametrize("last", ["size", "sleeps"])
def test_who_writes_a_line_twice_hears_that_one_of_the_two_has_not_arrived(last):
    result = gfp_flags.isr.check({6: last, **REST})
    assert f'For line 6 only `{last}` has arrived' in result.why
    assert f'`6: ("{last}", ...)`' in result.why
    assert "has arrived" not in gfp_flags.isr.check({6: ("size", "sleeps"), 33: "bare zone"}).why


@pytest.mark.parametrize(("level", "answers"), [(1, 4), (2, 8)])
def test_which_zone_gives_is_another_answer_for_other_seeds(level, answers):
    questions = [zones.which_zone(seed=seed, level=level) for seed in range(80)]
    seen = {tuple(question.right_answers[0].values()) for question in questions}
    assert len(seen) >= answers
    assert len({mistake.name for question in questions for mistake in question.misconceptions}) == 5, "each has its use"
    assert min(len(question.misconceptions) for question in questions) >= 3
