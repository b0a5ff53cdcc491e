"""How a page comes to life: what it shows before, on the way, and when something is missing."""

import pytest

from live_page import LivePage, go_live

CHAPTER = "book/getting-pages.html"


@pytest.fixture
def saving(visit, site):
    """The chapter as a reader gets it who asked to save data: Python waits to be asked."""
    live = LivePage(visit(None).page, save_data=True)
    live.open(site + CHAPTER)
    return live


def asked_for(page, *names):
    """A list that will hold the addresses of requests for these files."""
    found = []
    page.on("request", lambda request: found.extend(request.url for name in names if name in request.url))
    return found


def test_before_python_the_labs_are_drawn_and_nothing_of_python_is_loaded(visit, site):
    live = LivePage(visit(None).page, save_data=True)
    requests = asked_for(live.page, "pyodide", "packages-", "memory-", "session-")
    live.open(site + CHAPTER)
    assert live.state == "recorded"
    assert live.page.locator(".kmm-view .kmm-bench").count() > 0
    assert live.button("start").is_visible()
    assert "save data" in live.status
    assert not requests


def test_a_page_becomes_live_by_itself_and_says_how(visit, site):
    live = go_live(visit(None).page, site + CHAPTER)
    assert live.states == ["recorded", "starting", "yes"]
    assert set(live.cell_states()) <= {"ok", "skipped", "error"}
    assert any(" of " in words and "MB" in words for words in live.words)
    assert any("running cell" in words for words in live.words)
    assert live.status == "Live: Python runs here."


def test_what_the_cells_show_is_the_same_live(visit, site):
    live = LivePage(visit(None).page, save_data=True)
    live.open(site + CHAPTER)
    texts = """cells => cells.map((cell) => [...cell.querySelectorAll(".cell_output pre:not(.kmm-bench pre)")]
      .map((pre) => pre.textContent.trim()))"""
    recorded = live.cells.evaluate_all(texts)
    live.start()
    assert live.cells.evaluate_all(texts) == recorded


@pytest.mark.parametrize("width", [1280, 360])
def test_nothing_jumps_while_the_page_comes_to_life(visit, site, width):
    live = go_live(visit(None, width=width).page, site + CHAPTER)
    assert live.shift <= 0.05, live.page.evaluate("shift.parts")


def test_a_table_that_python_makes_anew_breaks_its_names_where_the_build_did(saving, site):
    """Else it would be wider than a phone as soon as the page is live."""
    saving.page.set_viewport_size({"width": 360, "height": 740})
    saving.open(site + "book/names.html")
    size = "() => ['Width', 'Height'].map((side) => document.querySelector('article table')[`offset${side}`])"
    built = saving.page.evaluate(size)
    saving.start()
    assert saving.page.evaluate(size) == pytest.approx(built, rel=0.01)


def test_acting_on_a_cell_starts_python(saving):
    cell = saving.plain_cell()
    saving.cells.nth(cell).locator(".kmm-cell-run").click()
    saving.wait_live()
    assert saving.cell_states()[cell] == "ok"


def test_an_action_on_a_lab_starts_python_and_is_done_then(saving):
    """The contract with the labs: kmm:act is kept, kmm:perform hands it to the lab that Python drew."""
    saving.page.evaluate("""() => {
      const bench = document.querySelector(".kmm-bench");
      window.performed = [];
      addEventListener("kmm:perform", (event) => {
        performed.push([event.target !== bench, event.detail.actions.map((action) => action.probe)]);
        event.stopImmediatePropagation();
      }, true);
      for (const probe of [1, 2]) {
        bench.dispatchEvent(new CustomEvent("kmm:act", { bubbles: true, detail: { action: { probe } } }));
      }
    }""")
    saving.wait_live()
    saving.page.wait_for_function("() => performed.some(([, actions]) => actions.length)")
    assert [True, [1, 2]] in saving.page.evaluate("performed")


def test_stop_ends_python_and_start_brings_it_back(visit, site):
    live = go_live(visit(None).page, site + CHAPTER)
    live.button("stop").click()
    live.wait_state("recorded")
    assert "stopped" in live.status
    assert live.page.evaluate("document.activeElement.dataset.action") == "start"
    live.start()


def test_python_that_cannot_be_loaded_leaves_the_page_readable(visit, site):
    page = visit(None, errors_expected=True).page
    page.route("**/packages-*", lambda route: route.fulfill(status=404, body="gone"))
    live = LivePage(page)
    live.open(site + CHAPTER)
    live.wait_state("failed")
    assert "404" in live.status
    assert "Reload the page" in live.status
    assert live.page.locator(".kmm-bench").count() > 0
    page.unroute("**/packages-*")
    live.start()


def test_a_file_that_came_only_in_part_is_not_taken_for_whole(visit, site):
    page = visit(None, errors_expected=True).page
    page.route("**/sources-*", lambda route: route.fulfill(body=b"\x1f\x8b", content_type="application/gzip"))
    live = LivePage(page)
    live.open(site + CHAPTER)
    live.wait_state("failed")
    assert "only in part" in live.status


def test_without_the_kept_memory_python_starts_the_long_way(visit, site):
    page = visit(None, errors_expected=True).page
    page.route("**/memory-*.gz", lambda route: route.fulfill(status=404, body="gone"))
    live = go_live(page, site + CHAPTER)
    assert "error" not in live.cell_states()
