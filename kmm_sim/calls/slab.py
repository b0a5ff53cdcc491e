# SPDX-License-Identifier: GPL-2.0-only
"""Objects: the calls of kmalloc() and of caches, as methods of a machine."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from operator import index
from typing import Any

from kmm_sim.calls.arguments import gfp_mask, index_of
from kmm_sim.calls.vmalloc import VmallocCalls
from kmm_sim.errors import KernelBug
from kmm_sim.mm import kernel_caches, kmalloc, slab_common
from kmm_sim.mm.gfp import DIRECT_RECLAIM, ZERO
from kmm_sim.mm.mmzone import Node
from kmm_sim.mm.page import PAGE_SIZE
from kmm_sim.mm.sheaves import SHEAVES
from kmm_sim.mm.slab import SLAB
from kmm_sim.mm.slab_common import KMALLOC_MAX_SIZE, SLAB_FLAGS_PERMITTED, KmemCache, SlabFlags, Slabs
from kmm_sim.mm.slab_events import KmemCacheAlloc
from kmm_sim.mm.slob import SLOB
from kmm_sim.mm.slub import SLUB
from kmm_sim.mm.stack import Stacks

__all__ = ["ALLOCATORS", "SlabCalls"]

ALLOCATORS = {allocator.name: allocator for allocator in (SLUB, SHEAVES, SLAB, SLOB)}
SIZE_MAX = (1 << 64) - 1


class SlabCalls(VmallocCalls):
    """What a driver asks of the slab layer."""

    node: Node
    _slabs: Slabs | None = None
    _stacks: Stacks | None = None

    @property
    def cpus(self) -> int:
        """The number of CPUs."""
        raise NotImplementedError

    @property
    def slabs(self) -> Slabs:
        """The slab layer."""
        if self.node.highmem is not None:
            raise ValueError("the 32-bit machine has whole pages and kmap(): kmalloc() and caches are those of x86-64")
        if self._slabs is None:
            self.boot_slab()
        assert self._slabs is not None
        return self._slabs

    def boot_slab(
        self,
        allocator: str = "slub",
        *,
        merge: bool = True,
        debug: str = "",
        freelist_random: int | None = None,
        hardened: int | None = None,
    ) -> None:
        """Begin anew with a slab allocator: "slub", "sheaves", "slab" or "slob"; for the rest see Machine.

        Raises ValueError for an unknown allocator or letters that slab_debug does not know.

        Linux: kmem_cache_init(), mm/slub.c
        """
        is_slub = allocator in ("slub", "sheaves")
        if debug and not is_slub:
            raise ValueError(f"slab_debug is of SLUB; {allocator} has no such checks here")
        if allocator not in ALLOCATORS:
            raise ValueError(f"unknown slab allocator {allocator!r}: there are {', '.join(ALLOCATORS)}")
        order = RandomOrder(random.Random(freelist_random)) if freelist_random is not None else None
        self._slabs = Slabs(
            self.node, ALLOCATORS[allocator], self.cpus, merge and is_slub, slab_debug_flags(debug), order,
            pages=self.node.slab_pages,
            check_gfp=gfp_mask,
            secrets=Secrets(random.Random(hardened)) if hardened is not None else None,
        )
        self.node.slab_report = partial(slab_common.dump_unreclaimable_slab, self._slabs)

    # Memory of any size

    def kmalloc(self, size: int, gfp: int) -> int:
        """Return the address of ``size`` bytes of contiguous memory, or 0 when there are none.

        ``gfp`` is a mask such as GFP_KERNEL.  kmalloc(0) is ZERO_SIZE_PTR.  Raises ValueError for a
        negative size or unknown bits in the mask, TypeError for what is no whole number.

        Linux: kmalloc(), include/linux/slab.h
        """
        slabs = self._slabs if self._slabs is not None else self.slabs
        do_kmalloc = slabs.allocator.kmalloc  # a name for it: Python calls what is in a slot more slowly
        try:
            return do_kmalloc(slabs, size, gfp)
        except TypeError:
            _size(size)
            gfp_mask(gfp)
            raise

    def kzalloc(self, size: int, gfp: int) -> int:
        """Return ``size`` bytes of zeros.  Linux: kzalloc(), include/linux/slab.h"""
        return self.kmalloc(size, index(gfp) | ZERO)

    def kmalloc_array(self, n: int, size: int, gfp: int) -> int:
        """Return room for ``n`` elements of ``size`` bytes; 0 if that many bytes do not exist.

        The product is looked at before it is used: in C, too large a one wraps around to a
        small number.

        Linux: kmalloc_array(), include/linux/slab.h
        """
        _size(n)
        _size(size)
        if n * size > SIZE_MAX:
            return 0
        return self.kmalloc(n * size, gfp)

    def kcalloc(self, n: int, size: int, gfp: int) -> int:
        """Return ``n`` elements of zeros.  Linux: kcalloc(), include/linux/slab.h"""
        return self.kmalloc_array(n, size, index(gfp) | ZERO)

    def krealloc(self, ptr: int, new_size: int, gfp: int) -> int:
        """Return the bytes behind ``ptr`` with room for ``new_size``, perhaps elsewhere; or 0.

        If it returns 0, ``ptr`` is still yours.

        Linux: krealloc(), mm/slab_common.c
        """
        return kmalloc.krealloc(self.slabs, index(ptr), _size(new_size), gfp_mask(gfp))

    def kfree(self, ptr: int) -> None:
        """Give back what kmalloc() returned; 0 (NULL) is nothing.

        Raises KernelBug, and changes nothing, for an address that nobody got; ValueError for a
        negative one, TypeError for what is no whole number.

        Linux: kfree(), mm/slub.c
        """
        slabs = self._slabs if self._slabs is not None else self.slabs
        do_kfree = slabs.allocator.kfree
        try:
            do_kfree(slabs, ptr)
        except TypeError:
            index_of(ptr, "an address")
            raise
        except KernelBug:
            self._not_of_a_stack(ptr)
            raise

    def ksize(self, ptr: int) -> int:
        """Return how many bytes there are behind an address.  Linux: ksize(), mm/slab_common.c"""
        return self.slabs.allocator.ksize(self.slabs, index(ptr))

    def kvmalloc(self, size: int, gfp: int) -> int:
        """Return ``size`` bytes, physically contiguous if that is easy, else of vmalloc(); or 0.

        Give them back with kvfree().

        Linux: kvmalloc(), include/linux/slab.h
        """
        gfp = gfp_mask(gfp)
        ptr = self.kmalloc(size, kmalloc.kmalloc_gfp_adjust(gfp, _size(size)))
        if ptr or size <= PAGE_SIZE or not gfp & DIRECT_RECLAIM:
            return ptr
        return self.vmalloc(size, gfp)

    def kvfree(self, addr: int) -> None:
        """Give back what kvmalloc() returned.  Linux: kvfree(), mm/util.c"""
        if self.is_vmalloc_addr(addr):
            self.vfree(addr)
        else:
            self.kfree(addr)

    # Objects of one size

    def kmem_cache_create(
        self,
        name: str,
        size: int,
        align: int = 0,
        flags: int = 0,
        ctor: Callable[[int], None] | None = None,
        usersize: int = 0,
    ) -> KmemCache:
        """Return a cache of objects of ``size`` bytes.

        ``align`` is in bytes, a power of two or 0; ``flags`` are of SlabFlags; ``ctor`` is called
        with the address of each object of a new slab; ``usersize`` bytes of it may be copied to
        user space.  If a cache of another name would do, it is returned: see SlabFlags.NO_MERGE.

        Linux: kmem_cache_create(), include/linux/slab.h
        """
        if not isinstance(name, str) or not name:
            raise TypeError(f"a cache has a name, a text of one letter or more, not {name!r}")
        if not 1 <= index_of(size, "a size") <= KMALLOC_MAX_SIZE:
            raise ValueError(f"objects have 1 to {KMALLOC_MAX_SIZE} bytes, not {size}")
        if index(align) < 0 or align & (align - 1) or align > 4096:
            raise ValueError(f"an alignment is 0 or a power of two up to 4096, not {align}")
        if index(flags) & ~SLAB_FLAGS_PERMITTED:
            raise ValueError(f"{SlabFlags(flags & ~SLAB_FLAGS_PERMITTED)!r} cannot be asked for")
        return slab_common.kmem_cache_create(self.slabs, name, size, align, index(flags), ctor, usersize)

    def kernel_cache(self, name: str) -> KmemCache:
        """Return one of the caches that Linux makes at boot: "task_struct", "inode_cache", ...

        Raises ValueError for a name that is not in kmm_sim.mm.kernel_caches.

        Linux: fork_init(), kernel/fork.c; inode_init(), fs/inode.c
        """
        return kernel_caches.kernel_cache(self.slabs, name)

    def kmem_cache_alloc(self, cache: KmemCache, gfp: int) -> int:
        """Return the address of an object, or 0.  Linux: kmem_cache_alloc(), mm/slub.c"""
        slabs = self._cache(cache).slabs
        mask, node = index(gfp), slabs.node
        if mask not in slabs.kmalloc_table:
            gfp_mask(mask)
        if mask & ZERO and cache.ctor is not None and node.teaching:
            raise KernelBug(f"zeros are asked for, and {cache.name} has a constructor: they would undo what it did")
        if node.current.inside:
            slab_common.slab_pre_alloc_hook(node, mask)
        ptr = slabs.allocator.slab_alloc(cache, mask, cache.object_size)
        if node.trace is not None:
            node.trace.emit(KmemCacheAlloc(ptr, cache.object_size, cache.size, mask, cache.name))
        return ptr

    def kmem_cache_zalloc(self, cache: KmemCache, gfp: int) -> int:
        """Return an object full of zeros, or 0.  Linux: kmem_cache_zalloc(), include/linux/slab.h"""
        return self.kmem_cache_alloc(cache, index(gfp) | ZERO)

    def kmem_cache_free(self, cache: KmemCache, ptr: int) -> None:
        """Give an object back to its cache.

        Raises KernelBug, and changes nothing, if it is no object of that cache or free already.

        Linux: kmem_cache_free(), mm/slub.c
        """
        self._cache(cache).slabs.allocator.cache_free(cache, ptr)

    def kmem_cache_shrink(self, cache: KmemCache) -> None:
        """Give back all slabs without an object in use.  Linux: kmem_cache_shrink(), mm/slab_common.c"""
        cache.slabs.allocator.cache_shrink(self._cache(cache))

    def kmem_cache_destroy(self, cache: KmemCache | None) -> None:
        """Give up a cache; KernelBug if objects are still in use.

        Linux: kmem_cache_destroy(), mm/slab_common.c
        """
        slab_common.kmem_cache_destroy(self.slabs, cache)

    def _not_of_a_stack(self, ptr: int) -> None:
        """Raise KernelBug if an address lies on the stack of a task or of interrupts."""
        for task in (*self._stacks.tasks, *self._stacks.irq.values()) if self._stacks is not None else ():
            if task.stack <= ptr < task.top:
                raise KernelBug(
                    f"{ptr:#x} lies on the stack of {task.comm}: what is there goes when its function returns, "
                    f"and kfree() takes only what kmalloc() gave"
                )

    def _cache(self, cache: KmemCache) -> KmemCache:
        if not isinstance(cache, KmemCache):
            raise TypeError(f"expected a cache, as kmem_cache_create() returns it, not {cache!r}")
        if cache.dead:
            raise KernelBug(f"use after free: the cache {cache.name} was destroyed, and its struct kmem_cache with it")
        if cache.slabs is not self._slabs:
            raise KernelBug(f"{cache!r} is a cache of another machine")
        return cache


class RandomOrder:
    """The order of a new slab's objects, as CONFIG_SLAB_FREELIST_RANDOM has it.

    Each cache has one shuffled sequence; each slab begins anywhere in it.

    Linux: shuffle_freelist(), mm/slub.c
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.sequences: dict[KmemCache, list[int]] = {}

    def __call__(self, cache: Any, objects: int) -> Sequence[int]:
        """Return all indices below ``objects``, the first to be handed out first."""
        count = cache.oo[1]
        sequence = self.sequences.get(cache)
        if sequence is None:
            sequence = self.sequences[cache] = list(range(count))
            self.rng.shuffle(sequence)
        start = self.rng.randrange(count)
        return [at for at in sequence[start:] + sequence[:start] if at < objects]


class Secrets:
    """The secret number of each cache, as CONFIG_SLAB_FREELIST_HARDENED has it.

    Linux: do_kmem_cache_create(), mm/slub.c
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def __call__(self) -> int:
        """Return 64 random bits."""
        return self.rng.getrandbits(64)


DEBUG_LETTERS = {
    "F": SlabFlags.CONSISTENCY_CHECKS,
    "Z": SlabFlags.RED_ZONE,
    "P": SlabFlags.POISON,
    "U": SlabFlags.STORE_USER,
}


def slab_debug_flags(letters: str) -> int:
    """Return the flags that the boot parameter ``slab_debug=FZPU`` stands for.

    Linux: parse_slub_debug_flags(), mm/slub.c
    """
    unknown = set(letters.upper()) - set(DEBUG_LETTERS)
    if unknown:
        raise ValueError(f"slab_debug knows the letters F, Z, P and U, not {', '.join(sorted(unknown))}")
    return sum(int(DEBUG_LETTERS[letter]) for letter in set(letters.upper()))


def _size(size: int) -> int:
    if index_of(size, "a size") < 0:
        raise ValueError(f"a size is 0 or more, not {size}")
    return index(size)
