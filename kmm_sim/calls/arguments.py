# SPDX-License-Identifier: GPL-2.0-only
"""What Python hands to a call, looked at before the kernel sees it."""

from __future__ import annotations

from operator import index

from kmm_sim.mm.gfp import GFP_BITS_MASK, GFP_ZONE_BAD, Gfp, gfp_names

__all__ = ["GOOD_MASKS", "gfp_mask", "index_of"]

MOVABLE_MASK = int(Gfp.MOVABLE | Gfp.RECLAIMABLE)

GOOD_MASKS: set[int] = set()
"""The masks that were looked at before: a driver uses the same few again and again."""


def index_of(value: int, what: str) -> int:
    """Return ``value`` as a plain int; TypeError names ``what`` is to be a whole number."""
    try:
        return int(index(value))
    except TypeError:
        raise TypeError(f"{what} is a whole number, not {value!r}") from None


def gfp_mask(gfp: int) -> int:
    """Return a mask as a plain int; ValueError for bits that do not exist or contradict."""
    mask = gfp if type(gfp) is int else index_of(gfp, "a mask")
    if mask not in GOOD_MASKS:
        _check(mask)
        GOOD_MASKS.add(mask)
    return mask


def _check(mask: int) -> None:
    unknown = mask & ~GFP_BITS_MASK
    if unknown or mask < 0:
        raise ValueError(f"unknown gfp bits {unknown:#x} in {mask:#x}: Linux 6.12 has bits 0 to 24")
    if GFP_ZONE_BAD >> (mask & 15) & 1:
        raise ValueError(f"{gfp_names(mask)} asks for two zones at once; a mask names one at most")
    if mask & MOVABLE_MASK == MOVABLE_MASK:
        raise ValueError("pages are __GFP_MOVABLE or __GFP_RECLAIMABLE, not both")
