# SPDX-License-Identifier: GPL-2.0-only
"""High memory: pages that a 32-bit kernel owns and has no address for.

A 32-bit kernel has 1 GiB of addresses for itself.  The lowest 896 MiB of memory lie there for
good, at PAGE_OFFSET; a page above them has no address until somebody maps it.  kmap() puts it
into a window of 1024 slots that all CPUs share, and it stays there until nobody needs it and
the slot is wanted for another.  kmap_local_page() is cheaper: a few slots of the CPU,
used like a stack, last mapped, first unmapped; a task that runs again finds its own in them.

On x86-64 every page has an address, and all of these calls come down to page_address().

Linux: mm/highmem.c, include/linux/highmem-internal.h
Simplified: one task.  Where kmap() would sleep until a slot is free, it returns 0, or in teaching
mode raises ContextError.  The window is where Linux 2.6.34 with two-level page tables has it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kmm_sim.errors import ContextError, KernelBug
from kmm_sim.mm.mmzone import Node
from kmm_sim.mm.page import PAGE_OFFSET, PAGE_SHIFT, PAGE_SIZE, Page
from kmm_sim.mm.sched import CONTEXTS, in_atomic

__all__ = [
    "KMAP_LOCAL_TOP",
    "KM_MAX_IDX",
    "LAST_PKMAP",
    "PAGE_OFFSET_32",
    "PKMAP_BASE",
    "Highmem",
    "is_highmem_page",
    "kmap",
    "kmap_local_page",
    "kmap_users",
    "kunmap",
    "kunmap_local",
    "map_new_virtual",
    "page_address",
    "virt_to_phys",
]

PAGE_OFFSET_32 = 0xC000_0000
"""Where the direct map begins on x86-32: the last quarter of all addresses is the kernel's."""
PKMAP_BASE = 0xFF80_0000
LAST_PKMAP = 1024
"""The window of kmap(): so many slots of a page each, 4 MiB."""
KMAP_LOCAL_TOP = 0xFFFF_A000
KM_MAX_IDX = 16
"""The slots of kmap_local_page(), from the top down; the last of them is never used."""


@dataclass(slots=True)
class Highmem:
    """What a 32-bit kernel has mapped.

    ``pkmap_count[n]`` is 0 if slot n of the window is free, 1 if it is unused but still mapped, and
    otherwise one more than the number of its users.  ``address`` has the slot's address by pfn,
    ``local`` the page frames that kmap_local_page() mapped, the last one at the end.

    Linux: pkmap_count, struct page_address_map, struct kmap_ctrl, mm/highmem.c
    """

    pkmap_count: list[int] = field(default_factory=lambda: [0] * LAST_PKMAP)
    last_pkmap_nr: int = 0
    address: dict[int, int] = field(default_factory=dict)
    local: list[int] = field(default_factory=list)


def is_highmem_page(page: Page) -> bool:
    """Return whether the kernel has no fixed address for a page.

    Linux: PageHighMem(), include/linux/page-flags.h
    """
    return page.zone.highmem


def page_address(node: Node, page: Page) -> int:
    """Return the address at which the kernel sees ``page``; 0 for high memory that is not mapped.

    Linux: page_address(), mm/highmem.c
    """
    high: Highmem | None = node.highmem
    if high is None:
        return PAGE_OFFSET + (page.pfn << PAGE_SHIFT)
    if is_highmem_page(page):
        return high.address.get(page.pfn, 0)
    return PAGE_OFFSET_32 + (page.pfn << PAGE_SHIFT)


def kmap(node: Node, page: Page) -> int:
    """Return an address for a page until kunmap(); may sleep.

    Linux: kmap(), include/linux/highmem-internal.h
    Linux: kmap_high(), mm/highmem.c
    """
    _might_sleep(node, "kmap()")
    high: Highmem | None = node.highmem
    if high is None or not is_highmem_page(page):
        return page_address(node, page)
    vaddr = high.address.get(page.pfn) or map_new_virtual(high, page)
    if vaddr:
        high.pkmap_count[_pkmap_nr(vaddr)] += 1
    elif node.teaching:
        raise ContextError(f"kmap() of pfn {page.pfn}: all {LAST_PKMAP} slots are in use, and Linux would sleep "
                           "until somebody calls kunmap(); here nobody else runs")
    return vaddr


def kmap_users(node: Node, page: Page) -> int:
    """Return how many have a page mapped with kmap() now; 0 if its address is left over, or it needs no window.

    Linux: no counterpart; it is one less than the slot's pkmap_count
    """
    high: Highmem | None = node.highmem
    vaddr = high.address.get(page.pfn) if high is not None else None
    return high.pkmap_count[_pkmap_nr(vaddr)] - 1 if high is not None and vaddr is not None else 0


def map_new_virtual(high: Highmem, page: Page) -> int:
    """Map a page into the next free slot and return its address; 0 if no slot is free.

    The search goes round.  Each time it begins anew, all slots that nobody uses are cleared at
    once, because that costs a flush of every CPU's TLB.

    Linux: map_new_virtual(), mm/highmem.c
    """
    count = LAST_PKMAP
    while count:
        high.last_pkmap_nr = (high.last_pkmap_nr + 1) % LAST_PKMAP
        if not high.last_pkmap_nr:
            _flush_all_zero_pkmaps(high)
            count = LAST_PKMAP
        if not high.pkmap_count[high.last_pkmap_nr]:
            break
        count -= 1
    else:
        return 0
    vaddr = PKMAP_BASE + (high.last_pkmap_nr << PAGE_SHIFT)
    high.pkmap_count[high.last_pkmap_nr] = 1
    high.address[page.pfn] = vaddr
    return vaddr


def _flush_all_zero_pkmaps(high: Highmem) -> None:
    for pfn, vaddr in list(high.address.items()):
        if high.pkmap_count[_pkmap_nr(vaddr)] == 1:
            high.pkmap_count[_pkmap_nr(vaddr)] = 0
            del high.address[pfn]


def kunmap(node: Node, page: Page) -> None:
    """Give up one use of a page's address; the address itself stays until its slot is wanted.

    Raises KernelBug if nobody had mapped the page.

    Linux: kunmap(), include/linux/highmem-internal.h
    Linux: kunmap_high(), mm/highmem.c
    """
    _might_sleep(node, "kunmap()")
    high: Highmem | None = node.highmem
    if high is None or not is_highmem_page(page):
        return
    vaddr = high.address.get(page.pfn)
    if vaddr is None or high.pkmap_count[_pkmap_nr(vaddr)] < 2:
        raise KernelBug(f"kunmap() of pfn {page.pfn}, which is not mapped: each kmap() is given back once")
    high.pkmap_count[_pkmap_nr(vaddr)] -= 1


def kmap_local_page(node: Node, page: Page) -> int:
    """Return an address for a page, good for the running task until kunmap_local(); never sleeps.

    Raises KernelBug if too many are mapped at once.

    Linux: kmap_local_page(), include/linux/highmem-internal.h
    Linux: __kmap_local_page_prot(), mm/highmem.c
    """
    high: Highmem | None = node.highmem
    if high is None or not is_highmem_page(page):
        return page_address(node, page)
    if len(high.local) + 1 >= KM_MAX_IDX:
        raise KernelBug(f"kmap_local_page() of pfn {page.pfn}: {len(high.local)} pages are "
                        f"mapped already, and a task has {KM_MAX_IDX - 1} slots")
    high.local.append(page.pfn)
    return _local_address(len(high.local) - 1)


def kunmap_local(node: Node, vaddr: int) -> None:
    """Unmap what kmap_local_page() mapped last.

    Raises KernelBug, and unmaps nothing, for any other.  (Linux warns once and takes away the wrong one.)

    Linux: kunmap_local(), include/linux/highmem-internal.h
    Linux: kunmap_local_indexed(), mm/highmem.c
    """
    high: Highmem | None = node.highmem
    if high is None or PAGE_OFFSET_32 <= vaddr < PKMAP_BASE:
        return
    last = _local_address(len(high.local) - 1) if high.local else 0
    if vaddr & -PAGE_SIZE != last:
        what = f"the last one mapped is at {last:#x}" if last else "nothing is mapped"
        raise KernelBug(f"kunmap_local() of {vaddr:#x}: {what}; unmap in the reverse order")
    high.local.pop()


def virt_to_phys(node: Node, vaddr: int) -> int | None:
    """Return what lies behind a 32-bit kernel's address, as the page tables have it, or None.

    Linux: no counterpart; the CPU does this
    """
    high: Highmem = node.highmem
    offset = vaddr % PAGE_SIZE
    mapped = {addr: pfn for pfn, addr in high.address.items()}
    mapped |= {_local_address(index): pfn for index, pfn in enumerate(high.local)}
    pfn = mapped.get(vaddr - offset)
    if pfn is None and PAGE_OFFSET_32 <= vaddr < PKMAP_BASE:
        zone = node.zone_of(vaddr - PAGE_OFFSET_32 >> PAGE_SHIFT)
        pfn = vaddr - PAGE_OFFSET_32 >> PAGE_SHIFT if zone is not None and not zone.highmem else None
    return None if pfn is None else (pfn << PAGE_SHIFT) + offset


def _pkmap_nr(vaddr: int) -> int:
    return vaddr - PKMAP_BASE >> PAGE_SHIFT


def _local_address(index: int) -> int:
    return KMAP_LOCAL_TOP - (index << PAGE_SHIFT)


def _might_sleep(node: Node, what: str) -> None:
    task = node.current
    if task.inside and node.teaching and (in_atomic(task) or task.irqs_disabled):
        raise ContextError(f"sleeping function called from invalid context: {what} may sleep, and {task.comm} "
                           f"{CONTEXTS[task.inside[-1]]}; use kmap_local_page()")
