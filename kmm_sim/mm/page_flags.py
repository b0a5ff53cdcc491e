# SPDX-License-Identifier: GPL-2.0-only
"""page->flags: what a page is, and where.

The low bits of the word say what is happening to the page: locked, dirty, on an LRU list.
The high bits say which node and zone it belongs to, so that a struct page needs no pointer
to them.  A page that the allocator hands out or takes back must have none of the low ones.

Linux: include/linux/page-flags.h, include/linux/page-flags-layout.h
Simplified: the CPU that last touched the page, which has bits here too, is always "none".
"""

from __future__ import annotations

import enum

__all__ = [
    "LAST_CPUPID_PGSHIFT",
    "LAST_CPUPID_WIDTH",
    "NODES_PGSHIFT",
    "NODES_WIDTH",
    "PAGEFLAGS_MASK",
    "PAGE_FLAGS_CHECK_AT_FREE",
    "PAGE_FLAGS_CHECK_AT_PREP",
    "PG_HEAD",
    "ZONES_PGSHIFT",
    "ZONES_WIDTH",
    "PageFlag",
    "PageType",
    "format_page_flags",
    "location_bits",
]


class PageFlag(enum.IntFlag):
    """The low bits.  Linux: enum pageflags, include/linux/page-flags.h"""

    LOCKED = 1 << 0
    WRITEBACK = 1 << 1
    REFERENCED = 1 << 2
    UPTODATE = 1 << 3
    DIRTY = 1 << 4
    LRU = 1 << 5
    HEAD = 1 << 6
    WAITERS = 1 << 7
    ACTIVE = 1 << 8
    WORKINGSET = 1 << 9
    OWNER_PRIV_1 = 1 << 10
    OWNER_2 = 1 << 11
    ARCH_1 = 1 << 12
    RESERVED = 1 << 13
    PRIVATE = 1 << 14
    PRIVATE_2 = 1 << 15
    RECLAIM = 1 << 16
    SWAPBACKED = 1 << 17
    UNEVICTABLE = 1 << 18
    MLOCKED = 1 << 19
    HWPOISON = 1 << 20
    YOUNG = 1 << 21
    IDLE = 1 << 22
    ARCH_2 = 1 << 23


PG_HEAD = int(PageFlag.HEAD)
"""The bit of a compound page's first page, as a plain number: every free tests it."""


class PageType(enum.IntEnum):
    """What a page without page tables is for.  Linux: enum pagetype, include/linux/page-flags.h"""

    BUDDY = 0xF0
    OFFLINE = 0xF1
    TABLE = 0xF2
    GUARD = 0xF3
    HUGETLB = 0xF4
    SLAB = 0xF5
    MAPCOUNT_UNDERFLOW = 0xFF


NR_PAGEFLAGS = len(PageFlag)
PAGEFLAGS_MASK = (1 << NR_PAGEFLAGS) - 1
LRU_GEN_BITS = 0b111 << 27
LRU_REFS_BITS = 0b11 << 25

PAGE_FLAGS_CHECK_AT_FREE = LRU_GEN_BITS | int(
    PageFlag.LRU
    | PageFlag.LOCKED
    | PageFlag.PRIVATE
    | PageFlag.PRIVATE_2
    | PageFlag.WRITEBACK
    | PageFlag.RESERVED
    | PageFlag.ACTIVE
    | PageFlag.UNEVICTABLE
    | PageFlag.MLOCKED
)
"""A page that comes back with one of these is still in use by somebody."""

PAGE_FLAGS_CHECK_AT_PREP = (
    (PAGEFLAGS_MASK & ~int(PageFlag.HWPOISON)) | LRU_GEN_BITS | LRU_REFS_BITS
)
"""A page that is handed out may have none of these."""

NODES_WIDTH, ZONES_WIDTH, LAST_CPUPID_WIDTH = 10, 3, 21
NODES_PGSHIFT = 64 - NODES_WIDTH
ZONES_PGSHIFT = NODES_PGSHIFT - ZONES_WIDTH
LAST_CPUPID_PGSHIFT = ZONES_PGSHIFT - LAST_CPUPID_WIDTH
LAST_CPUPID_MASK = (1 << LAST_CPUPID_WIDTH) - 1


def location_bits(nid: int, zone: int) -> int:
    """Return the high bits of a page that belongs to this node and zone.

    Linux: set_page_links(), include/linux/mm.h
    """
    none = LAST_CPUPID_MASK << LAST_CPUPID_PGSHIFT
    return nid << NODES_PGSHIFT | zone << ZONES_PGSHIFT | none


def format_page_flags(flags: int) -> str:
    """Return the word as the kernel prints it: ``0x17ffffc0000001(locked|node=0|zone=2|...)``.

    Linux: format_page_flags(), lib/vsprintf.c
    """
    names = [flag.name.lower() for flag in PageFlag if flags & flag and flag.name]
    names += [
        f"node={flags >> NODES_PGSHIFT & ((1 << NODES_WIDTH) - 1)}",
        f"zone={flags >> ZONES_PGSHIFT & ((1 << ZONES_WIDTH) - 1)}",
        f"lastcpupid={flags >> LAST_CPUPID_PGSHIFT & LAST_CPUPID_MASK:#x}",
    ]
    return f"{flags:#x}({'|'.join(names)})"
