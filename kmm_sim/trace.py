# SPDX-License-Identifier: GPL-2.0-only
"""The trace: the only thing that leaves the simulator.

The simulator tells what it does as a list of small events and knows nothing of who reads
them.  Labs, plots, exercises and tests look at events and at snapshots, never inside.

Linux: include/trace/events/, Documentation/trace/ftrace.rst
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

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
    """Write page frame numbers in hexadecimal and truths as 0 and 1, as the kernel does."""
    if value is None:
        return "0x0"
    if name in ("pfn", "buddy"):
        return f"{value:#x}"
    return str(int(value)) if isinstance(value, int) else str(value)


class Trace(list[Event]):
    """The events of one machine, oldest first; it only ever grows."""

    __slots__ = ()
    emit = list.append
