"""SLUB with sheaves (7.0): which sheaf an object comes from and goes to, and when slabs are asked."""

import random

import pytest

from kmm_sim import GFP_ATOMIC, GFP_KERNEL, Gfp, KernelBug, Machine
from kmm_sim.mm.events import MmPageAlloc
from kmm_sim.mm.page import PAGE_OFFSET
from kmm_sim.mm.sheaf import SheafCache
from kmm_sim.mm.slab_common import SlabFlags
from kmm_sim.mm.slab_events import (
    CpuPartialAdd,
    CpuSlabLoad,
    KmemCacheAlloc,
    KmemCacheFree,
    ObjectGet,
    ObjectPut,
    PartialAdd,
    PartialDel,
    SheafFill,
    SheafFlush,
    SheafMove,
    SlabEvent,
    SlabNew,
)
from kmm_sim.observe import slab_replay, slab_snapshot, slabinfo, sysfs_slab, validate_slab

PAGE = 4096
"""Objects of a page: a sheaf has room for four, a slab has eight of them."""


class Bench:
    """A machine with sheaves and one cache of objects of a page; steps return what they tell."""

    def __init__(self, cpus=1, pages=2048, size=PAGE, flags=0):
        self.machine = Machine(pages=pages, cpus=cpus, slab="sheaves")
        self.cache = self.machine.kmem_cache_create("example", size, flags=flags)
        self.held = []

    def told(self, since):
        ours = [event for event in self.machine.trace[since:] if isinstance(event, SlabEvent)]
        return [event for event in ours if not isinstance(event, KmemCacheAlloc | KmemCacheFree)]

    def get(self, count=1, gfp=GFP_KERNEL):
        since = len(self.machine.trace)
        self.held += [self.machine.kmem_cache_alloc(self.cache, gfp) for _ in range(count)]
        return self.told(since)

    def put(self, count=1, at=-1):
        since = len(self.machine.trace)
        for _ in range(count):
            self.machine.kmem_cache_free(self.cache, self.held.pop(at))
        validate_slab(self.machine)
        return self.told(since)

    @property
    def view(self):
        return slab_snapshot(self.machine)["example"]

    def sizes(self):
        """How many objects each sheaf has, by place."""
        return {place: [len(sheaf.objects) for sheaf in sheaves] for place, sheaves in self.view.sheaves.items()}


@pytest.fixture
def bench():
    return Bench()


def moves(events):
    return [event for event in events if isinstance(event, SheafMove)]


@pytest.mark.parametrize(("size", "capacity"), [
    (8, 60), (192, 60), (248, 60), (249, 28), (1016, 28), (1024, 12), (4088, 12), (4096, 4), (8192, 4)])
def test_a_sheaf_has_room_for_as_many_objects_as_in_7_0(size, capacity):
    assert Bench(size=size).cache.sheaf_capacity == capacity


def test_a_new_cache_has_an_empty_main_sheaf_for_each_cpu_and_nothing_else():
    assert Bench(cpus=3).sizes() == {"cpu 0 main": [0], "cpu 1 main": [0], "cpu 2 main": [0]}


def test_the_first_object_fills_a_sheaf_from_a_new_slab_and_the_rest_of_the_slab_is_partial(bench):
    told = bench.get()
    (new,) = [event for event in told if isinstance(event, SlabNew)]
    assert told == [
        SheafMove("example", 2, "", "cpu 0 spare"),
        new,
        *(SheafFill("example", 2, new.pfn, index) for index in range(4)),
        PartialAdd("example", new.pfn, False),
        SheafMove("example", 1, "cpu 0 main", "cpu 0 spare"),
        SheafMove("example", 2, "cpu 0 spare", "cpu 0 main"),
        ObjectGet("example", 0, new.pfn, 3),
    ]
    assert bench.sizes() == {"cpu 0 main": [3], "cpu 0 spare": [0]}
    assert bench.view.partial == (new.pfn,)


def test_the_object_that_was_freed_last_is_handed_out_first(bench):
    bench.get(3)
    last = bench.held[0]
    bench.put(at=0)
    bench.get()
    assert bench.held[-1] == last


def test_an_object_from_the_main_sheaf_is_one_event_and_touches_no_slab(bench):
    bench.get()
    assert [type(event) for event in bench.get()] == [ObjectGet]
    assert [type(event) for event in bench.put()] == [ObjectPut]


def test_an_empty_main_sheaf_changes_places_with_a_spare_that_has_objects(bench):
    bench.get(9)
    bench.put(6)  # five fill the main sheaf, or rather its four and one in the other
    assert bench.sizes() == {"cpu 0 main": [1], "cpu 0 spare": [4], "barn full": [4]}
    bench.get()
    told = bench.get()
    one, two = (event.sheaf for event in moves(told))
    assert told[:-1] == [
        SheafMove("example", one, "cpu 0 main", "cpu 0 spare"),
        SheafMove("example", two, "cpu 0 spare", "cpu 0 main"),
    ]
    assert bench.sizes() == {"cpu 0 main": [3], "cpu 0 spare": [0], "barn full": [4]}


def test_a_full_main_sheaf_changes_places_with_a_spare_that_has_room(bench):
    bench.get(4)
    bench.put(4)
    assert bench.sizes() == {"cpu 0 main": [4], "cpu 0 spare": [0]}
    bench.get(8)
    assert bench.sizes() == {"cpu 0 main": [0], "cpu 0 spare": [0]}
    bench.put(4)
    told = bench.put()
    assert [(event.source, event.to) for event in moves(told)] == [
        ("cpu 0 main", "cpu 0 spare"), ("cpu 0 spare", "cpu 0 main")]  # fmt: skip
    assert bench.sizes() == {"cpu 0 main": [1], "cpu 0 spare": [4]}


def test_with_both_sheaves_full_one_goes_to_the_barn_for_an_empty_one_or_a_new_one(bench):
    bench.get(20)
    bench.put(8)
    assert bench.sizes() == {"cpu 0 main": [4], "cpu 0 spare": [4]}
    new = moves(bench.put())
    assert [(event.source, event.to) for event in new] == [("cpu 0 main", "barn full"), ("", "cpu 0 main")]
    assert bench.sizes() == {"cpu 0 main": [1], "cpu 0 spare": [4], "barn full": [4]}
    bench.get(9)
    assert bench.sizes() == {"cpu 0 main": [0], "cpu 0 spare": [0], "barn empty": [0]}


def test_a_cpu_without_objects_gets_a_full_sheaf_from_the_barn_and_leaves_its_empty_one():
    bench = Bench(cpus=2)
    bench.get(16)
    bench.put(12)
    assert bench.sizes()["barn full"] == [4]
    bench.machine.cpu = 1
    told = bench.get()
    assert [(event.source, event.to) for event in moves(told)] == [
        ("cpu 1 main", "barn empty"), ("barn full", "cpu 1 main")]  # fmt: skip
    assert not [event for event in told if isinstance(event, SheafFill)]
    assert bench.sizes()["barn empty"] == [0]


def test_an_empty_sheaf_of_the_barn_is_taken_before_a_new_one():
    bench = Bench(cpus=2)
    bench.get(16)
    bench.put(12)
    bench.machine.cpu = 1
    bench.get()  # leaves an empty one
    bench.machine.cpu = 0
    told = bench.put()
    assert [(event.source, event.to) for event in moves(told)] == [
        ("cpu 0 main", "barn full"), ("barn empty", "cpu 0 main")]  # fmt: skip


def test_a_cpu_without_a_spare_takes_an_empty_sheaf_of_the_barn_for_one():
    bench = Bench(cpus=2)
    bench.get(16)
    bench.put(12)
    bench.machine.cpu = 1
    bench.get()  # CPU 1 has a sheaf of the barn now, which has its empty one
    told = bench.put(2)
    first = moves(told)[0]
    assert (first.source, first.to) == ("barn empty", "cpu 1 spare")
    assert bench.sizes() == {"cpu 0 main": [4], "cpu 0 spare": [4], "cpu 1 main": [1], "cpu 1 spare": [4]}


def test_the_full_sheaf_that_came_last_to_the_barn_leaves_first():
    bench = Bench(cpus=2)
    bench.get(24)
    bench.put(13)
    one, two = bench.view.sheaves["barn full"]
    bench.machine.cpu = 1
    bench.get()
    assert bench.view.sheaves["cpu 1 main"][0].number == one.number
    assert bench.view.sheaves["barn full"] == (two,)


def test_the_barn_takes_ten_full_sheaves_and_then_the_spare_is_flushed_into_its_slabs(bench):
    bench.get(80)
    bench.put(48)
    assert bench.sizes() == {"cpu 0 main": [4], "cpu 0 spare": [4], "barn full": [4] * 10}
    told = bench.put()
    assert [type(event) for event in told if isinstance(event, SheafFlush)] == [SheafFlush] * 4
    assert [(event.source, event.to) for event in moves(told)] == [
        ("cpu 0 main", "cpu 0 spare"), ("cpu 0 spare", "cpu 0 main")]  # fmt: skip
    assert bench.sizes() == {"cpu 0 main": [1], "cpu 0 spare": [4], "barn full": [4] * 10}


def test_a_sheaf_is_filled_from_partial_slabs_and_what_it_has_no_room_for_goes_to_the_tail(bench):
    bench.get(4)
    (pfn,) = bench.view.partial
    told = bench.get()
    assert [event for event in told if isinstance(event, PartialDel | PartialAdd | SlabNew)] == [
        PartialDel("example", pfn)]  # fmt: skip
    assert [event.index for event in told if isinstance(event, SheafFill)] == [4, 5, 6, 7]
    assert bench.view.partial == ()


def test_of_several_partial_slabs_the_last_one_taken_is_emptied_first_and_the_first_goes_back_to_the_head():
    """The list head first: one free object, then seven, then more than is wanted; a sheaf wants four."""
    bench = Bench()
    bench.get(24)
    bench.machine.kmem_cache_shrink(bench.cache)
    slabs = sorted({ptr >> 15 for ptr in bench.held})
    by_slab = {slab: [ptr for ptr in bench.held if ptr >> 15 == slab] for slab in slabs}
    for slab, count in zip(slabs, (1, 7, 0), strict=True):
        for ptr in by_slab[slab][:count]:
            bench.machine.kmem_cache_free(bench.cache, ptr)
            bench.held.remove(ptr)
    bench.machine.kmem_cache_shrink(bench.cache)  # sorted: the slab with one free object is first
    one, seven = bench.view.partial
    told = bench.get()
    assert {event.pfn for event in told if isinstance(event, SheafFill)} == {seven}
    assert [event for event in told if isinstance(event, PartialDel | PartialAdd)] == [
        PartialDel("example", one), PartialDel("example", seven),
        PartialAdd("example", seven, True), PartialAdd("example", one, False)]  # fmt: skip
    assert bench.view.partial == (one, seven)


def test_who_may_not_sleep_gets_one_object_from_a_slab_and_no_sheaf_is_filled(bench):
    told = bench.get(gfp=GFP_ATOMIC)
    assert [type(event) for event in told] == [SlabNew, ObjectGet, PartialAdd]
    (pfn,) = bench.view.partial
    assert bench.get(gfp=GFP_ATOMIC) == [ObjectGet("example", -1, pfn, 1)]
    assert bench.sizes() == {"cpu 0 main": [0]}
    bench.put(2)
    assert bench.get(gfp=GFP_ATOMIC)[0].cpu == 0, "what is in the sheaf, it gets"


def test_a_sheaf_that_cannot_be_filled_is_given_up_and_the_caller_still_gets_what_there_is():
    bench = Bench(pages=10)
    bench.get(4, GFP_KERNEL | Gfp.NOWARN)
    bench.get(4, GFP_KERNEL | Gfp.NOWARN)
    told = bench.get(gfp=GFP_KERNEL | Gfp.NOWARN)  # two pages are left: two slabs of one object
    assert [type(event) for event in told if isinstance(event, SheafFlush)] == [SheafFlush] * 2
    assert moves(told)[-1].to == ""
    assert bench.held[-1]
    assert bench.get(2, GFP_KERNEL | Gfp.NOWARN)
    assert bench.held[-2]
    assert bench.held[-1] == 0
    validate_slab(bench.machine)


def two_slabs(bench):
    """Two full slabs, each with the addresses of its objects, and nothing in a sheaf."""
    bench.get(24)
    bench.machine.kmem_cache_shrink(bench.cache)
    starts = {pfn: PAGE_OFFSET + pfn * PAGE for pfn in bench.view.slabs}
    return [(pfn, [start + at * 1024 for at in range(8)]) for pfn, start in starts.items()][:2]


def test_a_flush_gives_the_newest_object_back_first_and_with_it_those_of_its_slab_nearby():
    """Objects of two slabs in a sheaf, oldest first: a, b, a, b, b.  The three of b go first, together."""
    bench = Bench(size=1024)
    (first, a), (second, b) = two_slabs(bench)
    since = len(bench.machine.trace)
    for ptr in (a[0], b[0], a[1], b[1], b[2]):
        bench.machine.kmem_cache_free(bench.cache, ptr)
    bench.machine.kmem_cache_shrink(bench.cache)
    assert [(event.pfn, event.index) for event in bench.told(since) if isinstance(event, SheafFlush)] == [
        (second, 2), (second, 1), (second, 0), (first, 1), (first, 0)]  # fmt: skip


def test_a_full_slab_that_gets_an_object_back_goes_to_the_tail_of_the_partial_list():
    bench = Bench(size=1024)
    (first, a), (second, b) = two_slabs(bench)
    for ptr in (b[0], a[0]):
        bench.machine.kmem_cache_free(bench.cache, ptr)
    since = len(bench.machine.trace)
    bench.machine.kmem_cache_shrink(bench.cache)
    flushed = [event for event in bench.told(since) if isinstance(event, PartialAdd)][:2]
    assert flushed == [PartialAdd("example", first, True), PartialAdd("example", second, True)]


def test_a_flush_does_not_look_far_for_more_objects_of_a_slab():
    """Oldest first: a, b, b, b, a.  Three of another slab end the search, and a is gone to twice."""
    bench = Bench(size=1024)
    (first, a), (second, b) = two_slabs(bench)
    since = len(bench.machine.trace)
    for ptr in (a[0], b[0], b[1], b[2], a[1]):
        bench.machine.kmem_cache_free(bench.cache, ptr)
    bench.machine.kmem_cache_shrink(bench.cache)
    assert [event.pfn for event in bench.told(since) if isinstance(event, SheafFlush)] == [
        first, second, second, second, first]  # fmt: skip


def test_shrinking_flushes_every_sheaf_past_the_barn_and_leaves_the_empty_main_ones():
    bench = Bench(cpus=2)
    bench.get(20)
    bench.machine.cpu = 1
    bench.put(19)
    since = len(bench.machine.trace)
    cached = sum(map(sum, bench.sizes().values()))
    bench.machine.kmem_cache_shrink(bench.cache)
    told = bench.told(since)
    assert len([event for event in told if isinstance(event, SheafFlush)]) == cached
    assert bench.sizes() == {"cpu 0 main": [0], "cpu 1 main": [0]}
    assert len(bench.view.slabs) == 1, "the one with the object in use"
    assert {event.to for event in moves(told)} == {""}


def test_the_barn_is_flushed_after_the_cpus_first_sheaf_first(bench):
    bench.get(24)
    bench.put(17)
    there = bench.view.sheaves
    order = [sheaf.number for place in ("cpu 0 spare", "cpu 0 main", "barn full") for sheaf in there[place]]
    since = len(bench.machine.trace)
    bench.machine.kmem_cache_shrink(bench.cache)
    assert list(dict.fromkeys(event.sheaf for event in bench.told(since) if isinstance(event, SheafFlush))) == order


def test_filling_a_sheaf_leaves_the_reserves_alone():
    bench = Bench(size=64)
    bench.get()
    (pages,) = [event for event in bench.machine.trace if isinstance(event, MmPageAlloc)]
    assert pages.gfp & Gfp.NOMEMALLOC


def test_destroying_a_cache_flushes_its_sheaves_and_gives_all_pages_back():
    bench = Bench(cpus=2)
    bench.get(30)
    bench.machine.cpu = 1
    bench.put(30)
    bench.machine.kmem_cache_destroy(bench.cache)
    assert not bench.machine.slabs.pages
    assert "example" not in slab_snapshot(bench.machine)


def test_no_slab_belongs_to_a_cpu_and_none_is_put_aside():
    bench = Bench(cpus=2, size=700)
    rng = random.Random(3)
    for _ in range(3000):
        bench.machine.cpu = rng.randrange(2)
        if bench.held and rng.random() < 0.47:
            bench.machine.kmem_cache_free(bench.cache, bench.held.pop(rng.randrange(len(bench.held))))
        else:
            bench.held.append(bench.machine.kmem_cache_alloc(bench.cache, GFP_KERNEL))
    assert not [event for event in bench.machine.trace if isinstance(event, CpuSlabLoad | CpuPartialAdd)]
    assert all(cpu.slab is None and not cpu.partial for cpu in bench.view.cpus)


@pytest.mark.parametrize("flags", [SlabFlags.CONSISTENCY_CHECKS, SlabFlags.NOLEAKTRACE], ids=lambda flag: flag.name)
def test_a_cache_that_is_checked_or_left_out_of_kmemleak_has_no_sheaves(flags):
    bench = Bench(flags=int(flags))
    assert bench.cache.sheaf_capacity == 0
    told = bench.get(9) + bench.put(9)
    assert not [event for event in told if isinstance(event, SheafMove | SheafFill | SheafFlush)]
    assert {event.cpu for event in told if isinstance(event, ObjectGet | ObjectPut)} == {-1}
    assert bench.sizes() == {}


def test_a_checked_machine_finds_what_slub_finds():
    machine = Machine(pages=64, slab="sheaves", slab_debug="FZP")
    ptr = machine.kmalloc(32, GFP_KERNEL)
    machine.write(ptr + 32, b"!")
    with pytest.raises(KernelBug, match="Right Redzone"):
        machine.kfree(ptr)


def test_an_object_in_a_sheaf_is_free_and_freeing_it_again_is_a_double_free(bench):
    bench.get(2)
    ptr = bench.held[-1]
    bench.put()
    before = bench.view
    with pytest.raises(KernelBug, match="double free"):
        bench.machine.kmem_cache_free(bench.cache, ptr)
    assert bench.view == before


def test_without_teaching_a_double_free_gives_the_object_to_two_callers():
    machine = Machine(pages=64, slab="sheaves", teaching=False)
    ptr = machine.kmalloc(64, GFP_KERNEL)
    machine.kfree(ptr)
    machine.kfree(ptr)
    assert [machine.kmalloc(64, GFP_KERNEL), machine.kmalloc(64, GFP_KERNEL)] == [ptr, ptr]


def test_slabinfo_counts_the_objects_of_sheaves_as_active(bench):
    bench.get()
    (line,) = [line for line in slabinfo(bench.machine).splitlines() if line.startswith("example")]
    assert line.split()[1:6] == ["4", "8", "4096", "8", "8"]
    assert bench.view.in_use == 1
    files = sysfs_slab(bench.machine, "example")
    assert (files["sheaf_capacity"], files["cpu_partial"]) == ("4", "0")


def test_kmalloc_has_sheaves_too():
    machine = Machine(pages=256, slab="sheaves")
    ptr = machine.kmalloc(100, GFP_KERNEL)
    cache = next(s for s in machine.slabs.caches if s.name == "kmalloc-128")
    assert isinstance(cache, SheafCache)
    assert [len(sheaf.objects) for sheaf in slab_snapshot(machine)["kmalloc-128"].sheaves["cpu 0 main"]] == [59]
    machine.kfree(ptr)
    assert machine.kmalloc(128, GFP_KERNEL) == ptr


def test_the_events_alone_rebuild_sheaves_barn_and_slabs():
    bench = Bench(cpus=3)
    before = slab_snapshot(bench.machine)
    since = len(bench.machine.trace)
    rng = random.Random(5)
    for step in range(4000):
        bench.machine.cpu = rng.randrange(3)
        if bench.held and rng.random() < (0.3 if step // 300 % 2 else 0.6):
            bench.machine.kmem_cache_free(bench.cache, bench.held.pop(rng.randrange(len(bench.held))))
        elif ptr := bench.machine.kmem_cache_alloc(bench.cache, rng.choice((GFP_KERNEL, GFP_ATOMIC)) | Gfp.NOWARN):
            bench.held.append(ptr)
        if step % 500 == 499:
            bench.machine.kmem_cache_shrink(bench.cache)
        if step % 100 == 0:
            validate_slab(bench.machine)
            assert slab_replay(before, bench.machine.trace[since:]) == slab_snapshot(bench.machine)
    assert {"barn full", "barn empty"} <= {event.to for event in bench.machine.trace if isinstance(event, SheafMove)}
