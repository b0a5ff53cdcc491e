# SPDX-License-Identifier: GPL-2.0-only
"""The page allocator: asking for pages and giving them back.

A request is served from the free lists of the first zone that stays above its low mark.  If
there is none, the slow path tries harder.  After that the answer is None.

Linux: mm/page_alloc.c
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kmm_sim.errors import KernelBug
from kmm_sim.mm.bad_page import bad_free, free_pages_prepare, page_expected_state
from kmm_sim.mm.buddy import free_one_page
from kmm_sim.mm.events import HeadRemains, MmPageAlloc, MmPageFree, PageRefMod, SplitPage
from kmm_sim.mm.freelist import alloc_flags_nofragment, get_page_from_freelist, get_page_from_pcplist
from kmm_sim.mm.gfp import (
    COMP,
    GFP_ZONEMASK,
    NOWARN,
    THISNODE,
    ZERO,
    gfp_migratetype,
    gfp_names,
    gfp_zone,
)
from kmm_sim.mm.internal import ALLOC_WMARK_LOW
from kmm_sim.mm.mmzone import Migrate, Node, Wmark
from kmm_sim.mm.page import PAGE_SIZE, Page, get_order
from kmm_sim.mm.page_flags import PG_HEAD
from kmm_sim.mm.pcp import free_unref_page, remove_from_pcplist
from kmm_sim.mm.sched import current_gfp_context, might_alloc
from kmm_sim.mm.show_mem import mems_allowed, show_mem
from kmm_sim.mm.slowpath import alloc_pages_slowpath
from kmm_sim.mm.watermark import wmark_pages, zone_watermark_fast

__all__ = [
    "alloc_pages",
    "alloc_pages_bulk",
    "alloc_pages_exact",
    "alloc_pages_node",
    "free_pages",
    "free_pages_exact",
    "free_prepared_page",
    "make_alloc_exact",
    "order_too_large",
    "prep_new_page",
    "warn_alloc",
]

COMP_OR_ZERO = COMP | ZERO


def alloc_pages(node: Node, gfp: int, order: int) -> Page | None:
    """Return the first page of 2**order physically contiguous pages, or None.

    Raises ContextError, in teaching mode, if the request may sleep where nobody can.

    Linux: __alloc_pages_noprof(), mm/page_alloc.c
    """
    if gfp & THISNODE and node.zonelists is node.fallback_zonelists[node.nid]:
        with _this_node_alone(node):
            return alloc_pages(node, gfp, order)
    current = node.current
    if current.inside:
        if node.teaching or node.debug_atomic_sleep:
            might_alloc(current, gfp, node.teaching, node.dmesg)
        gfp = current_gfp_context(current, gfp)
    highest_zoneidx = node.zone_table[gfp & GFP_ZONEMASK]  # gfp_zone(), without the call
    migratetype = gfp >> 3 & 3 if node.group_by_mobility else 0  # gfp_migratetype()
    zones = node.zonelists[highest_zoneidx]
    pfn = get_page_from_pcplist(zones[0], order, highest_zoneidx, migratetype) if zones else None
    if pfn is None:
        alloc_flags = ALLOC_WMARK_LOW | alloc_flags_nofragment(node, gfp, highest_zoneidx)
        pfn = get_page_from_freelist(node, order, alloc_flags, highest_zoneidx, migratetype)
        if pfn is None:
            pfn = alloc_pages_slowpath(node, gfp, order, highest_zoneidx, migratetype)
    if node.trace is not None:
        node.trace.note(MmPageAlloc, pfn, order, migratetype, gfp)
    if pfn is None:
        warn_alloc(node, gfp, order)
        return None
    return prep_new_page(node, pfn, order, gfp)


@contextmanager
def _this_node_alone(node: Node) -> Iterator[None]:
    """Let requests be served from the local bank alone, for the length of a ``with`` block.

    Linux: node_zonelist(), include/linux/gfp.h
    """
    node.zonelists = node.thisnode_zonelists[node.nid]
    try:
        yield
    finally:
        node.zonelists = node.fallback_zonelists[node.nid]


def alloc_pages_node(node: Node, nid: int, gfp: int, order: int) -> Page | None:
    """Return pages of bank ``nid``, or of another if that has none and the mask allows it.

    Linux: alloc_pages_node(), include/linux/gfp.h
    """
    here = node.nid
    node.set_local_node(nid)
    try:
        return alloc_pages(node, gfp, order)
    finally:
        node.set_local_node(here)


def prep_new_page(node: Node, pfn: int, order: int, gfp: int) -> Page:
    """Make a block ready for its owner: one reference, and zeros if they were asked for.

    Linux: prep_new_page(), mm/page_alloc.c
    """
    page = node.mem_map.get(pfn) or node.pfn_to_page(pfn)
    assert page is not None  # it was on a free list
    page.order, page.gfp, page.refcount = order, gfp, 1
    if gfp & COMP_OR_ZERO or node.init_on_alloc:
        if gfp & COMP and order:
            page.flags |= PG_HEAD
        if gfp & ZERO or node.init_on_alloc:
            node.memory.clear_pages(pfn, order)
    return page


def warn_alloc(node: Node, gfp: int, order: int) -> None:
    """Write to the kernel's log that a request failed, unless the caller asked for silence.

    Linux: warn_alloc(), mm/page_alloc.c
    Simplified: no rate limit, no call trace; on a bench, the first line only.
    """
    if not gfp & NOWARN:
        node.dmesg.append(
            f"{node.current.comm}: page allocation failure: order:{order}, "
            f"mode:{gfp:#x}({gfp_names(gfp)}), nodemask=(null),cpuset=/,mems_allowed={mems_allowed(node)}"
        )
        if node.reclaim:
            node.dmesg += show_mem(node)


def order_too_large(node: Node, gfp: int, order: int) -> None:
    """Write to the kernel's log, once, that somebody asked for an order that no block has.

    Linux: __alloc_pages_noprof(), mm/page_alloc.c
    Simplified: no registers, no call trace.
    """
    if gfp & NOWARN or node.warned_order:
        return
    node.warned_order = True
    node.dmesg += [
        "------------[ cut here ]------------",
        f"WARNING: CPU: {node.zones[0].cpu} PID: {node.current.pid} at mm/page_alloc.c:4832 "
        "__alloc_pages_noprof+0x303/0x310",
        "---[ end trace 0000000000000000 ]---",
    ]


def free_pages(node: Node, page: Page, order: int) -> None:
    """Give up one reference to a block; if it was the last, the 2**order pages are free.

    If somebody else still refers to the first page of a block that is not compound, that page
    alone stays, and the others are freed.  In teaching mode anything but the plain case
    raises KernelBug and changes nothing.

    Linux: __free_pages(), mm/page_alloc.c
    """
    zone = page.zone
    if (
        page.order == order
        and page.refcount == 1
        and page.flags == zone.page_links
        and not (page.mapcount or page.mapping or node.init_on_free or node.page_poison)
        and node.teaching
    ):
        # Nearly every free: there is nothing to complain of and nothing to wipe.
        if node.trace is not None:
            node.trace.note(MmPageFree, page.pfn, order)
        page.order = -1
        page.refcount = page.private = 0
        free_unref_page(zone, page.pfn, order)
        return
    plain = page.order == order and page.refcount == 1 and page_expected_state(page)
    if not plain and node.teaching and (reason := bad_free(node, page, order)):
        raise KernelBug(reason)
    head = page.flags & PG_HEAD
    page.refcount -= 1
    if not page.refcount:
        free_prepared_page(node, page, order)
        return
    if page.order < 0:
        page.zone.suspects.add(page.pfn)  # free already: it will be noticed when it is handed out
    if node.trace is not None:
        node.trace.emit(PageRefMod(page.pfn, page.refcount, -1))
    if not head:
        _free_tails(node, page, order)


def _free_tails(node: Node, page: Page, order: int) -> None:
    """Free all of a block but its first page, the larger pieces first."""
    if order and page.order == order:
        page.order = 0
        page.zone.nr_unaccounted += (1 << order) - 1  # until they are free, a line below
        if node.trace is not None:
            node.trace.emit(HeadRemains(page.pfn))
    for size in range(order - 1, -1, -1):
        tail = node.pfn_to_page(page.pfn + (1 << size))
        if tail is not None:
            free_prepared_page(node, tail, size)


def free_prepared_page(node: Node, page: Page, order: int) -> None:
    """Free a block that nobody refers to, unless it looks as if somebody did.

    Linux: free_unref_page(), mm/page_alloc.c
    """
    if free_pages_prepare(node, page, order):
        free_unref_page(page.zone, page.pfn, order)


def make_alloc_exact(node: Node, page: Page, order: int, nr_pages: int) -> None:
    """Cut a block into single pages and give back all but the first ``nr_pages``.

    Linux: make_alloc_exact(), mm/page_alloc.c
    """
    zone, pfn, gfp = page.zone, page.pfn, page.gfp
    if node.trace is not None:
        node.trace.emit(SplitPage(pfn, order))
    for kept in range(pfn, pfn + nr_pages):
        single = node.page(kept)
        single.order, single.gfp, single.refcount = 0, gfp, 1
    for surplus in range(pfn + nr_pages, pfn + (1 << order)):
        if node.trace is not None:
            node.trace.note(MmPageFree, surplus, 0)
        if surplus in node.mem_map:
            node.mem_map[surplus].order = -1
        free_one_page(zone, surplus, 0, zone.pageblock_migratetype(surplus), to_tail=True)


def alloc_pages_exact(node: Node, size: int, gfp: int) -> Page | None:
    """Return the first of just enough contiguous pages for ``size`` bytes, or None.

    Linux: alloc_pages_exact_noprof(), mm/page_alloc.c
    """
    order = get_order(size)
    page = alloc_pages(node, gfp, order)
    if page is not None:
        make_alloc_exact(node, page, order, -(-size // PAGE_SIZE))
    return page


def free_pages_exact(node: Node, page: Page, size: int) -> None:
    """Give back, one by one, the pages that alloc_pages_exact() returned for ``size`` bytes.

    Raises KernelBug, and changes nothing, if any of them is not held as a single page.

    Linux: free_pages_exact(), mm/page_alloc.c
    """
    pages = [node.pfn_to_page(page.pfn + i) for i in range(-(-size // PAGE_SIZE))]
    for single in pages:
        reason = bad_free(node, single, 0) if node.teaching else None
        if reason:
            raise KernelBug(reason)
    for pfn in range(page.pfn, page.pfn + len(pages)):
        free_pages(node, node.page(pfn), 0)


def alloc_pages_bulk(node: Node, gfp: int, nr_pages: int) -> list[Page]:
    """Return up to ``nr_pages`` single pages, taken in one go from one zone's per-CPU list.

    If no zone can give so many without falling below its low mark, one page is tried for.

    Raises ContextError, in teaching mode, if the request may sleep where nobody can.

    Linux: alloc_pages_bulk_noprof(), mm/page_alloc.c
    """
    if gfp & THISNODE and node.zonelists is node.fallback_zonelists[node.nid]:
        with _this_node_alone(node):
            return alloc_pages_bulk(node, gfp, nr_pages)
    current = node.current
    if nr_pages > 1 and current.inside and (node.teaching or node.debug_atomic_sleep):
        might_alloc(current, gfp, node.teaching, node.dmesg)
    highest_zoneidx = gfp_zone(gfp, node.zone_table)
    migratetype = gfp_migratetype(gfp) if node.group_by_mobility else Migrate.UNMOVABLE
    alloc_flags = ALLOC_WMARK_LOW
    zones = node.zonelists[highest_zoneidx]
    pages: list[Page] = []
    for zone in zones if nr_pages > 1 else ():
        if zone.nid != node.nid:
            break
        mark = wmark_pages(zone, Wmark.LOW) + nr_pages
        if zone.pcp is not None and zone_watermark_fast(zone, 0, mark, zones[0].type, alloc_flags):
            while len(pages) < nr_pages:
                pfn = remove_from_pcplist(zone, 0, migratetype, alloc_flags, zone.pcp)
                if pfn is None:
                    break
                if node.trace is not None:
                    node.trace.note(MmPageAlloc, pfn, 0, int(migratetype), gfp)
                pages.append(prep_new_page(node, pfn, 0, gfp))
            break
    if not pages and (page := alloc_pages(node, gfp, 0)) is not None:
        pages.append(page)
    return pages
