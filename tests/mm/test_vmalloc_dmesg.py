"""The kernel's reports, line for line beside the recorded ones; only addresses and page frames differ."""

import re
from pathlib import Path

import pytest

from kmm_sim import PAGE_SIZE, ContextError, KernelBug, Machine

DATA = Path(__file__).parents[1] / "data"
NUMBER = re.compile(r"\b[0-9a-f]{16}\b|\b[0-9a-f]{4,13}067\b")


def recorded(name):
    """The lines of a report, without times; addresses and table entries replaced by #."""
    text = (DATA / f"linux-6.12.117-vmalloc-dmesg-{name}.txt").read_text()
    return [NUMBER.sub("#", re.sub(r"^\[ *[\d.]+\] ", "", line)) for line in text.splitlines()]


def told(machine):
    return [NUMBER.sub("#", line) for line in machine.dmesg]


def assert_in_order(ours, theirs):
    """Each of our lines is in the report, and in the same order."""
    rest = iter(theirs)
    for line in ours:
        assert line in rest, f"not in the recorded report, or not there: {line}"


@pytest.fixture
def linux():
    return Machine(memory="448 MiB", teaching=False)


def test_writing_to_the_guard_page(linux):
    addr = linux.vmalloc(8192)
    with pytest.raises(KernelBug):
        linux.write(addr + 8192, b"\1")
    assert len(told(linux)) == 5
    assert_in_order(told(linux), recorded("vmalloc_guard"))


def test_overflowing_a_stack(linux):
    task = linux.new_task("mmt-recurse")
    for _ in range(30):
        linux.stack_call(task, "recurse", 528)
    with pytest.raises(KernelBug):
        linux.stack_call(task, "recurse", 528)
    assert len(told(linux)) == 3
    assert_in_order(told(linux), recorded("stack_overflow"))


def test_vfree_of_an_odd_address(linux):
    addr = linux.vmalloc(8192)
    linux.vfree(addr + PAGE_SIZE)
    assert told(linux) == []  # recorded: nothing before the two dashes
    addr = linux.vmalloc(8192)
    linux.vfree(addr + 10)
    assert len(told(linux)) == 4
    assert_in_order(told(linux), recorded("vfree_bad"))


def test_vfree_of_what_kmalloc_returned(linux):
    linux.vfree(linux.get_free_page(0xCC0))
    assert len(told(linux)) == 2
    assert_in_order(told(linux), recorded("vfree_kmalloc"))


def test_asking_for_more_than_there_is(linux):
    assert linux.vmalloc(1 << 40) == 0
    assert linux.dmesg[0] == recorded("vmalloc_too_big")[1]
    assert linux.dmesg[1] == "Mem-Info:"


def test_vmalloc_under_a_spinlock_as_a_debug_build_sees_it(linux):
    linux.current.pid, linux.node.debug_atomic_sleep = 36, True
    with linux.context("spinlock"):
        assert linux.vmalloc(4096)
    assert len(told(linux)) == 3
    assert_in_order(told(linux), recorded("debug_vmalloc_atomic"))


def test_the_order_of_lines_is_looked_at():
    with pytest.raises(AssertionError, match="not there: a"):
        assert_in_order(["b", "a"], ["a", "b"])


def test_vmalloc_in_an_interrupt_stops_the_kernel(linux):
    with linux.context("softirq"), pytest.raises(ContextError):
        linux.vmalloc(4096)
    assert told(linux)[0] == "------------[ cut here ]------------"
