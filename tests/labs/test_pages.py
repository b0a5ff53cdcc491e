"""The labs of the chapters on pages, zones and high memory."""

import itertools
import re

import pytest

from kmm_sim import GFP_KERNEL, ContextError, KernelBug, Machine
from kmm_sim.labs.mem_map import MemMapLab, Work, mem_map_lab
from kmm_sim.labs.pages import MASKS, Allocate, Look, OnPage, PagesLab, Write, pages_lab
from kmm_sim.labs.recorded import ZONE_AFTER_ZONE
from kmm_sim.labs.scene import apply
from kmm_sim.labs.zones import MASKS as ZONE_MASKS
from kmm_sim.labs.zones import FreeAll, Take, ZonesLab, zones_lab
from kmm_sim.observe.pages import page_runs, page_view, zone_checks

KERNEL = int(GFP_KERNEL)
HIGH = MASKS["GFP_HIGHUSER_MOVABLE"]


def scenes(lab):
    """Each scene of a lab's run, the first included."""
    now = lab.scene
    yield now
    for frame in lab.frames:
        now = apply(now, frame[1])
        yield now


def field(scene, name):
    return scene[f"t:{name}"]["cells"][2:]


def test_a_page_is_taken_written_shared_and_freed():
    lab = pages_lab(calls=[Allocate(KERNEL, 0), Write("password"), OnPage("get"), OnPage("put"), OnPage("put"),
                           Allocate(KERNEL, 0)])
    counts = [field(scene, "refcount")[0] for scene in scenes(lab)]
    assert counts == [1, 1, 1, 2, 1, 0, 1]  # first the page at the start of memory, then the one that is taken
    *_, last = scenes(lab)
    assert bytes(last["b:data"]["data"]) == b"password"  # the new owner can read it
    assert [frame[0][2] for frame in lab.frames] == [
        "The caller gets the page at pfn 0x420, in zone DMA.",
        "The bytes are written. The struct page is as it was.",
        "pfn 0x420 has 2 references now.",
        "pfn 0x420 has 1 reference now.",
        "The last reference to pfn 0x420 is gone: the page is free.",
        "The caller gets the page at pfn 0x420, in zone DMA.",
    ]


def test_a_zeroed_page_shows_no_bytes_of_the_last_owner():
    zero = MASKS["GFP_KERNEL|__GFP_ZERO"]
    lab = pages_lab(calls=[Allocate(KERNEL, 0), Write("password"), OnPage("put"), Allocate(zero, 0)])
    *_, last = scenes(lab)
    assert "b:data" not in last


def test_a_tail_points_at_its_head():
    lab = pages_lab(calls=[Allocate(MASKS["GFP_KERNEL|__GFP_COMP"], 2)])
    *_, scene = scenes(lab)
    head = int(lab.run.machine.pfn)
    lab.run.make(Look(head + 3))
    name, _, address, says = lab.run.scene["t:lru"]["cells"]
    assert name == "compound_head"
    assert int(address, 16) == 0xFFFF_EA00_0000_0000 + head * 64 + 1
    assert hex(head) in says
    assert "head" in scene["t:flags"]["cells"][3]


def test_the_small_machine_has_been_in_use():
    runs = page_runs(pages_lab().run.machine.machine)
    assert {letter for letter, _ in runs} == set("fcUME")
    assert 1000 < sum(count for letter, count in runs if letter in "fc") < 3000


def test_a_free_block_says_its_order_where_linux_keeps_it():
    lab = pages_lab(Machine(memory="16 MiB"))
    view = page_view(lab.run.machine.machine, lab.run.machine.pfn)
    assert view.state == "free"
    lab.run.make(Look(view.head))
    assert field(lab.run.scene, "private")[0] == view.order
    assert lab.run.scene["t:mapcount"]["cells"][:3] == ["page_type", 48, "0xf0000000"]


def test_the_map_has_every_page_once():
    for machine in (Machine(memory="16 MiB"), Machine.preset("the recorded VM"), Machine.preset("lkd-32bit")):
        machine.alloc_pages(KERNEL, 3)
        runs = page_runs(machine)
        assert sum(count for _, count in runs) == machine.zones[-1].end_pfn - machine.zones[0].start_pfn
        free = sum(zone.vm_stat_free + sum(zone.vm_stat_diff) for zone in machine.zones)
        assert sum(count for letter, count in runs if letter == "f") == free
        assert all(one[0] != other[0] for one, other in itertools.pairwise(runs))


def test_the_map_marks_the_page_that_is_looked_at():
    lab = pages_lab(calls=[Allocate(KERNEL, 0), OnPage("get"), Look(7)])
    assert [scene["M"]["at"] for scene in scenes(lab)] == [1, 0x420, 0x420, 7]


def test_a_large_machine_is_drawn_from_few_bytes():
    lab = pages_lab(Machine(memory="64 GiB"), [Allocate(KERNEL, 0)])
    assert len(str(lab.scene)) < 60_000
    assert len(str(lab.frames[0])) < 2000


def test_high_memory_is_seen_through_kmap_only():
    lab = pages_lab(Machine.preset("lkd-32bit"), [Allocate(HIGH, 0), OnPage("kmap"), Write("hi"), OnPage("kunmap")])
    addresses = [scene["t:address"]["cells"][2] for scene in scenes(lab)][1:]
    assert addresses == ["NULL", "0xff801000", "0xff801000", "0xff801000"]
    assert {"kmap", "kunmap", "local"} <= {form["does"] for form in lab.scene[""]["forms"]}
    assert "kmap" not in {form["does"] for form in pages_lab().scene[""]["forms"]}


def test_kunmap_says_what_becomes_of_the_address():
    calls = [Allocate(HIGH, 0), *map(OnPage, ("kmap", "kmap", "kunmap", "kunmap")), Allocate(KERNEL, 0)]
    lab = pages_lab(Machine.preset("lkd-32bit"), [*calls, OnPage("kmap"), OnPage("kunmap")])
    said = [frame[0][2] for frame in lab.frames]
    assert said[3] == "1 user has the page mapped still, at 0xff801000."
    assert said[4] == "Nobody uses address 0xff801000 now. The page keeps it until all 1024 slots have been used."
    assert said[7] == "The page keeps its address, 0xc1000000: it needs no window."


def test_what_cannot_be_done_leaves_the_lab_as_it_was():
    lab = pages_lab(Machine.preset("lkd-32bit"), [Allocate(HIGH, 0)])
    before = lab.run.scene
    for call in (Write("hi"), OnPage("kunmap"), OnPage("free", 3)):
        with pytest.raises(KernelBug):
            lab.run.make(call)
        assert lab.run.scene == before
    with pytest.raises(ValueError, match="no page"):
        lab.run.make(Look(1 << 40))
    with lab.run.machine.machine.context("spinlock"), pytest.raises(ContextError):
        OnPage("kmap")(lab.run.machine)


@pytest.mark.parametrize(("action", "call"), [
    ({"do": "alloc", "gfp": "GFP_KERNEL", "order": 2}, Allocate(KERNEL, 2)),
    ({"do": "look", "page": "M:77"}, Look(77)),
    ({"do": "get"}, OnPage("get")),
    ({"do": "free", "order": 1}, OnPage("free", 1)),
    ({"do": "write", "words": "hello"}, Write("hello")),
])
def test_requests_become_calls(action, call):
    assert PagesLab().read(action) == call
    assert re.search(r"\w+\(.*\)", call.text())


@pytest.mark.parametrize("action", [
    {"do": "alloc", "gfp": "GFP_NONSENSE", "order": 0}, {"do": "alloc", "gfp": "GFP_KERNEL", "order": "2"},
    {"do": "free", "order": True}, {"do": "look", "page": ""}, {"do": "look", "page": None}, {"do": "fly"}, {},
])
def test_a_request_of_nonsense_says_why(action):
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        PagesLab().read(action)


def test_the_zones_lab_shows_the_sum_that_the_kernel_does():
    kernel, atomic, *_ = ZONE_MASKS.values()
    lab = zones_lab(calls=[Take(kernel, 5, 1000), Take(kernel, 5, 10000), Take(atomic, 0, 10000), FreeAll()])
    words = [frame[0][2] for frame in lab.frames]
    assert words[0] == "The caller gets 1,000 from Normal."
    assert "from DMA32" in words[1]
    assert words[1].endswith("then NULL: no zone may give more.")
    assert words[-1].endswith("blocks are given back.")
    marks = [[scene[f"t:{zone}"].get("mark") for zone in ("Normal", "DMA32", "DMA")] for scene in scenes(lab)]
    assert marks == [["yes", "skip", "skip"]] * 2 + [["no"] * 3] * 2 + [["yes", "skip", "skip"]]


def test_the_recorded_run_of_the_zones_goes_from_mark_to_mark():
    """Each zone ends at its mark, and the text of the chapter has these figures."""
    lab = zones_lab(calls=ZONE_AFTER_ZONE)
    said = [frame[0][2] for frame in lab.frames]
    assert said[:3] == ["The caller gets 200 from Normal.", "The caller gets 1,000 from Normal.",
                        "The caller gets 754 from Normal and 246 from DMA32."]
    rows = [[tuple(scene[f"t:{zone}"]["cells"][1:]) for zone in ("Normal", "DMA32", "DMA")]
            for scene in map(dict, list(scenes(lab))[1:])]
    assert rows[0][0] == ("56,628", ">", "497 + 0", "gives", "398 + 0")
    assert rows[2][0] == ("500 − 31", "≤", "497 + 0", "passed over", "398 + 0")
    assert [zone[3] for zone in rows[2]] == ["passed over", "gives", "not asked"]
    assert [zone[0] for zone in rows[3]] == ["404 − 31", "469 − 31", "416 − 31"]
    assert [(zone[0], zone[-1]) for zone in rows[4]] == [("4", "150 + 0"), ("254", "79 + 246"), ("386", "9 + 377")]


def test_what_the_zones_gave_is_told_in_the_order_in_which_they_are_tried():
    said = zones_lab(calls=ZONE_AFTER_ZONE).frames[4][0][2]
    assert said.startswith("The caller gets 1,163 from Normal and 106 from DMA32 and 16 from DMA; then NULL")


def test_the_bars_of_a_zone_are_named_by_what_they_are():
    """The last pages were given against lower marks: fewer are free than low + reserve."""
    *_, last, _given_back = scenes(zones_lab(calls=ZONE_AFTER_ZONE))
    assert last["p:kept"]["label"] == "low + reserve"
    assert all(free < low for free, low in zip(last["p:free"]["values"], last["p:kept"]["values"], strict=True))


def test_a_zone_that_keeps_its_blocks_for_other_types_does_not_give():
    """alloc_flags_nofragment(): the first attempt breaks up no pageblock of another type."""
    kernel = next(iter(ZONE_MASKS.values()))
    lab = zones_lab(calls=[Take(kernel, 5, 1756), Take(kernel, 5, 1)])
    assert lab.frames[1][0][2] == "The caller gets 1 from DMA32."
    before = list(scenes(lab))[1]
    assert before["t:Normal"]["cells"][1:] == ["661 − 31", ">", "497 + 0", "no block of this type", "398 + 0"]
    assert [before[f"t:{zone}"]["cells"][4] for zone in ("DMA32", "DMA")] == ["gives", "not asked"]
    mixing = zones_lab(calls=[Take(kernel, 5, 2869), Take(kernel, 5, 1)])
    assert mixing.frames[1][0][2] == "The caller gets 1 from Normal."
    assert list(scenes(mixing))[1]["t:Normal"]["cells"][4] == "gives, mixing types"


def test_a_zone_check_is_the_kernels_answer():
    machine = Machine(memory="8 GiB")
    for mask in ZONE_MASKS.values():
        for order in range(11):
            checks = zone_checks(machine, mask, order)
            gives = next(check.zone for check in checks if check.ok)
            page = machine.alloc_pages(mask, order)
            assert page.zone.name == gives
            assert all(check.ok == (check.counted > check.mark + check.reserve) for check in checks)


@pytest.mark.parametrize("action", [
    {"do": "take", "gfp": "x", "order": 0, "times": "1"}, {"do": "take", "gfp": next(iter(ZONE_MASKS)), "order": None},
    {"do": "take", "gfp": next(iter(ZONE_MASKS)), "order": 0, "times": "7"}, {"do": "x"},
])
def test_the_zones_lab_refuses_nonsense(action):
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        ZonesLab().read(action)


def test_the_zones_lab_reads_its_forms():
    name, mask = next(iter(ZONE_MASKS.items()))
    assert ZonesLab().read({"do": "take", "gfp": name, "order": 1, "times": "100"}) == Take(mask, 1, 100)
    assert ZonesLab().read({"do": "free"}) == FreeAll()


@pytest.mark.parametrize(("sizes", "cost", "share"), [
    (("4 GiB", "8 KiB", "40"), "20 MiB", "0.49 %"),
    (("4 GiB", "4 KiB", "32"), "32 MiB", "0.78 %"),
    (("4 GiB", "4 KiB", "56"), "56 MiB", "1.37 %"),
    (("4 GiB", "4 KiB", "64"), "64 MiB", "1.56 %"),
    (("1 TiB", "4 KiB", "64"), "16 GiB", "1.56 %"),
])
def test_the_cost_of_mem_map_is_worked_out(sizes, cost, share):
    scene = MemMapLab().draw(sizes)
    assert scene["t:mib"].cells[1] == cost
    assert scene["t:share"].cells[1] == share


def test_the_calculator_opens_with_the_sum_of_the_books():
    lab = mem_map_lab()
    assert lab.scene["t:mib"]["cells"][1] == "20 MiB"
    asked = {"do": "work", "ram": "4 GiB", "page": "4 KiB", "struct": "64"}
    assert MemMapLab().read(asked) == Work("4 GiB", "4 KiB", "64")
    with pytest.raises(ValueError, match="choose from the lists"):
        MemMapLab().read({"do": "work", "ram": "4 GB", "page": "4 KiB", "struct": "64"})


def test_every_call_with_an_answer_can_be_predicted():
    kernel, *_ = ZONE_MASKS.values()
    labs = (
        pages_lab(calls=[Allocate(KERNEL, 0), OnPage("get"), OnPage("put"), OnPage("put")]),
        zones_lab(calls=[Take(kernel, 0, 10), Take(kernel, 5, 10000)]),
    )
    for lab in labs:
        asked = [frame[4] for frame in lab.run.frames if len(frame) > 4]
        assert len(asked) == len(lab.frames)
        assert all(0 <= answer < len(options) for _, options, answer in asked)
    counts = [options[answer] for _, options, answer in (frame[4] for frame in labs[0].run.frames)]
    assert counts == ["1", "2", "1", "0"]


def test_a_link_opens_the_lab_as_it_was():
    lab = pages_lab(link="1;pages;memory=64 MiB")
    assert lab.run.machine.machine.zones[-1].name == "DMA32"
    assert "error" in pages_lab(link="1;pages;memory=900 GiB").about
    assert "error" in pages_lab(Machine(memory="16 MiB"), link="1;pages;memory=64 MiB").about
