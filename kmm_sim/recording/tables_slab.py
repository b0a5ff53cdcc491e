# SPDX-License-Identifier: GPL-2.0-only
"""Comparing what a kernel computes for its caches: sizes, orders, limits; and kmalloc()'s classes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Any

from kmm_sim.machine import Machine
from kmm_sim.mm.gfp import GFP_KERNEL, GFP_KERNEL_ACCOUNT, Gfp
from kmm_sim.mm.kmalloc import ZERO_SIZE_PTR, kmalloc_size_roundup
from kmm_sim.mm.slab_common import SlabFlags, calculate_alignment
from kmm_sim.mm.slub_def import SlubCache, calculate_sizes
from kmm_sim.recording.files import Recording
from kmm_sim.recording.result import Result

__all__ = ["check_caches", "check_kcache", "check_kmalloc", "conf"]

FZPU = "SLAB_CONSISTENCY_CHECKS|SLAB_RED_ZONE|SLAB_POISON|SLAB_STORE_USER"
COLUMNS = (
    "size", "align", "offset", "inuse", "red_left_pad", "order", "objs", "min_order", "min_objs",
    "cpu_partial", "cpu_partial_slabs", "min_partial",
)  # fmt: skip
"""What a row tells of a layout, after what was asked for."""


def conf(s: SlubCache) -> dict[str, Any]:
    """Return a cache's layout under the names that recordings have."""
    return {
        "name": s.name,
        "object_size": s.object_size,
        "size": s.size,
        "align": s.align,
        "offset": s.offset,
        "inuse": s.inuse,
        "red_left_pad": s.red_left_pad,
        "order": s.oo[0],
        "objs": s.oo[1],
        "min_order": s.min[0],
        "min_objs": s.min[1],
        "cpu_partial": s.cpu_partial,
        "cpu_partial_slabs": s.cpu_partial_slabs,
        "min_partial": s.min_partial,
        "flags": s.flags,
        "allocflags": s.allocflags,
        "refcount": s.refcount,
        "ctor": int(s.ctor is not None),
    }


def slab_flags(names: str) -> int:
    """Return the flags that ``"SLAB_POISON|SLAB_RED_ZONE"`` names; ``"0"`` is none."""
    names = FZPU if names == "FZPU" else names
    return reduce(or_, (int(SlabFlags[name.removeprefix("SLAB_")]) for name in names.split("|") if name != "0"), 0)


def check_kcache(recording: Recording) -> list[Result]:
    """Compare each row: a size, an alignment and flags, and the layout that came of them."""
    result = Result(recording.name, recording.kind)
    cpus = recording.header["nr_cpu_ids"]
    slabs = Machine(pages=64).slabs
    for object_size, align, names, ctor, *theirs in _rows(recording):
        flags = slab_flags(names)
        align = calculate_alignment(flags, align, object_size)
        s = SlubCache("", object_size, align, flags, slabs, ctor=print if ctor else None)
        calculate_sizes(s, cpus)
        layout = conf(s)
        ours = [layout[name] for name in COLUMNS]
        difference = f"{object_size} bytes, {names}: {theirs} in the kernel, {ours} here"
        result.count("layouts", ours == theirs, difference)
    return [result]


def check_caches(recording: Recording) -> list[Result]:
    """Compare the layout of every cache that a running kernel has.

    What was asked for is not in the recording: the alignment is the final one, and a cache
    whose objects stay readable after they are freed may have chosen the free pointer's place.
    Which names were merged into one is not known either, and ``inuse`` grows with merging.
    """
    result = Result(recording.name, recording.kind)
    slabs = Machine(pages=64).slabs
    for record in recording.records:
        theirs = record["conf"]
        s = SlubCache(
            theirs["name"], theirs["object_size"], theirs["align"], theirs["flags"], slabs,
            ctor=print if theirs["ctor"] else None, refcount=theirs["refcount"],
        )  # fmt: skip
        if s.flags & SlabFlags.TYPESAFE_BY_RCU and theirs["offset"] < theirs["inuse"]:
            s.freeptr_offset = theirs["offset"]
        calculate_sizes(s, recording.header["nr_cpu_ids"])
        ours = conf(s)
        wrong = [
            f"{name} {theirs[name]} in the kernel, {ours[name]} here" for name in theirs if theirs[name] != ours[name]
        ]
        result.count("caches", not wrong, f"{s.name}: {'; '.join(wrong)}")
    return [result]


def check_kmalloc(recording: Recording) -> list[Result]:
    """Compare the cache, the usable size and the rounded size for each range of requests."""
    result = Result(recording.name, recording.kind)
    names = {"GFP_KERNEL": GFP_KERNEL, "GFP_KERNEL_ACCOUNT": GFP_KERNEL_ACCOUNT}
    names |= {f"__GFP_{bit.name}": bit for bit in Gfp}
    machine = Machine(memory="1 GiB", trace=False)
    for mask, first, last, bucket, usable, rounded, _ in _rows(recording):
        gfp = reduce(or_, (int(names[name]) for name in mask.split("|")))
        for size in {first, (first + last) // 2, last}:
            ours = (*_placed(machine, size, gfp), kmalloc_size_roundup(size))
            theirs = bucket, usable, rounded
            difference = f"kmalloc({size}, {mask}): {theirs} in the kernel, {ours} here"
            result.count("sizes", ours == theirs, difference)
    for record in recording.records:
        if isinstance(record, Mapping) and record["k"] == "zero":
            same = record["ZERO_SIZE_PTR"] == ZERO_SIZE_PTR and record["kmalloc0"] == machine.kmalloc(0, GFP_KERNEL)
            result.count("sizes", same, f"kmalloc(0) is {record['kmalloc0']:#x} in the kernel")
    return [result]


def _placed(machine: Machine, size: int, gfp: int) -> tuple[str, int]:
    """Return where kmalloc() puts a request, and how much it gives, as recordings say it."""
    ptr = machine.kmalloc(size, gfp | Gfp.NOWARN)
    if not ptr:
        return "NULL", 0
    page = machine.virt_to_page(ptr)
    slab = machine.slabs.pages.get(page.pfn)
    placed = slab.cache.name if slab is not None else f"pages-order-{page.order}"
    usable = machine.ksize(ptr)
    machine.kfree(ptr)
    return placed, usable


def _rows(recording: Recording) -> list[list[Any]]:
    return [record for record in recording.records if isinstance(record, list)]
