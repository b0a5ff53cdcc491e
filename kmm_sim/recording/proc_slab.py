# SPDX-License-Identifier: GPL-2.0-only
"""Comparing /sys/kernel/slab and /proc/slabinfo of a real machine with ours.

What a cache was asked to be is read from its own files; how it is laid out then, and how its
line is written, is compared.  How many objects a real kernel holds nobody can know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kmm_sim.machine import Machine
from kmm_sim.mm.slab_common import SlabFlags, create_cache
from kmm_sim.observe.slabinfo import SlabInfo, cache_show, get_slabinfo, slabinfo, sysfs_slab
from kmm_sim.recording.files import Recording
from kmm_sim.recording.result import Result

__all__ = ["check_proc_slab"]


def check_proc_slab(recording: Recording) -> list[Result]:
    """Return one result: each file of each cache in sysfs, and the columns of each line of slabinfo."""
    result = Result(recording.name, recording.kind)
    for name, files in recording.header["sys_kernel_slab"].items():
        machine = _machine_with(name, files)
        ours = sysfs_slab(machine, name)
        for file, text in files.items():
            result.count("sysfs files", ours[file] == text, f"{name}/{file}: {text} in the kernel, {ours[file]} here")
    lines = recording.header["files"]["/proc/slabinfo"].splitlines(keepends=True)
    head = slabinfo(Machine(pages=64)).splitlines(keepends=True)
    result.count("slabinfo lines", head == lines[:2], "the head of slabinfo")
    links = recording.header["slab_alias_links"]
    for line in lines[2:]:
        name = line.split()[0]
        files = recording.header["sys_kernel_slab"][links.get(name, name)]
        (s,) = _machine_with(name, files).slabs.caches
        mine = cache_show(name, s.size, _with_counts(get_slabinfo(s), line))
        result.count("slabinfo lines", mine == line, f"{line!r} in the kernel, {mine!r} here")
    return [result]


def _machine_with(name: str, files: Mapping[str, str]) -> Machine:
    """Return a machine that has one cache, as its files in sysfs say it was asked for.

    They do not say whether it has a constructor; its size may.
    """
    for ctor in (None, print):
        machine = Machine(pages=64)
        flags = SlabFlags.HWCACHE_ALIGN * int(files["hwcache_align"])
        flags |= SlabFlags.RECLAIM_ACCOUNT * int(files["reclaim_account"])
        flags |= SlabFlags.TYPESAFE_BY_RCU * int(files["destroy_by_rcu"])
        align = int(files["align"])
        s = create_cache(machine.slabs, name, int(files["object_size"]), align, int(flags), ctor)
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
