# SPDX-License-Identifier: GPL-2.0-only
"""The exercises of the chapter "Pages".

    ex.overhead         compute: what the struct pages of a machine cost
    ex.three_numbers    compute: from a pfn to its struct page and its address
    ex.page_of          implement: the struct page behind an address
    ex.references       predict: reference counts after a few calls; ``ex.references(seed=1)``
    ex.bad_page         read a report: what a struct page says in a kernel's log
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from kmm_sim.catalogue import _
from kmm_sim.exercises.compute import compute, predict
from kmm_sim.exercises.exercise import Exercise, Misconception, Series
from kmm_sim.exercises.implement import Function, implement
from kmm_sim.exercises.questions import Ask, mistake
from kmm_sim.exercises.reading import address, number, whole_number, word, zone_names
from kmm_sim.exercises.report import read_report
from kmm_sim.machine import Machine
from kmm_sim.mm.gfp import GFP_KERNEL, Gfp
from kmm_sim.mm.page import PAGE_OFFSET, SIZEOF_STRUCT_PAGE, VMEMMAP_START, mem_map_cost, pfn_to_virt, virt_to_pfn

__all__ = ["EXERCISES", "bad_page", "overhead", "page_of", "references", "three_numbers"]

GIB = 1 << 30

overhead = compute(
    name="pages/overhead", title=_("What do the struct pages cost?"), level=1,
    task=_("A machine has 16 GiB of memory in pages of 4096 bytes, and its kernel a `struct page` of 64 bytes for "
           "each. Give percentages with three digits that count, such as 12.3 or 0.0123."),
    asks=(
        Ask(key="pages", words=_("how many pages it has"), right=16 * GIB // 4096),
        Ask(key="bytes", words=_("bytes of all struct pages"), right=mem_map_cost(16 * GIB)),
        Ask(key="percent", words=_("of all memory, in percent"), right=1.5625, read=number, close=0.005),
        Ask(key="arm", words=_("the same in percent with pages of 64 KiB"), right=64 / 65536 * 100, read=number,
            close=0.005),
    ),
    mistakes=(
        mistake("thousands", _("You took a GiB for 10**9 bytes. It is 2**30, and pages are counted in those."),
                pages=16 * 10**9 // 4096, bytes=16 * 10**9 // 4096 * 64),
        mistake("bits for bytes", _("You counted a `struct page` as 64 bits. It has 64 bytes, eight times as much."),
                bytes=mem_map_cost(16 * GIB) // 8, percent=1.5625 / 8, arm=64 / 65536 * 100 / 8),
        mistake("the books' size", _("That is the sum with 40 bytes for each page, as older books have it. Since Linux "
                                     "4.x it is 64 on x86-64."),
                bytes=mem_map_cost(16 * GIB, struct_size=40), percent=40 / 4096 * 100, arm=40 / 65536 * 100),
        mistake("a share, not a percentage", _("That is the share as a fraction of 1. In percent it is a hundred times "
                                               "as much."), percent=64 / 4096, arm=64 / 65536),
        mistake("rounded too far", _("That is right as far as it goes, but rounded too far. Three digits that count "
                                     "were asked for: 12.3, not 12, and 0.0123, not 0.01."), percent=1.6, arm=0.1),
    ),
    hints=(_("16 GiB are 2**34 bytes, a page is 2**12."), _("Each page costs 64 bytes, 2**6: multiply."),
           _("The percentage does not depend on how much memory there is: 64 of each 4096 bytes.")),
    why=_("2**34 / 2**12 = 2**22 pages, times 2**6 bytes = 2**28, 256 MiB: 64 bytes of each 4096 are 1.5625 %. With "
          "pages of 64 KiB it is a sixteenth of that. Large pages make bookkeeping cheap, and everything else coarse."),
)

PFN = 0x12345
three_numbers = compute(
    name="pages/three-numbers", title=_("One page, three numbers"), level=1,
    task=_("A page has the frame number 0x12345. The array of struct pages begins at 0xffffea0000000000, each has 64 "
           "bytes; the direct map begins at 0xffff888000000000. Give addresses as numbers or as text, "
           "`0x...` or `\"0x...\"`."),
    asks=(
        Ask(key="physical", words=_("where the page begins in physical memory"), right=PFN << 12, read=address),
        Ask(key="struct", words=_("where its struct page is"), right=VMEMMAP_START + PFN * 64, read=address),
        Ask(key="virtual", words=_("what page_address() returns"), right=pfn_to_virt(PFN), read=address),
        Ask(key="pfn", words=_("the pfn of the page with address 0xffff888001234567"), right=0x1234, read=address),
    ),
    mistakes=(
        mistake("pfn as bytes", _("You took the pfn for an address. It counts pages: times 4096, which is three more "
                                  "zeros in hexadecimal."),
                physical=PFN, virtual=PAGE_OFFSET + PFN, pfn=0x1234567),
        mistake("an index without its size", _("You added the pfn to the start of the array. In C, `vmemmap + pfn` "
                                               "does "
                                               "that; in bytes each entry counts 64."), struct=VMEMMAP_START + PFN),
        mistake("a pointer's size", _("You counted 8 bytes for each entry, as if the array held pointers. It holds the "
                                      "structures themselves, 64 bytes each."), struct=VMEMMAP_START + PFN * 8),
        mistake("the offset stays", _("You kept the low 12 bits. They are the place inside the page; the pfn is what "
                                      "is "
                                      "left without them."), pfn=0x1234567 >> 8),
    ),
    hints=(_("A page has 4096 = 0x1000 bytes: multiplying by it adds three zeros in hexadecimal."),
           _("The struct page of pfn 0 lies at the start of the array, that of pfn 1 is 64 = 0x40 bytes further."),
           _("For the last: take off where the direct map begins, then the last three digits.")),
    why=_("physical = pfn << 12; struct page = vmemmap + 64 * pfn; virtual = PAGE_OFFSET + physical. Backwards the "
          "same: "
          "no table is searched. `pfn_to_page()` and `virt_to_page()` are macros of one line each."),
)


def _struct_page(addr: int) -> int:
    pfn = (addr - 0xFFFF888000000000) >> 12
    return 0xFFFFEA0000000000 + 64 * pfn


def _struct_page_by_division(addr: int) -> int:
    return 0xFFFFEA0000000000 + (addr - 0xFFFF888000000000) // 4096 * 64


def _addresses(rng: random.Random) -> Iterator[tuple[int]]:
    for addr in (0, 1, 4095, 4096, 8191, 0x1234567):
        yield (PAGE_OFFSET + addr,)
    for _case in range(30):
        yield (PAGE_OFFSET + rng.randrange(1 << 40),)


page_of = implement(
    name="pages/page-of", title=_("From an address to its struct page"), level=2,
    task=_("Write `struct_page(addr)`: the address of the `struct page` behind any address of the direct map, also "
           "one in "
           "the middle of a page. The direct map begins at 0xffff888000000000, the array at 0xffffea0000000000."),
    template="def struct_page(addr):\n    ...\n",
    asked=Function(
        hexadecimal=("addr", "return"),
        parameters=("addr",), cases=_addresses, reference=lambda addr: VMEMMAP_START + virt_to_pfn(addr) * 64,
        read=lambda value: whole_number(value, _("The address")),
        misconceptions=(
            Misconception("forgets the size", _("Each `struct page` has 64 bytes: the pfn must be multiplied by "
                                                "that. In "
                                                "C the compiler does it for you, `vmemmap + pfn`."),
                          lambda addr: VMEMMAP_START + virt_to_pfn(addr)),
            Misconception("does not cut off the offset", _(
                "You scaled the offset instead of the page number: an address in the middle of a page gets the "
                "middle of "
                "a structure. Shift the 12 low bits out "
                "first."), lambda addr: VMEMMAP_START + (addr - PAGE_OFFSET) // 64),
            Misconception("keeps the direct map's start", _(
                "You shifted the address itself. First take off where the direct map begins: the pfn counts from the "
                "start of memory."), lambda addr: VMEMMAP_START + (addr >> 12) * SIZEOF_STRUCT_PAGE),
            Misconception("rounds up", _("An address belongs to the page it lies in, which begins below it: round "
                                         "down, "
                                         "not up."),
                          lambda addr: VMEMMAP_START + -(-(addr - PAGE_OFFSET) // 4096) * SIZEOF_STRUCT_PAGE),
        ),
    ),
    right_answers=(_struct_page, _struct_page_by_division),
    hints=(_("Subtract the start of the direct map: what is left is a physical address."),
           _("Shift 12 bits out, and you have the pfn."), _("The array has 64 bytes for each pfn.")),
    why=_("Two subtractions and a shift. That is `virt_to_page()`, and also why it gives nonsense for an address "
          "that is "
          "not in the direct map, such as one of `vmalloc()`: the arithmetic has no way to notice."),
)

_NAMES = ("a", "b", "c")


def _references_question(seed: int, level: int, attempt: int) -> Exercise:
    """Take three pages, share and return them; the machine knows which counts are left."""
    rng = random.Random(f"references {level} {seed} {attempt}")
    machine = Machine(pages=16, teaching=False)
    orders = [rng.choice((0, 0, 2)) if level > 1 else 0 for _name in _NAMES]
    pages, lines = [], []
    for name, order in zip(_NAMES, orders, strict=True):
        comp = " | Gfp.COMP" if order else ""
        lines.append(f"{name} = machine.alloc_pages(GFP_KERNEL{comp}, {order})")
        page = machine.alloc_pages(GFP_KERNEL | (Gfp.COMP if order else 0), order)
        assert page is not None  # 12 pages of 16 at most
        pages.append(page)
    counts, gets, puts = [1, 1, 1], [0, 0, 0], [0, 0, 0]
    for _step in range(5 + 2 * level):
        which = rng.randrange(3)
        if counts[which] and (rng.random() < 0.5 or counts[which] > 2):
            machine.put_page(pages[which])
            counts[which] -= 1
            puts[which] += 1
            lines.append(f"machine.put_page({_NAMES[which]})")
        elif counts[which]:
            machine.get_page(pages[which])
            counts[which] += 1
            gets[which] += 1
            lines.append(f"machine.get_page({_NAMES[which]})")
    freed = sum(1 << order for order, page in zip(orders, pages, strict=True) if not page.refcount)
    right = {name: page.refcount for name, page in zip(_NAMES, pages, strict=True)}
    wrong_start = {name: max(0, got - put) for name, got, put in zip(_NAMES, gets, puts, strict=True)}
    no_puts = {name: 1 + got for name, got in zip(_NAMES, gets, strict=True)}
    return predict(
        name="pages/references", title=_("Who is still in use? Question {seed}").format(seed=seed), level=level,
        task=_("What does each page's `_refcount` hold afterwards, and how many pages did these calls free? (A block "
               "with "
               "`Gfp.COMP` is a compound page: its head counts for all, and they are freed together.)"),
        given="\n".join(["machine = Machine(pages=16)", *lines]),
        asks=(*(Ask(key=name, right=right[name], words=_("`_refcount` of "
                                                         "{name}").format(name=name)) for name in _NAMES),
              Ask(key="freed", right=freed, words=_("how many pages were freed"))),
        mistakes=(
            mistake("begins at zero", _("You counted from 0. Whoever allocates a page has the first reference: it "
                                        "begins "
                                        "at 1."), **wrong_start),
            mistake("never takes away", _("You counted only upward. Each `put_page()` takes one away, and the last one "
                                          "frees the page."), **no_puts),
            mistake("all are freed", _("You counted every page as freed. A page is freed when its count reaches 0, and "
                                       "not before."), freed=sum(1 << order for order in orders)),
        ),
        again=_("Another question: another `seed`; `level=2` has compound pages."),
        hints=(_("Write 1 beside each page that was allocated."), _("Go down the calls: get adds 1, put takes 1 away."),
               _("Whose count is 0 was freed in that very call. A compound page of order 2 is four pages.")),
        why=_("A page is freed by the `put_page()` that takes its count from 1 to 0, whoever calls it. That is the "
              "whole "
              "idea: nobody needs to know who the other users are."),
    )


def _telling(seed: int, level: int) -> Exercise:
    """Look for a question in which each mistake leads to another answer than the truth."""
    for attempt in range(200):
        question = _references_question(seed, level, attempt)
        right = question.right_answers[0]
        wrong = [each.answer for each in question.misconceptions]
        differ = [sum(answer[key] != right[key] for key in right) for answer in wrong]
        if min(differ) and differ[0] > 1 and differ[1] > 1 and wrong[0] != wrong[1] and right["freed"]:
            return question
    raise RuntimeError("no question tells the mistakes apart")


references = Series(name="pages/references", title=_("Who is still in use?"), make=_telling, levels=2)

_REPORT = """
BUG: Bad page state in process insmod  pfn:10180d
page: refcount:0 mapcount:0 mapping:0000000000001000 index:0x0 pfn:0x10180d
invalid mapping:0000000000001000
flags: 0x17ffffc0000000(node=0|zone=2|lastcpupid=0x1fffff)
raw: 0017ffffc0000000 0000000000000000 dead000000000122 0000000000001000
raw: 0000000000000000 0000000000000000 00000000ffffffff 0000000000000000
page dumped because: non-NULL mapping
"""

bad_page = read_report(
    name="pages/bad-page", title=_("Read a struct page in a log"), level=2,
    task=_("A Linux 6.12.117 printed this when a module freed a page. The two `raw` lines are the page's structure, as "
           "eight words of eight bytes."),
    text=_REPORT,
    asks=(
        Ask(key="physical", words=_("the physical address of the page"), right=0x10180D000, read=address),
        Ask(key="offset", words=_("at which byte of the structure the offending field lies"), right=24),
        Ask(key="mapcount", words=_("the number that _mapcount holds"), right=-1),
        Ask(key="zone", words=_("the name of the zone (zone=2 on x86-64): DMA, DMA32, Normal or Movable"),
            right="Normal", read=word(zone_names("DMA", "DMA32", "Normal", "Movable"))),
    ),
    lines={"physical": 1, "offset": 5, "mapcount": 6, "zone": 4},
    mistakes=(
        mistake("pfn as address", _("That is the page's number. Its address is 4096 times as much: three more zeros."),
                physical=0x10180D),
        mistake("the fourth is four", _("You counted words. Each has eight bytes, and the first lies at byte 0: the "
                                        "fourth word begins at byte 24."), offset=4),
        mistake("as an unsigned number", _("You read ffffffff as an unsigned number. `_mapcount` is a signed int, "
                                           "and one "
                                           "less than the number of mappings: none."), mapcount=0xFFFFFFFF),
        mistake("the printed mapcount", _("`mapcount:0` is what the kernel prints after adding one. The field itself "
                                          "holds one less."), mapcount=0),
        mistake("counts zones from one", _("Zones are numbered from 0: DMA, DMA32, Normal."), zone="DMA32"),
    ),
    hints=(_("Why was the page dumped? The last line names the field."),
           _("The words lie at bytes 0, 8, 16, 24 and so on; in which one do you see 1000?"),
           _("Word 6 holds two counts: its low half is `_mapcount`, its high half `_refcount`."),
           _("The enumeration begins with DMA as 0.")),
    why=_("The module left a value in `mapping`, at byte 24. A page that comes back must belong to nothing, so the "
          "kernel reports it and never uses that page again. `_mapcount` is -1: it is kept one too low, so that the "
          "first mapping is seen as a change of sign."),
)

EXERCISES: tuple[Exercise | Series, ...] = (overhead, three_numbers, page_of, references, bad_page)
