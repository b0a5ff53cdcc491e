"""Every page of the book in a real browser: it opens whole, fits a phone, and asks nobody else for anything."""

import pytest

from live_page import SAVE_DATA, SHIFT

LAB = 'class="kmm-view '
JUMP = 0.05  # what a page may shift by itself while it comes (cumulative layout shift)
WIDER_THAN_THE_SCREEN = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
FIRST_CALL = """() => {  // where the first lab has the button of its first call, from its top; 0: no lab
  const lab = document.querySelector(".kmm-bench:has(.kmm-do)");
  const [top, call] = [".kmm-title", ".kmm-do"].map((each) => lab?.querySelector(each).getBoundingClientRect());
  return lab ? call.bottom - top.top : 0; }"""
FAULTS = """(options) => axe.run(options).then(({ violations }) =>
    violations.flatMap((fault) => fault.nodes.map((node) => `${fault.id}: ${node.html.slice(0, 150)}`)))"""


@pytest.fixture
def look(visit):
    """A function that opens a page as it is before Python, which other tests start, and waits until it is drawn."""
    def open_page(name, **options):
        shown = visit(None, **options)
        shown.page.add_init_script(SAVE_DATA + SHIFT)
        shown.page.goto(shown.site + name, wait_until="networkidle")
        return shown

    return open_page


def test_these_are_all_pages(page_names, site_pages):
    assert sorted(page_names) == sorted(site_pages)


@pytest.mark.parametrize("width", [1280, 360])
def test_a_page_opens_whole_from_its_own_site_and_axe_finds_nothing(look, built_book, site_page, axe, width):
    """The fixture adds: no request to another origin, none that threw. A breach of its policy is on the console."""
    shown = look(site_page, width=width)
    assert not shown.failed
    assert not shown.console_errors
    assert shown.page.title()
    assert shown.page.evaluate(WIDER_THAN_THE_SCREEN) <= 0, "it scrolls sideways"
    shift = shown.page.evaluate("shift")
    assert shift["sum"] <= JUMP, f"it jumps: {shift}"
    if site_page == "index.html":  # it only sends the reader on
        assert shown.page.url == shown.site + "book/index.html"
        return
    first_call = shown.page.evaluate(FIRST_CALL)
    assert bool(first_call) == (LAB in (built_book / site_page).read_text(encoding="utf-8"))
    assert width < 1000 or first_call <= 800, "its first lab is taller than a screen"
    shown.page.evaluate(axe)
    assert shown.page.evaluate(FAULTS, {}) == []
    if width > 1000:  # all else that axe looks at is the same in the dark
        shown.page.add_style_tag(content="* { transition: none !important }")
        shown.page.evaluate("document.documentElement.dataset.theme = 'dark'")
        assert shown.page.evaluate(FAULTS, {"runOnly": ["color-contrast"]}) == []
