# SPDX-License-Identifier: GPL-2.0-only
"""The exercises of the chapter "SLAB, SLUB, SLOB and after".

    from kmm_sim.exercises import slab_slub_slob as ex

    ex.slob_lists     compute: on which of SLOB's lists a request looks
    ex.colours        compute: the colours of SLAB's slabs
    ex.aside          predict: slabs put aside, slabs on the node's list; a series, ``ex.aside(seed=1)``
    ex.first_fit      implement: SLOB's search in a page
    ex.encode         implement: a hardened free pointer
    ex.redzone        read a report: what slab_debug found
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from kmm_sim.catalogue import _
from kmm_sim.exercises.compute import compute, predict
from kmm_sim.exercises.exercise import Exercise, Misconception, Series
from kmm_sim.exercises.implement import Function, implement
from kmm_sim.exercises.questions import Ask, mistake
from kmm_sim.exercises.reading import Malformed, address, numbers, sequence, whole_number, word
from kmm_sim.exercises.report import read_report
from kmm_sim.exercises.state import InLab
from kmm_sim.machine import Machine
from kmm_sim.mm.gfp import GFP_KERNEL
from kmm_sim.observe import slab_snapshot

__all__ = ["EXERCISES", "aside", "colours", "encode", "first_fit", "redzone", "slob_lists"]

# slob_lists

LISTS = {"small": (), "medium": (), "large": (), "pages": ("page allocator", "the page allocator", "alloc_pages")}

slob_lists = compute(
    name="slab-slub-slob/slob-lists",
    title=_("On which list does SLOB look?"),
    level=1,
    task=_("SLOB has three lists of pages: small for blocks below 256 bytes, medium below 1024, large below a page. "
           "`kmalloc()` needs 8 bytes more than it is asked for. What is too large for a page comes from the page "
           "allocator: \"pages\"."),
    asks=(
        Ask(key="kmalloc100", words=_("kmalloc(100)"), right="small", read=word(LISTS)),
        Ask(key="kmalloc250", words=_("kmalloc(250)"), right="medium", read=word(LISTS)),
        Ask(key="cache250", words=_("an object of 250 bytes from a cache"), right="small", read=word(LISTS)),
        Ask(key="kmalloc1015", words=_("kmalloc(1015)"), right="medium", read=word(LISTS)),
        Ask(key="cache1024", words=_("an object of 1024 bytes from a cache"), right="large", read=word(LISTS)),
        Ask(key="kmalloc4096", words=_("kmalloc(4096)"), right="pages", read=word(LISTS)),
    ),
    mistakes=(
        mistake("forgets the size in front", _("You forgot the 8 bytes that `kmalloc()` writes before the block: 250 "
                                               "need a block of 258."), kmalloc250="small"),
        mistake("a size before every object", _("You put 8 bytes before an object of a cache too. The cache knows how "
                                                "large it is."), cache250="medium"),
        mistake("up to and including", _("You took 1024 for medium. The lists are for blocks *below* 256 and below "
                                         "1024."), cache1024="medium"),
        mistake("eight bytes are a kilobyte", _("1015 and the 8 bytes before the block are 1023, and that is below "
                                                "1024."), kmalloc1015="large"),
        mistake("a page is a block", _("You looked for 4096 bytes on a list. With 8 more they do not fit into a page."),
                kmalloc4096="large"),
    ),
    hints=(
        _("For `kmalloc()`, add 8 first; for a cache, nothing."),
        _("250 + 8 is 258, and 1015 + 8 is 1023. Which borders are they beyond?"),
        _("A block of SLOB's lies in one page."),
    ),
    why=_("`kfree()` is given an address and no size, so the size must stand somewhere: 8 bytes before the block. "
          "`kmem_cache_free()` is given the cache, which knows it. mm/slob.c, `__do_kmalloc_node()` in 6.1."),
)


# colours

colours = compute(
    name="slab-slub-slob/colours",
    title=_("The colours of a slab"),
    level=2,
    task=_("SLAB, one page, objects of 320 bytes, aligned to 64. In the slab stand a descriptor of 48 bytes and 4 "
           "bytes for each object, rounded up together to 64. What is left over is cut into cache lines of 64 bytes; "
           "each new slab shifts its objects by one more, and begins again when there are no more."),
    asks=(
        Ask(key="objects", words=_("objects in a slab"), right=12),
        Ask(key="left", words=_("bytes left over"), right=128),
        Ask(key="offsets", words=_("the shifts of the first four slabs, in bytes"), right=(0, 64, 0, 64),
            read=numbers),
    ),
    mistakes=(
        mistake("no descriptor", _("You left no room for the descriptor and the 4 bytes for each object. 12 objects "
                                   "need 96 bytes of bookkeeping, rounded up to 128."), left=256),
        mistake("one colour more", _("You used a shift of the whole rest. Linux has as many colours as whole lines fit "
                                     "into the rest, and 0 is one of them: two, here."), offsets=(0, 64, 128, 0)),
        mistake("never begins again", _("Your shifts go on and on. When the colours are used up, the next slab begins "
                                        "at 0 again: there is no room for more."), offsets=(0, 64, 128, 192)),
        mistake("no colours", _("You shifted nothing. Then the first objects of all slabs would compete for the same "
                                "lines of the CPU's cache."), offsets=(0, 0, 0, 0)),
    ),
    hints=(
        _("Twelve objects take 3840 bytes. What do the descriptor and twelve times 4 bytes take, rounded up to 64?"),
        _("4096 - 3840 - 128 bytes are left over."),
        _("128 bytes are two cache lines, so there are two colours: shift 0 and shift 64."),
    ),
    why=_("48 + 12 * 4 is 96, rounded up 128; 4096 - 12 * 320 - 128 is 128: two colours. `cachep->colour = left_over / "
          "cachep->colour_off`, and `colour_next` counts 0, 1, 0, 1 (mm/slab.c, 2.6.34)."),
)


# aside

def _machine(slabs: int, freed: int) -> tuple[Machine, int]:
    """Return a machine with so many full slabs of process descriptors, one object freed in each of the first."""
    machine = Machine(pages=1024)
    cache = machine.kernel_cache("task_struct")
    objects = [machine.kmem_cache_alloc(cache, GFP_KERNEL) for _object in range(5 * slabs)]
    for ptr in objects[: 5 * freed : 5]:
        machine.kmem_cache_free(cache, ptr)
    return machine, slabs


def _aside_question(seed: int, level: int) -> Exercise:
    rng = random.Random(f"{level} {seed}")
    slabs = rng.randrange(9, 31)
    freed = rng.randrange(4, slabs - 1)
    if freed % 3 == 0:
        freed += 1 if freed + 1 < slabs - 1 else -1
    machine, _slabs = _machine(slabs, freed)
    view = slab_snapshot(machine)["task_struct"]
    put, node = len(view.cpus[0].partial), len(view.partial)
    full = slabs - put - node - 1
    return predict(
        name="slab-slub-slob/aside",
        title=_("Aside, or with the node? Question {seed}").format(seed=seed),
        level=2,
        task=_("SLUB, one CPU, a cache of five objects per slab; the CPU may put 3 slabs aside. {slabs} slabs are "
               "full, the last of them the CPU's own. Then one object of each of the first {freed} slabs is freed. How "
               "many slabs are put aside, on the node's partial list, and on no list (without the CPU's own)?").format(
                   slabs=slabs, freed=freed),
        given=f"objects = [m.kmem_cache_alloc(cache, GFP_KERNEL) for _ in range({5 * slabs})]\n"
              f"for p in objects[:{5 * freed}:5]:\n    m.kmem_cache_free(cache, p)",
        asks=(
            Ask(key="aside", words=_("put aside by the CPU"), right=put),
            Ask(key="node", words=_("on the node's partial list"), right=node),
            Ask(key="full", words=_("full, on no list"), right=full),
        ),
        mistakes=(
            mistake("all aside", _("You put all of them aside. When as many are aside as the CPU may have, the next "
                                   "one sends those to the node first."), aside=freed, node=0),
            mistake("all to the node", _("You put them all on the node's list. The CPU puts a slab aside first: taking "
                                         "the node's lock for each free would be slow."), aside=0, node=freed),
            mistake("one at a time", _("You moved one slab to the node for each that came. All that are aside go "
                                       "together, so that the lock is taken once."), aside=3, node=freed - 3),
            mistake("counts the CPU's own", _("You counted the CPU's own slab among the full ones. It is the CPU's, "
                                              "with objects or without."), full=full + 1),
        ),
        state=InLab("slab_lab", {"script": " ".join([f"+{5 * slabs}", *(f"-{5 * n}" for n in range(freed))]),
                                 "cache": "task_struct", "by": "place", "pages": 1024}),
        again=_("Another question: `ex.aside(seed={seed})`.").format(seed=seed + 1),
        hints=(
            _("A full slab is on no list. The first free in it puts it aside for the CPU that frees."),
            _("Three may be aside. What happens when the fourth comes?"),
            _("The three go to the node together, and the fourth is aside alone."),
        ),
        why=_("`put_cpu_partial()` (mm/slub.c): if the list is at its limit, all of it moves to the node, and a new "
              "one is begun with the slab that came. One lock for several slabs."),
    )


def _telling(seed: int, level: int) -> Exercise:
    """Look for a question in which each mistake leads to an answer of its own."""
    for attempt in range(100):
        question = _aside_question(seed + 1000 * attempt, level)
        answers = [question.right_answers[0], *(each.answer for each in question.misconceptions)]
        if all(answer != other for nth, answer in enumerate(answers) for other in answers[:nth]):
            return question
    raise RuntimeError("no question tells the mistakes apart")


aside = Series(name="slab-slub-slob/aside", title=_("Aside, or with the node?"), make=_telling)


# first_fit

def _cut(
    holes: list[tuple[int, int]], size: int
) -> tuple[int | None, list[tuple[int, int]]]:
    left = []
    found = None
    for offset, room in holes:
        if found is None and room >= size:
            found = offset
            if room > size:
                left.append((offset + size, room - size))
        else:
            left.append((offset, room))
    return found, left


def _cut_by_index(holes: list[tuple[int, int]], size: int) -> tuple[int | None, list[tuple[int, int]]]:
    for nth, (offset, room) in enumerate(holes):
        if room >= size:
            rest = [(offset + size, room - size)] if room > size else []
            return offset, holes[:nth] + rest + holes[nth + 1 :]
    return None, holes


def _best_fit(holes: list[tuple[int, int]], size: int) -> tuple[int | None, list[tuple[int, int]]]:
    fits = [(room, offset) for offset, room in holes if room >= size]
    if not fits:
        return None, holes
    offset = min(fits)[1]
    nth = [each for each, _room in holes].index(offset)
    return offset, holes[:nth] + _cut(holes[nth : nth + 1], size)[1] + holes[nth + 1 :]


def _keeps_nothing(holes: list[tuple[int, int]], size: int) -> tuple[int | None, list[tuple[int, int]]]:
    found, _left = _cut(holes, size)
    return found, [hole for hole in holes if hole[0] != found]


def _cuts_the_end(holes: list[tuple[int, int]], size: int) -> tuple[int | None, list[tuple[int, int]]]:
    for nth, (offset, room) in enumerate(holes):
        if room >= size:
            rest = [(offset, room - size)] if room > size else []
            return offset + room - size, holes[:nth] + rest + holes[nth + 1 :]
    return None, holes


def _keeps_an_empty_hole(holes: list[tuple[int, int]], size: int) -> tuple[int | None, list[tuple[int, int]]]:
    for nth, (offset, room) in enumerate(holes):
        if room >= size:
            return offset, [*holes[:nth], (offset + size, room - size), *holes[nth + 1 :]]
    return None, holes


def _holes(rng: random.Random) -> Iterator[tuple[list[tuple[int, int]], int]]:
    yield [(0, 4096)], 100
    yield [(0, 64)], 64
    yield [(0, 40), (100, 64)], 64
    yield [(0, 300), (400, 100), (600, 200)], 100
    yield [(0, 10)], 20
    yield [], 8
    for _case in range(20):
        edges = sorted(rng.sample(range(0, 512), 2 * rng.randrange(1, 6)))
        pairs = zip(edges[::2], edges[1::2], strict=True)
        yield [(8 * start, 8 * (end - start)) for start, end in pairs], 8 * rng.randrange(1, 60)


def _read_cut(value: Any) -> tuple[int | None, tuple[tuple[int, ...], ...]]:
    pair = sequence(value, _("What your function returns"))
    if len(pair) != 2:
        raise Malformed(_("Your function should return two things: the offset or None, and the list of holes."))
    found = None if pair[0] is None else whole_number(pair[0], _("The offset"))
    return found, tuple(numbers(each, _("A hole")) for each in sequence(pair[1], _("The holes")))


def _plain(cut: Callable[[list[tuple[int, int]], int], Any]) -> Callable[[list[tuple[int, int]], int], Any]:
    """Return the function with its result as it is read from a reader's."""
    return lambda holes, size: _read_cut(cut(holes, size))


first_fit = implement(
    name="slab-slub-slob/first-fit",
    title=_("The first hole that fits"),
    level=2,
    task=_("Write `cut(holes, size)`, SLOB's search in one page. Each hole is `(offset, bytes)`, by address. Cut "
           "`size` bytes off the beginning of the first hole that is large enough. Return the offset and the holes "
           "that are left; `None` and the same holes if none fits."),
    template="def cut(holes, size):\n    ...\n",
    asked=Function(
        parameters=("holes", "size"),
        cases=_holes,
        reference=_plain(_cut),
        read=_read_cut,
        misconceptions=(
            Misconception("best fit", _("You took the hole that fits best. SLOB takes the first that fits: it does not "
                                        "look at the others."), _plain(_best_fit)),
            Misconception("loses the rest", _("You dropped the rest of the hole. What is not needed stays free, as a "
                                              "smaller hole."), _plain(_keeps_nothing)),
            Misconception("cuts the end off", _("You cut the block off the end of the hole. SLOB hands out its "
                                                "beginning, and what follows stays free."), _plain(_cuts_the_end)),
            Misconception("keeps a hole of no bytes", _("You kept a hole of 0 bytes. A hole that fits exactly is gone "
                                                        "from the list."), _plain(_keeps_an_empty_hole)),
        ),
    ),
    right_answers=(_cut, _cut_by_index),
    hints=(
        _("Go through the holes in order and stop at the first with enough bytes."),
        _("A hole at offset 100 with 64 bytes, of which 40 are cut: what begins at 140?"),
        _("Two cases: the hole is exactly as large as needed, and it vanishes; or it shrinks from the front."),
    ),
    why=_("That is `slob_page_alloc()` (mm/slob.c) without alignment. The list is in the holes themselves there, as "
          "offsets, and a hole of one unit stores its size as a negative number."),
)


# encode

def _by_bytes(ptr: int, secret: int, where: int) -> int:
    return ptr ^ secret ^ int.from_bytes(where.to_bytes(8, "little"), "big")


def _by_shifts(ptr: int, secret: int, where: int) -> int:
    swapped = 0
    for _byte in range(8):
        swapped = swapped << 8 | where & 0xFF
        where >>= 8
    return ptr ^ secret ^ swapped


def _pointers(rng: random.Random) -> Iterator[tuple[int, int, int]]:
    yield 0, 0, 0x0102030405060708
    yield 0xFFFF888000001040, 0, 0xFFFF888000001020
    yield 0, 0x1234567890ABCDEF, 0xFFFF888000001020
    for _case in range(10):
        base = 0xFFFF888000000000 + 64 * rng.randrange(1 << 20)
        yield base + 64 * rng.randrange(8), rng.getrandbits(64), base + 32


encode = implement(
    name="slab-slub-slob/encode",
    title=_("A hardened free pointer"),
    level=3,
    task=_("Write `encode(ptr, secret, where)`: what a hardened kernel writes into a free object at address `where` "
           "instead of the pointer `ptr`: pointer XOR secret XOR the address with its eight bytes in reverse order."),
    template="def encode(ptr, secret, where):\n    ...\n",
    asked=Function(
        hexadecimal=("ptr", "secret", "where", "return"),
        parameters=("ptr", "secret", "where"),
        cases=_pointers,
        reference=_by_bytes,
        read=lambda value: address(value, _("A pointer")),
        misconceptions=(
            Misconception("does not swap the bytes", _("You used the address as it is. Both addresses begin alike, so "
                                                       "their high halves would cancel out and the secret's show: that "
                                                       "is why the bytes are reversed."),
                          lambda ptr, secret, where: ptr ^ secret ^ where),
            Misconception("leaves the secret out", _("You left the secret out. Then anybody who knows the addresses "
                                                     "can write a pointer of his own."),
                          lambda ptr, secret, where: _by_bytes(ptr, 0, where)),
            Misconception("leaves the place out", _("You left the address out. Then an encoded pointer could be copied "
                                                    "from one object to another and still be good."),
                          lambda ptr, secret, where: ptr ^ secret),
            Misconception("reverses the bits", _("You reversed the bits. The bytes are put in reverse order; the bits "
                                                 "within each stay as they are."),
                          lambda ptr, secret, where: ptr ^ secret ^ int(f"{where:064b}"[::-1], 2)),
        ),
    ),
    right_answers=(_by_bytes, _by_shifts),
    hints=(
        _("`int.to_bytes(8, \"little\")` gives the eight bytes, lowest first; `int.from_bytes(..., \"big\")` reads "
          "them the other way round."),
        _("XOR is `^` in Python, and the order of the three does not matter."),
        _("With the address 0x0102030405060708, pointer 0 and secret 0, the answer is 0x0807060504030201."),
    ),
    why=_("`freelist_ptr_encode()` (mm/slub.c, line 476). The same operation decodes: what is XORed twice is gone. "
          "Reversed, the address puts its lowest bytes, those that differ most, where pointers agree most."),
)


# redzone

REPORT = """\
[Left Redzone overwritten] 0xffff88810205a007-0xffff88810205a007 @offset=7. First byte 0x42 instead of 0xcc
BUG mmt-dbg (Tainted: G           O      ): Object corrupt
Allocated in exp_crash+0x49b/0xd0f [mmtrace] age=0 cpu=0 pid=36
Slab 0xffffea0004081680 objects=25 used=2 fp=0xffff88810205a148 flags=0x200000000000200(workingset|node=0|zone=2)
Object 0xffff88810205a008 @offset=8 fp=0xffff88810205a0a8
Redzone  ffff88810205a000: cc cc cc cc cc cc cc 42                          .......B
Object   ffff88810205a008: 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b  kkkkkkkkkkkkkkkk
Redzone  ffff88810205a048: cc cc cc cc cc cc cc cc                          ........
FIX mmt-dbg: Object at 0xffff88810205a008 not freed
"""

redzone = read_report(
    name="slab-slub-slob/redzone",
    title=_("Read a report of slab_debug"),
    level=2,
    task=_("A part of what a real Linux 6.12.117 wrote. The objects of this cache have 64 bytes."),
    text=REPORT,
    asks=(
        Ask(key="byte", words=_("which byte was written, counted from the object's first, which is 0"), right=-1),
        Ask(key="value", words=_("the value that was written"), right=0x42, read=address),
        Ask(key="state", words=_("was the object in use or free when it was checked?"), right="in use",
            read=word(("in use", "free"))),
        Ask(key="next", words=_("at which offset in the slab does the next object begin, if each takes 160 bytes?"),
            right=168),
        Ask(key="fate", words=_("what becomes of the object: freed, handed out again, or lost?"), right="lost",
            read=word(("freed", "handed out again", "lost"))),
    ),
    lines={"byte": 1, "value": 6, "state": 6, "next": 5, "fate": 9},
    mistakes=(
        mistake("offset in the slab", _("You gave the offset in the slab. The object begins at offset 8, behind its "
                                        "left red zone."), byte=7),
        mistake("behind the object", _("You looked behind the object. The *left* red zone lies before it."), byte=64),
        mistake("from the slab's start", _("160 bytes from the slab's start is the left red zone of the next object. "
                                           "Count from this one, at offset 8."), next=160),
        mistake("what should be there", _("You gave the byte that should be there. What was written stands first."),
                value=0xCC),
        mistake("takes cc for free", _("You took cc for a free object. Red zones are cc while the object is in use, "
                                       "and bb while it is free."), state="free"),
        mistake("freed all the same", _("You took it for freed. The last line says that it was not: the kernel would "
                                        "rather lose it than hand it out again."), fate="freed"),
    ),
    hints=(
        _("The object is at ...a008, and the byte that was written at ...a007."),
        _("Which value do red zones have while the object is in use?"),
        _("The object is the first of its slab: it begins at offset 8, right behind its left red zone."),
    ),
    why=_("0xa007 - 0xa008 is -1: the byte just before the object. An index one too small does that, as an overrun by "
          "a neighbour would, if there were one before it. The zones are cc, so the object was in use; it was being "
          "freed, and is not, so that nobody else gets it."),
)

EXERCISES: tuple[Exercise | Series, ...] = (slob_lists, colours, aside, first_fit, encode, redzone)
