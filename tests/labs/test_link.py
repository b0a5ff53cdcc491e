"""Links: a lab's settings and its reader's actions as one line of text, and back."""

import json
import random
import string

import pytest

from kmm_sim import Machine
from kmm_sim.labs import buddy_lab
from kmm_sim.labs.link import MAX_ACTIONS, Link, read_link
from kmm_sim.labs.opening import gaps_of

GAPS = {"alloc": ["gfp", "order"], "free": ["page", "order"], "flags": ["words", "on"]}


def test_a_link_can_be_read_with_the_eye():
    link = Link("buddy", {"pages": 16, "script": "+0 -0"}, [
        {"do": "alloc", "gfp": "GFP_KERNEL", "order": 2}, {"do": "free", "page": "m:0", "order": 2},
        {"do": "flags", "words": ["__GFP_ZERO", "0"], "on": True, "extra": "a/b;c=d"},
    ], kept=1, at=9)
    text = link.write(GAPS)
    assert text == ("1;buddy;pages=16;script=+0~-0;:1;alloc/GFP_KERNEL/2;free/m:0/2;"
                    "flags/*__GFP_ZERO,'0/!t/extra=a%2Fb%3Bc%3Dd;@9")
    assert read_link(text, "buddy", GAPS) == link
    assert read_link(f"https://example.org/book/x.html#kmm.2={text}&kmm.3=1;other", "buddy", GAPS) == link


def any_value(rng):
    text = "".join(rng.choice(string.printable + "’é中~%;/=") for _ in range(rng.randrange(9)))
    number = rng.randrange(-99, 2**40)
    return rng.choice([number, rng.random() < 0.5, text, str(number), [text, "x"], [], ""])


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_written_is_read_back(seed):
    rng = random.Random(seed)
    settings = {name: any_value(rng) for name in ("pages", "script", "seed")}
    actions = [{"do": does, **{name: any_value(rng) for name in rng.sample([*GAPS[does], "more"], 2)}}
               for does in rng.choices(list(GAPS), k=6)]
    link = Link("some_lab", settings, actions, rng.choice([None, 3]), rng.choice([None, 12]))
    text = link.write(GAPS)
    assert read_link(text, "some_lab", GAPS) == link
    assert text.isascii()
    assert not set(text) & set(" #&\"<>\\^`{}")


@pytest.mark.parametrize(("text", "reason"), [
    ("", "version"), ("9;buddy", "version"), ("1;slab", "not for a lab"), ("1;buddy;1x", "no action"),
    ("1;buddy;a=%ff", "no text"), ("1;buddy;@x", "no number"), ("1;buddy;a=9999999999999999", "no number"),
    ("1;buddy;alloc/1/2/do=x", "nothing that an action has"), ("1;buddy;a=**x", "another list"),
    ("1;buddy;" + "a" * 8000, "longer"), ("1;buddy;a=" + "x" * 2001, "longer than 2000"),
    ("1;buddy" + ";alloc" * (MAX_ACTIONS + 1), "201 actions"),
    (None, "longer"), ("1;buddy;alloc" + "/1" * 99, "no action"),
])
def test_what_is_no_link_says_why(text, reason):
    with pytest.raises(ValueError, match=reason):
        read_link(text, "buddy", GAPS)


@pytest.mark.parametrize("seed", range(300))
def test_no_text_at_all_does_anything_but_open_or_say_why(seed):
    """Links with something replaced, dropped or repeated: the lab is whole afterwards."""
    rng = random.Random(seed)
    good = "1;buddy;pages=16;script=+0~+1;:1;alloc/GFP_KERNEL/2;free/m:4/2;@9"
    signs = list(good)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(signs))
        signs[at : at + rng.randrange(3)] = rng.choice([[], [rng.choice(string.printable)], signs[at : at + 9]])
    bench = buddy_lab(pages=16, script="+0", link="".join(signs))
    assert bench.scene[""]["title"] == ["title"]
    assert bench.about.get("error", "opened")
    bench.run.make(bench.run.lab.read({"do": "alloc", "gfp": "GFP_KERNEL", "order": 0}))


def test_settings_and_actions_open_the_same_run():
    bench = buddy_lab(seed=5, steps=12, pages=32)
    action = {"do": "alloc", "gfp": "GFP_ATOMIC", "order": 1}
    kept = bench.run.moment(3)
    bench.run.make(bench.run.lab.read(action), kept, action=action)
    text = Link("buddy", bench.opening.settings, [action], kept=3).write(gaps_of(bench.run))
    again = buddy_lab(link=text, seed=1, steps=1)
    assert again.frames == bench.run.frames
    assert again.about == {"name": "buddy", "settings": {"pages": 32, "seed": 5, "steps": 12}, "at": len(again.frames)}


def test_a_script_and_a_seed_are_one_too_many():
    with pytest.raises(ValueError, match="one of the two"):
        buddy_lab(script="+0", seed=1)


def test_a_seed_may_draw_traffic_for_a_machine_of_ones_own():
    machine = Machine(pages=32)
    assert buddy_lab(machine, seed=5, steps=12).frames == buddy_lab(seed=5, steps=12, pages=32).frames


@pytest.mark.parametrize("pages", [64, 1024])
def test_an_ordinary_change_is_less_than_a_hundred_bytes(pages):
    frames = buddy_lab(seed=3, steps=400, pages=pages).frames
    sizes = [len(json.dumps(frame[1], separators=(",", ":"))) for frame in frames]
    assert max(sizes) <= 100
    assert len(frames) > 700
