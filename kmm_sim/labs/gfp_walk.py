# SPDX-License-Identifier: GPL-2.0-only
"""One request, walked stage by stage: what the trace says of it, as the few steps that a reader can follow.

The allocator may go round its loop twenty times and move hundreds of pages.  Here that becomes at
most a dozen stages, each with its outcome, its numbers, and how memory stood when it began.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from kmm_sim.catalogue import _
from kmm_sim.errors import KernelError
from kmm_sim.machine import Machine
from kmm_sim.mm.events import (
    FlusherWrite,
    MarkVictim,
    MmCompactionEnd,
    MmMigratePage,
    MmPageAlloc,
    MmVmscanDirectReclaimEnd,
    MmVmscanWriteFolio,
    SlowPath,
)
from kmm_sim.mm.gfp import Gfp
from kmm_sim.mm.mmzone import PAGE_ALLOC_COSTLY_ORDER
from kmm_sim.mm.sched import PF_MEMALLOC_NOFS, PF_MEMALLOC_NOIO, Task, current_gfp_context
from kmm_sim.observe import Snapshot, ZoneSnapshot, snapshot
from kmm_sim.observe.replay import moments
from kmm_sim.trace import Event, Trace

__all__ = ["NAMES", "Outcome", "Request", "Stage", "outcome", "walk"]

NAMES = {
    "context": _("may it sleep here?"),
    "fast": _("fast path: above low"),
    "kswapd": _("wake kswapd"),
    "retry": _("again: above min"),
    "compact first": _("compaction"),
    "reserves": _("all reserves"),
    "reclaim": _("direct reclaim"),
    "drain": _("drain per-CPU lists"),
    "compact": _("compaction again"),
    "oom": _("OOM killer"),
    "end": _("the answer"),
}
"""The stages in their order, and what they are called."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, and where: a mask, an order, a context."""

    gfp: int
    order: int
    context: str

    @property
    def effective(self) -> int:
        """The mask without what the task has forsworn for all its requests."""
        scope = {"nofs": PF_MEMALLOC_NOFS, "noio": PF_MEMALLOC_NOIO}.get(self.context, 0)
        return current_gfp_context(Task(flags=scope), self.gfp)


@dataclass(frozen=True, slots=True)
class Stage(Event):
    """A stage of a request: how it went, how often, what it did, and memory as it began."""

    tracepoint: ClassVar[str] = "sim_stage"
    request: Request
    name: str
    state: str  # done, failed or skipped
    reason: str = ""
    rounds: int = 1
    pages: int = 0
    written: int = 0
    flushed: int = 0
    before: tuple[ZoneSnapshot, ...] = ()
    bug: bool = False  # the reason is a rule that was broken

    def __str__(self) -> str:
        count = f" rounds={self.rounds}" if self.rounds > 1 else ""
        pages = f" pages={self.pages}" if self.pages else ""
        return f"sim_stage: {NAMES[self.name]}: {self.state}{count}{pages}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request came to: the page frame or None; a rule that was broken; who was killed."""

    pfn: int | None
    error: str = ""
    killed: str = ""


def outcome(stages: Sequence[Stage], events: Sequence[Event], error: str) -> Outcome:
    """Return what the request came to."""
    got = next((event.pfn for event in reversed(events) if isinstance(event, MmPageAlloc)), None)
    killed = next((event.comm for event in events if isinstance(event, MarkVictim)), "")
    return Outcome(got, error, killed)


def walk(machine: Machine, request: Request) -> tuple[list[Stage], Outcome]:
    """Make a request on a machine; return its stages and what it came to.

    The machine's own trace stays as it is: what happened is told in stages.
    """
    before, events, error = _ask(machine, request)
    if not events and error:
        return [Stage(request, "context", "failed", error, before=before.zones, bug=True)], Outcome(None, error)
    stages = _merged(list(_stages(request, events, before)))
    came = outcome(stages, events, error)
    words = error or (_("pfn {pfn:#x}", pfn=came.pfn) if came.pfn is not None else _null(request, events))
    last = "failed" if came.pfn is None else "done"
    return [*stages, Stage(request, "end", last, words, before=snapshot(machine).zones, bug=bool(error))], came


def _null(request: Request, events: Sequence[Event]) -> str:
    """Return the answer NULL and why: the last step says it."""
    gfp = request.effective
    tries_for_ever = gfp & Gfp.DIRECT_RECLAIM and not gfp & Gfp.FS and request.order <= PAGE_ALLOC_COSTLY_ORDER
    if tries_for_ever and not gfp & (Gfp.NORETRY | Gfp.RETRY_MAYFAIL) and request.context != "memalloc":
        return _("NULL; Linux would go on trying, until somebody else frees memory")
    why = [event.reason for event in events if isinstance(event, SlowPath) and event.stage == "give up"]
    return _("NULL: {why}", why=why[-1]) if why else "NULL"


def _ask(machine: Machine, request: Request) -> tuple[Snapshot, list[Event], str]:
    if machine.current.oom_victim:
        machine.exit_process(machine.current)  # it is back from the kernel and dead; another asks now
    before, own, error = snapshot(machine), machine.trace, ""
    machine.trace, machine.tracing = Trace(), True
    try:
        if request.context == "process":
            machine.alloc_pages(request.gfp, request.order)
        else:
            with machine.context(request.context):
                machine.alloc_pages(request.gfp, request.order)
    except KernelError as broken:
        error = str(broken)
    finally:
        events = list(machine.trace)
        machine.trace, machine.tracing = own, True
    return before, events, error


def _stages(request: Request, events: Sequence[Event], start: Snapshot) -> Iterator[Stage]:
    """Cut the events where a stage begins."""
    cuts = [(0, "fast", "")]
    for at, event in enumerate(events):
        if isinstance(event, SlowPath) and event.stage in STAGE_OF:
            name = STAGE_OF[event.stage]
            if name == "kswapd" and any(cut[1] == name for cut in cuts):
                continue  # woken again, since it slept meanwhile: no stage of its own
            first = name == "compact" and not any(cut[1] == "reclaim" for cut in cuts)
            cuts.append((at, "compact first" if first else name, event.reason))
    ends = [at for at, _, _ in cuts[1:]] + [len(events)]
    states = moments(start, events, [at for at, _, _ in cuts])
    for (at, name, reason), end, state in zip(cuts, ends, states, strict=True):
        yield _stage(request, name, reason, events[at:end], state.zones)


STAGE_OF = {"kswapd": "kswapd", "retry": "retry", "compact": "compact", "reserves": "reserves",
            "direct reclaim": "reclaim", "drain": "drain", "oom": "oom", "wait": "oom"}


def _stage(
    request: Request, name: str, reason: str, events: Sequence[Event], before: tuple[ZoneSnapshot, ...]
) -> Stage:
    """Return a stage from what happened in it."""
    served = any(isinstance(event, MmPageAlloc) and event.pfn is not None for event in events)
    pages = sum(event.nr_reclaimed for event in events if isinstance(event, MmVmscanDirectReclaimEnd))
    pages += sum(isinstance(event, MmMigratePage) for event in events)
    written = sum(isinstance(event, MmVmscanWriteFolio) for event in events)
    flushed = sum(isinstance(event, FlusherWrite) for event in events)
    made = any(isinstance(event, MmCompactionEnd) and event.success for event in events)
    killed = next((event.comm for event in events if isinstance(event, MarkVictim)), "")
    did = served or bool(pages) or made or bool(killed) or name == "kswapd"
    if killed:
        reason = _("{reason}: {killed} is killed", reason=reason, killed=killed)
    return Stage(request, name, "done" if did else "failed", reason, 1, pages, written, flushed, before)


def _merged(stages: list[Stage]) -> list[Stage]:
    """Fold the rounds of the loop: each stage stands where it first came, with all its rounds."""
    found: dict[str, Stage] = {}
    for stage in stages:
        first = found.get(stage.name)
        if first is None:
            found[stage.name] = stage
        else:
            found[stage.name] = replace(
                first, state=stage.state, rounds=first.rounds + 1, pages=first.pages + stage.pages,
                written=first.written + stage.written, flushed=first.flushed + stage.flushed, reason=stage.reason,
            )
    return list(found.values())
