# SPDX-License-Identifier: GPL-2.0-only
"""The words of the stack lab."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kmm_sim.catalogue import _

__all__ = ["PHRASES"]

PHRASES: Mapping[str, str] = MappingProxyType(
    {
        "st.title": _("Two kernel stacks, the same calls"),
        # Panels
        "st.stacks": _("The stacks, the top on the left"),
        "st.stacks.note": _("they grow to the right, to lower addresses; each is drawn to a scale of its own"),
        "st.side": _("Linux {0}"),
        "st.side.note": _("{0} bytes"),
        "st.box": _("{0} of {2} bytes used"),
        "st.box.dead": _("stopped"),
        "st.kind.start": _("what is there before the first call"),
        "st.kind.frame": _("a call’s frame"),
        "st.kind.magic": _("the magic number"),
        "st.kind.thread_info": _("thread_info"),
        "st.kind.below": _("somebody else’s memory"),
        "st.kind.guard": _("guard page, not mapped"),
        "st.kind.over": _("overwritten"),
        "st.bytes": _("Bytes, Linux {0}"),
        "st.bytes.note": _("from the newest call down"),
        "st.span.start": _("before the first call"),
        "st.span.return": _("return"),
        "st.span.frame": "{0}()",
        "st.span.unused": _("unused"),
        "st.span.magic": _("magic"),
        "st.span.magic.over": _("magic, gone"),
        "st.span.thread_info": "thread_info",
        "st.span.thread_info.over": _("thread_info, gone"),
        "st.span.below": _("records"),
        "st.span.below.over": _("records, gone"),
        "st.table": _("How it stands"),
        "st.table.note": _("bytes"),
        "st.row.left": _("left"),
        "st.row.depth": _("calls deep"),
        "st.row.magic": _("magic number"),
        "st.row.thread_info": _("thread_info"),
        "st.row.below": _("below the stack"),
        "st.intact": _("✓ intact"),
        "st.over": _("✕ overwritten"),
        "st.elsewhere": _("in task_struct"),
        "st.guard": _("guard page"),
        "st.dmesg": _("dmesg, Linux {0}"),
        "st.silence": _("(nothing)"),
        # Calls
        "st.call.one": _("f(), with a frame of {0} bytes"),
        "st.call.many": _("f(), with a frame of {0} bytes, {1} times, each from within the last"),
        "st.call.return": _("return"),
        "st.call.schedule": _("schedule()"),
        "st.call.button": _("Call"),
        "st.call.prototype": "void f(void) { char buf[...]; ... f(); }",
        "st.return.button": _("Return"),
        "st.return.prototype": _("the bytes stay where they are until the next call"),
        "st.schedule.button": _("Give the CPU away"),
        "st.schedule.prototype": _("void schedule(void);  /* looks at the stack’s end */"),
        "st.size.label": _("bytes of the frame"),
        "st.times.label": _("times"),
        # Events
        "says.st.fits": _("Both have room: {0} bytes are left on the one, {1} on the other."),
        "log.st.fits": _("no tracepoint"),
        "says.st.past": _("{0} is past its end and does not notice; on {1} {2} bytes are left."),
        "log.st.past": _("no tracepoint"),
        "says.st.past.both": _("Both are past their end, and neither notices."),
        "log.st.past.both": _("no tracepoint"),
        "says.st.gone": _("{0} has stopped; on {1} {2} bytes are left."),
        "log.st.gone": _("no tracepoint"),
        "says.st.gone.past": _("{0} has stopped; {1} is past its end and does not notice."),
        "log.st.gone.past": _("no tracepoint"),
        "says.st.gone.both": _("Both have stopped: nothing happens any more."),
        "log.st.gone.both": _("no tracepoint"),
        "says.st.silent": _("{0} has overwritten {1}, and has nothing to say about it."),
        "log.st.silent": _("no tracepoint"),
        "says.st.stopped": _("{0} stops: {1}"),
        "log.st.stopped": "{2}",
        "says.st.stopped.silent": _("{0} stops: {1}. {3} has overwritten {4}, and has nothing to say about it."),
        "log.st.stopped.silent": "{2}",
        "says.st.stopped.both": _("{0} stops: {1}. So does {3}: {4}."),
        "log.st.stopped.both": "{2}",
        "says.st.return": _("The newest call has returned. What it overwrote stays overwritten."),
        "log.st.return": _("no tracepoint"),
        "says.st.return.one": _("{0} has stopped; on {1} the newest call has returned."),
        "log.st.return.one": _("no tracepoint"),
        "says.st.well": _("Nobody finds anything."),
        "log.st.well": _("no tracepoint"),
        "says.st.well.one": _("{0} has stopped; {1} finds nothing."),
        "log.st.well.one": _("no tracepoint"),
        "st.what.magic": _("the magic number"),
        # Questions
        "st.ask": _("What becomes of it on Linux {0}?"),
        "st.ask.fits": _("It fits."),
        "st.ask.silent": _("It overwrites what lies below, and nobody notices."),
        "st.ask.stops": _("The kernel stops it."),
    }
)
