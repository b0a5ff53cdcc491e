"""Per-CPU memory: the same offset in each CPU's unit, pages only where somebody is."""

import random

import pytest

from kmm_sim import PAGE_SIZE, KernelBug, Machine
from kmm_sim.mm.percpu import PCPU_UNIT_SIZE
from kmm_sim.observe import (
    percpu_replay,
    percpu_snapshot,
    snapshot,
    validate,
    validate_vmalloc,
    vmalloc_meminfo,
    vmap_replay,
    vmap_snapshot,
)


@pytest.fixture
def machine():
    return Machine(memory="64 MiB", cpus=4)


def test_each_cpu_adds_to_its_own_and_who_wants_the_sum_adds_them_up(machine):
    counter = machine.alloc_percpu(8)
    for cpu in range(4):
        machine.cpu = cpu
        machine.this_cpu_add(counter, 10 + cpu)
    values = [int.from_bytes(machine.read(machine.per_cpu_ptr(counter, cpu), 8), "little") for cpu in range(4)]
    assert values == [10, 11, 12, 13]
    assert machine.this_cpu_read(counter) == 13


def test_a_number_wraps_at_its_size(machine):
    counter = machine.alloc_percpu(4)
    machine.this_cpu_add(counter, -1, size=4)
    assert machine.this_cpu_read(counter, size=4) == 0xFFFF_FFFF
    machine.this_cpu_add(counter, 2, size=4)
    assert machine.this_cpu_read(counter, size=4) == 1


def test_the_copies_are_one_unit_apart(machine):
    ptr = machine.alloc_percpu(8)
    assert [machine.per_cpu_ptr(ptr, cpu) - ptr for cpu in range(4)] == [at * PCPU_UNIT_SIZE for at in range(4)]


def test_the_first_fit_is_taken_and_aligned(machine):
    one, two, three = (machine.alloc_percpu(size, align) for size, align in ((6, 4), (100, 64), (4, 4)))
    assert [two - one, three - one] == [64, 8]
    machine.free_percpu(two)
    assert machine.alloc_percpu(100, 64) == two


def test_pages_come_when_an_offset_is_used_first_one_for_each_cpu(machine):
    assert "Percpu:                0 kB" in vmalloc_meminfo(machine)
    machine.alloc_percpu(8)
    assert "Percpu:               16 kB" in vmalloc_meminfo(machine)
    machine.alloc_percpu(8)
    assert "Percpu:               16 kB" in vmalloc_meminfo(machine)
    machine.alloc_percpu(PAGE_SIZE)
    assert "Percpu:               32 kB" in vmalloc_meminfo(machine)


def test_what_is_given_out_is_zero_again(machine):
    ptr = machine.alloc_percpu(8)
    machine.this_cpu_add(ptr, 5)
    machine.free_percpu(ptr)
    assert machine.alloc_percpu(8) == ptr
    assert machine.this_cpu_read(ptr) == 0


@pytest.mark.parametrize(("wrong", "sentence"), [(4, "the middle of 8 bytes"), (PCPU_UNIT_SIZE, "another CPU's copy"),
                                                 (1 << 30, "no per-CPU memory")])
def test_free_percpu_takes_only_what_was_given(machine, wrong, sentence):
    ptr = machine.alloc_percpu(8)
    before = percpu_snapshot(machine)
    with pytest.raises(KernelBug, match=sentence):
        machine.free_percpu(ptr + wrong)
    assert percpu_snapshot(machine) == before
    machine.free_percpu(ptr)
    with pytest.raises(KernelBug, match="double free"):
        machine.free_percpu(ptr)


@pytest.mark.parametrize("call", [lambda m: m.alloc_percpu(0), lambda m: m.alloc_percpu(1 << 20),
                                  lambda m: m.alloc_percpu(8, 3), lambda m: m.per_cpu_ptr(0, 4)])
def test_sizes_alignments_and_cpus_have_a_range(machine, call):
    with pytest.raises(ValueError, match=r"out of range|power of two|has the CPUs"):
        call(machine)


def test_without_memory_there_is_none():
    bench = Machine(pages=8, cpus=2)
    assert bench.alloc_percpu(PCPU_UNIT_SIZE) == 0
    validate(bench)
    validate_vmalloc(bench)


@pytest.mark.parametrize("seed", range(4))
def test_the_trace_alone_rebuilds_it(seed):
    machine, rng, held = Machine(memory="64 MiB", cpus=3), random.Random(seed), []
    start, addresses = percpu_snapshot(machine), vmap_snapshot(machine)
    for _ in range(200):
        if held and rng.random() < 0.45:
            machine.free_percpu(held.pop(rng.randrange(len(held))))
        else:
            held.append(machine.alloc_percpu(rng.choice((4, 8, 24, 3000, 9000)), rng.choice((1, 8, 64))))
        validate_vmalloc(machine)
    assert percpu_replay(start, machine.trace) == percpu_snapshot(machine)
    assert vmap_replay(addresses, machine.trace) == vmap_snapshot(machine)
    for ptr in held:
        machine.free_percpu(ptr)
    (chunk,) = machine.percpu.chunks
    held_pages = sum(1 << block.order for block in snapshot(machine).allocated.values())
    assert held_pages == len(chunk.pages) + len(machine.vmap_space.tables.made)
