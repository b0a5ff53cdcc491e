"""A scene, its JSON, and the patches between two of them."""

import json
import random

import pytest

from kmm_sim import GFP_ATOMIC, GFP_HIGHUSER_MOVABLE, GFP_KERNEL, Machine
from kmm_sim.labs import buddy_lab
from kmm_sim.labs.buddy import BuddyLab
from kmm_sim.labs.phrases import render
from kmm_sim.labs.scene import Block, EntryList, apply, diff, encode
from kmm_sim.observe import buddyinfo, frames, snapshot
from kmm_sim.workload import play, traffic


def busy_machine(seed, steps=120, pages=64):
    """A machine, the state it began in, and what it did since."""
    machine = Machine(pages=pages)
    play(machine, traffic(random.Random(seed), steps // 3))
    start, seen = snapshot(machine), len(machine.trace)
    play(machine, traffic(random.Random(seed + 1), steps, gfps=(GFP_KERNEL, GFP_ATOMIC, GFP_HIGHUSER_MOVABLE)))
    return machine, start, machine.trace[seen:]


def drawn(state):
    return encode(BuddyLab().draw(state))


def test_equal_states_give_equal_scenes():
    one, other = Machine(pages=64), Machine(pages=64)
    for machine in (one, other):
        play(machine, traffic(random.Random(5), 50))
    assert one is not other
    assert drawn(snapshot(one)) == drawn(snapshot(other))


def test_a_scene_is_plain_json():
    scene = drawn(snapshot(Machine(pages=64)))
    assert json.loads(json.dumps(scene)) == scene


@pytest.mark.parametrize("pages", [1, 7, 16, 64, 100, 1024])
@pytest.mark.parametrize("seed", range(3))
def test_patches_lead_to_the_scene_as_drawn_afresh(seed, pages):
    _, start, events = busy_machine(seed, pages=pages)
    scene = before = drawn(start)
    for state in frames(start, events):
        after = drawn(state)
        scene = apply(scene, json.loads(json.dumps(diff(before, after))))
        assert scene == after
        before = after


def test_a_patch_of_no_change_is_empty():
    scene = drawn(snapshot(Machine(pages=64)))
    assert diff(scene, dict(scene)) == {}


def test_a_patch_says_what_came_went_and_changed():
    old = encode({"m:0": Block(1, "hand"), "m:2": Block(1), "f:1": EntryList("order 1", keys=("m:2", "m:8"))})
    new = encode({"m:0": Block(2), "f:1": EntryList("order 1", keys=("m:8",)), "m:4": Block(0, "used", "U")})
    patch = diff(old, new)
    assert patch == {
        "m:2": None,
        "m:0": {"order": 2, "state": None},
        "f:1": {"keys~": [0, 1]},
        "m:4": {"order": 0, "state": "used", "kind": "U"},
    }
    assert apply(old, patch) == new


def test_an_ordinary_change_of_a_thousand_pages_is_a_hundred_bytes():
    """An event of random traffic on 1024 pages, as it is sent: the event and its patch."""
    machine = Machine(pages=1024)
    play(machine, traffic(random.Random(3), 300))
    lab = buddy_lab(machine, list(traffic(random.Random(4), 300)))
    sizes = sorted(len(json.dumps(frame[:2], separators=(",", ":"))) for frame in lab.frames)
    assert sizes[len(sizes) // 2] <= 100
    assert sizes[-1] <= 112
    assert len(json.dumps(lab.scene)) > 50 * sizes[-1]


@pytest.mark.parametrize("seed", range(3))
def test_blocks_tile_the_memory_at_every_moment(seed):
    _, start, events = busy_machine(seed, pages=100)
    for state in frames(start, events):
        end = 0
        scene = BuddyLab().draw(state)
        for key, block in scene.items():
            if isinstance(block, Block):
                assert key == f"m:{end}", f"cells from {end} on are in no block"
                end += 1 << block.order
        assert end == 100


def test_what_is_on_no_list_and_with_no_caller_is_in_hand():
    machine = Machine(pages=64)
    start = snapshot(machine)
    machine.alloc_pages(GFP_KERNEL, 5)
    taken, split, _ = frames(start, machine.trace)
    assert BuddyLab().draw(taken)["m:0"] == Block(6, "hand")
    assert BuddyLab().draw(split)["m:0"] == Block(5, "hand")
    assert BuddyLab().draw(split)["m:32"] == Block(5)


def test_a_block_has_the_letter_of_what_was_asked_for():
    machine = Machine(pages=64)
    for gfp in (GFP_KERNEL, GFP_HIGHUSER_MOVABLE):
        machine.alloc_pages(gfp, 0)
    scene = BuddyLab().draw(snapshot(machine))
    assert (scene["m:0"].kind, scene["m:1"].kind) == ("U", "M")


@pytest.mark.parametrize("seed", range(5))
def test_the_line_of_buddyinfo_is_the_kernels(seed):
    machine, _, _ = busy_machine(seed)
    scene = drawn(snapshot(machine))
    name, node, zone, *counts = scene["p"]["text"]
    lengths = [sum(len(scene[key].get("keys", ())) for key in count["count"]) for count in counts]
    assert render(name, node, zone, *lengths) + "\n" == buddyinfo(machine)


def test_a_pc_with_lists_of_its_cpus_is_drawn_too():
    machine = Machine(memory="4 MiB")
    start = snapshot(machine)
    play(machine, traffic(random.Random(1), 80))
    scene = before = drawn(start)
    seen = set()
    for state in frames(start, machine.trace):
        after = drawn(state)
        scene = apply(scene, diff(before, after))
        seen |= {node.get("state", "free") for node in scene.values()}
        before = after
    assert scene == drawn(snapshot(machine))
    assert seen == {"free", "used", "hand", "cpu"}
