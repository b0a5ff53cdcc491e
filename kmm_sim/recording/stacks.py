# SPDX-License-Identifier: GPL-2.0-only
"""Replaying recorded kernel threads: their stacks, their end, and which stacks are used again.

What was free before is not in these recordings, so the addresses themselves cannot be foretold;
all that follows from them can: what is asked for, where a stack lies in its area, which of the
dead tasks' stacks a CPU keeps, which go, in which order, and which comes back first.
"""

from __future__ import annotations

from typing import Any

from kmm_sim.machine import Machine
from kmm_sim.mm.page import PAGE_SIZE
from kmm_sim.mm.stack import Task
from kmm_sim.mm.vmalloc import find_vm_area
from kmm_sim.mm.vmalloc_events import AllocVmapArea, FreeVmapAreaNoflush
from kmm_sim.mm.vmap_node import lazy_max_pages
from kmm_sim.recording.files import Recording
from kmm_sim.recording.result import Result

__all__ = ["replay_stacks"]

LOCALS = 16
"""The recorder's thread keeps its first local variable at the lowest address of a frame of so many bytes."""


def replay_stacks(recording: Recording) -> list[Result]:
    """Return the result of a recording of kernel threads."""
    replay = _StackReplay(Result(recording.name, recording.kind), recording)
    for record in recording.records:
        replay.step(record)
    return [replay.result]


class _StackReplay:
    """A machine that is led through a recording, and a result that grows.

    ``bases`` maps where a task's stack is here to where it was in the kernel.
    """

    def __init__(self, result: Result, recording: Recording) -> None:
        self.result = result
        self.machine = Machine(memory="256 MiB", cpus=recording.header.get("cpus", 1))
        self.tasks: dict[int, Task] = {}
        self.bases: dict[int, int] = {}
        self.asked: list[Any] | None = None
        self.waiting: list[FreeVmapAreaNoflush] = []
        self.lazy_before: tuple[int, int] | None = None
        self._keep_what_the_kernel_kept(recording)

    def _keep_what_the_kernel_kept(self, recording: Recording) -> None:
        """A task that asked for no addresses took a stack that was kept; so many were kept before."""
        kept = asked = 0
        for record in recording.records:
            if isinstance(record, list):
                asked += record[0] == "va"
            elif record["k"] == "stack":
                kept += not asked
                asked = 0
        old = [self.machine.new_task() for _ in range(kept)]
        for task in old:
            assert task is not None
            self.machine.end_task(task)

    def compare(self, what: str, call: str, theirs: Any, ours: Any) -> None:
        """Count one comparison."""
        self.result.count(what, theirs == ours, f"{call}: {theirs} in the kernel, {ours} here")

    def step(self, record: Any) -> None:
        """Do what one record says and compare what follows from it."""
        match record:
            case ["va", _, size, align, from_start, to_end, failed]:
                self.asked = [size, align, bool(from_start and to_end), bool(failed)]
            case {"k": "stack", "i": nth, "base": base}:
                self.start(nth, base, record)
            case {"k": "stop", "i": nth}:
                self.stop(self.tasks[nth])
            case ["vf", base, nr_lazy, nr_lazy_max]:
                self.gone(base, nr_lazy, nr_lazy_max)
            case {"k": "reuse", "base": base}:
                task = self.machine.new_task()
                assert task is not None
                self.compare("stacks used again", "reuse", base, self.bases.get(task.stack))
            case ["vp", *_] | {"k": "note"}:
                pass
            case _:
                raise ValueError(f"unknown record {record!r}")

    def start(self, nth: int, base: int, record: dict[str, Any]) -> None:
        """Start a thread; compare what it asks for, and what is where on its stack."""
        call, seen = f"thread {nth}", len(self.machine.trace)
        task = self.machine.new_task(call)
        assert task is not None
        allocs = [event for event in self.machine.trace[seen:] if isinstance(event, AllocVmapArea)]
        ours = [[event.size, event.align, True, event.failed] for event in allocs]
        self.compare("requests for addresses", call, [self.asked] if self.asked else [], ours)
        self.asked = None
        self.tasks[nth], self.bases[task.stack] = task, base
        frame = self.machine.stack_call(task, "thr", LOCALS)
        area = find_vm_area(self.machine.vmap_space, task.stack)
        assert area is not None
        magic = int.from_bytes(self.machine.read(task.stack, 8), "little")
        theirs = [base % task.kind.size, record["area_addr"] - base, record["area_size"], record["nr_pages"],
                  len(record["pfns"]), record["first_local_at"], record["end_magic"]]
        self.compare("stacks", call, theirs, [
            task.stack % task.kind.size, area.addr - task.stack, area.size, len(area.pages),
            task.kind.size // PAGE_SIZE, frame.sp - task.stack, f"{magic:x}"])

    def stop(self, task: Task) -> None:
        """End a thread; whether its stack goes is compared when the kernel's goes."""
        seen = len(self.machine.trace)
        self.machine.end_task(task)
        self.waiting += [event for event in self.machine.trace[seen:] if isinstance(event, FreeVmapAreaNoflush)]

    def gone(self, base: int, nr_lazy: int, nr_lazy_max: int) -> None:
        """Compare which stack went, by how much the waiting pages grew, and how many may wait."""
        call = f"vf {base}"
        if base not in self.bases.values():
            self.lazy_before = None  # not one of these threads': somebody else freed something
            return
        if not self.waiting:
            self.compare("stacks gone", call, base, "none")
            return
        ours = self.waiting.pop(0)
        mine = [self.bases.get(ours.va_start), lazy_max_pages(self.machine.vmap_space)]
        self.compare("stacks gone", call, [base, nr_lazy_max], mine)
        if self.lazy_before is not None:
            theirs_before, ours_before = self.lazy_before
            self.compare("waiting pages", call, nr_lazy - theirs_before, ours.nr_lazy - ours_before)
        self.lazy_before = nr_lazy, ours.nr_lazy
