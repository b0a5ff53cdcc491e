# SPDX-License-Identifier: GPL-2.0-only
"""What an event of the slab layer means, in a sentence."""

from __future__ import annotations

from typing import Any

from kmm_sim.labs.buddy import BuddyLab
from kmm_sim.labs.phrases import render
from kmm_sim.labs.view import Called
from kmm_sim.mm.events import MmPageAlloc, MmPageFree
from kmm_sim.mm.slab_events import (
    ArrayFill,
    ArrayFlush,
    ArrayTransfer,
    CpuPartialAdd,
    CpuPartialDel,
    CpuSlabLoad,
    CpuSlabUnload,
    FreelistBroken,
    KmemCacheAlloc,
    KmemCacheFree,
    ObjectGet,
    ObjectPut,
    PartialAdd,
    PartialDel,
    SheafFill,
    SheafFlush,
    SheafMove,
    SlabDiscard,
    SlabList,
    SlabNew,
    SlobAlloc,
    SlobFree,
    SlobPageGone,
    SlobPageNew,
)
from kmm_sim.trace import Event

__all__ = ["tell"]

SOURCES = {
    "own": "CPU {0} takes what others freed in its own slab {1}.",
    "cpu partial": "CPU {0} goes on with slab {1}, which it had put aside.",
    "node partial": "CPU {0} takes slab {1} from the node’s partial list.",
    "new": "CPU {0} takes the new slab {1} for itself, with all its free objects.",
}


def tell(event: Event) -> tuple[Any, ...]:
    """Return an event as a phrase: its line in the trace, and a sentence."""
    line = "(nothing traced)" if isinstance(event, Called) else str(event)
    return "other", line, _sentence(event)


def _sentence(event: Event) -> str:
    match event:
        case MmPageAlloc(None):
            return "The page allocator has no such block: NULL."
        case MmPageAlloc(pfn, order):
            return f"The page allocator gives {_pages(order)}, from pfn {pfn} on."
        case MmPageFree(pfn, order):
            return f"{_pages(order).capitalize()} from pfn {pfn} on go back to the page allocator."
        case SlabNew(_, pfn, _, freelist):
            return f"They become slab {pfn}: {len(freelist)} objects, all free, each pointing to the next."
        case SlabDiscard(_, pfn, _):
            return f"Slab {pfn} is empty, and one too many: it is a slab no more."
        case CpuSlabLoad(_, cpu, pfn, source):
            return SOURCES[source].format(cpu, pfn)
        case CpuSlabUnload(_, cpu, pfn):
            return f"CPU {cpu} lets go of slab {pfn}."
        case FreelistBroken(_, _, pfn):
            return f"The freelist of slab {pfn} is broken: what it leads to only the bytes know."
        case CpuPartialAdd(_, cpu, pfn):
            return f"CPU {cpu} puts slab {pfn} aside: it has a free object now."
        case CpuPartialDel(_, cpu, pfn):
            return f"Slab {pfn} leaves the slabs that CPU {cpu} has put aside."
        case PartialAdd(_, pfn, tail):
            return f"Slab {pfn} goes to the {'tail' if tail else 'head'} of the node’s partial list."
        case PartialDel(_, pfn):
            return f"Slab {pfn} leaves the node’s partial list."
        case ObjectGet(_, _, pfn, index):
            return f"Object {index} of slab {pfn} is the caller’s."
        case ObjectPut(_, cpu, pfn, index):
            return f"Object {index} of slab {pfn} is free again{_whose(cpu)}."
        case SheafMove(_, sheaf, "", to):
            return f"Sheaf {sheaf}, new and empty, becomes {_place(to)}."
        case SheafMove(_, sheaf, _, ""):
            return f"Sheaf {sheaf} is given up."
        case SheafMove(_, sheaf, source, to):
            return f"Sheaf {sheaf}, until now {_place(source)}, becomes {_place(to)}."
        case SheafFill(_, sheaf, pfn, index):
            return f"Object {index} of slab {pfn} moves into sheaf {sheaf}."
        case SheafFlush(_, sheaf, pfn, index):
            return f"Object {index} goes from sheaf {sheaf} back into slab {pfn}."
        case _:
            return _older(event)


def _older(event: Event) -> str:
    """The sentences of SLAB and SLOB, and of calls."""
    match event:
        case SlabList(_, pfn, to, tail):
            return f"Slab {pfn} goes to the {'tail' if tail else 'head'} of the list {to}."
        case ArrayFill(_, cpu, pfn, index):
            return f"Object {index} of slab {pfn} moves into CPU {cpu}’s array."
        case ArrayFlush(_, _, pfn, index):
            return f"Object {index} goes from the array back into slab {pfn}."
        case ArrayTransfer(_, cpu, count, True):
            return f"CPU {cpu}’s array is full: its {count} oldest objects go to the shared one."
        case ArrayTransfer(_, cpu, count, False):
            return f"CPU {cpu}’s array is empty: {count} objects come from the shared one."
        case SlobPageNew(pfn, name):
            return f"Page {pfn} becomes SLOB’s, on the list {name}: one free block."
        case SlobPageGone(pfn):
            return f"Page {pfn} is all free and goes back at once."
        case SlobAlloc(pfn, offset, size, name):
            return f"{size} bytes are cut from page {pfn} at {offset}: the first block on the list {name} that fits."
        case SlobFree(pfn, offset, size):
            return f"{size} bytes of page {pfn} at {offset} are free again, and join what is free beside them."
        case KmemCacheAlloc(0):
            return "The caller gets NULL."
        case KmemCacheAlloc(ptr):
            return f"The caller gets {ptr:#x}."
        case KmemCacheFree(ptr, cache):
            return f"The caller gives {ptr:#x} back to {cache}."
        case Called():
            return "Nothing happens: there was nothing to do."
    name, *gaps = BuddyLab().tell(event)  # the page allocator's are told as the buddy lab tells them
    return render(f"says.{name}", *gaps)


def _place(place: str) -> str:
    """Where a sheaf is, in words: CPU 0's main sheaf, a full sheaf of the barn."""
    owner, _, which = place.rpartition(" ")
    if owner == "barn":
        return "an empty sheaf of the barn" if which == "empty" else "a full sheaf of the barn"
    return f"{owner.replace('cpu', 'CPU')}’s {which} sheaf"


def _pages(order: int) -> str:
    return f"{1 << order} pages" if order else "one page"


def _whose(cpu: int) -> str:
    return f", the next that CPU {cpu} hands out" if cpu >= 0 else ", in a slab that is not this CPU’s own"
