# SPDX-License-Identifier: GPL-2.0-only
"""Replaying recorded calls of SLUB: each object, each slab's page, each list at each dump."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from kmm_sim.errors import KernelBug
from kmm_sim.machine import Machine
from kmm_sim.mm.events import MmPageAlloc, MmPageFree
from kmm_sim.mm.gfp import GFP_NOWAIT, Gfp
from kmm_sim.mm.kmalloc import create_kmalloc_caches
from kmm_sim.mm.page import pfn_to_virt
from kmm_sim.mm.slab_common import KmemCache, SlabFlags, virt_to_slab
from kmm_sim.mm.slub import add_partial
from kmm_sim.mm.slub_def import KmemCacheCpu, Slab, SlubCache
from kmm_sim.observe.dump import dump
from kmm_sim.recording.files import Recording
from kmm_sim.recording.pages import replay_pages
from kmm_sim.recording.result import Result
from kmm_sim.recording.tables_slab import conf

__all__ = ["replay_slabs", "replay_smp"]

PERMITTED = 0x13FFF
"""Flags of a recorded cache that its creator may have asked for."""


def replay_slabs(recording: Recording) -> list[Result]:
    """Return one result for a recording of calls on caches, or of kmalloc()."""
    result = Result(recording.name, recording.kind)
    told = recording.header.get("params", {}).get("ev", 0)
    replay: _SlabReplay | None = None
    for record in recording.records:
        if isinstance(record, Mapping) and record["k"] == "dump" and replay is None:
            replay = _SlabReplay(result, Machine.from_dump(record))
            for early in recording.records[: recording.records.index(record)]:
                replay.note(early)
        elif replay is None:
            continue
        elif isinstance(record, Mapping):
            replay.note(record)
        else:
            replay.step(list(record))
    if replay is None:
        raise ValueError("there is no dump of the page allocator to begin from")
    if told & 4:
        replay.compare_pages()
    return [result]


def replay_smp(recording: Recording) -> list[Result]:
    """Return the results for CPUs that take turns: at caches, or at the page allocator alone."""
    slabs = any(isinstance(record, Mapping) and record["k"] == "cache" for record in recording.records)
    return replay_slabs(recording) if slabs else replay_pages(recording)


class _SlabReplay:
    """A machine that is led through a recording, and a result that grows."""

    def __init__(self, result: Result, machine: Machine) -> None:
        self.result = result
        self.machine = machine
        machine.boot_slab(merge=False)
        machine.slabs.freelist_order = self.freelist_order
        self.caches: dict[str, SlubCache] = {}
        self.unseen: dict[str, int] = {}
        self.expected: list[Any] = []
        self.pages: list[list[int]] = []
        self.calls = 0

    def note(self, record: Mapping[str, Any]) -> None:
        """Make a cache, load its state, or compare its state with a dump."""
        if record["k"] == "cache":
            self.make_cache(record)
        elif record["k"] in ("sdump", "smpdump"):
            s = self.caches[record.get("cache") or next(iter(self.caches))]
            if record["tag"] == "start":
                _load(self.machine, s, record)
                self.unseen[s.name] = record["nr_slabs"] - s.node.nr_slabs
                return
            if record["tag"] == "shrunk":
                self.machine.kmem_cache_shrink(s)
            ours = _cache_dump(s, record["k"] == "smpdump")
            ours["nr_slabs"] += self.unseen[s.name]
            wrong = [name for name in ours if name in record and ours[name] != record[name]]
            where = f"dump {record['tag']} of {s.name} after call {self.calls}"
            difference = wrong and f"{where}: {wrong[0]} {record[wrong[0]]} in the kernel, {ours[wrong[0]]} here"
            self.result.count("dumps", not wrong, difference or "")
        elif record["k"] == "dump":
            ours, theirs = dump(self.machine)["zones"], record["zones"]
            same = [mine["free"] for mine in ours] == [their["free"] for their in theirs]
            self.result.count("page dumps", same, f"free lists after call {self.calls}")

    def make_cache(self, record: Mapping[str, Any]) -> None:
        """Create the cache that the kernel had, and compare how it is laid out."""
        theirs = record["conf"]
        if theirs["flags"] & SlabFlags.KMALLOC:
            if not self.machine.slabs.kmalloc_caches:
                create_kmalloc_caches(self.machine.slabs)
            s: Any = next(s for s in self.machine.slabs.caches if s.name == theirs["name"])
        else:
            align = record.get("want_align", 0)
            flags = theirs["flags"] & PERMITTED
            s = self.machine.kmem_cache_create(theirs["name"], theirs["object_size"], align, flags)
        ours = conf(s)
        self.result.count("layouts", ours == theirs, f"{s.name}: {theirs} in the kernel, {ours} here")
        self.caches[s.name] = s

    def freelist_order(self, s: KmemCache, objects: int) -> Sequence[int]:
        """Give the objects of a new slab the order that the kernel's random numbers gave them."""
        if not self.expected:
            return range(objects)
        indices = self.expected.pop(0)[3]
        return indices if len(indices) == objects else range(objects)

    def step(self, record: list[Any]) -> None:
        """Do what one record says and compare the answer."""
        machine = self.machine
        if record[0] in "PQ":
            self.pages.append(record)
            return
        if record[0] == "N":
            self.expected.append(record)
            return
        self.calls += 1
        if record[0] in "af" and machine.cpus > 1:
            machine.cpu = record.pop()
        match record:
            case ["a", pfn, index, *counters]:
                s = next(iter(self.caches.values()))
                self.got(machine.kmem_cache_alloc(s, GFP_NOWAIT), s.name, pfn, index)
                self.compare_counters(s, counters)
            case ["f", pfn, index, *counters]:
                s = next(iter(self.caches.values()))
                self.give_back(s, pfn, index)
                self.compare_counters(s, counters)
            case ["k", size, None]:
                self.result.count("requests", not machine.kmalloc(size, GFP_NOWAIT), f"kmalloc({size}) failed")
            case ["k", size, name, pfn, index]:
                self.got(machine.kmalloc(size, GFP_NOWAIT), name, pfn, index)
            case ["kf", pfn, index]:
                self.give_back(None, pfn, index)
            case ["K", size, pfn, order]:
                ptr = machine.kmalloc(size, GFP_NOWAIT)
                page = machine.virt_to_page(ptr) if ptr else None
                ours = (page.pfn, page.order) if page is not None else None
                difference = f"kmalloc({size}): {(pfn, order)} in the kernel, {ours} here"
                self.result.count("requests", ours == (pfn, order), difference)
            case ["kF", pfn, _]:
                self.give_back(None, pfn, None)
            case _:
                raise ValueError(f"unknown record {record[:1]}")
        self.expected.clear()

    def got(self, ptr: int, name: str, pfn: int, index: int) -> None:
        """Compare the object that a request got: its cache, its slab, its place."""
        slab = virt_to_slab(self.machine.slabs, ptr)
        if pfn < 0:  # the kernel had none
            self.result.count("requests", not ptr, f"call {self.calls}: nothing in the kernel, {ptr:#x} here")
            return
        ours = (slab.cache.name, slab.pfn, (ptr - slab.base) // slab.cache.size) if slab is not None else ("", -1, -1)
        difference = f"call {self.calls}: object {(name, pfn, index)} in the kernel, {ours} here"
        self.result.count("requests", ours == (name, pfn, index), difference)

    def give_back(self, s: SlubCache | None, pfn: int, index: int | None) -> None:
        """Free what the kernel freed; after a difference we may not hold it."""
        slab = self.machine.slabs.pages.get(pfn)
        ptr = slab.base + index * slab.cache.size if slab is not None else pfn_to_virt(pfn)
        try:
            if s is None:
                self.machine.kfree(ptr)
            else:
                self.machine.kmem_cache_free(s, ptr)
        except KernelBug as error:
            self.result.count("frees", False, f"call {self.calls}: {error}")

    def compare_counters(self, s: SlubCache, theirs: list[int]) -> None:
        """Compare what the kernel counted after a call."""
        c = s.cpu_slab[self.machine.cpu]
        ours = [
            c.slab.pfn,
            len(c.partial),
            s.node.nr_partial,
            s.node.nr_slabs,
        ]
        self.result.count("counters", ours == theirs, f"call {self.calls}: {theirs} in the kernel, {ours} here")

    def compare_pages(self) -> None:
        """Compare every request to the page allocator and every block given back, in order."""
        ours: list[list[int]] = []
        for event in self.machine.trace:
            match event:
                case MmPageAlloc(pfn, order, migratetype, gfp):
                    ours.append(["P", -1 if pfn is None else pfn, order, gfp, migratetype])  # type: ignore[list-item]
                case MmPageFree(pfn, order):
                    ours.append(["Q", pfn, order])  # type: ignore[list-item]
        for theirs, mine in zip_longest(_of_slabs(self.pages), ours):
            self.result.count("slab pages", theirs == mine, f"page event {theirs} in the kernel, {mine} here")


def _of_slabs(pages: list[list[int]]) -> list[list[int]]:
    """Leave out pages that somebody else asked for when interrupts were on again, for a shrink."""
    others: set[int] = set()
    kept = []
    for record in pages:
        if record[0] == "P" and not record[3] & Gfp.COMP:  # type: ignore[comparison-overlap]
            others.add(record[1])
        elif record[1] in others:
            others.remove(record[1])
        else:
            kept.append(record)
    return kept


def _load(machine: Machine, s: SlubCache, record: Mapping[str, Any]) -> None:
    """Put a cache into the state that a recording begins with."""
    if "cpus" not in record:
        _load_cpu(machine, s, s.cpu_slab[0], record)
    for theirs in record["partial"]:
        add_partial(s, _load_slab(machine, s, theirs), tail=True)


def _load_cpu(machine: Machine, s: SlubCache, c: KmemCacheCpu, record: Mapping[str, Any]) -> None:
    if record["cpu_slab"]:
        c.slab = _load_slab(machine, s, record["cpu_slab"])
        c.freelist = record["cpu_fl"][::-1]
        for index in c.freelist:
            c.slab.live[index] = 0
    c.partial = [_load_slab(machine, s, theirs) for theirs in record["cpu_partial"]][::-1]


def _load_slab(machine: Machine, s: SlubCache, theirs: Mapping[str, Any]) -> Slab:
    pfn, order, objects = theirs["pfn"], theirs["order"], theirs["objs"]
    slab = Slab(
        s, pfn, pfn_to_virt(pfn) + s.red_left_pad, theirs["fl"][::-1], bytearray(b"\1" * objects + b"\0"),
        (order, objects), bool(theirs["frozen"]),
    )  # fmt: skip
    for index in slab.freelist:
        slab.live[index] = 0
    page = machine.node.page(pfn)
    page.order, page.refcount = order, 1
    s.slabs.pages.add(pfn, order, slab)
    s.node.nr_slabs += 1
    s.node.total_objects += objects
    return slab


def _cache_dump(s: SlubCache, smp: bool) -> dict[str, Any]:
    """Return a cache's state as recordings have it."""
    cpus = [
        {
            "cpu_slab": _slab_dump(c.slab) if c.slab.pfn >= 0 else None,
            "cpu_fl": c.freelist[::-1],
            "cpu_partial": [_slab_dump(slab) for slab in reversed(c.partial)],
            "cpu_partial_count": len(c.partial),
        }
        for c in s.cpu_slab
    ]
    shared = {
        "nr_partial": s.node.nr_partial,
        "nr_slabs": s.node.nr_slabs,
        "partial": [_slab_dump(slab) for slab in s.node.partial.values()],
    }
    return {"cpus": cpus, **shared} if smp else {**cpus[0], **shared}


def _slab_dump(slab: Slab) -> dict[str, Any]:
    return {
        "pfn": slab.pfn,
        "order": slab.order,
        "inuse": slab.inuse,
        "objs": slab.objects,
        "frozen": int(slab.frozen),
        "fl": slab.freelist[::-1],
    }
