# SPDX-License-Identifier: GPL-2.0-only
"""vmalloc: memory that is contiguous only for those who use it.

A request of many pages need not find them side by side.  vmalloc() takes a range of addresses
with one page more than asked for, takes single pages wherever they are, and writes a page
table entry for each.  The page more is a guard: it is never mapped, so that who runs over the
end is caught at the first byte.

vmap() does the same with pages that the caller has, ioremap() with the memory of a device.

    kmm_sim/mm/vmap_area.py   where there is room: the tree of free addresses
    kmm_sim/mm/vmap_node.py   what is in use, waits, is kept in pools; the purge
    kmm_sim/mm/pgtable.py     page tables
    kmm_sim/mm/tlb.py         what a CPU remembers of them
    kmm_sim/mm/ioremap.py     the memory of devices
    kmm_sim/mm/fault.py       touching such memory, and the report when nothing is there

Linux: mm/vmalloc.c
Simplified: pages of 4 KiB only; the small structures and arrays that Linux takes from kmalloc()
along the way take no memory here, but the array of page pointers above one page does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntFlag

from kmm_sim.errors import ContextError, KernelBug
from kmm_sim.mm.gfp import GFP_KERNEL, NOWARN, ZERO, Gfp, gfp_names
from kmm_sim.mm.mmzone import Node
from kmm_sim.mm.page import PAGE_OFFSET, PAGE_SHIFT, PAGE_SIZE, Page
from kmm_sim.mm.page_alloc import alloc_pages, alloc_pages_bulk, free_pages
from kmm_sim.mm.pgtable import mapped_pfn, vmap_pages_range, vunmap_range
from kmm_sim.mm.sched import in_interrupt, might_alloc
from kmm_sim.mm.show_mem import show_mem
from kmm_sim.mm.vmalloc_events import SetVmStruct
from kmm_sim.mm.vmap_area import VMALLOC_END, VMALLOC_START, VmapArea
from kmm_sim.mm.vmap_node import (
    VmapSpace,
    alloc_vmap_area,
    drain_vmap_area_work,
    find_vmap_area,
    free_vmap_area_noflush,
    purge_vmap_area_lazy,
    unlink_vmap_area,
)

__all__ = [
    "IOREMAP_MAX_ORDER", "VmFlag", "VmStruct", "bad_vfree", "delayed_vfree_work", "find_vm_area", "free_vm_area",
    "get_vm_area", "is_vmalloc_addr", "lazy_area", "remove_vm_area", "take_back", "vfree", "vfree_atomic",
    "vm_area_alloc_pages", "vm_unmap_aliases", "vmalloc", "vmalloc_to_page", "vmap", "vunmap", "vzalloc",
]

IOREMAP_MAX_ORDER = 30
"""Areas for devices are aligned to their size, but not beyond 1 GiB."""
GFP_RECLAIM_MASK = int(
    Gfp.RECLAIM | Gfp.HIGH | Gfp.IO | Gfp.FS | Gfp.NOWARN | Gfp.RETRY_MAYFAIL | Gfp.NOFAIL | Gfp.NORETRY
    | Gfp.MEMALLOC | Gfp.NOMEMALLOC
)
HIGHMEM = int(Gfp.HIGHMEM)
LOW_ZONES = int(Gfp.DMA | Gfp.DMA32)
MAX_BULK = 100


class VmFlag(IntFlag):
    """What an area is.  Linux: VM_IOREMAP and others, include/linux/vmalloc.h"""

    IOREMAP = 0x01
    ALLOC = 0x02
    MAP = 0x04
    USERMAP = 0x08
    DMA_COHERENT = 0x10
    NO_GUARD = 0x40
    MAP_PUT_PAGES = 0x200


@dataclass(slots=True, eq=False)
class VmStruct:
    """What a range of addresses is used for; ``size`` is in bytes and counts the guard page.

    ``pages_addr`` is where the array of page pointers is, if it has pages of its own.

    Linux: struct vm_struct, include/linux/vmalloc.h
    """

    addr: int
    size: int
    requested_size: int
    flags: int
    caller: str = ""
    pages: list[Page] = field(default_factory=list)
    pages_addr: int = 0
    phys_addr: int = 0

    @property
    def mapped_size(self) -> int:
        """Its size without the guard page.  Linux: get_vm_area_size(), include/linux/vmalloc.h"""
        return self.size if self.flags & VmFlag.NO_GUARD else self.size - PAGE_SIZE


def is_vmalloc_addr(addr: int) -> bool:
    """Return whether an address lies where vmalloc() hands out, in use or not.

    Linux: is_vmalloc_addr(), mm/vmalloc.c
    """
    return VMALLOC_START <= addr < VMALLOC_END


def get_vm_area(
    space: VmapSpace,
    size: int,
    flags: int,
    caller: str = "",
    *,
    gfp: int = GFP_KERNEL,
    align: int = 1,
    phys_addr: int = 0,
    vstart: int = VMALLOC_START,
    vend: int = VMALLOC_END,
) -> VmStruct | None:
    """Reserve addresses for ``size`` bytes, rounded up to pages, and a guard page; or None.

    Raises ContextError in an interrupt, and in teaching mode wherever else nobody may sleep.

    Linux: __get_vm_area_node(), mm/vmalloc.c
    """
    _not_in_interrupt(space)
    pages = -(-size // PAGE_SIZE) * PAGE_SIZE
    if not pages:
        return None
    if flags & VmFlag.IOREMAP:
        align = 1 << min(max((pages - 1).bit_length(), PAGE_SHIFT), IOREMAP_MAX_ORDER)
    node = space.node
    if node.current.inside and (node.teaching or node.debug_atomic_sleep):
        might_alloc(node.current, gfp & GFP_RECLAIM_MASK, node.teaching, node.dmesg)
    guarded = pages if flags & VmFlag.NO_GUARD else pages + PAGE_SIZE
    va = alloc_vmap_area(space, guarded, align, vstart, vend)
    if va is None:
        return None
    va.vm = VmStruct(va.va_start, guarded, size, flags, caller, phys_addr=phys_addr)
    _tell(space, va.vm)
    return va.vm


def _not_in_interrupt(space: VmapSpace) -> None:
    """Stop whoever reserves addresses in an interrupt, as BUG_ON(in_interrupt()) does."""
    if in_interrupt(space.node.current):
        space.node.dmesg += ["------------[ cut here ]------------", "kernel BUG at mm/vmalloc.c:3176!"]
        raise ContextError(
            "vmalloc and its kin in an interrupt: reserving addresses takes locks and may sleep, "
            "and Linux stops here with BUG_ON(in_interrupt()); use kmalloc() with GFP_ATOMIC"
        )


def _tell(space: VmapSpace, vm: VmStruct) -> None:
    space.emit(SetVmStruct(vm.addr, vm.flags, vm.caller, len(vm.pages), vm.phys_addr))


def vm_area_alloc_pages(node: Node, gfp: int, nr_pages: int) -> list[Page]:
    """Return ``nr_pages`` single pages, or as many as there are: in bulk first, then one by one.

    Linux: vm_area_alloc_pages(), mm/vmalloc.c
    """
    pages: list[Page] = []
    while len(pages) < nr_pages:
        asked = min(MAX_BULK, nr_pages - len(pages))
        got = alloc_pages_bulk(node, gfp, asked)
        pages += got
        if len(got) != asked:
            break
    while len(pages) < nr_pages:
        page = alloc_pages(node, gfp, 0)
        if page is None:
            break
        pages.append(page)
    return pages


def vmalloc(
    space: VmapSpace,
    size: int,
    gfp: int = GFP_KERNEL,
    caller: str = "",
    *,
    align: int = 1,
    vm_flags: int = 0,
) -> int:
    """Return the address of ``size`` bytes, contiguous in addresses only; 0 when there is no room.

    Raises ContextError in an interrupt.

    Linux: __vmalloc_node_range_noprof(), mm/vmalloc.c
    """
    if size == 0:
        return 0
    _not_in_interrupt(space)
    delayed_vfree_work(space)
    if size >> PAGE_SHIFT > sum(zone.managed_pages for zone in space.node.zones):
        return _fail(space, gfp, f"size {size}, exceeds total pages")
    vm = get_vm_area(space, size, VmFlag.ALLOC | vm_flags, caller, gfp=gfp, align=align)
    if vm is None:
        return _fail(space, gfp, f"size {size}, vm_struct allocation failed")
    nr_pages = vm.mapped_size >> PAGE_SHIFT
    if nr_pages * 8 > PAGE_SIZE:
        vm.pages_addr = vmalloc(space, nr_pages * 8, gfp & GFP_RECLAIM_MASK | ZERO, caller)
        if not vm.pages_addr:
            vfree(space, vm.addr)
            short = f"failed to allocated page array size {nr_pages * 8}"
            return _fail(space, gfp, f"size {size}, {short}")
    high = 0 if gfp & LOW_ZONES else HIGHMEM
    vm.pages = vm_area_alloc_pages(space.node, gfp | high | NOWARN, nr_pages)
    space.nr_vmalloc_pages += len(vm.pages)
    _tell(space, vm)
    if len(vm.pages) != nr_pages:
        _fail(space, gfp, f"size {len(vm.pages) * PAGE_SIZE}, failed to allocate pages")
    elif not vmap_pages_range(space.tables, vm.addr, [page.pfn for page in vm.pages]):
        _fail(space, gfp, f"size {nr_pages * PAGE_SIZE}, failed to map pages")
    else:
        return vm.addr
    vfree(space, vm.addr)
    return 0


def _fail(space: VmapSpace, gfp: int, message: str) -> int:
    if not gfp & NOWARN:
        space.node.dmesg.append(
            f"{space.node.current.comm}: vmalloc error: {message}, mode:{gfp:#x}({gfp_names(gfp)}), "
            "nodemask=(null),cpuset=/,mems_allowed=0"
        )
        space.node.dmesg += show_mem(space.node)
    return 0


def vzalloc(space: VmapSpace, size: int, caller: str = "") -> int:
    """Return the address of ``size`` bytes of zeros, or 0.  Linux: vzalloc_noprof(), mm/vmalloc.c"""
    return vmalloc(space, size, GFP_KERNEL | ZERO, caller)


def find_vm_area(space: VmapSpace, addr: int) -> VmStruct | None:
    """Return the area that an address lies in, guard page included, or None.

    Linux: find_vm_area(), mm/vmalloc.c
    """
    va = find_vmap_area(space, addr)
    return va.vm if va is not None else None


def remove_vm_area(space: VmapSpace, addr: int) -> VmStruct | None:
    """Unmap the area around an address and let its addresses wait for a purge; return it or None.

    Linux: remove_vm_area(), mm/vmalloc.c
    """
    va = find_vmap_area(space, addr)
    if va is None or va.vm is None:
        return None
    unlink_vmap_area(space, va)
    vunmap_range(space.tables, va.va_start, va.va_end)
    free_vmap_area_noflush(space, va)
    return va.vm


def take_back(space: VmapSpace, addr: int, call: str) -> VmStruct | None:
    """Unmap what a caller gives back with ``call``; return the area, or None if there is none.

    Raises KernelBug in teaching mode for what ``call`` may not be given; without, it is served
    as Linux would.

    Linux: remove_vm_area(), mm/vmalloc.c
    """
    reason = bad_vfree(space, addr, call)
    if reason and space.node.teaching:
        raise KernelBug(reason)
    return None if addr % PAGE_SIZE else remove_vm_area(space, addr)


def vfree(space: VmapSpace, addr: int) -> None:
    """Give memory of vmalloc() back; address 0 is no memory at all.

    Raises KernelBug in teaching mode, writes what Linux would write to the log, and frees
    nothing, for an address that vmalloc() did not return.  Without teaching it does as Linux: an
    address of a page inside the area frees all of it, anything else is warned of.

    Linux: vfree(), mm/vmalloc.c
    """
    if in_interrupt(space.node.current):
        vfree_atomic(space, addr)
        return
    delayed_vfree_work(space)
    vm = take_back(space, addr, "vfree") if addr else None
    if vm is None:
        return
    for page in vm.pages:
        free_pages(space.node, page, 0)
    space.nr_vmalloc_pages -= 0 if vm.flags & VmFlag.MAP_PUT_PAGES else len(vm.pages)
    if vm.pages_addr:
        vfree(space, vm.pages_addr)
    drain_vmap_area_work(space)


def vfree_atomic(space: VmapSpace, addr: int) -> None:
    """Note an address in an interrupt, for a worker that gives it back later.

    Raises KernelBug in teaching mode for an address that vmalloc() did not return, or noted before.

    Linux: vfree_atomic(), mm/vmalloc.c
    """
    reason = bad_vfree(space, addr) if addr else None
    if addr in space.deferred:
        reason = f"double free: vfree of {addr:#x}, which waits for a worker to free it"
    if reason and space.node.teaching:
        raise KernelBug(reason)
    if addr:
        space.deferred.append(addr)


def delayed_vfree_work(space: VmapSpace) -> None:
    """Give back what interrupts noted.

    Linux: delayed_vfree_work(), mm/vmalloc.c
    Simplified: there a worker does it soon, here the next call that is not in an interrupt.
    """
    waiting, space.deferred = space.deferred, []
    for addr in waiting:
        vfree(space, addr)


def bad_vfree(space: VmapSpace, addr: int, call: str = "vfree") -> str | None:
    """Return what is wrong with giving an address back, in a sentence, or None; note it in the log.

    Linux: no counterpart; it warns in remove_vm_area() and vfree(), and frees nothing.
    """
    if addr % PAGE_SIZE:
        _warn(space, f"Trying to vfree() bad address ({addr:016x})")
    elif (vm := find_vm_area(space, addr)) is not None and vm.addr == addr:
        return _wrong_kind(vm, call)
    if addr % PAGE_SIZE or find_vm_area(space, addr) is None:
        _warn(space, f"Trying to {call}() nonexistent vm area ({addr:016x})")
    return _what_is_there(space, addr, call)


def _warn(space: VmapSpace, message: str) -> None:
    space.node.dmesg += ["------------[ cut here ]------------", message]


def _wrong_kind(vm: VmStruct, call: str) -> str | None:
    kind = VmFlag(vm.flags)
    if call == "vfree" and kind & VmFlag.IOREMAP:
        return f"vfree of {vm.addr:#x}, which ioremap() returned: it is given back with iounmap()"
    if call == "iounmap" and not kind & VmFlag.IOREMAP:
        return f"iounmap of {vm.addr:#x}, which ioremap() did not return"
    if call == "vunmap" and kind & VmFlag.ALLOC:
        return f"vunmap of {vm.addr:#x}, which vmalloc() returned: its pages would never be freed; use vfree()"
    return None


def _what_is_there(space: VmapSpace, addr: int, call: str) -> str:
    vm = find_vm_area(space, addr)
    if vm is not None:
        return f"{call} of {addr:#x}, which lies {addr - vm.addr} bytes inside the area that begins at {vm.addr:#x}"
    if not is_vmalloc_addr(addr):
        where = "the direct map: it came from the page allocator or kmalloc()" if addr >= PAGE_OFFSET else "no memory"
        return f"{call} of {addr:#x}, which is no address of vmalloc(); it lies in {where}"
    va = lazy_area(space, addr)
    if va is not None:
        return f"double free: {call} of {addr:#x}, which was freed already and waits for a purge"
    return f"{call} of {addr:#x}: nothing is there"


def lazy_area(space: VmapSpace, addr: int) -> VmapArea | None:
    """Return the range that an address lies in if it waits for a purge.

    Linux: no counterpart; nobody asks.
    """
    for vn in space.nodes:
        for va in vn.lazy:
            if va.va_start <= addr < va.va_end:
                return va
    return None


def vmap(space: VmapSpace, pages: Sequence[Page], flags: int = VmFlag.MAP, caller: str = "") -> int:
    """Map pages that the caller holds, in this order, at contiguous addresses; the address or 0.

    Linux: vmap(), mm/vmalloc.c
    """
    vm = get_vm_area(space, len(pages) << PAGE_SHIFT, flags, caller)
    if vm is None:
        return 0
    if not vmap_pages_range(space.tables, vm.addr, [page.pfn for page in pages]):
        vunmap(space, vm.addr)
        return 0
    if flags & VmFlag.MAP_PUT_PAGES:
        vm.pages = list(pages)
        _tell(space, vm)
    return vm.addr


def vunmap(space: VmapSpace, addr: int) -> None:
    """Undo vmap(); the pages stay with whoever holds them.

    Raises KernelBug, and changes nothing, for an address that vmap() did not return.

    Linux: vunmap(), mm/vmalloc.c
    """
    if addr:
        take_back(space, addr, "vunmap")
        drain_vmap_area_work(space)


def free_vm_area(space: VmapSpace, vm: VmStruct) -> None:
    """Give reserved addresses back.  Linux: free_vm_area(), mm/vmalloc.c"""
    remove_vm_area(space, vm.addr)
    drain_vmap_area_work(space)


def vmalloc_to_page(space: VmapSpace, addr: int) -> Page | None:
    """Return the struct page that an address of vmalloc() is mapped to, by the page tables; or None.

    Linux: vmalloc_to_page(), mm/vmalloc.c
    """
    pfn = mapped_pfn(space.tables, addr)
    return space.node.pfn_to_page(pfn) if pfn is not None else None


def vm_unmap_aliases(space: VmapSpace) -> int:
    """Purge now: after it nobody remembers what was unmapped; return how many ranges waited.

    Linux: vm_unmap_aliases(), mm/vmalloc.c
    """
    return purge_vmap_area_lazy(space)


