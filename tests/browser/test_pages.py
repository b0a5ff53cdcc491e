"""Every page of the book in a real browser: it opens whole, fits a phone, and asks nobody else for anything."""

from pathlib import Path

import pytest

WIDER_THAN_THE_SCREEN = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
AXE = """() => axe.run().then(({ violations }) =>
    violations.flatMap((fault) => fault.nodes.map((node) => `${fault.id}: ${node.html.slice(0, 150)}`)))"""


@pytest.fixture(scope="session")
def page_names(built_book) -> list[str]:
    names = [path.relative_to(built_book).as_posix() for path in sorted(built_book.rglob("*.html"))]
    return [name for name in names if not name.startswith(("_static/", "_sources/"))]


@pytest.fixture
def look(visit):
    """A function that opens a page as it is before Python, which other tests start, and waits until it is drawn."""
    def open_page(name, **options):
        shown = visit(None, **options)
        shown.page.add_init_script("window.requestIdleCallback = () => 0")
        shown.page.goto(shown.site + name, wait_until="networkidle")
        return shown

    return open_page


@pytest.mark.parametrize("width", [1280, 360])
def test_every_page_opens_whole_and_from_its_own_site(look, page_names, width):
    """The fixture adds: no request to another origin, none that threw. A breach of its policy is on the console."""
    assert page_names
    for name in page_names:
        shown = look(name, width=width)
        assert not shown.failed, f"{name}: {shown.failed}"
        assert not shown.console_errors, f"{name}: {shown.console_errors}"
        assert shown.page.evaluate(WIDER_THAN_THE_SCREEN) <= 0, f"{name} scrolls sideways at {width} pixels"
        assert shown.page.title()
        shown.context.close()


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 1280), (False, 360)], ids=["light", "dark", "phone"])
def test_axe_finds_nothing_on_any_page(look, page_names, dark, width):
    """axe-core comes with the packages of the live page, which the book's build has put there."""
    axe = Path(__file__).parents[2] / "_build/live/npm/node_modules/axe-core/axe.min.js"
    assert axe.exists(), f"{axe} is missing: build the book here first (make html)"
    for name in page_names:
        if name == "index.html":
            continue  # it only sends the reader on
        shown = look(name, dark=dark, width=width, bypass_csp=True)
        shown.page.add_script_tag(path=axe)
        found = shown.page.evaluate(AXE)
        assert not found, f"{name}: {found}"
        shown.context.close()
