# SPDX-License-Identifier: GPL-2.0-only
"""How fast is kmalloc()?  Run with ``python tools/bench_kmalloc.py [CALLS]``.

So many objects live, one of them, drawn by lot, is freed, another is allocated, again and again:
through the public calls of a machine that tells nothing.  Beside it run two models of one cache,
made of dictionaries: a heap that knows what is in use and what is free, and slabs, each with its
free objects.  Times are of the processor.  The three take turns in one process; ratios and times
are medians.  It ends with the promises, kept or not; the exit code says the same.
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
SIZES = (8, 64, 192, 256, 1024, 2048, 4096, 8192)
MIXED = [1 + n * 4099 % 8192 for n in range(8192)]  # every size once, in no order
RUNS = 20
SPEED = {1_000: 0.4, 100_000: 0.6}
"""How fast calls are to be, beside the slabs made of dictionaries, while so many objects live."""
GROWTH = 2.5
"""How much dearer a call may be with 100,000 live objects than with 1,000."""
BYTES = 100
"""How many bytes a live object may take beyond its own."""

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


class Traffic:
    """Calls that keep ``live`` objects: one, drawn by lot, is freed, another is allocated."""

    def __init__(self, live: int, sizes: list[int], alloc: Alloc, free: Free) -> None:
        self.live, self.sizes, self.alloc, self.free = live, sizes, alloc, free
        self.gfp, self.rng = int(GFP_KERNEL), random.Random(1)
        self.held = [alloc(sizes[n % len(sizes)], self.gfp) for n in range(live)]

    def seconds(self, calls: int) -> float:
        """Make so many calls; return how long one took."""
        steps = [(self.rng.randrange(self.live), self.rng.choice(self.sizes)) for _ in range(calls // 2)]
        alloc, free, held, gfp = self.alloc, self.free, self.held, self.gfp
        begin = time.process_time()
        for nth, size in steps:
            free(held[nth])
            held[nth] = alloc(size, gfp)
        return (time.process_time() - begin) / (2 * len(steps))


def seconds(live: int, calls: int, sizes: list[int], alloc: Alloc, free: Free) -> float:
    """Return how long a call takes while so many objects live."""
    return Traffic(live, sizes, alloc, free).seconds(calls)


def side_by_side(live: int, calls: int, sizes: list[int]) -> tuple[list[float], list[float]]:
    """Return the seconds a call takes of a heap, of slabs and of the machine, and the ratios to the machine's.

    They take turns, a short run each, so that whatever else the processor does falls on all of them;
    all figures are medians.
    """
    one = [64]  # the models are of one cache
    makers = ((of_heap, one), (of_slabs, one), (of_machine, sizes))
    who = [Traffic(live, asked, *make()) for make, asked in makers]
    for traffic in who:
        traffic.seconds(calls // RUNS)  # Python gets to know the code, the processor the data
    runs = [[traffic.seconds(calls // RUNS) for traffic in who] for _ in range(RUNS)]
    ratios = [median(run[nth] / run[-1] for run in runs) for nth in (0, 1)]
    return [median(column) for column in zip(*runs, strict=True)], ratios


def bytes_per_object(sizes: list[int], live: int = 10_000, slab: str = "slub") -> float:
    """Return the bytes that the simulator keeps for each live object of these sizes."""
    machine, gfp = Machine(memory="4 GiB", trace=False, slab=slab), int(GFP_KERNEL)
    machine.kfree(machine.kmalloc(sizes[0], gfp))  # the caches come into being
    held = [0] * live
    tracemalloc.start()
    for n in range(live):
        held[n] = machine.kmalloc(sizes[n % len(sizes)], gfp)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept / live - sys.getsizeof(held[-1])  # the address itself is the caller's


def verdict(what: str, value: float, wanted: float, *, at_least: bool) -> bool:
    """Print whether a promise is kept."""
    kept = value >= wanted if at_least else value <= wanted
    print(f"{'PASS' if kept else 'FAIL'}  {what}: {value:.2f}, wanted {'>=' if at_least else '<='} {wanted:g}")
    return kept


def main() -> int:
    """Print what calls cost in time and in memory, and whether that is what was promised."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 400_000
    print(f"{calls:,} calls in {RUNS} runs by turns; nanoseconds a call, and the speed beside that of the models")
    kept = True
    for title, sizes, promised in (
        ("one size, 64 bytes", [64], True),
        ("any size, 1 to 1024 bytes (beside models of one size)", list(range(1, 1025)), False),
    ):
        print(f"{title}\n{'live':>8} {'heap':>6} {'slabs':>6} {'machine':>8} {'/heap':>6} {'/slabs':>6}")
        costs, speed = [], {}
        for live in LIVE:
            (heap, slabs, ours), ratios = side_by_side(live, calls, sizes)
            costs.append(ours)
            speed[live] = ratios[1]
            times = f"{heap * 1e9:6.0f} {slabs * 1e9:6.0f} {ours * 1e9:8.0f}"
            print(f"{live:8,} {times} {ratios[0]:6.2f} {ratios[1]:6.2f}")
        growth = costs[-1] / costs[0]
        if promised:
            for live, wanted in SPEED.items():
                kept &= verdict(f"speed beside slabs at {live:,} live", speed[live], wanted, at_least=True)
        kept &= verdict(f"cost at {LIVE[-1]:,} live over that at {LIVE[0]:,}", growth, GROWTH, at_least=False)
    print("bytes kept for a live object beyond its own")
    for size in SIZES:
        kept &= verdict(f"kmalloc({size})", bytes_per_object([size]), BYTES, at_least=False)
    kept &= verdict("kmalloc() of 1 to 8192 bytes", bytes_per_object(MIXED), BYTES, at_least=False)
    print(f"      whole pages of the page allocator, kmalloc(16384): {bytes_per_object([16384]):.0f}; "
          "each such block has a struct page of its own")  # fmt: skip
    for name in ("slab", "slob"):
        print(f"      {name}, kmalloc() of 1 to 8192 bytes: {bytes_per_object(MIXED, 3000, name):.0f}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
