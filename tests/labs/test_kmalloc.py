"""The kmalloc lab: from a desk to a scene, from an action to a call."""

import pytest

from kmm_sim import KernelBug, Machine
from kmm_sim.labs import kmalloc_lab
from kmm_sim.labs.kmalloc import SIZES, WRONG, Ask, GiveBack, KmallocLab, parse
from kmm_sim.mm.kmalloc import kmalloc_size_roundup
from kmm_sim.observe import validate, validate_slab

SCRIPT = "+100 +100 +90 -0 +120 +9000"


@pytest.fixture
def lab():
    bench = kmalloc_lab(SCRIPT)
    yield bench.run
    bench.close()


def says(run):
    return run.frames[-1][0][2]


def test_a_call_is_a_frame_and_its_call_is_told_as_c(lab):
    assert [frame[2] for frame in lab.frames] == [
        "p = kmalloc(100, GFP_KERNEL)", "p = kmalloc(100, GFP_KERNEL)", "p = kmalloc(90, GFP_KERNEL)", "kfree(a)",
        "p = kmalloc(120, GFP_KERNEL)", "p = kmalloc(9000, GFP_KERNEL)"]


def test_the_frames_tell_the_story_of_the_chapter(lab):
    told = [frame[0][2] for frame in lab.frames]
    assert "28 bytes are waste" in told[0]
    assert "1 page from the page allocator became a slab of 32 objects" in told[0]
    assert "the page allocator hears nothing" in told[1]
    assert "kmalloc-96" in told[2]
    assert "head of its freelist" in told[3]
    assert "8 bytes are waste" in told[4]
    assert "gives 4 pages. 7384 bytes are waste" in told[5]


def test_the_log_is_what_the_tracepoint_says(lab):
    page, kmalloc = lab.frames[0][0][1].splitlines()
    assert page.startswith("mm_page_alloc: pfn=0x0 order=0")
    assert kmalloc.startswith("kmalloc: ptr=0xffff888000000000 bytes_req=100 bytes_alloc=128")
    assert lab.frames[3][0][1].startswith("kfree: ptr=")


def test_what_is_held_is_in_the_table_and_in_a_slot(lab):
    scene = lab.scene
    assert [scene[key]["cells"][1] for key in scene["t"]["rows"]] == [9000, 120, 90, 100]
    assert scene["s:0"]["slots"][:3] == ["K", "K", ""]
    assert scene["s:0"]["says"] == "d at 0, b at 1"
    assert scene["s:4"]["slots"] == ["P"] * 4


def test_the_freed_object_is_the_next_to_be_given(lab):
    lab.make(GiveBack("d"))
    lab.make(Ask(128))
    assert lab.scene["s:0"]["says"] == "f at 0, b at 1"


@pytest.mark.parametrize("what", WRONG)
def test_every_wrong_kfree_says_why_and_leaves_the_machine_whole(lab, what):
    lab.make(GiveBack("d"))
    before = len(lab.frames), lab.scene
    if WRONG[what]:
        with pytest.raises(KernelBug, match=r"Linux 6\.12"):
            lab.make(lab.lab.read({"do": "wrong", "what": what}))
        assert (len(lab.frames), lab.scene) == before
    else:
        lab.make(lab.lab.read({"do": "wrong", "what": what}))
        assert "does nothing" in says(lab)
    validate(lab.machine.machine)
    validate_slab(lab.machine.machine)


def test_a_wrong_kfree_of_nothing_held_asks_for_something_first():
    run = kmalloc_lab().run
    for what in ("p + 8", "p (freed before)"):
        with pytest.raises(ValueError, match="first"):
            run.make(run.lab.read({"do": "wrong", "what": what}))


def test_no_memory_and_no_bytes_are_answers():
    run = kmalloc_lab(pages=16).run
    run.make(Ask(1 << 20))
    assert says(run) == "The caller gets NULL: no 256 pages in a row are free."
    run.make(Ask(0))
    assert "ZERO_SIZE_PTR" in says(run)
    run.make(Ask((4 << 20) + 1))
    assert "4 MiB" in says(run)
    assert run.scene["t"]["note"] == "nothing"


@pytest.mark.parametrize("action", [
    {"do": "ask", "size": -1, "gfp": "GFP_KERNEL"}, {"do": "ask", "size": "x", "gfp": "GFP_KERNEL"},
    {"do": "ask", "size": True, "gfp": "GFP_KERNEL"}, {"do": "ask", "size": 8, "gfp": "GFP_MAGIC"},
    {"do": "give", "object": ""}, {"do": "wrong", "what": "everything"}, {"do": "dance"}, {},
])
def test_what_is_no_call_is_refused(action):
    with pytest.raises(ValueError, match=r"."):
        KmallocLab().read(action)


def test_a_letter_that_nobody_holds_is_refused_and_loses_nothing(lab):
    before = lab.scene
    with pytest.raises(ValueError, match="letter 'z'"):
        lab.make(GiveBack("z"))
    assert lab.scene == before


def test_a_cache_with_many_objects_shows_some_and_counts_the_rest():
    run = kmalloc_lab("+8").run
    assert len(run.scene["s:0"]["slots"]) == 64
    assert run.scene["s:0"]["note"] == "… and 448 more objects"


def test_undo_brings_back_the_state_before(lab):
    before = lab.scene
    lab.make(Ask(8192))
    lab.make(Ask(50), at=6)
    lab.make(GiveBack("f"), at=7)
    assert [key for key in lab.scene if key.startswith("t:")] == [key for key in before if key.startswith("t:")]


@pytest.mark.parametrize(("script", "reason"), [
    ("100", "no step"), ("+x", "no step"), ("-0", "only 0"), ("+8 -1", "only 1"),
])
def test_a_script_that_makes_no_sense_says_which_word(script, reason):
    with pytest.raises(ValueError, match=reason):
        parse(script)


def test_the_bars_are_what_the_classes_waste():
    scene = kmalloc_lab("+65").run.scene
    shares = [all_ if mine is None else mine
              for all_, mine in zip(scene["w:all"]["values"], scene["w:mine"]["values"], strict=True)]
    assert shares == pytest.approx([100 - 100 * size / kmalloc_size_roundup(size) for size in SIZES])
    assert [size for size, mine in zip(SIZES, scene["w:mine"]["values"], strict=True) if mine is not None] == [65]


def test_many_calls_give_every_page_back():
    machine = Machine(pages=256)
    run = kmalloc_lab(machine=machine).run
    for number in range(60):
        run.make(Ask(1 + 137 * number % 9000))
    for letter in [held.letter for held in run.machine.held.values()]:
        run.make(GiveBack(letter))
    assert not run.machine.held
    assert all("K" not in node.get("slots", ()) for node in run.scene.values())


def test_a_request_asks_how_many_bytes_it_will_give(lab):
    asked = [frame[4] if len(frame) > 4 else None for frame in lab.frames]
    assert [question and question[0] for question in asked] == [
        f"How many bytes does a request for {size} get?" if size else None for size in (100, 100, 90, 0, 120, 9000)]
    assert [question[1][question[2]] for question in asked if question] == ["128", "128", "96", "128", "16384"]
