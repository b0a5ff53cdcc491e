# SPDX-License-Identifier: GPL-2.0-only
"""Comparing what a kernel computes for its zones: watermarks, reserves, limits of the CPUs' lists.

The recordings are of machines from 96 MiB to 16 GiB, first as they booted, then after one
knob of /proc/sys/vm after the other was turned.  At boot the kernel computes its marks with the
memory it has at that moment, before it gives its own boot code back; nobody can compute them
from the recorded state, so the comparison begins after the first knob.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kmm_sim.machine import Machine
from kmm_sim.mm.vmstat import calculate_normal_threshold
from kmm_sim.observe.dump import dump
from kmm_sim.recording.files import Recording
from kmm_sim.recording.result import Result

__all__ = ["check_zones"]

KNOBS = {
    "min_free_kbytes": "vm.min_free_kbytes",
    "wsf": "vm.watermark_scale_factor",
    "watermark_scale_factor": "vm.watermark_scale_factor",
    "watermark_boost_factor": "vm.watermark_boost_factor",
    "lowmem_ratio": "vm.lowmem_reserve_ratio",
    "lowmem_reserve_ratio": "vm.lowmem_reserve_ratio",
    "pcp_high_fraction": "vm.percpu_pagelist_high_fraction",
    "percpu_pagelist_high_fraction": "vm.percpu_pagelist_high_fraction",
}
"""What a state is named for: each knob that was turned, ``_`` and its values, on top of all before it."""

KNOB = re.compile(rf"_?({'|'.join(sorted(KNOBS, key=len, reverse=True))})((?:_\d+)+)(?=_|$)")
LIMITS = ("high_min", "high_max", "batch")


def check_zones(recording: Recording) -> list[Result]:
    """Return one result: every mark, reserve and limit of every zone in every state.

    A state after a knob that the simulator has not is left out, by its name.
    """
    result = Result(recording.name, recording.kind)
    states, cpus = recording.header["states"], recording.header["cpus"]
    zones = [_dumped(zone, cpus) for zone in _populated(states["default"])]
    machine = Machine.from_dump({"zones": zones, "sysctl": recording.header.get("sysctl", {})})
    for name, state in states.items():
        turned = list(_turned(machine, name))
        if name == "default" or not turned:
            result.left_out += [name] * (name != "default")
            continue
        for knob, value in turned:
            machine.sysctl(knob, value)
        ours = {_place(zone): zone for zone in dump(machine)["zones"]}
        for theirs in _populated(state):
            _compare(result, f"{name}: zone {theirs['name']}", ours.get(_place(theirs)), theirs)
    for zone in machine.zones:
        threshold = calculate_normal_threshold(zone.managed_pages, cpus)
        difference = f"threshold of zone {zone.name}: {zone.stat_threshold} in the kernel, {threshold} here"
        result.count("thresholds", threshold == zone.stat_threshold, difference)
    _compare_zonelists(result, machine, recording.header.get("zonelists", ()))
    return [result]


def _turned(machine: Machine, name: str) -> Iterator[tuple[str, int | tuple[int, ...]]]:
    """Yield each knob that a state is named for, with its value; none at all if one of them is unknown."""
    if "".join(match[0] for match in KNOB.finditer(name)) != name:
        return
    for match in KNOB.finditer(name):
        knob, values = KNOBS[match[1]], [int(value) for value in match[2].split("_")[1:]]
        if knob == "vm.lowmem_reserve_ratio":
            now = machine.sysctl(knob)
            assert isinstance(now, tuple)
            yield knob, (*values, *now[len(values) :])[: len(now)]  # those not written stay as they are
        else:
            yield knob, values[0]


def _populated(zones: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the zones that have any page: some kernels list the others too."""
    return [zone for zone in zones if zone["managed"]]


def _place(zone: Mapping[str, Any]) -> tuple[int, int]:
    return zone["node"], zone["idx"]


def _dumped(record: Mapping[str, Any], cpus: int) -> dict[str, Any]:
    """Make a recorded zone one that a machine can start from: it has no lists, but the rest."""
    pcp = {**record["pcp"], "count": 0, "lists": {}}
    pcps = {f"pcp{cpu}": pcp for cpu in range(cpus)}
    return {**record, **pcps, "free": [], "free_diffs": [0] * cpus, "pcp": pcp}


def _compare(result: Result, where: str, mine: Mapping[str, Any] | None, theirs: Mapping[str, Any]) -> None:
    if mine is None:
        result.count("zones", False, f"{where}, which is not in the first state")
        return
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


def _compare_zonelists(result: Result, machine: Machine, zonelists: Sequence[Mapping[str, Any]]) -> None:
    """Compare the order in which a CPU next to each bank tries the zones."""
    for zonelist in zonelists:
        lists = machine.node.fallback_zonelists.get(zonelist["node"])
        if lists is None:
            result.left_out.append(f"zonelist of node {zonelist['node']}, which has no memory")
            continue
        order = [[zone.nid, zone.name] for zone in lists[-1]]
        difference = f"zonelist of node {zonelist['node']}: {zonelist['order']} in the kernel, {order} here"
        result.count("zonelists", order == zonelist["order"], difference)
