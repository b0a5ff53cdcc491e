# SPDX-License-Identifier: GPL-2.0-only
"""What a slab allocator tells, step by step.

``kmalloc``, ``kfree``, ``kmem_cache_alloc`` and ``kmem_cache_free`` are Linux's own tracepoints.
Those that begin with ``sim_`` tell where an object came from or went, and how slabs change
lists; a cache is known by its name, a slab by the pfn of its first page, an object by its
index in the slab.

Linux: include/trace/events/kmem.h
Simplified: plain addresses, no call sites, one node.
"""

from __future__ import annotations

from dataclasses import dataclass

from kmm_sim.mm.gfp import gfp_names
from kmm_sim.trace import Event

__all__ = [
    "CacheCreate",
    "CacheDestroy",
    "CpuPartialAdd",
    "CpuPartialDel",
    "CpuSlabLoad",
    "CpuSlabUnload",
    "FreelistBroken",
    "Kfree",
    "Kmalloc",
    "KmemCacheAlloc",
    "KmemCacheFree",
    "ObjectGet",
    "ObjectPut",
    "PartialAdd",
    "PartialDel",
    "SheafFill",
    "SheafFlush",
    "SheafMove",
    "SlabDiscard",
    "SlabEvent",
    "SlabNew",
]


@dataclass(frozen=True, slots=True)
class SlabEvent(Event):
    """The base of all that a slab allocator tells."""


@dataclass(frozen=True, slots=True)
class Kmalloc(SlabEvent):
    """The caller of kmalloc() asked for so many bytes and got so many; ptr 0 is none at all."""

    tracepoint = "kmalloc"
    ptr: int
    bytes_req: int
    bytes_alloc: int
    gfp: int

    def __str__(self) -> str:
        return _allocated(self)


@dataclass(frozen=True, slots=True)
class KmemCacheAlloc(SlabEvent):
    """The caller of kmem_cache_alloc() got an object, or nothing (ptr 0)."""

    tracepoint = "kmem_cache_alloc"
    ptr: int
    bytes_req: int
    bytes_alloc: int
    gfp: int
    cache: str

    def __str__(self) -> str:
        return f"{_allocated(self)} name={self.cache}"


@dataclass(frozen=True, slots=True)
class Kfree(SlabEvent):
    """The caller gave kfree() this address."""

    tracepoint = "kfree"
    ptr: int

    def __str__(self) -> str:
        return f"kfree: ptr={self.ptr:#x}"


@dataclass(frozen=True, slots=True)
class KmemCacheFree(SlabEvent):
    """The caller gave an object back to its cache."""

    tracepoint = "kmem_cache_free"
    ptr: int
    cache: str

    def __str__(self) -> str:
        return f"kmem_cache_free: ptr={self.ptr:#x} name={self.cache}"


@dataclass(frozen=True, slots=True)
class CacheCreate(SlabEvent):
    """A cache came to be, with slabs of ``objects`` objects of ``size`` bytes, for so many CPUs."""

    tracepoint = "sim_cache_create"
    cache: str
    object_size: int
    size: int
    order: int
    objects: int
    cpus: int


@dataclass(frozen=True, slots=True)
class CacheDestroy(SlabEvent):
    """A cache is no more."""

    tracepoint = "sim_cache_destroy"
    cache: str


@dataclass(frozen=True, slots=True)
class SlabNew(SlabEvent):
    """Pages from the page allocator became a slab; all its objects are free, in this order."""

    tracepoint = "sim_slab_new"
    cache: str
    pfn: int
    order: int
    freelist: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SlabDiscard(SlabEvent):
    """A slab with no object in use gives its pages back to the page allocator."""

    tracepoint = "sim_slab_discard"
    cache: str
    pfn: int
    order: int


@dataclass(frozen=True, slots=True)
class CpuSlabLoad(SlabEvent):
    """A CPU took a slab's whole freelist for itself.

    ``source``: "own" (others had freed objects of its own slab), "cpu partial", "node
    partial" or "new".
    """

    tracepoint = "sim_cpu_slab_load"
    cache: str
    cpu: int
    pfn: int
    source: str


@dataclass(frozen=True, slots=True)
class CpuSlabUnload(SlabEvent):
    """A CPU let go of its slab; what was left on its freelist went back to the slab's."""

    tracepoint = "sim_cpu_slab_unload"
    cache: str
    cpu: int
    pfn: int


@dataclass(frozen=True, slots=True)
class CpuPartialAdd(SlabEvent):
    """A slab with free objects went to the head of a CPU's own partial list."""

    tracepoint = "sim_cpu_partial_add"
    cache: str
    cpu: int
    pfn: int


@dataclass(frozen=True, slots=True)
class CpuPartialDel(SlabEvent):
    """A slab left a CPU's own partial list."""

    tracepoint = "sim_cpu_partial_del"
    cache: str
    cpu: int
    pfn: int


@dataclass(frozen=True, slots=True)
class PartialAdd(SlabEvent):
    """A slab went on the node's partial list: at its head, or at its tail."""

    tracepoint = "sim_partial_add"
    cache: str
    pfn: int
    tail: bool


@dataclass(frozen=True, slots=True)
class PartialDel(SlabEvent):
    """A slab left the node's partial list."""

    tracepoint = "sim_partial_del"
    cache: str
    pfn: int


@dataclass(frozen=True, slots=True)
class FreelistBroken(SlabEvent):
    """A caller broke a freelist, of a CPU or (cpu -1) a slab's own: its objects are lost from sight."""

    tracepoint = "sim_freelist_broken"
    cache: str
    cpu: int
    pfn: int


@dataclass(frozen=True, slots=True)
class ObjectGet(SlabEvent):
    """The first object of a freelist is in use now: of a CPU's freelist, or (cpu -1) the slab's."""

    tracepoint = "sim_object_get"
    cache: str
    cpu: int
    pfn: int
    index: int


@dataclass(frozen=True, slots=True)
class ObjectPut(SlabEvent):
    """An object went to the head of a freelist: of a CPU's, or (cpu -1) of the slab's own."""

    tracepoint = "sim_object_put"
    cache: str
    cpu: int
    pfn: int
    index: int


def _allocated(event: Kmalloc | KmemCacheAlloc) -> str:
    return (
        f"{event.tracepoint}: ptr={event.ptr:#x} bytes_req={event.bytes_req} "
        f"bytes_alloc={event.bytes_alloc} gfp_flags={gfp_names(event.gfp) or 'none'}"
    )


@dataclass(frozen=True, slots=True)
class SheafMove(SlabEvent):
    """A sheaf went from one place to another: "cpu 0 main", "cpu 0 spare", "barn full", "barn empty".

    From "" comes a new one, to "" goes one that is given up.
    """

    tracepoint = "sim_sheaf_move"
    cache: str
    sheaf: int
    source: str
    to: str


@dataclass(frozen=True, slots=True)
class SheafFill(SlabEvent):
    """A free object went from its slab into a sheaf."""

    tracepoint = "sim_sheaf_fill"
    cache: str
    sheaf: int
    pfn: int
    index: int


@dataclass(frozen=True, slots=True)
class SheafFlush(SlabEvent):
    """A free object went from a sheaf back to its slab."""

    tracepoint = "sim_sheaf_flush"
    cache: str
    sheaf: int
    pfn: int
    index: int


@dataclass(frozen=True, slots=True)
class SlabList(SlabEvent):
    """A slab went to the head or the tail of another list: "full", "partial" or "free"."""

    tracepoint = "sim_slab_list"
    cache: str
    pfn: int
    to: str
    tail: bool


@dataclass(frozen=True, slots=True)
class ArrayFill(SlabEvent):
    """A free object went from its slab into a CPU's array."""

    tracepoint = "sim_array_fill"
    cache: str
    cpu: int
    pfn: int
    index: int


@dataclass(frozen=True, slots=True)
class ArrayFlush(SlabEvent):
    """A free object went from an array (of a CPU, or -1: the shared one) back to its slab."""

    tracepoint = "sim_array_flush"
    cache: str
    cpu: int
    pfn: int
    index: int


@dataclass(frozen=True, slots=True)
class ArrayTransfer(SlabEvent):
    """So many free objects went from a CPU's array to the shared one, or the other way."""

    tracepoint = "sim_array_transfer"
    cache: str
    cpu: int
    count: int
    to_shared: bool


@dataclass(frozen=True, slots=True)
class SlobAlloc(SlabEvent):
    """A block of so many bytes was cut from a page of one of SLOB's lists."""

    tracepoint = "sim_slob_alloc"
    pfn: int
    offset: int
    size: int
    list: str


@dataclass(frozen=True, slots=True)
class SlobFree(SlabEvent):
    """A block of so many bytes of a page of SLOB's is free again."""

    tracepoint = "sim_slob_free"
    pfn: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class SlobPageNew(SlabEvent):
    """A page of the page allocator became one of SLOB's, on one of its lists."""

    tracepoint = "sim_slob_page_new"
    pfn: int
    list: str


@dataclass(frozen=True, slots=True)
class SlobPageGone(SlabEvent):
    """A page of SLOB's is all free and goes back to the page allocator."""

    tracepoint = "sim_slob_page_gone"
    pfn: int
