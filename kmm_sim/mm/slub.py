# SPDX-License-Identifier: GPL-2.0-only
"""SLUB: each CPU takes a slab for itself and hands its objects out.

The freelist of that slab is the CPU's own: allocating takes its first object, freeing puts an
object back first, with nobody to ask.  Only when it runs dry does the CPU look further: for
objects that others freed in its slab, for the slabs it has put aside, for the node's partial
slabs, and at last for new pages.  A full slab is on no list at all; the first free of one of
its objects brings it back.

Linux: mm/slub.c
Simplified: one node, no bulk calls; freeing for RCU is done at once.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from kmm_sim.errors import KernelBug
from kmm_sim.mm import slub_debug
from kmm_sim.mm.gfp import NOWARN, ZERO, Gfp, gfp_names
from kmm_sim.mm.kmalloc import kfree, kmalloc, kmalloc_fix_flags
from kmm_sim.mm.kmalloc import ksize as kmalloc_ksize
from kmm_sim.mm.page import PAGE_OFFSET, pfn_to_virt
from kmm_sim.mm.page_alloc import alloc_pages, free_pages
from kmm_sim.mm.slab_common import KmemCache, SlabAllocator, SlabFlags, SlabInfo, Slabs, cache_free, virt_to_slab
from kmm_sim.mm.slab_events import (
    CacheCreate,
    CpuPartialAdd,
    CpuPartialDel,
    CpuSlabLoad,
    CpuSlabUnload,
    Kfree,
    KmemCacheFree,
    ObjectGet,
    ObjectPut,
    PartialAdd,
    PartialDel,
    SlabDiscard,
    SlabNew,
)
from kmm_sim.mm.slab_pages import ROW_MASK, ROW_SHIFT
from kmm_sim.mm.slub_broken import alloc_from_chain, break_freelist
from kmm_sim.mm.slub_def import (
    NO_OBJECTS,
    NO_SLAB,
    KmemCacheCpu,
    Slab,
    SlubCache,
    calculate_sizes,
    kmem_cache_debug,
    slabs_of,
)

__all__ = [
    "SLUB",
    "add_partial",
    "alloc_single",
    "allocate_slab",
    "bad_free",
    "cache_create",
    "cache_shrink",
    "cache_shutdown",
    "deactivate_slab",
    "discard_slab",
    "flush_all",
    "flush_slab",
    "free_to_partial_list",
    "get_partial_node",
    "get_slabinfo",
    "kfree_fastpath",
    "kmalloc_fastpath",
    "ksize",
    "mark_all_used",
    "new_cache",
    "new_slab",
    "notices_bad_free",
    "put_cpu_partial",
    "put_object",
    "put_partials",
    "remove_partial",
    "slab_alloc",
    "slab_free",
    "slab_free_slow",
    "slab_out_of_memory",
    "slab_refill",
]

GFP_SLAB_BUG_MASK = int(Gfp.DMA32 | Gfp.HIGHMEM)
GFP_RECLAIM_MASK = int(
    Gfp.RECLAIM | Gfp.HIGH | Gfp.IO | Gfp.FS | Gfp.NOWARN | Gfp.RETRY_MAYFAIL | Gfp.NOFAIL
    | Gfp.NORETRY | Gfp.MEMALLOC | Gfp.NOMEMALLOC
)  # fmt: skip
GFP_CONSTRAINT_MASK = int(Gfp.HARDWALL | Gfp.THISNODE)
NOMEMALLOC, NORETRY, NOFAIL = int(Gfp.NOMEMALLOC), int(Gfp.NORETRY), int(Gfp.NOFAIL)
RECLAIM, DIRECT_RECLAIM = int(Gfp.RECLAIM), int(Gfp.DIRECT_RECLAIM)
SHRINK_PROMOTE_MAX = 32
TO_HEAD, TO_TAIL = False, True


# Caches


def new_cache(**fields: Any) -> SlubCache:
    """Return an empty cache.  Linux: no counterpart; struct kmem_cache is zeroed memory there"""
    return SlubCache(**fields)


def cache_create(s: SlubCache) -> None:
    """Lay a cache out and give each CPU its place in it.

    Linux: do_kmem_cache_create(), mm/slub.c
    """
    slabs = s.slabs
    calculate_sizes(s, slabs.cpus)
    s.debug = kmem_cache_debug(s)
    if not s.flags & SlabFlags.CONSISTENCY_CHECKS:
        s.flags |= int(SlabFlags.CMPXCHG_DOUBLE)
    if slabs.secrets is not None:
        s.random = slabs.secrets()
    s.cpu_slab = [KmemCacheCpu(cpu, NO_SLAB) for cpu in range(slabs.cpus)]
    s.zone = slabs.node.zones[0]
    s.run_on(s.zone.cpu)
    if slabs.node.trace is not None:
        slabs.node.trace.emit(CacheCreate(s.name, s.object_size, s.size, *s.oo, slabs.cpus))


# New slabs and old ones


def allocate_slab(s: SlubCache, gfp: int) -> Slab | None:
    """Turn pages into a slab: of the order that wastes little, else of the least that will do.

    Linux: allocate_slab(), mm/slub.c
    """
    node = s.slabs.node
    gfp |= s.allocflags
    oo = s.oo
    alloc_gfp = (gfp | NOWARN | NORETRY) & ~NOFAIL
    if alloc_gfp & DIRECT_RECLAIM and oo[0] > s.min[0]:
        alloc_gfp = (alloc_gfp | NOMEMALLOC) & ~RECLAIM
    page = alloc_pages(node, s.masks.setdefault(alloc_gfp, alloc_gfp), oo[0])
    if page is None:
        oo = s.min
        page = alloc_pages(node, gfp, oo[0])
        if page is None:
            return None
    order, objects = oo
    freelist = list(range(objects))
    if s.slabs.freelist_order is not None:
        freelist = list(s.slabs.freelist_order(s, objects))
    base = pfn_to_virt(page.pfn) + s.red_left_pad
    page.mapping = base  # a list pointer of struct slab lies there: no good page to free
    page.flags = s.masks.setdefault(page.flags, page.flags)
    live = [0] * (objects + 1) if objects >= 16 else bytearray(objects + 1)  # what is faster, what is smaller
    slab = Slab(s, page.pfn, base, freelist[::-1], live, oo)
    s.slabs.pages.add(page.pfn, order, slab)
    s.node.nr_slabs += 1
    s.node.total_objects += objects
    if node.trace is not None:
        node.trace.emit(SlabNew(s.name, page.pfn, order, tuple(freelist)))
        if not s.debug:
            slub_debug.link_objects(s, slab)
    if s.debug:
        slub_debug.setup_slab_debug(s, slab)
    if s.ctor is not None:
        for index in freelist:
            s.ctor(base + index * s.size)
    return slab


def new_slab(s: SlubCache, gfp: int) -> Slab | None:
    """Return a new slab or None.

    The kernel is surprised, once, to be asked for zeros that would undo what a constructor did.

    Linux: new_slab(), mm/slub.c
    Simplified: no registers, no call trace.
    """
    node = s.slabs.node
    if gfp & GFP_SLAB_BUG_MASK:
        gfp = kmalloc_fix_flags(s.slabs, gfp)
    if s.ctor is not None and gfp & ZERO and "new_slab" not in s.slabs.warned:
        s.slabs.warned.add("new_slab")
        node.dmesg += [
            "------------[ cut here ]------------",
            f"WARNING: CPU: {s.this_cpu.cpu} PID: {node.current.pid} at mm/slub.c:2700 new_slab",
        ]
    return allocate_slab(s, gfp & (GFP_RECLAIM_MASK | GFP_CONSTRAINT_MASK))


def discard_slab(s: SlubCache, slab: Slab) -> None:
    """Give the pages of a slab back to the page allocator.  Linux: discard_slab(), mm/slub.c"""
    node = s.slabs.node
    if s.debug:
        slub_debug.check_slab_on_free(s, slab)
    s.node.nr_slabs -= 1
    s.node.total_objects -= slab.objects
    s.slabs.pages.remove(slab.pfn, slab.order)
    if node.trace is not None:
        node.trace.emit(SlabDiscard(s.name, slab.pfn, slab.order))
    page = node.page(slab.pfn)
    page.mapping = 0
    free_pages(node, page, slab.order)


# The node's partial list


def add_partial(s: SlubCache, slab: Slab, tail: bool) -> None:
    """Put a slab on the node's partial list.  Linux: add_partial(), mm/slub.c"""
    partial = s.node.partial
    partial[slab.pfn] = slab
    if not tail:
        partial.move_to_end(slab.pfn, last=False)
    if s.slabs.node.trace is not None:
        s.slabs.node.trace.emit(PartialAdd(s.name, slab.pfn, tail))


def remove_partial(s: SlubCache, slab: Slab) -> None:
    """Take a slab off the node's partial list.  Linux: remove_partial(), mm/slub.c"""
    del s.node.partial[slab.pfn]
    if s.slabs.node.trace is not None:
        s.slabs.node.trace.emit(PartialDel(s.name, slab.pfn))


def get_partial_node(s: SlubCache, c: KmemCacheCpu) -> Slab:
    """Take the first partial slab, of which there is one; put some that follow aside for this CPU.

    Linux: get_partial_node(), mm/slub.c
    """
    first, *others = islice(s.node.partial.values(), s.cpu_partial_slabs // 2 + 2)
    remove_partial(s, first)
    for slab in others:
        remove_partial(s, slab)
        put_cpu_partial(s, c, slab, False)
    return first


# A CPU's own slabs


def put_cpu_partial(s: SlubCache, c: KmemCacheCpu, slab: Slab, drain: bool) -> None:
    """Put a slab aside for this CPU; with too many aside, all of those go to the node first.

    Linux: put_cpu_partial(), mm/slub.c
    """
    to_put: list[Slab] = []
    if drain and c.partial and len(c.partial) >= s.cpu_partial_slabs:
        to_put, c.partial = c.partial, []
        _tell_cpu_partial_del(s, c, to_put)
    c.partial.append(slab)
    if s.pgdat.trace is not None:
        s.pgdat.trace.emit(CpuPartialAdd(s.name, c.cpu, slab.pfn))
    if to_put:
        put_partials(s, to_put)


def _tell_cpu_partial_del(s: SlubCache, c: KmemCacheCpu, left: list[Slab]) -> None:
    if s.slabs.node.trace is not None:
        for slab in reversed(left):
            s.slabs.node.trace.emit(CpuPartialDel(s.name, c.cpu, slab.pfn))


def put_partials(s: SlubCache, partial_slabs: list[Slab]) -> None:
    """Move slabs that a CPU had aside to the node; it keeps few that are empty.

    Linux: __put_partials(), mm/slub.c
    """
    to_discard = []
    for slab in reversed(partial_slabs):
        if not slab.inuse and s.node.nr_partial >= s.min_partial:
            to_discard.append(slab)
        else:
            add_partial(s, slab, TO_TAIL)
    for slab in reversed(to_discard):
        discard_slab(s, slab)


def deactivate_slab(s: SlubCache, c: KmemCacheCpu) -> None:
    """Take a CPU's slab away from it and put the slab where it belongs.

    Linux: deactivate_slab(), mm/slub.c
    """
    slab = c.slab
    tail = bool(slab.freelist)
    slab.frozen = False
    if c.freelist and slab.freelist and s.slabs.node.trace is not None:
        slub_debug.set_freepointer(s, slab, c.freelist[0], slab.freelist[-1])
    slab.freelist = slab.freelist + c.freelist
    c.slab, c.freelist = NO_SLAB, []
    if s.slabs.node.trace is not None:
        s.slabs.node.trace.emit(CpuSlabUnload(s.name, c.cpu, slab.pfn))
    if not slab.inuse and s.node.nr_partial >= s.min_partial:
        discard_slab(s, slab)
    elif slab.freelist:
        add_partial(s, slab, tail)


def flush_slab(s: SlubCache, c: KmemCacheCpu) -> None:
    """Take all slabs away from a CPU.  Linux: flush_slab(), put_partials_cpu(), mm/slub.c"""
    if c.slab.pfn >= 0:
        deactivate_slab(s, c)
    partial, c.partial = c.partial, []
    _tell_cpu_partial_del(s, c, partial)
    put_partials(s, partial)


def flush_all(s: SlubCache) -> None:
    """Take all slabs away from all CPUs.  Linux: flush_all(), mm/slub.c"""
    for c in s.cpu_slab:
        flush_slab(s, c)


# Allocating


def slab_alloc(s: SlubCache, gfp: int, orig_size: int) -> int:
    """Return the address of an object, now in use, or 0.

    ``orig_size`` is what the caller of kmalloc() asked for, in bytes.

    Linux: slab_alloc_node(), mm/slub.c
    """
    c, trace = s.this_cpu, s.pgdat.trace
    if not c.freelist:
        if s.debug:
            return alloc_single(s, gfp, orig_size)
        if s.chains:
            return alloc_from_chain(s, gfp)
        if not slab_refill(s, c, gfp):
            slab_out_of_memory(s, c, gfp)
            return 0
    slab = c.slab
    index = c.freelist.pop()
    slab.live[index] = 1
    if trace is not None:
        trace.emit(ObjectGet(s.name, c.cpu, slab.pfn, index))
    ptr = slab.base + index * s.size
    if gfp & ZERO or s.pgdat.init_on_alloc:
        s.pgdat.memory.clear(ptr - PAGE_OFFSET, s.object_size)
    return ptr


def slab_refill(s: SlubCache, c: KmemCacheCpu, gfp: int) -> bool:
    """Find the CPU free objects: in its own slab, one put aside, the node's, a new one.

    Its own freelist has run dry; the whole freelist of the slab that is found becomes it.

    Linux: ___slab_alloc(), get_freelist(), freeze_slab(), mm/slub.c
    """
    slab, trace = c.slab, s.pgdat.trace
    if slab.freelist:
        source = "own"  # others have freed objects in it
    else:
        if slab.pfn >= 0:  # it is full, and on no list from now on
            slab.frozen = False
            if trace is not None:
                trace.emit(CpuSlabUnload(s.name, c.cpu, slab.pfn))
        if c.partial:
            slab, source = c.partial.pop(), "cpu partial"
            if trace is not None:
                trace.emit(CpuPartialDel(s.name, c.cpu, slab.pfn))
        elif s.node.partial:
            slab, source = get_partial_node(s, c), "node partial"
        elif (new := new_slab(s, gfp)) is not None:
            slab, source = new, "new"
        else:
            c.slab = NO_SLAB
            return False
        c.slab, slab.frozen = slab, True
    c.freelist, slab.freelist = slab.freelist, NO_OBJECTS
    if trace is not None:
        trace.emit(CpuSlabLoad(s.name, c.cpu, slab.pfn, source))
    return True


def alloc_single(s: SlubCache, gfp: int, orig_size: int) -> int:
    """Take one object of a cache whose objects are checked; its slabs stay with the node.

    Linux: alloc_single_from_partial(), alloc_single_from_new_slab(), mm/slub.c
    """
    slab = next(iter(s.node.partial.values()), None)
    is_new = slab is None
    if slab is None:
        slab = new_slab(s, gfp)
        if slab is None:
            slab_out_of_memory(s, s.this_cpu, gfp)
            return 0
    index = slab.freelist.pop()
    try:
        good = slub_debug.alloc_debug_processing(s, slab, index, orig_size)
    except KernelBug:
        slab.freelist.append(index)
        raise
    if not good:
        slab.freelist.append(index)
        mark_all_used(s, slab)
        return alloc_single(s, gfp, orig_size)
    slab.live[index] = 1
    if s.slabs.node.trace is not None:
        s.slabs.node.trace.emit(ObjectGet(s.name, -1, slab.pfn, index))
    if is_new and slab.inuse < slab.objects:
        add_partial(s, slab, TO_HEAD)
    elif not is_new and slab.inuse == slab.objects:
        remove_partial(s, slab)
    ptr = slab.base + index * s.size
    if gfp & ZERO or s.pgdat.init_on_alloc:
        # behind what kmalloc() was asked for a red zone begins, where that is written down
        known = s.flags & SlabFlags.STORE_USER and s.flags & SlabFlags.KMALLOC
        s.pgdat.memory.clear(ptr - PAGE_OFFSET, orig_size if known else s.object_size)
    return ptr


def mark_all_used(s: SlubCache, slab: Slab) -> None:
    """Never use a slab again whose free objects somebody wrote to.

    Linux: alloc_debug_processing(), mm/slub.c
    """
    trace = s.slabs.node.trace
    while slab.freelist:
        index = slab.freelist.pop()
        slab.live[index] = 1
        if trace is not None:
            trace.emit(ObjectGet(s.name, -1, slab.pfn, index))
    if slab.pfn in s.node.partial:
        remove_partial(s, slab)


def slab_out_of_memory(s: SlubCache, c: KmemCacheCpu, gfp: int) -> None:
    """Write to the kernel's log that a cache got no pages.  Linux: slab_out_of_memory(), mm/slub.c"""
    if gfp & NOWARN:
        return
    node = s.node
    free = sum(slab.objects - slab.inuse for slab in node.partial.values())
    s.slabs.node.dmesg += [
        f"SLUB: Unable to allocate memory on CPU {c.cpu} (of node 0) on node -1, gfp={gfp:#x}({gfp_names(gfp)})",
        f"  cache: {s.name}, object size: {s.object_size}, buffer size: {s.size}, "
        f"default order: {s.oo[0]}, min order: {s.min[0]}",
        f"  node 0: slabs: {node.nr_slabs}, objs: {node.total_objects}, free: {free}",
    ]


# Freeing


def notices_bad_free(s: SlubCache, slab: Slab, ptr: int) -> bool:
    """Return whether the kernel notices that nobody holds an object that begins at an address.

    It does if the cache is checked, and, if freelists are hardened, when the object would come to
    point to itself: it was freed twice in a row.  In teaching mode a KernelBug says what is wrong.

    Linux: free_consistency_checks(), set_freepointer(), mm/slub.c
    Simplified: a cache that is poisoned or tracked, and not checked, notices too, and says nothing.
    """
    node = s.slabs.node
    index, inside = divmod(ptr - slab.base, s.size)
    start = slab.base + index * s.size
    if 0 <= index < slab.objects and not inside:
        slub_debug.report_double_free(s, slab, index)
        reason = f"double free: the object at {ptr:#x} in {s.name} is free already; nobody holds it"
        freelist = s.this_cpu.freelist if s.this_cpu.slab is slab else slab.freelist
        if s.random is not None and not s.debug and not node.teaching and freelist[-1:] == [index]:
            node.dmesg.append("kernel BUG at mm/slub.c:550!")
            return True
    else:
        slub_debug.report_bad_pointer(s, slab, ptr)
        reason = f"{ptr:#x} lies in a slab of {s.name}, but in no object of it"
        if 0 <= index < slab.objects:
            state = "in use" if slab.live[index] else "free"
            reason = (
                f"{ptr:#x} is not the beginning of an object: it lies {inside} bytes inside object {index} of "
                f"{s.name}, which is {state} and begins at {start:#x}; free an object by its first byte"
            )
    if node.teaching:
        raise KernelBug(reason)
    return s.debug


def bad_free(s: SlubCache, slab: Slab, ptr: int, cache: KmemCache | None) -> None:
    """Free what nobody holds: an object that is free, or an address inside one.

    Raises KernelBug in teaching mode.  Without, and if the kernel does not notice, the freelist
    is broken from now on; its slab, should it be on a list, is on none any more.

    Linux: do_slab_free(), mm/slub.c
    """
    if notices_bad_free(s, slab, ptr):
        return
    c, trace = s.this_cpu, s.pgdat.trace
    if trace is not None:
        trace.emit(Kfree(ptr) if cache is None else KmemCacheFree(ptr, cache.name))
    if slab.pfn in s.node.partial:
        remove_partial(s, slab)
    for other in s.cpu_slab:
        if slab in other.partial:
            other.partial.remove(slab)
            _tell_cpu_partial_del(s, other, [slab])
    break_freelist(s, c, slab, ptr)


def slab_free(slab: Slab, ptr: int, cache: KmemCache | None) -> None:
    """Take an object back; from kfree() ``cache`` is None.

    Raises KernelBug in teaching mode, and changes nothing, if nobody holds an object that begins
    there, or if it belongs to another cache.

    Linux: slab_free(), do_slab_free(), mm/slub.c
    Simplified: without teaching it goes back to its own cache even if nobody looked whose it is.
    """
    s = slab.cache
    offset, size = ptr - slab.base, s.size
    index = offset // size
    if not slab.live[index] or index * size != offset:
        bad_free(s, slab, ptr, cache)
        return
    if cache is not None and cache is not s:
        line = slub_debug.report_wrong_cache(s, cache, ptr)
        if s.slabs.node.teaching:
            raise KernelBug(line)
    c = s.this_cpu
    trace = s.pgdat.trace
    if trace is not None:
        trace.emit(Kfree(ptr) if cache is None else KmemCacheFree(ptr, cache.name))
    if slab is c.slab:
        slab.live[index] = 0
        if trace is not None:
            trace.emit(ObjectPut(s.name, c.cpu, slab.pfn, index))
            slub_debug.set_freepointer(s, slab, index, c.freelist[-1] if c.freelist else None)
        c.freelist.append(index)
    elif s.debug:
        free_to_partial_list(s, slab, index)
    else:
        slab_free_slow(s, c, slab, index)


def slab_free_slow(s: SlubCache, c: KmemCacheCpu, slab: Slab, index: int) -> None:
    """Put an object on the freelist of a slab that is not this CPU's.

    A slab that was full is put aside for this CPU; one that is empty now may go.

    Linux: __slab_free(), mm/slub.c
    """
    freelist, trace = slab.freelist, s.pgdat.trace
    slab.live[index] = 0
    if trace is not None:
        trace.emit(ObjectPut(s.name, -1, slab.pfn, index))
        slub_debug.set_freepointer(s, slab, index, freelist[-1] if freelist else None)
    if freelist:
        freelist.append(index)
    else:
        slab.freelist = [index]
    if slab.frozen:
        return
    if not freelist:  # it was full
        if trace is None and len(c.partial) < s.cpu_partial_slabs:
            c.partial.append(slab)  # put_cpu_partial(), without the call
        else:
            put_cpu_partial(s, c, slab, True)
    elif (len(freelist) == slab.oo[1] and slab.pfn in s.node.partial
          and s.node.nr_partial >= s.min_partial):
        remove_partial(s, slab)
        discard_slab(s, slab)


def free_to_partial_list(s: SlubCache, slab: Slab, index: int) -> None:
    """Check an object of a debug cache and put it back; its slab stays with the node.

    Linux: free_to_partial_list(), mm/slub.c
    """
    if not slub_debug.free_debug_processing(s, slab, index):
        return
    prior = bool(slab.freelist)
    put_object(s, slab, index)
    discard = not slab.inuse and s.node.nr_partial >= s.min_partial
    if not prior and not discard:
        add_partial(s, slab, TO_TAIL)
    elif prior and discard:
        remove_partial(s, slab)
    if discard:
        discard_slab(s, slab)


def put_object(s: SlubCache, slab: Slab, index: int) -> None:
    """Put an object first on its slab's own freelist.  Linux: set_freepointer(), mm/slub.c"""
    slab.live[index] = 0
    slab.freelist.append(index)
    if s.slabs.node.trace is not None:
        s.slabs.node.trace.emit(ObjectPut(s.name, -1, slab.pfn, index))


def ksize(slabs: Slabs, ptr: int) -> int:
    """Return how many bytes there are behind an address; whoever asks may use them all.

    Linux: __ksize(), mm/slab_common.c
    """
    slab = virt_to_slab(slabs, ptr)
    if slab is not None and not (ptr - slab.base) % slab.cache.size:
        slub_debug.skip_orig_size_check(slab.cache, ptr)
    return kmalloc_ksize(slabs, ptr)


# kmalloc() and kfree() in one step


def kmalloc_fastpath(slabs: Slabs, size: int, gfp: int) -> int:
    """Do what kmalloc() does when there is nothing to tell, to clear or to check: most requests.

    It is kmalloc() and slab_alloc() in one, as the compiler makes of them in Linux too.

    Linux: __do_kmalloc_node(), slab_alloc_node(), mm/slub.c
    """
    try:
        s: Any = slabs.kmalloc_plain[gfp][size]
    except (KeyError, IndexError):
        return kmalloc(slabs, size, gfp)
    node = s.pgdat
    if size <= 0 or node.trace is not None or node.current.inside:
        return kmalloc(slabs, size, gfp)
    c = s.this_cpu
    if not c.freelist and not slab_refill(s, c, gfp):
        slab_out_of_memory(s, c, gfp)
        return 0
    slab = c.slab
    index = c.freelist.pop()
    slab.live[index] = 1
    return slab.base + index * s.size if index else slab.base  # type: ignore[no-any-return]  # no second number


def kfree_fastpath(slabs: Slabs, ptr: int) -> None:
    """Do what kfree() does when there is nothing to tell or to complain of: most frees.

    It is kfree() and slab_free() in one.

    Linux: kfree(), do_slab_free(), mm/slub.c
    """
    try:
        shift, row = slabs.pages.rows[ptr >> ROW_SHIFT]  # virt_to_slab(), without the call
    except KeyError:
        kfree(slabs, ptr)
        return
    slab = row[(ptr & ROW_MASK) >> shift]
    if slab is not None:
        s, live = slab.cache, slab.live
        offset, size = ptr - slab.base, s.size
        index = offset // size
        if live[index] and index * size == offset and s.pgdat.trace is None and not s.debug:
            c = s.this_cpu
            if slab is c.slab:
                live[index] = 0
                c.freelist.append(index)
            else:
                slab_free_slow(s, c, slab, index)
            return
    kfree(slabs, ptr)


# All of a cache


def cache_shrink(s: SlubCache) -> None:
    """Give back empty slabs; put those with the fewest free objects first, to be filled up.

    Linux: __kmem_cache_shrink(), __kmem_cache_do_shrink(), mm/slub.c
    """
    flush_all(s)
    before = list(s.node.partial.values())
    discard = [slab for slab in before if not slab.inuse]
    promote: list[list[Slab]] = [[] for _ in range(SHRINK_PROMOTE_MAX)]
    rest = []
    for slab in before:
        free = slab.objects - slab.inuse
        if slab.inuse and free <= SHRINK_PROMOTE_MAX:
            promote[free - 1].insert(0, slab)
        elif slab.inuse:
            rest.append(slab)
    after = [slab for slabs in promote for slab in slabs] + rest
    for slab in discard if after == [slab for slab in before if slab.inuse] else before:
        remove_partial(s, slab)
    for slab in after:
        if slab.pfn not in s.node.partial:
            add_partial(s, slab, TO_TAIL)
    for slab in reversed(discard):
        discard_slab(s, slab)


def cache_shutdown(s: SlubCache) -> list[int]:
    """Give all slabs back; return the addresses of objects that are still in use.

    Linux: __kmem_cache_shutdown(), free_partial(), mm/slub.c
    """
    flush_all(s)
    for slab in [slab for slab in s.node.partial.values() if not slab.inuse]:
        remove_partial(s, slab)
        discard_slab(s, slab)
    remaining = []
    for slab in slabs_of(s):
        in_use = [slab.base + index * s.size for index in range(slab.objects) if slab.live[index]]
        if slab.pfn in s.node.partial:  # the others are on no list on which it could find them
            slub_debug.list_slab_objects(s, slab, in_use)
        remaining += in_use
    return remaining


def get_slabinfo(s: SlubCache) -> SlabInfo:
    """Count the objects and slabs of a cache; one that is free on a CPU's own lists counts as active.

    Linux: get_slabinfo(), mm/slub.c
    """
    free = sum(slab.objects - slab.inuse for slab in s.node.partial.values())
    total = s.node.total_objects
    return SlabInfo(total - free, total, s.oo[1], s.oo[0], s.node.nr_slabs, s.node.nr_slabs)


SLUB = SlabAllocator(
    "slub", new_cache, cache_create, slab_alloc, slab_free, cache_free, cache_shrink, cache_shutdown,
    kmalloc_fastpath, kfree_fastpath, ksize, get_slabinfo,
)  # fmt: skip
