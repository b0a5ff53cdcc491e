"""What a distribution's kernel does with a broken caller, beside what was recorded: often nothing at all."""

import random
import re
from pathlib import Path

import pytest

from kmm_sim import GFP_KERNEL, KernelBug, Machine
from kmm_sim.calls.slab import ALLOCATORS
from kmm_sim.mm.slab_common import SlabFlags
from kmm_sim.observe import replay, slab_replay, slab_snapshot, snapshot, validate, validate_slab

DATA = Path(__file__).parents[1] / "data"
ADDRESS = re.compile(r"\b(0x)?[0-9a-f]{15,16}\b")


def recorded(name):
    """The lines of a report, without times; addresses replaced by #."""
    lines = (DATA / f"linux-6.12.117-dmesg-{name}.txt").read_text().splitlines()
    return [ADDRESS.sub("#", re.sub(r"^\[ *[\d.]+\] ", "", line)) for line in lines]


def told(machine):
    return [ADDRESS.sub("#", line) for line in machine.dmesg]


def linux(**options):
    return Machine(memory="448 MiB", teaching=False, **options)


def numbered(addrs):
    """Name addresses by their first appearance: a, b, a is 0, 1, 0."""
    addrs = list(addrs)
    seen = list(dict.fromkeys(addrs))
    return [seen.index(addr) for addr in addrs]


def test_a_page_given_to_kfree_is_freed_and_warned_of_once():
    machine = linux()
    page = machine.alloc_page(GFP_KERNEL)
    machine.kfree(machine.page_address(page))
    assert told(machine) == recorded("kfree_page")
    assert page.pfn not in snapshot(machine).allocated
    machine.kfree(machine.get_free_page(GFP_KERNEL))
    assert len(machine.dmesg) == 4, "the kernel says it once"


def test_an_address_of_vmalloc_given_to_kfree_is_a_page_fault():
    machine = linux()
    with pytest.raises(KernelBug, match="not even a struct page"):
        machine.kfree(machine.vmalloc(4096))
    assert told(machine) == recorded("kfree_vmalloc")[:-1]


def test_the_recorded_addresses_are_those_that_arithmetic_leads_to():
    machine = linux()
    for wild, name in ((0xDEAD4EAD00000000, "kfree_wild"), (0xFFFFC9000004D000, "kfree_vmalloc")):
        with pytest.raises(KernelBug):
            machine.kfree(wild)
        first = (DATA / f"linux-6.12.117-dmesg-{name}.txt").read_text().splitlines()[0].partition("] ")[2]
        assert first in machine.dmesg


def test_eight_mebibytes_are_an_order_that_no_block_has():
    machine = linux()
    machine.current.pid = 132
    assert machine.kmalloc(8 << 20, GFP_KERNEL) == 0
    assert told(machine) == recorded("kmalloc_too_big")[:3]
    assert recorded("kmalloc_too_big")[3] == "kmalloc(8M) = #"


def test_a_second_cache_of_a_name_is_warned_of_by_a_debug_kernel_and_made():
    machine = linux()
    machine.kmalloc(64, GFP_KERNEL)
    assert machine.kmem_cache_create("kmalloc-64", 64, flags=SlabFlags.NO_MERGE)
    assert machine.dmesg == []
    machine.slabs.debug_vm = True
    assert machine.kmem_cache_create("kmalloc-64", 72, flags=SlabFlags.NO_MERGE)
    assert machine.dmesg == recorded("kmem_cache_dup_name")[:2]


def test_an_address_inside_an_object_is_handed_out_next():
    machine = linux()
    p = machine.kmalloc(64, GFP_KERNEL)
    machine.kfree(p + 8)
    got = machine.kmalloc(64, GFP_KERNEL)
    text = (DATA / "linux-6.12.117-dmesg-kfree_misaligned.txt").read_text()
    line = re.search(r"next kmalloc\(64\) (\w+), was (\w+)", text)
    assert got - p == int(line[1], 16) - int(line[2], 16) == 8
    assert machine.dmesg == []


def free_aba(machine):
    a, b = machine.kmalloc(64, GFP_KERNEL), machine.kmalloc(64, GFP_KERNEL)
    for p in (a, b, a):
        machine.kfree(p)
    return a, b


def allocated(name):
    """The addresses that a recording's requests got, in the order of its first owners."""
    return numbered(re.findall(r"alloc \d -> (\w+)", (DATA / f"linux-6.12.117-dmesg-{name}.txt").read_text()))


def test_freed_twice_with_another_in_between_two_objects_are_handed_out_for_ever():
    machine = linux()
    free_aba(machine)
    theirs = allocated("slub_double_free2_debug")
    assert numbered(machine.kmalloc(64, GFP_KERNEL) for _ in theirs) == theirs == [0, 1, 0, 1, 0, 1]
    assert machine.dmesg == []


def test_with_hardening_and_zeros_the_fourth_request_follows_what_is_no_pointer():
    machine = linux(slab_hardened=3)
    machine.node.init_on_alloc = True
    free_aba(machine)
    theirs = allocated("slub_double_free2")
    assert numbered(machine.kmalloc(64, GFP_KERNEL) for _ in theirs) == theirs == [0, 1, 0]
    with pytest.raises(KernelBug, match="leads to"):
        machine.kmalloc(64, GFP_KERNEL)
    assert told(machine) == recorded("slub_double_free2")[3:4]
    assert machine.kmalloc(64, GFP_KERNEL), "whoever comes after gets another object"


def test_freed_twice_in_a_row_one_object_is_handed_out_for_ever():
    machine = linux()
    p = machine.kmalloc(64, GFP_KERNEL)
    machine.kfree(p)
    machine.kfree(p)
    assert {machine.kmalloc(64, GFP_KERNEL) for _ in range(4)} == {p}
    assert machine.dmesg == []


def test_a_wrong_cache_is_noticed_by_a_hardened_kernel_or_a_checked_cache_alone():
    for options, flags, noticed in (
        ({}, 0, False), ({"slab_hardened": 1}, 0, True), ({}, SlabFlags.CONSISTENCY_CHECKS, True),
    ):  # fmt: skip
        machine = linux(**options)
        one = machine.kmem_cache_create("one", 64, flags=SlabFlags.NO_MERGE)
        other = machine.kmem_cache_create("other", 64, flags=SlabFlags.NO_MERGE | flags)
        p = machine.kmem_cache_alloc(one, GFP_KERNEL)
        machine.kmem_cache_free(other, p)
        wrong = ["cache_from_obj: Wrong slab cache. other but object is from one"]
        assert machine.dmesg == (wrong if noticed else [])
        assert machine.kmem_cache_alloc(one, GFP_KERNEL) == p
        validate_slab(machine)


@pytest.mark.parametrize("slab", ALLOCATORS)
def test_a_cache_with_objects_is_reported_and_its_user_goes_on(slab):
    machine = linux(slab=slab)
    cache = machine.kmem_cache_create("leaky", 300)
    p = machine.kmem_cache_alloc(cache, GFP_KERNEL)
    machine.kmem_cache_destroy(cache)
    assert machine.dmesg[-1] == "kmem_cache_destroy leaky: Slab cache still has objects when called"
    machine.kmem_cache_free(cache, p)
    validate_slab(machine)


@pytest.mark.parametrize("slab", ALLOCATORS)
def test_an_object_freed_twice_has_two_owners_or_is_left_alone_and_nobody_says_so(slab):
    machine = linux(slab=slab)
    cache = machine.kmem_cache_create("example", 300)
    keep = [machine.kmem_cache_alloc(cache, GFP_KERNEL) for _ in range(3)]
    p = machine.kmem_cache_alloc(cache, GFP_KERNEL)
    machine.kmem_cache_free(cache, p)
    machine.kmem_cache_free(cache, p)
    got = [machine.kmem_cache_alloc(cache, GFP_KERNEL) for _ in range(2)]
    assert (got == [p, p]) == (slab != "slob")
    assert machine.dmesg == []
    assert not set(got) & set(keep)


@pytest.mark.parametrize("slab", ALLOCATORS)
def test_a_destroyed_cache_is_no_cache_any_more(slab):
    machine = Machine(pages=64, slab=slab)
    cache = machine.kmem_cache_create("gone", 300)
    p = machine.kmem_cache_alloc(cache, GFP_KERNEL)
    machine.kmem_cache_free(cache, p)
    machine.kmem_cache_destroy(cache)
    for call in (
        lambda: machine.kmem_cache_alloc(cache, GFP_KERNEL), lambda: machine.kmem_cache_free(cache, p),
        lambda: machine.kmem_cache_shrink(cache), lambda: machine.kmem_cache_zalloc(cache, GFP_KERNEL),
    ):  # fmt: skip
        with pytest.raises(KernelBug, match="use after free: the cache gone was destroyed"):
            call()
    with pytest.raises(KernelBug, match="was destroyed already"):
        machine.kmem_cache_destroy(cache)


def test_zeros_and_a_constructor_do_not_go_together():
    machine = Machine(pages=64)
    cache = machine.kmem_cache_create("built", 300, ctor=lambda ptr: None)
    with pytest.raises(KernelBug, match="built has a constructor"):
        machine.kmem_cache_zalloc(cache, GFP_KERNEL)
    silent = linux()
    cache = silent.kmem_cache_create("built", 300, ctor=lambda ptr: None)
    for _ in range(40):
        assert silent.kmem_cache_zalloc(cache, GFP_KERNEL)
    assert silent.dmesg == [
        "------------[ cut here ]------------", "WARNING: CPU: 0 PID: 130 at mm/slub.c:2700 new_slab"]


@pytest.mark.parametrize("kernel", ["6.12", "2.6.34"])
@pytest.mark.parametrize("slab", ALLOCATORS)
def test_kfree_of_a_stack_says_whose_it_is(slab, kernel):
    machine = Machine(memory="64 MiB", slab=slab)
    task = machine.new_task("worker", kernel)
    with pytest.raises(KernelBug, match=f"{task.sp:#x} lies on the stack of worker"):
        machine.kfree(task.sp)
    with pytest.raises(KernelBug, match=r"no address of kmalloc\(\) but of vmalloc\(\)"):
        machine.kfree(machine.vmalloc(4096))


@pytest.mark.parametrize("hardened", [None, 5])
@pytest.mark.parametrize("cpus", [1, 2])
def test_whatever_a_caller_breaks_the_books_are_right_and_the_trace_tells(hardened, cpus):
    rng = random.Random(9)
    machine = Machine(pages=2048, teaching=False, cpus=cpus, slab_hardened=hardened)
    start, before = snapshot(machine), slab_snapshot(machine)
    held, gone = [], []
    for step in range(1500):
        machine.cpu = rng.randrange(cpus)
        what = rng.random()
        try:
            if what < 0.5 or not held:
                held.append(machine.kmalloc(rng.choice((8, 64, 200, 1000)), GFP_KERNEL))
            elif what < 0.9:
                gone.append(held.pop(rng.randrange(len(held))))
                machine.kfree(gone[-1])
            elif what < 0.95 and gone:
                machine.kfree(rng.choice(gone))
            else:
                machine.kfree(rng.choice(held) + 8)
        except KernelBug:
            pass  # a chain that leads to no address
        if step % 50 == 0:
            validate_slab(machine)
    assert machine.slabs.broken
    validate_slab(machine)
    validate(machine)
    assert slab_replay(before, machine.trace) == slab_snapshot(machine)
    assert replay(start, machine.trace) == snapshot(machine)
