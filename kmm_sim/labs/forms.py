# SPDX-License-Identifier: GPL-2.0-only
"""The calls that a reader can make in a lab: words of C, and gaps to fill in.

What goes to ``Lab.read`` is ``{"do": form.does}`` and the value of each gap under its name.
"""

from __future__ import annotations

from dataclasses import dataclass

from kmm_sim.labs.panels import Text

__all__ = ["Choice", "Flags", "Form", "Gap", "Number", "Pick", "Toggle", "Typed"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A gap in a call: one of these words.  ``notes`` may have a note for each."""

    choice: str
    label: Text
    options: tuple[str, ...]
    value: str
    notes: tuple[Text, ...] = ()


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

    ``says`` may have a sentence for each.
    """

    flags: str
    label: Text
    options: tuple[str, ...]
    value: tuple[str, ...] = ()
    says: tuple[Text, ...] = ()


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
