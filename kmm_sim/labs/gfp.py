# SPDX-License-Identifier: GPL-2.0-only
"""The GFP lab: a context, a mask, memory in need; what the mask says, and what becomes of the request.

    gfp_lab()                                           a process asks with GFP_KERNEL, memory is plenty
    gfp_lab(memory="clean cache", calls=["GFP_KERNEL"])     ... down to min, and one request to play
    gfp_lab(context="hardirq", memory="clean cache")

The request is served by the simulator, on a machine small enough to be filled in a moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kmm_sim.catalogue import _, ngettext
from kmm_sim.labs.ask import Question
from kmm_sim.labs.bench import Bench
from kmm_sim.labs.forms import sentence
from kmm_sim.labs.gfp_memory import SPOKEN, STORIES, prepared
from kmm_sim.labs.gfp_walk import NAMES, Outcome, Request, Stage, walk
from kmm_sim.labs.gfp_words import BASES, CONTEXTS, EXTRAS, MEANINGS, WHERE, mask_of
from kmm_sim.labs.opening import Opening
from kmm_sim.labs.run import Run
from kmm_sim.labs.scene import (
    Choice,
    Flags,
    Flow,
    Form,
    Line,
    Node,
    Number,
    Row,
    Scene,
    Step,
    Table,
    Text,
)
from kmm_sim.labs.scene import Stage as Desktop
from kmm_sim.labs.view import Called, Desk, View
from kmm_sim.mm.freelist import gfp_to_alloc_flags
from kmm_sim.mm.gfp import Gfp, gfp_migratetype, gfp_names, gfp_zone
from kmm_sim.mm.internal import ALLOC_MIN_RESERVE, ALLOC_NON_BLOCK, ALLOC_WMARK_LOW
from kmm_sim.mm.mmzone import MAX_PAGE_ORDER, PAGE_ALLOC_COSTLY_ORDER, ZONE_NAMES, Wmark
from kmm_sim.observe import ZoneSnapshot, snapshot
from kmm_sim.observe.reckoning import Reckoning, reckon
from kmm_sim.trace import Event

__all__ = ["Ask", "GfpLab", "Memory", "Request", "Seen", "gfp_lab", "permissions"]

TOLD = ("page allocation failure", "invoked oom-killer", "Out of memory", "Killed process")
"""What is shown of the log; the long reports are in the chapter."""

KINDS_OF_PAGE = (_("unmovable"), _("movable"), _("reclaimable"), _("unmovable"))
ATOMIC = ("spinlock", "softirq", "hardirq", "irqs off")
NOBODY = _("nobody can sleep here")


@dataclass(frozen=True, slots=True)
class Seen:
    """What the lab shows: the request, memory, the stages gone through so far, what it came to at last."""

    request: Request
    memory: str
    zones: tuple[ZoneSnapshot, ...]
    stages: tuple[Stage, ...] = ()
    came: Outcome | None = None
    log: str = ""

    def __deepcopy__(self, memo: dict[int, Any]) -> Seen:
        """Return itself: nothing in it ever changes."""
        return self


@dataclass(frozen=True, slots=True)
class Ask:
    """The call alloc_pages(gfp, order), made in a context."""

    request: Request

    def text(self) -> Text:
        """Return the call as C."""
        mask = gfp_names(self.request.gfp) or "0"
        where = "" if self.request.context == "process" else f"   /* {CONTEXTS[self.request.context]} */"
        return f"alloc_pages({mask}, {self.request.order});{where}"

    def __call__(self, desk: Any) -> Outcome:
        """Make the call; what happened is told in stages."""
        machine, request = desk.machine, self.request
        machine.dmesg.clear()
        stages, came = walk(machine, request)
        log = "\n".join(line for line in machine.dmesg if any(words in line for words in TOLD))
        desk.seen = Seen(request, desk.memory, snapshot(machine).zones, tuple(stages), came, log)
        for stage in stages:
            machine.trace.emit(stage)
        return came


@dataclass(frozen=True, slots=True)
class Memory:
    """Bring memory into another state: a new machine, filled in one of the ways of STORIES."""

    story: str

    def text(self) -> Text:
        """Return it in words."""
        return _("/* memory: {stories} */", stories=STORIES[self.story][1])

    def __call__(self, desk: Any) -> None:
        """Replace the machine."""
        desk.machine, desk.memory = prepared(self.story), self.story
        desk.seen = Seen(desk.seen.request, self.story, snapshot(desk.machine).zones)


@dataclass(frozen=True, slots=True)
class Kswapd:
    """Let kswapd run, if it was woken."""

    def text(self) -> Text:
        """Return it in words."""
        return _("/* kswapd runs */")

    def __call__(self, desk: Any) -> int:
        """Let it run; return how many pages it reclaimed."""
        machine = desk.machine
        machine.tracing = False
        reclaimed = int(machine.run_kswapd())
        machine.tracing = True
        desk.seen = Seen(desk.seen.request, desk.memory, snapshot(machine).zones)
        return reclaimed


def _look(desk: Any) -> Seen:
    seen: Seen = desk.seen
    return seen


def _frames(state: Seen, events: Sequence[Event]) -> Iterator[Seen]:
    """Yield what is seen at each stage; memory is as it was when the stage began."""
    gone: tuple[Stage, ...] = ()
    for event in events:
        if isinstance(event, Stage):
            gone += (event,)
            state = Seen(event.request, state.memory, event.before or state.zones, gone)
        yield state


class GfpLab:
    """From a request and what became of it to a scene."""

    view = View(_look, _frames)
    phrases: Mapping[str, str] = {}

    def __init__(self, title: Text, caption: Text = "") -> None:
        self.title = title
        self.caption = caption

    def draw(self, state: Seen) -> Scene:
        """Return the scene: the mask, what it permits, the zones, the stages, the sum, the answer."""
        layout = (("w", "a"), ("l",), ("z", "z", "s"), ("m",))
        scene: dict[str, Node] = {"": Desktop(
            self.title, ("w", "a", "l", "z", "s", "m"), _forms(state), (), self.caption, layout=layout, above=1)}
        request = state.request
        return scene | _mask(request) | _permits(request) | _flow(state) | _zones(state) | _sum(state) | _answer(state)

    def tell(self, event: Event) -> tuple[Any, ...]:
        """Return a stage as a sentence."""
        if isinstance(event, Stage):
            return "other", str(event), _sentence(event)
        if isinstance(event, Called) and isinstance(event.answer, int):
            words = _("kswapd reclaimed {pages} pages.", pages=event.answer)
            return "other", f"kswapd: {event.answer} pages", words
        return "other", "memory", _("Memory is set up anew; kswapd sleeps.")

    def read(self, action: Mapping[str, Any]) -> Ask | Memory | Kswapd:
        """Return the call that a reader asks for.  Raises ValueError if it is none."""
        match action.get("do"):
            case "ask":
                order, context, extras = action.get("order"), action.get("context"), action.get("extras") or []
                if isinstance(order, bool) or not isinstance(order, int) or not 0 <= order <= MAX_PAGE_ORDER:
                    raise ValueError(_("an order is a whole number from 0 to {most}, not {order!r}",
                                       most=MAX_PAGE_ORDER, order=order))
                if not isinstance(context, str) or context not in CONTEXTS:
                    raise ValueError(_("{context!r} is none of the contexts {contexts}",
                                       context=context, contexts=", ".join(CONTEXTS)))
                if not isinstance(extras, list | tuple):
                    raise ValueError(_("flags come as a list, not {extras!r}", extras=extras))
                return Ask(Request(mask_of(str(action.get("base")), tuple(map(str, extras))), order, context))
            case "memory":
                story = str(action.get("story"))
                if story not in STORIES:
                    raise ValueError(_("{story!r} is none of the states {stories}",
                                       story=story, stories=", ".join(STORIES)))
                return Memory(story)
            case "kswapd":
                return Kswapd()
            case other:
                raise ValueError(_("{other!r} is nothing that this lab can do", other=other))

    def ask(self, before: Seen, after: Seen, events: Sequence[Event]) -> Question | None:
        """Return the question what becomes of a request."""
        stages = [event for event in events if isinstance(event, Stage)]
        if not stages:
            return None
        return Question(_("What will become of it?"), tuple(ENDS), _end(stages))


ENDS = (
    _("a page, at once"),
    _("a page, from below the low mark"),
    _("a page, after compaction or reclaim"),
    _("a page, after a process is killed"),
    "NULL",
    _("a bug: it must not ask so here"),
)


def _end(stages: Sequence[Stage]) -> int:
    """Return which of ENDS it is."""
    names, last = {stage.name for stage in stages}, stages[-1]
    if last.bug:
        return 5
    if last.state == "failed":
        return 4
    if "oom" in names:
        return 3
    if names & {"reclaim", "compact first", "compact"}:
        return 2
    return 1 if names & {"retry", "reserves"} else 0


def _forms(state: Seen) -> tuple[Form, ...]:
    size = tuple(ngettext("{n} page", "{n} pages", 1 << n) for n in range(MAX_PAGE_ORDER + 1))
    notes = tuple(words for __, words in STORIES.values())
    story = Choice("story", _("memory"), tuple(STORIES), state.memory, notes, SPOKEN)
    context = Choice("context", _("where the caller is"), tuple(CONTEXTS), "process", tuple(CONTEXTS.values()), WHERE)
    base = Choice("base", _("gfp"), tuple(BASES), "GFP_KERNEL")
    says = tuple(MEANINGS[Gfp(bit)][1] for bit in EXTRAS.values())
    extras = Flags("extras", _("flags to add"), tuple(EXTRAS), (), says)
    order = Number("order", _("order: 2 to this power is the number of pages"), 0, 0, MAX_PAGE_ORDER, size)
    call = sentence(_("in {context} context: page = alloc_pages({base} | {extras}, {order});"),
                    context=context, base=base, extras=extras, order=order)
    return (
        Form("memory", sentence(_("memory: {story}"), story=story), _("Set up"),
             _("what the machine looks like before the request")),
        Form("ask", call, _("Ask"), "struct page *alloc_pages(gfp_t gfp, unsigned int order);"),
        Form("kswapd", (_("/* some time later */"),), _("Let kswapd run"), "int kswapd(void *p);"),
    )


def _mask(request: Request) -> dict[str, Node]:
    """Return the mask bit by bit, under its name as the kernel prints it."""
    rows: dict[str, Node] = {}
    for flag in MEANINGS:
        if request.gfp & flag:
            kind, words = MEANINGS[flag]
            gone = bool(flag & ~request.effective)
            rows[f"m:{flag.name}"] = Row(
                (f"__GFP_{flag.name}", f"{int(flag):#x}", kind, _("taken out by the scope") if gone else words),
                mark="skip" if gone else "")
    if not rows:
        rows["m:none"] = Row(("0", "0x0", "", _("no bits at all: cannot wait, wakes nobody, no reserve but its own")))
    name = gfp_names(request.gfp) or "0"
    columns = (_("flag"), _("value"), _("about"), _("says"))
    head = Table(_("The mask"), f"mode:{request.gfp:#x}({name})", columns, tuple(rows), "ccll")
    return {"m": head, **rows}


def _permits(request: Request) -> dict[str, Node]:
    """Return what the allocator may do for this request, and why."""
    rows = {f"a:{name}": Row((what, why), mark="yes" if yes else "no") for name, what, yes, why in permissions(request)}
    where = CONTEXTS[request.context]
    return {"a": Table(_("What it may do"), where, (_("it may"), _("because")), tuple(rows), "ll"), **rows}


def permissions(request: Request) -> Iterator[tuple[str, str, bool, str]]:
    """Yield a name, an act, whether it is allowed, and the reason."""
    gfp, order, context = request.effective, request.order, request.context
    direct = bool(gfp & Gfp.DIRECT_RECLAIM)
    why = "__GFP_DIRECT_RECLAIM" if direct else _("no __GFP_DIRECT_RECLAIM")
    bad = direct and context in ATOMIC
    able = direct and not bad
    yield "sleep", _("sleep, reclaim"), able, _("{why}, but {nobody}", why=why, nobody=NOBODY) if bad else why
    kswapd = bool(gfp & Gfp.KSWAPD_RECLAIM)
    yield "kswapd", _("wake kswapd"), kswapd, "__GFP_KSWAPD_RECLAIM" if kswapd else _("no __GFP_KSWAPD_RECLAIM")
    for name, what, flag in (("io", _("start I/O, to swap"), Gfp.IO), ("fs", _("enter filesystems"), Gfp.FS)):
        has = f"__GFP_{flag.name}" if gfp & flag else _("no __GFP_{flag}", flag=flag.name)
        yes = able and bool(gfp & flag)
        yield name, what, yes, NOBODY if bad else has if direct else _("it reclaims nothing itself")
    yield "reserve", _("go below min"), *_reserves(gfp, order, context)
    oom = able and bool(gfp & Gfp.FS) and order <= PAGE_ALLOC_COSTLY_ORDER and gfp_zone(gfp) >= 2 and not gfp & (
        Gfp.NORETRY | Gfp.RETRY_MAYFAIL | Gfp.THISNODE) and context != "memalloc"
    no_oom = NOBODY if bad else _why_no_oom(gfp, order)
    yield "oom", _("have one killed"), oom, _("small order, reclaim with FS") if oom else no_oom
    fails = not (gfp & Gfp.NOFAIL and direct)
    yield "fail", _("return NULL"), fails, _("look at the answer") if fails else "__GFP_NOFAIL"
    warn = fails and not gfp & Gfp.NOWARN
    no_report = "__GFP_NOWARN" if fails else "__GFP_NOFAIL"
    yield "warn", _("write a report"), warn, _("no __GFP_NOWARN") if warn else no_report


def _reserves(gfp: int, order: int, context: str) -> tuple[bool, str]:
    if gfp & Gfp.NOMEMALLOC:
        high = bool(gfp & Gfp.HIGH)
        return high, _("to 1/2 of min: __GFP_HIGH") if high else "__GFP_NOMEMALLOC"
    if gfp & Gfp.MEMALLOC or context == "memalloc":
        return True, _("to the last page: ") + ("__GFP_MEMALLOC" if gfp & Gfp.MEMALLOC else "PF_MEMALLOC")
    flags = gfp_to_alloc_flags(gfp, order)
    if flags & ALLOC_MIN_RESERVE:
        non_block = flags & ALLOC_NON_BLOCK
        return True, _("to 3/8 of min: __GFP_HIGH, cannot wait") if non_block else _("to 1/2 of min: __GFP_HIGH")
    return False, _("no __GFP_HIGH: stops at min")


def _why_no_oom(gfp: int, order: int) -> str:
    if not gfp & Gfp.DIRECT_RECLAIM:
        return _("it never gets so far")
    for flag in (Gfp.NORETRY, Gfp.RETRY_MAYFAIL, Gfp.THISNODE):
        if gfp & flag:
            return f"__GFP_{flag.name}"
    if order > PAGE_ALLOC_COSTLY_ORDER:
        return _("order above {costly}: too costly", costly=PAGE_ALLOC_COSTLY_ORDER)
    return _("no __GFP_FS") if not gfp & Gfp.FS else _("it wants a low zone")


def _flow(state: Seen) -> dict[str, Node]:
    """Return the stages, those gone through and those not."""
    gone = {stage.name: stage for stage in state.stages}
    last = state.stages[-1].name if state.stages else ""
    finished = state.came is not None
    steps: dict[str, Node] = {}
    for name, label in NAMES.items():
        stage = gone.get(name)
        if stage is None:
            if name != "context":
                steps[f"w:{name}"] = Step(label, "skipped" if finished else "todo")
            continue
        now = name == last and not finished
        steps[f"w:{name}"] = Step(label, "now" if now else stage.state, _numbers(stage), _sentence(stage))
    note = STORIES[state.memory][1]
    return {"w": Flow(_("The way through"), note, tuple(steps)), **steps}


def _numbers(stage: Stage) -> str:
    parts = (
        _("{rounds} rounds", rounds=stage.rounds) if stage.rounds > 1 else "",
        _("{pages} pages", pages=stage.pages) if stage.pages else "",
        _("{written} to swap", written=stage.written) if stage.written else "",
        _("{flushed} flushed", flushed=stage.flushed) if stage.flushed else "",
    )
    return stage.reason if stage.name == "end" else ", ".join(filter(None, parts))


def _sentence(stage: Stage) -> str:
    """Tell a stage in a sentence."""
    rounds = _(" in {rounds} rounds", rounds=stage.rounds) if stage.rounds > 1 else ""
    written = _(", {written} of them written to swap first", written=stage.written) if stage.written else ""
    if stage.flushed:
        written += _(", once the flusher threads, woken by it, had written {flushed}", flushed=stage.flushed)
    done, failed = SENTENCES[stage.name]
    words = (done if stage.state == "done" else failed).format(
        pages=stage.pages, written=written, rounds=rounds, why=stage.reason, lack=_lack(stage),
        could=_("found no block to make") if "together" in stage.reason else _("had too few free pages to begin"))
    return words[0].upper() + words[1:]


def _lack(stage: Stage) -> str:
    """Say what the zones lacked as the stage began: room above a mark, a block, or now one, now the other."""
    gfp, order = stage.request.effective, stage.request.order
    allowed = [zone for zone in stage.before if ZONE_NAMES.index(zone.name) <= gfp_zone(gfp)]
    sums = [_sums(zone, gfp, order, stage.request.context)[stage.name != "fast"] for zone in allowed]
    if not any(each.room for each in sums):
        fast = stage.name == "fast"
        return _("no zone stays above its low mark") if fast else _("no zone may go so low for this request")
    if all(each.room for each in sums):
        return _("enough is free, but no block of order {order}", order=order)
    return _("no zone has both enough free and a block of order {order}", order=order)


SENTENCES = {
    "context": (_("it may ask so here."), "{why}."),
    "fast": (_("some zone stays above its low mark: served at once."), "{lack}."),
    "kswapd": (_("the daemon kswapd is woken, to reclaim in the background up to the high mark."),
               _("nobody is woken.")),
    "retry": (_("a zone stays above what must remain of min: served."), "{lack}."),
    "compact first": (_("compaction moved {pages} pages{rounds} to make a block."), _("compaction {could}.")),
    "reserves": (_("{why}: served."), _("{why}; not even that is enough.")),
    "reclaim": (_("the caller reclaimed {pages} pages itself{rounds}{written}."),
                _("the caller found nothing to reclaim{rounds}.")),
    "drain": (_("pages on per-CPU lists went back, and the request was served."),
              _("pages on per-CPU lists went back{rounds}: still too few.")),
    "compact": (_("compaction moved {pages} pages{rounds}."), _("compaction {could}{rounds}.")),
    "oom": ("{why}.", "{why}."),
    "end": (_("the caller gets {why}."), _("the answer: {why}.")),
}


def _zones(state: Seen) -> dict[str, Node]:
    """Return the zones in the order in which they are tried, with their marks."""
    gfp, order = state.request.effective, state.request.order
    highest, rows = gfp_zone(gfp), {}
    for zone in reversed(state.zones):
        if ZONE_NAMES.index(zone.name) > highest:
            rows[f"z:{zone.name}"] = Row((zone.name, zone.nr_free_pages, "", "", "", _("not allowed")), mark="skip")
            continue
        low, least = _sums(zone, gfp, order, state.request.context)
        says = _("above low") if low.ok else _("from below low") if least.ok else _("no")
        rows[f"z:{zone.name}"] = Row(
            (zone.name, zone.nr_free_pages, zone.watermark[Wmark.LOW],
             zone.watermark[Wmark.MIN], least.least_pages, says),
            tone=0 if low.ok else 2 if least.ok else 4, mark="yes" if low.ok or least.ok else "no")
    kind = KINDS_OF_PAGE[gfp_migratetype(gfp)]
    note = ngettext("tried in this order, for {n} {kind} page", "tried in this order, for {n} {kind} pages",
                    1 << order, kind=kind)
    columns = (_("zone"), _("free"), _("low"), _("min"), _("must remain at last"), _("may serve"))
    return {"z": Table(_("Zones"), note, columns, tuple(rows), "lrrrrl"), **rows}


def _sums(zone: ZoneSnapshot, gfp: int, order: int, context: str) -> tuple[Reckoning, Reckoning]:
    highest = gfp_zone(gfp)
    low = reckon(zone, order, ALLOC_WMARK_LOW, highest, Wmark.LOW)
    return low, reckon(zone, order, gfp_to_alloc_flags(gfp, order), highest)


def _sum(state: Seen) -> dict[str, Node]:
    """Return the sum for the first zone: at the low mark on the fast path, at min after it."""
    gfp, order = state.request.effective, state.request.order
    zone = next(z for z in reversed(state.zones) if ZONE_NAMES.index(z.name) <= gfp_zone(gfp))
    low, least = _sums(zone, gfp, order, state.request.context)
    fast = not state.stages or state.stages[-1].name in ("fast", "context")
    sums = low if fast else least
    rows: dict[str, Node] = {}
    for n, term in enumerate(sums.free):
        words = _("{words} in zone {zone}", words=term.words, zone=zone.name) if n == 0 else term.words
        rows[f"s:f{n}"] = Row((term.pages, words))
    rows["s:free"] = Row((sums.free_pages, _("count as free")), tone=1)
    for n, term in enumerate(sums.least):
        rows[f"s:l{n}"] = Row((term.pages, term.words))
    sign = ">" if sums.room else "≤"
    remain = _("must remain: {free} {sign} {least}", free=sums.free_pages, sign=sign, least=sums.least_pages)
    rows["s:least"] = Row((sums.least_pages, remain), tone=1, mark="yes" if sums.room else "no")
    if order and sums.room:
        words = _("a block is large enough") if sums.block else _("no block is large enough")
        rows["s:block"] = Row((_("{order} in a row", order=1 << order), words), mark="yes" if sums.block else "no")
    note = _("first zone, first attempt: at the low mark") if fast else _("first zone, later attempts: at min")
    return {"s": Table(_("The sum"), note, (_("pages"), ""), tuple(rows), "rl"), **rows}


def _answer(state: Seen) -> dict[str, Node]:
    if state.came is None:
        text = f"alloc_pages({gfp_names(state.request.gfp) or '0'}, {state.request.order})"
    elif state.came.error:
        text = f"BUG: {state.came.error}"
    elif state.came.pfn is None:
        text = "page = NULL" + (f"\n{state.log}" if state.log else "")
    else:
        text = f"page = pfn_to_page({state.came.pfn:#x})" + (f"\n{state.log}" if state.log else "")
    return {"l": Line(_("The answer, and what the log says"), text)}


def gfp_lab(
    memory: str = "plenty",
    calls: Iterable[str | tuple[str, int] | tuple[str, int, str]] = (),
    *,
    gfp: str = "GFP_KERNEL",
    context: str = "process",
    link: str = "",
    title: str = "",
    caption: str = "",
) -> Bench:
    """Return a lab in which requests with any mask, from any context, meet memory in one of several states.

    ``memory`` names one of the states in ``kmm_sim.labs.gfp_memory.STORIES``.  ``calls`` are the
    requests of the recorded run, each a mask as C has it, ``"GFP_KERNEL|__GFP_NORETRY"``, or with
    an order, or with an order and a context.  ``gfp`` and ``context`` are shown at first, or with ``calls``
    the first of them.  ``link`` is what "Copy link" gives.  Raises ValueError for a name that is none.
    """
    idle = Ask(Request(_mask_in(gfp), 0, _context(context)))
    asks = [_ask_for(call, context) for call in calls]
    first = (asks or [idle])[0].request
    lab = GfpLab(title or _("What may the allocator do for you?"), caption)
    machine = prepared(memory)
    desk = Desk(machine=machine, memory=memory, seen=Seen(first, memory, snapshot(machine).zones))
    run = Run(desk, lab)
    for ask in asks:
        run.make(ask)
    run.keep_as_recorded()
    return Bench(run, Opening("gfp"), link)


def _ask_for(call: str | tuple[str, int] | tuple[str, int, str], context: str) -> Ask:
    name, order, where = (call, 0, context) if isinstance(call, str) else (*call, context)[:3]
    return Ask(Request(_mask_in(name), order, _context(where)))


def _mask_in(text: str) -> int:
    base, *extras = text.split("|")
    if base in EXTRAS:
        base, extras = "0", [base, *extras]
    return mask_of(base, extras)


def _context(name: str) -> str:
    if name not in CONTEXTS:
        raise ValueError(_("{name!r} is none of the contexts {contexts}", name=name, contexts=", ".join(CONTEXTS)))
    return name
