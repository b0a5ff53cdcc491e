# SPDX-License-Identifier: GPL-2.0-only
"""Comparing what a kernel computes for its zones: watermarks, reserves, limits of the CPUs' lists.

The recordings are of machines from 96 MiB to 16 GiB, first as they booted, then after one
knob of /proc/sys/vm after the other was turned.  At boot the kernel computes its marks with the
memory it has at that moment, before it gives its own boot code back; nobody can compute them
from the recorded state, so the comparison begins after the first knob.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kmm_sim.machine import Machine
from kmm_sim.mm.vmstat import calculate_normal_threshold
from kmm_sim.observe.dump import dump
from kmm_sim.recording.files import Recording
from kmm_sim.recording.result import Result

__all__ = ["check_zones"]

KNOBS: dict[str, tuple[tuple[str, Any], ...]] = {
    "min_free_kbytes_8192": (("vm.min_free_kbytes", 8192),),
    "min_free_kbytes_8192_wsf_200": (("vm.watermark_scale_factor", 200),),
    "lowmem_ratio_64_64_16": (("vm.lowmem_reserve_ratio", (64, 64, 16, 0)),),
    "pcp_high_fraction_16": (("vm.percpu_pagelist_high_fraction", 16),),
}
"""What was turned before each recorded state, on top of all before it."""

LIMITS = ("high_min", "high_max", "batch")


def check_zones(recording: Recording) -> list[Result]:
    """Return one result: every mark, reserve and limit of every zone in every state."""
    result = Result(recording.name, recording.kind)
    states = recording.header["states"]
    cpus = recording.header["cpus"]
    machine = Machine.from_dump({"zones": [_dumped(zone, cpus) for zone in states["default"]]})
    for name, state in states.items():
        for knob, value in KNOBS[name] if name != "default" else ():
            machine.sysctl(knob, value)
        ours = dump(machine)["zones"]
        for mine, theirs in zip(ours, state, strict=True):
            if name != "default":
                _compare(result, f"{name}: zone {theirs['name']}", mine, theirs)
    for zone in machine.zones:
        ours = calculate_normal_threshold(zone.managed_pages, cpus)
        difference = f"threshold of zone {zone.name}: {zone.stat_threshold} in the kernel, {ours} here"
        result.count("thresholds", ours == zone.stat_threshold, difference)
    for zonelist in recording.header["zonelists"]:
        order = [[zone.nid, zone.name] for zone in machine.node.zonelists[-1]]
        difference = f"zonelist {zonelist['order']} in the kernel, {order} here"
        result.count("zonelists", order == zonelist["order"], difference)
    return [result]


def _dumped(record: Mapping[str, Any], cpus: int) -> dict[str, Any]:
    """Make a recorded zone one that a machine can start from: it has no lists, but the rest."""
    pcp = {**record["pcp"], "count": 0, "lists": {}}
    pcps = {f"pcp{cpu}": pcp for cpu in range(cpus)}
    return {**record, **pcps, "free": [], "free_diffs": [0] * cpus, "pcp": pcp}


def _compare(result: Result, where: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    pcp = mine.get("pcp0") or mine["pcp"]
    pairs = {
        "watermarks": (mine["wm"], theirs["wm"]),
        "boost": (mine["boost"], theirs["boost"]),
        "reserves": (mine["lowmem"], theirs["lowmem"]),
        "limits": ([pcp[name] for name in LIMITS], [theirs["pcp"][name] for name in LIMITS]),
    }
    for what, (ours, recorded) in pairs.items():
        difference = f"{where}, {what}: {recorded} in the kernel, {ours} here"
        result.count(what, ours == recorded, difference)
