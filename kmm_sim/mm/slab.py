# SPDX-License-Identifier: GPL-2.0-only
"""SLAB, as it was in Linux 2.6.34: three lists of slabs, and an array of objects for each CPU.

A slab is full, partial or free, and is on the list of that name.  In front of the lists each
CPU has an array of free objects, last in, first out: allocating takes one, freeing puts one
back.  An empty array is filled from the partial slabs, then the free ones, then a new one; a
full array gives its oldest half back.

At the beginning of a slab stands its descriptor and a chain of free objects; large objects
have it elsewhere, in an object of its own.  What is left over shifts the objects of each slab
by another cache line, its colour, so that they do not all fall into the same cache sets.

Linux: mm/slab.c, which was removed in 6.8
Simplified: one node, no debugging, no reaping of idle caches by a timer; a slab may have two pages
on a small machine too; kmalloc() has the classes and names of 6.12 and takes pages above 8 KiB, where
2.6.34 had size-32, size-64, size-128, size-192 and so on up to 4 MiB, and none of 8, 16 or 96 bytes.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from kmm_sim.errors import KernelBug
from kmm_sim.mm.gfp import GFP_DMA, ZERO, Gfp
from kmm_sim.mm.kmalloc import create_kmalloc_caches, kfree, kmalloc, kmalloc_index, ksize
from kmm_sim.mm.mmzone import MAX_PAGE_ORDER, Zone, ZoneType
from kmm_sim.mm.page import PAGE_OFFSET, PAGE_SIZE, pfn_to_virt
from kmm_sim.mm.page_alloc import alloc_pages, free_pages
from kmm_sim.mm.slab_common import (
    CACHE_LINE_SIZE,
    WORD,
    KmemCache,
    SlabAllocator,
    SlabFlags,
    SlabInfo,
    align_up,
    cache_free,
)
from kmm_sim.mm.slab_events import (
    ArrayFill,
    ArrayFlush,
    ArrayTransfer,
    CacheCreate,
    Kfree,
    KmemCacheFree,
    ObjectGet,
    ObjectPut,
    SlabDiscard,
    SlabList,
    SlabNew,
)

__all__ = [
    "SLAB",
    "ArrayCache",
    "Slab",
    "SlabCache",
    "cache_alloc_refill",
    "cache_create",
    "cache_estimate",
    "cache_flusharray",
    "cache_grow",
    "cache_shrink",
    "cache_shutdown",
    "calculate_slab_order",
    "drain_array",
    "enable_cpucache",
    "free_block",
    "get_slabinfo",
    "move_to_list",
    "new_cache",
    "slab_alloc",
    "slab_destroy",
    "slab_free",
    "transfer_objects",
]

SIZEOF_SLAB = 48
SIZEOF_BUFCTL = 4
BATCHREFILL_LIMIT = 16
BREAK_GFP_ORDER = 1
OFF_SLAB_MIN = PAGE_SIZE >> 3
"""Objects of this size, 512 bytes, and larger have their slab's descriptor elsewhere."""


@dataclass(slots=True, eq=False)
class Slab:
    """One slab: ``free`` are its free objects, the first last; ``live`` those that users hold.

    Objects in a CPU's array are neither.  ``descriptor`` is the address of a descriptor that
    is kept elsewhere, or 0.

    Linux: struct slab, mm/slab.c
    """

    cache: SlabCache
    pfn: int
    base: int
    colouroff: int
    descriptor: int
    free: list[int]
    live: bytearray
    on: str = "free"

    @property
    def inuse(self) -> int:
        """The number of objects that are not free: with users, or in arrays."""
        return self.cache.num - len(self.free)


@dataclass(slots=True, eq=False)
class ArrayCache:
    """Free objects, by address; the last one put in is the first to come out.

    Linux: struct array_cache, mm/slab.c
    """

    cpu: int
    limit: int
    batchcount: int
    touched: bool = False
    entry: list[int] = field(default_factory=list)


@dataclass(slots=True, eq=False, repr=False)
class SlabCache(KmemCache):
    """A cache as SLAB has it; the lists are slabs by pfn, head first.

    Linux: struct kmem_cache, struct kmem_list3, mm/slab.c
    """

    num: int = 0
    order: int = 0
    colour: int = 0
    colour_off: int = 0
    colour_next: int = 0
    slab_size: int = 0
    off_slab: bool = False
    gfpflags: int = 0
    free_objects: int = 0
    free_limit: int = 0
    lists: dict[str, OrderedDict[int, Slab]] = field(
        default_factory=lambda: {"full": OrderedDict(), "partial": OrderedDict(), "free": OrderedDict()}
    )
    array: list[ArrayCache] = field(default_factory=list)
    shared: ArrayCache | None = None
    zone: Zone = field(default_factory=lambda: Zone(0, ZoneType.NORMAL, 0, 0, 0))


# How large, how many


def cache_estimate(order: int, size: int, align: int, off_slab: bool) -> tuple[int, int]:
    """Return how many objects a slab of ``order`` holds, and how many bytes are left over.

    Linux: cache_estimate(), mm/slab.c
    """
    slab_size = PAGE_SIZE << order
    if off_slab:
        return slab_size // size, slab_size % size
    num = max(0, (slab_size - SIZEOF_SLAB) // (size + SIZEOF_BUFCTL))
    if num and align_up(SIZEOF_SLAB + num * SIZEOF_BUFCTL, align) + num * size > slab_size:
        num -= 1
    return num, slab_size - num * size - align_up(SIZEOF_SLAB + num * SIZEOF_BUFCTL, align)


def calculate_slab_order(s: SlabCache) -> int:
    """Find the order of a cache's slabs; return the bytes left over in one.

    Linux: calculate_slab_order(), mm/slab.c
    """
    left_over = 0
    for order in range(MAX_PAGE_ORDER + 1):
        num, left = cache_estimate(order, s.size, s.align, s.off_slab)
        if not num:
            continue
        if s.off_slab and num > (s.size - SIZEOF_SLAB) // SIZEOF_BUFCTL:
            break
        s.num, s.order, left_over = num, order, left
        if s.flags & SlabFlags.RECLAIM_ACCOUNT or order >= BREAK_GFP_ORDER or left_over * 8 <= PAGE_SIZE << order:
            break
    if not s.num:
        raise ValueError(f"objects of {s.size} bytes are too large for a slab: {PAGE_SIZE << MAX_PAGE_ORDER} at most")
    return left_over


def enable_cpucache(s: SlabCache) -> None:
    """Give each CPU an array, the smaller the larger the objects are; and one to share.

    Linux: enable_cpucache(), mm/slab.c
    """
    limits = ((131072, 1), (PAGE_SIZE, 8), (1024, 24), (256, 54), (0, 120))
    limit = next(limit for above, limit in limits if s.size > above)
    batchcount = (limit + 1) // 2
    cpus = s.slabs.cpus
    s.array = [ArrayCache(cpu, limit, batchcount) for cpu in range(cpus)]
    if cpus > 1 and s.size <= PAGE_SIZE:
        s.shared = ArrayCache(-1, 8 * batchcount, 0xBAAD)
    s.free_limit = (1 + cpus) * batchcount + s.num


def new_cache(**fields: Any) -> SlabCache:
    """Return an empty cache.  Linux: no counterpart; struct kmem_cache is zeroed memory there"""
    return SlabCache(**fields)


def cache_create(s: SlabCache) -> None:
    """Lay a cache out: size, order, place of the descriptor, colours, arrays.

    Linux: kmem_cache_create(), mm/slab.c
    """
    s.size = align_up(s.object_size, WORD)
    s.off_slab = s.size >= OFF_SLAB_MIN  # asked before the size is aligned
    s.size = s.inuse = align_up(s.size, s.align)
    left_over = calculate_slab_order(s)
    s.slab_size = align_up(s.num * SIZEOF_BUFCTL + SIZEOF_SLAB, s.align)
    if s.off_slab and left_over >= s.slab_size:
        s.off_slab = False
        left_over -= s.slab_size
    if s.off_slab:
        s.slab_size = s.num * SIZEOF_BUFCTL + SIZEOF_SLAB
    s.colour_off = max(CACHE_LINE_SIZE, s.align)
    s.colour = left_over // s.colour_off
    s.gfpflags = GFP_DMA if s.flags & SlabFlags.CACHE_DMA else 0
    s.zone = s.slabs.node.zones[0]
    enable_cpucache(s)
    if s.slabs.node.trace is not None:
        s.slabs.node.trace.emit(CacheCreate(s.name, s.object_size, s.size, s.order, s.num, s.slabs.cpus))


# Slabs


def move_to_list(s: SlabCache, slab: Slab, to: str, tail: bool) -> None:
    """Put a slab on the list "full", "partial" or "free".

    Linux: list_del(), list_add(), include/linux/list.h
    """
    s.lists[slab.on].pop(slab.pfn, None)
    slab.on = to
    s.lists[to][slab.pfn] = slab
    if not tail:
        s.lists[to].move_to_end(slab.pfn, last=False)
    if s.slabs.node.trace is not None:
        s.slabs.node.trace.emit(SlabList(s.name, slab.pfn, to, tail))


def cache_grow(s: SlabCache, gfp: int) -> bool:
    """Make a new slab, all free; each has the next colour.  Linux: cache_grow(), mm/slab.c"""
    node = s.slabs.node
    offset = s.colour_next * s.colour_off
    page = alloc_pages(node, gfp & ~ZERO | s.gfpflags | int(Gfp.COMP), s.order)
    if page is None:
        return False
    descriptor = 0
    if s.off_slab:
        if not s.slabs.kmalloc_caches:
            create_kmalloc_caches(s.slabs)
        general: Any = s.slabs.kmalloc_caches[0][kmalloc_index(s.slab_size)]
        descriptor = slab_alloc(general, gfp & ~ZERO, s.slab_size)
        if not descriptor:
            free_pages(node, page, s.order)
            return False
    s.colour_next = s.colour_next + 1 if s.colour_next + 1 < s.colour else 0
    base = pfn_to_virt(page.pfn) + offset + (0 if s.off_slab else s.slab_size)
    page.mapping = base  # it holds a list pointer: no good page to free
    slab = Slab(s, page.pfn, base, offset, descriptor, list(range(s.num))[::-1], bytearray(s.num))
    s.slabs.pages.add(page.pfn, s.order, slab)
    if node.trace is not None:
        node.trace.emit(SlabNew(s.name, page.pfn, s.order, tuple(range(s.num))))
    if s.ctor is not None:
        for index in range(s.num):
            s.ctor(base + index * s.size)
    move_to_list(s, slab, "free", tail=True)
    s.free_objects += s.num
    return True


def slab_destroy(s: SlabCache, slab: Slab) -> None:
    """Give the pages of a slab back, and its descriptor.  Linux: slab_destroy(), mm/slab.c"""
    node = s.slabs.node
    del s.lists[slab.on][slab.pfn]
    s.slabs.pages.remove(slab.pfn, s.order)
    if node.trace is not None:
        node.trace.emit(SlabDiscard(s.name, slab.pfn, s.order))
    page = node.page(slab.pfn)
    page.mapping = 0
    free_pages(node, page, s.order)
    if slab.descriptor:
        descriptor = s.slabs.pages[(slab.descriptor - PAGE_OFFSET) // PAGE_SIZE]
        slab_free(descriptor, slab.descriptor, descriptor.cache)


# Allocating


def slab_alloc(s: SlabCache, gfp: int, orig_size: int) -> int:
    """Return the address of an object, now in use, or 0.

    Linux: ____cache_alloc(), mm/slab.c
    """
    ac = s.array[s.zone.cpu]
    ac.touched = ac.touched or bool(ac.entry)
    if not ac.entry and not cache_alloc_refill(s, ac, gfp):
        return 0
    ptr = ac.entry.pop()
    slab = s.slabs.pages.around(ptr)
    if slab is None:  # freed twice, and its slab has gone since: whose page it is now nobody asks
        return ptr
    index = (ptr - slab.base) // s.size
    slab.live[index] = 1
    if s.slabs.node.trace is not None:
        s.slabs.node.trace.emit(ObjectGet(s.name, ac.cpu, slab.pfn, index))
    if gfp & ZERO:
        s.slabs.node.memory.clear(ptr - PAGE_OFFSET, s.object_size)
    return ptr


def transfer_objects(s: SlabCache, to: ArrayCache, source: ArrayCache, count: int) -> int:
    """Move the newest objects of one array to another.  Linux: transfer_objects(), mm/slab.c"""
    count = min(count, len(source.entry), to.limit - len(to.entry))
    if count:
        to.entry += source.entry[-count:]
        del source.entry[-count:]
        if s.slabs.node.trace is not None:
            s.slabs.node.trace.emit(ArrayTransfer(s.name, to.cpu, count, False))
    return count


def cache_alloc_refill(s: SlabCache, ac: ArrayCache, gfp: int) -> bool:
    """Fill an empty array: from the shared one, partial slabs, free slabs, a new slab.

    Linux: cache_alloc_refill(), mm/slab.c
    """
    while not ac.entry:
        batchcount = ac.batchcount
        if not ac.touched:
            batchcount = min(batchcount, BATCHREFILL_LIMIT)
        if s.shared is None or not transfer_objects(s, ac, s.shared, batchcount):
            while batchcount > 0 and (slabs := s.lists["partial"] or s.lists["free"]):
                batchcount = _take(s, ac, next(iter(slabs.values())), batchcount)
        if not ac.entry and not cache_grow(s, gfp):
            return False
    ac.touched = True
    return True


def _take(s: SlabCache, ac: ArrayCache, slab: Slab, batchcount: int) -> int:
    """Move up to ``batchcount`` free objects of a slab into an array; return how many are still wanted."""
    while slab.free and batchcount:
        index = slab.free.pop()
        ac.entry.append(slab.base + index * s.size)
        s.free_objects -= 1
        batchcount -= 1
        if s.slabs.node.trace is not None:
            s.slabs.node.trace.emit(ArrayFill(s.name, ac.cpu, slab.pfn, index))
    move_to_list(s, slab, "partial" if slab.free else "full", tail=False)
    return batchcount


# Freeing


def slab_free(slab: Slab, ptr: int, cache: KmemCache | None) -> None:
    """Take an object back into this CPU's array; from kfree() ``cache`` is None.

    Raises KernelBug in teaching mode, and changes nothing, if nobody holds an object that begins
    there, or if it belongs to another cache.  Without, any address goes into the array, as it did
    in Linux; a second time too.

    Linux: __cache_free(), mm/slab.c
    Simplified: what is of another cache goes into its own cache's array.
    """
    s = slab.cache
    index = (ptr - slab.base) // s.size
    reason = _bad_free(s, slab, ptr, index, cache)
    if reason and s.slabs.node.teaching:
        raise KernelBug(reason)
    ac = s.array[s.zone.cpu]
    trace = s.slabs.node.trace
    if trace is not None:
        trace.emit(Kfree(ptr) if cache is None else KmemCacheFree(ptr, cache.name))
    if len(ac.entry) >= ac.limit:
        cache_flusharray(s, ac)
    slab.live[min(max(index, 0), s.num - 1)] = 0
    ac.entry.append(ptr)
    if trace is not None:
        trace.emit(ObjectPut(s.name, ac.cpu, slab.pfn, index))


def _bad_free(s: SlabCache, slab: Slab, ptr: int, index: int, cache: KmemCache | None) -> str | None:
    """Return what is wrong with a free, in a sentence, or None."""
    start = slab.base + index * s.size
    if not 0 <= index < s.num:
        return f"{ptr:#x} lies in a slab of {s.name}, but in no object of it"
    if ptr != start:
        return f"{ptr:#x} lies {ptr - start} bytes inside object {index} of {s.name}, which begins at {start:#x}"
    if not slab.live[index]:
        return f"double free: the object at {ptr:#x} in {s.name} is free already; nobody holds it"
    if cache is not None and cache is not s:
        return f"Wrong slab cache. {cache.name} but object is from {s.name}"
    return None


def cache_flusharray(s: SlabCache, ac: ArrayCache) -> None:
    """Give the oldest objects of a full array to the shared one, or back to their slabs.

    Linux: cache_flusharray(), mm/slab.c
    """
    batchcount = ac.batchcount
    shared = s.shared
    room = shared.limit - len(shared.entry) if shared is not None else 0
    if shared is not None and room:
        batchcount = min(batchcount, room)
        shared.entry += ac.entry[:batchcount]
        del ac.entry[:batchcount]
        if s.slabs.node.trace is not None:
            s.slabs.node.trace.emit(ArrayTransfer(s.name, ac.cpu, batchcount, True))
    else:
        free_block(s, ac, batchcount)


def free_block(s: SlabCache, ac: ArrayCache, count: int) -> None:
    """Put the oldest objects of an array back into their slabs; too many free slabs go.

    Linux: free_block(), mm/slab.c
    """
    oldest = ac.entry[:count]
    del ac.entry[:count]
    for ptr in oldest:
        slab = s.slabs.pages.around(ptr)
        if slab is None:  # freed twice, and its slab has gone since
            continue
        index = (ptr - slab.base) // s.size
        slab.free.append(index)
        s.free_objects += 1
        if s.slabs.node.trace is not None:
            s.slabs.node.trace.emit(ArrayFlush(s.name, ac.cpu, slab.pfn, index))
        if slab.inuse:
            move_to_list(s, slab, "partial", tail=True)
        elif s.free_objects > s.free_limit:
            s.free_objects -= s.num
            slab_destroy(s, slab)
        else:
            move_to_list(s, slab, "free", tail=False)


# All of a cache


def drain_array(s: SlabCache) -> None:
    """Empty all arrays into the slabs.  Linux: drain_cpu_caches(), mm/slab.c"""
    for ac in [*s.array, *([s.shared] if s.shared is not None else [])]:
        free_block(s, ac, len(ac.entry))


def cache_shrink(s: SlabCache) -> None:
    """Give back every free slab.  Linux: __cache_shrink(), drain_freelist(), mm/slab.c"""
    drain_array(s)
    for slab in reversed(list(s.lists["free"].values())):
        s.free_objects -= s.num
        slab_destroy(s, slab)


def cache_shutdown(s: SlabCache) -> list[int]:
    """Give all slabs back; return the addresses of objects that are still in use.

    Linux: kmem_cache_destroy(), mm/slab.c
    """
    cache_shrink(s)
    slabs = [*s.lists["full"].values(), *s.lists["partial"].values()]
    return [slab.base + index * s.size for slab in slabs for index in range(s.num) if slab.live[index]]


def get_slabinfo(s: SlabCache) -> SlabInfo:
    """Count the objects and slabs of a cache; one that lies in an array counts as active.

    Linux: s_show(), mm/slab.c
    """
    active_slabs = len(s.lists["full"]) + len(s.lists["partial"])
    num_slabs = active_slabs + len(s.lists["free"])
    tunables = s.array[0].limit, s.array[0].batchcount, 8 if s.shared is not None else 0
    shared_avail = len(s.shared.entry) if s.shared is not None else 0
    num_objs = num_slabs * s.num
    return SlabInfo(
        num_objs - s.free_objects, num_objs, s.num, s.order, active_slabs, num_slabs, tunables, shared_avail
    )


SLAB = SlabAllocator(
    "slab", new_cache, cache_create, slab_alloc, slab_free, cache_free, cache_shrink, cache_shutdown,
    kmalloc, kfree, ksize, get_slabinfo,
)  # fmt: skip
