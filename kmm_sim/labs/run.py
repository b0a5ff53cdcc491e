# SPDX-License-Identifier: GPL-2.0-only
"""A run: the calls made on a machine, and the frames to show for them.

There is one frame an event.  To act on an earlier moment, the run takes the machine back: it
restores the machine as it was at first and makes the calls again, which gives the same state
because a machine has no chance in it.  What came later is gone, as after any undo.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from typing import Any, Protocol

from kmm_sim.labs.room import room
from kmm_sim.labs.scene import Scene, Text, as_json, diff, encode
from kmm_sim.machine import Machine
from kmm_sim.observe import Snapshot, frames, snapshot
from kmm_sim.trace import Event, Trace

__all__ = ["Call", "Frame", "Lab", "Run"]

Frame = list[Any]
"""``[event, patch]``, and at the first event of a call ``[event, patch, call]``."""


class Call(Protocol):
    """A call that can be made again: it prints as a phrase, and acts on a machine."""

    def text(self) -> Text:
        """Return the call as C."""

    def __call__(self, machine: Machine) -> object:
        """Make the call."""


class Lab(Protocol):
    """What makes one lab differ from another; everything else is shared."""

    def draw(self, state: Snapshot) -> Scene:
        """Return the scene of a state: equal states, equal scenes."""

    def tell(self, event: Event) -> tuple[Any, ...]:
        """Return an event as a phrase.  Raises TypeError for one that the lab does not know."""

    def read(self, action: Mapping[str, Any]) -> Call:
        """Return the call that a reader asks for.  Raises ValueError or TypeError if it is none."""


class Run:
    """The calls on one machine since the lab first saw it, and their frames."""

    def __init__(self, machine: Machine, lab: Lab) -> None:
        self.machine = machine
        self.lab = lab
        self.frames: list[Frame] = []
        self._begin()
        self.start = self.scene
        self.room = room(lab.draw(self.state))
        self.recorded: list[Call] = []

    def _begin(self) -> None:
        """Take the machine as it is now for the start: nothing before it can be undone."""
        self.first = _copy(self.machine)
        self.floor = len(self.frames)
        self.calls: list[tuple[Call, int]] = []  # each with the number of frames once it was made
        self._look()

    def _look(self) -> None:
        self.state = snapshot(self.machine)
        self.scene = encode(self.lab.draw(self.state))
        self.seen = len(self.machine.trace)

    def make(self, call: Call, at: int | None = None) -> int:
        """Make ``call`` at frame ``at`` (None: now); return how many earlier frames still stand.

        A moment within a call is taken as the end of that call.  If the call raises, the run and
        the machine are as they were.
        """
        self.catch_up()
        undone = self._take_back(len(self.frames) if at is None else at)
        try:
            call(self.machine)
        except Exception:
            for again, _ in undone:
                again(self.machine)
            self.calls += undone
            self._look()
            raise
        kept = self.calls[-1][1] if self.calls else self.floor
        del self.frames[kept:]
        self._record(call.text())
        self.calls.append((call, len(self.frames)))
        return kept

    def reset(self) -> int:
        """Go back to the recorded run; return how many frames still stand, which is the floor's number."""
        self._take_back(self.floor)
        kept = self.floor
        del self.frames[kept:]
        for call in self.recorded:
            self.make(call)
        return kept

    def keep_as_recorded(self) -> None:
        """Take the calls made so far as the recorded run, which a reset brings back."""
        self.recorded = [call for call, _ in self.calls]

    def catch_up(self) -> int:
        """Show what was done to the machine elsewhere; return how many frames stood before."""
        kept = len(self.frames)
        if len(self.machine.trace) > self.seen:
            self._record(("call.other",))
            self._begin()
            self.recorded = []
        return kept

    def _take_back(self, at: int) -> list[tuple[Call, int]]:
        """Bring the machine to frame ``at``; return the calls that are undone by it."""
        ends = [self.floor, *(end for _, end in self.calls)]
        stand = sum(1 for end in ends[:-1] if end < at)
        undone = self.calls[stand:]
        if not undone:
            return []
        del self.calls[stand:]
        vars(self.machine).update(vars(_copy(self.first)))
        for call, _ in self.calls:
            call(self.machine)
        self._look()
        return undone

    def _record(self, text: Text) -> None:
        """Append a frame for each event since the last look."""
        events = self.machine.trace[self.seen :]
        first = True
        for event, state in zip(events, frames(self.state, events), strict=True):
            scene = encode(self.lab.draw(state))
            frame: Frame = [list(self.lab.tell(event)), diff(self.scene, scene)]
            self.frames.append([*frame, as_json(text)] if first else frame)
            self.scene, first = scene, False
        self.state = snapshot(self.machine)
        self.seen = len(self.machine.trace)


def _copy(machine: Machine) -> Machine:
    """Return a machine in the same state, with a trace of its own that begins with the same events.

    What a machine has of code, such as the module of its slab allocator, is not copied but shared.
    """
    shared: dict[int, object] = {id(module): module for module in list(sys.modules.values())}
    return copy.deepcopy(machine, shared | {id(machine.trace): Trace(machine.trace)})
