# SPDX-License-Identifier: GPL-2.0-only
"""SLUB since 7.0: in front of the slabs each CPU has arrays of free objects, its sheaves.

Allocating takes the newest object of the CPU's main sheaf, freeing puts one there.  When that
sheaf has run empty, or is full, it changes places with the spare; if the spare is no better,
with a sheaf from the node's barn.  Only when the barn cannot help is a sheaf filled from slabs,
partial ones first, or emptied into them.  So objects move in batches, and the list that all CPUs
share is asked for once in a while.  No slab belongs to a CPU any more, and none is put aside.

What a slab is, how pages become one, and the node's partial list are as before; they come from
kmm_sim/mm/slub.py.  A cache that checks its objects has no sheaves.

Linux: mm/slub.c at 7.0
Simplified: one node; no sheaf that a user fills for himself, and none for kfree_rcu(); an address
inside an object is an error without teaching too.
"""

from __future__ import annotations

from typing import Any

from kmm_sim.errors import KernelBug
from kmm_sim.mm import slub, slub_debug
from kmm_sim.mm.gfp import DIRECT_RECLAIM, ZERO, Gfp
from kmm_sim.mm.kmalloc import kfree, kmalloc
from kmm_sim.mm.page import PAGE_OFFSET, PAGE_SHIFT
from kmm_sim.mm.sheaf import (
    NodeBarn,
    SheafCache,
    SlabSheaf,
    SlubPercpuSheaves,
    alloc_empty_sheaf,
    calculate_sheaf_capacity,
    free_to_slab,
    move_sheaf,
    refill_sheaf,
    sheaf_flush,
)
from kmm_sim.mm.slab_common import KmemCache, SlabAllocator, cache_free
from kmm_sim.mm.slab_events import Kfree, KmemCacheFree, ObjectGet, ObjectPut
from kmm_sim.mm.slub import alloc_single, get_slabinfo, ksize, notices_bad_free
from kmm_sim.mm.slub_def import Slab

__all__ = [
    "MAX_FULL_SHEAVES",
    "SHEAVES",
    "alloc_from_pcs",
    "barn_get_empty_sheaf",
    "barn_replace_empty_sheaf",
    "barn_replace_full_sheaf",
    "barn_shrink",
    "cache_create",
    "cache_shrink",
    "cache_shutdown",
    "free_to_pcs",
    "new_cache",
    "pcs_flush_all",
    "pcs_replace_empty_main",
    "pcs_replace_full_main",
    "slab_alloc",
    "slab_free",
]

MAX_FULL_SHEAVES = 10
"""How many full sheaves a barn takes.  The limit of ten empty ones is for kfree_rcu(): there are never more here."""
NOMEMALLOC = int(Gfp.NOMEMALLOC)
BOOTSTRAP_SHEAF = SlabSheaf(0)
"""The main sheaf of a cache without sheaves: never an object in it, and never room for one."""


# Caches


def new_cache(**fields: Any) -> SheafCache:
    """Return an empty cache.  Linux: no counterpart; struct kmem_cache is zeroed memory there"""
    return SheafCache(**fields)


def cache_create(s: SheafCache) -> None:
    """Lay a cache out and give each CPU an empty sheaf.

    Linux: do_kmem_cache_create(), init_percpu_sheaves(), mm/slub.c
    """
    slub.cache_create(s)
    s.cpu_partial = s.cpu_partial_slabs = 0
    s.sheaf_capacity = calculate_sheaf_capacity(s)
    for cpu in range(s.slabs.cpus):
        main = alloc_empty_sheaf(s) if s.sheaf_capacity else BOOTSTRAP_SHEAF
        s.cpu_sheaves.append(SlubPercpuSheaves(cpu, main))
        if s.sheaf_capacity:
            move_sheaf(s, main, f"cpu {cpu} main")


# The barn


def barn_get_empty_sheaf(s: SheafCache) -> SlabSheaf | None:
    """Take the barn's first empty sheaf, or None.  Linux: barn_get_empty_sheaf(), mm/slub.c"""
    return s.barn.empty.pop() if s.barn.empty else None


def barn_replace_empty_sheaf(s: SheafCache, empty: SlabSheaf) -> SlabSheaf | None:
    """Give the barn an empty sheaf for a full one; None, and nothing given, if it has no full one.

    Linux: barn_replace_empty_sheaf(), mm/slub.c
    """
    if not s.barn.full:
        return None
    s.barn.empty.append(empty)
    move_sheaf(s, empty, "barn empty")
    return s.barn.full.pop()


def barn_replace_full_sheaf(s: SheafCache, full: SlabSheaf) -> SlabSheaf | None:
    """Give the barn a full sheaf for an empty one, if need be a new one; None if it has too many full ones.

    Linux: barn_replace_full_sheaf(), __pcs_install_empty_sheaf(), mm/slub.c
    """
    if len(s.barn.full) >= MAX_FULL_SHEAVES:
        return None
    empty = barn_get_empty_sheaf(s) or alloc_empty_sheaf(s)
    s.barn.full.append(full)
    move_sheaf(s, full, "barn full")
    return empty


def barn_shrink(s: SheafCache) -> None:
    """Flush the barn's full sheaves, and give up all.  Linux: barn_shrink(), mm/slub.c"""
    sheaves = s.barn.full[::-1] + s.barn.empty[::-1]
    s.barn = NodeBarn()
    for sheaf in sheaves:
        sheaf_flush(s, sheaf)
        move_sheaf(s, sheaf, "")


# A CPU's sheaves


def pcs_replace_empty_main(s: SheafCache, pcs: SlubPercpuSheaves, gfp: int) -> bool:
    """Get the CPU a main sheaf with objects: its spare, one of the barn, or one that is filled now.

    Filling may take long, so it is for those who may sleep.

    Linux: __pcs_replace_empty_main(), mm/slub.c
    Simplified: the spare is filled where it is; Linux takes it in hand, and others may come in between.
    """
    if not s.sheaf_capacity:
        return False
    if pcs.spare is not None and pcs.spare.objects:
        return _swap(s, pcs, pcs.spare)
    full = barn_replace_empty_sheaf(s, pcs.main)
    if full is not None:
        pcs.main = full
        move_sheaf(s, full, f"cpu {pcs.cpu} main")
        return True
    if not gfp & DIRECT_RECLAIM:
        return False
    spare = _spare(s, pcs)
    if not refill_sheaf(s, spare, gfp | NOMEMALLOC):
        sheaf_flush(s, spare)  # memory is very low: the barn would not help either
        move_sheaf(s, spare, "")
        pcs.spare = None
        return False
    return _swap(s, pcs, spare)


def pcs_replace_full_main(s: SheafCache, pcs: SlubPercpuSheaves) -> bool:
    """Get the CPU a main sheaf with room: its spare, an empty one, or the spare, flushed into its slabs.

    Linux: __pcs_replace_full_main(), mm/slub.c
    """
    if not s.sheaf_capacity:
        return False
    spare = _spare(s, pcs)
    if len(spare.objects) < s.sheaf_capacity:
        return _swap(s, pcs, spare)
    empty = barn_replace_full_sheaf(s, pcs.main)
    if empty is None:
        sheaf_flush(s, spare)
        return _swap(s, pcs, spare)
    pcs.main = empty
    move_sheaf(s, empty, f"cpu {pcs.cpu} main")
    return True


def _spare(s: SheafCache, pcs: SlubPercpuSheaves) -> SlabSheaf:
    """Return the CPU's spare sheaf; if it has none, an empty one becomes it."""
    if pcs.spare is None:
        pcs.spare = barn_get_empty_sheaf(s) or alloc_empty_sheaf(s)
        move_sheaf(s, pcs.spare, f"cpu {pcs.cpu} spare")
    return pcs.spare


def _swap(s: SheafCache, pcs: SlubPercpuSheaves, spare: SlabSheaf) -> bool:
    """Let the main sheaf and the spare change places."""
    pcs.main, pcs.spare = spare, pcs.main
    move_sheaf(s, pcs.spare, f"cpu {pcs.cpu} spare")
    move_sheaf(s, pcs.main, f"cpu {pcs.cpu} main")
    return True


def alloc_from_pcs(s: SheafCache, gfp: int) -> int:
    """Return the newest object of the CPU's main sheaf, or 0.  Linux: alloc_from_pcs(), mm/slub.c"""
    pcs = s.cpu_sheaves[s.zone.cpu]
    if not pcs.main.objects and not pcs_replace_empty_main(s, pcs, gfp):
        return 0
    return pcs.main.objects.pop()


def free_to_pcs(s: SheafCache, ptr: int) -> bool:
    """Put an object into the CPU's main sheaf; return whether there are sheaves.

    Linux: free_to_pcs(), mm/slub.c
    """
    pcs = s.cpu_sheaves[s.zone.cpu]
    if len(pcs.main.objects) == s.sheaf_capacity and not pcs_replace_full_main(s, pcs):
        return False
    pcs.main.objects.append(ptr)
    return True


def pcs_flush_all(s: SheafCache, pcs: SlubPercpuSheaves) -> None:
    """Flush a CPU's sheaves, past the barn; the main one stays, empty.  Linux: pcs_flush_all(), mm/slub.c"""
    if pcs.spare is not None:
        sheaf_flush(s, pcs.spare)
        move_sheaf(s, pcs.spare, "")
        pcs.spare = None
    sheaf_flush(s, pcs.main)


# Allocating and freeing


def slab_alloc(s: SheafCache, gfp: int, orig_size: int) -> int:
    """Return the address of an object, now in use, or 0; without a sheaf it comes straight from a slab.

    Linux: slab_alloc_node(), mm/slub.c
    """
    ptr = alloc_from_pcs(s, gfp)
    if not ptr:
        return alloc_single(s, gfp, orig_size)
    slab = s.slabs.pages[(ptr - PAGE_OFFSET) >> PAGE_SHIFT]
    index = (ptr - slab.base) // s.size
    slab.live[index] = 1
    if s.slabs.node.trace is not None:
        s.slabs.node.trace.emit(ObjectGet(s.name, s.zone.cpu, slab.pfn, index))
    if gfp & ZERO:
        s.slabs.node.memory.clear(ptr - PAGE_OFFSET, s.object_size)
    return ptr


def slab_free(slab: Slab, ptr: int, cache: KmemCache | None) -> None:
    """Take an object back; from kfree() ``cache`` is None.

    Raises KernelBug, and changes nothing, if nobody holds an object that begins there, or if
    it belongs to another cache.

    Linux: slab_free(), mm/slub.c
    """
    s: Any = slab.cache
    if s.debug:
        slub.slab_free(slab, ptr, cache)
        return
    index, inside = divmod(ptr - slab.base, s.size)
    if inside or not 0 <= index < slab.objects or not slab.live[index]:
        if notices_bad_free(s, slab, ptr):
            return
        if inside or not 0 <= index < slab.objects:
            raise KernelBug(f"{ptr:#x} is not the beginning of an object of {s.name}")
    if cache is not None and cache is not s:
        line = slub_debug.report_wrong_cache(s, cache, ptr)
        if s.slabs.node.teaching:
            raise KernelBug(line)
    trace = s.slabs.node.trace
    if trace is not None:
        trace.emit(Kfree(ptr) if cache is None else KmemCacheFree(ptr, cache.name))
    slab.live[index] = 0
    if not free_to_pcs(s, ptr):
        free_to_slab(s, slab, [ptr])
    elif trace is not None:
        trace.emit(ObjectPut(s.name, s.zone.cpu, slab.pfn, index))


# All of a cache


def cache_shrink(s: SheafCache) -> None:
    """Flush all sheaves and give empty slabs back.  Linux: __kmem_cache_shrink(), mm/slub.c"""
    _flush_all(s)
    slub.cache_shrink(s)


def cache_shutdown(s: SheafCache) -> list[int]:
    """Give all slabs back; return the addresses of objects that are still in use.

    Linux: __kmem_cache_shutdown(), mm/slub.c
    """
    _flush_all(s)
    return slub.cache_shutdown(s)


def _flush_all(s: SheafCache) -> None:
    for pcs in s.cpu_sheaves:
        pcs_flush_all(s, pcs)
    barn_shrink(s)


SHEAVES = SlabAllocator(
    "sheaves", new_cache, cache_create, slab_alloc, slab_free, cache_free, cache_shrink, cache_shutdown,
    kmalloc, kfree, ksize, get_slabinfo,
)  # fmt: skip
