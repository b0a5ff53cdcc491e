# SPDX-License-Identifier: GPL-2.0-only
"""The exercises of the chapter "gfp_mask flags".

    ex.decode           choose: which mask is this number?
    ex.which_flag       choose, with a reason: a mask for each place in the kernel
    ex.who_passes       compute: who gets a page from a zone that runs low
    ex.floor            implement: how low a mask may take a zone
    ex.isr              find the bug: an interrupt handler
    ex.failure          read a report: a page allocation failure of a real kernel
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from kmm_sim.catalogue import _
from kmm_sim.exercises.choose import Situation, choose
from kmm_sim.exercises.compute import compute
from kmm_sim.exercises.exercise import Exercise, Misconception, Series
from kmm_sim.exercises.find_bug import Bug, find_bug
from kmm_sim.exercises.implement import Function, implement
from kmm_sim.exercises.questions import Ask, mistake
from kmm_sim.exercises.reading import truth, whole_number
from kmm_sim.exercises.report import read_report
from kmm_sim.presets import recorded_failure

__all__ = ["EXERCISES", "decode", "failure", "floor", "isr", "which_flag", "who_passes"]

_NAMES = ("GFP_KERNEL", "GFP_KERNEL|__GFP_ZERO", "GFP_KERNEL|__GFP_COMP", "GFP_KERNEL|__GFP_HIGH", "GFP_ATOMIC",
          "GFP_ATOMIC|__GFP_ZERO", "GFP_NOFS", "GFP_NOIO", "GFP_HIGHUSER_MOVABLE", "GFP_USER")
_HAS_RECLAIM = _("0x400 is the bit of direct reclaim. With it set the caller may sleep, so this is no GFP_ATOMIC, "
                 "whatever else is in the mask.")

decode = choose(
    name="gfp-flags/decode", title=_("What does mode: say?"), level=1,
    task=_("A failure report writes the mask as a number, and old ones write nothing else. Which masks are these, on "
           "6.12? Write their names as text."),
    options=_NAMES,
    situations=(
        Situation(key="0xcc0", words=_("direct and kswapd reclaim, IO, FS"), right="GFP_KERNEL", wrong={
            "GFP_NOFS": _("0x80 is __GFP_FS, and it is set here: c is 8 + 4.")}),
        Situation(key="0x820", words=_("kswapd reclaim, HIGH"), right="GFP_ATOMIC", wrong={
            "GFP_NOIO": _("0x800 alone is not enough for GFP_NOIO: direct reclaim, 0x400, is not set here.")}),
        Situation(key="0xdc0", words=_("what is 0x100?"), right="GFP_KERNEL|__GFP_ZERO", wrong={
            "GFP_KERNEL|__GFP_COMP": _("0x100 is __GFP_ZERO; __GFP_COMP is 0x40000.")}),
        Situation(key="0x40cc0", words=_("what is 0x40000?"), right="GFP_KERNEL|__GFP_COMP", wrong={
            "GFP_KERNEL|__GFP_ZERO": _("0x40000 is __GFP_COMP, a compound page; __GFP_ZERO is 0x100.")}),
        Situation(key="0x100cca", words=_("HARDWALL, and the low bits 0xa"), right="GFP_HIGHUSER_MOVABLE", wrong={
            "GFP_USER": _("The low digit says more: 0x2 is HIGHMEM, 0x8 MOVABLE.")}),
        Situation(key="0xce0", words=_("is this from an interrupt?"), right="GFP_KERNEL|__GFP_HIGH", wrong={
            "GFP_ATOMIC": _HAS_RECLAIM}),
    ),
    hints=(_("0x400 is direct reclaim, 0x800 the waking of kswapd, 0x40 IO, 0x80 FS, 0x20 HIGH."),
           _("Take 0xcc0 = GFP_KERNEL away where you can, and see what is left."),
           _("0xce0 - 0xcc0 = 0x20.")),
    why=_("The names are sums of bits, and `GFP_KERNEL|GFP_ATOMIC` is GFP_KERNEL with __GFP_HIGH: a mask that may "
          "sleep. `gfp_names()` in kmm_sim/mm/gfp.py decodes any of them, as lib/vsprintf.c does."),
)

_REASONS = {
    "may sleep": _("the caller can wait, and there is nothing that reclaim must keep away from"),
    "cannot sleep": _("the caller cannot be put to sleep, and must have the memory"),
    "has a way out": _("the caller cannot be put to sleep, and can do without"),
    "lock of fs": _("reclaim must not call the filesystem that the caller is in"),
    "no io": _("reclaim must not start I/O that only the caller can finish"),
    "for a user": _("the page will be mapped by a process, and can be moved"),
    "optional": _("a failure is cheap, a long wait is not"),
    "charged": _("a user makes the kernel hold it, and should pay for it"),
}
_NOT_AGAIN = _("Reclaim with this mask may call back into the filesystem, which wants the lock that the caller holds.")

which_flag = choose(
    name="gfp-flags/which-flag", title=_("Which mask, and why?"), level=2,
    task=_("Choose a mask for each place, and the reason that decides."),
    options={"GFP_KERNEL": ("0xcc0", 0xcc0), "GFP_ATOMIC": (0x820,), "GFP_NOWAIT": (0x2800,), "GFP_NOFS": (0xc40,),
             "GFP_NOIO": (0xc00,), "GFP_HIGHUSER_MOVABLE": (0x100cca,), "GFP_KERNEL_ACCOUNT": (0x400cc0,),
             "GFP_KERNEL|__GFP_NORETRY|__GFP_NOWARN": ()},
    reasons=_REASONS,
    situations=(
        Situation(key="probe", words=_("a buffer, in a driver's probe()"), right="GFP_KERNEL", because="may sleep",
                  wrong={"GFP_ATOMIC": _("probe() runs in a process and may sleep. To take from the reserve here "
                                         "robs those who cannot wait.")}),
        Situation(key="irq", words=_("a buffer for the next packet, in a hardware interrupt handler"),
                  right="GFP_ATOMIC", because="cannot sleep",
                  wrong={"GFP_KERNEL": _("An interrupt handler must not sleep, and this mask says that it may."),
                         "GFP_NOIO": _("Without I/O, but it may still sleep: __GFP_DIRECT_RECLAIM is in it.")}),
        Situation(key="writeback", words=_("a structure, while a filesystem writes its journal and holds its lock"),
                  right="GFP_NOFS", because="lock of fs", wrong={"GFP_KERNEL": _NOT_AGAIN}),
        Situation(key="swap", words=_("a request structure, in the driver of the disk with the swap"),
                  right="GFP_NOIO", because="no io",
                  wrong={"GFP_NOFS": _("That still allows I/O, for example to write a page to swap: through this "
                                       "very driver.")}),
        Situation(key="fault", words=_("a page for a process's heap"), right="GFP_HIGHUSER_MOVABLE",
                  because="for a user",
                  wrong={"GFP_KERNEL": _("The page would be counted as unmovable, and would sit in the way of large "
                                         "blocks.")}),
        Situation(key="cache", words=_("1 MiB for a cache; 64 KiB would do as well"),
                  right="GFP_KERNEL|__GFP_NORETRY|__GFP_NOWARN", because="optional",
                  wrong={"GFP_KERNEL": _("The kernel would reclaim and compact hard, and report a failure that you "
                                         "are prepared for.")}),
        Situation(key="prefetch", words=_("a page to read ahead into, with a spinlock held"), right="GFP_NOWAIT",
                  because="has a way out",
                  wrong={"GFP_ATOMIC": _("It would work, but it takes from the reserve for something that can be left "
                                         "undone.")}),
        Situation(key="table", words=_("a table for each container, as large as its user likes"),
                  right="GFP_KERNEL_ACCOUNT", because="charged",
                  wrong={"GFP_KERNEL": _("It works, and lets a user take the kernel's memory without being "
                                         "charged.")}),
    ),
    hints=(_("First ask: may the caller sleep there?"), _("If so: must reclaim keep away from something?"),
           _("If not: what happens if there is no page? A lost packet, or a page that is read later?")),
    why=_("Sleep or not decides between GFP_KERNEL's family and ATOMIC or NOWAIT; what the caller is in the middle of "
          "decides between KERNEL, NOFS and NOIO; how much a failure costs decides between ATOMIC and NOWAIT. In a "
          "filesystem and the block layer the scope calls say it once for all."),
)

who_passes = compute(
    name="gfp-flags/who-passes", title=_("Who still gets a page?"), level=2,
    task=_("600 pages of a zone are free, its *min* mark is 1000, no reserve for other zones, order 0. Nobody "
           "reclaims anything. Whose request is served? True or False."),
    asks=(
        Ask(key="GFP_KERNEL", right=False, read=truth),
        Ask(key="GFP_NOWAIT", right=False, read=truth),
        Ask(key="GFP_KERNEL | __GFP_HIGH", right=True, read=truth),
        Ask(key="GFP_ATOMIC", right=True, read=truth),
        Ask(key="GFP_ATOMIC | __GFP_NOMEMALLOC", right=True, read=truth),
        Ask(key="2.6.34: GFP_NOWAIT", words=_("in Linux 2.6.34"), right=False, read=truth),
        Ask(key="2.6.34: GFP_ATOMIC", words=_("in Linux 2.6.34"), right=True, read=truth),
        Ask(key="a killed process", words=_("GFP_KERNEL, by a task that the OOM killer has chosen"), right=True,
            read=truth),
    ),
    mistakes=(
        Misconception("below min is below min", _(
            "Below *min* lies the reserve, and it is there to be used: `__GFP_HIGH` may take half of it, GFP_ATOMIC "
            "five eighths, and a process that is being killed half, so that it can exit."),
            {"GFP_KERNEL | __GFP_HIGH": False, "GFP_ATOMIC": False, "GFP_ATOMIC | __GFP_NOMEMALLOC": False,
             "2.6.34: GFP_ATOMIC": False, "a killed process": False}),
        Misconception("not sleeping gives the reserve", _(
            "Not being able to wait is not enough since 4.4: today only `__GFP_HIGH` lets a request go below min. And "
            "in 2.6.34 the quarter that GFP_NOWAIT got off leaves 750."),
            {"GFP_NOWAIT": True, "2.6.34: GFP_NOWAIT": True}),
        Misconception("NOMEMALLOC forbids HIGH", _(
            "__GFP_NOMEMALLOC keeps a request out of the emergency reserve of those who free memory, and from the "
            "extra quarter. The half that __GFP_HIGH gives it keeps: 500."), {"GFP_ATOMIC | __GFP_NOMEMALLOC": False}),
        Misconception("GFP_KERNEL always works", _(
            "It works in the end because it reclaims. Here nobody reclaims, and 600 is not above 1000."),
            {"GFP_KERNEL": True}),
    ),
    hints=(_("Work out what must remain for each: 1000, or 500, or 375."),
           _("`__GFP_HIGH` halves. Only who has it *and* cannot wait gets a quarter of the half off as well."),
           _("2.6.34: everybody who could not wait got a quarter off, urgent or not. 1000 - 250 = ?")),
    why=_("What must remain: 1000, 1000, 500, 375, 500; in 2.6.34 750 and 375; 500 for the victim. 600 is above 500 "
          "and 375 only."),
)


def _floor(mark: int, high: bool, waits: bool) -> int:
    if high:
        mark -= mark // 2
        if not waits:
            mark -= mark // 4
    return mark


def _floor_by_cases(mark: int, high: bool, waits: bool) -> int:
    half = -(-mark // 2)
    if not high:
        return mark
    return half if waits else half - half // 4


def _marks(rng: random.Random) -> Iterator[tuple[int, bool, bool]]:
    sizes = (4, 7, 8, 11, 24, 100, 190, 1000, *(rng.randrange(12, 20000) for _case in range(12)))
    for mark in sizes:
        for high in (False, True):
            for waits in (True, False):
                yield mark, high, waits


floor = implement(
    name="gfp-flags/floor", title=_("How low may it go?"), level=3,
    task=_("Write `floor(mark, high, waits)`: more than how many pages must be free, for a request of one page in the "
           "slow path of 6.12? `mark` is min, `high` says that `__GFP_HIGH` is set, `waits` that "
           "`__GFP_DIRECT_RECLAIM` is. Divide as C does, without a remainder, and mind what is taken off."),
    template="def floor(mark, high, waits):\n    ...\n",
    asked=Function(
        parameters=("mark", "high", "waits"), cases=_marks, reference=_floor,
        read=lambda value: whole_number(value, _("The floor")),
        misconceptions=(
            Misconception("a quarter without HIGH", _(
                "You let everybody who cannot wait go a quarter deeper. That was so until 4.3; now the quarter is "
                "inside the half that `__GFP_HIGH` gives."),
                lambda mark, high, waits: _floor(mark, high, waits) if high or waits else mark - mark // 4),
            Misconception("a quarter of the mark", _(
                "The quarter is of what is left after the half, not of the whole mark: 1000, 500, 375."),
                lambda mark, high, waits: mark - mark // 2 - (0 if waits else mark // 4) if high else mark),
            Misconception("only the half", _("Who has `__GFP_HIGH` and cannot wait, as GFP_ATOMIC, goes another "
                                             "quarter deeper."),
                          lambda mark, high, waits: mark - mark // 2 if high else mark),
            Misconception("everybody at min", _("`__GFP_HIGH` is the right to go below min."),
                          lambda mark, high, waits: mark),
            Misconception("rounds the other way", _(
                "`min -= min / 2` takes off the half rounded down, so an odd mark leaves the larger half."),
                lambda mark, high, waits: (mark // 2 - (0 if waits else mark // 2 // 4)) if high else mark),
        ),
    ),
    right_answers=(_floor, _floor_by_cases),
    hints=(_("Without `__GFP_HIGH` the answer is the mark, whether the caller waits or not."),
           _("With it: `mark -= mark // 2`."),
           _("And if it does not wait: `mark -= mark // 4`, of what is left.")),
    why=_("These are four lines of `__zone_watermark_ok()`, mm/page_alloc.c line 3204. The recorded machine of this "
          "chapter had a min of 24: GFP_ATOMIC stopped at 9, or just below, and `GFP_ATOMIC | __GFP_NOMEMALLOC`, which "
          "has the half alone, at 12, or just below."),
)

isr = find_bug(
    name="gfp-flags/isr", title=_("An interrupt handler"), level=2,
    task=_("Three lines of this driver are wrong, one of them in two ways. Which, and why? Two names for one line are "
           "written together: `line: (\"this\", \"that\")`."),
    source="""
static irqreturn_t isr(int irq, void *data)
{
    struct dev *d = data;
    struct event *e;

    e = kmalloc(sizeof(e), GFP_KERNEL | GFP_ATOMIC);
    if (!e)
        return IRQ_HANDLED;
    e->time = ktime_get();
    llist_add(&e->list, &d->events);
    return IRQ_HANDLED;
}

static int resize(struct dev *d, int order)
{
    struct page *new;

    spin_lock(&d->lock);
    new = alloc_pages(GFP_NOFS, order);
    if (!new) {
        spin_unlock(&d->lock);
        return -ENOMEM;
    }
    swap(d->pages, new);
    swap(d->order, order);
    spin_unlock(&d->lock);
    __free_pages(new, order);
    return 0;
}

static void *bounce_buffer(void)
{
    return (void *)__get_free_page(GFP_DMA);
}
""",
    names={
        "sleeps": _("may sleep where nobody may"),
        "size": _("asks for the wrong size"),
        "bare zone": _("names a zone and forgets to say what may be done: it cannot even wait"),
        "unchecked": _("does not look whether it got memory"),
        "leak": _("memory is never given back"),
    },
    bugs=(
        Bug(lines=6, name="sleeps", missed=_("What does a mask permit that is joined from two?"),
            misread={"unchecked": _("The line after it tests the answer, as it must.")}),
        Bug(lines=6, name="size", missed=_("`e` is a pointer. What is its size?")),
        Bug(lines=19, name="sleeps", missed=_("What does the caller hold while it allocates?"),
            misread={"unchecked": _("The answer is tested in the line after it, and the lock is released.")}),
        Bug(lines=33, name="bare zone", missed=_("Which bits are in GFP_DMA, and which are not?"),
            misread={"unchecked": _("It hands 0 on as NULL; the caller can look. But the request itself is weaker "
                                    "than it need be.")}),
    ),
    innocent={7: _("A handler that gets no memory has to give up, and this one does."),
              8: _("The event is lost, but the interrupt was this device's, and it has been dealt with."),
              27: _("After the swaps, `new` is the old block and `order` its order: to free it so is right.")},
    hints=(_("Joining masks adds permissions."), _("Who can sleep with a spinlock held?"),
           _("In one line there are two mistakes, to be written as `line: (\"this\", \"that\")`; and in another, "
             "action flags are missing altogether.")),
    why=_("`GFP_KERNEL | GFP_ATOMIC` is 0xce0, with direct reclaim; `sizeof(e)` is the size of a pointer, "
          "`sizeof(*e)` was meant. GFP_NOFS may sleep: allocate before taking the lock. And GFP_DMA alone is one bit: "
          "write `GFP_KERNEL | GFP_DMA`."),
    code='answer = {6: ("sleeps", "size"), 19: "sleeps", 33: "bare zone"}',
)

failure = read_report(
    name="gfp-flags/failure", title=_("One page short"), level=3,
    task=_("These are lines of a report of 6.12.117. Work out, in pages of 4 KiB, why the zone Normal refused. (The "
           "marks that are printed include the boost.)"),
    text=recorded_failure(),
    asks=(
        Ask(key="wanted", words=_("pages that were asked for"), right=8),
        Ask(key="free", words=_("free pages in Normal"), right=348),
        Ask(key="min", words=_("the min mark of Normal, with its boost"), right=910),
        Ask(key="without boost", words=_("the same without the boost"), right=398),
        Ask(key="must remain", words=_("what must remain for GFP_ATOMIC: half off, and a quarter of the rest"),
            right=342),
        Ask(key="counted", words=_("what counts as free: all but one page of the block are taken off"), right=341),
    ),
    lines={"wanted": 1, "free": 6, "min": 6, "without boost": 6},
    mistakes=(
        mistake("counts in kilobytes", _("The report is in kB, and the answer was asked for in pages: a page has 4 "
                                         "kB."), free=1392, min=3640),
        mistake("takes the order for pages", _("The report names the order, 3. An order is an exponent: 2**3 "
                                               "pages."), wanted=3),
        Misconception("forgets the boost", _("The mark that is printed, 3640 kB, already has the boost in it, and the "
                                             "half is of that."), {"must remain": 398 - 199 - 49}),
        Misconception("only the half", _("GFP_ATOMIC has __GFP_HIGH and cannot wait: a quarter of the rest goes off "
                                         "too."), {"must remain": 455}),
        Misconception("takes the whole block off", _("The kernel takes 2**order - 1 off: the last page is left to the "
                                                     "comparison."), {"counted": 340}),
        Misconception("takes nothing off", _("A block of eight leaves the zone with eight pages less: seven are taken "
                                             "off before the comparison."), {"counted": 348}),
    ),
    hints=(_("Divide by 4: the report is in kB."), _("910 - 455 is what __GFP_HIGH leaves. And then?"),
           _("455 - 455 // 4. Then compare with 348 - 7.")),
    why=_("341 is not above 342: the request missed by one page, with a block of 256 pages on the list. Once kswapd "
          "has run, the boost is gone, and the same request is served."),
)

EXERCISES: tuple[Exercise | Series, ...] = (decode, which_flag, who_passes, floor, isr, failure)
