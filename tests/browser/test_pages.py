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


@pytest.mark.parametrize("width", [1280, 360])
def test_every_page_opens_whole_and_from_its_own_site(visit, page_names, width):
    """The fixture adds: no request to another origin, no script that threw."""
    assert page_names
    for name in page_names:
        shown = visit(name, width=width)
        shown.page.wait_for_load_state("networkidle")
        assert not shown.failed, f"{name}: {shown.failed}"
        assert not shown.console_errors, f"{name}: {shown.console_errors}"
        assert shown.page.evaluate(WIDER_THAN_THE_SCREEN) <= 0, f"{name} scrolls sideways at {width} pixels"
        assert shown.page.title()
        shown.context.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_on_any_page(visit, page_names, dark):
    """axe-core comes with the packages of the live page, which the book's build has put there."""
    axe = Path(__file__).parents[2] / "_build/live/npm/node_modules/axe-core/axe.min.js"
    assert axe.exists(), f"{axe} is missing: build the book here first (make html)"
    for name in page_names:
        if name == "index.html":
            continue  # it only sends the reader on
        shown = visit(name, dark=dark)
        shown.page.wait_for_load_state("networkidle")
        shown.page.add_script_tag(path=axe)
        found = shown.page.evaluate(AXE)
        assert not found, f"{name}: {found}"
        shown.context.close()
