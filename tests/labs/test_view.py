"""How a lab sees its machine: a frame an event or a call, several parts, several machines."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from kmm_sim import GFP_KERNEL, Machine
from kmm_sim.labs.run import Run
from kmm_sim.labs.scene import Row, Stage, Table, apply, encode
from kmm_sim.labs.view import PAGES, SLABS, Called, Desk, On, View, each, hold, views


@dataclass(frozen=True)
class Take:
    """Takes a page of this order on every machine there is, and counts."""

    order: int

    def text(self):
        return f"take({self.order})"

    def __call__(self, subject):
        if not isinstance(subject, Desk):
            return subject.alloc_pages(GFP_KERNEL, self.order)
        subject.calls += 1
        return [machine.alloc_pages(GFP_KERNEL, self.order) for machine in subject.machines.values()]


class TellAll:
    """A lab that writes its state down, and remembers what it was told."""

    phrases: Mapping[str, str] = {"my.title": "Mine"}

    def __init__(self, view):
        self.view = view
        self.told = []

    def draw(self, state):
        return {"": Stage("A lab", ("t",)), "t": Table("", "", ("",), ("t:1",)), "t:1": Row((repr(state),))}

    def tell(self, event):
        self.told.append(event)
        return "other", str(event), "It happens."

    def read(self, action):
        raise ValueError(action)


def shown(run):
    scene = run.start
    for _, patch, *_ in run.frames:
        scene = apply(scene, patch)
    return scene


def agrees(run):
    return shown(run) == encode(run.lab.draw(run.lab.view.look(run.machine)))


def two_machines(**more):
    return Desk(one=Machine(pages=64), other=Machine(pages=16), calls=0, **more)


def test_a_view_without_frames_gives_a_frame_a_call():
    run = Run(Machine(pages=64), TellAll(View(lambda machine: len(machine.trace))))
    run.make(Take(0))
    run.make(Take(2))
    assert len(run.frames) == 2
    called = run.lab.told[0]
    assert isinstance(called, Called)
    assert called.answer.pfn == 0
    assert list(called.events) == list(run.machine.trace)[: len(called.events)] != []
    assert agrees(run)


def test_a_call_that_traces_nothing_is_told_too():
    machine = Machine(pages=64)
    machine.tracing = False
    run = Run(machine, TellAll(PAGES))
    run.make(Take(0))
    assert [type(event) for event in run.lab.told] == [Called]
    assert agrees(run)


def test_several_parts_of_a_machine_step_together():
    machine = Machine(pages=64)
    run = Run(machine, TellAll(views(pages=PAGES, slabs=SLABS, order=View(lambda machine: len(machine.trace)))))
    run.make(Take(0))
    assert len(run.frames) == len(machine.trace)
    assert set(run.state) == {"pages", "slabs", "order"}
    assert agrees(run)


def test_what_has_no_frames_of_its_own_changes_with_the_last_event():
    run = Run(Machine(pages=64), TellAll(View(lambda machine: len(machine.trace), hold)))
    run.make(Take(0))
    changed = [bool(patch) for _, patch, *_ in run.frames]
    assert changed == [False] * (len(changed) - 1) + [True]


@pytest.mark.parametrize("view", [each(PAGES), each(View(lambda machine: len(machine.trace)))], ids=["events", "calls"])
def test_machines_side_by_side_are_told_by_name(view):
    run = Run(two_machines(), TellAll(view))
    run.make(Take(0))
    if view.frames:
        names = [event[1] for event, *_ in run.frames]
        assert set(names) == {"one", "other"}
        assert names == sorted(names, key=["one", "other"].index)  # one after the other
        assert all(event[0] == "on" and event[2][0] == "other" for event, *_ in run.frames)
    else:
        assert [type(event) for event in run.lab.told] == [Called]
        assert {event.machine for event in run.lab.told[0].events if isinstance(event, On)} == {"one", "other"}
    assert agrees(run)


def test_undo_brings_back_machines_and_what_lies_beside_them():
    run = Run(two_machines(), TellAll(View(lambda desk: (desk.calls, len(desk.one.trace), len(desk.other.trace)))))
    one, desk = run.machine.one, run.machine
    run.make(Take(0))
    first = run.state
    run.make(Take(1))
    assert run.make(Take(3), at=1) == 1
    assert (desk.calls, len(run.frames), run.machine is desk, desk.one is one) == (2, 2, True, True)
    assert run.make(Take(0), at=0) == 0
    assert run.state == first
    assert agrees(run)


class Break(Take):
    """Fails when half of it is done."""

    def __call__(self, desk):
        desk.calls += 1
        desk.one.alloc_pages(GFP_KERNEL, 0)
        raise ValueError("half done")


def test_a_call_that_fails_halfway_leaves_all_as_it_was():
    run = Run(two_machines(), TellAll(each(PAGES)))
    run.make(Take(0))
    before, state, frames = shown(run), run.state, len(run.frames)
    with pytest.raises(ValueError, match="half done"):
        run.make(Break(0))
    assert (shown(run), run.state, len(run.frames), run.machine.calls) == (before, state, frames, 1)
    run.make(Take(1))
    assert agrees(run)


def test_a_desk_says_what_it_has():
    desk = two_machines(chosen=12)
    assert desk.chosen == 12
    assert list(desk.machines) == ["one", "other"]
    with pytest.raises(AttributeError, match="no 'chose', only one, other, calls, chosen"):
        _ = desk.chose


class TellMine(TellAll):
    """The same in words of its own."""

    phrases: Mapping[str, str] = {"my.title": "Mine", "says.mine": "It happens.", "log.mine": "{0}"}

    def tell(self, event):
        return "mine", str(event)


def test_a_lab_has_phrases_of_its_own_besides_the_common_ones():
    from kmm_sim.labs import Bench

    machine = Machine(pages=16)
    bench = Bench(Run(machine, TellMine(PAGES)))
    assert "play" in bench.phrases
    assert "my.title" not in bench.phrases
    sent = []
    bench.send = sent.append
    machine.alloc_pages(GFP_KERNEL, 0)
    bench.refresh()
    assert sent[0]["phrases"] == {"says.mine": "It happens.", "log.mine": "{0}"}  # with the first event that needs it
    assert bench.phrases["says.mine"] == "It happens."
    machine.alloc_pages(GFP_KERNEL, 0)
    bench.refresh()
    assert sent[1]["frames"]
    assert "phrases" not in sent[1]


def test_what_the_script_says_by_itself_is_there_from_the_start():
    from kmm_sim import labs
    from kmm_sim.labs import Bench
    from kmm_sim.labs.bench import MODULES, _source
    from kmm_sim.labs.phrases import PHRASES

    script = "".join(map(_source, MODULES))
    said = set(re.findall(r'"([a-z_]+(?:\.[a-z_]+)*)"', script)) & PHRASES.keys() - {"memory", "title"}
    said |= {name for name in PHRASES if name.startswith(("block", "mark.", "step.")) or name.endswith(".title")} - {
        "buddyinfo.title"}
    assert len(said) > 80
    of_panels = {name for name in said if name.startswith(("map.", "plot.", "bytes."))}
    assert said - of_panels <= Bench(Run(Machine(pages=16), TellAll(PAGES))).phrases.keys()
    panels = [*labs.pages_lab().phrases, *labs.buddy_lab(pages=16, detail=True).phrases]
    assert of_panels <= set(panels)
