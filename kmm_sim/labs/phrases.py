# SPDX-License-Identifier: GPL-2.0-only
"""Every word that a lab shows, in one place, to be read over or translated.

A phrase has a name and gaps.  What travels to the browser is the name and what goes into
the gaps, ``["says.merge", 0, 2]``; the phrases themselves travel once.  The gaps are those
of ``str.format``, and of its formats ``{:#x}`` and ``{:6}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kmm_sim.catalogue import _

__all__ = ["BENCH", "BUDDY", "PHRASES", "render"]

BENCH: Mapping[str, str] = MappingProxyType(
    {
        # The bench itself
        "play": _("Play"),
        "pause": _("Pause"),
        "to_start": _("To the start"),
        "step_back": _("One event back"),
        "step": _("One event on"),
        "to_end": _("To the end"),
        "undo": _("Undo"),
        "undo.title": _("Back to before this call"),
        "reset": _("Reset"),
        "reset.title": _("The recorded run, from its start"),
        "speed": _("Speed of play"),
        "scrub": _("Event"),
        "event": _("event {0} of {1}"),
        "event.short": "{0} / {1}",
        "less": _("less"),
        "more": _("more"),
        "log": _("Trace"),
        "as_text": _("The state as text"),
        "hand": _("in hand"),
        "empty": _("empty"),
        "none_held": _("nothing held"),
        "ready": _("Press play, or step: {0} events were recorded. Then make calls of your own."),
        "ready.one": _("Press play, or step: one event was recorded. Then make calls of your own."),
        "nothing_yet": _("Nothing yet. What the calls bring about appears here: press play, or make a call."),
        "ready.none": _("Make the first call."),
        "past": _("Now at event {0} of {1}: a call made here replaces what came after."),
        "starting": _("Python is starting: your request runs as soon as it is up."),
        "starting.many": _("Python is starting: your {0} requests run as soon as it is up."),
        "failed": _("Python could not start here, so the recorded run is all there is. Reload to try again."),
        "no_answer": _("No answer from Python: it is busy with another cell, or was stopped. "
        "The timeline works; to go on, run this cell again."),
        "error": _("Not done: {0}"),
        "part.failed": _("Not done: a part of this page did not load. Press again, or reload."),
        # Redo, seed, links, what can be saved
        "redo": _("Redo"),
        "redo.title": _("On to the end of this call, or of the next one that was undone"),
        "seed": _("seed"),
        "seed.label": _("seed: another number, other random traffic, always the same for the same number"),
        "link": _("Copy link"),
        "link.title": _("Copy a link to this lab as it is now"),
        "link.copied": _("Copied: whoever opens the link finds this lab as it is now."),
        "link.copied.code": _("Copied: run it in a cell, and the lab opens as it is now."),
        "link.shown": _("The address of this page is now a link to this lab as it is; copy it from there."),
        "link.shown.code": _("The link to this lab as it is now: {0}"),
        "link.long": _("This run is too long for a link ({0} calls): save it as JSON instead."),
        "link.waits": _("This link holds a state of this lab: it is shown as soon as Python is up."),
        "link.error": _("The link could not be opened: {0}. This is the lab as it always begins."),
        "svg": "SVG",
        "svg.title": _("Save the picture as an SVG file"),
        "json": "JSON",
        "json.title": _("Save the run as a JSON file: settings, calls, events"),
        "saved": _("Saved: {0}"),
        # Predict, then reveal
        "predict": _("Predict"),
        "predict.title": _("Say what will happen before you are shown it"),
        "predict.next": _("Go on"),
        "predict.score": _("{0} of {1} right"),
        "predict.right": _("Right."),
        "predict.wrong": _("No: {0}"),
        "predict.done": _("Nothing is left to predict. Make a call, or start over."),
        "predict.call": _("Next call: {0}"),
        "ask.next": _("What happens next?"),
        # What is in its panels
        "mark.yes": _("true"),
        "mark.no": _("false"),
        "mark.now": _("now"),
        "mark.skip": _("not asked"),
        "step.todo": _("not reached"),
        "step.now": _("now"),
        "step.done": _("done"),
        "step.failed": _("failed"),
        "step.skipped": _("passed over"),
        "slot": _("{0}, slot {1}"),
        "slot.free": _("free"),
        "slot.next": _("free, the next free one is slot {0}"),
        "slot.last": _("free, the last of the freelist"),
        "box.used": _("{0} of {1} in use"),
        "box.chain": _("freelist"),
        "bytes.same": _("{0} bytes of {1}"),
        "bytes.span": _("{0}, {1} bytes from offset {2}"),
        "map.in": _("Closer"),
        "map.out": _("Farther"),
        "map.keys": _("{0}: a map. Arrow keys move, plus and minus zoom, Enter goes closer and then chooses the page"),
        "map.range": _("pfn {0} to {1}"),
        "map.shown": _("Shown, pfn {0} to {1}:"),
        "plot.read": _("{0}: read the values"),
        "plot.series": _("{0} values, from {1} to {2}, now {3}"),
        # Calls, as C
        "call.other": _("a call made elsewhere"),
        "notes": "{0}, {1}",
        # Memory and lists
        "lists": _("Free lists"),
        "order": _("order {0}"),
        "legend.free": _("free"),
        "legend.hand": _("in hand"),
        "block": "{at}",
        "block.order": _("order {order}"),
        "block.free": _("pfn {at} to {last}, order {order}: free"),
        "block.used": _("pfn {at} to {last}, order {order}: allocated, {kind}"),
        "block.hand": _("pfn {at} to {last}, order {order}: in hand, on no list"),
        "block.cpu": _("pfn {at} to {last}, order {order}: free, on a CPU’s own list"),
        "block.cpu.one": _("pfn {at}, order {order}: free, on a CPU’s own list"),
        "block.free.one": _("pfn {at}, order {order}: free"),
        "block.used.one": _("pfn {at}, order {order}: allocated, {kind}"),
        "block.hand.one": _("pfn {at}, order {order}: in hand, on no list"),
        "press": _("{0}. Press: {1}."),
        "pfn": _("pfn {at}"),
        # What an event means (says.), and the line that ftrace would show (log.)
        "says.other": "{1}",
        "log.other": "{0}",
    }
)
"""What the script of a lab says by itself: it is there from the start, all else comes with what says it."""

BUDDY: Mapping[str, str] = MappingProxyType(
    {
        # Predict, then reveal
        "ask.pfn": _("Which page frame does the caller get?"),
        "ask.splits": _("How many times is a block split?"),
        "ask.merges": _("How many merges follow?"),
        "ask.served": _("Is there a block for it?"),
        "ask.yes": _("yes"),
        "ask.null": _("no, the caller gets NULL"),
        # Calls, as C
        "call.alloc": "alloc_pages({0}, {1})",
        "call.free": "__free_pages(pfn_to_page({0}), {1})",
        "alloc.prototype": "struct page *alloc_pages(gfp_t gfp, unsigned int order);",
        "free.prototype": "void __free_pages(struct page *page, unsigned int order);",
        "alloc.button": _("Allocate"),
        "free.button": _("Free"),
        "gfp.label": _("gfp: what kind of memory, and how hard to try"),
        "order.label": _("order: 2 to this power is the number of pages"),
        "page.label": _("page: the block to free"),
        "order.one": _("1 page, 4 KiB"),
        "order.many": _("{0} pages, {1}"),
        "hint": _("or click a filled block"),
        # Memory and lists
        "memory": _("Memory"),
        "memory.zone": _("Memory, zone {0}"),
        "memory.note": _("{0} pages of 4 KiB"),
        "lists.zone": _("Free lists, zone {0}"),
        "lists.note": _("head first"),
        "order.type": _("order {0} {1}"),
        "pcp": _("cpu {0}: {1} {2}"),
        "kind.U": _("unmovable"),
        "kind.M": _("movable"),
        "kind.E": _("reclaimable"),
        "pfn.plain": _("pfn {0}"),
        "buddyinfo.title": "/proc/buddyinfo",
        "buddyinfo": "Node {0}, zone {1:>8} {2:6} {3:6} {4:6} {5:6} {6:6} {7:6} {8:6} {9:6} {10:6} {11:6} {12:6} ",
        "title": _("The buddy allocator, step by step"),
        # What an event means (says.), and the line that ftrace would show (log.)
        "says.alloc": _("The caller gets pfn {0}, order {1}: pages {0} to {4}."),
        "log.alloc": "mm_page_alloc: pfn={0:#x} order={1} migratetype={2} gfp_flags={3}",
        "says.alloc_one": _("The caller gets the page at pfn {0}."),
        "log.alloc_one": "mm_page_alloc: pfn={0:#x} order={1} migratetype={2} gfp_flags={3}",
        "says.alloc_failed": _("No block of order {1} or larger is free for {3}: the caller gets NULL."),
        "log.alloc_failed": "mm_page_alloc: page=0000000000000000 pfn={0:#x} order={1} migratetype={2} gfp_flags={3}",
        "says.free": _("The caller gives pfn {0} back: a block of order {1} is in hand."),
        "log.free": "mm_page_free: pfn={0:#x} order={1}",
        "says.del": _("pfn {1} leaves order {2}’s list: the block is in hand."),
        "log.del": "sim_free_list_del: zone={0} pfn={1:#x} order={2} migratetype={3}",
        "says.split": _("Split pfn {1}: order {4} becomes two of order {2}; "
        "pfn {5} waits at the head of order {2}’s list."),
        "log.split": "sim_split: zone={0} pfn={1:#x} order={2} migratetype={3}",
        "says.merge": _("Merge pfn {1} and its buddy pfn {3}, both free, both of order {2}: "
        "now pfn {6}, order {5}."),
        "log.merge": "sim_merge: zone={0} pfn={1:#x} order={2} buddy={3:#x} migratetype={4}",
        "says.add": _("pfn {1} goes to the head of order {2}’s list: the next to be used."),
        "log.add": "sim_free_list_add: zone={0} pfn={1:#x} order={2} migratetype={3} tail={4}",
        "says.add_tail": _("pfn {1} goes to the tail of order {2}’s list, to be used last: it may soon merge further."),
        "log.add_tail": "sim_free_list_add: zone={0} pfn={1:#x} order={2} migratetype={3} tail={4}",
        "says.move": _("pfn {1}, order {2}, goes over to the tail of the list of type {4}."),
        "log.move": "sim_free_list_move: zone={0} pfn={1:#x} order={2} migratetype={3} to={4}",
        "says.extfrag": _("The request of order {1} is served from another type’s block of order {2}, at pfn {0}."),
        "log.extfrag": "mm_page_alloc_extfrag: pfn={0:#x} alloc_order={1} fallback_order={2} "
        "alloc_migratetype={3} fallback_migratetype={4} change_ownership={5}",
        "says.pageblock": _("The pageblock at pfn {1} is of type {2} now."),
        "log.pageblock": "sim_set_pageblock: zone={0} pfn={1:#x} migratetype={2}",
        "says.pcp_add": _("pfn {2}, order {3}, goes on CPU {1}’s own list, out of the buddy system’s sight."),
        "log.pcp_add": "sim_pcp_add: zone={0} cpu={1} pfn={2:#x} order={3} migratetype={4} tail={5}",
        "says.pcp_del": _("pfn {2}, order {3}, leaves CPU {1}’s own list: the block is in hand."),
        "log.pcp_del": "sim_pcp_del: zone={0} cpu={1} pfn={2:#x} order={3} migratetype={4}",
        "says.drain": _("pfn {0}, order {1}, goes from a CPU’s own list back to the buddy system."),
        "log.drain": "mm_page_pcpu_drain: pfn={0:#x} order={1} migratetype={2}",
        "says.split_page": _("The block at pfn {0}, order {1}, becomes single pages, each to be freed on its own."),
        "log.split_page": "sim_split_page: pfn={0:#x} order={1}",
    }
)
"""What labs of the page allocator say, block by block."""

PHRASES: Mapping[str, str] = MappingProxyType({**BENCH, **BUDDY})


def render(name: str, *gaps: object, **named: object) -> str:
    """Return the phrase ``name`` with its gaps filled.  Raises KeyError for a name not here."""
    return PHRASES[name].format(*gaps, **named)
