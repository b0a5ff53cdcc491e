# SPDX-License-Identifier: GPL-2.0-only
"""Every word that a lab shows, in one place, to be read over or translated.

A phrase has a name and gaps.  What travels to the browser is the name and what goes into
the gaps, ``["says.merge", 0, 2]``; the phrases themselves travel once.  The gaps are those
of ``str.format``, and of its formats ``{:#x}`` and ``{:6}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["PHRASES", "render"]

PHRASES: Mapping[str, str] = MappingProxyType(
    {
        # The bench itself
        "play": "Play",
        "pause": "Pause",
        "to_start": "To the start",
        "step_back": "One event back",
        "step": "One event on",
        "to_end": "To the end",
        "undo": "Undo",
        "undo.title": "Back to before this call",
        "reset": "Reset",
        "reset.title": "The recorded run, from its start",
        "speed": "Speed of play",
        "scrub": "Event",
        "event": "event {0} of {1}",
        "event.short": "{0} / {1}",
        "less": "less",
        "more": "more",
        "log": "Trace",
        "as_text": "The state as text",
        "hand": "in hand",
        "empty": "empty",
        "nothing": "nothing",
        "none_held": "nothing held",
        "ready": "Press play, or step: {0} events were recorded. Then make calls of your own.",
        "ready.none": "Make the first call.",
        "past": "Now at event {0} of {1}: a call made here replaces what came after.",
        "starting": "Python is starting: your request runs as soon as it is up.",
        "starting.many": "Python is starting: your {0} requests run as soon as it is up.",
        "failed": "Python could not start here, so the recorded run is all there is. Reload to try again.",
        "working": "Python is at work …",
        "no_answer": "No answer from Python: it is busy with another cell, or was stopped. "
        "The timeline works; to go on, run this cell again.",
        "error": "Not done: {0}",
        # Calls, as C
        "call.alloc": "alloc_pages({0}, {1})",
        "call.free": "__free_pages(pfn_to_page({0}), {1})",
        "call.other": "a call made elsewhere",
        "alloc.prototype": "struct page *alloc_pages(gfp_t gfp, unsigned int order);",
        "free.prototype": "void __free_pages(struct page *page, unsigned int order);",
        "alloc.button": "Allocate",
        "free.button": "Free",
        "gfp.label": "gfp: what kind of memory, and how hard to try",
        "order.label": "order: 2 to this power is the number of pages",
        "notes": "{0}, {1}",
        "page.label": "page: the block to free",
        "order.one": "1 page, 4 KiB",
        "order.many": "{0} pages, {1}",
        "hint": "or click a filled block",
        # Memory and lists
        "memory": "Memory",
        "memory.zone": "Memory, zone {0}",
        "memory.note": "{0} pages of 4 KiB",
        "lists": "Free lists",
        "lists.zone": "Free lists, zone {0}",
        "lists.note": "head first",
        "order": "order {0}",
        "order.type": "order {0} {1}",
        "pcp": "cpu {0}: {1} {2}",
        "legend.free": "free",
        "legend.hand": "in hand",
        "kind.U": "unmovable",
        "kind.M": "movable",
        "kind.E": "reclaimable",
        "block": "{at}",
        "block.order": "order {order}",
        "block.free": "pfn {at} to {last}, order {order}: free",
        "block.used": "pfn {at} to {last}, order {order}: allocated, {kind}",
        "block.hand": "pfn {at} to {last}, order {order}: in hand, on no list",
        "block.cpu": "pfn {at} to {last}, order {order}: free, on a CPU’s own list",
        "block.cpu.one": "pfn {at}, order {order}: free, on a CPU’s own list",
        "block.free.one": "pfn {at}, order {order}: free",
        "block.used.one": "pfn {at}, order {order}: allocated, {kind}",
        "block.hand.one": "pfn {at}, order {order}: in hand, on no list",
        "block.press": "{0}. Press to free.",
        "pfn": "pfn {at}",
        "buddyinfo.title": "/proc/buddyinfo",
        "buddyinfo": "Node {0}, zone {1:>8} {2:6} {3:6} {4:6} {5:6} {6:6} {7:6} {8:6} {9:6} {10:6} {11:6} {12:6} ",
        "title": "The buddy allocator, step by step",
        # What an event means (says.), and the line that ftrace would show (log.)
        "says.alloc": "The caller gets pfn {0}, order {1}: pages {0} to {4}.",
        "log.alloc": "mm_page_alloc: pfn={0:#x} order={1} migratetype={2} gfp_flags={3}",
        "says.alloc_one": "The caller gets the page at pfn {0}.",
        "log.alloc_one": "mm_page_alloc: pfn={0:#x} order={1} migratetype={2} gfp_flags={3}",
        "says.alloc_failed": "No block of order {1} or larger is free for {3}: the caller gets NULL.",
        "log.alloc_failed": "mm_page_alloc: pfn={0:#x} order={1} migratetype={2} gfp_flags={3}",
        "says.free": "The caller gives pfn {0} back: a block of order {1} is in hand.",
        "log.free": "mm_page_free: pfn={0:#x} order={1}",
        "says.del": "pfn {1} leaves order {2}’s list: the block is in hand.",
        "log.del": "sim_free_list_del: zone={0} pfn={1:#x} order={2} migratetype={3}",
        "says.split": "Split pfn {1}: order {4} becomes two of order {2}; "
        "pfn {5} waits at the head of order {2}’s list.",
        "log.split": "sim_split: zone={0} pfn={1:#x} order={2} migratetype={3}",
        "says.merge": "Merge pfn {1} and its buddy pfn {3}, both free, both of order {2}: "
        "now pfn {6}, order {5}.",
        "log.merge": "sim_merge: zone={0} pfn={1:#x} order={2} buddy={3:#x} migratetype={4}",
        "says.add": "pfn {1} goes to the head of order {2}’s list: the next to be used.",
        "log.add": "sim_free_list_add: zone={0} pfn={1:#x} order={2} migratetype={3} tail={4}",
        "says.add_tail": "pfn {1} goes to the tail of order {2}’s list, to be used last: it may soon merge further.",
        "log.add_tail": "sim_free_list_add: zone={0} pfn={1:#x} order={2} migratetype={3} tail={4}",
        "says.move": "pfn {1}, order {2}, goes over to the tail of the list of type {4}.",
        "log.move": "sim_free_list_move: zone={0} pfn={1:#x} order={2} migratetype={3} to={4}",
        "says.extfrag": "The request of order {1} is served from another type’s block of order {2}, at pfn {0}.",
        "log.extfrag": "mm_page_alloc_extfrag: pfn={0:#x} alloc_order={1} fallback_order={2} "
        "alloc_migratetype={3} fallback_migratetype={4} change_ownership={5}",
        "says.pageblock": "The pageblock at pfn {1} is of type {2} now.",
        "log.pageblock": "sim_set_pageblock: zone={0} pfn={1:#x} migratetype={2}",
        "says.pcp_add": "pfn {2}, order {3}, goes on CPU {1}’s own list, out of the buddy system’s sight.",
        "log.pcp_add": "sim_pcp_add: zone={0} cpu={1} pfn={2:#x} order={3} migratetype={4} tail={5}",
        "says.pcp_del": "pfn {2}, order {3}, leaves CPU {1}’s own list: the block is in hand.",
        "log.pcp_del": "sim_pcp_del: zone={0} cpu={1} pfn={2:#x} order={3} migratetype={4}",
        "says.drain": "pfn {0}, order {1}, goes from a CPU’s own list back to the buddy system.",
        "log.drain": "mm_page_pcpu_drain: pfn={0:#x} order={1} migratetype={2}",
        "says.other": "{1}",
        "log.other": "{0}",
        "says.split_page": "The block at pfn {0}, order {1}, becomes single pages, each to be freed on its own.",
        "log.split_page": "sim_split_page: pfn={0:#x} order={1}",
    }
)


def render(name: str, *gaps: object, **named: object) -> str:
    """Return the phrase ``name`` with its gaps filled.  Raises KeyError for a name not here."""
    return PHRASES[name].format(*gaps, **named)
