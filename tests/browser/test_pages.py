"""Every page of the book in a real browser: it opens whole, fits a phone, and asks nobody else for anything."""

import gzip
import re
from html import unescape

import pytest
from playwright.sync_api import expect

from live_page import BREACHES, SAVE_DATA, SHIFT, LivePage

STATUS_LINE = '<div class="kmm-live"'  # on pages with code
NO_TIME = "window.requestIdleCallback = () => 0;"  # what waits for time comes later
LAB = 'class="kmm-view '
FIRST_VISIT = 150_000  # bytes over the wire until a page is there, from a host that compresses
A_LAB = 30 * 1024  # of them, for each lab of a page: scripts, styles, and the run that it shows
STATE = re.compile(r'<script type="application/vnd\.jupyter\.widget-(?:state|view)\+json">.*?</script>', re.DOTALL)
OF_LABS = """() => performance.getEntriesByType("resource").filter(({ name }) => name.includes("/live/modules/"))
  .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0)"""
JUMP = 0.05  # what a page may shift by itself while it comes (cumulative layout shift)
WIDER_THAN_THE_SCREEN = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
FIRST_CALL = """() => {  // where the first lab has the button of its first call, from its top; 0: no lab
  const lab = document.querySelector(".kmm-bench:has(.kmm-do)");
  const [top, call] = [".kmm-title", ".kmm-do"].map((each) => lab?.querySelector(each).getBoundingClientRect());
  return lab ? call.bottom - top.top : 0; }"""
FAULTS = """(options) => axe.run({ resultTypes: ["violations"], ...options }).then(({ violations }) =>
    violations.flatMap((fault) => fault.nodes.map((node) => `${fault.id}: ${node.html.slice(0, 150)}`)))"""


def test_these_are_all_pages(page_names, site_pages):
    assert sorted(page_names) == sorted(["index.html", *site_pages])


def test_the_page_at_the_top_only_sends_the_reader_on(visit, site):
    page = visit("index.html").page
    page.wait_for_url(site + "book/index.html")


def faults(page, axe, **options):
    """What axe finds."""
    page.evaluate(axe)
    return page.evaluate(FAULTS, options)


@pytest.fixture(scope="module")
def first_visit(visit_for_all, site_page):
    """A first visit to a page before Python, and the bytes that came over the wire until it was there."""
    shown, sizes = visit_for_all(None), []
    shown.page.add_init_script(SAVE_DATA + NO_TIME + SHIFT)
    client = shown.context.new_cdp_session(shown.page)
    client.send("Network.enable")
    client.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    shown.page.goto(shown.site + site_page, wait_until="networkidle")
    yield shown, sum(sizes)
    shown.context.close()


def test_a_page_opens_whole_and_in_its_place(first_visit, built_book, site_page):
    """The fixture adds: no request to another origin, none that threw."""
    shown, _size = first_visit
    assert not shown.failed
    assert not shown.console_errors
    assert shown.page.title()
    assert shown.page.evaluate(WIDER_THAN_THE_SCREEN) <= 0, "it scrolls sideways"
    shift = shown.page.evaluate("shift")
    assert shift["sum"] <= JUMP, f"it jumps: {shift}"
    first_call = shown.page.evaluate(FIRST_CALL)
    assert bool(first_call) == (LAB in (built_book / site_page).read_text(encoding="utf-8"))
    assert first_call <= 800, "its first lab is taller than a screen"


def test_a_page_needs_few_bytes_until_it_is_there_and_few_of_them_for_each_lab(first_visit, built_book, site_page):
    shown, size = first_visit
    text = (built_book / site_page).read_text(encoding="utf-8")
    assert 10_000 < size <= FIRST_VISIT
    if labs := text.count("vnd.jupyter.widget-view+json"):
        expect(shown.page.locator(".kmm-bench")).to_have_count(labs)
        code = shown.page.evaluate(OF_LABS)
        assert code > 10_000
        runs = len(gzip.compress(text.encode())) - len(gzip.compress(STATE.sub("", text).encode()))
        assert (code + runs) / labs <= A_LAB


def test_axe_finds_nothing_in_a_page_in_the_light_nor_in_the_dark(first_visit, site_page, axe):
    page = first_visit[0].page
    assert faults(page, axe) == []
    page.add_style_tag(content="* { transition: none !important }")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    # All else that axe looks at is the same in the dark.
    assert faults(page, axe, runOnly=["color-contrast"]) == []


@pytest.fixture(scope="module")
def phone(visit_for_all):
    """A phone that goes from page to page: what of Python one of them has loaded, the next ones have."""
    phone = visit_for_all(None, width=360, height=740, has_touch=True)
    phone.page.add_init_script(BREACHES)
    return phone, LivePage(phone.page)


def test_on_a_phone_a_page_comes_alive_in_its_place_and_within_its_policy(phone, site, built_book, site_page, axe):
    seen, live = phone
    text, page = (built_book / site_page).read_text(encoding="utf-8"), seen.page
    assert "default-src 'self'" in unescape(text)
    seen.failed.clear()
    seen.console_errors.clear()
    if STATUS_LINE in text:
        live.open(site + site_page)
        live.wait_live()
    else:
        page.goto(site + site_page, wait_until="networkidle")
    assert not seen.failed
    assert not seen.console_errors
    assert page.evaluate("window.breaches ?? []") == []
    assert page.evaluate(WIDER_THAN_THE_SCREEN) <= 0, "it scrolls sideways"
    shift = page.evaluate("shift")
    assert shift["sum"] <= JUMP, f"it jumps: {shift}"
    assert faults(page, axe, rules={"color-contrast": {"enabled": False}}) == []  # its colours are the same
