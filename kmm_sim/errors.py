# SPDX-License-Identifier: GPL-2.0-only
"""What can go wrong, drawn as a tree.

    Exception
    ├── ValueError, TypeError        Python was misused: a negative order, an unknown flag
    └── KernelError                  a kernel would be in trouble
        ├── KernelBug                the caller broke the allocator: double free, wrong order
        └── ContextError             the caller slept where nobody may sleep

Running out of memory is not in the tree.  It is an answer: ``None``, or address 0.
"""

__all__ = ["ContextError", "KernelBug", "KernelError"]


class KernelError(Exception):
    """A driver did what a kernel does not forgive; the machine is as it was before the call."""


class KernelBug(KernelError):
    """The caller broke the allocator's rules: freed twice, freed with another order, freed a stranger."""


class ContextError(KernelError):
    """The caller asked to sleep in a context that cannot: an interrupt, a spinlock held."""
