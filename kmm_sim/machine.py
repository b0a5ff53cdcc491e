# SPDX-License-Identifier: GPL-2.0-only
"""A machine: memory, zones, and the calls that a driver makes on it.

The functions of ``kmm_sim.mm`` take the node as their first argument and trust it, as the
kernel's do.  A machine offers the same calls as methods, checks what Python hands in, and
records what happens.

    machine = Machine(pages=64)             a bench: one zone, one list an order
    machine = Machine(memory="8 GiB")       a PC: DMA, DMA32, Normal, with watermarks
    machine = Machine.from_dump(dump)       the state of a real kernel, as recorded
    machine = Machine.preset("laptop 8 GiB")
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import index
from typing import Any

from kmm_sim.boot import boot_bench, boot_dump, boot_pc
from kmm_sim.calls.arguments import GOOD_MASKS, gfp_mask
from kmm_sim.calls.context import ContextCalls
from kmm_sim.calls.highmem import HighmemCalls
from kmm_sim.calls.percpu import PercpuCalls
from kmm_sim.calls.slab import SlabCalls
from kmm_sim.errors import KernelBug
from kmm_sim.mm import highmem, page_alloc
from kmm_sim.mm.bad_page import compound_head
from kmm_sim.mm.gfp import ZERO, Gfp
from kmm_sim.mm.mmzone import MAX_PAGE_ORDER, Node, Zone
from kmm_sim.mm.page import PAGE_OFFSET, PAGE_SHIFT, PAGE_SIZE, Page, get_order, pfn_to_virt, virt_to_pfn
from kmm_sim.mm.page_alloc import alloc_pages, free_pages
from kmm_sim.mm.page_ref import get_page, put_page
from kmm_sim.mm.pcp import drain_pages_zone
from kmm_sim.mm.sysctl import sysctl_read, sysctl_write
from kmm_sim.presets import PRESETS, RECORDED, recorded_dump
from kmm_sim.trace import Trace

__all__ = ["Machine"]

HIGHMEM = int(Gfp.HIGHMEM)


class Machine(ContextCalls, HighmemCalls, SlabCalls, PercpuCalls):
    """One simulated computer with one bank of memory.

    Give it either ``pages`` (a bench of that many pages: a single zone Normal from pfn 0, no
    watermarks) or ``memory`` (a PC with that many bytes, or text such as ``"8 GiB"``).  A PC
    keeps page lists for each of its ``cpus``, a bench does not, unless ``pcp`` says otherwise.
    Its memory is in one bank, or in as many as ``nodes`` says, each next to some of the CPUs.
    With ``highmem`` it is a PC of 32 bits, with whole pages and kmap() alone: no kmalloc(), no stacks.
    With ``trace=False`` it runs faster and tells nothing.  With ``teaching=False`` a caller who
    breaks the rules gets no error: what happens then is what happens in Linux.

    ``slab`` names the slab allocator: "slub", "sheaves" (SLUB since 7.0), "slab" or "slob";
    ``slab_debug="FZPU"`` has it check every object, as the boot parameter does; with
    ``slab_merge=False`` alike caches stay apart; ``slab_random=1``, any number, shuffles the objects
    of new slabs by that seed, and ``slab_hardened=1`` scrambles the pointers in free objects.

    Raises ValueError or TypeError for a size that no machine has.
    """

    def __init__(
        self,
        *,
        pages: int | None = None,
        memory: int | str | None = None,
        cpus: int = 1,
        nodes: int = 1,
        pcp: bool | None = None,
        highmem: bool = False,
        trace: bool = True,
        teaching: bool = True,
        slab: str = "slub",
        slab_debug: str = "",
        slab_merge: bool = True,
        slab_random: int | None = None,
        slab_hardened: int | None = None,
    ) -> None:
        if (pages is None) == (memory is None):
            raise TypeError("Machine() takes either pages=64 or memory='8 GiB', one of the two")
        if pages is not None:
            if highmem:
                raise TypeError("a bench has no high memory: give memory= with highmem=True")
            self._power_on(boot_bench(pages, cpus, pcp=bool(pcp)), trace)
        elif memory is not None:
            self._power_on(boot_pc(memory, cpus, pcp is not False, nodes, highmem), trace)
        self.node.teaching = teaching
        if not highmem:
            self.boot_slab(
                slab, debug=slab_debug, merge=slab_merge, freelist_random=slab_random, hardened=slab_hardened
            )

    @classmethod
    def from_dump(cls, dump: Mapping[str, Any], *, trace: bool = True) -> Machine:
        """Return a machine in the state that a recording of a real kernel describes.

        ``dump`` is one ``"k": "dump"`` record: zones with their free lists, pageblock types,
        watermarks and counters.  Raises KeyError if a field is missing.
        """
        machine = cls.__new__(cls)
        machine._power_on(boot_dump(dump), trace)
        return machine

    @classmethod
    def preset(cls, name: str, **options: Any) -> Machine:
        """Return a machine by name, such as ``"laptop 8 GiB"`` or ``"the recorded VM"``.

        ``options`` are those of Machine(), on top of the preset's.  Raises ValueError for a
        name that is not in kmm_sim.presets.
        """
        if name == RECORDED:
            return cls.from_dump(recorded_dump(), **options)
        if name not in PRESETS:
            raise ValueError(f"unknown preset {name!r}: there are {', '.join([*PRESETS, RECORDED])}")
        return cls(**PRESETS[name] | options)

    def _power_on(self, node: Node, trace: bool) -> None:
        self.node = node
        self.trace = Trace()
        self.tracing = trace

    def __repr__(self) -> str:
        zones = ", ".join(f"{zone.name} {zone.managed_pages} pages" for zone in self.zones)
        return f"<Machine {zones}>"

    @property
    def tracing(self) -> bool:
        """Whether the machine adds to its trace; turned off, a call leaves no event."""
        return self.node.trace is not None

    @tracing.setter
    def tracing(self, on: bool) -> None:
        self.node.trace = self.trace if on else None
        for zone in self.node.zones:
            zone.trace = self.node.trace

    @property
    def cpus(self) -> int:
        """The number of CPUs."""
        return len(self.zones[0].vm_stat_diff)

    @property
    def cpu(self) -> int:
        """The CPU that makes the calls, from 0; set it to let another one run."""
        return self.zones[0].cpu

    @cpu.setter
    def cpu(self, cpu: int) -> None:
        if not 0 <= index(cpu) < self.cpus:
            raise ValueError(f"this machine has the CPUs 0 to {self.cpus - 1}, not {cpu}")
        for zone in self.zones:
            zone.run_on(cpu)
        for cache in self._slabs.caches if self._slabs is not None else ():
            cache.run_on(cpu)
        self.node.set_local_node(self.node.node_of_cpu(cpu))

    def sysctl(self, name: str, value: int | tuple[int, ...] | None = None) -> int | tuple[int, ...]:
        """Return a knob such as ``"vm.min_free_kbytes"``; with a value, set it first.

        Raises ValueError for an unknown name or a value out of range.

        Linux: page_alloc_sysctl_table, mm/page_alloc.c
        """
        if value is not None:
            sysctl_write(self.node, name, value)
        return sysctl_read(self.node, name)

    @property
    def zones(self) -> tuple[Zone, ...]:
        """The zones, lowest memory first."""
        return self.node.zones

    @property
    def dmesg(self) -> list[str]:
        """The kernel's log, a line an entry, oldest first."""
        return self.node.dmesg

    # Getting pages

    def alloc_pages(self, gfp: int, order: int) -> Page | None:
        """Return the first of 2**order contiguous pages, or None when there are none.

        ``gfp`` is a mask such as GFP_KERNEL, ``order`` a whole number from 0 to 10.  Raises
        ValueError for an order out of range (where nobody is taught, the kernel warns of one above
        10 and the answer is None) or unknown bits in the mask.

        Linux: alloc_pages(), include/linux/gfp.h
        """
        if not (type(gfp) is type(order) is int and gfp in GOOD_MASKS and 0 <= order <= MAX_PAGE_ORDER):
            gfp = gfp_mask(gfp)
            if self._too_large(gfp, order):
                return None
            order = _order(order)
        return alloc_pages(self.node, gfp, order)

    def alloc_pages_node(self, nid: int, gfp: int, order: int) -> Page | None:
        """Return pages of memory bank ``nid``, or of another if that has none left.

        With __GFP_THISNODE in the mask, of that bank or None.  Raises ValueError for a bank
        that this machine has not.

        Linux: alloc_pages_node(), include/linux/gfp.h
        """
        if nid not in self.node.nids:
            raise ValueError(f"this machine has the nodes {self.node.nids}, not {nid}")
        gfp = gfp_mask(gfp)
        if self._too_large(gfp, order):
            return None
        return page_alloc.alloc_pages_node(self.node, nid, gfp, _order(order))

    def _too_large(self, gfp: int, order: int) -> bool:
        """Return whether an order is above the largest, and the kernel itself has said so."""
        if self.node.teaching or index(order) <= MAX_PAGE_ORDER:
            return False
        page_alloc.order_too_large(self.node, gfp, order)
        return True

    def alloc_page(self, gfp: int) -> Page | None:
        """Return one page, or None.  Linux: alloc_page(), include/linux/gfp.h"""
        return self.alloc_pages(gfp, 0)

    def get_free_pages(self, gfp: int, order: int) -> int:
        """Return the address of 2**order contiguous pages, never of high memory, or 0 when there are none.

        Linux: __get_free_pages(), include/linux/gfp.h
        """
        page = self.alloc_pages(gfp_mask(gfp) & ~HIGHMEM, order)
        return self.page_address(page) if page is not None else 0

    def get_free_page(self, gfp: int) -> int:
        """Return the address of one page, or 0.  Linux: __get_free_page(), include/linux/gfp.h"""
        return self.get_free_pages(gfp, 0)

    def get_zeroed_page(self, gfp: int) -> int:
        """Return the address of one page full of zeros, or 0 when there is none.

        Linux: get_zeroed_page(), include/linux/gfp.h
        """
        return self.get_free_pages(gfp_mask(gfp) | ZERO, 0)

    def alloc_pages_exact(self, size: int, gfp: int) -> int:
        """Return the address of just enough contiguous pages for ``size`` bytes, or 0.

        ``size`` is from 1 byte to 4 MiB.  Free with free_pages_exact().

        Linux: alloc_pages_exact(), mm/page_alloc.c
        """
        gfp = gfp_mask(gfp) & ~HIGHMEM
        if index(size) > 0 and self._too_large(gfp, get_order(size)):
            return 0
        page = page_alloc.alloc_pages_exact(self.node, _exact_size(size), gfp)
        return self.page_address(page) if page is not None else 0

    def alloc_pages_bulk(self, gfp: int, nr_pages: int) -> list[Page]:
        """Return up to ``nr_pages`` single pages, not contiguous; at least one if there is one.

        Linux: alloc_pages_bulk_array(), include/linux/gfp.h
        """
        if index(nr_pages) < 1:
            raise ValueError(f"{nr_pages} pages is out of range: ask for 1 or more")
        return page_alloc.alloc_pages_bulk(self.node, gfp_mask(gfp), nr_pages)

    # Giving them back

    def free_pages(self, page: Page, order: int) -> None:
        """Give back the 2**order pages that begin at ``page``.

        Raises KernelBug, and changes nothing, if these are not what was allocated.

        Linux: __free_pages(), mm/page_alloc.c
        """
        if type(page) is not Page or self.node.mem_map.get(page.pfn) is not page:
            page = self._own(page)  # says what it is
        if type(order) is not int or not 0 <= order <= MAX_PAGE_ORDER:
            order = _order(order)
        free_pages(self.node, page, order)

    def free_page(self, page: Page) -> None:
        """Give back one page.  Linux: __free_page(), include/linux/gfp.h"""
        self.free_pages(page, 0)

    def free_pages_addr(self, addr: int, order: int) -> None:
        """Give back the 2**order pages at an address; address 0 is no pages at all.

        Raises KernelBug, and changes nothing, if these are not what was allocated.

        Linux: free_pages(), mm/page_alloc.c
        """
        if addr:
            self.free_pages(self.virt_to_page(addr), order)

    def free_page_addr(self, addr: int) -> None:
        """Give back the page at an address.  Linux: free_page(), include/linux/gfp.h"""
        self.free_pages_addr(addr, 0)

    def free_pages_exact(self, addr: int, size: int) -> None:
        """Give back what alloc_pages_exact() returned for ``size`` bytes.

        Linux: free_pages_exact(), mm/page_alloc.c
        """
        page_alloc.free_pages_exact(self.node, self.virt_to_page(addr), _exact_size(size))

    # References

    def get_page(self, page: Page) -> None:
        """Take another reference to a page.  Linux: get_page(), include/linux/mm.h"""
        get_page(self.node, self._own(page))

    def put_page(self, page: Page) -> None:
        """Give a reference back; the last one frees the page, or the whole of a compound page.

        Linux: put_page(), include/linux/mm.h
        """
        put_page(self.node, self._own(page))

    def compound_head(self, page: Page) -> Page:
        """Return the first page of a compound page, or the page itself if it is of none.

        Linux: compound_head(), include/linux/page-flags.h
        """
        return compound_head(self.node, self._own(page))

    # Per-CPU lists

    def drain_local_pages(self) -> None:
        """Give all pages on this CPU's lists back to the buddy system.

        Linux: drain_local_pages(), mm/page_alloc.c
        """
        for zone in self.zones:
            drain_pages_zone(zone, zone.cpu)

    def drain_all_pages(self) -> None:
        """Give all pages on all CPUs' lists back.  Linux: drain_all_pages(), mm/page_alloc.c"""
        for cpu in range(self.cpus):
            for zone in self.zones:
                drain_pages_zone(zone, cpu)

    # Pages, addresses, bytes

    def virt_to_page(self, addr: int) -> Page:
        """Return the struct page behind a kernel address.

        Raises KernelBug if the address lies outside the machine's memory.

        Linux: virt_to_page(), arch/x86/include/asm/page.h
        """
        if self.node.highmem is not None:
            return self._virt_to_page_32(index(addr))
        page = self.node.pfn_to_page(virt_to_pfn(index(addr)))
        if page is None and self.is_vmalloc_addr(addr):
            raise KernelBug(
                f"virt_to_page of {addr:#x}, an address of vmalloc(): arithmetic finds the page only in the "
                f"direct map, elsewhere the page tables must be asked; use vmalloc_to_page()"
            )
        if page is None:
            raise KernelBug(
                f"address {addr:#x} is outside memory: this machine's pages have the addresses "
                f"{pfn_to_virt(self.zones[0].start_pfn):#x} to {pfn_to_virt(self.zones[-1].end_pfn) - 1:#x}"
            )
        return page

    def _virt_to_page_32(self, addr: int) -> Page:
        """Return the page that the arithmetic gives, which holds for the direct map alone."""
        page = self.node.pfn_to_page(addr - highmem.PAGE_OFFSET_32 >> PAGE_SHIFT)
        if page is None or page.zone.highmem:
            raise KernelBug(f"virt_to_page of {addr:#x}: only the pages of low memory lie in the direct map")
        return page

    def read(self, addr: int, size: int) -> bytes:
        """Return ``size`` bytes from address ``addr``; KernelBug outside memory."""
        if self.is_vmalloc_addr(addr):
            return self.vread(addr, size)
        return self.node.memory.read(self._span(addr, size), size)

    def write(self, addr: int, data: bytes) -> None:
        """Store ``data`` from address ``addr`` on; KernelBug outside memory."""
        if self.is_vmalloc_addr(addr):
            self.vwrite(addr, data)
            return
        self.node.memory.write(self._span(addr, len(data)), data)

    def _span(self, addr: int, size: int) -> int:
        """Return the physical address of the first of so many bytes; KernelBug outside memory."""
        if size < 0:
            raise ValueError(f"a size in bytes is 0 or more, not {size}")
        last = addr + max(size, 1) - 1
        if self.node.highmem is None:
            self.virt_to_page(addr)
            self.virt_to_page(last)
            return addr - PAGE_OFFSET
        first, end = (highmem.virt_to_phys(self.node, each) for each in (addr, last))
        if first is None or end is None or end - first != last - addr:
            raise KernelBug(f"unable to handle page fault for address {addr:08x}: nothing is mapped there")
        return first

    def _own(self, page: Page) -> Page:
        """Return ``page`` if it is a page of this machine; say what it is otherwise."""
        if page is None:
            raise KernelBug(
                "NULL pointer dereference: the page is None, so the allocation had failed; "
                "look at the answer of alloc_pages() before you use it"
            )
        if not isinstance(page, Page):
            raise TypeError(f"expected a struct page, as alloc_pages() returns it, not {page!r}")
        if self.node.mem_map.get(page.pfn) is not page:
            raise KernelBug(f"{page!r} is a page of another machine")
        return page


def _order(order: int) -> int:
    """Return ``order`` as a plain int, or say which orders there are."""
    if type(order) is int and 0 <= order <= MAX_PAGE_ORDER:
        return order
    order = int(index(order))
    if not 0 <= order <= MAX_PAGE_ORDER:
        raise ValueError(
            f"order {order} is out of range: an order is 0 to {MAX_PAGE_ORDER}, "
            f"1 to {1 << MAX_PAGE_ORDER} pages"
        )
    return order


def _exact_size(size: int) -> int:
    largest = PAGE_SIZE << MAX_PAGE_ORDER
    if not 1 <= index(size) <= largest:
        raise ValueError(f"{size} bytes is out of range: from 1 to {largest} (4 MiB)")
    return index(size)
