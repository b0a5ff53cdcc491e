# SPDX-License-Identifier: GPL-2.0-only
"""The pages of SLOB: its three lists and the blocks in each page, and the same rebuilt from events.

    before = slob_snapshot(machine)
    ...
    slob_replay(before, machine.trace[start:]) == slob_snapshot(machine)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from kmm_sim.machine import Machine
from kmm_sim.mm.page import PAGE_SIZE
from kmm_sim.mm.slab_events import SlobAlloc, SlobFree, SlobPageGone, SlobPageNew
from kmm_sim.mm.slob import SLOB_BREAK1, SLOB_BREAK2, slob_state
from kmm_sim.trace import Event

__all__ = ["BlockPage", "SlobView", "slob_frames", "slob_replay", "slob_snapshot"]

LISTS = ("small", "medium", "large")


@dataclass(frozen=True, slots=True)
class BlockPage:
    """A page: its blocks in use, as (offset, bytes) by address.  ``on`` is its list, or "" if it is full."""

    pfn: int
    held: tuple[tuple[int, int], ...]
    on: str

    @property
    def free(self) -> tuple[tuple[int, int], ...]:
        """The free blocks, as (offset, bytes) by address: what lies between those in use."""
        ends = [0, *(offset + size for offset, size in self.held)]
        starts = [*(offset for offset, _size in self.held), PAGE_SIZE]
        return tuple((end, start - end) for end, start in zip(ends, starts, strict=True) if start > end)


@dataclass(frozen=True, slots=True)
class SlobView:
    """All pages by pfn, and the lists of those with room: the next search begins at a list's head."""

    lists: Mapping[str, tuple[int, ...]]
    pages: Mapping[int, BlockPage]


def slob_snapshot(machine: Machine) -> SlobView:
    """Return the pages of a machine that runs SLOB."""
    slabs = machine.slabs
    pages = {pfn: BlockPage(pfn, tuple(sorted(page.held.items())), page.on) for pfn, page in slabs.pages.items()}
    lists = {name: tuple(page.pfn for page in slob_state(slabs).lists[name]) for name in LISTS}
    return SlobView(MappingProxyType(lists), MappingProxyType(dict(sorted(pages.items()))))


def slob_replay(start: SlobView, events: Iterable[Event]) -> SlobView:
    """Return the pages after all events; those of the page allocator are passed over."""
    state = _State(start)
    for event in events:
        state.apply(event)
    return state.view()


def slob_frames(start: SlobView, events: Iterable[Event]) -> Iterator[SlobView]:
    """Yield the pages after each event in turn."""
    state = _State(start)
    for event in events:
        state.apply(event)
        yield state.view()


class _State:
    """Pages that can change."""

    def __init__(self, start: SlobView) -> None:
        self.lists = {name: list(start.lists[name]) for name in LISTS}
        self.held = {pfn: dict(page.held) for pfn, page in start.pages.items()}

    def view(self) -> SlobView:
        on = {pfn: name for name, pfns in self.lists.items() for pfn in pfns}
        pages = {
            pfn: BlockPage(pfn, tuple(sorted(self.held[pfn].items())), on.get(pfn, "")) for pfn in sorted(self.held)
        }
        lists = {name: tuple(self.lists[name]) for name in LISTS}
        return SlobView(MappingProxyType(lists), MappingProxyType(pages))

    def apply(self, event: Event) -> None:
        match event:
            case SlobPageNew(pfn, name):
                self.held[pfn] = {}
                self.lists[name].insert(0, pfn)
            case SlobPageGone(pfn):
                self._unlink(pfn)
                del self.held[pfn]
            case SlobAlloc(pfn, offset, size, name):
                self.held[pfn][offset] = size
                self._found(pfn, name)
            case SlobFree(pfn, offset, size):
                full = not any(pfn in pfns for pfns in self.lists.values())
                assert self.held[pfn].pop(offset) == size, f"{event}: no block of {size} bytes is in use there"
                if full:
                    self.lists[_list_for(size)].insert(0, pfn)

    def _found(self, pfn: int, name: str) -> None:
        """The next search of this list begins at the page, unless that is full now."""
        pages = self.lists[name]
        if sum(self.held[pfn].values()) == PAGE_SIZE:
            pages.remove(pfn)
        else:
            nth = pages.index(pfn)
            pages[:] = pages[nth:] + pages[:nth]

    def _unlink(self, pfn: int) -> None:
        for pfns in self.lists.values():
            if pfn in pfns:
                pfns.remove(pfn)


def _list_for(size: int) -> str:
    return "small" if size < SLOB_BREAK1 else "medium" if size < SLOB_BREAK2 else "large"
