# SPDX-License-Identifier: GPL-2.0-only
"""The exercises of the chapter "High memory and per-CPU memory".

    ex.address      implement: page_address() of a 32-bit kernel
    ex.mapping      choose: how to get at a page
    ex.copies       compute: addresses of per-CPU copies
    ex.handler      find the bug: mapping pages in an interrupt
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
from kmm_sim.exercises.reading import address as read_address
from kmm_sim.exercises.reading import whole_number

__all__ = ["EXERCISES", "address", "copies", "handler", "mapping"]

LOW_END = 896 << 8  # the first pfn of high memory


def _address(pfn: int, mapped: dict[int, int]) -> int:
    if pfn >= 0x38000:
        return mapped.get(pfn, 0)
    return 0xC0000000 + pfn * 4096


def _address_by_shift(pfn: int, mapped: dict[int, int]) -> int:
    physical = pfn << 12
    if physical < 896 * 1024 * 1024:
        return physical | 0xC0000000
    return mapped.get(pfn, 0)


def _pages(rng: random.Random) -> Iterator[tuple[int, dict[int, int]]]:
    mapped = {LOW_END + 7: 0xFF801000, LOW_END + 900: 0xFF802000}
    for pfn in (0, 1, 4096, LOW_END - 1, LOW_END, LOW_END + 7, LOW_END + 8):
        yield pfn, mapped
    for _case in range(12):
        yield rng.randrange(LOW_END), mapped
        yield rng.randrange(LOW_END, 1 << 20), mapped
    yield LOW_END + 900, {LOW_END + 900: 0xFF900000}


address = implement(
    name="high-memory-and-per-cpu/page-address", title=_("page_address() on 32 bits"), level=2,
    task=_("Write `page_address(pfn, mapped)` for a 32-bit kernel: its direct map begins at 0xc0000000 and covers "
           "896 MiB. "
           "`mapped` has the addresses, by pfn, that `kmap()` has given. Return 0 where there is none."),
    template="def page_address(pfn, mapped):\n    ...\n",
    asked=Function(
        hexadecimal=("pfn", "mapped", "return"),
        parameters=("pfn", "mapped"), cases=_pages, reference=_address,
        read=lambda value: whole_number(value, _("An address")),
        misconceptions=(
            Misconception("no end to the direct map", _("The direct map ends at 896 MiB. A page above it has no "
                                                        "address "
                                                        "there: the sum would lie in the window of kmap(), or "
                                                        "overflow."),
                          lambda pfn, mapped: 0xC0000000 + pfn * 4096),
            Misconception("forgets kmap", _("High memory that `kmap()` has mapped does have an address: look into "
                                            "`mapped`."),
                          lambda pfn, mapped: 0 if pfn >= LOW_END else 0xC0000000 + pfn * 4096),
            Misconception("one gigabyte", _("The kernel has 1 GiB of addresses, but 128 MiB of them are for other "
                                            "things, "
                                            "such as vmalloc() and kmap(): the direct map covers 896 MiB."),
                          lambda pfn, mapped: mapped.get(pfn, 0) if pfn >= 1 << 18 else 0xC0000000 + pfn * 4096),
            Misconception("pfn as bytes", _("A pfn counts pages of 4096 bytes: multiply it before you add."),
                          lambda pfn, mapped: mapped.get(pfn, 0) if pfn >= LOW_END else 0xC0000000 + pfn),
            Misconception("an off-by-one limit", _("896 MiB are the pages 0 to 0x37fff. Page 0x38000 is the first of "
                                                   "high memory."),
                          lambda pfn, mapped: mapped.get(pfn, 0) if pfn > LOW_END else 0xC0000000 + pfn * 4096),
        ),
    ),
    right_answers=(_address, _address_by_shift),
    hints=(_("896 MiB are 896 * 256 pages: where does high memory begin?"),
           _("Below that it is the usual sum: start of the direct map plus 4096 for each page."),
           _("Above, `mapped.get(pfn, 0)` is all there is.")),
    why=_("`page_address()` in mm/highmem.c: low memory by arithmetic, high memory from a hash table that `kmap()` "
          "fills. "
          "On 64 bits only the sum is left."),
)

mapping = choose(
    name="high-memory-and-per-cpu/mapping", title=_("How to get at a page"), level=2,
    task=_("You hold a page and want to read its bytes. New code should run on 32 and on 64 bits. What do you call?"),
    options=("page_address", "kmap_local_page", "vmap", "kmap"),
    situations=(
        Situation(key="own", words=_("a page that you got with GFP_KERNEL"), right="page_address", wrong={
            "kmap": _("A page that was asked for without `__GFP_HIGHMEM` is never high memory: it has an address."),
            "kmap_local_page": _("It works, and is more than you need: this page is never high memory. Its address is "
                                 "always there, and nothing has to be unmapped."),
        }),
        Situation(key="user", words=_("a page of a file, to copy a few bytes"), right="kmap_local_page", wrong={
            "page_address": _("Such a page may be high memory on 32 bits, and then this returns NULL."),
            "kmap": _("It would do, but it is deprecated: it locks, shares 1024 slots among all CPUs, and flushes "
                      "every "
                      "CPU's TLB when they are used up."),
        }),
        Situation(key="irq", words=_("a page of a file, in an interrupt handler"), right="kmap_local_page", wrong={
            "kmap": _("`kmap()` may sleep until a slot is free. An interrupt handler must not."),
        }),
        Situation(key="many", words=_("100 pages of files, side by side, for seconds"), right="vmap", wrong={
            "kmap_local_page": _("Such mappings are few, and belong to the task that made them, for a short while. "
                                 "Nor do "
                                 "they lie side by side."),
        }),
    ),
    hints=(_("Can the page be high memory at all? It depends on the mask it was asked for with."),
           _("Which of the calls may sleep?"), _("Who needs the address: one task for a moment, or many for long?")),
    why=_("`page_address()` for what cannot be high memory, `kmap_local_page()` for a short look at what might be, "
          "`vmap()` for many pages and a long time. `kmap()` and `kmap_atomic()` are kept for old code only."),
)

UNIT = 0x8000
BASE = 0xFFFFC90000000000
copies = compute(
    name="high-memory-and-per-cpu/copies", title=_("Whose copy is it?"), level=1,
    task=_("`ptr = alloc_percpu(u64)` returned 0xffffc90000000040. In this machine each CPU's unit is 0x8000 bytes "
           "further "
           "than that of the CPU before; there are 4 CPUs. Each of them calls `this_cpu_add(*ptr, 5)`, and CPU 2 "
           "twice."),
    asks=(
        Ask(key="cpu3", words=_("address of CPU 3's copy"), right=BASE + 0x40 + 3 * UNIT, read=read_address),
        Ask(key="on2", words=_("what this_cpu_read(*ptr) gives on CPU 2"), right=10),
        Ask(key="sum", words=_("what the total over all CPUs is"), right=25),
        Ask(key="bytes", words=_("bytes of memory that the variable takes, all copies together"), right=32),
    ),
    mistakes=(
        mistake("counts from one", _("CPUs are numbered from 0: CPU 3's copy is three units further, not four."),
                cpu3=BASE + 0x40 + 4 * UNIT),
        mistake("side by side", _("The copies do not lie side by side: that would put them into one cache line, which "
                                  "all CPUs would fight for. Each is a whole unit further."), cpu3=BASE + 0x40 + 3 * 8),
        mistake("one variable", _("You added everything up in one place. Each CPU has its own copy, and "
                                  "`this_cpu_read()` "
                                  "sees only the one of the CPU it runs on."), on2=25, bytes=8),
        mistake("one copy is the total", _("That is one CPU's copy. For the total somebody must add up all four."),
                sum=10),
    ),
    hints=(_("per_cpu_ptr(ptr, n) is ptr plus n units."), _("Only CPU 2's own additions are in its copy."),
           _("5 + 5 + 10 + 5; and four copies of 8 bytes.")),
    why=_("A per-CPU variable is an offset into each CPU's unit. Nobody locks and no cache line travels; the price "
          "is that "
          "the total must be added up, and may be out of date at once."),
)

handler = find_bug(
    name="high-memory-and-per-cpu/copy-pages", title=_("Copying between two pages"), level=3,
    task=_("This softirq copies one page to another, and counts that in a third; all of them may be high memory. Three "
           "lines are wrong, in old ways and new ones."),
    source="""
static void copy_softirq(struct page *to, struct page *from, struct page *count)
{
    void *src = kmap_local_page(from);
    void *dst = kmap_local_page(to);
    void *copies = kmap(count);

    memcpy(dst, src, PAGE_SIZE);
    *(u64 *)copies += 1;
    kunmap(copies);
    kunmap_local(src);
    kunmap_local(dst);
}
""",
    names={"sleeps": _("may sleep where nobody may"), "argument": _("is given the wrong thing"),
           "order": _("unmaps in the wrong order"), "size": _("copies too much")},
    bugs=(
        Bug(lines=5, name="sleeps", missed=_("Which of the two ways to map may wait for a slot, and who runs here?")),
        Bug(lines=9, name="argument", missed=_("What does kunmap() want to know: the page or the address?"),
            misread={"sleeps": _("Whoever mends line 5 mends that too. Look at what it is given."),
                     "order": _("It was mapped last, so it is right that it goes first. Look at what it is given.")}),
        Bug(lines=(10, 11), name="order", missed=_("A task's slots are a stack. In which order were src and dst "
                                                   "mapped?"),
            misread={"argument": _("kunmap_local() wants the address, and gets it. But which one was mapped last?")}),
    ),
    innocent={4: _("`kmap_local_page()` never sleeps: it is the one to use here."),
              7: _("Both pages have PAGE_SIZE bytes, and both are mapped.")},
    hints=(_("A softirq must not sleep."), _("`kunmap()` takes a page, `kunmap_local()` an address."),
           _("`kunmap()` takes a `void *` without a warning. And what was mapped last must be unmapped first.")),
    why=_("With `kmap_local_page()` for all three, and `kunmap_local()` of copies, dst and src in this order, it is "
          "right: last mapped, first unmapped. `copy_highpage()` maps, copies and unmaps in one call."),
)

EXERCISES: tuple[Exercise | Series, ...] = (address, mapping, copies, handler)
