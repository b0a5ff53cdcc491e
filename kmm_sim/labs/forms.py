# SPDX-License-Identifier: GPL-2.0-only
"""The calls that a reader can make in a lab: words of C, and gaps to fill in.

What goes to ``Lab.read`` is ``{"do": form.does}`` and the value of each gap under its name.  A value
is the same in every language, and so is the order of the gaps: links have both in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter

from kmm_sim.labs.panels import Text

__all__ = ["Choice", "Flags", "Form", "Gap", "Number", "Pick", "Toggle", "Typed", "sentence"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A gap in a call: one of these words.  ``notes`` may have a note for each.

    ``words`` is what a reader sees in place of the options, where that is something else.
    """

    choice: str
    label: Text
    options: tuple[str, ...]
    value: str
    notes: tuple[Text, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Number:
    """A gap in a call: a whole number, with a note for each; ``follows`` takes it from a Pick's block.

    ``takes`` is the property of the block that is taken.
    """

    number: str
    label: Text
    value: int
    low: int
    high: int
    notes: tuple[Text, ...] = ()
    follows: str = ""
    takes: str = "order"
    step: int = 1


@dataclass(frozen=True, slots=True)
class Typed:
    """A gap in a call: what the reader types, such as an address in hexadecimal; a text for ``Lab.read``."""

    typed: str
    label: Text
    value: str
    width: int = 12  # characters


@dataclass(frozen=True, slots=True)
class Pick:
    """A gap in a call: one of the things in these panels that are in this state; its key.

    ``of`` is ``nodes``, ``slots`` (of Boxes in this state; those in use), or ``cells`` (of a Map).
    """

    pick: str
    label: Text
    panels: tuple[str, ...]
    state: str = ""
    of: str = "nodes"


@dataclass(frozen=True, slots=True)
class Flags:
    """A gap in a call: any of these words, each a check box; a list of those checked.

    ``says`` may have a sentence for each; ``words`` is what a reader sees in place of the options.
    """

    flags: str
    label: Text
    options: tuple[str, ...]
    value: tuple[str, ...] = ()
    says: tuple[Text, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Toggle:
    """A gap in a call: a switch with a word beside it; True or False."""

    toggle: str
    label: Text
    value: bool = False


Gap = Choice | Number | Typed | Pick | Flags | Toggle


@dataclass(frozen=True, slots=True)
class Form:
    """A call to make, written as C: words and gaps.  ``block`` names the gap that a click on a block fills."""

    does: str
    parts: tuple[str | Gap, ...]
    button: Text
    prototype: Text
    hint: Text = ""
    block: str = ""


def sentence(text: str, **gaps: Gap) -> tuple[str | Gap, ...]:
    """Return the parts of a form that is a sentence, from the sentence with its gaps named.

    Raises ValueError if a translation has other gaps than the form, or has them in another order.
    """
    parts = [part for part in Formatter().parse(text) if part[0] or part[1]]
    if (names := [name for _, name, _, _ in parts if name]) != list(gaps):
        raise ValueError(f"{text!r} has the gaps {names}, and must have {list(gaps)} in this order")
    return tuple(part for words, name, _, _ in parts for part in (words, gaps.get(name or "")) if part)
