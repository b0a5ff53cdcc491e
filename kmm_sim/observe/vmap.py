# SPDX-License-Identifier: GPL-2.0-only
"""The addresses of vmalloc, frozen: to look at, to compare, and rebuilt from the trace.

    before = vmap_snapshot(machine)
    ...
    vmap_replay(before, machine.trace) == vmap_snapshot(machine)
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from kmm_sim.machine import Machine
from kmm_sim.mm.page import PAGE_SHIFT, PAGE_SIZE
from kmm_sim.mm.percpu_events import MempoolEvent, PercpuEvent
from kmm_sim.mm.pgtable import PAGE_PRESENT, walk
from kmm_sim.mm.stack_events import StackEvent
from kmm_sim.mm.vmalloc_events import (
    AllocVmapArea,
    ClearPte,
    FlushTlb,
    FreeVmapAreaNoflush,
    PurgeVmapAreaLazy,
    SetPte,
    SetPteTable,
    SetVmStruct,
    VmallocEvent,
    VmapFreeAdd,
    VmapFreeDel,
    VmapPoolAdd,
    VmapPoolDel,
    VmapPoolRotate,
)
from kmm_sim.mm.vmap_node import VmapSpace
from kmm_sim.trace import Event

__all__ = ["AreaSnapshot", "VmapSnapshot", "vmap_frames", "vmap_replay", "vmap_snapshot"]

OTHERS = (MempoolEvent, PercpuEvent, StackEvent)
"""Events that tell of what was built on addresses; see stack_replay() and percpu_replay()."""


@dataclass(frozen=True, slots=True)
class AreaSnapshot:
    """A range of addresses in use, its size in bytes with the guard page, and what it is for."""

    addr: int
    size: int
    flags: int = 0
    caller: str = ""
    nr_pages: int = 0
    phys_addr: int = 0


@dataclass(frozen=True, slots=True)
class VmapSnapshot:
    """All addresses of vmalloc: free, in use, waiting for a purge, in pools; and what is mapped.

    ``free`` are ranges (start, end), ascending.  ``lazy`` maps an address to a size in bytes,
    ``pools`` a node and a size in pages to addresses, newest first, ``ptes`` the address of a
    page to its page frame, ``tables`` a level and an address to the page frame of the table.
    """

    free: tuple[tuple[int, int], ...]
    areas: Mapping[int, AreaSnapshot]
    lazy: Mapping[int, int]
    pools: Mapping[tuple[int, int], tuple[int, ...]]
    ptes: Mapping[int, int]
    tables: Mapping[tuple[str, int], int]

    @property
    def nr_lazy(self) -> int:
        """How many pages of addresses wait for a purge."""
        return sum(self.lazy.values()) >> PAGE_SHIFT


def vmap_snapshot(machine: Machine) -> VmapSnapshot:
    """Return the addresses of a machine as they are now; later calls do not change it."""
    space = machine.vmap_space
    state = _State()
    state.free = [(va.va_start, va.va_end) for va in space.free]
    for number, vn in enumerate(space.nodes):
        for va in vn.busy:
            vm = va.vm
            state.areas[va.va_start] = AreaSnapshot(va.va_start, va.size) if vm is None else AreaSnapshot(
                vm.addr, vm.size, vm.flags, vm.caller, len(vm.pages), vm.phys_addr)
        state.lazy.update((va.va_start, va.size) for va in vn.lazy)
        state.pools.update(((number, pages), list(addrs)) for pages, addrs in vn.pool.items())
    _read_tables(space, state)
    return state.snapshot()


def _read_tables(space: VmapSpace, state: _State) -> None:
    """Walk through the page tables of all that is or may still be mapped."""
    ranges = [(area.addr, area.addr + area.size) for area in state.areas.values()]
    ranges += [(start, start + size) for start, size in state.lazy.items()]
    for start, end in ranges:
        for addr in range(start, end, PAGE_SIZE):
            entry = walk(space.tables, addr)[-1]
            if entry[0] == "PTE" and entry[1] & PAGE_PRESENT:
                state.ptes[addr] = _frame(entry[1])
    for (level, addr), pfn in space.tables.made.items():
        state.tables[level, addr] = pfn


def _frame(entry: int) -> int:
    return (entry & ((1 << 52) - 1)) >> PAGE_SHIFT


def vmap_replay(start: VmapSnapshot, events: Iterable[Event]) -> VmapSnapshot:
    """Return the state that events lead to from ``start``; those of other parts do not matter."""
    state = _State.of(start)
    for event in events:
        state.hear(event)
    return state.snapshot()


def vmap_frames(start: VmapSnapshot, events: Iterable[Event]) -> Iterator[VmapSnapshot]:
    """Yield the state after each event in turn; one of another part changes nothing."""
    state = _State.of(start)
    now = start
    for event in events:
        if state.hear(event):
            now = state.snapshot()
        yield now


class _State:
    """A snapshot that can change."""

    def __init__(self) -> None:
        self.free: list[tuple[int, int]] = []
        self.areas: dict[int, AreaSnapshot] = {}
        self.lazy: dict[int, int] = {}
        self.pools: dict[tuple[int, int], list[int]] = {}
        self.ptes: dict[int, int] = {}
        self.tables: dict[tuple[str, int], int] = {}

    @classmethod
    def of(cls, start: VmapSnapshot) -> _State:
        state = cls()
        state.free = list(start.free)
        state.areas, state.lazy = dict(start.areas), dict(start.lazy)
        state.pools = {key: list(addrs) for key, addrs in start.pools.items()}
        state.ptes, state.tables = dict(start.ptes), dict(start.tables)
        return state

    def hear(self, event: Event) -> bool:
        """Apply an event if it tells of addresses; return whether it does."""
        mine = isinstance(event, VmallocEvent) and not isinstance(event, OTHERS)
        if mine:
            assert isinstance(event, VmallocEvent)
            self.apply(event)
        return mine

    def apply(self, event: VmallocEvent) -> None:
        match event:
            case VmapFreeDel(addr, size):
                self.cut(addr, addr + size)
            case VmapFreeAdd(addr, size):
                for start in [start for start in self.lazy if addr <= start < addr + size]:
                    del self.lazy[start]
                self.join(addr, addr + size)
            case VmapPoolAdd(node, addr, size):
                del self.lazy[addr]
                self.pools.setdefault((node, size >> PAGE_SHIFT), []).insert(0, addr)
            case VmapPoolDel(node, addr, size):
                self.pools[node, size >> PAGE_SHIFT].remove(addr)
            case VmapPoolRotate(node, _, size):
                pool = self.pools[node, size >> PAGE_SHIFT]
                pool.append(pool.pop(0))
            case AllocVmapArea(addr, size, failed=failed):
                if not failed:
                    self.areas[addr] = AreaSnapshot(addr, size)
            case SetVmStruct(addr, flags, caller, nr_pages, phys_addr):
                self.areas[addr] = replace(self.areas[addr], flags=flags, caller=caller, nr_pages=nr_pages,
                                           phys_addr=phys_addr)
            case FreeVmapAreaNoflush(addr):
                self.lazy[addr] = self.areas.pop(addr).size
            case SetPte(addr, pfn):
                self.ptes[addr] = pfn
            case ClearPte(addr):
                del self.ptes[addr]
            case SetPteTable(level, addr, pfn):
                self.tables[level, addr] = pfn
            case FlushTlb() | PurgeVmapAreaLazy():
                pass  # what moved because of it is told by other events
            case _:
                raise TypeError(f"vmap_replay does not know the event {event}")

    def cut(self, start: int, end: int) -> None:
        """Take a range out of the free one that it lies in."""
        at = bisect_left(self.free, (start + 1,)) - 1
        low, high = self.free[at]
        self.free[at : at + 1] = [(a, b) for a, b in ((low, start), (end, high)) if a < b]

    def join(self, start: int, end: int) -> None:
        """Put a range among the free ones, joined with those that touch it."""
        at = bisect_left(self.free, (start,))
        if at < len(self.free) and self.free[at][0] == end:
            end = self.free.pop(at)[1]
        if at and self.free[at - 1][1] == start:
            at -= 1
            start = self.free.pop(at)[0]
        self.free.insert(at, (start, end))

    def snapshot(self) -> VmapSnapshot:
        return VmapSnapshot(
            free=tuple(self.free),
            areas=MappingProxyType(dict(sorted(self.areas.items()))),
            lazy=MappingProxyType(dict(sorted(self.lazy.items()))),
            pools=MappingProxyType({key: tuple(addrs) for key, addrs in sorted(self.pools.items()) if addrs}),
            ptes=MappingProxyType(dict(sorted(self.ptes.items()))),
            tables=MappingProxyType(dict(sorted(self.tables.items()))),
        )
