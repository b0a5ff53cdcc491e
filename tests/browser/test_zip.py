"""The book as a zip: unpacked below some path of the plainest server there is, its pages come to life."""

import functools
import http.server
import threading
import zipfile

import pytest

from live_page import go_live
from zip_site import FOLDER, zip_site


class Plain(http.server.SimpleHTTPRequestHandler):
    """Python's own file server, as the zip's READ-ME starts it."""

    def log_message(self, *args) -> None:
        """Say nothing for each request."""


@pytest.fixture(scope="module")
def unpacked(built_book, tmp_path_factory):
    """A folder that holds the zip's content below some/path."""
    folder = tmp_path_factory.mktemp("host")
    zip_site(built_book, folder / "book.zip")
    with zipfile.ZipFile(folder / "book.zip") as packed:
        packed.extractall(folder / "some/path")
    return folder


@pytest.fixture
def below_a_path(unpacked):
    """Address of the unpacked book."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Plain, directory=str(unpacked)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/some/path/{FOLDER}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_unpacked_book_is_live_below_some_path(browser, below_a_path):
    context = browser.new_context()
    page, outside = context.new_page(), []
    context.on("request", lambda request: outside.append(request.url)
               if not request.url.startswith((below_a_path, "data:", "blob:")) else None)
    page.goto(below_a_path)  # index.html leads to the first page
    page.wait_for_url("**/book/index.html")
    live = go_live(page, below_a_path + "book/getting-pages.html")
    code = "from kmm_sim import GFP_KERNEL, Machine; print(Machine(pages=64).alloc_pages(GFP_KERNEL, 0).pfn)"
    assert live.run_code(live.plain_cell(), code) == "0"
    assert page.evaluate("navigator.serviceWorker.ready.then(({ scope }) => scope)") == below_a_path
    context.close()
    assert not outside


def test_a_page_opened_as_a_file_can_be_read_and_says_why_python_is_missing(browser, unpacked):
    context = browser.new_context()
    page = context.new_page()
    page.goto((unpacked / f"some/path/{FOLDER}/book/getting-pages.html").as_uri())
    page.wait_for_function("() => document.querySelector('.kmm-live-text')?.innerText.includes('web server')")
    assert page.locator("article h1").inner_text().endswith("Getting pages")
    context.close()


def test_the_same_site_makes_the_same_zip(tmp_path):
    site = tmp_path / "site"
    (site / "reports").mkdir(parents=True)
    (site / "index.html").write_text("<p>here</p>")
    (site / "reports/chapter.err.log").write_text("only a build needs this")
    zip_site(site, tmp_path / "one.zip")
    (site / "index.html").touch()
    zip_site(site, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert zipfile.ZipFile(tmp_path / "one.zip").namelist() == [f"{FOLDER}/READ-ME.txt", f"{FOLDER}/index.html"]
