# SPDX-License-Identifier: GPL-2.0-only
"""The zones lab: which zones a request tries, what each must keep, and which one gives."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kmm_sim.catalogue import _
from kmm_sim.labs.ask import Question
from kmm_sim.labs.bench import Bench
from kmm_sim.labs.ftrace import ftrace
from kmm_sim.labs.opening import Opening
from kmm_sim.labs.run import Run
from kmm_sim.labs.scene import Choice, Form, Line, Node, Number, Plot, Row, Scene, Series, Stage, Table, Text
from kmm_sim.labs.view import Called, Desk, View
from kmm_sim.machine import Machine
from kmm_sim.mm.events import MmPageAlloc
from kmm_sim.mm.freelist import gfp_to_alloc_flags
from kmm_sim.mm.gfp import GFP_ATOMIC, GFP_DMA, GFP_DMA32, GFP_HIGHUSER_MOVABLE, GFP_KERNEL, Gfp, gfp_names
from kmm_sim.mm.mmzone import MAX_PAGE_ORDER, Wmark
from kmm_sim.mm.watermark import min_with_reserves
from kmm_sim.observe import buddyinfo
from kmm_sim.observe.pages import ZoneCheck, zone_checks
from kmm_sim.presets import RECORDED
from kmm_sim.trace import Event

__all__ = ["FreeAll", "Take", "ZonesLab", "ZonesState", "look", "zones_lab"]

TITLE = _("Which zone gives?")
MASKS = {
    gfp_names(mask): int(mask)
    for mask in (GFP_KERNEL | Gfp.NORETRY, GFP_ATOMIC, GFP_HIGHUSER_MOVABLE | Gfp.NORETRY,
                 GFP_KERNEL | GFP_DMA32 | Gfp.NORETRY, GFP_KERNEL | GFP_DMA | Gfp.NORETRY)
}
MANY = (1, 10, 100, 1000, 10000)


def zones_lab(
    machine: Machine | None = None,
    calls: Iterable[Any] = (),
    *,
    link: str = "",
    title: str = "",
    caption: str = "",
) -> Bench:
    """Return a lab on ``machine`` (by default the recorded one) that shows which zone serves a request, and why.

    The recorded machine is given a ``watermark_boost_factor`` of 0, so that its marks stand still.
    ``calls`` are made first, and are the recorded run that the lab opens with: ``Take`` and ``FreeAll``.
    """
    if machine is None:
        machine = Machine.preset(RECORDED)
        machine.sysctl("vm.watermark_boost_factor", 0)
    gfp = next(iter(MASKS.values()))
    run = Run(Desk(machine=machine, gfp=gfp, order=0, held=[]), ZonesLab(title or TITLE, caption))
    for call in calls:
        run.make(call)
    run.keep_as_recorded()
    return Bench(run, Opening("zones"), link)


@dataclass(frozen=True, slots=True)
class Take:
    """Ask for blocks of one order, one after the other, until so many are taken or one is refused."""

    gfp: int
    order: int
    times: int

    def text(self) -> Text:
        """Return the call as C."""
        call = f"alloc_pages({gfp_names(self.gfp)}, {self.order})"
        return call if self.times == 1 else f"for (i = 0; i < {self.times}; i++) {call}"

    def __call__(self, desk: Any) -> dict[str, int]:
        """Do it; return how many each zone gave, and under "" whether one was refused."""
        desk.gfp, desk.order = self.gfp, self.order
        gave = {zone.name: 0 for zone in reversed(desk.machine.zones)}  # as they are tried
        for _time in range(self.times):
            page = desk.machine.alloc_pages(self.gfp, self.order)
            if page is None:
                gave[""] = 1
                break
            desk.held.append(page.pfn)
            gave[page.zone.name] += 1
        return {zone: count for zone, count in gave.items() if count}


@dataclass(frozen=True, slots=True)
class FreeAll:
    """Give back all that was taken, the last first."""

    def text(self) -> Text:
        """Return the call as C."""
        return _("__free_pages(...) of all")

    def __call__(self, desk: Desk) -> int:
        """Do it; return how many blocks that were."""
        machine: Machine = desk.machine
        count = len(desk.held)
        while desk.held:
            page = machine.node.page(desk.held.pop())
            machine.free_pages(page, page.order)
        return count


@dataclass(frozen=True, slots=True)
class ZonesState:
    """The zones as the last request saw them: those it tries, all zones' free pages and marks, the text of /proc.

    ``least`` has for each that it tries what must remain of its *min* at last, the reserve not counted.
    """

    gfp: int
    order: int
    tries: tuple[ZoneCheck, ...]
    least: tuple[int, ...]
    zones: tuple[tuple[str, int, tuple[int, ...]], ...]
    buddyinfo: str
    held: int
    starts: tuple[int, ...]


def look(desk: Desk) -> ZonesState:
    """Return the state of a desk with a ``machine``, the last ``gfp`` and ``order``, and what is ``held``."""
    machine = desk.machine
    zones = tuple((zone.name, zone.vm_stat_free, tuple(zone.watermark[:3])) for zone in machine.zones)
    flags = gfp_to_alloc_flags(desk.gfp, desk.order)
    at_last = zone_checks(machine, desk.gfp, desk.order, Wmark.MIN)
    least = tuple(min_with_reserves(check.mark, flags) for check in at_last)
    return ZonesState(desk.gfp, desk.order, zone_checks(machine, desk.gfp, desk.order), least, zones,
                      buddyinfo(machine).rstrip("\n"), len(desk.held),
                      tuple(zone.start_pfn for zone in machine.zones))


class ZonesLab:
    """From the zones to a scene, and from what a reader asks for to a call."""

    view = View(look)
    phrases: Mapping[str, str] = {}

    def __init__(self, title: Text = TITLE, caption: Text = "") -> None:
        self.title = title
        self.caption = caption

    def draw(self, state: ZonesState) -> Scene:
        """Return the check of each zone that the request tries, and the free pages of all."""
        scene: dict[str, Node] = {
            "": Stage(self.title, ("t", "p", "l"), _forms(), (), self.caption, (("t", "t", "p"), ("l",))),
            "l": Line("/proc/buddyinfo", state.buddyinfo),
        }
        scene |= _checks(state)
        scene |= _free_pages(state)
        return scene

    def tell(self, event: Event) -> tuple[Any, ...]:
        """Return what was taken, and from where."""
        assert isinstance(event, Called)
        if isinstance(event.answer, dict):
            gave = dict(event.answer)
            refused = gave.pop("", 0)
            parts = (_("{count:,} from {zone}", count=count, zone=zone) for zone, count in gave.items())
            got = _(" and ").join(parts) or _("nothing")
            words = _("The caller gets {got}.", got=got)
            if refused:
                words = _("The caller gets {got}; then NULL: no zone may give more.", got=got)
            return "other", ftrace(event.events), words
        return "other", ftrace(event.events), _("{answer:,} blocks are given back.", answer=event.answer)

    def ask(self, before: ZonesState, after: ZonesState, events: Sequence[Event]) -> Question | None:
        """Return a question about a call: which zone gives most, or whether all is served."""
        pfns = [each.pfn for each in events if isinstance(each, MmPageAlloc)]
        if not pfns:
            return None
        names = tuple(name for name, _, _ in before.zones)
        if None in pfns or len(names) < 2:
            answers = _("yes"), _("no: at last comes NULL")
            return Question(_("Will all of these be served?"), answers, int(None in pfns))
        gave = Counter(bisect(before.starts, pfn) - 1 for pfn in pfns if pfn is not None)
        return Question(_("Which zone gives most of it?"), names, gave.most_common(1)[0][0])

    def read(self, action: Mapping[str, Any]) -> Take | FreeAll:
        """Return the call that an action asks for; ValueError if it is none."""
        match action.get("do"):
            case "take":
                gfp, order, times = action.get("gfp"), action.get("order"), str(action.get("times"))
                if gfp not in MASKS:
                    raise ValueError(_("{gfp!r} is none of the masks {masks}", gfp=gfp, masks=", ".join(MASKS)))
                if isinstance(order, bool) or not isinstance(order, int):
                    raise ValueError(_("an order is a whole number from 0 to {most}, not {order!r}",
                                       most=MAX_PAGE_ORDER, order=order))
                if times not in map(str, MANY):
                    raise ValueError(_("{times!r} is none of {many}", times=times, many=", ".join(map(str, MANY))))
                return Take(MASKS[gfp], order, int(times))
            case "free":
                return FreeAll()
            case other:
                raise ValueError(_("{other!r} is nothing that this lab can do", other=other))


def _forms() -> tuple[Form, ...]:
    gfp = Choice("gfp", _("which zones will do"), tuple(MASKS), next(iter(MASKS)))
    times = Choice("times", _("how often"), tuple(map(str, MANY)), "100")
    order = Number("order", _("2 to this power is the number of pages"), 0, 0, MAX_PAGE_ORDER)
    return (
        Form("take", ("for (i = 0; i < ", times, "; i++) alloc_pages(", gfp, ", ", order, ");"), _("Allocate"),
             "struct page *alloc_pages(gfp_t gfp, unsigned int order);"),
        Form("free", (_("__free_pages() of all;"),), _("Free all"),
             "void __free_pages(struct page *page, unsigned int order);"),
    )


def _checks(state: ZonesState) -> dict[str, Node]:
    """Return the zones that the request tries, in order, each with its sum.

    A zone above its mark whose free blocks are all kept for other types is passed over too, unless
    no zone has one of the request's type: then the first that is above its mark mixes them.
    """
    able = [check for check in state.tries if check.ok]
    giver = next((check for check in able if check.kind), able[0] if able else None)
    rows: dict[str, Node] = {}
    for number, (check, least) in enumerate(zip(state.tries, state.least, strict=True), 1):
        tried = _("passed over") if not check.ok else _("not asked") if check.kind else _("no block of this type")
        if check is giver:
            tried = _("gives") if check.kind else _("gives, mixing types")
        rest = f" − {check.free - check.counted:,}" if check.free > check.counted else ""
        sign = ">" if check.counted > check.mark + check.reserve else "≤"
        sum_ = f"{check.mark:,} + {check.reserve:,}"
        at_last = f"{least:,} + {check.reserve:,}"
        cells = f"{number}. {check.zone}", f"{check.free:,}{rest}", sign, sum_, tried, at_last
        tone, mark = (3, "yes") if check is giver else (0, "skip") if check.ok and check.kind else (4, "no")
        rows[f"t:{check.zone}"] = Row(cells, tone=tone, mark=mark)
    note = _("next: {call}, first attempt, at the low mark", call=f"alloc_pages({gfp_names(state.gfp)}, {state.order})")
    columns = (_("zone"), _("free"), _("is"), _("low + reserve"), _("so at first it"), _("at last down to"))
    return {"t": Table(_("The zones that this request tries"), note, columns, tuple(rows), "lrllll"), **rows}


def _free_pages(state: ZonesState) -> dict[str, Node]:
    names = tuple(name for name, _, _ in state.zones)
    free = tuple(float(free) for _, free, _ in state.zones)
    asked = {check.zone: float(check.mark + check.reserve) for check in state.tries}
    low = tuple(asked.get(name) for name in names)
    note = _("{held:,} blocks held", held=state.held)
    plot = Plot(_("Free pages"), note, ("p:free", "p:kept"), "bars", _("zone"), _("pages"), names=names)
    return {"p": plot, "p:free": Series(_("free"), free, 3), "p:kept": Series(_("low + reserve"), low, 4)}
