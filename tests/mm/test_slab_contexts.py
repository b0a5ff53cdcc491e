"""Where nobody may sleep: the slab layer looks at the mask first, whether an object is at hand or not."""

import pytest

from kmm_sim import GFP_ATOMIC, GFP_KERNEL, GFP_NOFS, ContextError, Machine
from kmm_sim.calls.slab import ALLOCATORS
from kmm_sim.observe import validate_slab

REPORT = [
    "BUG: sleeping function called from invalid context at include/linux/sched/mm.h:321",
    "in_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: 130, name: insmod",
    "preempt_count: 1, expected: 0",
]
CALLS = {
    "kmalloc": lambda m, c, p: m.kmalloc(64, GFP_KERNEL),
    "kzalloc": lambda m, c, p: m.kzalloc(64, GFP_KERNEL),
    "kmalloc_array": lambda m, c, p: m.kmalloc_array(4, 16, GFP_KERNEL),
    "a large kmalloc": lambda m, c, p: m.kmalloc(9000, GFP_KERNEL),
    "kmem_cache_alloc": lambda m, c, p: m.kmem_cache_alloc(c, GFP_KERNEL),
    "kmem_cache_zalloc": lambda m, c, p: m.kmem_cache_zalloc(c, GFP_KERNEL),
    "krealloc": lambda m, c, p: m.krealloc(p, 300, GFP_KERNEL),
    "kvmalloc": lambda m, c, p: m.kvmalloc(64, GFP_KERNEL),
    "mempool_alloc": lambda m, c, p: m.mempool_alloc(m.pool, GFP_KERNEL),
}


def ready(**options):
    """A machine, a cache and an object; another object of each kind is free and at hand."""
    machine = Machine(memory="64 MiB", **options)
    cache = machine.kmem_cache_create("example", 300)
    ptr = machine.kmalloc(64, GFP_KERNEL)
    machine.kfree(machine.kmalloc(64, GFP_KERNEL))
    machine.kfree(machine.kmalloc(300, GFP_KERNEL))
    machine.kmem_cache_free(cache, machine.kmem_cache_alloc(cache, GFP_KERNEL))
    machine.pool = machine.mempool_create_page_pool(1)
    return machine, cache, ptr


@pytest.mark.parametrize("slab", ALLOCATORS)
@pytest.mark.parametrize("call", CALLS)
def test_a_mask_that_may_sleep_is_refused_though_an_object_is_at_hand(slab, call):
    machine, cache, ptr = ready(slab=slab)
    with machine.context("spinlock"), pytest.raises(ContextError, match=r"GFP_KERNEL.* may sleep.*holds a spinlock"):
        CALLS[call](machine, cache, ptr)
    with machine.context("fs"), pytest.raises(ContextError, match="ask with GFP_NOFS"):
        CALLS[call](machine, cache, ptr)
    assert CALLS[call](machine, cache, ptr)
    validate_slab(machine)


@pytest.mark.parametrize("slab", ALLOCATORS)
def test_a_mask_that_may_not_is_served(slab):
    machine, cache, _ = ready(slab=slab)
    with machine.context("spinlock"):
        assert machine.kmalloc(64, GFP_ATOMIC)
        assert machine.kmem_cache_alloc(cache, GFP_ATOMIC)
    with machine.context("fs"):
        assert machine.kmalloc(64, GFP_NOFS)


@pytest.mark.parametrize("slab", ALLOCATORS)
@pytest.mark.parametrize("call", CALLS)
def test_a_distributions_kernel_is_silent_and_a_debug_kernel_says_it_once(slab, call):
    for debug in (False, True):
        machine, cache, ptr = ready(slab=slab, teaching=False)
        machine.node.debug_atomic_sleep = debug
        machine.dmesg.clear()
        with machine.context("spinlock"):
            assert CALLS[call](machine, cache, ptr)
        assert machine.dmesg == (REPORT if debug else [])


@pytest.mark.parametrize("slab", ALLOCATORS)
def test_caches_come_and_go_only_where_one_may_wait_for_their_lock(slab):
    machine, cache, _ = ready(slab=slab)
    with machine.context("softirq"):
        with pytest.raises(ContextError, match=r"kmem_cache_create\(\) takes a lock.*serves a soft interrupt"):
            machine.kmem_cache_create("another", 64)
        with pytest.raises(ContextError, match=r"kmem_cache_destroy\(\) takes a lock"):
            machine.kmem_cache_destroy(cache)
    assert cache in machine.slabs.caches


def test_a_debug_kernel_names_the_lock_of_the_caches():
    machine = Machine(pages=64, teaching=False)
    with machine.context("softirq"):
        machine.kmem_cache_create("quiet", 40)
    assert machine.dmesg == []
    machine.node.debug_atomic_sleep = True
    with machine.context("softirq"):
        machine.kmem_cache_create("loud", 400)
    assert machine.dmesg[0] == "BUG: sleeping function called from invalid context at kernel/locking/mutex.c:586"


def test_vmalloc_under_a_spinlock_is_silent_without_the_debug_option():
    machine = Machine(memory="64 MiB", teaching=False)
    with machine.context("spinlock"):
        assert machine.vmalloc(4096)
        assert machine.dmesg == []
        machine.node.debug_atomic_sleep = True
        assert machine.vmalloc(4096)
    assert machine.dmesg == REPORT
