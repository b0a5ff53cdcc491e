# SPDX-License-Identifier: GPL-2.0-only
"""Mempools: a few elements put aside, so that who must not fail does not.

To free memory the kernel writes pages to disk, and to write it needs memory.  A driver on that
way puts a few elements aside when it starts.  Each request still asks the ordinary allocator
first, and takes one of those put aside only when that has nothing; what comes back fills the
reserve first.  So one request after the other gets through, however little memory there is.

Linux: mm/mempool.c
Simplified: when the reserve is empty too, Linux sleeps until an element comes back; here nobody
else runs, so that is an error that says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from kmm_sim.errors import ContextError, KernelBug
from kmm_sim.mm.gfp import DIRECT_RECLAIM, GFP_KERNEL, IO, NOMEMALLOC, NOWARN, Gfp
from kmm_sim.mm.mmzone import Node
from kmm_sim.mm.percpu_events import MempoolAlloc, MempoolCreate, MempoolDestroy, MempoolEvent, MempoolFree
from kmm_sim.mm.sched import might_alloc

__all__ = ["Mempool", "mempool_alloc", "mempool_create", "mempool_destroy", "mempool_free"]

NORETRY = int(Gfp.NORETRY)
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Mempool(Generic[T]):
    """A pool: what was put aside, how many there should be, and how elements are made and freed.

    Linux: struct mempool_s, include/linux/mempool.h
    """

    node: Node
    number: int
    min_nr: int
    alloc: Callable[[int], T | None]
    free: Callable[[T], None]
    elements: list[T] = field(default_factory=list)
    dead: bool = False

    @property
    def curr_nr(self) -> int:
        """How many elements are aside."""
        return len(self.elements)


def _tell(pool: Mempool[T], event: MempoolEvent) -> None:
    if pool.node.trace is not None:
        pool.node.trace.emit(event)


def mempool_create(
    node: Node, number: int, min_nr: int, alloc: Callable[[int], T | None], free: Callable[[T], None]
) -> Mempool[T] | None:
    """Return a pool with ``min_nr`` elements aside, or None when there is no memory for them.

    Linux: mempool_create_node_noprof(), mm/mempool.c
    """
    pool = Mempool(node, number, min_nr, alloc, free)
    while pool.curr_nr < max(1, min_nr):
        element = alloc(int(GFP_KERNEL))
        if element is None:
            for got in pool.elements:
                free(got)
            return None
        pool.elements.append(element)
    _tell(pool, MempoolCreate(number, min_nr))
    return pool


def mempool_alloc(pool: Mempool[T], gfp: int) -> T | None:
    """Return an element: a new one, else one put aside; None only for masks that may not sleep.

    Raises ContextError when Linux would sleep until an element comes back, and in teaching mode
    for a mask that may sleep where nobody can.

    Linux: mempool_alloc_noprof(), mm/mempool.c
    """
    _alive(pool)
    node = pool.node
    if node.current.inside and (node.teaching or node.debug_atomic_sleep):
        might_alloc(node.current, gfp, node.teaching, node.dmesg)
    gfp |= NOMEMALLOC | NORETRY | NOWARN
    patient = gfp & ~(DIRECT_RECLAIM | IO)
    for attempt in dict.fromkeys((patient, gfp)):
        element = pool.alloc(attempt)
        if element is not None:
            _tell(pool, MempoolAlloc(pool.number, False, pool.curr_nr))
            return element
        if pool.elements:
            element = pool.elements.pop()
            _tell(pool, MempoolAlloc(pool.number, True, pool.curr_nr))
            return element
    if not gfp & DIRECT_RECLAIM:
        return None
    raise ContextError(
        f"mempool_alloc would sleep now: no memory, and all {pool.min_nr} elements put aside "
        "are in use; Linux waits until one comes back, but on this machine nobody else runs "
        "who could return one"
    )


def mempool_free(pool: Mempool[T], element: T | None) -> None:
    """Give an element back: to those put aside while any are missing, else to where it came from.

    Linux: mempool_free(), mm/mempool.c
    """
    if element is None:
        return
    _alive(pool)
    if element in pool.elements:
        raise KernelBug(f"double free: mempool_free of {element!r}, which is put aside already")
    reserve = pool.curr_nr < pool.min_nr
    if reserve:
        pool.elements.append(element)
    else:
        pool.free(element)
    _tell(pool, MempoolFree(pool.number, reserve, pool.curr_nr))


def mempool_destroy(pool: Mempool[T]) -> None:
    """Give all that was put aside back.

    Linux: mempool_destroy(), mm/mempool.c
    """
    _alive(pool)
    while pool.elements:
        pool.free(pool.elements.pop())
    pool.dead = True
    _tell(pool, MempoolDestroy(pool.number))


def _alive(pool: Mempool[T]) -> None:
    if pool.dead:
        raise KernelBug(f"mempool {pool.number} was destroyed; what was put aside is gone")
