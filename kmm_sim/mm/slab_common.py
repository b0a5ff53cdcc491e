# SPDX-License-Identifier: GPL-2.0-only
"""What all slab allocators share: the cache, its flags, creating and destroying it.

A *cache* holds objects of one size.  It takes pages from the page allocator, a *slab* of
2**order of them at a time, and cuts each slab into objects.  How it remembers which objects
are free is the business of one of three siblings: SLUB, SLAB, SLOB.  They offer the same
calls; here stands what calls them.

Linux: mm/slab_common.c, mm/slab.h, include/linux/slab.h
Simplified: one node; no memory cgroups, no sysfs; caches themselves cost no memory.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kmm_sim.errors import KernelBug
from kmm_sim.mm.mmzone import Node
from kmm_sim.mm.sched import might_alloc, might_sleep
from kmm_sim.mm.slab_events import CacheDestroy
from kmm_sim.mm.slab_pages import SLAB_RECLAIM_ACCOUNT, SlabPages

__all__ = [
    "ARCH_KMALLOC_MINALIGN",
    "CACHE_LINE_SIZE",
    "KMALLOC_MAX_SIZE",
    "SLAB_DEBUG_FLAGS",
    "SLAB_FLAGS_PERMITTED",
    "SLAB_MERGE_SAME",
    "SLAB_NEVER_MERGE",
    "WORD",
    "KmemCache",
    "SlabAllocator",
    "SlabFlags",
    "SlabInfo",
    "Slabs",
    "align_up",
    "cache_free",
    "calculate_alignment",
    "create_cache",
    "dump_unreclaimable_slab",
    "find_mergeable",
    "kmem_cache_create",
    "kmem_cache_destroy",
    "kmem_cache_sanity_check",
    "lock_slab_mutex",
    "slab_pre_alloc_hook",
    "slab_unmergeable",
    "virt_to_slab",
]

WORD = 8
"""Bytes in a pointer: the smallest object, and what everything is aligned to."""
CACHE_LINE_SIZE = 64
ARCH_KMALLOC_MINALIGN = 8
KMALLOC_MAX_SIZE = 1 << 22
"""The largest object or kmalloc() request: a block of the largest order, 4 MiB."""


class SlabFlags(enum.IntFlag):
    """What a cache is to be like.  Members drop the ``SLAB_``; the values are those of 6.12.

    Linux: enum _slab_flag_bits, include/linux/slab.h
    """

    CONSISTENCY_CHECKS = 1 << 0
    RED_ZONE = 1 << 1
    POISON = 1 << 2
    KMALLOC = 1 << 3
    HWCACHE_ALIGN = 1 << 4
    CACHE_DMA = 1 << 5
    CACHE_DMA32 = 1 << 6
    STORE_USER = 1 << 7
    PANIC = 1 << 8
    TYPESAFE_BY_RCU = 1 << 9
    TRACE = 1 << 10
    NOLEAKTRACE = 1 << 11
    NO_MERGE = 1 << 12
    ACCOUNT = 1 << 13
    NO_USER_FLAGS = 1 << 14
    SKIP_KFENCE = 1 << 15
    RECLAIM_ACCOUNT = SLAB_RECLAIM_ACCOUNT
    OBJECT_POISON = 1 << 17
    CMPXCHG_DOUBLE = 1 << 18
    NO_OBJ_EXT = 1 << 19


_F = SlabFlags
SLAB_DEBUG_FLAGS = int(_F.RED_ZONE | _F.POISON | _F.STORE_USER | _F.TRACE | _F.CONSISTENCY_CHECKS)
"""With any of these a cache checks its objects, and is slow."""
SLAB_NEVER_MERGE = int(
    _F.RED_ZONE | _F.POISON | _F.STORE_USER | _F.TRACE | _F.TYPESAFE_BY_RCU | _F.NOLEAKTRACE | _F.NO_MERGE
)
SLAB_MERGE_SAME = int(_F.RECLAIM_ACCOUNT | _F.CACHE_DMA | _F.CACHE_DMA32 | _F.ACCOUNT)
SLAB_FLAGS_PERMITTED = SLAB_DEBUG_FLAGS | int(
    _F.HWCACHE_ALIGN | _F.CACHE_DMA | _F.CACHE_DMA32 | _F.PANIC | _F.TYPESAFE_BY_RCU | _F.NOLEAKTRACE
    | _F.RECLAIM_ACCOUNT | _F.ACCOUNT | _F.KMALLOC | _F.NO_MERGE | _F.NO_USER_FLAGS
)
"""What a caller of kmem_cache_create() may ask for."""


@dataclass(slots=True, eq=False)
class KmemCache:
    """A cache, as its users see it: sizes and alignment in bytes.

    ``size`` is what one object takes up in a slab, ``object_size`` what its user may use, and
    ``inuse`` how far into it anything but notes of the allocator may stand.
    ``refcount`` counts the names under which it was created; -1 is never merged with another,
    nor is one of which users may see ``usersize`` bytes.  One that is ``dead`` was destroyed.

    Linux: struct kmem_cache, mm/slab.h
    """

    name: str
    object_size: int
    align: int
    flags: int
    slabs: Slabs
    ctor: Callable[[int], None] | None = None
    size: int = 0
    inuse: int = 0
    usersize: int = 0
    refcount: int = 1
    aliases: list[str] = field(default_factory=list)
    dead: bool = False

    def run_on(self, cpu: int) -> None:
        """Let ``cpu`` make the next calls.  Linux: no counterpart; this_cpu_ptr() asks the processor"""

    def __repr__(self) -> str:
        return f"<struct kmem_cache {self.name} object_size:{self.object_size} size:{self.size}>"


@dataclass(frozen=True, slots=True)
class SlabInfo:
    """The numbers of a cache's line in /proc/slabinfo: of objects, of slabs, and what may be tuned.

    Linux: struct slabinfo, mm/slab.h
    """

    active_objs: int
    num_objs: int
    objects_per_slab: int
    order: int
    active_slabs: int
    num_slabs: int
    tunables: tuple[int, int, int] = (0, 0, 0)
    shared_avail: int = 0


@dataclass(frozen=True, slots=True)
class SlabAllocator:
    """What SLUB, SLAB and SLOB each do in their own way.

    ``new_cache`` makes a cache of the allocator's own kind, ``cache_create`` finds its sizes.
    ``slab_alloc(cache, gfp, size)`` returns the address of an object, or 0;
    ``slab_free(slab, ptr, cache)`` takes one back, where ``cache`` is what its user says it is
    of, or None; ``cache_free(cache, ptr)`` first finds its slab.
    ``cache_shutdown`` returns the addresses of objects that are still in use.  ``get_slabinfo``
    counts the objects and slabs of a cache; SLOB, which knows no slabs, has none.

    Linux: functions that each of mm/slub.c, mm/slab.c and mm/slob.c had
    """

    name: str
    new_cache: Callable[..., Any]
    cache_create: Callable[[Any], None]
    slab_alloc: Callable[[Any, int, int], int]
    slab_free: Callable[[Any, int, KmemCache | None], None]
    cache_free: Callable[[Any, int], None]
    cache_shrink: Callable[[Any], None]
    cache_shutdown: Callable[[Any], list[int]]
    kmalloc: Callable[[Slabs, int, int], int]
    kfree: Callable[[Slabs, int], None]
    ksize: Callable[[Slabs, int], int]
    get_slabinfo: Callable[[Any], SlabInfo] | None = None


@dataclass(slots=True, eq=False)
class Slabs:
    """The slab layer of one machine.

    ``caches`` are all caches, newest first.  ``pages`` finds the slab that a page belongs to.
    ``kmalloc_table[gfp]`` is a mask as a plain number, and the caches for kmalloc() with it by
    (size + 7) >> 3; ``kmalloc_plain[gfp]`` are the caches by size,
    for masks that ask for no zeros, unless objects are checked.
    ``check_gfp`` returns a mask that was not seen before as a plain number, or says what is wrong
    with it.  ``freelist_order`` says in which order a new slab hands out its objects; None is by address.
    ``secrets`` draws the number with which a hardened cache scrambles its free pointers, if it does.
    With ``broken`` a caller has broken a freelist; ``warned`` is what the kernel has said and says only
    once.  ``debug_vm`` is CONFIG_DEBUG_VM: with it the kernel looks at the names of new caches.
    ``debug`` are flags that every cache gets, as with the boot parameter slab_debug; ``ticks``
    is the clock of their tracks, ``state`` what else an allocator keeps for all its caches.

    Linux: slab_caches, mm/slab_common.c
    """

    node: Node
    allocator: SlabAllocator
    cpus: int = 1
    merge: bool = True
    debug: int = 0
    freelist_order: Callable[[KmemCache, int], Sequence[int]] | None = None
    secrets: Callable[[], int] | None = None
    check_gfp: Callable[[int], int] = int
    caches: list[KmemCache] = field(default_factory=list)
    pages: SlabPages = field(default_factory=SlabPages)
    kmalloc_caches: list[dict[int, KmemCache]] = field(default_factory=list)
    kmalloc_table: dict[int, tuple[int, list[KmemCache]]] = field(default_factory=dict)
    kmalloc_plain: dict[int, list[KmemCache]] = field(default_factory=dict)
    ticks: int = 0
    state: Any = None
    broken: bool = False
    debug_vm: bool = False
    warned: set[str] = field(default_factory=set)


def align_up(value: int, alignment: int) -> int:
    """Return the next multiple of ``alignment`` from ``value`` on.

    Linux: ALIGN(), include/linux/align.h
    """
    return -(-value // alignment) * alignment


def virt_to_slab(slabs: Slabs, ptr: int) -> Any | None:
    """Return the slab around an address, or None.  Linux: virt_to_slab(), mm/slab.h"""
    return slabs.pages.around(ptr)


def slab_pre_alloc_hook(node: Node, gfp: int) -> None:
    """Complain of a request that may sleep where nobody can, though an object may be at hand.

    Raises ContextError in teaching mode.

    Linux: slab_pre_alloc_hook(), mm/slub.c
    """
    if node.teaching or node.debug_atomic_sleep:
        might_alloc(node.current, gfp, node.teaching, node.dmesg)


def cache_free(s: KmemCache, ptr: int) -> None:
    """Give an object back to its cache.

    Raises KernelBug for an address that lies in no slab, even where nobody teaches: there Linux
    would follow whatever that page's struct says.

    Linux: kmem_cache_free(), mm/slub.c
    """
    slab = virt_to_slab(s.slabs, ptr)
    if slab is None:
        raise KernelBug(f"kmem_cache_free: {ptr:#x} lies in no slab, so it is no object of {s.name}")
    s.slabs.allocator.slab_free(slab, ptr, s)


def calculate_alignment(flags: int, align: int, size: int) -> int:
    """Return the alignment of objects, in bytes, from what was asked for.

    HWCACHE_ALIGN wants objects not to share cache lines; small ones share them evenly.

    Linux: calculate_alignment(), mm/slab_common.c
    """
    if flags & SlabFlags.HWCACHE_ALIGN:
        ralign = CACHE_LINE_SIZE
        while size <= ralign // 2:
            ralign //= 2
        align = max(align, ralign)
    return align_up(max(align, WORD), WORD)


def slab_unmergeable(slabs: Slabs, s: KmemCache) -> bool:
    """Return whether a cache has to be on its own.

    Linux: slab_unmergeable(), mm/slab_common.c
    """
    never = s.flags & SLAB_NEVER_MERGE or s.usersize or s.refcount < 0
    return not slabs.merge or s.ctor is not None or bool(never)


def find_mergeable(slabs: Slabs, size: int, align: int, flags: int) -> KmemCache | None:
    """Return a cache whose objects would do as well: as large, as aligned, of the same kind.

    Linux: find_mergeable(), mm/slab_common.c
    """
    flags |= slabs.debug
    if not slabs.merge or flags & SLAB_NEVER_MERGE:
        return None
    size = align_up(size, WORD)
    align = calculate_alignment(flags, align, size)
    size = align_up(size, align)
    for s in reversed(slabs.caches):
        if slab_unmergeable(slabs, s) or size > s.size:
            continue
        if flags & SLAB_MERGE_SAME != s.flags & SLAB_MERGE_SAME:
            continue
        if s.size % align == 0 and s.size - size < WORD:
            return s
    return None


def kmem_cache_create(
    slabs: Slabs,
    name: str,
    object_size: int,
    align: int = 0,
    flags: int = 0,
    ctor: Callable[[int], None] | None = None,
    usersize: int = 0,
) -> KmemCache:
    """Return a cache for objects of ``object_size`` bytes; it may be one that exists already.

    Linux: __kmem_cache_create_args(), mm/slab_common.c
    Simplified: how many bytes may be copied to users is noted, not where they are, and not checked.
    """
    lock_slab_mutex(slabs, "kmem_cache_create()")
    if slabs.debug_vm:
        kmem_cache_sanity_check(slabs, name)
    mergeable = ctor is None and not usersize
    if mergeable and (twin := find_mergeable(slabs, object_size, align, flags)) is not None:
        twin.refcount += 1
        twin.aliases.append(name)
        twin.object_size = max(twin.object_size, object_size)
        twin.inuse = max(twin.inuse, align_up(object_size, WORD))
        return twin
    align = calculate_alignment(flags, align, object_size)
    return create_cache(slabs, name, object_size, align, flags, ctor, usersize)


def lock_slab_mutex(slabs: Slabs, call: str) -> None:
    """Complain of a ``call`` that needs the lock of all caches, where nobody may wait for it.

    Raises ContextError in teaching mode.

    Linux: mutex_lock(), kernel/locking/mutex.c
    """
    node = slabs.node
    if node.current.inside and (node.teaching or node.debug_atomic_sleep):
        might_sleep(node.current, call, "kernel/locking/mutex.c:586", node.teaching, node.dmesg)


def kmem_cache_sanity_check(slabs: Slabs, name: str) -> None:
    """Write to the log that there is a cache of that name already; it is made all the same.

    Linux: kmem_cache_sanity_check(), mm/slab_common.c
    Simplified: no registers, no call trace.
    """
    if any(s.name == name for s in slabs.caches):
        slabs.node.dmesg += ["------------[ cut here ]------------", f"kmem_cache of name '{name}' already exists"]


def create_cache(
    slabs: Slabs,
    name: str,
    object_size: int,
    align: int,
    flags: int,
    ctor: Callable[[int], None] | None = None,
    usersize: int = 0,
) -> KmemCache:
    """Make a cache and list it; the alignment is final.  Linux: create_cache(), mm/slab_common.c"""
    if not flags & SlabFlags.NO_USER_FLAGS:
        flags |= slabs.debug
    s: KmemCache = slabs.allocator.new_cache(
        name=name, object_size=object_size, align=align, flags=flags, slabs=slabs, ctor=ctor, usersize=usersize
    )
    slabs.allocator.cache_create(s)
    slabs.caches.insert(0, s)
    return s


def dump_unreclaimable_slab(slabs: Slabs) -> list[str]:
    """Return what the report of the OOM killer says of caches that nobody can empty.

    Linux: dump_unreclaimable_slab(), mm/slab_common.c
    """
    get_slabinfo = slabs.allocator.get_slabinfo
    lines = ["Unreclaimable slab info:", "Name                      Used          Total"]
    if get_slabinfo is None:
        return []
    for s in slabs.caches:
        info = get_slabinfo(s)
        if info.num_objs and not s.flags & SlabFlags.RECLAIM_ACCOUNT:
            used, total = (objects * s.size >> 10 for objects in (info.active_objs, info.num_objs))
            lines.append(f"{s.name:<17} {used:10}KB {total:10}KB")
    return lines


def kmem_cache_destroy(slabs: Slabs, s: KmemCache | None) -> None:
    """Give up a cache; when its last user has done so, all its pages go back.

    Raises KernelBug in teaching mode if objects are still in use.  Linux prints a report and goes on
    with the pages lost; so do we, but for the cache, which stays so that its objects can be freed.

    Linux: kmem_cache_destroy(), mm/slab_common.c
    """
    if s is None:
        return
    lock_slab_mutex(slabs, "kmem_cache_destroy()")
    if s not in slabs.caches:
        raise KernelBug(f"kmem_cache_destroy: {s.name} was destroyed already")
    if s.refcount > 1:
        s.refcount -= 1
        return
    remaining = slabs.allocator.cache_shutdown(s)
    if remaining:
        slabs.node.dmesg.append(f"kmem_cache_destroy {s.name}: Slab cache still has objects when called")
        if not slabs.node.teaching:
            return
        shown = ", ".join(hex(ptr) for ptr in remaining[:3])
        raise KernelBug(
            f"kmem_cache_destroy: {s.name} still has {len(remaining)} objects in use ({shown}"
            f"{', ...' if len(remaining) > 3 else ''}); free all objects first"
        )
    slabs.caches.remove(s)
    s.dead = True
    if slabs.node.trace is not None:
        slabs.node.trace.emit(CacheDestroy(s.name))
