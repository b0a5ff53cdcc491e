# SPDX-License-Identifier: GPL-2.0-only
"""The bytes of physical memory, kept only for pages that somebody wrote to.

A page that nobody has written reads as zeros.  A page that was written keeps its bytes when
it is freed, exactly as RAM does: who gets it next can read them.

Linux: clear_page(), arch/x86/include/asm/page_64.h
"""

from __future__ import annotations

from kmm_sim.mm.page import PAGE_SIZE

__all__ = ["Memory"]


class Memory:
    """Sparse physical memory: a bytearray for each page that was written, addressed in bytes."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}

    def read(self, physical: int, size: int) -> bytes:
        """Return ``size`` bytes from physical address ``physical``."""
        out = bytearray()
        for pfn, start, end in _pieces(physical, size):
            page = self._pages.get(pfn)
            out += page[start:end] if page else bytes(end - start)
        return bytes(out)

    def write(self, physical: int, data: bytes) -> None:
        """Store ``data`` from physical address ``physical`` on."""
        done = 0
        for pfn, start, end in _pieces(physical, len(data)):
            page = self._pages.setdefault(pfn, bytearray(PAGE_SIZE))
            page[start:end] = data[done : done + end - start]
            done += end - start

    def clear_pages(self, pfn: int, order: int) -> None:
        """Fill the 2**order pages from ``pfn`` on with zeros.

        Linux: clear_page(), arch/x86/include/asm/page_64.h
        """
        if self._pages:
            for frame in range(pfn, pfn + (1 << order)):
                self._pages.pop(frame, None)

    def poison_pages(self, pfn: int, order: int) -> None:
        """Fill the 2**order pages from ``pfn`` on with 0xaa, so that a stale reader notices.

        Linux: __kernel_poison_pages(), mm/page_poison.c
        """
        for frame in range(pfn, pfn + (1 << order)):
            self._pages[frame] = bytearray(b"\xaa" * PAGE_SIZE)

    def clear(self, physical: int, size: int) -> None:
        """Make ``size`` bytes zero; what nobody has written is zero already.

        Linux: memset(), lib/string.c
        """
        for pfn, start, end in _pieces(physical, size):
            page = self._pages.get(pfn)
            if page is not None:
                page[start:end] = bytes(end - start)

    def copy(self, to: int, physical: int, size: int) -> None:
        """Copy ``size`` bytes; what nobody has written makes no page come into being.

        Linux: memcpy(), lib/string.c
        """
        data = self.read(physical, size)
        if any(data):
            self.write(to, data)
        else:
            self.clear(to, size)


def _pieces(physical: int, size: int) -> list[tuple[int, int, int]]:
    """Cut a run of bytes at page boundaries: (pfn, first byte, end byte) for each page."""
    pieces, end = [], physical + size
    while physical < end:
        pfn, start = divmod(physical, PAGE_SIZE)
        stop = min(PAGE_SIZE, start + end - physical)
        pieces.append((pfn, start, stop))
        physical += stop - start
    return pieces
