# SPDX-License-Identifier: GPL-2.0-only
"""The scene: what a lab shows, as plain data with a key for everything in it.

A lab makes a whole scene from every state; nobody writes down what changed.  ``encode``
turns a scene into JSON, ``diff`` finds what differs between two of them, and ``apply`` is
what the browser does with that.  A scene is a dict of nodes:

    ""          the Stage: which panels there are, in which order, and the calls to make
    "m"         a panel, such as Cells, Lists, Table: see panels.py
    "m:64"      what is in it: a Block of cells, an EntryList, a Row

A text is a string, or a phrase: a tuple of its name and what goes into its gaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from itertools import groupby
from typing import Any

from kmm_sim.labs.forms import Choice, Flags, Form, Gap, Number, Pick, Toggle, Typed
from kmm_sim.labs.panels import (
    Block,
    Box,
    Bytes,
    Cells,
    EntryList,
    Flow,
    Line,
    Lists,
    Map,
    Mark,
    Plot,
    Row,
    Series,
    Shelf,
    Shelves,
    Span,
    Step,
    Strip,
    Table,
    Text,
)

__all__ = [
    "Block",
    "Box",
    "Bytes",
    "Cells",
    "Choice",
    "Count",
    "EntryList",
    "Flags",
    "Flow",
    "Form",
    "Gap",
    "Kind",
    "Line",
    "Lists",
    "Map",
    "Mark",
    "Node",
    "Number",
    "Pick",
    "Plot",
    "Row",
    "Scene",
    "Series",
    "Shelf",
    "Shelves",
    "Span",
    "Stage",
    "Step",
    "Strip",
    "Table",
    "Text",
    "Toggle",
    "Typed",
    "apply",
    "as_json",
    "diff",
    "encode",
    "strips",
]

Json = Any
MAX_EXACT = (1 << 53) - 1
MANY_BYTES = 256


@dataclass(frozen=True, slots=True)
class Count:
    """A gap in a phrase: how many entries these lists have, counted where it is shown."""

    count: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of block: its letter, a tone of the palette (1 to 6), and what it means."""

    letter: str
    tone: int
    says: Text


@dataclass(frozen=True, slots=True)
class Stage:
    """The root: the title, the panels in reading order, the calls, what the letters mean.

    ``layout`` puts panels side by side where there is room: a tuple for each row, with the keys
    in it from left to right; a key given twice is twice as wide.  Without it every panel takes a
    row of its own, but that Cells and the Lists after them share one.  ``above`` is how many of
    the rows stand above the timeline and the calls, on one screen with them; None: all.
    """

    title: Text
    panels: tuple[str, ...]
    forms: tuple[Form, ...] = ()
    kinds: tuple[Kind, ...] = ()
    caption: Text = ""
    layout: tuple[tuple[str, ...], ...] = ()
    above: int | None = None


Node = (
    Stage
    | Cells
    | Block
    | Lists
    | EntryList
    | Line
    | Table
    | Row
    | Bytes
    | Span
    | Shelves
    | Shelf
    | Box
    | Plot
    | Series
    | Map
    | Strip
    | Flow
    | Step
)
Scene = Mapping[str, Node]
Encoded = dict[str, dict[str, Json]]
Patch = dict[str, Json]


def encode(scene: Scene) -> Encoded:
    """Return a scene as JSON: key, then name and value of what is not at its default."""
    return {key: _record(node) for key, node in scene.items()}


def _record(node: Any) -> dict[str, Json]:
    record: dict[str, Json] = {}
    if panel := getattr(node, "panel", ""):
        record["panel"] = panel
    for each in fields(node):
        value = getattr(node, each.name)
        if each.default is MISSING or value != each.default:
            record[each.name] = as_json(value)
    if isinstance(node, Span) and len(node.data) > MANY_BYTES:
        record["data"] = [each if count == 1 else [each, count] for each, count in _runs(node.data)]
    return record


def _runs(data: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield each byte with how many of it follow each other: a page of zeros need not travel as 4096 of them."""
    for byte, same in groupby(data):
        yield byte, len(list(same))


def as_json(value: Any) -> Json:
    """Return a text or a part of a node as JSON.

    A number that JavaScript could not hold exactly, such as an address, becomes a string of its digits.
    """
    if isinstance(value, int) and abs(value) > MAX_EXACT:
        return str(value)
    if isinstance(value, list | tuple):
        return [as_json(each) for each in value]
    return _record(value) if hasattr(value, "__dataclass_fields__") else value


def strips(key: str, start: int, runs: Iterable[tuple[str, int]], size: int = 0) -> dict[str, Strip]:
    """Cut ``runs``, each a letter and a number of pages, into the Strips of the Map with this key.

    A strip has ``size`` pages (0: a 256th of all, and 64 at least), so that a change sends only
    the strip that it is in.
    """
    runs = list(runs)
    size = size or max(64, 1 << (sum(count for _, count in runs) // 256).bit_length())
    cut: dict[int, list[str | int]] = {}
    at = start
    for letter, count in runs:
        end = at + count
        while at < end:
            first = max(start, at - at % size)
            part = min(end, at - at % size + size) - at
            strip = cut.setdefault(first, [])
            if len(strip) > 1 and strip[-2] == letter:
                strip[-1] = int(strip[-1]) + part
            else:
                strip += [letter, part]
            at += part
    return {f"{key}:{first}": Strip(tuple(strip)) for first, strip in cut.items()}


def diff(old: Encoded, new: Encoded) -> Patch:
    """Return the patch that turns ``old`` into ``new``.

    A node that went is ``null``; a node that came is there in full; of one that changed only
    what changed, a property at its default again as ``null``.  A list changes by a splice,
    under the property's name and a tilde: ``"keys~": [index, how many go, what comes ...]``.
    """
    patch: Patch = {key: None for key in old if key not in new}
    for key, record in new.items():
        before = old.get(key)
        if before is None:
            patch[key] = record
        elif before != record:
            patch[key] = _changes(before, record)
    return patch


def _changes(before: dict[str, Json], after: dict[str, Json]) -> dict[str, Json]:
    changes: dict[str, Json] = {}
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if isinstance(old or new, list) and isinstance(new or old, list):
            changes[name + "~"] = _splice(old or [], new or [])
        else:
            changes[name] = new
    return changes


def _splice(old: list[Json], new: list[Json]) -> list[Json]:
    shorter = min(len(old), len(new))
    head = next((i for i in range(shorter) if old[i] != new[i]), shorter)
    tail = next((i for i in range(shorter - head) if old[-1 - i] != new[-1 - i]), shorter - head)
    return [head, len(old) - head - tail, *new[head : len(new) - tail]]


def apply(scene: Encoded, patch: Patch) -> Encoded:
    """Return ``scene`` with a patch applied, as the browser does it."""
    result = dict(scene)
    for key, changes in patch.items():
        if changes is None:
            del result[key]
        elif key not in result:
            result[key] = changes
        else:
            result[key] = _changed(result[key], changes)
    return result


def _changed(record: dict[str, Json], changes: dict[str, Json]) -> dict[str, Json]:
    result = dict(record)
    for name, value in changes.items():
        if name.endswith("~"):
            index, gone, *come = value
            entries = list(result.get(name[:-1], []))
            entries[index : index + gone] = come
            value, name = entries or None, name[:-1]
        if value is None:
            result.pop(name, None)
        else:
            result[name] = value
    return result
