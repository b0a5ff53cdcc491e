# SPDX-License-Identifier: GPL-2.0-only
"""The buddy lab in detail: also watermarks, fragmentation, pageblocks, and why a request failed.

    buddy_lab(script="+0 +3", detail=True)
    buddy_lab(small_machine(DMA=32, DMA32=32, Normal=64, min_free_pages=16), detail=True)
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kmm_sim.catalogue import _
from kmm_sim.labs.ask import Question
from kmm_sim.labs.buddy import LETTERS, MASKS, Allocate, BuddyLab
from kmm_sim.labs.forms import sentence
from kmm_sim.labs.ftrace import ftrace
from kmm_sim.labs.run import Call
from kmm_sim.labs.scene import (
    Choice,
    Form,
    Mark,
    Node,
    Number,
    Plot,
    Row,
    Scene,
    Series,
    Stage,
    Table,
    Text,
)
from kmm_sim.labs.view import Called, View
from kmm_sim.machine import Machine
from kmm_sim.mm.events import MmPageAlloc, MmPageFree
from kmm_sim.mm.gfp import GFP_ATOMIC, GFP_DMA, GFP_KERNEL, GFP_NOWAIT, gfp_names
from kmm_sim.mm.mmzone import MAX_PAGE_ORDER, PAGEBLOCK_NR_PAGES, Wmark
from kmm_sim.observe import Snapshot, ZoneSnapshot, frames, snapshot
from kmm_sim.observe.fragmentation import fragmentation_index, unusable_free_index
from kmm_sim.observe.reckoning import why
from kmm_sim.trace import Event
from kmm_sim.workload import play, traffic

__all__ = ["DetailedBuddyLab", "Drain", "Script", "Seen"]

MORE_MASKS = MASKS | {gfp_names(mask): int(mask) for mask in (GFP_NOWAIT, GFP_KERNEL | GFP_DMA, GFP_ATOMIC | GFP_DMA)}
MOST = 128
"""The most pages of a machine on which a script takes every page: each is a few events to draw."""

SCRIPTS = {
    "take every page": _("single pages, until there are none"),
    "free the even ones": _("every held single page with an even pfn"),
    "free the odd ones": _("every held single page with an odd pfn"),
    "some traffic": _("16 random steps, drawn from the seed"),
}
SPOKEN = {
    "take every page": _("take every page"),
    "free the even ones": _("free the even ones"),
    "free the odd ones": _("free the odd ones"),
    "some traffic": _("some traffic"),
}
"""The names of SCRIPTS as a reader sees them."""
THRESHOLD = 0.5
"""Up to this index the kernel rather reclaims, above it compacts: vm.extfrag_threshold."""

TYPE_NAMES = ("unmovable", "movable", "reclaimable", "highatomic", "isolated")


@dataclass(frozen=True, slots=True)
class Seen:
    """What the lab shows: the machine, its free pages by zone after each request, and the request that just failed.

    ``settled`` is the machine after its last call.  What is reckoned is reckoned from that: a block that is
    in hand for a moment is not gone, and a step sends the browser no more than what moves in it.
    """

    pages: Snapshot
    settled: Snapshot
    history: tuple[tuple[int, ...], ...]
    failed: tuple[int, int] | None = None
    cpu_lists: bool = False

    def __deepcopy__(self, memo: dict[int, Any]) -> Seen:
        """Return itself: nothing in it ever changes."""
        return self


def _change(event: Event, zones: Sequence[ZoneSnapshot]) -> tuple[int, int] | None:
    """Return the place of the zone that a request takes pages from or gives them to, and how many more are free.

    None for an event that ends no request.
    """
    match event:
        case MmPageAlloc(int(pfn), order, _, _):
            pages = -(1 << order)
        case MmPageFree(pfn, order):
            pages = 1 << order
        case MmPageAlloc():
            return 0, 0
        case _:
            return None
    return next(n for n, zone in enumerate(zones) if zone.start_pfn <= pfn < zone.start_pfn + zone.spanned_pages), pages


def _failure(event: Event) -> tuple[int, int] | None:
    match event:
        case MmPageAlloc(None, order, _, gfp):
            return gfp, order
    return None


def _look(machine: Machine) -> Seen:
    """See a machine with its past: the trace, from its end backward, says how much was free after each request."""
    state = snapshot(machine)
    now = [zone.nr_free_pages + zone.nr_pcp_pages for zone in state.zones]
    past = [tuple(now)]
    for event in reversed(machine.trace):
        if change := _change(event, state.zones):
            now[change[0]] -= change[1]
            past.append(tuple(now))
    failed = _failure(machine.trace[-1]) if len(machine.trace) else None
    cpu_lists = any(zone.per_cpu_pageset for zone in machine.zones)
    return Seen(state, state, tuple(zip(*reversed(past), strict=True)), failed, cpu_lists)


def _frames(state: Seen, events: Sequence[Event]) -> Iterator[Seen]:
    history = state.history
    for event, pages in zip(events, frames(state.pages, events), strict=True):
        if change := _change(event, pages.zones):
            place, more = change
            history = tuple((*line, line[-1] + more * (n == place)) for n, line in enumerate(history))
        yield Seen(pages, state.settled, history, _failure(event), state.cpu_lists)


@dataclass(frozen=True, slots=True)
class Script:
    """Several calls at once: one of SCRIPTS."""

    name: str
    seed: int = 0

    def text(self) -> Text:
        """Return it in words."""
        return f"/* {SPOKEN[self.name]} */" if self.name != "some traffic" else _("/* traffic, seed {seed} */",
                                                                                  seed=self.seed)

    def __call__(self, machine: Machine) -> int:
        """Make the calls; return how many."""
        if self.name == "some traffic":
            return len(play(machine, traffic(random.Random(self.seed), 16)))
        if self.name == "take every page":
            return self._take(machine)
        parity, freed = self.name == "free the odd ones", 0
        for held in snapshot(machine).allocated.values():
            if held.order == 0 and held.pfn & 1 == parity:
                machine.free_page(machine.node.page(held.pfn))
                freed += 1
        if not freed:
            raise ValueError(
                _("no single page with an odd pfn is held") if parity else _("no single page with an even pfn is held"))
        return freed

    def _take(self, machine: Machine) -> int:
        size = sum(zone.managed_pages for zone in machine.zones)
        if size > MOST:
            raise ValueError(_("this machine has {size} pages; one by one is for machines of up to {most}",
                               size=size, most=MOST))
        taken, quiet = 0, int(GFP_NOWAIT)
        while machine.alloc_pages(quiet, 0) is not None:
            taken += 1
        return taken


@dataclass(frozen=True, slots=True)
class Drain:
    """The call drain_all_pages(): what is on the per-CPU lists goes back to the buddy system."""

    def text(self) -> Text:
        """Return the call as C."""
        return "drain_all_pages(NULL)"

    def __call__(self, machine: Machine) -> None:
        """Make the call."""
        machine.drain_all_pages()


class DetailedBuddyLab(BuddyLab):
    """The buddy lab with the panels that say how memory stands, and why a request failed."""

    view = View(_look, _frames)

    def draw(self, state: Seen) -> Scene:  # type: ignore[override]
        """Return the scene: that of the buddy lab, and the panels below it."""
        scene = dict(super().draw(state.pages))
        stage = scene[""]
        assert isinstance(stage, Stage)
        below = _plot(state) | _fragmentation(state.settled)
        has_marks = any(zone.watermark[Wmark.LOW] or zone.pcp for zone in state.pages.zones) or state.cpu_lists
        rows: list[tuple[str, ...]] = [(f"m{n}", f"f{n}") for n in _names(state.pages)]
        rows.append(("q", "x"))
        if has_marks:
            below |= _marks(state.pages)
            rows[-1:] = [("q", "z"), ("x",)]
        if blocks := _pageblocks(state.settled):
            below |= blocks
            rows.append(("b",))
        below |= _why(state)
        rows.append(("y",))
        lines = [f"p{n}" for n in _names(state.pages)]  # at the foot
        panels = tuple(dict.fromkeys([*(key for row in rows for key in row), *lines]))
        return {**scene, **below, "": replace(
            stage, panels=panels, layout=tuple(rows), above=len(state.pages.zones),
            forms=_forms(stage.forms, _scripts(state.pages), state.cpu_lists))}

    def tell(self, event: Event) -> tuple[Any, ...]:
        """Return an event as a phrase; of a call that traces nothing, a sentence."""
        if isinstance(event, Called):
            return "other", ftrace(event.events), _("Nothing changed.")
        return super().tell(event)

    def ask(self, before: Any, after: Any, events: Sequence[Event]) -> Question | None:
        """Return the buddy lab's question about a call; none about a script."""
        calls = sum(isinstance(event, MmPageAlloc) for event in events)
        return super().ask(before.pages, after.pages, events) if calls < 2 else None

    def read(self, action: Mapping[str, Any]) -> Call:
        """Return the call that a reader asks for.  Raises ValueError if it is none."""
        match action.get("do"):
            case "script":
                name, seed = str(action.get("name")), action.get("seed", 0)
                if name not in SCRIPTS:
                    raise ValueError(_("{name!r} is none of the scripts {scripts}",
                                       name=name, scripts=", ".join(SCRIPTS)))
                if isinstance(seed, bool) or not isinstance(seed, int):
                    raise ValueError(_("a seed is a whole number, not {seed!r}", seed=seed))
                return Script(name, seed)
            case "drain":
                return Drain()
            case "alloc" if (gfp := action.get("gfp")) in MORE_MASKS and gfp not in MASKS:
                call = super().read({**action, "gfp": "GFP_KERNEL"})
                assert isinstance(call, Allocate)
                return Allocate(MORE_MASKS[str(gfp)], call.order)
        return super().read(action)


def _names(state: Snapshot) -> list[str]:
    return [str(zone.index) if len(state.zones) > 1 else "" for zone in state.zones]


def _scripts(state: Snapshot) -> dict[str, str]:
    """Return the scripts that this machine is small enough for."""
    size = sum(zone.managed_pages for zone in state.zones)
    return {name: says for name, says in SCRIPTS.items() if size <= MOST or name != "take every page"}


def _forms(forms: tuple[Form, ...], scripts: Mapping[str, str], cpu_lists: bool) -> tuple[Form, ...]:
    """Return the buddy lab's forms with more masks, and the form of the scripts."""
    alloc = replace(forms[0], parts=tuple(
        replace(part, options=tuple(MORE_MASKS)) if isinstance(part, Choice) else part for part in forms[0].parts))
    first = "take every page" if "take every page" in scripts else "some traffic"
    words = tuple(SPOKEN[name] for name in scripts)
    name = Choice("name", _("what to do"), tuple(scripts), first, tuple(scripts.values()), words)
    seed = Number("seed", _("seed of the traffic"), 1, 0, 999)
    parts = sentence(_("/* {name}, seed {seed} */"), name=name, seed=seed)
    script = Form("script", parts, _("Do it"), _("several calls at once"))
    drain = Form("drain", ("drain_all_pages(NULL);",), _("Drain"), "void drain_all_pages(struct zone *zone);")
    return (alloc, *forms[1:], script, *((drain,) if cpu_lists else ()))


def _plot(state: Seen) -> dict[str, Node]:
    """Return the free pages of each zone over the requests, with the marks."""
    zones = state.pages.zones
    series = {
        f"q:{zone.name}": Series(zone.name, line, tone)
        for zone, line, tone in zip(zones, state.history, (1, 3, 5), strict=False)
    }
    marks: tuple[Mark, ...] = ()
    if len(zones) == 1 and zones[0].watermark[Wmark.LOW]:
        levels = zip(("min", "low", "high"), zones[0].watermark, (4, 2, 3), strict=False)
        marks = tuple(Mark(name, pages + zones[0].watermark_boost, tone) for name, pages, tone in levels)
    elif zones[0].watermark[Wmark.LOW]:
        marks = tuple(Mark(_("{zone} low", zone=zone.name), zone.watermark[Wmark.LOW], 2) for zone in zones)
    plot = Plot(_("Free pages"), _("those on CPUs' lists included"), tuple(series), "steps", _("request"), _("pages"),
                marks=marks)
    return {"q": plot, **series}


def _marks(state: Snapshot) -> dict[str, Node]:
    """Return how each zone stands against its marks."""
    rows: dict[str, Node] = {}
    for zone in reversed(state.zones):
        free, boost = zone.nr_free_pages, zone.watermark_boost
        least, low, high = (mark + boost for mark in zone.watermark[:3])
        above = [name for name, level in (("high", high), ("low", low), ("min", least)) if free > level]
        says = _("above {above}", above=above[0]) if above else _("below min")
        mark = "yes" if free > low else "now" if free > least else "no"
        reserve = max(zone.lowmem_reserve)
        rows[f"z:{zone.name}"] = Row(
            (zone.name, free, zone.nr_pcp_pages, least, low, high, reserve, says), mark=mark,
            says=_("{zone}: {says}. {reserve} pages are kept from requests that could use a higher zone.",
                   zone=zone.name, says=says, reserve=reserve))
    columns = ("zone", "free", _("on CPU lists"), "min", "low", "high", "kept", "stands")
    boosted = any(zone.watermark_boost for zone in state.zones)
    note = _("pages, boost included") if boosted else _("pages")
    return {"z": Table(_("Watermarks"), note, columns, tuple(rows), "lrrrrrrl"), **rows}


def _fragmentation(state: Snapshot) -> dict[str, Node]:
    """Return for each order how much of free memory is of use, in the largest zone."""
    zone = max(state.zones, key=lambda each: each.managed_pages)
    largest = min(zone.spanned_pages.bit_length() - 1, MAX_PAGE_ORDER)
    rows: dict[str, Node] = {}
    for order in range(largest + 1):
        unusable, index = unusable_free_index(zone, order), fragmentation_index(zone, order)
        rows[f"x:{order}"] = Row((order, f"{unusable:.0%}", "" if index < 0 else f"{index:.3f}", _reading(zone, order)),
                                 mark="yes" if index < 0 else "no")
    columns = (_("order"), _("of no use"), _("index"), _("a request"))
    note = _("zone {zone}, by order", zone=zone.name)
    return {"x": Table(_("Fragmentation"), note, columns, tuple(rows), "rrrl"), **rows}


def _reading(zone: ZoneSnapshot, order: int) -> str:
    index = fragmentation_index(zone, order)
    if index < 0:
        return _("finds a block")
    if not zone.nr_free_pages:
        return _("fails: nothing is free")
    return _("fails; first free some more") if index <= THRESHOLD else _("fails; move pages together")


def _pageblocks(state: Snapshot) -> dict[str, Node]:
    """Return the pageblocks of zones that have whole ones, and their types."""
    rows: dict[str, Node] = {}
    for zone in state.zones:
        if zone.spanned_pages < PAGEBLOCK_NR_PAGES:
            continue
        first, end = zone.start_pfn // PAGEBLOCK_NR_PAGES, zone.start_pfn + zone.spanned_pages
        for number in range(first, -(-end // PAGEBLOCK_NR_PAGES)):
            kind = zone.pageblocks.get(number, zone.pageblock_default)
            free = _free_in(zone, number)
            letter = LETTERS[kind] if kind < len(LETTERS) else "I"
            rows[f"b:{number}"] = Row((number * PAGEBLOCK_NR_PAGES, letter, TYPE_NAMES[kind], free), tone=kind + 1)
    if not rows:
        return {}
    columns = ("pfn", "type", "", _("free pages"))
    return {"b": Table(_("Pageblocks"), _("of 512 pages"), columns, tuple(rows), "rclr"), **rows}


def _free_in(zone: ZoneSnapshot, number: int) -> int:
    start = number * PAGEBLOCK_NR_PAGES
    end, free = start + PAGEBLOCK_NR_PAGES, 0
    for blocks in zone.free:
        size = 1 << blocks.order
        free += sum(max(0, min(end, pfn + size) - max(start, pfn)) for pfn in blocks.pfns)
    return free


def _why(state: Seen) -> dict[str, Node]:
    """Return the sum of the last attempt for each zone; if nothing failed just now, that."""
    table = Table(_("Why did it fail?"), _("the sum for each zone, in pages"), (_("zone"), _("pages"), ""),
                  ("y:what",), "lrl")
    if state.failed is None:
        return {"y": table, "y:what": Row((_("none"), "", _("No request has just failed.")))}
    gfp, order = state.failed
    rows: dict[str, Node] = {"y:what": Row((_("all"), "", _("{mask}, order {order}: the last attempt",
                                                         mask=gfp_names(gfp), order=order)), tone=4)}
    for sums in why(state.pages, gfp, order):
        for n, term in enumerate((*sums.free, *sums.least)):
            sign = f"{term.pages:+d}" if term.pages < 0 else str(term.pages)
            rows[f"y:{sums.zone}.{n}"] = Row((sums.zone, sign, term.words))
        words = _("counts as free: {free_pages}; must remain: {least_pages}",
                  free_pages=sums.free_pages, least_pages=sums.least_pages)
        if sums.room and not sums.block:
            words += _("; but no block is large enough")
        tone, mark = (3, "yes") if sums.ok else (4, "no")
        rows[f"y:{sums.zone}"] = Row((sums.zone, "", words), tone=tone, mark=mark)
    return {"y": replace(table, rows=tuple(rows)), **rows}
