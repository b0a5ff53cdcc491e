# SPDX-License-Identifier: GPL-2.0-only
"""What lies on a stack, from its top down: frames, what is unused, the magic number, and what is below.

    for part in stack_parts(machine, task):
        print(f"{part.addr:#x} {part.size:5} {part.what} {part.name}")

The bytes are those of the simulated memory; nothing is worked out from what should be there.  So
one sees a frame go over thread_info.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kmm_sim.machine import Machine
from kmm_sim.mm.page import PAGE_SIZE, virt_to_pfn
from kmm_sim.mm.stack import STACK_END_MAGIC, Task, end_of_stack, task_address
from kmm_sim.mm.stack_events import StackOver, StackPop, StackPush
from kmm_sim.mm.vmalloc import is_vmalloc_addr

__all__ = ["StackPart", "stack_parts"]

BELOW = 64
"""So many bytes below a stack are shown."""


@dataclass(frozen=True, slots=True)
class StackPart:
    """Bytes that belong together: from ``addr`` up, ``size`` of them.

    ``what`` is start, frame, return, unused, magic, thread_info, below or guard; ``name`` the function of a
    frame.  ``intact`` is False where something else was written than belongs there.  ``data`` is empty
    where nothing is mapped.
    """

    what: str
    addr: int
    size: int
    data: bytes = b""
    name: str = ""
    intact: bool = True


def stack_parts(machine: Machine, task: Task, below: bytes = b"") -> tuple[StackPart, ...]:
    """Return what lies on the stack of a task, the highest address first; frames of interrupts elsewhere left out.

    ``below`` is what should be in the bytes right below the stack; the part says whether it still is.
    """
    return tuple(_parts(machine, task, below))


def _parts(machine: Machine, task: Task, below: bytes) -> Iterator[StackPart]:
    floor = end_of_stack(task) + 8
    end = task.top
    for frame in task.frames:
        if frame.on_irq_stack:
            continue
        if end == task.top:
            yield _part(machine, "start", frame.sp + frame.size, end)
        ret = frame.sp + frame.size - 8
        if ret >= floor:
            yield _part(machine, "return", ret, ret + 8, frame.function)
        if frame.sp < ret and ret > floor:
            yield _part(machine, "frame", max(frame.sp, floor), ret, frame.function)
        end = max(frame.sp, floor)
    if end == task.top:
        yield _part(machine, "start", task.sp, end)
        end = task.sp
    if end - 8 >= floor and _died_in_a_call(machine, task):
        yield _part(machine, "return", end - 8, end)
        end -= 8
    if end > floor:
        yield _part(machine, "unused", floor, end)
    magic = _part(machine, "magic", floor - 8, floor)
    yield _judged(magic, STACK_END_MAGIC.to_bytes(8, "little"))
    if task.kind.thread_info:
        yield _judged(_part(machine, "thread_info", task.stack, floor - 8), _thread_info(task))
    yield _below(machine, task, below)


def _thread_info(task: Task) -> bytes:
    """Return all of what belongs in thread_info: an overflow comes from above, and reaches the task's address last."""
    return task_address(task).to_bytes(task.kind.thread_info, "little")


def _died_in_a_call(machine: Machine, task: Task) -> bool:
    """Return whether the last call met the guard page: its return address is there, its frame is not."""
    calls = (event for event in reversed(machine.trace) if isinstance(event, StackOver | StackPush | StackPop))
    last = next(calls, None)
    return isinstance(last, StackOver) and last.pid == task.pid


def _below(machine: Machine, task: Task, expected: bytes) -> StackPart:
    """Return the bytes right below the stack, or the guard page."""
    if not _mapped(machine, task.stack - 1):
        return StackPart("guard", task.stack - PAGE_SIZE, PAGE_SIZE)
    size = len(expected) or BELOW
    return _judged(_part(machine, "below", task.stack - size, task.stack), expected)


def _judged(part: StackPart, expected: bytes) -> StackPart:
    """Return the part, with a note whether it begins with what belongs there."""
    intact = part.data.startswith(expected)
    return StackPart(part.what, part.addr, part.size, part.data, part.name, intact)


def _part(machine: Machine, what: str, start: int, end: int, name: str = "") -> StackPart:
    return StackPart(what, start, end - start, _bytes(machine, start, end), name)


def _bytes(machine: Machine, start: int, end: int) -> bytes:
    """Return bytes without going through the TLB, which looking must not change."""
    found, at = b"", start
    while at < end:
        part = min(PAGE_SIZE - at % PAGE_SIZE, end - at)
        found += machine.node.memory.read(_physical(machine, at), part)
        at += part
    return found


def _physical(machine: Machine, addr: int) -> int:
    if not is_vmalloc_addr(addr):
        return virt_to_pfn(addr) * PAGE_SIZE + addr % PAGE_SIZE
    page = machine.vmalloc_to_page(addr)
    assert page is not None, f"{addr:#x} of a stack is not mapped"
    return page.pfn * PAGE_SIZE + addr % PAGE_SIZE


def _mapped(machine: Machine, addr: int) -> bool:
    if is_vmalloc_addr(addr):
        return machine.vmalloc_to_page(addr) is not None
    return machine.node.pfn_to_page(virt_to_pfn(addr)) is not None
