# SPDX-License-Identifier: GPL-2.0-only
"""What the bytes of one object's place in a slab are for: itself, and what stands around it.

    | left red zone | object ...... | right red zone | free pointer | tracks | padding |

Linux: check_pad_bytes() and the comment above it, mm/slub.c
"""

from __future__ import annotations

from dataclasses import dataclass

from kmm_sim.mm.slab_common import WORD, SlabFlags
from kmm_sim.mm.slub_def import SIZEOF_TRACK, SlubCache

__all__ = ["Region", "object_layout"]


@dataclass(frozen=True, slots=True)
class Region:
    """``size`` bytes from ``start`` on, counted from the object's address: a red zone lies before it."""

    name: str
    start: int
    size: int


def object_layout(s: SlubCache, free: bool = False) -> tuple[Region, ...]:
    """Return the parts of an object's place in a slab of SLUB's, first byte first.

    In a ``free`` object whose bytes nobody needs the free pointer stands in its middle.
    """
    parts: list[tuple[str, int]] = []
    if s.flags & SlabFlags.RED_ZONE:
        parts.append(("left red zone", s.red_left_pad))
    parts += _object(s, free)
    parts.append(("right red zone" if s.flags & SlabFlags.RED_ZONE else "padding", s.inuse - s.object_size))
    if s.offset >= s.inuse:
        parts.append(("free pointer", WORD))
    if s.flags & SlabFlags.STORE_USER:
        parts += [("who allocated it", SIZEOF_TRACK), ("who freed it", SIZEOF_TRACK)]
        if s.flags & SlabFlags.KMALLOC:
            parts.append(("size asked for", WORD))
    parts.append(("padding", s.size - sum(size for _name, size in parts)))
    regions, start = [], -s.red_left_pad
    for name, size in parts:
        if size:
            regions.append(Region(name, start, size))
        start += size
    return tuple(regions)


def _object(s: SlubCache, free: bool) -> list[tuple[str, int]]:
    if not free or s.offset >= s.inuse:
        return [("object", s.object_size)]
    rest = s.object_size - s.offset - WORD
    return [("object", s.offset), ("free pointer", WORD), *([("object", rest)] if rest > 0 else [])]
