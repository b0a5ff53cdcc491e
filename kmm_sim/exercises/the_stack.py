# SPDX-License-Identifier: GPL-2.0-only
"""The exercises of the chapter "The stack".

    from kmm_sim.exercises import the_stack as ex

    ex.thread_info   implement: where 2.6.34 finds thread_info
    ex.depth         implement: how deep a recursion may go
    ex.overflow      predict: what an overflow destroys; a series, ``ex.overflow(seed=1)``
    ex.report        read a report: a guard page that was hit; a series, ``ex.report(seed=1)``
    ex.parser        find the bug: a driver that uses too much stack, in three ways
    ex.elsewhere     choose: where a large thing goes
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from kmm_sim.catalogue import _
from kmm_sim.errors import KernelBug
from kmm_sim.exercises.choose import Situation, choose
from kmm_sim.exercises.compute import predict
from kmm_sim.exercises.exercise import Exercise, Misconception, Series
from kmm_sim.exercises.find_bug import Bug, find_bug
from kmm_sim.exercises.implement import Function, implement
from kmm_sim.exercises.questions import Ask, mistake
from kmm_sim.exercises.reading import address, whole_number, word
from kmm_sim.exercises.report import read_report
from kmm_sim.exercises.state import InLab
from kmm_sim.machine import Machine
from kmm_sim.mm.gfp import GFP_KERNEL
from kmm_sim.mm.stack import THREAD_START, Task, end_of_stack
from kmm_sim.observe import stack_parts

__all__ = ["EXERCISES", "depth", "elsewhere", "overflow", "parser", "report", "thread_info"]

# thread_info

def _by_mask(sp: int) -> int:
    return sp & ~8191


def _by_remainder(sp: int) -> int:
    return sp - sp % 8192


def _stack_pointers(rng: random.Random) -> Iterator[tuple[int]]:
    """One in the upper page of a stack, one in the lower, the first and the last byte, and some anywhere."""
    yield (0xFFFF88003F2A5E48,)
    yield (0xFFFF88003F2A4E48,)
    yield (0xFFFF880000006000,)
    yield (0xFFFF880000007FFF,)
    for _case in range(20):
        yield (0xFFFF880000000000 + 8 * rng.randrange(1 << 28),)


thread_info = implement(
    name="the-stack/thread-info", title=_("Find thread_info"), level=1,
    task=_("A stack of 2.6.34 has 8192 bytes, is aligned to its size, and has `thread_info` at its lowest address. "
           "Write "
           "`thread_info(sp)`: its address, for any stack pointer within the stack."),
    template="def thread_info(sp):\n    return ...\n",
    asked=Function(
        hexadecimal=("sp", "return"),
        parameters=("sp",), cases=_stack_pointers, reference=_by_mask,
        read=lambda value: whole_number(value, _("The address")),
        misconceptions=(
            Misconception("clears a page's bits", _(
                "You cleared the bits of one page. A stack has two, so in its upper half you find the middle of the "
                "stack: 8191 is the mask."), lambda sp: sp & ~4095),
            Misconception("today's size", _(
                "That is a stack of 16 KiB, as 6.12 has it. Those of 2.6.34 have 8."), lambda sp: sp & ~16383),
            Misconception("the top", _(
                "You found the first address above the stack. A stack grows down, and `thread_info` is at its lowest."),
                lambda sp: (sp & ~8191) + 8192),
            Misconception("keeps the lower bits", _(
                "You kept the lower bits, which say how far above `thread_info` the stack pointer is, and threw the "
                "address away: `~` is missing."), lambda sp: sp & 8191),
            Misconception("subtracts the size", _(
                "That is 8192 bytes below the stack pointer, wherever that is. The stack begins at a multiple of "
                "8192."),
                lambda sp: sp - 8192),
        ),
    ),
    right_answers=(_by_mask, _by_remainder, lambda sp: sp // 8192 * 8192),
    hints=(_("The lowest address of a stack is a multiple of 8192. Which multiple is just below `sp`?"),
           _("8192 is 2**13: the lowest 13 bits have to go."), _("`~8191` has all bits set but these 13.")),
    why=_("One AND finds it, from the stack pointer alone: that is why it was put there and why stacks were aligned. "
          "The "
          "price was that an overflow destroyed it."),
)


# depth

def _by_division(frame: int, size: int) -> int:
    return (size - 256 - 8) // (frame + 8)


def _by_counting(frame: int, size: int) -> int:
    room, calls = size - 264, 0
    while room >= frame + 8:
        room -= frame + 8
        calls += 1
    return calls


def _recursions(rng: random.Random) -> Iterator[tuple[int, int]]:
    """Frames that fit exactly, that miss by a byte, the recorded one, and some at random."""
    yield 528, 16384
    yield 264, 16384
    for calls in (3, 10, 40):
        exact = (16384 - 264) // calls - 8
        yield exact, 16384
        yield exact + 1, 16384
    yield 7920, 8192
    yield 7921, 8192
    for _case in range(20):
        yield 8 * rng.randrange(1, 256), rng.choice((8192, 16384, 32768))


depth = implement(
    name="the-stack/depth", title=_("How deep may it go?"), level=2,
    task=_("Write `depth(frame, size)`: how many calls of a recursive function fit on a fresh stack of `size` bytes, "
           "if "
           "each has a frame of `frame` bytes and 8 more for the return address. 256 bytes are in use before the first "
           "call, and the lowest 8 hold the magic number, which must stay."),
    template="def depth(frame, size):\n    return ...\n",
    asked=Function(
        parameters=("frame", "size"), cases=_recursions, reference=_by_division,
        read=lambda value: whole_number(value, _("A depth")),
        misconceptions=(
            Misconception("forgets the return address", _(
                "Each call takes 8 bytes more than its frame: the return address."),
                lambda frame, size: (size - 264) // frame),
            Misconception("an empty stack", _(
                "The stack is not empty before the first call: 256 bytes are in use, and the lowest 8 must stay."),
                lambda frame, size: size // (frame + 8)),
            Misconception("overwrites the magic number", _(
                "The last of your calls goes over the magic number. The lowest 8 bytes are not yours."),
                lambda frame, size: (size - 256) // (frame + 8)),
            Misconception("one too many", _(
                "You rounded up, and so counted the call that no longer fits."),
                lambda frame, size: -(-(size - 264) // (frame + 8))),
            Misconception("one return address for all", _(
                "You took 8 bytes off once. Each call has a return address of its own."),
                lambda frame, size: (size - 264 - 8) // frame),
        ),
    ),
    right_answers=(_by_division, _by_counting),
    hints=(_("How many bytes are there for all calls together?"), _("How many does one call take, with what is pushed "
           "before its frame?"), _("Divide, and forget the remainder: half a call does not fit.")),
    why=_("For the recorded recursion, 528 bytes on 16 KiB, it is 30: the thirty-first call met the guard page."),
)


# overflow

OUTCOMES = ("fits", "magic", "thread_info", "neighbour", "guard page")


def _outcome(kernel: str, frames: tuple[int, ...]) -> tuple[str, int]:
    """Return how far the calls got, and the bytes left on the stack before the last of them."""
    machine = Machine(pages=64, teaching=False)
    if kernel == "6.12":
        machine.new_task("below")
    else:
        machine.alloc_pages(GFP_KERNEL, 1)  # somebody's pages, right below the stack
    task = machine.new_task(kernel=kernel)
    assert task is not None
    left = 0
    try:
        for number, size in enumerate(frames):
            left = task.sp - end_of_stack(task) - 8
            machine.stack_call(task, f"f{number}", size)
    except KernelBug:
        return "guard page", left
    return _furthest(machine, task), left


def _furthest(machine: Machine, task: Task) -> str:
    """Return what of the things at the end of the stack the lowest frame has reached."""
    if task.sp < task.stack:
        return "neighbour"
    gone = [part.what for part in stack_parts(machine, task) if not part.intact]
    return "thread_info" if "thread_info" in gone else "magic" if "magic" in gone else "fits"


def _calls(rng: random.Random, level: int) -> tuple[str, tuple[int, ...]]:
    """Return a kernel and the frames of four calls; the last goes about as far as the end of the stack."""
    kernel = ("2.6.34", "6.12")[rng.randrange(2)] if level > 1 else "2.6.34"
    size, info = (16384, 0) if kernel == "6.12" else (8192, 104)
    first = tuple(8 * rng.randrange(size // 64, size // 40) for _call in range(3))
    room = size - THREAD_START - info - 8 - sum(frame + 8 for frame in first)
    over = rng.choice((-200, -8, 0, 8, 48, 104, 112, 160, 400))
    return kernel, (*first, room - 8 + over)


def _overflow_question(seed: int, level: int) -> Exercise:
    kernel, frames = _calls(random.Random(f"{level} {seed}"), level)
    outcome, left = _outcome(kernel, frames)
    others = [each for each in OUTCOMES if each != outcome]
    start, info = frames[:3], 104 if kernel == "2.6.34" else 0
    used = sum(start) + 24 + THREAD_START
    return predict(
        name="the-stack/overflow", title=_("What does it destroy? Question {seed}").format(seed=seed), level=level + 1,
        task=_("A task of Linux {kernel} makes four calls, each from within the last. 256 bytes are in use before the "
               "first, each call takes 8 bytes more than its frame. `thread_info`, where it is on the stack, has "
               "{info} "
               "bytes and lies at the lowest address, the magic number of 8 bytes just above it. How many bytes can be "
               "used before the last call, and what is the last thing, on the way down, that the fourth frame "
               "reaches?").format(kernel=kernel, info=info),
        given="\n".join(f"f{number}();    // a frame of {size} bytes" for number, size in enumerate(frames)),
        asks=(Ask(key="left", words=_("bytes left before the last call"), right=left),
              Ask(key="reaches", words=_("one of: {outcomes}").format(outcomes=", ".join(OUTCOMES)), right=outcome,
                  read=word(OUTCOMES))),
        mistakes=(
            mistake("forgets the return addresses", _(
                "You forgot the return addresses: three calls have pushed 24 bytes."), left=left + 24),
            mistake("an empty stack", _("256 bytes were in use before the first call."), left=left + 256),
            mistake("counts what must stay", _(
                "You counted the magic number, and what is below it, as room. They must stay."),
                left=left + 8 + info),
            mistake("reaches something else", _(
                "Compare what the fourth call takes, 8 bytes more than its frame, with what was left; then go down: "
                "the magic number, `thread_info` where there is one, and what is below the stack."),
                reaches=others[(used + seed) % len(others)]),
        ),
        state=InLab("stack_lab", {"script": " ".join(map(str, frames)), "left": kernel}),
        again=_("Another question: `puzzle = ex.overflow(seed={seed})`; with `level=2` it may be either "
                "kernel.").format(
            seed=seed + 1),
        hints=(_("Add up what the first three calls take, 8 bytes for each return address included."),
               _("Take that, the 256 bytes, the magic number and `thread_info` off the size of the stack."),
               _("What the fourth call needs beyond that goes over 8 bytes of magic number first.")),
        why=_("The fourth call needs {need} bytes, {left} were left. Below them lie 8 bytes of magic number, then "
              "{info} "
              "of `thread_info`, then what is not the stack's.").format(need=frames[-1] + 8, left=left, info=info),
    )


overflow = Series(name="the-stack/overflow", title=_("What does it destroy?"), make=_overflow_question, levels=2)


# report

def _report_text(rng: random.Random) -> tuple[str, int, int, int]:
    """Return what 6.12 says of a recursion with some frame, and: the stack's address, the calls, the frame.

    There is no report if the last frame ends just in the magic number, or beyond the guard page.
    """
    machine = Machine(memory="64 MiB", trace=False)
    for _other in range(rng.randrange(1, 5)):
        machine.new_task("other")
    task = machine.new_task("recursion")
    assert task is not None
    frame = 8 * rng.randrange(40, 250)
    try:
        while True:
            machine.stack_call(task, "recurse", frame)
    except KernelBug:
        pass
    return "\n".join(machine.dmesg), task.stack, len(task.frames), frame


def _report_question(seed: int, level: int) -> Exercise:
    rng = random.Random(f"report {level} {seed}")
    text, stack, calls, frame = _report_text(rng)
    while not text.startswith("BUG: TASK stack guard"):
        text, stack, calls, frame = _report_text(rng)
    hit = int(text.partition(" at ")[2].split()[0], 16)
    return read_report(
        name="the-stack/report", title=_("Read the report, question {seed}").format(seed=seed), level=2,
        task=_("A function calls itself, each time with a frame of {frame} bytes and 8 for the return address. 256 "
               "bytes "
               "of the stack were in use before. The machine stopped with this.").format(frame=frame),
        text=text,
        asks=(
            Ask(key="size", words=_("bytes of the stack"), right=16384),
            Ask(key="guard", words=_("the first address of the guard page"), right=stack - 4096, read=address),
            Ask(key="below", words=_("bytes from the address that was hit up to the stack"), right=stack - hit),
            Ask(key="calls", words=_("calls that had fitted"), right=calls),
        ),
        lines={"size": 1, "guard": 1, "below": 1},
        mistakes=(
            mistake("the guard is above", _("You put the guard page above the stack. A stack grows down, so the page "
                                            "below it is the one that is guarded."), guard=stack + 16384),
            mistake("the guard is the lowest page", _("That is the lowest page of the stack itself; it can be used. "
                                                      "The "
                                                      "guard page is the one below."), guard=stack),
            mistake("a stack of 2.6", _("Subtract the two addresses in the report."), size=8192),
            mistake("counts the last call", _("The last call is the one that did not fit."), calls=calls + 1),
            mistake("from the guard page", _("You measured from the guard page's first byte."),
                    below=hit - (stack - 4096)),
        ),
        hints=(_("The report has the lowest address of the stack and the first one above it."),
               _("The guard page is 4096 bytes, and ends where the stack begins."),
               _("16384 - 256 bytes, divided by what a call takes: how many whole calls is that?")),
        again=_("Another question: another `seed`."),
        why=_("The stack begins at {stack:#x}. {calls} calls of {each} bytes had fitted above that; the next one "
              "began to "
              "write below it, where nothing is mapped.").format(stack=stack, calls=calls, each=frame + 8),
    )


report = Series(name="the-stack/report", title=_("Read the report of a guard page"), make=_report_question)


# parser

parser = find_bug(
    name="the-stack/parser", title=_("A driver that parses"), level=2,
    task=_("Three lines of this driver are wrong where the stack is concerned. Which, and why?"),
    source="""
static int walk(struct node *n)
{
    char path[256];

    snprintf(path, sizeof(path), "%s", n->name);
    if (!n->next)
        return check(path);
    return walk(n->next);
}

static int probe(struct device *dev, size_t n)
{
    char image[4096];
    u8 command[16];
    u8 *copy = kmalloc(n, GFP_KERNEL);

    if (!copy)
        return -ENOMEM;
    fill(command, image, copy, n);
    dma_map_single(dev, command, 16, DMA_TO_DEVICE);
    kfree(copy);
    return 0;
}
""",
    names={
        "recursion": _("calls itself without a bound"),
        "large": _("a frame of a quarter of the stack"),
        "device": _("lets a device use memory of the stack"),
        "leak": _("is never given back"),
        "overrun": _("writes more than there is room for"),
    },
    bugs=(
        Bug(lines=(8, 3), name="recursion", missed=_("How often does `walk()` call itself for a list of a thousand "
                                                     "nodes, "
                                                     "and what does each call take?"),
            misread={"large": _("256 bytes would do, once. How often are they there at the same time?")}),
        Bug(lines=13, name="large", missed=_("Add up the frames. What does the compiler say above 2048 bytes?")),
        Bug(lines=(20, 14), name="device", missed=_("Where does `command` lie, and where does a stack come from "
                                                    "today?"),
            misread={"overrun": _("Sixteen bytes are sixteen bytes. But whose are they?")}),
    ),
    innocent={15: _("`kmalloc()` for what may be large is just right, and it is tested and given back."),
              5: _("`snprintf()` with the size of the array does not write beyond it.")},
    hints=(_("Which function can be on the stack more than once?"), _("Which arrays are large, for a stack of 16 KiB?"),
           _("What does a device need to know of the memory that it uses?")),
    why=_("A loop needs one `path`. The image belongs in memory of `kmalloc()`. And a device is given memory of "
          "`kmalloc()` or `dma_alloc_coherent()`: a stack comes from `vmalloc()`, and 6.12 refuses to map it."),
)


# elsewhere

elsewhere = choose(
    name="the-stack/elsewhere", title=_("On the stack, or where?"), level=1,
    task=_("Where does each of these go, and why?"),
    options={"stack": ("local variable",), "kmalloc": ("kmalloc()",), "kvmalloc": ("kvmalloc()",),
             "per cpu": ("percpu", "alloc_percpu"), "loop": ("iteration",)},
    reasons={
        "small and short": _("it is small and gone with the function"),
        "too large": _("it would take too much of a stack, and fits in a block or two"),
        "very large": _("it is larger than any stack, and needs no contiguous memory"),
        "no waiting": _("it is large, short-lived, and may not fail"),
        "no bound": _("nobody knows how deep it goes"),
    },
    situations=(
        Situation(key="counter", words=_("a loop counter and two pointers"), right="stack", because="small and short",
                  wrong={"kmalloc": _("24 bytes that are gone with the function are what a stack is for.")}),
        Situation(key="packet", words=_("a copy of a packet, up to 1500 bytes, in a function called deep in the "
                                        "network "
                                        "stack"), right="kmalloc", because="too large", wrong={
            "stack": _("1500 bytes are a tenth of the stack, and the callers have used most of it already.")}),
        Situation(key="table", words=_("a table of 100 KiB, built when the driver starts"), right="kvmalloc",
                  because="very large", wrong={
                      "stack": _("100 KiB are six times as much as a stack has."),
                      "kmalloc": _("It can work. But 100 KiB in one piece are order 5, and fail first when memory is "
                                   "fragmented; only the processor looks at the table.")}),
        Situation(key="scratch", words=_("8 KiB of scratch room in a function that compresses, and that may not fail"),
                  right="per cpu", because="no waiting", wrong={
                      "stack": _("8 KiB are half a stack, and the callers are on it, too."),
                      "kmalloc": _("`kmalloc()` may fail, and this function may not.")}),
        Situation(key="tree", words=_("a walk over a tree that users build"), right="loop", because="no bound", wrong={
            "stack": _("Recursion puts a frame on the stack for each level, and users decide how many there are.")}),
    ),
    hints=(_("A stack has 16 KiB, and you do not know how much of it is left."), _("May it fail? May it be in pieces?"),
           _("If nobody knows how deep it goes, a stack is the wrong place for it.")),
    why=_("Small and short-lived things are what a stack is for. The rest comes from an allocator, and what cannot "
          "wait "
          "or fail is set aside beforehand."),
)

EXERCISES: tuple[Exercise | Series, ...] = (thread_info, depth, overflow, report, parser, elsewhere)
