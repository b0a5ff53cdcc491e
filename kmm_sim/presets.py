# SPDX-License-Identifier: GPL-2.0-only
"""Machines by name: for a lab, a lecture, a comparison with a real kernel."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

__all__ = ["PRESETS", "RECORDED", "recorded_dump", "recorded_failure"]

RECORDED = "the recorded VM"

PRESETS: dict[str, dict[str, Any]] = {
    "bench": {"pages": 64},
    "bench with per-CPU lists": {"pages": 1024, "pcp": True},
    "laptop 8 GiB": {"memory": "8 GiB", "cpus": 4},
    "server 64 GiB, 2 nodes": {"memory": "64 GiB", "cpus": 8, "nodes": 2},
    "router 64 MiB": {"memory": "64 MiB"},
    "lkd-32bit": {"memory": "2 GiB", "highmem": True},
}
"""What ``Machine()`` is given for each name; the recorded VM begins from a dump instead."""


def recorded_dump() -> dict[str, Any]:
    """Return the state of a real Linux 6.12.117 with 448 MiB, right after boot, as recorded."""
    text = files("kmm_sim").joinpath("data", "linux-6.12.117-vm.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def recorded_failure() -> str:
    """Return what a real Linux 6.12.117 wrote to its log when GFP_ATOMIC, order 3, failed: the lines on memory."""
    return files("kmm_sim").joinpath("data", "linux-6.12.117-allocation-failure.txt").read_text(encoding="utf-8")
