"""An exercise of each kind, as short as can be: to copy from, and to prove each kind's judge by."""

import random
from collections.abc import Iterator
from typing import Any

from kmm_sim import GFP_ATOMIC, GFP_KERNEL, GFP_NOWAIT, Machine
from kmm_sim.exercises.choose import Situation, choose
from kmm_sim.exercises.compute import compute, predict
from kmm_sim.exercises.design import Score, design
from kmm_sim.exercises.exercise import Exercise, Misconception, Series
from kmm_sim.exercises.find_bug import Bug, find_bug
from kmm_sim.exercises.implement import Function, implement
from kmm_sim.exercises.questions import Ask, mistake
from kmm_sim.exercises.reading import Malformed, address, number, numbers, sequence, whole_number, word
from kmm_sim.exercises.report import read_report
from kmm_sim.exercises.state import State
from kmm_sim.observe import buddyinfo
from kmm_sim.workload import Alloc, Free


def _(text: str) -> str:
    """Stand for ``from kmm_sim.catalogue import _``, which every chapter has."""
    return text


# compute: numbers by name; each mistake gives the wrong answers that it leads to

overhead = compute(
    name="examples/overhead", title=_("What do the notes about pages cost?"), level=1,
    task=_("A machine has 16 GiB in pages of 4096 bytes. Its kernel keeps a `struct page` of 64 bytes for each."),
    asks=(
        Ask(key="pages", words=_("how many pages"), right=4194304),
        Ask(key="bytes", words=_("bytes of all struct pages"), right=268435456),
        Ask(key="percent", words=_("of the memory, in percent"), right=1.5625, read=number, close=0.005),
        Ask(key="last", words=_("address of the last struct page, if the first is at 0xffffea0000000000"),
            right=0xFFFFEA000FFFFFC0, read=address),
    ),
    mistakes=(
        mistake("thousands", _("You took a GiB for 10**9 bytes; it is 2**30."),
                pages=3906250, bytes=250000000, last=0xFFFFEA000EE6B240),
        mistake("bits", _("You counted 64 bits; a `struct page` has 64 bytes."), bytes=33554432, percent=0.1953125),
        mistake("one past the last", _("That is where the notes end. The last one begins 64 bytes before."),
                last=0xFFFFEA0010000000),
    ),
    hints=(_("16 GiB are 2**34 bytes. Divide by 2**12."), _("Each page costs 64 bytes: multiply."),
           _("The percentage is 64 of 4096, however much memory there is.")),
    why=_("2**34 / 2**12 is 2**22 pages, times 2**6 bytes is 2**28, a quarter of a GiB: 64 of each 4096 bytes."),
)


# predict: a Series; each seed is a question, the simulator works out what is right

def _lowest_question(seed: int, level: int) -> Exercise:
    rng = random.Random(f"{level} {seed}")
    order, held = rng.randrange(1, 4), rng.randrange(1, 30)
    steps = (*[Alloc(0)] * held, Alloc(order))
    machine = State(64, then=steps).machine()
    page = machine.alloc_pages(GFP_KERNEL, order)
    return predict(
        name="examples/lowest", title=_("Where does it come from? Question {seed}").format(seed=seed), level=2,
        task=_("A bench of 64 pages. Which page frames does each of the last two requests begin at?"),
        given="\n".join([f"machine = Machine(pages=64)    # then {held} single pages are taken",
                         f"a = machine.alloc_pages(GFP_KERNEL, {order})",
                         f"b = machine.alloc_pages(GFP_KERNEL, {order})"]),
        asks=(Ask(key="a", right=page.pfn - (1 << order), words=_("first pfn of a")),
              Ask(key="b", right=page.pfn, words=_("first pfn of b"))),
        mistakes=(
            mistake("right behind", _("You put the blocks right behind the single pages. A block begins at a multiple "
                                      "of its size."), a=held, b=held + (1 << order)),
            mistake("from the end", _("You took the pages from the end of memory. The lower half is handed out."),
                    a=64 - (1 << order), b=64 - (2 << order)),
            mistake("the same", _("Both cannot begin at the same page: the first is in use."),
                    b=page.pfn - (1 << order)),
        ),
        state=State(64, before=steps[:-1], then=steps[-1:]), again=_("Another question: another `seed`."),
        hints=(_("Draw the 64 pages, and mark those that are taken."), _("A block begins at a multiple of its size."),
               _("Which is the smallest free block that is large enough?")),
        why=_("The smallest block that fits is taken, and the lower half goes to the caller; the other half is next."),
    )


def _telling(seed: int, level: int) -> Exercise:
    """Look for a question in which the mistakes lead to answers that differ."""
    for attempt in range(100):
        question = _lowest_question(seed + 1000 * attempt, level)
        answers = [question.right_answers[0], *(each.answer for each in question.misconceptions)]
        if all(answer["a"] != answers[0]["a"] or answer["b"] != answers[0]["b"] for answer in answers[1:]) and \
                answers[1]["a"] != answers[0]["a"]:
            return question
    raise RuntimeError("no question tells the mistakes apart")


lowest = Series(name="examples/lowest", title=_("Where does it come from?"), make=_telling)


# choose: an option and a reason for each situation

context = choose(
    name="examples/context", title=_("Which mask?"), level=2,
    task=_("Choose a mask for each caller, and say why."),
    options={"GFP_KERNEL": (GFP_KERNEL,), "GFP_ATOMIC": (GFP_ATOMIC,), "GFP_NOWAIT": (GFP_NOWAIT,)},
    reasons={"may sleep": _("the caller may wait for memory"), "must not sleep": _("the caller cannot wait"),
             "can do without": _("the caller cannot wait, and can go on without the memory")},
    situations=(
        Situation(key="probe", words=_("`probe()` of a driver"), right="GFP_KERNEL", because="may sleep", wrong={
            "GFP_ATOMIC": _("`probe()` runs in a process and may sleep. The reserves are for those who cannot wait."),
        }),
        Situation(key="irq", words=_("an interrupt handler, for a packet"), right="GFP_ATOMIC",
                  because="must not sleep", wrong={
                      "GFP_KERNEL": _("An interrupt handler must not sleep, and this mask may.")}),
        Situation(key="prefetch", words=_("under a spinlock, to read ahead"), right=("GFP_NOWAIT", "GFP_ATOMIC"),
                  because=("can do without", "must not sleep"),
                  wrong={"GFP_KERNEL": _("Who holds a spinlock must not sleep, and this mask may.")},
                  misread={"may sleep": _("The mask will do. But nobody may sleep who holds a spinlock.")}),
    ),
    hints=(_("Who runs there: a process, or whoever was interrupted?"), _("Who may sleep may wait for memory."),
           _("Which of them would only be a little slower without it?")),
    why=_("A mask follows from what the caller may do: sleep, wait, go without. The first is the usual case."),
)


# implement: a function; the reference and each mistake are functions as well

def _hole(holes: list[tuple[int, int]], size: int) -> int | None:
    for start, end in sorted(holes):
        if end - start >= size:
            return start
    return None


def _hole_by_min(holes: list[tuple[int, int]], size: int) -> int | None:
    return min((start for start, end in holes if start + size <= end), default=None)


def _holes(rng: random.Random) -> Iterator[tuple[list[tuple[int, int]], int]]:
    for _case in range(30):
        edges = sorted(rng.sample(range(0, 64), 2 * rng.randrange(1, 5)))
        holes = list(zip(edges[::2], edges[1::2], strict=True))
        rng.shuffle(holes)
        yield holes, rng.randrange(1, 12)
    yield [(8, 12), (0, 3)], 4
    yield [(0, 3), (10, 20), (5, 9)], 4


def _read_hole(value: Any) -> int | None:
    return None if value is None else whole_number(value, "A hole")


first_fit = implement(
    name="examples/first-fit", title=_("Find the lowest hole"), level=2,
    task=_("Write `lowest_hole(holes, size)`: the start of the lowest hole that has `size` bytes, or None."),
    template="def lowest_hole(holes, size):\n    ...\n",
    asked=Function(
        parameters=("holes", "size"), cases=_holes, reference=_hole, read=_read_hole,
        misconceptions=(
            Misconception("in the order given", _("You took the first hole in the list that fits. The list is not "
                                                  "sorted, and the lowest is asked for."),
                          lambda holes, size: next((start for start, end in holes if end - start >= size), None)),
            Misconception("must be larger", _("A hole of exactly the size fits: it need not be larger."),
                          lambda holes, size: _hole(holes, size + 1)),
            Misconception("best fit", _("You took the smallest hole that fits; the lowest is asked for."),
                          lambda holes, size: min(((end - start, start) for start, end in holes if end - start >= size),
                                                  default=(0, None))[1]),
        ),
    ),
    right_answers=(_hole, _hole_by_min),
    hints=(_("Sort the holes by their start."), _("A hole from start to end has end - start bytes."),
           _("Return the first that is large enough, and None after the loop.")),
    why=_("Sorted by address, the first that fits is the lowest that fits, and one look at each hole is enough."),
)


# implement, a function that changes its argument: ``result`` says which

def _pop_append(free: list[int], order: list[int]) -> None:
    order.append(free.pop(0))


def _pop_slices(free: list[int], order: list[int]) -> None:
    order += free[:1]
    del free[:1]


take_head = implement(
    name="examples/take-head", title=_("Take the head"), level=1,
    task=_("Write `take(free, taken)`: take the head off the list `free` and put it at the end of `taken`."),
    template="def take(free, taken):\n    ...\n",
    asked=Function(
        parameters=("free", "taken"), result=1,
        cases=lambda rng: [([7], []), ([3, 1, 2], [9]), (rng.sample(range(99), 5), [4, 4])],
        reference=_pop_append, read=lambda value: numbers(value, "taken"),
        misconceptions=(
            Misconception("takes the tail", _("You took the tail: `pop()` takes the last, `pop(0)` the head."),
                          lambda free, taken: taken.append(free.pop())),
            Misconception("puts it in front", _("It belongs to the end of `taken`, and you put it in front of it."),
                          lambda free, taken: taken.insert(0, free.pop(0))),
            Misconception("changes a copy", _("Nothing was put into `taken`. Does your function change its argument, "
                                             "or a copy of it?"), lambda free, taken: [*taken, free[0]]),
        ),
    ),
    right_answers=(_pop_append, _pop_slices),
    hints=(_("`pop(0)` takes the head off a list."), _("`append()` puts at the end."), _("One line does both.")),
    why=_("The head of a list is its entry 0, and `pop(0)` takes it off and returns it, ready to be appended."),
)


# find the bug: the line, and what is wrong there

handler = find_bug(
    name="examples/handler", title=_("An interrupt handler"), level=2,
    task=_("Two lines of this interrupt handler are wrong. Which, and why?"),
    source="""
static irqreturn_t my_isr(int irq, void *data)
{
    struct event *event = kmalloc(sizeof(*event), GFP_KERNEL);

    event->time = ktime_get();
    list_add(&event->list, data);
    return IRQ_HANDLED;
}
""",
    names={"sleeps": _("may sleep where nobody may"), "size": _("asks for the wrong size"),
           "unchecked": _("does not look whether it got memory"), "leak": _("nobody frees it")},
    bugs=(
        Bug(lines=3, name="sleeps", missed=_("Who runs this function, and may it wait?"),
            misread={"size": _("`*event` is the structure, not the pointer: the size is right.")}),
        Bug(lines=(5, 3), name="unchecked", missed=_("What does `kmalloc()` return when memory is short?")),
    ),
    innocent={6: _("`data` is whatever the driver gave to `request_irq()`: a list head, here.")},
    hints=(_("In which context does an interrupt handler run?"), _("What may `GFP_KERNEL` do?"),
           _("Look for what happens if `kmalloc()` fails.")),
    why=_("An interrupt handler must not sleep: `GFP_ATOMIC`. That fails more often, so the result must be tested."),
)


# read a report: text, and the line where each answer stands

report = read_report(
    name="examples/buddyinfo", title=_("Read a line of buddyinfo"), level=1,
    task=_("This is what a bench of 1024 pages printed after a few calls."),
    text=buddyinfo(State(1024, then=(Alloc(0), Alloc(3), Free(0))).machine()),
    asks=(Ask(key="free", words=_("free pages"), right=1016), Ask(key="largest", words=_("the largest order"), right=9),
          Ask(key="two", words=_("can order 10 succeed?"), right="no", read=word(("yes", "no")))),
    lines={"free": 1, "largest": 1},
    mistakes=(
        mistake("blocks for pages", _("You counted blocks; a block of order n has 2**n pages."), free=7),
        mistake("counts columns from one", _("The first column is order 0, and not order 1 as you count."), largest=10),
        mistake("enough pages", _("It is not how many pages are free that decides, but the largest block."), two="yes"),
    ),
    hints=(_("The first number counts blocks of order 0."), _("Each column is worth twice the one before."),
           _("The largest order is the last column that is not 0.")),
    why=_("Each column counts free blocks of one order: 8 + 16 + ... + 512 pages are free, in blocks up to order 9."),
)


# design, scored: a script that leaves as many free pages as it can of no use to a request for two

def _read_script(value: Any) -> tuple[tuple[str, int], ...]:
    steps = sequence(value, _("Your script"))
    if len(steps) > 64:
        raise Malformed(_("Your script has more than 64 steps."))
    return tuple((word(("+", "-"))(step[0], _("A step")), whole_number(step[1], _("A step")))
                 for step in (sequence(each, _("A step")) for each in steps))


def _play(script: tuple[tuple[str, int], ...], _rng: random.Random) -> Score:
    machine, held = Machine(pages=16), []
    for what, value in script:
        if what == "+":
            held.append((machine.alloc_pages(GFP_KERNEL, min(max(value, 0), 4)), value))
        elif 0 <= value < len(held) and held[value][0] is not None:
            page, order = held[value]
            machine.free_pages(page, order)
            held[value] = None, 0
    alone = int(buddyinfo(machine).split()[4])
    if not script:
        return Score(value=alone, misconception="nothing done")
    if not any(what == "-" for what, _value in script):
        return Score(value=alone, misconception="frees nothing")
    return Score(value=alone, words=_("Pages that are free together merge: keep one between each two."),
                 misconception="" if alone else "all merged")


ALL_TAKEN = [("+", 0)] * 16


def _freeing(which: range) -> list[tuple[str, int]]:
    return [*ALL_TAKEN, *(("-", n) for n in which)]


fragments = design(
    name="examples/fragments", title=_("Fragment the bench"), level=3,
    task=_("Write a script for 16 pages that leaves 8 pages free and no two of them a pair: a list of `(\"+\", order)` "
           "and `(\"-\", number of the allocation)`."),
    read=_read_script, play=_play, enough=8, best=8, unit=_("pages"),
    right_answers=(_freeing(range(0, 16, 2)), _freeing(range(1, 16, 2))),
    mistakes=(
        Misconception("nothing done", _("An empty script leaves one large block: nothing is fragmented."), []),
        Misconception("frees nothing", _("You free nothing, so nothing is free but what was never taken."), ALL_TAKEN),
        Misconception("all merged", _("You freed both pages of each pair, and they merged."),
                      _freeing(range(16))),
    ),
    hints=(_("Take all 16 pages, one by one."), _("Two pages that are free side by side may merge."),
           _("Free every other one.")),
    why=_("Half of memory is free, and every free page has a buddy in use: a request for two pages fails."),
)

EXERCISES = (overhead, lowest, context, first_fit, take_head, handler, report, fragments)
