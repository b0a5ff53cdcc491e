# SPDX-License-Identifier: GPL-2.0-only
"""A sheaf: an array of free objects of one cache, filled from slabs and flushed into them.

The objects of a sheaf count as in use where their slabs are counted, though nobody holds them.
Filling takes slabs off the node's partial list, the objects out of them, and puts back what is
left; new slabs make up for what is still wanted.  Flushing puts the newest object first, and with
it those of its slab that lie close by, so that a slab is touched once for several of them.

Who has which sheaf, and when one is filled or flushed: see kmm_sim/mm/sheaves.py.

Linux: mm/slub.c at 7.0
Simplified: one node; sheaves cost no memory, and there is always an empty one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kmm_sim.mm import slub_debug
from kmm_sim.mm.kmalloc import kmalloc_size_roundup
from kmm_sim.mm.page import PAGE_OFFSET, PAGE_SHIFT, PAGE_SIZE
from kmm_sim.mm.slab_common import WORD, SlabFlags
from kmm_sim.mm.slab_events import ObjectPut, SheafFill, SheafFlush, SheafMove
from kmm_sim.mm.slub import TO_HEAD, TO_TAIL, add_partial, discard_slab, new_slab, remove_partial
from kmm_sim.mm.slub_def import Slab, SlubCache

__all__ = [
    "NodeBarn",
    "SheafCache",
    "SlabSheaf",
    "SlubPercpuSheaves",
    "alloc_empty_sheaf",
    "alloc_from_new_slab",
    "build_detached_freelist",
    "calculate_sheaf_capacity",
    "free_to_slab",
    "get_partial_node_bulk",
    "move_sheaf",
    "refill_objects_node",
    "refill_sheaf",
    "sheaf_flush",
]

SIZEOF_SHEAF = 32
"""Bytes of a sheaf before its array."""
LOOKAHEAD = 3
"""After so many objects of other slabs the search for those of one ends."""


@dataclass(slots=True, eq=False)
class SlabSheaf:
    """Free objects by address, the newest last.

    ``number`` tells the sheaves of a cache apart.  ``place`` is where this one is: "cpu 0 main",
    "cpu 0 spare", "barn full", "barn empty", or "", which is nowhere.

    Linux: struct slab_sheaf, mm/slub.c
    """

    number: int
    place: str = ""
    objects: list[int] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class SlubPercpuSheaves:
    """The sheaves of a CPU; the spare is empty or full, or there is none.

    Linux: struct slub_percpu_sheaves, mm/slub.c
    """

    cpu: int
    main: SlabSheaf
    spare: SlabSheaf | None = None


@dataclass(slots=True, eq=False)
class NodeBarn:
    """The sheaves that no CPU has; the heads of the two lists are their last entries.

    Linux: struct node_barn, mm/slub.c
    """

    full: list[SlabSheaf] = field(default_factory=list)
    empty: list[SlabSheaf] = field(default_factory=list)


@dataclass(slots=True, eq=False, repr=False)
class SheafCache(SlubCache):
    """A cache with sheaves of ``sheaf_capacity`` objects; of that many sheaves, ``made``, so far.

    Linux: struct kmem_cache, mm/slab.h
    """

    sheaf_capacity: int = 0
    made: int = 0
    cpu_sheaves: list[SlubPercpuSheaves] = field(default_factory=list)
    barn: NodeBarn = field(default_factory=NodeBarn)


def calculate_sheaf_capacity(s: SheafCache) -> int:
    """Return how many objects a sheaf has room for, 0 for a cache without: so many that it fills its kmalloc().

    Linux: calculate_sheaf_capacity(), mm/slub.c
    """
    if s.debug or s.flags & SlabFlags.NOLEAKTRACE:
        return 0
    limits = ((PAGE_SIZE, 4), (1024, 12), (256, 26), (0, 60))
    capacity = next(objects for least, objects in limits if s.size >= least)
    return (kmalloc_size_roundup(SIZEOF_SHEAF + capacity * WORD) - SIZEOF_SHEAF) // WORD


def alloc_empty_sheaf(s: SheafCache) -> SlabSheaf:
    """Return a new sheaf.  Linux: alloc_empty_sheaf(), mm/slub.c"""
    s.made += 1
    return SlabSheaf(s.made)


def move_sheaf(s: SheafCache, sheaf: SlabSheaf, to: str) -> None:
    """Note where a sheaf is now.  Linux: list_add(), include/linux/list.h"""
    if s.slabs.node.trace is not None:
        s.slabs.node.trace.emit(SheafMove(s.name, sheaf.number, sheaf.place, to))
    sheaf.place = to


def refill_sheaf(s: SheafCache, sheaf: SlabSheaf, gfp: int) -> bool:
    """Fill a sheaf, from partial slabs and then from new ones; return whether it is full.

    Linux: refill_sheaf(), refill_objects(), mm/slub.c
    """
    refill_objects_node(s, sheaf)
    while len(sheaf.objects) < s.sheaf_capacity:
        slab = new_slab(s, gfp)
        if slab is None:
            return False
        alloc_from_new_slab(s, slab, sheaf)
    return True


def refill_objects_node(s: SheafCache, sheaf: SlabSheaf) -> None:
    """Move free objects of partial slabs into a sheaf; what is left of those slabs goes back on the list.

    Linux: __refill_objects_node(), mm/slub.c
    """
    slabs = get_partial_node_bulk(s, s.sheaf_capacity - len(sheaf.objects))
    while slabs and len(sheaf.objects) < s.sheaf_capacity:
        slab = slabs.pop()  # the last one taken, first
        _take(s, slab, sheaf)
        if slab.freelist:
            add_partial(s, slab, TO_TAIL)
    to_discard = []
    for slab in reversed(slabs):
        if not slab.inuse and s.node.nr_partial >= s.min_partial:
            to_discard.append(slab)
        else:
            add_partial(s, slab, TO_HEAD)
    for slab in to_discard:
        discard_slab(s, slab)


def get_partial_node_bulk(s: SheafCache, wanted: int) -> list[Slab]:
    """Take slabs off the node's partial list, until they have as many free objects as wanted.

    Linux: get_partial_node_bulk(), mm/slub.c
    """
    slabs = []
    while wanted > 0 and s.node.partial:
        slab = next(iter(s.node.partial.values()))
        remove_partial(s, slab)
        slabs.append(slab)
        wanted -= slab.objects - slab.inuse
    return slabs


def alloc_from_new_slab(s: SheafCache, slab: Slab, sheaf: SlabSheaf) -> None:
    """Move the objects of a new slab into a sheaf; if some are left, the slab is the first partial one.

    Linux: alloc_from_new_slab(), mm/slub.c
    """
    _take(s, slab, sheaf)
    if slab.freelist:
        add_partial(s, slab, TO_HEAD)


def _take(s: SheafCache, slab: Slab, sheaf: SlabSheaf) -> None:
    """Move objects from a slab's freelist into a sheaf while there are some and there is room."""
    trace = s.slabs.node.trace
    while slab.freelist and len(sheaf.objects) < s.sheaf_capacity:
        index = slab.freelist.pop()
        sheaf.objects.append(slab.base + index * s.size)
        if trace is not None:
            trace.emit(SheafFill(s.name, sheaf.number, slab.pfn, index))


def sheaf_flush(s: SheafCache, sheaf: SlabSheaf) -> None:
    """Give all objects of a sheaf back to their slabs, the newest first.

    Linux: sheaf_flush_unused(), __kmem_cache_free_bulk(), mm/slub.c
    Simplified: a main sheaf too in one go, where Linux does 32 objects at a time.
    """
    while sheaf.objects:
        slab = s.slabs.pages[(sheaf.objects[-1] - PAGE_OFFSET) >> PAGE_SHIFT]
        free_to_slab(s, slab, build_detached_freelist(s, slab, sheaf.objects), sheaf.number)


def build_detached_freelist(s: SheafCache, slab: Slab, objects: list[int]) -> list[int]:
    """Take the last object out of an array, and others of its slab if they are not far before it.

    Linux: build_detached_freelist(), mm/slub.c
    """
    same = at = len(objects) - 1
    freelist, lookahead = [objects[at]], LOOKAHEAD
    while at and lookahead:
        at -= 1
        if s.slabs.pages[(objects[at] - PAGE_OFFSET) >> PAGE_SHIFT] is slab:
            freelist.append(objects[at])
            same -= 1
            objects[at], objects[same] = objects[same], objects[at]
        else:
            lookahead -= 1
    del objects[same:]
    return freelist


def free_to_slab(s: SheafCache, slab: Slab, objects: list[int], sheaf: int = 0) -> None:
    """Put objects on the freelist of their slab, and the slab where it belongs now.

    ``sheaf`` is the number of that which they come from, 0 if they come from a user.

    Linux: __slab_free(), mm/slub.c
    """
    was_full, trace = not slab.freelist, s.slabs.node.trace
    for ptr in objects:
        index = (ptr - slab.base) // s.size
        if trace is not None:
            event = SheafFlush(s.name, sheaf, slab.pfn, index) if sheaf else ObjectPut(s.name, -1, slab.pfn, index)
            trace.emit(event)
            slub_debug.set_freepointer(s, slab, index, slab.freelist[-1] if slab.freelist else None)
        slab.freelist.append(index)
    if not slab.inuse and s.node.nr_partial >= s.min_partial:
        if not was_full:
            remove_partial(s, slab)
        discard_slab(s, slab)
    elif was_full:
        add_partial(s, slab, TO_TAIL)
