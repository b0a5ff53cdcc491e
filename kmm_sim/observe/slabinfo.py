# SPDX-License-Identifier: GPL-2.0-only
"""/proc/slabinfo and /sys/kernel/slab, as the kernel prints them."""

from __future__ import annotations

from dataclasses import dataclass

from kmm_sim.machine import Machine
from kmm_sim.mm.sheaf import SheafCache
from kmm_sim.mm.slab import SlabCache
from kmm_sim.mm.slab_common import KmemCache, SlabFlags
from kmm_sim.mm.slub_def import SlubCache

__all__ = ["SlabInfo", "cache_show", "create_unique_id", "get_slabinfo", "slabinfo", "sysfs_slab"]

HEADER = (
    "slabinfo - version: 2.1\n"
    "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>"
    " : tunables <limit> <batchcount> <sharedfactor>"
    " : slabdata <active_slabs> <num_slabs> <sharedavail>\n"
)


@dataclass(frozen=True, slots=True)
class SlabInfo:
    """The numbers of one line: of objects, of slabs, and what may be tuned.  Linux: struct slabinfo, mm/slab.h"""

    active_objs: int
    num_objs: int
    objects_per_slab: int
    order: int
    active_slabs: int
    num_slabs: int
    tunables: tuple[int, int, int] = (0, 0, 0)
    shared_avail: int = 0


def slabinfo(machine: Machine) -> str:
    """Return /proc/slabinfo: a line a cache, newest first.

    SLUB counts an object as active that is free on a CPU's own lists; SLAB one in an array.
    SLOB, which knows no slabs, has no such file: the text is empty.

    Linux: slab_show(), cache_show(), mm/slab_common.c
    """
    if machine.slabs.allocator.name == "slob":
        return ""
    return HEADER + "".join(cache_show(s.name, s.size, get_slabinfo(s)) for s in machine.slabs.caches)


def get_slabinfo(s: KmemCache) -> SlabInfo:
    """Count the objects and slabs of a cache.  Linux: get_slabinfo(), mm/slub.c, mm/slab.c"""
    return _slub(s) if isinstance(s, SlubCache) else _slab(s)


def cache_show(name: str, size: int, info: SlabInfo) -> str:
    """Return the line of a cache.  Linux: cache_show(), mm/slab_common.c"""
    limit, batchcount, shared = info.tunables
    return (
        f"{name:<17} {info.active_objs:6} {info.num_objs:6} {size:6} {info.objects_per_slab:4} "
        f"{1 << info.order:4} : tunables {limit:4} {batchcount:4} {shared:4} : slabdata "
        f"{info.active_slabs:6} {info.num_slabs:6} {info.shared_avail:6}\n"
    )


def _slub(s: SlubCache) -> SlabInfo:
    free = sum(slab.objects - slab.inuse for slab in s.node.partial.values())
    total = s.node.total_objects
    return SlabInfo(total - free, total, s.oo[1], s.oo[0], s.node.nr_slabs, s.node.nr_slabs)


def _slab(s: KmemCache) -> SlabInfo:
    assert isinstance(s, SlabCache)
    active_slabs = len(s.lists["full"]) + len(s.lists["partial"])
    num_slabs = active_slabs + len(s.lists["free"])
    tunables = s.array[0].limit, s.array[0].batchcount, 8 if s.shared is not None else 0
    shared_avail = len(s.shared.entry) if s.shared is not None else 0
    num_objs = num_slabs * s.num
    return SlabInfo(
        num_objs - s.free_objects, num_objs, s.num, s.order, active_slabs, num_slabs, tunables, shared_avail
    )


def create_unique_id(s: KmemCache) -> str:
    """Return the name under which a cache that others may share stands in /sys/kernel/slab.

    Linux: create_unique_id(), mm/slub.c
    """
    letters = "".join(
        letter
        for letter, flag in (
            ("d", SlabFlags.CACHE_DMA),
            ("D", SlabFlags.CACHE_DMA32),
            ("a", SlabFlags.RECLAIM_ACCOUNT),
            ("F", SlabFlags.CONSISTENCY_CHECKS),
            ("A", SlabFlags.ACCOUNT),
        )
        if s.flags & flag
    )
    return f":{letters}{'-' if letters else ''}{s.size:07}"


def sysfs_slab(machine: Machine, name: str) -> dict[str, str]:
    """Return the files of /sys/kernel/slab/NAME that describe a cache of SLUB's.

    Raises KeyError if there is no cache of that name.

    Linux: slab_attrs, mm/slub.c
    """
    for s in machine.slabs.caches:
        if isinstance(s, SlubCache) and name in (s.name, *s.aliases, create_unique_id(s)):
            return {
                "object_size": str(s.object_size),
                "slab_size": str(s.size),
                "order": str(s.oo[0]),
                "objs_per_slab": str(s.oo[1]),
                "cpu_partial": str(s.cpu_partial),
                "min_partial": str(s.min_partial),
                "align": str(s.align),
                "aliases": str(max(s.refcount - 1, 0)),
                "hwcache_align": str(int(bool(s.flags & SlabFlags.HWCACHE_ALIGN))),
                "reclaim_account": str(int(bool(s.flags & SlabFlags.RECLAIM_ACCOUNT))),
                "destroy_by_rcu": str(int(bool(s.flags & SlabFlags.TYPESAFE_BY_RCU))),
                "objects": str(get_slabinfo(s).active_objs),
                "partial": str(s.node.nr_partial),
                "slabs": str(s.node.nr_slabs),
                **({"sheaf_capacity": str(s.sheaf_capacity)} if isinstance(s, SheafCache) else {}),
            }
    raise KeyError(name)
