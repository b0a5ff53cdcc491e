# SPDX-License-Identifier: GPL-2.0-only
"""What two processes that do not trust each other say: plain values as JSON, each message with its length before it.

``packed`` may meet any object at all and never raises; ``unpacked`` may meet any JSON at all.  What is no plain value
arrives as an Opaque, which no check takes for an answer; what a check would say of it comes along.
"""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, Sequence, ValuesView
from itertools import islice
from numbers import Number
from operator import index
from typing import Any

from kmm_sim.exercises.reading import EXACT, Opaque, describe, sort_of
from kmm_sim.mm.gfp import Gfp

__all__ = ["Gone", "Late", "Opaque", "packed", "receive", "send", "unpacked"]

LONGEST = 2_000_000  # bytes of a message
ENTRIES = 5000  # of one list
NODES = 50_000  # of one value
DEPTH = 20

CONTAINERS: tuple[tuple[type, str, Callable[[Any], Iterator[Any]]], ...] = (
    (list, "l", list.__iter__), (tuple, "t", tuple.__iter__), (set, "s", set.__iter__),
    (frozenset, "s", frozenset.__iter__), (range, "l", range.__iter__))
"""With the type's own way to go through one: a class that inherits from it may have another, without an end."""


class Gone(Exception):
    """The other process is gone or says nonsense."""


class Late(Gone):
    """It says nothing in time."""


def send(fd: int, message: Any) -> None:
    """Write one message."""
    body = json.dumps(message).encode()
    data = memoryview(len(body).to_bytes(4, "big") + body)
    try:
        while data:
            data = data[os.write(fd, data):]
    except OSError as error:
        raise Gone("it does not listen") from error


def receive(fd: int, seconds: float) -> Any:
    """Return the next message.  Raises Gone if none comes within so many seconds, or none that can be read."""
    end = time.monotonic() + seconds
    length = int.from_bytes(_read(fd, 4, end), "big")
    if length > LONGEST:
        raise Gone("its answer is too long")
    try:
        return json.loads(_read(fd, length, end))
    except (ValueError, RecursionError) as error:
        raise Gone("its answer cannot be read") from error


def _read(fd: int, length: int, end: float) -> bytes:
    data = b""
    while len(data) < length:
        ready, _, _ = select.select([fd], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            raise Late("it did not come to an end in time")
        piece = os.read(fd, min(65536, length - len(data)))
        if not piece:
            raise Gone("its process ended")
        data += piece
    return data


def packed(value: Any) -> Any:
    """Return ``value`` as JSON holds it; never raises."""
    try:
        return _packed(value, 0, [0])
    except BaseException:
        return _opaque(value)


def _packed(value: Any, depth: int, seen: list[int]) -> Any:
    seen[0] += 1
    if depth > DEPTH or seen[0] > NODES:
        return {"?": ["<too much>", ""]}
    if value is None or value is True or value is False:
        return value
    if value is ...:
        return {"e": 1}
    if type(value) is Gfp and 0 <= value < EXACT:
        return {"g": int(value)}
    if isinstance(value, int):
        exact = int.__index__(value)
        return exact if -EXACT < exact < EXACT else {"i": hex(exact)} if exact.bit_length() < 4096 else _opaque(value)
    if isinstance(value, float):
        return {"d": float.__repr__(float.__add__(value, 0.0))}
    if isinstance(value, str):
        return str.__str__(value)[:10_000]
    for kind, tag, entries in CONTAINERS:
        if isinstance(value, kind):
            return {tag: [_packed(entry, depth + 1, seen) for entry in islice(entries(value), ENTRIES)]}
    if isinstance(value, dict):
        return _pairs(dict.items(value), depth, seen)
    return _other(value, depth, seen)


def _pairs(pairs: Iterable[tuple[Any, Any]], depth: int, seen: list[int]) -> Any:
    return {"m": [[_packed(key, depth + 1, seen), _packed(entry, depth + 1, seen)]
                  for key, entry in islice(pairs, ENTRIES)]}


def _other(value: Any, depth: int, seen: list[int]) -> Any:
    """Numbers, arrays, lists and tables of other makes: numpy's, a deque, what ``values()`` gives."""
    if hasattr(type(value), "tolist"):
        return _packed(value.tolist(), depth + 1, seen)
    if hasattr(type(value), "__index__"):
        return _packed(index(value), depth + 1, seen)
    if isinstance(value, Number) and not isinstance(value, complex):
        return _packed(float(value), depth + 1, seen)  # type: ignore[arg-type]
    if isinstance(value, Mapping):
        return _pairs(((key, value[key]) for key in value), depth, seen)
    if isinstance(value, Sequence | KeysView | ValuesView | ItemsView) and not isinstance(value, bytes):
        return {"l": [_packed(entry, depth + 1, seen) for entry in islice(value, ENTRIES)]}
    return _opaque(value)


def _opaque(value: Any) -> Any:
    try:
        return {"?": [describe(value)[:200], sort_of(value)[:200]]}
    except BaseException:
        return {"?": [describe(value)[:200], ""]}


def unpacked(raw: Any, depth: int = 0) -> Any:
    """Return the plain value that JSON holds; an Opaque for what is none."""
    if depth > 2 * DEPTH:
        return Opaque("<too much>")
    if raw is None or isinstance(raw, bool | int | str):
        return raw
    if not isinstance(raw, dict) or len(raw) != 1:
        return Opaque("<nonsense>")
    (tag, held), = raw.items()
    try:
        return _unpacked(tag, held, depth)
    except (TypeError, ValueError, OverflowError):
        return Opaque("<nonsense>")


def _unpacked(tag: str, held: Any, depth: int) -> Any:
    match tag:
        case "e":
            return ...
        case "i":
            return int(held, 16)
        case "d":
            return float(held)
        case "l":
            return [unpacked(each, depth + 1) for each in held]
        case "t":
            return tuple(unpacked(each, depth + 1) for each in held)
        case "s":
            return {unpacked(each, depth + 1) for each in held}
        case "m":
            return {unpacked(key, depth + 1): unpacked(value, depth + 1) for key, value in held}
        case "g":
            return Gfp(held)
        case "?":
            text, sort = held
            return Opaque(str(text)[:200], str(sort)[:200])
    return Opaque("<nonsense>")
