# SPDX-License-Identifier: GPL-2.0-only
"""What each bit of a gfp mask means, and where code can be when it asks: words for the GFP lab.

Linux: include/linux/gfp_types.h
"""

from __future__ import annotations

from kmm_sim.catalogue import _
from kmm_sim.mm.gfp import (
    GFP_ATOMIC,
    GFP_DMA,
    GFP_DMA32,
    GFP_HIGHUSER,
    GFP_HIGHUSER_MOVABLE,
    GFP_KERNEL,
    GFP_KERNEL_ACCOUNT,
    GFP_NOFS,
    GFP_NOIO,
    GFP_NOWAIT,
    GFP_USER,
    Gfp,
    gfp_names,
)

__all__ = ["BASES", "CONTEXTS", "EXTRAS", "MEANINGS", "WHERE", "mask_of"]

BASES = {
    gfp_names(mask): int(mask)
    for mask in (
        GFP_KERNEL, GFP_ATOMIC, GFP_NOWAIT, GFP_NOIO, GFP_NOFS, GFP_USER, GFP_HIGHUSER, GFP_HIGHUSER_MOVABLE,
        GFP_KERNEL_ACCOUNT, GFP_DMA, GFP_DMA32,
    )
} | {"0": 0}
"""The masks to begin with, by name."""

EXTRAS = {
    f"__GFP_{flag.name}": int(flag)
    for flag in (
        Gfp.HIGH, Gfp.NORETRY, Gfp.RETRY_MAYFAIL, Gfp.NOFAIL, Gfp.NOWARN, Gfp.MEMALLOC, Gfp.NOMEMALLOC,
        Gfp.ZERO, Gfp.COMP, Gfp.RECLAIMABLE, Gfp.MOVABLE, Gfp.DMA, Gfp.DMA32,
    )
}
"""Flags to add, by name."""

MEANINGS = {
    Gfp.DMA: (_("zone"), _("the highest zone is DMA: below 16 MiB")),
    Gfp.HIGHMEM: (_("zone"), _("high memory will do; on 64 bits there is none")),
    Gfp.DMA32: (_("zone"), _("the highest zone is DMA32: below 4 GiB")),
    Gfp.MOVABLE: (_("mobility"), _("whoever holds the page can be moved to another")),
    Gfp.RECLAIMABLE: (_("mobility"), _("slab pages that can be freed on demand")),
    Gfp.HIGH: (_("reserves"), _("may go below min, to half of it")),
    Gfp.IO: (_("reclaim"), _("reclaim may start I/O: write to swap")),
    Gfp.FS: (_("reclaim"), _("reclaim may call filesystem code")),
    Gfp.ZERO: (_("action"), _("fill it with zeros")),
    Gfp.DIRECT_RECLAIM: (_("reclaim"), _("the caller may reclaim, and so may sleep")),
    Gfp.KSWAPD_RECLAIM: (_("reclaim"), _("wake kswapd when a zone runs low")),
    Gfp.WRITE: (_("placement"), _("the page will soon be dirty: spread them")),
    Gfp.NOWARN: (_("action"), _("no report if it fails")),
    Gfp.RETRY_MAYFAIL: (_("reclaim"), _("try hard, but kill nobody, and fail at last")),
    Gfp.NOFAIL: (_("reclaim"), _("never fail: try for ever")),
    Gfp.NORETRY: (_("reclaim"), _("one round of reclaim, no more")),
    Gfp.MEMALLOC: (_("reserves"), _("all that is left: the caller is about to free more")),
    Gfp.COMP: (_("action"), _("make it a compound page")),
    Gfp.NOMEMALLOC: (_("reserves"), _("stay out of the reserves, whoever asks")),
    Gfp.HARDWALL: (_("placement"), _("keep to the process's cpuset")),
    Gfp.THISNODE: (_("placement"), _("from this memory bank or not at all")),
    Gfp.ACCOUNT: (_("placement"), _("charge it to the process's cgroup")),
    Gfp.ZEROTAGS: (_("action"), _("zero memory tags as well (arm64)")),
    Gfp.NO_OBJ_EXT: (_("action"), _("no slab bookkeeping for this one")),
}
"""For each bit: what kind of flag it is, and what it says."""

CONTEXTS = {
    "process": _("process context: may sleep"),
    "spinlock": _("a spinlock is held"),
    "softirq": _("in a soft interrupt"),
    "hardirq": _("in a hardware interrupt"),
    "irqs off": _("interrupts are off"),
    "fs": _("inside a filesystem"),
    "io": _("inside the block layer"),
    "nofs": _("after memalloc_nofs_save()"),
    "noio": _("after memalloc_noio_save()"),
    "memalloc": _("frees memory itself (PF_MEMALLOC)"),
}
"""Where the caller may be: as ``Machine.context`` has it, and in words."""

WHERE = (_("process"), _("spinlock"), _("softirq"), _("hardirq"), _("irqs off"), _("fs"), _("io"), _("nofs"), _("noio"),
         _("memalloc"))
"""The names of CONTEXTS as a reader sees them."""


def mask_of(base: str, extras: tuple[str, ...] | list[str]) -> int:
    """Return a mask from the name of one and the names of flags.  Raises ValueError for a name that is none."""
    unknown = [name for name in (base, *extras) if name not in BASES and name not in EXTRAS]
    if unknown or base not in BASES:
        raise ValueError(_("{gfp!r} is none of the masks {masks}",
                           gfp=(unknown or [base])[0], masks=", ".join(BASES)))
    mask = BASES[base]
    for name in extras:
        mask |= EXTRAS[name]
    return mask
