# SPDX-License-Identifier: GPL-2.0-only
"""The workload lab: minutes of seeded traffic on two machines, and curves of both.

    workload_lab()                          two machines, lightly and heavily loaded, two minutes
    workload_lab(Setting(load=90), Setting(load=90, slab="slab"))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from kmm_sim.calls.slab import ALLOCATORS
from kmm_sim.catalogue import _, ngettext
from kmm_sim.labs.ask import Question
from kmm_sim.labs.bench import Bench
from kmm_sim.labs.forms import sentence
from kmm_sim.labs.opening import Opening
from kmm_sim.labs.run import Call, Refused, Run
from kmm_sim.labs.scene import Choice, Form, Node, Number, Plot, Row, Scene, Series, Stage, Table, Text
from kmm_sim.labs.view import Called, Desk, View
from kmm_sim.machine import Machine
from kmm_sim.mm.mmzone import NR_PAGE_ORDERS
from kmm_sim.observe.curves import Sample, sample
from kmm_sim.trace import Event
from kmm_sim.workload import Workload, everyday

__all__ = ["Begin", "Pass", "Setting", "WorkloadDesk", "WorkloadLab", "workload_lab"]

TITLE = _("Minutes of traffic, on two machines")

MEMORY = "32 MiB"
STEP = 10  # seconds of one recorded call
EVERY = 2  # seconds from one sample to the next
LONGEST = 600  # seconds that the curves may have
ORDER = 4
"""Fragmentation is drawn for this order: 16 pages in a row, 64 KiB."""
BANDS = ((_("order 0"), range(0, 1), 4), (_("1 to 3"), range(1, 4), 2), (_("4 to 8"), range(4, 9), 3),
         (_("9 and 10"), range(9, NR_PAGE_ORDERS), 6))  # fmt: skip
NAMES = ("A", "B")
TURN = 5  # percentage points that make a difference
LOG = "\n"  # between what an answer says and its lines in the log


@dataclass(frozen=True, slots=True)
class Setting:
    """How busy a machine is: its load and the share pinned, as ``everyday()`` has them, in %; its slab allocator."""

    load: int = 90
    pinned: int = 6
    slab: str = "slub"

    def __post_init__(self) -> None:
        if not 40 <= self.load <= 95:
            raise ValueError(_("the load is 40 to 95 %, not {load}", load=self.load))
        if not 0 <= self.pinned <= 30:
            raise ValueError(_("pinned are 0 to 30 %, not {pinned}", pinned=self.pinned))
        if self.slab not in ("slub", "slab"):
            raise ValueError(_("the slab allocator is slub or slab here, not {slab!r}", slab=self.slab))

    def __str__(self) -> str:
        name = ALLOCATORS[self.slab].name.upper()
        return _("load {load} %, pinned {pinned} %, {name}", load=self.load, pinned=self.pinned, name=name)


class WorkloadDesk(Desk):
    """Two machines, what each is put through, and the samples taken of it."""

    A: Machine
    B: Machine
    settings: dict[str, Setting]
    traffic: dict[str, Workload]
    samples: dict[str, tuple[Sample, ...]]
    seed: int

    def __repr__(self) -> str:
        return f"<two machines of {MEMORY}>"


def _desk(seed: int, settings: Mapping[str, Setting]) -> WorkloadDesk:
    desk = WorkloadDesk(seed=seed, settings=dict(settings))
    _start(desk)
    return desk


def _start(desk: WorkloadDesk) -> None:
    """Put new machines on the desk, at second 0."""
    desk.traffic, desk.samples = {}, {}
    for name in NAMES:
        setting = desk.settings[name]
        machine = Machine(memory=MEMORY, trace=False, slab=setting.slab)
        setattr(desk, name, machine)
        desk.traffic[name] = Workload(everyday(machine, setting.load / 100, setting.pinned / 100), desk.seed)
        desk.samples[name] = (sample(machine),)


@dataclass(frozen=True, slots=True)
class Pass:
    """Let so many seconds pass on both machines."""

    seconds: int

    def text(self) -> Text:
        """Return the call as a line."""
        return ngettext("{n} second passes", "{n} seconds pass", self.seconds)

    def __call__(self, desk: WorkloadDesk) -> str:
        """Let them pass; return what they brought."""
        machines, failures = desk.machines, {name: desk.traffic[name].failures for name in NAMES}
        if desk.traffic["A"].now + self.seconds > LONGEST:
            raise Refused(_("the curves end at {most} seconds: begin anew", most=LONGEST))
        for name in NAMES:
            taken = [sample(machines[name], second) for second in desk.traffic[name].seconds(
                machines[name], self.seconds) if second % EVERY == 0]
            desk.samples[name] += tuple(taken)
        failed = {name: desk.traffic[name].failures - failures[name] for name in NAMES}
        words = "; ".join(_told(name, desk.samples[name][-1].unusable(ORDER), failed[name]) for name in NAMES)
        said = _("At {now:.0f} s. {words}.", now=desk.traffic["A"].now, words=words)
        lines = (f"{name}: sim_seconds: passed={self.seconds} free_pages={desk.samples[name][-1].free_pages} "
                 f"failed={failed[name]}" for name in NAMES)
        return said + LOG + "\n".join(lines)


def _told(name: str, unusable: float, failed: int) -> str:
    """Return what some seconds brought for one machine."""
    said = _("{name}: {share:.0f} % of free memory is of no use for 16 pages in a row", name=name, share=100 * unusable)
    return said + (ngettext(", {n} request failed", ", {n} requests failed", failed) if failed else "")


@dataclass(frozen=True, slots=True)
class Begin:
    """Give one machine another setting, and begin anew with both."""

    name: str
    setting: Setting

    def text(self) -> Text:
        """Return the call as a line."""
        return f"{self.name}: {self.setting}"

    def __call__(self, desk: WorkloadDesk) -> str:
        """Begin anew."""
        desk.settings = desk.settings | {self.name: self.setting}
        _start(desk)
        words = _("Both machines begin anew. {name} has {setting}.", name=self.name, setting=self.setting)
        lines = (f"{name}: sim_begin: load={each.load} pinned={each.pinned} slab={each.slab} seed={desk.seed}"
                 for name, each in desk.settings.items())
        return words + LOG + "\n".join(lines)


@dataclass(frozen=True, slots=True)
class WorkloadState:
    """What is drawn: settings and samples by name, and how many requests failed."""

    settings: Mapping[str, Setting]
    samples: Mapping[str, tuple[Sample, ...]]
    failures: Mapping[str, int]


TURNS = (_("less, by {turn} points or more", turn=TURN), _("about as much"),
         _("more, by {turn} points or more", turn=TURN))


class WorkloadLab:
    """From a desk to a scene, and from what a reader asks for to a call."""

    phrases: Mapping[str, str] = {}

    def __init__(self, title: Text = TITLE, caption: Text = "") -> None:
        self.title = title
        self.caption = caption
        self.view = View(_look)

    def draw(self, state: WorkloadState) -> Scene:
        """Return the scene of a state: free pages of each, fragmentation and slabs of both, the numbers now."""
        stage = Stage(self.title, ("A", "B", "u", "s", "t"), (_pass(), _begin("A"), _begin("B")), (), self.caption,
                      (("A", "B"), ("u", "s"), ("t",)), 1)  # fmt: skip
        top = max(each.free_pages for name in NAMES for each in state.samples[name])
        return {"": stage, **_free(state, "A", top), **_free(state, "B", top), **_unusable(state), **_slabs(state),
                **_table(state)}

    def tell(self, event: Event) -> tuple[Any, ...]:
        """Return what the seconds brought as a phrase."""
        assert isinstance(event, Called)
        said, __, log = str(event.answer).partition(LOG)
        return "other", log, said

    def ask(self, before: WorkloadState, after: WorkloadState, events: Sequence[Event]) -> Question | None:
        """Ask how the fragmentation of the busier machine goes on: much of it comes when memory is given back."""
        name = max(NAMES, key=lambda each: after.settings[each].load)
        if len(after.samples[name]) <= len(before.samples[name]) or before.settings != after.settings:
            return None
        was, now = (round(100 * state.samples[name][-1].unusable(ORDER)) for state in (before, after))
        answer = 1 + (now - was >= TURN) - (was - now >= TURN)
        text = _("{name}: {was} % of its free memory is of no use for 16 pages in a row. And then?", name=name, was=was)
        return Question(text, TURNS, answer)

    def read(self, action: Mapping[str, Any]) -> Call:
        """Return the call for an action: pass, or begin A or B.  Raises ValueError if it is none."""
        match action.get("do"):
            case "pass":
                return Pass(_whole(action.get("seconds"), "seconds", 1, 120))
            case "A" | "B" as name:
                setting = Setting(_whole(action.get("load"), "load", 40, 95),
                                  _whole(action.get("pinned"), "pinned", 0, 30), str(action.get("slab")))
                return Begin(name, setting)
            case other:
                raise ValueError(_("{other!r} is nothing that this lab can do", other=other))


def _whole(value: Any, name: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(_("{name} is a whole number from {low} to {high}, not {value!r}",
                           name=name, low=low, high=high, value=value))
    return value


def _pass() -> Form:
    seconds = Number("seconds", _("how many seconds of simulated time"), 30, 1, 120, step=10)
    parts = sentence(_("let {seconds} seconds pass"), seconds=seconds)
    return Form("pass", parts, _("Go on"), _("both machines, the same traffic"))


def _begin(name: str) -> Form:
    setting = Setting(load=50) if name == "A" else Setting()
    label = _("{name}: share of memory that all together aim at each minute, in %", name=name)
    load = Number("load", label, setting.load, 40, 95, step=5)
    label = _("{name}: share that drivers hold for minutes, in %", name=name)
    pinned = Number("pinned", label, setting.pinned, 0, 30, step=2)
    slab = Choice("slab", _("{name}: its slab allocator", name=name), ("slub", "slab"), setting.slab,
                  words=("SLUB", "SLAB"))
    parts = sentence(_("load {load} %, pinned {pinned} %, {slab}"), load=load, pinned=pinned, slab=slab)
    return Form(name, (f"{name}: ", *parts), _("Begin anew"), _("both machines begin at second 0, with the same seed"))


def _look(desk: WorkloadDesk) -> WorkloadState:
    failures = {name: desk.traffic[name].failures for name in NAMES}
    return WorkloadState(dict(desk.settings), dict(desk.samples), failures)


def _free(state: WorkloadState, name: str, top: int) -> dict[str, Node]:
    samples = state.samples[name]
    series = {f"{name}:{index}": Series(words, tuple(each.pages_of(orders) for each in samples), tone)
              for index, (words, orders, tone) in enumerate(BANDS)}
    title = _("{name}: free pages, by the order of their block", name=name)
    plot = Plot(title, str(state.settings[name]), tuple(series), "stack", _("seconds"), _("pages"), step=EVERY, top=top)
    return {name: plot, **series}


def _unusable(state: WorkloadState) -> dict[str, Node]:
    series = {f"u:{name}": Series(name, tuple(round(100 * each.unusable(ORDER)) for each in state.samples[name]), tone)
              for name, tone in zip(NAMES, (3, 4), strict=True)}
    plot = Plot(_("Fragmentation"), _("free memory of no use for 16 pages in a row (order 4)"), tuple(series), "lines",
                _("seconds"), "%", step=EVERY, top=100)
    return {"u": plot, **series}


def _slabs(state: WorkloadState) -> dict[str, Node]:
    series: dict[str, Node] = {}
    for name, tone, lighter in zip(NAMES, (3, 4), (1, 2), strict=True):
        samples = state.samples[name]
        total = tuple(each.slab_total >> 10 for each in samples)
        active = tuple(each.slab_active >> 10 for each in samples)
        series[f"s:{name}t"] = Series(_("{name}: pages of slabs", name=name), total, tone)
        series[f"s:{name}a"] = Series(_("{name}: objects", name=name), active, lighter)
    plot = Plot(_("Slabs"), _("what objects use, and what their slabs hold"), tuple(series), "lines", _("seconds"),
                "KiB", step=EVERY)
    return {"s": plot, **series}


def _table(state: WorkloadState) -> dict[str, Node]:
    now = tuple(state.samples[name][-1] for name in NAMES)
    nodes: dict[str, Node] = {
        "t:free": Row((_("free pages"), *(each.free_pages for each in now))),
        "t:largest": Row((_("largest free block of all zones"), *map(_largest, now))),
        "t:index": Row((_("fragmentation index of zone {zone}, order 9", zone=now[0].zone), *map(_index, now))),
        "t:slab": Row((_("slabs: in use of what they hold"), *map(_share, now))),
        "t:failed": Row((_("requests that failed"), *(state.failures[name] for name in NAMES))),
    }
    note = _("at {second:.0f} seconds", second=now[0].second)
    return {"t": Table(_("Now"), note, (_("what"), "A", "B"), tuple(nodes), "lrr"), **nodes}


def _largest(now: Sample) -> str:
    order = max((order for order, count in enumerate(now.nr_free) if count), default=-1)
    return _("order {order}", order=order) if order >= 0 else _("none")


def _index(now: Sample) -> str:
    return f"{now.index[9]:.3f}" if now.index[9] >= 0 else _("−1: it would succeed")


def _share(now: Sample) -> str:
    share = round(100 * now.slab_active / max(now.slab_total, 1))
    return _("{share} % of {total} KiB", share=share, total=now.slab_total >> 10)


def _run(lab: WorkloadLab, settings: Mapping[str, Setting], seconds: int = 120, seed: int = 1) -> Run:
    if not 0 <= seconds <= LONGEST:
        raise ValueError(_("seconds are 0 to {most}, not {seconds}", most=LONGEST, seconds=seconds))
    run = Run(_desk(seed, settings), lab)
    for begin in range(0, seconds, STEP):
        run.make(Pass(min(STEP, seconds - begin)))
    run.keep_as_recorded()
    return run


def workload_lab(
    a: Setting | None = None,
    b: Setting | None = None,
    *,
    seconds: int = 120,
    seed: int = 1,
    link: str = "",
    title: str = "",
    caption: str = "",
) -> Bench:
    """Return a lab on two machines that the same tenants come to, under two settings.

    The recorded run is ``seconds`` long.  The same seed brings the same traffic; ``link`` is what "Copy
    link" gives.  Raises ValueError for seconds out of range.
    """
    lab = WorkloadLab(title or TITLE, caption)
    settings = {"A": a or Setting(load=50), "B": b or Setting()}
    opening = Opening("workload", partial(_run, lab, settings), {"seconds": seconds, "seed": seed})
    return Bench(opening.run(), opening, link)
