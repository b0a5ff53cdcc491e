"""What more than one folder of tests needs: the built book, and a browser."""

import fcntl
import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, Playwright, sync_playwright

from get_chromium import system_chromium
from get_firefox import launch_options

ROOT = Path(__file__).resolve().parents[1]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
CHAPTERS = "The kernel's memory"  # the part of the book whose pages have the shape of a chapter
SPHINX_PAGES = ["genindex.html", "search.html"]  # what Sphinx adds to those of _toc.yml
CHROMIUM = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",  # no page can reach the network
]


TURNS = ("book/test_built.py", "mm/", "exercises/", "labs/", "browser/test_pages.py", "browser/test_every_lab.py",
         "browser/test_survives.py", "browser/test_live_offline.py", "browser/test_lab_bench.py", "browser/test_l",
         "jupyterlab/", "browser/", "book/")
"""Whose turn it is: one process builds the book while the others need none; then the longest files, short ones last."""


def turn(path: str) -> int:
    """Return when a file of tests is to run, as a number."""
    return next((turn for turn, start in enumerate(TURNS) if path.startswith(start)), len(TURNS))


def chapter_names() -> list[str]:
    """The pages of the book's main part, without their ending."""
    return [each["file"] for part in TOC["parts"] if part["caption"] == CHAPTERS for each in part["chapters"]]


def page_names() -> list[str]:
    """Every page that _toc.yml names, the root first, without its ending."""
    return [TOC["root"], *(each["file"] for part in TOC["parts"] for each in part["chapters"])]


def of_site() -> list[str]:
    """Every page that a reader of the built book sees, from its top."""
    return [*(f"{name}.html" for name in page_names()), *SPHINX_PAGES]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test for every page (``page_name``), chapter (``chapter_name``) or page of the site (``site_page``)."""
    for name, values in (("page_name", page_names()), ("chapter_name", chapter_names()), ("site_page", of_site())):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, values, scope="module")  # all tests of a page before the next page


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the files, and give a test that waits for a browser a second try: a busy machine is no defect."""
    items.sort(key=lambda item: turn(item.path.relative_to(ROOT / "tests").as_posix()))
    waiting = (ROOT / "tests" / "browser", ROOT / "tests" / "jupyterlab")
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in waiting):
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_collection_finish() -> None:
    """Let the garbage collector leave aside what was collected: thousands of tests that stay to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def site_pages() -> list[str]:
    """Every page that a reader of the built book sees, from its top."""
    return of_site()


@pytest.fixture(scope="session")
def built_book(request) -> Path:
    """The built site.

    Built by the first test that asks, every page anew and with warnings as errors, whatever the number of
    pytest's processes. ``KMM_SITE=_build/html pytest ...`` takes a site that was built before instead.
    """
    if site := os.environ.get("KMM_SITE"):
        assert (Path(site) / "index.html").is_file(), f"KMM_SITE={site} is no built book"
        return Path(site).resolve()
    build = ROOT / "_build"
    build.mkdir(exist_ok=True)
    run = getattr(request.config, "workerinput", {}).get("testrunuid", str(os.getpid()))
    with open(build / ".test-run", "a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if lock.read() != run:
            build_book()
            lock.truncate(0)
            lock.write(run)
    return build / "html"


def build_book() -> None:
    """Build the book as `make html` does."""
    command = [Path(sys.executable).with_name("jupyter-book"), "build", str(ROOT), "--all", "-W", "-n", "--keep-going"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, f"the book does not build without warnings:\n{done.stdout[-8000:]}"


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """What drives the browsers."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright) -> Iterator[Browser]:
    """A Chromium: the system's, or Playwright's own."""
    browser = playwright.chromium.launch(executable_path=system_chromium(), args=CHROMIUM)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def firefox(playwright) -> Iterator[Browser]:
    """A Firefox: the system's, or Playwright's own."""
    firefox = playwright.firefox.launch(**launch_options())
    yield firefox
    firefox.close()
