# SPDX-License-Identifier: GPL-2.0-only
"""The trace: the only thing that leaves the simulator.

The simulator tells what it does as a list of small events and knows nothing of who reads
them.  Labs, plots, exercises and tests look at events and at snapshots, never inside.

Linux: include/trace/events/, Documentation/trace/ftrace.rst
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, overload

__all__ = ["Event", "Trace"]


@dataclass(frozen=True, slots=True)
class Event:
    """The base of every event; the subclasses are frozen dataclasses too."""

    tracepoint: ClassVar[str] = ""

    def __str__(self) -> str:
        """Read as a line of ftrace: the tracepoint's name, then its fields."""
        return f"{self.tracepoint}: " + " ".join(
            f"{field.name}={_text(field.name, getattr(self, field.name))}" for field in fields(self)
        )


def _text(name: str, value: object) -> str:
    """Write page frame numbers and addresses in hexadecimal and truths as 0 and 1, as the kernel does."""
    if value is None:
        return "0x0"
    if name in ("pfn", "buddy", "ptr", "base_addr"):
        return f"{value:#x}"
    return str(int(value)) if isinstance(value, int) else str(value)


class Trace(Sequence[Event]):
    """The events of one machine, oldest first; a machine only ever adds to it.

    As in the kernel's own ring buffer, what happens often is noted down as bare numbers, and
    made into an event when somebody reads it: making one costs as much as what it tells of.
    """

    __slots__ = ("_kinds", "_told")

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._told: list[Any] = list(events)  # events, or the values of those not made yet
        self._kinds: list[type[Event] | None] = [None] * len(self._told)

    def emit(self, event: Event) -> None:
        """Add an event."""
        self._kinds.append(None)
        self._told.append(event)

    def note(self, kind: type[Event], *values: int | None) -> None:
        """Add an event that is made when it is read: its class, then its fields in order."""
        self._kinds.append(kind)
        self._told.append(values)

    def clear(self) -> None:
        """Forget all events, to begin anew."""
        self._kinds.clear()
        self._told.clear()

    def __len__(self) -> int:
        return len(self._told)

    @overload
    def __getitem__(self, at: int) -> Event: ...
    @overload
    def __getitem__(self, at: slice) -> list[Event]: ...
    def __getitem__(self, at: int | slice) -> Event | list[Event]:
        if isinstance(at, slice):
            return [self._read(number) for number in range(*at.indices(len(self._told)))]
        return self._read(at)

    def __iter__(self) -> Iterator[Event]:
        for at, _ in enumerate(self._told):  # it may grow meanwhile
            yield self._read(at)

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Trace | list) else NotImplemented

    def __repr__(self) -> str:
        return repr(list(self))

    def _read(self, at: int) -> Event:
        """Return an event; once made, it stays."""
        kind = self._kinds[at]
        if kind is not None:
            self._told[at] = kind(*self._told[at])
            self._kinds[at] = None
        event: Event = self._told[at]
        return event
