# SPDX-License-Identifier: GPL-2.0-only
"""A card: what an exercise says to the reader, drawn as HTML or written as plain text.

A card has a tone, a heading and parts.  The HTML carries its few styles with it and takes
text colour and typeface from the page around it, so it looks at home in a light page, a
dark page and a notebook.  Text in backticks becomes code; everything is escaped.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from html import escape
from typing import Any

from kmm_sim.catalogue import _

__all__ = ["Card", "Code", "Facts", "Part", "Shown", "Steps", "Text", "html", "plain"]


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; `backticks` mark code."""

    words: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Rows of a label and a value; the values are the reader's, and are shown as code."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Code:
    """A block of code or of a traceback, shown as it is."""

    source: str


@dataclass(frozen=True, slots=True)
class Steps:
    """A numbered list of sentences."""

    sentences: tuple[str, ...]


Part = Text | Facts | Code | Steps


@dataclass(frozen=True, slots=True)
class Card:
    """What is shown: ``tone`` picks the colour, ``exercise`` says whose card it is.

    ``link`` opens a state in a lab of the page, ``score`` is what a design reached; both are for scripts.
    """

    tone: str
    heading: str
    parts: tuple[Part, ...]
    exercise: str = ""
    link: str = ""
    score: float | None = None


class Shown:
    """What displays itself as a card, as the last line of a cell or in a terminal."""

    __slots__ = ()

    def card(self) -> Card:
        """Return the card to show."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return plain(self.card())

    def _repr_html_(self) -> str:
        return html(self.card())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        card = self.card()
        return {"text/plain": plain(card), "text/html": html(card)}


# Plain text

WIDTH = 88


def plain(card: Card) -> str:
    """Return the card as text for a terminal, an e-mail, a test report."""
    lines = [card.heading]
    for part in card.parts:
        lines += textwrap.indent(_plain_part(part), "  ").splitlines()
    return "\n".join(lines)


def _plain_part(part: Part) -> str:
    match part:
        case Text(words):
            return _fill(words)
        case Code(source):
            return textwrap.indent(source, "    ")
        case Steps(sentences):
            return "\n".join(_fill(f"{n}. {sentence}", "   ") for n, sentence in enumerate(sentences, 1))
        case Facts(rows):
            width = max((len(label) for label, _value in rows), default=0)
            return "\n".join(f"{label:<{width}}  {value}" for label, value in rows)


def _fill(words: str, later: str = "") -> str:
    return textwrap.fill(words, WIDTH, subsequent_indent=later, break_long_words=False, break_on_hyphens=False)


# HTML: middling accents on translucent grounds, legible on white and on black alike.

ACCENT = {
    "right": "0, 158, 115",
    "wrong": "213, 94, 0",
    "raised": "204, 121, 167",
    "not-attempted": "86, 180, 233",
}
MARK = {"right": "✓", "wrong": "✗", "raised": "!", "not-attempted": "…"}
QUIET = "128, 128, 128"

BOX = ("border:1px solid rgba({accent},.45);border-left:.3rem solid rgb({accent});border-radius:.4rem;"
       "background:rgba({accent},.09);color:inherit;padding:.6rem .9rem;margin:.3rem 0;max-width:49rem;"
       "font-size:.95em;line-height:1.5;text-align:left;overflow-wrap:anywhere")
BADGE = ("display:inline-block;box-sizing:border-box;min-width:1.5em;text-align:center;font-weight:700;line-height:1.5;"
         "margin-right:.5em;border-radius:1em;border:1px solid rgb({accent});background:rgba({accent},.25)")
HEADING = "font-weight:600"
LATER = "margin:.45rem 0 0;padding:0"
MONO = "font-family:var(--pst-font-family-monospace,var(--jp-code-font-family,ui-monospace,monospace));font-size:.92em"
CODE = f"{MONO};color:inherit;background:rgba({QUIET},.16);border:0;border-radius:.2rem;padding:.05em .3em"
BLOCK = (f"{MONO};color:inherit;background:rgba({QUIET},.12);border:0;border-radius:.3rem;padding:.5rem .7rem;"
         "margin:.45rem 0 0;overflow-x:auto;overflow-wrap:normal;line-height:1.45;font-size:.82em;white-space:")
WIDE = 99  # columns of a line of /proc/buddyinfo, which a card has room for
COLUMNS = re.compile(r"\S(?: {2,}\S+(?: \S+)*){3}")  # a line with three gaps
ROWS = "display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.2rem .9rem;margin:.45rem 0 0"
CELL = "display:block;float:none;width:auto;margin:0;padding:0"  # JupyterLab floats a <dt> and makes it a fifth wide
LABEL = f"{CELL};font-weight:400;opacity:.8"
VALUE = f"{CELL};{MONO};white-space:pre-wrap"


def html(card: Card) -> str:
    """Return the card as one HTML element, with ``data-exercise`` and ``data-outcome`` for scripts."""
    accent = ACCENT.get(card.tone, QUIET)
    mark = MARK.get(card.tone)
    badge = f'<span aria-hidden="true" style="{BADGE.format(accent=accent)}">{mark}</span>' if mark else ""
    more = f' data-lab-link="{escape(card.link)}"' if card.link else ""
    more += f' data-score="{card.score:g}"' if card.score is not None else ""
    name = escape(_("Exercise"))
    return (
        f'<div class="kmm-exercise"{more} role="group" aria-label="{name}"'
        f' data-exercise="{escape(card.exercise)}" data-outcome="{escape(card.tone)}"'
        f' style="{BOX.format(accent=accent)}">'
        f'<div style="{HEADING}">{badge}{_inline(card.heading)}</div>'
        + "".join(map(_html_part, card.parts))
        + "</div>"
    )


def _html_part(part: Part) -> str:
    match part:
        case Text(words):
            return f'<p style="{LATER}">{_inline(words)}</p>'
        case Code(source):
            wrap = "pre-wrap" if max(map(len, source.split("\n"))) > WIDE and not COLUMNS.search(source) else "pre"
            return f'<pre tabindex="0" style="{BLOCK}{wrap}">{escape(source)}</pre>'
        case Steps(sentences):
            items = "".join(f'<li style="margin:.2rem 0">{_inline(sentence)}</li>' for sentence in sentences)
            return f'<ol style="margin:.45rem 0 0;padding-left:1.4em">{items}</ol>'
        case Facts(rows):
            cells = "".join(f'<dt style="{LABEL}">{escape(label)}</dt><dd style="{VALUE}">{_inline(value)}</dd>'
                            for label, value in rows)
            return f'<dl style="{ROWS}">{cells}</dl>'


def _inline(words: str) -> str:
    """Escape the words, then make code of what stands in backticks."""
    return re.sub(r"`([^`]+)`", rf'<code style="{CODE}">\1</code>', escape(words))
