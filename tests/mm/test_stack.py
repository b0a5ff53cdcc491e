"""Kernel stacks: where they are, what they hold, and what an overflow does in each kernel."""

import random

import pytest

from kmm_sim import GFP_KERNEL, PAGE_SIZE, KernelBug, Machine
from kmm_sim.mm.stack import STACK_END_MAGIC, STACK_KINDS, end_of_stack, frame_size_warning, task_stack_end_corrupted
from kmm_sim.mm.vmap_area import VMALLOC_START
from kmm_sim.observe import (
    kernel_stack_kb,
    stack_replay,
    stack_snapshot,
    validate,
    validate_stacks,
    validate_vmalloc,
    vmallocinfo,
)

KIB = 1024
MAGIC = STACK_END_MAGIC.to_bytes(8, "little")


@pytest.fixture
def machine():
    return Machine(memory="64 MiB")


@pytest.fixture
def linux():
    """A machine that does what Linux does, and says no more."""
    return Machine(memory="64 MiB", teaching=False)


def test_stacks_of_612_are_16_kib_from_vmalloc_one_every_32_kib(machine):
    tasks = [machine.new_task(f"t{nth}") for nth in range(3)]
    assert [task.stack - VMALLOC_START for task in tasks] == [0, 32 * KIB, 64 * KIB]
    assert all(task.stack % (16 * KIB) == 0 for task in tasks)
    assert " 20480 t0 pages=4 vmalloc N0=4\n" in vmallocinfo(machine)
    assert kernel_stack_kb(machine) == 48


def test_stacks_of_2634_are_two_pages_of_the_page_allocator(machine):
    task = machine.new_task(kernel="2.6.34")
    page = machine.virt_to_page(task.stack)
    assert (page.order, task.stack % (8 * KIB)) == (1, 0)


def test_the_lowest_word_is_magic_and_in_26_it_lies_above_thread_info(machine):
    new, old = machine.new_task(), machine.new_task(kernel="2.6.34")
    assert machine.read(new.stack, 8) == MAGIC
    assert (end_of_stack(old) - old.stack, machine.read(end_of_stack(old), 8)) == (104, MAGIC)
    machine.check_stack(new)
    machine.check_stack(old)


def test_a_frame_is_below_the_callers_and_holds_its_bytes_and_a_return_address(machine):
    task = machine.new_task()
    first = machine.stack_call(task, "open", 100)
    second = machine.stack_call(task, "read", 50)
    assert second.sp == first.sp - 58
    assert machine.read(second.sp, 50) == b"\x5a" * 50
    assert machine.read(second.sp + 50, 8)[-4:] == b"\xff" * 4
    machine.stack_return(task)
    assert task.sp == first.sp
    machine.stack_return(task)
    with pytest.raises(KernelBug, match="no frame left"):
        machine.stack_return(task)


def test_the_recorded_overflow_is_reported_as_recorded(machine):
    """dmesg of 6.12.117: a thread whose function recurses with frames of 536 bytes, and fills 512 of them."""
    task = machine.new_task("mmt-recurse")
    for _ in range(30):  # recorded: RBX, the depth, is 0x1e
        machine.stack_call(task, "recurse", 528)
    with pytest.raises(KernelBug, match="stack overflow of mmt-recurse"):
        machine.stack_call(task, "recurse", 528)
    guard = task.stack - PAGE_SIZE  # recorded: ffffc90000607e08, stack ffffc90000608000..ffffc9000060c000
    assert machine.dmesg[-3:] == [
        f"BUG: TASK stack guard page was hit at {guard + 0xE08:016x} (stack is {task.stack:016x}..{task.top:016x})",
        "Oops: stack guard page: 0000 [#1] PREEMPT SMP NOPTI",
        "Kernel panic - not syncing: Fatal exception in interrupt",
    ]
    validate_stacks(machine)


def test_a_call_at_the_very_end_reports_the_pushed_address(linux):
    """dmesg of a debug build: hit at ...bff8 where the stack begins at ...c000."""
    task = linux.new_task()
    linux.stack_call(task, "most", 16384 - 256 - 8)
    assert task.sp == task.stack
    with pytest.raises(KernelBug):
        linux.stack_call(task, "one more", 0)
    assert f"hit at {task.stack - 8:016x} " in linux.dmesg[-3]


def test_a_frame_that_jumps_over_the_guard_page_lands_in_the_neighbour_in_silence(linux):
    below, task = linux.new_task("below"), linux.new_task("above")
    linux.stack_call(below, "innocent", 64)
    linux.stack_call(task, "fill", 16384 - 256 - 8 - 8)
    frame_to_neighbour = task.sp - below.top + 100
    with pytest.raises(KernelBug):  # it fills all of its frame: the hole between the stacks stops it, later
        linux.stack_call(task, "huge", frame_to_neighbour)
    assert linux.read(below.top - 50, 4) == b"\x5a" * 4, "but the neighbour's bytes are gone"


def test_a_teacher_stops_a_silent_overflow_before_it_writes(machine):
    task = machine.new_task(kernel="2.6.34")
    machine.stack_call(task, "deep", 7000)
    with pytest.raises(KernelBug, match=r"big needs 1008 bytes, the 8192-byte stack of task has 816 left"):
        machine.stack_call(task, "big", 1000)
    validate_stacks(machine)
    assert len(task.frames) == 1


def test_in_2634_the_magic_goes_first_then_thread_info_then_the_neighbour(linux):
    neighbour = linux.alloc_pages(GFP_KERNEL, 1)
    address = linux.page_address(neighbour)
    linux.write(address + 2 * PAGE_SIZE - 6, b"ledger")
    task = linux.new_task(kernel="2.6.34")
    assert task.stack == address + 2 * PAGE_SIZE, "the stack lies right above the neighbour's pages"
    room = task.sp - end_of_stack(task) - 8
    linux.stack_call(task, "just fits", room - 8)
    assert not task_stack_end_corrupted(linux.stacks, task)
    linux.stack_call(task, "tiny", 0)
    assert task_stack_end_corrupted(linux.stacks, task)
    linux.check_stack(task)  # nobody looks at the magic number
    linux.stack_call(task, "small", 96)
    with pytest.raises(KernelBug, match="thread_info of task has a preemption count of 0x5a5a5a5a"):
        linux.check_stack(task)
    assert linux.dmesg == [f"BUG: scheduling while atomic: task/{task.pid}/0x5a5a5a5a"]
    assert linux.read(address + 2 * PAGE_SIZE - 6, 6) == b"ledger"
    linux.stack_call(task, "last", 100)
    assert linux.read(address + 2 * PAGE_SIZE - 6, 6)[2:] == b"\xff" * 4, "a return address went over it"


def test_612_panics_when_the_scheduler_finds_the_magic_gone(linux):
    task = linux.new_task()
    linux.write(task.stack, b"\0")
    with pytest.raises(KernelBug, match="the last word of the stack"):
        linux.check_stack(task)
    assert linux.dmesg == ["Kernel panic - not syncing: corrupted stack end detected inside scheduler"]


@pytest.mark.parametrize(("kernel", "shared"), [("2.6.34-32bit", True), ("2.6.34-32bit-4k", False), ("6.12", False)])
def test_an_interrupt_uses_the_tasks_stack_or_its_own(machine, kernel, shared):
    task = machine.new_task(kernel=kernel)
    machine.stack_call(task, "sys_read", 200)
    before = task.sp
    frame = machine.stack_call(task, "do_IRQ", 300, interrupt=True)
    assert (frame.on_irq_stack, task.sp < before) == (not shared, shared)
    machine.stack_return(task)
    assert task.sp == before


def test_what_fits_in_8_kib_with_interrupts_may_not_fit_in_4(machine):
    """2.9 KiB of calls and 2 KiB of interrupt: 8 KiB shared hold both, 4 KiB only with a stack for interrupts."""
    for kernel in ("2.6.34-32bit", "2.6.34-32bit-4k"):
        task = machine.new_task(kernel=kernel)
        machine.stack_call(task, "nfs_over_xfs_over_raid", 2900)
        machine.stack_call(task, "do_IRQ", 2000, interrupt=True)
    with pytest.raises(KernelBug, match="4096-byte stack"):
        machine.stack_call(task, "one more", 1000)


def test_the_compiler_warns_of_large_frames(machine):
    kind = STACK_KINDS["6.12"]
    assert frame_size_warning(kind, "f", 2048) == ""
    assert machine.stack_call(machine.new_task(), "f", 2064).warning == (
        "f: warning: the frame size of 2064 bytes is larger than 2048 bytes [-Wframe-larger-than=]")


def test_a_cpu_keeps_two_stacks_of_dead_tasks_and_gives_them_out_clean(machine):
    tasks = [machine.new_task(f"t{nth}") for nth in range(3)]
    machine.stack_call(tasks[0], "f", 500)
    lazy = machine.vmap_space.nr_lazy
    for task in tasks:
        machine.end_task(task)
    assert stack_snapshot(machine).cached == tuple((0, task.stack) for task in tasks[:2])
    assert machine.vmap_space.nr_lazy - lazy == 5
    again = machine.new_task("again")
    assert again.stack == tasks[0].stack
    assert machine.read(again.stack + 8, 16 * KIB - 8) == bytes(16 * KIB - 8)
    with pytest.raises(KernelBug, match="has ended already"):
        machine.end_task(tasks[0])


def test_a_kernel_and_a_frame_must_exist(machine):
    with pytest.raises(ValueError, match=r"there are 6\.12, 2\.6\.34"):
        machine.new_task(kernel="3.0")
    with pytest.raises(ValueError, match="0 bytes or more"):
        machine.stack_call(machine.new_task(), "f", -1)


def test_without_memory_there_is_no_task():
    bench = Machine(pages=4)
    assert bench.new_task() is None
    assert [bench.new_task(kernel="2.6.34") is None for _ in range(3)] == [False, False, True]
    validate(bench)


@pytest.mark.parametrize("seed", range(6))
def test_the_trace_alone_rebuilds_the_stacks(seed):
    machine, rng = Machine(memory="64 MiB", cpus=2), random.Random(seed)
    start = stack_snapshot(machine)
    for nth in range(300):
        machine.cpu = rng.randrange(2)
        tasks = machine.stacks.tasks
        what = rng.random()
        if not tasks or what < 0.15:
            machine.new_task(f"t{nth}", rng.choice(list(STACK_KINDS)))
        elif what < 0.25:
            machine.end_task(rng.choice(tasks))
        elif what < 0.6:
            task = rng.choice(tasks)
            try:
                machine.stack_call(task, f"f{nth}", rng.randrange(400))
            except KernelBug:
                assert task.sp - task.stack < 700
        elif (task := rng.choice(tasks)).frames:
            machine.stack_return(task)
        validate_stacks(machine)
    assert stack_replay(start, machine.trace) == stack_snapshot(machine)
    validate(machine)
    validate_vmalloc(machine)
