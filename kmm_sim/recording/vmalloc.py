# SPDX-License-Identifier: GPL-2.0-only
"""Replaying recorded calls of vmalloc: addresses, waiting pages, purges, pools, and the tree.

The recordings begin with a dump of all addresses, the free ones as the tree they are in.  The
page frames behind the addresses were recorded too, but not the page allocator's state before
them, and interrupts were on; nobody can replay those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kmm_sim.machine import Machine
from kmm_sim.mm.page import PAGE_SIZE
from kmm_sim.mm.vmalloc import VmFlag, find_vm_area, get_vm_area
from kmm_sim.mm.vmap_area import ULONG_MAX, VMALLOC_END, VMALLOC_START, FreeRange, VmapArea
from kmm_sim.mm.vmap_node import (
    VmapSpace,
    alloc_vmap_area,
    find_vmap_area,
    free_vmap_area_noflush,
    lazy_max_pages,
    purge_vmap_area_lazy,
    unlink_vmap_area,
    vmap_space_from_dump,
)
from kmm_sim.recording.files import Recording
from kmm_sim.recording.result import Result

__all__ = ["replay_vmalloc"]

MODULES_VADDR = 0xFFFF_FFFF_C000_0000
MODULES_END = 0xFFFF_FFFF_FF00_0000


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
            replay = _VmallocReplay(result, vmap_space_from_dump(Machine(pages=1).node, record))
        elif record["k"] == "vdump" and replay is not None:
            replay.compare_dump(record)
    return [result]


class _VmallocReplay:
    """An address space that is led through a recording, and a result that grows."""

    def __init__(self, result: Result, space: VmapSpace) -> None:
        self.result = result
        self.space = space
        self.call = "the beginning"
        self.asked: list[int] = []
        self.nth = 0

    def step(self, record: list[Any]) -> None:
        """Do what one record says and compare the answer."""
        self.nth += 1
        self.call = f"record {self.nth} ({' '.join(map(str, record[:3]))})"
        match record:
            case ["va", addr, size, align, from_start, to_end, failed]:
                whole = bool(from_start and to_end)
                self.alloc(None if failed else addr, size, align, whole)
            case ["vf", addr, nr_lazy, nr_lazy_max]:
                self.free(addr, [nr_lazy, nr_lazy_max])
            case ["vp", npurged]:
                self.compare("purges", npurged, purge_vmap_area_lazy(self.space))
            case ["vmalloc", size, -1]:
                pass  # that nothing was found, its "va" has told
            case ["vmalloc", size, addr, area_size, nr_pages, pfns]:
                self.area(size, VmFlag.ALLOC, addr, area_size)
                self.compare("page counts", [nr_pages, nr_pages], [-(-size // PAGE_SIZE), len(pfns)])
            case ["getvm", nr_pages, flags, addr, area_size]:
                self.area(nr_pages * PAGE_SIZE, flags, addr, area_size)
            case ["vfree" | "purge" | "getvm", *_]:
                pass  # what it does is told by the records of its events
            case _:
                raise ValueError(f"unknown record {record[:1]}")

    def compare(self, what: str, theirs: Any, ours: Any) -> None:
        """Count one comparison."""
        self.result.count(what, theirs == ours, f"{self.call}: {theirs} in the kernel, {ours} here")

    def alloc(self, offset: int | None, size: int, align: int, whole: bool) -> None:
        """Ask for a range and compare its address; after a difference go on with the kernel's."""
        vstart, vend = (VMALLOC_START, VMALLOC_END) if whole else (MODULES_VADDR, MODULES_END)
        va = alloc_vmap_area(self.space, size, align, vstart, vend)
        self.asked = [size, align]
        self.compare("addresses", offset, va.va_start - VMALLOC_START if va is not None else None)

    def free(self, offset: int, theirs: list[int]) -> None:
        """Let a range wait, and compare how many pages wait now, and how many may."""
        va = find_vmap_area(self.space, (offset + VMALLOC_START) & ULONG_MAX)
        if va is None or va.va_start != (offset + VMALLOC_START) & ULONG_MAX:
            self.compare("frees", "an area", "none")  # after a difference we may not have it
            return
        unlink_vmap_area(self.space, va)
        free_vmap_area_noflush(self.space, va)
        self.compare("frees", theirs, [self.space.nr_lazy, lazy_max_pages(self.space)])

    def area(self, size: int, flags: int, offset: int, area_size: int) -> None:
        """Compare what a request of ``size`` bytes asks the tree for, guard page and alignment."""
        scratch = vmap_space_from_dump(self.space.node, EMPTY)
        area = get_vm_area(scratch, size, flags)
        assert area is not None
        assert find_vm_area(scratch, area.addr) is area
        align = 1 << (area_size - PAGE_SIZE - 1).bit_length() if flags & VmFlag.IOREMAP else 1
        self.compare("areas", [area_size, *self.asked], [area.size, area.size, align])
        if flags & VmFlag.IOREMAP:
            self.compare("alignments", offset % align, area.addr % align)

    def compare_dump(self, theirs: Mapping[str, Any]) -> None:
        """Compare free ranges, the tree and its colours, what waits, what is in use, the pools."""
        self.call = f"dump {theirs['tag']} after {self.call}"
        space = self.space
        self.compare("dumps", theirs["free"], _free(space))
        self.compare("trees", theirs["tree"], _tree(space.free.node))
        self.compare("waiting pages", theirs["lazy"], space.nr_lazy)
        for record, vn in zip(theirs["nodes"], space.nodes, strict=True):
            pools = {str(pages): [addr - VMALLOC_START for addr in addrs] for pages, addrs in vn.pool.items() if addrs}
            self.compare("pools", record["pools"], pools)
            for what, areas in (("busy", vn.busy), ("lazylist", vn.lazy)):
                self.compare(f"{what} lists", [entry[:2] for entry in record[what]], _areas(areas))


EMPTY = {"tree": [1, ULONG_MAX, 1, 0, 0], "nr_vmap_nodes": 1, "lazy": 0,
         "nodes": [{"busy": [], "lazylist": [], "pools": {}}]}
"""The dump of an address space where all is free."""


def _free(space: VmapSpace) -> list[list[int]]:
    """List the free ranges within vmalloc's addresses, as recordings have them: offset and size."""
    clipped = ((max(va.va_start, VMALLOC_START), min(va.va_end, VMALLOC_END + 1)) for va in space.free)
    return [[start - VMALLOC_START, end - start] for start, end in clipped if start < end]


def _tree(node: FreeRange | None) -> Any:
    if node is None:
        return 0
    return [node.va_start, node.va_end, int(not node.red), _tree(node.left), _tree(node.right)]


def _areas(areas: list[VmapArea]) -> list[list[int]]:
    return [[va.va_start - VMALLOC_START, va.size] for va in areas]
