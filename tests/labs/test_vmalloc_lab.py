"""The vmalloc lab: what it draws of areas, frames, walks and faults, and the calls that it reads."""

import json
import re
from dataclasses import fields

import pytest

from kmm_sim.labs import vmalloc_lab
from kmm_sim.labs.scene import apply, encode
from kmm_sim.labs.vmalloc_phrases import PHRASES
from kmm_sim.labs.vmalloc_scene import tell
from kmm_sim.mm import vmalloc_events
from kmm_sim.observe import validate, validate_vmalloc
from kmm_sim.trace import Event

FIRST = 0xFFFFC90000000000
SCRIPT = "alloc:2 +4 touch:A0 all:A direct:A +1 touch:A4 -A touch:A0 purge +2"


def scenes(bench):
    """The scenes that the browser goes through, from the first to the last."""
    scene = bench.scene
    yield scene
    for frame in bench.frames:
        scene = apply(scene, json.loads(json.dumps(frame[1])))
        yield scene


def last(bench):
    *_, scene = scenes(bench)
    return scene


def act(bench, **action):
    bench.frames[bench.run.make(bench.run.lab.read(action)) :] = []
    return encode(bench.run.lab.draw(bench.run.state))


def texts(part):
    """Every phrase in a part of a scene, by name."""
    if isinstance(part, list):
        if part and isinstance(part[0], str) and part[0].startswith("vm."):
            yield part[0]
        for each in part:
            yield from texts(each)
    elif isinstance(part, dict):
        for each in part.values():
            yield from texts(each)


def test_a_recorded_run_ends_in_the_scene_of_the_machine():
    bench = vmalloc_lab(SCRIPT)
    assert last(bench) == encode(bench.run.lab.draw(bench.run.state))
    validate(bench.run.machine.machine)
    validate_vmalloc(bench.run.machine.machine)


def test_it_opens_on_a_machine_without_two_free_pages_in_a_row():
    free = [int(key[2:]) for key, node in vmalloc_lab().scene.items()
            if key.startswith("m:") and node.get("state", "free") == "free"]
    assert len(free) == 32
    assert all(pfn + 1 not in free for pfn in free)
    bench = vmalloc_lab("alloc:1")
    assert bench.frames[-1][0][0] == "alloc_failed"


def test_an_area_has_a_slot_for_each_page_that_points_to_its_frame_and_one_for_the_guard():
    bench = vmalloc_lab("+3")
    box = last(bench)[f"v:{FIRST:x}"]
    assert box["slots"] == ["A", "A", "A", "G"]
    machine = bench.run.machine.machine
    assert box["refs"] == [*(f"m:{machine.vmalloc_to_page(FIRST + 4096 * n).pfn}" for n in range(3)), ""]
    assert [last(bench)[ref]["kind"] for ref in box["refs"][:3]] == ["A"] * 3


def test_pages_are_mapped_one_after_the_other_before_the_eyes():
    filled = [scene[f"v:{FIRST:x}"]["slots"] for scene in scenes(vmalloc_lab("+3")) if f"v:{FIRST:x}" in scene]
    assert [slots.count("A") for slots in filled][-4:] == [0, 1, 2, 3]


def test_a_walk_reads_four_entries_and_the_next_finds_it_in_the_tlb():
    bench = vmalloc_lab("+2 touch:A1")
    scene = last(bench)
    assert [scene[key]["state"] for key in scene["w"]["steps"]] == ["failed", *["done"] * 5]
    assert scene["w:PTE"]["value"] == ["vm.entry", 1]
    assert scene["w:frame"]["refs"] == scene[f"v:{FIRST:x}"]["refs"][1]
    scene = act(bench, do="touch", page=f"v:{FIRST:x}/1", which="this page", way="vmalloc")
    assert [scene[key]["state"] for key in scene["w"]["steps"]] == ["done", *["skipped"] * 4, "done"]


def test_the_direct_map_takes_one_entry_for_all_pages_of_the_machine():
    rows = last(vmalloc_lab("+8 all:A direct:A"))
    assert rows["c:0"]["cells"][1:] == [8, 8, 32]
    assert rows["c:1"]["cells"][1:] == [8, 1, 3]


def test_the_guard_page_stops_whoever_touches_it_and_the_lab_goes_on():
    bench = vmalloc_lab("+2")
    scene = act(bench, do="touch", page=f"v:{FIRST:x}/2", which="this page", way="vmalloc")
    assert scene["w:PTE"]["state"] == scene["w:frame"]["state"] == "failed"
    assert scene["d"]["text"].startswith("BUG: unable to handle page fault for address: ffffc90000002000\n")
    with pytest.raises(ValueError, match="no address in the direct map"):
        act(bench, do="touch", page=f"v:{FIRST:x}/2", which="this page", way="the direct map")
    assert f"v:{FIRST + 0x3000:x}" in act(bench, do="vmalloc", pages=1)


def test_what_is_freed_waits_and_is_reached_through_the_tlb_until_a_purge():
    bench = vmalloc_lab("+2 touch:A0 -A")
    scene = last(bench)
    assert scene["v:used"].get("keys", []) == []
    assert scene["v:lazy"]["keys"] == [f"v:{FIRST:x}"]
    scene = act(bench, do="touch", page=f"v:{FIRST:x}/0", which="this page", way="vmalloc")
    assert "use after free" in bench.run.frames[-1][0][2]
    scene = act(bench, do="purge")
    assert f"v:{FIRST:x}" not in scene
    assert act(bench, do="vmalloc", pages=2)[f"v:{FIRST:x}"]["slots"] == ["A", "A", "G"]


def test_undo_takes_the_names_and_the_costs_back():
    bench = vmalloc_lab("+2 touch:A0")
    before = last(bench)
    act(bench, do="vfree", area=f"v:{FIRST:x}")
    touched = bench.run.calls[1][1]
    bench.run.make(bench.run.lab.read({"do": "alloc", "order": 0}), at=touched)
    scene = encode(bench.run.lab.draw(bench.run.state))
    assert scene[f"v:{FIRST:x}"] == before[f"v:{FIRST:x}"]
    assert scene["c:0"] == before["c:0"]


def test_every_kind_of_event_is_told_in_words_that_there_are():
    bench = vmalloc_lab(SCRIPT)
    for name in vmalloc_events.__all__:
        kind = getattr(vmalloc_events, name)
        if kind is vmalloc_events.VmallocEvent or "Pool" in name:
            continue  # pools are for more than one CPU
        told = tell(kind(*("PTE" if field.name == "level" else 4096 for field in fields(kind))))
        assert {f"says.{told[0]}", f"log.{told[0]}"} <= bench.run.lab.phrases.keys(), name
    for frame in bench.frames:
        assert {f"says.{frame[0][0]}", f"log.{frame[0][0]}"} <= bench.phrases.keys()
    for scene in scenes(bench):
        assert set(texts(scene)) <= bench.phrases.keys()


def test_an_event_of_another_part_is_told_in_its_own_words():
    class Rain(Event):
        """It rains."""

        tracepoint = "sim_rain"

    assert tell(Rain())[0] == "other"


def test_the_question_is_how_many_frames_go():
    bench = vmalloc_lab("")
    call = bench.run.lab.read({"do": "vmalloc", "pages": 3})
    before, machine = bench.run.state, bench.run.machine.machine
    seen = len(machine.trace)
    call(bench.run.machine)
    question = bench.run.lab.ask(before, bench.run.lab.view.look(bench.run.machine), machine.trace[seen:])
    assert question.options[question.answer] == "5", "three pages and two tables"
    assert {"3", "4"} <= set(question.options)


@pytest.mark.parametrize("action", [
    {"do": "fly"}, {"do": "vmalloc", "pages": 0}, {"do": "vmalloc", "pages": True}, {"do": "vmalloc"},
    {"do": "alloc", "order": 11}, {"do": "vfree", "area": ""}, {"do": "touch", "page": "v:xyz/1", "way": "vmalloc"},
    {"do": "touch", "page": f"v:{FIRST:x}/0", "way": "by air"}])
def test_what_is_no_call_is_refused_in_a_sentence(action):
    with pytest.raises(ValueError, match=r"\w+ \w+ \w+"):
        vmalloc_lab().run.lab.read(action)


@pytest.mark.parametrize("script", ["fly", "+x", "-B", "touch:A0", "all:", "alloc:x"])
def test_a_script_that_cannot_be_done_is_refused(script):
    with pytest.raises(ValueError, match="is no step"):
        vmalloc_lab(script)


def test_a_machine_too_large_to_draw_is_refused():
    with pytest.raises(ValueError, match="from 16 to 256"):
        vmalloc_lab(pages=1024)


def test_equal_scripts_give_equal_frames():
    one, other = vmalloc_lab(SCRIPT), vmalloc_lab(SCRIPT)
    assert one.scene == other.scene
    assert one.frames == other.frames


def test_a_link_brings_settings_and_actions_back():
    bench = vmalloc_lab(link="1;vmalloc;pages=32;script=;vmalloc/3;touch/v:ffffc90000000000%2F1/this~page/vmalloc")
    assert bench.run.frames[-1][0][0] == "vm.miss"
    assert last(bench)["m"]["count"] == 32


def test_of_one_there_is_no_plural():
    bench = vmalloc_lab(script="+1 -A purge +4 direct:A")
    told = [frame[0] for frame in bench.frames if f"says.{frame[0][0]}" in PHRASES]
    said = [PHRASES[f"says.{name}"].format(*gaps) for name, *gaps in told]
    assert "All its pages are there (1); nothing is mapped yet." in said
    assert "4 pages touched. TLB misses: 1; table entries read: 3." in said
    assert not [each for each in said if re.search(r"\b1 (?!\()\w+s\b", each)]
