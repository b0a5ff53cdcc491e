# SPDX-License-Identifier: GPL-2.0-only
"""Where in the kernel's address space there is room: the tree of free areas.

Every free range of addresses is a node of one red-black tree, sorted by address, and each node
knows the largest size below it.  A request takes the lowest address that fits: go left while
something large enough is there, else try the node itself, else go right.

An alignment above a page is looked for with ``size + align - 1``, which surely holds an aligned
piece.  An area that is smaller and would fit all the same is found only if the way down happens
to pass it.  So the answer depends on the shape of the tree.

Linux: mm/vmalloc.c
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kmm_sim.mm.page import PAGE_SHIFT, PAGE_SIZE
from kmm_sim.mm.rbtree import LEFT, RIGHT, RbNode, RbRoot, rb_erase, rb_insert, rb_next, rb_prev, rb_propagate

if TYPE_CHECKING:
    from kmm_sim.mm.vmalloc import VmStruct

__all__ = [
    "ULONG_MAX", "VMALLOC_END", "VMALLOC_START", "FreeRange", "VmapArea", "alloc_from_tree", "find_vmap_lowest_match",
    "free_vmap_area_root", "is_within_this_va", "merge_or_add_vmap_area", "va_clip",
]

VMALLOC_START = 0xFFFF_C900_0000_0000
"""Where addresses for vmalloc() begin on x86-64 with four-level page tables; 32 TiB follow."""
VMALLOC_END = VMALLOC_START + (32 << 40) - 1
ULONG_MAX = (1 << 64) - 1


class FreeRange(RbNode):
    """A free range of addresses, from ``va_start`` up to but without ``va_end``.

    Linux: struct vmap_area, include/linux/vmalloc.h
    """

    __slots__ = ("subtree_max_size", "va_end", "va_start")

    def __init__(self, va_start: int, va_end: int) -> None:
        super().__init__()
        self.va_start = va_start
        self.va_end = va_end
        self.subtree_max_size = va_end - va_start

    @property
    def left(self) -> FreeRange | None:
        """The root of the free areas below this address, of those under this node."""
        return self.children[LEFT]  # type: ignore[return-value]

    @property
    def above(self) -> FreeRange | None:
        """The node that this one hangs under."""
        return self.parent  # type: ignore[return-value]

    @property
    def right(self) -> FreeRange | None:
        """The root of the free areas above this address, of those under this node."""
        return self.children[RIGHT]  # type: ignore[return-value]


@dataclass(slots=True, eq=False)
class VmapArea:
    """A range of addresses in use, waiting to be purged, or kept in a pool.

    ``vn_id`` is the node to whose pool it goes back, or None; ``vm`` says what it is used for.

    Linux: struct vmap_area, include/linux/vmalloc.h
    """

    va_start: int
    va_end: int
    vn_id: int | None = None
    vm: VmStruct | None = None

    @property
    def size(self) -> int:
        """Its size in bytes, guard page included.  Linux: va_size(), mm/vmalloc.c"""
        return self.va_end - self.va_start

    @property
    def nr_pages(self) -> int:
        """Its size in pages, guard page included."""
        return self.size >> PAGE_SHIFT


def _subtree_max_size(node: FreeRange) -> None:
    largest = node.va_end - node.va_start
    for child in node.children:
        if child is not None and child.subtree_max_size > largest:  # type: ignore[attr-defined]
            largest = child.subtree_max_size  # type: ignore[attr-defined]
    node.subtree_max_size = largest


def free_vmap_area_root() -> RbRoot[FreeRange]:
    """Return a new, empty tree of free areas.  Linux: no counterpart; there it is a variable."""
    return RbRoot(_subtree_max_size)


def is_within_this_va(va: FreeRange, size: int, align: int, vstart: int) -> bool:
    """Return whether ``size`` bytes, aligned and not below ``vstart``, fit in a free area.

    Linux: is_within_this_va(), mm/vmalloc.c
    """
    return _aligned_start(va, align, vstart) + size <= va.va_end


def _aligned_start(va: FreeRange, align: int, vstart: int) -> int:
    return -(-max(va.va_start, vstart) // align) * align


def _largest(node: FreeRange | None) -> int:
    return node.subtree_max_size if node is not None else 0


def find_vmap_lowest_match(
    root: RbRoot[FreeRange], size: int, align: int, vstart: int, adjust_search_size: bool
) -> FreeRange | None:
    """Return the lowest free range that holds a request, or None.

    Linux: find_vmap_lowest_match(), mm/vmalloc.c
    """
    length = size + align - 1 if adjust_search_size else size
    node = root.node
    while node is not None:
        if _largest(node.left) >= length and vstart < node.va_start:
            node = node.left
            continue
        if is_within_this_va(node, size, align, vstart):
            return node
        if _largest(node.right) >= length:
            node = node.right
            continue
        node = node.above
        while node is not None:  # go back up to the first right side not looked at
            if is_within_this_va(node, size, align, vstart):
                return node
            if _largest(node.right) >= length and vstart <= node.va_start:
                vstart = node.va_start + 1  # the left side is done with
                node = node.right
                break
            node = node.above
    return None


def va_clip(root: RbRoot[FreeRange], va: FreeRange, start: int, size: int) -> None:
    """Cut ``size`` bytes from ``start`` on out of a free range: all of it, an edge, or the middle.

    Linux: va_clip(), mm/vmalloc.c
    """
    end = start + size
    if va.va_start == start and va.va_end == end:
        rb_erase(root, va)
        return
    lower = None
    if va.va_start == start:
        va.va_start = end
    elif va.va_end == end:
        va.va_end = start
    else:
        lower = FreeRange(va.va_start, start)
        va.va_start = end
    rb_propagate(root, va)
    if lower is not None:
        _insert(root, lower)


def alloc_from_tree(root: RbRoot[FreeRange], size: int, align: int, vstart: int, vend: int) -> int | None:
    """Take the lowest free ``size`` bytes from ``vstart`` to ``vend``; return the address or None.

    Linux: __alloc_vmap_area(), mm/vmalloc.c
    """
    adjust_search_size = align > PAGE_SIZE and vend - vstart != size
    va = find_vmap_lowest_match(root, size, align, vstart, adjust_search_size)
    if va is None:
        return None
    start = _aligned_start(va, align, vstart)
    if start + size > vend:
        return None
    va_clip(root, va, start, size)
    return start


def merge_or_add_vmap_area(root: RbRoot[FreeRange], start: int, end: int) -> None:
    """Give a range back; it joins the free ranges that touch it.

    Linux: merge_or_add_vmap_area_augment(), mm/vmalloc.c
    """
    parent, side = _find_links(root, start, end)
    following = parent if side == LEFT or parent is None else rb_next(parent)
    previous = parent if side == RIGHT or parent is None else rb_prev(parent)
    merged = None
    if following is not None and following.va_start == end:
        following.va_start = start
        merged = following
    if previous is not None and previous.va_end == start:
        if merged is not None:
            rb_erase(root, merged)
            end = merged.va_end
        previous.va_end = end
        merged = previous
    if merged is not None:
        rb_propagate(root, merged)
    else:
        rb_insert(root, FreeRange(start, end), parent, side)


def _find_links(root: RbRoot[FreeRange], start: int, end: int) -> tuple[FreeRange | None, int]:
    """Return under which node, and on which side of it, a range belongs."""
    parent, side, node = None, LEFT, root.node
    while node is not None:
        parent = node
        if end <= node.va_start:
            side, node = LEFT, node.left
        elif start >= node.va_end:
            side, node = RIGHT, node.right
        else:
            raise AssertionError(f"{start:#x} to {end:#x} is free already: {node.va_start:#x} to {node.va_end:#x}")
    return parent, side


def _insert(root: RbRoot[FreeRange], va: FreeRange) -> None:
    parent, side = _find_links(root, va.va_start, va.va_end)
    rb_insert(root, va, parent, side)
