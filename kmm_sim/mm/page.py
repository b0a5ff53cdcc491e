# SPDX-License-Identifier: GPL-2.0-only
"""Pages: the unit in which the kernel deals with memory.

Physical memory is cut into pages of 4 KiB, numbered from 0: the page frame number, pfn.
The kernel keeps one ``struct page`` for each.  It also maps all of memory at one fixed
place of its address space, the direct map, so that a pfn becomes an address by arithmetic.

Linux: include/linux/mm_types.h, include/linux/mm.h, include/asm-generic/getorder.h
Simplified: 4 KiB pages and the direct map of x86-64 without address randomisation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kmm_sim.mm.mmzone import Zone

__all__ = [
    "PAGE_OFFSET",
    "PAGE_SHIFT",
    "PAGE_SIZE",
    "SIZEOF_STRUCT_PAGE",
    "STRUCT_PAGE_OFFSETS",
    "VMEMMAP_START",
    "Page",
    "get_order",
    "mem_map_cost",
    "page_address",
    "pfn_to_virt",
    "virt_to_pfn",
]

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT
PAGE_OFFSET = 0xFFFF_8880_0000_0000
"""Where the direct map begins on x86-64 with four-level page tables."""
VMEMMAP_START = 0xFFFF_EA00_0000_0000
"""Where the array of all struct pages begins."""
SIZEOF_STRUCT_PAGE = 64
STRUCT_PAGE_OFFSETS = {
    "flags": 0,
    "lru": 8,
    "buddy_list": 8,
    "pcp_list": 8,
    "compound_head": 8,
    "mapping": 24,
    "index": 32,
    "private": 40,
    "_mapcount": 48,
    "page_type": 48,
    "_refcount": 52,
    "memcg_data": 56,
}
"""Where the fields of struct page lie, in bytes; those at one place never hold at one time."""


class Page:
    """One physical page, and for the first page of an allocation the notes about the whole.

    ``refcount`` is how many refer to it, ``mapcount`` how many page tables map it (the kernel
    keeps one less in ``_mapcount``), ``flags`` the word of kmm_sim/mm/page_flags.py,
    ``mapping`` the address of what it belongs to.  ``order`` and ``gfp`` are of the block that
    somebody holds and that begins here; where none does, ``order`` is -1.

    Linux: struct page, include/linux/mm_types.h
    Simplified: Linux keeps no note of the order of a block that is not compound, which is why
    it cannot tell a wrong order from a right one.
    """

    __slots__ = (
        "flags",
        "gfp",
        "index",
        "mapcount",
        "mapping",
        "order",
        "pfn",
        "private",
        "refcount",
        "zone",
    )

    def __init__(self, pfn: int, zone: Zone) -> None:
        self.pfn = pfn
        self.zone = zone
        self.order = -1
        self.gfp = self.refcount = self.mapcount = self.mapping = self.index = self.private = 0
        self.flags = zone.page_links

    @property
    def buddy_order(self) -> int | None:
        """The order of the free block that begins here, or None.  Linux: PageBuddy()"""
        return self.zone.buddy.get(self.pfn)

    def __repr__(self) -> str:
        state = f"refcount:{self.refcount}"
        if self.order >= 0:
            state += f" order:{self.order}"
        return f"<struct page pfn:{self.pfn:#x} zone:{self.zone.name} {state}>"


def pfn_to_virt(pfn: int) -> int:
    """Return the direct-map address of page frame ``pfn``.

    Linux: pfn_to_kaddr(), arch/x86/include/asm/page.h
    """
    return PAGE_OFFSET + (pfn << PAGE_SHIFT)


def virt_to_pfn(addr: int) -> int:
    """Return the page frame number behind a direct-map address; it may lie outside memory.

    Linux: virt_to_pfn(), arch/x86/include/asm/xen/page.h
    """
    return (addr - PAGE_OFFSET) >> PAGE_SHIFT


def page_address(page: Page) -> int:
    """Return the address at which the kernel sees ``page``.

    Linux: page_address(), include/linux/mm.h
    Simplified: of the direct map of x86-64; kmm_sim/mm/highmem.py knows of pages outside it.
    """
    return pfn_to_virt(page.pfn)


def get_order(size: int) -> int:
    """Return the smallest order whose block holds ``size`` bytes (at least 1).

    Linux: get_order(), include/asm-generic/getorder.h
    """
    return ((size - 1) >> PAGE_SHIFT).bit_length()


def mem_map_cost(ram: int, page_size: int = PAGE_SIZE, struct_size: int = SIZEOF_STRUCT_PAGE) -> int:
    """Return the bytes that the struct pages of ``ram`` bytes of memory take, one for each page.

    Linux: no counterpart; sparse_init_nid(), mm/sparse.c, sets that much aside at boot
    """
    return ram // page_size * struct_size
