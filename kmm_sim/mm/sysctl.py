# SPDX-License-Identifier: GPL-2.0-only
"""The knobs of /proc/sys/vm that the page allocator has.

Writing one of them computes anew what depends on it: the watermarks, the reserves of the low
zones, the limits of the per-CPU lists.

Linux: page_alloc_sysctl_table, mm/page_alloc.c
"""

from __future__ import annotations

from collections.abc import Callable
from operator import index

from kmm_sim.mm.events import SetWatermarks
from kmm_sim.mm.mmzone import Node
from kmm_sim.mm.pcp import zone_set_pageset_high_and_batch
from kmm_sim.mm.watermark import setup_per_zone_lowmem_reserve, setup_per_zone_wmarks

__all__ = ["sysctl_read", "sysctl_write"]


def sysctl_read(node: Node, name: str) -> int | tuple[int, ...]:
    """Return a knob's value; ``name`` is like ``vm.min_free_kbytes``.  ValueError if unknown.

    Linux: proc_dointvec(), kernel/sysctl.c
    """
    return getattr(node.sysctl, _known(name))  # type: ignore[no-any-return]


def sysctl_write(node: Node, name: str, value: int | tuple[int, ...]) -> None:
    """Set a knob and compute anew what depends on it.

    Raises ValueError for an unknown name or a value out of range, and changes nothing.

    Linux: min_free_kbytes_sysctl_handler(), mm/page_alloc.c
    """
    field = _known(name)
    low, high, handler = KNOBS[field]
    values = tuple(map(index, value)) if isinstance(value, tuple | list) else (index(value),)
    wanted = len(node.sysctl.lowmem_reserve_ratio) if field == "lowmem_reserve_ratio" else 1
    if len(values) != wanted or not all(low <= number <= high for number in values):
        raise ValueError(f"{name} takes {wanted} numbers from {low} to {high}, not {value}")
    if field == "percpu_pagelist_high_fraction" and 0 < values[0] < 8:
        raise ValueError(f"{name} is 0, to let the lists follow the traffic, or 8 and more")
    setattr(node.sysctl, field, values if wanted > 1 else values[0])
    handler(node)
    if node.trace is not None:
        for zone in node.zones:
            reserve = tuple(zone.lowmem_reserve)
            boost = zone.watermark_boost
            node.trace.emit(SetWatermarks(zone.index, tuple(zone.watermark), boost, reserve))


def _known(name: str) -> str:
    field = name.removeprefix("vm.")
    if field not in KNOBS:
        raise ValueError(f"unknown sysctl {name!r}; there are vm.{', vm.'.join(KNOBS)}")
    return field


def _wmarks(node: Node) -> None:
    sysctl = node.sysctl
    setup_per_zone_wmarks(node.zones, sysctl.min_free_kbytes, sysctl.watermark_scale_factor)
    _pagesets(node)


def _reserves(node: Node) -> None:
    setup_per_zone_lowmem_reserve(node.zones, node.sysctl.lowmem_reserve_ratio)


def _pagesets(node: Node) -> None:
    for zone in node.zones:
        zone_set_pageset_high_and_batch(zone, node.sysctl.percpu_pagelist_high_fraction)


def _boost(node: Node) -> None:
    for zone in node.zones:
        zone.watermark_boost_factor = node.sysctl.watermark_boost_factor


KNOBS: dict[str, tuple[int, int, Callable[[Node], None]]] = {
    "min_free_kbytes": (0, 1 << 31, _wmarks),
    "watermark_scale_factor": (1, 3000, _wmarks),
    "watermark_boost_factor": (0, 1 << 31, _boost),
    "lowmem_reserve_ratio": (0, 1 << 31, _reserves),
    "percpu_pagelist_high_fraction": (0, 1 << 31, _pagesets),
}
