# SPDX-License-Identifier: GPL-2.0-only
"""Recordings of a real kernel, and how nearly the simulator does the same.

A recording begins with a complete dump of a kernel's allocator.  Then come the calls that
were made on it, each with its answer, the fallback events in between, and more dumps.  The
simulator starts from the first dump, is asked the same, and whatever it does otherwise
counts: a page frame, an event, one entry of one list.

    for result in check("kernel_masks_core.jsonl.gz"):
        print(result)
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from kmm_sim.errors import KernelBug
from kmm_sim.machine import Machine
from kmm_sim.mm.events import MmPageAllocExtfrag
from kmm_sim.mm.page import PAGE_SIZE, page_address
from kmm_sim.observe.dump import dump

__all__ = ["Recording", "RecordingError", "Result", "Tally", "check", "read"]

FORMAT = "mmoracle-1"
PAGE_KINDS = ("buddy", "script", "drain")


class RecordingError(Exception):
    """The file holds no recording that can be replayed; the message says why in a sentence."""


@dataclass(frozen=True)
class Recording:
    """A recording as it was read: its header and its records, in order."""

    path: Path
    header: Mapping[str, Any]
    records: Sequence[Any]

    @property
    def name(self) -> str:
        """The recording's own name, or that of its file."""
        return str(self.header.get("name") or self.path.name.partition(".json")[0])

    @property
    def kind(self) -> str:
        """What was recorded: ``buddy``, ``script``, ``drain``, ..."""
        return str(self.header["kind"])


@dataclass
class Tally:
    """How many there were, and how many of them the simulator had the same."""

    total: int = 0
    same: int = 0

    @property
    def percent(self) -> float:
        """The share that was the same; of nothing, all is the same."""
        return 100.0 * self.same / self.total if self.total else 100.0


@dataclass
class Result:
    """What came of replaying one recording, or one section of it.

    ``tallies`` counts requests (the same pfn, or none in both), dumps, fallback events and
    whatever else the recording has.  Where interrupts were on, ``interrupts_on``, reclaim
    could run beside the recorded calls, and nobody can be exact.
    """

    name: str
    kind: str
    interrupts_on: bool = False
    tallies: dict[str, Tally] = field(default_factory=dict)
    first_difference: str | None = None

    def count(self, what: str, same: bool, difference: str) -> None:
        """Count one comparison, and remember the first that failed."""
        tally = self.tallies.setdefault(what, Tally())
        tally.total += 1
        tally.same += same
        if not same and self.first_difference is None:
            self.first_difference = difference

    @property
    def exact(self) -> bool:
        """Whether the simulator did in everything what the kernel did."""
        return self.first_difference is None

    def __str__(self) -> str:
        name = f"{self.name} (interrupts on)" if self.interrupts_on else self.name
        requests = self.tallies.get("requests", Tally())
        parts = [f"{requests.total} requests, {requests.same} same pfn, {_percent(requests)}"]
        parts += [
            f"{tally.same} of {tally.total} {what}"
            for what, tally in self.tallies.items()
            if what != "requests"
        ]
        return f"{name}: {'; '.join(parts)}; first difference: {self.first_difference or 'none'}"


def _percent(tally: Tally) -> str:
    """Round down: nothing but all of them is 100 %."""
    return f"{int(tally.percent * 100) / 100:.2f} %"


def read(path: str | Path) -> Recording:
    """Return the recording in a file: ``.jsonl`` or ``.json``, as it is or with gzip.

    Raises RecordingError, with a sentence, for anything else.
    """
    path = Path(path)
    text = _text(path)
    if path.name.removesuffix(".gz").endswith(".json"):
        records = [_json(path, 1, text)]
    else:
        records = [
            _json(path, number, line)
            for number, line in enumerate(text.splitlines(), 1)
            if line.strip()
        ]
    header = records[0] if records else None
    if not isinstance(header, dict) or "format" not in header or "kind" not in header:
        raise RecordingError(f"{path} is not a recording: its first line is no header")
    if header["format"] != FORMAT:
        raise RecordingError(f"{path} has the format {header['format']!r}, not {FORMAT!r}")
    return Recording(path, header, records[1:])


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    try:
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        return data.decode()
    except EOFError as error:
        raise RecordingError(f"{path} is cut short: its gzip data ends too early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise RecordingError(f"{path} is not gzip data, whatever its name says") from error
    except UnicodeDecodeError as error:
        raise RecordingError(f"{path} is not a recording: it is not text") from error


def _json(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise RecordingError(f"{path} is not a recording: line {number} is not JSON") from error


def check(path: str | Path) -> list[Result]:
    """Replay the recording in a file against the simulator; return a result for each section.

    Raises RecordingError for a file that cannot be read or is of a kind that the simulator
    does not know.
    """
    recording = read(path)
    if recording.kind not in PAGE_KINDS:
        raise RecordingError(
            f"{path} is a recording of kind {recording.kind!r}; the simulator can replay "
            f"{', '.join(PAGE_KINDS)}"
        )
    try:
        return [_replay(result, records) for result, records in _sections(recording)]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise RecordingError(f"{path} has a record that is not as it should be: {error}") from error


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
        result = Result(name, recording.kind, interrupts_on=bool(head["irqs"]))
        yield result, recording.records[start + 1 : end]


def _replay(result: Result, records: Sequence[Any]) -> Result:
    """Ask the simulator what the kernel was asked, record by record."""
    replay: _PageReplay | None = None
    for record in records:
        if isinstance(record, list):
            if replay is None:
                raise ValueError("a call comes before the first dump")
            replay.step(record)
        elif record["k"] == "dump" and replay is None:
            replay = _PageReplay(result, Machine.from_dump(record))
        elif record["k"] == "dump" and replay is not None:
            replay.compare(record)
    return result


class _PageReplay:
    """A machine that is led through a recording, and a result that grows."""

    def __init__(self, result: Result, machine: Machine) -> None:
        self.result = result
        self.machine = machine
        self.expected: list[tuple[int, ...]] = []
        self.told = 0

    def step(self, record: list[Any]) -> None:
        """Do what one record says and compare the answer."""
        match record:
            case ["A", gfp, order, pfn, *_]:
                page = self.machine.alloc_pages(gfp, order)
                self.compare_request(record, pfn, page.pfn if page else -1)
            case ["E", gfp, nr_pages, pfn]:
                addr = self.machine.alloc_pages_exact(nr_pages * PAGE_SIZE, gfp)
                got = self.machine.virt_to_page(addr).pfn if addr else -1
                self.compare_request(record, pfn, got)
            case ["F", pfn, order, *_]:
                self.give_back(record, lambda page: self.machine.free_pages(page, order))
            case ["FE", pfn, nr_pages]:
                size = nr_pages * PAGE_SIZE
                self.give_back(
                    record, lambda page: self.machine.free_pages_exact(page_address(page), size)
                )
            case ["X", *fields]:
                self.expected.append(tuple(fields[:5]))
            case ["L" | "P" | "Q" | "R", *_]:
                pass  # what other tracepoints told; the dumps show the same
            case _:
                raise ValueError(f"unknown record {record[:1]}")

    def compare_request(self, record: list[Any], pfn: int, got: int) -> None:
        """Compare a page frame (-1: none), and the fallback events that led to it."""
        call = f"{record[0]} {record[1]:#x} {record[2]}"
        nth = self.result.tallies.get("requests", Tally()).total + 1
        difference = f"request {nth} ({call}): the kernel {_answer(pfn)}, we {_answer(got)}"
        self.result.count("requests", pfn == got, difference)
        events = self.machine.trace[self.told :]
        self.told = len(self.machine.trace)
        fallbacks = [_extfrag(event) for event in events if isinstance(event, MmPageAllocExtfrag)]
        for theirs, ours in zip_longest(self.expected, fallbacks):
            difference = f"request {nth} ({call}): fallback {theirs} in the kernel, {ours} here"
            self.result.count("fallbacks", theirs == ours, difference)
        self.expected.clear()

    def give_back(self, record: list[Any], free: Any) -> None:
        """Free what the kernel freed; after a difference we may not hold it."""
        page = self.machine.node.pfn_to_page(record[1])
        try:
            free(page)
        except KernelBug as error:
            self.result.count("frees", False, f"{record[0]} {record[1]} {record[2]}: {error}")

    def compare(self, theirs: Mapping[str, Any]) -> None:
        """Compare the machine's whole state with a recorded dump, field by field."""
        ours = dump(self.machine)
        done = self.result.tallies.get("requests", Tally()).total
        where = f"dump {theirs.get('tag', '')} after {done} requests"
        wrong = [
            f"{where}: zone {mine['name']}, {key}"
            for mine, recorded in zip(ours["zones"], theirs["zones"], strict=True)
            for key in mine
            if key in recorded and not _same(key, mine[key], recorded[key])
        ]
        self.result.count("dumps", not wrong, wrong[0] if wrong else "")


def _answer(pfn: int) -> str:
    return "gave nothing" if pfn < 0 else f"gave pfn {pfn}"


def _extfrag(event: MmPageAllocExtfrag) -> tuple[int, ...]:
    return (
        event.pfn,
        event.alloc_order,
        event.fallback_order,
        event.alloc_migratetype,
        event.fallback_migratetype,
    )


def _same(key: str, ours: Any, theirs: Any) -> bool:
    """Return whether a field is the same; a pageblock in a hole (``.``) has no type."""
    if key == "blocks":
        return len(ours) == len(theirs) and all(
            their in (our, ".") for our, their in zip(ours, theirs, strict=True)
        )
    return bool(ours == theirs)
