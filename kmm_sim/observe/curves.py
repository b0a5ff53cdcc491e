# SPDX-License-Identifier: GPL-2.0-only
"""A sample of a machine: the numbers that one draws over time.

    samples = [sample(machine, second) for second in workload.seconds(machine, 60)]
"""

from __future__ import annotations

from dataclasses import dataclass

from kmm_sim.machine import Machine
from kmm_sim.mm.mmzone import NR_PAGE_ORDERS
from kmm_sim.mm.page import PAGE_SHIFT
from kmm_sim.observe.fragmentation import fragmentation_index
from kmm_sim.observe.slabinfo import get_slabinfo

__all__ = ["Sample", "sample"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A machine at one time.

    ``nr_free`` counts the free blocks of all zones by order, as /proc/buddyinfo does; what lies on the CPUs' own
    lists is not among them.  ``index`` is the fragmentation index by order of one zone, ``zone``, the largest:
    it asks whether a request fails, and a request is served by one zone.  Slabs are counted in bytes: those of
    objects in use (and on CPUs' lists, as /proc/slabinfo counts), and those of all pages that slabs have.
    """

    second: float
    nr_free: tuple[int, ...]
    zone: str
    index: tuple[float, ...]
    slab_active: int
    slab_total: int

    @property
    def free_pages(self) -> int:
        """The pages on the free lists."""
        return sum(count << order for order, count in enumerate(self.nr_free))

    def pages_of(self, orders: range) -> int:
        """Return how many pages lie in free blocks of these orders."""
        return sum(self.nr_free[order] << order for order in orders)

    def unusable(self, order: int) -> float:
        """Return which share of the free pages lies in blocks too small for ``order``; 1.0 if none is free."""
        return self.pages_of(range(order)) / self.free_pages if self.free_pages else 1.0


def sample(machine: Machine, second: float = 0) -> Sample:
    """Return what a machine looks like now."""
    counts = ([area.nr_free for area in zone.free_area] for zone in machine.zones)
    largest = max(machine.zones, key=lambda zone: zone.managed_pages)
    slob = machine.slabs.allocator.name == "slob"
    infos = [] if slob else [(s.size, get_slabinfo(s)) for s in machine.slabs.caches]
    return Sample(
        second,
        tuple(map(sum, zip(*counts, strict=True))),
        largest.name,
        tuple(fragmentation_index(largest, order) for order in range(NR_PAGE_ORDERS)),
        sum(size * info.active_objs for size, info in infos),
        sum(info.num_slabs << (PAGE_SHIFT + info.order) for _, info in infos),
    )
