# SPDX-License-Identifier: GPL-2.0-only
"""What the log of a lab has of a whole call: the lines that ftrace would write.

Linux: Documentation/trace/ftrace.rst
Simplified: without the columns of task, CPU and time; of many lines of one tracepoint only the last.
"""

from __future__ import annotations

from collections.abc import Iterable

from kmm_sim.catalogue import _
from kmm_sim.labs.view import On
from kmm_sim.trace import Event

__all__ = ["NO_TRACEPOINT", "ftrace"]

NO_TRACEPOINT = _("no tracepoint")
"""What stands there for a call of which Linux traces nothing."""


def ftrace(events: Iterable[Event]) -> str:
    """Return a line for each of Linux's tracepoints that a call passed; those of several machines are named."""
    lines: dict[tuple[str, str], list[str]] = {}
    for event in events:
        machine, told = (f"{event.machine}: ", event.event) if isinstance(event, On) else ("", event)
        if not told.tracepoint.startswith("sim_"):
            lines.setdefault((machine, told.tracepoint), []).append(f"{machine}{told}")
    return "\n".join(map(_last, lines.values())) or NO_TRACEPOINT


def _last(lines: list[str]) -> str:
    return lines[-1] + (_("   # the last of {count}", count=len(lines)) if len(lines) > 1 else "")
