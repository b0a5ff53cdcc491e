# SPDX-License-Identifier: GPL-2.0-only
"""The exercises of the chapter "kmalloc() and kfree()".

    from kmm_sim.exercises import kmalloc as ex

    ex.waste            compute: the bytes that nobody asked for
    ex.size_class       implement: how many bytes a request really gets
    ex.same_object      predict: which slot the next request gets; a series
    ex.overflow         compute: a product that does not fit
    ex.config           find the bug: a driver's configuration
    ex.split_record     design: a record cut into pieces that waste little
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from kmm_sim.catalogue import _
from kmm_sim.exercises.compute import compute, predict
from kmm_sim.exercises.design import Score, design
from kmm_sim.exercises.exercise import Exercise, Misconception, Series
from kmm_sim.exercises.find_bug import Bug, find_bug
from kmm_sim.exercises.implement import Function, implement
from kmm_sim.exercises.questions import Ask, mistake
from kmm_sim.exercises.reading import Malformed, numbers, whole_number, word
from kmm_sim.exercises.state import InLab
from kmm_sim.mm.kmalloc import kmalloc_size_roundup

__all__ = ["EXERCISES", "config", "overflow", "same_object", "size_class", "split_record", "waste"]


# waste

SIZES = (1, 65, 100, 129, 193, 257, 4097, 8193)

waste = compute(
    name="kmalloc/waste", title=_("How much is wasted?"), level=1,
    task=_("For each size: how many bytes does the caller get that it did not ask for?"),
    asks=tuple(Ask(key=size, words=_("asked for {size} bytes").format(size=size),
                   right=kmalloc_size_roundup(size) - size, read=whole_number) for size in SIZES),
    mistakes=(
        Misconception("only powers of two", _(
            "Between 64 and 128, and between 128 and 256, there is one more class each: 96 and 192. They "
            "exist because small structures are so often of such sizes."), {65: 63, 129: 127}),
        Misconception("the class itself", _(
            "That is the size of the class. Asked for is what is left of it after your own bytes: the class minus the "
            "size."), {size: kmalloc_size_roundup(size) for size in SIZES}),
        Misconception("exact pages", _(
            "Above 8 KiB the request becomes pages, and the page allocator deals only in powers of two of them: 8193 "
            "bytes need three pages and get four."), {8193: 4095}),
    ),
    hints=(
        _("Find the class first: the powers of two from 8 to 8192, and 96 and 192."),
        _("Waste is the class minus what was asked for: 100 bytes get 128, so 28 are wasted."),
        _("Above 8192 there are no classes: whole pages, and a power of two of them."),
    ),
    why=_("The classes are 8, 16, 32, 64, 96, 128, 192, 256, 512 and so on to 8192; above, 2**n pages. The worst "
          "place to be is just above a class: 257 and 4097 lose almost half."),
)


# size_class

def _by_bits(size: int) -> int:
    if 64 < size <= 96:
        return 96
    if 128 < size <= 192:
        return 192
    if size <= 8192:
        return max(8, 1 << (size - 1).bit_length())
    pages = -(-size // 4096)
    return 4096 << (pages - 1).bit_length()


def _by_search(size: int) -> int:
    for room in (8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192):
        if room >= size:
            return room
    room = 16384
    while room < size:
        room *= 2
    return room


def _sizes(rng: random.Random) -> Iterator[tuple[int]]:
    """Around every class and every block of pages, where mistakes show, and anywhere."""
    edges = {room + step for power in range(3, 23) for room in (1 << power, 3 << (power - 1)) for step in (-1, 0, 1)}
    anywhere = {rng.randrange(1, 1 << rng.randrange(1, 22)) for _case in range(40)}
    yield from ((size,) for size in sorted({1, 2, *edges, *anywhere}) if 1 <= size <= 1 << 22)


def _in_lab(size: int) -> InLab | None:
    return InLab("kmalloc_lab", {"script": f"+{size}"}) if size <= 1 << 18 else None


size_class = implement(
    name="kmalloc/size-class", title=_("Which class serves it?"), level=2,
    task=_("Write `size_class(size)`: how many bytes a request for `size` bytes really gets, from 1 to 4 MiB."),
    template="def size_class(size):\n    ...\n",
    asked=Function(
        parameters=("size",), cases=_sizes, reference=_by_search,
        read=lambda value: whole_number(value, _("A number of bytes")), state=_in_lab,
        misconceptions=(
            Misconception("only powers of two", _(
                "You rounded up to a power of two everywhere. Between 64 and 128 there is 96, between 128 and 256 "
                "there is 192: two classes that are no powers of two."),
                lambda size: max(8, 1 << (size - 1).bit_length())),
            Misconception("only whole pages", _(
                "Above 8 KiB you gave the smallest number of whole pages. It is a power of two of pages, because that "
                "is all that the page allocator deals in."),
                lambda size: -(-size // 4096) * 4096 if size > 8192 else _by_bits(size)),
            Misconception("one class too many at exact sizes", _(
                "A size that is exactly a class fits it: 128 bytes get 128, and only 129 need the next. Take one off "
                "the size before you look at its bits."),
                lambda size: _by_bits(size + 1) if size < 8192 else _by_bits(size)),
            Misconception("a class for every 8 bytes", _(
                "You rounded up to a multiple of 8. The table of classes has one entry for each 8 bytes, but many "
                "entries name the same class."), lambda size: -(-size // 8) * 8),
            Misconception("smaller than the smallest", _(
                "There is no class below 8 bytes: a request for 1 byte gets 8."),
                lambda size: _by_bits(size) if size > 4 else 1 << (size - 1).bit_length()),
        ),
    ),
    right_answers=(_by_search, _by_bits, kmalloc_size_roundup),
    hints=(
        _("List the classes, from 8 up. Which two are no powers of two?"),
        _("Up to 8192, the answer is the first class that is not smaller than `size`."),
        _("Above 8192, count whole pages, then double from 4 pages on until they are enough."),
    ),
    why=_("A loop over thirteen classes is as right as bits. Linux looks up a table for up to 192 bytes and takes the "
          "position of the highest bit above: `kmalloc_slab()` in mm/slab.h. Drivers ask `kmalloc_size_roundup()`."),
)


# same_object

def _played(steps: list[tuple[str, str]], choose: str) -> dict[str, int]:
    """Return which slot each name gets if ``choose`` is how a freed slot is used again: last, first, lowest, never."""
    free: list[int] = []
    slots: dict[str, int] = {}
    fresh = 0
    for what, name in steps:
        if what == "-":
            free.append(slots[name])
            continue
        if not free or choose == "never":
            slots[name], fresh = fresh, fresh + 1
            continue
        slot = {"last": free[-1], "first": free[0], "lowest": min(free)}[choose]
        free.remove(slot)
        slots[name] = slot
    return slots


def _steps(rng: random.Random, level: int) -> list[tuple[str, str]]:
    """Some requests, some of them given back, and two more requests; on level 2 twice over."""
    names = iter("abcdefghijklmnop")
    held = [next(names) for _ in range(rng.randrange(4, 8))]
    steps = [("+", name) for name in held]
    for _round in range(level):
        freed = rng.sample(held, rng.randrange(3, 5) if len(held) > 4 else 3)
        steps += [("-", name) for name in freed]
        held = [name for name in held if name not in freed]
        new = [next(names), next(names)]
        steps += [("+", name) for name in new]
        held += new
    return steps


def _same_object_question(seed: int, level: int) -> Exercise:
    rng = random.Random(f"{level} {seed}")
    while True:
        steps = _steps(rng, level)
        x, y = [name for what, name in steps if what == "+"][-2:]
        results = {choose: _played(steps, choose) for choose in ("last", "first", "lowest", "never")}
        answers = [(slots[x], slots[y]) for slots in results.values()]
        if len(set(answers)) == len(answers) and len({answer[0] for answer in answers}) == len(answers):
            break
    lines = [f"{name} = machine.kmalloc(100, GFP_KERNEL)" if what == "+" else f"machine.kfree({name})"
             for what, name in steps]
    made = [name for what, name in steps if what == "+"]
    script = " ".join("+100" if what == "+" else f"-{made.index(name)}" for what, name in steps)
    return predict(
        name="kmalloc/same-object", title=_("Which slot? Question {seed}").format(seed=seed), level=level + 1,
        task=_("A new machine with one CPU; its slabs hand out slot 0 first, then 1, and so on. Which slots of the "
               "slab do the last two requests get?"),
        given="\n".join(["machine = Machine(pages=64)", *lines]),
        asks=(Ask(key=x, words=_("slot of {name}").format(name=x), right=results["last"][x]),
              Ask(key=y, words=_("slot of {name}").format(name=y), right=results["last"][y])),
        mistakes=(
            mistake("always a new slot", _("You gave them slots that nobody has used. What was freed is used first: "
                                           "it may still be in the CPU's cache."), **_pick(results["never"], x, y)),
            mistake("first freed, first used", _("You used the slot that was freed first. The freelist is a stack: "
                                                 "what was freed last is at its head, and goes out first."),
                    **_pick(results["first"], x, y)),
            mistake("the lowest", _("You took the lowest free slot. Nobody sorts the freelist: the slot freed last is "
                                    "at its head."), **_pick(results["lowest"], x, y)),
        ),
        state=InLab("kmalloc_lab", {"script": script}),
        again=_("Another question: `ex.same_object(seed={seed})`.").format(seed=seed + 1),
        hints=(_("100 bytes are served by kmalloc-128: all these objects share one slab."),
               _("Write the freelist as you go: a freed slot is put at its head, the next request takes the head."),
               _("{name} gets the slot that was freed last.").format(name=x)),
        why=_("A freed object goes to the head of the CPU's freelist and is the first to be used again: its bytes are "
              "most likely still in the CPU's cache. (Distributions shuffle the order of a *new* slab.)"),
    )


def _pick(slots: dict[str, int], *names: str) -> dict[str, int]:
    return {name: slots[name] for name in names}


same_object = Series(name="kmalloc/same-object", title=_("Which slot does it get?"), make=_same_object_question,
                     levels=2)


# overflow

overflow = compute(
    name="kmalloc/overflow", title=_("A product that does not fit"), level=2,
    task=_("A 64-bit kernel. A user says that there are n = 0x0aaaaaaaaaaaaaab entries; each has 24 bytes. The driver "
           "calls `p = kmalloc(n * 24, GFP_KERNEL)` and then fills the entries, one after the other."),
    asks=(
        Ask(key="bytes", words=_("what kmalloc() is asked for, in bytes"), right=8),
        Ask(key="class", words=_("what it gives, in bytes"), right=8),
        Ask(key="beyond", words=_("bytes of the first entry that lie beyond the object"), right=16),
        Ask(key="array", words=_("what `kmalloc_array(n, 24, GFP_KERNEL)` gives: NULL, an address or ZERO_SIZE_PTR"),
            right="NULL", read=word({"NULL": ("0", 0, None), "an address": (), "ZERO_SIZE_PTR": ()})),
    ),
    mistakes=(
        mistake("Python's product", _("In Python a product may be of any size. In C a `size_t` has 64 bits: what is "
                                      "beyond them is dropped. Take the product modulo 2**64."),
                bytes=0x0AAAAAAAAAAAAAAB * 24),
        mistake("it fails by itself", _("`kmalloc()` sees only the product, and that is small and looks all right: it "
                                        "gives an object, and no error."), **{"class": 0}),
        mistake("the object has room for an entry", _(
            "An entry has 24 bytes and the object 8. Already the first entry does not fit: two thirds of it lie in the "
            "neighbour."), beyond=0),
        mistake("the check is the caller's", _("`kmalloc_array()` multiplies with a check, and says NULL if the "
                                               "product does not fit. That is what it is for."), array="an address"),
    ),
    hints=(
        _("How much is 0x0aaaaaaaaaaaaaab times 24? Let Python tell you, then keep the lowest 64 bits."),
        _("The class is the smallest that holds what kmalloc() was asked for, not what you had in mind."),
        _("The first entry covers bytes 0 to 23. How many of these does the object have?"),
    ),
    why=_("n * 24 is 2**64 + 8, of which a `size_t` keeps 8. The request succeeds, with the smallest object there is, "
          "and the loop writes through the whole slab and on. `kmalloc_array()` and `kcalloc()` see it coming."),
)


# config

config = find_bug(
    name="kmalloc/config", title=_("A driver's configuration"), level=2,
    task=_("Four lines of this function are wrong. Which, and why? `n` comes from a user."),
    source="""
static int cfg_load(struct gadget *g, u64 n)
{
    struct cfg *c = kmalloc(sizeof(c), GFP_KERNEL);
    u64 *table;

    if (!c)
        return -ENOMEM;
    table = kmalloc(n * sizeof(*table), GFP_KERNEL);
    if (table == ERR_PTR(-ENOMEM))
        goto out;
    c->table = table;
    g->cfg = c;
    kfree(c);
    return 0;
out:
    kfree(c);
    return -ENOMEM;
}
""",
    names={"size": _("asks for the wrong size"), "overflow": _("the product may wrap around"),
           "test": _("does not find out whether it failed"), "freed": _("gives back what is still used"),
           "leak": _("nobody gives it back"), "sleeps": _("may sleep where nobody may")},
    bugs=(
        Bug(lines=3, name="size", missed=_("What is the size of `c`, and what is the size of what it points to?"),
            misread={"sleeps": _("A function that is called for a process may sleep, and nothing says otherwise "
                                 "here.")}),
        Bug(lines=8, name="overflow", missed=_("A user chooses `n`. How large can `n * 8` be?"),
            misread={"size": _("`*table` is one entry, so its size is right. What about the product?")}),
        Bug(lines=9, name="test", missed=_("What exactly does `kmalloc()` return on failure?")),
        Bug(lines=(13, 12), name="freed", missed=_("Who has the pointer `c` after this function has returned 0?"),
            misread={"leak": _("On this path `g->cfg` keeps `c`, and must: giving it back is what is wrong.")}),
    ),
    innocent={16: _("On the way out nobody else has `c`, so it is right to give it back here."),
              6: _("NULL is what kmalloc() says on failure, so this test is right.")},
    hints=(
        _("`sizeof` of a pointer is 8, whatever it points to."),
        _("`kmalloc()` says NULL on failure, and nothing else: no error code."),
        _("Follow `c` on the path without an error: who keeps it, and who gives it back?"),
    ),
    why=_("Line 3 wants `sizeof(*c)`; line 8 wants `kmalloc_array(n, sizeof(*table), GFP_KERNEL)`; line 9 wants "
          "`!table`; and line 13 frees what `g->cfg` still points to, so that the next caller gets the same bytes."),
)


# split_record

RECORD = 1100


def _read_pieces(value: Any) -> tuple[int, ...]:
    pieces = numbers(value, _("Your pieces"))
    if not 1 <= len(pieces) <= 3:
        raise Malformed(_("A record is 1 to 3 pieces, not {n}.").format(n=len(pieces)))
    if any(piece < 64 for piece in pieces):
        raise Malformed(_("A piece has 64 bytes or more."))
    if sum(pieces) != RECORD:
        raise Malformed(_("The pieces have {sum} bytes together; the record has {record}.").format(
            sum=sum(pieces), record=RECORD))
    return pieces


def _wasted(pieces: tuple[int, ...], _rng: random.Random) -> Score:
    given = sum(map(kmalloc_size_roundup, pieces))
    name = ""
    if len(pieces) == 1:
        name = "one piece"
    elif max(pieces) - min(pieces) <= 2:
        name = "equal pieces"
    elif all(kmalloc_size_roundup(piece) != piece for piece in pieces):
        name = "no full class"
    worst = max(pieces, key=lambda piece: kmalloc_size_roundup(piece) - piece)
    size = kmalloc_size_roundup(worst)
    return Score(value=given - RECORD, misconception=name, words=_(
        "Your piece of {piece} bytes gets {size}: it alone wastes {wasted}. In one piece the record wastes "
        "948.").format(piece=worst, size=size, wasted=size - worst),
        state=InLab("kmalloc_lab", {"script": " ".join(f"+{piece}" for piece in pieces)}))


split_record = design(
    name="kmalloc/split-record", title=_("A record of 1100 bytes"), level=3,
    task=_("A driver keeps a million records of 1100 bytes. In one piece each wastes 948. You may cut a record into at "
           "most three pieces of at least 64 bytes, each from kmalloc(). Hand in the sizes of the pieces, as a list; "
           "waste no more than 20 bytes a record."),
    template="pieces = ...",
    read=_read_pieces, play=_wasted, enough=20, best=20, unit=_("bytes wasted"), better="less",
    right_answers=([1024, 76], [512, 512, 76], [76, 1024]),
    mistakes=(
        Misconception("one piece", _("In one piece 1100 bytes get 2048: 948 are wasted, almost half."), [1100]),
        Misconception("equal pieces", _("Equal pieces are fair, but each of them lies between two classes. Fill a "
                                        "class to the brim, and let the rest be small."), [550, 550]),
        Misconception("no full class", _("None of your pieces fills its class. Make one as large as a class, and see "
                                         "what is left."), [1000, 100]),
    ),
    hints=(
        _("1100 is a little more than one of the classes. Which?"),
        _("The rest is 76 bytes. Which class serves it, and what is wasted?"),
        _("Small pieces waste little, because their classes stand close."),
    ),
    why=_("1024 + 76 bytes get 1024 + 96: 20 wasted instead of 948, almost a GiB for a million records. (A cache of "
          "its own for the record, with kmem_cache_create(), wastes even less, and keeps it in one piece.)"),
)

EXERCISES: tuple[Exercise | Series, ...] = (waste, size_class, same_object, overflow, config, split_record)
