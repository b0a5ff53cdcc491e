# SPDX-License-Identifier: GPL-2.0-only
"""The exercises of the chapter "Zones".

    ex.first_zone       choose: the first zone that a mask tries
    ex.marks            compute: the watermarks of a zone
    ex.passes           implement: the watermark check
    ex.which_zone       predict: which zone gives; ``ex.which_zone(seed=1)``
    ex.zoneinfo         read a report: a zone of /proc/zoneinfo
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from kmm_sim.catalogue import _
from kmm_sim.exercises.choose import Situation, choose
from kmm_sim.exercises.compute import compute, predict
from kmm_sim.exercises.exercise import Exercise, Misconception, Series
from kmm_sim.exercises.implement import Function, implement
from kmm_sim.exercises.questions import Ask, mistake
from kmm_sim.exercises.reading import truth, word, zone_names
from kmm_sim.exercises.report import read_report
from kmm_sim.mm.mmzone import Wmark, Zone, ZoneType
from kmm_sim.mm.watermark import setup_per_zone_lowmem_reserve, setup_per_zone_wmarks, zone_watermark_ok

__all__ = ["EXERCISES", "first_zone", "marks", "passes", "which_zone", "zoneinfo"]

_NOT_HIGHER = _("The bits name the highest zone that will do. Whoever asks for DMA32 must not get a page above 4 GiB.")

first_zone = choose(
    name="zones/first-zone", title=_("Where does it begin?"), level=1,
    task=_("Each of these requests begins at a zone and may fall back from there. Which zone is tried first? The "
           "machines are x86-64 unless it says otherwise."),
    options=zone_names("DMA", "DMA32", "Normal", "HighMem"),
    situations=(
        Situation(key="kernel", words=_("GFP_KERNEL on 16 GiB"), right="Normal", wrong={
            "DMA": _("Falling back goes downward: DMA is the last to be tried, not the first."),
            "HighMem": _("A 64-bit kernel sees all of its memory; there is no such zone on x86-64."),
        }),
        Situation(key="small", words=_("GFP_KERNEL on 2 GiB"), right="DMA32", wrong={
            "Normal": _("On x86-64 zone Normal begins at 4 GiB. This machine has no memory there."),
        }),
        Situation(key="device", words=_("GFP_KERNEL | __GFP_DMA32 on 16 GiB"), right="DMA32", wrong={
            "Normal": _NOT_HIGHER}),
        Situation(key="user", words=_("GFP_HIGHUSER_MOVABLE on a 32-bit machine of 2 GiB"), right="HighMem", wrong={
            "Normal": _("This mask allows memory without an address, and 32-bit machines have it above 896 MiB: it is "
                        "taken first, to spare the rest."),
        }),
        Situation(key="kernel32", words=_("GFP_KERNEL on a 32-bit machine of 2 GiB"), right="Normal", wrong={
            "HighMem": _("The kernel would get a page that it cannot see. Only a mask with `__GFP_HIGHMEM` allows "
                         "that."),
        }),
    ),
    hints=(_("Which is the highest zone that the mask allows?"), _("Has the machine any memory in it?"),
           _("Without `__GFP_DMA`, `__GFP_DMA32` or `__GFP_HIGHMEM` it is Normal, or the next below that has memory.")),
    why=_("`gfp_zone()` gives the highest zone that will do, and the zonelist leads from there downward, leaving out "
          "zones without memory. So the precious low zones are used last."),
)

_MANAGED = {ZoneType.DMA: 3840, ZoneType.DMA32: 500000, ZoneType.NORMAL: 1500000}


def _three_zones() -> list[Zone]:
    zones = [Zone(n, kind, 0, pages, pages) for n, (kind, pages) in enumerate(_MANAGED.items())]
    setup_per_zone_wmarks(zones, 16384)
    setup_per_zone_lowmem_reserve(zones)
    return zones


_dma, _dma32, _normal = _three_zones()
_share = 4096 * 1500000 // 2003840

marks = compute(
    name="zones/marks", title=_("Work out the marks"), level=2,
    task=_("A machine has 3840 managed pages in DMA, 500,000 in DMA32 and 1,500,000 in Normal. `vm.min_free_kbytes` is "
           "16384, `vm.watermark_scale_factor` 10. What are these, in pages? Round down at each division."),
    asks=(
        Ask(key="min", words=_("min of Normal"), right=_normal.watermark[Wmark.MIN]),
        Ask(key="low", words=_("low of Normal"), right=_normal.watermark[Wmark.LOW]),
        Ask(key="high", words=_("high of Normal"), right=_normal.watermark[Wmark.HIGH]),
        Ask(key="reserve", words=_("what DMA32 keeps from GFP_KERNEL"), right=_dma32.lowmem_reserve[ZoneType.NORMAL]),
    ),
    mistakes=(
        mistake("KiB for pages", _("`min_free_kbytes` is in KiB and a page has 4 of them: 16384 KiB are 4096 pages."),
                min=4 * _share, low=4 * _share + _share, high=4 * _share + 2 * _share),
        mistake("always a quarter", _("The step is a quarter of min or a thousandth of the zone, whichever is more. "
                                      "Here "
                                      "the zone's thousandth is more."),
                low=_share + _share // 4, high=_share + 2 * (_share // 4)),
        mistake("the whole for each", _("That is the whole of `min_free_kbytes`. It is shared out among the zones by "
                                        "their size."), min=4096, low=4096 + 1500, high=4096 + 3000),
        mistake("its own size", _("A zone's reserve grows with the zones *above* it, which the request could have "
                                  "used: "
                                  "1,500,000 / 256."), reserve=500000 // 256),
        mistake("the ratio of Normal", _("32 is the ratio of Normal. For DMA and DMA32 it is 256."),
                reserve=1500000 // 32),
    ),
    hints=(_("First the pages: 16384 KiB / 4."), _("Normal has 1,500,000 of 2,003,840 pages; it gets that share as "
                                                   "min."),
           _("The step: the larger of min / 4 and 1,500,000 * 10 / 10,000."),
           _("low is one step above min, high is two.")),
    why=_("4096 * 1500000 / 2003840 = 3066; the step is 1500, more than 766; so 3066, 4566, 6066. DMA32 keeps "
          "1500000 / 256 = 5859 from those who could have had Normal. See `__setup_per_zone_wmarks()` and "
          "`setup_per_zone_lowmem_reserve()`, mm/page_alloc.c."),
)


def _passes(
    free: int, order: int, mark: int, reserve: int, high: bool, atomic: bool
) -> bool:
    if high:
        mark -= mark // 2
        if atomic:
            mark -= mark // 4
    return free - ((1 << order) - 1) > mark + reserve


def _passes_by_cases(free: int, order: int, mark: int, reserve: int, high: bool, atomic: bool) -> bool:
    half = mark - mark // 2
    least = half - half // 4 if high and atomic else half if high else mark
    return free >= least + reserve + (1 << order)


def _requests(rng: random.Random) -> Iterator[tuple[int, int, int, int, bool, bool]]:
    """Around every limit, where mistakes show."""
    for _case in range(12):
        order, mark, reserve = rng.randrange(6), rng.randrange(8, 1500), rng.choice((0, 0, 377, 5760))
        for high, atomic in ((False, False), (False, True), (True, False), (True, True)):
            half = mark - mark // 2
            least = (half - half // 4 if atomic else half) if high else mark
            for step in (-1, 0, 1, 2):
                yield least + reserve + (1 << order) - 1 + step, order, mark, reserve, high, atomic


passes = implement(
    name="zones/passes", title=_("The watermark check"), level=3,
    task=_("Write `passes(free, order, mark, reserve, high, atomic)` as 6.12 has it: may the request take its block "
           "and "
           "leave the zone above the mark? `high` says that the mask has `__GFP_HIGH`, `atomic` that the caller cannot "
           "sleep. Return True or False; leave aside whether a large enough block is there."),
    template="def passes(free, order, mark, reserve, high, atomic):\n    ...\n",
    asked=Function(
        parameters=("free", "order", "mark", "reserve", "high", "atomic"), cases=_requests, reference=_passes,
        read=lambda value: truth(value, _("The answer")),
        misconceptions=(
            Misconception("may touch the mark", _("What is left must be *above* mark and reserve together; equal is "
                                                  "not "
                                                  "enough."),
                          lambda free, order, mark, reserve, high, atomic:
                              _passes(free + 1, order, mark, reserve, high, atomic)),
            Misconception("takes the whole block off", _(
                "You took all 2**order pages off. The kernel takes off one less, 2**order - 1: the comparison with the "
                "mark counts for the last one."), lambda free, order, mark, reserve, high, atomic:
                    _passes(free - 1, order, mark, reserve, high, atomic)),
            Misconception("forgets the block", _("A block of order n takes 2**n pages. Take the others off before you "
                                                 "compare."), lambda free, order, mark, reserve, high, atomic:
                              _passes(free, 0, mark, reserve, high, atomic)),
            Misconception("as in 2.6", _("In 2.6.34 whoever could not sleep got a quarter off, with or without "
                                         "`__GFP_HIGH`. That ended with 4.4; today it takes "
                                         "`__GFP_HIGH` to go below the mark."),
                          lambda free, order, mark, reserve, high, atomic:
                              _passes(free, order, (mark if high or not atomic else mark - mark // 4), reserve, high,
                                      atomic)),
            Misconception("cuts the reserve too", _("Only the mark is lowered for urgent requests. The reserve is "
                                                    "added "
                                                    "to it in full."),
                          lambda free, order, mark, reserve, high, atomic:
                              _passes(free, order, mark + reserve, 0, high, atomic)),
            Misconception("forgets the reserve", _("The zone keeps `reserve` pages from this request, on top of the "
                                                   "mark."), lambda free, order, mark, reserve, high, atomic:
                              _passes(free, order, mark, 0, high, atomic)),
            Misconception("nobody is urgent", _("With `__GFP_HIGH` a request may go to half of the mark, and if it "
                                                "cannot sleep either, a quarter of that half deeper."),
                          lambda free, order, mark, reserve, high, atomic:
                              _passes(free, order, mark, reserve, False, False)),
        ),
    ),
    right_answers=(_passes, _passes_by_cases),
    hints=(_("Begin with the plain case: free minus the block's other pages must be above mark plus reserve."),
           _("Then `__GFP_HIGH`: the mark loses half (`mark -= mark // 2`)."),
           _("Then, only inside that case, the caller who cannot sleep: the mark loses another quarter of what is "
             "left.")),
    why=_("It is the middle of `__zone_watermark_ok()`, mm/page_alloc.c. With a mark of 1000: 1000 for GFP_KERNEL and "
          "GFP_NOWAIT, 500 with `__GFP_HIGH`, 375 for GFP_ATOMIC. The reserve is never cut: it protects the zone, not "
          "the moment."),
)


def _which_question(seed: int, level: int, attempt: int) -> Exercise:
    """Make three zones with little room, and ask which of them gives one page at the low mark."""
    rng = random.Random(f"which zone {level} {seed} {attempt}")
    zones = _three_zones()
    for zone in zones:
        room = zone.watermark[Wmark.LOW] + rng.choice(zone.lowmem_reserve[:3]) + rng.randrange(-60, 60)
        zone.vm_stat_free = max(0, min(room, zone.managed_pages))
    highest = {"GFP_KERNEL": ZoneType.NORMAL, "GFP_KERNEL | __GFP_DMA32": ZoneType.DMA32}
    if level > 1:
        highest["GFP_KERNEL | __GFP_DMA"] = ZoneType.DMA

    def gives(limit: ZoneType, upward: bool = False, reserve: bool = True, all_zones: bool = False,
              falls_back: bool = True, last_entry: bool = False) -> str:
        tried = [zone for zone in zones if zone.type <= limit or all_zones]
        tried = tried if upward else tried[::-1]
        for zone in tried if falls_back else tried[:1]:
            index = ZoneType.NORMAL if last_entry else limit if reserve else zone.type
            if zone_watermark_ok(zone, 0, zone.watermark[Wmark.LOW], index, 0):
                return zone.name
        return "none"

    lines = [f"{zone.name:>6}: free {zone.vm_stat_free:6}  low {zone.watermark[Wmark.LOW]:5}  "
             f"protection ({', '.join(str(zone.lowmem_reserve[n]) for n in range(3))})" for zone in zones]
    right = {mask: gives(limit) for mask, limit in highest.items()}
    options = word({**zone_names("DMA", "DMA32", "Normal"), "none": (None,)})
    beliefs = (
        ("forgets the protection", _("You compared with the low mark alone. A zone also keeps its `protection` from "
                                     "those who could have used a higher one: add the entry of the highest zone that "
                                     "the "
                                     "mask allows."), {"reserve": False}),
        ("from the bottom", _("You went upward. The zonelist begins at the highest zone that the mask allows and leads "
                              "down."), {"upward": True, "reserve": False}),
        ("any zone will do", _("You let the request have a zone above the highest that its mask allows. It may only "
                               "fall "
                               "back downward."), {"all_zones": True, "reserve": False}),
        ("does not fall back", _("You asked one zone only. If the highest that the mask allows has too little, the "
                                 "next one down is asked, and so on."), {"falls_back": False}),
        ("the last entry for all", _("You took the last entry of `protection` for every mask. Which one counts is a "
                                     "matter of the mask: that of the highest zone that it allows."),
         {"last_entry": True}),
    )
    wrong = [Misconception(name, words, {mask: gives(limit, **belief) for mask, limit in highest.items()})
             for name, words, belief in beliefs]
    return predict(
        name="zones/which-zone", title=_("Which zone gives? Question {seed}").format(seed=seed), level=level,
        task=_("Three zones, and a request for one page with each of these masks. Which zone serves it at the first "
               "attempt, which is made at the low mark? Write \"none\" if none does. (`protection` has an entry for "
               "each "
               "highest zone: DMA, DMA32, Normal.)"),
        given="\n".join(lines),
        asks=tuple(Ask(key=mask, right=right[mask], read=options) for mask in right),
        mistakes=_told_apart(right, wrong),
        again=_("Another question: another `seed`; `level=2` asks for a third mask."),
        hints=(_("Which zones may the request use, and which of them is tried first?"),
               _("Which entry of `protection` counts? That of the highest zone the mask allows."),
               _("free must be above low plus that entry.")),
        why=_("Each zone is asked in turn, from the highest that will do: is what is left above the low mark plus what "
              "this zone keeps from such requests? The first that says yes gives."),
    )


def _told_apart(right: dict[str, str], mistakes: list[Misconception]) -> tuple[Misconception, ...]:
    """Return the mistakes that lead here to an answer of their own, neither the right one nor an earlier one's."""
    answers = [right, *(each.answer for each in mistakes)]
    return tuple(each for n, each in enumerate(mistakes, 1) if each.answer not in answers[:n])


def _telling(seed: int, level: int) -> Exercise:
    """Look for a question that tells three mistakes apart.

    To tell all of them apart would leave a single right answer: GFP_KERNEL would always get a page of Normal.
    """
    for attempt in range(2000):
        question = _which_question(seed, level, attempt)
        if len(question.misconceptions) >= 3:
            return question
    raise RuntimeError("no question tells the mistakes apart")


which_zone = Series(name="zones/which-zone", title=_("Which zone gives?"), make=_telling, levels=2)

_ZONEINFO = """
Node 0, zone    DMA32
  pages free     44159
        boost    0
        min      423
        low      528
        high     633
        promo    738
        spanned  61408
        present  61408
        managed  50753
        cma      0
        protection: (0, 0, 0, 0, 0)
  pagesets
    cpu: 0
              count: 1259
              high:  1802
              batch: 15
"""

zoneinfo = read_report(
    name="zones/zoneinfo", title=_("Read a zone"), level=1,
    task=_("A part of `/proc/zoneinfo` on a machine with one CPU, Linux 6.12.117. Work it out in pages."),
    text=_ZONEINFO,
    asks=(
        Ask(key="taken", words=_("pages that the kernel had taken before the allocator began"), right=61408 - 50753),
        Ask(key="free", words=_("pages that nobody uses, wherever they are"), right=44159 + 1259),
        Ask(key="wakes", words=_("how many pages must go from `free` until it is down at the mark where kswapd wakes"),
            right=44159 - 528),
        Ask(key="atomic", words=_("down to how many free pages GFP_ATOMIC may go, at order 0"),
            right=423 - 423 // 2 - (423 - 423 // 2) // 4),
    ),
    lines={"taken": 10, "free": 15, "wakes": 5, "atomic": 4},
    mistakes=(
        mistake("forgets the CPU's list", _("`free` counts the buddy lists alone. The pages on a CPU's own list are "
                                            "free "
                                            "too: `count`."), free=44159),
        mistake("counts what is used as taken", _("That is what is not free now. What the kernel took at boot is the "
                                                  "difference of `present` and `managed`."), taken=61408 - 44159),
        mistake("at min", _("kswapd wakes when the zone falls to `low`. At `min` it is late: there the requests "
                            "themselves must reclaim."), wakes=44159 - 423),
        mistake("until high", _("`high` is where kswapd goes to sleep again. It wakes at `low`."), wakes=44159 - 633),
        mistake("half of it", _("Half is for `__GFP_HIGH` alone. GFP_ATOMIC cannot sleep either, and goes a quarter of "
                                "that half deeper."), atomic=423 - 423 // 2),
    ),
    hints=(_("`spanned` is the range, `present` what is there, `managed` what the allocator was given."),
           _("Which pages are free and on no list of the zone?"), _("kswapd: wakes at low, stops at high."),
           _("GFP_ATOMIC: take half of min off, then a quarter of what is left, rounding down what you take off.")),
    why=_("61408 - 50753 went to the kernel's code and the struct pages at boot. 44159 + 1259 are free. kswapd wakes "
          "at "
          "528. GFP_ATOMIC may go to 423 - 211 = 212, less 53: 159."),
)

EXERCISES: tuple[Exercise | Series, ...] = (first_zone, marks, passes, which_zone, zoneinfo)
