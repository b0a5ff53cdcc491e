# SPDX-License-Identifier: GPL-2.0-only
"""A run: the calls made on a machine, and the frames to show for them.

There is one frame an event, or one a call, as the lab's view has it.  To act on an earlier
moment, the run takes the machine back: it restores the machine as it was at first and makes
the calls again, which gives the same state because a machine has no chance in it.  What came
later is gone, as after any undo.  Once a call has failed, a copy is kept of the machine before it:
whoever tries again and again does not wait for all calls each time.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from kmm_sim.catalogue import _
from kmm_sim.labs.ask import Asking
from kmm_sim.labs.ftrace import ftrace
from kmm_sim.labs.phrases import PHRASES
from kmm_sim.labs.room import Room
from kmm_sim.labs.scene import Scene, Text, as_json, diff, encode
from kmm_sim.labs.view import Called, Desk, On, View
from kmm_sim.machine import Machine
from kmm_sim.trace import Event, Trace

__all__ = ["Call", "Frame", "Lab", "Refused", "Run"]

Frame = list[Any]
"""``[event, patch]``, and at the first event of a call ``[event, patch, call, action, question]``.

The last two only where there are: a reader's call has the action that asked for it; see kmm_sim.labs.ask.
"""


ELSEWHERE = object()  # the answer of a call that the lab did not make


class Refused(ValueError):
    """A call that was not made: it changed nothing yet, so there is nothing to put back."""


class Call(Protocol):
    """A call that can be made again: it prints as a phrase, and acts on a machine (or a Desk)."""

    def text(self) -> Text:
        """Return the call as C."""

    def __call__(self, machine: Any, /) -> object:
        """Make the call."""


class Lab(Protocol):
    """What makes one lab differ from another; everything else is shared."""

    @property
    def view(self) -> View:
        """How it sees its machine, such as ``PAGES``: what ``draw`` is given."""

    @property
    def phrases(self) -> Mapping[str, str]:
        """Its own phrases, added to those that all labs have; a text may be a plain string as well."""

    def draw(self, state: Any) -> Scene:
        """Return the scene of a state: equal states, equal scenes."""

    def tell(self, event: Event) -> tuple[Any, ...]:
        """Return an event as a phrase: ``"NAME", gaps ...`` for ``says.NAME`` and ``log.NAME``.

        Without phrases of one's own: ``"other", line of the trace, sentence``.
        """

    def read(self, action: Mapping[str, Any]) -> Call:
        """Return the call that a reader asks for.  Raises ValueError or TypeError if it is none."""


class Run:
    """The calls on one machine (or Desk) since the lab first saw it, and their frames."""

    def __init__(self, machine: Machine | Desk, lab: Lab) -> None:
        self.machine = machine
        self.lab = lab
        self.frames: list[Frame] = []
        self._heights = [0, 0]
        self._room: Room | None = Room({**PHRASES, **lab.phrases})
        self._begin()
        self.start = self.scene
        self.recorded: list[Call] = []

    def _begin(self) -> None:
        """Take the machine as it is now for the start: nothing before it can be undone."""
        self.first = _copy(self.machine)
        self.saved = 0, self.first  # a copy, and how many calls it has behind it
        self.floor = len(self.frames)
        self.calls: list[tuple[Call, int]] = []  # each with the number of frames once it was made
        self._look()

    def _look(self) -> None:
        self.state = self.lab.view.look(self.machine)
        self.scene = self._drawn(self.state)
        self._mark()

    def _drawn(self, state: Any) -> dict[str, Any]:
        """Return the scene of a state, as JSON; measure it on the way."""
        scene = self.lab.draw(state)
        if self._room is not None:
            self._room.see(scene)
        return encode(scene)

    def measured(self) -> list[int]:
        """Return the heights that a page keeps free for the run so far; what comes later is not measured."""
        if self._room is not None:
            self._heights, self._room = self._room.heights, None
        return list(self._heights)

    def _mark(self) -> None:
        self.seen = {name: (machine.trace, len(machine.trace)) for name, machine in _machines(self.machine).items()}

    def make(self, call: Call, at: int | None = None, *, action: Mapping[str, Any] | None = None) -> int:
        """Make ``call`` at frame ``at`` (None: now); return how many earlier frames still stand.

        A moment within a call is taken as the end of that call.  If the call raises, the run and
        the machine are as they were.  ``action`` is what a reader asked for, where one did.
        """
        self.catch_up()
        undone = self._take_back(len(self.frames) if at is None else at)
        try:
            answer = call(self.machine)
        except Refused:
            if undone:
                self._put_back(undone)
            raise
        except Exception:
            self._put_back(undone)
            raise
        self._forget_copy()
        kept = self.calls[-1][1] if self.calls else self.floor
        del self.frames[kept:]
        self._record(call.text(), answer, action)
        self.calls.append((call, len(self.frames)))
        return kept

    def reset(self) -> int:
        """Go back to the recorded run; return how many frames still stand, which is the floor's number."""
        self._take_back(self.floor)
        self._forget_copy()
        kept = self.floor
        del self.frames[kept:]
        for call in self.recorded:
            self.make(call)
        return kept

    def moment(self, calls: int) -> int:
        """Return the number of frames once so many of the calls are made.  Raises ValueError if there are fewer."""
        if not 0 <= calls <= len(self.calls):
            raise ValueError(f"this run has {len(self.calls)} calls, not {calls}")
        return self.calls[calls - 1][1] if calls else self.floor

    def keep_as_recorded(self) -> None:
        """Take the calls made so far as the recorded run, which a reset brings back."""
        self.recorded = [call for call, _ in self.calls]

    def catch_up(self) -> int:
        """Show what was done to the machine elsewhere; return how many frames stood before."""
        kept = len(self.frames)
        if any(self._events()):
            self._record(("call.other",), ELSEWHERE)
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
        self._rewind()
        self._look()
        return undone

    def _put_back(self, undone: list[tuple[Call, int]]) -> None:
        """Bring the machine back to where it was before a call that failed, perhaps halfway."""
        self.calls += undone
        if undone or isinstance(self.machine, Desk) or any(self._events()):
            self._rewind()
            if self.saved[0] < len(self.calls):
                self.saved = len(self.calls), _copy(self.machine)
        self._look()

    def _rewind(self) -> None:
        """Let the machine have just the calls behind it that stand: from a copy, and what came after it."""
        made, state = self.saved if self.saved[0] <= len(self.calls) else (0, self.first)
        _restore(self.machine, _copy(state))
        for call, _frames in self.calls[made:]:
            call(self.machine)

    def _forget_copy(self) -> None:
        """Forget the copy if it has calls behind it that do not stand any more."""
        if self.saved[0] > len(self.calls):
            self.saved = 0, self.first

    def _events(self) -> Iterator[Event]:
        """Yield what was traced since the last look, machine by machine."""
        machines = _machines(self.machine)
        for name, machine in machines.items():
            trace, seen = self.seen.get(name, (machine.trace, 0))
            for event in machine.trace[seen if machine.trace is trace else 0 :]:  # a call may put another machine there
                yield On(name, event) if len(machines) > 1 else event

    def _record(self, text: Text, answer: object, action: Mapping[str, Any] | None = None) -> None:
        """Append the frames of what was done since the last look, a call with this text and answer."""
        view, events = self.lab.view, list(self._events())
        after = view.look(self.machine)
        call = self._call(text, action, after, events)
        if view.frames is None or not events:
            events = [Called(answer, tuple(events))]
            between = []
        else:
            between = list(view.frames(self.state, events))[:-1]
        self.state = after
        self._mark()
        first = True
        for event, state in zip(events, [*between, self.state], strict=True):
            scene = self._drawn(state)
            frame: Frame = [self._told(event), diff(self.scene, scene)]
            self.frames.append(frame + call if first else frame)
            self.scene, first = scene, False

    def _call(self, text: Text, action: Mapping[str, Any] | None, after: Any, events: list[Event]) -> list[Any]:
        """Return what the first frame of a call has besides: its text, the action, a question."""
        question = self.lab.ask(self.state, after, events) if isinstance(self.lab, Asking) else None
        given = {name: value for name, value in (action or {}).items() if name != "at"} or None
        parts = [as_json(text), given, question and question.encoded()]
        return parts[: 3 if question else 2 if given else 1]

    def _told(self, event: Event) -> list[Any]:
        """Return an event as a phrase; of several machines each is named."""
        if isinstance(event, On):
            return ["on", event.machine, self._told(event.event)]
        if isinstance(event, Called) and event.answer is ELSEWHERE:
            return ["other", ftrace(event.events), _("This was done in a cell.")]
        told = self.lab.tell(event)
        if self._room is not None:
            self._room.hear(str(told[-1]) if told[0] == "other" else (f"says.{told[0]}", *told[1:]))
        return [as_json(part) for part in told]


def _machines(subject: Machine | Desk) -> dict[str, Machine]:
    return subject.machines if isinstance(subject, Desk) else {"": subject}


def _copy(subject: Machine | Desk) -> Machine | Desk:
    """Return it in the same state, each machine with a trace of its own that begins with the same events.

    What a machine has of code, such as the module of its slab allocator, is not copied but shared.
    """
    memo: dict[int, object] = {id(module): module for module in list(sys.modules.values())}
    for machine in _machines(subject).values():
        memo[id(machine.trace)] = Trace(machine.trace)
    return copy.deepcopy(subject, memo)


def _restore(subject: Machine | Desk, state: Machine | Desk) -> None:
    """Put a state back into the machines that others may hold."""
    mine, theirs = _machines(subject), _machines(state)
    for name, machine in theirs.items():
        if name in mine:
            vars(mine[name]).clear()  # also of what was made since, such as the addresses of vmalloc
            vars(mine[name]).update(vars(machine))
    if isinstance(subject, Desk):
        vars(subject).clear()
        vars(subject).update(vars(state) | {name: mine.get(name, theirs[name]) for name in theirs})
