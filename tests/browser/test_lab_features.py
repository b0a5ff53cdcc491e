"""What every lab has beside its panels: predict and reveal, redo, seed, links, files to save, print.

Each is tried on a lab of its own, written by Python, with Python behind it; see tools/lab_page.py.
"""

import json
import re
import xml.etree.ElementTree as ElementTree

import pytest
from playwright.sync_api import expect

from kmm_sim import Machine
from kmm_sim.labs import buddy_lab, gfp_lab, slab_lab
from kmm_sim.labs.recorded import FROM_AN_INTERRUPT
from lab_page import IN_BOTH

EVENTS = 20  # of the lab that open_lab() opens by itself
SVG = "{http://www.w3.org/2000/svg}"


def hear_hello(lab):
    """Wait until the lab knows that there is Python."""
    while not lab.answers:
        lab.page.wait_for_timeout(20)
    lab.page.wait_for_timeout(100)


def press(lab, name):
    lab.page.get_by_role("button", name=name, exact=True).click()


def saved(lab, name):
    """The file that a button saves: its name, and its text."""
    if lab.page.context.browser.browser_type.name == "firefox":
        return kept_from_firefox(lab, name)
    with lab.page.expect_download() as download:
        press(lab, name)
    return download.value.suggested_filename, download.value.path().read_text(encoding="utf-8")


def kept_from_firefox(lab, name):
    """The same, read from the link that is pressed: through WebDriver, Firefox tells of no download."""
    lab.page.evaluate("""() => { HTMLAnchorElement.prototype.click = function () {
      window.pressed = fetch(this.href).then((file) => file.text()).then((text) => [this.download, text]); }; }""")
    press(lab, name)
    return lab.page.evaluate("pressed")


def link_of(lab):
    """What "Copy link" gives in a notebook."""
    press(lab, "Copy link")
    return re.search(r'link="(.*)"', lab.find(".kmm-notice").inner_text())[1]


# Predict, then reveal


def options(lab):
    return [text[1:].strip() for text in lab.find(".kmm-options .kmm-option").all_inner_texts()]


@IN_BOTH
def test_nothing_new_is_shown_before_the_reader_has_said_what_it_will_be(open_lab):
    lab = open_lab(live="recorded", answers=False)
    press(lab, "Predict")
    expect(lab.find(".kmm-question")).to_contain_text("alloc_pages(GFP_KERNEL, 0)")
    for way in (".kmm-step", ".kmm-to_end", ".kmm-play"):
        lab.find(way).click()
        assert lab.at == (0, EVENTS)
    lab.scrub(9)
    assert lab.at == (0, EVENTS)
    expect(lab.find(".kmm-log li")).to_have_count(0)
    expect(lab.find(".kmm-question")).to_contain_text("How many times is a block split?")
    assert options(lab) == ["3", "4", "5", "6"]


@IN_BOTH
def test_an_answer_is_revealed_judged_and_counted(open_lab):
    lab = open_lab(live="recorded", answers=False)
    press(lab, "Predict")
    lab.find(".kmm-option").nth(1).click()  # four times
    expect(lab.find(".kmm-verdict")).to_have_text("Right.")
    expect(lab.find(".kmm-question")).to_contain_text("How many times is a block split?")  # it still stands there
    lab.page.wait_for_function("document.querySelector('.kmm-count').textContent === '6 / 20'")
    expect(lab.find(".kmm-score")).to_have_text("1 of 1 right")
    press(lab, "Go on")
    expect(lab.find(".kmm-question")).to_contain_text("alloc_pages(GFP_KERNEL, 1)")
    expect(lab.find(".kmm-question")).to_contain_text("Which page frame does the caller get?")
    assert options(lab) == ["pfn 0", "pfn 2", "pfn 4", "pfn 8"]
    lab.find(".kmm-option").first.click()
    expect(lab.find(".kmm-verdict")).to_have_text("No: pfn 2")
    expect(lab.find(".kmm-score")).to_have_text("1 of 2 right")


def test_the_keyboard_answers_and_goes_on(open_lab):
    lab = open_lab(live="recorded", answers=False, reduced_motion="reduce")
    lab.find(".kmm-predict").focus()
    lab.page.keyboard.press("Enter")
    lab.page.keyboard.press("2")
    expect(lab.find(".kmm-verdict")).to_have_text("Right.")
    assert lab.at == (6, EVENTS)
    lab.page.keyboard.press("Enter")  # the focus is on "Go on"
    expect(lab.find(".kmm-question")).to_contain_text("Which page frame")
    lab.page.keyboard.press("9")  # no such answer
    expect(lab.find(".kmm-question")).to_contain_text("Which page frame")


def test_where_the_lab_has_no_question_the_next_event_is_asked_for(open_lab):
    bench = buddy_lab(script="+0 +1 -0", pages=16)
    for frame in bench.frames:
        del frame[3:]
    lab = open_lab(bench, live="recorded", answers=False, reduced_motion="reduce")
    press(lab, "Predict")
    told = {}
    for at in range(5):
        expect(lab.find(".kmm-question")).to_contain_text("What happens next?")
        offered = options(lab)
        assert len(offered) == len(set(offered)) == 3
        lab.find(".kmm-option").first.click()
        assert lab.at[0] == at + 1
        told[at] = lab.find(".kmm-sentence").inner_text()
        assert told[at] in offered
        right = offered[0] == told[at]
        expect(lab.find(".kmm-verdict")).to_have_text("Right." if right else f"No: {told[at]}")
        press(lab, "Go on")
    assert len(set(told.values())) == 5


def test_what_the_same_call_will_yet_do_is_no_wrong_answer(open_lab):
    bench = slab_lab("+1 +4 -0-3 +2")
    calls, says = [], [frame[0][2] for frame in bench.frames]
    for at, frame in enumerate(bench.frames):
        calls.append(at if len(frame) > 2 else calls[-1])
        del frame[3:]
    lab = open_lab(bench, live="recorded", answers=False, reduced_motion="reduce")
    press(lab, "Predict")
    for at in range(8):
        expect(lab.find(".kmm-question")).to_contain_text("What happens next?")
        same = {said for said, call in zip(says, calls, strict=True) if call == calls[at]}
        assert same & set(options(lab)) == {says[at]}
        lab.find(".kmm-option").first.click()
        press(lab, "Go on")


def test_a_call_of_the_readers_own_is_asked_about_too(open_lab):
    lab = open_lab(buddy_lab(pages=16), reduced_motion="reduce")
    press(lab, "Predict")
    expect(lab.find(".kmm-question")).to_have_text("Nothing is left to predict. Make a call, or start over.")
    lab.allocate(3)
    expect(lab.find(".kmm-question")).to_contain_text("Next call: alloc_pages(GFP_KERNEL, 3)")
    assert lab.at[0] == 0
    lab.find(".kmm-option").first.click()
    lab.settle()
    lab.wait_for_blocks(2)


def test_what_was_seen_may_be_seen_again_and_the_mode_ends_where_it_began(open_lab):
    lab = open_lab(live="recorded", answers=False)
    lab.scrub(6)
    press(lab, "Predict")
    lab.scrub(2)
    assert lab.at == (2, EVENTS)
    lab.find(".kmm-to_end").click()
    assert lab.at == (6, EVENTS)
    press(lab, "Predict")
    expect(lab.find(".kmm-ask")).to_be_hidden()
    lab.find(".kmm-to_end").click()
    assert lab.at == (EVENTS, EVENTS)


def test_every_call_of_a_run_is_asked_about_truly():
    """Against the events themselves: the answer that counts as right is what happens."""
    bench = buddy_lab(seed=3, steps=60, pages=32)
    frames, asked = bench.frames, 0
    starts = [at for at, frame in enumerate(frames) if len(frame) > 2]
    for start, end in zip(starts, [*starts[1:], len(frames)], strict=True):
        (phrase,), offered, answer = frames[start][4]
        names = [frame[0] for frame in frames[start:end]]
        told = {"ask.splits": "split", "ask.merges": "merge"}.get(phrase)
        if told:
            assert int(offered[answer]) == sum(name[0] == told for name in names)
        elif phrase == "ask.pfn":
            assert offered[answer] == ["pfn.plain", next(name[1] for name in names if name[0].startswith("alloc"))]
        else:
            assert (offered[answer] == ["ask.null"]) == any(name[0] == "alloc_failed" for name in names)
        asked += 1
    assert asked == len(starts) > 50


# Undo, redo, seed


@IN_BOTH
def test_undo_and_redo_go_call_by_call(open_lab):
    lab = open_lab(live="recorded", answers=False)
    ends = []
    for _ in range(3):
        press(lab, "Redo")
        ends.append(lab.at[0])
    assert ends == [6, 8, 10]
    press(lab, "Undo")
    press(lab, "Undo")
    assert lab.at == (6, EVENTS)
    lab.scrub(7)  # within a call: to its end
    press(lab, "Redo")
    assert lab.at == (8, EVENTS)
    lab.find(".kmm-to_end").click()
    expect(lab.page.get_by_role("button", name="Redo")).to_have_attribute("aria-disabled", "true")


@IN_BOTH
def test_another_seed_is_another_run_and_the_same_seed_the_same(open_lab):
    lab = open_lab(buddy_lab(seed=1, steps=10))
    first = lab.page.evaluate("state.frames")
    seed = lab.page.get_by_label("seed:")
    for number, same in (("2", False), ("1", True)):
        lab.write(seed, number)
        seed.press("Tab")
        lab.page.wait_for_function(f"state.about.settings.seed === {number}")
        assert (lab.page.evaluate("state.frames") == first) is same
        assert lab.at[0] == 0
    lab.find(".kmm-to_end").click()
    lab.settle()
    assert len(lab.blocks) > 1
    assert lab.page.evaluate("state.frames") == json.loads(json.dumps(lab.bench.frames))
    assert lab.page.evaluate("state.scene") == json.loads(json.dumps(lab.bench.scene))


@pytest.mark.parametrize(("seed", "reason"), [("-3", "-3"), ("99999999999", "")])
def test_a_strange_seed_leaves_the_lab_usable(open_lab, seed, reason):
    lab = open_lab(buddy_lab(seed=1, steps=10))
    field = lab.page.get_by_label("seed:")
    lab.write(field, seed)
    field.press("Tab")
    lab.page.wait_for_timeout(200)
    lab.allocate(0)
    expect(lab.find(".kmm-log")).to_contain_text("alloc_pages(GFP_KERNEL, 0)", timeout=15_000)


# Links


@IN_BOTH
def test_a_link_opens_the_lab_as_it_was(open_lab):
    lab = open_lab(buddy_lab(script="+0 +1 +0 -0 -1 -2", pages=16))
    lab.scrub(6)
    lab.allocate(1, "GFP_ATOMIC")
    lab.settle()
    lab.find(".kmm-block[data-state=used]").last.click()
    lab.settle()
    lab.scrub(7)
    link = link_of(lab)
    assert link == "1;buddy;pages=16;script=+0~+1~+0~-0~-1~-2;:1;alloc/GFP_ATOMIC/1;free/m:2/1;@7"
    again = open_lab(buddy_lab(link=link))
    assert again.at == lab.at
    assert again.blocks == lab.blocks
    assert again.lists == lab.lists
    again.find(".kmm-to_end").click()
    lab.find(".kmm-to_end").click()
    assert again.blocks == lab.blocks


@pytest.mark.parametrize("width", [360, 740])
def test_a_long_link_that_could_not_be_copied_is_shown_within_the_lab(open_lab, width):
    bench = buddy_lab(pages=16)
    for _ in range(25):
        bench.run.make(bench.run.lab.read(action := {"do": "alloc", "gfp": "GFP_KERNEL", "order": 0}), action=action)
    bench.refresh()
    lab = open_lab(bench, viewport={"width": width, "height": 900})
    lab.find(".kmm-to_end").click()
    assert link_of(lab).count("alloc") == 25
    assert lab.page.evaluate("document.documentElement.scrollWidth") <= width


def test_each_call_has_its_prototype_beside_it_whatever_else_is_said(open_lab):
    lab = open_lab()
    press(lab, "Copy link")
    assert lab.find(".kmm-call .kmm-prototype").all_inner_texts() == [
        "struct page *alloc_pages(gfp_t gfp, unsigned int order);",
        "void __free_pages(struct page *page, unsigned int order);"]
    for form in lab.find(".kmm-call").all():
        assert form.locator(".kmm-prototype").is_visible()


FRAGMENT = "1;buddy;pages=16;script=+0;alloc/GFP_KERNEL/2;@7"


@IN_BOTH
def test_a_link_in_the_address_waits_for_python_and_says_so(open_lab):
    lab = open_lab(live="recorded", answers=False)
    lab.page.evaluate("fragment => { location.hash = fragment; }", f"#kmm.1={FRAGMENT}&kmm.2=1;other")
    expect(lab.find(".kmm-notice")).to_have_text(
        "This link holds a state of this lab: it is shown as soon as Python is up.")
    assert lab.page.evaluate("acts") == [{"do": "open", "link": FRAGMENT}]


@IN_BOTH
def test_a_link_in_the_address_is_shown_once_python_is_up(open_lab):
    lab = open_lab(live="yes")
    hear_hello(lab)
    lab.page.evaluate("fragment => { location.hash = fragment; }", f"#kmm.1={FRAGMENT}")
    lab.page.wait_for_function("document.querySelector('.kmm-count').textContent.startsWith('7 / ')")
    assert [block for block in lab.blocks if block[1] == "used"] == [[0, "used", "order 0"]]
    lab.find(".kmm-to_end").click()
    lab.wait_for_blocks(2, "used")
    press(lab, "Reset")  # to the recorded run of that link
    lab.page.wait_for_function("document.querySelector('.kmm-count').textContent === '0 / 6'")


def test_the_second_of_two_labs_has_a_link_of_its_own(open_lab):
    lab = open_lab(live="yes")
    hear_hello(lab)
    lab.page.evaluate("fragment => { location.hash = fragment; }", f"#kmm.2={FRAGMENT}")
    lab.page.wait_for_timeout(300)
    assert lab.at == (0, EVENTS)
    assert not [each for each in lab.sent if each["action"]["do"] == "open"]


BROKEN = [
    "", "1", "2;buddy", "1;kmalloc", "1;buddy;pages=0", "1;buddy;pages=99999999", "1;buddy;pages=many",
    "1;buddy;cpus=2",
    "1;buddy;script=-0", "1;buddy;script=%FF", "1;buddy;alloc/GFP_KERNEL/11", "1;buddy;alloc/GFP_NOPE/1",
    "1;buddy;alloc/GFP_KERNEL/1/do=reset", "1;buddy;free/m:9/0", "1;buddy;:9;alloc/GFP_KERNEL/0",
    "1;buddy;eval(1)", "1;buddy;__class__=1", "1;buddy;alloc/*a,*b/1", "1;buddy;@99999999999999999999",
    "1;buddy;" + ";".join(["alloc/GFP_KERNEL/0"] * 201), "1;buddy;script=" + "+0~" * 4000, "\x00\ud83d",
    "1;buddy;alloc",
]


@pytest.mark.parametrize("link", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_link_gives_a_sentence_and_the_ordinary_lab(link):
    bench = buddy_lab(script="+0 +1", pages=16)
    before = json.dumps([bench.scene, bench.frames])
    answers = []
    bench.send = lambda content, buffers=None: answers.append(content)
    bench._on_message(bench, {"id": 1, "action": {"do": "open", "link": link}}, [])
    assert len(answers[0]["error"]) > 20
    assert "Traceback" not in answers[0]["error"]
    assert json.dumps([bench.scene, bench.frames]) == before
    opened = buddy_lab(script="+0 +1", pages=16, link=link or "nothing")
    assert opened.about["error"]
    assert json.dumps([opened.scene, opened.frames]) == before


def test_a_broken_link_is_told_in_the_lab(open_lab):
    lab = open_lab(buddy_lab(script="+0 +1", pages=16, link="1;buddy;pages=0"))
    expect(lab.find(".kmm-notice")).to_have_text(re.compile(
        r"The link could not be opened: .*from 1 up to 1024.* This is the lab as it always begins\."))
    lab.allocate(0)
    expect(lab.find(".kmm-notice")).not_to_have_text(re.compile("link"))


def test_a_lab_on_a_machine_of_its_own_has_links_too(open_lab):
    machine = Machine(pages=16)
    machine.alloc_pages(0xCC0, 3)
    lab = open_lab(buddy_lab(machine))
    lab.allocate(1)
    lab.settle()
    link = link_of(lab)
    assert link == f"1;buddy;:0;alloc/GFP_KERNEL/1;@{lab.at[0]}"
    other = Machine(pages=16)
    other.alloc_pages(0xCC0, 3)
    assert open_lab(buddy_lab(other, link=link)).blocks == lab.blocks


def test_a_run_too_long_for_a_link_says_so(open_lab):
    lab = open_lab(buddy_lab(pages=16), reduced_motion="reduce")
    lab.page.evaluate("""() => { const form = document.querySelector(".kmm-call[data-does=alloc]");
      form.querySelector("input").value = "0"; for (let i = 0; i < 201; i++) form.requestSubmit(); }""")
    lab.page.wait_for_function("state.frames.filter((frame) => frame[3]).length === 201", timeout=60_000)
    press(lab, "Copy link")
    expect(lab.find(".kmm-notice")).to_have_text(re.compile(r"too long for a link \(201 calls\)"))


# Files to save


@IN_BOTH
def test_the_picture_is_an_svg_of_its_own_that_says_what_is_on_the_screen(open_lab):
    lab = open_lab(buddy_lab(script="+0 +1 +0 -0", pages=16, caption="<b>Three</b> calls & one more"))
    lab.scrub(8)
    name, text = saved(lab, "SVG")
    assert name == f"buddy-lab-pages-16-event-8-of-{lab.at[1]}.svg"
    picture = ElementTree.fromstring(text)
    tags = {each.tag.removeprefix(SVG) for each in picture.iter()}
    assert tags <= {"svg", "title", "rect", "line", "path", "text", "g", "clipPath"}
    assert "http" not in text.replace("http://www.w3.org/", "")
    words = [each.text for each in picture.iter(f"{SVG}text")]
    for shown in ("alloc_pages(GFP_KERNEL, 1)", "order 0", "order 3", "U", "in hand", "/proc/buddyinfo",
                  "<b>Three</b> calls & one more"):
        assert shown in words, shown
    assert "Trace" not in words
    assert "Allocate" not in words
    filled = [each.get("fill") for each in picture.iter(f"{SVG}rect")]
    assert filled.count("#56b4e9") == 3  # two blocks and the legend
    assert re.search(r"^#[0-9a-f]{6}$", filled[0])


def test_the_picture_looks_as_the_lab_does(open_lab, browser):
    """Pixel for pixel, but for the edges of letters."""
    lab = open_lab(buddy_lab(script="+0 +1 +0 -0", pages=16))
    lab.scrub(9)
    _, text = saved(lab, "SVG")
    lab.page.evaluate("document.querySelector('.kmm-bench').classList.add('kmm-picture')")
    page = browser.new_context(viewport={"width": 740, "height": 700}).new_page()
    page.set_content(f"<body style='margin:0'>{text}")
    lab.page.evaluate("document.querySelector('.kmm-bench').style.margin = '0'")
    shots = [each.screenshot(clip={"x": 0, "y": 0, "width": 740, "height": 380}) for each in (lab.page, page)]
    different = page.evaluate("""async ([one, two]) => {
      const pixels = await Promise.all([one, two].map(async (data) => {
        const image = new Image(); image.src = "data:image/png;base64," + data; await image.decode();
        const pen = Object.assign(document.createElement("canvas"), { width: 740, height: 380 }).getContext("2d");
        pen.drawImage(image, 0, 0); return pen.getImageData(0, 0, 740, 380).data; }));
      let count = 0;
      for (let at = 0; at < pixels[0].length; at += 4)
        if ([0, 1, 2].some((part) => Math.abs(pixels[0][at + part] - pixels[1][at + part]) > 60)) count += 1;
      return count / (740 * 380); }""", [__import__("base64").b64encode(shot).decode() for shot in shots])
    page.context.close()
    assert different < 0.015


def test_the_picture_is_the_same_on_a_phone_and_crosses_out_what_is_crossed_out(open_lab):
    sizes = []
    for width in (740, 360):
        lab = open_lab(gfp_lab("clean cache", FROM_AN_INTERRUPT), viewport={"width": width, "height": 740})
        lab.find(".kmm-to_end").click()
        expect(lab.find(".kmm-bench [role=status]").last).to_contain_text("event 9 of 9")  # said last, and late
        before = lab.find(".kmm-bench").inner_html()
        picture = ElementTree.fromstring(saved(lab, "SVG")[1])
        lines = {each.text: each.get("text-decoration") for each in picture.iter(f"{SVG}text")}
        assert lines["OOM killer"] == "line-through"
        assert lines["may it sleep here?"] is None
        assert "the caller may reclaim, and so may sleep" in lines
        sizes.append((picture.get("width"), float(picture.get("height"))))
        assert re.sub(r' style="[^"]*"|<p class="kmm-notice".*?</p>', "", lab.find(".kmm-bench").inner_html()) == \
            re.sub(r' style="[^"]*"|<p class="kmm-notice".*?</p>', "", before)
    assert [width for width, _ in sizes] == ["740", "740"]
    assert abs(sizes[0][1] - sizes[1][1]) < 3


def test_the_picture_has_the_colours_of_the_theme(open_lab):
    grounds = []
    for scheme in ("light", "dark"):
        lab = open_lab(color_scheme=scheme)
        _, text = saved(lab, "SVG")
        grounds.append(ElementTree.fromstring(text).find(f"{SVG}rect").get("fill"))
    assert grounds == ["#ffffff", "#15181d"]


@IN_BOTH
def test_the_run_is_saved_as_json_with_settings_calls_and_events(open_lab):
    lab = open_lab(buddy_lab(script="+0 -0", pages=16))
    lab.find(".kmm-to_end").click()
    lab.allocate(2)
    lab.settle()
    name, text = saved(lab, "JSON")
    run = json.loads(text)
    assert name == f"buddy-lab-pages-16-{lab.at[1]}-events.json"
    assert run["settings"] == {"pages": 16, "script": "+0 -0"}
    assert [each["call"] for each in run["calls"]] == [
        "alloc_pages(GFP_KERNEL, 0)", "__free_pages(pfn_to_page(0), 0)", "alloc_pages(GFP_KERNEL, 2)"]
    assert run["calls"][2]["action"] == {"do": "alloc", "gfp": "GFP_KERNEL", "order": 2}
    assert sum(len(each["events"]) for each in run["calls"]) == run["events"] == len(lab.bench.frames)
    assert run["calls"][0]["events"][1]["trace"] == "sim_split: zone=0 pfn=0x0 order=3 migratetype=0"
    assert buddy_lab(link=run["link"]).frames == lab.bench.frames


# Print


def test_paper_shows_how_it_ended_with_the_caption_and_no_controls(open_lab):
    lab = open_lab(buddy_lab(script="+0 +1 -0", pages=16, caption="How it ended."), color_scheme="dark")
    lab.scrub(2)
    lab.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    lab.page.emulate_media(media="print")
    assert lab.at[0] == lab.at[1]
    for hidden in (".kmm-calls", ".kmm-bar", ".kmm-trace", ".kmm-extras", ".kmm-predict", ".kmm-text"):
        expect(lab.find(hidden)).to_be_hidden()
    for seen in (".kmm-map", ".kmm-lists", ".kmm-line", ".kmm-sentence", "figcaption"):
        expect(lab.find(seen)).to_be_visible()
    ground = lab.page.evaluate("getComputedStyle(document.querySelector('.kmm-figure')).backgroundColor")
    assert ground == "rgb(255, 255, 255)"
    lab.page.emulate_media(media="screen")
    lab.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert lab.at[0] == 2


def test_a_printed_lab_is_on_one_page_of_paper(open_lab):
    for pages in (16, 64, 1024):
        lab = open_lab(buddy_lab(script="+0 +1 -0", pages=pages))
        pdf = lab.page.pdf(format="A4")
        assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
        assert lab.at[0] == 0


# For every reader



@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (740, "light"), (1200, "light")])
def test_axe_finds_nothing_in_questions_answers_and_quiet_buttons(open_lab, axe, width, scheme):
    lab = open_lab(buddy_lab(seed=2, steps=20, caption="Traffic."), viewport={"width": width, "height": 800},
                   color_scheme=scheme, reduced_motion="reduce")
    lab.page.evaluate(axe)
    press(lab, "Predict")
    for _ in range(2):
        found = lab.page.evaluate("""() => axe.run(document.querySelector(".kmm-bench")).then(({ violations }) =>
          violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]))""")
        assert not found
        lab.find(".kmm-option").first.click()


@IN_BOTH
@pytest.mark.parametrize("width", [320, 360, 740, 1100])
def test_questions_and_files_fit_and_can_be_touched(open_lab, width):
    lab = open_lab(buddy_lab(seed=2, steps=20), viewport={"width": width, "height": 700})
    lab.scrub(1)  # in the middle of a call, so that sentences are offered
    press(lab, "Predict")
    assert lab.page.evaluate("document.documentElement.scrollWidth") <= width
    small = lab.page.evaluate("""() => [...document.querySelectorAll(
      ".kmm-bench :is(button:not(.kmm-block), select, summary, input[type=range])")]
      .map((each) => [each.className, each.getBoundingClientRect()])
      .filter(([, box]) => box.width < 24 || box.height < 24).map(([name]) => name)""")
    assert not small


def test_what_comes_from_a_link_is_never_markup(open_lab):
    lab = open_lab(live="yes")
    hear_hello(lab)
    lab.page.evaluate("""location.hash = "#kmm.1=1;buddy;<img%20src=x%20onerror=boom()>=1" """)
    expect(lab.find(".kmm-notice")).to_have_text(re.compile("The link could not be opened"))
    assert lab.find(".kmm-bench img").count() == 0
