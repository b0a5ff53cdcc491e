# SPDX-License-Identifier: GPL-2.0-only
"""The words of the stack lab."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["PHRASES"]

PHRASES: Mapping[str, str] = MappingProxyType(
    {
        "st.title": "Two kernel stacks, the same calls",
        # Panels
        "st.stacks": "The stacks, the top on the left",
        "st.stacks.note": "they grow to the right, to lower addresses",
        "st.side": "Linux {0}",
        "st.side.note": "{0} bytes",
        "st.box": "{0} of {2} bytes used",
        "st.box.dead": "stopped",
        "st.kind.start": "what is there before the first call",
        "st.kind.frame": "a call’s frame",
        "st.kind.magic": "the magic number",
        "st.kind.thread_info": "thread_info",
        "st.kind.below": "somebody else’s memory",
        "st.kind.guard": "guard page, not mapped",
        "st.kind.over": "overwritten",
        "st.bytes": "Bytes, Linux {0}",
        "st.bytes.note": "from the newest call down",
        "st.span.start": "before the first call",
        "st.span.return": "return",
        "st.span.frame": "{0}()",
        "st.span.unused": "unused",
        "st.span.magic": "magic",
        "st.span.magic.over": "magic, gone",
        "st.span.thread_info": "thread_info",
        "st.span.thread_info.over": "thread_info, gone",
        "st.span.below": "records",
        "st.span.below.over": "records, gone",
        "st.table": "How it stands",
        "st.table.note": "bytes",
        "st.row.left": "left",
        "st.row.depth": "calls deep",
        "st.row.magic": "magic number",
        "st.row.thread_info": "thread_info",
        "st.row.below": "below the stack",
        "st.intact": "intact",
        "st.over": "overwritten",
        "st.elsewhere": "in task_struct",
        "st.guard": "guard page",
        "st.dmesg": "dmesg, Linux {0}",
        "st.silence": "(nothing)",
        # Calls
        "st.call.one": "f(), with a frame of {0} bytes",
        "st.call.many": "f(), with a frame of {0} bytes, {1} times, each from within the last",
        "st.call.return": "return",
        "st.call.schedule": "schedule()",
        "st.call.button": "Call",
        "st.call.prototype": "void f(void) { char buf[...]; ... f(); }",
        "st.return.button": "Return",
        "st.return.prototype": "the bytes stay where they are until the next call",
        "st.schedule.button": "Give the CPU away",
        "st.schedule.prototype": "void schedule(void);  /* looks at the stack’s end */",
        "st.size.label": "bytes of the frame",
        "st.times.label": "times",
        # Events
        "says.st.fits": "Both have room: {0} bytes are left on the one, {1} on the other.",
        "log.st.fits": "call: {2}",
        "says.st.silent": "{0} has overwritten {1}, and has nothing to say about it.",
        "log.st.silent": "call: {2}",
        "says.st.stopped": "{0} stops: {1}",
        "log.st.stopped": "stopped: {0}",
        "says.st.return": "The newest call has returned. What it overwrote stays overwritten.",
        "log.st.return": "return",
        "says.st.well": "Nobody finds anything.",
        "log.st.well": "schedule()",
        "st.what.magic": "the magic number",
        # Questions
        "st.ask": "What becomes of it on Linux {0}?",
        "st.ask.fits": "It fits.",
        "st.ask.silent": "It overwrites what lies below, and nobody notices.",
        "st.ask.stops": "The kernel stops it.",
    }
)
