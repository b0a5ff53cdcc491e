"""Every panel and every gap in a browser, on the lab of tools/every_panel.py, with the real Python behind it."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from playwright.sync_api import expect

from every_panel import FORMS, PANELS, EveryPanelLab, every_panel_lab
from kmm_sim.labs import Bench, kmalloc_lab, mem_map_lab, zones_lab
from kmm_sim.labs.run import Run
from kmm_sim.labs.scene import Box, Mark, Row, Series, Shelf, Shelves, Stage, Step
from kmm_sim.labs.view import Desk

FINDINGS = """() => axe.run(document.querySelector(".kmm-bench")).then(({ violations }) =>
  violations.map(({ id, nodes }) => `${id}: ${nodes.map((each) => each.html.slice(0, 160)).join(" | ")}`))"""


@pytest.fixture
def lab(open_lab):
    return open_lab(every_panel_lab())


def asked(lab):
    """What the last call was made with: made at the start, in place of the recorded ones."""
    lab.settle(1)
    return json.loads(lab.bench.run.machine.asked)


def panel(lab, key):
    """The element of a panel."""
    return lab.find(".kmm-stage .kmm-panel").nth([each for each in PANELS if each != "l"].index(key))


def look(lab):
    """All that the panels show, but what is only there for a moment."""
    return lab.page.evaluate("""() => {
      const stage = document.querySelector(".kmm-stage").cloneNode(true);
      for (const each of stage.querySelectorAll("mark")) each.replaceWith(...each.childNodes);
      for (const each of stage.querySelectorAll("[class]")) each.classList.remove("kmm-come", "kmm-fresh", "kmm-still");
      for (const each of stage.querySelectorAll("[tabindex]")) each.removeAttribute("tabindex");
      stage.normalize();
      return stage.innerHTML;
    }""")


# What is drawn


def test_every_moment_looks_the_same_from_either_side(lab):
    going = []
    for at in range(4):
        lab.scrub(at)
        going.append(look(lab))
    assert len(set(going)) == 4
    for at in (2, 0, 3, 1):
        lab.scrub(at)
        assert look(lab) == going[at]


def test_a_table_has_its_rows_their_marks_and_what_changed(lab):
    table = panel(lab, "t")
    expect(table.locator("thead th")).to_have_text(["field", "value", "meaning"])
    expect(table.locator("tbody tr").nth(1).locator("th, td")).to_have_text(["▸_refcount", "1", "users"])
    assert table.locator("tbody .kmm-sign").evaluate_all("all => all.map((each) => each.ariaLabel)") == [
        "true", "now", "false", "not asked"]
    lab.find(".kmm-step").click()
    expect(table.locator("mark")).to_have_text(["2", "call 0"])


def test_words_are_never_read_as_markup(lab):
    expect(panel(lab, "t").locator("tbody td").nth(5)).to_have_text("<b>nobody</b> maps it")
    assert not lab.find(".kmm-stage b:not(.kmm-legend b)").count()


def test_a_box_that_changes_its_shelf_is_seen_to_move(lab):
    lab.scrub(1)
    box = lab.find(".kmm-box[data-key='s:64']")
    expect(lab.find(".kmm-shelf", has=box).locator(".kmm-label")).to_have_text("partial")
    lab.find(".kmm-step").click()
    expect(lab.find(".kmm-shelf", has=box).locator(".kmm-label")).to_have_text("full")
    lab.page.wait_for_function("document.getAnimations().length === 0")
    expect(box.locator(".kmm-slot")).to_have_text(["A"] * 8)


def test_a_move_is_150_ms_and_none_where_motion_is_unwanted(open_lab):
    moves = """() => { document.querySelector(".kmm-step").click();
      return document.getAnimations().map((each) => each.effect.getTiming().duration); }"""
    lab = open_lab(every_panel_lab())
    lab.scrub(1)
    assert 150 in lab.page.evaluate(moves)
    lab = open_lab(every_panel_lab(), reduced_motion="reduce")
    lab.scrub(1)
    assert lab.page.evaluate(moves) == []


def test_a_freelist_is_drawn_from_its_head_and_said_in_words(lab):
    slots = lab.find(".kmm-box[data-key='s:64'] .kmm-slot")
    names = slots.evaluate_all("all => all.map((each) => each.ariaLabel)")
    assert names[1] == "pfn 64, slot 1: free, the next free one is slot 6"
    assert names[7] == "pfn 64, slot 7: free, the last of the freelist"
    path = lab.find(".kmm-box[data-key='s:64'] .kmm-arrows path").get_attribute("d")
    assert path.count("Q") == 3  # an arrow from each to the next
    lab.scrub(2)
    assert not lab.find(".kmm-box[data-key='s:64'] .kmm-arrows path").get_attribute("d")


def test_bytes_are_in_hexadecimal_and_long_runs_are_one_line(lab):
    rows = panel(lab, "b").locator(".kmm-hex-row")
    assert rows.nth(0).inner_text().split("\n")[:2] == ["…040040", "bb bb bb bb bb bb bb bb"]
    expect(rows.nth(0).locator(".kmm-address")).to_have_attribute("title", "0xffff888000040040")
    expect(rows.nth(2).locator(".kmm-hex")).to_have_text("32 bytes of 6b")
    names = panel(lab, "b").locator(".kmm-span-name")
    expect(names).to_have_text(["red zone", "object", "freelist pointer", "the rest"])
    lab.find(".kmm-step").click()
    expect(panel(lab, "b").locator("mark")).to_have_text("05 ")


def test_a_stack_is_drawn_with_its_highest_address_on_top(lab):
    expect(panel(lab, "k").locator(".kmm-address")).to_have_text(["1048", "1040", "1000"])
    expect(panel(lab, "k").locator(".kmm-hex-row").first.locator(".kmm-span-name")).to_have_text("f()")


def test_a_plot_grows_and_is_read_by_keyboard(lab):
    def points():
        return panel(lab, "p").locator(".kmm-plot .kmm-curve").first.get_attribute("d").count("V")

    before = points()
    lab.find(".kmm-step").click()
    assert points() == before + 1
    reading = panel(lab, "p").locator("input")
    reading.focus()
    lab.page.keyboard.press("Home")
    lab.page.keyboard.press("ArrowRight")
    assert reading.get_attribute("aria-valuetext") == "event 1, order 0 7, order 1 59"
    expect(panel(lab, "p").locator(".kmm-legend")).to_contain_text("event 1")


def texts(lab, title):
    """The words in a plot: text, left, right, top, bottom."""
    plot = lab.find(".kmm-panel", has=lab.page.get_by_text(title, exact=True)).locator(".kmm-plot")
    return plot.evaluate("""(plot) => [...plot.querySelectorAll("text")].map((each) => {
      const { left, right, top, bottom } = each.getBoundingClientRect();
      return [each.textContent, left, right, top, bottom];
    })""")


@pytest.mark.parametrize("width", [360, 740])
def test_every_bar_of_a_few_has_its_name(open_lab, width):
    for bench, title, names in ((zones_lab(), "Free pages", {"DMA", "DMA32", "Normal"}),
                                (mem_map_lab(), "Share of memory", {"4 KiB", "8 KiB", "16 KiB", "64 KiB"})):
        lab = open_lab(bench, viewport={"width": width, "height": 900})
        drawn = sorted((left, right, text) for text, left, right, *_ in texts(lab, title) if text in names)
        assert {text for *_, text in drawn} == names
        assert all(right < left for (_, right, _), (left, *_) in pairwise(drawn))


def test_names_of_marks_are_not_written_over_one_another(open_lab):
    class Marked(EveryPanelLab):
        def draw(self, state):
            scene = super().draw(state)
            marks = tuple(Mark(name, level) for name, level in (("low", 5), ("high", 6), ("min", 4)))
            return scene | {"p": replace(scene["p"], marks=marks)}

    lab = open_lab(Bench(Run(Desk(calls=0, asked=""), Marked())))
    found = texts(lab, "Free pages")
    names = sorted((top, text) for text, _, _, top, _ in found if text in ("high 6", "low 5", "min 4"))
    assert [text for _, text in names] == ["high 6", "low 5", "min 4"]
    assert all(below - above >= 10 for (above, _), (below, _) in pairwise(names))


def test_bars_have_numbers_only_where_one_points(open_lab):
    lab = open_lab(zones_lab())
    legend = lab.find(".kmm-panel", has=lab.page.get_by_text("Free pages", exact=True)).locator(".kmm-legend")
    assert legend.inner_text().split() == ["free", "low", "+", "reserve"]
    lab.find(".kmm-plot").hover()
    expect(legend).to_contain_text("zone DMA32")


def test_a_plot_of_nothing_yet_ends_at_one(open_lab):
    class Empty(EveryPanelLab):
        def draw(self, state):
            scene = super().draw(state)
            none = {"p:0": Series("order 0"), "p:1": Series("order 1", (0, 0))}
            return scene | {"p": replace(scene["p"], marks=())} | none

    lab = open_lab(Bench(Run(Desk(calls=0, asked=""), Empty())))
    assert [text for text, *_ in texts(lab, "Free pages")][:3] == ["0", "0.5", "1"]


def test_a_hundred_boxes_are_in_a_window_of_their_own(open_lab):
    class Many(EveryPanelLab):
        def draw(self, state):
            boxes = {f"s:{number}": Box(f"slab {number}", ("A", "", "")) for number in range(100)}
            shelves = {"s": Shelves("Slabs", "", ("s:all",)), "s:all": Shelf("all", "", tuple(boxes))}
            return {"": Stage("Many", ("s",))} | shelves | boxes

    lab = open_lab(Bench(Run(Desk(calls=0, asked=""), Many())))
    assert lab.find(".kmm-stage").evaluate("(stage) => stage.offsetHeight") < 500
    shelf = lab.page.get_by_role("group", name="all", exact=True)
    shelf.focus()
    lab.page.keyboard.press("End")
    lab.page.wait_for_function("document.querySelector('.kmm-many').scrollTop > 100")


def test_a_flow_says_where_it_stands(lab):
    steps = panel(lab, "w").locator(".kmm-flow-step")
    assert steps.evaluate_all("all => all.map((each) => each.dataset.state)") == ["now", "todo", "skipped", "todo"]
    lab.scrub(2)
    expect(steps.nth(1).locator(".kmm-plain")).to_have_accessible_name(
        "retry at min, failed, 12 < 20 pages, min, and half of it for __GFP_HIGH")


def test_panels_stand_side_by_side_as_laid_out_and_in_reading_order_on_a_phone(open_lab):
    def tops(width):
        lab = open_lab(every_panel_lab(), viewport={"width": width, "height": 800})
        return {key: round(panel(lab, key).bounding_box()["y"]) for key in PANELS if key != "l"}

    wide, narrow = tops(740), tops(360)
    assert wide["t"] == wide["w"] != wide["s"]
    assert sorted(narrow, key=narrow.get) == [key for key in PANELS if key != "l"]
    assert len(set(narrow.values())) == len(narrow)


def test_pointing_at_a_thing_lights_up_what_it_stands_for_and_says_what_it_is(lab):
    lab.find(".kmm-slot[data-key='v:0/2']").hover()
    expect(lab.find(".kmm-block.kmm-lit")).to_have_attribute("data-key", "m:8")
    expect(lab.find(".kmm-tip")).to_have_text("0xffffc90000000000, slot 2: allocated by B")
    lab.find(".kmm-block[data-key='m:0']").hover()
    lit = lab.find(".kmm-stage :is(.kmm-slot, .kmm-flow-step).kmm-lit")
    assert sorted(lit.evaluate_all("all => all.map((each) => each.dataset.key)")) == ["q:page", "v:0/0"]


# What a reader does


def test_an_object_is_freed_by_a_click(lab):
    lab.find(".kmm-slot[data-key='s:64/2']").click()
    assert asked(lab) == {"do": "free", "object": "s:64/2"}


def test_a_free_slot_is_nothing_to_press(lab):
    lab.find(".kmm-slot[data-key='s:64/1']").click()
    lab.find(".kmm-slot[data-key='v:0/0']").click()
    assert [each["action"]["do"] for each in lab.sent] == ["hello"]


def test_a_select_offers_objects_and_rows_by_their_names(lab):
    options = lab.find(".kmm-call[data-does=free] option")
    assert options.all_inner_texts()[-4:] == [f"pfn 64, slot {slot}" for slot in (0, 2, 3, 5)]
    expect(lab.find(".kmm-call[data-does=get] option")).to_have_text(["_refcount"])
    panel(lab, "t").locator("button", has_text="_refcount").click()
    assert asked(lab) == {"do": "get", "row": "t:ref"}


def test_flags_a_switch_and_what_is_typed_come_as_they_are(lab):
    form = lab.find(".kmm-call[data-does=decode]")
    form.get_by_label("__GFP_HIGH").check()
    form.get_by_label("__GFP_IO").uncheck()
    form.get_by_label("spinlock held").press("Space")
    lab.write(form.get_by_label("address"), "0x10")
    form.locator(".kmm-do").click()
    assert asked(lab) == {"do": "decode", "flags": ["__GFP_HIGH"], "lock": False, "address": "0x10"}


def test_what_was_set_is_set_again_in_a_bench_drawn_anew(open_lab):
    lab = open_lab(every_panel_lab())
    lab.find(".kmm-call[data-does=decode]").get_by_label("__GFP_NOWARN").check()
    lab.find(".kmm-call[data-does=decode]").get_by_label("spinlock held").uncheck()
    view = lab.page.evaluate("document.querySelector('.kmm-bench').kmmView()")
    other = open_lab(every_panel_lab())
    other.page.evaluate("""view => document.querySelector(".kmm-bench").dispatchEvent(
      new CustomEvent("kmm:perform", { detail: { view } }))""", view)
    expect(other.find(".kmm-call[data-does=decode]").get_by_label("__GFP_NOWARN")).to_be_checked()
    expect(other.find(".kmm-call[data-does=decode]").get_by_label("spinlock held")).not_to_be_checked()


def test_what_the_lab_refuses_is_said_and_nothing_is_lost(lab):
    lab.write(lab.find(".kmm-call[data-does=alloc] input"), "")
    lab.find(".kmm-call[data-does=alloc] input").evaluate("el => { el.type = 'text'; el.value = 'nonsense'; }")
    lab.find(".kmm-call[data-does=alloc] .kmm-do").click()
    expect(lab.find(".kmm-notice")).to_contain_text("a size is a number of bytes")
    lab.find(".kmm-slot[data-key='s:64/2']").click()
    lab.settle(1)


# The map of a whole machine


def test_a_click_on_the_map_goes_closer_and_then_chooses_a_page(lab):
    canvas, where = lab.find(".kmm-canvas"), lab.find(".kmm-map-where")
    expect(where).to_have_text("pfn 0 to 1023 · DMA · 758 used, 256 reserved, 7 movable, 3 free")
    for _ in range(4):
        canvas.click(position={"x": 5, "y": 5})
    expect(where).to_have_text("pfn 0 · DMA · reserved")
    expect(lab.find(".kmm-zoom").nth(1)).to_have_attribute("aria-disabled", "true")
    canvas.click(position={"x": 5, "y": 200})
    assert asked(lab) == {"do": "look", "page": "M:112"}


def test_the_map_by_keyboard_alone(lab):
    lab.find(".kmm-map-frame").focus()
    press = lab.page.keyboard.press
    for key in ("Enter", "+", "Enter", "Enter"):
        press(key)
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft"):
        press(key)
    expect(lab.find(".kmm-map-where")).to_have_text("pfn 17 · DMA · reserved")
    expect(lab.find(".kmm-call[data-does=look] option")).to_have_text("pfn 17")
    press("Enter")
    assert asked(lab) == {"do": "look", "page": "M:17"}
    press("End")
    expect(lab.find(".kmm-map-where")).to_contain_text(f"pfn {(1 << 21) - 1} · Normal")
    press("Escape")
    expect(lab.find(".kmm-zoom").nth(1)).to_have_attribute("aria-disabled", "false")


def test_a_zone_is_gone_to_by_its_name(lab):
    lab.find(".kmm-zones button", has_text="Normal").click()
    expect(lab.find(".kmm-map-where")).to_contain_text(f"pfn {1 << 20} to ")


def test_the_map_paints_what_is_there(lab):
    colours = """() => { const canvas = document.querySelector(".kmm-canvas");
      const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      const seen = new Map();
      for (let at = 0; at < all.length; at += 4) {
        const colour = all.slice(at, at + 3).join();
        seen.set(colour, (seen.get(colour) ?? 0) + 1);
      }
      return Object.fromEntries(seen); }"""
    found = lab.page.evaluate(colours)
    assert {"86,180,233", "230,159,0", "255,255,255"} <= set(found)  # used, movable, free
    assert min(found[each] for each in ("86,180,233", "230,159,0", "255,255,255")) > 2000


# For every reader


def test_the_keyboard_gets_into_every_panel_and_is_seen_there(lab):
    keys, outlined = set(), set()
    lab.find(".kmm-title button, .kmm-block").first.focus()
    lab.page.keyboard.press("Shift+Tab")
    for _ in range(40):
        lab.page.keyboard.press("Tab")
        key, seen = lab.page.evaluate("""() => { const at = document.activeElement, own = at.closest("[data-key]");
          const of = own ?? at.closest(".kmm-panel")?.querySelector("[data-key]");
          return [(own ?? of)?.dataset.key?.split(":")[0] ?? at.className,
                  getComputedStyle(at).outlineStyle !== "none"]; }""")
        keys.add(key)
        if seen:
            outlined.add(key)
    wanted = set(PANELS) - {"l", "M", "f"} | {"kmm-map-frame"}  # what the lists name are blocks of m
    assert wanted <= keys
    assert wanted <= outlined


def test_arrow_keys_go_to_what_lies_that_way(lab):
    lab.find(".kmm-box[data-key='s:64'] [data-stop='s:64']").focus()
    at = "document.activeElement.dataset.stop"
    lab.page.keyboard.press("ArrowDown")
    assert lab.page.evaluate(at).startswith("s:64/")
    lab.page.keyboard.press("ArrowRight")
    second = lab.page.evaluate(at)
    lab.page.keyboard.press("ArrowLeft")
    assert int(second[5:]) == int(lab.page.evaluate(at)[5:]) + 1
    lab.page.keyboard.press("End")
    assert lab.page.evaluate(at) == "s:64/7"
    lab.page.keyboard.press("ArrowLeft")
    lab.page.keyboard.press("ArrowLeft")
    lab.page.keyboard.press("Enter")  # frees
    assert asked(lab)["object"] == "s:64/5"


def test_the_state_of_every_panel_is_there_as_text(lab):
    lab.scrub(1)
    lab.find(".kmm-text summary").click()
    expect(lab.find(".kmm-text pre")).to_contain_text("kmalloc-64")
    text = lab.find(".kmm-text pre").inner_text()
    for line in (
        "now, _refcount, 2, users. put_page() takes one away.",
        "pfn 64, 5 of 8 in use [ABAB·A··] freelist 6 → 4 → 7",
        "empty: empty",
        "retry at min, now, 12 < 20 pages, min, and half of it for __GFP_HIGH",
        "object, 40 bytes from offset 8. what kmalloc() returned: 01 02 03 05 41 42, 34 bytes of 6b",
        "order 0: 31 values, from 0 to 39, now 10",
        "size 16, waste 2",
        "pfn 0 to 255: reserved",
    ):
        assert line in text, line


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1100])
def test_axe_finds_nothing(open_lab, axe, width, dark):
    scheme = "dark" if dark else "light"
    lab = open_lab(every_panel_lab(), viewport={"width": width, "height": 900}, color_scheme=scheme)
    lab.scrub(2)
    lab.find(".kmm-text summary").click()
    lab.page.evaluate(axe)
    assert lab.page.evaluate(FINDINGS) == []


@pytest.mark.parametrize("width", [320, 360, 600, 740, 1100])
def test_nothing_overflows_and_everything_can_be_touched(open_lab, width):
    lab = open_lab(every_panel_lab(), viewport={"width": width, "height": 800}, has_touch=True)
    lab.scrub(2)
    assert lab.page.evaluate("document.documentElement.scrollWidth") <= width
    small = lab.page.evaluate("""() => [...document.querySelectorAll(
      ".kmm-bench :is(button:not(.kmm-block, .kmm-plain), select, summary, label)")]
      .map((each) => [each.className, each.getBoundingClientRect()])
      .filter(([, box]) => box.width && (box.width < 24 || box.height < 24)).map(([name]) => name)""")
    assert not small


@pytest.mark.parametrize("which", [*PANELS, "all"])
def test_the_room_kept_for_a_bench_is_what_it_takes(open_lab, which):
    bench = every_panel_lab() if which == "all" else every_panel_lab((which,), FORMS[:1])
    for width, kept in zip((690, 328), bench._room, strict=True):
        lab = open_lab(bench, viewport={"width": width, "height": 900})
        height = lab.page.evaluate("document.querySelector('.kmm-figure').getBoundingClientRect().height")
        assert -40 <= kept - height <= (220 if which == "all" else 130)  # more does no harm


@pytest.mark.parametrize("width", [328, 690])
def test_nothing_moves_while_one_steps_through_a_recorded_run(open_lab, width):
    lab = open_lab(kmalloc_lab("+100 +100 +90 -0 +120 +9000"), viewport={"width": width, "height": 900})
    place = "() => Math.round(document.querySelector('.kmm-log').getBoundingClientRect().top + scrollY)"
    before, seen = lab.page.evaluate(place), set()
    for at in range(1, 7):
        lab.scrub(at)
        seen.add(lab.page.evaluate(place))
    assert seen == {before}


def test_a_panel_that_is_empty_says_what_comes(open_lab):
    lab = open_lab(kmalloc_lab("+100"))
    assert lab.find(".kmm-none:visible").count()
    lab.scrub(1)
    assert not lab.find(".kmm-none:visible").count()


class Growing(EveryPanelLab):
    """A lab whose table and flow grow by a row and a step with every call, and lose them on the way back."""

    def draw(self, state):
        scene = super().draw(state)
        rows = {f"t:new{n}": Row((f"row {n}", n, "")) for n in range(state[0])}
        steps = {f"w:new{n}": Step(f"step {n}") for n in range(state[0])}
        scene["t"] = replace(scene["t"], rows=(*scene["t"].rows, *rows))
        scene["w"] = replace(scene["w"], steps=(*steps, *scene["w"].steps))
        return scene | rows | steps


def test_rows_and_steps_come_and_go(open_lab):
    bench = every_panel_lab()
    run = Run(Desk(calls=0, asked=""), Growing())
    for call, _ in bench.run.calls:
        run.make(call)
    lab = open_lab(Bench(run))
    for at in (3, 1, 2, 0, 3):
        lab.scrub(at)
        expect(panel(lab, "t").locator("tbody tr")).to_have_count(4 + at)
        assert panel(lab, "w").locator(".kmm-plain").all_inner_texts()[:at] == [f"step {n}" for n in range(at)]


def test_a_scene_without_calls_and_without_layout_is_drawn(open_lab):
    class Plain(EveryPanelLab):
        def draw(self, state):
            scene = super().draw(state)
            return scene | {"": Stage("Plain", tuple(key for key in PANELS if key != "f"))}

    lab = open_lab(Bench(Run(Desk(calls=0, asked=""), Plain())))
    expect(lab.find(".kmm-stage .kmm-panel")).to_have_count(len(PANELS) - 2)
