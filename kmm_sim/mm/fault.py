# SPDX-License-Identifier: GPL-2.0-only
"""Touching memory through page tables, and the report when nothing is there.

A CPU looks into its TLB first.  Only what it does not find there it looks up in the tables, so
it may use a translation that the tables have lost long ago: memory of vmalloc() that was freed
can be written for a while without anybody noticing.

Linux: arch/x86/mm/fault.c, vread_iter() in mm/vmalloc.c
Simplified: the report has the lines that say what happened; registers and call trace are left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from kmm_sim.errors import KernelBug
from kmm_sim.mm.oops import page_fault
from kmm_sim.mm.page import PAGE_SHIFT, PAGE_SIZE, virt_to_pfn
from kmm_sim.mm.pgtable import mapped_pfn, walk
from kmm_sim.mm.vmalloc import find_vm_area, is_vmalloc_addr, lazy_area
from kmm_sim.mm.vmap_node import VmapSpace

__all__ = ["check_direct_map", "dump_pagetable", "page_fault_oops", "show_fault_oops", "translate", "vread", "vwrite"]

X86_PF_WRITE = 2


def translate(space: VmapSpace, addr: int, write: bool) -> int:
    """Return the page frame that this CPU finds behind an address.

    Raises KernelBug when nothing is mapped there, and for memory that was freed and that only
    the TLB still remembers (Linux would go on in silence, and so does a machine without teaching).

    Linux: no counterpart; the processor does it.
    """
    tlb = space.tlbs[space.cpu]
    pfn = tlb.lookup(addr)
    in_tables = mapped_pfn(space.tables, addr)
    if pfn is None and in_tables is None:
        page_fault_oops(space, addr, write)
    if pfn is None:
        assert in_tables is not None
        tlb.remember(addr, in_tables)
        return in_tables
    if pfn != in_tables and space.node.teaching:
        raise KernelBug(
            f"use after free: {addr:#x} was given back to vfree(); CPU {space.cpu} still reaches page frame "
            f"{pfn} through its TLB, so Linux would notice nothing and let this happen"
        )
    return pfn


def check_direct_map(space: VmapSpace, addr: int) -> None:
    """Report an access to an address of the direct map that is outside memory; else do nothing.

    Always raises KernelBug if it is.

    Linux: no counterpart; the processor does it.
    """
    if space.node.pfn_to_page(virt_to_pfn(addr)) is None:
        page_fault_oops(space, addr, write=False)


def page_fault_oops(space: VmapSpace, addr: int, write: bool) -> None:
    """Report an access to an address that is not mapped, and stop whoever did it.

    Always raises KernelBug: no thread goes on after this.

    Linux: page_fault_oops(), arch/x86/mm/fault.c
    """
    show_fault_oops(space, addr, X86_PF_WRITE if write else 0)
    raise KernelBug(_explain(space, addr, "write to" if write else "read of"))


def show_fault_oops(space: VmapSpace, addr: int, error_code: int) -> None:
    """Write the first lines of the report to the kernel's log.

    Linux: show_fault_oops(), arch/x86/mm/fault.c
    """
    space.node.dmesg += page_fault(addr, error_code, dump_pagetable(space, addr))


def dump_pagetable(space: VmapSpace, addr: int) -> str:
    """Return the entries that an address leads through, as the report prints them.

    Linux: dump_pagetable(), arch/x86/mm/fault.c
    """
    path = walk(space.tables, addr)
    top = path[0][1]
    return " ".join([f"PGD {top:x} P4D {top:x}", *(f"{name} {entry:x}" for name, entry in path[1:])])


def _explain(space: VmapSpace, addr: int, access: str) -> str:
    vm = find_vm_area(space, addr)
    if vm is not None and addr >= vm.addr + vm.mapped_size:
        return (
            f"{access} {addr:#x}: that is the guard page of the area at {vm.addr:#x}, byte {addr - vm.addr} "
            f"of {vm.requested_size}; nothing is mapped there, so that this is noticed"
        )
    if vm is not None:
        return f"{access} {addr:#x}: the area at {vm.addr:#x} is reserved, but nothing is mapped in it"
    if lazy_area(space, addr) is not None:
        return f"use after free: {access} {addr:#x}, which was given back and is unmapped"
    place = "nothing of vmalloc() is there" if is_vmalloc_addr(addr) else "it is no address of vmalloc()"
    return f"{access} {addr:#x}: {place}"


def vread(space: VmapSpace, addr: int, size: int) -> bytes:
    """Return ``size`` bytes from an address, page by page.  Raises KernelBug where none is mapped.

    Linux: no counterpart; a processor's loads
    """
    return b"".join(space.node.memory.read(physical, part) for physical, part in _pieces(space, addr, size, False))


def vwrite(space: VmapSpace, addr: int, data: bytes) -> None:
    """Store bytes from an address on, page by page.

    Raises KernelBug where no page is mapped; what lies before that is written, as by a real loop.

    Linux: no counterpart; a processor's stores
    """
    done = 0
    for physical, part in _pieces(space, addr, len(data), True):
        space.node.memory.write(physical, data[done : done + part])
        done += part


def _pieces(space: VmapSpace, addr: int, size: int, write: bool) -> Iterator[tuple[int, int]]:
    """Yield (physical address, size) for each page that a run of bytes touches."""
    end = addr + size
    while addr < end:
        offset = addr % PAGE_SIZE
        part = min(PAGE_SIZE - offset, end - addr)
        yield (translate(space, addr, write) << PAGE_SHIFT) + offset, part
        addr += part
