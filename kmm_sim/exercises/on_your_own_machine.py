# SPDX-License-Identifier: GPL-2.0-only
"""The exercises of the chapter "On your own machine"; the reports are those of a Linux 6.12.117.

    from kmm_sim.exercises import on_your_own_machine as ex

    ex.buddyinfo        read a report: free pages, and the largest piece
    ex.slabinfo         read a report: what caches cost
    ex.failure          read a report: why a request failed
    ex.oom              read a report: who was killed, and how much it had
    ex.unusable         implement: the share of free memory that is of no use
    ex.why              predict: served, short or in pieces; a series
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction

from kmm_sim.catalogue import _
from kmm_sim.exercises.compute import predict
from kmm_sim.exercises.exercise import Exercise, Misconception, Series
from kmm_sim.exercises.implement import Function, implement
from kmm_sim.exercises.questions import Ask, mistake
from kmm_sim.exercises.reading import whole_number, word
from kmm_sim.exercises.report import read_report

__all__ = ["EXERCISES", "buddyinfo", "failure", "oom", "slabinfo", "unusable", "why"]


# buddyinfo

BUDDYINFO = """
Node 0, zone    DMA   0   0   0   0   0   1   1   1   0   1   3
Node 0, zone  DMA32   5   5   2   3   3   7   5   6   5   3  39
"""

buddyinfo = read_report(
    name="on-your-own-machine/buddyinfo", title=_("Two lines of buddyinfo"), level=1,
    task=_("This is /proc/buddyinfo of a machine with 256 MiB, just after boot, its columns set closer."),
    text=BUDDYINFO,
    asks=(
        Ask(key="dma", words=_("free pages in zone DMA"), right=3808),
        Ask(key="huge", words=_("pieces of 2 MiB that can be had, in both zones together"), right=88),
        Ask(key="singles", words=_("free pages that lie in blocks of one page, in both zones"), right=5),
    ),
    lines={"dma": 1, "huge": 2},
    mistakes=(
        mistake("blocks for pages", _("You added the numbers as they stand. They count blocks; a block in column n "
                                      "has 2**n pages, and the first column is order 0."), dma=7),
        mistake("columns from one", _("You gave the first column the worth of two pages. It is order 0: blocks of one "
                                      "page."), dma=7616),
        mistake("only order 9", _("Four blocks have exactly 2 MiB. But a block of 4 MiB is two pieces of 2 MiB, and "
                                  "there are 42 of those."), huge=4),
        mistake("each large block once", _("A block of order 10 is cut into two of order 9, so each of the 42 counts "
                                           "twice."), huge=46),
    ),
    hints=(
        _("The eleven columns are orders 0 to 10: blocks of 1, 2, 4, ... 1024 pages."),
        _("2 MiB are 512 pages: order 9. What else can become blocks of order 9?"),
        _("Zone DMA: 32 + 64 + 128 + 512 + 3 times 1024."),
    ),
    why=_("DMA has 32 + 64 + 128 + 512 + 3072 = 3808 pages. Order 9 alone has 1 + 3 blocks, and the 3 + 39 of order "
          "10 make 84 more when they are split. Hardly anything lies in single pages: the machine has just booted."),
)


# slabinfo

SLABINFO = """
# name       active_objs num_objs objsize objperslab pagesperslab : ... active_slabs num_slabs
kmalloc-1k           264    264   1024    8    2 : ... 33 33
kmalloc-32           712   1408     32  128    1 : ... 11 11
kmalloc-192          336    336    192   21    1 : ... 16 16
task_struct           58     80   6208    5    8 : ... 16 16
"""

slabinfo = read_report(
    name="on-your-own-machine/slabinfo", title=_("What do these caches cost?"), level=2,
    task=_("Some lines of /proc/slabinfo (the columns of `tunables`, all 0, are left out)."),
    text=SLABINFO,
    asks=(
        Ask(key="pages", words=_("pages that kmalloc-1k holds"), right=66),
        Ask(key="free", words=_("objects of kmalloc-32 that are free"), right=696),
        Ask(key="lost", words=_("bytes in all slabs of kmalloc-192 that are in no object"), right=1024),
        Ask(key="task", words=_("bytes that a `task_struct` would waste with kmalloc()"), right=1984),
        Ask(key="best", words=_("slabs that kmalloc-32 would need if its live objects stood close together"), right=6),
    ),
    lines={"pages": 2, "free": 3, "lost": 4, "task": 5, "best": 3},
    mistakes=(
        mistake("slabs for pages", _("That is the number of slabs. Each of them has as many pages as the column "
                                     "`pagesperslab` says."), pages=33),
        mistake("one slab's loss", _("That is what one slab loses: 4096 - 21 * 192. There are 16 slabs."), lost=64),
        mistake("the free ones in the first column", _("The first number counts the objects in use, the second all "
                                                       "there are. Free is the difference."), free=712),
        mistake("five in eight pages", _("That is what its own cache leaves over in a slab. With kmalloc() each "
                                         "object would get the class above 6208 bytes, 8192."), task=1728),
        mistake("rounded down", _("712 objects do not fit in five slabs of 128: the sixth is not full, but it is "
                                  "needed."),
                best=5),
    ),
    hints=(
        _("The columns: objects in use, objects there are, bytes of one, objects per slab, pages per slab; at the end "
          "the slabs."),
        _("What a cache holds is slabs times pages per slab, whether its objects are in use or not."),
        _("In a slab of kmalloc-192, 21 objects of 192 bytes lie in 4096 bytes."),
    ),
    why=_("33 * 2 pages; 1408 - 712 objects; 16 * (4096 - 4032) bytes; 8192 - 6208 bytes; and 712 / 128 is 5.6, so "
          "six slabs would do where eleven are held: the live objects are scattered."),
)


# failure

FAILURE = """
insmod: page allocation failure: order:4, mode:0x10cc1(GFP_KERNEL|GFP_DMA|__GFP_NORETRY), nodemask=(null),cpuset=/
Mem-Info:
 free:92277 free_pcp:0 free_cma:0
Node 0 DMA free:128kB boost:0kB min:96kB low:120kB high:144kB
lowmem_reserve[]: 0 130 377 377 377
Node 0 DMA: 0*4kB 0*8kB 0*16kB 0*32kB 0*64kB 1*128kB (U) 0*256kB 0*512kB 0*1024kB 0*2048kB 0*4096kB = 128kB
"""

failure = read_report(
    name="on-your-own-machine/failure", title=_("Why did it fail?"), level=2,
    task=_("A page allocation failure of a real 6.12.117, shortened. The first number of `lowmem_reserve` is for "
           "requests that may take from zone DMA only."),
    text=FAILURE,
    asks=(
        Ask(key="bytes", words=_("bytes that were asked for"), right=65536),
        Ask(key="sleep", words=_("may this caller sleep?"), right="yes", read=word(("yes", "no"))),
        Ask(key="above", words=_("kB by which zone DMA is above its `min`"), right=32),
        Ask(key="largest", words=_("the largest free block of zone DMA, in kB"), right=128),
        Ask(key="reason", words=_("memory of this zone was \"short\", or in \"pieces\"?"), right="short",
            read=word(("short", "pieces"))),
    ),
    lines={"bytes": 1, "sleep": 1, "above": 4, "largest": 6, "reason": 4},
    mistakes=(
        mistake("four pages", _("order:4 is an exponent: 2**4 pages of 4096 bytes."), bytes=16384),
        mistake("low for min", _("You took `low`, at which kswapd is woken. A request fails at `min`."), above=8),
        mistake("the column that is empty", _("0*4096kB means that there is no block of 4096 kB. The largest is the "
                                              "last column that does not begin with 0."), largest=4096),
        mistake("there is a block, so it was in pieces", _("There is a block of 128 kB, twice as large as needed. But "
                                                           "take 64 kB off the 128 that are free, and compare with "
                                                           "`min`."), reason="pieces"),
        mistake("no retry means no sleep", _("GFP_KERNEL may sleep, and __GFP_NORETRY does not forbid it. It says only "
                                             "that one light try is enough."), sleep="no"),
    ),
    hints=(
        _("The first line has the order and the mask."),
        _("Is there a block that is large enough? And what would be left of the zone without it?"),
        _("128 kB less 64 are less than 96."),
    ),
    why=_("More than 360 MB are free on this machine (92277 pages), but `GFP_DMA` may take from zone DMA only. There "
          "is a block that is large enough; without half of it the zone would be below its `min`, so the page "
          "allocator does not touch it. Who does not need such memory should not ask for it."),
)


# oom

OOM = """
busybox invoked oom-killer: gfp_mask=0x140dca(GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO), order=0, oom_score_adj=0
Mem-Info:
 slab_reclaimable:142 slab_unreclaimable:1716
 free:394 free_pcp:498 free_cma:0
Node 0 DMA32 free:792kB boost:0kB min:1692kB low:2112kB high:2532kB
65406 pages RAM
10813 pages reserved
Tasks state (memory values in pages):
[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes swapents oom_score_adj name
[    132]     0   132    10102     9899     9568        0       331   118784        0             0 busybox
oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,task=busybox,pid=132
"""

oom = read_report(
    name="on-your-own-machine/oom", title=_("Who was killed, and was it guilty?"), level=3,
    task=_("What the OOM killer of a real 6.12.117 reported, shortened. Slab pages are counted in pages, too."),
    text=OOM,
    asks=(
        Ask(key="rss", words=_("KiB of memory that the task has (`rss`)"), right=39596),
        Ask(key="below", words=_("kB by which zone DMA32 is below its `min`"), right=900),
        Ask(key="size", words=_("pages that the failing request asked for"), right=1),
        Ask(key="usable", words=_("pages of RAM that are not reserved"), right=54593),
        Ask(key="unexplained", words=_("of these, pages that are neither free, on a CPU's list, in slabs nor the "
                                       "task's `rss`"), right=41944),
        Ask(key="why", words=_("is the task a good explanation of where memory went: \"yes\" or \"no\"?"), right="no",
            read=word(("yes", "no"))),
    ),
    lines={"rss": 10, "below": 5, "size": 1, "usable": 6, "unexplained": 4},
    mistakes=(
        mistake("pages for KiB", _("The table of tasks counts in pages of 4 KiB, as its heading says."), rss=9899),
        mistake("total_vm for rss", _("total_vm is the size of the address space, much of which has no memory behind "
                                      "it. `rss` is what is there."), rss=40408),
        mistake("order 0 is nothing", _("order=0 is an exponent: 2**0, one page. The last straw, not the load."),
                size=0),
        mistake("who is named is guilty", _("It has 9899 of 54593 pages. Most of the rest is nowhere in this report: "
                                            "a driver has it, page by page, and no table lists those."), why="yes"),
        mistake("the reserved as well", _("Reserved pages were never given to the page allocator: the kernel's own "
                                          "code, the struct pages, firmware."), usable=65406),
    ),
    hints=(
        _("`memory values in pages`: a page is 4 KiB."),
        _("RAM minus reserved is what the page allocator ever had. Then take away what the report accounts for."),
        _("54593 - 394 - 498 - 142 - 1716 - 9899."),
    ),
    why=_("77 % of memory is accounted for nowhere: before the run a kernel module had taken 38888 pages with "
          "alloc_pages(). The OOM killer can only kill tasks, so the task that asked last had to go. page_owner=on "
          "would have told."),
)


# unusable

def _by_counting(nr_free: list[int], order: int) -> int:
    free = sum(count << size for size, count in enumerate(nr_free))
    if not free:
        return 100
    usable = sum(count << size for size, count in enumerate(nr_free) if size >= order)
    return 100 * (free - usable) // free


def _by_slices(nr_free: list[int], order: int) -> int:
    pages = [count * 2**size for size, count in enumerate(nr_free)]
    return 100 * sum(pages[:order]) // sum(pages) if any(pages) else 100


def _share(nr_free: list[int], order: int) -> Fraction:
    """Return the share itself, exactly."""
    pages = [count << size for size, count in enumerate(nr_free)]
    return Fraction(sum(pages[:order]), sum(pages)) if any(pages) else Fraction(1)


def _lists(rng: random.Random) -> Iterator[tuple[list[int], int]]:
    yield from (([8], 0), ([8, 0, 0], 1), ([0, 0, 2], 2), ([4, 2, 1], 1), ([4, 2, 1], 2), ([0, 0, 0, 0], 2))
    yield [58, 21], 1  # 58 of 100, for which floats say 57 percent
    for _case in range(30):
        yield [rng.randrange(0, 30 >> size // 2) for size in range(rng.randrange(3, 11))], rng.randrange(0, 10)
    yield [0] * 11, 4


unusable = implement(
    name="on-your-own-machine/unusable", title=_("How much of it is of no use?"), level=2,
    task=_("Write `unusable(nr_free, order)`: how many percent of the free pages lie in blocks that are too small for "
           "a request of this order. `nr_free` is a line of buddyinfo, the number of free blocks of order 0, 1, 2, "
           "... Round down; if nothing at all is free, it is 100."),
    template="def unusable(nr_free, order):\n    ...\n",
    asked=Function(
        parameters=("nr_free", "order"), cases=_lists, reference=_by_counting,
        read=lambda value: whole_number(value, _("A percentage")),
        misconceptions=(
            Misconception("counts blocks", _(
                "You counted blocks. One block of order 3 is worth as much as eight single pages: multiply each number "
                "by 2 to its order."),
                lambda nr_free, order: 100 * sum(nr_free[:order]) // sum(nr_free) if any(nr_free) else 100),
            Misconception("one order too many", _(
                "A block of exactly this order is large enough. Only those of smaller orders are of no use."),
                lambda nr_free, order: _by_slices(nr_free, order + 1)),
            Misconception("the usable share", _(
                "That is the share which *is* of use. Asked for is the rest."),
                lambda nr_free, order: 100 - _by_slices(nr_free, order) if any(nr_free) else 0),
            Misconception("nothing free is nothing lost", _(
                "With nothing free the share is 0 of 0. Linux calls that 1000 of 1000, all unusable: no request can be "
                "served, so it is the worst case and not the best."),
                lambda nr_free, order: _by_slices(nr_free, order) if any(nr_free) else 0),
            Misconception("thousandths", _(
                "That is in thousandths, as the kernel has it. Percent were asked for: 50 for a half."),
                lambda nr_free, order: int(_share(nr_free, order) * 1000)),
            Misconception("floats", _(
                "A float is not exact: `58 / 100 * 100` is a little less than 58, and rounding down makes 57 of it. "
                "Multiply first, and then divide whole numbers with `//`."),
                lambda nr_free, order: int(float(_share(nr_free, order)) * 100)),
        ),
    ),
    right_answers=(_by_slices, _by_counting),
    hints=(
        _("How many pages does each number of the line stand for? The one at index n: `count * 2**n`."),
        _("Add up those of orders below `order`, and those of all orders."),
        _("`100 * small // all`, after you have asked whether `all` is 0."),
    ),
    why=_("Pages in blocks below the order, divided by all free pages. Linux prints it with three decimals in "
          "/sys/kernel/debug/extfrag/unusable_index: `unusable_free_index()` in mm/vmstat.c."),
)


# why

def _outcome(nr_free: list[int], order: int, mark: int) -> str:
    """Linux: __zone_watermark_ok(), mm/page_alloc.c, for a request without privileges"""
    free = sum(count << size for size, count in enumerate(nr_free)) - ((1 << order) - 1)
    if free <= mark:
        return "short"
    return "served" if any(nr_free[order:]) else "pieces"


def _why_question(seed: int, level: int) -> Exercise:
    rng = random.Random(f"{level} {seed}")
    right = rng.choice(("served", "short", "pieces"))
    while True:
        top = rng.randrange(2, 7)
        nr_free = [rng.randrange(0, 60) for _size in range(top + 1)] + [0] * (6 - top)
        order = rng.randrange(1, 6)
        free = sum(count << size for size, count in enumerate(nr_free))
        minimum, reserve = rng.randrange(50, 400), rng.choice((0, 60, 120, 246))
        if _outcome(nr_free, order, minimum + reserve) == right and (
                right != "short" or (any(nr_free[order:]) and free > minimum)) and free != minimum + reserve:
            break
    return _why_exercise(seed, nr_free, order, minimum, reserve, right)


def _why_exercise(seed: int, nr_free: list[int], order: int, minimum: int, reserve: int, right: str) -> Exercise:
    free = sum(count << size for size, count in enumerate(nr_free))
    margin = free - ((1 << order) - 1) - minimum - reserve
    others = [each for each in ("served", "short", "pieces") if each != right]
    line = " ".join(f"{count}*{4 << size}kB" for size, count in enumerate(nr_free))
    words = {
        "served": _("Look again at the blocks and at the marks: one of the two forbids it."),
        "short": _("Count again: there is enough for the mark. What is missing, if anything, is a block of the order."),
        "pieces": _("There is a block that is large enough, or the mark decides before anybody looks for one."),
    }
    return predict(
        name="on-your-own-machine/why", level=3,
        title=_("Served, short or in pieces? Question {seed}").format(seed=seed),
        task=_("A zone, in pages, and a GFP_KERNEL request; what does the page allocator do at this zone, before "
               "anything is reclaimed? The mark is `min`. It is \"served\"; or memory is \"short\"; or it is in "
               "\"pieces\"."),
        given=f"order:{order}\nfree:{free} min:{minimum} lowmem_reserve:{reserve}\n{line}",
        asks=(
            Ask(key="margin", words=_("free - (2**order - 1) - (min + lowmem_reserve); may be negative"), right=margin),
            Ask(key="result", words=_("\"served\", \"short\" or \"pieces\""), right=right,
                read=word(("served", "short", "pieces"))),
        ),
        mistakes=(
            mistake("the request costs nothing", _("You forgot what the request itself takes: 2**order - 1 pages are "
                                                   "subtracted before the comparison."),
                    margin=free - minimum - reserve),
            mistake("takes the whole block off", _("You took off 2**order pages. The kernel takes off one less, and "
                                                   "then asks for *more* than the mark: it comes to the same."),
                    margin=margin - 1),
            mistake(f"not {others[0]}", words[others[0]], result=others[0]),
            mistake(f"not {others[1]}", words[others[1]] + " " + _("Do the sum first."), result=others[1]),
            *((mistake("forgets the reserve", _("The mark is `min` and `lowmem_reserve` together: this zone keeps "
                                                "pages for those who have no other."), margin=margin + reserve),)
              if reserve and reserve != (1 << order) - 1 else ()),
        ),
        again=_("Another question: `ex.why(seed={seed})`.").format(seed=seed + 1),
        hints=(
            _("free - (2**order - 1) must be more than min + lowmem_reserve."),
            _("If it is, there must also be one block of the order, or of a larger one."),
            _("The margin is {margin}.").format(margin=margin),
        ),
        why=_("The sum comes first: if the margin is 0 or less, memory is short, whatever blocks there are. Only then "
              "does the kernel look for a block: `__zone_watermark_ok()` in mm/page_alloc.c."),
    )


why = Series(name="on-your-own-machine/why", title=_("Served, short or in pieces?"), make=_why_question)

EXERCISES: tuple[Exercise | Series, ...] = (buddyinfo, slabinfo, failure, oom, unusable, why)
