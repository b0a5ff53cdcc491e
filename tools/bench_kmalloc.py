# SPDX-License-Identifier: GPL-2.0-only
"""How fast is kmalloc()?  Run with ``python tools/bench_kmalloc.py [CALLS]``.

So many objects live, one of them, drawn by lot, is freed, another is allocated, again and again:
through the public calls of a machine that tells nothing.  Beside it run two models of one cache,
made of dictionaries: a heap that knows what is in use and what is free, and slabs, each with its
free objects.  Times are of the processor, the median of some runs; each ratio is of runs that
took turns.
"""

from __future__ import annotations

import random
import sys
import time
import tracemalloc
from collections.abc import Callable
from statistics import median

from kmm_sim import GFP_KERNEL, Machine

LIVE = (1_000, 10_000, 100_000)
SIZES = (8, 64, 256, 1024, 4096, 8192)
RUNS = 5

Alloc, Free = Callable[[int, int], int], Callable[[int], None]


class Heap:
    """One cache without slabs: nothing ever goes back to the page allocator."""

    def __init__(self) -> None:
        self.used: dict[int, int] = {}
        self.unused: list[int] = []
        self.top = 0

    def alloc(self, size: int, gfp: int) -> int:
        """Return the address of an object."""
        if self.unused:
            ptr = self.unused.pop()
        else:
            ptr = self.top
            self.top += size
        self.used[ptr] = gfp
        return ptr

    def free(self, ptr: int) -> None:
        """Take an object back; KeyError if nobody holds it."""
        del self.used[ptr]
        self.unused.append(ptr)


class BareSlabs:
    """One cache with slabs of one page: those with free objects, and of which slab an object is."""

    def __init__(self) -> None:
        self.partial: dict[int, list[int]] = {}
        self.slab_of: dict[int, int] = {}
        self.top = 0

    def alloc(self, size: int, gfp: int) -> int:
        """Return the address of an object, of the slab that has waited longest."""
        if not self.partial:
            self.partial[self.top] = list(range(self.top, self.top + 4096, size))
            self.top += 4096
        slab = next(iter(self.partial))
        unused = self.partial[slab]
        ptr = unused.pop()
        if not unused:
            del self.partial[slab]
        self.slab_of[ptr] = slab
        return ptr

    def free(self, ptr: int) -> None:
        """Take an object back; KeyError if nobody holds it."""
        slab = self.slab_of.pop(ptr)
        if slab in self.partial:
            self.partial[slab].append(ptr)
        else:
            self.partial[slab] = [ptr]


def of_machine() -> tuple[Alloc, Free]:
    """Return the calls of a new machine."""
    machine = Machine(memory="4 GiB", trace=False)
    return machine.kmalloc, machine.kfree


def of_heap() -> tuple[Alloc, Free]:
    """Return the calls of a model without slabs."""
    heap = Heap()
    return heap.alloc, heap.free


def of_slabs() -> tuple[Alloc, Free]:
    """Return the calls of a model with slabs."""
    slabs = BareSlabs()
    return slabs.alloc, slabs.free


def seconds(live: int, calls: int, sizes: list[int], alloc: Alloc, free: Free) -> float:
    """Return how long a call takes while so many objects live."""
    gfp, rng = int(GFP_KERNEL), random.Random(1)
    held = [alloc(sizes[n % len(sizes)], gfp) for n in range(live)]
    steps = [(rng.randrange(live), rng.choice(sizes)) for _ in range(calls // 2)]
    begin = time.process_time()
    for nth, size in steps:
        free(held[nth])
        held[nth] = alloc(size, gfp)
    return (time.process_time() - begin) / (2 * len(steps))


def side_by_side(live: int, calls: int, sizes: list[int]) -> list[float]:
    """Return the seconds a call takes of a heap, of slabs and of the machine, medians of runs in turn."""
    one = [sizes[-1]]  # the models are of one cache
    who = ((of_heap, one), (of_slabs, one), (of_machine, sizes))
    runs = [[seconds(live, calls, asked, *make()) for make, asked in who] for _ in range(RUNS)]
    return [median(column) for column in zip(*runs, strict=True)]


def bytes_per_object(size: int, live: int = 10_000) -> float:
    """Return the bytes that the simulator keeps for each live object of ``size`` bytes."""
    machine, gfp = Machine(memory="4 GiB", trace=False), int(GFP_KERNEL)
    machine.kmalloc(size, gfp)  # the caches come into being
    held = [0] * live
    tracemalloc.start()
    for n in range(live):
        held[n] = machine.kmalloc(size, gfp)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept / live - sys.getsizeof(held[-1])  # the address itself is the caller's


def main() -> None:
    """Print a line for each number of live objects, and one for the memory they cost."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    print(f"{calls:,} calls, {RUNS} runs; nanoseconds a call")
    for title, sizes in (("one size, 64 bytes", [64]), ("any size, 1 to 1024 bytes", list(range(1, 1025)))):
        print(f"{title}\n{'live':>8} {'heap':>6} {'slabs':>6} {'machine':>8} {'/heap':>6} {'/slabs':>6}")
        costs = []
        for live in LIVE:
            heap, slabs, ours = side_by_side(live, calls, sizes)
            costs.append(ours)
            times = f"{heap * 1e9:6.0f} {slabs * 1e9:6.0f} {ours * 1e9:8.0f}"
            print(f"{live:8,} {times} {heap / ours:6.2f} {slabs / ours:6.2f}")
        print(f"{LIVE[-1]:,} live cost {costs[-1] / costs[0]:.2f} times as much as {LIVE[0]:,}")
    print("bytes kept for a live object, by its size: "
          + ", ".join(f"{size}: {bytes_per_object(size):.0f}" for size in SIZES))  # fmt: skip


if __name__ == "__main__":
    main()
