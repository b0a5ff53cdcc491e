# SPDX-License-Identifier: GPL-2.0-only
"""Calling the reader's function, so that nothing it does can hurt the check.

It gets copies, what it prints is kept aside, and whatever it raises is caught: an error, a
``sys.exit()``, also the KeyboardInterrupt with which a reader stops an endless loop.  A loop
of the reader's own that does not end is stopped after LIMIT seconds (a loop inside a library,
such as ``sum(itertools.count())``, is not: that takes the page's or the notebook's stop button).
"""

from __future__ import annotations

import contextlib
import copy
import dis
import functools
import inspect
import io
import linecache
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

from kmm_sim.catalogue import _
from kmm_sim.exercises.reading import describe, without_addresses
from kmm_sim.exercises.result import Raised

__all__ = ["Called", "NoEnd", "call", "is_untouched", "limited", "raised", "refuses"]

LIMIT = 5.0
"""Seconds that the reader's own code may run in one call."""

HERE = str(Path(__file__).parent)


class NoEnd(BaseException):
    """The reader's code was stopped after so many ``seconds``; no ``except Exception`` of theirs catches this."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Called:
    """What a call came to: its value or its error, what it printed (the beginning of it), its arguments afterwards."""

    value: Any = None
    error: BaseException | None = None
    printed: str = ""
    args: tuple[Any, ...] = ()


class _Printed(io.TextIOBase):
    """Keeps the first characters that are printed and forgets the rest."""

    LONGEST = 400

    def __init__(self) -> None:
        self.text = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        self.text += text[: self.LONGEST - len(self.text)] if len(self.text) < self.LONGEST else ""
        return len(text)


def call(function: Callable[..., Any], *args: Any) -> Called:
    """Call ``function`` with copies of the arguments and return what came of it; never raises."""
    printed = _Printed()
    copies = copy.deepcopy(args)
    try:
        with contextlib.redirect_stdout(printed), limited():
            value = function(*copies)
        return Called(value=value, printed=printed.text.strip(), args=copies)
    except BaseException as error:  # SystemExit and KeyboardInterrupt are answers too
        return Called(error=error, printed=printed.text.strip(), args=copies)


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Raise NoEnd in the reader's code when LIMIT seconds are over; a debugger at work is left alone."""
    if sys.gettrace() is not None:
        yield
        return
    end = time.monotonic() + LIMIT

    def each_line(frame: FrameType, event: str, arg: Any) -> Any:
        if time.monotonic() > end:
            raise NoEnd(LIMIT)
        return each_line

    def each_call(frame: FrameType, event: str, arg: Any) -> Any:
        if _is_readers(frame.f_code.co_filename):
            frame.f_trace_opcodes = _jumps_to_itself(frame.f_code)
            return each_line(frame, event, arg)
        return None

    sys.settrace(each_call)
    try:
        yield
    finally:
        sys.settrace(None)


@functools.lru_cache
def _jumps_to_itself(code: CodeType) -> bool:
    """Return whether a loop is one instruction: ``while True: pass``, in one line.

    Python 3.11 counts a jump backward as a line, but not one to itself; such code is traced by its instructions.
    """
    return any(step.opname == "JUMP_BACKWARD" and step.argval == step.offset for step in dis.get_instructions(code))


def is_untouched(answer: object) -> bool:
    """Return whether a function's body is still the template's ``...`` (or nothing at all)."""
    if not isinstance(answer, FunctionType):
        return False
    quiet = {"RESUME", "NOP", "CACHE", "POP_TOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}
    steps = list(dis.get_instructions(answer))
    return all(step.opname in quiet and _is_empty(step.argval) for step in steps if step.opname != "RESUME")


def _is_empty(constant: object) -> bool:
    if isinstance(constant, tuple):
        return all(map(_is_empty, constant))
    return constant is None or constant is ...


def refuses(function: Callable[..., Any], parameters: tuple[str, ...]) -> str:
    """Say in a sentence why ``function`` cannot be called with these parameters; nothing if it can."""
    try:
        signature = inspect.signature(function)
    except Exception:
        return ""  # some built-in functions do not tell; the call will
    try:
        signature.bind(*parameters)
    except TypeError:
        return _("Your function should take `({parameters})`; it takes `{signature}`.").format(
            parameters=", ".join(parameters), signature=signature)
    return ""


def raised(error: BaseException, given: str = "", printed: str = "") -> Raised:
    """Return the outcome for an error of the reader's code: which, where, and for which input."""
    lineno, line, function = _place(error)
    name = _("no end") if isinstance(error, NoEnd) else type(error).__name__
    return Raised(error=name, message=_message(error), lineno=lineno, line=line, function=function,
                  given=given, printed=printed, why=_why(error))


def _place(error: BaseException) -> tuple[int, str, str]:
    """Find the last line of the reader's own that was running: below ours, above any library's."""
    frames = [(frame, lineno) for frame, lineno in traceback.walk_tb(error.__traceback__)
              if not frame.f_code.co_filename.startswith(HERE)]
    if not frames:
        return 0, "", ""
    theirs = [(frame, lineno) for frame, lineno in frames if _is_readers(frame.f_code.co_filename)] or frames
    frame, lineno = theirs[-1]
    line = linecache.getline(frame.f_code.co_filename, lineno, frame.f_globals).strip()
    return lineno, line, frame.f_code.co_name


def _is_readers(filename: str) -> bool:
    library = str(Path(io.__file__).parent), str(Path(HERE).parent)
    return not filename.startswith(library) and "site-packages" not in filename and not filename.startswith("<frozen")


def _message(error: BaseException) -> str:
    try:
        return without_addresses(str.__str__(str(error)))[:400]
    except BaseException:
        return describe(error)


def _why(error: BaseException) -> str:
    match error:
        case RecursionError():
            return _("Your function calls itself without an end.")
        case NoEnd(seconds=seconds):
            return _("It was stopped after {seconds} seconds. Does a loop in it ever end?").format(
                seconds=f"{round(seconds, 1):g}")
        case KeyboardInterrupt():
            return _("It was stopped before it was done. Does a loop in it ever end?")
        case SystemExit():
            return _("Your function asked Python to exit; it should return its answer.")
        case _:
            return ""
