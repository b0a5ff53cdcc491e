# SPDX-License-Identifier: GPL-2.0-only
"""The exercises of the chapter "vmalloc()".

    from kmm_sim.exercises import vmalloc as ex

    ex.cost          compute: page frames, addresses and table entries of an area
    ex.walk          implement: the four indexes and the offset of an address
    ex.lowest_hole   implement: where vmalloc() puts an area
    ex.tlb           compute: what a second walk misses
    ex.info          read a report: a few lines of /proc/vmallocinfo; a series, ``ex.info(seed=1)``
    ex.allocator     choose: kmalloc(), vmalloc(), kvmalloc() and others
    ex.driver        find the bug: a driver with three mistakes
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from kmm_sim.catalogue import _
from kmm_sim.exercises.choose import Situation, choose
from kmm_sim.exercises.compute import compute
from kmm_sim.exercises.exercise import Exercise, Misconception, Series
from kmm_sim.exercises.find_bug import Bug, find_bug
from kmm_sim.exercises.implement import Function, implement
from kmm_sim.exercises.questions import Ask, mistake
from kmm_sim.exercises.reading import address, numbers, whole_number
from kmm_sim.exercises.report import read_report
from kmm_sim.machine import Machine
from kmm_sim.observe import vmallocinfo

__all__ = ["EXERCISES", "allocator", "cost", "driver", "info", "lowest_hole", "tlb", "walk"]

# cost

cost = compute(
    name="vmalloc/cost", title=_("What an area costs"), level=1,
    task=_("A driver calls `vmalloc(1 << 20)`: 1 MiB. The range of addresses begins at a multiple of 2 MiB, and no "
           "table "
           "is there yet but the two upper levels."),
    asks=(
        Ask(key="frames", words=_("page frames for the data"), right=256),
        Ask(key="addresses", words=_("bytes of addresses, as /proc/vmallocinfo counts them"), right=(1 << 20) + 4096),
        Ask(key="entries", words=_("entries written in PTE tables"), right=256),
        Ask(key="array", words=_("bytes of the array of page pointers"), right=2048),
        Ask(key="tables", words=_("page frames for new page tables"), right=2),
    ),
    mistakes=(
        mistake("forgets the guard", _("Every area has a page of addresses more than was asked for: the guard page at "
                                       "its end, and /proc/vmallocinfo counts it."), addresses=1 << 20),
        mistake("maps the guard", _("You counted the guard page, too. It is an address only: no frame is behind it and "
                                    "no entry is written for it."), frames=257, entries=257),
        mistake("pointers of 4 bytes", _("A pointer has 8 bytes on x86-64, so 256 of them take 2048."), array=1024),
        mistake("an entry has 4 KiB", _("You took a table's whole page for each entry. 512 entries of 8 bytes share a "
                                        "table."), tables=256),
        mistake("one level of tables", _("A PTE table hangs in a PMD table, and here that is missing as well."),
                tables=1),
    ),
    hints=(_("1 MiB is 2**20 bytes, a page 2**12."), _("Which page of the area has an address and nothing else?"),
           _("One PTE table serves 2 MiB of addresses, one PMD table 1 GiB.")),
    why=_("256 pages, each with an entry and a pointer of 8 bytes; a guard page of addresses more; and one table of "
          "each "
          "of the two lower levels, which the next area in the same 2 MiB shares."),
)


# walk

def _by_shifting(addr: int) -> tuple[int, ...]:
    pgd, pud, pmd, pte = (addr >> shift & 511 for shift in (39, 30, 21, 12))
    return pgd, pud, pmd, pte, addr & 4095


def _by_dividing(addr: int) -> list[int]:
    rest, indexes = addr % 2**48, []
    for size in (2**39, 2**30, 2**21, 2**12):
        indexes.append(rest // size)
        rest %= size
    return [*indexes, rest]


def _addresses(rng: random.Random) -> Iterator[tuple[int]]:
    """The first address of vmalloc's range, of the direct map, ends of tables, and some anywhere."""
    yield (0xFFFFC90000000000,)
    yield (0xFFFFC90000005678,)
    yield (0xFFFFC900001FFFFF,)
    yield (0xFFFF888001234000,)
    for _case in range(20):
        yield (0xFFFF800000000000 | rng.randrange(1 << 47),)


def _top_down(addr: int, *shifts: int) -> tuple[int, ...]:
    return (*(addr >> shift & 511 for shift in shifts), addr & 4095)


walk = implement(
    name="vmalloc/walk", title=_("Cut an address into indexes"), level=2,
    task=_("Write `walk(addr)`: the index in the PGD, PUD, PMD and PTE table that an address of 64 bits picks, and the "
           "offset in the page, as five numbers."),
    template="def walk(addr):\n    pgd = pud = pmd = pte = offset = ...\n    return pgd, pud, pmd, pte, offset\n",
    asked=Function(
        hexadecimal=("addr",),
        parameters=("addr",), cases=_addresses, reference=_by_shifting,
        read=lambda value: numbers(value, _("The indexes")),
        misconceptions=(
            Misconception("keeps the upper bits", _(
                "Your first index is far too large: only 9 bits count, and the 16 above them are copies of the "
                "highest. Cut them off with `& 511`."),
                lambda addr: (addr >> 39, *_by_shifting(addr)[1:])),
            Misconception("indexes of ten bits", _(
                "An index has 9 bits, since 512 entries of 8 bytes fill a page: the mask is 511. Ten bits are what "
                "entries of 4 bytes have, on 32-bit machines."),
                lambda addr: (addr >> 42 & 1023, addr >> 32 & 1023, addr >> 22 & 1023, addr >> 12 & 1023, addr & 4095)),
            Misconception("offset first", _(
                "These are the right numbers from the lowest bits up. A walk begins at the top: PGD first, the offset "
                "last."), lambda addr: _by_shifting(addr)[::-1]),
            Misconception("mask of 512", _(
                "`& 512` looks at one bit, the tenth. The mask for 9 bits is 511: nine ones."),
                lambda addr: (*(addr >> shift & 512 for shift in (39, 30, 21, 12)), addr & 4096)),
            Misconception("byte offsets", _(
                "You gave where the entry lies in its table, in bytes: eight times the index."),
                lambda addr: (*(8 * index for index in _by_shifting(addr)[:4]), addr & 4095)),
        ),
    ),
    right_answers=(_by_shifting, _by_dividing),
    hints=(_("The offset has 12 bits: a page has 4096 bytes. Above it come four indexes of 9 bits each."),
           _("The indexes begin at the bits 12, 21, 30 and 39."),
           _("`addr >> 12` drops the offset; `& 511` keeps 9 bits of what is left.")),
    why=_("Nine bits choose one of 512 entries, and 512 entries of 8 bytes are just a page: tables are pages like any "
          "other. Linux has pgd_index(), pud_index(), pmd_index() and pte_index() for it (include/linux/pgtable.h)."),
)


# lowest_hole

GUARD = 4096


def _first_hole(holes: list[tuple[int, int]], size: int) -> int | None:
    guard = 4096
    needed = (size + 4095) // 4096 * 4096 + guard
    for start, end in sorted(holes):
        if end - start >= needed:
            return start
    return None


def _hole_by_min(holes: list[tuple[int, int]], size: int) -> int | None:
    pages = -(-size // 4096) + 1
    return min((start for start, end in holes if start + 4096 * pages <= end), default=None)


def _hole(holes: list[tuple[int, int]], needed: int) -> int | None:
    return min((start for start, end in holes if end - start >= needed), default=None)


def _holes(rng: random.Random) -> Iterator[tuple[list[tuple[int, int]], int]]:
    """A request that fits one hole exactly, one that fits with no page for the guard, and some at random."""
    yield [(0x10000, 0x12000), (0x4000, 0x8000)], 4096
    yield [(0, 0x2000), (0x3000, 0x9000)], 8192
    yield [(0, 0x2000), (0x20000, 0x24000), (0x8000, 0x12000)], 5000
    yield [(0, 0x3000)], 12288
    yield [(0x10000, 0x14000), (0x4000, 0x6000)], 4096
    for _case in range(40):
        edges = sorted(rng.sample(range(64), 2 * rng.randrange(1, 6)))
        holes = [(4096 * low, 4096 * high) for low, high in zip(edges[::2], edges[1::2], strict=True)]
        rng.shuffle(holes)
        yield holes, rng.choice((4096 * rng.randrange(1, 9), rng.randrange(1, 32768)))


def _round_up(size: int) -> int:
    return -(-size // 4096) * 4096


def _read_hole(value: Any) -> int | None:
    return None if value is None else whole_number(value, _("The address"))


lowest_hole = implement(
    name="vmalloc/lowest-hole", title=_("Find a place for an area"), level=2,
    task=_("Write `place(holes, size)`: the address at which `vmalloc(size)` begins. `holes` are the free ranges of "
           "addresses as pairs (start, end), in any order, all of them multiples of 4096; `end` is not part of a hole. "
           "Return None where nothing fits."),
    template="def place(holes, size):\n    ...\n",
    asked=Function(
        hexadecimal=("holes", "return"),
        parameters=("holes", "size"), cases=_holes, reference=_first_hole, read=_read_hole,
        misconceptions=(
            Misconception("forgets the guard page", _(
                "You left no room for the guard page: an area takes one page of addresses more than was asked for."),
                lambda holes, size: _hole(holes, _round_up(size))),
            Misconception("rounds down", _(
                "You rounded down to whole pages. 5000 bytes take two of them, and the guard makes three."),
                lambda holes, size: _hole(holes, size // 4096 * 4096 + GUARD)),
            Misconception("in the order given", _(
                "You took the first hole in the list that fits. The lowest address is asked for, and the list is not "
                "sorted."),
                lambda holes, size: next((s for s, e in holes if e - s >= _round_up(size) + GUARD), None)),
            Misconception("best fit", _(
                "You took the smallest hole that fits. vmalloc() takes the lowest."),
                lambda holes, size: min(((e - s, s) for s, e in holes if e - s >= _round_up(size) + GUARD),
                                        default=(0, None))[1]),
            Misconception("must be larger", _(
                "A hole of exactly the size will do: it need not be larger."),
                lambda holes, size: _hole(holes, _round_up(size) + GUARD + 1)),
        ),
    ),
    right_answers=(_first_hole, _hole_by_min),
    hints=(_("How many pages of addresses does the area take? Round up to whole pages first."),
           _("Do not forget the guard page."), _("Of the holes that are large enough, the one with the lowest start.")),
    why=_("Linux does not look at all of them: its tree knows the largest hole below each node and goes left while one "
          "is large enough. What it finds is the same (find_vmap_lowest_match(), mm/vmalloc.c)."),
)


# tlb

tlb = compute(
    name="vmalloc/tlb", title=_("What a second walk misses"), level=2,
    task=_("A TLB of 1536 entries, each for any page, throws out the entry that was used longest ago. A program reads "
           "one byte of every 4096, from the first to the last, and then all of it once more. How many accesses of the "
           "*second* walk miss?"),
    asks=(
        Ask(key="reach", words=_("bytes that 1536 entries of 4 KiB cover"), right=1536 * 4096),
        Ask(key="6 MiB", words=_("misses, 6 MiB through vmalloc()"), right=0),
        Ask(key="7 MiB", words=_("misses, 7 MiB through vmalloc()"), right=1792),
        Ask(key="12 MiB", words=_("misses, 12 MiB through vmalloc()"), right=3072),
        Ask(key="direct", words=_("misses, 12 MiB through the direct map, in pages of 2 MiB"), right=0),
    ),
    mistakes=(
        mistake("only what is too much", _(
            "You let 1536 pages stay and missed only the rest. But what goes is the entry used longest ago, and that "
            "is "
            "just the one that the walk needs next: with one page too many, every access misses."),
            **{"7 MiB": 256, "12 MiB": 1536}),
        mistake("half of them", _(
            "In a walk that comes round again there is no half: either all of it fits, or each page is thrown out "
            "before it is needed."), **{"7 MiB": 896, "12 MiB": 1536}),
        mistake("the first walk as well", _(
            "You counted the misses of the first walk. The second finds what the first has left in the TLB."),
            **{"6 MiB": 1536, "direct": 6}),
        mistake("the direct map in small pages", _(
            "Through the direct map an entry covers 2 MiB, so 12 MiB take six entries."), direct=3072),
        mistake("per megabyte", _("You counted megabytes. 1 MiB has 256 pages of 4 KiB, and each is an access."),
                **{"7 MiB": 7, "12 MiB": 12}),
    ),
    hints=(_("1536 times 4 KiB: how many MiB is that?"), _("Play it with a TLB of 3 entries and 4 pages: 1 2 3 4 1 2 "
                                                           "3 4."),
           _("When page 4 comes, page 1 goes; then page 1 is needed, and page 2 goes.")),
    why=_("1536 entries reach over 6 MiB. A walk over more finds, the second time round, each entry just thrown out. "
          "That "
          "is thrashing, and it comes at once. The same bytes in the direct map take an entry for each 2 MiB."),
)


# info

CALLERS = ("load_module", "bpf_prog_alloc", "n_tty_open", "pcpu_create_chunk")


def _info_text(rng: random.Random) -> tuple[str, int, int, int, int]:
    """Return /proc/vmallocinfo of a machine, and what is asked of it: stacks, used KiB, device, largest area."""
    machine = Machine(memory="64 MiB", trace=False)
    stacks = rng.randrange(2, 5)
    sizes = [rng.randrange(1, 40) * 4096 + rng.randrange(1, 4096) for _area in range(3)]
    device = rng.choice((0xFED00000, 0xFEBC0000, 0xFE000000))
    todo = ["stack"] * stacks + sizes + ["device"]
    rng.shuffle(todo)
    for each in todo:
        if each == "stack":
            machine.new_task("kernel_clone")
        elif each == "device":
            machine.ioremap(device, 16384, caller="pci_iomap")
        else:
            machine.vmalloc(int(each), caller=CALLERS[sizes.index(int(each))])
    pages = 4 * stacks + sum(-(-size // 4096) for size in sizes)
    return vmallocinfo(machine), stacks, 4 * pages, device, 4096 * max(-(-size // 4096) for size in sizes)


def _info_question(seed: int, level: int) -> Exercise:
    text, stacks, used, device, largest = _info_text(random.Random(f"{level} {seed}"))
    rows = text.splitlines()
    return read_report(
        name="vmalloc/info", title=_("Read /proc/vmallocinfo, question {seed}").format(seed=seed), level=2,
        task=_("This is /proc/vmallocinfo of a small machine; stacks are taken by `kernel_clone`."),
        text=text,
        asks=(
            Ask(key="stacks", words=_("threads"), right=stacks),
            Ask(key="stack", words=_("bytes of one stack that can be used"), right=16384),
            Ask(key="used", words=_("VmallocUsed of /proc/meminfo, in kB"), right=used),
            Ask(key="device", words=_("physical address of the device"), right=device, read=address),
            Ask(key="largest", words=_("bytes mapped in the largest area of `vmalloc` that is no stack"),
                right=largest),
        ),
        lines={"stack": 1 + next(n for n, row in enumerate(rows) if "kernel_clone" in row),
               "device": 1 + next(n for n, row in enumerate(rows) if "ioremap" in row)},
        mistakes=(
            mistake("the guard is a part", _("You counted the guard page, which no one can use: the size in the file "
                                             "is that of the addresses."), stack=20480, largest=largest + 4096),
            mistake("the device counts", _("You counted the device's 16 KiB as well. VmallocUsed counts pages of "
                                           "memory, "
                                           "and a device has its own: its line has no `pages=`."), used=used + 16),
            mistake("every line is a thread", _("Not every area is a stack: those of `kernel_clone` are."),
                    stacks=len(rows)),
            mistake("pages for kB", _("That is the number of pages. A page has 4 kB."), used=used // 4),
        ),
        hints=(_("A stack has 4 pages, and its area a guard page more."), _("Add up the `pages=` and multiply by 4."),
               _("`phys=` says where a device is.")),
        why=_("The size is that of the addresses, guard page included; `pages=` counts the memory; a line with `phys=` "
              "takes no memory at all."),
    )


info = Series(name="vmalloc/info", title=_("Read /proc/vmallocinfo"), make=_info_question)


# allocator

allocator = choose(
    name="vmalloc/allocator", title=_("Which allocator?"), level=2,
    task=_("Choose a call for each need, and say why."),
    options={name: (name + "()", name.replace("_", " ")) for name in
             ("kmalloc", "vmalloc", "kvmalloc", "alloc_pages", "dma_alloc_coherent", "ioremap", "vmap")},
    reasons={
        "small": _("it is less than a page"),
        "either": _("contiguous memory is welcome and not needed"),
        "one piece": _("it must be one piece of physical memory for somebody who knows no page tables"),
        "have pages": _("the pages are there and only need addresses in a row"),
        "registers": _("it is not memory at all"),
    },
    situations=(
        Situation(key="request", words=_("one request of 96 bytes"), right="kmalloc", because="small", wrong={
            "vmalloc": _("`vmalloc()` would take a whole page, a guard page and a TLB entry for 96 bytes."),
            "alloc_pages": _("`alloc_pages()` gives whole pages: 4096 bytes for 96.")}),
        Situation(key="bitmap", words=_("a bitmap of 1 MiB, a bit for each block of a file system"),
                  right=("kvmalloc", "vmalloc"), because="either", wrong={
                      "kmalloc": _("1 MiB in one piece is an order-8 block. On a machine that has run for a while "
                                   "there may be none."),
                      "dma_alloc_coherent": _("No device looks at it, so nobody needs it in one piece.")}),
        Situation(key="capture", words=_("a buffer of 128 KiB that a camera without an IOMMU fills"),
                  right="dma_alloc_coherent", because="one piece", wrong={
                      "vmalloc": _("The camera writes physical memory and knows nothing of page tables: behind the "
                                   "first page it would write over somebody else's."),
                      "kvmalloc": _("It may fall back to `vmalloc()`, and the camera would write over somebody else's "
                                    "page.")}),
        Situation(key="frames", words=_("eight page frames of a video buffer, filled one by one, to be read in a row"),
                  right="vmap", because="have pages", wrong={
                      "vmalloc": _("`vmalloc()` takes new pages. These are there already.")}),
        Situation(key="timer", words=_("1 KiB of registers of a timer at physical address 0xfed00000"), right="ioremap",
                  because="registers", wrong={
                      "kmalloc": _("`kmalloc()` gives memory. The registers are where the device has them.")}),
    ),
    hints=(_("Who looks at it: only the processor, or a device as well?"), _("Is it memory that you want, or an "
                                                                             "address "
           "for something that is there?"), _("Is it less than a page? Then the slab layer has it.")),
    why=_("Size, who looks at it, and whether memory is wanted at all decide. `kvmalloc()` is the usual answer for "
          "large "
          "things of the processor's own."),
)


# driver

driver = find_bug(
    name="vmalloc/driver", title=_("A driver with a large buffer"), level=3,
    task=_("Three lines of this driver are wrong. Which, and why?"),
    source="""
static int start(struct dev *d, size_t n)
{
    d->buf = kvmalloc(n, GFP_KERNEL);
    if (!d->buf)
        return -ENOMEM;
    d->dma = dma_map_single(d->device, d->buf, n, DMA_TO_DEVICE);
    return 0;
}

static irqreturn_t handler(int irq, void *data)
{
    struct dev *d = data;

    d->log = vmalloc(65536);
    if (!d->log)
        return IRQ_NONE;
    return IRQ_HANDLED;
}

static void stop(struct dev *d)
{
    kfree(d->buf);
}
""",
    names={
        "dma": _("hands a device memory that may not be one piece"),
        "context": _("may sleep where nobody may"),
        "free": _("gives memory back to the wrong allocator"),
        "unchecked": _("does not look whether it got memory"),
        "size": _("asks for the wrong size"),
    },
    bugs=(
        Bug(lines=6, name="dma", missed=_("Where does `kvmalloc()` get memory from when there is no large block? And "
                                          "what "
                                          "does a device know of page tables?"),
            misread={"size": _("The size is right. The memory is what it should not be.")}),
        Bug(lines=14, name="context", missed=_("Who runs `handler()`, and may `vmalloc()` be called there?"),
            misread={"unchecked": _("The next line tests it. But the machine does not come so far: it stops in "
                                    "`vmalloc()` itself.")}),
        Bug(lines=22, name="free", missed=_("`kvmalloc()` may have fallen back to `vmalloc()`. Who frees that?")),
    ),
    innocent={3: _("`kvmalloc()` with `GFP_KERNEL` in `start()`, which runs in a process, is as it should be."),
              4: _("The result of `kvmalloc()` is tested there, as it must be.")},
    hints=(_("What may be behind an address of `kvmalloc()`?"), _("An interrupt handler must not sleep."),
           _("What came from `kvmalloc()` goes back with one call only.")),
    why=_("`dma_map_single()` calculates the physical address, which is right only in the direct map; 6.12 "
          "refuses addresses of vmalloc(). `vmalloc()` stops the kernel in an interrupt. And `kvfree()` is the one "
          "that "
          "knows both allocators."),
)

EXERCISES: tuple[Exercise | Series, ...] = (cost, walk, lowest_hole, tlb, info, allocator, driver)
