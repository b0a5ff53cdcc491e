"""The buddy lab: every event has words, every request becomes a call or a reason why not."""

import re
from dataclasses import fields

import pytest

from kmm_sim import GFP_KERNEL, KernelBug, Machine
from kmm_sim.labs import buddy_lab, slab_words, vmalloc_phrases, vmalloc_scene
from kmm_sim.labs.buddy import MASKS, Allocate, BuddyLab, Free, first_sentence
from kmm_sim.labs.phrases import PHRASES, render
from kmm_sim.mm import events as kinds
from kmm_sim.mm import vmalloc_events
from kmm_sim.mm.slab_events import Kfree
from kmm_sim.trace import Event
from kmm_sim.workload import Alloc
from kmm_sim.workload import Free as FreeNth

VALUES = {"flag": 2, "on": True, "watermark": (7, 8, 9, 10), "lowmem_reserve": (0, 7), "stage": "retry", "comm": "init",
          "reason": "order 7", "gfp": int(GFP_KERNEL), "order": 7, "migratetype": 1}
SAMPLES = [
    kinds.MmPageAlloc(64, 3, 0, int(GFP_KERNEL)),
    kinds.MmPageAlloc(64, 0, 1, MASKS["GFP_HIGHUSER_MOVABLE"]),
    kinds.MmPageAlloc(None, 10, 0, int(GFP_KERNEL)),
    kinds.MmPageFree(64, 3),
    kinds.MmPageAllocExtfrag(512, 0, 9, 0, 1),
    kinds.FreeListDel(0, 64, 4, 0),
    kinds.FreeListAdd(0, 64, 4, 0, False),
    kinds.FreeListAdd(0, 64, 4, 0, True),
    kinds.FreeListMove(0, 64, 4, 0, 1),
    kinds.Split(0, 64, 3, 0),
    kinds.Merge(0, 72, 3, 64, 0),
    kinds.SetPageblock(0, 512, 1),
    kinds.SplitPage(64, 2),
    kinds.PcpAdd(0, 0, 64, 1, 0, True),
    kinds.PcpDel(0, 0, 64, 1, 0),
    kinds.MmPagePcpuDrain(64, 1, 0),
    kinds.SetWatermarks(0, (1, 2, 3, 4), 0, (0, 5)),
    kinds.SetZoneFlag(0, 2, True),
    kinds.BadPage(64, "nonzero mapcount"),
    kinds.SlowPath("compact", "order 4"),
    kinds.SetHighatomic(0, 512),
]


def words(event, part):
    name, *gaps = BuddyLab().tell(event)
    return render(f"{part}.{name}", *gaps)


def every_kind(kind=Event):
    for below in kind.__subclasses__():
        if below.__module__.startswith("kmm_sim."):
            yield below
            yield from every_kind(below)


def defined(module, base):
    """The kinds of event that a module defines, but for the one that all derive from."""
    return [kind for kind in vars(module).values()
            if isinstance(kind, type) and issubclass(kind, base) and kind is not base]


@pytest.mark.parametrize("kind", [kind for kind in every_kind() if kind.tracepoint], ids=lambda kind: kind.tracepoint)
def test_every_kind_of_event_there_is_has_a_sentence(kind):
    """One of the lab's own (there is a sample of each below), or the first of its docstring."""
    assert re.fullmatch(r"[A-Za-z].{10,}[.]", first_sentence(kind))


@pytest.mark.parametrize("event", SAMPLES, ids=str)
def test_the_line_in_the_log_is_the_events_own(event):
    assert words(event, "log") == str(event)


@pytest.mark.parametrize("event", SAMPLES, ids=str)
def test_every_event_is_told_in_a_sentence(event):
    assert re.fullmatch(r"[A-Za-z].{15,}[.]", words(event, "says"))


def test_a_split_and_a_merge_are_told_with_their_numbers():
    assert words(kinds.Split(0, 64, 3, 0), "says") == (
        "Split pfn 64: order 4 becomes two of order 3; pfn 72 waits at the head of order 3’s list."
    )
    assert words(kinds.Merge(0, 72, 3, 64, 0), "says") == (
        "Merge pfn 72 and its buddy pfn 64, both free, both of order 3: now pfn 64, order 4."
    )


TELLERS = {"buddy": BuddyLab().tell, "vmalloc": vmalloc_scene.tell, "slab": slab_words.tell}


@pytest.mark.parametrize("tell", TELLERS.values(), ids=TELLERS)
def test_every_event_of_the_page_allocator_has_a_sentence_with_its_numbers_in_every_lab_that_shows_events(tell):
    """In one of its own, not in the words of its class, which has no numbers."""
    for kind in defined(kinds, Event):
        event = kind(*(VALUES.get(field.name, 7) for field in fields(kind)))
        name, *gaps = tell(event)
        told = render(f"says.{name}", *gaps)
        assert re.fullmatch(r"\w.{15,}[.]", told), kind
        assert told != first_sentence(kind)
        assert any(str(value) in told for value in (7, 14, 1 << 7, *VALUES.values())), told


@pytest.mark.parametrize("kind", defined(vmalloc_events, vmalloc_events.VmallocEvent))
def test_every_event_of_vmalloc_has_a_sentence_in_its_lab(kind):
    event = kind(*(1 if field.name == "failed" else 4096 for field in fields(kind)))
    name, *gaps = vmalloc_scene.tell(event)
    told = {**PHRASES, **vmalloc_phrases.PHRASES}[f"says.{name}"].format(*gaps)
    assert told.endswith(".")
    assert told != first_sentence(kind)


def test_an_event_of_another_part_of_the_kernel_is_told_in_the_words_of_its_class():
    assert words(Kfree(64), "says") == first_sentence(Kfree)
    assert words(Kfree(64), "log") == "kfree: ptr=0x40"


def test_what_becomes_of_a_machine_in_need_is_told():
    assert words(kinds.SetBoost(0, 512), "says") == (
        "The marks of zone 0 are raised by 512 pages, so that kswapd frees more.")
    assert words(kinds.SetBoost(0, 512), "log") == "sim_set_boost: zone=0 boost=512"
    assert words(kinds.SlowPath("oom", "nothing is left to reclaim"), "says") == (
        "Next on the slow path: oom. Nothing is left to reclaim.")


def test_what_is_done_elsewhere_with_other_events_is_shown():
    lab = buddy_lab(pages=64)
    lab.run.machine.kmalloc(100, GFP_KERNEL)
    assert lab.run.catch_up() == 0
    assert "other" in {frame[0][0] for frame in lab.run.frames}


def test_every_phrase_uses_gaps_that_the_browser_can_fill():
    for name, phrase in PHRASES.items():
        for spec in re.findall(r"\{\w*(?::([^}]*))?\}", phrase):
            assert re.fullmatch(r"|#x|>?\d+", spec), f"phrase {name} has a gap of format {spec}"


def test_requests_become_calls():
    lab = BuddyLab()
    assert lab.read({"do": "alloc", "gfp": "GFP_KERNEL", "order": 2}) == Allocate(int(GFP_KERNEL), 2)
    assert lab.read({"do": "free", "page": "m:64", "order": 2}) == Free(64, 2)


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ({"do": "alloc", "gfp": "GFP_NONSENSE", "order": 0}, "GFP_NONSENSE"),
        ({"do": "alloc", "gfp": "GFP_KERNEL", "order": "two"}, "whole number from 0 to 10, not 'two'"),
        ({"do": "alloc", "gfp": "GFP_KERNEL", "order": 1.5}, "whole number"),
        ({"do": "alloc", "gfp": "GFP_KERNEL", "order": True}, "whole number"),
        ({"do": "alloc", "gfp": "GFP_KERNEL"}, "whole number"),
        ({"do": "free", "page": "", "order": 0}, "nothing is held"),
        ({"do": "free", "page": None, "order": 0}, "nothing is held"),
        ({"do": "dance", "order": 0}, "dance"),
        ({"order": 0}, "None"),
    ],
)
def test_a_request_of_nonsense_says_why(action, reason):
    with pytest.raises(ValueError, match=reason):
        BuddyLab().read(action)


def test_a_script_is_the_recorded_run():
    lab = buddy_lab(script="+0 -0", pages=4)
    names = [frame[0][0] for frame in lab.frames]
    assert names == ["del", "split", "split", "alloc_one", "free", "merge", "merge", "add"]
    calls = [frame[2] for frame in lab.frames if len(frame) > 2]
    assert calls == [["call.alloc", "GFP_KERNEL", 0], ["call.free", 0, 0]]


def test_a_script_may_be_a_list_of_steps():
    assert buddy_lab(script=[Alloc(0), FreeNth(0)], pages=4).frames == buddy_lab(script="+0 -0", pages=4).frames


def test_to_free_what_was_not_got_does_nothing():
    lab = buddy_lab(script="+3 -0", pages=4)
    assert [frame[0][0] for frame in lab.frames] == ["alloc_failed"]


def test_a_lab_begins_with_the_machine_as_it_is():
    machine = Machine(pages=16)
    machine.alloc_pages(GFP_KERNEL, 1)
    lab = buddy_lab(machine)
    assert lab.frames == []
    assert lab.scene["m:0"] == {"order": 1, "state": "used", "kind": "U"}


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"pages": 1025}, "up to 1024"),
        ({"machine": Machine(memory="1 GiB")}, "up to 1024"),
        ({"machine": Machine(pages=4, trace=False)}, "tracing"),
        ({"script": "+0 -1"}, "'-1'"),
        ({"script": "+11"}, "order is 0 to 10"),
        ({"pages": 0}, "not 0"),
    ],
)
def test_what_cannot_be_shown_says_why(keywords, error):
    with pytest.raises(ValueError, match=error):
        buddy_lab(**keywords)


def test_a_lab_prints_as_one_short_line():
    assert repr(buddy_lab(script="+0", pages=4)) == "<lab on <Machine Normal 4 pages>, 4 events to play>"


def test_kernel_bugs_come_through():
    with pytest.raises(KernelBug, match="double free"):
        Free(0, 0)(Machine(pages=4))
