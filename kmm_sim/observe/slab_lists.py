# SPDX-License-Identifier: GPL-2.0-only
"""The caches of SLAB: its three lists and its arrays, and the same rebuilt from events.

    before = lists_snapshot(machine)
    ...
    lists_replay(before, machine.trace[start:]) == lists_snapshot(machine)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from kmm_sim.machine import Machine
from kmm_sim.mm.page import PAGE_OFFSET, PAGE_SIZE
from kmm_sim.mm.slab import ArrayCache, SlabCache
from kmm_sim.mm.slab_events import (
    ArrayFill,
    ArrayFlush,
    ArrayTransfer,
    CacheCreate,
    CacheDestroy,
    Kfree,
    Kmalloc,
    KmemCacheAlloc,
    KmemCacheFree,
    ObjectGet,
    ObjectPut,
    SlabDiscard,
    SlabEvent,
    SlabList,
    SlabNew,
)
from kmm_sim.trace import Event

__all__ = ["LISTS", "ListedSlab", "ListsView", "ObjectAt", "lists_frames", "lists_replay", "lists_snapshot"]

LISTS = ("full", "partial", "free")
SHARED = -1
"""The number under which events speak of the array that all CPUs share."""

ObjectAt = tuple[int, int]
"""An object, by the pfn of its slab and its index there."""


@dataclass(frozen=True, slots=True)
class ListedSlab:
    """A slab of ``objects`` objects: which of them are free in it, the next first, and the list it is on."""

    pfn: int
    objects: int
    free: tuple[int, ...]
    on: str


@dataclass(frozen=True, slots=True)
class ListsView:
    """A cache: the array of each CPU, oldest object first, the shared one, the lists, head first, and the slabs."""

    name: str
    arrays: tuple[tuple[ObjectAt, ...], ...]
    shared: tuple[ObjectAt, ...]
    lists: Mapping[str, tuple[int, ...]]
    slabs: Mapping[int, ListedSlab]

    @property
    def in_use(self) -> int:
        """The number of objects that users hold."""
        total = sum(slab.objects - len(slab.free) for slab in self.slabs.values())
        return total - sum(map(len, self.arrays)) - len(self.shared)


def lists_snapshot(machine: Machine) -> Mapping[str, ListsView]:
    """Return every cache of a machine that runs SLAB, by name."""
    caches = [s for s in machine.slabs.caches if isinstance(s, SlabCache)]
    return MappingProxyType({s.name: _view(s) for s in sorted(caches, key=lambda s: s.name)})


def _view(s: SlabCache) -> ListsView:
    slabs = {
        slab.pfn: ListedSlab(slab.pfn, s.num, tuple(reversed(slab.free)), slab.on)
        for slabs in s.lists.values()
        for slab in slabs.values()
    }
    return ListsView(
        s.name,
        tuple(_objects(s, ac) for ac in s.array),
        _objects(s, s.shared) if s.shared is not None else (),
        MappingProxyType({name: tuple(s.lists[name]) for name in LISTS}),
        MappingProxyType({pfn: slabs[pfn] for pfn in sorted(slabs)}),
    )


def _objects(s: SlabCache, ac: ArrayCache) -> tuple[ObjectAt, ...]:
    slabs = [(s.slabs.pages[(ptr - PAGE_OFFSET) // PAGE_SIZE], ptr) for ptr in ac.entry]
    return tuple((slab.pfn, (ptr - slab.base) // s.size) for slab, ptr in slabs)


def lists_replay(start: Mapping[str, ListsView], events: Iterable[Event]) -> Mapping[str, ListsView]:
    """Return the caches after all events; those of the page allocator are passed over."""
    state = _State(start)
    for event in events:
        state.apply(event)
    return state.view()


def lists_frames(start: Mapping[str, ListsView], events: Iterable[Event]) -> Iterator[Mapping[str, ListsView]]:
    """Yield the caches after each event in turn."""
    state = _State(start)
    for event in events:
        state.apply(event)
        yield state.view()


class _CacheState:
    """A cache that can change; lists and free objects head first, arrays oldest first."""

    def __init__(self, view: ListsView) -> None:
        self.arrays = dict(enumerate(map(list, view.arrays))) | {SHARED: list(view.shared)}
        self.lists = {name: list(view.lists[name]) for name in LISTS}
        self.objects = {pfn: slab.objects for pfn, slab in view.slabs.items()}
        self.free = {pfn: list(slab.free) for pfn, slab in view.slabs.items()}

    def view(self, name: str) -> ListsView:
        on = {pfn: list_ for list_, pfns in self.lists.items() for pfn in pfns}
        slabs = {
            pfn: ListedSlab(pfn, self.objects[pfn], tuple(self.free[pfn]), on.get(pfn, ""))
            for pfn in sorted(self.objects)
        }
        arrays = tuple(tuple(self.arrays[cpu]) for cpu in sorted(self.arrays) if cpu != SHARED)
        lists = MappingProxyType({name: tuple(self.lists[name]) for name in LISTS})
        return ListsView(name, arrays, tuple(self.arrays[SHARED]), lists, MappingProxyType(slabs))

    def unlink(self, pfn: int) -> None:
        for pfns in self.lists.values():
            if pfn in pfns:
                pfns.remove(pfn)


class _State:
    def __init__(self, start: Mapping[str, ListsView]) -> None:
        self.caches = {name: _CacheState(view) for name, view in start.items()}

    def view(self) -> Mapping[str, ListsView]:
        return MappingProxyType({name: self.caches[name].view(name) for name in sorted(self.caches)})

    def apply(self, event: Event) -> None:
        match event:
            case CacheCreate(name, cpus=cpus):
                empty: Mapping[str, tuple[int, ...]] = dict.fromkeys(LISTS, ())
                self.caches[name] = _CacheState(ListsView(name, ((),) * cpus, (), empty, {}))
            case CacheDestroy(name):
                del self.caches[name]
            case Kmalloc() | Kfree() | KmemCacheAlloc() | KmemCacheFree():
                pass  # what moved because of it is told by other events
            case SlabEvent():
                _apply_to(self.caches[event.cache], event)  # type: ignore[attr-defined]


def _apply_to(cache: _CacheState, event: SlabEvent) -> None:
    match event:
        case SlabNew(_, pfn, _, freelist):
            cache.objects[pfn], cache.free[pfn] = len(freelist), list(freelist)
        case SlabDiscard(_, pfn, _):
            cache.unlink(pfn)
            del cache.objects[pfn], cache.free[pfn]
        case SlabList(_, pfn, to, tail):
            cache.unlink(pfn)
            cache.lists[to].insert(len(cache.lists[to]) if tail else 0, pfn)
        case ArrayFill(_, cpu, pfn, index):
            first = cache.free[pfn].pop(0)
            assert first == index, f"{event}: the first free object is {first}"
            cache.arrays[cpu].append((pfn, index))
        case ArrayFlush(_, cpu, pfn, index):
            oldest = cache.arrays[cpu].pop(0)
            assert oldest == (pfn, index), f"{event}: the oldest object is {oldest}"
            cache.free[pfn].insert(0, index)
        case ArrayTransfer(_, cpu, count, True):
            cache.arrays[SHARED] += cache.arrays[cpu][:count]
            del cache.arrays[cpu][:count]
        case ArrayTransfer(_, cpu, count, False):
            cache.arrays[cpu] += cache.arrays[SHARED][-count:]
            del cache.arrays[SHARED][-count:]
        case ObjectGet(_, cpu, pfn, index):
            newest = cache.arrays[cpu].pop()
            assert newest == (pfn, index), f"{event}: the newest object is {newest}"
        case ObjectPut(_, cpu, pfn, index):
            cache.arrays[cpu].append((pfn, index))
        case _:
            raise TypeError(f"replay does not know the event {event}")
