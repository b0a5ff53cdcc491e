# SPDX-License-Identifier: GPL-2.0-only
"""The scene of the stack lab: two stacks, each to its own scale, how they stand, their bytes, what the kernels say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from kmm_sim.catalogue import _
from kmm_sim.labs.forms import sentence
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

__all__ = ["Fate", "Happened", "Side", "draw", "tell"]

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
class Fate:
    """What a call brought one kernel: bytes left, what it overwrote, why it stopped, or that it had before."""

    kernel: str
    left: int
    lost: tuple[str, ...] = ()
    stops: str = ""
    stopped: bool = False
    report: str = ""


@dataclass(frozen=True, slots=True)
class Happened:
    """What a call did to both stacks."""

    does: str
    fates: tuple[Fate, Fate]


def draw(sides: Sequence[Side], title: Text, caption: Text) -> Scene:
    """Return the scene of both stacks."""
    layout = (("s",), ("t",), ("b0", "b1"), ("d0",), ("d1",))
    panels = tuple(key for row in layout for key in row)
    scene: dict[str, Node] = {"": Stage(title, panels, _forms(), KINDS, caption, layout, 2)}
    scene |= _pictures(sides) | _table(sides)
    for number, side in enumerate(sides):
        scene |= _bytes(f"b{number}", side)
        scene[f"d{number}"] = Line(("st.dmesg", side.kernel), "\n".join(side.log) or ("st.silence",))
    return scene


def _forms() -> tuple[Form, ...]:
    size = Number("size", ("st.size.label",), 512, 0, 32768, step=64)
    times = Number("times", ("st.times.label",), 1, 1, 64)
    return (
        Form("call", sentence(_("f();  /* a frame of {size} bytes, {times} times */"), size=size, times=times),
             ("st.call.button",), ("st.call.prototype",)),
        Form("return", ("return;",), ("st.return.button",), ("st.return.prototype",)),
        Form("schedule", ("schedule();",), ("st.schedule.button",), ("st.schedule.prototype",)),
    )


# The picture: the parts of a stack to scale

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
        rows[f"t:{what}"] = Row(((f"st.row.{what}",), *(_state(side, what) for side in sides)))
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
    """Return a call as a phrase: who stopped, else what was lost in silence, else how both stand."""
    if not (isinstance(event, Called) and isinstance(event.answer, Happened)):
        return "other", str(event), _("This was done elsewhere.")
    happened = event.answer
    stop = [fate for fate in happened.fates if fate.stops]
    harmed = next((fate for fate in happened.fates if fate.lost and not fate.stops), None)
    lost = ", ".join(WORDS[what] for what in harmed.lost) if harmed else ""
    if stop:
        told = stop[0].kernel, stop[0].stops, stop[0].report
        if len(stop) == 2:
            return "st.stopped.both", *told, stop[1].kernel, stop[1].stops
        return ("st.stopped.silent", *told, harmed.kernel, lost) if harmed else ("st.stopped", *told)
    if harmed:
        return "st.silent", harmed.kernel, lost
    return _standing(happened)


def _standing(happened: Happened) -> tuple[Any, ...]:
    """Return how both stand after a call that harmed neither, the one that fares worse first."""
    worse, other = sorted(happened.fates, key=_harm, reverse=True)
    match happened.does, _harm(worse), _harm(other):
        case _, 2, 2:
            return ("st.gone.both",)
        case "schedule", 2, _:
            return "st.well.one", worse.kernel, other.kernel
        case "schedule", _, _:
            return ("st.well",)
        case "return", 2, _:
            return "st.return.one", worse.kernel, other.kernel
        case "return", _, _:
            return ("st.return",)
        case _, 0, 0:
            return "st.fits", worse.left, other.left
        case _, 1, 1:
            return ("st.past.both",)
        case _, 1, 0:
            return "st.past", worse.kernel, other.kernel, other.left
        case _, 2, 1:
            return "st.gone.past", worse.kernel, other.kernel
    return "st.gone", worse.kernel, other.kernel, other.left


def _harm(fate: Fate) -> int:
    """Return 2 for a kernel that has stopped, 1 for one that runs on below the end of its stack."""
    return 2 if fate.stopped else int(fate.left < 0)


WORDS = {"magic": _("the magic number"), "thread_info": "thread_info", "below": _("somebody else’s records")}
