# SPDX-License-Identifier: GPL-2.0-only
"""Page tables: what turns a kernel address into a page frame.

x86-64 cuts an address into four indexes of 9 bits and an offset of 12.  Each index picks one of
512 entries of 8 bytes in a page; the entry names the page of the next level, and the last one
the frame itself.  One PTE table so maps 2 MiB, one PMD table 1 GiB.

The tables are real pages full of real bytes: look at them with the machine's memory.  A PMD or
PTE table is taken from the page allocator when its first address is mapped, and, as in Linux,
never given back: the kernel's tables stay when what they mapped is gone.

Linux: mm/vmalloc.c, arch/x86/include/asm/pgtable_types.h
Simplified: the two upper levels were made at boot, in pages behind the allocator's memory; the
direct map has no tables here; no huge pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kmm_sim.mm.gfp import GFP_KERNEL, ZERO
from kmm_sim.mm.mmzone import Node
from kmm_sim.mm.page import PAGE_SHIFT, PAGE_SIZE
from kmm_sim.mm.page_alloc import alloc_pages
from kmm_sim.mm.vmalloc_events import ClearPte, SetPte, SetPteTable

__all__ = [
    "GFP_PGTABLE_KERNEL", "LEVELS", "PAGE_KERNEL", "PAGE_PRESENT", "PAGE_TABLE", "PageTables", "mapped_pfn",
    "pmd_alloc_kernel", "pte_alloc_kernel", "pte_index", "read_entry", "vmap_pages_range", "vunmap_range", "walk",
]

GFP_PGTABLE_KERNEL = int(GFP_KERNEL) | ZERO
LEVELS = (("PGD", 39), ("PUD", 30), ("PMD", 21), ("PTE", 12))
"""The levels from the top: what an entry is called, and where its index begins in an address."""
PAGE_PRESENT = 0x001
PAGE_TABLE = 0x067
"""The flags of an entry that names a table: present, writable, user, accessed, dirty."""
PAGE_KERNEL = 1 << 63 | 0x163
"""The flags of an entry that maps a kernel page: present, writable, global, not executable."""
PFN_MASK = (1 << 52) - PAGE_SIZE
PMD_SIZE = 1 << 21
BOOT_TABLES_PFN = 1 << 34  # behind the largest memory that a machine can have


class PageTables:
    """The kernel's own page tables; ``pgd`` is the page frame of the topmost.

    ``made`` has the page frames of the tables that came from the page allocator, by level and
    the first address that they serve.

    Linux: struct mm_struct init_mm, mm/init-mm.c
    """

    __slots__ = ("made", "node", "pgd")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.pgd = BOOT_TABLES_PFN
        self.made: dict[tuple[str, int], int] = {}


def pte_index(addr: int, shift: int) -> int:
    """Return which of the 512 entries of a table an address picks, by where its index begins.

    Linux: pgd_index(), pud_index(), pmd_index(), pte_index(), include/linux/pgtable.h
    """
    return addr >> shift & 511


def read_entry(tables: PageTables, table: int, index: int) -> int:
    """Return one entry, 8 bytes, of the table in page frame ``table``.

    Linux: native_pte_val(), arch/x86/include/asm/pgtable_types.h
    """
    return int.from_bytes(tables.node.memory.read((table << PAGE_SHIFT) + 8 * index, 8), "little")


def _write_entry(tables: PageTables, table: int, index: int, entry: int) -> None:
    tables.node.memory.write((table << PAGE_SHIFT) + 8 * index, entry.to_bytes(8, "little"))


def walk(tables: PageTables, addr: int) -> list[tuple[str, int]]:
    """Return the entries that an address leads through, with their names, to the first empty one.

    Linux: dump_pagetable(), arch/x86/mm/fault.c
    """
    table, path = tables.pgd, []
    for name, shift in LEVELS:
        entry = read_entry(tables, table, pte_index(addr, shift))
        path.append((name, entry))
        if not entry & PAGE_PRESENT:
            break
        table = (entry & PFN_MASK) >> PAGE_SHIFT
    return path


def pmd_alloc_kernel(tables: PageTables, addr: int) -> int | None:
    """Return the page frame of the PMD table for an address; make it if it is not there.

    Linux: pmd_alloc_track(), mm/pgalloc-track.h
    """
    top = pte_index(addr, 39)
    pud = tables.pgd + 1 + top  # made at boot, one for each entry of the topmost table
    _write_entry(tables, tables.pgd, top, pud << PAGE_SHIFT | PAGE_TABLE)
    return _next_table(tables, "PMD", pud, addr, 30)


def pte_alloc_kernel(tables: PageTables, addr: int) -> int | None:
    """Return the page frame of the PTE table for an address; make it if it is not there.

    Returns None when there is no page for a table.

    Linux: pte_alloc_kernel_track(), mm/pgalloc-track.h
    """
    pmd = pmd_alloc_kernel(tables, addr)
    return _next_table(tables, "PTE", pmd, addr, 21) if pmd is not None else None


def _next_table(tables: PageTables, level: str, table: int, addr: int, shift: int) -> int | None:
    """Return the table that an entry names; where it names none, take a page for it."""
    index = pte_index(addr, shift)
    entry = read_entry(tables, table, index)
    if entry:
        return (entry & PFN_MASK) >> PAGE_SHIFT
    page = alloc_pages(tables.node, GFP_PGTABLE_KERNEL, 0)
    if page is None:
        return None
    first = addr >> shift << shift
    tables.made[level, first] = page.pfn
    _write_entry(tables, table, index, page.pfn << PAGE_SHIFT | PAGE_TABLE)
    if tables.node.trace is not None:
        tables.node.trace.emit(SetPteTable(level, first, page.pfn))
    return page.pfn


def vmap_pages_range(tables: PageTables, addr: int, pfns: Sequence[int]) -> bool:
    """Map page frames, in this order, from ``addr`` on; False when a table could not be had.

    Linux: vmap_pages_range(), mm/vmalloc.c
    """
    done = 0
    for start, end in _parts(addr, addr + (len(pfns) << PAGE_SHIFT)):
        table = pte_alloc_kernel(tables, start)
        if table is None:
            return False
        part = pfns[done : done + ((end - start) >> PAGE_SHIFT)]
        done += len(part)
        _vmap_pte_range(tables, table, start, part)
    return True


def _parts(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a range of addresses where another PTE table begins."""
    while start < end:
        stop = min((start // PMD_SIZE + 1) * PMD_SIZE, end)
        yield start, stop
        start = stop


def _vmap_pte_range(tables: PageTables, table: int, addr: int, pfns: Sequence[int]) -> None:
    """Write the entries of one PTE table, side by side."""
    entries = b"".join((pfn << PAGE_SHIFT | PAGE_KERNEL).to_bytes(8, "little") for pfn in pfns)
    tables.node.memory.write((table << PAGE_SHIFT) + 8 * pte_index(addr, PAGE_SHIFT), entries)
    if tables.node.trace is not None:
        for pfn in pfns:
            tables.node.trace.emit(SetPte(addr, pfn))
            addr += PAGE_SIZE


def vunmap_range(tables: PageTables, start: int, end: int) -> None:
    """Empty the entries from ``start`` to ``end``; the tables stay, and the TLBs know nothing of it.

    Linux: vunmap_range_noflush(), mm/vmalloc.c
    """
    for first, stop in _parts(start, end):
        path = walk(tables, first)
        if path[-1][0] == "PTE":
            _vunmap_pte_range(tables, (path[-2][1] & PFN_MASK) >> PAGE_SHIFT, first, stop)


def _vunmap_pte_range(tables: PageTables, table: int, start: int, end: int) -> None:
    """Empty the entries of one PTE table that lie side by side."""
    at = (table << PAGE_SHIFT) + 8 * pte_index(start, PAGE_SHIFT)
    size = 8 * ((end - start) >> PAGE_SHIFT)
    entries = tables.node.memory.read(at, size)
    tables.node.memory.write(at, bytes(size))
    if tables.node.trace is not None:
        for number in range(0, size, 8):
            if any(entries[number : number + 8]):
                tables.node.trace.emit(ClearPte(start + number // 8 * PAGE_SIZE))


def mapped_pfn(tables: PageTables, addr: int) -> int | None:
    """Return the page frame that an address is mapped to, or None.

    Linux: vmalloc_to_pfn(), mm/vmalloc.c
    """
    name, entry = walk(tables, addr)[-1]
    return (entry & PFN_MASK) >> PAGE_SHIFT if name == "PTE" and entry & PAGE_PRESENT else None
