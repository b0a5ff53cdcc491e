# SPDX-License-Identifier: GPL-2.0-only
"""The texts of /proc, as the kernel prints them."""

from __future__ import annotations

from kmm_sim.machine import Machine
from kmm_sim.observe.snapshot import Snapshot, snapshot

__all__ = ["buddyinfo"]


def buddyinfo(source: Machine | Snapshot) -> str:
    """Return /proc/buddyinfo: for each zone, the number of free blocks of order 0 to 10.

    Linux: frag_show_print(), mm/vmstat.c
    """
    state = snapshot(source) if isinstance(source, Machine) else source
    lines = []
    for zone in state.zones:
        counts = "".join(f"{count:6d} " for count in zone.nr_free)
        lines.append(f"Node {zone.node}, zone {zone.name:>8} {counts}\n")
    return "".join(lines)
