# SPDX-License-Identifier: GPL-2.0-only
"""alloc_flags: what the allocator notes down while it works on one request.

The caller's gfp mask says what is allowed; these bits say how hard to try this time round.
The two lowest are the watermark to keep.

Linux: mm/internal.h
"""

__all__ = [
    "ALLOC_HIGHATOMIC",
    "ALLOC_KSWAPD",
    "ALLOC_MIN_RESERVE",
    "ALLOC_NOFRAGMENT",
    "ALLOC_NON_BLOCK",
    "ALLOC_NO_WATERMARKS",
    "ALLOC_OOM",
    "ALLOC_RESERVES",
    "ALLOC_WMARK_HIGH",
    "ALLOC_WMARK_LOW",
    "ALLOC_WMARK_MASK",
    "ALLOC_WMARK_MIN",
    "MAX_RECLAIM_RETRIES",
]

ALLOC_WMARK_MIN = 0
ALLOC_WMARK_LOW = 1
ALLOC_WMARK_HIGH = 2
ALLOC_NO_WATERMARKS = 0x04
ALLOC_WMARK_MASK = ALLOC_NO_WATERMARKS - 1
ALLOC_OOM = 0x08  # an OOM victim on its way out
ALLOC_NON_BLOCK = 0x10  # the caller cannot sleep
ALLOC_MIN_RESERVE = 0x20  # __GFP_HIGH: half of the min reserve; the same bit, to save a branch
ALLOC_NOFRAGMENT = 0x100  # do not mix migratetypes in a pageblock
ALLOC_HIGHATOMIC = 0x200  # may use the blocks kept for high-order atomic requests
ALLOC_KSWAPD = 0x800  # may wake kswapd; the same bit as __GFP_KSWAPD_RECLAIM
ALLOC_RESERVES = ALLOC_NON_BLOCK | ALLOC_MIN_RESERVE | ALLOC_HIGHATOMIC | ALLOC_OOM

MAX_RECLAIM_RETRIES = 16
"""After so many rounds without a page, reclaim is taken to be hopeless."""
