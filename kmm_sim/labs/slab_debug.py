# SPDX-License-Identifier: GPL-2.0-only
"""The lab of slab_debug: the bytes of an object and around it, and what is found when somebody overran it.

    slab_debug_lab("take write:64 free")           red zone, poison, tracks, and a byte too many
    slab_debug_lab("take free write:3 take", debug="")      the same without the checks: nobody notices

A frame is a call.  The machine does not teach here: it goes on as Linux does, and writes its report.
"""

from __future__ import annotations

import re
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
    Bytes,
    Form,
    Kind,
    Line,
    Node,
    Number,
    Pick,
    Scene,
    Shelf,
    Shelves,
    Span,
    Stage,
    Text,
)
from kmm_sim.labs.view import Called, Desk, View
from kmm_sim.machine import Machine
from kmm_sim.mm.gfp import GFP_KERNEL
from kmm_sim.mm.slab_common import SlabFlags
from kmm_sim.mm.slub_def import SlubCache, slabs_of
from kmm_sim.observe import Region, object_layout
from kmm_sim.trace import Event

__all__ = ["DebugState", "GiveBack", "SlabDebugLab", "Take", "Write", "slab_debug_lab"]

TONES = {"object": 1, "free pointer": 5, "left red zone": 4, "right red zone": 4, "who allocated it": 3,
         "who freed it": 3, "size asked for": 3, "padding": 0}  # fmt: skip
LETTERS = {"object": "A", "free pointer": "→", "left red zone": "Z", "right red zone": "Z", "who allocated it": "U",
           "who freed it": "U", "size asked for": "U", "padding": "P"}  # fmt: skip
SPOKEN = {"object": _("object"), "free pointer": _("free pointer"), "left red zone": _("left red zone"),
          "right red zone": _("right red zone"), "who allocated it": _("who allocated it"),
          "who freed it": _("who freed it"), "size asked for": _("size asked for"),
          "padding": _("padding")}  # fmt: skip
"""What object_layout() calls the parts of an object's place, and what a reader does."""
WHO = ("who allocated it", "who freed it")
SHOWN_LINES = 18
NOTHING = _("nothing")
FINDINGS = ("Right Redzone overwritten", "Poison overwritten", "Object already free")
"""What the kernel has to say, as its reports begin."""


class DebugDesk(Desk):
    """A machine, its cache, the object that is looked at, which are held, and the kernel's last report."""

    machine: Machine
    cache: SlubCache
    chosen: int
    held: tuple[int, ...]
    report: tuple[str, ...]

    def __repr__(self) -> str:
        return "<bytes of an object>"


@dataclass(frozen=True, slots=True)
class DebugState:
    """All that is drawn; an object is its index in the slab.  ``lines`` counts those of the kernel's log."""

    objects: int
    chosen: int
    held: tuple[int, ...]
    start: int
    regions: tuple[Region, ...]
    data: bytes
    report: tuple[str, ...]
    lines: int


def slab_debug_lab(
    script: str = "",
    *,
    size: int = 64,
    debug: str = "FZPU",
    hardened: bool = False,
    link: str = "",
    title: str = "",
    caption: str = "",
) -> Bench:
    """Return a lab on the bytes of a small cache whose objects are checked.

    ``debug`` are the letters of slab_debug; none are none.  ``script`` is the recorded run: ``take``,
    ``free``, and ``write:64``, which writes one byte at that place of the object that is looked at.

    Raises ValueError for unknown letters or steps.
    """
    settings: dict[str, Value] = {
        "script": script, "size": size, "debug": debug, "hardened": hardened, "title": title, "caption": caption,
    }  # fmt: skip
    opening = Opening("slab_debug", _start, settings)
    return Bench(opening.run(), opening, link)


def _start(script: str, size: int, debug: str, hardened: bool, title: str, caption: str) -> Run:
    desk = _desk(size, debug, hardened)
    name = f"slab_debug={debug}" if debug else _("no checks")
    run = Run(desk, SlabDebugLab(size, title or _("The bytes of an object, {name}", name=name), caption))
    for call in _recorded(desk, script):
        run.make(call)
    run.keep_as_recorded()
    return run


def _desk(size: int, debug: str, hardened: bool) -> DebugDesk:
    """Return a desk whose cache has one slab already, all of it free."""
    machine = Machine(pages=16, slab_debug=debug, slab_hardened=1 if hardened else None, teaching=False)
    cache = machine.kmem_cache_create("example", size, flags=int(SlabFlags.NO_MERGE))
    desk = DebugDesk(machine=machine, cache=cache, chosen=0, held=(), report=())
    example_free(desk, example_alloc(desk))
    return desk


# Calls


def example_alloc(desk: DebugDesk) -> int:
    """Return the address of a new object.  A report names this function as the one that allocated it."""
    return desk.machine.kmem_cache_alloc(desk.cache, GFP_KERNEL)


def example_free(desk: DebugDesk, ptr: int) -> None:
    """Free an object.  A report names this function as the one that freed it."""
    desk.machine.kmem_cache_free(desk.cache, ptr)


@dataclass(frozen=True, slots=True)
class Take:
    """The call kmem_cache_alloc(); the object it gives is looked at."""

    def text(self) -> Text:
        """Return the call as C."""
        return "p = kmem_cache_alloc(example, GFP_KERNEL)"

    def __call__(self, desk: DebugDesk) -> str:
        """Make the call; return what became of it as a sentence."""
        seen = len(desk.machine.dmesg)
        ptr = example_alloc(desk)
        if not ptr:
            return _("The caller gets NULL.")
        looked = _("The kernel looks at the free object first, and finds that somebody wrote to it. ")
        found = looked if _reported(desk, seen) else ""
        slab = slabs_of(desk.cache)[0]
        index = (ptr - slab.base) // desk.cache.size
        if not 0 <= index < slab.objects:
            return _("{found}It uses that slab no more: the caller gets {ptr:#x}, of another slab.",
                     found=found, ptr=ptr)
        desk.chosen, desk.held = index, (*desk.held, index)
        return _("{found}The caller gets object {index}, at {ptr:#x}.", found=found, index=index, ptr=ptr)


@dataclass(frozen=True, slots=True)
class GiveBack:
    """The call kmem_cache_free() for an object."""

    index: int

    def text(self) -> Text:
        """Return the call as C."""
        return f"kmem_cache_free(example, object {self.index})"

    def __call__(self, desk: DebugDesk) -> str:
        """Make the call; return what became of it as a sentence."""
        seen = len(desk.machine.dmesg)
        example_free(desk, _address(desk, self.index))
        desk.chosen = self.index
        if _reported(desk, seen):
            return _("The kernel looks around object {index}, and does not like what it sees: read its report.",
                     index=self.index)
        if self.index not in desk.held:
            return _("Object {index} was free already, and nobody notices: it is on the freelist twice.",
                     index=self.index)
        desk.held = tuple(index for index in desk.held if index != self.index)
        return _("Object {index} is free.", index=self.index)


@dataclass(frozen=True, slots=True)
class Write:
    """A write of one byte, counted from the object's first."""

    index: int
    offset: int
    value: int

    def text(self) -> Text:
        """Return the write as C."""
        return f"((char *)p)[{self.offset}] = {self.value:#x}"

    def __call__(self, desk: DebugDesk) -> str:
        """Write the byte, whoever it belongs to; return whose it was."""
        desk.machine.write(_address(desk, self.index) + self.offset, bytes((self.value,)))
        desk.chosen = self.index
        free = self.index not in desk.held
        name = next((each.name for each in object_layout(desk.cache, free)
                     if each.start <= self.offset < each.start + each.size), "")
        if name == "object":
            return _("The object is free: use after free.") if free else _("A byte of the object: all is well.")
        region = SPOKEN[name] if name else _("the next object’s place")
        return _("That byte is no part of the object: it belongs to the {region}. Nothing happens, yet.", region=region)


def _reported(desk: DebugDesk, seen: int) -> bool:
    """Keep what the kernel wrote since line ``seen`` of its log; return whether it wrote anything."""
    lines = tuple(desk.machine.dmesg[seen:])
    desk.report = lines or desk.report
    return bool(lines)


def _address(desk: DebugDesk, index: int) -> int:
    slab = slabs_of(desk.cache)[0]
    if not 0 <= index < slab.objects:
        raise ValueError(_("the slab has the objects 0 to {last}, not {index}", last=slab.objects - 1, index=index))
    return slab.base + index * desk.cache.size


def _recorded(desk: DebugDesk, script: str) -> Iterator[Call]:
    for word in script.split():
        step, __, offset = word.partition(":")
        if step == "take" and not offset:
            yield Take()
        elif step == "free" and not offset:
            yield GiveBack(desk.chosen)
        elif step == "write" and offset.lstrip("-").isdecimal():
            yield Write(desk.chosen, int(offset), 0x42)
        else:
            raise ValueError(_("{word!r} is no step: write take, free, or write:OFFSET", word=word))


# The picture


class SlabDebugLab:
    """From a desk to a scene, and from what a reader asks for to a call."""

    phrases: Mapping[str, str] = {}

    def __init__(self, size: int, title: Text, caption: Text = "") -> None:
        self.size, self.title, self.caption = size, title, caption
        self.view = View(_look)

    def draw(self, state: DebugState) -> Scene:
        """Return the scene of a state: the slab, the bytes of the object looked at, the kernel's report."""
        return {"": self._stage(), **_slab(state), **_bytes(state), "d": Line(_("dmesg"), _report(state))}

    def _stage(self) -> Stage:
        kinds = (Kind("A", 1, _("object")), Kind("Z", 4, _("red zone")), Kind("→", 5, _("free pointer")),
                 Kind("U", 3, _("tracks")))  # fmt: skip
        held = Pick("object", _("p: the object"), ("s",), "slab", "slots")
        where = Number("offset", _("which byte of it"), self.size, -16, 4 * self.size)
        value = Number("value", _("what is written"), 0x42, 0, 255)
        looked = _("p is the object that is looked at, held or free")
        forms = (
            Form("take", ("p = kmem_cache_alloc(", "example, GFP_KERNEL);"), _("Allocate"),
                 "void *kmem_cache_alloc(struct kmem_cache *cachep, gfp_t flags);"),
            Form("write", ("((char *)p)[", where, "] = ", value, ";"), _("Write"), looked),
            Form("free", ("kmem_cache_free(example, ", held, ");"), _("Free"),
                 "void kmem_cache_free(struct kmem_cache *s, void *objp);", _("or click an object"), "object"),
            Form("again", ("kmem_cache_free(example, p);",), _("Free p"), looked),
        )
        return Stage(self.title, ("s", "b", "d"), forms, kinds, self.caption, (("s",), ("b",), ("d",)), 2)

    def tell(self, event: Event) -> tuple[Any, ...]:
        """Return a call's answer as a phrase."""
        assert isinstance(event, Called)
        return "other", ftrace(event.events), str(event.answer)

    def ask(self, before: DebugState, after: DebugState, events: Sequence[Event]) -> Question:
        """Ask what the kernel finds: a wrong write is found by a later call, by some check, or never."""
        found = _finding(after.report) if after.lines > before.lines else NOTHING
        options = (NOTHING, *FINDINGS) if found in (NOTHING, *FINDINGS) else (NOTHING, *FINDINGS, found)
        return Question(_("What will the kernel write in its log?"), options, options.index(found))

    def read(self, action: Mapping[str, Any]) -> Call:
        """Return the call for an action: take, write or free.  Raises ValueError if it is none."""
        match action.get("do"):
            case "take":
                return Take()
            case "write":
                return WriteChosen(_whole(action.get("offset")), _whole(action.get("value")))
            case "again":
                return GiveBackChosen()
            case "free":
                index = str(action.get("object") or "").partition("/")[2]
                if not index.isdecimal():
                    raise ValueError(_("there is no object to free: nothing is held"))
                return GiveBack(int(index))
            case other:
                raise ValueError(_("{other!r} is nothing that this lab can do", other=other))


@dataclass(frozen=True, slots=True)
class WriteChosen:
    """A write of one byte to the object that is looked at."""

    offset: int
    value: int

    def text(self) -> Text:
        """Return the write as C."""
        return Write(0, self.offset, self.value).text()

    def __call__(self, desk: DebugDesk) -> str:
        """Write the byte."""
        return Write(desk.chosen, self.offset, self.value)(desk)


@dataclass(frozen=True, slots=True)
class GiveBackChosen:
    """The call kmem_cache_free() for the object that is looked at, though it may be free."""

    def text(self) -> Text:
        """Return the call as C."""
        return "kmem_cache_free(example, p)"

    def __call__(self, desk: DebugDesk) -> str:
        """Make the call."""
        return GiveBack(desk.chosen)(desk)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -4096 <= value <= 4096:
        raise ValueError(_("a whole number is wanted, not {value!r}", value=value))
    return value


def _look(desk: DebugDesk) -> DebugState:
    s, slab = desk.cache, slabs_of(desk.cache)[0]
    start = slab.base + desk.chosen * s.size - s.red_left_pad
    regions = object_layout(s, free=desk.chosen not in desk.held)
    data = desk.machine.read(start, s.size)
    return DebugState(slab.objects, desk.chosen, desk.held, start, regions, data, desk.report[:SHOWN_LINES],
                      len(desk.machine.dmesg))


def _slab(state: DebugState) -> dict[str, Node]:
    slots = tuple("A" if index in state.held else "" for index in range(state.objects))
    held = state.chosen in state.held
    note = (_("looked at: object {chosen}, in use", chosen=state.chosen) if held else
            _("looked at: object {chosen}, free", chosen=state.chosen))
    return {"s": Shelves(_("The slab"), note, ("s:one",)), "s:one": Shelf(_("one page"), "", ("s:0",)),
            "s:0": Box(_("slab"), slots, state="slab")}  # fmt: skip


def _bytes(state: DebugState) -> dict[str, Node]:
    spans: dict[str, Node] = {}
    at = 0
    for nth, region in enumerate(state.regions):
        data = tuple(state.data[at : at + region.size])
        spans[f"b:{nth}"] = Span(region.size, data, tone=TONES[region.name], letter=LETTERS[region.name],
                                 label=SPOKEN[region.name], says=_says(region, data))  # fmt: skip
        at += region.size
    note = _("{size} bytes in the slab", size=len(state.data))
    title = _("Object {chosen} and what stands around it", chosen=state.chosen)
    return {"b": Bytes(title, note, state.start, tuple(spans)), **spans}


def _says(region: Region, data: tuple[int, ...]) -> str:
    name = SPOKEN[region.name]
    if region.name in WHO:
        return _("{name}: call site, stack, CPU, process, time", name=name)
    if "red zone" in region.name and data:
        zone = {0xCC: _("the object is in use"), 0xBB: _("the object is free")}.get(data[0], _("overwritten"))
        return f"{name}: {zone}"
    if region.name == "object" and set(data) <= {0x6B, 0xA5}:
        return _("poison: 6b, and a5 at the end; nobody has written here since")
    return ngettext("{name}, {n} byte", "{name}, {n} bytes", region.size, name=name)


def _finding(report: Sequence[str]) -> str:
    """Return what a report is about, in the kernel's words."""
    found = re.search(r"^\[([^]\d]+)\] |^BUG \S+ .*?: (.+)|^(kernel BUG)", "\n".join(report), re.MULTILINE)
    return next(filter(None, found.groups())) if found else report[0]


def _report(state: DebugState) -> str:
    return "\n".join(state.report) or _("(nothing)")
