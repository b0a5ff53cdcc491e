# SPDX-License-Identifier: GPL-2.0-only
"""Ways to look at a machine.  Nothing in here changes one."""

from kmm_sim.observe.dump import dump
from kmm_sim.observe.procfs import buddyinfo
from kmm_sim.observe.replay import frames, replay
from kmm_sim.observe.snapshot import (
    Allocation,
    FreeBlocks,
    PcpBlocks,
    Snapshot,
    ZoneSnapshot,
    snapshot,
)
from kmm_sim.observe.validate import validate, validate_zone

__all__ = [
    "Allocation",
    "FreeBlocks",
    "PcpBlocks",
    "Snapshot",
    "ZoneSnapshot",
    "buddyinfo",
    "dump",
    "frames",
    "replay",
    "snapshot",
    "validate",
    "validate_zone",
]
