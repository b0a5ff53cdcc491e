# SPDX-License-Identifier: GPL-2.0-only
"""/proc/slabinfo and /sys/kernel/slab, as the kernel prints them."""

from __future__ import annotations

from kmm_sim.machine import Machine
from kmm_sim.mm.sheaf import SheafCache
from kmm_sim.mm.slab_common import KmemCache, SlabFlags, SlabInfo
from kmm_sim.mm.slub_def import SlubCache

__all__ = ["SlabInfo", "cache_show", "create_unique_id", "get_slabinfo", "slabinfo", "sysfs_slab"]

HEADER = (
    "slabinfo - version: 2.1\n"
    "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>"
    " : tunables <limit> <batchcount> <sharedfactor>"
    " : slabdata <active_slabs> <num_slabs> <sharedavail>\n"
)


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
    """Count the objects and slabs of a cache; not of SLOB's.  Linux: get_slabinfo(), mm/slub.c, mm/slab.c"""
    count = s.slabs.allocator.get_slabinfo
    assert count is not None, "SLOB knows no slabs"
    return count(s)


def cache_show(name: str, size: int, info: SlabInfo) -> str:
    """Return the line of a cache.  Linux: cache_show(), mm/slab_common.c"""
    limit, batchcount, shared = info.tunables
    return (
        f"{name:<17} {info.active_objs:6} {info.num_objs:6} {size:6} "
        f"{info.objects_per_slab:4} {1 << info.order:4} "
        f": tunables {limit:4} {batchcount:4} {shared:4} : slabdata "
        f"{info.active_slabs:6} {info.num_slabs:6} {info.shared_avail:6}\n"
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
            sheaves = {"sheaf_capacity": str(s.sheaf_capacity)} if isinstance(s, SheafCache) else {}
            return {
                "object_size": str(s.object_size),
                "slab_size": str(s.size),
                "usersize": str(s.usersize),
                "order": str(s.oo[0]),
                "objs_per_slab": str(s.oo[1]),
                "cpu_partial": str(s.cpu_partial),
                "min_partial": str(s.min_partial),
                "align": str(s.align),
                "aliases": str(max(s.refcount - 1, 0)),
                **{file: str(int(bool(s.flags & flag))) for file, flag in FLAG_FILES.items()},
                **_counts(s),
                **sheaves,
            }
    raise KeyError(name)


FLAG_FILES = {
    "hwcache_align": SlabFlags.HWCACHE_ALIGN,
    "reclaim_account": SlabFlags.RECLAIM_ACCOUNT,
    "destroy_by_rcu": SlabFlags.TYPESAFE_BY_RCU,
    "cache_dma": SlabFlags.CACHE_DMA,
    "sanity_checks": SlabFlags.CONSISTENCY_CHECKS,
    "red_zone": SlabFlags.RED_ZONE,
    "poison": SlabFlags.POISON,
    "store_user": SlabFlags.STORE_USER,
    "trace": SlabFlags.TRACE,
}
"""The files that say whether a flag is set."""


def _counts(s: SlubCache) -> dict[str, str]:
    """Return the files that count slabs and objects: all, those on the partial list, those of CPUs."""
    info = get_slabinfo(s)
    cpus = [(c.cpu, len(c.partial)) for c in s.cpu_slab]
    aside = sum(slabs for _, slabs in cpus)
    on_cpus = sum(1 + len(c.partial) for c in s.cpu_slab if c.slab.pfn >= 0)
    half = s.oo[1]  # slabs put aside are taken to be half full
    by_cpu = "".join(f" C{cpu}={slabs * half // 2}({slabs})" for cpu, slabs in cpus if slabs)
    return {
        "objects": _by_node(info.active_objs),
        "total_objects": _by_node(info.num_objs),
        "slabs": _by_node(info.num_slabs),
        "partial": _by_node(s.node.nr_partial),
        "objects_partial": _by_node(sum(slab.inuse for slab in s.node.partial.values())),
        "cpu_slabs": _by_node(on_cpus),
        "slabs_cpu_partial": f"{aside * half // 2}({aside}){by_cpu}",
    }


def _by_node(count: int) -> str:
    """Return a number in all, and for each memory bank that has any.  Linux: show_slab_objects(), mm/slub.c"""
    return f"{count} N0={count}" if count else "0"
