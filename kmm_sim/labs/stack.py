# SPDX-License-Identifier: GPL-2.0-only
"""The stack lab: the same calls on an 8 KiB stack of 2.6.34 and on the guarded 16 KiB of 6.12.

    stack_lab()                             two stacks, nothing called yet
    stack_lab(script="528x14 528 schedule") ... with a recorded run to play

A script has ``528`` (a call whose frame has 528 bytes), ``528x14`` (fourteen of them, each from within
the last), ``return`` and ``schedule`` (the kernel looks at the end of the stack).

The machines have no teacher: what Linux does not notice is not noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from kmm_sim.catalogue import _
from kmm_sim.errors import KernelBug
from kmm_sim.labs.ask import Question
from kmm_sim.labs.bench import Bench
from kmm_sim.labs.opening import Opening
from kmm_sim.labs.run import Call, Run
from kmm_sim.labs.scene import Text
from kmm_sim.labs.stack_phrases import PHRASES
from kmm_sim.labs.stack_scene import Fate, Happened, Side, draw, tell
from kmm_sim.labs.view import Desk, On, View
from kmm_sim.machine import Machine
from kmm_sim.mm.gfp import GFP_KERNEL
from kmm_sim.mm.page import PAGE_SIZE
from kmm_sim.mm.stack import STACK_KINDS, Task, end_of_stack
from kmm_sim.mm.stack_events import StackOver, StackPush
from kmm_sim.observe import stack_parts
from kmm_sim.trace import Event

__all__ = ["StackLab", "stack_lab"]

RECORDS = b"customer records"
"""What somebody else keeps right below the stack."""
LARGEST = 32768
MOST = 64


class StackDesk(Desk):
    """Two machines; ``kernels`` has the kernel of each, ``stopped`` why one goes on no more."""

    left: Machine
    right: Machine
    kernels: dict[str, str]
    stopped: dict[str, str]


def stack_lab(
    script: str = "", *, left: str = "2.6.34", right: str = "6.12", link: str = "", title: str = "", caption: str = ""
) -> Bench:
    """Return a lab on two tasks, with a stack as Linux ``left`` makes it and one as Linux ``right`` does.

    The kernels are those of ``Machine.new_task``.  ``script`` is the recorded run that it opens with; see
    the first lines of this module.  ``link`` is the text that "Copy link" in a lab gives.  Raises
    ValueError for another kernel, or a step that is none.
    """
    lab = StackLab(title or ("st.title",), caption)
    opening = Opening("stack", partial(opened, lab), {"left": left, "right": right, "script": script})
    return Bench(opening.run(), opening, link)


def opened(lab: StackLab, left: str, right: str, script: str) -> Run:
    """Return the run of a lab with these settings."""
    run = Run(_desk(left, right), lab)
    for call in _recorded(script.split()):
        run.make(call)
    run.keep_as_recorded()
    return run


def _desk(left: str, right: str) -> StackDesk:
    for kernel in (left, right):
        if kernel not in STACK_KINDS:
            raise ValueError(_("no stacks of kernel {kernel!r} are known; there are {stack_kinds}",
                               kernel=kernel, stack_kinds=", ".join(STACK_KINDS)))
    return StackDesk(left=_machine(left), right=_machine(right), kernels={"left": left, "right": right}, stopped={})


def _machine(kernel: str) -> Machine:
    """Return a machine with one task, and somebody's records right below its stack if the stack is not guarded."""
    machine = Machine(pages=64, teaching=False)
    if STACK_KINDS[kernel].vmapped:
        machine.new_task("somebody else", kernel)
    else:
        page = machine.alloc_pages(GFP_KERNEL, 1 if STACK_KINDS[kernel].size > PAGE_SIZE else 0)
        assert page is not None, "a machine of 64 pages has two"
        size = PAGE_SIZE << page.order
        machine.write(machine.page_address(page) + size - len(RECORDS), RECORDS)
    machine.new_task("task", kernel)
    return machine


class StackLab:
    """From the state of both stacks to a scene, and from what a reader asks for to a call."""

    phrases = PHRASES

    def __init__(self, title: Text, caption: Text = "") -> None:
        self.title = title
        self.caption = caption
        self.view = View(_look)

    def draw(self, state: tuple[Side, Side]) -> Any:
        """Return the scene of a state."""
        return draw(state, self.title, self.caption)

    def tell(self, event: Event) -> tuple[Any, ...]:
        """Return a call as a phrase."""
        return tell(event)

    def ask(self, before: tuple[Side, Side], after: tuple[Side, Side], events: Sequence[Event]) -> Question | None:
        """Ask what becomes of a call: of that on the right once the one on the left has stopped."""
        for side, name in zip(before, ("left", "right"), strict=True):
            steps = [event.event for event in events if isinstance(event, On) and event.machine == name]
            last = next((step for step in reversed(steps) if isinstance(step, StackPush | StackOver)), None)
            if last is None:
                continue
            over = any(isinstance(step, StackOver) for step in steps)
            answer = 2 if isinstance(last, StackOver) else int(over)
            return Question(("st.ask", side.kernel), (("st.ask.fits",), ("st.ask.silent",), ("st.ask.stops",)), answer)
        return None

    def read(self, action: Mapping[str, Any]) -> Call:
        """Return the call that a reader asks for.  Raises ValueError if it is none."""
        match action.get("do"):
            case "call":
                return Calls(_number(action, "size", 0, LARGEST), _number(action, "times", 1, MOST))
            case "return":
                return Return()
            case "schedule":
                return Schedule()
            case other:
                raise ValueError(_("{other!r} is nothing that this lab can do", other=other))


def _number(action: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = action.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(_("{name} is a whole number from {low} to {high}, not {value!r}",
                           name=name, low=low, high=high, value=value))
    return value


# The calls

@dataclass(frozen=True, slots=True)
class Calls:
    """A call of a function with a frame of ``size`` bytes, ``times`` times, each from within the last."""

    size: int
    times: int = 1

    def text(self) -> Text:
        """Return the call as C."""
        return ("st.call.one", self.size) if self.times == 1 else ("st.call.many", self.size, self.times)

    def __call__(self, desk: StackDesk) -> Happened:
        """Make the call on both stacks."""
        def call(machine: Machine, task: Task) -> None:
            for _time in range(self.times):
                machine.stack_call(task, f"f{len(task.frames) + 1}", self.size)
        return _on_both(desk, "call", call)


@dataclass(frozen=True, slots=True)
class Return:
    """A return from the function called last."""

    def text(self) -> Text:
        """Return the call as C."""
        return ("st.call.return",)

    def __call__(self, desk: StackDesk) -> Happened:
        """Return on both stacks.  Raises KernelBug if neither has a call to return from."""
        if not any(_task(machine).frames for name, machine in desk.machines.items() if name not in desk.stopped):
            raise KernelBug(_("there is no call to return from"))
        def back(machine: Machine, task: Task) -> None:
            if task.frames:
                machine.stack_return(task)
        return _on_both(desk, "return", back)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The task gives the CPU away, and the kernel looks at the end of its stack."""

    def text(self) -> Text:
        """Return the call as C."""
        return ("st.call.schedule",)

    def __call__(self, desk: StackDesk) -> Happened:
        """Look at both stacks."""
        return _on_both(desk, "schedule", Machine.check_stack)


def _on_both(desk: StackDesk, does: str, call: Callable[[Machine, Task], None]) -> Happened:
    """Do the same on both machines, as far as they still run; note which one stops."""
    return Happened(does, (_fate(desk, "left", call), _fate(desk, "right", call)))


def _fate(desk: StackDesk, name: str, call: Callable[[Machine, Task], None]) -> Fate:
    """Do it on one machine, if it still runs; return what became of it."""
    machine, kernel = desk.machines[name], desk.kernels[name]
    if name in desk.stopped:
        return Fate(kernel, 0, stopped=True)
    before, stops, seen = _intact(machine), "", len(machine.dmesg)
    try:
        call(machine, _task(machine))
    except KernelBug as bug:
        stops = str(bug)
        desk.stopped = desk.stopped | {name: stops}
    lost = tuple(what for what in before if what not in _intact(machine))
    return Fate(kernel, _left(_task(machine)), lost, stops, bool(stops), next(iter(machine.dmesg[seen:]), ""))


def _task(machine: Machine) -> Task:
    return machine.stacks.tasks[-1]


def _left(task: Task) -> int:
    return task.sp - end_of_stack(task) - 8


def _intact(machine: Machine) -> tuple[str, ...]:
    return tuple(part.what for part in stack_parts(machine, _task(machine), RECORDS)
                 if part.what in ("magic", "thread_info", "below") and part.intact)


def _look(desk: StackDesk) -> tuple[Side, ...]:
    sides = []
    for name, machine in desk.machines.items():
        task = _task(machine)
        sides.append(Side(desk.kernels[name], task.kind.size, _left(task), len(task.frames),
                          stack_parts(machine, task, RECORDS), name in desk.stopped, tuple(machine.dmesg)))
    return tuple(sides)


def _recorded(words: Sequence[str]) -> Iterator[Call]:
    """Yield the calls of a script."""
    for word in words:
        size, _x, times = word.partition("x")
        if word == "return":
            yield Return()
        elif word == "schedule":
            yield Schedule()
        elif size.isdecimal() and (times or "1").isdecimal():
            yield Calls(int(size), int(times or "1"))
        else:
            raise ValueError(_("{word!r} is no step: there are 528 528x14 return schedule", word=word))
