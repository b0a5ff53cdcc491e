# SPDX-License-Identifier: GPL-2.0-only
"""Comparing the texts of /proc with those of a real machine.

What a text tells of a machine's state is put into one of ours: how many free blocks of each order
and type, marks, reserves, the lists of each CPU, the areas of vmalloc.  Then ours is asked for the
same text.  What was running on the real machine is not known, so some numbers cannot be compared;
their lines, names and columns can.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from kmm_sim.machine import Machine
from kmm_sim.mm.gfp import GFP_KERNEL
from kmm_sim.mm.mmzone import MIGRATE_TYPES, NR_PAGE_ORDERS, PAGEBLOCK_NR_PAGES, ZONE_NAMES
from kmm_sim.mm.page import PAGE_SHIFT, PAGE_SIZE
from kmm_sim.mm.vmalloc import VmFlag, get_vm_area
from kmm_sim.observe.procfs import buddyinfo, meminfo, pagetypeinfo, zoneinfo
from kmm_sim.observe.vmallocinfo import vmallocinfo
from kmm_sim.recording.files import Recording
from kmm_sim.recording.proc_slab import compare_merging, compare_slabs
from kmm_sim.recording.result import Result

__all__ = ["check_proc", "machine_of_texts"]

MOVABLE = 1
LARGEST = 1 << 10
COUNTED = """
nr_active_anon nr_inactive_anon nr_active_file nr_inactive_file nr_unevictable nr_slab_reclaimable
nr_slab_unreclaimable nr_anon_pages nr_mapped nr_shmem nr_file_pages nr_dirty nr_writeback nr_dirtied nr_written
nr_kernel_stack nr_page_table_pages nr_zone_active_anon nr_zone_inactive_anon nr_zone_active_file
nr_zone_inactive_file nr_zone_unevictable nr_zone_write_pending nr_mlock numa_hit numa_miss numa_foreign
numa_interleave numa_local numa_other"""
"""Counters of zoneinfo that tell what was running."""
KNOWN = ("MemTotal", "VmallocTotal", "VmallocChunk", "Hugepagesize", "HugePages_", "Hugetlb")
"""What meminfo says of a machine whatever runs on it."""
TEXTS = ("/proc/buddyinfo", "/proc/pagetypeinfo", "/proc/zoneinfo", "/proc/meminfo", "/proc/vmallocinfo",
         "/proc/slabinfo")  # fmt: skip
AREA = re.compile(
    r"\S+ +(?P<size>\d+) (?P<caller>\S+)(?: pages=(?P<pages>\d+))?(?: phys=(?P<phys>0x[0-9a-f]+))?"
    r"(?P<kind>(?: ioremap| vmalloc| vmap| user| vpages)*)(?: N0=\d+)?"
)
RANGE = re.compile(r"^0x\S+")


def check_proc(recording: Recording) -> list[Result]:
    """Return one result: the texts of /proc, the files of each cache in sysfs, and which caches were merged."""
    result = Result(recording.name, recording.kind)
    files = recording.header["files"]
    missing = [name for name in TEXTS if name not in files]
    if missing:
        raise ValueError(f"a recording of /proc has the texts of {', '.join(missing)} too")
    cpus = recording.header.get("nr_cpu_ids") or len(_zones(files["/proc/zoneinfo"])[0]["pcps"])
    compare_slabs(result, recording, cpus)
    compare_merging(result, recording, cpus)
    machine = machine_of_texts(files)
    _compare_pages(result, files, machine)
    _compare_meminfo(result, files["/proc/meminfo"], machine)
    _compare_vmallocinfo(result, files["/proc/vmallocinfo"])
    result.left_out += [f"{name}: the model has no such text" for name in files if name not in TEXTS]
    result.left_out += [
        "/proc/zoneinfo: the values of counters that tell what was running",
        "/proc/pagetypeinfo: how many pageblocks are of each type",
        "/proc/meminfo: the values of all lines that tell what was running, and how much was free at that moment",
        "/proc/vmallocinfo: addresses, and so the order of lines",
        "/proc/slabinfo: how many objects and slabs there were",
    ]
    return [result]


def machine_of_texts(files: Mapping[str, str]) -> Machine:
    """Return a machine that is as /proc/zoneinfo and /proc/pagetypeinfo describe one."""
    counts = iter(_block_counts(files["/proc/pagetypeinfo"]))
    zones = _zones(files["/proc/zoneinfo"])
    for zone in zones:
        zone["free"] = _blocks(zone["start"], [next(counts) for _ in range(MIGRATE_TYPES)])
    return Machine.from_dump({"zones": zones})


def _zones(text: str) -> list[dict[str, Any]]:
    """Read the zones that have memory out of /proc/zoneinfo, as a dump has them, but for their free blocks."""
    parts = re.split(r"^Node (\d+), zone +(\w+)$", text, flags=re.MULTILINE)[1:]
    zones = zip(parts[0::3], parts[1::3], parts[2::3], strict=True)
    return [_zone(int(node), name, lines) for node, name, lines in zones if "pagesets" in lines]


def _zone(node: int, name: str, text: str) -> dict[str, Any]:
    def values(word: str) -> list[int]:
        return [int(found) for found in re.findall(rf"^ +{word}:? +(\d+)$", text, re.MULTILINE)]

    def value(word: str) -> int:
        return values(word)[0]

    protection = re.search(r"protection: \((.*)\)", text)
    per_cpu = zip(values("count"), values("high:"), values("batch"), strict=True)
    pcps = [
        {"count": count, "high": high, "high_min": high, "high_max": high, "batch": batch, "flags": 0,
         "alloc_factor": 0, "free_count": 0, "lists": {}}
        for count, high, batch in per_cpu
    ]  # fmt: skip
    spanned, start, boost = value("spanned"), value("start_pfn"), value("boost")
    first = start - start % PAGEBLOCK_NR_PAGES
    return {
        "name": name, "node": node, "idx": ZONE_NAMES.index(name), "start": start, "spanned": spanned,
        "present": value("present"), "managed": value("managed"), "boost": boost,
        "wm": [value(mark) - boost for mark in ("min", "low", "high", "promo")],
        "lowmem": [int(word) for word in protection[1].split(",")] if protection else [],
        "zflags": 0, "free_global": value("pages free"), "free_diffs": [0] * len(pcps),
        "stat_thr": value("vm stats threshold"), "hi_res": 0, "hi_free": 0, "pcps": pcps,
        **{f"pcp{cpu}": pcp for cpu, pcp in enumerate(pcps)},
        "blocks": "M" * (-(-(start + spanned - first) // PAGEBLOCK_NR_PAGES)),
    }  # fmt: skip


def _block_counts(text: str) -> list[list[int]]:
    """Read how many free blocks of each order there are: a row for each zone and type."""
    rows = (line for line in text.splitlines() if re.match(r"Node +\d+, zone .*, type", line))
    return [[int(word) for word in row.split()[6:]] for row in rows]


def _blocks(start: int, counts: list[list[int]]) -> list[list[Any]]:
    """Place so many free blocks, none next to its buddy."""
    blocks: list[list[Any]] = []
    pfn = -(-start // LARGEST) * LARGEST
    for order in reversed(range(NR_PAGE_ORDERS)):
        for migratetype, row in enumerate(counts):
            step = 1 << order if order > 8 else 2 << order
            blocks.append([order, migratetype, list(range(pfn, pfn + row[order] * step, step))])
            pfn += row[order] * step
    return blocks


def _compare(result: Result, what: str, ours: list[str], theirs: list[str]) -> None:
    for mine, their in zip_longest(ours, theirs):
        result.count(what, mine == their, f"{what}: {their!r} in the kernel, {mine!r} here")


def _compare_pages(result: Result, files: Mapping[str, str], machine: Machine) -> None:
    """Compare buddyinfo, pagetypeinfo, and zoneinfo but for what was running."""
    _compare(result, "buddyinfo lines", buddyinfo(machine).splitlines(), files["/proc/buddyinfo"].splitlines())
    halves = [text.partition("\n\nNumber") for text in (pagetypeinfo(machine), files["/proc/pagetypeinfo"])]
    _compare(result, "pagetypeinfo lines", *(first.splitlines() for first, _, _ in halves))
    _compare(result, "pagetypeinfo lines", *(_masked(second.splitlines()) for _, _, second in halves))
    texts = (zoneinfo(machine), files["/proc/zoneinfo"])
    _compare(result, "zoneinfo lines", *(list(map(_named, text.splitlines())) for text in texts))


def _named(line: str) -> str:
    """Leave the value out of a line of zoneinfo that tells what was running."""
    words = line.split()
    return line[: line.index(words[-1])] if words and words[0] in COUNTED.split() else line


def _masked(lines: list[str]) -> list[str]:
    """Replace numbers by as many signs, spaces before them included: what is left is the form."""
    return [re.sub(r" *\d+", lambda found: "#" * len(found[0]), line.rstrip()) for line in lines]


def _compare_meminfo(result: Result, text: str, machine: Machine) -> None:
    """Compare the form of each line of meminfo, and the values that do not depend on what runs."""
    ours, theirs = meminfo(machine).splitlines(), text.splitlines()
    _compare(result, "meminfo lines", _masked(ours), _masked(theirs))
    values = [[line for line in lines if line.startswith(KNOWN)] for lines in (ours, theirs)]
    _compare(result, "meminfo values", *values)


def _compare_vmallocinfo(result: Result, text: str) -> None:
    """Ask for each area that a line tells of, and compare the lines; then those that wait for a purge."""
    hashed, lines = "ptrval" in text, text.splitlines()
    waiting = [line for line in lines if line.endswith("unpurged vm_area")]
    in_use = [line for line in lines if line not in waiting]
    machine = Machine(memory="1 GiB")
    for line in _without_arrays(in_use):
        _make_area(machine, line)
    for line in waiting:
        machine.vfree(machine.vmalloc(int(line.split()[1]) - PAGE_SIZE))
    told = vmallocinfo(machine, hashed=hashed).splitlines()
    ours, theirs = (sorted(RANGE.sub("", line) for line in each) for each in (told, lines))
    _compare(result, "vmallocinfo lines", ours, theirs)


def _without_arrays(lines: list[str]) -> Iterator[str]:
    """Leave out the arrays of page pointers: they come into being with the areas that need them."""
    arrays = [(found["caller"], -(-int(found["pages"]) * 8 // PAGE_SIZE))
              for line in lines if " vpages" in line and (found := AREA.fullmatch(line))]  # fmt: skip
    for line in lines:
        found = AREA.fullmatch(line)
        what = (found["caller"], int(found["pages"] or 0)) if found else None
        if what in arrays and " vpages" not in line:
            arrays.remove(what)
        else:
            yield line


def _make_area(machine: Machine, line: str) -> None:
    """Ask for the area that a line of vmallocinfo tells of.  Raises ValueError for a line of another form."""
    found = AREA.fullmatch(line)
    if found is None:
        raise ValueError(f"unknown line in /proc/vmallocinfo: {line!r}")
    size, kind, caller = int(found["size"]) - PAGE_SIZE, found["kind"].split(), found["caller"]
    phys = int(found["phys"] or "0", 16)
    if "ioremap" in kind and phys >> PAGE_SHIFT >= machine.zones[-1].end_pfn:
        machine.ioremap(phys, size, caller)
    elif "ioremap" in kind:  # memory that the firmware kept for itself; our machines have no such
        area = get_vm_area(machine.vmap_space, size, VmFlag.IOREMAP, caller, phys_addr=phys)
        assert area is not None
    elif kind == ["vmap"]:
        pages = [page for _ in range(size // PAGE_SIZE) if (page := machine.alloc_page(GFP_KERNEL)) is not None]
        machine.vmap(pages, caller)
    elif found["pages"] is None:  # addresses for per-CPU memory: no pages of the area's own, no guard page
        get_vm_area(machine.vmap_space, size + PAGE_SIZE, VmFlag.ALLOC | VmFlag.NO_GUARD, caller)
    else:
        machine.vmalloc(size, caller=caller)
