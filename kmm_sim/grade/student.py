# SPDX-License-Identifier: GPL-2.0-only
"""The process that runs a notebook: ``python -m kmm_sim.grade.student``, started by the judge and not trusted by it.

It is given the cells, runs them one after the other (an error costs its cell, an alarm ends a cell without an end),
and tells each answer that is handed to a check.  Then it calls the functions it was given when the judge asks.
"""

from __future__ import annotations

import ast
import asyncio
import base64
import inspect
import linecache
import os
import pickle
import random
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from kmm_sim.exercises.calling import NoEnd, is_untouched, raised
from kmm_sim.exercises.exercise import Exercise, Series
from kmm_sim.exercises.reading import is_blank
from kmm_sim.exercises.result import Result
from kmm_sim.grade import fence, wire
from kmm_sim.grade.ipython import python_of

__all__: list[str] = []


class _Student:
    """One notebook being run: its pipes, and the functions that it handed in."""

    def __init__(self, reads: int, writes: int) -> None:
        self.reads, self.writes = reads, writes
        self.names: dict[str, Any] = {
            "__name__": "__main__", "display": lambda *things: None, "get_ipython": _NoShell}
        self.functions: list[tuple[Callable[..., Any], dict[str, Any]]] = []
        self.called = -1
        self.draws = random.Random(0)
        self.drawn: list[Exercise] = []

    def handed_in(self, exercise: Exercise, answer: Any) -> None:
        """Tell the judge of an answer."""
        what: dict[str, Any] = {"exercise": exercise.name, "question": list(exercise.question)}
        if callable(answer):
            what |= {"function": len(self.functions), "untouched": is_untouched(answer), "takes": _parameters(answer)}
            self.functions.append((answer, dict(self.names)))
        else:
            what["answer"] = wire.packed(answer)
        what["drawn"] = any(each is exercise for each in self.drawn)
        wire.send(self.writes, what)

    def question(self, series: Series, level: int) -> Exercise:
        """Draw a question for who asked for any: the same ones each time a notebook is graded."""
        self.drawn.append(series(self.draws.randrange(1, 100_000), level=level))
        return self.drawn[-1]

    def run(self, cells: list[str], skipped: list[int], seconds: float, end: float) -> None:
        """Run the cells, each for some seconds and all until ``end``; what they leave behind is one another's."""
        for number, source in enumerate(cells):
            if number in skipped:
                continue
            left = end - time.monotonic()
            if left <= 0:
                error = "the time for cells was up; it was not run, nor was any below"
                wire.send(self.writes, {"failed": number, "error": error})
                return
            wire.send(self.writes, {"cell": number})
            python, left_out = python_of(source)
            if left_out:
                wire.send(self.writes, {"in": number, "left out": [line[:100] for line in left_out[:20]]})
            failed = _run_cell(f"<cell {number + 1}>", python, self.names, min(seconds, left))
            if failed is not None:
                wire.send(self.writes, {"failed": number, "error": failed})

    def function(self, number: int) -> Callable[..., Any]:
        """Return a function, among the names it was handed in with: cells below may have used some of them anew."""
        answer, names = self.functions[number]
        if number != self.called:
            self.called = number
            self.names.clear()
            self.names.update(names)
        return answer

    def serve(self, seconds: float) -> None:
        """Call functions until the judge hangs up."""
        wire.send(self.writes, {"done": True})
        while True:
            asked = wire.receive(self.reads, 600)
            args = pickle.loads(base64.b64decode(asked["args"]))
            try:
                value = _with_alarm(seconds, partial(self.function(asked["function"]), *args))
                told: dict[str, Any] = {"value": wire.packed(value), "args": [wire.packed(each) for each in args]}
            except BaseException as error:
                shown = raised(error)
                told = {"error": [str(each)[:400] for each in (shown.error, shown.message, shown.line, shown.function)],
                        "lineno": shown.lineno, "end": not isinstance(error, NoEnd)}
            wire.send(self.writes, told)


def _parameters(answer: Any) -> list[list[Any]] | None:
    """What a function takes, as names, kinds, and whether a parameter may be left out."""
    try:
        found = inspect.signature(answer).parameters.values()
        return [[each.name, int(each.kind), each.default is not each.empty] for each in found][:50]
    except BaseException:
        return None


def _run_cell(name: str, source: str, names: dict[str, Any], seconds: float) -> str | None:
    """Run one cell; return its error as a line, or None."""
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    try:
        _with_alarm(seconds, lambda: _run(source, name, names))
    except BaseException as error:
        shown = raised(error)
        return f"{shown.error}: {shown.message or shown.why}"[:400]
    return None


def _run(source: str, name: str, names: dict[str, Any]) -> None:
    """Run Python as a notebook does, where ``await`` may stand outside a function."""
    code = compile(source, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    waits = eval(code, names)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(waits)


class _NoShell:
    """What ``get_ipython()`` gives: whatever it is asked to do is left out."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **options: None


def _with_alarm(seconds: float, action: Callable[[], Any]) -> Any:
    def ring(number: int, frame: FrameType | None) -> None:
        raise NoEnd(seconds)

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return action()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _main(reads: int, writes: int, parent: int) -> None:
    fence.lifetime_of_parent(parent)
    student = _Student(reads, writes)
    given = wire.receive(reads, 60)
    own_check, own_call = Exercise.check, Series.__call__

    def check(self: Exercise, answer: Any = ..., *, seed: int = 0) -> Result:
        if not is_blank(answer):
            student.handed_in(self, answer)
        return own_check(self, answer, seed=seed)

    def call(self: Series, seed: int | None = None, *, level: int = 1) -> Exercise:
        return student.question(self, level) if seed is None else own_call(self, seed, level=level)

    # This process is the notebook's, and keeps no marks.
    Exercise.check, Series.__call__ = check, call  # type: ignore[method-assign]
    fence.limit(given["memory"], given["seconds"])
    wire.send(writes, {"fence": list(fence.raise_fence(Path(os.getcwd())))})
    student.run(given["cells"], given["skipped"], given["cell_seconds"], given["cells_end"])
    student.serve(given["call_seconds"])


if __name__ == "__main__":
    _main(*map(int, sys.argv[1:4]))
