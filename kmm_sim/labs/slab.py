# SPDX-License-Identifier: GPL-2.0-only
"""The slab lab: the slabs of one cache, as its objects come and go.

    slab_lab()                                        process descriptors, by full, partial, empty
    slab_lab("+12 -0-4 shrink", by="place")           where SLUB has its slabs, and a recorded run
    slab_lab("+20 -3-9", allocator="slab", size=700)  SLAB's lists and arrays
    slab_lab("+9 -0-5", allocator="sheaves", size=4096)  SLUB's sheaves and the barn, as in 7.0

A frame is an event of the slab layer.  What the page allocator does inside is another lab's
subject: here it gives pages or takes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kmm_sim.catalogue import _, ngettext
from kmm_sim.labs.ask import Question, among
from kmm_sim.labs.bench import Bench
from kmm_sim.labs.link import Value
from kmm_sim.labs.opening import Opening
from kmm_sim.labs.run import Call, Run
from kmm_sim.labs.scene import Form, Line, Node, Number, Pick, Row, Scene, Stage, Table, Text
from kmm_sim.labs.slab_calls import MOST, Allocate, Free, Shrink, recorded
from kmm_sim.labs.slab_scenes import (
    KINDS,
    SHEAF_KINDS,
    Limits,
    lists_shelves,
    places_shelves,
    sheaves_shelves,
    slob_shelves,
    states_shelves,
)
from kmm_sim.labs.slab_words import tell
from kmm_sim.labs.view import SLABS, View
from kmm_sim.machine import Machine
from kmm_sim.mm.page import PAGE_SIZE
from kmm_sim.mm.sheaf import SheafCache
from kmm_sim.mm.slab import SlabCache
from kmm_sim.mm.slab_common import KmemCache, SlabFlags
from kmm_sim.mm.slab_events import (
    CpuSlabLoad,
    KmemCacheAlloc,
    KmemCacheFree,
    SheafFill,
    SheafMove,
    SlabDiscard,
    SlabNew,
    SlobPageNew,
)
from kmm_sim.mm.slub_def import SlubCache
from kmm_sim.observe import (
    CacheView,
    ListsView,
    SlobView,
    lists_frames,
    lists_snapshot,
    slob_frames,
    slob_snapshot,
)
from kmm_sim.observe.slabinfo import SlabInfo, cache_show
from kmm_sim.trace import Event

__all__ = ["SlabLab", "slab_lab"]

VIEWS = {"slub": SLABS, "sheaves": SLABS, "slab": View(lists_snapshot, lists_frames),
         "slob": View(slob_snapshot, slob_frames)}  # fmt: skip
TITLES = {"slub": "SLUB", "sheaves": _("SLUB with sheaves, as in 7.0"), "slab": _("SLAB, as in 2.6.34"),
          "slob": _("SLOB, as in 6.1")}  # fmt: skip
SOURCES = (_("the free list that the CPU has at hand"), _("the same slab: what others freed in it"),
           _("a slab that the CPU had put aside"), _("a slab of the node’s partial list"), _("a new slab"))
"""Where SLUB's next object may come from."""
SHEAF_SOURCES = (_("the CPU’s main sheaf"), _("the CPU’s spare sheaf"), _("a sheaf of the barn"),
                 _("a slab of the node"), _("a new slab"))
"""Where it may come from with sheaves."""


def slab_lab(
    script: str = "",
    *,
    cache: str = "task_struct",
    size: int = 0,
    allocator: str = "slub",
    by: str = "state",
    cpus: int = 1,
    pages: int = 512,
    link: str = "",
    title: str = "",
    caption: str = "",
) -> Bench:
    """Return a lab on the slabs of one cache.

    ``cache`` is one of kmm_sim.mm.kernel_caches, or any name with ``size`` bytes for an object.
    ``by="state"`` sorts SLUB's slabs by full, partial and empty, ``by="place"`` by who has them.
    ``script`` is the recorded run that it opens with; see kmm_sim.labs.slab_calls.

    Raises ValueError for an unknown cache, allocator or step.
    """
    settings: dict[str, Value] = {
        "script": script, "cache": cache, "size": size, "allocator": allocator, "by": by, "cpus": cpus,
        "pages": pages, "title": title, "caption": caption,
    }  # fmt: skip
    opening = Opening("slab", _start, settings)
    return Bench(opening.run(), opening, link)


def _start(script: str, cache: str, size: int, allocator: str, by: str, cpus: int, pages: int, title: str,
           caption: str) -> Run:
    """Return a run on a new machine on which the script was done."""
    if by not in ("state", "place"):
        raise ValueError(_("slabs are sorted by state or by place, not by {by!r}", by=by))
    machine = Machine(pages=pages, cpus=cpus, slab=allocator)
    for zone in machine.zones:
        zone.trace = None  # the page allocator tells what it gives and takes, and no more
    s = machine.kmem_cache_create(cache, size, flags=int(SlabFlags.NO_MERGE)) if size else machine.kernel_cache(cache)
    title = title or _("{allocator}: the slabs of {cache}", allocator=TITLES[allocator], cache=s.name)
    run = Run(machine, SlabLab(machine, s, by, title, caption))
    for call in recorded(machine, s.name, script):
        run.make(call)
    run.keep_as_recorded()
    return run


class SlabLab:
    """From a machine's caches to a scene, and from what a reader asks for to a call."""

    phrases: Mapping[str, str] = {}

    def __init__(self, machine: Machine, s: KmemCache, by: str, title: Text, caption: Text = "") -> None:
        self.allocator = machine.slabs.allocator.name
        self.name, self.size, self.object_size = s.name, s.size, s.object_size
        self.cpus, self.by, self.title, self.caption = machine.cpus, by, title, caption
        self.order, self.objects = _geometry(s)
        self.limits = _limits(s)
        self.view = VIEWS[self.allocator]

    def draw(self, state: Any) -> Scene:
        """Return the scene of a state: the slabs on their shelves, the numbers, the line of slabinfo."""
        view = state if isinstance(state, SlobView) else state[self.name]
        scene: dict[str, Node] = {"": self._stage(), **self._shelves(view), **self._numbers(view)}
        if not isinstance(view, SlobView):
            line = cache_show(self.name, self.size, self._info(view)).rstrip()
            scene["i"] = Line("/proc/slabinfo", line)
        return scene

    def _stage(self) -> Stage:
        panels = ("s", "n") if self.allocator == "slob" else ("s", "n", "i")
        layout = (("s", "s", "n"), *(("i",) for panel in panels if panel == "i"))
        kinds = {"slab": KINDS, "sheaves": SHEAF_KINDS}.get(self.allocator, KINDS[:1])
        return Stage(self.title, panels, self._forms(), kinds, self.caption, layout)

    def _forms(self) -> tuple[Form, ...]:
        cpu = Number("cpu", _("which CPU makes the call"), 0, 0, self.cpus - 1)
        on = (_("on CPU "), cpu, ": ") if self.cpus > 1 else ()
        count = Number("count", _("how many times"), 1, 1, MOST)
        slot = Pick("object", _("the object to free"), ("s",), "slab", "slots")
        return (
            Form("alloc", (*on, count, " × ", "p = kmem_cache_alloc(", f"{self.name}, ", "GFP_KERNEL);"), _("Allocate"),
                 "void *kmem_cache_alloc(struct kmem_cache *cachep, gfp_t flags);"),
            Form("free", (*on, "kmem_cache_free(", f"{self.name}, ", slot, ");"), _("Free"),
                 "void kmem_cache_free(struct kmem_cache *s, void *objp);", _("or click a filled object"), "object"),
            Form("shrink", ("kmem_cache_shrink(", f"{self.name});"), _("Shrink"),
                 "int kmem_cache_shrink(struct kmem_cache *s);"),
        )

    def _shelves(self, view: CacheView | ListsView | SlobView) -> dict[str, Node]:
        pages = 1 << self.order
        note = ngettext("a slab: {objects} objects in {n} page", "a slab: {objects} objects in {n} pages",
                        pages, objects=self.objects)
        if isinstance(view, SlobView):
            return slob_shelves("s", view, _("Pages of SLOB"), _("blocks of all caches, first fit"))
        if isinstance(view, ListsView):
            return lists_shelves("s", view, _("Slabs of {name}", name=self.name), note, self.limits)
        if self.allocator == "sheaves":
            return sheaves_shelves("s", view, _("Slabs of {name}", name=self.name), note, self.limits)
        if self.by == "state":
            return states_shelves("s", view, _("Slabs of {name}", name=self.name), note)
        return places_shelves("s", view, _("Slabs of {name}", name=self.name), note, self.limits)

    def _numbers(self, view: CacheView | ListsView | SlobView) -> dict[str, Node]:
        if isinstance(view, SlobView):
            slabs, pages, objects = len(view.pages), len(view.pages), 0
            used = sum(len(page.held) for page in view.pages.values())
        else:
            slabs, used = len(view.slabs), view.in_use
            objects = sum(slab.objects for slab in view.slabs.values())
            pages = slabs << self.order
        asked, held = used * self.object_size, pages * PAGE_SIZE
        share = f"{100 * asked / held:.0f} %" if held else "–"
        in_use = _("{used} of {objects}", used=used, objects=objects) if objects else str(used)
        rows = [(_("slabs"), str(slabs)), (_("objects in use"), in_use),
                (_("pages held"), str(pages)), (_("bytes used"), share)]
        table = Table(_("Numbers"), _("{object_size} bytes each", object_size=self.object_size), ("", ""),
                      tuple(f"n:{nth}" for nth in range(len(rows))), "lr")
        return {"n": table, **{f"n:{nth}": Row(row) for nth, row in enumerate(rows)}}

    def _info(self, view: CacheView | ListsView) -> SlabInfo:
        total = sum(slab.objects for slab in view.slabs.values())
        if isinstance(view, CacheView):
            free = sum(len(view.slabs[pfn].freelist) for pfn in view.partial)
            return SlabInfo(total - free, total, self.objects, self.order, len(view.slabs), len(view.slabs))
        free = sum(len(slab.free) for slab in view.slabs.values())
        tunables = (self.limits.array, (self.limits.array + 1) // 2, 8 if self.cpus > 1 else 0)
        active = len(view.lists["full"]) + len(view.lists["partial"])
        return SlabInfo(total - free, total, self.objects, self.order, active, len(view.slabs), tunables,
                        len(view.shared))

    def tell(self, event: Event) -> tuple[Any, ...]:
        """Return an event as a line of the trace and a sentence."""
        return tell(event)

    def ask(self, before: Any, after: Any, events: Sequence[Event]) -> Question | None:
        """Ask where an object comes from; of several, or of a shrink, how many slabs come or go; of a free, nothing."""
        got = sum(isinstance(event, KmemCacheAlloc) for event in events)
        if got == 1 and self.allocator == "sheaves":
            return Question(_("Where will the object come from?"), SHEAF_SOURCES, _found_in(events))
        if got == 1 and self.allocator == "slub":
            load = next((event for event in events if isinstance(event, CpuSlabLoad)), None)
            found = {"own": 1, "cpu partial": 2, "node partial": 3, "new": 4}[load.source] if load is not None else 0
            return Question(_("Where will the object come from?"), SOURCES, found)
        if got and self.allocator == "slob":
            return _how_many(_("How many new pages does it need?"), events, SlobPageNew)
        if got:
            return _how_many(_("How many new slabs does it need?"), events, SlabNew)
        if self.allocator == "slob" or any(isinstance(event, KmemCacheFree) for event in events):
            return None
        return _how_many(_("How many slabs go back to the page allocator?"), events, SlabDiscard)

    def read(self, action: Mapping[str, Any]) -> Call:
        """Return the call for an action: alloc, free or shrink.  Raises ValueError if it is none."""
        cpu = _number(action.get("cpu", 0), "a CPU", 0, self.cpus - 1)
        match action.get("do"):
            case "alloc":
                return Allocate(self.name, _number(action.get("count"), _("a count"), 1, MOST), cpu)
            case "free":
                pfn, _slash, nth = str(action.get("object") or "").partition(":")[2].partition("/")
                if not (pfn.isdecimal() and nth.isdecimal()):
                    raise ValueError(_("there is no object to free: nothing is held"))
                return Free(self.name, int(pfn), int(nth), cpu)
            case "shrink":
                return Shrink(self.name)
            case other:
                raise ValueError(_("{other!r} is nothing that this lab can do", other=other))


def _how_many(text: Text, events: Sequence[Event], kind: type[Event]) -> Question:
    """Return the question how many events of a kind there will be."""
    counts, right = among(sum(isinstance(event, kind) for event in events), (0, 1, 2, 3))
    return Question(text, tuple(map(str, counts)), right)


def _found_in(events: Sequence[Event]) -> int:
    """Return where a CPU with sheaves found an object, as a number of SHEAF_SOURCES."""
    if any(isinstance(event, SlabNew) for event in events):
        return 4
    if any(isinstance(event, SheafFill) for event in events):
        return 3
    moved = [event.source for event in events if isinstance(event, SheafMove)]
    return 2 if "barn full" in moved else 1 if moved else 0


def _number(value: Any, what: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(_("{what} is a whole number from {low} to {high}, not {value!r}",
                           what=what, low=low, high=high, value=value))
    return value


def _geometry(s: KmemCache) -> tuple[int, int]:
    """Return the order of a slab and the number of its objects."""
    if isinstance(s, SlubCache):
        return s.oo
    return (s.order, s.num) if isinstance(s, SlabCache) else (0, 0)


def _limits(s: KmemCache) -> Limits:
    if isinstance(s, SheafCache):
        return Limits(node=s.min_partial, array=s.sheaf_capacity)
    if isinstance(s, SlubCache):
        return Limits(aside=s.cpu_partial_slabs, node=s.min_partial)
    return Limits(array=s.array[0].limit) if isinstance(s, SlabCache) else Limits()
