# SPDX-License-Identifier: GPL-2.0-only
"""Exercises that check themselves.  One module a chapter:

    from kmm_sim.exercises import getting_pages as ex
    ex.buddy_of.check(my_function)      right, or what is wrong, for which input, and why
    ex.buddy_of.hint()                  one hint at a time
    ex.buddy_of.solution()
"""

from kmm_sim.exercises import getting_pages
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
    "getting_pages",
]

CHAPTERS = (getting_pages,)
"""The modules with exercises, in the order of the book; each has EXERCISES."""
