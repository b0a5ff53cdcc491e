# SPDX-License-Identifier: GPL-2.0-only
"""What an event of the slab layer means, in a sentence."""

from __future__ import annotations

from typing import Any

from kmm_sim.catalogue import _
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
    "own": _("CPU {0} takes what others freed in its own slab {1}."),
    "cpu partial": _("CPU {0} goes on with slab {1}, which it had put aside."),
    "node partial": _("CPU {0} takes slab {1} from the node’s partial list."),
    "new": _("CPU {0} takes the new slab {1} for itself, with all its free objects."),
}


def tell(event: Event) -> tuple[Any, ...]:
    """Return an event as a phrase: its line in the trace, and a sentence."""
    line = "(nothing traced)" if isinstance(event, Called) else str(event)
    return "other", line, _sentence(event)


def _sentence(event: Event) -> str:
    match event:
        case MmPageAlloc(None):
            return _("The page allocator has no such block: NULL.")
        case MmPageAlloc(pfn, order):
            return _("The page allocator gives {pages}, from pfn {pfn} on.", pages=_pages(order), pfn=pfn)
        case MmPageFree(pfn, order):
            return _("{pages} from pfn {pfn} on go back to the page allocator.",
                     pages=_pages(order).capitalize(), pfn=pfn)
        case SlabNew(_, pfn, _, freelist):
            return _("They become slab {pfn}: {n} objects, all free, each pointing to the next.",
                     pfn=pfn, n=len(freelist))
        case SlabDiscard(_, pfn, _):
            return _("Slab {pfn} is empty, and one too many: it is a slab no more.", pfn=pfn)
        case CpuSlabLoad(_, cpu, pfn, source):
            return SOURCES[source].format(cpu, pfn)
        case CpuSlabUnload(_, cpu, pfn):
            return _("CPU {cpu} lets go of slab {pfn}.", cpu=cpu, pfn=pfn)
        case FreelistBroken(_, _, pfn):
            return _("The freelist of slab {pfn} is broken: what it leads to only the bytes know.", pfn=pfn)
        case CpuPartialAdd(_, cpu, pfn):
            return _("CPU {cpu} puts slab {pfn} aside: it has a free object now.", cpu=cpu, pfn=pfn)
        case CpuPartialDel(_, cpu, pfn):
            return _("Slab {pfn} leaves the slabs that CPU {cpu} has put aside.", pfn=pfn, cpu=cpu)
        case PartialAdd(_, pfn, tail):
            if tail:
                return _("Slab {pfn} goes to the tail of the node’s partial list.", pfn=pfn)
            return _("Slab {pfn} goes to the head of the node’s partial list.", pfn=pfn)
        case PartialDel(_, pfn):
            return _("Slab {pfn} leaves the node’s partial list.", pfn=pfn)
        case ObjectGet(_, _, pfn, index):
            return _("Object {index} of slab {pfn} is the caller’s.", index=index, pfn=pfn)
        case ObjectPut(_, cpu, pfn, index):
            return _("Object {index} of slab {pfn} is free again{whose}.", index=index, pfn=pfn, whose=_whose(cpu))
        case SheafMove(_, sheaf, "", to):
            return _("Sheaf {sheaf}, new and empty, becomes {place}.", sheaf=sheaf, place=_place(to))
        case SheafMove(_, sheaf, _, ""):
            return _("Sheaf {sheaf} is given up.", sheaf=sheaf)
        case SheafMove(_, sheaf, source, to):
            return _("Sheaf {sheaf}, until now {source}, becomes {place}.",
                     sheaf=sheaf, source=_place(source), place=_place(to))
        case SheafFill(_, sheaf, pfn, index):
            return _("Object {index} of slab {pfn} moves into sheaf {sheaf}.", index=index, pfn=pfn, sheaf=sheaf)
        case SheafFlush(_, sheaf, pfn, index):
            return _("Object {index} goes from sheaf {sheaf} back into slab {pfn}.",
                     index=index, sheaf=sheaf, pfn=pfn)
        case _:
            return _older(event)


def _older(event: Event) -> str:
    """The sentences of SLAB and SLOB, and of calls."""
    match event:
        case SlabList(_, pfn, to, tail):
            if tail:
                return _("Slab {pfn} goes to the tail of the list {to}.", pfn=pfn, to=to)
            return _("Slab {pfn} goes to the head of the list {to}.", pfn=pfn, to=to)
        case ArrayFill(_, cpu, pfn, index):
            return _("Object {index} of slab {pfn} moves into CPU {cpu}’s array.", index=index, pfn=pfn, cpu=cpu)
        case ArrayFlush(_, _, pfn, index):
            return _("Object {index} goes from the array back into slab {pfn}.", index=index, pfn=pfn)
        case ArrayTransfer(_, cpu, count, True):
            return _("CPU {cpu}’s array is full: its {count} oldest objects go to the shared one.",
                     cpu=cpu, count=count)
        case ArrayTransfer(_, cpu, count, False):
            return _("CPU {cpu}’s array is empty: {count} objects come from the shared one.", cpu=cpu, count=count)
        case SlobPageNew(pfn, name):
            return _("Page {pfn} becomes SLOB’s, on the list {name}: one free block.", pfn=pfn, name=name)
        case SlobPageGone(pfn):
            return _("Page {pfn} is all free and goes back at once.", pfn=pfn)
        case SlobAlloc(pfn, offset, size, name):
            return _("{size} bytes are cut from page {pfn} at {offset}: "
                     "the first block on the list {name} that fits.",
                     size=size, pfn=pfn, offset=offset, name=name)
        case SlobFree(pfn, offset, size):
            return _("{size} bytes of page {pfn} at {offset} are free again, and join what is free beside them.",
                     size=size, pfn=pfn, offset=offset)
        case KmemCacheAlloc(0):
            return _("The caller gets NULL.")
        case KmemCacheAlloc(ptr):
            return _("The caller gets {ptr:#x}.", ptr=ptr)
        case KmemCacheFree(ptr, cache):
            return _("The caller gives {ptr:#x} back to {cache}.", ptr=ptr, cache=cache)
        case Called():
            return _("Nothing happens: there was nothing to do.")
    name, *gaps = BuddyLab().tell(event)  # the page allocator's are told as the buddy lab tells them
    return render(f"says.{name}", *gaps)


def _place(place: str) -> str:
    """Where a sheaf is, in words: CPU 0's main sheaf, a full sheaf of the barn."""
    owner, _space, which = place.rpartition(" ")
    if owner == "barn":
        return _("an empty sheaf of the barn") if which == "empty" else _("a full sheaf of the barn")
    cpu = owner.replace("cpu", "CPU")
    return _("{cpu}’s main sheaf", cpu=cpu) if which == "main" else _("{cpu}’s spare sheaf", cpu=cpu)


def _pages(order: int) -> str:
    return _("{count} pages", count=1 << order) if order else _("one page")


def _whose(cpu: int) -> str:
    if cpu >= 0:
        return _(", the next that CPU {cpu} hands out", cpu=cpu)
    return _(", in a slab that is not this CPU’s own")
