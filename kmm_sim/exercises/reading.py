# SPDX-License-Identifier: GPL-2.0-only
"""Reading what a reader hands in: into plain Python values, or a sentence that says why not.

An answer may be any object, so nothing here compares it, prints it or measures it as it
is.  Numbers become exact ints first (numpy's, and floats that are whole); lists, tuples and
arrays become tuples.  What comes out holds no code of the reader's.
"""

from __future__ import annotations

import inspect
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import islice
from numbers import Number
from operator import index
from typing import Any

from kmm_sim.catalogue import _

__all__ = ["EXACT", "Blank", "Malformed", "Opaque", "Reader", "address", "describe", "in_hex", "is_blank", "mapping",
           "number", "numbers", "sequence", "sort_of", "table", "text", "truth", "whole_number", "without_addresses",
           "word", "words_of", "zone_names"]

Reader = Callable[[Any, str], Any]
"""Turns a value of the reader's into a plain one; the text says in messages what the value is."""

LONGEST = 4096
"""No answer of any exercise has more entries; what is longer is cut off here, unread."""


EXACT = 1 << 53
"""Whole numbers from here on do not all have a float; addresses of 64 bits are among them."""


class Malformed(Exception):
    """The answer is of a wrong kind; the message tells the reader what was expected."""


class Blank(Exception):
    """A ``...`` of the template is still in the answer."""


class Opaque:
    """Stands for what was no plain value in another process: no more is left of it than what can be said of it."""

    def __init__(self, text: str, sort: str = "") -> None:
        self.text, self.sort = text, sort or text

    def __repr__(self) -> str:
        return self.text


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
    if not isinstance(value, Number) or isinstance(value, complex):
        raise Malformed(_("{what} should be a number, not {value}.").format(what=what, value=sort_of(value)))
    if isinstance(value, Fraction):
        if value.denominator == 1:
            return index(value.numerator)
    elif float.is_integer(number := float(value)):  # type: ignore[arg-type]
        if abs(number) >= EXACT:
            raise Malformed(_("{what} is {value}, which was rounded: `/` makes a float, and that has 53 bits. `//` "
                              "divides whole numbers.").format(what=what, value=describe(value)))
        return float.__int__(number)
    raise Malformed(_("{what} should be a whole number, not {value}.").format(what=what, value=describe(value)))


def number(value: Any, what: str) -> float:
    """Return ``value`` as an exact float; it need not be whole."""
    if not is_blank(value) and isinstance(value, Number) and not isinstance(value, bool | complex):
        try:
            return float.__add__(float(value), 0.0)  # type: ignore[arg-type]
        except OverflowError:
            raise Malformed(_("{what} is far too large.").format(what=what)) from None
    return float(whole_number(value, what))


def address(value: Any, what: str) -> int:
    """Return an address as an int; text such as ``"0xffff888001234000"`` will do."""
    if isinstance(value, str):
        digits = text(value, what).replace("_", "").lower().removeprefix("0x")
        if re.fullmatch("[0-9a-f]{1,16}", digits):
            return int(digits, 16)
        raise Malformed(_("{what} should be an address such as `0xffff888001234000`, not {value}.").format(
            what=what, value=sort_of(value)))
    return whole_number(value, what)


def truth(value: Any, what: str) -> bool:
    """Return True or False; numpy's will do, and nothing else."""
    if is_blank(value):
        raise Blank
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
        return bool(value)
    raise Malformed(_("{what} should be `True` or `False`, not {value}.").format(what=what, value=sort_of(value)))


def text(value: Any, what: str) -> str:
    """Return text as an exact str."""
    if is_blank(value):
        raise Blank
    if not isinstance(value, str):
        raise Malformed(_("{what} should be text, not {value}.").format(what=what, value=sort_of(value)))
    return str.__str__(value).strip()


def numbers(value: Any, what: str) -> tuple[int, ...]:
    """Return a list of whole numbers; a lone number is a list of one."""
    if hasattr(value, "__index__") and not isinstance(value, bool):
        return (whole_number(value, what),)
    return tuple(whole_number(each, _("A number in it")) for each in sequence(value, what))


def word(options: Sequence[str] | Mapping[str, Iterable[Any]]) -> Reader:
    """Return a reader of one of these words.

    Capitals, spaces, dashes, ``()``, leading ``__`` and the order of what ``|`` joins make no difference.  With a
    mapping, each option brings the other ways to write it: text, numbers such as the value of a flag, or None.
    """
    others = options if isinstance(options, Mapping) else dict.fromkeys(options, ())
    known: dict[Any, str] = {}
    for option, ways in others.items():
        for way in (option, *ways):
            known[_plain_word(way) if isinstance(way, str) else None if way is None else index(way)] = option

    def read(value: Any, what: str) -> str:
        if is_blank(value):
            raise Blank
        if isinstance(value, bool):
            found = known.get("yes" if value else "no")  # who is asked yes or no may well answer in Python
        elif isinstance(value, str):
            found = known.get(_plain_word(text(value, what)))
        elif value is None:
            found = known.get(None)
        else:
            found = known.get(whole_number(value, what)) if hasattr(value, "__index__") else None
        if found is None:
            raise Malformed(_("{what} should be one of {options}, not {value}.").format(
                what=what, options=", ".join(f"`{option}`" for option in others), value=sort_of(value)))
        return found

    return read


def words_of(options: Sequence[str]) -> Reader:
    """Return a reader of a list or set of these words, in any order; each counts once."""
    one = word(options)

    def read(value: Any, what: str) -> frozenset[str]:
        if isinstance(value, str):
            return frozenset({one(value, what)})
        entries = tuple(islice(value, LONGEST)) if isinstance(value, set | frozenset) else sequence(value, what)
        return frozenset(one(each, _("A word in it")) for each in entries)

    return read


def zone_names(*names: str) -> dict[str, tuple[Any, ...]]:
    """Return options for ``word``: zones by their names in logs, in C (ZONE_DMA32), and by number if they have one."""
    numbers = {"DMA": (0,), "DMA32": (1,), "Normal": (2,), "Movable": (3,)}
    return {name: (f"ZONE_{name}", *numbers.get(name, ())) for name in names}


def _plain_word(value: str) -> str:
    plain = re.sub(r"[\s_()-]+", "", value[:400].lower())
    return "|".join(sorted(plain.split("|")))


def sequence(value: Any, what: str) -> tuple[Any, ...]:
    """Return the entries of a list, a tuple or an array; the entries are as they were."""
    if is_blank(value):
        raise Blank
    if isinstance(value, set | frozenset):
        raise Malformed(_("{what} should be a list: a set has no order.").format(what=what))
    if not _is_list(value):
        raise Malformed(_("{what} should be a list, not {value}.").format(what=what, value=sort_of(value)))
    entries = tuple(islice(value, LONGEST + 1))
    if len(entries) > LONGEST:
        raise Malformed(_("{what} has more than {longest} entries.").format(what=what, longest=LONGEST))
    return entries


def mapping(value: Any, what: str) -> dict[int, Any]:
    """Return a dict with whole numbers as keys; a list stands for the dict of its positions."""
    if is_blank(value):
        raise Blank
    if not isinstance(value, Mapping):
        return dict(enumerate(_values(value, what)))
    keys = tuple(islice(value, LONGEST + 1))
    if len(keys) > LONGEST:
        raise Malformed(_("{what} has more than {longest} entries.").format(what=what, longest=LONGEST))
    key = _("A key of {what}").format(what=what[:1].lower() + what[1:])
    return {whole_number(each, key): value[each] for each in keys}


def table(value: Any, keys: Sequence[Any], what: str) -> dict[Any, Any]:
    """Return the answers to several questions, by key: from a dict, or a list in the order of the keys.

    A key may be text or a whole number.  Malformed if a key is missing; other keys are left out.
    """
    if is_blank(value):
        raise Blank
    if len(keys) == 1 and not isinstance(value, Mapping):
        lone = isinstance(value, list | tuple) and len(value) == 1
        return {keys[0]: value[0] if lone else value}
    if isinstance(value, Mapping):
        found = {_key(key): value[key] for key in islice(value, LONGEST)}
    else:
        entries = _values(value, what)
        if len(entries) != len(keys):
            raise Malformed(_("{what} has {n} entries; there are {wanted} questions.").format(
                what=what, n=len(entries), wanted=len(keys)))
        found = {_key(key): entry for key, entry in zip(keys, entries, strict=True)}
    missing = [key for key in keys if _key(key) not in found]
    if missing:
        raise Malformed(_("There is no answer for {missing}.").format(missing=", ".join(map(str, missing))))
    return {key: found[_key(key)] for key in keys}


def _values(value: Any, what: str) -> tuple[Any, ...]:
    """Return the entries of a list that stands for a dict; what is neither is told of both."""
    if isinstance(value, set | frozenset) or not _is_list(value):
        raise Malformed(_("{what} should be a dict with the keys that the cell has, or a list of the values, not "
                          "{value}.").format(what=what, value=describe(value) if value is None else sort_of(value)))
    return sequence(value, what)


def _key(key: Any) -> Any:
    """Return a key as the question's and the reader's are compared: a number and its text are the same key."""
    if isinstance(key, float) and not float.is_integer(key):
        return float.__repr__(key)
    if not isinstance(key, str):
        return whole_number(key, _("A key of your answer"))
    written = str.__str__(key).strip().lower()
    if re.fullmatch("0x[0-9a-f]{1,16}", written):
        return int(written, 16)
    return int(written) if re.fullmatch("[0-9]{1,18}", written) else written


def describe(value: Any) -> str:
    """Return a short repr of any object whatever; never raises."""
    try:
        return str.__str__(_short.repr(value))  # an exact str: a repr of the reader's may be less than that
    except BaseException:
        return f"<{_type_name(value)}>"


def in_hex(value: Any) -> str:
    """Return the same with its numbers in hexadecimal, as addresses are read."""
    try:
        return str.__str__(_hex.repr(value))
    except BaseException:
        return describe(value)


def sort_of(value: Any) -> str:
    """Say what sort of thing was given instead, with a word on the ones that surprise."""
    if isinstance(value, Opaque):
        return value.sort
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


def _is_list(value: Any) -> bool:
    runs_once = hasattr(value, "__next__")
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping) and not runs_once


def _type_name(value: Any) -> str:
    return str(type.__getattribute__(type(value), "__name__"))


def without_addresses(text: str) -> str:
    """Return text without what Python tells of where an object is: it is another place each time, and says nothing."""
    return re.sub(r" at 0x[0-9a-fA-F]+(?=>|, file )", "", text)


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxtuple = self.maxdict = 16
        self.maxother = self.maxstring = self.maxlong = 80

    def repr_instance(self, x: Any, level: int) -> str:
        try:
            text = without_addresses(str.__str__(repr(x)))
        except Exception:
            return f"<{_type_name(x)}>"
        half = (self.maxother - 3) // 2
        return text if len(text) <= self.maxother else f"{text[:half]}...{text[-half:]}"


class _Hex(_Short):
    def repr_int(self, x: int, level: int) -> str:
        return hex(x) if 9 < abs(x) < 1 << 256 else super().repr_int(x, level)


_short, _hex = _Short(), _Hex()
