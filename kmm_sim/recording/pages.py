# SPDX-License-Identifier: GPL-2.0-only
"""Replaying recorded calls of the page allocator, one after the other, against the simulator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from kmm_sim.errors import KernelBug
from kmm_sim.machine import Machine
from kmm_sim.mm.events import (
    FreeListDel,
    MmPageAlloc,
    MmPageAllocExtfrag,
    MmPageFree,
    MmPagePcpuDrain,
    PcpAdd,
    PcpDel,
    Split,
)
from kmm_sim.mm.gfp import gfp_zone
from kmm_sim.mm.mmzone import MAX_PAGE_ORDER, MIGRATE_PCPTYPES
from kmm_sim.mm.page import PAGE_SIZE, Page, pfn_to_virt
from kmm_sim.mm.pcp import pcp_allowed_order
from kmm_sim.observe.dump import dump
from kmm_sim.recording.files import Recording, RecordingError, kind_of
from kmm_sim.recording.result import Result, Tally
from kmm_sim.trace import Event

__all__ = ["replay_pages"]

TRACED = frozenset("XLRPQ")
CALLS = ("A", "E", "B", "F", "FE", "DRAIN")
REMARKS = ("note", "drain", "sysctl")
"""Records that ask for nothing."""

TRACEPOINTS = {1: "X", 2: "LR", 4: "PQ"}
"""Which tracepoints a recording has, by the bits of its parameter ``ev``."""


def replay_pages(recording: Recording) -> list[Result]:
    """Return a result for each section of a recording of page requests.

    Raises RecordingError if it also has calls of a slab allocator.
    """
    if any(isinstance(record, dict) and record.get("k") == "cache" for record in recording.records):
        raise RecordingError(
            f"{recording.path} has calls of a slab allocator, which the simulator has not"
        )
    return [_replay(recording, *section) for section in _sections(recording)]


def _sections(recording: Recording) -> Iterator[tuple[Result, Sequence[Any]]]:
    """Cut a recording where it begins anew: a ``drain`` record opens a section for a mask."""
    heads = [
        at
        for at, record in enumerate(recording.records)
        if isinstance(record, dict) and record.get("k") == "drain"
    ]
    if not heads:
        yield Result(recording.name, recording.kind), recording.records
    for start, end in zip_longest(heads, heads[1:]):
        head = recording.records[start]
        name = f"{recording.name} {head['mask']} order {head['order']}"
        result = Result(name, recording.kind, interrupts_on=bool(head.get("irqs", 0)))
        yield result, recording.records[start + 1 : end]


def _replay(recording: Recording, result: Result, records: Sequence[Any]) -> Result:
    """Ask the simulator what the kernel was asked, record by record; leave out what it has not, by name."""
    told = recording.header.get("params", {}).get("ev", 1)
    watched = "".join(letters for bit, letters in TRACEPOINTS.items() if told & bit)
    if recording.kind == "drain":
        watched = ""
    replay: _PageReplay | None = None
    for record in records:
        if isinstance(record, list):
            if replay is None:
                raise ValueError("a call comes before the first dump")
            replay.step(record)
        elif record["k"] == "dump" and replay is None:
            replay = _PageReplay(result, Machine.from_dump(record), watched)
        elif record["k"] == "dump" and replay is not None:
            replay.compare_dump(record)
        elif record["k"] not in REMARKS:
            result.left_out.append(kind_of(record))
    if replay is not None:
        replay.compare_events()
    return result


class _PageReplay:
    """A machine that is led through a recording, and a result that grows."""

    def __init__(self, result: Result, machine: Machine, watched: str) -> None:
        self.result = result
        self.machine = machine
        self.watched = watched
        self.expected: list[list[Any]] = []
        self.seen = 0
        self.call = "the beginning"

    def step(self, record: list[Any]) -> None:
        """Do what one record says and compare the answer."""
        kind = kind_of(record)
        if kind in TRACED:
            if kind in self.watched:
                self.expected.append(record)
            return
        if kind not in CALLS:
            self.result.left_out.append(kind)
            return
        if self.machine.cpus > 1:
            self.machine.cpu = record.pop()
        if kind in ("F", "FE", "DRAIN"):
            self.compare_events()  # the kernel tells of a free after it
            self.give_back(record)
        else:
            self.request(record)
            self.compare_events()

    def request(self, record: list[Any]) -> None:
        """Ask for pages and compare the page frames that came of it (-1: none)."""
        machine = self.machine
        theirs: int | list[int]
        ours: int | list[int]
        match record:
            case ["A", gfp, order, pfn, *counters]:
                if counters:
                    self.compare_counters(gfp, counters)
                page = machine.alloc_pages(gfp, order) if order <= MAX_PAGE_ORDER else None
                theirs, ours = pfn, _pfn(page)
            case ["E", gfp, nr_pages, pfn]:
                addr = machine.alloc_pages_exact(nr_pages * PAGE_SIZE, gfp) if nr_pages <= 1 << MAX_PAGE_ORDER else 0
                theirs, ours = pfn, _pfn(machine.virt_to_page(addr) if addr else None)
            case ["B", gfp, nr_pages, list(pfns)]:
                theirs = pfns
                ours = [page.pfn for page in machine.alloc_pages_bulk(gfp, nr_pages)]
            case _:
                raise ValueError(f"not a call: {record[:3]}")
        nth = self.result.tallies.get("requests", Tally()).total + 1
        self.call = f"request {nth} ({record[0]} {record[1]:#x} {record[2]})"
        difference = f"{self.call}: the kernel {_answer(theirs)}, we {_answer(ours)}"
        self.result.count("requests", theirs == ours, difference)

    def give_back(self, record: list[Any]) -> None:
        """Free what the kernel freed; after a difference we may not hold it."""
        machine = self.machine
        try:
            match record:
                case ["F", pfn, _] if machine.node.pfn_to_page(pfn) is None:
                    raise KernelBug("there is no such page")
                case ["F", pfn, order]:
                    machine.free_pages(machine.node.page(pfn), order)
                case ["FE", pfn, nr_pages]:
                    machine.free_pages_exact(pfn_to_virt(pfn), nr_pages * PAGE_SIZE)
                case ["DRAIN"]:
                    machine.drain_local_pages()
        except KernelBug as error:
            self.result.count("frees", False, f"{' '.join(map(str, record))}: {error}")

    def compare_events(self) -> None:
        """Compare what the tracepoints told since the last comparison."""
        events = self.machine.trace[self.seen :]
        self.seen = len(self.machine.trace)
        ours = [told for told in _tracepoints(events) if told[0] in self.watched]
        for theirs, mine in zip_longest(self.expected, ours):
            difference = f"{self.call}: event {theirs} in the kernel, {mine} here"
            what = "fallbacks" if "X" in ((theirs or mine)[0]) else "other events"
            self.result.count(what, theirs == mine, difference)
        self.expected.clear()

    def compare_counters(self, gfp: int, theirs: list[int]) -> None:
        """Compare what the zone counted before a request: free pages, not yet added, listed."""
        zone = self.machine.node.zonelists[gfp_zone(gfp)][0]
        listed = zone.pcp.count if zone.pcp is not None else 0
        ours = [zone.vm_stat_free, zone.vm_stat_diff[zone.cpu], listed]
        difference = f"counters after {self.call}: {theirs} in the kernel, {ours} here"
        self.result.count("counters", theirs == ours, difference)

    def compare_dump(self, theirs: Mapping[str, Any]) -> None:
        """Compare the machine's whole state with a recorded dump, field by field."""
        ours = dump(self.machine)
        where = f"dump {theirs.get('tag', '')} after {self.call}"
        recorded = {(zone["node"], zone["idx"]): zone for zone in theirs["zones"]}
        wrong = [
            f"{where}: zone {mine['name']}, {key}"
            for mine in ours["zones"]
            for key in mine
            if not _same(key, mine[key], recorded[mine["node"], mine["idx"]][key])
        ]
        self.result.count("dumps", not wrong, wrong[0] if wrong else "")


def _pfn(page: Page | None) -> int:
    return page.pfn if page is not None else -1


def _answer(answer: int | list[int]) -> str:
    if isinstance(answer, list):
        return f"gave {len(answer)} pages, {answer[:4]}..."
    return "gave nothing" if answer < 0 else f"gave pfn {answer}"


def _tracepoints(events: Sequence[Event]) -> Iterator[list[Any]]:
    """Yield what the kernel's own tracepoints would have told, as recordings write it down.

    The kernel tells of a block that leaves the buddy system (``L``) when it comes from a list
    of the type asked for.  A fallback (``X``) that took it from the other type's list does
    not tell that; so we look at what comes after it.
    """
    left: list[Any] = []
    for event in events:
        match event:
            case FreeListDel(_, pfn, order, migratetype):
                yield from _left(left)
                left = [pfn, order, migratetype]
            case Split(_, _, order, _):
                left[1] = order
            case MmPageAllocExtfrag(pfn, order, fallback_order, migratetype, other, owned):
                yield from _left(left if left[2] == migratetype else [])
                left = []
                yield ["X", pfn, order, fallback_order, migratetype, other, int(owned)]
            case PcpAdd() | PcpDel():
                yield from _left(left)
                left = []
            case MmPageAlloc(pfn, order, migratetype, gfp):
                yield from _left(left)
                left = []
                yield ["P", -1 if pfn is None else pfn, order, gfp, migratetype]
            case MmPageFree(pfn, order):
                yield ["Q", pfn, order]
            case MmPagePcpuDrain(pfn, order, migratetype):
                yield ["R", pfn, order, migratetype]


def _left(block: list[Any]) -> list[list[Any]]:
    if not block:
        return []
    refill = pcp_allowed_order(block[1]) and block[2] < MIGRATE_PCPTYPES
    return [["L", *block, int(refill)]]


def _same(key: str, ours: Any, theirs: Any) -> bool:
    """Return whether a field is the same; a pageblock in a hole (``.``) has no type."""
    if key == "blocks":
        return len(ours) == len(theirs) and all(
            their in (our, ".") for our, their in zip(ours, theirs, strict=True)
        )
    return bool(ours == theirs)
