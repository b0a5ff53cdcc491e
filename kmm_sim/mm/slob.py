# SPDX-License-Identifier: GPL-2.0-only
"""SLOB, as it last was: a simple list of blocks, for machines with very little memory.

Three lists of pages: for blocks below 256 bytes, below 1024, and the rest.  An allocation looks
through the pages of its list for one with room and in it takes the first free block that is
large enough; what is left of the block stays free.  A freed block goes back to its place, in
the order of addresses, and joins its neighbours.  Nothing is kept for the future: a page that
is all free goes back at once.  Caches are mere names here, and blocks of all caches share pages.

kmalloc() puts the size in front of the block, which is why 248 bytes need a block of 256.

This is SLOB of Linux 6.1, its last years.  In 2.6.34 a page that had been full came back to the
list for small blocks whatever its size, and kmalloc() of a power of two was aligned to 8 bytes only.

Linux: mm/slob.c, which was removed in 6.4
Simplified: one node; the chain of free blocks is a list beside the page, not in its bytes; without
teaching a block that is freed twice stays as it is, and an address inside a block is an error still.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kmm_sim.errors import KernelBug
from kmm_sim.mm.gfp import ZERO, Gfp
from kmm_sim.mm.kmalloc import ZERO_SIZE_PTR, large_page
from kmm_sim.mm.page import PAGE_OFFSET, PAGE_SHIFT, PAGE_SIZE, get_order, page_address, pfn_to_virt
from kmm_sim.mm.page_alloc import alloc_pages, free_pages, order_too_large
from kmm_sim.mm.slab_common import (
    ARCH_KMALLOC_MINALIGN,
    KMALLOC_MAX_SIZE,
    WORD,
    KmemCache,
    SlabAllocator,
    Slabs,
    align_up,
    slab_pre_alloc_hook,
)
from kmm_sim.mm.slab_events import (
    CacheCreate,
    Kfree,
    Kmalloc,
    KmemCacheFree,
    SlobAlloc,
    SlobFree,
    SlobPageGone,
    SlobPageNew,
)

__all__ = [
    "SLOB",
    "SLOB_BREAK1",
    "SLOB_BREAK2",
    "SlobCache",
    "SlobPage",
    "SlobState",
    "cache_create",
    "cache_free",
    "cache_shrink",
    "cache_shutdown",
    "kfree",
    "kmalloc",
    "ksize",
    "new_cache",
    "slab_alloc",
    "slab_free",
    "slob_alloc",
    "slob_free",
    "slob_page_alloc",
    "slob_state",
]

SLOB_UNIT = 2
"""Bytes that a block is a multiple of."""
SLOB_BREAK1, SLOB_BREAK2 = 256, 1024


@dataclass(slots=True, eq=False)
class SlobPage:
    """A page of blocks: ``free`` are [offset, bytes] by address, ``held`` the bytes at each offset in use.

    ``owner`` is the cache of a block in use, or None for one of kmalloc()'s; ``room`` counts free bytes.

    Linux: struct slob_page, mm/slob.c
    """

    pfn: int
    free: list[list[int]]
    held: dict[int, int] = field(default_factory=dict)
    owner: dict[int, SlobCache | None] = field(default_factory=dict)
    on: str = ""
    room: int = PAGE_SIZE


@dataclass(slots=True, eq=False)
class SlobState:
    """The three lists of pages with room; each begins where the next search is to begin.

    Linux: free_slob_small, free_slob_medium, free_slob_large, mm/slob.c
    """

    lists: dict[str, list[SlobPage]] = field(default_factory=lambda: {"small": [], "medium": [], "large": []})
    large: dict[int, SlobCache] = field(default_factory=dict)


@dataclass(slots=True, eq=False, repr=False)
class SlobCache(KmemCache):
    """A cache as SLOB has it: a size and an alignment.  Linux: struct kmem_cache, mm/slob.c"""

    in_use: set[int] = field(default_factory=set)


def slob_state(slabs: Slabs) -> SlobState:
    """Return the lists of a machine.  Linux: no counterpart; they are global there"""
    if slabs.state is None:
        slabs.state = SlobState()
    state: SlobState = slabs.state
    return state


def _list_for(size: int) -> str:
    return "small" if size < SLOB_BREAK1 else "medium" if size < SLOB_BREAK2 else "large"


# Blocks


def slob_page_alloc(page: SlobPage, size: int, align: int, align_offset: int) -> int | None:
    """Cut a block from a page; return its offset, or None if no free block is large enough.

    What is aligned is the place ``align_offset`` bytes into the block: kmalloc() has a size in front.

    Linux: slob_page_alloc(), mm/slob.c
    """
    for nth, (offset, avail) in enumerate(page.free):
        aligned = align_up(offset + align_offset, align) - align_offset
        delta = aligned - offset
        if avail >= size + delta:
            rest = [[aligned + size, avail - delta - size]] if avail > delta + size else []
            head = [[offset, delta]] if delta else []
            page.free[nth : nth + 1] = head + rest
            page.room -= size
            return aligned
    return None


def slob_alloc(slabs: Slabs, size: int, gfp: int, align: int, align_offset: int) -> int:
    """Return the address of a block of ``size`` bytes, less than a page, or 0.

    Linux: slob_alloc(), mm/slob.c
    """
    node, name = slabs.node, _list_for(size)
    size = align_up(size, SLOB_UNIT)
    pages = slob_state(slabs).lists[name]
    for nth, page in enumerate(pages):
        if page.room >= size and (offset := slob_page_alloc(page, size, align, align_offset)) is not None:
            if page.room:
                pages[:] = pages[nth:] + pages[:nth]  # the next search begins here
            break
    else:
        fresh = alloc_pages(node, gfp & ~ZERO, 0)
        if fresh is None:
            return 0
        fresh.mapping = PAGE_OFFSET  # it holds a list pointer: no good page to free
        page = SlobPage(fresh.pfn, [[0, PAGE_SIZE]], on=name)
        pages.insert(0, page)
        slabs.pages.add(fresh.pfn, 0, page)
        if node.trace is not None:
            node.trace.emit(SlobPageNew(fresh.pfn, name))
        offset = slob_page_alloc(page, size, align, align_offset)
        assert offset is not None
    if not page.free:
        pages.remove(page)
        page.on = ""
    page.held[offset] = size
    if node.trace is not None:
        node.trace.emit(SlobAlloc(page.pfn, offset, size, name))
    ptr = pfn_to_virt(page.pfn) + offset
    if gfp & ZERO:
        node.memory.clear(ptr - PAGE_OFFSET, size)
    return ptr


def slob_free(slabs: Slabs, page: SlobPage, offset: int) -> None:
    """Put a block back in its place and join it with what is free beside it.

    Linux: slob_free(), mm/slob.c
    """
    node, lists = slabs.node, slob_state(slabs).lists
    size = page.held.pop(offset)
    page.owner.pop(offset, None)
    if node.trace is not None:
        node.trace.emit(SlobFree(page.pfn, offset, size))
    if not page.held:
        if page.on:
            lists[page.on].remove(page)
        slabs.pages.remove(page.pfn, 0)
        if node.trace is not None:
            node.trace.emit(SlobPageGone(page.pfn))
        whole = node.page(page.pfn)
        whole.mapping = 0
        free_pages(node, whole, 0)
        return
    if not page.on:
        page.on = _list_for(size)
        lists[page.on].insert(0, page)
    page.room += size
    page.free.append([offset, size])
    page.free.sort()
    joined: list[list[int]] = []
    for start, length in page.free:
        if joined and sum(joined[-1]) == start:
            joined[-1][1] += length
        else:
            joined.append([start, length])
    page.free = joined


def _is_free(page: SlobPage, offset: int) -> bool:
    return any(start <= offset < start + size for start, size in page.free)


def _held_block(slabs: Slabs, ptr: int) -> tuple[SlobPage, int] | None:
    """Return the page and the offset of a block in use; KernelBug says what else the address is.

    Without teaching it is None for a block that is free already.
    """
    page = slabs.pages.get((ptr - PAGE_OFFSET) >> PAGE_SHIFT)
    if page is None:
        raise KernelBug(f"{ptr:#x} lies in no page of SLOB's: it was freed already, or never given out")
    offset = ptr % PAGE_SIZE
    if offset in page.held:
        return page, offset
    if not slabs.node.teaching and _is_free(page, offset):
        return None
    around = next((start for start, size in page.held.items() if start < offset < start + size), None)
    if around is None:
        raise KernelBug(f"double free: {ptr:#x} lies in a block that is free already; nobody holds it")
    raise KernelBug(f"{ptr:#x} is not the beginning of a block: it lies {offset - around} bytes inside one")


# Memory of any size


def kmalloc(slabs: Slabs, size: int, gfp: int) -> int:
    """Return the address of ``size`` bytes, 0 if there are none, ZERO_SIZE_PTR for none.

    Linux: __kmalloc_node(), mm/slob.c
    """
    node, header, gfp = slabs.node, ARCH_KMALLOC_MINALIGN, slabs.check_gfp(gfp)
    if node.current.inside:
        slab_pre_alloc_hook(node, gfp)
    if size < 0:
        raise ValueError(f"a size is 0 or more, not {size}")
    if not size:
        return ZERO_SIZE_PTR
    if size < PAGE_SIZE - header:
        natural = size if size & (size - 1) == 0 else 0  # a power of two is aligned to itself
        block = slob_alloc(slabs, size + header, gfp, max(header, natural), header)
        ptr, given = (block + header if block else 0), size + header
        if block:
            node.memory.write(block - PAGE_OFFSET, size.to_bytes(WORD, "little"))
    elif size > KMALLOC_MAX_SIZE:
        order_too_large(node, gfp, get_order(size))
        ptr, given = 0, PAGE_SIZE << get_order(size)
    else:
        page = alloc_pages(node, gfp | int(Gfp.COMP), get_order(size))
        if page is not None:
            slabs.pages.large[page.zone.nid] += 1 << page.order
        ptr, given = (page_address(page) if page is not None else 0), PAGE_SIZE << get_order(size)
    if node.trace is not None:
        node.trace.emit(Kmalloc(ptr, size, given, gfp))
    return ptr


def kfree(slabs: Slabs, ptr: int) -> None:
    """Take back what kmalloc() returned; NULL and ZERO_SIZE_PTR are nothing at all.

    Raises KernelBug, and changes nothing, for an address that nobody got.

    Linux: kfree(), mm/slob.c
    """
    node = slabs.node
    found = None
    if ptr < 0:
        raise ValueError(f"an address is 0 or more, not {ptr}")
    if ptr > ZERO_SIZE_PTR:
        in_slob = slabs.pages.around(ptr) is not None
        found = _kmalloc_block(slabs, ptr) if in_slob else large_page(slabs, ptr)
    if node.trace is not None:
        node.trace.emit(Kfree(ptr))
    if isinstance(found, tuple):
        slob_free(slabs, *found)
    elif found is not None:
        slabs.pages.large[found.zone.nid] -= 1 << found.order
        free_pages(node, found, found.order)


def _kmalloc_block(slabs: Slabs, ptr: int) -> tuple[SlobPage, int] | None:
    """Return the block of kmalloc() before whose bytes its size stands."""
    found = _held_block(slabs, ptr - ARCH_KMALLOC_MINALIGN)
    if found is None:
        return None
    page, offset = found
    owner = page.owner.get(offset)
    if owner is not None:
        raise KernelBug(f"{ptr:#x} lies in an object of {owner.name}; SLOB's kfree() frees only what kmalloc() gave")
    return page, offset


def ksize(slabs: Slabs, ptr: int) -> int:
    """Return how many bytes there are behind an address.  Linux: ksize(), mm/slob.c"""
    if ptr in (0, ZERO_SIZE_PTR):
        return 0
    if slabs.pages.get((ptr - PAGE_OFFSET) >> PAGE_SHIFT) is None:
        return PAGE_SIZE << large_page(slabs, ptr).order
    found = _kmalloc_block(slabs, ptr)
    return found[0].held[found[1]] - ARCH_KMALLOC_MINALIGN if found is not None else 0


# Caches


def new_cache(**fields: Any) -> SlobCache:
    """Return an empty cache.  Linux: no counterpart; struct kmem_cache is allocated memory there"""
    return SlobCache(**fields)


def cache_create(s: SlobCache) -> None:
    """Round the size up; there is nothing else to lay out.  Linux: __kmem_cache_create(), mm/slob.c"""
    s.size = s.inuse = align_up(s.object_size, SLOB_UNIT)
    if s.slabs.node.trace is not None:
        s.slabs.node.trace.emit(CacheCreate(s.name, s.object_size, s.size, 0, 0, s.slabs.cpus))


def slab_alloc(s: SlobCache, gfp: int, orig_size: int) -> int:
    """Return the address of an object, or 0.  Linux: kmem_cache_alloc_node(), mm/slob.c"""
    slabs = s.slabs
    if s.size < PAGE_SIZE:
        ptr = slob_alloc(slabs, s.size, gfp, s.align, 0)
        if ptr:
            slabs.pages[(ptr - PAGE_OFFSET) >> PAGE_SHIFT].owner[ptr % PAGE_SIZE] = s
    else:
        page = alloc_pages(slabs.node, gfp | int(Gfp.COMP), get_order(s.size))
        if page is not None:
            slabs.pages.large[page.zone.nid] += 1 << page.order
        ptr = page_address(page) if page is not None else 0
    if ptr:
        s.in_use.add(ptr)
        if s.ctor is not None:
            s.ctor(ptr)
    return ptr


def slab_free(page: SlobPage, ptr: int, cache: KmemCache | None) -> None:
    """Take an object back.  Linux: __kmem_cache_free(), mm/slob.c"""
    assert isinstance(cache, SlobCache)
    cache_free(cache, ptr)


def cache_free(s: SlobCache, ptr: int) -> None:
    """Give an object back to its cache.

    Raises KernelBug, and changes nothing, if it is no object of that cache, or free already.

    Linux: kmem_cache_free(), mm/slob.c
    """
    slabs = s.slabs
    if ptr not in s.in_use:
        if slabs.pages.around(ptr) is None:
            raise KernelBug(f"kmem_cache_free: {ptr:#x} lies in no slab of {s.name}, or was freed already")
        found = _held_block(slabs, ptr)
        owner = found[0].owner.get(found[1]) if found is not None else None
        if slabs.node.teaching:
            raise KernelBug(f"Wrong slab cache. {s.name} but object is from {owner.name if owner else 'kmalloc()'}")
        if owner is not None:
            cache_free(owner, ptr)
        return
    if slabs.node.trace is not None:
        slabs.node.trace.emit(KmemCacheFree(ptr, s.name))
    s.in_use.remove(ptr)
    if s.size < PAGE_SIZE:
        slob_free(slabs, slabs.pages.around(ptr), ptr % PAGE_SIZE)
    else:
        first = large_page(slabs, ptr)
        slabs.pages.large[first.zone.nid] -= 1 << first.order
        free_pages(slabs.node, first, first.order)


def cache_shrink(s: SlobCache) -> None:
    """Do nothing: nothing was kept.  Linux: kmem_cache_shrink(), mm/slob.c"""


def cache_shutdown(s: SlobCache) -> list[int]:
    """Return the addresses of objects that are still in use.  Linux: kmem_cache_destroy(), mm/slob.c"""
    return sorted(s.in_use)


SLOB = SlabAllocator(
    "slob", new_cache, cache_create, slab_alloc, slab_free, cache_free, cache_shrink, cache_shutdown,
    kmalloc, kfree, ksize,
)  # fmt: skip
