# SPDX-License-Identifier: GPL-2.0-only
"""Invariants of vmalloc, said as sentences that name the culprit."""

from __future__ import annotations

from kmm_sim.machine import Machine
from kmm_sim.mm.page import PAGE_SIZE
from kmm_sim.mm.percpu import PCPU_UNIT_SIZE
from kmm_sim.mm.pgtable import mapped_pfn
from kmm_sim.mm.rbtree import RbNode, RbRoot
from kmm_sim.mm.vmalloc import VmFlag, VmStruct
from kmm_sim.mm.vmap_area import ULONG_MAX, FreeRange
from kmm_sim.mm.vmap_node import VmapSpace, waiting_areas

__all__ = ["validate_free_tree", "validate_vmalloc"]


def validate_vmalloc(machine: Machine) -> None:
    """Check all addresses of vmalloc; raises AssertionError with a sentence for the first fault.

    Every address is free, in use, waiting or in a pool, and in only one of these; a page frame
    is in one area; what is in use is mapped but for the guard page, and nothing else is.
    """
    space = machine.vmap_space
    validate_free_tree(space.free)
    _check_tiles(space)
    waiting = sum(va.nr_pages for va in waiting_areas(space))
    assert space.nr_lazy == waiting, f"{space.nr_lazy} pages are counted as waiting, {waiting} wait"
    owners: dict[int, str] = {}
    for (level, addr), pfn in space.tables.made.items():
        _claim(machine, owners, pfn, f"the {level} table of {addr:#x}")
    for vn in space.nodes:
        for va in vn.busy:
            if va.vm is not None:
                _check_area(machine, va.vm, owners)
    _check_percpu(machine, owners)
    counted = sum(len(va.vm.pages) for vn in space.nodes for va in vn.busy if va.vm and va.vm.flags & VmFlag.ALLOC)
    assert space.nr_vmalloc_pages == counted, f"{space.nr_vmalloc_pages} pages are counted, areas have {counted}"


def _check_percpu(machine: Machine, owners: dict[int, str]) -> None:
    for chunk in machine.percpu.chunks:
        end = 0
        for off, size in chunk.used:
            assert off >= end, f"offset {off} of the per-CPU chunk at {chunk.base_addr:#x} is in use twice"
            end = off + size
        for (cpu, index), page in chunk.pages.items():
            addr = chunk.base_addr + cpu * PCPU_UNIT_SIZE + index * PAGE_SIZE
            _claim(machine, owners, page.pfn, f"the per-CPU chunk at {chunk.base_addr:#x}")
            found = mapped_pfn(machine.vmap_space.tables, addr)
            assert found == page.pfn, f"per-CPU page {addr:#x} is {page.pfn}, its entry says {found}"


def _check_tiles(space: VmapSpace) -> None:
    tiles = [(va.va_start, va.va_end, "free") for va in space.free]
    for number, vn in enumerate(space.nodes):
        tiles += [(va.va_start, va.va_end, "in use") for va in vn.busy]
        tiles += [(va.va_start, va.va_end, "waiting") for va in vn.lazy]
        for pages, addrs in vn.pool.items():
            tiles += [(addr, addr + pages * PAGE_SIZE, f"in the pool of node {number}") for addr in addrs]
    end = 1
    for start, stop, kind in sorted(tiles):
        assert start >= end, f"{start:#x} is {kind} and lies in a range that ends at {end:#x}"
        assert start == end, f"the addresses from {end:#x} to {start:#x} are nowhere"
        end = stop
    assert end == ULONG_MAX, f"the addresses from {end:#x} on are nowhere"


def _claim(machine: Machine, owners: dict[int, str], pfn: int, owner: str) -> None:
    assert pfn not in owners, f"page frame {pfn} belongs to {owners[pfn]} and to {owner}"
    page = machine.node.pfn_to_page(pfn)
    assert page is not None, f"page frame {pfn} of {owner} is outside memory"
    assert page.refcount > 0, f"page frame {pfn} belongs to {owner}, but it is free"
    owners[pfn] = owner


def _check_area(machine: Machine, vm: VmStruct, owners: dict[int, str]) -> None:
    tables = machine.vmap_space.tables
    for at, page in enumerate(vm.pages):
        _claim(machine, owners, page.pfn, f"the area at {vm.addr:#x}")
        found = mapped_pfn(tables, vm.addr + at * PAGE_SIZE)
        assert found == page.pfn, f"page {at} of the area at {vm.addr:#x} is {page.pfn}, its entry says {found}"
    if not vm.flags & VmFlag.NO_GUARD:
        guard = vm.addr + vm.mapped_size
        assert mapped_pfn(tables, guard) is None, f"the guard page at {guard:#x} of the area at {vm.addr:#x} is mapped"
    if vm.flags & VmFlag.ALLOC and vm.pages:
        pages = vm.mapped_size // PAGE_SIZE
        assert len(vm.pages) == pages, f"the area at {vm.addr:#x} has {len(vm.pages)} pages of {pages}"


def validate_free_tree(root: RbRoot[FreeRange]) -> None:
    """Check a tree of free ranges: its order, its colours, its summaries, and that neighbours were joined."""
    assert root.node is None or not root.node.red, "the root is red"
    _check_node(root.node)
    end = 0
    for va in root:
        assert va.va_start < va.va_end, f"the free range at {va.va_start:#x} is empty"
        assert va.va_start != end, f"the free ranges that meet at {end:#x} were not joined"
        assert va.va_start > end, f"the free range at {va.va_start:#x} is out of order"
        end = va.va_end


def _check_node(node: RbNode | None) -> tuple[int, int]:
    """Return how many black nodes every way down passes, and the largest size, after checking both."""
    if node is None:
        return 1, 0
    assert isinstance(node, FreeRange)
    name = f"the free range at {node.va_start:#x}"
    for child in node.children:
        assert child is None or child.parent is node, f"a child of {name} has another parent"
        assert not (node.red and child is not None and child.red), f"{name} and its child are both red"
    (left, large_left), (right, large_right) = map(_check_node, node.children)
    assert left == right, f"below {name} are {left} black nodes on the left, {right} on the right"
    largest = max(node.va_end - node.va_start, large_left, large_right)
    assert node.subtree_max_size == largest, f"{name} says {node.subtree_max_size} is below it, {largest} is"
    return left + (not node.red), largest
