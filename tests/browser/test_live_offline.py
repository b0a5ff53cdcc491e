"""The service worker: after one visit the whole book is there without a host, and nothing broken is kept."""

import hashlib
import json
import os
import re
import shutil
import threading
import time
from pathlib import Path
from typing import ClassVar

import pytest

from lab_page import IN_BOTH
from live_page import LivePage
from serve_book import BookHandler, book_server

CHAPTER = "book/getting-pages.html"
OTHER = "book/kmalloc.html"
FOUND = "() => /Search finished/.test(document.querySelector('.search-summary')?.innerText ?? '')"
PYTHON = re.compile(r"(memory|packages|sources|stdlib)-|wasm\.gz$")
SCRIPT = re.compile(r"_static/live/(pyodide-.*|\w+-\w{8})\.m?js")
SERVED = re.compile(r"self\.kmmBuild = (.*);\n")

KEPT = """async () => {
  const addresses = [];
  for (const name of await caches.keys()) {
    for (const { url } of await (await caches.open(name)).keys()) addresses.push(url.split("/kept/")[1]);
  }
  return addresses;
}"""
STYLED = """() => {
  const links = [...document.querySelectorAll("link[rel=stylesheet]")];
  return links.length > 0 && links.every(({ sheet }) => sheet?.cssRules.length);
}"""


class Host(BookHandler):
    """A host that can fail: its switches are the class's, and ``plain`` sets them back."""

    folder = ""
    down = False  # it answers nobody
    breaks = ""  # files with this in their name break off in the middle
    lacks = ""  # files with this in their name are missing
    rate = 0.0  # bytes a second, all answers together; 0 is as fast as it can
    asked: ClassVar[list[str]] = []
    line = threading.Lock()

    @classmethod
    def plain(cls, folder: Path) -> None:
        """Serve this folder and do not fail."""
        cls.folder, cls.down, cls.breaks, cls.lacks, cls.rate, cls.asked = str(folder), False, "", "", 0.0, []

    def translate_path(self, path: str) -> str:
        """The folder can be another one from one request to the next."""
        self.directory = Host.folder
        return super().translate_path(path)

    def do_GET(self) -> None:
        """Answer, or fail as told."""
        Host.asked.append(self.path)
        if Host.down:
            self.close_connection = True
            self.connection.close()
        elif Host.lacks and Host.lacks in self.path:
            self.send_error(404)
        elif Host.breaks and Host.breaks in self.path:
            self.break_off()
        else:
            super().do_GET()

    def break_off(self) -> None:
        """Send the first bytes and no length: the browser cannot know that this is not all."""
        file = self.translate_path(self.path)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(file))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(Path(file).read_bytes()[:1000])
        self.close_connection = True

    def copyfile(self, source, outputfile) -> None:
        """Send a file through the one line that all answers share."""
        while piece := source.read(16384):
            if Host.rate:
                with Host.line:
                    time.sleep(len(piece) / Host.rate)
            outputfile.write(piece)


@pytest.fixture
def host(built_book):
    """Address of the built book on a host that fails as told."""
    Host.plain(built_book)
    server = book_server(built_book, 0, handler=Host)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def reader(engine, request):
    """A browser profile of its own, with service workers."""
    browser = request.getfixturevalue("browser" if engine == "chromium" else "firefox")
    context = browser.new_context()
    yield context
    context.close()


def visit(context, address, *, save_data=False):
    """Open a page of the book in a tab of its own."""
    live = LivePage(context.new_page(), save_data=save_data)
    live.open(address)
    return live


def wait_kept(live, whole="yes"):
    """Wait until the page has said whether the whole book is kept; with "yes", that it is."""
    live.page.wait_for_function("whole => document.documentElement.dataset.offline === whole", arg=whole,
                                timeout=120_000)


def python_way(live):
    """How this page's Python was started: memory or packages."""
    marks = live.page.evaluate("performance.getEntriesByType('mark').map(({ name }) => name)")
    return next(mark.removeprefix("kmm-way-") for mark in reversed(marks) if mark.startswith("kmm-way-"))


@IN_BOTH
def test_after_one_visit_the_whole_book_is_there_without_a_host(reader, host, built_book, engine):
    live = visit(reader, host + CHAPTER)
    wait_kept(live)
    assert "Kept for offline." in live.page.locator(".kmm-live").inner_text()
    live.page.close()
    Host.down = True
    page = reader.new_page()
    for file in sorted(built_book.glob("book/*.html"))[:: 1 if engine == "chromium" else 4]:
        page.goto(f"{host}book/{file.name}")
        assert page.locator("article h1").count() == 1, file.name
        page.wait_for_function(STYLED)  # those too that come with Python
    page.goto(host + "search.html?q=alloc_pages")
    page.wait_for_function(FOUND)
    assert page.locator("#search-results li > a").count() > 3
    page.goto(host)  # leads to the first page
    page.wait_for_url("**/book/index.html")
    page.close()
    other = visit(reader, host + OTHER)
    other.wait_live()
    assert python_way(other) == "memory"
    assert other.run_code(other.plain_cell(), "print('no host')") == "no host"


def test_a_page_without_python_keeps_the_book_too(reader, host):
    page = reader.new_page()
    page.goto(host + "genindex.html")
    page.wait_for_function("() => document.documentElement.dataset.offline === 'yes'", timeout=120_000)
    page.close()
    Host.down = True
    visit(reader, host + CHAPTER).wait_live()


def test_who_saves_data_keeps_what_was_read_and_is_told_of_the_rest(reader, host):
    live = visit(reader, host + CHAPTER, save_data=True)
    live.page.wait_for_function(f"async () => (await ({KEPT})()).some((name) => name.endsWith('getting-pages.html'))")
    live.page.wait_for_timeout(1000)
    assert not any(re.search(r"memory-|packages-|wasm|kmalloc", name) for name in live.page.evaluate(KEPT))
    live.page.close()
    Host.down = True
    again = visit(reader, host + CHAPTER, save_data=True)
    assert again.page.locator(".kmm-bench").count() > 0
    again.page.goto(host + OTHER)
    assert again.page.locator("h1").inner_text() == "No network"


def test_half_a_file_of_python_is_never_kept(reader, host):
    Host.breaks = "packages-"
    live = visit(reader, host + CHAPTER)
    live.wait_state("failed")
    assert "only in part" in live.status
    wait_kept(live, "no")
    assert not any("/packages-" in name for name in live.page.evaluate(KEPT))
    Host.breaks = ""
    live.start()
    live.page.reload()
    wait_kept(live)


def test_half_a_page_is_never_kept(reader, host):
    Host.breaks = "glossary.html"
    live = visit(reader, host + CHAPTER)
    wait_kept(live, "no")
    half = reader.new_page()
    half.goto(host + "book/glossary.html")  # seen as it came, and not kept either
    Host.down = True
    half.goto(host + "book/glossary.html")
    assert half.locator("h1").inner_text() == "No network"
    Host.down, Host.breaks = False, ""
    live.page.reload()
    wait_kept(live)
    Host.down = True
    half.goto(host + "book/glossary.html")
    assert half.locator("article h1").count() == 1


@pytest.fixture
def release(built_book, tmp_path):
    """A function that makes the next release of the book: the same but for these words on two pages."""
    def make(words):
        site = tmp_path / words
        shutil.copytree(built_book, site, copy_function=os.link)
        worker = (site / "sw.js").read_text()
        build = json.loads(SERVED.match(worker)[1])
        for name in ("book/glossary.html", "book/names.html"):
            text = (site / name).read_text().replace("</h1>", f" {words}</h1>").encode()
            (site / name).unlink()
            (site / name).write_bytes(text)
            build["files"][name] = {"size": len(text), "sha256": hashlib.sha256(text).hexdigest()}
        build["version"] = words
        (site / "sw.js").unlink()
        (site / "sw.js").write_text(SERVED.sub(lambda _: f"self.kmmBuild = {json.dumps(build)};\n", worker, count=1))
        return site

    return make


def headings(context, host):
    """What the headings of the two pages say that differ from release to release, without a host."""
    Host.down = True
    page = context.new_page()
    texts = []
    for name in ("glossary", "names"):
        page.goto(f"{host}book/{name}.html")
        texts.append(page.locator("article h1").inner_text())
    page.close()
    Host.down = False
    return texts


def test_a_new_release_replaces_the_old_one_whole_or_not_yet(reader, host, release):
    live = visit(reader, host + CHAPTER)
    wait_kept(live)
    old = set(live.page.evaluate(KEPT))
    live.page.close()
    Host.folder, Host.lacks = str(release("anew")), "names.html"
    live = visit(reader, host + CHAPTER)
    wait_kept(live, "no")
    assert not any("anew" in heading for heading in headings(reader, host)), "pages of two releases together"
    Host.lacks = ""
    live.page.reload()
    wait_kept(live)
    assert all("anew" in heading for heading in headings(reader, host))
    gone = old - set(live.page.evaluate(KEPT))
    assert sorted(name.split("/")[1] for name in gone) == ["glossary.html", "names.html"]


def test_on_a_slow_line_the_second_visit_asks_for_nothing_of_python_and_is_faster(reader, host):
    Host.rate, Host.lacks = 1e6, "memory-"
    began = time.monotonic()
    live = visit(reader, host + CHAPTER)
    live.wait_live()
    first = time.monotonic() - began
    assert python_way(live) == "packages"
    wait_kept(live, "no")  # all but the memory
    live.page.close()
    second, way = second_visit(reader, host)
    assert way == "packages"
    assert second < first
    Host.rate, Host.lacks = 0.0, ""
    live = visit(reader, host + CHAPTER)
    wait_kept(live)  # the memory came while nobody waited for it
    live.page.close()
    Host.rate = 1e6
    third, way = second_visit(reader, host)
    assert way == "memory"
    assert third < first


def second_visit(reader, host):
    """Visit again; return the seconds until the page is live, and how Python was started."""
    Host.asked.clear()
    began = time.monotonic()
    live = LivePage(reader.new_page())
    fetched = []  # by the page and its Python; the service worker asks for the memory once the page is live
    live.page.on("request", lambda request: fetched.append(request.url) if not request.service_worker else None)
    live.open(host + CHAPTER)
    live.wait_live()
    seconds = time.monotonic() - began
    assert not [url for url in fetched if PYTHON.search(url)]
    assert not [path for path in Host.asked if SCRIPT.search(path)]
    way = python_way(live)
    live.page.close()
    return seconds, way
