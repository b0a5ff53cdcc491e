# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel writes when it follows an address that leads nowhere.

Of 64 bits of an address 48 count, and the upper ones have to be like the highest of these: any
other address is not canonical, and the processor does not even look for it in the page tables.

Linux: arch/x86/mm/fault.c, arch/x86/kernel/traps.c
Simplified: the lines that say what happened; registers and call trace are left out.
"""

from __future__ import annotations

from kmm_sim.mm.page import PAGE_OFFSET, PAGE_SHIFT, SIZEOF_STRUCT_PAGE, VMEMMAP_START

__all__ = ["COMPOUND_HEAD", "bad_access", "page_fault", "struct_page_address"]

COMPOUND_HEAD = 8
"""Where in a struct page the word lies that leads from a later page to the first, in bytes."""
ADDRESSES = 1 << 64


def page_fault(addr: int, error_code: int = 0, tables: str = "PGD 0 P4D 0 ") -> list[str]:
    """Return the lines of a page fault: a write with bit 1 of ``error_code``; ``tables`` are the entries on the way.

    Linux: show_fault_oops(), arch/x86/mm/fault.c
    """
    access = "write access" if error_code & 2 else "read access"
    return [
        f"BUG: unable to handle page fault for address: {addr:016x}",
        f"#PF: supervisor {access} in kernel mode",
        f"#PF: error_code(0x{error_code:04x}) - not-present page",
        tables,
        f"Oops: Oops: {error_code:04x} [#1] PREEMPT SMP NOPTI",
    ]


def bad_access(addr: int) -> list[str]:
    """Return what is written of a read at an address that nobody could read at.

    Linux: exc_general_protection(), arch/x86/kernel/traps.c
    """
    addr %= ADDRESSES
    if addr >> 47 in (0, ADDRESSES - 1 >> 47):
        return page_fault(addr)
    return [
        f"Oops: general protection fault, probably for non-canonical address {addr:#x}: 0000 [#1] PREEMPT SMP NOPTI"
    ]


def struct_page_address(ptr: int) -> int:
    """Return where the struct page of an address would lie, be there memory or not: arithmetic alone.

    Linux: virt_to_page(), arch/x86/include/asm/page.h
    """
    pfn = (ptr - PAGE_OFFSET) % ADDRESSES >> PAGE_SHIFT
    return (VMEMMAP_START + pfn * SIZEOF_STRUCT_PAGE) % ADDRESSES
