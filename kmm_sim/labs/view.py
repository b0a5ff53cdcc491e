# SPDX-License-Identifier: GPL-2.0-only
"""How a lab sees what it shows: the state now, and the states that events lead through.

    PAGES                                   the page allocator: a Snapshot, a frame an event
    View(slab_snapshot, slab_frames)        the slab caches, a frame an event
    View(look)                              any state of your own, a frame a call
    views(pages=PAGES, slabs=SLABS)         both of one machine: {"pages": ..., "slabs": ...}
    each(PAGES)                             of every machine of a Desk, by name

A ``Desk`` holds several machines, for labs that compare, and what a lab keeps beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from kmm_sim.machine import Machine
from kmm_sim.observe import frames, slab_frames, slab_snapshot, snapshot
from kmm_sim.trace import Event

__all__ = ["PAGES", "SLABS", "Called", "Desk", "On", "View", "each", "hold", "views"]

Frames = Callable[[Any, Sequence[Event]], Iterable[Any]]


@dataclass(frozen=True, slots=True)
class View:
    """A way to see a machine (or a Desk).

    ``look(machine)`` returns the state, any frozen value.  ``frames(state, events)`` yields the
    state after each event; the last one of a call is always looked at, not replayed.  Without
    ``frames`` a call is one frame, whose event is a ``Called``.
    """

    look: Callable[[Any], Any]
    frames: Frames | None = None


@dataclass(frozen=True, slots=True)
class Called(Event):
    """A call was made: what it returned, and all that was traced meanwhile.

    ``Lab.tell`` is given one where a call is one frame, or where a call traced nothing.
    """

    tracepoint: ClassVar[str] = "sim_call"
    answer: Any = None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class On(Event):
    """An event of one of several machines; what is told of it begins with the machine's name."""

    tracepoint: ClassVar[str] = "sim_on"
    machine: str
    event: Event

    def __str__(self) -> str:
        return f"{self.machine}: {self.event}"


class Desk:
    """Machines by name, and what a lab keeps beside them, such as the page that is looked at.

    >>> desk = Desk(slab=Machine(slab="slab"), slub=Machine(slab="slub"), chosen=0)
    >>> desk.chosen = 12

    A call is given the desk, and may change both; undo brings back both.
    """

    def __init__(self, **held: Any) -> None:
        vars(self).update(held)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"this desk has no {name!r}, only {', '.join(vars(self))}")

    def __repr__(self) -> str:
        return " and ".join(map(repr, self.machines.values())) or "<Desk without a machine>"

    @property
    def machines(self) -> dict[str, Machine]:
        """The machines among what it holds, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Machine)}


def hold(state: Any, events: Sequence[Event]) -> Iterator[Any]:
    """Frames for a View whose state is seen to change only at the end of a call: a frame an event."""
    for _ in events:
        yield state


def views(**parts: View) -> View:
    """Return a View of several parts of one machine: a state is a dict with those names."""

    def look(machine: Any) -> dict[str, Any]:
        return {name: part.look(machine) for name, part in parts.items()}

    def step(state: Mapping[str, Any], events: Sequence[Event]) -> Iterator[dict[str, Any]]:
        through = [(part.frames or hold)(state[name], events) for name, part in parts.items()]
        for now in zip(*through, strict=True):
            yield dict(zip(parts, now, strict=True))

    return View(look, step if any(part.frames for part in parts.values()) else None)


def each(part: View) -> View:
    """Return a View of every machine of a Desk: a state is a dict by name.  Their events come as ``On``."""

    def look(desk: Desk) -> dict[str, Any]:
        return {name: part.look(machine) for name, machine in desk.machines.items()}

    def step(state: Mapping[str, Any], events: Sequence[Event]) -> Iterator[dict[str, Any]]:
        of = {name: [e.event for e in events if isinstance(e, On) and e.machine == name] for name in state}
        through = {name: iter((part.frames or hold)(state[name], of[name])) for name in state}
        now = dict(state)
        for event in events:
            if isinstance(event, On) and event.machine in now:
                now[event.machine] = next(through[event.machine])
            yield dict(now)

    return View(look, step if part.frames else None)


PAGES = View(snapshot, frames)
"""The page allocator of a machine."""

SLABS = View(slab_snapshot, slab_frames)
"""The slab caches of a machine with SLUB."""
