# SPDX-License-Identifier: GPL-2.0-only
"""References: who else still needs a page.

A page is born with one reference, its owner's.  Whoever wants it to stay takes another, and
gives it back when done; the last one out frees it.  A compound page counts in its head.

Linux: include/linux/mm.h, mm/swap.c
"""

from __future__ import annotations

from kmm_sim.errors import KernelBug
from kmm_sim.mm.bad_page import block_around, compound_head, free_pages_prepare
from kmm_sim.mm.events import PageRefMod
from kmm_sim.mm.mmzone import Node
from kmm_sim.mm.page import Page
from kmm_sim.mm.page_flags import PG_HEAD
from kmm_sim.mm.pcp import free_unref_page

__all__ = ["get_page", "put_page"]


def get_page(node: Node, page: Page) -> None:
    """Take another reference to a page that somebody holds.

    Raises KernelBug, in teaching mode, if nobody does.

    Linux: get_page(), include/linux/mm.h
    """
    head = compound_head(node, page)
    if head.order < 0 and node.teaching and block_around(node, page.pfn) is None:
        raise KernelBug(f"use after free: pfn {page.pfn} is free; "
                        "there is nothing to refer to")
    head.refcount += 1
    if head.order < 0:
        head.zone.suspects.add(head.pfn)
    if node.trace is not None:
        node.trace.emit(PageRefMod(head.pfn, head.refcount, 1))


def put_page(node: Node, page: Page) -> None:
    """Give a reference back; the last one frees the page, or the whole of a compound page.

    Raises KernelBug, in teaching mode, if there is none to give back, or if it would free
    one page of a block that is no compound page, and leak the others.

    Linux: put_page(), include/linux/mm.h
    Linux: __folio_put(), mm/swap.c
    """
    head = compound_head(node, page)
    if node.teaching:
        _refuse(node, head)
    head.refcount -= 1
    if head.refcount:
        if head.order < 0:
            head.zone.suspects.add(head.pfn)
        if node.trace is not None:
            node.trace.emit(PageRefMod(head.pfn, head.refcount, -1))
        return
    order = head.order if head.flags & PG_HEAD else 0
    if free_pages_prepare(node, head, order):
        free_unref_page(head.zone, head.pfn, order)


def _refuse(node: Node, head: Page) -> None:
    if head.order < 0 and head.refcount <= 0:
        raise KernelBug(f"put_page() of pfn {head.pfn}, to which nobody has a reference")
    if head.order > 0 and head.refcount == 1 and not head.flags & PG_HEAD:
        raise KernelBug(
            f"put_page() frees one page, pfn {head.pfn}, of a block of {1 << head.order}, and the "
            "others leak: allocate with __GFP_COMP, or free with free_pages()"
        )
