"""The slab labs on the built site: before Python, live, and on a phone."""

import re

import pytest
from playwright.sync_api import expect

from live_page import LivePage

LAYER = "book/slab-layer.html"
THREE = "book/slab-slub-slob.html"
AT = "document.querySelector('.kmm-bench .kmm-count').textContent.split(' / ').map(Number)"


def open_chapter(visit, site, chapter, **options):
    """The chapter as a reader gets it who asked to save data: Python waits to be asked."""
    live = LivePage(visit(None, **options).page, save_data=True)
    live.open(site + chapter)
    return live, live.page.locator(".kmm-bench").first


@pytest.fixture(scope="module")
def started(browser, site):
    """The chapter, live; shared by tests that leave the lab as they please, because each resets it first."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, service_workers="block")
    live = LivePage(context.new_page(), save_data=True)
    live.open(site + LAYER)
    live.start()
    yield live
    context.close()


@pytest.fixture
def lab(started):
    """The first lab of a live page, at the end of its recorded run."""
    bench = started.page.locator(".kmm-bench").first
    bench.scroll_into_view_if_needed()
    bench.get_by_role("button", name="Reset").click(force=True)
    started.page.wait_for_function(f"() => {AT}[0] === 0 && {AT}[1] > 0")
    bench.get_by_role("slider").press("End")
    expect(bench.locator(".kmm-slot[data-used='1']")).to_have_count(2)
    bench.get_by_role("spinbutton").first.fill("1")  # a reset leaves what was typed
    return bench


def test_before_python_a_slab_is_seen_to_fill_and_to_empty(visit, site):
    live, bench = open_chapter(visit, site, LAYER)
    assert live.state == "recorded"
    expect(bench.locator(".kmm-box")).to_have_count(0)
    step = bench.get_by_role("button", name="One event on")
    step.click()
    expect(bench.locator(".kmm-sentence")).to_have_text("The page allocator gives 8 pages, from pfn 0 on.")
    step.click()
    expect(bench.locator(".kmm-box")).to_have_count(1)
    expect(bench.locator(".kmm-slot")).to_have_count(5)
    expect(bench.locator(".kmm-slot[data-used='1']")).to_have_count(0)
    bench.get_by_role("slider").press("End")
    expect(bench.locator(".kmm-box")).to_have_count(1)
    expect(bench.locator(".kmm-slot[data-used='1']")).to_have_count(2)
    expect(bench.get_by_text("/proc/slabinfo")).to_be_visible()
    assert live.state == "recorded"


def test_a_click_on_an_object_frees_it_and_the_same_place_is_given_out_next(lab):
    used = lab.locator(".kmm-slot[data-used='1']")
    used.first.click()
    expect(used).to_have_count(1)
    lab.get_by_role("button", name="Allocate").click()
    expect(used).to_have_count(2)
    expect(lab.locator(".kmm-sentence")).to_have_text(re.compile("The caller gets 0xffff8880000080"))


def test_many_at_once_make_new_slabs_and_shrinking_keeps_those_in_use(lab):
    lab.get_by_role("spinbutton").first.fill("12")
    lab.get_by_role("button", name="Allocate").click()
    expect(lab.locator(".kmm-slot[data-used='1']")).to_have_count(14, timeout=30_000)  # it is played, event by event
    expect(lab.locator(".kmm-box")).to_have_count(3)
    lab.get_by_role("button", name="Shrink").click()
    expect(lab.locator(".kmm-sentence")).not_to_have_text("")
    expect(lab.locator(".kmm-box")).to_have_count(3)


def test_by_keyboard_alone_an_object_comes_and_goes(lab):
    page = lab.page
    allocate = lab.get_by_role("button", name="Allocate")
    allocate.focus()
    page.keyboard.press("Enter")
    used = lab.locator(".kmm-slot[data-used='1']")
    expect(used).to_have_count(3)
    free = lab.get_by_role("button", name="Free", exact=True)
    expect(free).to_be_enabled()
    free.focus()
    expect(free).to_be_focused()
    page.keyboard.press("Enter")
    expect(used).to_have_count(2)


def test_the_three_allocators_show_the_same_letters(visit, site):
    _live, bench = open_chapter(visit, site, THREE)
    bench.get_by_role("slider").press("End")
    letters = [sorted(filter(str.isalpha, "".join(panel.locator(".kmm-slot").all_inner_texts())))
               for panel in bench.locator(".kmm-panel:has(.kmm-shelves)").all()]
    assert letters == [["j", "k", "l"]] * 3
