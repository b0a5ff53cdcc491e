# SPDX-License-Identifier: GPL-2.0-only
"""The exercises of the chapter "Choosing an allocator".

    from kmm_sim.exercises import choosing_an_allocator as ex

    ex.which            choose: an allocator for each need, and why
    ex.records          compute: kmalloc() beside a cache of one's own
    ex.allocator        implement: the decision as a function
    ex.pool             predict: what a pool gives when memory has run out; a series
    ex.buffers          find the bug: taken here, given back there
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from kmm_sim.catalogue import _
from kmm_sim.exercises.choose import Situation, choose
from kmm_sim.exercises.compute import compute, predict
from kmm_sim.exercises.exercise import Exercise, Misconception, Series
from kmm_sim.exercises.find_bug import Bug, find_bug
from kmm_sim.exercises.implement import Function, implement
from kmm_sim.exercises.questions import Ask, mistake
from kmm_sim.exercises.reading import number, word
from kmm_sim.exercises.state import InLab
from kmm_sim.machine import Machine
from kmm_sim.mm.gfp import GFP_NOWAIT

__all__ = ["EXERCISES", "allocator", "buffers", "pool", "records", "which"]


# which

which = choose(
    name="choosing-an-allocator/which", title=_("An allocator for each"), level=2,
    task=_("Choose an interface for each need, and the reason that decides."),
    options=("kmalloc", "kmem_cache_alloc", "kvmalloc", "kvmalloc_array", "alloc_pages_exact", "dma_alloc_coherent",
             "alloc_percpu", "mempool_alloc"),
    reasons={
        "small": _("a few bytes, once in a while"), "alike": _("a great many of the same size"),
        "large": _("large, and only the CPU reads it"), "product": _("the size is a product that a user chooses"),
        "pages": _("an exact number of pages, in one piece"), "device": _("a device reads or writes it"),
        "each CPU": _("each CPU works on its own"), "progress": _("without it memory cannot be freed"),
    },
    situations=(
        Situation(key="nodes", words=_("nodes of 40 bytes of a tree, millions of them"), right="kmem_cache_alloc",
                  because="alike", wrong={
                      "kmalloc": _("That works, and each node costs 64 bytes instead of 40: a third is wasted, of "
                                   "millions.")}),
        Situation(key="table", words=_("a lookup table of 3 MiB, read by the CPU, made in `probe()`"), right="kvmalloc",
                  because="large", wrong={
                      "kmalloc": _("3 MiB are a block of order 10, in one piece. On a machine that has run for a week "
                                   "there may be none, and nothing here needs it in one piece."),
                      "alloc_pages_exact": _("It gives exactly 3 MiB, but needs a free block of 4 MiB to cut them "
                                             "from.")}),
        Situation(key="ring", words=_("a ring of 64 KiB that a network card fills"), right="dma_alloc_coherent",
                  because="device", wrong={
                      "kvmalloc": _("Its pages may lie anywhere, and its address means nothing to a device."),
                      "kmalloc": _("It is in one piece, but can the card reach it, and does it see what the CPU has "
                                   "in its cache? The DMA interface knows.")}),
        Situation(key="five", words=_("five pages in a row for a firmware call, by physical address"),
                  right="alloc_pages_exact", because="pages", wrong={
                      "kvmalloc": _("A firmware call by physical address knows no page tables: the pages must be "
                                    "neighbours in memory.")}),
        Situation(key="hits", words=_("a counter of hits, changed a million times a second on all CPUs"),
                  right="alloc_percpu", because="each CPU", wrong={
                      "kmalloc": _("One counter for all goes from cache to cache with each hit. Give each CPU its own, "
                                   "and add them up when somebody asks.")}),
        Situation(key="name", words=_("a name of 24 bytes, copied once at start"), right="kmalloc", because="small",
                  wrong={"kmem_cache_alloc": _("A cache is worth it for many objects. For one name it is a slab of "
                                               "4096 bytes, and a line in slabinfo.")}),
        Situation(key="write", words=_("a request that writes a page to disk, to make memory free"),
                  right="mempool_alloc", because="progress", wrong={
                      "kmalloc": _("When memory is short this is what makes it free, and it would wait for memory: "
                                   "nobody moves any more. It needs something that was set aside.")}),
        Situation(key="entries", words=_("n entries of 16 bytes, n from a user"), right="kvmalloc_array",
                  because="product", wrong={
                      "kmalloc": _("n times 16 may wrap around to a small number, and a large n may find no block."),
                      "kvmalloc": _("A large n is no trouble for it, but the product is: n times 16 may wrap around "
                                    "before kvmalloc() sees it.")}),
    ),
    hints=(
        _("Ask first who else is concerned: a device, each CPU, the machine as a whole."),
        _("Then how many there are, and only then how large they are."),
        _("One piece of physical memory is needed only by those who do not use the CPU's page tables."),
    ),
    why=_("The first question that says yes decides: per CPU, device, progress, many alike; then the size, and "
          "whether it must be one piece."),
)


# records

records = compute(
    name="choosing-an-allocator/records", title=_("Ten thousand records"), level=2,
    task=_("A driver keeps 10,000 records of 700 bytes, on a machine with one CPU. With kmalloc() each is an object of "
           "kmalloc-1k, whose slabs have 2 pages and 8 objects. A cache of its own has objects of 704 bytes and slabs "
           "of 2 pages as well."),
    asks=(
        Ask(key="kmalloc", words=_("pages for all records with kmalloc()"), right=2500),
        Ask(key="objects", words=_("objects in a slab of the driver's own cache"), right=11),
        Ask(key="cache", words=_("pages for all records with its own cache"), right=1820),
        Ask(key="saved", words=_("what it saves, in percent of the pages with kmalloc()"), right=27.2, read=number,
            close=0.01),
    ),
    mistakes=(
        mistake("objects for slabs", _("You took a page, or a slab, for each record. A slab of kmalloc-1k holds 8 of "
                                       "them, in 2 pages."), kmalloc=10000),
        mistake("one page a slab", _("You counted one page for each slab. A slab has two, and the question is about "
                                     "pages."), kmalloc=1250, cache=910, objects=5),
        mistake("a fraction of a slab", _("The last slab is not full, but it is there: round the number of slabs up to "
                                          "a whole one before you count its pages."), cache=1818),
        mistake("bytes, not pages", _("You compared the sizes of the objects. What counts is how many of them fit a "
                                      "slab, since nobody else can use the rest."), saved=31.25),
    ),
    hints=(
        _("10,000 records, 8 in a slab: how many slabs? Then two pages each."),
        _("Two pages have 8192 bytes. How often do 704 fit?"),
        _("10,000 / 11 is a little more than 909, so 910 slabs."),
    ),
    why=_("1250 slabs of two pages are 2500 pages; 910 slabs are 1820. With 16 CPUs the kernel would choose larger "
          "slabs, which hold 46 of these records in 8 pages, and the driver's cache would save still more."),
)


# allocator

ANSWERS = ("kmalloc", "alloc_pages_exact", "kvmalloc")


def _by_questions(size: int, contiguous: bool, may_sleep: bool) -> str:
    if size > 8192 and contiguous:
        return "alloc_pages_exact"
    return "kvmalloc" if size > 8192 and may_sleep else "kmalloc"


def _by_table(size: int, contiguous: bool, may_sleep: bool) -> str:
    large = {(False, False): "kmalloc", (False, True): "kvmalloc"}.get((contiguous, may_sleep), "alloc_pages_exact")
    return large if size > 8192 else "kmalloc"


def _needs(rng: random.Random) -> Iterator[tuple[int, bool, bool]]:
    sizes = sorted({1, 100, 4097, 8191, 8192, 8193, 65536, *(rng.randrange(1, 1 << 20) for _case in range(12))})
    yield from ((size, contiguous, may_sleep) for size in sizes for contiguous in (False, True)
                for may_sleep in (True, False))


def _in_lab(size: int, contiguous: bool, may_sleep: bool) -> InLab | None:
    words = ", ".join(["contiguous"] * contiguous + ["cannot sleep"] * (not may_sleep))
    return InLab("choose_lab", {"script": f"{size} {words}".strip()}) if size <= 1 << 20 else None


allocator = implement(
    name="choosing-an-allocator/allocator", title=_("The decision, as a function"), level=2,
    task=_("No device, no per-CPU counters, nothing that must not fail: only the size, whether it must be one piece of "
           "physical memory, and whether the caller may sleep. Write `allocator(size, contiguous, may_sleep)`, which "
           "returns \"kmalloc\", \"alloc_pages_exact\" or \"kvmalloc\". Follow the figure; `kmalloc` where nothing "
           "better is left."),
    template="def allocator(size, contiguous, may_sleep):\n    ...\n",
    asked=Function(
        parameters=("size", "contiguous", "may_sleep"), cases=_needs, reference=_by_questions,
        read=lambda value: word(ANSWERS)(value, _("What your function returned")), state=_in_lab,
        misconceptions=(
            Misconception("small means a page", _(
                "Classes of kmalloc() go up to 8192 bytes, two pages, and the smallest that fits is always in one "
                "piece: up to there nothing else is needed."),
                lambda size, contiguous, may_sleep: _by_questions(size if size <= 4096 else max(size, 8193),
                                                                  contiguous, may_sleep)),
            Misconception("kvmalloc everywhere", _(
                "kvmalloc() may have to make page tables, and that may sleep: an interrupt handler must not call it "
                "for anything large."),
                lambda size, contiguous, may_sleep: _by_questions(size, contiguous, True)),
            Misconception("contiguous means kmalloc", _(
                "kmalloc() is contiguous, too, but rounds a size above 8192 up to a power of two of pages: 33 KiB, for "
                "example, cost 64. An exact number of pages has a call of its own."),
                lambda size, contiguous, may_sleep: _by_questions(size, False, may_sleep and not contiguous)),
            Misconception("contiguity first", _(
                "For small sizes the question does not arise: kmalloc() is in one piece anyway, and whole pages for "
                "100 bytes are a waste."),
                lambda size, contiguous, may_sleep: "alloc_pages_exact" if contiguous
                else _by_questions(size, contiguous, may_sleep)),
        ),
    ),
    right_answers=(_by_questions, _by_table),
    hints=(
        _("Which sizes have a class? For those, nothing else matters."),
        _("Of the large ones: must it be one piece? Then one call is left, whether the caller may sleep or not."),
        _("Of the rest: `kvmalloc()` may sleep. Who may not has only `kmalloc()`, and must be ready for NULL."),
    ),
    why=_("Size first, then contiguity, then sleep. The real answer to a large request where nobody may sleep is to "
          "allocate earlier; kmalloc() is what is left if that is impossible."),
)


# pool


def _pool_question(seed: int, level: int) -> Exercise:
    rng = random.Random(f"{level} {seed}")
    while True:
        aside, works, wanted = rng.randrange(2, 6), rng.randrange(1, 5), rng.randrange(4, 11)
        given = rng.randrange(1, 7)
        got, back = _pool_played(aside, works, wanted, given)
        beliefs = [(min(wanted, works), 0), (min(wanted, aside), back), (wanted, 0)]
        if given <= got and len({(got, back), *beliefs}) == 4 and got < wanted and back < given:
            break
    return predict(
        name="choosing-an-allocator/pool", title=_("A pool when memory has run out, question {seed}").format(seed=seed),
        level=2,
        task=_("A pool keeps {aside} elements aside. `{wanted}` elements are asked for with GFP_NOWAIT; of these "
               "requests the allocator behind the pool serves the first {works} and then fails. After that `{given}` "
               "of the elements are given back.").format(aside=aside, works=works, wanted=wanted, given=given),
        given=f"pool = mempool_create({aside}, ...)\n# {wanted} times mempool_alloc(pool, GFP_NOWAIT)\n"
              f"# {given} times mempool_free(element, pool)",
        asks=(Ask(key="got", words=_("how many of the {wanted} requests get one").format(wanted=wanted), right=got),
              Ask(key="aside", words=_("how many elements are aside in the end"), right=back)),
        mistakes=(
            mistake("only the allocator", _("The elements set aside are there for just this: when the allocator "
                                            "fails, the pool gives its own."), got=beliefs[0][0], aside=beliefs[0][1]),
            mistake("only the pool", _("The pool asks the allocator first, and gives what it has aside only when that "
                                       "fails: its own elements are the last, not the first."), got=beliefs[1][0]),
            mistake("it cannot fail", _("A pool never fails for those who may sleep: they wait until somebody gives an "
                                        "element back. GFP_NOWAIT may not wait."), got=wanted),
            mistake("all come aside", _("The pool takes back only as many as it is to have aside; the others go back "
                                        "to the allocator."), aside=given),
        ),
        again=_("Another question: `ex.pool(seed={seed})`.").format(seed=seed + 1),
        hints=(_("Who is asked first, the allocator or what is set aside?"),
               _("Count: so many from the allocator, then so many that were aside, then nothing."),
               _("What is given back fills the pool first, up to the {aside} it should have.").format(aside=aside)),
        why=_("mempool_alloc() tries the allocator, then takes one of those aside, then fails or sleeps. "
              "mempool_free() fills what is aside first and gives the rest to the allocator."),
    )


def _pool_played(aside: int, works: int, wanted: int, given: int) -> tuple[int, int]:
    """Return how many requests get an element and how many are aside in the end, from a real pool."""
    machine = Machine(pages=64)
    left = [aside + works]

    def alloc(_gfp: int) -> object | None:
        left[0] -= 1
        return object() if left[0] >= 0 else None

    made = machine.mempool_create(aside, alloc, lambda element: None)
    assert made is not None
    elements = [element for element in (machine.mempool_alloc(made, GFP_NOWAIT) for _request in range(wanted))
                if element is not None]
    for element in elements[:given]:
        machine.mempool_free(made, element)
    return len(elements), made.curr_nr


pool = Series(name="choosing-an-allocator/pool", title=_("A pool when memory has run out"), make=_pool_question)


# buffers

buffers = find_bug(
    name="choosing-an-allocator/buffers", title=_("Taken here, given back there"), level=3,
    task=_("`start()` runs when a device is opened, `irq()` when it has data, `stop()` when it is closed. Four lines "
           "are wrong. Which, and why?"),
    source="""
static int start(struct gadget *g)
{
    g->table = kvmalloc(3 * SZ_1M, GFP_KERNEL);
    g->ring = kvmalloc(SZ_64K, GFP_KERNEL);
    g->hits = alloc_percpu(u64);
    if (!g->table || !g->ring || !g->hits)
        return stop(g), -ENOMEM;
    return gadget_set_dma(g, virt_to_phys(g->ring));
}
static irqreturn_t irq(int nr, void *data)
{
    struct gadget *g = data;
    void *copy = vmalloc(SZ_64K);

    g->hits++;
    return copy ? gadget_hand_over(g, copy) : IRQ_NONE;
}
static int stop(struct gadget *g)
{
    kfree(g->table);
    kvfree(g->ring);
    free_percpu(g->hits);
    return 0;
}
""",
    names={"device": _("a device cannot use such memory"), "context": _("must not be called there"),
           "each CPU": _("not one number, but one for each CPU"), "pair": _("given back by the wrong call"),
           "leak": _("nobody gives it back"), "size": _("asks for the wrong size")},
    bugs=(
        Bug(lines=(4, 8), name="device", missed=_("Who reads the ring, and by which address?"),
            misread={"size": _("64 KiB are what a ring may have. Where they lie is the question."),
                     "pair": _("It is given back rightly. Look at who uses it meanwhile.")}),
        Bug(lines=13, name="context", missed=_("May an interrupt handler make page tables?"),
            misread={"leak": _("`gadget_hand_over()` takes it over. But look at where it is allocated.")}),
        Bug(lines=15, name="each CPU", missed=_("What is `g->hits`: a number, or the way to one for each CPU?")),
        Bug(lines=20, name="pair", missed=_("From which call does `g->table` come, and which one gives it back?")),
    ),
    innocent={21: _("`kvfree()` is right for whatever `kvmalloc()` gave."),
              5: _("`start()` may sleep, so it may call `alloc_percpu()`; the size is taken from the type."),
              22: _("`free_percpu(NULL)` is allowed, as `kfree(NULL)` is.")},
    hints=(
        _("`kvmalloc()` may answer with an address of `vmalloc()`. What does `virt_to_phys()` make of that?"),
        _("`vmalloc()` may sleep, and `irq()` may not."),
        _("A per-CPU pointer is no address: `this_cpu_inc()` knows what to do with it."),
    ),
    why=_("The ring belongs to `dma_alloc_coherent()`, the copy has to be allocated before the interrupt comes, the "
          "counter wants `this_cpu_inc(*g->hits)`, and what `kvmalloc()` gave goes to `kvfree()`: `kfree()` of an "
          "address of `vmalloc()` is an oops."),
)

EXERCISES: tuple[Exercise | Series, ...] = (which, records, allocator, pool, buffers)
