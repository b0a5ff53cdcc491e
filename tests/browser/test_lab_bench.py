"""The bench in a browser, with the real Python behind it and nothing in between: no kernel, no book.

What the browser sends goes straight to a Bench in this process; its answers go straight back.
"""

import json
import re

import pytest
from playwright.sync_api import expect

from kmm_sim import Machine
from kmm_sim.labs import buddy_lab
from lab_page import IN_BOTH

SCRIPT = "+0 +1 +0 -0 -1 -2"
EVENTS = 20  # of that script on 16 pages

# Drawn from what was saved, without Python


@pytest.fixture
def saved(open_lab):
    """A lab in a page that has no Python yet."""
    return open_lab(live="recorded", answers=False)


def test_it_opens_at_the_start_of_the_recorded_run(saved):
    assert saved.at == (0, EVENTS)
    assert saved.blocks == [[0, "free", "order 4"]]
    assert saved.lists[4] == ["order 4", ["0"]]
    expect(saved.find(".kmm-sentence")).to_have_text(re.compile(f"{EVENTS} events were recorded"))


@IN_BOTH
def test_it_steps_forth_and_back(saved):
    saved.find(".kmm-step").click()
    assert saved.blocks == [[0, "hand", "order 4"]]
    saved.find(".kmm-step").click()
    assert saved.blocks == [[0, "hand", "order 3"], [8, "free", "order 3"]]
    assert saved.lists[3] == ["order 3", ["8"]]
    assert saved.lists[5] == ["in hand", ["0 · order 3"]]
    expect(saved.find(".kmm-sentence")).to_have_text(
        "Split pfn 0: order 4 becomes two of order 3; pfn 8 waits at the head of order 3’s list.")
    expect(saved.find(".kmm-log .kmm-current")).to_have_text("sim_split: zone=0 pfn=0x0 order=3 migratetype=0")
    saved.find(".kmm-step_back").click()
    assert saved.blocks == [[0, "hand", "order 4"]]
    assert saved.at == (1, EVENTS)
    expect(saved.find(".kmm-log li")).to_have_count(2)


def test_every_moment_looks_the_same_from_either_side(saved):
    def look():
        return saved.blocks, saved.lists, saved.find(".kmm-line").inner_text(), saved.find(".kmm-sentence").inner_text()

    going = []
    for at in range(EVENTS + 1):
        saved.scrub(at)
        going.append(look())
    for at in reversed(range(EVENTS + 1)):
        saved.scrub(at)
        assert look() == going[at]
    assert len({str(each) for each in going}) == EVENTS + 1


def test_what_is_drawn_is_the_machines_own_state(saved):
    """After each event the free lists on the screen are those that replay gives."""
    from kmm_sim.observe import buddyinfo, frames, snapshot
    from kmm_sim.workload import parse, play

    machine = Machine(pages=16)
    start = snapshot(machine)
    play(machine, parse(SCRIPT))
    for at, state in enumerate(frames(start, machine.trace), 1):
        saved.scrub(at)
        shown = {label: [int(pfn) for pfn in pfns] for label, pfns in saved.lists if label != "in hand"}
        kept = {f"order {free.order}": list(free.pfns) for free in state.zones[0].free}
        assert shown == {label: kept.get(label, []) for label in shown}
        assert saved.find(".kmm-line").inner_text().rstrip() == buddyinfo(state).rstrip()
        assert [pfn for pfn, state_, _ in saved.blocks if state_ == "used"] == list(state.allocated)


@IN_BOTH
def test_it_plays_to_the_end_and_pauses(saved):
    saved.find(".kmm-speed").select_option("4")
    play = saved.find(".kmm-play")
    play.click()
    expect(play).to_have_accessible_name("Pause")
    saved.page.wait_for_function("Number(document.querySelector('.kmm-count').textContent.split(' / ')[0]) >= 3")
    play.click()
    at = saved.at[0]
    assert 3 <= at < EVENTS
    saved.page.wait_for_timeout(700)
    assert saved.at[0] == at
    play.click()
    saved.settle()
    expect(play).to_have_accessible_name("Play")
    play.click()
    saved.page.wait_for_function("Number(document.querySelector('.kmm-count').textContent.split(' / ')[0]) < 5")


def test_undo_goes_back_call_by_call(saved):
    saved.find(".kmm-to_end").click()
    assert saved.at == (EVENTS, EVENTS)
    saved.find(".kmm-button", has_text="Undo").click()
    assert saved.find(".kmm-now").inner_text() == "__free_pages(pfn_to_page(2), 1)"
    saved.find(".kmm-button", has_text="Reset").click()
    assert saved.at == (0, EVENTS)


def test_an_action_is_handed_to_the_page_and_says_so(saved):
    saved.scrub(6)
    saved.allocate(1)
    saved.find(".kmm-block[data-state=used]").first.click()
    assert saved.page.evaluate("acts") == [
        {"do": "alloc", "gfp": "GFP_KERNEL", "order": 1, "at": 6},
        {"do": "free", "page": "m:0", "order": 0},
    ]
    expect(saved.find(".kmm-notice")).to_have_text("Python is starting: your 2 requests run as soon as it is up.")
    assert saved.at == (6, EVENTS)
    saved.page.evaluate("""document.documentElement.dataset.live = "failed";
      document.dispatchEvent(new Event("kmm:live"))""")
    expect(saved.find(".kmm-notice")).to_have_text(re.compile("Python could not start"))


def test_a_new_bench_goes_on_where_the_old_one_was(saved, open_lab):
    saved.scrub(8)
    saved.find(".kmm-call[data-does=alloc] input").fill("3")
    saved.find(".kmm-step").focus()
    view = saved.page.evaluate("document.querySelector('.kmm-bench').kmmView()")
    lab = open_lab(live="yes")
    actions = [{"do": "alloc", "gfp": "GFP_KERNEL", "order": 0, "at": 8}, {"do": "free", "page": "m:0", "order": 0}]
    lab.page.evaluate("""detail => document.querySelector(".kmm-bench")
      .dispatchEvent(new CustomEvent("kmm:perform", { detail }))""", {"view": view, "actions": actions})
    lab.settle()
    calls = [frame[2] for frame in lab.bench.frames if len(frame) > 2]
    assert calls == [["call.alloc", "GFP_KERNEL", 0], ["call.alloc", "GFP_KERNEL", 1], ["call.alloc", "GFP_KERNEL", 0],
                     ["call.free", 0, 0]]
    assert lab.find(".kmm-call[data-does=alloc] input").input_value() == "3"
    assert lab.page.evaluate("document.activeElement.title") == "One event on"
    assert lab.at[0] == lab.at[1] == len(lab.bench.frames)


# With Python


@IN_BOTH
def test_a_click_allocates_and_the_block_is_there(open_lab):
    lab = open_lab(buddy_lab(pages=16))
    lab.allocate(2)
    lab.settle()
    assert lab.blocks == [[0, "used", "order 2"], [4, "free", "order 2"], [8, "free", "order 3"]]
    expect(lab.find(".kmm-block[data-state=used] .kmm-letter")).to_have_attribute("data-text", "U")
    lab.allocate(0, "GFP_HIGHUSER_MOVABLE")
    lab.settle()
    expect(lab.find("[data-key='m:4'] .kmm-letter")).to_have_attribute("data-text", "M")


@IN_BOTH
def test_a_click_on_a_block_frees_it(open_lab):
    lab = open_lab(buddy_lab(pages=16))
    lab.allocate(2)
    lab.settle()
    lab.find(".kmm-block[data-state=used]").click()
    lab.page.wait_for_function("document.querySelector('.kmm-log').textContent.includes('mm_page_free')")
    lab.settle()
    assert lab.blocks == [[0, "free", "order 4"]]


def test_a_free_block_is_only_looked_at(open_lab):
    lab = open_lab(buddy_lab(pages=16))
    lab.find(".kmm-block").click()
    assert [each["action"]["do"] for each in lab.sent] == ["hello"]


def test_the_list_of_what_is_held_frees_too_and_may_free_wrongly(open_lab):
    lab = open_lab(buddy_lab(pages=16))
    lab.allocate(2)
    lab.settle()
    form = lab.find(".kmm-call[data-does=free]")
    expect(form.locator("select")).to_have_text("pfn 0")
    expect(form.locator("input")).to_have_value("2")
    form.locator("input").fill("1")
    form.locator(".kmm-do").click()
    expect(lab.find(".kmm-notice")).to_have_text(re.compile("Not done: wrong order: pfn 0 was allocated with order 2"))
    assert lab.blocks[0] == [0, "used", "order 2"]
    form.locator("input").fill("2")
    form.locator(".kmm-do").click()
    lab.settle()
    lab.wait_for_blocks(1)
    expect(lab.find(".kmm-notice")).not_to_have_text(re.compile("Not done"))


@pytest.mark.parametrize(("order", "reason"), [
    ("11", "order 11 is out of range"), ("-1", "order -1 is out of range"), ("99999999999", "out of range"),
    ("", "whole number"), ("1e1", "whole number"),
])
def test_an_order_of_nonsense_is_answered_with_the_reason(open_lab, order, reason):
    lab = open_lab(buddy_lab(pages=16))
    lab.allocate(order)
    expect(lab.find(".kmm-notice")).to_have_text(re.compile(f"Not done: .*{reason}"))
    lab.allocate(0)
    lab.settle()
    assert lab.blocks[0] == [0, "used", "order 0"]


def test_out_of_memory_is_an_answer(open_lab):
    lab = open_lab(buddy_lab(pages=16))
    lab.allocate(5)
    lab.settle()
    expect(lab.find(".kmm-sentence")).to_have_text(
        "No block of order 5 or larger is free for GFP_KERNEL: the caller gets NULL.")


def test_a_block_that_is_gone_is_a_double_free(open_lab):
    """Another view of the same lab, or a cell, freed it first."""
    lab = open_lab(buddy_lab(pages=16))
    lab.allocate(2)
    lab.settle()
    machine = lab.bench.run.machine
    machine.free_pages(machine.virt_to_page(0xFFFF888000000000), 2)
    lab.find(".kmm-block[data-state=used]").click()
    expect(lab.find(".kmm-notice")).to_have_text(re.compile("double free: pfn 0 is free already"))
    assert lab.find(".kmm-log").inner_text().count("a call made elsewhere") == 1
    lab.settle()
    assert lab.blocks == [[0, "free", "order 4"]]


def test_a_call_made_in_the_past_starts_anew_from_there(open_lab):
    lab = open_lab()
    first = [index for index, frame in enumerate(lab.bench.frames) if len(frame) > 2][1]
    lab.scrub(first)
    expect(lab.find(".kmm-notice")).to_have_text(
        f"Now at event {first} of {EVENTS}: a call made here replaces what came after.")
    lab.allocate(3)
    lab.wait_for_blocks(2, "used")
    lab.settle()
    assert [pfn for pfn, state, _ in lab.blocks if state == "used"] == [0, 8]
    assert lab.page.evaluate("state.frames") == json.loads(json.dumps(lab.bench.frames))
    lab.find(".kmm-button", has_text="Reset").click()
    lab.page.wait_for_function(f"document.querySelector('.kmm-count').textContent === '0 / {EVENTS}'")
    lab.scrub(EVENTS)
    assert lab.blocks == [[0, "free", "order 4"]]


def test_a_call_right_after_a_reset_is_made_at_the_start(open_lab):
    lab = open_lab()
    lab.scrub(EVENTS)
    lab.allocate(0)
    lab.settle()
    lab.page.evaluate("""() => ["Reset", "Allocate"].forEach((name) =>
      [...document.querySelectorAll(".kmm-bench button")].find((each) => each.textContent === name).click())""")
    lab.page.wait_for_function("document.querySelector('.kmm-log').textContent.split('alloc_pages').length === 2")
    lab.settle()
    assert len(lab.bench.run.calls) == 1
    assert lab.blocks[0] == [0, "used", "order 0"]


def test_undo_and_another_call(open_lab):
    lab = open_lab(buddy_lab(pages=16))
    for order in (0, 1):
        lab.allocate(order)
        lab.settle()
    lab.find(".kmm-button", has_text="Undo").click()
    assert [block for block in lab.blocks if block[1] == "used"] == [[0, "used", "order 0"]]
    lab.allocate(3)
    lab.wait_for_blocks(2, "used")
    lab.settle()
    assert [pfn for pfn, state, _ in lab.blocks if state == "used"] == [0, 8]
    assert len(lab.bench.run.calls) == 2


def test_a_hundred_quick_clicks_are_a_hundred_calls(open_lab):
    lab = open_lab(buddy_lab(pages=128))
    lab.find(".kmm-call[data-does=alloc] input").fill("0")
    lab.find(".kmm-call[data-does=alloc] .kmm-do").evaluate("el => { for (let i = 0; i < 100; i++) el.click(); }")
    lab.wait_for_blocks(100, "used")
    lab.settle()
    assert len(lab.bench.run.calls) == 100
    assert lab.page.evaluate("state.frames.length") == len(lab.bench.frames) == lab.at[0]


def test_two_clicks_on_a_block_free_it_once(open_lab):
    lab = open_lab(buddy_lab(pages=16))
    lab.allocate(2)
    lab.settle()
    lab.page.evaluate("const b = document.querySelector('.kmm-block[data-state=used]'); b.click(); b.click();")
    lab.wait_for_blocks(1)
    lab.settle()
    expect(lab.find(".kmm-notice")).not_to_have_text(re.compile("Not done"))


@IN_BOTH
def test_a_kernel_that_does_not_answer_is_noticed(open_lab):
    lab = open_lab(answers=False)
    lab.allocate(2)
    expect(lab.find(".kmm-notice")).to_have_text(re.compile("No answer from Python"), timeout=10_000)
    lab.find(".kmm-step").click()
    assert lab.at == (1, EVENTS)


def test_new_frames_travel_alone_and_the_state_stays_whole(open_lab):
    """An answer is small, and the browser's copy of the traits is Python's all the same."""
    lab = open_lab()
    lab.scrub(EVENTS)
    lab.allocate(0)
    lab.settle()
    assert len(json.dumps(lab.answers[-1], separators=(",", ":"))) < 900  # six events
    assert lab.answers[-1]["keep"] == EVENTS
    assert lab.page.evaluate("state.frames") == json.loads(json.dumps(lab.bench.frames))
    assert json.loads(json.dumps(lab.bench.get_state()["frames"])) == json.loads(json.dumps(lab.bench.frames))


def test_none_may_come_as_undefined(open_lab):
    """As it does from Python in the page."""
    lab = open_lab(buddy_lab(pages=16))
    lab.bench.run.make(lab.bench.run.lab.read({"do": "alloc", "gfp": "GFP_KERNEL", "order": 0}))
    lab.bench.run.make(lab.bench.run.lab.read({"do": "free", "page": "m:0", "order": 0}))
    message = json.loads(json.dumps(lab.bench._news()))
    assert None in message["frames"][-2][1].values()
    lab.page.evaluate("""message => {
      const blank = (value) => value === null ? undefined : Array.isArray(value) ? value.map(blank)
        : typeof value !== "object" ? value
        : Object.fromEntries(Object.entries(value).map(([name, each]) => [name, blank(each)]));
      tell("msg:custom", blank(message), []);
    }""", message)
    lab.settle(len(message["frames"]))
    assert lab.blocks == [[0, "free", "order 4"]]
    for at in (2, len(message["frames"])):
        lab.scrub(at)
    assert lab.blocks == [[0, "free", "order 4"]]


def test_what_is_done_in_a_cell_is_shown_on_refresh(open_lab):
    lab = open_lab(buddy_lab(pages=16))
    lab.bench.run.machine.alloc_page(0xCC0)
    sent = []
    lab.bench.send = lambda content, buffers=None: sent.append(content)
    lab.bench.refresh()
    lab.page.evaluate("message => tell('msg:custom', message, [])", json.loads(json.dumps(sent[0])))
    lab.wait_for_blocks(1, "used")


# For every reader


def test_the_keyboard_alone_is_enough(open_lab):
    lab = open_lab(buddy_lab(pages=16))
    press = lab.page.keyboard.press
    lab.find(".kmm-call[data-does=alloc] input").focus()
    press("ArrowDown")
    press("ArrowDown")
    press("Enter")  # allocates order 0
    lab.settle(6)
    lab.find(".kmm-button", has_text="Undo").focus()
    for _ in range(20):
        press("Tab")
        if lab.page.evaluate("document.activeElement.classList.contains('kmm-block')"):
            break
    assert lab.page.evaluate("document.activeElement.dataset.key") == "m:0"
    press("ArrowRight")
    assert lab.page.evaluate("document.activeElement.dataset.key") == "m:1"
    press("End")
    assert lab.page.evaluate("document.activeElement.dataset.key") == "m:8"
    press("ArrowUp")
    press("Home")
    assert lab.page.evaluate("document.activeElement.dataset.key") == "m:0"
    press("Tab")
    assert lab.page.evaluate("document.activeElement.classList.contains('kmm-chip')")
    assert lab.page.evaluate("document.activeElement.textContent") == "1"
    press("ArrowDown")
    assert lab.page.evaluate("document.activeElement.textContent") == "2"
    expect(lab.find(".kmm-block.kmm-lit")).to_have_attribute("data-key", "m:2")
    press("Enter")  # to the block that it names
    assert lab.page.evaluate("document.activeElement.dataset.key") == "m:2"
    press("Home")
    press("Enter")  # frees
    lab.wait_for_blocks(1)
    assert lab.page.evaluate("document.activeElement.dataset.key") == "m:0"


def test_the_focus_is_seen(open_lab):
    lab = open_lab()
    lab.scrub(6)
    seen = set()
    for _ in range(40):
        lab.page.keyboard.press("Tab")
        name = lab.page.evaluate("document.activeElement.className || document.activeElement.tagName")
        visible = lab.page.evaluate("""() => { const el = document.activeElement;
          const shown = (each) => !/none| 0px/.test(getComputedStyle(each).outline);
          return el === document.body || shown(el) || shown(el.closest(".kmm-number") ?? el); }""")
        assert visible, name
        seen.add(name)
    assert len(seen) > 10


def test_hovering_lights_up_the_other_end(open_lab):
    lab = open_lab()
    lab.scrub(6)
    lab.find("[data-key='m:8'].kmm-block").hover()
    expect(lab.find(".kmm-chip.kmm-lit")).to_have_text("8")
    expect(lab.find(".kmm-detail")).to_have_text("pfn 8 to 15, order 3: free")
    lab.find(".kmm-chip", has_text="4").first.hover()
    expect(lab.find(".kmm-block.kmm-lit")).to_have_attribute("data-key", "m:4")


def test_the_state_is_there_as_text(open_lab):
    lab = open_lab()
    lab.scrub(6)
    lab.find(".kmm-text summary").click()
    expect(lab.find(".kmm-text pre")).to_contain_text("order 3: pfn 8")  # written once unfolded
    text = lab.find(".kmm-text pre").inner_text()
    assert "order 4: empty\n" in text
    assert "pfn 0, order 0: allocated, unmovable" in text
    assert "Node 0, zone   Normal      1      1      1      1" in text
    expect(lab.find(".kmm-block").first).to_have_accessible_name("pfn 0, order 0: allocated, unmovable. Press: Free.")
    expect(lab.find("p.kmm-hidden[role=status]")).to_have_text(
        f"event 6 of {EVENTS}: The caller gets the page at pfn 0.")


@pytest.mark.parametrize("width", [320, 360, 600, 740, 1100])
@pytest.mark.parametrize("pages", [4, 64, 1024])
def test_nothing_overflows_and_everything_can_be_touched(open_lab, width, pages):
    bench = buddy_lab(script="+0 +0 +1 -0 +0 +1", pages=pages)
    lab = open_lab(bench, viewport={"width": width, "height": 700}, has_touch=True)
    lab.scrub(12)
    assert lab.page.evaluate("document.documentElement.scrollWidth") <= width
    small = lab.page.evaluate("""() => [...document.querySelectorAll(
      ".kmm-bench :is(button:not(.kmm-block), select, summary, input[type=range])")]
      .map((each) => [each.className, each.getBoundingClientRect()])
      .filter(([, box]) => box.width < 24 || box.height < 24).map(([name]) => name)""")
    assert not small


@pytest.mark.parametrize("pages", [4, 16, 64, 256, 1024])
@pytest.mark.parametrize(("width", "index"), [(690, 0), (328, 1)])
def test_the_room_kept_for_a_bench_is_what_it_takes(open_lab, pages, width, index):
    bench = buddy_lab(script="+0 -0", pages=pages)
    lab = open_lab(bench, viewport={"width": width, "height": 900})
    height = lab.page.evaluate("document.querySelector('.kmm-figure').getBoundingClientRect().height")
    assert -40 <= bench._room[index] - height <= 110  # more does no harm, less moves the page


def test_touch_taps_act(open_lab):
    lab = open_lab(buddy_lab(pages=16), viewport={"width": 360, "height": 740}, has_touch=True)
    lab.find(".kmm-call[data-does=alloc] .kmm-do").tap()
    lab.settle()
    lab.find(".kmm-block[data-state=used]").tap()
    lab.wait_for_blocks(1)


def test_reduced_motion_is_respected(open_lab):
    lab = open_lab(buddy_lab(pages=16), reduced_motion="reduce")
    lab.allocate(0)
    lab.wait_for_blocks(1, "used")
    assert lab.at[0] == lab.at[1]  # at once, with nothing in between
    lab.find(".kmm-step_back").click()
    assert lab.page.evaluate("document.getAnimations().length") == 0


def test_a_split_is_seen_to_split_and_then_is_still(open_lab):
    lab = open_lab(live="recorded", answers=False)
    lab.scrub(1)
    moving = lab.page.evaluate("""() => { document.querySelector(".kmm-step").click();
      return document.getAnimations().map((each) => each.effect.getComputedTiming().duration); }""")
    assert moving
    assert max(moving) <= 150
    lab.page.wait_for_timeout(400)
    assert lab.page.evaluate("document.getAnimations().length") == 0


@pytest.mark.parametrize(("attributes", "scheme", "dark"), [
    ({}, "light", False), ({}, "dark", True),
    ({"data-theme": "dark"}, "light", True), ({"data-theme": "light"}, "dark", False),
    ({"data-jp-theme-light": "false"}, "light", True), ({"data-jp-theme-light": "true"}, "dark", False),
    ({"class": "vscode-dark"}, "light", True), ({"class": "vscode-light"}, "dark", False),
])
def test_light_and_dark_follow_the_page(open_lab, attributes, scheme, dark):
    lab = open_lab(color_scheme=scheme)
    for name, value in attributes.items():
        lab.page.evaluate("([name, value]) => document.documentElement.setAttribute(name, value)", [name, value])
    ground = lab.page.evaluate("getComputedStyle(document.querySelector('.kmm-figure')).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 200) is dark


def test_text_from_python_is_never_markup(open_lab):
    lab = open_lab(buddy_lab(pages=4, title="<img src=x onerror=boom()>", caption="<b>bold</b>"))
    expect(lab.find(".kmm-title")).to_have_text("<img src=x onerror=boom()>")
    expect(lab.find("figcaption")).to_have_text("<b>bold</b>")
    assert lab.find(".kmm-bench img, .kmm-bench b").count() == 0


def test_a_closed_view_leaves_nothing_behind(open_lab):
    lab = open_lab()
    lab.find(".kmm-play").click()
    lab.page.evaluate("""close();
      document.dispatchEvent(new Event("kmm:live"));
      tell("msg:custom", { done: 1, keep: 0, frames: [] })""")
    at = lab.find(".kmm-count").inner_text()
    lab.page.wait_for_timeout(1300)
    assert lab.find(".kmm-count").inner_text() == at
