"""Every page of the book in a real browser: it opens whole, fits a phone, and asks nobody else for anything."""

import pytest

WIDER_THAN_THE_SCREEN = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


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
