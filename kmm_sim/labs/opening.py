# SPDX-License-Identifier: GPL-2.0-only
"""How a lab opens: its name, its settings, and the run that they give; and the run of a link.

A lab whose run is made from settings alone (numbers and texts, a seed among them) can be opened
anew with others, from a link or by its reader:

    opening = Opening("buddy", start, {"pages": 64, "script": "+3 +0 -0"})
    Bench(opening.run(), opening)

One that was given a machine has no ``start``: a link for it holds actions only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kmm_sim.catalogue import _
from kmm_sim.errors import KernelError
from kmm_sim.labs.link import Link, Value, read_link
from kmm_sim.labs.run import Run

__all__ = ["MAX_FRAMES", "Opening", "gaps_of", "perform"]

MAX_FRAMES = 4000
"""The most events that a link may bring about: what a page draws in a few seconds."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The name of a lab (that of its function without ``_lab``), its settings, and what they start."""

    name: str
    start: Callable[..., Run] | None = None
    settings: Mapping[str, Value] = field(default_factory=dict)

    def run(self) -> Run:
        """Return a new run with these settings.  Raises ValueError for one that the lab cannot have."""
        if self.start is None:
            raise ValueError(_("this lab was given its machine: it has no settings to start anew with"))
        return self.start(**self.settings)

    def changed(self, changes: Mapping[str, Any]) -> Opening:
        """Return the opening with other settings.  Raises ValueError for one that is not there or of another kind."""
        for name, value in changes.items():
            if name not in self.settings:
                raise ValueError(_("this lab has no setting {name!r}; it has {what}",
                                   name=name, what=", ".join(self.settings) or "none"))
            if type(value) is not type(self.settings[name]):
                raise ValueError(_("{name} is of the kind {settings!r}, which {value!r} is not",
                                   name=name, settings=self.settings[name], value=value))
        return replace(self, settings={**self.settings, **changes})

    def followed(self, text: str, run: Run) -> tuple[Opening, Run, Link]:
        """Return the opening, the run and the link that ``text`` describes; ``run`` is the one shown now.

        Raises ValueError, with a sentence for the reader, if it describes none.
        """
        link = read_link(text, self.name, gaps_of(run))
        opening = self.changed(link.settings) if link.settings else self
        if opening.start is None:
            run.reset()
        else:
            run = opening.run()
        try:
            perform(run, link)
        except (KernelError, ValueError, TypeError):
            if opening.start is None:
                run.reset()
            raise
        return opening, run, link


def gaps_of(run: Run) -> dict[str, list[str]]:
    """Return the names of the gaps of each form that the run begins with, in their order.

    A gap is written with its kind as the first name: ``{"number": "order", ...}``.
    """
    forms = run.start[""].get("forms", [])
    return {
        form["does"]: [next(iter(part.values())) for part in form["parts"] if isinstance(part, dict)] for form in forms
    }


def perform(run: Run, link: Link) -> None:
    """Do the actions of a link.  Raises ValueError if one of them cannot be done."""
    at = run.moment(link.kept) if link.kept is not None else None
    for number, action in enumerate(link.actions, 1):
        try:
            run.make(run.lab.read(action), at, action=action)
        except (KernelError, ValueError, TypeError) as error:
            words = _("action {number} of this link cannot be done: {error}", number=number, error=error)
            raise ValueError(words) from error
        if len(run.frames) > MAX_FRAMES:
            raise ValueError(_("this link brings about more than {most} events", most=MAX_FRAMES))
        at = None
