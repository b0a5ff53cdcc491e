# SPDX-License-Identifier: GPL-2.0-only
"""Reckoning: the arithmetic that lets a zone serve a request, or refuse it, line by line.

The simulator's zone_watermark_ok() answers yes or no, as the kernel's does.  Here is the same
sum written out, for whoever wants to know why; a test holds the two together.

Linux: __zone_watermark_ok(), mm/page_alloc.c
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kmm_sim.catalogue import _
from kmm_sim.mm.freelist import gfp_to_alloc_flags
from kmm_sim.mm.gfp import gfp_zone
from kmm_sim.mm.internal import (
    ALLOC_HIGHATOMIC,
    ALLOC_MIN_RESERVE,
    ALLOC_NON_BLOCK,
    ALLOC_OOM,
    ALLOC_RESERVES,
    ALLOC_WMARK_LOW,
)
from kmm_sim.mm.mmzone import MIGRATE_PCPTYPES, ZONE_NAMES, Migrate, Wmark
from kmm_sim.observe.snapshot import Snapshot, ZoneSnapshot

__all__ = ["Reckoning", "Standing", "Term", "reckon", "reckon_2_6", "standing", "why"]


@dataclass(frozen=True, slots=True)
class Term:
    """One line of the sum: what it is, in words, and how many pages it adds or takes."""

    words: str
    pages: int


@dataclass(frozen=True, slots=True)
class Reckoning:
    """The sum for one zone: what counts as free, what must remain, and whether a block is there.

    ``room`` is whether more is free than must remain, ``block`` whether a block is large enough (in
    2.6: whether the larger orders have enough); ``ok`` is both.
    """

    zone: str
    free: tuple[Term, ...]
    least: tuple[Term, ...]
    room: bool
    block: bool

    @property
    def free_pages(self) -> int:
        """What counts as free for this request, in pages."""
        return sum(term.pages for term in self.free)

    @property
    def least_pages(self) -> int:
        """What must remain, in pages; one more than this is enough."""
        return sum(term.pages for term in self.least)

    @property
    def ok(self) -> bool:
        """Whether the zone may serve the request."""
        return self.room and self.block

    def __str__(self) -> str:
        lines = [f"zone {self.zone}"]
        lines += [f"  {term.pages:>7}  {term.words}" for term in self.free]
        lines.append(f"  {self.free_pages:>7}  count as free")
        lines += [f"  {term.pages:>7}  {term.words}" for term in self.least]
        sign = ">" if self.room else "<="
        lines.append(f"  {self.least_pages:>7}  must remain: {self.free_pages} {sign} {self.least_pages}")
        if self.room and not self.block:
            lines.append("  no block is large enough")
        lines.append("  it may serve the request" if self.ok else "  it refuses")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a zone stands, in pages: all that the sum needs.

    ``marks`` are min, low and high without ``boost``; ``kept`` are free pages of the highatomic
    reserve; ``blocks`` says for each order which migratetypes have a free block of it.
    """

    zone: str
    free_pages: int
    marks: tuple[int, ...]
    boost: int
    reserve: tuple[int, ...]
    kept: int
    blocks: Mapping[int, frozenset[int]]


def standing(zone: ZoneSnapshot) -> Standing:
    """Return how a zone stands."""
    kept = sum(len(blocks.pfns) << blocks.order for blocks in zone.free if blocks.migratetype == Migrate.HIGHATOMIC)
    types: dict[int, frozenset[int]] = {}
    for blocks in zone.free:
        types[blocks.order] = types.get(blocks.order, frozenset()) | {blocks.migratetype}
    return Standing(
        zone.name, zone.nr_free_pages, zone.watermark, zone.watermark_boost, zone.lowmem_reserve, kept, types
    )


def reckon(
    zone: ZoneSnapshot | Standing, order: int, alloc_flags: int, highest_zoneidx: int, mark: int = Wmark.MIN
) -> Reckoning:
    """Return the sum for a request, against one of the zone's marks.

    Linux: __zone_watermark_ok(), mm/page_alloc.c
    """
    at = standing(zone) if isinstance(zone, ZoneSnapshot) else zone
    free = [Term(_("free pages"), at.free_pages)]
    if order:
        free.append(Term(_("all but one page of the block itself"), 1 - (1 << order)))
    if at.kept and not alloc_flags & ALLOC_RESERVES:
        free.append(Term(_("free, but kept for urgent blocks (highatomic)"), -at.kept))
    least = [*_mark(at, mark, alloc_flags), *_reserve(at.reserve[highest_zoneidx])]
    room = sum(term.pages for term in free) > sum(term.pages for term in least)
    return Reckoning(at.zone, tuple(free), tuple(least), room, _has_block(at, order, alloc_flags))


def _mark(at: Standing, mark: int, alloc_flags: int) -> list[Term]:
    terms = [Term(_("the {mark} mark", mark=Wmark(mark).name.lower()), at.marks[mark])]
    if at.boost:
        terms.append(Term(_("its boost"), at.boost))
    least = at.marks[mark] + at.boost
    if alloc_flags & ALLOC_MIN_RESERVE:
        terms.append(Term(_("half of it, for __GFP_HIGH"), -(least // 2)))
        least -= least // 2
        if alloc_flags & ALLOC_NON_BLOCK:
            terms.append(Term(_("a quarter of the rest, for one who cannot wait"), -(least // 4)))
            least -= least // 4
    if alloc_flags & ALLOC_OOM:
        terms.append(Term(_("half of it, for a process that is being killed"), -(least // 2)))
    return terms


def _reserve(pages: int) -> list[Term]:
    return [Term(_("kept from those who could use a higher zone"), pages)] if pages else []


def _has_block(at: Standing, order: int, alloc_flags: int) -> bool:
    if not order:
        return True
    usable = set(range(MIGRATE_PCPTYPES))
    if alloc_flags & (ALLOC_HIGHATOMIC | ALLOC_OOM):
        usable.add(Migrate.HIGHATOMIC)
    return any(size >= order and types & usable for size, types in at.blocks.items())


def reckon_2_6(
    zone: ZoneSnapshot, order: int, alloc_flags: int, highest_zoneidx: int, mark: int = Wmark.MIN
) -> Reckoning:
    """Return the sum as Linux 2.6.34 did it; see zone_watermark_ok_2_6().

    Linux: zone_watermark_ok(), mm/page_alloc.c
    """
    free = [Term(_("free pages"), zone.nr_free_pages)]
    if order:
        free.append(Term(_("all but one page of the block itself"), 1 - (1 << order)))
    least = [Term(_("the {mark} mark", mark=Wmark(mark).name.lower()), zone.watermark[mark] + zone.watermark_boost)]
    if alloc_flags & ALLOC_MIN_RESERVE:
        least.append(Term(_("half of it, for __GFP_HIGH"), -(least[0].pages // 2)))
    if alloc_flags & ALLOC_NON_BLOCK:
        left = sum(term.pages for term in least)
        least.append(Term(_("a quarter of the rest, for one who cannot wait"), -(left // 4)))
    floor = sum(term.pages for term in least)
    least += _reserve(zone.lowmem_reserve[highest_zoneidx])
    pages = sum(term.pages for term in free)
    room, block = pages > sum(term.pages for term in least), True
    for smaller in range(order):
        pages -= zone.nr_free[smaller] << smaller
        floor >>= 1
        block = block and pages > floor
    return Reckoning(zone.name, tuple(free), tuple(least), room, block)


def why(state: Snapshot, gfp: int, order: int, *, fast: bool = False) -> Iterable[Reckoning]:
    """Yield the sum for each zone that a mask allows, highest first, as the last attempt made it.

    With ``fast``, as the first one did: against the low mark, with no reserves.
    """
    highest = gfp_zone(gfp)
    alloc_flags = ALLOC_WMARK_LOW if fast else gfp_to_alloc_flags(gfp, order)
    mark = Wmark.LOW if fast else Wmark.MIN
    for zone in reversed(state.zones):
        if ZONE_NAMES.index(zone.name) <= highest:
            yield reckon(zone, order, alloc_flags, highest, mark)
