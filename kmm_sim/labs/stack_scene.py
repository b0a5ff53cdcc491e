# SPDX-License-Identifier: GPL-2.0-only
"""The scene of the stack lab: two stacks drawn to scale, how they stand, their bytes, what the kernels say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from kmm_sim.labs.scene import (
    Box,
    Bytes,
    Form,
    Kind,
    Line,
    Node,
    Number,
    Row,
    Scene,
    Shelf,
    Shelves,
    Span,
    Stage,
    Table,
    Text,
)
from kmm_sim.labs.view import Called
from kmm_sim.observe import StackPart
from kmm_sim.trace import Event

__all__ = ["Happened", "Side", "draw", "tell"]

KINDS = (
    Kind("s", 0, ("st.kind.start",)),
    Kind("f", 1, ("st.kind.frame",)),
    Kind("M", 3, ("st.kind.magic",)),
    Kind("T", 2, ("st.kind.thread_info",)),
    Kind("R", 5, ("st.kind.below",)),
    Kind("G", 6, ("st.kind.guard",)),
    Kind("!", 4, ("st.kind.over",)),
)
LETTERS = {"start": "s", "frame": "f", "magic": "M", "thread_info": "T", "below": "R", "guard": "G", "unused": ""}
TONES = {kind.letter: kind.tone for kind in KINDS}
LEAST = 0.03
"""A part is drawn at least this wide, of the whole stack; else the magic number could not be seen."""
NEWEST = 3
"""So many calls are shown byte by byte."""


@dataclass(frozen=True, slots=True)
class Side:
    """One stack: its kernel, its size and what is left in bytes, its depth, its parts from the top down."""

    kernel: str
    size: int
    left: int
    depth: int
    parts: tuple[StackPart, ...]
    stopped: bool
    log: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Happened:
    """What a call did: bytes left on both stacks; by kernel what was overwritten, and why it stopped."""

    does: str
    words: str
    left: tuple[int, ...]
    lost: Mapping[str, tuple[str, ...]]
    stops: Mapping[str, str]


def draw(sides: Sequence[Side], title: Text, caption: Text) -> Scene:
    """Return the scene of both stacks."""
    layout = (("s",), ("t",), ("b0", "b1"), ("d0",), ("d1",))
    panels = tuple(key for row in layout for key in row)
    scene: dict[str, Node] = {"": Stage(title, panels, _forms(), KINDS, caption, layout)}
    scene |= _pictures(sides) | _table(sides)
    for number, side in enumerate(sides):
        scene |= _bytes(f"b{number}", side)
        scene[f"d{number}"] = Line(("st.dmesg", side.kernel), "\n".join(side.log) or ("st.silence",))
    return scene


def _forms() -> tuple[Form, ...]:
    size = Number("size", ("st.size.label",), 512, 0, 32768, step=64)
    times = Number("times", ("st.times.label",), 1, 1, 64)
    return (
        Form("call", ("f();  /* a frame of ", size, " bytes, ", times, " times */"), ("st.call.button",),
             ("st.call.prototype",)),
        Form("return", ("return;",), ("st.return.button",), ("st.return.prototype",)),
        Form("schedule", ("schedule();",), ("st.schedule.button",), ("st.schedule.prototype",)),
    )


# The picture: parts to scale

def _pictures(sides: Sequence[Side]) -> dict[str, Node]:
    shelves = tuple(f"s:{number}" for number in range(len(sides)))
    nodes: dict[str, Node] = {"s": Shelves(("st.stacks",), ("st.stacks.note",), shelves)}
    for number, side in enumerate(sides):
        box = f"s:{number}box"
        nodes[f"s:{number}"] = Shelf(("st.side", side.kernel), ("st.side.note", side.size), (box,))
        nodes[box] = _picture(side)
    return nodes


def _picture(side: Side) -> Box:
    pieces = [(_letter(part), part.size) for part in side.parts if part.what != "return"]
    least = int(LEAST * side.size)
    label: Text = ("st.box.dead",) if side.stopped else ("st.box", side.size - side.left, max(side.left, 0), side.size)
    return Box(label, tuple(letter for letter, _ in pieces),
               tuple(min(max(size, least), side.size) for _, size in pieces), state="stopped" if side.stopped else "")


def _letter(part: StackPart) -> str:
    return LETTERS[part.what] if part.intact else "!"


def _table(sides: Sequence[Side]) -> dict[str, Node]:
    """Return what is left and what is intact, a column for each stack."""
    rows: dict[str, Node] = {
        "t:left": Row((("st.row.left",), *(max(side.left, 0) for side in sides))),
        "t:depth": Row((("st.row.depth",), *(side.depth for side in sides))),
    }
    for what in ("magic", "thread_info", "below"):
        states = [_state(side, what) for side in sides]
        gone = ("st.over",) in states
        rows[f"t:{what}"] = Row(((f"st.row.{what}",), *states), tone=4 if gone else 0, mark="no" if gone else "yes")
    columns: tuple[Text, ...] = ("", *(("st.side", side.kernel) for side in sides))
    return {"t": Table(("st.table",), ("st.table.note",), columns, tuple(rows), "lrr"), **rows}


def _state(side: Side, what: str) -> Text:
    part = next((part for part in side.parts if part.what == what), None)
    if part is None:
        return ("st.guard",) if what == "below" else ("st.elsewhere",)
    return ("st.intact",) if part.intact else ("st.over",)


# The bytes

def _bytes(key: str, side: Side) -> dict[str, Node]:
    """Return the panel of the newest calls' bytes and of all below them."""
    shown = list(_shown(side))
    spans: dict[str, Node] = {f"{key}:{part.addr:x}": _span(part) for part in reversed(shown)}
    start = shown[-1].addr
    return {key: Bytes(("st.bytes", side.kernel), ("st.bytes.note",), start, tuple(spans), 8, True), **spans}


def _shown(side: Side) -> Iterator[StackPart]:
    """Yield the parts to be shown byte by byte: not those of older calls, nor what is not mapped."""
    older = max(side.depth - NEWEST, 0)
    calls = 0
    for part in side.parts:
        calls += part.what == "return"
        old = older > 0 if part.what == "start" else part.what in ("return", "frame") and calls <= older
        if not old and part.what != "guard":
            yield part


def _span(part: StackPart) -> Span:
    """Return the bytes of a part: those that differ one by one, a long run at the end as one."""
    runs = [(value, len(list(run))) for value, run in groupby(part.data)]
    fill, count = runs[-1]
    data = part.data[: part.size - count] if count > 8 else part.data
    label: Text = (f"st.span.{part.what}{'' if part.intact else '.over'}",)
    if part.what == "frame":
        label = ("st.span.frame", part.name)
    letter = "" if part.what == "return" else _letter(part)
    return Span(part.size, tuple(data), fill, TONES.get(letter, 0), letter, label)


# What happened

def tell(event: Event) -> tuple[Any, ...]:
    """Return a call as a phrase: who stopped, else what was lost in silence, else what is left."""
    if not (isinstance(event, Called) and isinstance(event.answer, Happened)):
        return "other", str(event), str(event)
    happened = event.answer
    for kernel, why in happened.stops.items():
        return "st.stopped", kernel, why
    for kernel, lost in happened.lost.items():
        return "st.silent", kernel, ", ".join(WORDS[what] for what in lost), happened.words
    if happened.does == "call":
        return "st.fits", *happened.left, happened.words
    return ("st.well",) if happened.does == "schedule" else ("st.return",)


WORDS = {"magic": "the magic number", "thread_info": "thread_info", "below": "somebody else’s records"}
