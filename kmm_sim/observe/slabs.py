# SPDX-License-Identifier: GPL-2.0-only
"""The caches and slabs of SLUB, with sheaves or without: what they look like, and the same rebuilt from events.

    before = slab_snapshot(machine)
    ...
    slab_replay(before, machine.trace[start:]) == slab_snapshot(machine)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from kmm_sim.machine import Machine
from kmm_sim.mm.page import PAGE_OFFSET, PAGE_SHIFT
from kmm_sim.mm.sheaf import SheafCache, SlabSheaf
from kmm_sim.mm.slab_events import (
    CacheCreate,
    CacheDestroy,
    CpuPartialAdd,
    CpuPartialDel,
    CpuSlabLoad,
    CpuSlabUnload,
    FreelistBroken,
    Kfree,
    Kmalloc,
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
    SlabEvent,
    SlabNew,
)
from kmm_sim.mm.slub_def import Slab, SlubCache
from kmm_sim.trace import Event

__all__ = ["CacheView", "CpuView", "SheafView", "SlabView", "slab_frames", "slab_replay", "slab_snapshot"]


@dataclass(frozen=True, slots=True)
class SlabView:
    """A slab: its pages and its own freelist, first object first.

    ``place`` is "cpu 0", "cpu 0 partial", "partial" or "" (full: on no list).
    """

    pfn: int
    order: int
    objects: int
    freelist: tuple[int, ...]
    place: str


@dataclass(frozen=True, slots=True)
class CpuView:
    """What a CPU has of a cache: the pfn of its slab, or None, its freelist, and slabs aside."""

    slab: int | None
    freelist: tuple[int, ...]
    partial: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SheafView:
    """A sheaf: its number, and its objects, the newest last, each as the pfn of its slab and its index there."""

    number: int
    objects: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class CacheView:
    """A cache: what each CPU has, the node's partial list, head first, and all slabs by pfn.

    With sheaves: those in each place, such as "cpu 0 main" or "barn full", head first.
    """

    name: str
    cpus: tuple[CpuView, ...]
    partial: tuple[int, ...]
    slabs: Mapping[int, SlabView]
    sheaves: Mapping[str, tuple[SheafView, ...]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def in_use(self) -> int:
        """The number of objects that users hold."""
        total = sum(slab.objects - len(slab.freelist) for slab in self.slabs.values())
        cached = sum(len(sheaf.objects) for sheaves in self.sheaves.values() for sheaf in sheaves)
        return total - cached - sum(len(cpu.freelist) for cpu in self.cpus)


def slab_snapshot(machine: Machine) -> Mapping[str, CacheView]:
    """Return every cache of a machine that runs SLUB, by name."""
    caches = [s for s in machine.slabs.caches if isinstance(s, SlubCache)]
    slabs: dict[SlubCache, list[Slab]] = {s: [] for s in caches}
    for slab in machine.slabs.pages.slabs():
        slabs[slab.cache].append(slab)
    return MappingProxyType({s.name: _view(s, slabs[s]) for s in sorted(caches, key=lambda s: s.name)})


def _view(s: SlubCache, slabs: list[Slab]) -> CacheView:
    cpus = tuple(
        CpuView(
            c.slab.pfn if c.slab.pfn >= 0 else None,
            tuple(reversed(c.freelist)),
            tuple(slab.pfn for slab in reversed(c.partial)),
        )
        for c in s.cpu_slab
    )
    contents = {slab.pfn: (slab.order, slab.objects, tuple(reversed(slab.freelist))) for slab in slabs}
    sheaves = _sheaves(s) if isinstance(s, SheafCache) and s.sheaf_capacity else {}
    return _cache_view(s.name, cpus, tuple(s.node.partial), contents, sheaves)


def _sheaves(s: SheafCache) -> dict[str, tuple[SheafView, ...]]:
    places = {"barn full": s.barn.full[::-1], "barn empty": s.barn.empty[::-1]}
    for pcs in s.cpu_sheaves:
        places[f"cpu {pcs.cpu} main"] = [pcs.main]
        places[f"cpu {pcs.cpu} spare"] = [pcs.spare] if pcs.spare is not None else []
    return {place: tuple(_sheaf(s, sheaf) for sheaf in sheaves) for place, sheaves in places.items()}


def _sheaf(s: SheafCache, sheaf: SlabSheaf) -> SheafView:
    slabs = [(s.slabs.pages[(ptr - PAGE_OFFSET) >> PAGE_SHIFT], ptr) for ptr in sheaf.objects]
    return SheafView(sheaf.number, tuple((slab.pfn, (ptr - slab.base) // s.size) for slab, ptr in slabs))


def _cache_view(
    name: str,
    cpus: tuple[CpuView, ...],
    partial: tuple[int, ...],
    contents: Mapping[int, tuple[int, int, tuple[int, ...]]],
    sheaves: Mapping[str, tuple[SheafView, ...]],
) -> CacheView:
    places = dict.fromkeys(partial, "partial")
    for cpu, view in enumerate(cpus):
        places |= dict.fromkeys(view.partial, f"cpu {cpu} partial")
        if view.slab is not None:
            places[view.slab] = f"cpu {cpu}"
    views = {pfn: SlabView(pfn, *contents[pfn], places.get(pfn, "")) for pfn in sorted(contents)}
    there = {place: sheaves[place] for place in sorted(sheaves) if sheaves[place]}
    return CacheView(name, cpus, partial, MappingProxyType(views), MappingProxyType(there))


def slab_replay(start: Mapping[str, CacheView], events: Iterable[Event]) -> Mapping[str, CacheView]:
    """Return the caches after all events; those of the page allocator are passed over."""
    state = _State(start)
    for event in events:
        if isinstance(event, SlabEvent):
            state.apply(event)
    return state.view()


def slab_frames(start: Mapping[str, CacheView], events: Iterable[Event]) -> Iterator[Mapping[str, CacheView]]:
    """Yield the caches after each event in turn."""
    state = _State(start)
    for event in events:
        if isinstance(event, SlabEvent):
            state.apply(event)
        yield state.view()


@dataclass(slots=True)
class _CpuState:
    slab: int | None
    freelist: list[int]
    partial: list[int]


@dataclass(slots=True)
class _SheafState:
    number: int
    objects: list[tuple[int, int]]


class _CacheState:
    """A cache that can change; lists head first."""

    def __init__(self, view: CacheView) -> None:
        self.cpus = [_CpuState(cpu.slab, list(cpu.freelist), list(cpu.partial)) for cpu in view.cpus]
        self.partial = list(view.partial)
        self.shapes = {pfn: (slab.order, slab.objects) for pfn, slab in view.slabs.items()}
        self.free = {pfn: list(slab.freelist) for pfn, slab in view.slabs.items()}
        self.sheaves = {
            place: [_SheafState(sheaf.number, list(sheaf.objects)) for sheaf in sheaves]
            for place, sheaves in view.sheaves.items()
        }

    def main(self, cpu: int) -> list[tuple[int, int]] | None:
        """The objects of a CPU's main sheaf, if the cache has sheaves."""
        main = self.sheaves.get(f"cpu {cpu} main")
        return main[0].objects if main else None

    def sheaf(self, number: int) -> list[tuple[int, int]]:
        """The objects of a sheaf."""
        return next(sheaf.objects for place in self.sheaves.values() for sheaf in place if sheaf.number == number)

    def move_sheaf(self, number: int, source: str, to: str) -> None:
        there = self.sheaves.get(source, [])
        sheaf = next((sheaf for sheaf in there if sheaf.number == number), None) or _SheafState(number, [])
        if source:
            there.remove(sheaf)
        if to:
            self.sheaves.setdefault(to, []).insert(0, sheaf)

    def freelist(self, cpu: int, pfn: int) -> list[int]:
        return self.cpus[cpu].freelist if cpu >= 0 else self.free[pfn]

    def view(self, name: str) -> CacheView:
        cpus = tuple(CpuView(cpu.slab, tuple(cpu.freelist), tuple(cpu.partial)) for cpu in self.cpus)
        contents = {pfn: (*shape, tuple(self.free[pfn])) for pfn, shape in self.shapes.items()}
        sheaves = {
            place: tuple(SheafView(sheaf.number, tuple(sheaf.objects)) for sheaf in sheaves)
            for place, sheaves in self.sheaves.items()
        }
        return _cache_view(name, cpus, tuple(self.partial), contents, sheaves)


class _State:
    def __init__(self, start: Mapping[str, CacheView]) -> None:
        self.caches = {name: _CacheState(view) for name, view in start.items()}

    def view(self) -> Mapping[str, CacheView]:
        return MappingProxyType({name: self.caches[name].view(name) for name in sorted(self.caches)})

    def apply(self, event: SlabEvent) -> None:
        match event:
            case CacheCreate(name, cpus=cpus):
                self.caches[name] = _CacheState(CacheView(name, (CpuView(None, (), ()),) * cpus, (), {}))
            case CacheDestroy(name):
                del self.caches[name]
            case Kmalloc() | Kfree() | KmemCacheAlloc() | KmemCacheFree():
                pass  # what moved because of it is told by other events
            case _:
                self.apply_to(self.caches[event.cache], event)  # type: ignore[attr-defined]

    def apply_to(self, cache: _CacheState, event: SlabEvent) -> None:
        match event:
            case SlabNew(_, pfn, order, freelist):
                cache.shapes[pfn], cache.free[pfn] = (order, len(freelist)), list(freelist)
            case SlabDiscard(_, pfn, _):
                del cache.shapes[pfn], cache.free[pfn]
            case CpuSlabLoad(_, cpu, pfn, _):
                cache.cpus[cpu].slab, cache.cpus[cpu].freelist = pfn, cache.free[pfn]
                cache.free[pfn] = []
            case CpuSlabUnload(_, cpu, pfn):
                cache.free[pfn] = cache.cpus[cpu].freelist + cache.free[pfn]
                cache.cpus[cpu].slab, cache.cpus[cpu].freelist = None, []
            case FreelistBroken(_, cpu, pfn):
                cache.freelist(cpu, pfn).clear()
            case CpuPartialAdd(_, cpu, pfn):
                cache.cpus[cpu].partial.insert(0, pfn)
            case CpuPartialDel(_, cpu, pfn):
                cache.cpus[cpu].partial.remove(pfn)
            case PartialAdd(_, pfn, tail):
                cache.partial.insert(len(cache.partial) if tail else 0, pfn)
            case PartialDel(_, pfn):
                cache.partial.remove(pfn)
            case SheafMove(_, number, source, to):
                cache.move_sheaf(number, source, to)
            case SheafFill(_, number, pfn, index):
                first = cache.free[pfn].pop(0)
                assert first == index, f"{event}: the first free object is {first}"
                cache.sheaf(number).append((pfn, index))
            case SheafFlush(_, number, pfn, index):
                cache.sheaf(number).remove((pfn, index))
                cache.free[pfn].insert(0, index)
            case ObjectGet(_, cpu, pfn, index) if (main := cache.main(cpu)) is not None:
                newest = main.pop()
                assert newest == (pfn, index), f"{event}: the newest object is {newest}"
            case ObjectPut(_, cpu, pfn, index) if (main := cache.main(cpu)) is not None:
                main.append((pfn, index))
            case ObjectGet(_, cpu, pfn, index):
                first = cache.freelist(cpu, pfn).pop(0)
                assert first == index, f"{event}: the first free object is {first}"
            case ObjectPut(_, cpu, pfn, index):
                cache.freelist(cpu, pfn).insert(0, index)
            case _:
                raise TypeError(f"replay does not know the event {event}")
