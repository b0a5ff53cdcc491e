# SPDX-License-Identifier: GPL-2.0-only
"""SLUB's nouns, and its geometry: how large an object becomes, and how many make a slab.

An object gets the size asked for, rounded up to words, plus what the flags want around it.
While it is free, the pointer to the next free object is kept in its own bytes, near the
middle; where that is forbidden, it gets a word more.  A slab is as many pages as waste little:
at most 1/16 of it if that can be had, else 1/8, else 1/4, else 1/2.

    | left red zone | object ...... | red zone | free pointer | tracks | padding |
                    '- the address handed out

Linux: mm/slub.c, mm/slab.h
Simplified: no KASAN; what is followed are lists of indices beside the objects.  The free pointers
stand in the objects too, as real bytes, while the machine traces; nobody follows those.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from kmm_sim.mm.gfp import GFP_DMA, GFP_DMA32, Gfp
from kmm_sim.mm.mmzone import MAX_PAGE_ORDER, PAGE_ALLOC_COSTLY_ORDER, Node, Zone, ZoneType
from kmm_sim.mm.page import PAGE_SIZE, get_order
from kmm_sim.mm.slab_common import SLAB_DEBUG_FLAGS, WORD, KmemCache, SlabFlags, align_up

__all__ = [
    "MAX_OBJS_PER_PAGE",
    "MAX_PARTIAL",
    "MIN_PARTIAL",
    "NO_OBJECTS",
    "NO_SLAB",
    "SIZEOF_TRACK",
    "KmemCacheCpu",
    "KmemCacheNode",
    "Slab",
    "SlubCache",
    "calc_slab_order",
    "calculate_order",
    "calculate_sizes",
    "kmem_cache_debug",
    "set_cpu_partial",
    "slabs_of",
]

SLUB_MAX_ORDER = PAGE_ALLOC_COSTLY_ORDER
MAX_OBJS_PER_PAGE = 32767
MIN_PARTIAL, MAX_PARTIAL = 5, 10
SIZEOF_TRACK = 32
"""Bytes of a note who allocated or freed an object: call site, stack, CPU, process, time."""


@dataclass(slots=True, eq=False)
class Slab:
    """The pages of one slab.

    ``freelist`` has the indices of the free objects, the first one last, so that it comes and
    goes in one step.  ``frozen``: a CPU has the slab for itself; then the objects on that CPU's
    freelist count as ``inuse``.  ``base`` is the address of object 0.  ``live`` says which objects
    a user holds; an entry more, never set, is for the bytes beyond the last object.

    Linux: struct slab, mm/slab.h
    """

    cache: SlubCache
    pfn: int
    base: int
    freelist: list[int]
    live: list[int] | bytearray
    oo: tuple[int, int]
    frozen: bool = False

    @property
    def order(self) -> int:
        """It has 2**order pages.  Linux: slab_order(), mm/slab.h"""
        return self.oo[0]

    @property
    def objects(self) -> int:
        """How many objects it has, free or not."""
        return self.oo[1]

    @property
    def inuse(self) -> int:
        """How many are not on its own freelist; Linux counts them, because its list is a chain."""
        return self.oo[1] - len(self.freelist)

    def __repr__(self) -> str:
        if self.pfn < 0:
            return "<no struct slab>"
        return f"<struct slab pfn:{self.pfn:#x} {self.cache.name} objects:{self.objects} inuse:{self.inuse}>"


@dataclass(slots=True, eq=False)
class KmemCacheCpu:
    """What one CPU has of a cache: a slab, that slab's free objects, and more partial slabs.

    The heads of ``freelist`` and ``partial`` are their last entries; with no slab it is NO_SLAB.

    Linux: struct kmem_cache_cpu, mm/slub.c
    """

    cpu: int
    slab: Slab
    freelist: list[int] = field(default_factory=list)
    partial: list[Slab] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class KmemCacheNode:
    """What all CPUs share of a cache: the partial slabs, head first, and counts of all slabs.

    Full slabs are on no list; who wants to see them all asks slabs_of().

    Linux: struct kmem_cache_node, mm/slub.c
    """

    partial: OrderedDict[int, Slab] = field(default_factory=OrderedDict)
    nr_slabs: int = 0
    total_objects: int = 0

    @property
    def nr_partial(self) -> int:
        """The number of slabs on the partial list."""
        return len(self.partial)


@dataclass(slots=True, eq=False, repr=False)
class SlubCache(KmemCache):
    """A cache as SLUB has it: ``oo`` and ``min`` are (order, objects) of a slab.

    ``offset`` is where in an object the free pointer stands, in bytes.  ``cpu_partial_slabs``
    is how many slabs a CPU may keep aside, ``min_partial`` how many the node keeps in any case.
    ``random`` is the secret of its free pointers if those are hardened.
    ``tracks`` are who allocated and who freed an object, by its address.  ``masks`` has each mask and
    each word of flags of its pages once, so that a thousand slabs share one number.
    ``chains`` are the heads of freelists that a caller has broken.

    Linux: struct kmem_cache, mm/slab.h
    """

    offset: int = 0
    red_left_pad: int = 0
    oo: tuple[int, int] = (0, 0)
    min: tuple[int, int] = (0, 0)
    cpu_partial: int = 0
    cpu_partial_slabs: int = 0
    min_partial: int = 0
    allocflags: int = 0
    freeptr_offset: int | None = None
    random: int | None = None
    tracks: dict[int, list[Any]] = field(default_factory=dict)
    masks: dict[int, int] = field(default_factory=dict)
    chains: list[int] = field(default_factory=list)
    cpu_slab: list[KmemCacheCpu] = field(default_factory=list)
    node: KmemCacheNode = field(default_factory=KmemCacheNode)
    zone: Zone = field(default_factory=lambda: Zone(0, ZoneType.NORMAL, 0, 0, 0))
    debug: bool = False
    this_cpu: KmemCacheCpu = field(default_factory=lambda: KmemCacheCpu(0, NO_SLAB))
    pgdat: Node = field(init=False)

    def __post_init__(self) -> None:
        self.pgdat = self.slabs.node

    def run_on(self, cpu: int) -> None:
        """Let ``cpu`` make the next calls: ``this_cpu`` is what it has.

        Linux: no counterpart; this_cpu_ptr() asks the processor.
        """
        self.this_cpu = self.cpu_slab[cpu]


NO_OBJECTS: list[int] = []
"""The freelist of a slab whose objects are all in use, or on the freelist of a CPU: nobody writes to it."""
NO_SLAB: Slab = Slab(None, -1, 0, NO_OBJECTS, bytearray(1), (0, 0))  # type: ignore[arg-type]
"""What a CPU has before it has a slab: one without pages, pfn -1."""


def slabs_of(s: SlubCache) -> list[Slab]:
    """Return all slabs of a cache by address, full ones too, found by looking at every page.

    Linux: no counterpart; only debug caches keep their full slabs on a list.
    """
    return [slab for slab in s.slabs.pages.slabs() if slab.cache is s]


def kmem_cache_debug(s: KmemCache) -> bool:
    """Return whether the objects of a cache are checked.  Linux: kmem_cache_debug(), mm/slub.c"""
    return bool(s.flags & SLAB_DEBUG_FLAGS)


def calc_slab_order(size: int, min_order: int, max_order: int, fract_leftover: int) -> int:
    """Return the first order that wastes at most that fraction; beyond max_order if none does.

    Linux: calc_slab_order(), mm/slub.c
    """
    for order in range(min_order, max_order + 1):
        slab_size = PAGE_SIZE << order
        if slab_size % size <= slab_size // fract_leftover:
            return order
    return max_order + 1


def calculate_order(size: int, cpus: int) -> int:
    """Return the order of the slabs for objects of ``size`` bytes on so many CPUs.

    More CPUs want more objects in a slab, so that they come less often for another.
    Raises ValueError if not even a block of the largest order holds one.

    Linux: calculate_order(), mm/slub.c
    """
    min_objects = 4 * (cpus.bit_length() + 1)
    max_objects = max((PAGE_SIZE << SLUB_MAX_ORDER) // size, 1)
    min_objects = min(min_objects, max_objects)
    min_order = get_order(min_objects * size)
    if (PAGE_SIZE << min_order) // size > MAX_OBJS_PER_PAGE:
        return get_order(size * MAX_OBJS_PER_PAGE) - 1
    for fraction in (16, 8, 4, 2):
        order = calc_slab_order(size, min_order, SLUB_MAX_ORDER, fraction)
        if order <= SLUB_MAX_ORDER:
            return order
    order = get_order(size)
    if order > MAX_PAGE_ORDER:
        raise ValueError(f"objects of {size} bytes are too large for a slab: {PAGE_SIZE << MAX_PAGE_ORDER} at most")
    return order


def calculate_sizes(s: SlubCache, cpus: int) -> None:
    """Lay out one object and one slab of a cache.  Linux: calculate_sizes(), mm/slub.c"""
    flags = s.flags
    size = align_up(s.object_size, WORD)
    if flags & SlabFlags.POISON and not flags & SlabFlags.TYPESAFE_BY_RCU and s.ctor is None:
        s.flags |= SlabFlags.OBJECT_POISON
    if flags & SlabFlags.RED_ZONE and size == s.object_size:
        size += WORD
    s.inuse = size
    if _free_pointer_outside(s):
        s.offset = size
        size += WORD
    elif s.freeptr_offset is not None:
        s.offset = s.freeptr_offset
    else:
        s.offset = s.object_size // 2 // WORD * WORD
    if flags & SlabFlags.STORE_USER:
        size += 2 * SIZEOF_TRACK
        if flags & SlabFlags.KMALLOC:
            size += WORD
    if flags & SlabFlags.RED_ZONE:
        s.red_left_pad = align_up(WORD, s.align)
        size += WORD + s.red_left_pad
    s.size = size = align_up(size, s.align)
    order = calculate_order(size, cpus)
    s.oo = order, (PAGE_SIZE << order) // size
    s.min = get_order(size), (PAGE_SIZE << get_order(size)) // size
    s.allocflags = _allocflags(flags)
    s.flags = int(s.flags)
    s.min_partial = max(MIN_PARTIAL, min(MAX_PARTIAL, (size.bit_length() - 1) // 2))
    set_cpu_partial(s)


def _free_pointer_outside(s: SlubCache) -> bool:
    """Whether the user may still look at a free object, or a red zone or poison fills it."""
    flags = s.flags
    orig_size = flags & SlabFlags.STORE_USER and flags & SlabFlags.KMALLOC
    return bool(
        (flags & SlabFlags.TYPESAFE_BY_RCU and s.freeptr_offset is None)
        or flags & SlabFlags.POISON
        or s.ctor is not None
        or (flags & SlabFlags.RED_ZONE and (s.object_size < WORD or orig_size))
    )


def _allocflags(flags: int) -> int:
    allocflags = int(Gfp.COMP)
    if flags & SlabFlags.CACHE_DMA:
        allocflags |= GFP_DMA
    if flags & SlabFlags.CACHE_DMA32:
        allocflags |= GFP_DMA32
    if flags & SlabFlags.RECLAIM_ACCOUNT:
        allocflags |= Gfp.RECLAIMABLE
    return int(allocflags)


def set_cpu_partial(s: SlubCache) -> None:
    """Find how many objects, and so how many slabs, a CPU may keep aside.

    Linux: set_cpu_partial(), slub_set_cpu_partial(), mm/slub.c
    """
    if kmem_cache_debug(s):
        s.cpu_partial = 0
    else:
        limits = ((PAGE_SIZE, 6), (1024, 24), (256, 52), (0, 120))
        s.cpu_partial = next(objects for least, objects in limits if s.size >= least)
    s.cpu_partial_slabs = -(-s.cpu_partial * 2 // s.oo[1])
