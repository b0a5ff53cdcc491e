# SPDX-License-Identifier: GPL-2.0-only
"""The labs: machines to act on and to watch, in a notebook or in the page.

    >>> from kmm_sim.labs import buddy_lab
    >>> buddy_lab(script="+3 +0 -0")
    <lab on <Machine Normal 64 pages>, 13 events to play>
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from kmm_sim.labs.bench import Bench
from kmm_sim.labs.buddy import BuddyLab, opened, record, seeded
from kmm_sim.labs.buddy_detail import DetailedBuddyLab
from kmm_sim.labs.choose import choose_lab
from kmm_sim.labs.gfp import gfp_lab
from kmm_sim.labs.kmalloc import kmalloc_lab
from kmm_sim.labs.link import Value
from kmm_sim.labs.mem_map import mem_map_lab
from kmm_sim.labs.opening import Opening
from kmm_sim.labs.pages import pages_lab
from kmm_sim.labs.slab import slab_lab
from kmm_sim.labs.slab_compare import three_slabs_lab
from kmm_sim.labs.slab_debug import slab_debug_lab
from kmm_sim.labs.stack import stack_lab
from kmm_sim.labs.vmalloc import vmalloc_lab
from kmm_sim.labs.workload import workload_lab
from kmm_sim.labs.zones import zones_lab
from kmm_sim.machine import Machine
from kmm_sim.workload import Op, parse

__all__ = [
    "Bench",
    "buddy_lab",
    "choose_lab",
    "gfp_lab",
    "kmalloc_lab",
    "mem_map_lab",
    "pages_lab",
    "slab_debug_lab",
    "slab_lab",
    "stack_lab",
    "three_slabs_lab",
    "vmalloc_lab",
    "workload_lab",
    "zones_lab",
]


def buddy_lab(
    machine: Machine | None = None,
    script: str | Iterable[Op] = "",
    *,
    pages: int = 64,
    seed: int | None = None,
    steps: int = 24,
    link: str = "",
    detail: bool = False,
    title: str = "",
    caption: str = "",
) -> Bench:
    """Return a lab on ``machine`` (by default a bench of ``pages`` pages) that shows its buddy allocator.

    ``script`` is done first, and is the recorded run that the lab opens with: text such as
    ``"+3 +0 -0"``, or steps as ``kmm_sim.workload`` has them; or ``steps`` of random traffic, drawn
    from ``seed``.  ``link`` is the text that "Copy link" in a lab gives: the lab opens as it was
    then.  The machine may have 1024 pages at most, and must be tracing; ValueError if not, if the
    script has no such step, or for both a script and a seed.  With ``detail`` it also shows
    watermarks, fragmentation, pageblocks, and why a request failed.
    """
    if seed is not None and script:
        raise ValueError("buddy_lab() takes a script or a seed, one of the two")
    lab = (DetailedBuddyLab if detail else BuddyLab)(title or ("title",), caption)
    if machine is None and isinstance(script, str):
        settings: dict[str, Value] = {"script": script} if seed is None else {"seed": seed, "steps": steps}
        opening = Opening("buddy", partial(opened, lab), {"pages": pages} | settings)
        return Bench(opening.run(), opening, link)
    machine = Machine(pages=pages) if machine is None else machine
    ops = parse(script) if isinstance(script, str) else script
    if seed is not None:
        ops = seeded(seed, steps)
    return Bench(record(machine, lab, ops), Opening("buddy"), link)
