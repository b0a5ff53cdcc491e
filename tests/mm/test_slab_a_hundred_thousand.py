"""A hundred thousand calls of every kind on each allocator: nothing overlaps, the books are right, nothing leaks."""

import random
from bisect import bisect, insort

import pytest

from kmm_sim import GFP_ATOMIC, GFP_KERNEL, Gfp, KernelBug, Machine
from kmm_sim.calls.slab import ALLOCATORS
from kmm_sim.mm.kmalloc import ZERO_SIZE_PTR
from kmm_sim.mm.slab_common import SlabFlags
from kmm_sim.observe import snapshot, validate, validate_slab

SIZES = (1, 8, 24, 60, 96, 192, 248, 500, 700, 1024, 2048, 4000, 4096, 9000)
MASKS = (GFP_KERNEL, GFP_ATOMIC, GFP_KERNEL | Gfp.RECLAIMABLE, GFP_KERNEL | Gfp.ACCOUNT)
MOST = 1500
KINDS = {
    **{name: (100_000, {"slab": name}) for name in ALLOCATORS},
    "slub, shuffled and hardened": (20_000, {"slab_random": 3, "slab_hardened": 5}),
    "slub, checked": (3_000, {"slab_debug": "FZPU"}),
    "slub, nothing merged": (10_000, {"slab_merge": False}),
}


class Traffic:
    """A machine, what is held of it, and the calls; ``held`` has (address, bytes, how to give it back), by address."""

    def __init__(self, seed, options):
        self.rng = random.Random(seed)
        self.machine = Machine(memory="64 MiB", cpus=2, trace=False, **options)
        self.held = []
        self.caches = {}
        self.refused = self.made = 0
        self.pool = self.machine.mempool_create_page_pool(4)
        self.counter = self.machine.alloc_percpu(8)
        self.counted = 0

    def step(self):
        """Make one call, drawn by lot."""
        draw = self.rng.random()
        if self.held and (len(self.held) > MOST or draw < 0.44):
            self.free()
        elif draw < 0.78:
            self.kmalloc()
        elif draw < 0.94 and self.caches:
            self.cache_alloc()
        else:
            self.rng.choice((self.realloc, self.create, self.destroy, self.shrink, self.misuse, self.reserve,
                             self.count, self.turn, self.vmalloc))()  # fmt: skip

    def hold(self, ptr, size, kind):
        """Note what was got; nobody may have any of its bytes already."""
        if ptr in (0, ZERO_SIZE_PTR):
            return
        at = bisect(self.held, ptr, key=lambda entry: entry[0])
        assert not at or self.held[at - 1][0] + self.held[at - 1][1] <= ptr, "it lies in somebody else's"
        assert at == len(self.held) or ptr + size <= self.held[at][0], "somebody else's lies in it"
        insort(self.held, (ptr, size, kind), key=lambda entry: entry[0])

    def kmalloc(self):
        size, gfp = self.rng.choice(SIZES), self.rng.choice(MASKS) | Gfp.NOWARN
        how = self.rng.randrange(8)
        if how == 0:
            ptr = self.machine.kzalloc(size, gfp)
            assert not ptr or not any(self.machine.read(ptr, size))
        elif how == 1:
            size = 12 * (1 + size // 16)
            ptr = self.machine.kmalloc_array(size // 12, 12, gfp)
        else:
            ptr = self.machine.kmalloc(size, gfp)
        self.hold(ptr, size, None)

    def vmalloc(self):
        size = self.rng.choice((40, 5000, 1 << 16, 1 << 18))
        self.hold(self.machine.kvmalloc(size, GFP_KERNEL | Gfp.NOWARN), size, "kvmalloc")

    def cache_alloc(self):
        cache, zero = self.rng.choice(list(self.caches.values())), self.rng.random() < 0.1
        alloc = self.machine.kmem_cache_zalloc if zero else self.machine.kmem_cache_alloc
        ptr = alloc(cache, GFP_KERNEL | Gfp.NOWARN)
        self.hold(ptr, cache.object_size, cache)

    def free(self):
        ptr, _, kind = self.held.pop(self.rng.randrange(len(self.held)))
        if kind is None:
            self.machine.kfree(ptr)
        elif kind == "kvmalloc":
            self.machine.kvfree(ptr)
        else:
            self.machine.kmem_cache_free(kind, ptr)

    def realloc(self):
        mine = [at for at, (_, _, kind) in enumerate(self.held[:200]) if kind is None]
        if not mine:
            return
        ptr, size, _ = self.held.pop(self.rng.choice(mine))
        stamp = ptr.to_bytes(8, "little")[: min(size, 8)]
        self.machine.write(ptr, stamp)
        wanted = self.rng.choice(SIZES)
        new = self.machine.krealloc(ptr, wanted, GFP_KERNEL | Gfp.NOWARN)
        if new:
            kept = min(len(stamp), wanted)
            assert self.machine.read(new, kept) == stamp[:kept]
        self.hold(new or ptr, max(size, wanted) if new == ptr else wanted if new else size, None)

    def create(self):
        if len(self.caches) < 12:
            self.made += 1
            name, size = f"cache {self.made}", self.rng.choice((16, 64, 64, 192, 700, 2000))
            flags = self.rng.choice((0, 0, SlabFlags.RECLAIM_ACCOUNT, SlabFlags.HWCACHE_ALIGN, SlabFlags.NO_MERGE))
            self.caches[name] = self.machine.kmem_cache_create(name, size, flags=flags)

    def destroy(self):
        if self.caches:
            name = self.rng.choice(list(self.caches))
            cache = self.caches[name]
            try:
                self.machine.kmem_cache_destroy(cache)
            except KernelBug:
                assert any(kind is cache for _, _, kind in self.held), "nobody held an object of it"
                self.refused += 1
            else:
                del self.caches[name]

    def shrink(self):
        if self.caches:
            self.machine.kmem_cache_shrink(self.rng.choice(list(self.caches.values())))

    def misuse(self):
        """Break a rule; the machine says so and stays as it is."""
        if not self.held:
            return
        ptr, _, kind = self.rng.choice(self.held)
        stranger = next((cache for cache in self.caches.values() if cache is not kind), None)
        of_cache = kind not in (None, "kvmalloc") and stranger is not None and self.rng.random() < 0.5
        free, *args = (self.machine.kmem_cache_free, stranger, ptr) if of_cache else (self.machine.kfree, ptr + 4)
        with pytest.raises(KernelBug):
            free(*args)
        self.refused += 1

    def reserve(self):
        page = self.machine.mempool_alloc(self.pool, GFP_KERNEL)
        self.machine.mempool_free(self.pool, page)

    def count(self):
        self.machine.this_cpu_add(self.counter, 1)
        self.counted += 1

    def turn(self):
        self.machine.cpu = self.rng.randrange(2)

    def end(self):
        """Give everything back; no page may be left."""
        machine = self.machine
        total = 0
        for machine.cpu in (0, 1):
            total += machine.this_cpu_read(self.counter)
        assert total == self.counted
        while self.held:
            self.free()
        for cache in self.caches.values():
            machine.kmem_cache_destroy(cache)
        machine.mempool_destroy(self.pool)
        machine.free_percpu(self.counter)
        for _ in range(2):  # the descriptors of SLAB's slabs are objects themselves
            for cache in machine.slabs.caches:
                machine.kmem_cache_shrink(cache)
        machine.vm_unmap_aliases()


@pytest.mark.parametrize("kind", KINDS)
def test_calls_of_every_kind_keep_objects_apart_and_the_books_right(kind):
    calls, options = KINDS[kind]
    traffic = Traffic(11, options)
    for step in range(calls):
        traffic.step()
        if step % (calls // 25) == 0:
            validate_slab(traffic.machine)
    assert traffic.refused > calls // 500
    assert traffic.made > 3
    validate_slab(traffic.machine)
    validate(traffic.machine)
    traffic.end()
    validate_slab(traffic.machine)
    assert not traffic.machine.slabs.pages, f"slabs are left: {list(traffic.machine.slabs.pages.slabs())}"
    kept = sum(1 << block.order for block in snapshot(traffic.machine).allocated.values())
    mapped = len(traffic.machine.vmap_space.tables.made) + sum(len(c.pages) for c in traffic.machine.percpu.chunks)
    assert kept == mapped, f"{kept} pages are held, {mapped} are page tables and per-CPU memory"
