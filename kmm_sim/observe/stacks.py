# SPDX-License-Identifier: GPL-2.0-only
"""Kernel stacks, frozen and rebuilt from the trace; the magic numbers checked; KernelStack of /proc/meminfo.

What lies on one stack, byte by byte, is in kmm_sim/observe/stack_bytes.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from kmm_sim.machine import Machine
from kmm_sim.mm.stack import end_of_stack, task_stack_end_corrupted
from kmm_sim.mm.stack_events import (
    StackCacheAdd,
    StackCacheDel,
    StackEvent,
    StackFree,
    StackNew,
    StackOver,
    StackPop,
    StackPush,
)
from kmm_sim.trace import Event

__all__ = [
    "StackFrame", "StackSnapshot", "TaskSnapshot", "kernel_stack_kb", "stack_frames", "stack_replay",
    "stack_snapshot", "validate_stacks",
]


@dataclass(frozen=True, slots=True)
class StackFrame:
    """One call: the function, its lowest address, its bytes, and whether an interrupt's stack holds it."""

    function: str
    sp: int
    size: int
    on_irq_stack: bool


@dataclass(frozen=True, slots=True)
class TaskSnapshot:
    """A task, its stack from ``addr`` up, and its calls, the first one first."""

    comm: str
    addr: int
    size: int
    frames: tuple[StackFrame, ...] = ()


@dataclass(frozen=True, slots=True)
class StackSnapshot:
    """All tasks by pid, and the stacks that the CPUs keep: sorted pairs of CPU and address."""

    tasks: Mapping[int, TaskSnapshot]
    cached: tuple[tuple[int, int], ...]


def stack_snapshot(machine: Machine) -> StackSnapshot:
    """Return the stacks of a machine as they are now; later calls do not change it."""
    tasks = {
        task.pid: TaskSnapshot(
            task.comm, task.stack, task.kind.size,
            tuple(StackFrame(frame.function, frame.sp, frame.size, frame.on_irq_stack) for frame in task.frames),
        )
        for task in machine.stacks.tasks
    }
    cached = sorted((cpu, addr) for cpu, slots in enumerate(machine.stacks.cached) for addr in slots if addr)
    return StackSnapshot(MappingProxyType(tasks), tuple(cached))


def stack_replay(start: StackSnapshot, events: Iterable[Event]) -> StackSnapshot:
    """Return the stacks that events lead to from ``start``; those of other parts do not matter."""
    *_, last = (start, *stack_frames(start, events))
    return last


def stack_frames(start: StackSnapshot, events: Iterable[Event]) -> Iterator[StackSnapshot]:
    """Yield the stacks after each event in turn; an event of another part changes nothing."""
    tasks, cached = dict(start.tasks), set(start.cached)
    now = start
    for event in events:
        if isinstance(event, StackEvent):
            _apply(tasks, cached, event)
            now = StackSnapshot(MappingProxyType(dict(tasks)), tuple(sorted(cached)))
        yield now


def _apply(tasks: dict[int, TaskSnapshot], cached: set[tuple[int, int]], event: StackEvent) -> None:
    match event:
        case StackNew(pid, comm, addr, size):
            tasks[pid] = TaskSnapshot(comm, addr, size)
        case StackPush(pid, function, sp, size, on_irq_stack):
            frame = StackFrame(function, sp, size, on_irq_stack)
            tasks[pid] = replace(tasks[pid], frames=(*tasks[pid].frames, frame))
        case StackPop(pid):
            tasks[pid] = replace(tasks[pid], frames=tasks[pid].frames[:-1])
        case StackFree(pid):
            del tasks[pid]
        case StackCacheAdd(pid, cpu, addr):
            del tasks[pid]
            cached.add((cpu, addr))
        case StackCacheDel(cpu, addr):
            cached.remove((cpu, addr))
        case StackOver():
            pass  # bytes are not in the trace
        case _:
            raise TypeError(f"stack_replay does not know the event {event}")


def validate_stacks(machine: Machine) -> None:
    """Check all stacks; raises AssertionError with a sentence for the first fault.

    No two stacks overlap, the stack pointer is where the frames say, and the magic numbers stand.
    """
    counted, kib = machine.node.nr_kernel_stack.total(), sum(task.kind.size for task in machine.stacks.tasks) >> 10
    assert counted == kib, f"{counted} KiB of stacks are counted, there are {kib}"
    end = 0
    for task in sorted(machine.stacks.tasks, key=lambda task: task.stack):
        assert task.stack >= end, f"the stack of {task.comm} lies in one that ends at {end:#x}"
        assert task.stack % task.kind.size == 0, f"the stack of {task.comm} is not aligned to {task.kind.size}"
        end = task.top
        lowest = min([task.top, *(frame.sp for frame in task.frames if not frame.on_irq_stack)])
        assert task.sp <= lowest, f"{task.comm} has a frame at {lowest:#x} below its stack pointer {task.sp:#x}"
        assert task.sp >= end_of_stack(task) + 8, f"{task.comm} went over the end of its stack, to {task.sp:#x}"
        assert not task_stack_end_corrupted(machine.stacks, task), f"the magic number of {task.comm} is gone"


def kernel_stack_kb(machine: Machine) -> int:
    """Return what the line KernelStack of /proc/meminfo says, in KiB: stacks in use, not those kept.

    Linux: NR_KERNEL_STACK_KB, account_kernel_stack(), kernel/fork.c
    """
    return machine.node.nr_kernel_stack.total()
