# SPDX-License-Identifier: GPL-2.0-only
"""The calls a driver makes for memory that is contiguous in addresses only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index

from kmm_sim.calls.arguments import gfp_mask
from kmm_sim.mm import fault, ioremap, vmalloc
from kmm_sim.mm.gfp import GFP_KERNEL
from kmm_sim.mm.mmzone import Node
from kmm_sim.mm.page import Page
from kmm_sim.mm.tlb import HUGE_SHIFT, TlbCount
from kmm_sim.mm.vmap_node import VmapSpace, vmap_space

__all__ = ["VmallocCalls"]


class VmallocCalls:
    """vmalloc() and its kin, as methods of a machine."""

    node: Node
    _vmap_space: VmapSpace | None = None

    @property
    def vmap_space(self) -> VmapSpace:
        """The kernel's addresses for vmalloc(); made when it is asked for first."""
        if self.node.highmem is not None:
            raise ValueError("the 32-bit machine has whole pages and kmap(): vmalloc() and stacks are those of x86-64")
        if self._vmap_space is None:
            self._vmap_space = vmap_space(self.node, len(self.node.zones[0].vm_stat_diff))
        return self._vmap_space

    def vmalloc(self, size: int, gfp: int = GFP_KERNEL, caller: str = "") -> int:
        """Return the address of ``size`` bytes, contiguous in addresses only, or 0.

        ``caller`` is who asks, as /proc/vmallocinfo shows it.  Raises ContextError in an interrupt.

        Linux: __vmalloc_noprof(), mm/vmalloc.c
        """
        return vmalloc.vmalloc(self.vmap_space, _size(size), gfp_mask(gfp), caller)

    def vzalloc(self, size: int, caller: str = "") -> int:
        """Return the address of ``size`` bytes of zeros, or 0.  Linux: vzalloc(), mm/vmalloc.c"""
        return vmalloc.vzalloc(self.vmap_space, _size(size), caller)

    def vfree(self, addr: int) -> None:
        """Give memory of vmalloc() back; address 0 is no memory at all.

        Raises KernelBug, and frees nothing, for an address that vmalloc() did not return.

        Linux: vfree(), mm/vmalloc.c
        """
        vmalloc.vfree(self.vmap_space, index(addr))

    def vmap(self, pages: Sequence[Page], caller: str = "") -> int:
        """Map pages, in this order, at contiguous addresses; return the first address or 0.

        Linux: vmap(), mm/vmalloc.c
        """
        return vmalloc.vmap(self.vmap_space, list(pages), caller=caller)

    def vunmap(self, addr: int) -> None:
        """Undo vmap(); the pages stay whose they are.  Linux: vunmap(), mm/vmalloc.c"""
        vmalloc.vunmap(self.vmap_space, index(addr))

    def ioremap(self, phys_addr: int, size: int, caller: str = "") -> int:
        """Map ``size`` bytes of a device at a physical address; return the address or 0.

        Raises ValueError for an address below 0 or a size that no range has.

        Linux: ioremap(), arch/x86/mm/ioremap.c
        """
        if index(phys_addr) < 0:
            raise ValueError(f"a physical address is 0 or more, not {phys_addr}")
        return ioremap.ioremap(self.vmap_space, index(phys_addr), _size(size), caller)

    def iounmap(self, addr: int) -> None:
        """Undo ioremap().  Linux: iounmap(), arch/x86/mm/ioremap.c"""
        ioremap.iounmap(self.vmap_space, index(addr))

    def vmalloc_to_page(self, addr: int) -> Page | None:
        """Return the page behind an address of vmalloc(), by the page tables, or None.

        Linux: vmalloc_to_page(), mm/vmalloc.c
        """
        return vmalloc.vmalloc_to_page(self.vmap_space, index(addr))

    def is_vmalloc_addr(self, addr: int) -> bool:
        """Return whether an address lies where vmalloc() hands out.

        Linux: is_vmalloc_addr(), mm/vmalloc.c
        """
        return vmalloc.is_vmalloc_addr(index(addr))

    def vm_unmap_aliases(self) -> int:
        """Let all ranges that wait be used again, after one flush of the TLBs; return how many.

        Linux: vm_unmap_aliases(), mm/vmalloc.c
        """
        return vmalloc.vm_unmap_aliases(self.vmap_space)

    def vread(self, addr: int, size: int) -> bytes:
        """Return ``size`` bytes from an address of vmalloc().

        Raises KernelBug, with the report in ``dmesg``, where no page is mapped.
        """
        return fault.vread(self.vmap_space, index(addr), size)

    def vwrite(self, addr: int, data: bytes) -> None:
        """Store bytes at an address of vmalloc().

        Raises KernelBug, with the report in ``dmesg``, where no page is mapped.
        """
        fault.vwrite(self.vmap_space, index(addr), data)

    def tlb_touch(self, addrs: Iterable[int]) -> TlbCount:
        """Read a byte at each address, in order, and return what the TLB of this CPU made of it.

        Addresses of the direct map are found in pages of 2 MiB, those of vmalloc() in pages of 4
        KiB.  Raises KernelBug where nothing is mapped.
        """
        space = self.vmap_space
        before = space.tlbs[space.cpu].count()
        for addr in addrs:
            if vmalloc.is_vmalloc_addr(addr):
                fault.translate(space, addr, write=False)
            else:
                fault.check_direct_map(space, addr)
                space.tlbs[space.cpu].access(addr, HUGE_SHIFT)
        return space.tlbs[space.cpu].count() - before


def _size(size: int) -> int:
    """Return a size in bytes as a plain int, or say what is wrong with it."""
    size = index(size)
    if not 0 <= size <= 1 << 47:
        raise ValueError(f"{size} bytes is out of range: from 0 to {1 << 47} (128 TiB)")
    return size
