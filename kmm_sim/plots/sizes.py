# SPDX-License-Identifier: GPL-2.0-only
"""Pictures over sizes: what kmalloc() wastes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from kmm_sim.mm.kmalloc import kmalloc_size_roundup
from kmm_sim.plots.palette import BLUE, ORANGE

__all__ = ["waste"]


def waste(sizes: Sequence[int], ax: Axes) -> Axes:
    """The share of an object that is wasted, in percent, for requests of these sizes; 96 and 192 are marked."""
    asked = np.array(sizes)
    given = np.array([kmalloc_size_roundup(int(size)) for size in asked])
    ax.plot(asked, 100 * (given - asked) / given, color=BLUE)
    ax.axvspan(64, 256, color=ORANGE, alpha=0.2, label="96 and 192 help")
    ax.set(xscale="log", xlabel="bytes asked for", ylabel="% wasted", ylim=(0, 52), title="What kmalloc() wastes")
    ax.set_xscale("log", base=2)
    ax.legend(loc="upper left")
    return ax
