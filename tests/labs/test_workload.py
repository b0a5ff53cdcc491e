"""The workload lab: the same traffic on two machines, and curves of both."""

import pytest

from kmm_sim.labs import workload_lab
from kmm_sim.labs.workload import EVERY, Pass, Setting, WorkloadLab
from kmm_sim.observe import validate
from kmm_sim.observe.fragmentation import fragmentation_index


@pytest.fixture(scope="module")
def run():
    bench = workload_lab(seconds=60)
    yield bench.run
    bench.close()


def test_a_frame_is_ten_seconds_and_a_sample_two(run):
    assert len(run.frames) == 6
    assert len(run.scene["u:A"]["values"]) == 60 // EVERY + 1 == len(run.scene["s:Bt"]["values"])


def test_the_heavy_load_leaves_memory_in_smaller_pieces(run):
    assert run.scene["u:A"]["values"][-1] < 5 < 40 < run.scene["u:B"]["values"][-1]


@pytest.mark.parametrize("name", ["A", "B"])
def test_what_is_of_no_use_is_what_the_two_lowest_bands_show(run, name):
    bands = [run.scene[f"{name}:{band}"]["values"] for band in range(4)]
    shares = [round(100 * (single + few) / (single + few + some + many))
              for single, few, some, many in zip(*bands, strict=True)]
    assert run.scene[f"u:{name}"]["values"] == shares
    assert f"{name}: {shares[-1]} % of free memory" in run.frames[-1][0][2]


def test_the_fragmentation_index_says_of_which_zone_it_is(run):
    zone = max(run.machine.B.zones, key=lambda each: each.managed_pages)
    words, _, index = run.scene["t:index"]["cells"]
    assert words == f"fragmentation index of zone {zone.name}, order 9"
    assert index == f"{fragmentation_index(zone, 9):.3f}"
    assert run.scene["t:largest"]["cells"][0] == "largest free block of all zones"


def test_the_bands_add_up_to_the_free_pages(run):
    top = sum(run.scene[f"A:{band}"]["values"][-1] for band in range(4))
    assert top == run.scene["t:free"]["cells"][1]


def test_a_frame_sends_what_is_new_and_not_the_curves_again(run):
    patch = run.frames[-1][1]
    assert len(patch["u:A"]["values~"]) == 2 + 10 // EVERY


def test_going_back_and_on_again_is_the_same():
    first, again = workload_lab(seconds=20).run, workload_lab(seconds=20).run
    again.make(Pass(10), at=1)
    assert again.scene == first.scene
    validate(first.machine.A)
    validate(first.machine.B)


def test_another_seed_is_another_minute_and_the_same_seed_the_same():
    scenes = [workload_lab(seconds=10, seed=seed).run.scene for seed in (1, 1, 2)]
    assert scenes[0] == scenes[1] != scenes[2]


def test_another_setting_begins_anew_with_both():
    run = workload_lab(seconds=10).run
    run.make(run.lab.read({"do": "B", "load": 60, "pinned": 10, "slab": "slab"}))
    assert run.scene["B"]["note"] == "load 60 %, pinned 10 %, SLAB"
    assert len(run.scene["u:A"]["values"]) == 1
    run.make(Pass(10))
    validate(run.machine.B)


def test_the_curves_end_somewhere_and_nothing_is_run_again_for_who_goes_on(monkeypatch):
    run = workload_lab(seconds=10).run
    run.machine.traffic["A"].now = 595.0
    monkeypatch.setattr(run, "_rewind", lambda: pytest.fail("the whole run, made again"))
    for _ in range(100):
        with pytest.raises(ValueError, match="600 seconds"):
            run.make(Pass(10))


def test_the_question_is_how_the_busier_machine_goes_on(run):
    values = run.scene["u:B"]["values"][:: 10 // EVERY]
    for frame, was, now in zip(run.frames, values, values[1:], strict=False):
        text, options, answer = frame[4]
        assert text.startswith(f"B: {was} % of its free memory")
        assert options[answer].startswith("more" if now - was >= 5 else "less" if was - now >= 5 else "about")
    assert len({frame[4][2] for frame in run.frames}) > 1


def test_nothing_is_asked_where_both_begin_anew():
    run = workload_lab(seconds=10).run
    run.make(run.lab.read({"do": "A", "load": 95, "pinned": 10, "slab": "slab"}))
    assert len(run.frames[-1]) == 3
    run.make(Pass(10))
    assert run.frames[-1][4][0].startswith("A: 0 %"), "the busier one is A now"


@pytest.mark.parametrize("action", [
    {"do": "pass", "seconds": 0}, {"do": "pass", "seconds": 1000}, {"do": "pass", "seconds": "9"}, {"do": "C"},
    {"do": "A", "load": 99, "pinned": 6, "slab": "slub"}, {"do": "A", "load": 50, "pinned": 6, "slab": "slob"},
])
def test_what_is_no_call_is_refused(action):
    with pytest.raises(ValueError, match=r"."):
        WorkloadLab().read(action)


def test_a_setting_says_what_is_wrong_with_it():
    with pytest.raises(ValueError, match="40 to 95"):
        Setting(load=10)
    with pytest.raises(ValueError, match="seconds are 0 to 600"):
        workload_lab(seconds=1000)
