# SPDX-License-Identifier: GPL-2.0-only
"""Which slab a page belongs to: from any address of an object to what the allocator knows of it.

In Linux the answer stands in the page's own ``struct page``, which a slab overlays.  Here it
is kept in rows, one for each MiB of memory: a dictionary of pages would take sixty bytes for
each.  A row has an entry for each of its 256 pages, or, while all slabs in it are larger, one
for each two, four, eight: slabs lie at multiples of their size.

Linux: page_slab(), mm/slab.h
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from kmm_sim.mm.page import PAGE_OFFSET, PAGE_SHIFT

__all__ = ["ROW_MASK", "ROW_SHIFT", "SLAB_RECLAIM_ACCOUNT", "SlabPages"]

SLAB_RECLAIM_ACCOUNT = 1 << 16
"""The flag of a cache whose objects a shrinker can free; its pages are counted apart."""

ROW_ORDER = 8
ROW_SHIFT = ROW_ORDER + PAGE_SHIFT
"""A row is of so many bytes, as a power of two: 1 MiB."""
ROW_MASK = (1 << ROW_SHIFT) - 1


class SlabPages(Mapping[int, Any]):
    """The slab of each page that is of one, by its page frame number.

    ``rows[addr >> ROW_SHIFT]`` is a pair: the bytes that an entry stands for, as a power of two,
    and the entries.  So ``entries[(addr & ROW_MASK) >> shift]`` is the slab around an address.
    ``large`` counts, for each memory bank, the pages that kmalloc() took whole, which are of no slab.
    """

    __slots__ = ("_count", "large", "rows")

    def __init__(self) -> None:
        self.rows: dict[int, tuple[int, list[Any]]] = {}
        self.large: Counter[int] = Counter()
        self._count = 0

    def get(self, pfn: int, default: Any = None) -> Any:
        """Return the slab of a page, or None.  Linux: page_slab(), mm/slab.h"""
        return self.around(PAGE_OFFSET + (pfn << PAGE_SHIFT)) or default

    def around(self, addr: int) -> Any:
        """Return the slab around an address of the direct map, or None.  Linux: virt_to_slab(), mm/slab.h"""
        found = self.rows.get(addr >> ROW_SHIFT)
        return found[1][(addr & ROW_MASK) >> found[0]] if found is not None else None

    def add(self, pfn: int, order: int, slab: Any) -> None:
        """Let 2**order pages from ``pfn`` on belong to a slab.  Linux: FOLIO_TYPE_OPS(), include/linux/page-flags.h"""
        self._fill(pfn, order, slab)
        self._count += 1 << order

    def remove(self, pfn: int, order: int) -> None:
        """Let them belong to none; KeyError if they do not.  Linux: FOLIO_TYPE_OPS(), include/linux/page-flags.h"""
        self[pfn]
        self._fill(pfn, order, None)
        self._count -= 1 << order

    def slabs(self) -> Iterator[Any]:
        """Yield each slab once, by address."""
        last = None
        for number in sorted(self.rows):
            for slab in self.rows[number][1]:
                if slab is not None and slab is not last:
                    last = slab
                    yield slab

    def reclaimable(self, pfn: int) -> bool:
        """Return whether the slab of a page is of a cache that a shrinker can empty.

        Linux: cache_vmstat_idx(), mm/slab.h
        """
        cache = getattr(self[pfn], "cache", None)
        return cache is not None and bool(cache.flags & SLAB_RECLAIM_ACCOUNT)

    def _fill(self, pfn: int, order: int, slab: Any) -> None:
        """Write one value into all entries of a block, in each row that it reaches into."""
        order, end = min(order, ROW_ORDER), pfn + (1 << order)
        for first in range(pfn, end, 1 << ROW_ORDER):
            addr = PAGE_OFFSET + (first << PAGE_SHIFT)
            shift, row = self._row(addr >> ROW_SHIFT, order)
            at, count = (addr & ROW_MASK) >> shift, 1 << order + PAGE_SHIFT - shift
            row[at : at + count] = [slab] * count
            if slab is None and not any(row):
                del self.rows[addr >> ROW_SHIFT]

    def _row(self, number: int, order: int) -> tuple[int, list[Any]]:
        """Return a row that can tell blocks of ``order`` apart, made or made finer if need be."""
        wanted = order + PAGE_SHIFT
        shift, row = self.rows.get(number) or (wanted, [None] * (1 << ROW_SHIFT - wanted))
        if shift > wanted:
            row = [slab for slab in row for _ in range(1 << shift - wanted)]
            shift = wanted
        self.rows[number] = shift, row
        return shift, row

    def __getitem__(self, pfn: int) -> Any:
        slab = self.get(pfn)
        if slab is None:
            raise KeyError(pfn)
        return slab

    def __iter__(self) -> Iterator[int]:
        for number, (shift, row) in list(self.rows.items()):
            for at, slab in enumerate(row):
                if slab is not None:
                    first = (number << ROW_SHIFT) + (at << shift) - PAGE_OFFSET >> PAGE_SHIFT
                    yield from range(first, first + (1 << shift - PAGE_SHIFT))

    def __len__(self) -> int:
        return self._count
