# SPDX-License-Identifier: GPL-2.0-only
"""Reading what a reader hands in: into plain Python values, or a sentence that says why not.

An answer may be any object, so nothing here compares it, prints it or measures it as it
is.  Numbers become exact ints first (numpy's, and floats that are whole); lists, tuples and
arrays become tuples.  What comes out holds no code of the reader's.
"""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Iterable, Mapping
from itertools import islice
from numbers import Number
from operator import index
from typing import Any

from kmm_sim.exercises.catalogue import _

__all__ = ["Blank", "Malformed", "describe", "is_blank", "mapping", "sequence", "whole_number"]

LONGEST = 4096
"""No answer of any exercise has more entries; what is longer is cut off here, unread."""


class Malformed(Exception):
    """The answer is of a wrong kind; the message tells the reader what was expected."""


class Blank(Exception):
    """A ``...`` of the template is still in the answer."""


def is_blank(value: object) -> bool:
    """Return whether ``value`` is the ``...`` that a template leaves for the reader."""
    return value is ...


def whole_number(value: Any, what: str) -> int:
    """Return ``value`` as an exact int; ``what`` names it in the message if it is none."""
    if is_blank(value):
        raise Blank
    if isinstance(value, bool):
        raise Malformed(_("{what} should be a number, not the truth value {value}.").format(
            what=what, value=describe(value)))
    try:
        return index(value)
    except TypeError:
        pass
    if isinstance(value, Number) and not isinstance(value, complex):
        number = float(value)  # type: ignore[arg-type]
        if float.is_integer(number):
            return float.__int__(number)
        raise Malformed(_("{what} should be a whole number, not {value}.").format(what=what, value=describe(value)))
    raise Malformed(_("{what} should be a number, not {value}.").format(what=what, value=_kind(value)))


def sequence(value: Any, what: str) -> tuple[Any, ...]:
    """Return the entries of a list, a tuple or an array; the entries are as they were."""
    if is_blank(value):
        raise Blank
    if isinstance(value, set | frozenset):
        raise Malformed(_("{what} should be a list: a set has no order.").format(what=what))
    if not isinstance(value, Iterable) or isinstance(value, str | bytes | Mapping) or _runs_once(value):
        raise Malformed(_("{what} should be a list, not {value}.").format(what=what, value=_kind(value)))
    entries = tuple(islice(value, LONGEST + 1))
    if len(entries) > LONGEST:
        raise Malformed(_("{what} has more than {longest} entries.").format(what=what, longest=LONGEST))
    return entries


def mapping(value: Any, what: str) -> dict[int, Any]:
    """Return a dict with whole numbers as keys; a list stands for the dict of its positions."""
    if is_blank(value):
        raise Blank
    if not isinstance(value, Mapping):
        return dict(enumerate(sequence(value, what)))
    keys = tuple(islice(value, LONGEST + 1))
    if len(keys) > LONGEST:
        raise Malformed(_("{what} has more than {longest} entries.").format(what=what, longest=LONGEST))
    key = _("A key of {what}").format(what=what[:1].lower() + what[1:])
    return {whole_number(each, key): value[each] for each in keys}


def describe(value: Any) -> str:
    """Return a short repr of any object whatever; never raises."""
    try:
        return str.__str__(_short.repr(value))  # an exact str: a repr of the reader's may be less than that
    except BaseException:
        return f"<{_type_name(value)}>"


def _kind(value: Any) -> str:
    """Say what sort of thing was given instead, with a word on the ones that surprise."""
    if value is None:
        return _("None (is a `return` missing?)")
    if inspect.iscoroutine(value):
        value.close()  # or Python warns that it was never awaited
        return _("a coroutine: write `def`, not `async def`")
    if inspect.isgenerator(value):
        return _("a generator: write `return`, not `yield`, and a list in brackets")
    if isinstance(value, str):
        return _("the text {value}").format(value=describe(value))
    if callable(value):
        return _("a function: call it, or hand in what it returns")
    return f"{describe(value)} ({_type_name(value)})"


def _runs_once(value: Any) -> bool:
    return hasattr(value, "__next__")


def _type_name(value: Any) -> str:
    return str(type.__getattribute__(type(value), "__name__"))


_short = reprlib.Repr()
_short.maxlist = _short.maxtuple = _short.maxdict = 16
_short.maxother = _short.maxstring = _short.maxlong = 80
