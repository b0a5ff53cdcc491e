"""Every page of the book in a real browser: it opens whole, fits a phone, and asks nobody else for anything."""

import pytest

from live_page import SAVE_DATA, SHIFT

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


@pytest.mark.parametrize("width", [1280, 360])
def test_every_page_opens_whole_from_its_own_site_and_axe_finds_nothing(look, page_names, axe, width):
    """The fixture adds: no request to another origin, none that threw. A breach of its policy is on the console."""
    labs = 0
    for name in page_names:
        shown = look(name, width=width)
        assert not shown.failed, f"{name}: {shown.failed}"
        assert not shown.console_errors, f"{name}: {shown.console_errors}"
        assert shown.page.evaluate(WIDER_THAN_THE_SCREEN) <= 0, f"{name} scrolls sideways at {width} pixels"
        shift = shown.page.evaluate("shift")
        assert shift["sum"] <= JUMP, f"{name} jumps at {width} pixels: {shift}"
        assert shown.page.title()
        first_call = shown.page.evaluate(FIRST_CALL)
        assert not first_call or width < 1000 or first_call <= 800, f"{name}: its first lab is taller than a screen"
        labs += first_call > 0
        if name == "index.html":  # it only sends the reader on
            assert shown.page.url == shown.site + "book/index.html"
        else:
            shown.page.evaluate(axe)
            found = shown.page.evaluate(FAULTS, {})
            assert not found, f"{name}: {found}"
            if width > 1000:  # all else that axe looks at is the same in the dark
                shown.page.add_style_tag(content="* { transition: none !important }")
                shown.page.evaluate("document.documentElement.dataset.theme = 'dark'")
                found = shown.page.evaluate(FAULTS, {"runOnly": ["color-contrast"]})
                assert not found, f"{name} in the dark: {found}"
        shown.context.close()
    assert labs > 10
