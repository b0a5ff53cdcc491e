# SPDX-License-Identifier: GPL-2.0-only
"""The scene: what a lab shows, as plain data with a key for everything in it.

A lab makes a whole scene from every state; nobody writes down what changed.  ``encode``
turns a scene into JSON, ``diff`` finds what differs between two of them, and ``apply`` is
what the browser does with that.  A scene is a dict of nodes:

    ""          the Stage: which panels there are, in which order, and the calls to make
    "m"         a panel: Cells, Lists or Line
    "m:64"      what is in it: a Block of cells, an EntryList

A text is a string, or a phrase: a tuple of its name and what goes into its gaps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar

__all__ = [
    "Block",
    "Cells",
    "Choice",
    "Count",
    "EntryList",
    "Form",
    "Kind",
    "Line",
    "Lists",
    "Node",
    "Number",
    "Pick",
    "Scene",
    "Stage",
    "Text",
    "apply",
    "as_json",
    "diff",
    "encode",
]

Json = Any
Text = str | tuple[Any, ...]


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
class Choice:
    """A gap in a call: one of these words."""

    choice: str
    label: Text
    options: tuple[str, ...]
    value: str


@dataclass(frozen=True, slots=True)
class Number:
    """A gap in a call: a whole number, with a note for each; ``follows`` takes it from a Pick's block."""

    number: str
    label: Text
    value: int
    low: int
    high: int
    notes: tuple[Text, ...] = ()
    follows: str = ""


@dataclass(frozen=True, slots=True)
class Pick:
    """A gap in a call: one of the blocks in a panel that are in this state."""

    pick: str
    label: Text
    panels: tuple[str, ...]
    state: str


@dataclass(frozen=True, slots=True)
class Form:
    """A call to make, written as C: words and gaps.  ``block`` names the gap that a click on a block fills."""

    does: str
    parts: tuple[str | Choice | Number | Pick, ...]
    button: Text
    prototype: Text
    hint: Text = ""
    block: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """The root: the title, the panels from left to right, the calls, what the letters mean."""

    title: Text
    panels: tuple[str, ...]
    forms: tuple[Form, ...] = ()
    kinds: tuple[Kind, ...] = ()
    caption: Text = ""


@dataclass(frozen=True, slots=True)
class Cells:
    """A panel: ``count`` cells from number ``start`` on, in rows of ``columns``; its Blocks tile them."""

    panel: ClassVar[str] = "cells"
    title: Text
    note: Text
    start: int
    count: int
    columns: int


@dataclass(frozen=True, slots=True)
class Block:
    """A run of 2**order cells; its key ends with the number of the first."""

    order: int
    state: str = "free"
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Lists:
    """A panel: EntryLists, from top to bottom.  ``hand`` names the panels whose blocks may be in hand."""

    panel: ClassVar[str] = "lists"
    title: Text
    note: Text
    lists: tuple[str, ...]
    hand: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EntryList:
    """A list: its name, a note, and the keys of the blocks on it, head first."""

    label: Text
    note: Text = ""
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A panel: one line of a text file."""

    panel: ClassVar[str] = "line"
    title: Text
    text: Text


Node = Stage | Cells | Block | Lists | EntryList | Line
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
    return record


def as_json(value: Any) -> Json:
    """Return a text or a part of a node as JSON."""
    if isinstance(value, tuple):
        return [as_json(each) for each in value]
    return _record(value) if hasattr(value, "__dataclass_fields__") else value


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
