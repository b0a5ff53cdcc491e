# SPDX-License-Identifier: GPL-2.0-only
"""What the per-CPU allocator and mempools tell.

Linux: include/trace/events/percpu.h; mempools have no tracepoints.
"""

from __future__ import annotations

from dataclasses import dataclass

from kmm_sim.mm.vmalloc_events import VmallocEvent

__all__ = [
    "MempoolAlloc", "MempoolCreate", "MempoolDestroy", "MempoolEvent", "MempoolFree", "PercpuAllocPercpu",
    "PercpuCreateChunk", "PercpuDestroyChunk", "PercpuEvent", "PercpuFreePercpu",
]


class PercpuEvent(VmallocEvent):
    """The base of all events that tell of per-CPU memory."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class PercpuCreateChunk(PercpuEvent):
    """Addresses for one more chunk begin at ``base_addr``."""

    tracepoint = "percpu_create_chunk"
    base_addr: int


@dataclass(frozen=True, slots=True)
class PercpuDestroyChunk(PercpuEvent):
    """The chunk at ``base_addr`` is gone, with its pages."""

    tracepoint = "percpu_destroy_chunk"
    base_addr: int


@dataclass(frozen=True, slots=True)
class PercpuAllocPercpu(PercpuEvent):
    """Each CPU has ``size`` bytes at ``off`` of its unit now; CPU 0's are at ``ptr``."""

    tracepoint = "percpu_alloc_percpu"
    size: int
    align: int
    base_addr: int
    off: int
    ptr: int


@dataclass(frozen=True, slots=True)
class PercpuFreePercpu(PercpuEvent):
    """What was at ``off`` of each CPU's unit is free."""

    tracepoint = "percpu_free_percpu"
    base_addr: int
    off: int
    ptr: int


class MempoolEvent(VmallocEvent):
    """The base of all events that tell of mempools; ``pool`` is a number."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class MempoolCreate(MempoolEvent):
    """A pool put ``min_nr`` elements aside."""

    tracepoint = "sim_mempool_create"
    pool: int
    min_nr: int


@dataclass(frozen=True, slots=True)
class MempoolAlloc(MempoolEvent):
    """An element was given out, from those put aside if ``reserve``; ``curr_nr`` are left aside."""

    tracepoint = "sim_mempool_alloc"
    pool: int
    reserve: bool
    curr_nr: int


@dataclass(frozen=True, slots=True)
class MempoolFree(MempoolEvent):
    """An element came back, to those put aside if ``reserve``; ``curr_nr`` are aside now."""

    tracepoint = "sim_mempool_free"
    pool: int
    reserve: bool
    curr_nr: int


@dataclass(frozen=True, slots=True)
class MempoolDestroy(MempoolEvent):
    """A pool gave back what it had put aside."""

    tracepoint = "sim_mempool_destroy"
    pool: int
