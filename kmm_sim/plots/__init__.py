# SPDX-License-Identifier: GPL-2.0-only
"""Pictures for notebooks: samples -> Axes, one function a picture.

    fig, ax = plt.subplots()
    free_pages(samples, ax)

They need matplotlib and numpy, which a page in the browser has not; nothing in kmm_sim imports them.
The labs draw the same curves themselves.
"""

from kmm_sim.plots.curves import fragmentation, free_pages, slab_use
from kmm_sim.plots.sizes import waste

__all__ = ["fragmentation", "free_pages", "slab_use", "waste"]
