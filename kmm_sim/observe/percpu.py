# SPDX-License-Identifier: GPL-2.0-only
"""Per-CPU memory, frozen and rebuilt from the trace; how full mempools are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from kmm_sim.machine import Machine
from kmm_sim.mm.percpu_events import (
    MempoolAlloc,
    MempoolCreate,
    MempoolDestroy,
    MempoolFree,
    PercpuAllocPercpu,
    PercpuCreateChunk,
    PercpuDestroyChunk,
    PercpuFreePercpu,
)
from kmm_sim.trace import Event

__all__ = ["PercpuSnapshot", "mempool_replay", "percpu_replay", "percpu_snapshot"]


@dataclass(frozen=True, slots=True)
class PercpuSnapshot:
    """Where chunks begin, oldest first, and by CPU 0's address what is in use, in bytes."""

    chunks: tuple[int, ...]
    used: Mapping[int, int]


def percpu_snapshot(machine: Machine) -> PercpuSnapshot:
    """Return the per-CPU memory of a machine as it is now; later calls do not change it."""
    chunks = machine.percpu.chunks
    used = {chunk.base_addr + off: size for chunk in chunks for off, size in chunk.used}
    return PercpuSnapshot(tuple(chunk.base_addr for chunk in chunks), MappingProxyType(dict(sorted(used.items()))))


def percpu_replay(start: PercpuSnapshot, events: Iterable[Event]) -> PercpuSnapshot:
    """Return the state that events lead to from ``start``; those of other parts do not matter."""
    chunks, used = list(start.chunks), dict(start.used)
    for event in events:
        match event:
            case PercpuCreateChunk(base_addr):
                chunks.append(base_addr)
            case PercpuDestroyChunk(base_addr):
                chunks.remove(base_addr)
            case PercpuAllocPercpu(size=size, ptr=ptr):
                used[ptr] = size
            case PercpuFreePercpu(ptr=ptr):
                del used[ptr]
    return PercpuSnapshot(tuple(chunks), MappingProxyType(dict(sorted(used.items()))))


def mempool_replay(events: Iterable[Event]) -> dict[int, int]:
    """Return how many elements each pool has aside after events, by its number."""
    aside: dict[int, int] = {}
    for event in events:
        match event:
            case MempoolCreate(pool, min_nr):
                aside[pool] = max(1, min_nr)
            case MempoolAlloc(pool, reserve):
                aside[pool] -= reserve
            case MempoolFree(pool, reserve):
                aside[pool] += reserve
            case MempoolDestroy(pool):
                del aside[pool]
    return aside
