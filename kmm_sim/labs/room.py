# SPDX-License-Identifier: GPL-2.0-only
"""How much room a bench takes, for a page to keep it free before the bench is drawn.

The numbers are CSS pixels, and go with static/bench.css; a test in a browser compares them
with what is drawn.  Words are measured by their number of letters, so some pixels more or less
are to be expected, and do no harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from kmm_sim.labs.forms import Choice, Flags, Form, Number, Pick, Toggle, Typed
from kmm_sim.labs.panels import (
    Box,
    Bytes,
    Cells,
    Flow,
    Line,
    Lists,
    Map,
    Plot,
    Row,
    Shelf,
    Shelves,
    Span,
    Step,
    Table,
    Text,
)
from kmm_sim.labs.phrases import PHRASES
from kmm_sim.labs.scene import Scene, Stage

__all__ = ["Room"]

WIDE, NARROW = 656, 310  # what is inside the frame in a column of 690 pixels, and on a phone
REST = {WIDE: 393, NARROW: 478}  # what has the same height in every lab: the timeline, the trace, the text
SLACK = {WIDE: 0, NARROW: 38}  # a line more of what stands beside the buttons
LINE = 70  # a panel of one line
HEAD = 29
GAP = 18
LETTER, CODE, SMALL_CODE = 6.6, 8.5, 7.0  # the width of a letter, in a sentence, in a call and in its prototype
HALF_ROW, NAMES_BELOW = 440, 335  # a panel of bytes so narrow has half as many in a row, its names below them
MANY, MANY_HIGH = 18, 400  # more boxes than so many on a shelf are in a window of this height


class Room:
    """Measures the scenes of a run: each panel keeps its greatest height, as static/steady.js has it."""

    def __init__(self, phrases: Mapping[str, str] = PHRASES) -> None:
        self.phrases = phrases
        self.tallest: dict[tuple[str, bool], float] = {}
        self.sentence = {WIDE: 1, NARROW: 1}  # the lines of the longest one

    def see(self, scene: Scene) -> None:
        """Measure a scene; the last one is that which the calls are taken from."""
        self.scene = scene
        stage = scene[""]
        assert isinstance(stage, Stage)
        self.stage = stage
        for width in (WIDE, NARROW):
            for row in self.rows():
                self.row(row, width)
            for key in self.stage.panels:
                if isinstance(scene[key], Line):
                    self.kept(key, width, narrow=width == NARROW)

    def hear(self, says: Text) -> None:
        """Measure the sentence that tells an event."""
        for width, most in self.sentence.items():
            self.sentence[width] = max(most, self.lines(says, width))

    @property
    def heights(self) -> list[int]:
        """The height of a bench in a column of 690 pixels, and on a phone 360 wide."""
        return [round(self.bench(WIDE)), round(self.bench(NARROW))]

    def letters(self, text: Text | int) -> int:
        """Return about how long a text is; what goes into the gaps of a phrase counts too."""
        if not isinstance(text, tuple):
            return len(str(text))
        name, *gaps = text
        phrase = self.phrases.get(str(name), "")
        return len(phrase) + sum(self.letters(gap) - 3 for gap in gaps if isinstance(gap, str | int))

    def text(self, text: Text) -> str:
        """Return a text with what is in its gaps, roughly."""
        return text if isinstance(text, str) else "\n".join(part for part in text[1:] if isinstance(part, str))

    def lines(self, text: Text, width: float) -> int:
        """Return how many lines a text takes; 0 for no text."""
        return -(-round(self.letters(text) * LETTER) // max(1, round(width))) if self.letters(text) > 0 else 0

    def bench(self, width: int) -> float:
        """Return the height of it all."""
        laid = {key for row in self.stage.layout for key in row}
        lines = [key for key in self.stage.panels if isinstance(self.scene[key], Line) and key not in laid]
        foot = sum(self.kept(key, width, narrow=width == NARROW) + 10 for key in lines)
        heads = [panel.title for key in lines if isinstance(panel := self.scene[key], Line)]
        foot -= 43 * sum(head == before for before, head in pairwise(heads))  # lines of one file have one head
        caption = 12 + 22 * self.lines(self.stage.caption, width) if self.stage.caption else 0
        rows = [self.row(row, width) for row in self.rows()]
        calls = sum(self.form(form, width - (24 if width == WIDE else 20)) + 10 for form in self.stage.forms)
        said = 20 * self.sentence[width] + SLACK[width]
        return REST[width] + said + foot + caption + 1.02 * sum(rows) + GAP * (len(rows) - 1) + calls

    def rows(self) -> list[Sequence[str]]:
        """Return the panels side by side, as rows() in static/bench.js has them."""
        rows: list[Sequence[str]] = list(self.stage.layout)
        laid = {key for row in rows for key in row}
        for key in self.stage.panels:
            panel = self.scene[key]
            if key in laid or isinstance(panel, Line):
                continue
            if rows and isinstance(panel, Lists) and len(rows[-1]) == 1 and isinstance(self.scene[rows[-1][0]], Cells):
                rows[-1] = (rows[-1][0], key)
            else:
                rows.append((key,))
        return rows

    def row(self, keys: Sequence[str], width: int) -> float:
        """Return the height of panels that stand side by side, or on a phone one upon the other."""
        single = list(dict.fromkeys(keys))
        if width == NARROW:
            return sum(self.kept(key, width, narrow=True) for key in single) + GAP * (len(single) - 1)
        ground = width - GAP * (len(single) - 1)
        return max(self.kept(key, ground * keys.count(key) / len(keys)) for key in single)

    def kept(self, key: str, width: float, *, narrow: bool = False) -> float:
        """Return the greatest height that a panel has had."""
        height = max(self.tallest.get((key, narrow), 0), self.panel(key, width, narrow=narrow) + self.head(key, width))
        self.tallest[key, narrow] = height
        return height

    def head(self, key: str, width: float) -> float:
        """Return the height of what a panel's title and note take beyond one line."""
        panel = self.scene[key]
        words = self.letters(getattr(panel, "title", "")) + self.letters(getattr(panel, "note", ""))
        return 19.0 * (-(-round(words * LETTER + 30) // max(1, round(width))) - 1)

    def panel(self, key: str, width: float, *, narrow: bool) -> float:
        """Return the height of one panel as it is."""
        match self.scene[key]:
            case Cells() as cells:
                return _rows(cells) + (72 if narrow else 53)
            case Lists(lists=lists):
                return 28 + (30 if narrow else 28) * (len(lists) + 1)
            case Line(text=text):
                wide = [-(-len(line) * 6.2 // (width - 20)) for line in self.text(text).split("\n")]
                return LINE - 10 + (15 if narrow else 16) * (sum(max(1, lines) for lines in wide) - 1)
            case Table(rows=rows):
                return HEAD + 28 + 26 * (not rows) + sum(self.table_row(row, width) for row in rows)
            case Shelves(shelves=shelves):
                return HEAD + sum(self.shelf(shelf, width, narrow=narrow) for shelf in shelves)
            case Flow(steps=steps, across=across):
                if across and not narrow:
                    share = (width - 14 * (len(steps) - 1)) / max(1, len(steps))
                    return HEAD + max((self.step(step, share, across=True) for step in steps), default=0)
                return HEAD + sum(self.step(step, width, across=False) for step in steps)
            case Bytes() as bytes_:
                return HEAD + self.bytes(bytes_, width)
            case Plot():
                return HEAD + 190 + 38
            case Map():
                return HEAD + (308 if narrow else 276)
        return 0

    def table_row(self, key: str, width: float) -> float:
        """Return the height of a row: its last cell may take several lines."""
        row = self.scene[key]
        assert isinstance(row, Row)
        letters = [self.letters(cell) for cell in row.cells]
        free = max(60.0, width - sum(letters[:-1]) * 7 - 16 * len(letters)) if letters else width
        last = -(-letters[-1] * LETTER // free) if letters else 1
        all_ = -(-(sum(letters) * 7 + 16 * len(letters)) // width)
        return 25 + 18 * max(0.0, last - 1, all_ - 1)

    def shelf(self, key: str, width: float, *, narrow: bool) -> float:
        """Return the height of a shelf with its boxes in rows."""
        shelf = self.scene[key]
        assert isinstance(shelf, Shelf)
        wide, left = (width if narrow else width - 92), 0.0
        height, row = 0.0, 0.0
        for each in shelf.keys:
            box = self.scene[each]
            assert isinstance(box, Box)
            across, high = self.box(box, wide, narrow=narrow)
            if left and left + across > wide:
                height, left, row = height + row + 8, 0.0, 0.0
            left, row = left + across + 8, max(row, high)
        high = height + row if len(shelf.keys) <= MANY else min(height + row, MANY_HIGH)
        return max(41.0, 15 + high) + (26 if narrow and shelf.keys else 0)

    def box(self, box: Box, wide: float, *, narrow: bool) -> tuple[float, float]:
        """Return the width and the height of a box."""
        head = 14 + 7.5 * (self.letters(box.label) + 1 + self.letters(box.note))
        if box.widths:
            return wide, 60
        if not box.slots:
            return head, 32
        columns = _columns(len(box.slots))
        if narrow and len(box.slots) <= 64:
            columns = min(columns, 11)
        rows = -(-len(box.slots) // columns)
        small = len(box.slots) > 64
        across = columns * (9 if small else 25) + 12
        return max(across, min(head, across + 60)), 39 + rows * (10 if small else 25)

    def step(self, key: str, width: float, *, across: bool) -> float:
        """Return the height of a step."""
        step = self.scene[key]
        assert isinstance(step, Step)
        says = self.lines(step.says, width - 46) * 19
        return (42 + 19 * bool(step.value) if across else 32) + says

    def bytes(self, panel: Bytes, width: float) -> float:
        """Return the height of the rows of bytes, and of their names where those stand below."""
        columns = min(panel.columns, 8) if width < HALF_ROW else panel.columns
        rows, at = 0, 0
        for key in panel.spans:
            span = self.scene[key]
            assert isinstance(span, Span)
            rest = (span.size - len(span.data)) // columns
            rows += -(-(at % columns + min(span.size, len(span.data))) // columns) + (1 if rest >= 3 else rest)
            at += span.size
        return 18.6 * rows + (18 * len(panel.spans) if width <= NAMES_BELOW else 0)

    def form(self, form: Form, width: float) -> float:
        """Return the height of a call: its words and gaps in lines."""
        line = 36 if width > NARROW else 38
        across = sum(self.gap(part) for part in form.parts) + 110 + LETTER * self.letters(form.hint)
        flags = [part for part in form.parts if isinstance(part, Flags)]
        boxes = sum(_wrapped((len(word) * 7.9 + 42 for word in part.words or part.options), width) for part in flags)
        prototype = 3 + 16 * max(1, -(-round(self.letters(form.prototype) * SMALL_CODE) // round(width)))
        return line * max(1, -(-across // width)) + boxes * (30 if width > NARROW else 36) + prototype

    def gap(self, part: Any) -> float:
        """Return the width of a gap, or of the words between."""
        match part:
            case str():
                return len(part) * CODE
            case Choice(options=options, notes=notes, value=value, words=words):
                at = options.index(value) if value in options else -1
                note = notes[at] if notes and at >= 0 else ""
                shown = words[at] if words and at >= 0 else value
                return len(shown) * CODE + 30 + LETTER * self.letters(note)
            case Number(notes=notes, value=value):
                return 95 + LETTER * self.letters(notes[value] if 0 <= value < len(notes) else "")
            case Typed(width=width):
                return (width + 2) * CODE + 12
            case Pick():
                return 110
            case Toggle(label=label):
                return self.letters(label) * 7 + 42
        return 0


def _wrapped(widths: Iterable[float], ground: float) -> int:
    """Return how many lines these take, side by side."""
    lines, left = 1, 0.0
    for width in widths:
        if left and left + width > ground:
            lines, left = lines + 1, 0.0
        left += width + 4
    return lines


def _columns(slots: int) -> int:
    """Return how many slots a row of a box has, as slotColumns() in static/shelves.js gives it."""
    if slots <= 8:
        return max(slots, 1)
    return -(-slots // 2) if slots <= 20 else 16 if slots <= 64 else 32


def _rows(cells: Cells) -> int:
    """Return the height of a panel's rows, as rowHeight() in static/cells.js gives it."""
    rows = -(-(cells.start + cells.count) // cells.columns) - cells.start // cells.columns
    if cells.columns > 8:
        return rows * (22 if cells.columns > 16 else 32)
    return rows * (37 if rows > 4 else 48 if rows > 2 else 62)
