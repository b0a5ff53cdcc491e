# SPDX-License-Identifier: GPL-2.0-only
"""The labs: machines to act on and to watch, in a notebook or in the page.

    >>> from kmm_sim.labs import buddy_lab
    >>> buddy_lab(script="+3 +0 -0")
    <lab on <Machine Normal 64 pages>, 13 events to play>
"""

from __future__ import annotations

from collections.abc import Iterable

from kmm_sim.labs.bench import Bench
from kmm_sim.labs.buddy import MAX_PAGES, BuddyLab, recorded
from kmm_sim.labs.run import Run
from kmm_sim.machine import Machine
from kmm_sim.workload import Op, parse

__all__ = ["Bench", "buddy_lab"]


def buddy_lab(
    machine: Machine | None = None,
    script: str | Iterable[Op] = "",
    *,
    pages: int = 64,
    title: str = "",
    caption: str = "",
) -> Bench:
    """Return a lab on ``machine`` (by default a bench of ``pages`` pages) that shows its buddy allocator.

    ``script`` is done first, and is the recorded run that the lab opens with: text such as
    ``"+3 +0 -0"``, or steps as ``kmm_sim.workload`` has them.  The machine may have 1024 pages
    at most, and must be tracing; ValueError if not, or if the script has no such step.
    """
    machine = Machine(pages=pages) if machine is None else machine
    size = sum(zone.spanned_pages for zone in machine.zones)
    if size > MAX_PAGES:
        raise ValueError(f"buddy_lab() draws every page, up to {MAX_PAGES} of them; this machine has {size}")
    if not machine.tracing:
        raise ValueError("buddy_lab() shows what a machine traces: set machine.tracing = True")
    run = Run(machine, BuddyLab(title or ("title",), caption))
    for call in recorded(machine, parse(script) if isinstance(script, str) else script):
        run.make(call)
    run.keep_as_recorded()
    return Bench(run)
