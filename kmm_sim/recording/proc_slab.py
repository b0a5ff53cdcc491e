# SPDX-License-Identifier: GPL-2.0-only
"""Comparing /sys/kernel/slab and /proc/slabinfo of a real machine with ours, and which caches are one.

What a cache was asked to be is read from its own files; how it is laid out then, and how its
line is written, is compared.  How many objects a real kernel holds nobody can know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kmm_sim.machine import Machine
from kmm_sim.mm.slab_common import KmemCache, SlabFlags, create_cache, kmem_cache_create
from kmm_sim.observe.slabinfo import SlabInfo, cache_show, create_unique_id, get_slabinfo, slabinfo, sysfs_slab
from kmm_sim.recording.files import Recording
from kmm_sim.recording.result import Result

__all__ = ["compare_merging", "compare_slabs"]

LETTERS = {"d": SlabFlags.CACHE_DMA, "D": SlabFlags.CACHE_DMA32, "a": SlabFlags.RECLAIM_ACCOUNT,
           "F": SlabFlags.CONSISTENCY_CHECKS, "A": SlabFlags.ACCOUNT}  # fmt: skip
"""The flags that stand in the name of a cache that others may share."""


def compare_slabs(result: Result, recording: Recording, cpus: int) -> None:
    """Compare each file of each cache in sysfs, and the columns of each line of slabinfo."""
    caches = recording.header["sys_kernel_slab"]
    for name, files in caches.items():
        machine = _machine_with(name, files, cpus)
        ours = sysfs_slab(machine, name)
        for file, text in files.items():
            mine = ours.get(file)
            result.count("sysfs files", mine == text, f"{name}/{file}: {text} in the kernel, {mine} here")
    lines = recording.header["files"]["/proc/slabinfo"].splitlines(keepends=True)
    head = slabinfo(Machine(pages=64)).splitlines(keepends=True)
    result.count("slabinfo lines", head == lines[:2], "the head of slabinfo")
    links = recording.header["slab_alias_links"]
    for line in lines[2:]:
        name = line.split()[0]
        (s,) = _machine_with(name, caches[links.get(name, name)], cpus).slabs.caches
        mine = cache_show(name, s.size, _with_counts(get_slabinfo(s), line))
        result.count("slabinfo lines", mine == line, f"{line!r} in the kernel, {mine!r} here")


def compare_merging(result: Result, recording: Recording, cpus: int) -> None:
    """Ask for a cache under each name that is one of several in the kernel, and compare which it became.

    The first names, in the order of slabinfo, make the caches; none may be taken for another's.  The other
    names ask for the same once more and must be given the same cache.
    """
    links: Mapping[str, str] = recording.header["slab_alias_links"]
    lines = recording.header["files"]["/proc/slabinfo"].splitlines()[2:]
    first = [name for line in reversed(lines) if (name := line.split()[0]) in links]
    slabs = Machine(pages=64, cpus=cpus).slabs
    made: dict[str, KmemCache] = {}
    for name in [*first, *(name for name in links if name not in first)]:
        unique_id = links[name]
        files = recording.header["sys_kernel_slab"][unique_id]
        s = kmem_cache_create(slabs, name, int(files["object_size"]), int(files["align"]), _flags(files, unique_id))
        wanted = made.setdefault(unique_id, s)
        ours = create_unique_id(s)
        alone = s is wanted and s.name == name if name in first else s is wanted
        result.count("merged caches", alone and ours == unique_id, f"{name} is {unique_id} in the kernel, {ours} here")


def _flags(files: Mapping[str, str], unique_id: str = "") -> int:
    """Return the flags that a cache's files and name tell of."""
    flags = SlabFlags.HWCACHE_ALIGN * int(files["hwcache_align"])
    flags |= SlabFlags.RECLAIM_ACCOUNT * int(files["reclaim_account"])
    flags |= SlabFlags.TYPESAFE_BY_RCU * int(files["destroy_by_rcu"])
    letters = unique_id.partition("-")[0].lstrip(":") if "-" in unique_id else ""
    for letter in letters:
        flags |= LETTERS[letter]
    return int(flags)


def _machine_with(name: str, files: Mapping[str, str], cpus: int) -> Machine:
    """Return a machine that has one cache, as its files in sysfs say it was asked for.

    They do not say whether it has a constructor; its size may.
    """
    for ctor in (None, print):
        machine = Machine(pages=64, cpus=cpus)
        align = int(files["align"])
        s = create_cache(machine.slabs, name, int(files["object_size"]), align, _flags(files), ctor)
        s.refcount = int(files["aliases"]) + 1
        if s.size == int(files["slab_size"]):
            break
    return machine


def _with_counts(info: SlabInfo, line: str) -> SlabInfo:
    """Fill in how many objects and slabs a real kernel had."""
    active, num = map(int, line.split()[1:3])
    active_slabs, num_slabs, shared_avail = map(int, line.split()[-3:])
    return replace(
        info,
        active_objs=active,
        num_objs=num,
        active_slabs=active_slabs,
        num_slabs=num_slabs,
        shared_avail=shared_avail,
    )
