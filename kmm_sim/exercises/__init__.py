# SPDX-License-Identifier: GPL-2.0-only
"""Exercises that check themselves.  One module a chapter:

    from kmm_sim.exercises import getting_pages as ex
    ex.buddy_of.check(my_function)      right, or what is wrong, for which input, and why
    ex.buddy_of.hint()                  one hint at a time
    ex.buddy_of.solution()

One module for each kind makes them: `compute` (also predict), `implement`, `choose`, `find_bug`, `report`, `design`.
"""

from collections.abc import Iterator
from importlib import import_module

from kmm_sim.exercises.exercise import Exercise, Misconception, Series
from kmm_sim.exercises.result import Hint, NotAttempted, Raised, Result, Right, Solution, Wrong

__all__ = [
    "CHAPTERS",
    "Exercise",
    "Hint",
    "Misconception",
    "NotAttempted",
    "Raised",
    "Result",
    "Right",
    "Series",
    "Solution",
    "Wrong",
    "all_exercises",
]

CHAPTERS = (
    "memory_in_the_kernel",
    "pages",
    "zones",
    "getting_pages",
    "buddy_system",
    "gfp_flags",
    "kmalloc",
    "vmalloc",
    "slab_layer",
    "slab_slub_slob",
    "the_stack",
    "high_memory_and_per_cpu",
    "choosing_an_allocator",
    "on_your_own_machine",
)
"""The modules with exercises, in the order of the book; each has EXERCISES.  A chapter's page loads only its own."""


def all_exercises() -> Iterator[Exercise | Series]:
    """Yield every exercise of the book, in its order."""
    for chapter in CHAPTERS:
        yield from import_module(f"kmm_sim.exercises.{chapter}").EXERCISES
