# SPDX-License-Identifier: GPL-2.0-only
"""Memory for each CPU, and elements put aside for bad times."""

from __future__ import annotations

from collections.abc import Callable
from operator import index
from typing import TypeVar

from kmm_sim.calls.arguments import gfp_mask
from kmm_sim.calls.stack import StackCalls
from kmm_sim.mm import mempool, percpu
from kmm_sim.mm.mempool import Mempool
from kmm_sim.mm.page import PAGE_SIZE, Page
from kmm_sim.mm.page_alloc import alloc_pages, free_pages
from kmm_sim.mm.percpu import PCPU_UNIT_SIZE, Percpu

__all__ = ["PercpuCalls"]

T = TypeVar("T")


class PercpuCalls(StackCalls):
    """alloc_percpu() and mempool_create() with what belongs to them, as methods of a machine."""

    _percpu: Percpu | None = None
    _mempools: int = 0

    @property
    def percpu(self) -> Percpu:
        """All per-CPU memory; made when it is asked for first."""
        if self._percpu is None:
            self._percpu = Percpu(self.vmap_space)
        return self._percpu

    def alloc_percpu(self, size: int, align: int = 8) -> int:
        """Return the address, for CPU 0, of ``size`` bytes that each CPU has for itself, or 0.

        ``size`` is from 1 to 32768 bytes, ``align`` a power of two up to 4096.

        Linux: __alloc_percpu(), include/linux/percpu.h
        """
        if not 1 <= index(size) <= PCPU_UNIT_SIZE:
            raise ValueError(f"{size} bytes for each CPU is out of range: from 1 to {PCPU_UNIT_SIZE}")
        if not 1 <= index(align) <= PAGE_SIZE or align & (align - 1):
            raise ValueError(f"an alignment is a power of two from 1 to {PAGE_SIZE}, not {align}")
        return percpu.alloc_percpu(self.percpu, size, align)

    def free_percpu(self, ptr: int) -> None:
        """Give per-CPU memory back; KernelBug for what alloc_percpu() did not return.

        Linux: free_percpu(), mm/percpu.c
        """
        percpu.free_percpu(self.percpu, index(ptr))

    def per_cpu_ptr(self, ptr: int, cpu: int) -> int:
        """Return the address of a CPU's own copy.  Linux: per_cpu_ptr(), include/linux/percpu-defs.h"""
        if not 0 <= index(cpu) < self.vmap_space.nr_cpus:
            raise ValueError(f"this machine has the CPUs 0 to {self.vmap_space.nr_cpus - 1}, not {cpu}")
        return percpu.per_cpu_ptr(index(ptr), cpu)

    def this_cpu_read(self, ptr: int, size: int = 8) -> int:
        """Return the running CPU's own number.  Linux: this_cpu_read(), include/linux/percpu-defs.h"""
        return percpu.this_cpu_read(self.percpu, index(ptr), size)

    def this_cpu_add(self, ptr: int, value: int, size: int = 8) -> None:
        """Add to the running CPU's own number.  Linux: this_cpu_add(), include/linux/percpu-defs.h"""
        percpu.this_cpu_add(self.percpu, index(ptr), index(value), size)

    def mempool_create(
        self, min_nr: int, alloc: Callable[[int], T | None], free: Callable[[T], None]
    ) -> Mempool[T] | None:
        """Return a pool with ``min_nr`` elements aside, made by ``alloc(gfp)``; None without memory.

        Linux: mempool_create(), include/linux/mempool.h
        """
        if index(min_nr) < 0:
            raise ValueError(f"a pool puts 0 elements or more aside, not {min_nr}")
        self._mempools += 1
        return mempool.mempool_create(self.node, self._mempools, min_nr, alloc, free)

    def mempool_create_page_pool(self, min_nr: int, order: int = 0) -> Mempool[Page] | None:
        """Return a pool of blocks of pages.  Linux: mempool_create_page_pool(), include/linux/mempool.h"""
        node = self.node
        return self.mempool_create(
            min_nr, lambda gfp: alloc_pages(node, gfp, order), lambda page: free_pages(node, page, order))

    def mempool_alloc(self, pool: Mempool[T], gfp: int) -> T | None:
        """Return an element, one put aside if memory has run out.

        None only for masks that may not sleep; ContextError where Linux would wait for ever here.

        Linux: mempool_alloc(), mm/mempool.c
        """
        return mempool.mempool_alloc(pool, gfp_mask(gfp))

    def mempool_free(self, pool: Mempool[T], element: T | None) -> None:
        """Give an element back; those put aside are filled first.  Linux: mempool_free(), mm/mempool.c"""
        mempool.mempool_free(pool, element)

    def mempool_destroy(self, pool: Mempool[T]) -> None:
        """Give all that was put aside back.  Linux: mempool_destroy(), mm/mempool.c"""
        mempool.mempool_destroy(pool)
