# SPDX-License-Identifier: GPL-2.0-only
"""The calls of the slab labs: objects of one cache come and go; and the scripts that make them.

A slot of a slab stands for an object: ``(pfn, nth)`` is the nth object, or in a page of SLOB's the nth block.

A script has a word a step: ``+3`` allocates three objects, ``-0`` frees the object that was allocated
first (``-2-5`` those from the third to the sixth), ``@1`` goes over to CPU 1, ``shrink`` shrinks the cache.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kmm_sim.catalogue import _
from kmm_sim.labs.run import Call
from kmm_sim.labs.scene import Text
from kmm_sim.machine import Machine
from kmm_sim.mm.gfp import GFP_KERNEL
from kmm_sim.mm.page import PAGE_OFFSET, PAGE_SHIFT, PAGE_SIZE
from kmm_sim.mm.slab_common import KmemCache
from kmm_sim.mm.slab_events import KmemCacheAlloc

__all__ = ["MOST", "Allocate", "Free", "Shrink", "address", "cache_of", "parse", "recorded", "slot_of"]

MOST = 64
"""The most objects that one call of the lab allocates."""
STEP = re.compile(r"\+(?P<alloc>\d+)|-(?P<first>\d+)(-(?P<last>\d+))?|@(?P<cpu>\d+)|(?P<shrink>shrink)")


@dataclass(frozen=True, slots=True)
class Allocate:
    """The call kmem_cache_alloc(), so many times, on a CPU."""

    cache: str
    count: int = 1
    cpu: int = 0

    def text(self) -> Text:
        """Return the call as C."""
        times = f"{self.count} × " if self.count > 1 else ""
        return f"{times}kmem_cache_alloc({self.cache}, GFP_KERNEL){_on(self.cpu)}"

    def __call__(self, machine: Machine) -> list[int]:
        """Make the calls; return the addresses, 0 for none."""
        machine.cpu = self.cpu
        return [machine.kmem_cache_alloc(cache_of(machine, self.cache), GFP_KERNEL) for _ in range(self.count)]


@dataclass(frozen=True, slots=True)
class Free:
    """The call kmem_cache_free() for the object in a slot, on a CPU."""

    cache: str
    pfn: int
    nth: int
    cpu: int = 0

    def text(self) -> Text:
        """Return the call as C."""
        return f"kmem_cache_free({self.cache}, slab {self.pfn} object {self.nth}){_on(self.cpu)}"

    def __call__(self, machine: Machine) -> None:
        """Make the call; raises KernelBug if nobody holds the object."""
        machine.cpu = self.cpu
        cache = cache_of(machine, self.cache)
        machine.kmem_cache_free(cache, address(machine, self.pfn, self.nth))


@dataclass(frozen=True, slots=True)
class Shrink:
    """The call kmem_cache_shrink()."""

    cache: str

    def text(self) -> Text:
        """Return the call as C."""
        return f"kmem_cache_shrink({self.cache})"

    def __call__(self, machine: Machine) -> None:
        """Make the call."""
        machine.kmem_cache_shrink(cache_of(machine, self.cache))


def _on(cpu: int) -> str:
    return _(", on CPU {cpu}", cpu=cpu) if cpu else ""


def cache_of(machine: Machine, name: str) -> KmemCache:
    """Return the cache of that name."""
    return next(s for s in machine.slabs.caches if name in (s.name, *s.aliases))


def address(machine: Machine, pfn: int, nth: int) -> int:
    """Return the address of the nth object of a slab.  Raises ValueError if there is no such slab or object."""
    slab = machine.slabs.pages.get(pfn)
    if slab is None:
        raise ValueError(_("there is no slab at pfn {pfn}", pfn=pfn))
    if machine.slabs.allocator.name == "slob":
        blocks = sorted([*slab.held.items(), *map(tuple, slab.free)])
        if not 0 <= nth < len(blocks):
            raise ValueError(_("page {pfn} has {blocks} blocks, and no number {nth}",
                               pfn=pfn, blocks=len(blocks), nth=nth))
        return int(PAGE_OFFSET + pfn * PAGE_SIZE + blocks[nth][0])
    return int(slab.base + nth * slab.cache.size)


def slot_of(machine: Machine, ptr: int) -> tuple[int, int]:
    """Return the slab and the slot of an object in use, the inverse of ``address``."""
    slab = machine.slabs.pages[(ptr - PAGE_OFFSET) >> PAGE_SHIFT]
    if machine.slabs.allocator.name == "slob":
        blocks = sorted([*slab.held.items(), *map(tuple, slab.free)])
        return slab.pfn, [offset for offset, _size in blocks].index(ptr % PAGE_SIZE)
    return slab.pfn, (ptr - slab.base) // slab.cache.size


def parse(script: str) -> tuple[re.Match[str], ...]:
    """Return the steps of a script.

    Raises ValueError for a word that is no step, or an object that was not allocated before.
    """
    steps, made = [], 0
    for word in script.split():
        step = STEP.fullmatch(word)
        if step is None:
            raise ValueError(_("{word!r} is no step: write +N to allocate, -N to free the Nth, @CPU or shrink",
                               word=word))
        last = int(step["last"] or step["first"] or 0)
        if step["first"] and last >= made:
            raise ValueError(_("{word!r}: only {made} objects were allocated before it", word=word, made=made))
        made += int(step["alloc"] or 0)
        steps.append(step)
    return tuple(steps)


def recorded(machine: Machine, cache: str, script: str) -> Iterator[Call]:
    """Yield the calls of a script one by one, each to be made before the next is asked for."""
    got: list[int] = []
    cpu = 0
    for step in parse(script):
        if step["alloc"]:
            before = len(machine.trace)
            yield Allocate(cache, int(step["alloc"]), cpu)
            got += [event.ptr for event in machine.trace[before:] if isinstance(event, KmemCacheAlloc)]
        elif step["first"]:
            for ptr in got[int(step["first"]) : int(step["last"] or step["first"]) + 1]:
                yield Free(cache, *slot_of(machine, ptr), cpu)
        elif step["cpu"]:
            cpu = int(step["cpu"])
        else:
            yield Shrink(cache)
