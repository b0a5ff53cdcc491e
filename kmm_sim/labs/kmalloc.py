# SPDX-License-Identifier: GPL-2.0-only
"""The kmalloc lab: ask for bytes, see the class, the waste, the object in its slab in its page.

    kmalloc_lab()                                   nothing asked for yet
    kmalloc_lab("+100 +100 +90 -0 +120 +9000")      with a recorded run: ask, give back the 0th, ...

A frame is a call: how a slab comes to its pages, step by step, is the slab lab's subject.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from kmm_sim.catalogue import _, ngettext
from kmm_sim.errors import KernelBug
from kmm_sim.labs.ask import Question, among
from kmm_sim.labs.bench import Bench
from kmm_sim.labs.ftrace import ftrace
from kmm_sim.labs.opening import Opening
from kmm_sim.labs.run import Call, Run
from kmm_sim.labs.scene import (
    Box,
    Choice,
    Form,
    Kind,
    Line,
    Node,
    Number,
    Pick,
    Plot,
    Row,
    Scene,
    Series,
    Shelf,
    Shelves,
    Stage,
    Table,
    Text,
)
from kmm_sim.labs.view import Called, Desk, View
from kmm_sim.machine import Machine
from kmm_sim.mm.events import MmPageAlloc
from kmm_sim.mm.gfp import GFP_ATOMIC, GFP_KERNEL, GFP_KERNEL_ACCOUNT, Gfp, gfp_names
from kmm_sim.mm.kmalloc import (
    KMALLOC_MAX_CACHE_SIZE,
    KMALLOC_SIZES,
    ZERO_SIZE_PTR,
    kmalloc_index,
    kmalloc_name,
    kmalloc_size_roundup,
)
from kmm_sim.mm.page import PAGE_OFFSET, PAGE_SHIFT, PAGE_SIZE, get_order
from kmm_sim.mm.slab_common import KMALLOC_MAX_SIZE
from kmm_sim.mm.slab_events import Kmalloc, SlabDiscard, SlabNew
from kmm_sim.observe import slab_snapshot, slabinfo
from kmm_sim.trace import Event

__all__ = ["Ask", "GiveBack", "GiveBackWrongly", "Held", "KmallocLab", "KmallocState", "kmalloc_lab", "parse"]

MASKS = {
    gfp_names(mask): int(mask)
    for mask in (GFP_KERNEL, GFP_ATOMIC, GFP_KERNEL_ACCOUNT, GFP_KERNEL | Gfp.RECLAIMABLE)
}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SHOWN_SLOTS = 64
"""The most slots of a slab that are drawn; those in use always are."""
SHOWN_ROWS = 10
MOST_PAGES = 4096

WRONG = {
    "NULL": "",
    "kmalloc(0)": "",
    "p + 8": _("Linux 6.12 says nothing: the next owner gets p + 8, and shares bytes with the neighbour."),
    "p (freed before)": _("Linux 6.12 with a hardened freelist stops with a BUG if p was freed last; else it says "
                          "nothing, and p gets two owners."),
    "vmalloc(4096)": _("Linux 6.12 looks for a struct page that does not exist, and faults: an oops."),
    "page_address(alloc_page())": _("Linux 6.12 warns once after boot, and frees the page."),
}
"""What can be handed to kfree() without having been given by kmalloc(), and what Linux makes of it."""
SPOKEN = {"p (freed before)": _("p (freed before)")}
"""Those that are more than code, as a reader sees them."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a caller has: its address, the bytes asked for, the bytes there are, the class."""

    ptr: int
    asked: int
    room: int
    name: str
    letter: str

    @property
    def waste(self) -> int:
        """The bytes that nobody asked for."""
        return self.room - self.asked


@dataclass(frozen=True, slots=True)
class SlabState:
    """A slab, or the pages of a large request: which slot has which letter."""

    pfn: int
    order: int
    objects: int
    letters: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class KmallocState:
    """All that is drawn."""

    held: tuple[Held, ...]
    slabs: Mapping[str, tuple[SlabState, ...]]
    last: Held | None
    slabinfo: str
    asked: tuple[int, ...]
    shelves: tuple[str, ...] = ()


def kmalloc_lab(
    script: str = "",
    machine: Machine | None = None,
    *,
    pages: int = 128,
    link: str = "",
    title: str = "",
    caption: str = "",
) -> Bench:
    """Return a lab on ``machine`` (by default a bench of ``pages`` pages) that shows what kmalloc() gives.

    ``script`` is the recorded run that it opens with: ``"+100"`` asks for 100 bytes, ``"-0"`` gives back
    what the 0th request got.  ``link`` is what "Copy link" in a lab gives.  Raises ValueError if the
    script has no such step.
    """
    lab = KmallocLab(title or _("kmalloc(): bytes, classes, slabs"), caption)
    if machine is not None:
        return Bench(_run(lab, script, machine), Opening("kmalloc"), link)
    opening = Opening("kmalloc", partial(_opened, lab), {"pages": pages, "script": script})
    return Bench(opening.run(), opening, link)


def _opened(lab: KmallocLab, pages: int, script: str) -> Run:
    if not 1 <= pages <= MOST_PAGES:
        raise ValueError(_("this lab has 1 to {most_pages} pages, not {pages}", most_pages=MOST_PAGES, pages=pages))
    return _run(lab, script, Machine(pages=pages))


def _run(lab: KmallocLab, script: str, machine: Machine) -> Run:
    steps = parse(script)
    desk = _desk(machine, tuple(dict.fromkeys(_class_of(step) for step in steps if isinstance(step, int) and step)))
    run = Run(desk, lab)
    for call in _recorded(desk, steps):
        run.make(call)
    run.keep_as_recorded()
    return run


class KmallocDesk(Desk):
    """A machine, and what its caller has: what is held by address, how often it asked, what was last."""

    machine: Machine
    held: dict[int, Held]
    made: int
    last: Held | None
    freed: int
    asked: tuple[int, ...]
    shelves: tuple[str, ...]  # those that the recorded run will fill, empty until then

    def __repr__(self) -> str:
        return repr(self.machine)

    def by_letter(self, letter: str) -> Held:
        """Return what is held under a letter; ValueError if nothing is."""
        for held in self.held.values():
            if held.letter == letter:
                return held
        raise ValueError(_("nothing is held under the letter {letter!r}", letter=letter))


def _class_of(size: int) -> str:
    return kmalloc_name(kmalloc_index(size), 0) if size <= KMALLOC_MAX_CACHE_SIZE else "pages"


def _desk(machine: Machine, shelves: tuple[str, ...]) -> KmallocDesk:
    """Return a desk with a machine whose caches exist, so that their making is no part of the run."""
    for mask in MASKS.values():
        machine.kmalloc(0, mask)
    return KmallocDesk(machine=machine, held={}, made=0, last=None, freed=0, asked=(), shelves=shelves)


# Calls


@dataclass(frozen=True, slots=True)
class Ask:
    """The call kmalloc(size, gfp)."""

    size: int
    gfp: int = int(GFP_KERNEL)

    def text(self) -> Text:
        """Return the call as C."""
        return f"p = kmalloc({self.size}, {gfp_names(self.gfp)})"

    def __call__(self, desk: KmallocDesk) -> str:
        """Make the call; return what became of it as a sentence."""
        before = len(desk.machine.trace)
        ptr = desk.machine.kmalloc(self.size, self.gfp)
        desk.asked = (*desk.asked, self.size)
        if not ptr:
            return _("The caller gets NULL: {why_not}", why_not=_why_not(self.size))
        if ptr == ZERO_SIZE_PTR:
            return _("No bytes: the caller gets ZERO_SIZE_PTR, the address 16, which nobody may touch.")
        held = _held(desk.machine, ptr, self.size, _letter(desk.made))
        desk.held, desk.made, desk.last = desk.held | {ptr: held}, desk.made + 1, held
        return _says(held, desk.machine.trace[before:])


@dataclass(frozen=True, slots=True)
class GiveBack:
    """The call kfree() for what is held under this letter."""

    letter: str

    def text(self) -> Text:
        """Return the call as C."""
        return f"kfree({self.letter})"

    def __call__(self, desk: KmallocDesk) -> str:
        """Make the call; return what became of it."""
        before, held = len(desk.machine.trace), desk.by_letter(self.letter)
        desk.machine.kfree(held.ptr)
        desk.held = {ptr: each for ptr, each in desk.held.items() if ptr != held.ptr}
        desk.freed, desk.last = held.ptr, None
        if held.name.startswith("pages"):
            return _("{letter}: {room} pages go back to the page allocator.",
                     letter=held.letter, room=held.room // PAGE_SIZE)
        gone = any(isinstance(event, SlabDiscard) for event in desk.machine.trace[before:])
        rest = _("the slab is empty and its pages go back.") if gone else _(
            "the slab keeps its page; the next such request gets this object.")
        return _("{letter}: the object goes to the head of its freelist; {rest}", letter=held.letter, rest=rest)


@dataclass(frozen=True, slots=True)
class GiveBackWrongly:
    """A call of kfree() with what is not kmalloc()'s, or not held any more."""

    what: str

    def text(self) -> Text:
        """Return the call as C."""
        return f"kfree({SPOKEN.get(self.what, self.what)})"

    def __call__(self, desk: KmallocDesk) -> str:
        """Make the call; KernelBug says what it would do to Linux."""
        try:
            desk.machine.kfree(self._pointer(desk))
        except KernelBug as bug:
            raise KernelBug(f"{bug}. {WRONG[self.what]}") from None
        return _("kfree({what}) does nothing, and may: an error path can free whatever it has or has not.",
                 what=self.what)

    def _pointer(self, desk: KmallocDesk) -> int:
        if self.what == "p + 8":
            small = [ptr for ptr, held in desk.held.items() if not held.name.startswith("pages")]
            if not small:
                raise ValueError(_("nothing is held: ask for some bytes first"))
            return small[-1] + 8
        if self.what == "p (freed before)":
            if not desk.freed or desk.freed in desk.held:
                raise ValueError(_("nothing was freed that is still free: give something back first"))
            return desk.freed
        if self.what == "vmalloc(4096)":
            return desk.machine.vmalloc(4096)
        if self.what == "page_address(alloc_page())":
            return desk.machine.get_free_page(GFP_KERNEL)
        return ZERO_SIZE_PTR if self.what == "kmalloc(0)" else 0


def _letter(number: int) -> str:
    """Return a .. z, then a1 .. z1, and so on."""
    return LETTERS[number % 26] + (str(number // 26) if number >= 26 else "")


def _held(machine: Machine, ptr: int, asked: int, letter: str) -> Held:
    slab = machine.slabs.pages.get((ptr - PAGE_OFFSET) >> PAGE_SHIFT)
    room = machine.ksize(ptr)
    name = slab.cache.name if slab else _("pages, order {order}", order=get_order(room))
    return Held(ptr, asked, room, name, letter)


def _says(held: Held, events: list[Event]) -> str:
    waste = _("{waste} bytes are waste", waste=held.waste) if held.waste != 1 else _("1 byte is waste")
    if held.name.startswith("pages"):
        return _("{letter}: too large for a class; the page allocator gives {room} pages. {waste}.",
                 letter=held.letter, room=held.room // PAGE_SIZE, waste=waste.capitalize())
    new = next((event for event in events if isinstance(event, SlabNew)), None)
    pages = [event for event in events if isinstance(event, MmPageAlloc) and event.pfn is not None]
    where = _("{letter}: an object of {cache}, {room} bytes; {waste}.",
              letter=held.letter, cache=held.name, room=held.room, waste=waste)
    if new is None:
        return _("{where} Its slab was there: the page allocator hears nothing.", where=where)
    count = 1 << pages[-1].order if pages else 1
    return ngettext(
        "{where} The cache had none free: {n} page from the page allocator became a slab of {objects} objects.",
        "{where} The cache had none free: {n} pages from the page allocator become a slab of {objects} objects.",
        count, where=where, objects=len(new.freelist))


def _why_not(size: int) -> str:
    if size > KMALLOC_MAX_SIZE:
        return _("{size} bytes are more than the largest block, {most} MiB.",
                 size=size, most=KMALLOC_MAX_SIZE >> 20)
    return _("no {pages} pages in a row are free.", pages=kmalloc_size_roundup(size) // PAGE_SIZE or 1)


# Scripts


def parse(text: str) -> tuple[int | str, ...]:
    """Return the steps of ``"+100 -0"``: sizes to ask for, and ``"-0"``, which gives back the 0th.

    Raises ValueError for a word that is no step, or a request that was not made before.
    """
    steps: list[int | str] = []
    asked = 0
    for word in text.split():
        if word[0] not in "+-" or not word[1:].isdecimal():
            raise ValueError(_("{word!r} is no step: write +BYTES to ask, -N to give back the N-th", word=word))
        if word[0] == "-" and int(word[1:]) >= asked:
            raise ValueError(_("{word!r}: only {asked} requests were made before it", word=word, asked=asked))
        asked += word[0] == "+"
        steps.append(int(word[1:]) if word[0] == "+" else word)
    return tuple(steps)


def _recorded(desk: KmallocDesk, steps: tuple[int | str, ...]) -> Iterator[Call]:
    """Yield the calls of a script one by one, each to be made before the next is asked for."""
    got: list[str] = []
    for step in steps:
        if isinstance(step, int):
            before = desk.made
            yield Ask(step)
            got.append(_letter(before) if desk.made > before else "")
        elif got[int(step[1:])]:
            yield GiveBack(got[int(step[1:])])


# The picture


class KmallocLab:
    """From a desk to a scene, and from what a reader asks for to a call."""

    phrases: Mapping[str, str] = {}

    def __init__(self, title: Text = "kmalloc(): bytes, classes, slabs", caption: Text = "") -> None:
        self.title = title
        self.caption = caption
        self.view = View(_look)

    def draw(self, state: KmallocState) -> Scene:
        """Return the scene of a state: slabs by class, what is held, waste over sizes, the slabinfo line."""
        return {"": self._stage(), **_shelves(state), **_table(state), **_waste(state),
                "i": Line("/proc/slabinfo", state.slabinfo or _("(no slab yet)"))}

    def _stage(self) -> Stage:
        kinds = (Kind("K", 6, _("in use")), Kind("P", 2, _("whole pages of a large request")))
        layout = (("s",), ("t", "w"), ("i",))
        forms = (_ask(), _give_back(), _wrongly())
        return Stage(self.title, ("s", "t", "w", "i"), forms, kinds, self.caption, layout, 1)

    def tell(self, event: Event) -> tuple[Any, ...]:
        """Return a call's answer as a phrase."""
        assert isinstance(event, Called)
        return "other", ftrace(event.events), str(event.answer)

    def ask(self, before: KmallocState, after: KmallocState, events: Sequence[Event]) -> Question | None:
        """Return a question about a request: how many bytes it gives; none about other calls."""
        asked = next((event for event in events if isinstance(event, Kmalloc) and event.ptr), None)
        if asked is None:
            return None
        power = max(8, 1 << (asked.bytes_req - 1).bit_length())
        whole = -(-asked.bytes_req // PAGE_SIZE) * PAGE_SIZE
        likely = (power, -(-asked.bytes_req // 8) * 8, whole, asked.bytes_req, 2 * asked.bytes_alloc)
        rooms, right = among(asked.bytes_alloc, likely)
        text = _("How many bytes does a request for {bytes_req} get?", bytes_req=asked.bytes_req)
        return Question(text, tuple(map(str, rooms)), right)

    def read(self, action: Mapping[str, Any]) -> Call:
        """Return the call for an action: ask, give, or wrong.  Raises ValueError if it is none."""
        match action.get("do"):
            case "ask":
                size = action.get("size")
                if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < 1 << 48:
                    raise ValueError(_("a size is a number of bytes, 0 or more, not {size!r}", size=size))
                if (gfp := action.get("gfp")) not in MASKS:
                    raise ValueError(_("{gfp!r} is none of the masks {masks}", gfp=gfp, masks=", ".join(MASKS)))
                return Ask(size, MASKS[gfp])
            case "give":
                letter = str(action.get("object") or "").partition(":")[2]
                if not letter:
                    raise ValueError(_("there is nothing to give back: nothing is held"))
                return GiveBack(letter)
            case "wrong":
                if (what := action.get("what")) not in WRONG:
                    raise ValueError(_("{what!r} is nothing that this lab hands to kfree()", what=what))
                return GiveBackWrongly(what)
            case other:
                raise ValueError(_("{other!r} is nothing that this lab can do", other=other))


def _ask() -> Form:
    size = Number("size", _("size: how many bytes you need"), 100, 0, KMALLOC_MAX_SIZE + 1)
    gfp = Choice("gfp", _("gfp: how hard to try, and which set of caches"), tuple(MASKS), "GFP_KERNEL")
    return Form("ask", ("p = kmalloc(", size, ", ", gfp, ");"), _("Ask"), "void *kmalloc(size_t size, gfp_t flags);")


def _give_back() -> Form:
    held = Pick("object", _("p: what to give back"), ("t",), "held")
    return Form("give", ("kfree(", held, ");"), _("Give back"), "void kfree(const void *objp);",
                _("or click a row of the table"), "object")


def _wrongly() -> Form:
    words = tuple(SPOKEN.get(what, what) for what in WRONG)
    what = Choice("what", _("what kmalloc() never gave, or not any more"), tuple(WRONG), "p + 8", words=words)
    return Form("wrong", ("kfree(", what, ");"), _("Do it wrong"), "void kfree(const void *objp);")


def _look(desk: KmallocDesk) -> KmallocState:
    machine = desk.machine
    letters = {ptr: held.letter for ptr, held in desk.held.items()}
    slabs: dict[str, tuple[SlabState, ...]] = {}
    for name, cache in slab_snapshot(machine).items():
        size = next((s.size for s in machine.slabs.caches if s.name == name), 0)
        drawn = [_slab(view.pfn, view.order, view.objects, size, letters) for view in cache.slabs.values()]
        if drawn:
            slabs[name] = tuple(drawn)
    large = tuple(_pages(held) for held in desk.held.values() if held.name.startswith("pages"))
    if large:
        slabs["pages"] = large
    name = desk.last.name if desk.last else next(iter(slabs), "")
    lines = [line for line in slabinfo(machine).splitlines() if line.split()[0] == name]
    if desk.last is not None and not lines:
        lines = [_("({letter} has whole pages: it is in no slab)", letter=desk.last.letter)]
    return KmallocState(tuple(desk.held.values()), slabs, desk.last, "".join(lines), desk.asked, desk.shelves)


def _slab(pfn: int, order: int, objects: int, size: int, letters: Mapping[int, str]) -> SlabState:
    start = PAGE_OFFSET + (pfn << PAGE_SHIFT)
    mine = {index: letters[start + index * size] for index in range(objects) if start + index * size in letters}
    return SlabState(pfn, order, objects, mine)


def _pages(held: Held) -> SlabState:
    order = get_order(held.room)
    return SlabState((held.ptr - PAGE_OFFSET) >> PAGE_SHIFT, order, 1 << order, {0: held.letter})


def _shelves(state: KmallocState) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    names = sorted({*state.slabs, *state.shelves}, key=_class_size)
    for name in names:
        slabs = state.slabs.get(name, ())
        boxes = {f"s:{slab.pfn}": _box(name, slab) for slab in slabs}
        label = _("pages") if name == "pages" else name
        nodes[f"s:{name}"] = Shelf(label, _shelf_note(name, slabs[0]) if slabs else _("no slab yet"), tuple(boxes))
        nodes |= boxes
    note = _("each box a slab, each slot an object") if names else _("no slab yet: nothing was asked for")
    return {"s": Shelves(_("Slabs of kmalloc()"), note, tuple(f"s:{name}" for name in names)), **nodes}


def _class_size(name: str) -> tuple[int, str]:
    number = name.rpartition("-")[2]
    if not number[:1].isdigit():
        return 1 << 30, name
    return int(number.removesuffix("k")) << (10 if number.endswith("k") else 0), name


def _shelf_note(name: str, slab: SlabState) -> str:
    if name == "pages":
        return _("above 8 KiB")
    pages = _("a page") if slab.order == 0 else _("{order} pages", order=1 << slab.order)
    return _("{objects} objects in {pages}", objects=slab.objects, pages=pages)


def _box(name: str, slab: SlabState) -> Box:
    if name == "pages":
        letter = slab.letters[0]
        shown = min(slab.objects, SHOWN_SLOTS)
        label = _("pfn {pfn}: {letter}", pfn=slab.pfn, letter=letter)
        return Box(label, ("P",) * shown, note=_rest(slab.objects, shown, _("pages")), state="pages")
    shown = min(slab.objects, max(SHOWN_SLOTS, max(slab.letters, default=0) + 1))
    slots = tuple("K" if index in slab.letters else "" for index in range(shown))
    held = (_("{letter} at {index}", letter=letter, index=index) for index, letter in sorted(slab.letters.items()))
    note = _rest(slab.objects, shown, _("objects"))
    return Box(_("pfn {pfn}", pfn=slab.pfn), slots, note=note, says=", ".join(held), state="slab")


def _rest(count: int, shown: int, what: str) -> str:
    return _("… and {count} more {what}", count=count - shown, what=what) if count > shown else ""


def _table(state: KmallocState) -> dict[str, Node]:
    rows = {f"t:{held.letter}": _row(held, held == state.last) for held in reversed(state.held)}
    shown = dict(list(rows.items())[:SHOWN_ROWS])
    asked, room = sum(held.asked for held in state.held), sum(held.room for held in state.held)
    note = _("{asked} bytes asked for, {room} given: {percent} wasted",
             asked=asked, room=room, percent=_percent(room - asked, room)) if room else _("nothing")
    return {"t": Table(_("What you hold"), note, ("p", _("asked"), _("class"), _("wasted")), tuple(shown), "lrlr"),
            **shown}


def _row(held: Held, last: bool) -> Row:
    cells = (held.letter, held.asked, held.name, f"{held.waste} ({_percent(held.waste, held.room)})")
    says = _("{letter} is at {ptr:#x}: {asked} bytes asked for, {room} given. Press to give back.",
             letter=held.letter, ptr=held.ptr, asked=held.asked, room=held.room)
    return Row(cells, mark="now" if last else "", state="held", says=says)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "0 %"


CLASSES = tuple(sorted(size for size in KMALLOC_SIZES if size))
SIZES = tuple(
    size for below, above in zip((4, *CLASSES), (*CLASSES, 2 * CLASSES[-1]), strict=True)
    for size in (below + 1, (below + above) // 2, above)
)[2:]
"""Sizes to ask for: just above each class, between it and the next, and the next itself."""


def _waste(state: KmallocState) -> dict[str, Node]:
    """Return the bars: what share of an object is wasted by requests of these sizes, and by the last one's."""
    shares = tuple(100 * (1 - size / kmalloc_size_roundup(size)) for size in SIZES)
    at = _nearest(state.asked[-1]) if state.asked else None
    mine = tuple(share if index == at else None for index, share in enumerate(shares))
    others = tuple(None if index == at else share for index, share in enumerate(shares))
    return {
        "w": Plot(_("Waste over sizes"), _("just above each class, midway, and the class itself"), ("w:all", "w:mine"),
                  "bars", _("bytes asked for"), _("% of the object"), names=tuple(map(str, SIZES)), top=50),
        "w:all": Series(_("wasted"), others, 1),
        "w:mine": Series(_("like your last request"), mine, 2),
    }


def _nearest(size: int) -> int:
    """Return which of SIZES has the class of a size and its waste most nearly."""
    def distance(index: int) -> tuple[bool, int]:
        return kmalloc_size_roundup(SIZES[index]) != kmalloc_size_roundup(size), abs(SIZES[index] - size)

    return min(range(len(SIZES)), key=distance)
