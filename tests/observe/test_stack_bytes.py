"""What lies on a stack is read from memory, and each part is where it belongs."""

import itertools
import random

import pytest

from kmm_sim import GFP_KERNEL, Machine
from kmm_sim.mm.stack import STACK_END_MAGIC, STACK_KINDS
from kmm_sim.observe import stack_frames, stack_parts, stack_replay, stack_snapshot, vmap_frames, vmap_replay
from kmm_sim.observe.vmap import vmap_snapshot

each_kernel = pytest.mark.parametrize("kernel", STACK_KINDS)


def task_of(kernel, *frames, teaching=False):
    machine = Machine(pages=128, teaching=teaching)
    machine.alloc_pages(GFP_KERNEL, 2)
    machine.new_task("other", kernel)
    task = machine.new_task("task", kernel)
    for number, size in enumerate(frames):
        machine.stack_call(task, f"f{number}", size)
    return machine, task


@each_kernel
@pytest.mark.parametrize("seed", range(10))
def test_parts_cover_a_stack_without_a_gap_and_hold_its_bytes(kernel, seed):
    rng = random.Random(seed)
    machine, task = task_of(kernel, *(rng.randrange(0, STACK_KINDS[kernel].size // 8) for _ in range(5)))
    parts = stack_parts(machine, task)
    assert parts[0].addr + parts[0].size == task.top
    for upper, lower in itertools.pairwise(parts):
        assert lower.addr + lower.size == upper.addr
    for part in parts:
        assert part.what == "guard" or part.data == machine.read(part.addr, part.size)
    assert [part.name for part in parts if part.what == "frame" and part.name] == [
        frame.function for frame in task.frames if frame.size > 8]


@each_kernel
def test_the_end_of_a_stack(kernel):
    machine, task = task_of(kernel)
    parts = {part.what: part for part in stack_parts(machine, task)}
    assert parts["magic"].data == STACK_END_MAGIC.to_bytes(8, "little")
    assert ("thread_info" in parts) == (kernel != "6.12")
    assert ("guard" in parts) == (kernel == "6.12")
    assert all(part.intact for part in parts.values())


def test_what_was_overwritten_is_not_intact():
    machine, task = task_of("2.6.34", 7800, 16)
    lost = [part.what for part in stack_parts(machine, task) if not part.intact]
    assert lost == ["magic"], "the next call goes on"
    machine.stack_call(task, "more", 120)
    lost = [part.what for part in stack_parts(machine, task, b"\0" * 16) if not part.intact]
    assert lost == ["magic", "thread_info", "below"]


@pytest.mark.parametrize("over", [1, 4, 48, 96, 97, 104])
def test_thread_info_is_not_intact_as_soon_as_one_byte_of_it_is_gone(over):
    machine, task = task_of("2.6.34", 8192 - 256 - 104 - 8 + over)
    lost = [part.what for part in stack_parts(machine, task) if not part.intact]
    assert lost == ["magic", "thread_info"]


def test_looking_changes_nothing():
    machine, task = task_of("6.12", 300)
    count, events = machine.vmap_space.tlbs[0].count(), len(machine.trace)
    stack_parts(machine, task)
    assert machine.vmap_space.tlbs[0].count() == count
    assert len(machine.trace) == events


@pytest.mark.parametrize("seed", range(10))
def test_the_last_frame_is_where_a_replay_ends_and_each_event_has_one(seed):
    rng = random.Random(seed)
    machine = Machine(memory="32 MiB")
    stacks, areas, seen = stack_snapshot(machine), vmap_snapshot(machine), len(machine.trace)
    held = []
    for _ in range(30):
        task = machine.new_task()
        machine.stack_call(task, "f", rng.randrange(500))
        held.append(machine.vmalloc(rng.randrange(1, 40_000)))
        if rng.random() < 0.5:
            machine.end_task(task)
            machine.vfree(held.pop(rng.randrange(len(held))))
    events = machine.trace[seen:]
    through = list(stack_frames(stacks, events))
    assert len(through) == len(events)
    assert through[-1] == stack_replay(stacks, events) == stack_snapshot(machine)
    through = list(vmap_frames(areas, events))
    assert len(through) == len(events)
    assert through[-1] == vmap_replay(areas, events) == vmap_snapshot(machine)
