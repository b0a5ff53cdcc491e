"""The panels as data: their JSON, how little a change sends, the strips of a map, the room that is kept."""

import json
import random

import pytest

from every_panel import FORMS, PANELS, EveryPanelLab, every_panel_lab
from kmm_sim.labs.room import Room
from kmm_sim.labs.scene import (
    Box,
    Cells,
    Flow,
    Kind,
    Line,
    Map,
    Row,
    Series,
    Span,
    Stage,
    Step,
    Table,
    apply,
    as_json,
    diff,
    encode,
    strips,
)


def size(before, after):
    """The bytes that a change of one node sends."""
    return len(json.dumps(diff(encode({"key:1234": before}), encode({"key:1234": after})), separators=(",", ":")))


def test_every_panel_is_plain_json():
    scene = encode(EveryPanelLab().draw((1, "x")))
    assert json.loads(json.dumps(scene)) == scene
    assert {record.get("panel") for record in scene.values()} >= {
        "cells", "lists", "line", "table", "bytes", "shelves", "plot", "map", "flow"}


def test_patches_lead_from_any_state_to_any_other():
    scenes = [encode(EveryPanelLab().draw((calls, asked))) for calls in range(4) for asked in ("", "a")]
    for before in scenes:
        for after in scenes:
            assert apply(before, json.loads(json.dumps(diff(before, after)))) == after


@pytest.mark.parametrize(("before", "after"), [
    (Row(("_refcount", 1, "users")), Row(("_refcount", 2, "users"))),
    (Box("pfn 64", ("A",) * 32, chain=(3, 9)), Box("pfn 64", ("A",) * 9 + ("",) + ("A",) * 22, chain=(9, 3, 9))),
    (Box("pfn 64", ("",) * 512, chain=tuple(range(512))),
     Box("pfn 64", ("A", *("",) * 511), chain=tuple(range(1, 512)))),
    (Span(64, (0,) * 64), Span(64, (*(0,) * 30, 7, *(0,) * 33))),
    (Series("free", tuple(range(1000))), Series("free", tuple(range(1001)))),
    (Step("min", "now", "12 < 20"), Step("min", "failed", "12 < 20")),
], ids=lambda node: type(node).__name__)
def test_an_ordinary_change_sends_at_most_a_hundred_bytes(before, after):
    assert 0 < size(before, after) <= 100


def test_a_page_that_changes_on_a_map_of_millions_sends_at_most_a_hundred_bytes():
    before = strips("M", 0, [("u", 4096), ("f", (1 << 21) - 4096)])
    after = strips("M", 0, [("u", 4097), ("f", (1 << 21) - 4097)])
    assert len(json.dumps(diff(encode(before), encode(after)), separators=(",", ":"))) <= 100


@pytest.mark.parametrize("seed", range(5))
def test_strips_hold_the_same_pages_as_the_runs(seed):
    rng = random.Random(seed)
    runs = [(rng.choice("uf"), rng.choice((1, 5, 100, 5000))) for _ in range(60)]
    start = rng.choice((0, 7, 4096))
    pages = "".join(letter * count for letter, count in runs)
    cut = strips("M", start, runs)
    assert sorted(cut, key=lambda key: int(key[2:])) == list(cut)
    at, found = start, ""
    for key, strip in cut.items():
        assert key == f"M:{at}"
        for letter, count in zip(strip.runs[::2], strip.runs[1::2], strict=True):
            found += letter * count
            at += count
    assert found == pages


def test_a_number_that_javascript_would_round_travels_as_its_digits():
    assert as_json((0xFFFF888000040040, 12, True)) == [str(0xFFFF888000040040), 12, True]


def test_many_bytes_travel_as_runs():
    stale = (*(0x5A,) * 512, 1, *(0,) * 15000)
    assert encode({"b:0": Span(16384, stale)})["b:0"]["data"] == [[0x5A, 512], 1, [0, 15000]]
    assert encode({"b:0": Span(64, (0,) * 64)})["b:0"]["data"] == [0] * 64


def test_room_is_kept_for_every_panel_alone_and_for_all_of_them():
    alone = {key: every_panel_lab((key,), FORMS[:1])._room for key in PANELS}
    assert all(narrow > wide > 400 for wide, narrow in alone.values()), alone
    wide, narrow = every_panel_lab()._room
    assert wide > max(each for each, _ in alone.values())
    assert narrow > wide


def test_room_is_kept_for_a_lab_of_other_panels_than_cells_and_lists():
    scene = {
        "": Stage("A lab", ("m", "t", "w", "M", "l"), kinds=(Kind("A", 1, "a"),), layout=(("m", "t"), ("w",))),
        "m": Cells("Memory", "", 0, 16, 8), "t": Table("A table", "", ("a",), ("t:1",)), "t:1": Row(("one",)),
        "w": Flow("Steps", "", ()), "M": Map("Map", "", 0, 4096), "l": Line("/proc/x", ""),
    }
    room = Room()
    room.see(scene)
    wide, narrow = room.heights
    assert narrow > wide


def test_the_room_that_is_kept_is_that_of_the_tallest_moment():
    room = Room()
    heights = []
    for rows in (1, 9, 2):
        keys = tuple(f"t:{n}" for n in range(rows))
        table = Table("A table", "", ("a",), keys)
        room.see({"": Stage("A lab", ("t",)), "t": table, **dict.fromkeys(keys, Row(("one",)))})
        heights.append(room.heights)
    assert heights[0][0] < heights[1][0] == heights[2][0]
    room.hear("a long sentence " * 20)
    assert room.heights[1] > heights[2][1]
