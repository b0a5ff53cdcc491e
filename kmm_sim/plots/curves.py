# SPDX-License-Identifier: GPL-2.0-only
"""Curves over time: samples of a machine, as ``kmm_sim.observe.curves`` takes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from kmm_sim.mm.mmzone import NR_PAGE_ORDERS
from kmm_sim.observe.curves import Sample
from kmm_sim.plots.palette import BLUE, GREEN, ORANGE, VERMILION

__all__ = ["fragmentation", "free_pages", "slab_use"]

BANDS = (("order 0", range(0, 1), VERMILION, "//"), ("1 to 3", range(1, 4), ORANGE, ".."),
         ("4 to 8", range(4, 9), GREEN, "--"), ("9 and 10", range(9, NR_PAGE_ORDERS), BLUE, ""))  # fmt: skip


def _seconds(samples: Sequence[Sample]) -> np.ndarray:
    return np.array([each.second for each in samples])


def free_pages(samples: Sequence[Sample], ax: Axes) -> Axes:
    """Free pages, stacked by the order of the block they lie in; patterns as well as colours."""
    pages = np.array([[each.pages_of(orders) for each in samples] for _, orders, _, _ in BANDS])
    layers = ax.stackplot(_seconds(samples), pages, labels=[name for name, *_ in BANDS],
                          colors=[colour for _, _, colour, _ in BANDS])  # fmt: skip
    for layer, (_, _, _, hatch) in zip(layers, BANDS, strict=True):
        layer.set(hatch=hatch, edgecolor="white", linewidth=0)
    ax.set(xlabel="seconds", ylabel="free pages", ylim=(0, None), title="Free pages, by the order of their block")
    ax.legend(loc="upper right")
    return ax


def fragmentation(samples: Sequence[Sample], ax: Axes, order: int = 4, label: str = "") -> Axes:
    """Which share of free memory is of no use for this order, in percent."""
    share = 100 * np.array([each.unusable(order) for each in samples])
    ax.plot(_seconds(samples), share, color=VERMILION, label=label or f"order {order}")
    ax.set(xlabel="seconds", ylabel="% of free memory", ylim=(0, 100),
           title=f"Free memory of no use for {1 << order} pages in a row")  # fmt: skip
    ax.legend(loc="lower right")
    return ax


def slab_use(samples: Sequence[Sample], ax: Axes) -> Axes:
    """What objects use, and what their slabs hold, in KiB."""
    seconds = _seconds(samples)
    total = np.array([each.slab_total for each in samples]) / 1024
    active = np.array([each.slab_active for each in samples]) / 1024
    ax.plot(seconds, total, color=BLUE, label="pages of slabs")
    ax.plot(seconds, active, color=GREEN, linestyle="--", label="objects in use")
    ax.fill_between(seconds, active, total, color=BLUE, alpha=0.15)
    ax.set(xlabel="seconds", ylabel="KiB", ylim=(0, None), title="Slabs, and what is used of them")
    ax.legend(loc="lower right")
    return ax
