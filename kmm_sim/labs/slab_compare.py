# SPDX-License-Identifier: GPL-2.0-only
"""SLAB, SLUB and SLOB side by side: the same requests on three machines.

    three_slabs_lab()                              two caches, nothing done yet
    three_slabs_lab("a a b a b b -0 -3")           a recorded run: an object of each, then frees

Each object has the same letter everywhere, so that one sees where each allocator put it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kmm_sim.catalogue import _, ngettext
from kmm_sim.labs.ask import Question
from kmm_sim.labs.bench import Bench
from kmm_sim.labs.ftrace import ftrace
from kmm_sim.labs.link import Value
from kmm_sim.labs.opening import Opening
from kmm_sim.labs.run import Call, Run
from kmm_sim.labs.scene import (
    Box,
    Choice,
    Form,
    Kind,
    Node,
    Number,
    Pick,
    Row,
    Scene,
    Shelf,
    Shelves,
    Stage,
    Table,
    Text,
)
from kmm_sim.labs.slab_calls import cache_of, slot_of
from kmm_sim.labs.view import Called, Desk, On, View
from kmm_sim.machine import Machine
from kmm_sim.mm.gfp import GFP_KERNEL
from kmm_sim.mm.page import PAGE_SIZE
from kmm_sim.mm.slab_common import SlabFlags
from kmm_sim.mm.slab_events import SlabEvent
from kmm_sim.observe import lists_snapshot, slab_snapshot, slob_snapshot
from kmm_sim.trace import Event

__all__ = ["ALLOCATORS", "Drawn", "Free", "Get", "ThreeSlabsLab", "ThreeState", "three_slabs_lab"]

ALLOCATORS = {"slab": "SLAB (2.6.34)", "slub": "SLUB (6.12)", "slob": "SLOB (6.1)"}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
CACHES = "AB"
LISTS = {
    "slab": {"full": _("full"), "partial": _("partial"), "free": _("free")},
    "slub": {"cpu": _("the CPU’s slab"), "aside": _("put aside"), "node": _("node: partial"),
             "full": _("full, on no list")},
    "slob": {"small": _("below 256 bytes"), "medium": _("below 1024"), "large": _("the rest"),
             "full": _("full, on no list")},
}


class ThreeDesk(Desk):
    """Three machines, the sizes of the caches A and B, and where each object is: letter -> cache, addresses."""

    slab: Machine
    slub: Machine
    slob: Machine
    sizes: tuple[int, int]
    held: dict[str, tuple[str, dict[str, int]]]
    made: int

    def __repr__(self) -> str:
        return "<SLAB, SLUB and SLOB>"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A slab or a page: the list it is on, and its slots, with widths in bytes where they differ."""

    pfn: int
    name: str
    on: str
    slots: tuple[str, ...]
    widths: tuple[int, ...] = ()
    pages: int = 1


@dataclass(frozen=True, slots=True)
class ThreeState:
    """All that is drawn: the slabs of each allocator, and the bytes that users hold."""

    slabs: Mapping[str, tuple[Drawn, ...]]
    bytes_held: int
    held: Mapping[str, str]


def three_slabs_lab(
    script: str = "",
    *,
    a: int = 600,
    b: int = 200,
    pages: int = 128,
    link: str = "",
    title: str = "",
    caption: str = "",
) -> Bench:
    """Return a lab on three machines that have two caches each, of objects of ``a`` and of ``b`` bytes.

    ``script``: ``a`` allocates an object of the first cache, ``b5`` five of the second, ``-3`` frees the
    object that was allocated fourth.  Raises ValueError for a word that is none of these.
    """
    settings: dict[str, Value] = {"script": script, "a": a, "b": b, "pages": pages, "title": title, "caption": caption}
    opening = Opening("three_slabs", _start, settings)
    return Bench(opening.run(), opening, link)


def _start(script: str, a: int, b: int, pages: int, title: str, caption: str) -> Run:
    desk = _desk((a, b), pages)
    run = Run(desk, ThreeSlabsLab((a, b), title or _("The same objects in SLAB, SLUB and SLOB"), caption))
    for call in _recorded(desk, script):
        run.make(call)
    run.keep_as_recorded()
    return run


def _desk(sizes: tuple[int, int], pages: int) -> ThreeDesk:
    machines = {name: Machine(pages=pages, slab=name) for name in ALLOCATORS}
    for machine in machines.values():
        for name, size in zip(CACHES, sizes, strict=True):
            machine.kmem_cache_create(name, size, flags=int(SlabFlags.NO_MERGE))
    return ThreeDesk(**machines, sizes=sizes, held={}, made=0)


def _letter(number: int) -> str:
    return LETTERS[number % 26] + (str(number // 26) if number >= 26 else "")


# Calls


@dataclass(frozen=True, slots=True)
class Get:
    """The call kmem_cache_alloc(), so many times, on all three machines."""

    cache: str
    count: int = 1

    def text(self) -> Text:
        """Return the call as C."""
        times = f"{self.count} × " if self.count > 1 else ""
        return f"{times}kmem_cache_alloc({self.cache}, GFP_KERNEL)"

    def __call__(self, desk: ThreeDesk) -> str:
        """Make the calls; return what became of them as a sentence."""
        before = _pages(desk)
        for _turn in range(self.count):
            got = {name: machine.kmem_cache_alloc(cache_of(machine, self.cache), GFP_KERNEL)
                   for name, machine in desk.machines.items()}  # fmt: skip
            desk.held = desk.held | {_letter(desk.made): (self.cache, got)}
            desk.made += 1
        return _("New pages: {counts}.", counts=_compared(before, _pages(desk)))


@dataclass(frozen=True, slots=True)
class Free:
    """The call kmem_cache_free() for the object with this letter, on all three machines."""

    letter: str
    cache: str

    def text(self) -> Text:
        """Return the call as C."""
        return f"kmem_cache_free({self.cache}, {self.letter})"

    def __call__(self, desk: ThreeDesk) -> str:
        """Make the call; return what became of it.  Raises ValueError if nobody holds such an object."""
        if self.letter not in desk.held:
            raise ValueError(_("no object has the letter {letter!r}", letter=self.letter))
        before = _pages(desk)
        cache, addresses = desk.held[self.letter]
        for name, machine in desk.machines.items():
            machine.kmem_cache_free(cache_of(machine, cache), addresses[name])
        desk.held = {letter: each for letter, each in desk.held.items() if letter != self.letter}
        counts = _compared(before, _pages(desk))
        return _("{letter} is free. Pages given back: {counts}.", letter=self.letter, counts=counts)


@dataclass(frozen=True, slots=True)
class ShrinkAll:
    """The call kmem_cache_shrink() for both caches, on all three machines."""

    def text(self) -> Text:
        """Return the call as C."""
        return "kmem_cache_shrink(A), kmem_cache_shrink(B)"

    def __call__(self, desk: ThreeDesk) -> str:
        """Make the calls; return what became of them."""
        before = _pages(desk)
        for machine in desk.machines.values():
            for name in CACHES:
                machine.kmem_cache_shrink(cache_of(machine, name))
        return _("Pages given back: {counts}.", counts=_compared(before, _pages(desk)))


def _pages(desk: ThreeDesk) -> dict[str, int]:
    return {name: len(machine.slabs.pages) for name, machine in desk.machines.items()}


def _compared(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    return ", ".join(f"{name.upper()} {abs(after[name] - before[name])}" for name in ALLOCATORS)


def _recorded(desk: ThreeDesk, script: str) -> Iterator[Call]:
    for word in script.split():
        if word[0].upper() in CACHES and (word[1:].isdecimal() or not word[1:]):
            yield Get(word[0].upper(), int(word[1:] or 1))
        elif word[0] == "-" and word[1:].isdecimal():
            letter = _letter(int(word[1:]))
            yield Free(letter, desk.held[letter][0] if letter in desk.held else "")
        elif word == "shrink":
            yield ShrinkAll()
        else:
            raise ValueError(_("{word!r} is no step: write a or b with a count, -N to free the Nth, or shrink",
                               word=word))


# The picture


class ThreeSlabsLab:
    """From a desk to a scene, and from what a reader asks for to a call."""

    phrases: Mapping[str, str] = {}

    def __init__(self, sizes: tuple[int, int], title: Text, caption: Text = "") -> None:
        self.sizes, self.title, self.caption = sizes, title, caption
        self.view = View(_look)

    def draw(self, state: ThreeState) -> Scene:
        """Return the scene of a state: the slabs of each allocator, and how they compare."""
        scene: dict[str, Node] = {"": self._stage()}
        for name in ALLOCATORS:
            scene |= _shelves(name, state)
        return scene | self._table(state)

    def _stage(self) -> Stage:
        notes = tuple(_("objects of {size} bytes", size=size) for size in self.sizes)
        cache = Choice("cache", _("which cache"), tuple(CACHES), "A", notes)
        count = Number("count", _("how many times"), 1, 1, 20)
        held = Pick("object", _("the object to free"), tuple(ALLOCATORS), "slab", "slots")
        forms = (
            Form("get", (count, " × ", "p = kmem_cache_alloc(", cache, ", GFP_KERNEL);"), _("Allocate"),
                 "void *kmem_cache_alloc(struct kmem_cache *cachep, gfp_t flags);"),
            Form("free", ("kmem_cache_free(cache, ", held, ");"), _("Free"),
                 "void kmem_cache_free(struct kmem_cache *s, void *objp);", _("or click a letter"), "object"),
            Form("shrink", ("kmem_cache_shrink(A); ", "kmem_cache_shrink(B);"), _("Shrink"),
                 "int kmem_cache_shrink(struct kmem_cache *s);"),
        )
        kinds = (Kind("a", 1, _("an object in use")), Kind("·", 2, _("free, in the CPU’s array (SLAB)")))
        return Stage(self.title, (*ALLOCATORS, "t"), forms, kinds, self.caption, (tuple(ALLOCATORS), ("t",)), 1)

    def _table(self, state: ThreeState) -> dict[str, Node]:
        rows: dict[str, Node] = {}
        for name, label in ALLOCATORS.items():
            pages = _pages_of(state, name)
            share = f"{100 * state.bytes_held / (pages * PAGE_SIZE):.0f} %" if pages else ""
            rows[f"t:{name}"] = Row((label, len(state.slabs[name]), pages, share))
        a, b = self.sizes
        note = _("{held} bytes in use; A: {a} bytes, B: {b}", held=state.bytes_held, a=a, b=b)
        head = ("", _("slabs"), _("pages"), _("of their bytes in use"))
        return {"t": Table(_("What it costs"), note, head, tuple(rows), "lrrr"), **rows}

    def tell(self, event: Event) -> tuple[Any, ...]:
        """Return a call's answer as a phrase."""
        assert isinstance(event, Called)
        return "other", ftrace(each for each in event.events if _of_slabs(each)), str(event.answer)

    def ask(self, before: ThreeState, after: ThreeState, events: Sequence[Event]) -> Question:
        """Ask which of the three take pages for an allocation, or give pages back."""
        changed = tuple(name for name in ALLOCATORS if _pages_of(after, name) != _pages_of(before, name))
        options = [*dict.fromkeys(((), *((name,) for name in ALLOCATORS), changed, tuple(ALLOCATORS)))]
        takes = len(after.held) > len(before.held)
        text = _("Which of them need new pages for it?") if takes else _("Which of them give pages back?")
        return Question(text, tuple(map(_named, options)), options.index(changed))

    def read(self, action: Mapping[str, Any]) -> Call:
        """Return the call for an action: get, free or shrink.  Raises ValueError if it is none."""
        match action.get("do"):
            case "get":
                count, cache = action.get("count"), action.get("cache")
                if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 20:
                    raise ValueError(_("a count is a whole number from 1 to 20, not {count!r}", count=count))
                if cache not in tuple(CACHES):
                    caches = ", ".join(CACHES)
                    raise ValueError(_("{cache!r} is none of the caches {caches}", cache=cache, caches=caches))
                return Get(str(cache), count)
            case "free":
                return FreeAt(str(action.get("object") or ""))
            case "shrink":
                return ShrinkAll()
            case other:
                raise ValueError(_("{other!r} is nothing that this lab can do", other=other))


@dataclass(slots=True)
class FreeAt:
    """A free of the object that stands in a slot of one of the three; which one it is, is known once it was made."""

    key: str
    found: Free | None = None

    def text(self) -> Text:
        """Return the call as C."""
        return self.found.text() if self.found else f"kmem_cache_free(cache, {self.key})"

    def __call__(self, desk: ThreeDesk) -> str:
        """Find the letter and free it everywhere.  Raises ValueError if the slot is free."""
        name, __, slot = self.key.partition(":")
        pfn, __, nth = slot.partition("/")
        for letter, (cache, addresses) in desk.held.items():
            if name in addresses and slot_of(desk.machines[name], addresses[name]) == (int(pfn or -1), int(nth or -1)):
                self.found = Free(letter, cache)
                return self.found(desk)
        raise ValueError(_("that object is not in use"))


def _look(desk: ThreeDesk) -> ThreeState:
    letters = {name: {slot_of(desk.machines[name], addresses[name]): letter
                      for letter, (_cache, addresses) in desk.held.items()} for name in ALLOCATORS}  # fmt: skip
    slabs = {"slab": _of_slab(desk.slab, letters["slab"]), "slub": _of_slub(desk.slub, letters["slub"]),
             "slob": _of_slob(desk.slob, letters["slob"])}  # fmt: skip
    size = dict(zip(CACHES, desk.sizes, strict=True))
    held = {letter: cache for letter, (cache, _addresses) in desk.held.items()}
    return ThreeState(slabs, sum(size[cache] for cache in held.values()), held)


def _of_slabs(event: Event) -> bool:
    """Return whether an event of one of the machines is its slab allocator's: it has only so much room for each."""
    return isinstance(event, On) and isinstance(event.event, SlabEvent)


def _pages_of(state: ThreeState, name: str) -> int:
    return sum(slab.pages for slab in state.slabs[name])


def _named(names: Sequence[str]) -> str:
    """Return some of the allocators in words."""
    if len(names) in (0, len(ALLOCATORS)):
        return _("all three") if names else _("none of them")
    if len(names) == 1:
        return _("{name} only", name=names[0].upper())
    return _(" and ").join(map(str.upper, names))


Letters = Mapping[tuple[int, int], str]


def _of_slab(machine: Machine, letters: Letters) -> tuple[Drawn, ...]:
    drawn = []
    for cache in CACHES:
        view = lists_snapshot(machine)[cache]
        cached = {at for array in view.arrays for at in array}
        for pfn, slab in view.slabs.items():
            slots = tuple(letters.get((pfn, at), "·" if (pfn, at) in cached else "") for at in range(slab.objects))
            drawn.append(Drawn(pfn, cache, slab.on, slots, pages=1 << machine.slabs.pages[pfn].cache.order))
    return tuple(drawn)


def _of_slub(machine: Machine, letters: Letters) -> tuple[Drawn, ...]:
    places = {"cpu 0": "cpu", "cpu 0 partial": "aside", "partial": "node", "": "full"}
    drawn = []
    for cache in CACHES:
        for pfn, slab in slab_snapshot(machine)[cache].slabs.items():
            slots = tuple(letters.get((pfn, at), "") for at in range(slab.objects))
            drawn.append(Drawn(pfn, cache, places[slab.place], slots, pages=1 << slab.order))
    return tuple(drawn)


def _of_slob(machine: Machine, letters: Letters) -> tuple[Drawn, ...]:
    drawn = []
    for pfn, page in slob_snapshot(machine).pages.items():
        blocks = sorted([*page.held, *page.free])
        slots = tuple(letters.get((pfn, nth), "") for nth in range(len(blocks)))
        drawn.append(Drawn(pfn, "", page.on or "full", slots, tuple(size for _offset, size in blocks)))
    return tuple(drawn)


def _shelves(name: str, state: ThreeState) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    for on, label in LISTS[name].items():
        mine = [slab for slab in state.slabs[name] if slab.on == on]
        nodes[f"{name}:{on}"] = Shelf(label, "", tuple(f"{name}:{slab.pfn}" for slab in mine))
        nodes |= {f"{name}:{slab.pfn}": _box(slab) for slab in mine}
    pages = _pages_of(state, name)
    shelves = tuple(f"{name}:{on}" for on in LISTS[name])
    return {name: Shelves(ALLOCATORS[name], ngettext("{n} page", "{n} pages", pages), shelves), **nodes}


def _box(slab: Drawn) -> Box:
    note = ngettext("{n} page", "{n} pages", slab.pages) if slab.pages > 1 else ""
    return Box(f"{slab.name} {slab.pfn}".strip(), slab.slots, slab.widths, note=note, state="slab")
