# SPDX-License-Identifier: GPL-2.0-only
"""kmalloc(): objects of any size, from caches of a few sizes.

There is a cache for each power of two from 8 bytes to 8 KiB, and for 96 and 192 because those
sizes are asked for so often.  A request gets the smallest that fits; what is larger than 8 KiB
gets whole pages.  Requests for DMA memory, for what can be reclaimed and for what is charged to
a user have caches of their own, so that they do not share slabs.

Linux: mm/slab_common.c, mm/slub.c, include/linux/slab.h
Simplified: no buckets by call site; accounted caches exist, nobody is charged.
"""

from __future__ import annotations

from kmm_sim.errors import KernelBug
from kmm_sim.mm.bad_page import block_around
from kmm_sim.mm.gfp import ZERO, Gfp, gfp_names
from kmm_sim.mm.oops import COMPOUND_HEAD, bad_access, struct_page_address
from kmm_sim.mm.page import PAGE_OFFSET, PAGE_SHIFT, PAGE_SIZE, Page, get_order, page_address
from kmm_sim.mm.page_alloc import alloc_pages, free_pages, order_too_large
from kmm_sim.mm.page_flags import PG_HEAD
from kmm_sim.mm.slab_common import (
    ARCH_KMALLOC_MINALIGN,
    KMALLOC_MAX_SIZE,
    KmemCache,
    SlabFlags,
    Slabs,
    calculate_alignment,
    create_cache,
    slab_pre_alloc_hook,
    virt_to_slab,
)
from kmm_sim.mm.slab_events import Kfree, Kmalloc
from kmm_sim.mm.slab_pages import ROW_MASK, ROW_SHIFT
from kmm_sim.mm.vmap_area import VMALLOC_END, VMALLOC_START

__all__ = [
    "KMALLOC_MAX_CACHE_SIZE",
    "KMALLOC_SIZES",
    "ZERO_SIZE_PTR",
    "KmallocType",
    "create_kmalloc_caches",
    "free_large_kmalloc",
    "kfree",
    "kmalloc",
    "kmalloc_fix_flags",
    "kmalloc_gfp_adjust",
    "kmalloc_index",
    "kmalloc_large",
    "kmalloc_name",
    "kmalloc_size_roundup",
    "kmalloc_table",
    "kmalloc_type",
    "krealloc",
    "ksize",
    "large_page",
    "slab_ksize",
    "virt_to_folio",
]

ZERO_SIZE_PTR = 16
"""What kmalloc(0) returns: an address that nobody may use, yet one that kfree() takes back."""
KMALLOC_MAX_CACHE_SIZE = 2 * PAGE_SIZE
KMALLOC_SIZES = (0, 96, 192, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
"""The size of the objects of each class, by its index; class 0 is none."""


class KmallocType:
    """The kinds of kmalloc caches.  Linux: enum kmalloc_cache_type, include/linux/slab.h"""

    NORMAL = 0
    RECLAIM = 1
    DMA = 2
    CGROUP = 3


PREFIXES = ("kmalloc-", "kmalloc-rcl-", "dma-kmalloc-", "kmalloc-cg-")
TYPE_FLAGS = (SlabFlags.NO_MERGE, SlabFlags.RECLAIM_ACCOUNT, SlabFlags.CACHE_DMA, SlabFlags.ACCOUNT)
GFP_SLAB_BUG_MASK = int(Gfp.DMA32 | Gfp.HIGHMEM)


def kmalloc_index(size: int) -> int:
    """Return which class of KMALLOC_SIZES serves ``size`` bytes, 1 to 8192.

    Linux: __kmalloc_index(), include/linux/slab.h
    """
    if 64 < size <= 96:
        return 1
    if 128 < size <= 192:
        return 2
    return max(3, (size - 1).bit_length())


def kmalloc_type(gfp: int) -> int:
    """Return the kind of caches for a mask: DMA wins over reclaimable, that over accounted.

    Linux: kmalloc_type(), include/linux/slab.h
    """
    if gfp & Gfp.DMA:
        return KmallocType.DMA
    if gfp & Gfp.RECLAIMABLE:
        return KmallocType.RECLAIM
    return KmallocType.CGROUP if gfp & Gfp.ACCOUNT else KmallocType.NORMAL


def kmalloc_name(index: int, kind: int) -> str:
    """Return the name of a cache: ``kmalloc-96``, ``dma-kmalloc-1k``.

    Linux: INIT_KMALLOC_INFO(), mm/slab_common.c
    """
    size = KMALLOC_SIZES[index]
    return PREFIXES[kind] + (f"{size >> 10}k" if size >= 1024 else str(size))


def create_kmalloc_caches(slabs: Slabs) -> None:
    """Create the caches of every kind and class.

    Linux: create_kmalloc_caches(), new_kmalloc_cache(), create_boot_cache(), mm/slab_common.c
    """
    for kind, type_flags in enumerate(TYPE_FLAGS):
        of_kind: dict[int, KmemCache] = {}
        for index, size in enumerate(KMALLOC_SIZES):
            if index:
                flags = int(type_flags | SlabFlags.KMALLOC)
                align = max(ARCH_KMALLOC_MINALIGN, size & -size)
                align = calculate_alignment(flags, align, size)
                of_kind[index] = create_cache(slabs, kmalloc_name(index, kind), size, align, flags, usersize=size)
        slabs.kmalloc_caches.append(of_kind)


def kmalloc_table(slabs: Slabs, gfp: int) -> tuple[int, list[KmemCache]]:
    """Return a mask as a plain number and its caches by (size + 7) >> 3; made once for each mask.

    Linux: kmalloc_slab(), mm/slab.h
    """
    gfp = slabs.check_gfp(gfp)
    if not slabs.kmalloc_caches:
        create_kmalloc_caches(slabs)
    of_kind = slabs.kmalloc_caches[kmalloc_type(gfp)]
    sizes = range(0, KMALLOC_MAX_CACHE_SIZE + 1, 8)
    table = gfp, [of_kind[kmalloc_index(max(size, 1))] for size in sizes]
    slabs.kmalloc_table[gfp] = table
    if not (gfp & ZERO or slabs.debug or slabs.broken or slabs.node.init_on_alloc):
        slabs.kmalloc_plain[gfp] = [table[1][(size + 7) >> 3] for size in range(KMALLOC_MAX_CACHE_SIZE + 1)]
    return table


def kmalloc_fix_flags(slabs: Slabs, gfp: int) -> int:
    """Take from a mask what no slab can be made of, and say so in the kernel's log.

    Linux: kmalloc_fix_flags(), mm/slab_common.c
    """
    invalid = gfp & GFP_SLAB_BUG_MASK
    fixed = gfp & ~GFP_SLAB_BUG_MASK
    slabs.node.dmesg.append(
        f"Unexpected gfp: {invalid:#x} ({gfp_names(invalid)}). "
        f"Fixing up to gfp: {fixed:#x} ({gfp_names(fixed)}). Fix your code!"
    )
    return fixed


def kmalloc(slabs: Slabs, size: int, gfp: int) -> int:
    """Return the address of ``size`` bytes or more, 0 if there are none, ZERO_SIZE_PTR for none.

    Raises ContextError in teaching mode if the request may sleep where nobody can.

    Linux: __do_kmalloc_node(), mm/slub.c
    """
    node = slabs.node
    try:
        gfp, caches = slabs.kmalloc_table[gfp]
    except KeyError:  # the first request with this mask
        gfp, caches = kmalloc_table(slabs, gfp)
    if size > KMALLOC_MAX_CACHE_SIZE:
        return kmalloc_large(slabs, size, gfp)
    if size <= 0:
        if size < 0:
            raise ValueError(f"a size is 0 or more, not {size}")
        return ZERO_SIZE_PTR
    s = caches[(size + 7) >> 3]
    if node.current.inside:
        slab_pre_alloc_hook(node, gfp)
    slab_alloc = slabs.allocator.slab_alloc
    ptr = slab_alloc(s, gfp, size)
    if node.trace is not None:
        node.trace.emit(Kmalloc(ptr, size, s.size, gfp))
    return ptr


def kmalloc_gfp_adjust(gfp: int, size: int) -> int:
    """Return the mask for a first try by kmalloc(), behind which vmalloc() waits: not too hard.

    Linux: kmalloc_gfp_adjust(), mm/util.c
    """
    if size > PAGE_SIZE:
        gfp |= Gfp.NOWARN
        if not gfp & Gfp.RETRY_MAYFAIL:
            gfp |= Gfp.NORETRY
        gfp &= ~Gfp.NOFAIL
    return int(gfp)


def kmalloc_large(slabs: Slabs, size: int, gfp: int) -> int:
    """Return the address of whole pages for ``size`` bytes, or 0.

    Linux: __kmalloc_large_noprof(), mm/slub.c
    """
    node = slabs.node
    order = get_order(size)
    if gfp & GFP_SLAB_BUG_MASK:
        gfp = kmalloc_fix_flags(slabs, gfp)
    page = None
    if size > KMALLOC_MAX_SIZE:
        order_too_large(node, gfp, order)
    else:
        page = alloc_pages(node, gfp | int(Gfp.COMP), order)
    ptr = page_address(page) if page is not None else 0
    if page is not None:
        slabs.pages.large[page.zone.nid] += 1 << order
    if node.trace is not None:
        node.trace.emit(Kmalloc(ptr, size, PAGE_SIZE << order, gfp))
    return ptr


def kfree(slabs: Slabs, ptr: int) -> None:
    """Take back what kmalloc() returned; NULL and ZERO_SIZE_PTR are nothing at all.

    Raises KernelBug, and changes nothing, for an address that nobody got; without teaching, only for
    one where not even a struct page is.

    Linux: kfree(), mm/slub.c
    """
    try:
        shift, row = slabs.pages.rows[ptr >> ROW_SHIFT]  # virt_to_slab(), without the call
        slab = row[(ptr & ROW_MASK) >> shift]
    except KeyError:
        slab = None
    if slab is not None:
        slab_free = slabs.allocator.slab_free
        slab_free(slab, ptr, None)
        return
    node = slabs.node
    page = None
    if ptr < 0:
        raise ValueError(f"an address is 0 or more, not {ptr}")
    if ptr > ZERO_SIZE_PTR:
        page = large_page(slabs, ptr) if node.teaching else virt_to_folio(slabs, ptr)
    if node.trace is not None:
        node.trace.emit(Kfree(ptr))
    if page is not None:
        free_large_kmalloc(slabs, page, ptr)


def free_large_kmalloc(slabs: Slabs, folio: Page, ptr: int) -> None:
    """Give whole pages back; the kernel is surprised, once, if it is one page: that comes from a cache.

    Linux: free_large_kmalloc(), mm/slub.c
    Simplified: no registers, no call trace.
    """
    node = slabs.node
    order = folio.order if folio.flags & PG_HEAD else 0
    if not order and "free_large_kmalloc" not in slabs.warned:
        slabs.warned.add("free_large_kmalloc")
        node.dmesg += [
            "------------[ cut here ]------------",
            f"WARNING: CPU: {node.zones[0].cpu} PID: {node.current.pid} at mm/slub.c:4799 free_large_kmalloc+0x3f/0x70",
            "---[ end trace 0000000000000000 ]---",
            f"object pointer: 0x{ptr:016x}",
        ]
    slabs.pages.large[folio.zone.nid] -= 1 << order if order else 0
    free_pages(node, folio, order)


def virt_to_folio(slabs: Slabs, ptr: int) -> Page:
    """Return the page of an address, or the first of the pages that it is one of, whoever has them.

    Raises KernelBug, with the kernel's report in the log, where there is no struct page.

    Linux: virt_to_folio(), include/linux/mm.h
    """
    node = slabs.node
    page = node.pfn_to_page((ptr - PAGE_OFFSET) >> PAGE_SHIFT)
    if page is None:
        node.dmesg += bad_access(struct_page_address(ptr) + COMPOUND_HEAD)
        raise KernelBug(f"kfree of {ptr:#x}: no memory is there, and not even a struct page to look at")
    head = block_around(node, page.pfn)
    return head if head is not None and head.flags & PG_HEAD else page


def large_page(slabs: Slabs, ptr: int) -> Page:
    """Return the first of the pages that kmalloc() gave for a large request; KernelBug for others.

    Linux: virt_to_folio(), include/linux/mm.h
    """
    node = slabs.node
    if ptr < PAGE_OFFSET:
        raise KernelBug(f"{ptr:#x} is no address of kmalloc(): it lies outside the direct map of memory")
    page = node.pfn_to_page((ptr - PAGE_OFFSET) >> PAGE_SHIFT)
    if VMALLOC_START <= ptr < VMALLOC_END:
        raise KernelBug(f"{ptr:#x} is no address of kmalloc() but of vmalloc(), or of a stack; see vfree()")
    if page is None:
        raise KernelBug(f"{ptr:#x} is no address of kmalloc(): this machine has no memory there")
    head = page if page.order >= 0 and page.refcount else block_around(node, page.pfn)
    if head is None:
        raise KernelBug(f"{ptr:#x} lies in page {page.pfn}, which is free: freed twice, or never given out")
    if not head.gfp & Gfp.COMP:
        raise KernelBug(
            f"{ptr:#x} lies in a page that alloc_pages() gave out, not kmalloc(); give it back with free_pages()"
        )
    start = page_address(head)
    if ptr != start:
        raise KernelBug(f"{ptr:#x} lies {ptr - start} bytes inside the pages that kmalloc() gave out at {start:#x}")
    return head


def kmalloc_size_roundup(size: int) -> int:
    """Return how many bytes kmalloc() would really give for ``size``.

    Linux: kmalloc_size_roundup(), mm/slab_common.c
    """
    if 0 < size <= KMALLOC_MAX_CACHE_SIZE:
        return KMALLOC_SIZES[kmalloc_index(size)]
    if 0 < size <= KMALLOC_MAX_SIZE:
        return PAGE_SIZE << get_order(size)
    return size


def ksize(slabs: Slabs, ptr: int) -> int:
    """Return how many bytes there are behind an address that kmalloc() returned.

    Linux: ksize(), mm/slab_common.c
    """
    if ptr in (0, ZERO_SIZE_PTR):
        return 0
    slab = virt_to_slab(slabs, ptr)
    if slab is None:
        return PAGE_SIZE << large_page(slabs, ptr).order
    return slab_ksize(slab.cache)


def slab_ksize(s: KmemCache) -> int:
    """Return how many bytes of an object its user may touch.  Linux: slab_ksize(), mm/slab.h"""
    if s.flags & (SlabFlags.RED_ZONE | SlabFlags.POISON):
        return s.object_size
    if s.flags & (SlabFlags.TYPESAFE_BY_RCU | SlabFlags.STORE_USER):
        return s.inuse
    return s.size


def krealloc(slabs: Slabs, ptr: int, new_size: int, gfp: int) -> int:
    """Return the address of ``new_size`` bytes that begin with those behind ``ptr``, or 0.

    If there is room enough where they are, they stay, and with __GFP_ZERO what is left of the room is
    cleared.  When it fails, ``ptr`` is still held.

    Linux: krealloc_noprof(), mm/slab_common.c
    """
    if not new_size:
        slabs.allocator.kfree(slabs, ptr)
        return ZERO_SIZE_PTR
    held = slabs.allocator.ksize(slabs, ptr)
    memory = slabs.node.memory
    if held >= new_size:
        if gfp & ZERO or slabs.node.init_on_alloc:
            memory.clear(ptr + new_size - PAGE_OFFSET, held - new_size)
        return ptr
    new = slabs.allocator.kmalloc(slabs, new_size, gfp)
    if new and held:
        memory.copy(new - PAGE_OFFSET, ptr - PAGE_OFFSET, held)
    if new:
        slabs.allocator.kfree(slabs, ptr)
    return new
