"""What a page stands: files that are missing or spoilt, a connection that goes, storage and memory that are full.

What the tests of the start, of the cells and of being offline prove is not proven here again.
"""

import json

import pytest

from get_chromium import system_chromium
from live_page import LivePage, go_live

CHAPTER = "book/getting-pages.html"
READABLE = "() => document.querySelectorAll('article p').length > 20 && document.querySelector('.kmm-bench') !== null"


@pytest.fixture(scope="module")
def files(built_book):
    """The files that Python is made of, by what they are: { name, size }."""
    return json.loads((built_book / "_static/live/manifest.json").read_text())["files"]


def fails_readably(page, site):
    """Open the chapter, see that Python does not come and the page stands; return it."""
    live = LivePage(page)
    live.open(site + CHAPTER)
    live.wait_state("failed")
    assert page.evaluate(READABLE)
    assert live.button("start").is_visible()
    return live


@pytest.mark.parametrize(("pattern", "answer"), [
    ("**/manifest.json", {"status": 404, "body": "gone"}),
    ("**/manifest.json", {"body": "<p>Sign in to this network</p>", "content_type": "text/html"}),
    ("**/session-*.js", {"status": 404, "body": "gone"}),
    ("**/worker-*.js", {"status": 404, "body": "gone"}),
    ("**/pyodide.mjs", {"body": "export const nothing = 1;", "content_type": "text/javascript"}),
], ids=["manifest missing", "manifest of another", "session missing", "worker missing", "pyodide spoilt"])
def test_without_a_script_of_python_the_page_is_readable_and_says_so(visit, site, pattern, answer):
    page = visit(None, errors_expected=True).page
    page.route(pattern, lambda route: route.fulfill(**answer))
    live = fails_readably(page, site)
    assert live.status.startswith(("Python could not be loaded. ", "Python stopped: "))


@pytest.mark.parametrize("what", ["wasm", "stdlib", "packages"])
def test_spoilt_bytes_of_the_right_number_are_noticed(visit, site, files, what):
    page = visit(None, errors_expected=True).page
    page.route(f"**/{files[what]['name']}", lambda route: route.fulfill(body=b"\xa5" * files[what]["size"]))
    live = fails_readably(page, site)
    assert "came spoilt" in live.status


def test_a_spoilt_memory_is_left_aside(visit, site, files):
    page = visit(None, errors_expected=True).page
    page.route(f"**/{files['memory']['name']}", lambda route: route.fulfill(body=b"\xa5" * files["memory"]["size"]))
    live = go_live(page, site + CHAPTER)
    assert "error" not in live.cell_states()


def test_a_connection_that_goes_in_the_middle_and_comes_back(visit, site):
    page = visit(None, errors_expected=True).page
    page.route("**/packages-*", lambda route: route.abort("internetdisconnected"))
    live = fails_readably(page, site)
    page.unroute("**/packages-*")
    live.start()
    assert live.run_code(live.plain_cell(), "print('back')") == "back"


STORAGE = {
    "full": """Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); };""",
    "blocked": """for (const name of ["localStorage", "sessionStorage", "caches", "indexedDB"])
        Object.defineProperty(window, name, {
          configurable: true, get() { throw new DOMException("blocked", "SecurityError"); } });""",
}


@pytest.mark.parametrize("how", STORAGE)
def test_a_page_without_storage_is_live(visit, site, how):
    seen = visit(None)  # fails at its end if a script threw
    seen.page.add_init_script(STORAGE[how])
    live = go_live(seen.page, site + CHAPTER)
    assert live.run_code(live.plain_cell(), "print('works')") == "works"
    live.page.goto(site + "search.html?q=alloc_pages")
    live.page.locator("#search-results li").first.wait_for()


def test_a_cell_that_wants_more_memory_than_there_is_gets_an_error_and_python_goes_on(visit, site):
    live = go_live(visit(None).page, site + CHAPTER)
    cell = live.plain_cell()
    assert "MemoryError" in live.run_code(cell, "kept = bytes(2**31 - 100), bytes(2**31 - 100), bytes(2**31 - 100)")
    assert live.run_code(cell, "print('goes on')") == "goes on"


@pytest.mark.parametrize("deed", ["os.abort()", "os._exit(3)"])
def test_a_cell_that_brings_python_down_is_said_and_python_starts_anew(visit, site, deed):
    live = go_live(visit(None, errors_expected=True).page, site + CHAPTER)
    cell = live.plain_cell()
    live.write(cell, f"import os\n{deed}")
    live.cells.nth(cell).locator(".kmm-cell-run").click()
    live.wait_state("failed")
    assert live.status.startswith("Python stopped: ")
    live.cells.nth(cell).locator(".kmm-cell-reset").click()
    live.start()
    assert live.run_code(cell, "print('anew')") == "anew"


COUNTS = ("Nodes", "JSEventListeners")


def counts(page):
    """How many elements and listeners the page has, those included that only the collector would find."""
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable")
    for _ in range(3):
        client.send("HeapProfiler.collectGarbage")
    metrics = {each["name"]: each["value"] for each in client.send("Performance.getMetrics")["metrics"]}
    client.detach()
    return [metrics[name] for name in COUNTS]


def test_a_hundred_restarts_leave_one_python_and_nothing_behind(visit, site):
    live = go_live(visit(None).page, site + CHAPTER)
    labs = live.page.locator(".kmm-bench").count()
    restart = live.button("restart")
    for press in range(1, 101):
        restart.dispatch_event("click")  # also while it is starting, when there is no button to see
        if press % 10 == 0:
            live.wait_state("starting")
            live.wait_live()
        if press == 10:
            before = counts(live.page)
    after = counts(live.page)
    assert all(now < then + 90 for now, then in zip(after, before, strict=True)), (before, after)  # 90 restarts
    assert len(live.page.workers) == 1
    assert live.page.locator(".kmm-bench").count() == labs
    assert live.run_code(live.plain_cell(), "print('once')") == "once"


@pytest.fixture
def going_back(playwright):
    """A Chromium that keeps pages for the way back, which it does not when it is driven by Playwright."""
    browser = playwright.chromium.launch(executable_path=system_chromium(), args=["--no-sandbox", "--disable-gpu"],
                                         ignore_default_args=["--disable-back-forward-cache"])
    yield browser.new_page()
    browser.close()


def test_a_page_that_comes_back_from_the_cache_has_its_python(going_back, site):
    going_back.add_init_script("addEventListener('pageshow', ({ persisted }) => (window.cameBack = persisted))")
    live = go_live(going_back, site + CHAPTER)
    cell = live.plain_cell()
    assert live.run_code(cell, "mine = 42; print('set')") == "set"
    going_back.goto(site + "book/glossary.html")
    going_back.go_back(wait_until="commit")
    going_back.wait_for_function("() => window.cameBack")
    assert live.state == "yes"
    assert live.run_code(cell, "print(mine)") == "42"


def test_two_tabs_have_a_python_each(visit, site):
    seen = visit(None)
    tabs = [go_live(page, site + CHAPTER) for page in (seen.page, seen.context.new_page())]
    cell = tabs[0].plain_cell()
    assert tabs[0].run_code(cell, "only_here = 1; print(only_here)") == "1"
    tabs[1].run_code(cell, "print(only_here)")
    tabs[1].wait_output(cell, "NameError")
    assert tabs[0].run_code(cell, "print(only_here + 1)") == "2"
