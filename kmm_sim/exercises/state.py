# SPDX-License-Identifier: GPL-2.0-only
"""A state to look at: a bench, and what was done on it; as a machine, or in the lab.

A result holds a Look.  ``State`` is one for the buddy lab; ``InLab`` opens any lab.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from kmm_sim.machine import Machine
from kmm_sim.workload import Op, play

__all__ = ["InLab", "Look", "State"]


class Look(Protocol):
    """What a result can open."""

    def machine(self) -> Machine | None:
        """Return a new machine in this state, or None if there is none to return."""

    def lab(self) -> Any:
        """Return a new lab that shows this state."""

    def link(self) -> str:
        """Return what opens this state in a lab of the page; empty if nothing does."""


@dataclass(frozen=True, slots=True)
class InLab:
    """A lab by the name of its function in ``kmm_sim.labs``, and what to call it with.

        InLab("slab_lab", {"link": "1;slab;..."})       what "Copy link" in that lab gives
        InLab("slab_lab", {"size": 700})                or any of its other arguments
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def machine(self) -> Machine | None:
        """Return None: the lab has the machine."""
        return None

    def lab(self) -> Any:
        """Return the lab."""
        import kmm_sim.labs  # only here: a check needs nothing visual

        return getattr(kmm_sim.labs, self.name)(**self.options)

    def link(self) -> str:
        """Return the link, if it was given one."""
        return str(self.options.get("link", ""))


@dataclass(frozen=True, slots=True)
class State:
    """A bench of ``pages`` pages on which ``before`` was done, then ``then``, which the lab plays step by step."""

    pages: int
    before: tuple[Op, ...] = ()
    then: tuple[Op, ...] = ()
    caption: str = ""

    def machine(self) -> Machine:
        """Return a new machine in this state."""
        machine = self._prepared()
        play(machine, self.then)
        return machine

    def lab(self) -> Any:
        """Return a new buddy lab in which ``then`` is the run to play."""
        from kmm_sim.labs import buddy_lab  # only here: a check needs nothing visual

        return buddy_lab(self._prepared(), self.then, caption=self.caption)

    def link(self) -> str:
        """Return a link for the buddy lab; its allocations are all of one mask, as in a script."""
        script = "~".join(map(str, (*self.before, *self.then)))
        return f"1;buddy;pages={self.pages};script={script}" if script else f"1;buddy;pages={self.pages}"

    def _prepared(self) -> Machine:
        machine = Machine(pages=self.pages)
        play(machine, self.before)
        return machine
