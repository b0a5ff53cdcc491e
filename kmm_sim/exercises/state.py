# SPDX-License-Identifier: GPL-2.0-only
"""A state to look at: a bench, and what was done on it; as a machine, or in the lab."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kmm_sim.machine import Machine
from kmm_sim.workload import Op, play

__all__ = ["State"]


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

    def _prepared(self) -> Machine:
        machine = Machine(pages=self.pages)
        play(machine, self.before)
        return machine
