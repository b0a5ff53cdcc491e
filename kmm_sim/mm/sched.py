# SPDX-License-Identifier: GPL-2.0-only
"""Who asks for memory, and whether he may sleep.

A request that may reclaim may sleep: the CPU does something else meanwhile.  An interrupt
cannot do that, nor can a process that holds a spinlock or has turned interrupts off.  Code
of a filesystem or of the block layer may sleep, but must not let reclaim call it again.

Linux: include/linux/sched.h, include/linux/sched/mm.h, include/linux/preempt.h
Simplified: one task runs at a time; of the "sleeping function" report, the lines about the
context.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from kmm_sim.errors import ContextError
from kmm_sim.mm.gfp import DIRECT_RECLAIM, FS, IO, gfp_names

__all__ = [
    "CONTEXTS",
    "HARDIRQ_OFFSET",
    "PF_KTHREAD",
    "PF_MEMALLOC",
    "PF_MEMALLOC_NOFS",
    "PF_MEMALLOC_NOIO",
    "PREEMPT_OFFSET",
    "SOFTIRQ_OFFSET",
    "Task",
    "current_gfp_context",
    "enter",
    "in_atomic",
    "in_hardirq",
    "in_interrupt",
    "in_softirq",
    "might_alloc",
    "might_sleep",
]

PF_MEMALLOC = 0x0000_0800
PF_MEMALLOC_NOFS = 0x0004_0000
PF_MEMALLOC_NOIO = 0x0008_0000
PF_KTHREAD = 0x0020_0000

PREEMPT_OFFSET = 1
SOFTIRQ_OFFSET = 1 << 8
HARDIRQ_OFFSET = 1 << 16


@dataclass(slots=True, eq=False)
class Task:
    """A process: its name, its memory in pages, and what it is in the middle of.

    ``preempt_count`` counts, in fields of 8, 8 and 4 bits, the spinlocks held, the soft and
    the hard interrupts; ``anon`` are the page frames of its anonymous memory.

    Linux: struct task_struct, include/linux/sched.h
    """

    comm: str = "insmod"
    pid: int = 130
    flags: int = 0
    preempt_count: int = 0
    irqs_disabled: bool = False
    inside: tuple[str, ...] = ()
    anon: set[int] = field(default_factory=set)
    swapped: int = 0
    oom_victim: bool = False

    def __repr__(self) -> str:
        return f"<task {self.comm} pid:{self.pid} anon:{len(self.anon)} pages swapped:{self.swapped}>"


def in_hardirq(task: Task) -> bool:
    """Return whether a device's interrupt is being served.

    Linux: in_hardirq(), include/linux/preempt.h
    """
    return task.preempt_count >= HARDIRQ_OFFSET


def in_softirq(task: Task) -> bool:
    """Return whether a softirq is being served.

    Linux: in_serving_softirq(), include/linux/preempt.h
    """
    return bool(task.preempt_count & (HARDIRQ_OFFSET - SOFTIRQ_OFFSET))


def in_interrupt(task: Task) -> bool:
    """Return whether any interrupt is being served.

    Linux: in_interrupt(), include/linux/preempt.h
    """
    return task.preempt_count >= SOFTIRQ_OFFSET


def in_atomic(task: Task) -> bool:
    """Return whether the task must run on: an interrupt, or a spinlock held.

    Linux: in_atomic(), include/linux/preempt.h
    """
    return task.preempt_count != 0


CONTEXTS = {
    "spinlock": "holds a spinlock",
    "softirq": "serves a soft interrupt",
    "hardirq": "serves a hardware interrupt",
    "irqs off": "has interrupts turned off",
    "fs": "is inside filesystem code, which reclaim may need",
    "io": "is inside block I/O code, which reclaim may need",
    "noio": "has said memalloc_noio_save()",
    "nofs": "has said memalloc_nofs_save()",
    "memalloc": "frees memory itself (PF_MEMALLOC)",
}
"""What a task can be in the middle of, and how to say it."""

_COUNTED = {"spinlock": PREEMPT_OFFSET, "softirq": SOFTIRQ_OFFSET, "hardirq": HARDIRQ_OFFSET}
_FLAGGED = {"noio": PF_MEMALLOC_NOIO, "nofs": PF_MEMALLOC_NOFS, "memalloc": PF_MEMALLOC}


@contextmanager
def enter(task: Task, context: str) -> Iterator[None]:
    """Be in one of CONTEXTS for the length of a ``with`` block.

    Linux: spin_lock(), include/linux/spinlock.h
    Linux: local_irq_disable(), include/linux/irqflags.h
    Linux: memalloc_nofs_save(), include/linux/sched/mm.h
    """
    saved = task.preempt_count, task.irqs_disabled, task.flags, task.inside
    task.preempt_count += _COUNTED.get(context, 0)
    task.irqs_disabled = task.irqs_disabled or context in ("irqs off", "hardirq")
    task.flags |= _FLAGGED.get(context, 0)
    task.inside += (context,)
    try:
        yield
    finally:
        task.preempt_count, task.irqs_disabled, task.flags, task.inside = saved


def current_gfp_context(task: Task, gfp: int) -> int:
    """Return a mask without what the task has forsworn for all its requests.

    Linux: current_gfp_context(), include/linux/sched/mm.h
    """
    if task.flags & PF_MEMALLOC_NOIO:
        return gfp & ~(IO | FS)
    if task.flags & PF_MEMALLOC_NOFS:
        return gfp & ~FS
    return gfp


def might_alloc(task: Task, gfp: int, teaching: bool, dmesg: list[str]) -> None:
    """Complain if a request may sleep where nobody can, or re-enter what is under way.

    Raises ContextError in teaching mode.  Otherwise it writes the report of a kernel with
    CONFIG_DEBUG_ATOMIC_SLEEP; a distribution's kernel is silent, and mostly gets away with it.

    Linux: might_alloc(), include/linux/sched/mm.h
    """
    gfp = current_gfp_context(task, gfp)
    if not gfp & DIRECT_RECLAIM:
        return
    if in_atomic(task) or task.irqs_disabled:
        if teaching:
            raise ContextError(_sleeping(task, gfp))
        _report(task, "include/linux/sched/mm.h:321", dmesg)
    elif teaching:
        for layer, flag, without in (("fs", FS, "GFP_NOFS"), ("io", IO, "GFP_NOIO")):
            if layer in task.inside and gfp & flag:
                raise ContextError(_reentering(task, gfp, layer, without))


def might_sleep(task: Task, call: str, where: str, teaching: bool, dmesg: list[str]) -> None:
    """Complain of a ``call`` that may sleep whatever it is asked for, if nobody can sleep here.

    ``where`` is the line of the kernel that says so.  Raises ContextError in teaching mode;
    otherwise it writes the report of a kernel with CONFIG_DEBUG_ATOMIC_SLEEP.

    Linux: might_sleep(), include/linux/kernel.h
    """
    if in_atomic(task) or task.irqs_disabled:
        if teaching:
            raise ContextError(
                f"sleeping function called from invalid context: {call} takes a lock that one may have to wait "
                f"for, and {task.comm} {CONTEXTS[_atomic(task)]}; call it where one may sleep"
            )
        _report(task, where, dmesg)


def _report(task: Task, where: str, dmesg: list[str]) -> None:
    """Write the report to the log, but not twice in a row: the kernel prints one a second at most."""
    report = might_sleep_report(task, where)
    if dmesg[-len(report) :] != report:
        dmesg += report


def _atomic(task: Task) -> str:
    """Return what keeps a task from sleeping; the innermost, if it is more than one thing."""
    return [what for what in task.inside if what in _COUNTED or what == "irqs off"][-1]


def _sleeping(task: Task, gfp: int) -> str:
    return (
        f"sleeping function called from invalid context: {gfp_names(gfp)} may sleep until memory "
        f"is found, and {task.comm} {CONTEXTS[_atomic(task)]}; ask with GFP_ATOMIC or GFP_NOWAIT"
    )


def _reentering(task: Task, gfp: int, layer: str, without: str) -> str:
    return (
        f"deadlock: with {gfp_names(gfp)} reclaim may write pages back, and {task.comm} "
        f"{CONTEXTS[layer]}: it would wait for itself; ask with {without}"
    )


def might_sleep_report(task: Task, where: str) -> list[str]:
    """Return what a debug build says of a task that may sleep and must not.

    Linux: __might_resched(), kernel/sched/core.c
    """
    return [
        f"BUG: sleeping function called from invalid context at {where}",
        f"in_atomic(): {int(in_atomic(task))}, irqs_disabled(): {int(task.irqs_disabled)}, "
        f"non_block: 0, pid: {task.pid}, name: {task.comm}",
        f"preempt_count: {task.preempt_count:x}, expected: 0",
    ]
