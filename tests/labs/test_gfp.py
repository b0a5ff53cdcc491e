"""The GFP lab: what is said of a mask is what the allocator then does, stage by stage."""

import pytest

from kmm_sim import GFP_ATOMIC, GFP_KERNEL, Gfp
from kmm_sim.labs import gfp_lab
from kmm_sim.labs.gfp import ENDS, Ask, GfpLab, Kswapd, Memory, permissions
from kmm_sim.labs.gfp_memory import STORIES, prepared
from kmm_sim.labs.gfp_walk import NAMES, Request, walk
from kmm_sim.labs.gfp_words import BASES, CONTEXTS, EXTRAS, MEANINGS, mask_of
from kmm_sim.labs.recorded import FROM_AN_INTERRUPT
from kmm_sim.labs.scene import apply
from kmm_sim.observe import validate


def end(bench):
    """The scene after the last frame."""
    scene = bench.scene
    for frame in bench.frames:
        scene = apply(scene, frame[1])
    return scene


def stages(bench):
    return [frame[0][1].removeprefix("sim_stage: ") for frame in bench.frames]


def permits(bench):
    return {key[2:]: row["mark"] for key, row in end(bench).items() if key.startswith("a:")}


def test_a_small_request_with_plenty_of_memory_takes_the_fast_path():
    bench = gfp_lab("plenty", ["GFP_KERNEL"])
    assert stages(bench) == ["fast path: above low: done", "the answer: done"]
    assert end(bench)["w:reclaim"]["state"] == "skipped"


def test_a_process_that_may_sleep_reclaims_where_an_interrupt_takes_from_the_reserve():
    assert "direct reclaim: done pages=32" in stages(gfp_lab("clean cache", ["GFP_KERNEL"]))
    atomic = gfp_lab("clean cache", ["GFP_ATOMIC"], context="hardirq")
    assert stages(atomic)[-2:] == ["again: above min: done", "the answer: done"]


def test_swap_is_no_help_to_one_who_may_not_start_io():
    bench = gfp_lab("swap", [("GFP_KERNEL", 0, "noio")])
    assert "direct reclaim: failed rounds=17" in stages(bench)
    assert "kswapd reclaims" in end(bench)["w:oom"]["says"]
    for mask in ("GFP_KERNEL", "GFP_NOFS"):
        assert "32 of them written to swap" in end(gfp_lab("swap", [mask]))["w:reclaim"]["says"]


@pytest.mark.parametrize("mask", ["GFP_KERNEL", "GFP_NOFS", "GFP_NOIO"])
def test_dirty_pages_of_files_are_written_by_the_flushers(mask):
    says = end(gfp_lab("dirty cache", [mask]))["w:reclaim"]["says"]
    assert says == "The caller reclaimed 32 pages itself, once the flusher threads, woken by it, had written 32."


def test_without_swap_a_process_is_killed():
    assert "firefox is killed" in end(gfp_lab("no swap", ["GFP_KERNEL"]))["w:oom"]["says"]
    assert end(gfp_lab("no swap", ["GFP_KERNEL|__GFP_RETRY_MAYFAIL"]))["l"]["text"].startswith("page = NULL")


def test_to_sleep_in_an_interrupt_is_refused_and_takes_nothing():
    bench = gfp_lab("plenty", ["GFP_KERNEL"], context="hardirq")
    assert stages(bench)[0] == "may it sleep here?: failed"
    assert "BUG: sleeping function" in end(bench)["l"]["text"]
    assert [permits(bench)[name] for name in ("sleep", "io", "fs", "oom")] == ["no"] * 4
    assert "nobody can sleep here" in str(end(bench)["a:sleep"])


def test_movable_pieces_are_put_together_and_pinned_ones_are_not():
    assert "compaction: done pages=4" in stages(gfp_lab("in pieces", [("GFP_KERNEL", 3)]))
    pinned = gfp_lab("pinned pieces", [("GFP_KERNEL", 3)])
    answer = end(pinned)["l"]["text"].splitlines()
    assert answer[0] == "page = NULL"
    assert answer[1].startswith("insmod invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=3")
    assert answer[-1].startswith("insmod: page allocation failure: order:3, mode:0xcc0(GFP_KERNEL)")
    assert end(pinned)["s:block"]["cells"][1] == "no block is large enough"


@pytest.mark.parametrize("context", [name for name in CONTEXTS if name not in ("fs", "io")])
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("story", ["clean cache", "swap", "reserves gone", "pinned pieces"])
def test_what_may_happen_is_all_that_happens(story, base, context):
    """Sleep, kswapd, writing, killing: a "no" in the table is never done, and a machine stays whole."""
    machine = prepared(story)
    request = Request(BASES[base], 0, context)
    told = {name: yes for name, _, yes, _ in permissions(request)}
    went, came = walk(machine, request)
    names = {stage.name: stage for stage in went}
    assert names.keys() <= NAMES.keys()
    assert told["sleep"] or not {"reclaim", "compact", "compact first", "oom"} & names.keys()
    assert not (told["sleep"] and "context" in names), "who may sleep is not refused"
    assert told["kswapd"] or "kswapd" not in names
    assert told["io"] or "reclaim" not in names or not names["reclaim"].written
    assert told["oom"] or not came.killed
    assert told["fail"] or came.pfn is not None or came.error
    validate(machine)


def test_the_scope_takes_flags_out_of_the_mask():
    scene = end(gfp_lab("plenty", [("GFP_KERNEL", 0, "nofs")]))
    assert scene["m:FS"]["cells"][-1] == "taken out by the scope"
    assert scene["a:fs"]["mark"] == "no"
    assert scene["a:io"]["mark"] == "yes"


def test_the_zones_stand_in_the_order_in_which_they_are_tried():
    lab = gfp_lab("plenty")
    assert lab.scene["z"]["rows"] == ["z:Normal", "z:DMA32", "z:DMA"]
    dma32 = end(gfp_lab("plenty", ["GFP_DMA32"]))
    assert dma32["z:Normal"]["mark"] == "skip"
    assert dma32["z:DMA32"]["mark"] == "yes"


def test_before_the_first_event_the_lab_shows_the_request_that_comes_next():
    scene = gfp_lab("clean cache", FROM_AN_INTERRUPT).scene
    assert scene["m"]["note"] == "mode:0x820(GFP_ATOMIC)"
    assert scene["a"]["note"] == CONTEXTS["hardirq"]
    assert scene["l"]["text"] == "alloc_pages(GFP_ATOMIC, 0)"


def test_the_table_and_the_sum_say_which_attempt_they_are_about():
    """Normal must keep its low mark at first, and a part of min at last."""
    bench = gfp_lab("clean cache", FROM_AN_INTERRUPT)
    first, at_retry = bench.scene, bench.scene
    for frame in bench.frames[:3]:
        at_retry = apply(at_retry, frame[1])
    for scene in (first, at_retry):
        assert scene["z"]["columns"][4] == "must remain at last"
    assert first["s"]["note"] == "first zone, first attempt: at the low mark"
    assert at_retry["s"]["note"] == "first zone, later attempts: at min"
    assert at_retry["s:least"]["cells"][0] == at_retry["z:Normal"]["cells"][4] < first["s:least"]["cells"][0]


def test_every_flag_of_a_mask_is_explained():
    for flag in Gfp:
        if flag is not Gfp.RECLAIM:
            kind, words = MEANINGS[flag]
            assert kind
            assert len(words) > 8
    shown = end(gfp_lab("plenty", ["GFP_HIGHUSER_MOVABLE"]))["m"]
    assert shown["note"] == "mode:0x100cca(GFP_HIGHUSER_MOVABLE)"


def test_another_state_of_memory_and_kswapd():
    bench = gfp_lab("plenty")
    bench.run.make(bench.run.lab.read({"do": "memory", "story": "clean cache"}))
    bench.run.make(bench.run.lab.read({"do": "ask", "base": "GFP_KERNEL", "extras": [], "order": 0,
                                       "context": "process"}))
    woken = bench.run.make(bench.run.lab.read({"do": "kswapd"}))
    assert woken > 0
    assert "kswapd reclaimed" in bench.run.frames[-1][0][2]
    assert bench.run.machine.memory == "clean cache"


def test_undo_brings_the_earlier_memory_back():
    bench = gfp_lab("clean cache", ["GFP_KERNEL"])
    before = dict(bench.run.scene)
    kept = len(bench.run.frames)
    bench.run.make(Memory("plenty"))
    bench.run.make(Ask(Request(int(GFP_ATOMIC), 0, "process")), at=kept)
    assert bench.run.machine.memory == "clean cache"
    assert before != bench.run.scene


def test_the_question_has_the_answer_that_comes():
    cases = {("plenty", "GFP_KERNEL", "process"): 0, ("clean cache", "GFP_ATOMIC", "process"): 1,
             ("clean cache", "GFP_KERNEL", "process"): 2, ("no swap", "GFP_KERNEL", "process"): 3,
             ("clean cache", "GFP_NOWAIT", "process"): 4, ("plenty", "GFP_KERNEL", "softirq"): 5}
    for (story, mask, context), answer in cases.items():
        bench = gfp_lab(story, [mask], context=context)
        question = bench.frames[0][4]
        assert question[2] == answer, (story, mask, ENDS[question[2]])


@pytest.mark.parametrize(("action", "reason"), [
    ({"do": "ask", "base": "GFP_NONE", "extras": [], "order": 0, "context": "process"}, "GFP_NONE"),
    ({"do": "ask", "base": "GFP_KERNEL", "extras": ["__GFP_X"], "order": 0, "context": "process"}, "__GFP_X"),
    ({"do": "ask", "base": "GFP_KERNEL", "extras": [], "order": 11, "context": "process"}, "0 to 10"),
    ({"do": "ask", "base": "GFP_KERNEL", "extras": [], "order": True, "context": "process"}, "0 to 10"),
    ({"do": "ask", "base": "GFP_KERNEL", "extras": 5, "order": 1, "context": "process"}, "list"),
    ({"do": "ask", "base": "GFP_KERNEL", "extras": [], "order": 1, "context": ["x"]}, "contexts"),
    ({"do": "memory", "story": "sunny"}, "sunny"),
    ({"do": "dance"}, "dance"),
    ({}, "None"),
])
def test_a_request_of_nonsense_says_why(action, reason):
    with pytest.raises(ValueError, match=reason):
        GfpLab("x").read(action)


def test_requests_become_calls():
    read = GfpLab("x").read
    asked = read({"do": "ask", "base": "GFP_KERNEL", "extras": ["__GFP_ZERO"], "order": 2, "context": "fs"})
    assert asked == Ask(Request(int(GFP_KERNEL | Gfp.ZERO), 2, "fs"))
    assert asked.text() == "alloc_pages(GFP_KERNEL|__GFP_ZERO, 2);   /* inside a filesystem */"
    assert read({"do": "memory", "story": "no swap"}) == Memory("no swap")
    assert read({"do": "kswapd"}) == Kswapd()


def test_names_that_are_none_are_refused():
    for bad in ({"memory": "sunny"}, {"gfp": "GFP_NONE"}, {"context": "bath"}, {"calls": ["GFP_KERNEL|nix"]}):
        with pytest.raises(ValueError, match="none of the"):
            gfp_lab(**bad)
    assert mask_of("0", ["__GFP_HIGH"]) == 0x20
    assert set(EXTRAS.values()) <= {int(flag) for flag in Gfp}


@pytest.mark.parametrize("story", STORIES)
def test_each_state_of_memory_is_whole_and_its_trace_empty(story):
    machine = prepared(story)
    validate(machine)
    assert len(machine.trace) == 0
    assert machine.tracing
    assert not machine.node.kswapd[0].awake
