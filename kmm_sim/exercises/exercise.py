# SPDX-License-Identifier: GPL-2.0-only
"""What an exercise is: a task with a check, hints, a solution, and the mistakes it knows.

    exercise.check(answer)    NotAttempted, Wrong, Raised or Right; never raises
    exercise.hint()           the first hint, the next, ...; then all of them
    exercise.solution()       a right answer as code, and why

The answer is an argument: nothing looks into the reader's names.  How an answer is judged
is a function that the exercise holds (``judge``; one module for each kind makes them), so
a new kind of exercise is a new function.  Every exercise brings the right answers and the
misconceptions that prove its judge; the tests go through all of them.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import index
from typing import Any, ClassVar

from kmm_sim.catalogue import _
from kmm_sim.exercises import progress
from kmm_sim.exercises.calling import raised
from kmm_sim.exercises.card import Card, Code, Part, Shown, Text
from kmm_sim.exercises.reading import Blank, Malformed, is_blank
from kmm_sim.exercises.result import Hint, NotAttempted, Result, Solution, Wrong

__all__ = ["Exercise", "Judge", "Misconception", "Series"]

Judge = Callable[[Any, random.Random], Result]
"""Takes an answer and a source of random cases, returns the outcome; may raise Blank or Malformed."""


@dataclass(frozen=True)
class Misconception:
    """A mistake people make: its short name, what to say about it, and the answer it leads to."""

    name: str
    words: str
    answer: Any = field(repr=False)


@dataclass(repr=False, eq=False, kw_only=True)
class Exercise(Shown):
    """One task.

    ``name`` is chapter/exercise and never changes: progress is kept by it.  ``kind`` is one of
    KINDS, ``level`` 1 (easy) to 3.  ``task``, ``parts`` (more for its card) and ``given`` (code) say
    what to do, ``template`` is the untouched cell.  ``code`` and ``why`` are the solution.  ``right_answers`` (the
    reference first) and ``misconceptions`` are what the tests try.
    """

    KINDS: ClassVar = ("compute", "predict", "choose", "implement", "find the bug", "read a report", "design")

    name: str
    title: str
    kind: str
    level: int
    task: str
    template: str
    hints: tuple[str, ...]
    code: str
    why: str
    judge: Judge
    right_answers: tuple[Any, ...]
    misconceptions: tuple[Misconception, ...]
    given: str = ""
    parts: tuple[Part, ...] = ()
    hints_shown: int = field(default=0, init=False)
    question: tuple[int, int] = field(default=(0, 0), init=False)
    """Of a series: its seed and its level."""

    def check(self, answer: Any = ..., *, seed: int = 0) -> Result:
        """Judge an answer; ``seed`` chooses the random cases.  Never raises, whatever the answer does."""
        try:
            result = NotAttempted() if is_blank(answer) else self.judge(answer, random.Random(seed))
        except Blank as blank:
            result = NotAttempted(missing=str(blank))
        except Malformed as malformed:
            result = Wrong(why=str(malformed))
        except BaseException as error:  # an answer's own code may run while it is read
            result = raised(error)
        result = dataclasses.replace(result, exercise=self.name)
        progress.note(self.name, result.outcome, getattr(result, "score", None))
        return result

    def hint(self) -> Hint:
        """Return the next hint; after the last one, all of them."""
        self.hints_shown = min(self.hints_shown, len(self.hints)) + 1
        return Hint(exercise=self.name, number=self.hints_shown, hints=self.hints)

    def solution(self) -> Solution:
        """Return a right answer and why it is one."""
        return Solution(exercise=self.name, code=self.code, why=self.why)

    def card(self) -> Card:
        """Return the task as a card."""
        parts: tuple[Part, ...] = (Text(self.task), *self.parts)
        parts += (Code(self.given),) if self.given else ()
        return Card("task", self.title, parts, self.name)


@dataclass(frozen=True, kw_only=True, repr=False)
class Series(Shown):
    """An exercise without an end: each seed and level is another question of the same kind.

        puzzle = series(seed=7)     question 7
        puzzle = series()           one that nobody has seen; its title says its number
    """

    name: str
    title: str
    make: Callable[[int, int], Exercise] = field(compare=False)
    levels: int = 1

    def __call__(self, seed: int | None = None, *, level: int = 1) -> Exercise:
        """Return question ``seed`` (any whole number; a fresh one if None) of a level from 1 up."""
        if not 1 <= index(level) <= self.levels:
            raise ValueError(f"level {level} is out of range: {self.name} has levels 1 to {self.levels}")
        number = random.SystemRandom().randrange(1, 100_000) if seed is None else index(seed)
        made = self.make(number, index(level))
        made.question = number, index(level)
        return made

    def card(self) -> Card:
        """Return a card that says how to get a question."""
        function = self.name.rpartition("/")[2].replace("-", "_")
        words = _("Ask for a question: `puzzle = ex.{function}(seed=1)`, then `puzzle.check(...)`. "
                  "Another seed is another question.").format(function=function)
        return Card("task", self.title, (Text(words),), self.name)
