# SPDX-License-Identifier: GPL-2.0-only
"""Which slab a page belongs to: from any address of an object to what the allocator knows of it.

In Linux the answer stands in the page's own ``struct page``, which a slab overlays.  Here it
is kept in rows of 64 pages, eight bytes for each: a dictionary of pages would take sixty.

Linux: page_slab(), mm/slab.h
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

__all__ = ["SlabPages"]

ROW_SHIFT = 6
ROW_MASK = (1 << ROW_SHIFT) - 1


class SlabPages(MutableMapping[int, Any]):
    """The slab of each page that is of one, by its page frame number."""

    __slots__ = ("_count", "_rows")

    def __init__(self) -> None:
        self._rows: dict[int, list[Any]] = {}
        self._count = 0

    def get(self, pfn: int, default: Any = None) -> Any:
        """Return the slab of a page, or None.  Linux: page_slab(), mm/slab.h"""
        try:
            return self._rows[pfn >> ROW_SHIFT][pfn & ROW_MASK]
        except KeyError:
            return default

    def __getitem__(self, pfn: int) -> Any:
        slab = self.get(pfn)
        if slab is None:
            raise KeyError(pfn)
        return slab

    def __setitem__(self, pfn: int, slab: Any) -> None:
        row = self._rows.get(pfn >> ROW_SHIFT)
        if row is None:
            row = self._rows[pfn >> ROW_SHIFT] = [None] * (1 << ROW_SHIFT)
        self._count += row[pfn & ROW_MASK] is None
        row[pfn & ROW_MASK] = slab

    def __delitem__(self, pfn: int) -> None:
        self[pfn]  # KeyError if it is of none
        row = self._rows[pfn >> ROW_SHIFT]
        row[pfn & ROW_MASK] = None
        self._count -= 1
        if not any(row):
            del self._rows[pfn >> ROW_SHIFT]

    def __iter__(self) -> Iterator[int]:
        for number, row in list(self._rows.items()):
            for at, slab in enumerate(row):
                if slab is not None:
                    yield (number << ROW_SHIFT) + at

    def __len__(self) -> int:
        return self._count
