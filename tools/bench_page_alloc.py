# SPDX-License-Identifier: GPL-2.0-only
"""How fast is the page allocator?  Run with ``python tools/bench_page_alloc.py [REQUESTS]``.

Seeded requests, orders 0 to 10 geometric, memory half full, through the public calls of a
machine with everything on.  Beside it run the well-known toy, a free list per order in an
OrderedDict and nothing else, and the least that does what a kernel's caller sees: the toy with a
struct page for each block, a per-CPU list for small orders and one watermark, in as few steps as
can be.  The ratios say something on any computer; the second says what the model costs, and
what Python does.  Times are of the processor, with the garbage collector off, as in timeit.
"""

from __future__ import annotations

import gc
import random
import sys
import time
import tracemalloc
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial

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


class Slot:
    """What the bare model keeps of a block."""

    __slots__ = ("gfp", "order", "pfn", "refcount")

    def __init__(self, pfn: int) -> None:
        self.pfn, self.order, self.gfp, self.refcount = pfn, -1, 0, 0


class Bare(Toy):
    """The toy with what nobody can leave out who says `struct page`: four small things."""

    def __init__(self, pages: int) -> None:
        super().__init__(pages)
        self.mem_map: dict[int, Slot] = {}
        self.lists: list[deque[int]] = [deque() for _ in range(4)]
        self.count, self.batch, self.high = 0, max(1, min(63, pages >> 12)), pages >> 7
        self.nr_free, self.low = pages, pages >> 9

    def alloc_pages(self, gfp: int, order: int) -> Slot | None:
        """Take a block above the mark, a small one from the CPU's list."""
        size = 1 << order
        if self.nr_free - size <= self.low:
            return None
        if order < 4:
            blocks = self.lists[order]
            if not blocks and not self._fill(blocks, order):
                return None
            pfn = blocks.popleft()
            self.count -= size
        else:
            found = self.alloc(order)
            if found is None:
                return None
            pfn = found
            self.nr_free -= size
        slot = self.mem_map.get(pfn)
        if slot is None:
            slot = self.mem_map[pfn] = Slot(pfn)
        slot.order = order
        slot.gfp = gfp
        slot.refcount = 1
        return slot

    def _fill(self, blocks: deque[int], order: int) -> int:
        for _ in range(max(self.batch >> order, 2)):
            if (pfn := self.alloc(order)) is None:
                break
            blocks.append(pfn)
        self.count += len(blocks) << order
        self.nr_free -= len(blocks) << order
        return len(blocks)

    def free_pages(self, slot: Slot, order: int) -> None:
        """Give a block back, a small one to the CPU's list, which gives a batch back when it is long."""
        if slot.order != order or slot.refcount != 1:
            raise ValueError(slot.pfn)
        slot.order = -1
        slot.refcount = 0
        if order >= 4:
            self.release(slot.pfn, order)
            self.nr_free += 1 << order
            return
        self.lists[order].appendleft(slot.pfn)
        self.count += 1 << order
        if self.count >= self.high:
            self._drain(self.batch)

    def _drain(self, left: int) -> None:
        for order, blocks in enumerate(self.lists):
            while blocks and left > 0:
                self.release(blocks.pop(), order)
                left -= 1 << order
                self.count -= 1 << order
                self.nr_free += 1 << order


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
    gc.collect()
    gc.disable()
    begin = time.process_time()
    for order, nth in steps:
        if nth < 0:
            held.append((alloc(order), order))
        else:
            (block, size), held[nth] = held[nth], held[-1]
            held.pop()
            if block is not None:
                free(block, size)
    taken = time.process_time() - begin
    gc.enable()
    return len(steps) / taken


def of_machine(steps: list[Step], pages: int, trace: bool) -> float:
    """Return the rate of a PC of so many pages."""
    machine, gfp = Machine(memory=pages * 4096, trace=trace), int(GFP_KERNEL)
    return rate(steps, partial(machine.alloc_pages, gfp), machine.free_pages)


def of_toy(steps: list[Step], pages: int) -> float:
    """Return the rate of the toy."""
    toy = Toy(pages)
    return rate(steps, toy.alloc, toy.release)


def of_bare(steps: list[Step], pages: int) -> float:
    """Return the rate of the bare model."""
    bare, gfp = Bare(pages), int(GFP_KERNEL)
    return rate(steps, partial(bare.alloc_pages, gfp), bare.free_pages)


def creation() -> tuple[int, int, float]:
    """Return the bytes of a machine of 1 TiB, those after it gave one page, and the seconds to make it."""
    Machine(memory="1 TiB")
    tracemalloc.start()
    machine = Machine(memory="1 TiB")
    made, _ = tracemalloc.get_traced_memory()
    machine.alloc_pages(int(GFP_KERNEL), 0)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    gc.disable()  # it would look through all that ran before
    begin = time.process_time()
    for _ in range(100):
        machine = Machine(memory="1 TiB")
    taken = time.process_time() - begin
    gc.enable()
    return made, used, taken / 100


def main() -> None:
    """Print a line for each size of memory, and one for making a machine."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print(f"{count:,} requests; thousands a second")
    print("   pages      toy     bare  machine   /toy  /bare  with events  events cost  bare/toy")
    rates = []
    for bits in (12, 18, 22):
        pages = 1 << bits
        steps = requests(count, pages)
        toy, bare = of_toy(steps, pages), of_bare(steps, pages)
        quiet, loud = (of_machine(steps, pages, trace) for trace in (False, True))
        rates.append(quiet)
        print(
            f"{'2**' + str(bits):>8} {toy / 1e3:8.0f} {bare / 1e3:8.0f} {quiet / 1e3:8.0f} {quiet / toy:6.2f} "
            f"{quiet / bare:6.2f} {loud / 1e3:12.0f} {quiet / loud:12.2f} {bare / toy:9.2f}"
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
