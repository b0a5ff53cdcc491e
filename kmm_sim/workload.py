# SPDX-License-Identifier: GPL-2.0-only
"""Traffic for a machine: written down by hand, or drawn from a seed.

A script is a line such as ``+3 +0 -0``: allocate order 3, allocate order 0, free the 0th
allocation (allocations are numbered from 0, failed ones too).  Random traffic is a stream of
the same steps, drawn from a ``random.Random`` that the caller owns.

    pages = play(machine, parse("+3 +0 -0"))
    play(machine, traffic(random.Random(1), 1000))
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kmm_sim.machine import Machine
from kmm_sim.mm.gfp import GFP_KERNEL
from kmm_sim.mm.mmzone import MAX_PAGE_ORDER
from kmm_sim.mm.page import Page

__all__ = ["GEOMETRIC", "Alloc", "Free", "Op", "parse", "play", "traffic"]

GEOMETRIC = tuple(order for order in range(MAX_PAGE_ORDER + 1) for _ in range(1 << (10 - order)))
"""Orders 0 to 10, each half as frequent as the one below it, to choose from."""


@dataclass(frozen=True, slots=True)
class Alloc:
    """Allocate 2**order pages with a mask.  In a script: ``+order``."""

    order: int
    gfp: int = GFP_KERNEL

    def __str__(self) -> str:
        return f"+{self.order}"


@dataclass(frozen=True, slots=True)
class Free:
    """Free what the n-th allocation got, counted from 0.  In a script: ``-nth``."""

    nth: int

    def __str__(self) -> str:
        return f"-{self.nth}"


Op = Alloc | Free


def parse(script: str, gfp: int = GFP_KERNEL) -> list[Op]:
    """Return the steps of a script such as ``"+3 +0 -0"``; its allocations use mask ``gfp``.

    Raises ValueError for a word that is no step, an order that does not exist, an
    allocation that was not made before, or one that was freed before.
    """
    ops: list[Op] = []
    nr_allocs, freed = 0, set()
    for word in script.replace(",", " ").split():
        if word[0] not in "+-" or not word[1:].isdecimal():
            raise ValueError(f"{word!r} is no step: write +ORDER to allocate, -N to free the N-th")
        number = int(word[1:])
        if word[0] == "+":
            if number > MAX_PAGE_ORDER:
                raise ValueError(f"{word!r}: an order is 0 to {MAX_PAGE_ORDER}")
            ops.append(Alloc(number, gfp))
            nr_allocs += 1
            continue
        if number >= nr_allocs:
            raise ValueError(f"{word!r}: only {nr_allocs} allocations were made before it")
        if number in freed:
            raise ValueError(f"{word!r}: allocation {number} was freed before")
        ops.append(Free(number))
        freed.add(number)
    return ops


def traffic(
    rng: random.Random,
    steps: int,
    orders: Sequence[int] = (0, 0, 0, 0, 1, 1, 2, 3),
    gfps: Sequence[int] = (GFP_KERNEL,),
    frees: float = 0.4,
) -> Iterator[Op]:
    """Yield ``steps`` random steps; the same state of ``rng`` yields the same ones.

    Orders and masks are chosen from ``orders`` and ``gfps`` (repeat one to favour it); a
    share ``frees`` of the steps frees an allocation of any age.
    """
    held: list[int] = []
    nr_allocs = 0
    for _ in range(steps):
        if held and rng.random() < frees:
            at = rng.randrange(len(held))
            held[at], held[-1] = held[-1], held[at]
            yield Free(held.pop())
        else:
            yield Alloc(rng.choice(orders), rng.choice(gfps))
            held.append(nr_allocs)
            nr_allocs += 1


def play(machine: Machine, ops: Iterable[Op]) -> list[Page | None]:
    """Do the steps on a machine; return what each allocation got, in order.

    Freeing an allocation that had failed does nothing.  Raises IndexError for one that was
    not made, KernelBug for one that was freed before.
    """
    pages: list[Page | None] = []
    orders: list[int] = []
    for op in ops:
        if isinstance(op, Alloc):
            pages.append(machine.alloc_pages(op.gfp, op.order))
            orders.append(op.order)
        elif (page := pages[op.nth]) is not None:
            machine.free_pages(page, orders[op.nth])
    return pages
