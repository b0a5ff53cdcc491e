# SPDX-License-Identifier: GPL-2.0-only
"""What comes of a freelist that a caller has broken, on a machine that does not teach.

SLUB's freelist is a chain: each free object has the address of the next one in its own bytes.
Who frees an object twice, or by an address inside it, makes a chain that runs in circles, or
through the middle of somebody's object, and a distribution's kernel follows it.  So do we: from
then on the chain is read from the bytes, for as long as it leads anywhere.

All objects that were on the freelist count as in use from that moment; who gets which of them
only the bytes know.

Linux: set_freepointer(), get_freepointer_safe(), mm/slub.c
Simplified: a broken chain is used up before anything else is handed out, by whichever CPU comes.
"""

from __future__ import annotations

from kmm_sim.errors import KernelBug
from kmm_sim.mm.gfp import ZERO
from kmm_sim.mm.oops import bad_access
from kmm_sim.mm.page import PAGE_OFFSET, virt_to_pfn
from kmm_sim.mm.slab_events import FreelistBroken
from kmm_sim.mm.slub_debug import get_freepointer, set_freepointer, write_freepointer
from kmm_sim.mm.slub_def import NO_OBJECTS, KmemCacheCpu, Slab, SlubCache

__all__ = ["alloc_from_chain", "break_freelist"]


def break_freelist(s: SlubCache, c: KmemCacheCpu, slab: Slab, ptr: int) -> None:
    """Put an address on a freelist where it does not belong; the freelist is bytes alone from now on.

    A slab that is not this CPU's has to be off all lists already.

    Linux: do_slab_free(), __slab_free(), mm/slub.c
    """
    mine = slab is c.slab
    freelist = c.freelist if mine else slab.freelist
    for index, after in zip(freelist[:0:-1], freelist[-2::-1], strict=True):
        set_freepointer(s, slab, index, after)
    if freelist:
        below = s.chains.pop() if s.chains and mine else 0
        write_freepointer(s, slab.base + freelist[0] * s.size, below)
    head = slab.base + freelist[-1] * s.size if freelist else s.chains.pop() if s.chains and mine else 0
    write_freepointer(s, ptr, head)
    s.chains.append(ptr)
    for index in freelist:
        slab.live[index] = 1
    if mine:
        c.freelist = []
    else:
        slab.freelist = NO_OBJECTS
    s.slabs.broken = True
    s.slabs.kmalloc_plain.clear()  # requests go the long way from now on
    if s.pgdat.trace is not None:
        s.pgdat.trace.emit(FreelistBroken(s.name, c.cpu if mine else -1, slab.pfn))


def alloc_from_chain(s: SlubCache, gfp: int) -> int:
    """Return the address that a broken chain leads to, and go on to what stands in the bytes there.

    Raises KernelBug, with the kernel's report in the log, when that is no address at all.

    Linux: slab_alloc_node(), get_freepointer_safe(), mm/slub.c
    """
    node, ptr = s.pgdat, s.chains[-1]
    place = ptr + s.offset
    if node.pfn_to_page(virt_to_pfn(place)) is None:
        s.chains.pop()
        node.dmesg += bad_access(place)
        raise KernelBug(
            f"the freelist of {s.name} leads to {ptr:#x}, where no object is: somebody broke it, and wrote over it"
        )
    after = get_freepointer(s, ptr)
    if after:
        s.chains[-1] = after
    else:
        s.chains.pop()
    if gfp & ZERO or node.init_on_alloc:
        node.memory.clear(ptr - PAGE_OFFSET, s.object_size)
    return ptr
