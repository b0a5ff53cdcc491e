# SPDX-License-Identifier: GPL-2.0-only
"""Caches that every Linux has: process descriptors, inodes, and a few more.

Each is asked for here as the kernel asks for it at boot, with the sizes of a real 6.12.117.
They differ from kernel to kernel: a struct has fields that come and go with the configuration.

Linux: the caller of kmem_cache_create() that each cache names
Simplified: a constructor only clears the object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from kmm_sim.mm.page import PAGE_OFFSET
from kmm_sim.mm.slab_common import KmemCache, SlabFlags, Slabs, kmem_cache_create

__all__ = ["KERNEL_CACHES", "KernelCache", "kernel_cache"]


@dataclass(frozen=True, slots=True)
class KernelCache:
    """What the kernel asks for: sizes and alignment in bytes; ``usersize`` of them may be copied to users."""

    name: str
    size: int
    creator: str
    flags: int
    align: int = 0
    usersize: int = 0
    constructed: bool = False


_F = SlabFlags
_PLAIN = int(_F.PANIC | _F.ACCOUNT)
_ALIGNED = _PLAIN | int(_F.HWCACHE_ALIGN)
_RECLAIMABLE = _PLAIN | int(_F.RECLAIM_ACCOUNT)

KERNEL_CACHES: Mapping[str, KernelCache] = MappingProxyType(
    {
        each.name: each
        for each in (
            KernelCache("task_struct", 6208, "fork_init(), kernel/fork.c", _PLAIN, align=64, usersize=2048),
            KernelCache("inode_cache", 624, "inode_init(), fs/inode.c", _RECLAIMABLE, constructed=True),
            KernelCache("dentry", 192, "dcache_init(), fs/dcache.c", _RECLAIMABLE, usersize=40),
            KernelCache("mm_struct", 1360, "mm_cache_init(), kernel/fork.c", _ALIGNED, usersize=384),
            KernelCache("vm_area_struct", 176, "proc_caches_init(), kernel/fork.c", _PLAIN),
            KernelCache("signal_cache", 1104, "proc_caches_init(), kernel/fork.c", _ALIGNED),
            KernelCache("cred", 184, "cred_init(), kernel/cred.c", _ALIGNED),
            KernelCache("buffer_head", 104, "buffer_init(), fs/buffer.c", int(_F.PANIC | _F.RECLAIM_ACCOUNT)),
        )
    }
)
"""By name.  Where users may copy from an object it stands alone: how many bytes is not recorded, only that."""


def kernel_cache(slabs: Slabs, name: str) -> KmemCache:
    """Return the cache of that name, made as the kernel makes it if it is not there yet.

    Raises ValueError for a name that is not in KERNEL_CACHES.

    Linux: fork_init(), kernel/fork.c
    """
    asked = KERNEL_CACHES.get(name)
    if asked is None:
        raise ValueError(f"unknown kernel cache {name!r}: there are {', '.join(KERNEL_CACHES)}")
    for s in slabs.caches:
        if name in (s.name, *s.aliases):
            return s

    def clear(ptr: int) -> None:
        slabs.node.memory.clear(ptr - PAGE_OFFSET, asked.size)

    ctor = clear if asked.constructed else None
    return kmem_cache_create(slabs, name, asked.size, asked.align, asked.flags, ctor, asked.usersize)
