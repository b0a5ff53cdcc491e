# SPDX-License-Identifier: GPL-2.0-only
"""Invariants of the slab allocators, as sentences that name the culprit."""

from __future__ import annotations

from kmm_sim.machine import Machine
from kmm_sim.mm.page import PAGE_OFFSET, PAGE_SHIFT, PAGE_SIZE
from kmm_sim.mm.sheaf import SheafCache
from kmm_sim.mm.sheaves import MAX_FULL_SHEAVES
from kmm_sim.mm.slab import SlabCache
from kmm_sim.mm.slab_common import KmemCache, Slabs
from kmm_sim.mm.slob import slob_state
from kmm_sim.mm.slub_def import NO_OBJECTS, Slab, SlubCache

__all__ = ["validate_slab"]


def validate_slab(machine: Machine) -> None:
    """Raise AssertionError naming the culprit if a slab or an object is in two places, or in none."""
    layer = machine.slabs
    if layer.allocator.name == "slob":
        _validate_slob(layer)
        return
    if layer.allocator.name == "slab":
        for each in layer.caches:
            _validate_slab_cache(layer, each)
        return
    assert not NO_OBJECTS, "somebody wrote to the freelist that stands for none"
    caches = [s for s in layer.caches if isinstance(s, SlubCache)]
    slabs: dict[SlubCache, list[Slab]] = {s: [] for s in caches}
    for slab in layer.pages.slabs():
        assert slab.cache in slabs, f"slab {slab.pfn} is of the cache {slab.cache.name}, which is no more"
        slabs[slab.cache].append(slab)
    owned = {pfn for of_cache in slabs.values() for slab in of_cache for pfn in _pages(slab)}
    assert owned == set(layer.pages), f"pages {sorted(owned ^ set(layer.pages))} belong to no slab, or to one unknown"
    for s in caches:
        _validate_cache(layer, s, slabs[s])


def _pages(slab: Slab) -> range:
    return range(slab.pfn, slab.pfn + (1 << slab.order))


def _validate_cache(layer: Slabs, s: SlubCache, slabs: list[Slab]) -> None:
    on_cpus = [c.slab for c in s.cpu_slab if c.slab.pfn >= 0]
    aside = [slab for c in s.cpu_slab for slab in c.partial]
    listed = [slab.pfn for slab in (*on_cpus, *aside, *s.node.partial.values())]
    assert len(set(listed)) == len(listed), f"a slab of {s.name} is in two places: {sorted(listed)}"
    assert len(slabs) == s.node.nr_slabs, f"{s.name} counts {s.node.nr_slabs} slabs, there are {len(slabs)}"
    assert sum(slab.objects for slab in slabs) == s.node.total_objects, f"{s.name} miscounts objects"
    cached = _in_sheaves(layer, s) if isinstance(s, SheafCache) else {}
    for slab in slabs:
        pfn = slab.pfn
        c = next((c for c in s.cpu_slab if c.slab is slab), None)
        free = slab.freelist + (c.freelist if c is not None else []) + cached.pop(pfn, [])
        where = f"slab {pfn} of {s.name}"
        assert len(set(free)) == len(free), f"an object of {where} is on a freelist twice"
        held = {index for index, live in enumerate(slab.live) if live}
        assert len(slab.live) == slab.objects + 1, f"{where} has {len(slab.live) - 1} marks, not {slab.objects}"
        assert held ^ set(free) == set(range(slab.objects)), f"an object of {where} is both free and in use, or neither"
        assert slab.frozen == (c is not None), f"{where} is frozen, and no CPU has it, or the other way round"
        assert s.node.partial.get(pfn, slab) is slab, f"another slab is on the partial list in place of {where}"
        full = not slab.freelist and c is None
        assert full != (pfn in listed), f"{where} is {'full, but on' if full else 'not full, but on no'} list"
        page = layer.node.page(pfn)
        assert (page.refcount, page.order) == (1, slab.order), f"{where} does not hold its pages"
    assert not cached, f"a sheaf of {s.name} has objects of no slab of it: {cached}"


def _in_sheaves(layer: Slabs, s: SheafCache) -> dict[int, list[int]]:
    """Return the indices of the objects in sheaves, by the pfn of their slab."""
    barn = len(s.barn.full) + len(s.barn.empty)
    assert barn <= MAX_FULL_SHEAVES, f"the barn of {s.name} has {barn} sheaves"
    there = [(sheaf, "barn full") for sheaf in s.barn.full] + [(sheaf, "barn empty") for sheaf in s.barn.empty]
    for pcs in s.cpu_sheaves if s.sheaf_capacity else ():
        there.append((pcs.main, f"cpu {pcs.cpu} main"))
        if pcs.spare is not None:
            there.append((pcs.spare, f"cpu {pcs.cpu} spare"))
    cached: dict[int, list[int]] = {}
    for sheaf, place in there:
        where, count = f"sheaf {sheaf.number} of {s.name}", len(sheaf.objects)
        assert sheaf.place == place, f"{where} is {place}, but says {sheaf.place!r}"
        assert count <= s.sheaf_capacity, f"{where} has {count} objects, and room for {s.sheaf_capacity}"
        if not place.endswith("main"):
            full = {"barn full": True, "barn empty": False}.get(place, count > 0)
            assert count == s.sheaf_capacity * full, f"{where}, {place}, has {count} objects"
        for ptr in sheaf.objects:
            slab = layer.pages[(ptr - PAGE_OFFSET) >> PAGE_SHIFT]
            cached.setdefault(slab.pfn, []).append((ptr - slab.base) // s.size)
    assert len({sheaf.number for sheaf, _ in there}) == len(there), f"a sheaf of {s.name} is in two places"
    return cached


def _validate_slab_cache(layer: Slabs, s: KmemCache) -> None:
    assert isinstance(s, SlabCache), f"{s.name} is no cache of SLAB's"
    arrays = [*s.array, *([s.shared] if s.shared is not None else [])]
    cached = [ptr for ac in arrays for ptr in ac.entry]
    assert len(set(cached)) == len(cached), f"an object of {s.name} is in an array twice"
    assert all(len(ac.entry) <= ac.limit for ac in arrays), f"an array of {s.name} is too full"
    slabs = [slab for slabs in s.lists.values() for slab in slabs.values()]
    counted = sum(len(slab.free) for slab in slabs)
    assert s.free_objects == counted, f"{s.name} counts {s.free_objects} free objects, there are {counted}"
    known = set(cached)
    for slab in slabs:
        where = f"slab {slab.pfn} of {s.name}"
        state = "full" if not slab.free else "partial" if slab.inuse else "free"
        assert slab.on == state, f"{where} is {state}, but on the list {slab.on}"
        assert layer.pages[slab.pfn] is slab, f"the pages of {where} belong to another slab"
        in_array = {at for at in range(s.num) if slab.base + at * s.size in known}
        known -= {slab.base + at * s.size for at in in_array}
        held = {at for at, live in enumerate(slab.live) if live}
        everywhere = [*slab.free, *in_array, *held]
        assert sorted(everywhere) == list(range(s.num)), f"an object of {where} is in two places, or in none"
        end = slab.base + s.num * s.size
        start = PAGE_OFFSET + slab.pfn * PAGE_SIZE
        assert end <= start + (PAGE_SIZE << s.order), f"{where} reaches beyond its pages"
    assert not known, f"an array of {s.name} has objects of no slab: {known}"


def _validate_slob(layer: Slabs) -> None:
    lists = slob_state(layer).lists
    for name, pages in lists.items():
        for page in pages:
            assert page.on == name, f"page {page.pfn} is on the list {name}, and marked {page.on!r}"
            assert layer.pages.get(page.pfn) is page, f"page {page.pfn} is on a list, and not SLOB's"
    for pfn, page in layer.pages.items():
        assert page.held, f"page {pfn} is all free, and kept"
        blocks = sorted([*page.held.items(), *map(tuple, page.free)])
        end = 0
        for offset, size in blocks:
            assert offset == end, f"in page {pfn} bytes {end} to {offset} belong to no block, or to two"
            end = offset + size
        assert end == PAGE_SIZE, f"the blocks of page {pfn} have {end} bytes"
        room = sum(size for _, size in page.free)
        assert page.room == room, f"page {pfn} counts {page.room} free bytes, there are {room}"
        assert bool(page.free) == bool(page.on), f"page {pfn} has room, and is on no list, or the other way round"
        gaps = zip(page.free, page.free[1:], strict=False)
        assert all(sum(one) < next_[0] for one, next_ in gaps), f"free blocks beside each other in page {pfn}"
