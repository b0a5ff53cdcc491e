# SPDX-License-Identifier: GPL-2.0-only
"""Traffic for a machine: written down by hand, or drawn from a seed.

A script is a line such as ``+3 +0 -0``: allocate order 3, allocate order 0, free the 0th
allocation (allocations are numbered from 0, failed ones too).  Random traffic is a stream of
the same steps, drawn from a ``random.Random`` that the caller owns.

    pages = play(machine, parse("+3 +0 -0"))
    play(machine, traffic(random.Random(1), 1000))

A workload has a clock besides: tenants come, take pages or bytes, keep them for a while and
give them back, over minutes of simulated time.

    workload = Workload(everyday(machine), seed=1)
    for second in workload.seconds(machine, 60): ...
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kmm_sim.machine import Machine
from kmm_sim.mm.gfp import GFP_ATOMIC, GFP_HIGHUSER_MOVABLE, GFP_KERNEL, Gfp
from kmm_sim.mm.mmzone import MAX_PAGE_ORDER
from kmm_sim.mm.page import Page

__all__ = ["GEOMETRIC", "Alloc", "Free", "Op", "Tenant", "Workload", "everyday", "parse", "play", "traffic"]

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


# With a clock


@dataclass(frozen=True, slots=True)
class Tenant:
    """Somebody who takes memory ``rate`` times a second and keeps each piece ``life`` seconds on average.

    It takes pages, an order of ``orders``, or bytes, a size of ``sizes``; of these it chooses at random.
    With ``every``, it comes only in the first ``lasting`` seconds of each ``every`` seconds.
    """

    name: str
    rate: float
    life: float
    gfp: int = int(GFP_KERNEL)
    orders: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()
    every: float = 0
    lasting: float = 0

    def comes(self, second: float) -> bool:
        """Return whether it takes anything in this second."""
        return not self.every or second % self.every < self.lasting


class Workload:
    """Tenants and their clock.  The same seed does the same to the same machine, second for second."""

    def __init__(self, tenants: Iterable[Tenant], seed: int = 1) -> None:
        self.tenants = tuple(tenants)
        self.rng = random.Random(seed)
        self.now = 0.0
        self.failures = 0
        self.held = 0
        self._made = 0
        self._due: list[tuple[float, int, Tenant, object]] = []  # what comes next: a request, or a piece to give back

    def __repr__(self) -> str:
        return f"<Workload at {self.now:.0f} s, {self.held} pieces held, {self.failures} requests failed>"

    def seconds(self, machine: Machine, count: int) -> Iterator[float]:
        """Let ``count`` seconds pass on a machine; yield the time after each."""
        for _ in range(count):
            self.second(machine)
            yield self.now

    def second(self, machine: Machine) -> None:
        """Let one second pass: requests arrive at random moments of it, and what is old goes back."""
        for tenant in self.tenants:
            for _ in range(self._arrivals(tenant)):
                self._plan(self.now + self.rng.random(), tenant, None)
        self.now += 1
        while self._due and self._due[0][0] < self.now:
            moment, _, tenant, piece = heapq.heappop(self._due)
            if piece is None:
                self._take(machine, tenant, moment)
            else:
                _give_back(machine, piece)
                self.held -= 1

    def _arrivals(self, tenant: Tenant) -> int:
        whole = int(tenant.rate)
        return (whole + (self.rng.random() < tenant.rate - whole)) if tenant.comes(self.now) else 0

    def _plan(self, moment: float, tenant: Tenant, piece: object) -> None:
        heapq.heappush(self._due, (moment, self._made, tenant, piece))
        self._made += 1

    def _take(self, machine: Machine, tenant: Tenant, moment: float) -> None:
        piece: object
        if tenant.sizes:
            piece = machine.kmalloc(self.rng.choice(tenant.sizes), tenant.gfp)
        else:
            order = self.rng.choice(tenant.orders)
            page = machine.alloc_pages(tenant.gfp, order)
            piece = page and (page, order)
        if not piece:
            self.failures += 1
            return
        self.held += 1
        self._plan(moment + self.rng.expovariate(1 / tenant.life), tenant, piece)


def _give_back(machine: Machine, piece: object) -> None:
    if isinstance(piece, int):
        machine.kfree(piece)
    elif isinstance(piece, tuple):
        machine.free_pages(*piece)


def everyday(machine: Machine, load: float = 0.9, pinned: float = 0.06) -> tuple[Tenant, ...]:
    """Return tenants as an ordinary machine has them, scaled to its memory.

    Programs hold pages for about half a minute; once a minute a large one runs, for 15 seconds.  It is so large
    that all together would take a share ``load`` of the memory if it went on; it leaves before, so less is taken
    (at 0.9, about three quarters).  Drivers come to hold a share ``pinned``, for minutes.  Packets come and go in a
    blink, files are opened all the time, and twice a minute a search walks through all directories.
    """
    pages = sum(zone.managed_pages for zone in machine.zones)
    quiet = Gfp.NOWARN | Gfp.NORETRY
    user, kernel = int(GFP_HIGHUSER_MOVABLE | quiet), int(GFP_KERNEL | quiet)
    found = kernel | int(Gfp.RECLAIMABLE)
    large = max(load - 0.3 - pinned, 0) * pages / 8
    return (
        Tenant("programs", 0.2 * pages / 30, 30, user, orders=(0,)),
        Tenant("a large program", large, 8, user, orders=(0,), every=60, lasting=15),
        Tenant("drivers", pinned * pages / 150, 150, kernel, orders=(0, 0, 0, 1)),
        Tenant("packets", 40, 0.2, int(GFP_ATOMIC | Gfp.NOWARN), sizes=(512, 1024, 2048)),
        Tenant("open files", pages / 200, 20, kernel, sizes=(64, 192, 256)),
        Tenant("a search", pages / 16, 12, found, sizes=(192, 600), every=30, lasting=4),
        Tenant("what it leaves", pages / 300, 120, found, sizes=(192, 600), every=30, lasting=4),
    )
