"""The buddy lab on the built site: before Python, when Python comes, and live."""

import re

import pytest
from playwright.sync_api import expect

from live_page import SAVE_DATA, LivePage

REACHABLE = """(selector) => {  // is nothing in front of the first of them?
  const element = document.querySelector(selector), { x, y, width, height } = element.getBoundingClientRect();
  return element.contains(document.elementFromPoint(x + width / 2, y + height / 2)); }"""
TOO_LONG = "rows => rows.filter((row) => row.scrollWidth > row.clientWidth).length"
CHAPTER = "book/getting-pages.html"
AT = "document.querySelector('.kmm-bench .kmm-count').textContent.split(' / ').map(Number)"
AT_END = f"(([at, end]) => at === end)({AT})"


def open_chapter(visit, site, **options):
    """The chapter as a reader gets it who asked to save data: Python waits to be asked."""
    live = LivePage(visit(None, **options).page, save_data=True)
    live.open(site + CHAPTER)
    return live, live.page.locator(".kmm-bench").first


@pytest.fixture
def before(visit, site):
    return open_chapter(visit, site)


@pytest.fixture(scope="module")
def started(browser, site):
    """The chapter, live; shared by tests that leave the lab as they please, because each resets it first."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, service_workers="block")
    live = LivePage(context.new_page(), save_data=True)
    live.open(site + CHAPTER)
    live.start()
    yield live
    context.close()


@pytest.fixture
def lab(started):
    """The first lab of a live page, at the start of its recorded run."""
    bench = started.page.locator(".kmm-bench").first
    bench.scroll_into_view_if_needed()
    bench.get_by_role("button", name="Reset").click(force=True)
    started.page.wait_for_function(f"() => {AT}[0] === 0 && {AT}[1] > 0")
    return bench


def test_before_python_the_run_can_be_stepped_and_scrubbed(before):
    live, bench = before
    assert live.state == "recorded"
    blocks = bench.locator(".kmm-block[data-key]")
    expect(blocks).to_have_count(1)
    bench.get_by_role("button", name="One event on").click()
    expect(bench.locator(".kmm-block[data-state=hand]")).to_have_count(1)
    bench.get_by_role("button", name="One event on").click()
    expect(blocks).to_have_count(2)
    expect(bench.locator(".kmm-sentence")).to_have_text(re.compile("Split pfn 0: order 4 becomes two of order 3"))
    bench.get_by_role("slider").press("ArrowRight")
    expect(blocks).to_have_count(3)
    bench.get_by_role("slider").press("End")
    expect(blocks).to_have_count(1)
    bench.get_by_role("button", name="One event back").click()
    assert live.page.evaluate(f"{AT}[1] - {AT}[0]") == 1
    assert live.state == "recorded"


def test_before_python_the_run_plays(before):
    live, bench = before
    bench.get_by_role("button", name="Play").click()
    live.page.wait_for_function(f"() => {AT}[0] >= 2")
    bench.get_by_role("button", name="Pause").click()
    expect(bench.get_by_role("button", name="Play")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_it_fits_and_goes_by_touch(visit, site, dark):
    live, bench = open_chapter(visit, site, width=360, height=740, dark=dark, has_touch=True)
    assert live.page.evaluate("document.documentElement.scrollWidth") <= 360
    for _ in range(2):
        bench.get_by_role("button", name="One event on").tap()
    expect(bench.locator(".kmm-block[data-key]")).to_have_count(2)
    ground = live.page.evaluate("getComputedStyle(document.querySelector('.kmm-figure')).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 200) is dark


def test_who_presses_play_on_a_phone_sees_the_memory(visit, site):
    page = visit("book/index.html", width=360, height=740, has_touch=True).page
    bench = page.locator(".kmm-bench").first
    assert page.evaluate("scrollY") == 0
    bench.get_by_role("button", name="Play").tap()  # the timeline is in sight before the rest of the lab is
    page.wait_for_function("scrollY > 100")
    memory, timeline = bench.locator(".kmm-panel").first.bounding_box(), bench.locator(".kmm-timeline").bounding_box()
    assert memory["y"] > 0
    assert memory["y"] + memory["height"] <= timeline["y"]


def test_on_a_phone_memory_sentence_and_timeline_are_on_one_screen(visit, site):
    live, _ = open_chapter(visit, site, width=360, height=740, has_touch=True)
    live.page.evaluate("document.querySelector('.kmm-bench').scrollIntoView({ block: 'start', behavior: 'instant' })")
    boxes = live.page.evaluate("""() => [".kmm-map", ".kmm-sentence", ".kmm-bar", ".kmm-live"].map((each) =>
      document.querySelector(each).getBoundingClientRect()).map((box) => [box.top, box.bottom])""")
    tops, bottoms = zip(*boxes, strict=True)
    assert tops[0] >= 0
    assert all(bottom <= top + 1 for bottom, top in zip(bottoms, tops[1:], strict=False)), boxes


def test_the_first_action_starts_python_and_is_done_then(before):
    live, bench = before
    bench.locator(".kmm-call[data-does=alloc] input").fill("1")
    bench.get_by_role("button", name="Allocate", exact=True).click()
    expect(bench.locator(".kmm-notice")).to_have_text(re.compile("Python is starting"))
    live.wait_live()
    used = bench.locator(".kmm-block[data-state=used]")
    expect(used).to_have_accessible_name(re.compile("pfn 0 to 1, order 1: allocated"))
    expect(bench.locator(".kmm-call[data-does=alloc] input")).to_have_value("1")


def test_a_click_allocates_and_a_click_frees(lab):
    lab.get_by_role("button", name="Allocate", exact=True).click()
    used = lab.locator(".kmm-block[data-state=used]")
    expect(used).to_have_accessible_name(re.compile("pfn 0 to 3, order 2"))
    lab.page.wait_for_function("() => " + AT_END)
    used.click()
    expect(used).to_have_count(0)
    lab.page.wait_for_function("() => " + AT_END)
    expect(lab.locator(".kmm-block[data-key]")).to_have_count(1)
    expect(lab.locator(".kmm-log")).to_contain_text("mm_page_free: pfn=0x0 order=2")


def test_the_keyboard_allocates_and_frees(lab):
    lab.locator(".kmm-call[data-does=alloc] input").focus()
    lab.page.keyboard.press("Enter")
    lab.page.wait_for_function("() => " + AT_END)
    used = lab.locator(".kmm-block[data-state=used]")
    expect(used).to_have_count(1)
    used.focus()
    lab.page.keyboard.press("Enter")
    expect(used).to_have_count(0)


def test_what_is_wrong_is_said_and_nothing_is_lost(lab):
    order = lab.locator(".kmm-call[data-does=alloc] input")
    order.fill("11")
    lab.get_by_role("button", name="Allocate", exact=True).click()
    expect(lab.locator(".kmm-notice")).to_have_text(re.compile("order 11 is out of range"))
    order.fill("2")
    lab.get_by_role("button", name="Allocate", exact=True).click()
    expect(lab.locator(".kmm-block[data-state=used]")).to_have_count(1)
    expect(lab.locator(".kmm-notice")).not_to_have_text(re.compile("Not done"))


def test_a_click_is_soon_on_the_screen(lab):
    """From the click to the first event drawn: the median of a few, with room for a busy machine."""
    lab.get_by_role("button", name="To the end").click()
    times = []
    for _ in range(9):
        times.append(lab.page.evaluate("""() => new Promise((done, fail) => {
          setTimeout(fail, 20000, new Error("nothing was drawn"));
          const bench = document.querySelector(".kmm-bench"), began = performance.now();
          const watch = new MutationObserver(() => {
            watch.disconnect();
            requestAnimationFrame(() => done(performance.now() - began));
          });
          watch.observe(bench.querySelector(".kmm-count"), { childList: true, characterData: true, subtree: true });
          bench.querySelector(".kmm-call[data-does=alloc] .kmm-do").click();
        })"""))
        lab.page.wait_for_function("() => " + AT_END)
        lab.get_by_role("button", name="Undo").click()
    assert sorted(times)[len(times) // 2] < 250, times


# Links, questions and files, in the page


LINK = "#kmm.1=1;buddy;pages=32;script=+0;alloc/GFP_ATOMIC/2;@9"


def test_a_link_says_that_it_waits_for_python_and_then_opens_in_the_lab(visit, site):
    live = LivePage(visit(None).page, save_data=True)
    live.open(site + CHAPTER + LINK)
    bench = live.page.locator(".kmm-bench").first
    expect(bench.locator(".kmm-notice")).to_have_text(re.compile("This link holds a state of this lab"))
    live.wait_live()
    expect(bench.locator(".kmm-block[data-state=used]")).to_have_count(2)
    expect(bench.locator(".kmm-note").first).to_have_text("32 pages of 4 KiB")
    others = live.page.locator(".kmm-bench").nth(1)
    if others.count():
        assert (others.locator(".kmm-count").text_content() or "").startswith("0 ")  # it may be folded away
    bench.get_by_role("button", name="Allocate", exact=True).click()  # and goes on from there
    expect(bench.locator(".kmm-block[data-state=used]")).to_have_count(3)


def test_before_python_the_reader_predicts_and_saves_the_picture(before):
    live, bench = before
    bench.get_by_role("button", name="Predict").click()
    expect(bench.locator(".kmm-question")).to_contain_text("Next call")
    bench.get_by_role("button", name="One event on").click()
    assert live.page.evaluate(f"{AT}[0]") == 0
    bench.locator(".kmm-option").first.click()
    expect(bench.locator(".kmm-score")).to_have_text(re.compile("of 1 right"))
    with live.page.expect_download() as download:
        bench.get_by_role("button", name="SVG").click()
    assert re.fullmatch(r"buddy-lab-pages-\d+-event-\d+-of-\d+\.svg", download.value.suggested_filename)
    assert live.state == "recorded"


def test_on_a_phone_the_timeline_covers_neither_the_question_nor_the_verdict(visit, site):
    page = visit(None, width=360, height=740).page
    page.add_init_script(SAVE_DATA)
    page.goto(site + "book/buddy-system.html")
    bench = page.locator(".kmm-bench").first
    bench.get_by_role("button", name="Predict").click()  # it stands just above the timeline now
    for _question in range(3):
        option = bench.locator(".kmm-option").first
        expect(option).to_be_visible()
        page.wait_for_function(REACHABLE, arg=".kmm-option")
        option.click()
        expect(bench.get_by_role("button", name="Go on")).to_be_visible()
        page.wait_for_function(REACHABLE, arg=".kmm-go")
        bench.get_by_role("button", name="Go on").click()


def test_what_a_step_marks_stays_in_its_column(visit, site):
    """The theme gives a mark some room at its sides, which pushed the last bytes of a row out of sight."""
    page = visit(None).page
    page.add_init_script(SAVE_DATA)
    page.goto(site + "book/the-stack.html")
    bench, marked = page.locator(".kmm-bench").first, 0
    for _event in range(4):
        bench.get_by_role("button", name="One event on").click()
        marked += bench.locator(".kmm-hex mark").count()
        assert bench.locator(".kmm-hex").evaluate_all(TOO_LONG) == 0
    assert marked
