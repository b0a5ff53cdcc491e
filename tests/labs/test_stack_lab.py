"""The stack lab: the same calls on two stacks, what each loses, and who notices."""

import json

import pytest

from kmm_sim import KernelBug
from kmm_sim.labs import stack_lab
from kmm_sim.labs.scene import apply, encode
from kmm_sim.labs.stack_scene import tell
from kmm_sim.mm.stack_events import StackPop

SCRIPT = "528x14 528 schedule 528x15 528"


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


def told(bench):
    return [frame[0] for frame in bench.frames]


def test_the_recorded_run_loses_the_old_stack_in_silence_and_stops_the_new_one_at_its_guard_page():
    bench = stack_lab(SCRIPT)
    names = [name for name, *_ in told(bench)]
    assert names == ["st.fits", "st.silent", "st.stopped", "st.gone", "st.stopped"]
    assert told(bench)[0][1:3] == [320, 8616]
    assert told(bench)[1][1] == "2.6.34"
    assert "the magic number, thread_info" in told(bench)[1][2]
    scene = last(bench)
    assert scene["d0"]["text"] == "BUG: scheduling while atomic: task/2/0x5a5a5a5a"
    assert scene["d1"]["text"].startswith("BUG: TASK stack guard page was hit at ffffc90000007e08")
    assert last(bench) == encode(bench.run.lab.draw(bench.run.state))


def test_a_stack_is_drawn_from_its_top_with_what_lies_at_its_end():
    scene = last(stack_lab("1000 2000"))
    assert scene["s:0box"]["slots"] == ["s", "f", "f", "", "M", "T", "R"]
    assert scene["s:1box"]["slots"] == ["s", "f", "f", "", "M", "G"]
    widths = scene["s:1box"]["widths"]
    assert widths[1] < widths[2]
    assert widths[1:3] == [1000, 2000]


def test_what_is_overwritten_says_so_wherever_it_is_shown():
    scene = last(stack_lab("528x15"))
    assert scene["s:0box"]["slots"][-3:] == ["!", "!", "!"]
    assert scene["t:magic"]["cells"][1:] == [["st.over"], ["st.intact"]]
    assert scene["t:below"]["cells"][1:] == [["st.over"], ["st.guard"]]
    assert not any(scene[f"t:{what}"].keys() & {"mark", "tone"} for what in ("magic", "thread_info", "below"))
    gone = [node for key, node in scene.items() if key.startswith("b0:") and node["label"][0].endswith(".over")]
    assert len(gone) == 3
    assert all(node.get("fill", 0) == 0x5A or 0x5A in node.get("data", []) for node in gone)


def test_the_bytes_are_those_of_the_machine():
    bench = stack_lab("64")
    machine = bench.run.machine.left
    task = machine.stacks.tasks[-1]
    scene = last(bench)
    at = int(scene["b0"]["start"])
    for key in scene["b0"]["spans"]:
        span = scene[key]
        data = bytes(span.get("data", [])) + bytes([span.get("fill", 0)]) * (span["size"] - len(span.get("data", [])))
        assert machine.read(at, span["size"]) == data
        at += span["size"]
    assert at == task.top


def test_the_return_address_of_the_call_that_met_the_guard_page_is_told_from_what_is_unused():
    scene = last(stack_lab(SCRIPT))
    labels = [scene[key]["label"][0] for key in scene["b1"]["spans"]]
    assert labels[:4] == ["st.span.magic", "st.span.unused", "st.span.return", "st.span.frame"]
    pushed = scene[scene["b1"]["spans"][2]]["data"]
    assert bytes(pushed).hex(" ").startswith("e0 01 00 81")
    left = last(stack_lab("528 528 return schedule"))
    assert [left[key]["label"][0] for key in left["b1"]["spans"]].count("st.span.return") == 1


def test_a_return_gives_the_room_back_and_mends_nothing():
    bench = stack_lab("528x15 return")
    scene = last(bench)
    assert scene["t:depth"]["cells"][1:] == [14, 14]
    assert scene["t:magic"]["cells"][1] == ["st.over"]
    with pytest.raises(KernelBug, match="no call to return from"):
        act(stack_lab(), do="return")


def test_a_stack_that_has_stopped_takes_no_more_calls():
    bench = stack_lab(SCRIPT)
    before = last(bench)
    scene = act(bench, do="call", size=100, times=3)
    assert scene["t:depth"] == before["t:depth"]
    assert scene["s:0box"]["label"] == ["st.box.dead"]


@pytest.mark.parametrize(("script", "says"), [
    ("528x14 528 512", "2.6.34 is past its end and does not notice; on 6.12 7560 bytes are left."),
    ("528x15 schedule 512", "2.6.34 has stopped; on 6.12 7560 bytes are left."),
    ("528x15 schedule return", "2.6.34 has stopped; on 6.12 the newest call has returned."),
    ("528x15 schedule schedule", "2.6.34 has stopped; 6.12 finds nothing."),
    ("528x15 schedule 12000 100", "Both have stopped: nothing happens any more."),
    ("528x15 schedule 12000 schedule", "Both have stopped: nothing happens any more."),
    ("100 return 100", "Both have room: 7716 bytes are left on the one, 16012 on the other."),
])
def test_a_call_is_told_for_both_stacks_as_the_table_has_them(script, says):
    bench = stack_lab(script)
    name, *gaps = told(bench)[-1]
    assert bench.phrases[f"says.{name}"].format(*gaps) == says


def test_what_happens_to_both_in_one_call_is_told_of_both():
    small, large = "2.6.34-32bit-4k", "2.6.34-32bit"
    assert told(stack_lab("17000"))[-1][0] == "st.stopped.both"
    name, kernel, _, report, other, lost = told(stack_lab("8192", left=large, right=small))[-1]
    assert (name, kernel, other) == ("st.stopped.silent", small, large)
    assert report.startswith("BUG: unable to handle page fault")
    assert "thread_info" in lost


def test_other_kernels_can_be_compared():
    scene = last(stack_lab("1024x3", left="2.6.34-32bit-4k", right="2.6.34-32bit"))
    assert scene["t:magic"]["cells"][1:] == [["st.intact"], ["st.intact"]]
    scene = last(stack_lab("1024x4", left="2.6.34-32bit-4k", right="2.6.34-32bit"))
    assert scene["t:magic"]["cells"][1:] == [["st.over"], ["st.intact"]]
    with pytest.raises(ValueError, match=r"no stacks of kernel '7\.0'"):
        stack_lab(right="7.0")


def test_all_words_are_there():
    bench = stack_lab("528 return schedule " + SCRIPT)
    for name, *_ in told(bench):
        assert {f"says.{name}", f"log.{name}"} <= bench.phrases.keys()

    def texts(part):
        if isinstance(part, list):
            if part and isinstance(part[0], str) and part[0].startswith("st."):
                yield part[0]
            for each in part:
                yield from texts(each)
        elif isinstance(part, dict):
            for each in part.values():
                yield from texts(each)

    for scene in scenes(bench):
        assert set(texts(scene)) <= bench.phrases.keys()
    assert tell(StackPop(1))[0] == "other"


def test_a_scene_at_each_moment_is_small():
    bench = stack_lab(SCRIPT)
    assert len(json.dumps(bench.scene)) + len(json.dumps(bench.frames)) < 30_000


@pytest.mark.parametrize("action", [{"do": "fly"}, {"do": "call", "size": -1, "times": 1},
                                    {"do": "call", "size": 100, "times": 0}, {"do": "call", "size": "big"},
                                    {"do": "call", "size": 40_000, "times": 1}])
def test_what_is_no_call_is_refused_in_a_sentence(action):
    with pytest.raises(ValueError, match=r"\w+ \w+ \w+"):
        stack_lab().run.lab.read(action)


@pytest.mark.parametrize("script", ["fly", "x3", "5xy", "-100"])
def test_a_script_that_cannot_be_done_is_refused(script):
    with pytest.raises(ValueError, match="is no step"):
        stack_lab(script)


def test_the_question_is_what_becomes_of_a_call():
    questions = [frame[4] for frame in stack_lab(SCRIPT).frames if len(frame) > 4]
    assert [(text[1], options[answer][0]) for text, options, answer in questions] == [
        ("2.6.34", "st.ask.fits"), ("2.6.34", "st.ask.silent"), ("6.12", "st.ask.fits"), ("6.12", "st.ask.stops")]
