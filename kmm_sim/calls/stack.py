# SPDX-License-Identifier: GPL-2.0-only
"""Tasks and their kernel stacks, to call functions on."""

from __future__ import annotations

from operator import index

from kmm_sim.calls.vmalloc import VmallocCalls
from kmm_sim.mm import stack
from kmm_sim.mm.stack import STACK_KINDS, Frame, Stacks, Task

__all__ = ["StackCalls"]


class StackCalls(VmallocCalls):
    """Kernel stacks, as methods of a machine."""

    _stacks: Stacks | None = None

    @property
    def stacks(self) -> Stacks:
        """All stacks; made when they are asked for first."""
        if self._stacks is None:
            self._stacks = Stacks(self.vmap_space)
        return self._stacks

    def new_task(self, comm: str = "task", kernel: str = "6.12") -> Task | None:
        """Return a new task with a stack as that ``kernel`` makes it, or None without memory.

        ``kernel`` is ``"6.12"``, ``"2.6.34"``, ``"2.6.34-32bit"`` or ``"2.6.34-32bit-4k"``;
        ValueError for another.

        Linux: dup_task_struct(), kernel/fork.c
        """
        if kernel not in STACK_KINDS:
            raise ValueError(f"no stacks of kernel {kernel!r} are known; there are {', '.join(STACK_KINDS)}")
        return stack.new_task(self.stacks, comm, STACK_KINDS[kernel])

    def stack_call(self, task: Task, function: str, size: int, *, interrupt: bool = False) -> Frame:
        """Let a task call a function whose frame has ``size`` bytes; return the frame.

        Raises KernelBug when the stack overflows: in teaching mode always, without teaching
        where the kernel notices.  ``frame.warning`` is what the compiler says of the size.
        """
        size = index(size)
        if size < 0:
            raise ValueError(f"a frame has 0 bytes or more, not {size}")
        return stack.stack_call(self.stacks, task, function, size, interrupt=interrupt)

    def stack_return(self, task: Task) -> None:
        """Let a task return from the function it called last.  Raises KernelBug if there is none."""
        stack.stack_return(self.stacks, task)

    def check_stack(self, task: Task) -> None:
        """Let a task give the CPU away, where 6.12 looks at the magic number and 2.6.34 needs thread_info.

        Raises KernelBug, with the kernel's report in ``dmesg``, when it finds them overwritten.

        Linux: schedule_debug(), kernel/sched/core.c
        """
        stack.schedule_debug(self.stacks, task)

    def end_task(self, task: Task) -> None:
        """Let a task end; each CPU keeps two stacks of 6.12's kind for later.

        Raises KernelBug if it has ended before.

        Linux: free_thread_stack(), kernel/fork.c
        """
        stack.free_thread_stack(self.stacks, task)
