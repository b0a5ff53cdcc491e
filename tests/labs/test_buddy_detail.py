"""The buddy lab in detail: marks, fragmentation, pageblocks and the reason of a failure are those of the machine."""

import json

import pytest

from kmm_sim.labs import buddy_lab
from kmm_sim.labs.buddy_detail import MORE_MASKS, SCRIPTS, DetailedBuddyLab, Drain, Script
from kmm_sim.labs.scene import apply, encode
from kmm_sim.mm.events import MmPageAlloc, MmPageFree
from kmm_sim.observe import frames, snapshot, validate
from kmm_sim.small import small_machine


def do(bench, *actions):
    for action in actions:
        bench.run.make(bench.run.lab.read(action), action=action)
    return bench.run.scene


ALL, EVEN, ODD, ORDER_1 = (
    {"do": "script", "name": "take every page", "seed": 1}, {"do": "script", "name": "free the even ones", "seed": 1},
    {"do": "script", "name": "free the odd ones", "seed": 1}, {"do": "alloc", "gfp": "GFP_KERNEL", "order": 1})


def test_evens_free_are_of_no_use_for_two_pages_and_odds_mend_it():
    bench = buddy_lab(pages=16, detail=True)
    scene = do(bench, ALL, EVEN)
    assert scene["x:0"]["cells"] == [0, "0%", "", "finds a block"]
    assert scene["x:1"]["cells"] == [1, "100%", "0.375", "fails; first free some more"]
    assert scene["x:4"]["cells"][3] == "fails; move pages together"
    scene = do(bench, ORDER_1)
    assert scene["y:what"]["cells"][2] == "GFP_KERNEL, order 1: the last attempt"
    assert "no block is large enough" in scene["y:Normal"]["cells"][2]
    scene = do(bench, ODD)
    assert scene["y"]["rows"] == ["y:what"]
    assert scene["x:4"]["mark"] == "yes"
    validate(bench.run.machine)


def test_the_last_frame_of_each_call_is_what_a_new_look_sees():
    bench = buddy_lab(small_machine(DMA=32, Normal=64, min_free_pages=12, grouped=False), detail=True)
    do(bench, {"do": "script", "name": "some traffic", "seed": 3}, ORDER_1)
    scene = bench.scene
    for frame in bench.run.frames:
        scene = apply(scene, frame[1])
    assert scene == bench.run.scene
    assert scene == seen_anew(bench)


def seen_anew(bench):
    lab = bench.run.lab
    return encode(lab.draw(lab.view.look(bench.run.machine)))


@pytest.mark.parametrize("lists", [False, True])
def test_the_curve_is_what_nobody_holds_after_each_request(lists):
    machine = small_machine(DMA=32, Normal=64, grouped=False, per_cpu_lists=lists)
    start = snapshot(machine)
    bench = buddy_lab(machine, "+0 +5 +2 -0 +4 -1 +1 +3 -2", detail=True)
    for name, first, end in (("DMA", 0, 32), ("Normal", 32, 96)):
        told = [end - first] + [
            end - first - sum(1 << held.order for held in state.allocated.values() if first <= held.pfn < end)
            for event, state in zip(machine.trace, frames(start, machine.trace), strict=True)
            if isinstance(event, MmPageAlloc | MmPageFree)]
        assert bench.run.scene[f"q:{name}"]["values"] == told


def test_what_is_reckoned_stands_until_the_call_is_over():
    bench = buddy_lab(script="+0", pages=16, detail=True)
    changed = [sorted(key for key in frame[1] if key[0] in "xb") for frame in bench.frames]
    assert not any(changed[:-1])
    assert changed[-1]


def test_an_ordinary_change_of_a_thousand_pages_is_a_hundred_bytes_in_detail_too():
    bench = buddy_lab(pages=1024, seed=4, steps=100, detail=True)
    sizes = sorted(len(json.dumps(frame[:2], separators=(",", ":"))) for frame in bench.frames)
    assert sizes[len(sizes) // 2] <= 100
    assert len(json.dumps(bench.scene)) > 10 * sizes[-1]


def test_a_request_goes_through_the_zones_and_the_sums_say_why_none_will_do():
    machine = small_machine(DMA=32, DMA32=32, Normal=64, min_free_pages=16, reserve_ratio=(8, 8, 8, 0), grouped=False)
    scene = buddy_lab(machine, "+4 +4 +4 +3 +3 +2 +5", detail=True).run.scene
    assert [key for key in scene["y"]["rows"] if "." not in key] == ["y:what", "y:Normal", "y:DMA32", "y:DMA"]
    assert scene["y:DMA"]["cells"][2] == "counts as free: 1; must remain: 16"
    assert scene["z:DMA"]["cells"] == ["DMA", 32, 0, 4, 5, 6, 12, "above high"]
    assert [scene[key]["cells"][0] for key in scene["z"]["rows"]] == ["Normal", "DMA32", "DMA"]


def test_pageblocks_change_their_type_when_they_are_claimed():
    bench = buddy_lab(small_machine(Normal=1024), detail=True)
    assert [bench.scene[key]["cells"][1] for key in bench.scene["b"]["rows"]] == ["M", "M"]
    scene = do(bench, {"do": "alloc", "gfp": "GFP_KERNEL", "order": 0})
    assert scene["b:0"]["cells"] == [0, "U", "unmovable", 511]


def test_per_cpu_lists_can_be_drained():
    machine = small_machine(Normal=1024, per_cpu_lists=True, grouped=False)
    bench = buddy_lab(machine, "+0 +1 -0 -1", detail=True)
    assert [form["does"] for form in bench.run.scene[""]["forms"]][-1] == "drain"
    on_lists = bench.run.scene["z:Normal"]["cells"][2]
    assert on_lists > 0
    scene = do(bench, {"do": "drain"})
    assert scene["z:Normal"]["cells"][2] == 0


def test_a_script_that_cannot_be_done_says_why():
    with pytest.raises(ValueError, match="up to 128"):
        do(buddy_lab(pages=256, detail=True), ALL)
    with pytest.raises(ValueError, match="even pfn"):
        do(buddy_lab(pages=16, detail=True), EVEN)


@pytest.mark.parametrize(("pages", "first"), [(128, "take every page"), (129, "some traffic"), (1024, "some traffic")])
def test_no_script_is_offered_that_the_machine_is_too_large_for(pages, first):
    bench = buddy_lab(pages=pages, detail=True)
    form = next(form for form in bench.scene[""]["forms"] if form["does"] == "script")
    choice = next(part for part in form["parts"] if isinstance(part, dict) and "choice" in part)
    assert ("take every page" in choice["options"]) is (pages <= 128)
    assert choice["value"] == first
    do(bench, {"do": "script", "name": first, "seed": 1})


@pytest.mark.parametrize(("action", "reason"), [
    ({"do": "script", "name": "dance", "seed": 1}, "dance"),
    ({"do": "script", "name": "some traffic", "seed": "x"}, "^a seed is a whole number, not 'x'$"),
    ({"do": "alloc", "gfp": "GFP_NOWAIT", "order": "x"}, "whole number"),
    ({"do": "alloc", "gfp": "GFP_X", "order": 0}, "GFP_X"),
    ({"do": "walk", "order": 0}, "walk"),
])
def test_a_request_of_nonsense_says_why(action, reason):
    with pytest.raises(ValueError, match=reason):
        DetailedBuddyLab().read(action)


def test_requests_become_calls():
    read = DetailedBuddyLab().read
    assert read({"do": "drain"}) == Drain()
    assert read({"do": "script", "name": "some traffic", "seed": 7}) == Script("some traffic", 7)
    assert read({"do": "alloc", "gfp": "GFP_NOWAIT", "order": 1}).gfp == MORE_MASKS["GFP_NOWAIT"]
    assert all(len(words) > 10 for words in SCRIPTS.values())
