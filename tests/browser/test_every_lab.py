"""The same for every lab, by mouse, keyboard and touch: call, undo, redo, step, scrub, predict, copy a link, reset.

What a lab draws is tested in the file of its own.  By keyboard the first call is made before there is Python, which
finds it when it is up.
"""

import json
import re
import statistics

import pytest
from playwright.sync_api import expect

from kmm_sim import labs
from kmm_sim.labs.recorded import ZONE_AFTER_ZONE

FINDINGS = """() => axe.run(document.querySelector(".kmm-bench")).then(({ violations }) =>
  violations.map(({ id, nodes }) => `${id}: ${nodes.map((each) => each.html.slice(0, 160)).join(" | ")}`))"""
BENCH = "document.querySelector('.kmm-bench')"
SEEN = """button => { const { outlineStyle, outlineWidth } = getComputedStyle(button);
  return button === document.activeElement && outlineStyle !== "none" && parseFloat(outlineWidth) >= 2; }"""
STILL = """() => { const { matchMedia } = window;  // through WebDriver, Firefox is not told that motion is unwanted
  window.matchMedia = (query) => query.includes("motion") ? { matches: true } : matchMedia.call(window, query); }"""
FRAME_MS = 16
BUSY = 2  # so much longer may a machine take that does other things too
LABS = {  # the call to make, and what the lab opens with
    "buddy": ("alloc", {"script": "+0 +2 -0", "pages": 16, "detail": True}),
    "choose": ("choose", {}),
    "gfp": ("ask", {"memory": "clean cache"}),
    "kmalloc": ("ask", {"script": "+100 +90 -0"}),
    "mem_map": ("work", {}),
    "pages": ("alloc", {}),
    "slab": ("alloc", {"script": "+1 +4 -0"}),
    "slab_debug": ("take", {"script": "take write:64 free"}),
    "stack": ("call", {"script": "528x14 schedule"}),
    "three_slabs": ("get", {"script": "a3 b4 -1"}),
    "vmalloc": ("vmalloc", {"script": "alloc:2 +4 touch:A0"}),
    "workload": ("pass", {"seconds": 4}),
    "zones": ("take", {"calls": ZONE_AFTER_ZONE}),
}
HANDS = {
    "mouse": {},
    "keyboard": {"color_scheme": "dark"},
    "touch": {"viewport": {"width": 360, "height": 740}, "has_touch": True},
}
WAYS = [pytest.param("chromium", way, id=way) for way in HANDS] + [pytest.param("firefox", "mouse", id="firefox")]


def made(name):
    return getattr(labs, f"{name}_lab")(**LABS[name][1])


class Hand:
    """A reader at a lab, who presses its buttons in one way."""

    def __init__(self, lab, name, way):
        self.lab, self.way, self.does = lab, way, LABS[name][0]
        self.times = []  # from a call's answer to a page that is laid out, ms

    def press(self, selector, **options):
        button = self.lab.find(selector, **options).first
        if self.way == "touch":
            button.tap()
        elif self.way == "mouse":
            button.click()
        else:
            button.focus()
            assert button.evaluate(SEEN), f"{selector} has the focus, and nobody sees it"
            self.lab.page.keyboard.press("Enter")

    def press_word(self, word):
        self.press(".kmm-word", has_text=word)

    def call(self):
        """Make the call, and wait for its answer."""
        answered = self.lab.page.evaluate("drawn.length")
        self.press(f".kmm-call[data-does={self.does}] .kmm-do")
        self.lab.page.wait_for_function("before => drawn.length > before", arg=answered)
        self.times.append(self.lab.page.evaluate("drawn.at(-1)"))
        self.lab.settle()

    def scrub(self, at):
        if self.way == "keyboard":
            self.lab.find(".kmm-scrub input").press("End" if at else "Home")
        else:
            self.lab.scrub(at)
        self.wait_for(at)

    def wait_for(self, at, end=None):
        expect(self.lab.find(".kmm-count")).to_have_text(f"{at} / {self.lab.at[1] if end is None else end}")

    def picture(self):
        return self.lab.find(".kmm-stage").first.inner_text()


def test_every_lab_there_is_is_here():
    assert {f"{name}_lab" for name in LABS} == {name for name in labs.__all__ if name.endswith("_lab")}


@pytest.fixture
def open_hand(open_lab, way):
    """A function that opens a lab for a reader."""
    def open_hand(name, **live):
        lab = open_lab(made(name), reduced_motion="reduce", **HANDS[way], **live)
        lab.page.evaluate(STILL)
        return Hand(lab, name, way)

    return open_hand


def wider(lab):
    """How many pixels the page is wider than the screen."""
    return lab.page.evaluate("document.documentElement.scrollWidth - innerWidth")


def kept_call(open_hand, name):
    """A lab whose reader made a call before there was Python; now there is, and the page draws the lab anew."""
    hand = open_hand(name, live="recorded", answers=False)
    hand.scrub(hand.lab.at[1])
    hand.press(f".kmm-call[data-does={hand.does}] .kmm-do")
    expect(hand.lab.find(".kmm-notice")).to_have_text("Python is starting: your request runs as soon as it is up.")
    assert hand.lab.sent == []
    kept = hand.lab.page.evaluate(f"() => ({{ view: {BENCH}.kmmView(), actions: acts }})")
    assert [action["do"] for action in kept["actions"]] == [hand.does]
    hand = open_hand(name, live="yes")
    recorded = hand.lab.at[1]
    hand.lab.page.evaluate(f"detail => {BENCH}.dispatchEvent(new CustomEvent('kmm:perform', {{ detail }}))", kept)
    hand.lab.page.wait_for_function("drawn.length > 1")  # the first answers its hello
    expect(hand.lab.find(f".kmm-call[data-does={hand.does}] .kmm-do")).to_be_focused()
    return hand, recorded


@pytest.mark.parametrize(("engine", "way"), WAYS, indirect=["engine"])
@pytest.mark.parametrize("name", LABS)
def test_a_lab_is_used_from_its_first_call_to_its_reset(open_hand, axe, engine, name, way):
    if way == "keyboard":
        hand, recorded = kept_call(open_hand, name)
    else:
        hand = open_hand(name)
        recorded = hand.lab.at[1]
        hand.scrub(recorded)
        hand.call()
    lab, end = hand.lab, hand.lab.at[1]
    assert lab.at == (end, end) > (recorded, recorded)
    picture = hand.picture()
    assert wider(lab) <= 0
    if way != "touch" and engine == "chromium":
        lab.page.evaluate(axe)
        assert lab.page.evaluate(FINDINGS) == []
    if recorded:
        hand.press_word("Undo")
        hand.wait_for(recorded)
        assert hand.picture() != picture
        hand.press_word("Redo")
        hand.wait_for(end)
    hand.scrub(0)
    hand.press(".kmm-step")
    hand.wait_for(1)
    hand.scrub(end)
    assert hand.picture() == picture, "undone, and done again"

    hand.press(".kmm-predict")
    hand.wait_for(0)
    expect(lab.find(".kmm-question")).to_have_text(re.compile(r"\?$"))
    assert wider(lab) <= 0
    hand.press(".kmm-option")
    expect(lab.find(".kmm-verdict")).to_have_text(re.compile(r"^(Right\.|No: )"))
    expect(lab.find(".kmm-score")).to_have_text(re.compile("^[01] of 1 right$"))
    hand.press(".kmm-predict")
    expect(lab.find(".kmm-ask")).to_be_hidden()
    hand.scrub(end)
    frames = json.dumps(lab.bench.frames)
    if way == "mouse":
        hand.press(".kmm-extras button")
        link = re.search(r'link="(.*)"', lab.find(".kmm-notice").inner_text())[1]
    hand.press_word("Reset")
    hand.wait_for(0, recorded)
    if way == "mouse":
        lab.page.evaluate(f"link => {BENCH}.kmmOpen(link)", link)
        hand.wait_for(end, end)
        assert json.dumps(lab.bench.frames) == frames
        assert hand.picture() == picture, "the link opens what it was copied from"
    if way == "mouse" and engine == "chromium":
        for _ in range(4):
            hand.call()
        assert statistics.median(hand.times) <= BUSY * FRAME_MS, hand.times

