# SPDX-License-Identifier: GPL-2.0-only
"""Replaying recorded calls of vmalloc: addresses, waiting pages, purges, pools, and the tree.

The recordings begin with a dump of all addresses, the free ones as the tree they are in.  Then each
call is made here too, vmalloc(), get_vm_area(), vfree() and the rest, and what the tracepoints told
of it in the kernel is compared with what they tell here: the size and the alignment that was asked
the tree for, the address, what waits, what a purge gave back.  So are the pages that each area got
and gave back, by number.

Which page frames they were was recorded too, but not the page allocator's state before, and
interrupts were on; nobody can replay that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from kmm_sim.machine import Machine
from kmm_sim.mm.events import MmPageFree
from kmm_sim.mm.page import PAGE_SIZE
from kmm_sim.mm.vmalloc import (
    VmFlag,
    VmStruct,
    find_vm_area,
    free_vm_area,
    get_vm_area,
    vfree,
    vm_unmap_aliases,
    vmalloc,
)
from kmm_sim.mm.vmalloc_events import AllocVmapArea, FreeVmapAreaNoflush, PurgeVmapAreaLazy
from kmm_sim.mm.vmap_area import ULONG_MAX, VMALLOC_END, VMALLOC_START, FreeRange, VmapArea
from kmm_sim.mm.vmap_node import (
    VmapSpace,
    alloc_vmap_area,
    find_vmap_area,
    free_vmap_area_noflush,
    purge_vmap_area_lazy,
    unlink_vmap_area,
    vmap_space_from_dump,
)
from kmm_sim.recording.files import Recording
from kmm_sim.recording.result import Result
from kmm_sim.trace import Event

__all__ = ["replay_vmalloc"]

MODULES_VADDR = 0xFFFF_FFFF_C000_0000
MODULES_END = 0xFFFF_FFFF_FF00_0000
POINTERS = PAGE_SIZE // 8
"""An area of more pages has an area of its own for the array of their addresses."""
MEMORY = "1 GiB"
"""Enough for all that a recording holds at one time; which frames they are does not matter."""


def replay_vmalloc(recording: Recording) -> list[Result]:
    """Return the result of a recording of vmalloc."""
    result = Result(recording.name, recording.kind)
    replay: _VmallocReplay | None = None
    for record in recording.records:
        if isinstance(record, list):
            if replay is None:
                raise ValueError("a call comes before the first dump")
            replay.step(record)
        elif record["k"] == "vdump" and replay is None:
            machine = Machine(memory=MEMORY)
            replay = _VmallocReplay(result, machine, vmap_space_from_dump(machine.node, record))
        elif record["k"] == "vdump" and replay is not None:
            replay.compare_dump(record)
    if any(isinstance(record, list) and record[0] == "vmalloc" and record[2] != -1 for record in recording.records):
        result.left_out.append("which page frames the areas got: the page allocator was not recorded")
    return [result]


class _VmallocReplay:
    """An address space that is led through a recording, and a result that grows.

    The kernel tells of a request for addresses before the call it belongs to, ``told``; of
    addresses that begin to wait, and of a purge, after it: ours wait in ``ours`` until then.
    ``areas`` are the areas in use, by the kernel's offset: where ours is, and the pages of the kernel's.
    """

    def __init__(self, result: Result, machine: Machine, space: VmapSpace) -> None:
        self.result = result
        self.machine = machine
        self.space = space
        self.call = "the beginning"
        self.told: deque[list[Any]] = deque()
        self.ours: deque[Event] = deque()
        self.areas: dict[int, tuple[int, int]] = {}
        self.nth = 0

    def step(self, record: list[Any]) -> None:
        """Do what one record says and compare the answer."""
        self.nth += 1
        self.call = f"record {self.nth} ({' '.join(map(str, record[:3]))})"
        match record:
            case ["va", *fields]:
                self.told.append(fields)
            case ["vf", addr, nr_lazy, nr_lazy_max]:
                self.freed(addr, [nr_lazy, nr_lazy_max])
            case ["vp", npurged]:
                self.compare("purges", npurged, self.purged())
            case ["vmalloc", size, -1]:
                self.strangers(1)
                self.compare("areas", 0, self.listen(lambda: vmalloc(self.space, size)))
            case ["vmalloc", size, addr, area_size, nr_pages, pfns]:
                self.strangers(1 + (nr_pages > POINTERS))
                self.area(addr, area_size, nr_pages, self.listen(lambda: vmalloc(self.space, size)))
                vm = find_vm_area(self.space, self.areas[addr][0])
                self.compare("pages taken", [nr_pages, len(pfns)], [len(vm.pages) if vm is not None else 0] * 2)
            case ["getvm", nr_pages, flags, addr, area_size]:
                self.strangers(1)
                reserved = self.listen(lambda: _reserve(self.space, nr_pages * PAGE_SIZE, flags))
                self.area(addr, area_size, 0, reserved)
            case ["vfree", addr, kind]:
                self.give_back(addr, bool(kind))
            case ["purge"]:
                self.listen(lambda: vm_unmap_aliases(self.space))
            case _:
                raise ValueError(f"unknown record {record[:1]}")

    def compare(self, what: str, theirs: Any, ours: Any) -> None:
        """Count one comparison."""
        self.result.count(what, theirs == ours, f"{self.call}: {theirs} in the kernel, {ours} here")

    def listen(self, call: Callable[[], int]) -> int:
        """Make a call; compare what it asks the tree for with what the kernel was told to have asked."""
        trace = self.machine.trace
        trace.clear()
        answer = call()
        for event in trace:
            if isinstance(event, AllocVmapArea):
                self.asked(event)
            elif isinstance(event, FreeVmapAreaNoflush | PurgeVmapAreaLazy):
                self.ours.append(event)
        self.pages_freed = sum(isinstance(event, MmPageFree) for event in trace)
        return answer

    def asked(self, event: AllocVmapArea) -> None:
        """Compare one request for addresses: size with the guard page, alignment, where, and the answer."""
        whole = (event.vstart, event.vend) == (VMALLOC_START, VMALLOC_END)
        offset = None if event.failed else event.addr - VMALLOC_START
        ours: list[Any] = [event.size, event.align, whole]
        if not self.told:
            self.compare("requests for addresses", "none", ours)
            return
        addr, size, align, from_start, to_end, failed = self.told.popleft()
        self.compare("requests for addresses", [size, align, bool(from_start and to_end)], ours)
        self.compare("addresses", None if failed else addr, offset)

    def strangers(self, own: int) -> None:
        """Serve requests that are not of the call to come, which makes ``own``: somebody else's."""
        while len(self.told) > own:
            _, size, align, from_start, to_end, _ = self.told[0]
            limits = (VMALLOC_START, VMALLOC_END) if from_start and to_end else (MODULES_VADDR, MODULES_END)
            self.listen(partial(_take, self.space, size, align, limits))

    def area(self, offset: int, area_size: int, nr_pages: int, addr: int) -> None:
        """Compare an area: where it is, and its size with the guard page; note it under the kernel's address."""
        self.areas[offset] = addr, nr_pages
        vm = find_vm_area(self.space, addr) if addr else None
        ours = [addr - VMALLOC_START, vm.size if vm is not None else None]
        self.compare("areas", [offset, area_size], ours)

    def give_back(self, offset: int, reserved: bool) -> None:
        """Free an area, one that was only reserved or one with pages; compare how many pages come back."""
        addr, nr_pages = self.areas.pop(offset, (0, 0))
        vm = find_vm_area(self.space, addr)
        if vm is None:
            return  # of before the recording, or never got here: the next record tells
        self.listen(lambda: _free(self.space, vm, reserved))
        self.compare("pages given back", nr_pages, self.pages_freed)

    def freed(self, offset: int, theirs: list[int]) -> None:
        """Compare which addresses wait now, how many pages wait in all, and how many may."""
        if not (self.ours and isinstance(self.ours[0], FreeVmapAreaNoflush)):
            self.let_wait((offset + VMALLOC_START) & ULONG_MAX)
        event = self.ours.popleft() if self.ours else None
        mine = [event.va_start - VMALLOC_START, event.nr_lazy, event.nr_lazy_max] \
            if isinstance(event, FreeVmapAreaNoflush) else "none"
        self.compare("frees", [offset, *theirs], mine)

    def let_wait(self, addr: int) -> None:
        """Let a range wait that somebody else gave back."""
        va = find_vmap_area(self.space, addr)
        if va is not None and va.va_start == addr:
            unlink_vmap_area(self.space, va)
            self.listen(partial(_wait, self.space, va))

    def purged(self) -> int:
        """Return how many ranges the purge gave back that our call led to, or that is due now."""
        if not (self.ours and isinstance(self.ours[0], PurgeVmapAreaLazy)):
            self.listen(lambda: purge_vmap_area_lazy(self.space))
        event = next((event for event in self.ours if isinstance(event, PurgeVmapAreaLazy)), None)
        self.ours.clear()
        return event.npurged if event is not None else -1

    def compare_dump(self, theirs: Mapping[str, Any]) -> None:
        """Compare free ranges, the tree and its colours, what waits, what is in use, the pools."""
        self.call = f"dump {theirs['tag']} after {self.call}"
        space = self.space
        self.compare("dumps", theirs["free"], _free_ranges(space))
        self.compare("trees", theirs["tree"], _tree(space.free.node))
        self.compare("waiting pages", theirs["lazy"], space.nr_lazy)
        for record, vn in zip(theirs["nodes"], space.nodes, strict=True):
            pools = {str(pages): [addr - VMALLOC_START for addr in addrs] for pages, addrs in vn.pool.items() if addrs}
            self.compare("pools", record["pools"], pools)
            for what, areas in (("busy", vn.busy), ("lazylist", vn.lazy)):
                self.compare(f"{what} lists", [entry[:2] for entry in record[what]], _areas(areas))


def _take(space: VmapSpace, size: int, align: int, limits: tuple[int, int]) -> int:
    va = alloc_vmap_area(space, size, align, *limits)
    return va.va_start if va is not None else 0


def _wait(space: VmapSpace, va: VmapArea) -> int:
    free_vmap_area_noflush(space, va)
    return 0


def _reserve(space: VmapSpace, size: int, flags: int) -> int:
    """Reserve addresses for ``size`` bytes; return the first, or 0.  An area for a device is aligned."""
    vm = get_vm_area(space, size, VmFlag(flags))
    return vm.addr if vm is not None else 0


def _free(space: VmapSpace, vm: VmStruct, reserved: bool) -> int:
    if reserved:
        free_vm_area(space, vm)
    else:
        vfree(space, vm.addr)
    return 0


def _free_ranges(space: VmapSpace) -> list[list[int]]:
    """List the free ranges within vmalloc's addresses, as recordings have them: offset and size."""
    clipped = ((max(va.va_start, VMALLOC_START), min(va.va_end, VMALLOC_END + 1)) for va in space.free)
    return [[start - VMALLOC_START, end - start] for start, end in clipped if start < end]


def _tree(node: FreeRange | None) -> Any:
    if node is None:
        return 0
    return [node.va_start, node.va_end, int(not node.red), _tree(node.left), _tree(node.right)]


def _areas(areas: list[VmapArea]) -> list[list[int]]:
    return [[va.va_start - VMALLOC_START, va.size] for va in areas]
