# SPDX-License-Identifier: GPL-2.0-only
"""The calls that find an address for a page that may have none."""

from __future__ import annotations

from operator import index

from kmm_sim.mm import highmem
from kmm_sim.mm.mmzone import Node
from kmm_sim.mm.page import Page

__all__ = ["HighmemCalls"]


class HighmemCalls:
    """kmap() and its kin, as methods of a machine; on a 64-bit machine they have nothing to do."""

    node: Node

    def _own(self, page: Page) -> Page:
        raise NotImplementedError

    def page_highmem(self, page: Page) -> bool:
        """Return whether a page is high memory.  Linux: PageHighMem(), include/linux/page-flags.h"""
        return highmem.is_highmem_page(self._own(page))

    def page_address(self, page: Page) -> int:
        """Return the address at which the kernel sees ``page``; 0 for high memory that is not mapped.

        Linux: page_address(), include/linux/mm.h
        """
        return highmem.page_address(self.node, self._own(page))

    def kmap(self, page: Page) -> int:
        """Return an address for a page, until kunmap().  May sleep: ContextError where nobody can.

        Linux: kmap(), include/linux/highmem-internal.h
        """
        return highmem.kmap(self.node, self._own(page))

    def kunmap(self, page: Page) -> None:
        """Give an address of kmap() up; takes the page.  KernelBug if it is not mapped.

        Linux: kunmap(), include/linux/highmem-internal.h
        """
        highmem.kunmap(self.node, self._own(page))

    def kmap_local_page(self, page: Page) -> int:
        """Return an address for a page that only the running task may use.

        Linux: kmap_local_page(), include/linux/highmem-internal.h
        """
        return highmem.kmap_local_page(self.node, self._own(page))

    def kunmap_local(self, addr: int) -> None:
        """Give the address up that was mapped last; takes the address.  KernelBug for another.

        Linux: kunmap_local(), include/linux/highmem-internal.h
        """
        highmem.kunmap_local(self.node, index(addr))
