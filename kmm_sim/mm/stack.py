# SPDX-License-Identifier: GPL-2.0-only
"""Kernel stacks: small, of a fixed size, and what happens to those who use more.

A task has one stack for all that the kernel does in its name.  It grows down: each call takes a
frame below the last one.  Nobody counts.  The lowest word holds a magic number that a careful
kernel looks at now and then; in 2.6 a ``thread_info`` lay below it, and below that whatever the
page allocator had put there.  Today the stack comes from vmalloc, and the page below it is not
mapped: the first byte too many stops the machine.

Frames are real bytes.  So are the magic number and thread_info, and the neighbour's memory.

Linux: kernel/fork.c, arch/x86/kernel/traps.c, include/linux/sched/task_stack.h
Simplified: 32-bit kinds keep the sizes of theirs, but the addresses of 64 bits.  What 2.6.34 says of a
damaged thread_info follows its source (kernel/sched.c); it was not recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from kmm_sim.errors import KernelBug
from kmm_sim.mm.fault import show_fault_oops
from kmm_sim.mm.gfp import GFP_KERNEL, ZERO
from kmm_sim.mm.page import PAGE_OFFSET, PAGE_SHIFT, PAGE_SIZE, get_order, page_address, virt_to_pfn
from kmm_sim.mm.page_alloc import alloc_pages, free_pages
from kmm_sim.mm.pgtable import mapped_pfn
from kmm_sim.mm.stack_events import StackCacheAdd, StackCacheDel, StackFree, StackNew, StackOver, StackPop, StackPush
from kmm_sim.mm.vmalloc import find_vm_area, is_vmalloc_addr, vfree, vm_area_alloc_pages, vmalloc, vmap
from kmm_sim.mm.vmap_node import VmapSpace

__all__ = [
    "NR_CACHED_STACKS", "STACK_END_MAGIC", "STACK_KINDS", "THREAD_START", "Frame", "StackKind", "Stacks", "Task",
    "account_kernel_stack", "alloc_thread_stack", "end_of_stack", "frame_size_warning", "free_thread_stack",
    "handle_stack_overflow", "irq_init_percpu_irqstack", "new_task", "schedule_bug", "schedule_debug",
    "set_task_stack_end_magic", "stack_call", "stack_return", "task_address", "task_stack_end_corrupted",
]

STACK_END_MAGIC = 0x57AC6E9D
NR_CACHED_STACKS = 2
"""So many stacks of dead tasks a CPU keeps for new ones."""
THREAD_START = 256
"""What is on a kernel thread's stack before its function runs: pt_regs (168 bytes), ret_from_fork, kthread."""
THREADINFO_GFP = int(GFP_KERNEL) | ZERO
CALLER_ADDRESS = 0xFFFF_FFFF_8100_0000
"""Where the kernel's code begins; return addresses point there."""
FILL = 0x5A  # what a frame is filled with, so that one sees whose bytes they are


@dataclass(frozen=True, slots=True)
class StackKind:
    """How a kernel's stacks are made; sizes in bytes.

    ``thread_info`` is the size of that structure at the low end, 0 where it is elsewhere, and
    ``preempt_count`` the offset of the preemption count in it.
    ``irq_stack`` is the size of a stack of interrupts' own, 0 where they use the task's.
    ``frame_warn`` is the frame size above which the compiler warns (CONFIG_FRAME_WARN).
    """

    name: str
    size: int
    vmapped: bool
    thread_info: int
    irq_stack: int
    frame_warn: int
    preempt_count: int = 0


STACK_KINDS = {
    kind.name: kind
    for kind in (
        StackKind("6.12", 16384, True, 0, 16384, 2048),
        StackKind("2.6.34", 8192, False, 104, 16384, 2048, 28),
        StackKind("2.6.34-32bit", 8192, False, 72, 0, 1024, 20),
        StackKind("2.6.34-32bit-4k", 4096, False, 72, 4096, 1024, 20),
    )
}
"""The kinds that there are: today's, and those of 2.6.34 for 64 bits, for 32, and with CONFIG_4KSTACKS."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One call's share of a stack: from ``sp`` up, ``size`` bytes with the return address on top."""

    function: str
    sp: int
    size: int
    irq_cpu: int | None = None
    warning: str = ""

    @property
    def on_irq_stack(self) -> bool:
        """Whether it is on a stack of interrupts' own, that of CPU ``irq_cpu``."""
        return self.irq_cpu is not None


@dataclass(slots=True, eq=False)
class Task:
    """A task and its stack: ``stack`` is the lowest address, ``sp`` the lowest in use.

    Linux: struct task_struct, include/linux/sched.h
    """

    comm: str
    pid: int
    kind: StackKind
    stack: int
    sp: int
    frames: list[Frame] = field(default_factory=list)
    dead: bool = False

    @property
    def top(self) -> int:
        """The first address above the stack."""
        return self.stack + self.kind.size


@dataclass(slots=True, eq=False)
class Stacks:
    """All stacks of a machine; ``cached`` are the stacks that each CPU keeps, by address, 0 for none.

    ``irq`` are the interrupts' own stacks, by CPU and kind.

    Linux: cached_stacks and hardirq_stack_ptr, kernel/fork.c, arch/x86/include/asm/processor.h
    """

    space: VmapSpace
    tasks: list[Task] = field(default_factory=list)
    cached: list[list[int]] = field(default_factory=list)
    irq: dict[tuple[int, str], Task] = field(default_factory=dict)
    next_pid: int = 2

    def __post_init__(self) -> None:
        self.cached = [[0] * NR_CACHED_STACKS for _ in range(self.space.nr_cpus)]


def new_task(stacks: Stacks, comm: str, kind: StackKind) -> Task | None:
    """Return a new task with a stack of its own, or None when there is no memory.

    Linux: dup_task_struct(), kernel/fork.c
    """
    base = alloc_thread_stack(stacks, kind, comm)
    if not base:
        return None
    task = Task(comm, stacks.next_pid, kind, base, base + kind.size - THREAD_START)
    stacks.next_pid += 1
    account_kernel_stack(stacks, task, 1)
    set_task_stack_end_magic(stacks, task)
    stacks.tasks.append(task)
    stacks.space.emit(StackNew(task.pid, comm, base, kind.size))
    return task


def alloc_thread_stack(stacks: Stacks, kind: StackKind, caller: str = "") -> int:
    """Return the address of a stack full of zeros, or 0: one this CPU has kept, or a new one.

    Linux: alloc_thread_stack_node(), kernel/fork.c
    """
    space = stacks.space
    if not kind.vmapped:
        page = alloc_pages(space.node, THREADINFO_GFP, get_order(kind.size))
        return page_address(page) if page is not None else 0
    cached = stacks.cached[space.cpu]
    for slot, base in enumerate(cached):
        if base:
            cached[slot] = 0
            _poke(stacks, base, bytes(kind.size))
            space.emit(StackCacheDel(space.cpu, base))
            return base
    return vmalloc(space, kind.size, THREADINFO_GFP, caller, align=kind.size)


def free_thread_stack(stacks: Stacks, task: Task) -> None:
    """Take the stack of a task that ends; a CPU keeps two for later.

    Raises KernelBug if the task has ended before.

    Linux: free_thread_stack(), kernel/fork.c
    Simplified: at once; Linux waits until no CPU can still look at it.
    """
    if task.dead:
        raise KernelBug(f"task {task.comm} (pid {task.pid}) has ended already; its stack is somebody else's by now")
    task.dead = True
    account_kernel_stack(stacks, task, -1)
    stacks.tasks.remove(task)
    space = stacks.space
    if not task.kind.vmapped:
        space.emit(StackFree(task.pid, task.stack))
        page = space.node.page(virt_to_pfn(task.stack))
        free_pages(space.node, page, get_order(task.kind.size))
        return
    cached = stacks.cached[space.cpu]
    if 0 in cached:
        cached[cached.index(0)] = task.stack
        space.emit(StackCacheAdd(task.pid, space.cpu, task.stack))
    else:
        space.emit(StackFree(task.pid, task.stack))
        vfree(space, task.stack)


def account_kernel_stack(stacks: Stacks, task: Task, account: int) -> None:
    """Count the pages of a stack that comes into use (1) or goes out of it (-1), for the bank of each.

    Linux: account_kernel_stack(), kernel/fork.c
    """
    node = stacks.space.node
    for addr in range(task.stack, task.top, PAGE_SIZE):
        page = node.page(_physical(stacks, addr) >> PAGE_SHIFT)
        node.nr_kernel_stack[page.zone.nid] += account * PAGE_SIZE >> 10


def end_of_stack(task: Task) -> int:
    """Return the address of the lowest word that a stack may use; it holds the magic number.

    Linux: end_of_stack(), include/linux/sched/task_stack.h
    """
    return task.stack + task.kind.thread_info


def set_task_stack_end_magic(stacks: Stacks, task: Task) -> None:
    """Write the magic number, and thread_info where it lies on the stack.

    Linux: set_task_stack_end_magic(), kernel/fork.c
    """
    _poke(stacks, end_of_stack(task), STACK_END_MAGIC.to_bytes(8, "little"))
    if task.kind.thread_info:
        _poke(stacks, task.stack, task_address(task).to_bytes(8, "little"))


def task_address(task: Task) -> int:
    """Return the address of the task's task_struct, which thread_info begins with.

    Linux: no counterpart; there the structure is a slab object.
    """
    return PAGE_OFFSET + (1 << 32) + task.pid * 0x1A40


def task_stack_end_corrupted(stacks: Stacks, task: Task) -> bool:
    """Return whether the magic number is gone.  Linux: task_stack_end_corrupted(), include/linux/sched/task_stack.h"""
    return _peek(stacks, end_of_stack(task), 8) != STACK_END_MAGIC.to_bytes(8, "little")


def schedule_debug(stacks: Stacks, task: Task) -> None:
    """Look whether all is well, as the scheduler does whenever a task gives the CPU away.

    6.12 looks at the magic number (CONFIG_SCHED_STACK_END_CHECK).  2.6.34 looks only at the
    preemption count, which must be 0; it lies in thread_info.

    Raises KernelBug where something is wrong.

    Linux: schedule_debug(), kernel/sched/core.c
    """
    if task.kind.vmapped and task_stack_end_corrupted(stacks, task):
        stacks.space.node.dmesg.append("Kernel panic - not syncing: corrupted stack end detected inside scheduler")
        raise KernelBug(f"the last word of the stack of {task.comm} is not {STACK_END_MAGIC:#x}: a frame went over it")
    if task.kind.thread_info:
        count = int.from_bytes(_peek(stacks, task.stack + task.kind.preempt_count, 4), "little")
        if count:
            schedule_bug(stacks, task, count)


def schedule_bug(stacks: Stacks, task: Task, preempt_count: int) -> None:
    """Say that a task gives the CPU away where it must not, as 2.6.34 believes when thread_info is gone.

    Always raises KernelBug.

    Linux: __schedule_bug(), kernel/sched/core.c
    Simplified: stops at once; Linux goes on, and crashes soon, in a way that nobody can foretell.
    """
    stacks.space.node.dmesg.append(f"BUG: scheduling while atomic: {task.comm}/{task.pid}/0x{preempt_count:08x}")
    raise KernelBug(f"thread_info of {task.comm} has a preemption count of {preempt_count:#x}: a frame went over it")


def frame_size_warning(kind: StackKind, function: str, size: int) -> str:
    """Return what the compiler says of a function whose frame is too large, or the empty string.

    Linux: no counterpart; CONFIG_FRAME_WARN is handed to the compiler.
    """
    if size <= kind.frame_warn:
        return ""
    return (
        f"{function}: warning: the frame size of {size} bytes is larger than {kind.frame_warn} bytes "
        "[-Wframe-larger-than=]"
    )


def stack_call(stacks: Stacks, task: Task, function: str, size: int, *, interrupt: bool = False) -> Frame:
    """Call a function whose frame is ``size`` bytes; it writes all of them, lowest first.

    The return address takes 8 bytes more.  An ``interrupt`` runs on its own stack where the kind
    has one.  In teaching mode a frame that does not fit raises KernelBug and writes nothing;
    without teaching it goes over what is there, or meets the guard page.

    Linux: no counterpart; the compiler and the processor do it.
    """
    owner = _irq_owner(stacks, task) if interrupt and task.kind.irq_stack else task
    sp = owner.sp - 8 - size
    irq_cpu = stacks.space.cpu if owner is not task else None
    frame = Frame(function, sp, size + 8, irq_cpu, frame_size_warning(task.kind, function, size))
    if sp < end_of_stack(owner) + 8:
        _overflow(stacks, owner, frame)
    _write_frame(stacks, owner, frame)
    owner.sp = sp
    task.frames.append(frame)
    stacks.space.emit(StackPush(task.pid, function, sp, size + 8, frame.on_irq_stack))
    return frame


def _irq_owner(stacks: Stacks, task: Task) -> Task:
    """Return the stack of this CPU's interrupts, made when the first one comes."""
    cpu, kind = stacks.space.cpu, task.kind
    owner = stacks.irq.get((cpu, kind.name))
    if owner is None:
        own = replace(kind, size=kind.irq_stack, irq_stack=0)
        base = irq_init_percpu_irqstack(stacks, own.size) if kind.vmapped else alloc_thread_stack(stacks, own)
        if not base:
            raise KernelBug(f"no memory for the interrupt stack of CPU {cpu}; Linux takes it at boot")
        owner = Task(f"irq/{cpu}", 0, own, base, base + own.size)
        set_task_stack_end_magic(stacks, owner)
        stacks.irq[cpu, kind.name] = owner
    return owner


def irq_init_percpu_irqstack(stacks: Stacks, size: int) -> int:
    """Return the address of a stack for a CPU's interrupts, or 0: pages that it has, mapped with a guard page.

    Linux: irq_init_percpu_irqstack(), map_irq_stack(), arch/x86/kernel/irq_64.c
    Simplified: there the pages are of the CPU's own variables, and it happens at boot.
    """
    node, nr_pages = stacks.space.node, size >> PAGE_SHIFT
    pages = vm_area_alloc_pages(node, THREADINFO_GFP, nr_pages)
    base = vmap(stacks.space, pages, caller="irq_init_percpu_irqstack") if len(pages) == nr_pages else 0
    for page in pages if not base else ():
        free_pages(node, page, 0)
    return base


def _overflow(stacks: Stacks, task: Task, frame: Frame) -> None:
    """A frame does not fit: where the kernel would be silent a teacher speaks up, else it goes on."""
    what = _what_is_below(stacks, task, frame.sp)
    if stacks.space.node.teaching and _mapped(stacks, frame.sp):
        room = task.sp - end_of_stack(task) - 8
        raise KernelBug(
            f"stack overflow: {frame.function} needs {frame.size} bytes, the {task.kind.size}-byte stack of "
            f"{task.comm} has {max(room, 0)} left; the frame would go over {what}, and nobody would notice"
        )
    stacks.space.emit(StackOver(task.pid, frame.sp, what))


def _what_is_below(stacks: Stacks, task: Task, sp: int) -> str:
    if sp >= end_of_stack(task):
        return "the magic number"
    if sp >= task.stack:
        return "thread_info"
    if task.kind.vmapped:
        vm = find_vm_area(stacks.space, sp)
        below = vm is not None and sp < vm.addr + vm.mapped_size
        return f"the area at {vm.addr:#x}" if vm is not None and below else "the guard page"
    for other in stacks.tasks:
        if other.stack <= sp < other.top:
            return f"the stack of {other.comm}"
    return f"page frame {virt_to_pfn(sp)}"


def _write_frame(stacks: Stacks, task: Task, frame: Frame) -> None:
    """Write the return address, then the rest from the lowest byte up, as far as memory is there."""
    above = frame.sp + frame.size - 8
    if not _mapped(stacks, above):
        handle_stack_overflow(stacks, task, above + 8)
    _poke(stacks, above, (CALLER_ADDRESS + 16 * len(task.frames)).to_bytes(8, "little"))
    addr = frame.sp
    while addr < above:
        part = min(PAGE_SIZE - addr % PAGE_SIZE, above - addr)
        if not _mapped(stacks, addr):
            handle_stack_overflow(stacks, task, frame.sp)
        _poke(stacks, addr, bytes([FILL]) * part)
        addr += part


def handle_stack_overflow(stacks: Stacks, task: Task, sp: int) -> None:
    """Report that a task hit what is not mapped below its stack, and stop everything.

    The processor wants to put the reason for the fault on the stack, aligned to 16 bytes, and
    that faults too; the address reported is that of this second fault.  A frame so large that
    it lands beyond the one page below the stack is not known as an overflow.

    Always raises KernelBug: nothing goes on after this.

    Linux: handle_stack_overflow(), arch/x86/kernel/traps.c
    """
    dmesg, hit = stacks.space.node.dmesg, (sp & -16) - 8
    if task.stack - PAGE_SIZE <= hit < task.stack:
        kind = "IRQ" if task.comm.startswith("irq/") else "TASK"
        dmesg += [
            f"BUG: {kind} stack guard page was hit at {hit:016x} "
            f"(stack is {task.stack:016x}..{task.top:016x})",
            "Oops: stack guard page: 0000 [#1] PREEMPT SMP NOPTI",
        ]
    else:
        show_fault_oops(stacks.space, sp, 2)
    dmesg.append("Kernel panic - not syncing: Fatal exception in interrupt")
    raise KernelBug(f"stack overflow of {task.comm}: {hit:#x} is below its stack, "
                    f"which begins at {task.stack:#x}")


def stack_return(stacks: Stacks, task: Task) -> None:
    """Return from the function called last; its bytes stay until the next call.

    Raises KernelBug where there is no caller to go back to.

    Linux: no counterpart; the compiler and the processor do it.
    """
    if not task.frames:
        raise KernelBug(f"{task.comm} has returned from its first function already; there is no frame left")
    frame = task.frames.pop()
    owner = stacks.irq[frame.irq_cpu, task.kind.name] if frame.irq_cpu is not None else task
    owner.sp = frame.sp + frame.size
    stacks.space.emit(StackPop(task.pid))


def _mapped(stacks: Stacks, addr: int) -> bool:
    if is_vmalloc_addr(addr):
        return mapped_pfn(stacks.space.tables, addr) is not None
    return stacks.space.node.pfn_to_page(virt_to_pfn(addr)) is not None


def _physical(stacks: Stacks, addr: int) -> int:
    if not is_vmalloc_addr(addr):
        return addr - PAGE_OFFSET
    pfn = mapped_pfn(stacks.space.tables, addr)
    assert pfn is not None, f"{addr:#x} of a stack is not mapped"
    return (pfn << PAGE_SHIFT) + addr % PAGE_SIZE


def _poke(stacks: Stacks, addr: int, data: bytes) -> None:
    """Store bytes at an address of a stack, page by page."""
    done = 0
    while done < len(data):
        part = min(PAGE_SIZE - (addr + done) % PAGE_SIZE, len(data) - done)
        stacks.space.node.memory.write(_physical(stacks, addr + done), data[done : done + part])
        done += part


def _peek(stacks: Stacks, addr: int, size: int) -> bytes:
    """Read bytes that lie in one page."""
    return stacks.space.node.memory.read(_physical(stacks, addr), size)
