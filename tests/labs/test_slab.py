"""The slab labs: what they draw, what they read, and that the reader's clicks do what they say."""

import json
import re
from dataclasses import fields

import pytest

from kmm_sim import KernelBug
from kmm_sim.labs import slab_debug_lab, slab_lab, three_slabs_lab
from kmm_sim.labs.scene import apply, diff, encode
from kmm_sim.labs.slab_calls import parse
from kmm_sim.labs.slab_words import tell
from kmm_sim.mm import slab_events
from kmm_sim.trace import Event

KINDS = {
    "states": {},
    "places": {"by": "place"},
    "two CPUs": {"by": "place", "cpus": 2},
    "slab": {"allocator": "slab", "cache": "example", "size": 700},
    "slab, two CPUs": {"allocator": "slab", "cache": "example", "size": 700, "cpus": 2},
    "slob": {"allocator": "slob", "cache": "example", "size": 700},
    "sheaves": {"allocator": "sheaves", "cache": "example", "size": 4096},
    "sheaves, two CPUs": {"allocator": "sheaves", "cache": "example", "size": 4096, "cpus": 2},
}
each_kind = pytest.mark.parametrize("kind", KINDS)
SCRIPT = "+12 -0-4 -7 +3 shrink"


def scenes(bench):
    """The scenes that the browser goes through, from the first to the last."""
    scene = bench.scene
    yield scene
    for frame in bench.frames:
        scene = apply(scene, json.loads(json.dumps(frame[1])))
        yield scene


def boxes(scene, prefix="s:"):
    shelves = scene[prefix[:-1]]["shelves"]
    return {key: {"slots": [], **node} for key, node in scene.items() if key.startswith(prefix) and key not in shelves}


def on_shelves(scene):
    return [key for shelf in scene["s"]["shelves"] for key in scene[shelf].get("keys", [])]


def act(bench, **action):
    bench.frames[bench.run.make(bench.run.lab.read(action)) :] = []
    return encode(bench.run.lab.draw(bench.run.state))


@each_kind
def test_a_recorded_run_ends_in_the_scene_of_the_machine(kind):
    bench = slab_lab(SCRIPT, **KINDS[kind])
    *_, last = scenes(bench)
    assert last == encode(bench.run.lab.draw(bench.run.state))


@each_kind
def test_each_slab_is_on_one_shelf_at_every_moment_when_a_call_is_done(kind):
    bench = slab_lab(SCRIPT, **KINDS[kind])
    *_, last = scenes(bench)
    assert sorted(on_shelves(last)) == sorted(boxes(last))


@each_kind
def test_slots_in_use_are_the_objects_in_use(kind):
    bench = slab_lab("+12 -0-4 -7", **KINDS[kind])
    *_, last = scenes(bench)
    assert sum(node["slots"].count("A") for node in boxes(last).values()) == 6


@each_kind
def test_an_event_changes_little(kind):
    """What travels for an event: its line, its sentence, and less than 400 bytes of scene on the average."""
    bench = slab_lab(SCRIPT, **KINDS[kind])
    sizes = [len(json.dumps(frame[1])) for frame in bench.frames]
    assert sum(sizes) / len(sizes) < 400


def test_full_partial_and_empty_are_shelves():
    bench = slab_lab("+7 -0-4")
    *_, last = scenes(bench)
    assert last["s:empty"]["keys"] == ["s:0"]
    assert last["s:partial"]["keys"] == ["s:8"]
    assert "keys" not in last["s:full"]
    assert last["s:8"]["note"] == "CPU 0"


def test_a_free_list_is_drawn_head_first():
    bench = slab_lab("+3 -1 -0", by="place")
    *_, last = scenes(bench)
    assert last["s:0"]["slots"] == ["", "", "A", "", ""]
    assert last["s:0"]["chain"] == [0, 1, 3, 4]


def test_in_slab_the_slots_of_an_array_stand_for_objects():
    *_, last = scenes(slab_lab("+1", allocator="slab", cache="example", size=1024))
    assert last["s:array0"]["refs"] == ["s:0/0", "s:0/1", "s:0/2"]
    assert last["s:0"]["slots"] == ["C", "C", "C", "A"]


def test_the_slots_of_a_sheaf_stand_for_objects_the_newest_last():
    *_, last = scenes(slab_lab("+9 -0-5", **KINDS["sheaves"]))
    assert last["s:cpu0"]["keys"] == ["s:sheaf3", "s:sheaf2"]
    assert last["s:barn"]["keys"] == ["s:sheaf1"]
    assert last["s:sheaf1"]["refs"] == ["s:0/2", "s:0/1", "s:0/0", "s:0/7"]
    assert last["s:0"]["slots"] == ["C", "C", "C", "C", "A", "A", "C", "C"]


def test_in_slob_a_slot_is_as_wide_as_its_block():
    *_, last = scenes(slab_lab("+3 -1", allocator="slob", cache="example", size=1000))
    assert last["s:0"]["widths"] == [1000, 1000, 1000, 1096]
    assert last["s:0"]["slots"] == ["A", "", "A", ""]


def test_the_line_of_slabinfo_is_what_the_machine_prints():
    from kmm_sim.observe import slabinfo

    for kind in ("places", "two CPUs", "slab", "slab, two CPUs", "sheaves", "sheaves, two CPUs"):
        bench = slab_lab(SCRIPT, **KINDS[kind])
        *_, last = scenes(bench)
        assert last["i"]["text"] in [line.rstrip() for line in slabinfo(bench.run.machine).splitlines()]


@each_kind
def test_a_click_on_an_object_frees_it(kind):
    bench = slab_lab("+6", **KINDS[kind])
    *_, last = scenes(bench)
    key, node = next((key, node) for key, node in boxes(last).items() if "A" in node["slots"] and node.get("state"))
    slot = node["slots"].index("A")
    after = act(bench, do="free", object=f"{key}/{slot}", cpu=0)
    assert sum(node["slots"].count("A") for node in boxes(after).values()) == 5


def test_to_free_an_object_that_is_free_is_told_and_changes_nothing():
    bench = slab_lab("+2 -0")
    before = encode(bench.run.lab.draw(bench.run.state))
    with pytest.raises(KernelBug, match="double free"):
        bench.run.make(bench.run.lab.read({"do": "free", "object": "s:0/0"}))
    assert encode(bench.run.lab.draw(bench.run.state)) == before


def test_shrinking_gives_empty_slabs_back():
    bench = slab_lab("+20 -0-19")
    assert len(boxes(act(bench, do="shrink"))) == 0


def test_more_than_there_is_gives_null_and_leaves_the_lab_usable():
    bench = slab_lab("", pages=16)
    act(bench, do="alloc", count=20)
    assert "NULL" in str(bench.run.frames[-1][0])
    assert act(bench, do="free", object="s:0/0")["s:0"]["slots"][0] == ""


@pytest.mark.parametrize("action", [
    {}, {"do": "alloc"}, {"do": "alloc", "count": 0}, {"do": "alloc", "count": True}, {"do": "alloc", "count": 999},
    {"do": "free"}, {"do": "free", "object": "s:x/1"}, {"do": "free", "object": None}, {"do": "explode"},
    {"do": "alloc", "count": 1, "cpu": 5}])
def test_nonsense_is_answered_with_a_sentence(action):
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        slab_lab("").run.lab.read(action)


@pytest.mark.parametrize("key", ["s:77/0", "s:0/99"])
def test_an_object_that_does_not_exist_cannot_be_freed(key):
    bench = slab_lab("+1")
    with pytest.raises((ValueError, KernelBug)):
        bench.run.make(bench.run.lab.read({"do": "free", "object": key}))


@pytest.mark.parametrize("script", ["3", "+", "-0", "+2 -5", "shrunk", "@", "+1 -0-3"])
def test_a_word_that_is_no_step_is_named(script):
    with pytest.raises(ValueError, match=r"no step|only \d"):
        parse(script)


def test_where_an_object_comes_from_is_asked_for_one_at_a_time():
    bench = slab_lab("+1 +4 +1 -0 +1")
    asked = [frame[-1] for frame in bench.frames if len(frame) > 4 and frame[-1][0].startswith("Where")]
    assert [question[1][question[2]] for question in asked] == [
        "a new slab", "a new slab", "the free list that the CPU has at hand"]


def test_with_sheaves_it_may_come_from_a_sheaf_the_barn_or_a_slab():
    bench = slab_lab("+1 +1 +2 +1 +7 -0-8 +1 +1 @1 +1", **KINDS["sheaves, two CPUs"])
    asked = [frame[-1] for frame in bench.frames if len(frame) > 4 and frame[-1][0].startswith("Where")]
    assert [question[1][question[2]] for question in asked] == [
        "a new slab", "the CPU’s main sheaf", "a slab of the node", "the CPU’s main sheaf", "the CPU’s spare sheaf",
        "a sheaf of the barn"]  # fmt: skip


def test_every_event_of_the_slab_layer_has_a_sentence_of_its_own():
    silent = []
    for kind in vars(slab_events).values():
        if not (isinstance(kind, type) and issubclass(kind, slab_events.SlabEvent)) or kind is slab_events.SlabEvent:
            continue
        if kind.__name__ in ("CacheCreate", "CacheDestroy", "Kmalloc", "Kfree"):
            continue  # told in the words of their class: no lab calls kmalloc() or makes a cache
        values = {"source": "new", "to_shared": True, "freelist": (0, 1), "cache": "c", "to": "full", "list": "small"}
        event = kind(*(values.get(name, 1) for name in (field.name for field in fields(kind))))
        name, line, sentence = tell(event)
        if sentence == (kind.__doc__ or "").split("\n\n")[0] or not sentence.endswith("."):
            silent.append(kind.__name__)
        assert name == "other"
        assert line
    assert not silent
    assert issubclass(slab_events.SlabNew, Event)


# Three allocators side by side


def test_each_object_has_the_same_letter_in_all_three():
    *_, last = scenes(three_slabs_lab("a3 b4 -1"))
    for name in ("slab", "slub", "slob"):
        letters = [slot for node in boxes(last, f"{name}:").values() for slot in node["slots"]]
        assert sorted(slot for slot in letters if slot and slot != "·") == list("acdefg")


def test_a_click_in_one_frees_the_object_in_all():
    bench = three_slabs_lab("a3")
    *_, last = scenes(bench)
    slot = last["slub:0"]["slots"].index("b")
    after = act(bench, do="free", object=f"slub:0/{slot}")
    for name in ("slab", "slub", "slob"):
        letters = [slot for node in boxes(after, f"{name}:").values() for slot in node["slots"]]
        assert sorted(slot for slot in letters if slot and slot != "·") == ["a", "c"]


def test_the_pages_of_the_table_are_those_of_the_machines():
    bench = three_slabs_lab("a9 b9 -3 -4 a2 shrink")
    *_, last = scenes(bench)
    for name, machine in bench.run.machine.machines.items():
        assert last[f"t:{name}"]["cells"][2] == len(machine.slabs.pages)


def test_the_question_of_the_comparison_is_which_of_them_take_or_give_pages():
    bench = three_slabs_lab("a a20 -0 -1 shrink", a=600)
    asked = [frame[4] for frame in bench.frames]
    assert [text.split()[3] for text, _, _ in asked] == ["need", "need", "give", "give", "give"]
    for frame, (_, options, answer) in zip(bench.frames, asked, strict=True):
        counts = {word.split()[0]: int(word.split()[1]) for word in frame[0][2].rstrip(".").split(": ")[-1].split(", ")}
        named = {"none of them": "", "all three": "SLAB SLUB SLOB"}.get(options[answer], options[answer])
        assert [name for name in counts if counts[name]] == [name for name in counts if name in named], frame[0]


def test_pages_given_back_by_some_of_the_three_are_among_the_answers():
    bench = three_slabs_lab(" ".join(["a40", *(f"-{nth}" for nth in range(40))]), a=600)
    given = {options[answer] for _, options, answer in (frame[4] for frame in bench.frames)}
    assert {"none of them", "SLOB only"} <= given


@pytest.mark.parametrize("action", [{}, {"do": "get", "cache": "A", "count": 0},
                                    {"do": "get", "cache": "C", "count": 1}])
def test_nonsense_in_the_comparison_is_answered_with_a_sentence(action):
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        three_slabs_lab("").run.lab.read(action)


def test_an_object_that_is_free_in_the_comparison_cannot_be_freed():
    bench = three_slabs_lab("a1")
    with pytest.raises(ValueError, match="not in use"):
        bench.run.make(bench.run.lab.read({"do": "free", "object": "slub:0/5"}))
    with pytest.raises(ValueError, match="no step"):
        three_slabs_lab("c3")


# Bytes


def test_a_byte_past_the_end_is_found_when_the_object_is_freed():
    *_, wrote, last = scenes(slab_debug_lab("take write:64 free"))
    assert wrote["d"]["text"] == "(nothing)"
    assert last["d"]["text"].startswith("[Right Redzone overwritten]")
    assert "First byte 0x42 instead of 0xcc" in last["d"]["text"]


def test_use_after_free_is_found_when_the_object_goes_out_again():
    *_, last = scenes(slab_debug_lab("take free write:3 take"))
    assert last["d"]["text"].startswith("[Poison overwritten]")


def test_without_checks_nobody_notices():
    for script in ("take write:64 free", "take free write:3 take"):
        *_, last = scenes(slab_debug_lab(script, debug=""))
        assert last["d"]["text"] == "(nothing)"


def test_the_spans_are_the_bytes_of_the_machine():
    bench = slab_debug_lab("take write:7")
    *_, last = scenes(bench)
    data = [byte for key in last["b"]["spans"] for byte in last[key]["data"]]
    assert bytes(data) == bench.run.machine.machine.read(int(last["b"]["start"]), len(data))
    assert data[8 + 7] == 0x42
    assert [last[key]["label"] for key in last["b"]["spans"]] == [
        "left red zone", "object", "right red zone", "free pointer", "who allocated it", "who freed it", "padding"]


def test_the_free_pointer_of_a_free_object_is_shown_in_its_middle():
    *_, last = scenes(slab_debug_lab("take take free", debug=""))
    assert [last[key]["label"] for key in last["b"]["spans"]] == ["object", "free pointer", "object"]


@pytest.mark.parametrize(("script", "options", "found"), [
    ("take write:64 free", {}, ["nothing", "nothing", "Right Redzone overwritten"]),
    ("take write:-1 free", {}, ["nothing", "nothing", "Left Redzone overwritten"]),
    ("take free write:3 take take", {}, ["nothing", "nothing", "nothing", "Poison overwritten", "nothing"]),
    ("take write:64 free write:64 free", {}, ["nothing", *["nothing", "Right Redzone overwritten"] * 2]),
    ("take free free", {}, ["nothing", "nothing", "Object already free"]),
    ("take free free", {"debug": ""}, ["nothing", "nothing", "nothing"]),
    ("take free free", {"debug": "", "hardened": True}, ["nothing", "nothing", "kernel BUG"]),
])
def test_the_question_of_the_bytes_is_what_the_kernel_finds(script, options, found):
    asked = [frame[4] for frame in slab_debug_lab(script, **options).frames]
    assert [answers[right] for _, answers, right in asked] == found
    assert all("Poison overwritten" in answers and len(answers) >= 4 for _, answers, _ in asked)


def test_free_p_frees_the_object_looked_at_once_more():
    bench = slab_debug_lab("take free")
    after = act(bench, do="again")
    assert "Object already free" in after["d"]["text"]


def test_a_report_names_the_functions_of_the_lab_and_none_of_what_runs_it():
    report = act(slab_debug_lab("take free"), do="again")["d"]["text"]
    assert re.findall("(Allocated|Freed) in ([a-z_]+) age", report) == [
        ("Allocated", "example_alloc"), ("Freed", "example_free")]


@pytest.mark.parametrize("action", [{}, {"do": "write", "offset": "x", "value": 1}, {"do": "free", "object": ""},
                                    {"do": "write", "offset": 1 << 40, "value": 1}])
def test_nonsense_in_the_lab_of_bytes_is_answered_with_a_sentence(action):
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        slab_debug_lab("").run.lab.read(action)


def test_a_scene_is_as_it_was_when_nothing_changed():
    bench = slab_lab("+3")
    scene = encode(bench.run.lab.draw(bench.run.state))
    assert diff(scene, encode(bench.run.lab.draw(bench.run.state))) == {}


@pytest.mark.parametrize("bench", [slab_lab("+3"), three_slabs_lab("a2"), slab_debug_lab("take")])
def test_a_lab_shows_itself_in_one_short_line(bench):
    """It is what a notebook that cannot draw it shows."""
    assert len(repr(bench)) < 80


def questions(script, **kind):
    """The question of each call of a run: its text and the right answer, or None."""
    asked = [frame[4] if len(frame) > 4 else None for frame in slab_lab(script, **kind).frames if len(frame) > 2]
    return [each and (each[0], each[1][each[2]]) for each in asked]


@pytest.mark.parametrize(("kind", "text", "right"), [
    ({}, "How many new slabs does it need?", "2"),
    (KINDS["slab"], "How many new slabs does it need?", "1"),
    (KINDS["sheaves"], "How many new slabs does it need?", "2"),
    (KINDS["slob"], "How many new pages does it need?", "2"),
])  # fmt: skip
def test_an_allocation_of_several_objects_is_asked_about_as_one_call(kind, text, right):
    assert questions("+9", **kind) == [(text, right)]


def test_of_one_object_it_is_asked_where_it_comes_from_and_of_a_shrink_what_goes_back():
    where, again, free, shrink = questions("+1 +1 -0-1 shrink")[:2] + questions("+1 -0 shrink")[1:]
    assert where == ("Where will the object come from?", "a new slab")
    assert again == ("Where will the object come from?", "the free list that the CPU has at hand")
    assert free is None
    assert shrink == ("How many slabs go back to the page allocator?", "1")


def test_in_all_three_a_free_names_the_cache_and_the_object():
    bench = three_slabs_lab("a3 b4 -1 -5")
    assert [frame[2] for frame in bench.frames][2:] == ["kmem_cache_free(A, b)", "kmem_cache_free(B, f)"]
    *_, last = scenes(bench)
    key = next(key for key, node in boxes(last, "slub:").items() if "c" in node["slots"])
    act(bench, do="free", object=f"{key}/{last[key]['slots'].index('c')}")
    assert bench.run.frames[-1][2] == "kmem_cache_free(A, c)"


def test_a_share_is_rounded_not_cut():
    *_, last = scenes(slab_lab("+4", cache="example", size=776))
    assert last["n:3"]["cells"][1] == "38 %"  # 3104 of 8192 bytes, 37.9
    *_, last = scenes(three_slabs_lab("a6", a=600))
    assert last["t:slub"]["cells"][3] == "44 %"  # 3600 of 8192, 43.9
