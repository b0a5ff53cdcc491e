# SPDX-License-Identifier: GPL-2.0-only
"""How fast is the page allocator?  Run with ``python tools/bench_page_alloc.py [REQUESTS]``.

Seeded requests, orders 0 to 10 geometric, memory half full, through the public calls of a
machine with everything on.  Beside it runs the well-known toy, a free list per order in an
OrderedDict and nothing else, so that the ratio says something on any computer.  Times are of
the processor, not of the clock on the wall.
"""

from __future__ import annotations

import random
import sys
import time
import tracemalloc
from collections import OrderedDict
from collections.abc import Callable

from kmm_sim import GFP_KERNEL, Machine

Step = tuple[int, int]  # (order, -1) allocates; (_, nth) frees what is nth in hand


class Toy:
    """Split and merge, no zones, no watermarks, no page structs: what a toy buddy allocator does."""

    def __init__(self, pages: int) -> None:
        self.free: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(11)]
        self.free[10].update(dict.fromkeys(range(0, pages, 1024)))

    def alloc(self, order: int) -> int | None:
        """Take a block, the smallest that fits."""
        for larger in range(order, 11):
            if self.free[larger]:
                pfn, _ = self.free[larger].popitem(last=False)
                while larger > order:
                    larger -= 1
                    upper = pfn + (1 << larger)
                    self.free[larger][upper] = None
                    self.free[larger].move_to_end(upper, last=False)
                return pfn
        return None

    def release(self, pfn: int, order: int) -> None:
        """Give a block back and merge it."""
        while order < 10 and (pfn ^ (1 << order)) in self.free[order]:
            del self.free[order][pfn ^ (1 << order)]
            pfn &= ~(1 << order)
            order += 1
        self.free[order][pfn] = None
        self.free[order].move_to_end(pfn, last=False)


def requests(count: int, pages: int) -> list[Step]:
    """Return a seeded run that fills half of memory and stays there."""
    rng, held, total, steps = random.Random(1), [], 0, []
    for _ in range(count):
        if total < pages // 2 or not held:
            order = min(int(rng.expovariate(0.6931)), 10)
            held.append(order)
            total += 1 << order
            steps.append((order, -1))
        else:
            nth = rng.randrange(len(held))
            order, held[nth] = held[nth], held[-1]
            held.pop()
            total -= 1 << order
            steps.append((order, nth))
    return steps


def rate(steps: list[Step], alloc: Callable[[int], object], free: Callable[[object, int], None]) -> float:
    """Return how many of the steps are done in a second."""
    held: list[tuple[object, int]] = []
    begin = time.process_time()
    for order, nth in steps:
        if nth < 0:
            held.append((alloc(order), order))
        else:
            (block, size), held[nth] = held[nth], held[-1]
            held.pop()
            if block is not None:
                free(block, size)
    return len(steps) / (time.process_time() - begin)


def of_machine(steps: list[Step], pages: int, trace: bool) -> float:
    """Return the rate of a PC of so many pages."""
    machine, gfp = Machine(memory=pages * 4096, trace=trace), int(GFP_KERNEL)
    return rate(steps, lambda order: machine.alloc_pages(gfp, order), machine.free_pages)


def of_toy(steps: list[Step], pages: int) -> float:
    """Return the rate of the toy."""
    toy = Toy(pages)
    return rate(steps, toy.alloc, toy.release)


def creation() -> tuple[int, int, float]:
    """Return the bytes of a machine of 1 TiB, those after it gave one page, and the seconds to make it."""
    Machine(memory="1 TiB")
    tracemalloc.start()
    machine = Machine(memory="1 TiB")
    made, _ = tracemalloc.get_traced_memory()
    machine.alloc_pages(int(GFP_KERNEL), 0)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    begin = time.process_time()
    for _ in range(100):
        machine = Machine(memory="1 TiB")
    return made, used, (time.process_time() - begin) / 100


def main() -> None:
    """Print a line for each size of memory, and one for making a machine."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print(f"{count:,} requests; thousands a second")
    print(f"{'pages':>8} {'toy':>8} {'machine':>8} {'ratio':>6} {'with events':>12} {'events cost':>12}")
    rates = []
    for bits in (12, 18, 22):
        steps = requests(count, 1 << bits)
        toy = of_toy(steps, 1 << bits)
        quiet, loud = (of_machine(steps, 1 << bits, trace) for trace in (False, True))
        rates.append(quiet)
        print(
            f"{'2**' + str(bits):>8} {toy / 1e3:8.0f} {quiet / 1e3:8.0f} {quiet / toy:6.2f} "
            f"{loud / 1e3:12.0f} {quiet / loud:12.2f}"
        )
    print(f"a request at 2**22 pages costs {rates[0] / rates[-1]:.2f} times as much as at 2**12")
    made, used, seconds = creation()
    untouched = (1 << 40) // 4096
    print(
        f"a machine of 1 TiB: {made:,} bytes, {made / untouched:.4f} an untouched page, "
        f"{used / untouched:.4f} once it is in use; {seconds * 1e6:.0f} microseconds"
    )


if __name__ == "__main__":
    main()
