# SPDX-License-Identifier: GPL-2.0-only
"""gfp flags: what a caller allows the allocator to do, and from where it may take.

Every request carries a mask.  Four bits name the highest zone that will do, two say how
movable the pages are, the rest what the allocator may do to find them: sleep, write to
disk, dip into reserves.  The values are those of Linux 6.12.

Linux: include/linux/gfp_types.h, include/linux/gfp.h, include/trace/events/mmflags.h
Simplified: the bits that exist only with KASAN or lockdep are not here.
"""

from __future__ import annotations

import enum

__all__ = [
    "COMP",
    "DIRECT_RECLAIM",
    "FS",
    "GFP_ATOMIC",
    "GFP_BITS_MASK",
    "GFP_DMA",
    "GFP_DMA32",
    "GFP_HIGHUSER",
    "GFP_HIGHUSER_MOVABLE",
    "GFP_KERNEL",
    "GFP_KERNEL_ACCOUNT",
    "GFP_NOFS",
    "GFP_NOIO",
    "GFP_NOWAIT",
    "GFP_TRANSHUGE",
    "GFP_TRANSHUGE_LIGHT",
    "GFP_USER",
    "GFP_ZONEMASK",
    "GFP_ZONE_BAD",
    "HIGH",
    "IO",
    "KSWAPD_RECLAIM",
    "MEMALLOC",
    "NOFAIL",
    "NOMEMALLOC",
    "NORETRY",
    "NOWARN",
    "RETRY_MAYFAIL",
    "THISNODE",
    "ZERO",
    "ZONE_TABLE",
    "ZONE_TABLE_32",
    "Gfp",
    "gfp_migratetype",
    "gfp_names",
    "gfp_zone",
]


class Gfp(enum.IntFlag):
    """The single bits.  Members drop the ``__GFP_``; ``str()`` puts it back."""

    DMA = 1 << 0
    HIGHMEM = 1 << 1
    DMA32 = 1 << 2
    MOVABLE = 1 << 3
    RECLAIMABLE = 1 << 4
    HIGH = 1 << 5
    IO = 1 << 6
    FS = 1 << 7
    ZERO = 1 << 8
    DIRECT_RECLAIM = 1 << 10
    KSWAPD_RECLAIM = 1 << 11
    WRITE = 1 << 12
    NOWARN = 1 << 13
    RETRY_MAYFAIL = 1 << 14
    NOFAIL = 1 << 15
    NORETRY = 1 << 16
    MEMALLOC = 1 << 17
    COMP = 1 << 18
    NOMEMALLOC = 1 << 19
    HARDWALL = 1 << 20
    THISNODE = 1 << 21
    ACCOUNT = 1 << 22
    ZEROTAGS = 1 << 23
    NO_OBJ_EXT = 1 << 24
    RECLAIM = DIRECT_RECLAIM | KSWAPD_RECLAIM

    def __str__(self) -> str:
        return gfp_names(int(self)) or "0"

    def __repr__(self) -> str:
        return f"<gfp {int(self):#x} {self}>"


GFP_BITS_MASK = (1 << 25) - 1
"""Every bit that may be set; 6.12's __GFP_BITS_MASK."""

GFP_ATOMIC = Gfp.HIGH | Gfp.KSWAPD_RECLAIM
GFP_KERNEL = Gfp.RECLAIM | Gfp.IO | Gfp.FS
GFP_KERNEL_ACCOUNT = GFP_KERNEL | Gfp.ACCOUNT
GFP_NOWAIT = Gfp.KSWAPD_RECLAIM | Gfp.NOWARN
GFP_NOIO = Gfp.RECLAIM
GFP_NOFS = Gfp.RECLAIM | Gfp.IO
GFP_USER = Gfp.RECLAIM | Gfp.IO | Gfp.FS | Gfp.HARDWALL
GFP_DMA = Gfp.DMA
GFP_DMA32 = Gfp.DMA32
GFP_HIGHUSER = GFP_USER | Gfp.HIGHMEM
GFP_HIGHUSER_MOVABLE = GFP_HIGHUSER | Gfp.MOVABLE
GFP_TRANSHUGE_LIGHT = (GFP_HIGHUSER_MOVABLE | Gfp.COMP | Gfp.NOMEMALLOC | Gfp.NOWARN) & ~Gfp.RECLAIM
GFP_TRANSHUGE = GFP_TRANSHUGE_LIGHT | Gfp.DIRECT_RECLAIM

# The allocator tests these on every request, and a test of a plain int is many times faster
# than one of an IntFlag.  Linux has the pair too: ___GFP_HIGH is a number, __GFP_HIGH a gfp_t.
HIGH = int(Gfp.HIGH)
ZERO = int(Gfp.ZERO)
DIRECT_RECLAIM = int(Gfp.DIRECT_RECLAIM)
KSWAPD_RECLAIM = int(Gfp.KSWAPD_RECLAIM)
NOWARN = int(Gfp.NOWARN)
MEMALLOC = int(Gfp.MEMALLOC)
COMP = int(Gfp.COMP)
FS = int(Gfp.FS)
IO = int(Gfp.IO)
NOFAIL = int(Gfp.NOFAIL)
NORETRY = int(Gfp.NORETRY)
RETRY_MAYFAIL = int(Gfp.RETRY_MAYFAIL)
THISNODE = int(Gfp.THISNODE)
NOMEMALLOC = int(Gfp.NOMEMALLOC)

# Indexed by the low four bits.  DMA = 0, DMA32 = 1, NORMAL = 2, MOVABLE = 3.  The
# combinations that make no sense (DMA with HIGHMEM, say) come out as zone 0.
ZONE_TABLE = (2, 0, 2, 0, 1, 0, 0, 0, 2, 0, 3, 0, 1, 0, 0, 0)

ZONE_TABLE_32 = (2, 0, 3, 0, 2, 0, 0, 0, 2, 0, 3, 0, 2, 0, 0, 0)
"""The same with high memory, as 3, and no zone DMA32: what asks for that gets NORMAL."""

GFP_ZONEMASK = 15
"""The bits that name a zone."""

GFP_ZONE_BAD = 0xE8E8
"""A bit for each combination of the low four bits: whether it asks for two zones at once."""

# Most bits first: a mask is printed as the largest names that fit, then what is left over.
_NAMES: tuple[tuple[int, str], ...] = tuple(
    (int(mask), name)
    for mask, name in (
        (GFP_TRANSHUGE, "GFP_TRANSHUGE"),
        (GFP_TRANSHUGE_LIGHT, "GFP_TRANSHUGE_LIGHT"),
        (GFP_HIGHUSER_MOVABLE, "GFP_HIGHUSER_MOVABLE"),
        (GFP_HIGHUSER, "GFP_HIGHUSER"),
        (GFP_USER, "GFP_USER"),
        (GFP_KERNEL_ACCOUNT, "GFP_KERNEL_ACCOUNT"),
        (GFP_KERNEL, "GFP_KERNEL"),
        (GFP_NOFS, "GFP_NOFS"),
        (GFP_ATOMIC, "GFP_ATOMIC"),
        (GFP_NOIO, "GFP_NOIO"),
        (GFP_NOWAIT, "GFP_NOWAIT"),
        (GFP_DMA, "GFP_DMA"),
        (Gfp.HIGHMEM, "__GFP_HIGHMEM"),
        (GFP_DMA32, "GFP_DMA32"),
        (Gfp.HIGH, "__GFP_HIGH"),
        (Gfp.IO, "__GFP_IO"),
        (Gfp.FS, "__GFP_FS"),
        (Gfp.NOWARN, "__GFP_NOWARN"),
        (Gfp.RETRY_MAYFAIL, "__GFP_RETRY_MAYFAIL"),
        (Gfp.NOFAIL, "__GFP_NOFAIL"),
        (Gfp.NORETRY, "__GFP_NORETRY"),
        (Gfp.COMP, "__GFP_COMP"),
        (Gfp.ZERO, "__GFP_ZERO"),
        (Gfp.NOMEMALLOC, "__GFP_NOMEMALLOC"),
        (Gfp.MEMALLOC, "__GFP_MEMALLOC"),
        (Gfp.HARDWALL, "__GFP_HARDWALL"),
        (Gfp.THISNODE, "__GFP_THISNODE"),
        (Gfp.RECLAIMABLE, "__GFP_RECLAIMABLE"),
        (Gfp.MOVABLE, "__GFP_MOVABLE"),
        (Gfp.ACCOUNT, "__GFP_ACCOUNT"),
        (Gfp.WRITE, "__GFP_WRITE"),
        (Gfp.RECLAIM, "__GFP_RECLAIM"),
        (Gfp.DIRECT_RECLAIM, "__GFP_DIRECT_RECLAIM"),
        (Gfp.KSWAPD_RECLAIM, "__GFP_KSWAPD_RECLAIM"),
        (Gfp.ZEROTAGS, "__GFP_ZEROTAGS"),
    )
)


def gfp_zone(gfp: int, table: tuple[int, ...] = ZONE_TABLE) -> int:
    """Return the index of the highest zone that this mask allows; ``table`` says for which kernel.

    Linux: gfp_zone(), include/linux/gfp.h
    """
    return table[gfp & 15]


def gfp_migratetype(gfp: int) -> int:
    """Return the migratetype that this mask asks for: bits 3 and 4 are its number.

    Linux: gfp_migratetype(), include/linux/gfp.h
    """
    return (gfp >> 3) & 3


def gfp_names(gfp: int) -> str:
    """Return a mask as the kernel prints it: ``GFP_KERNEL|__GFP_ZERO``; no bits, no text.

    Linux: format_flags(), lib/vsprintf.c
    """
    left, names = int(gfp), []
    for mask, name in _NAMES:
        if left & mask == mask:
            names.append(name)
            left &= ~mask
    if left:
        names.append(f"{left:#x}")
    return "|".join(names)
