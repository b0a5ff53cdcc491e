# SPDX-License-Identifier: GPL-2.0-only
"""How the Linux kernel manages memory, as a simulator small enough to read.

    >>> from kmm_sim import GFP_KERNEL, Machine
    >>> machine = Machine(pages=64)
    >>> machine.alloc_pages(GFP_KERNEL, 2)
    <struct page pfn:0x0 zone:Normal refcount:1 order:2>

What Linux has keeps its name and its place: ``kmm_sim.mm`` holds the allocator, ``Machine``
the calls that a driver makes, ``kmm_sim.observe`` the ways to look at it.
"""

from kmm_sim.errors import ContextError, KernelBug, KernelError
from kmm_sim.machine import Machine
from kmm_sim.mm.gfp import (
    GFP_ATOMIC,
    GFP_DMA,
    GFP_DMA32,
    GFP_HIGHUSER,
    GFP_HIGHUSER_MOVABLE,
    GFP_KERNEL,
    GFP_KERNEL_ACCOUNT,
    GFP_NOFS,
    GFP_NOIO,
    GFP_NOWAIT,
    GFP_USER,
    Gfp,
)
from kmm_sim.mm.page import PAGE_SHIFT, PAGE_SIZE, get_order

__all__ = [
    "GFP_ATOMIC",
    "GFP_DMA",
    "GFP_DMA32",
    "GFP_HIGHUSER",
    "GFP_HIGHUSER_MOVABLE",
    "GFP_KERNEL",
    "GFP_KERNEL_ACCOUNT",
    "GFP_NOFS",
    "GFP_NOIO",
    "GFP_NOWAIT",
    "GFP_USER",
    "PAGE_SHIFT",
    "PAGE_SIZE",
    "ContextError",
    "Gfp",
    "KernelBug",
    "KernelError",
    "Machine",
    "get_order",
]
__version__ = "0.1.0"
