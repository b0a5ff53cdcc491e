# SPDX-License-Identifier: GPL-2.0-only
"""Memory in several states of need, for the GFP lab: a small machine, filled in one way or another.

The machine has three zones of 256, 512 and 1024 pages with marks and reserves by the kernel's
formulas.  Fallback between migratetypes raises no marks here, so that the sums stay short.
"""

from __future__ import annotations

from collections.abc import Callable

from kmm_sim.catalogue import _
from kmm_sim.machine import Machine
from kmm_sim.mm.gfp import GFP_ATOMIC, GFP_NOWAIT, Gfp
from kmm_sim.mm.mmzone import Kswapd
from kmm_sim.mm.page_alloc import alloc_pages
from kmm_sim.mm.sched import Task
from kmm_sim.mm.vmscan import lru_add, lru_del
from kmm_sim.small import small_machine

__all__ = ["SPOKEN", "STORIES", "prepared"]

MOVABLE = int(Gfp.HIGHMEM | Gfp.MOVABLE)
NOWAIT = int(GFP_NOWAIT) | MOVABLE
MASKS = {
    "low": NOWAIT,
    "min": NOWAIT,
    "reserve": int(GFP_ATOMIC | Gfp.NOWARN) | MOVABLE,
    "nothing": NOWAIT | int(Gfp.MEMALLOC),
}
"""With which mask one gets how far down."""


def _fill(machine: Machine, *, to: str, dirty: bool = False, owner: Task | None = None) -> None:
    """Use memory up page by page: until a zone is below ``low``, or none above ``min``, ``reserve`` or ``nothing``."""
    node = machine.node
    while (page := alloc_pages(node, MASKS[to], 0)) is not None:
        lru_add(node, page, owner, dirty)
        if to == "low" and node.kswapd[0].awake:
            return


def _process(machine: Machine) -> Task:
    task = Task("firefox", 1042)
    machine.node.tasks.append(task)
    return task


def _plenty(machine: Machine) -> None:
    """Nothing is used."""


def _low(machine: Machine) -> None:
    _fill(machine, to="low")


def _clean(machine: Machine) -> None:
    _fill(machine, to="min")


def _dirty(machine: Machine) -> None:
    _fill(machine, to="min", dirty=True)


def _anonymous(machine: Machine) -> None:
    _fill(machine, to="min", owner=_process(machine))


def _swap(machine: Machine) -> None:
    machine.swapon(2048)
    _anonymous(machine)


def _spent(machine: Machine) -> None:
    _fill(machine, to="reserve", owner=_process(machine))


def _movable_pieces(machine: Machine) -> None:
    _fill(machine, to="nothing")
    for pfn in sorted(machine.node.lru)[::2]:
        lru_del(machine.node, pfn)


def _pinned_pieces(machine: Machine) -> None:
    _movable_pieces(machine)
    for pfn in list(machine.node.lru):  # their owners hold on to them: nobody may move or reclaim them
        machine.node.page(pfn).zone.lru.discard(pfn)
        del machine.node.lru[pfn]


STORIES: dict[str, tuple[Callable[[Machine], None], str]] = {
    "plenty": (_plenty, _("nearly all of it free")),
    "below low": (_low, _("just below low; the rest is page cache, clean")),
    "clean cache": (_clean, _("down to min; the rest is page cache, clean")),
    "dirty cache": (_dirty, _("down to min; the rest is page cache, to be written first")),
    "swap": (_swap, _("down to min; the rest belongs to a process, and there is swap")),
    "no swap": (_anonymous, _("down to min; the rest belongs to a process, and there is no swap")),
    "reserves gone": (_spent, _("even the reserves are gone; a process has the rest, no swap")),
    "in pieces": (_movable_pieces, _("every other page free, the others movable")),
    "pinned pieces": (_pinned_pieces, _("every other page free, the others pinned")),
}
"""By name: how memory comes to be so, and what it is like."""

SPOKEN = (_("plenty"), _("below low"), _("clean cache"), _("dirty cache"), _("swap"), _("no swap"),
          _("reserves gone"), _("in pieces"), _("pinned pieces"))  # fmt: skip
"""The names of STORIES as a reader sees them."""


def prepared(story: str) -> Machine:
    """Return the machine in one of STORIES, kswapd asleep, with an empty trace.  Raises ValueError for no story."""
    if story not in STORIES:
        raise ValueError(_("{story!r} is none of the states {stories}", story=story, stories=", ".join(STORIES)))
    machine = small_machine(DMA=256, DMA32=512, Normal=1024, min_free_pages=84)
    machine.sysctl("vm.watermark_boost_factor", 0)
    machine.tracing = False
    STORIES[story][0](machine)
    machine.node.kswapd[0] = Kswapd()
    machine.dmesg.clear()
    machine.tracing = True
    machine.trace.clear()
    return machine
