# SPDX-License-Identifier: GPL-2.0-only
"""Recorded runs with a name: what the labs at the head of some chapters open with.

    >>> from kmm_sim.labs.recorded import EVENS_THEN_ODDS
    >>> EVENS_THEN_ODDS.split()[:3]
    ['+0', '+0', '+0']
"""

from __future__ import annotations

from kmm_sim.labs.pages import MASKS as PAGE_MASKS
from kmm_sim.labs.pages import Allocate, OnPage, Write
from kmm_sim.labs.zones import MASKS, FreeAll, Take

__all__ = ["EVENS_THEN_ODDS", "FROM_AN_INTERRUPT", "WINDOWS_ON_HIGH_MEMORY", "ZONE_AFTER_ZONE"]

_EVENS = " ".join(f"-{n}" for n in range(0, 16, 2))
_ODDS = " ".join(f"-{n}" for n in range(1, 16, 2))
EVENS_THEN_ODDS = " ".join(["+0"] * 16) + f" {_EVENS} +1 {_ODDS}"
"""For buddy_lab() on 16 pages: all taken, every other one freed, two in a row refused, and then the rest freed."""

FROM_AN_INTERRUPT: tuple[str | tuple[str, int, str], ...] = (
    ("GFP_ATOMIC", 0, "hardirq"), "GFP_KERNEL", ("GFP_KERNEL", 0, "hardirq"),
)
"""For gfp_lab(): from an interrupt with the right mask, from a process, from an interrupt with the wrong one."""

_KERNEL, _ATOMIC, _MOVABLE, *_ = MASKS.values()
ZONE_AFTER_ZONE = (Take(_MOVABLE, 0, 200), Take(_KERNEL, 5, 1000), Take(_KERNEL, 5, 1000),
                   Take(_KERNEL, 5, 10000), Take(_ATOMIC, 0, 10000), FreeAll())
"""For zones_lab(): memory is taken until each zone refuses, then by one who may go lower, then given back."""

WINDOWS_ON_HIGH_MEMORY = (
    Allocate(PAGE_MASKS["GFP_KERNEL"], 0), Allocate(PAGE_MASKS["GFP_HIGHUSER_MOVABLE"], 0),
    OnPage("kmap"), Write("hello"), OnPage("kunmap"), OnPage("local"))
"""For pages_lab() on a machine with high memory: a page that has an address, and one that is lent some."""
