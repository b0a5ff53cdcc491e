# SPDX-License-Identifier: GPL-2.0-only
"""The exercises of the chapter "The slab layer".

    from kmm_sim.exercises import slab_layer as ex

    ex.how_many       compute: objects in a slab, bytes left over
    ex.last_freed     predict: which object comes next; a series, ``ex.last_freed(seed=1)``
    ex.which_slab     implement: the slab that the next object comes from
    ex.which_flags    choose: the flags of a cache
    ex.driver         find the bug: a driver with two caches
    ex.slabinfo       read a report: four lines of /proc/slabinfo
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from kmm_sim.catalogue import _
from kmm_sim.exercises.choose import Situation, choose
from kmm_sim.exercises.compute import compute, predict
from kmm_sim.exercises.exercise import Exercise, Misconception, Series
from kmm_sim.exercises.find_bug import Bug, find_bug
from kmm_sim.exercises.implement import Function, implement
from kmm_sim.exercises.questions import Ask, mistake
from kmm_sim.exercises.reading import whole_number, word
from kmm_sim.exercises.report import read_report
from kmm_sim.exercises.state import InLab
from kmm_sim.mm.slab_common import SlabFlags

__all__ = ["EXERCISES", "driver", "how_many", "last_freed", "slabinfo", "which_flags", "which_slab"]

# how_many

how_many = compute(
    name="slab-layer/how-many",
    title=_("How many fit, and what is left?"),
    level=1,
    task=_("SLUB puts objects one beside the other and keeps no notes in the slab. An object's size is rounded up to "
           "a multiple of 8 bytes. Slabs of one page (4096 bytes) for 192 bytes, of two pages for 700 bytes."),
    asks=(
        Ask(key="objects192", words=_("objects of 192 bytes in one page"), right=21),
        Ask(key="left192", words=_("bytes left over in that page"), right=64),
        Ask(key="objects700", words=_("objects of 700 bytes in two pages"), right=11),
        Ask(key="left700", words=_("bytes left over in those two pages"), right=448),
    ),
    mistakes=(
        mistake("does not round the size up", _("You forgot to round 700 up. An object begins at a multiple of 8 "
                                                "bytes, so each takes 704."), left700=492),
        mistake("rounds the count up", _("You rounded the number of objects up. The last one would reach beyond the "
                                         "slab: there is no part of an object."),
                objects192=22, objects700=12),
        mistake("a descriptor in the slab", _("You left room for a descriptor in the slab. SLAB had one there; SLUB "
                                              "keeps its notes in struct page."), objects192=20, left192=256),
        mistake("powers of two", _("You rounded the size up to a power of two, as kmalloc() would. A cache has exactly "
                                   "the size that it was made for."),
                objects192=16, left192=0, objects700=8, left700=0),
    ),
    hints=(
        _("Divide the bytes of the slab by the size of an object, and drop the fraction."),
        _("700 is no multiple of 8. The next one is 704."),
        _("What is left over is the bytes of the slab less objects times size: 4096 - 21 * 192, for the first."),
    ),
    why=_("4096 // 192 is 21, and 64 bytes are left: a sixty-fourth of the page. 8192 // 704 is 11 with 448 left, less "
          "than a sixteenth of two pages; in one page 576 bytes would be wasted, more than a sixteenth. That is why "
          "`calculate_order()` takes two."),
)


# last_freed

NAMES = "abcdef"


def _last_freed_question(seed: int, level: int) -> Exercise:
    rng = random.Random(f"{level} {seed}")
    count = 4 + level
    freed = rng.sample(NAMES[:count], 2 + level)
    stack = list(freed)
    asked = ("x", "y", "z")[: 2 + (level > 1)]
    right = {name: stack.pop() for name in asked}
    queue = dict(zip(asked, freed, strict=False))
    by_address = dict(zip(asked, sorted(freed), strict=False))
    never = dict.fromkeys(asked, "new")
    script = " ".join([f"+{count}", *(f"-{NAMES.index(each)}" for each in freed)])
    lines = [f"{each} = m.kmem_cache_alloc(cache, GFP_KERNEL)" for each in NAMES[:count]]
    lines += [f"m.kmem_cache_free(cache, {each})" for each in freed]
    lines += [f"{each} = m.kmem_cache_alloc(cache, GFP_KERNEL)" for each in asked]
    options = (*NAMES[:count], "new")
    return predict(
        name="slab-layer/last-freed",
        title=_("Whose place is it? Question {seed}").format(seed=seed),
        level=level,
        task=_("A cache has one slab of eight objects, all free. Each answer is the letter of the object whose place "
               "it gets, or `\"new\"` for one that nobody has had yet."),
        given="\n".join(lines),
        asks=tuple(Ask(key=name, words=_("{name} gets the place of").format(name=name), right=right[name],
                       read=word(options)) for name in asked),
        mistakes=(
            mistake("first freed, first used", _("You took the object that was freed first. A free object goes to the "
                                                 "head of the list, and the head goes out first."), **queue),
            mistake("lowest address", _("You took the free object with the lowest address. The list is not sorted: it "
                                        "is in the order of the frees."), **by_address),
            mistake("unused objects first", _("You took objects that nobody has had yet. They are further back in the "
                                              "list than those just freed."), **never),
        ),
        state=InLab("slab_lab", {"script": script, "cache": "example", "size": 512, "by": "place"}),
        again=_("Another question: `ex.last_freed(seed={seed})`.").format(seed=seed + 1),
        hints=(
            _("A free object is put at the head of the CPU's list."),
            _("The list after all frees, head first: {order}, and then what nobody has had.").format(
                order=", ".join(reversed(freed))),
            _("Each allocation takes the head."),
        ),
        why=_("The list is last in, first out: what was freed last is most likely still in the CPU's cache."),
    )


def _telling(seed: int, level: int) -> Exercise:
    """Look for a question in which each mistake leads to an answer of its own."""
    for attempt in range(100):
        question = _last_freed_question(seed + 1000 * attempt, level)
        right = question.right_answers[0]
        wrong = [each.answer for each in question.misconceptions]
        if all(any(answer[key] != right[key] for key in right) for answer in wrong) and wrong[0] != wrong[1]:
            return question
    raise RuntimeError("no question tells the mistakes apart")


last_freed = Series(name="slab-layer/last-freed", title=_("Whose place is it?"), make=_telling, levels=2)


# which_slab

def _by_state(slabs: list[tuple[int, int]]) -> int | None:
    for nth, (used, objects) in enumerate(slabs):
        if used not in (0, objects):
            return nth
    for nth, (used, _objects) in enumerate(slabs):
        if not used:
            return nth
    return None


def _by_key(slabs: list[tuple[int, int]]) -> int | None:
    ready = [(used == 0, nth) for nth, (used, objects) in enumerate(slabs) if used < objects]
    return min(ready)[1] if ready else None


def _first_with_room(slabs: list[tuple[int, int]]) -> int | None:
    return next((nth for nth, (used, objects) in enumerate(slabs) if used < objects), None)


def _empty_first(slabs: list[tuple[int, int]]) -> int | None:
    ready = [(used != 0, nth) for nth, (used, objects) in enumerate(slabs) if used < objects]
    return min(ready)[1] if ready else None


def _most_room(slabs: list[tuple[int, int]]) -> int | None:
    ready = [(used == 0, used, nth) for nth, (used, objects) in enumerate(slabs) if used < objects]
    return min(ready)[2] if ready else None


def _slabs(rng: random.Random) -> Iterator[tuple[list[tuple[int, int]]]]:
    yield ([],)
    yield ([(8, 8)],)
    yield ([(0, 8)],)
    yield ([(0, 8), (3, 8)],)
    yield ([(8, 8), (0, 8), (7, 8), (1, 8)],)
    for _case in range(30):
        yield ([(rng.choice((0, 0, 8, 8, rng.randrange(1, 8))), 8) for _slab in range(rng.randrange(2, 7))],)


def _read_slab(value: Any) -> int | None:
    return None if value is None else whole_number(value, _("The slab"))


which_slab = implement(
    name="slab-layer/which-slab",
    title=_("From which slab does it come?"),
    level=2,
    task=_("Write `which_slab(slabs)`, as SLAB chose: each slab is `(objects in use, objects)`. Return the index of "
           "the slab that the next object comes from, the first of several alike; or None if a new slab is needed."),
    template="def which_slab(slabs):\n    ...\n",
    asked=Function(
        parameters=("slabs",),
        cases=_slabs,
        reference=_by_state,
        read=_read_slab,
        misconceptions=(
            Misconception("the first with room", _("You took the first slab that has room, though it is empty and a "
                                                   "partial one follows. Partial slabs come first, or nothing ever "
                                                   "runs empty."), _first_with_room),
            Misconception("empty first", _("You took an empty slab first. It is the only kind that could give its "
                                           "pages back: it comes last."), _empty_first),
            Misconception("most room first", _("You took the partial slab with the most free objects. They are taken "
                                               "in the order of the list; the emptiest should rather be left alone."),
                          _most_room),
            Misconception("takes from a full slab", _("You took an object from a full slab: there is none. If no slab "
                                                      "has room, a new one is needed."),
                          lambda slabs: _by_state(slabs) if _by_state(slabs) is not None else len(slabs) - 1),
        ),
        state=lambda slabs: InLab("slab_lab", {"script": "+12 -0-4 -7", "cache": "task_struct"}),
    ),
    right_answers=(_by_state, _by_key),
    hints=(
        _("A slab is full if as many objects are in use as it has; empty if none is."),
        _("Look for a partial slab first, in the order of the list. Only then look again for an empty one."),
        _("Two loops, one after the other, and None at the end."),
    ),
    why=_("Partial slabs are filled up before an empty one is begun. So the objects in use gather in few slabs, and "
          "empty ones can give their pages back. SLAB: `cache_alloc_refill()`, mm/slab.c."),
)


# which_flags

FLAGS = (SlabFlags.HWCACHE_ALIGN, SlabFlags.PANIC, SlabFlags.RECLAIM_ACCOUNT, SlabFlags.ACCOUNT)

which_flags = choose(
    name="slab-layer/which-flags",
    title=_("Which flag?"),
    level=2,
    task=_("Choose the flag that a cache for these objects wants most, and say why."),
    options={**{str(flag.name): (f"SLAB_{flag.name}", flag) for flag in FLAGS}, "none": (0, "0", None)},
    reasons={
        "lines": _("two CPUs write to neighbours"),
        "boot": _("nothing works without it"),
        "throw away": _("they can be dropped when memory is short"),
        "charge": _("a user can cause any number of them"),
        "nothing": _("nothing of the kind is needed"),
    },
    situations=(
        Situation(key="per-request", words=_("a request of 88 bytes that one CPU fills while another frees the one "
                                             "beside it, a million times a second"),
                  right="HWCACHE_ALIGN", because="lines", wrong={
                      "none": _("Two requests share a cache line then, and it travels from CPU to CPU at each write."),
                      "ACCOUNT": _("Charging somebody makes nothing faster: the cache lines are the trouble here.")}),
        Situation(key="task", words=_("process descriptors, made once at boot before there is any process"),
                  right="PANIC", because="boot", wrong={
                      "none": _("Then `kmem_cache_create()` may return NULL, and whoever forgets to test that goes on "
                                "with no descriptors at all."),
                      "RECLAIM_ACCOUNT": _("A process cannot be thrown away because memory is short.")}),
        Situation(key="inode", words=_("inodes of a file system, which can be read from disk again"),
                  right="RECLAIM_ACCOUNT", because="throw away", wrong={
                      "none": _("Then the kernel cannot tell that these pages can be had back, and groups them with "
                                "others that cannot.")}),
        Situation(key="file", words=_("a `struct file` for each file that a process opens"),
                  right="ACCOUNT", because="charge", wrong={
                      "PANIC": _("At boot it might be needed; here, any user makes as many as he likes."),
                      "none": _("Then one container uses up the memory of all, and nobody is charged.")}),
        Situation(key="list", words=_("a node of 48 bytes in a list that one driver walks now and then"),
                  right="none", because="nothing", wrong={
                      "HWCACHE_ALIGN": _("48 bytes become 64: a third more memory, for nothing that one CPU would "
                                         "notice."),
                      "PANIC": _("A driver that cannot be loaded returns an error. It does not stop the machine.")}),
    ),
    hints=(
        _("For each: who would notice, and of what, if the flag were missing?"),
        _("`SLAB_PANIC` is for boot, where nobody could go on anyway."),
        _("`SLAB_RECLAIM_ACCOUNT` promises that the objects can go when memory is short; `SLAB_ACCOUNT` charges them "
          "to somebody."),
    ),
    why=_("A flag is a promise or a price: aligned objects take more memory, reclaimable ones must be droppable, "
          "accounted ones cost a little at each allocation. Without a reason, none."),
)


# driver

driver = find_bug(
    name="slab-layer/driver",
    title=_("A driver with two caches"),
    level=2,
    task=_("Three lines of this driver are wrong. Which, and why?"),
    source="""
static int probe(struct device *dev)
{
    reqs = kmem_cache_create("my_reqs", sizeof(struct req), 0, 0, init_req);
    bufs = kmem_cache_create("my_bufs", 512, 0, SLAB_HWCACHE_ALIGN, NULL);
    if (!reqs || !bufs)
        return give_up(reqs, bufs);
    dev->req = kmem_cache_alloc(reqs, GFP_KERNEL | __GFP_ZERO);
    dev->buf = kmem_cache_alloc(bufs, GFP_KERNEL);
    return 0;
}

static void remove(struct device *dev)
{
    kmem_cache_free(reqs, dev->buf);
    kmem_cache_destroy(bufs);
    kmem_cache_free(reqs, dev->req);
    kmem_cache_destroy(reqs);
}
""",
    names={
        "zeroed": _("destroys what the constructor did"),
        "wrong cache": _("gives an object to another cache"),
        "still in use": _("destroys a cache whose object is still in use"),
        "leak": _("nobody frees it"),
        "size": _("asks for the wrong size"),
    },
    bugs=(
        Bug(lines=7, name="zeroed", missed=_("`init_req` ran when the slab was made. What is left of its work "
                                             "after line 7?"),
            misread={"size": _("The size is the cache's: `kmem_cache_alloc()` takes none.")}),
        Bug(lines=14, name="wrong cache", missed=_("Where does `dev->buf` come from, and where does it go?")),
        Bug(lines=15, name="still in use", missed=_("What is still missing when `bufs` is destroyed?"),
            misread={"wrong cache": _("`bufs` is the right cache to destroy. But an object of it is out still.")}),
    ),
    innocent={
        4: _("512 bytes are a multiple of a cache line already. The flag costs nothing here, and does no harm."),
        16: _("It is the right object for the right cache, and nothing has freed it before."),
    },
    hints=(
        _("A constructor runs once for each object, when its slab is made."),
        _("Follow `dev->buf` from the line where it is allocated to the line where it is freed."),
        _("A cache can be destroyed when all its objects are back, and not before."),
    ),
    why=_("Zeroing on allocation wipes out the constructed state, and Linux warns of it (mm/slub.c). The buffer must "
          "go back to `bufs`, and only then can `bufs` be destroyed; else there is a report and its slab is lost."),
)


# slabinfo

slabinfo = read_report(
    name="slab-layer/slabinfo",
    title=_("Read /proc/slabinfo"),
    level=1,
    task=_("Four lines of a real Linux 6.12.117. A page has 4096 bytes."),
    text="""\
# name            active  total  bytes objs pages                        : slabdata  slabs  slabs
inode_cache          200    200    632   25    4 : tunables    0    0    0 : slabdata      8      8      0
dentry               714    714    192   21    1 : tunables    0    0    0 : slabdata     34     34      0
task_struct           68     80   6208    5    8 : tunables    0    0    0 : slabdata     16     16      0
mm_struct             11     11   1408   11    4 : tunables    0    0    0 : slabdata      1      1      0
""",
    asks=(
        Ask(key="pages", words=_("pages that task_struct holds"), right=128),
        Ask(key="free", words=_("objects of task_struct that are free, as far as this file knows"), right=12),
        Ask(key="waste", words=_("bytes of each inode_cache slab that no object uses"), right=584),
        Ask(key="most", words=_("the cache that holds the most pages"), right="task_struct",
            read=word(("inode_cache", "dentry", "task_struct", "mm_struct"))),
    ),
    lines={"pages": 4, "free": 4, "waste": 2, "most": 4},
    mistakes=(
        mistake("slabs for pages", _("You counted slabs. Each slab of task_struct has 8 pages."), pages=16),
        mistake("active for free", _("You gave the objects in use. Free are those that there are less those in use."),
                free=68),
        mistake("objects decide", _("You took the cache with the most objects. Those are small: 34 pages hold them."),
                most="dentry"),
        mistake("one page a slab", _("You took one page for a slab. A slab of inode_cache has four: 16384 bytes, of "
                                     "which 25 * 632 are used."), waste=304),
    ),
    hints=(
        _("The last columns count slabs, twice, and then a 0. Multiply by the pages of one."),
        _("Free objects are all there are less those in use: total less active."),
        _("A slab of inode_cache has 4 * 4096 bytes and 25 objects of 632."),
    ),
    why=_("16 slabs of 8 pages are 128 pages; 80 - 68 objects are free; 16384 - 25 * 632 = 584 bytes are left in each "
          "slab of inodes. Process descriptors cost most pages, though there are ten times as many dentries."),
)

EXERCISES: tuple[Exercise | Series, ...] = (how_many, last_freed, which_slab, which_flags, driver, slabinfo)
