# SPDX-License-Identifier: GPL-2.0-only
"""The panels of a scene, and what is in them: plain data, each with a key.

A panel's key is a word without a colon, ``"s"``; what is in it has that word, a colon and a
name, ``"s:64"``.  A thing in a panel may be pointed at by its key from anywhere else, and lights
up there; if it has a ``state`` that a call's ``Pick`` asks for, a click on it makes that call.

A tone is a number of the palette: 1 sky blue, 2 orange, 3 green, 4 vermilion, 5 purple, 6 blue,
0 grey (of a Kind) or none.  A tone never stands alone: give a letter, a word or a mark with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

__all__ = [
    "Block",
    "Box",
    "Bytes",
    "Cells",
    "EntryList",
    "Flow",
    "Line",
    "Lists",
    "Map",
    "Mark",
    "Plot",
    "Row",
    "Series",
    "Shelf",
    "Shelves",
    "Span",
    "Step",
    "Strip",
    "Table",
    "Text",
]

Text = str | tuple[Any, ...]
"""A string, or a phrase: a tuple of its name and what goes into its gaps."""


@dataclass(frozen=True, slots=True)
class Cells:
    """A panel: ``count`` cells from number ``start`` on, in rows of ``columns``; its Blocks tile them.

    ``orders`` False leaves the orders of the blocks unwritten, where they are of no interest.
    """

    panel: ClassVar[str] = "cells"
    title: Text
    note: Text
    start: int
    count: int
    columns: int
    orders: bool = True


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
    """A panel: one line of a text file (or a few, with line feeds)."""

    panel: ClassVar[str] = "line"
    title: Text
    text: Text


@dataclass(frozen=True, slots=True)
class Table:
    """A panel: Rows under column heads.

    ``align`` has a letter for each column: ``l`` left, ``r`` right (numbers), ``c`` code.
    """

    panel: ClassVar[str] = "table"
    title: Text
    note: Text
    columns: tuple[Text, ...]
    rows: tuple[str, ...]
    align: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row: a cell for each column.

    ``mark`` draws a sign before it: ``yes``, ``no``, ``now`` or ``skip``.  ``says`` is a sentence
    about it, shown while it is pointed at.  Key: ``"t:flags"``.
    """

    cells: tuple[Text | int, ...]
    tone: int = 0
    mark: str = ""
    says: Text = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Bytes:
    """A panel: bytes in hexadecimal from address ``start`` on; its Spans follow each other.

    Long runs of the same byte are drawn as one line.  ``down`` puts the highest address on top,
    as a stack is drawn.
    """

    panel: ClassVar[str] = "bytes"
    title: Text
    note: Text
    start: int
    spans: tuple[str, ...]
    columns: int = 16
    down: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """``size`` bytes that belong together: first those of ``data``, then ``fill`` up to its end.

    Key: ``"b:0"``, any name.  ``says`` is a sentence about it.
    """

    size: int
    data: tuple[int, ...] = ()
    fill: int = 0
    tone: int = 0
    letter: str = ""
    label: Text = ""
    says: Text = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Shelves:
    """A panel: Shelves, from top to bottom.  A Box that goes from one to another is seen to move."""

    panel: ClassVar[str] = "shelves"
    title: Text
    note: Text
    shelves: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shelf:
    """A shelf: its name, a note, the keys of the Boxes on it from left to right.  Key: ``"s:partial"``."""

    label: Text
    note: Text = ""
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Box:
    """A box with slots, such as a slab with its objects.  Key: ``"s:64"``.

    ``slots`` has a letter for each: ``""`` free, or a letter of the stage's Kinds.  ``widths`` has
    their sizes where they differ.  ``chain`` lists slots as a freelist links them, head first, and is
    drawn as arrows.  ``refs`` has for each slot the key of what it stands for elsewhere (a virtual
    page's frame).  A slot's own key is ``"s:64/3"``; a Pick with ``of="slots"`` offers those in use.
    """

    label: Text
    slots: tuple[str, ...] = ()
    widths: tuple[int, ...] = ()
    chain: tuple[int, ...] = ()
    refs: tuple[str, ...] = ()
    tone: int = 0
    note: Text = ""
    says: Text = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """A panel: curves over the same x.  ``kind`` is ``lines``, ``steps``, ``bars`` or ``stack``.

    The nth value of each Series is at ``start + n * step``, or at the nth of ``names`` (for bars).
    ``top`` is where the y axis ends; 0: where the values do.  ``now`` draws a line at an x.
    """

    panel: ClassVar[str] = "plot"
    title: Text
    note: Text
    series: tuple[str, ...]
    kind: str = "lines"
    x: Text = ""
    y: Text = ""
    start: float = 0
    step: float = 1
    names: tuple[Text, ...] = ()
    marks: tuple[Mark, ...] = ()
    top: float = 0
    now: float | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A level in a Plot: a line across at ``value``, with its name."""

    label: Text
    value: float
    tone: int = 0


@dataclass(frozen=True, slots=True)
class Series:
    """A curve: its name and its values; None where there is none.  Key: ``"p:free"``."""

    label: Text
    values: tuple[float | None, ...] = ()
    tone: int = 0


@dataclass(frozen=True, slots=True)
class Map:
    """A panel: the pages of a whole machine, millions of them, to be zoomed into down to single pages.

    ``legend`` says what each letter of its Strips is, and its tone.  ``zones`` names ranges: first
    page, name.  ``at`` is the page that the lab looks at: it is outlined, and the cursor goes there
    when it changes.  A page's key is ``"M:12345"``; a Pick with ``of="cells"`` takes the one under the cursor.
    """

    panel: ClassVar[str] = "map"
    title: Text
    note: Text
    start: int
    count: int
    legend: tuple[Any, ...] = ()  # of scene.Kind
    zones: tuple[tuple[int, Text], ...] = ()
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Strip:
    """A part of a Map: ``runs`` is a letter, a number of pages, a letter, a number of pages ...

    Its key ends with its first page, ``"M:32768"``.  ``strips`` cuts runs into them.
    """

    runs: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Flow:
    """A panel: Steps one after the other: the stages of a slow path, the levels of a page-table walk.

    ``across`` draws them from left to right where there is room.
    """

    panel: ClassVar[str] = "flow"
    title: Text
    note: Text
    steps: tuple[str, ...]
    across: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A step: its name, a value, a sentence.  ``state``: ``todo``, ``now``, ``done``, ``failed`` or ``skipped``.

    Key: ``"w:kswapd"``.  ``refs`` is the key of what it points at, which lights up with it.
    """

    label: Text
    state: str = "todo"
    value: Text = ""
    says: Text = ""
    refs: str = ""
