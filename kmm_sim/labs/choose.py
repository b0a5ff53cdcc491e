# SPDX-License-Identifier: GPL-2.0-only
"""The choosing lab: say what you need, see which question decides, and the call made on a machine.

    choose_lab()                                        a few needs, recorded
    decide(Need(100))                                   the answers, without a picture
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kmm_sim.catalogue import _, ngettext
from kmm_sim.labs.ask import Question, among
from kmm_sim.labs.bench import Bench
from kmm_sim.labs.forms import sentence
from kmm_sim.labs.ftrace import ftrace
from kmm_sim.labs.opening import Opening
from kmm_sim.labs.run import Call, Run
from kmm_sim.labs.scene import (
    Block,
    Cells,
    Flags,
    Flow,
    Form,
    Kind,
    Node,
    Number,
    Row,
    Scene,
    Stage,
    Step,
    Table,
    Text,
)
from kmm_sim.labs.view import Called, Desk, View
from kmm_sim.machine import Machine
from kmm_sim.mm.gfp import GFP_ATOMIC, GFP_KERNEL, gfp_names
from kmm_sim.mm.kmalloc import KMALLOC_MAX_CACHE_SIZE
from kmm_sim.mm.page import PAGE_SIZE, get_order
from kmm_sim.observe import Snapshot, snapshot
from kmm_sim.trace import Event

__all__ = ["Answer", "Choose", "ChooseDesk", "ChooseLab", "Decision", "Need", "choose_lab", "decide", "parse"]

PAGES = 512
LARGEST = 1 << 20
WORDS = {
    "per CPU": "percpu",
    "device": "device",
    "must not fail": "guaranteed",
    "many alike": "many",
    "contiguous": "contiguous",
    "cannot sleep": "atomic",
}
"""What may be special about a need, as scripts and links have it."""
SPOKEN = (_("per CPU"), _("device"), _("must not fail"), _("many alike"), _("contiguous"), _("cannot sleep"))
SAYS = (
    _("each CPU has one of its own, such as a counter"),
    _("a device reads or writes it: DMA"),
    _("without it the machine cannot go on: writing a page out, to free memory"),
    _("thousands of the same structure come and go"),
    _("in one piece in physical memory, though no device of the DMA interface asks for it"),
    _("an interrupt handler, or a spinlock is held"),
)
TITLE = _("Which allocator?")
FIRST = (
    "24; 40 many alike; 20480 contiguous; 200000; 65536 device; 8 per CPU; 256 must not fail, cannot sleep; "
    "200000 cannot sleep"
)


@dataclass(frozen=True, slots=True)
class Need:
    """What somebody needs: a number of bytes, and what is special about them."""

    size: int
    percpu: bool = False
    device: bool = False
    guaranteed: bool = False
    many: bool = False
    contiguous: bool = False
    atomic: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.size <= LARGEST:
            raise ValueError(_("this lab decides for 1 to {most} bytes, not {size}", most=LARGEST, size=self.size))

    def __str__(self) -> str:
        special = (word for word, name in zip(SPOKEN, WORDS.values(), strict=True) if getattr(self, name))
        return ", ".join([ngettext("{n} byte", "{n} bytes", self.size), *special])


@dataclass(frozen=True, slots=True)
class Answer:
    """A question, what this need answers to it, why; and whether that decides."""

    question: str
    answer: str
    why: str
    decides: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The questions in their order up to the one that decides, the call, and a word of warning."""

    answers: tuple[Answer, ...]
    interface: str
    call: str
    warning: str = ""


QUESTIONS = (_("One for each CPU?"), _("Does a device read it?"), _("Must it never fail?"), _("Thousands alike?"),
             _("Larger than 8 KiB?"), _("One physical piece?"), _("May you sleep?"))  # fmt: skip


def decide(need: Need) -> Decision:
    """Return which allocator serves a need: the first question that says so decides.

    The order matters: who needs a guarantee needs it also for many alike objects, and a device's
    memory is asked for by its own interface whatever its size.
    """
    gfp = gfp_names(_mask(need))
    early = _by_kind(need, gfp)
    if early:
        return early
    answers = [Answer(question, "no", why) for question, why in zip(QUESTIONS[:4], _PLAIN, strict=True)]
    if need.size <= KMALLOC_MAX_CACHE_SIZE:
        answers.append(Answer(QUESTIONS[4], "no", _("A class of kmalloc() has room, in one piece anyway."), True))
        return Decision(tuple(answers), "kmalloc", f"kmalloc({need.size}, {gfp})", _warn(need))
    answers.append(Answer(QUESTIONS[4], "yes", _("No class is so large: it will be whole pages.")))
    if need.contiguous:
        answers.append(Answer(QUESTIONS[5], "yes", _("Then blocks of the page allocator, cut to size."), True))
        return Decision(tuple(answers), "alloc_pages_exact", f"alloc_pages_exact({need.size}, {gfp})", _scarce(need))
    answers.append(Answer(QUESTIONS[5], "no", _("Only the CPU looks at it, through its page tables.")))
    if need.atomic:
        answers.append(Answer(QUESTIONS[6], "no", _("No page tables can be made here: one block, or nothing."), True))
        return Decision(tuple(answers), "kmalloc", f"kmalloc({need.size}, {gfp})",
                        _("Better: allocate it earlier, where you may sleep. Large blocks are scarce."))  # fmt: skip
    answers.append(Answer(QUESTIONS[6], "yes", _("One block if it is easy, else any pages, mapped in a row."), True))
    return Decision(tuple(answers), "kvmalloc", f"kvmalloc({need.size}, {gfp})", _("Give it back with kvfree()."))


_PLAIN = (
    _("One piece of memory for all."),
    _("Only the CPU looks at it."),
    _("NULL can be dealt with."),
    _("A few of this size."),
)


def _by_kind(need: Need, gfp: str) -> Decision | None:
    """Return the decision if the kind of need makes it, whatever the size."""
    answers = [Answer(question, "no", why) for question, why in zip(QUESTIONS, _PLAIN, strict=False)]
    if need.percpu:
        answers[0] = Answer(QUESTIONS[0], "yes", _("Then no locks, and no cache line goes back and forth."), True)
        warning = _("alloc_percpu() may sleep: call it before you take the lock.") if need.atomic else ""
        return Decision(tuple(answers[:1]), "alloc_percpu", f"__alloc_percpu({need.size}, 8)", warning)
    if need.device:
        answers[1] = Answer(QUESTIONS[1], "yes", _("The DMA interface knows what the device can reach."), True)
        call = f"dma_alloc_coherent(dev, {need.size}, &handle, {gfp})"
        return Decision(tuple(answers[:2]), "dma_alloc_coherent", call,
                        _("Drawn as the contiguous pages it gives where there is no IOMMU."))  # fmt: skip
    if need.guaranteed:
        answers[2] = Answer(QUESTIONS[2], "yes", _("A pool keeps some back for when nothing else is left."), True)
        return Decision(tuple(answers[:3]), "mempool", f"mempool_alloc(pool, {gfp})",
                        _("Make the pool when you start: mempool_create_kmalloc_pool() may sleep."))  # fmt: skip
    if need.many and need.size <= PAGE_SIZE:
        answers[3] = Answer(QUESTIONS[3], "yes", _("A cache of their own has exactly their size, and a name."), True)
        return Decision(tuple(answers[:4]), "kmem_cache", f"kmem_cache_alloc(cache, {gfp})")
    return None


def _mask(need: Need) -> int:
    return int(GFP_ATOMIC if need.atomic else GFP_KERNEL)


def _warn(need: Need) -> str:
    return _("GFP_ATOMIC cannot wait for memory: be ready for NULL.") if need.atomic else ""


def _scarce(need: Need) -> str:
    return _("A block of order {order} may not be free: be ready for NULL.", order=get_order(need.size))


# The call, made


@dataclass(frozen=True, slots=True)
class Made:
    """What a call got: its address (0: NULL), the bytes there are, the frames they lie in."""

    address: int
    room: int
    pfns: tuple[int, ...]


def _used_machine() -> Machine:
    """Return a machine that has run for a while: free memory is in pieces, the largest of 32 pages."""
    machine = Machine(pages=PAGES, cpus=4)
    pages = [machine.alloc_page(GFP_KERNEL) for _ in range(PAGES)]
    for page in pages:
        if page is not None and (page.pfn % 9 or 256 <= page.pfn < 288):
            machine.free_page(page)
    machine.trace.clear()
    return machine


def _make(machine: Machine, need: Need, interface: str) -> Made:
    """Make the call that was decided for."""
    mask, size = _mask(need), need.size
    match interface:
        case "alloc_percpu":
            ptr = machine.alloc_percpu(size)
            copies = [machine.per_cpu_ptr(ptr, cpu) for cpu in range(machine.cpus)] if ptr else []
            return Made(ptr, size * len(copies), _frames(machine, [(copy, size) for copy in copies]))
        case "kmem_cache":
            cache = machine.kmem_cache_create("yours", size)
            return _got(machine, machine.kmem_cache_alloc(cache, mask), cache.size)
        case "mempool":
            pool = machine.mempool_create(4, lambda gfp: machine.kmalloc(size, gfp) or None, machine.kfree)
            got = machine.mempool_alloc(pool, mask) if pool is not None else None
            return _got(machine, got or 0, machine.ksize(got) if got else 0)
        case "alloc_pages_exact" | "dma_alloc_coherent":
            return _got(machine, machine.alloc_pages_exact(size, mask), -(-size // PAGE_SIZE) * PAGE_SIZE)
        case "kvmalloc":
            address = machine.kvmalloc(size, mask)
            room = -(-size // PAGE_SIZE) * PAGE_SIZE
            if address and not machine.is_vmalloc_addr(address):
                room = machine.ksize(address)
            return _got(machine, address, room)
        case _:
            address = machine.kmalloc(size, mask)
            return _got(machine, address, machine.ksize(address) if address else 0)


def _got(machine: Machine, address: int, room: int) -> Made:
    return Made(address, room, _frames(machine, [(address, room)])) if address else Made(0, 0, ())


def _frames(machine: Machine, spans: Iterable[tuple[int, int]]) -> tuple[int, ...]:
    """Return the frames behind these bytes, each once, in the order of their addresses."""
    found: dict[int, None] = {}
    for address, size in spans:
        for at in range(address // PAGE_SIZE, (address + size - 1) // PAGE_SIZE + 1):
            mapped = machine.is_vmalloc_addr(at * PAGE_SIZE)
            page = (machine.vmalloc_to_page if mapped else machine.virt_to_page)(at * PAGE_SIZE)
            if page is not None:
                found[page.pfn] = None
    return tuple(found)


class ChooseDesk(Desk):
    """The machine that the last call was made on, the need, the decision, what came of it."""

    machine: Machine
    need: Need | None
    made: Made | None

    def __repr__(self) -> str:
        return repr(self.machine)


@dataclass(frozen=True, slots=True)
class Choose:
    """Decide for a need, and make the call on a machine that has run for a while."""

    need: Need

    def text(self) -> Text:
        """Return the call as C."""
        return decide(self.need).call

    def __call__(self, desk: ChooseDesk) -> str:
        """Decide, make the call; return both as a sentence."""
        decision = decide(self.need)
        desk.machine, desk.need = _used_machine(), self.need
        desk.made = _make(desk.machine, self.need, decision.interface)
        came = "NULL"
        if desk.made.address:
            came = _("{room} bytes in {pages}", room=desk.made.room, pages=_pages(desk.made.pfns))
        said = _("{need}: {call}. It gives {came}.", need=self.need, call=decision.call, came=came)
        return f"{said} {decision.warning}".rstrip()


def _pages(pfns: tuple[int, ...]) -> str:
    if len(pfns) == 1:
        return _("pfn {pfn} ({pfn:#x})", pfn=pfns[0])
    if _in_a_row(pfns):
        return _("{n} pages in a row", n=len(pfns))
    return _("{n} pages, scattered", n=len(pfns))


def _in_a_row(pfns: tuple[int, ...]) -> bool:
    return pfns == tuple(range(pfns[0], pfns[0] + len(pfns)))


@dataclass(frozen=True, slots=True)
class ChooseState:
    """All that is drawn."""

    need: Need | None
    made: Made | None
    pages: Snapshot


FUNCTIONS: Mapping[str, Callable[[Need], bool]] = {
    "__alloc_percpu": lambda need: need.percpu,
    "dma_alloc_coherent": lambda need: need.device,
    "mempool_alloc": lambda need: need.guaranteed,
    "kmem_cache_alloc": lambda need: need.many,
    "kmalloc": lambda need: True,
    "alloc_pages_exact": lambda need: need.contiguous or need.device,
    "kvmalloc": lambda need: need.size > KMALLOC_MAX_CACHE_SIZE,
}
"""The calls there are to choose from, and whether a need makes one think of each."""
FALLBACK = ("kvmalloc", "kmem_cache_alloc", "alloc_pages_exact")


def _function(call: str) -> str:
    return call.partition("(")[0]


class ChooseLab:
    """From a desk to a scene, and from what a reader asks for to a call."""

    phrases: Mapping[str, str] = {}

    def __init__(self, title: Text = TITLE, caption: Text = "") -> None:
        self.title = title
        self.caption = caption
        self.view = View(lambda desk: ChooseState(desk.need, desk.made, snapshot(desk.machine)))

    def draw(self, state: ChooseState) -> Scene:
        """Return the scene of a state: the questions, what the call gave, the pages it lies in."""
        kinds = (Kind("Y", 2, _("yours")), Kind("o", 1, _("somebody else’s")))
        stage = Stage(self.title, ("w", "r", "m"), (_form(),), kinds, self.caption, (("w", "r"), ("m",)), 1)
        return {"": stage, **_flow(state), **_result(state), **_cells(state)}

    def tell(self, event: Event) -> tuple[Any, ...]:
        """Return the decision as a phrase."""
        assert isinstance(event, Called)
        return "other", ftrace(event.events), str(event.answer)

    def ask(self, before: ChooseState, after: ChooseState, events: Sequence[Event]) -> Question | None:
        """Ask which call it will be; the likeliest mistakes are those that a later question would say."""
        if after.need is None:
            return None
        right = _function(decide(after.need).call)
        tempting = [name for name, tempts in FUNCTIONS.items() if tempts(after.need)]
        names = list(FUNCTIONS)
        options, answer = among(names.index(right), map(names.index, (*tempting, *FALLBACK)))
        calls = tuple(f"{names[each]}()" for each in options)
        return Question(_("{need}. Which call?", need=after.need), calls, answer, hides=True)

    def read(self, action: Mapping[str, Any]) -> Call:
        """Return the call for ``{"do": "choose", "size": ..., "need": [words]}``.  Raises ValueError if it is none."""
        if action.get("do") != "choose":
            raise ValueError(_("{other!r} is nothing that this lab can do", other=action.get("do")))
        size, words = action.get("size"), action.get("need") or []
        if isinstance(size, bool) or not isinstance(size, int):
            raise ValueError(_("a size is a whole number of bytes, not {size!r}", size=size))
        return Choose(_need(size, words))


def _need(size: int, words: Iterable[str]) -> Need:
    unknown = [word for word in words if word not in WORDS]
    if unknown:
        raise ValueError(_("{word!r} is none of {words}", word=unknown[0], words=", ".join(WORDS)))
    return Need(size, **{WORDS[word]: True for word in words})


def _form() -> Form:
    size = Number("size", _("how many bytes"), 40, 1, LARGEST, step=8)
    need = Flags("need", _("what is special about them"), tuple(WORDS), (), SAYS, SPOKEN)
    parts = sentence(_("I need {size} bytes: {need}"), size=size, need=need)
    return Form("choose", parts, _("Decide"), _("which interface, and what it gives"))


def _flow(state: ChooseState) -> dict[str, Node]:
    decision = decide(state.need) if state.need is not None else None
    nodes: dict[str, Node] = {}
    for number, question in enumerate(QUESTIONS):
        answer = decision.answers[number] if decision and number < len(decision.answers) else None
        nodes[f"w:{number}"] = _step(question, answer, decision)
    verdict = decision.call if decision else _("say what you need")
    nodes["w:call"] = Step(_("The call"), "now" if decision else "todo", verdict, decision.warning if decision else "")
    note = str(state.need) if state.need is not None else _("the first question that decides, decides")
    return {"w": Flow(_("The decision"), note, tuple(nodes)), **nodes}


def _step(question: str, answer: Answer | None, decision: Decision | None) -> Step:
    if answer is None:
        says = _("not asked: it is decided") if decision else _("not asked yet")
        return Step(question, "skipped" if decision else "todo", says=says)
    said = YES_NO[answer.answer]
    return Step(question, "done", _("{said}: this decides", said=said) if answer.decides else said, answer.why)


YES_NO = {"yes": _("yes"), "no": _("no")}
FACTS = {"call": _("call"), "answer": _("answer"), "room": _("bytes given"), "where": _("where"),
         "row": _("physically contiguous")}  # fmt: skip


def _result(state: ChooseState) -> dict[str, Node]:
    rows: dict[str, Node] = {f"r:{key}": Row((words, "–")) for key, words in FACTS.items()}
    if state.need is not None and state.made is not None:
        made, decision = state.made, decide(state.need)
        rows["r:call"] = Row((FACTS["call"], decision.call))
        rows["r:answer"] = Row((FACTS["answer"], f"{made.address:#x}" if made.address else "NULL"),
                               mark="yes" if made.address else "no")  # fmt: skip
        if made.address:
            waste = made.room - state.need.size * (4 if state.need.percpu else 1)
            rows["r:room"] = Row((FACTS["room"],
                                   _("{room}, of which {waste} not asked for", room=made.room, waste=waste)))
            rows["r:where"] = Row((FACTS["where"], _pages(made.pfns)))
            row = "yes" if _in_a_row(made.pfns) and not state.need.percpu else "no"
            rows["r:row"] = Row((FACTS["row"], YES_NO[row]), mark=row)
    note = _("on a machine of 2 MiB whose free memory is in pieces")
    return {"r": Table(_("What it gives"), note, (_("what"), _("here")), tuple(rows), "lc"), **rows}


def _cells(state: ChooseState) -> dict[str, Node]:
    mine = set(state.made.pfns) if state.made else set()
    (zone,) = state.pages.zones
    blocks: dict[int, Block] = {pfn: Block(free.order) for free in zone.free for pfn in free.pfns}
    for pfn, held in state.pages.allocated.items():
        if mine & set(range(pfn, pfn + (1 << held.order))):
            blocks[pfn] = Block(held.order, "used", "Y")
        else:
            blocks[pfn] = Block(held.order, "used", "o")
    panel = Cells(_("Memory"), _("{pages} pages of 4 KiB", pages=PAGES), 0, PAGES, 32)
    return {"m": panel, **{f"m:{pfn}": blocks[pfn] for pfn in sorted(blocks)}}


def parse(script: str) -> tuple[Need, ...]:
    """Return the needs of ``"24; 40 many alike; 65536 device, cannot sleep"``.  Raises ValueError for others."""
    needs = []
    for part in filter(None, map(str.strip, script.split(";"))):
        size, __, words = part.partition(" ")
        if not size.isdecimal():
            raise ValueError(_("{part!r} does not begin with a number of bytes", part=part))
        needs.append(_need(int(size), [word.strip() for word in words.split(",") if word.strip()]))
    return tuple(needs)


def _run(script: str, title: str = "", caption: str = "") -> Run:
    desk = ChooseDesk(machine=_used_machine(), need=None, made=None)
    run = Run(desk, ChooseLab(title or TITLE, caption))
    for need in parse(script):
        run.make(Choose(need))
    run.keep_as_recorded()
    return run


def choose_lab(script: str = FIRST, *, link: str = "", title: str = "", caption: str = "") -> Bench:
    """Return a lab that decides for a need, and makes the call.

    ``script`` has the needs of the recorded run, such as ``"24; 40 many alike"``; ``link`` is what "Copy link"
    gives.  Raises ValueError for a need that it does not know.
    """
    opening = Opening("choose", lambda script: _run(script, title, caption), {"script": script})
    return Bench(opening.run(), opening, link)
