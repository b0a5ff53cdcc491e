"""The built book in a real browser.

    def test_something(visit):
        page = visit("book/getting-pages.html", width=360).page
        ...

Whatever a test does, it fails at its end if a page asked another origin for anything or if a script threw.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from kmm_sim.labs import buddy_lab
from lab_page import Lab, put_lab
from serve_book import serving


@dataclass
class Visit:
    """One browser context on the site and what went wrong in it."""

    context: BrowserContext
    page: Page
    site: str
    foreign: list[str] = field(default_factory=list)  # requests to another origin
    page_errors: list[str] = field(default_factory=list)  # exceptions no script caught
    console_errors: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # requests answered with 400 or more, or not at all
    errors_expected: bool = False

    def watch(self) -> None:
        """Write down what the pages and workers of this context ask for and complain of."""
        context = self.context
        context.on("request", self._on_request)
        context.on("response", lambda r: self.failed.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        context.on("requestfailed", lambda r: self.failed.append(f"{r.failure} {r.url}"))
        context.on("weberror", lambda e: self.page_errors.append(str(e.error)))
        context.on("console", lambda m: self.console_errors.append(m.text) if m.type == "error" else None)

    def _on_request(self, request) -> None:
        if not request.url.startswith((self.site, "data:", "blob:", "about:")):
            self.foreign.append(request.url)


@pytest.fixture(scope="session")
def site(built_book) -> Iterator[str]:
    """Address of the built book, with a slash at its end; its pages come gzipped, as from a web host."""
    with serving(built_book, compress=True) as address:
        yield address


@pytest.fixture(scope="session")
def page_names(built_book) -> list[str]:
    """Every page of the site, from its top."""
    names = [path.relative_to(built_book).as_posix() for path in sorted(built_book.rglob("*.html"))]
    names = [name for name in names if not name.startswith(("_static/", "_sources/"))]
    assert "book/getting-pages.html" in names
    return names


@pytest.fixture(scope="session")
def axe(built_book) -> str:
    """axe-core, which comes with the packages of the live page, as the book's build has put them there."""
    path = Path(__file__).parents[2] / "_build/live/npm/node_modules/axe-core/axe.min.js"
    assert path.exists(), f"{path} is missing: build the book here first (make html)"
    return path.read_text(encoding="utf-8")


@pytest.fixture
def visit(browser: Browser, site: str) -> Iterator[Callable[..., Visit]]:
    """A function that opens a page of the book in a context of its own and returns the Visit.

    ``visit("book/getting-pages.html", width=360, height=740, dark=True, errors_expected=False, **context_options)``:
    the options are Playwright's ``new_context``; a path of None opens nothing yet. Service workers are blocked
    unless the test says ``service_workers="allow"``, so that one test's cache is never another's.
    """
    with visiting(browser, site) as open_page:
        yield open_page


@pytest.fixture(scope="module")
def visit_for_all(browser: Browser, site: str) -> Iterator[Callable[..., Visit]]:
    """The same for a visit that the tests of a file share, since they leave it as it was."""
    with visiting(browser, site) as open_page:
        yield open_page


@contextmanager
def visiting(browser: Browser, site: str) -> Iterator[Callable[..., Visit]]:
    """What `visit` is."""
    visits: list[Visit] = []

    def open_page(path: str | None = "", *, width: int = 1280, height: int = 900, dark: bool = False,
                  errors_expected: bool = False, **options: Any) -> Visit:
        context = browser.new_context(**{"viewport": {"width": width, "height": height},
                                         "color_scheme": "dark" if dark else "light",
                                         "service_workers": "block", **options})
        visit = Visit(context, context.new_page(), site, errors_expected=errors_expected)
        visit.watch()
        visits.append(visit)
        if path is not None:
            visit.page.goto(site + path, wait_until="load")
        return visit

    yield open_page
    for each in visits:
        each.context.close()
    for each in visits:
        assert not each.foreign, f"left the site: {each.foreign}"
        assert each.errors_expected or not each.page_errors, f"scripts threw: {each.page_errors}"


@pytest.fixture
def page(visit) -> Page:
    """A blank page of this width and scheme, watched like every visit: ``page.goto(site + ...)``."""
    return visit(None).page


@pytest.fixture
def engine(request) -> str:
    """The browser that a lab is opened in: a test in both parametrizes it, indirectly."""
    return getattr(request, "param", "chromium")


@pytest.fixture
def open_lab(engine, request) -> Iterator[Callable[..., Lab]]:
    """A function that puts a bench on a page of its own, with Python behind it; see tools/lab_page.py.

    ``open_lab(buddy_lab(...), live="recorded", answers=False, **context_options)``.
    """
    browser = request.getfixturevalue("browser" if engine == "chromium" else "firefox")
    contexts, errors = [], []

    def open_lab(bench=None, *, live=None, answers=True, **options):
        bench = bench or buddy_lab(script="+0 +1 +0 -0 -1 -2", pages=16)  # 20 events
        contexts.append(browser.new_context(**{"viewport": {"width": 740, "height": 900}, **options}))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        return put_lab(page, bench, live=live, answers=answers)

    yield open_lab
    for context in contexts:
        context.close()
    assert not errors
