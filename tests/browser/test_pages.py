"""Every page of the book in a real browser: it opens whole, fits a phone, and asks nobody else for anything."""

from html import unescape

import pytest

from live_page import BREACHES, SAVE_DATA, SHIFT, LivePage

STATUS_LINE = '<div class="kmm-live"'  # on pages with code
LAB = 'class="kmm-view '
JUMP = 0.05  # what a page may shift by itself while it comes (cumulative layout shift)
WIDER_THAN_THE_SCREEN = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
FIRST_CALL = """() => {  // where the first lab has the button of its first call, from its top; 0: no lab
  const lab = document.querySelector(".kmm-bench:has(.kmm-do)");
  const [top, call] = [".kmm-title", ".kmm-do"].map((each) => lab?.querySelector(each).getBoundingClientRect());
  return lab ? call.bottom - top.top : 0; }"""
FAULTS = """(options) => axe.run({ resultTypes: ["violations"], ...options }).then(({ violations }) =>
    violations.flatMap((fault) => fault.nodes.map((node) => `${fault.id}: ${node.html.slice(0, 150)}`)))"""


def faults(page, axe, **options):
    """What axe finds."""
    page.evaluate(axe)
    return page.evaluate(FAULTS, options)


def test_these_are_all_pages(page_names, site_pages):
    assert sorted(page_names) == sorted(["index.html", *site_pages])


def test_the_page_at_the_top_only_sends_the_reader_on(visit, site):
    page = visit("index.html").page
    page.wait_for_url(site + "book/index.html")


def test_a_page_opens_whole_from_its_own_site_and_axe_finds_nothing(visit, built_book, site_page, axe):
    """The fixture adds: no request to another origin, none that threw."""
    shown = visit(None)
    page = shown.page
    page.add_init_script(SAVE_DATA + SHIFT)
    page.goto(shown.site + site_page, wait_until="networkidle")
    assert not shown.failed
    assert not shown.console_errors
    assert page.title()
    assert page.evaluate(WIDER_THAN_THE_SCREEN) <= 0, "it scrolls sideways"
    shift = page.evaluate("shift")
    assert shift["sum"] <= JUMP, f"it jumps: {shift}"
    first_call = page.evaluate(FIRST_CALL)
    assert bool(first_call) == (LAB in (built_book / site_page).read_text(encoding="utf-8"))
    assert first_call <= 800, "its first lab is taller than a screen"
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
