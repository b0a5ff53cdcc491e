# SPDX-License-Identifier: GPL-2.0-only
"""The memory of devices: registers and buffers that answer at physical addresses.

A driver reaches them as it reaches memory, through page table entries.  The addresses come
from vmalloc's range, aligned to the size, so that large pages could be used.

Linux: arch/x86/mm/ioremap.c
Simplified: pages of 4 KiB only; no caching modes; what is written there is kept, no device acts on it.
"""

from __future__ import annotations

from kmm_sim.mm.page import PAGE_SHIFT, PAGE_SIZE
from kmm_sim.mm.pgtable import vmap_pages_range
from kmm_sim.mm.vmalloc import VmFlag, free_vm_area, get_vm_area, take_back
from kmm_sim.mm.vmap_node import VmapSpace, drain_vmap_area_work

__all__ = ["ioremap", "iounmap"]

PHYS_BITS = 46
"""How many bits a physical address has: 64 TiB, as much as page tables of four levels are used for."""


def ioremap(space: VmapSpace, phys_addr: int, size: int, caller: str = "") -> int:
    """Map ``size`` bytes of a device at a physical address; return the address to use, or 0.

    The kernel refuses to map ordinary memory this way, and what the processor cannot address.

    Linux: __ioremap_caller(), arch/x86/mm/ioremap.c
    """
    if size == 0:
        return 0
    if phys_addr + size - 1 >> PHYS_BITS:
        space.node.dmesg.append(f"ioremap: invalid physical address {phys_addr:x}")
        return 0
    pfns = range(phys_addr >> PAGE_SHIFT, (phys_addr + size - 1 >> PAGE_SHIFT) + 1)
    if any(space.node.zone_of(pfn) is not None for pfn in (pfns[0], pfns[-1])):
        last = phys_addr + size - 1
        space.node.dmesg.append(f"ioremap on RAM at {phys_addr:#018x} - {last:#018x}")
        return 0
    bytes_ = len(pfns) << PAGE_SHIFT
    vm = get_vm_area(space, bytes_, VmFlag.IOREMAP, caller, phys_addr=pfns[0] << PAGE_SHIFT)
    if vm is None:
        return 0
    if not vmap_pages_range(space.tables, vm.addr, pfns):
        free_vm_area(space, vm)
        return 0
    return vm.addr + phys_addr % PAGE_SIZE


def iounmap(space: VmapSpace, addr: int) -> None:
    """Undo ioremap().  Raises KernelBug for an address that it did not return.

    Linux: iounmap(), arch/x86/mm/ioremap.c
    """
    take_back(space, addr & -PAGE_SIZE, "iounmap")
    drain_vmap_area_work(space)
