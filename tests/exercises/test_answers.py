"""What single exercises take for right, and what they say to what a reader may well write."""

import itertools

import pytest

from kmm_sim import KernelBug, Machine
from kmm_sim.exercises import the_stack
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
