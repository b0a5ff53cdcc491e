# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel notices of a broken caller, when, and what it says.

A page that comes back, or is about to be handed out, must look unused: no references, not
mapped, none of the flags of a page at work.  If it does not, the kernel writes "Bad page
state" and never uses the page again.  It checks nothing else.  It does not know the order a
block was allocated with, so a wrong one goes unseen unless the pages beside it look used.

Linux: mm/page_alloc.c, mm/debug.c
Simplified: of the report, the lines about the page; no call trace, no registers.
"""

from __future__ import annotations

from kmm_sim.mm.events import BadPage, MmPageFree
from kmm_sim.mm.mmzone import MAX_PAGE_ORDER, Node, Zone
from kmm_sim.mm.page import Page
from kmm_sim.mm.page_flags import (
    PAGE_FLAGS_CHECK_AT_FREE,
    PAGE_FLAGS_CHECK_AT_PREP,
    PG_HEAD,
    PageType,
    format_page_flags,
)

__all__ = [
    "bad_free",
    "bad_page",
    "block_around",
    "check_new_pages",
    "compound_head",
    "dump_page",
    "free_pages_prepare",
    "page_bad_reason",
    "page_expected_state",
]

DEFERRED_LIST, HUGETLB = 2, 3
"""The tails in which a list head and notes of huge pages lie, where the others have TAIL_MAPPING."""
LIST_POISON1 = 0xDEAD_0000_0000_0100
LIST_POISON2 = 0xDEAD_0000_0000_0122


def page_expected_state(page: Page) -> bool:
    """Return whether a page that comes back looks unused but for its owner's reference.

    Linux: page_expected_state(), mm/page_alloc.c
    """
    return not (page.mapcount or page.mapping or page.flags & PAGE_FLAGS_CHECK_AT_FREE)


def page_bad_reason(page: Page, flags: int) -> str | None:
    """Return why a page does not look unused, in the kernel's words, or None if it does.

    Linux: page_bad_reason(), mm/page_alloc.c
    """
    reason = None
    if page.mapcount or page.buddy_order is not None:
        reason = "nonzero mapcount"
    if page.mapping:
        reason = "non-NULL mapping"
    if page.refcount:
        reason = "nonzero _refcount"
    if page.flags & flags:
        at = "PREP" if flags == PAGE_FLAGS_CHECK_AT_PREP else "FREE"
        reason = f"PAGE_FLAGS_CHECK_AT_{at} flag(s) set"
    return reason


def bad_page(node: Node, page: Page, reason: str) -> None:
    """Write to the log that a page does not look as it should.

    Linux: bad_page(), mm/page_alloc.c
    """
    node.dmesg.append(f"BUG: Bad page state in process {node.current.comm}  pfn:{page.pfn:05x}")
    node.dmesg += dump_page(page)
    node.dmesg.append(f"page dumped because: {reason}")
    if node.trace is not None:
        node.trace.emit(BadPage(page.pfn, reason))


def dump_page(page: Page) -> list[str]:
    """Return the lines in which the kernel describes a page.

    Linux: __dump_folio(), mm/debug.c
    """
    buddy = page.buddy_order is not None
    lines = [
        f"page: refcount:{page.refcount} mapcount:{page.mapcount} mapping:{page.mapping:016x} "
        f"index:{page.index:#x} pfn:{page.pfn:#x}"
    ]
    if page.mapping:
        lines.append(f"invalid mapping:{page.mapping:016x}")
    lines.append(f"flags: {format_page_flags(page.flags)}")
    if buddy:
        lines.append(f"page_type: {int(PageType.BUDDY):x}(buddy)")
    words = _words(page)
    lines += ["raw: " + " ".join(f"{word:016x}" for word in words[at : at + 4]) for at in (0, 4)]
    return lines


def _words(page: Page) -> list[int]:
    """Return the 64 bytes of a struct page, as eight words.

    The list pointers are those of a page that was taken off a list, poisoned so that nobody
    follows them; an allocated page has had the first one cleared.
    """
    next_ = 0 if page.order >= 0 or page.refcount >= 0 else LIST_POISON1
    mapcount = int(PageType.BUDDY) << 24 if page.buddy_order is not None else page.mapcount - 1
    counts = (page.refcount & 0xFFFF_FFFF) << 32 | mapcount & 0xFFFF_FFFF
    return [page.flags, next_, LIST_POISON2, page.mapping, page.index, page.private, counts, 0]


def check_new_pages(zone: Zone, pfn: int, order: int) -> bool:
    """Return whether a block that is about to be handed out has a bad page; report the first.

    Only pages that somebody touched while they were free are looked at.

    Linux: check_new_pages(), mm/page_alloc.c
    """
    node = zone.node
    assert node is not None  # every zone belongs to one
    for frame in sorted(zone.suspects & set(range(pfn, pfn + (1 << order)))):
        zone.suspects.discard(frame)
        page = node.page(frame)
        reason = page_bad_reason(page, PAGE_FLAGS_CHECK_AT_PREP)
        if reason:
            bad_page(node, page, reason)
            zone.nr_unaccounted += 1 << order
            return True
    return False


def free_pages_prepare(node: Node, page: Page, order: int) -> bool:
    """Get a block that nobody refers to any more ready to be free; False if it must not be.

    Linux: free_pages_prepare(), mm/page_alloc.c
    """
    if node.trace is not None:
        node.trace.note(MmPageFree, page.pfn, order)
    held, page.order = 1 << page.order if page.order >= 0 else 0, -1
    if not node.teaching and _any_bad(node, page, order, held):  # a teacher has looked before
        page.zone.nr_unaccounted += held
        return False
    page.zone.nr_unaccounted += held - (1 << order)  # of too small an order, the rest is lost
    page.flags &= ~PAGE_FLAGS_CHECK_AT_PREP
    page.private = 0
    if node.init_on_free:
        node.memory.clear_pages(page.pfn, order)
    if node.page_poison:
        node.memory.poison_pages(page.pfn, order)
    return True


def _any_bad(node: Node, page: Page, order: int, held: int) -> bool:
    """Report all pages of a block that do not look unused; of a compound page also those that are none of its tails."""
    bad = 0
    for nth in range(1, 1 << order):
        if page.flags & PG_HEAD and nth >= held:
            bad += _bad_tail(node, page.pfn + nth, nth)
        bad += _is_bad(node, node.mem_map.get(page.pfn + nth))
    return bad + _is_bad(node, page) > 0


def _bad_tail(node: Node, pfn: int, nth: int) -> bool:
    """Report the page in the place of the ``nth`` tail of a compound page whose tail it is not.

    What the kernel sees first depends on the place: fields of the whole lie in the first tails.

    Linux: free_tail_page_prepare(), mm/page_alloc.c
    """
    page, owner = node.pfn_to_page(pfn), block_around(node, pfn)
    if page is None:
        return False
    place = pfn - owner.pfn if owner is not None and owner.flags & PG_HEAD else 0  # 0: nobody's tail
    reason = "compound_head not consistent" if place else "PageTail not set"
    if nth == DEFERRED_LIST and place != DEFERRED_LIST:
        reason = "on deferred list"
    elif nth > HUGETLB and place <= DEFERRED_LIST:
        reason = "corrupted mapping in tail page"
    bad_page(node, page, reason)
    return True


def _is_bad(node: Node, page: Page | None) -> bool:
    """Report a page that comes back and does not look unused; one never touched does."""
    reason = page and page_bad_reason(page, PAGE_FLAGS_CHECK_AT_FREE)
    if page is None or not reason:
        return False
    bad_page(node, page, reason)
    return True


def compound_head(node: Node, page: Page) -> Page:
    """Return the first page of the compound page that ``page`` is part of, or ``page`` itself.

    Linux: compound_head(), include/linux/page-flags.h
    Simplified: the kernel writes the head's address, and TAIL_MAPPING, into every tail; we look for
    the head.  So a tail of somebody else's compound page stays one when it is reported.
    """
    owner = block_around(node, page.pfn)
    return owner if owner is not None and owner.flags & PG_HEAD else page


def block_around(node: Node, pfn: int) -> Page | None:
    """Return the first page of the allocation that contains ``pfn``, or None.

    Linux: no counterpart; only a compound page can be told from its tail
    """
    for order in range(MAX_PAGE_ORDER + 1):
        page = node.mem_map.get(pfn >> order << order)
        if page is not None and pfn < page.pfn + (1 << page.order if page.order >= 0 else 0):
            return page
    return None


def bad_free(node: Node, page: Page | None, order: int) -> str | None:
    """Return what is wrong with freeing these pages, in a sentence, or None.

    Linux: no counterpart; it learns of most of these mistakes later, or never
    """
    if page is None:
        return "free of NULL: the allocation before it failed and nobody looked at the answer"
    if page.order < 0:
        return _not_held(node, page)
    if page.pfn in node.slab_pages:
        return f"slab page: pfn {page.pfn} belongs to a slab allocator, which alone gives it back; free its objects"
    if page.order != order:
        return (
            f"wrong order: pfn {page.pfn} was allocated with order {page.order} "
            f"({1 << page.order} pages) and freed with order {order} ({1 << order} pages)"
        )
    if page.refcount > 1:
        return (
            f"still in use: pfn {page.pfn} has {page.refcount} references, one for each "
            "get_page(); each is given back with put_page()"
        )
    page.refcount -= 1
    reason = page_bad_reason(page, PAGE_FLAGS_CHECK_AT_FREE)
    page.refcount += 1
    return f"bad page state: pfn {page.pfn} comes back with {reason}" if reason else None


def _not_held(node: Node, page: Page) -> str:
    owner = block_around(node, page.pfn)
    if owner is not None:
        return (
            f"tail page: pfn {page.pfn} lies inside the block of order {owner.order} that begins "
            f"at pfn {owner.pfn}; a block is freed by its first page"
        )
    return f"double free: pfn {page.pfn} is free already; nobody holds it"
