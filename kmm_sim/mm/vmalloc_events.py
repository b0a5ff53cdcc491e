# SPDX-License-Identifier: GPL-2.0-only
"""What vmalloc tells, step by step.

Three names are Linux's own tracepoints; those that begin with ``sim_`` stand for steps that it
takes without telling.  Between leaving one place and reaching another a range of addresses is
*in hand*.  Addresses and sizes are in bytes, a size includes the guard page.

Linux: include/trace/events/vmalloc.h
"""

from __future__ import annotations

from dataclasses import dataclass

from kmm_sim.trace import Event

__all__ = [
    "AllocVmapArea", "ClearPte", "FlushTlb", "FreeVmapAreaNoflush", "PurgeVmapAreaLazy", "SetPte", "SetPteTable",
    "SetVmStruct", "VmallocEvent", "VmapFreeAdd", "VmapFreeDel", "VmapPoolAdd",
    "VmapPoolDel", "VmapPoolRotate",
]


class VmallocEvent(Event):
    """The base of all events that tell of addresses, not of page frames."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class AllocVmapArea(VmallocEvent):
    """The range in hand at ``addr`` is in use now; or none was found (``failed``)."""

    tracepoint = "alloc_vmap_area"
    addr: int
    size: int
    align: int
    vstart: int
    vend: int
    failed: bool

    def __str__(self) -> str:
        return (
            f"alloc_vmap_area: va_start: {self.addr} size={self.size} align={self.align} "
            f"vstart={self.vstart:#x} vend={self.vend:#x} failed={int(self.failed)}"
        )


@dataclass(frozen=True, slots=True)
class FreeVmapAreaNoflush(VmallocEvent):
    """The range at ``va_start`` is out of use and waits for a purge, with ``nr_lazy`` pages in all."""

    tracepoint = "free_vmap_area_noflush"
    va_start: int
    nr_lazy: int
    nr_lazy_max: int

    def __str__(self) -> str:
        return (
            f"free_vmap_area_noflush: va_start=0x{self.va_start:x} nr_lazy={self.nr_lazy} "
            f"nr_lazy_max={self.nr_lazy_max}"
        )


@dataclass(frozen=True, slots=True)
class PurgeVmapAreaLazy(VmallocEvent):
    """A purge is over: ``npurged`` ranges between ``start`` and ``end`` waited no longer."""

    tracepoint = "purge_vmap_area_lazy"
    start: int
    end: int
    npurged: int

    def __str__(self) -> str:
        return f"purge_vmap_area_lazy: start={self.start:#x} end={self.end:#x} num_purged={self.npurged}"


@dataclass(frozen=True, slots=True)
class VmapFreeDel(VmallocEvent):
    """A range was cut out of the free addresses; it is in hand now."""

    tracepoint = "sim_vmap_free_del"
    addr: int
    size: int

    def __str__(self) -> str:
        return f"sim_vmap_free_del: addr={self.addr:#x} size={self.size}"


@dataclass(frozen=True, slots=True)
class VmapFreeAdd(VmallocEvent):
    """The range in hand is free again, and joined with free neighbours."""

    tracepoint = "sim_vmap_free_add"
    addr: int
    size: int

    def __str__(self) -> str:
        return f"sim_vmap_free_add: addr={self.addr:#x} size={self.size}"


@dataclass(frozen=True, slots=True)
class VmapPoolAdd(VmallocEvent):
    """The range in hand went to the head of a node's pool of ranges of its size."""

    tracepoint = "sim_vmap_pool_add"
    node: int
    addr: int
    size: int

    def __str__(self) -> str:
        return f"sim_vmap_pool_add: node={self.node} addr={self.addr:#x} size={self.size}"


@dataclass(frozen=True, slots=True)
class VmapPoolDel(VmallocEvent):
    """A range left its pool; it is in hand now."""

    tracepoint = "sim_vmap_pool_del"
    node: int
    addr: int
    size: int

    def __str__(self) -> str:
        return f"sim_vmap_pool_del: node={self.node} addr={self.addr:#x} size={self.size}"


@dataclass(frozen=True, slots=True)
class VmapPoolRotate(VmallocEvent):
    """The range at the head of a pool was not aligned as asked; it went to the tail."""

    tracepoint = "sim_vmap_pool_rotate"
    node: int
    addr: int
    size: int

    def __str__(self) -> str:
        return f"sim_vmap_pool_rotate: node={self.node} addr={self.addr:#x} size={self.size}"


@dataclass(frozen=True, slots=True)
class SetVmStruct(VmallocEvent):
    """What the range in use at ``addr`` is for: flags, caller, pages or a physical address."""

    tracepoint = "sim_set_vm_struct"
    addr: int
    flags: int
    caller: str
    nr_pages: int
    phys_addr: int

    def __str__(self) -> str:
        return (
            f"sim_set_vm_struct: addr={self.addr:#x} flags={self.flags:#x} caller={self.caller or '-'} "
            f"nr_pages={self.nr_pages} phys_addr={self.phys_addr:#x}"
        )


@dataclass(frozen=True, slots=True)
class SetPteTable(VmallocEvent):
    """Page frame ``pfn`` became a page table: a PMD or a PTE table for the addresses at ``addr``."""

    tracepoint = "sim_set_pte_table"
    level: str
    addr: int
    pfn: int

    def __str__(self) -> str:
        return f"sim_set_pte_table: level={self.level} addr={self.addr:#x} pfn={self.pfn:#x}"


@dataclass(frozen=True, slots=True)
class SetPte(VmallocEvent):
    """The page at ``addr`` is mapped to page frame ``pfn`` now."""

    tracepoint = "sim_set_pte"
    addr: int
    pfn: int

    def __str__(self) -> str:
        return f"sim_set_pte: addr={self.addr:#x} pfn={self.pfn:#x}"


@dataclass(frozen=True, slots=True)
class ClearPte(VmallocEvent):
    """The page at ``addr`` is not mapped any more; a TLB may still remember it."""

    tracepoint = "sim_clear_pte"
    addr: int

    def __str__(self) -> str:
        return f"sim_clear_pte: addr={self.addr:#x}"


@dataclass(frozen=True, slots=True)
class FlushTlb(VmallocEvent):
    """All CPUs forgot what they remembered of the addresses from ``start`` to ``end``."""

    tracepoint = "sim_flush_tlb"
    start: int
    end: int

    def __str__(self) -> str:
        return f"sim_flush_tlb: start={self.start:#x} end={self.end:#x}"
