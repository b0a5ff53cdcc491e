# SPDX-License-Identifier: GPL-2.0-only
"""The TLB: the few translations that a CPU remembers, and what it costs when they are too few.

To translate an address through the page tables a CPU reads one entry per level.  It keeps the
results in a translation lookaside buffer of two levels.  One entry of it stands for one page:
4 KiB of vmalloc's memory, but 2 MiB of the direct map.  Whoever walks over more pages than
there are entries finds each entry thrown out just before it is needed again.  That is
*thrashing*, and why memory from kmalloc() is often faster than memory from vmalloc().

    tlb = Tlb()
    tlb.access(addr, PAGE_SHIFT)     True: it was remembered
    tlb.count().misses               how often it was not; .walked: table entries read for that

Linux: no counterpart; it is the processor.  Linux flushes it in arch/x86/mm/tlb.c
Simplified: sizes of a Skylake, fully associative, the least recently used entry goes; the first
level has one part for each page size, the second is shared; entries of upper levels are not cached.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from kmm_sim.mm.page import PAGE_SHIFT

__all__ = ["HUGE_SHIFT", "TLB_L1_HUGE", "TLB_L1_SMALL", "TLB_L2", "Tlb", "TlbCount", "tlb_reach"]

HUGE_SHIFT = 21
"""A page of the direct map: 2 MiB."""
TLB_L1_SMALL = 64
TLB_L1_HUGE = 32
TLB_L2 = 1536
LEVELS_READ = {PAGE_SHIFT: 4, HUGE_SHIFT: 3}
"""How many table entries a walk reads, by the page size it ends in."""


@dataclass(frozen=True, slots=True)
class TlbCount:
    """What accesses cost: found in the first or second level, missed, entries read in walks."""

    hits: int = 0
    second_hits: int = 0
    misses: int = 0
    walked: int = 0

    @property
    def accesses(self) -> int:
        """How many there were."""
        return self.hits + self.second_hits + self.misses

    def __sub__(self, other: TlbCount) -> TlbCount:
        return TlbCount(self.hits - other.hits, self.second_hits - other.second_hits,
                        self.misses - other.misses, self.walked - other.walked)


class Tlb:
    """One CPU's translations: address of a page to page frame, newest last."""

    __slots__ = ("first", "hits", "misses", "second", "second_hits", "walked")

    def __init__(self) -> None:
        self.first = {PAGE_SHIFT: _Level(TLB_L1_SMALL), HUGE_SHIFT: _Level(TLB_L1_HUGE)}
        self.second = _Level(TLB_L2)
        self.hits = self.second_hits = self.misses = self.walked = 0

    def lookup(self, addr: int, shift: int = PAGE_SHIFT) -> int | None:
        """Return the frame that is remembered for an address, or None and count a miss."""
        key = addr >> shift, shift
        frame = self.first[shift].get(key)
        if frame is not None:
            self.hits += 1
            return frame
        frame = self.second.get(key)
        if frame is None:
            self.misses += 1
            self.walked += LEVELS_READ[shift]
            return None
        self.second_hits += 1
        self.first[shift].put(key, frame)
        return frame

    def remember(self, addr: int, frame: int, shift: int = PAGE_SHIFT) -> None:
        """Keep a translation; the one used longest ago makes room."""
        key = addr >> shift, shift
        self.first[shift].put(key, frame)
        self.second.put(key, frame)

    def access(self, addr: int, shift: int = PAGE_SHIFT) -> bool:
        """Touch an address that is mapped with pages of ``1 << shift`` bytes; True if it was remembered."""
        found = self.lookup(addr, shift) is not None
        if not found:
            self.remember(addr, addr >> shift, shift)
        return found

    def count(self) -> TlbCount:
        """Return what all accesses so far have cost."""
        return TlbCount(self.hits, self.second_hits, self.misses, self.walked)

    def flush(self) -> None:
        """Forget everything."""
        for level in (*self.first.values(), self.second):
            level.clear()

    def flush_range(self, start: int, end: int) -> None:
        """Forget the 4 KiB pages from ``start`` to ``end``."""
        for level in (*self.first.values(), self.second):
            for key in [(page, shift) for page, shift in level if start <= page << shift < end]:
                del level[key]


class _Level(OrderedDict[tuple[int, int], int]):
    """Up to so many translations; one that is used moves to the end, the first makes room."""

    def __init__(self, entries: int = 0) -> None:  # a copy is made empty, and then filled
        super().__init__()
        self.entries = entries

    def get(self, key: tuple[int, int]) -> int | None:  # type: ignore[override]
        if key not in self:
            return None
        self.move_to_end(key)
        return self[key]

    def put(self, key: tuple[int, int], frame: int) -> None:
        self[key] = frame
        self.move_to_end(key)
        if len(self) > self.entries:
            self.popitem(last=False)


def tlb_reach(shift: int, entries: int = TLB_L2) -> int:
    """Return how many bytes so many entries cover.  Linux: no counterpart; a property of the processor."""
    return entries << shift
