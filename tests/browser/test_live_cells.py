"""What a reader does with a live page: edit, run, break and mend it."""

import re

import pytest

from live_page import LivePage, go_live

CHAPTER = "book/getting-pages.html"


@pytest.fixture
def live(visit, site):
    """The chapter, live."""
    return go_live(visit(None).page, site + CHAPTER)


@pytest.fixture(scope="module")
def same_live(visit_for_all, site):
    """The chapter, live, for tests that only edit and run cells."""
    return go_live(visit_for_all(None).page, site + CHAPTER)


def test_an_edited_cell_runs_by_button_and_by_keyboard(same_live):
    cell = same_live.plain_cell()
    text = same_live.run_code(cell, "mine = 6 * 7\nprint('the answer is', mine)\nmine")
    assert text.split() == ["the", "answer", "is", "42", "42"]
    same_live.write(cell, "print('again')")
    assert same_live.run(cell, keyboard=True) == "ok"
    assert same_live.output(cell) == "again"


def test_an_error_shows_its_traceback_in_colours(same_live):
    cell = same_live.plain_cell()
    text = same_live.run_code(cell, "def halve(order):\n    return 1 / order\n\nhalve(0)")
    assert same_live.cell_states()[cell] == "error"
    assert "ZeroDivisionError: division by zero" in text
    assert "return 1 / order" in text
    assert "\x1b" not in text
    assert not re.search(r"\[[\d;]+m", text)
    assert same_live.cells.nth(cell).locator(".traceback [class*=-Color-]").count() > 0


def test_a_syntax_error_points_at_the_place(same_live):
    text = same_live.run_code(same_live.plain_cell(), "print('fine'))")
    assert "SyntaxError" in text


def test_results_come_in_their_richest_form(same_live):
    cell = same_live.plain_cell()
    same_live.run_code(cell, "\n".join([
        "from IPython.display import HTML, SVG, Image, Markdown, display",
        "import base64, sys",
        "display(HTML('<b id=\"bold\">bold</b>'), Markdown('*slanted*'))",
        "display(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\"><circle r=\"4\"/></svg>'))",
        "dot = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='",
        "display(Image(base64.b64decode(dot)))",
        "print('to stderr', file=sys.stderr)",
    ]))
    output = same_live.cells.nth(cell).locator(".cell_output")
    assert output.locator("b#bold").inner_text() == "bold"
    assert output.locator("em").inner_text() == "slanted"
    assert output.locator("svg circle").count() == 1
    assert output.locator("img").evaluate("img => img.decode().then(() => img.naturalWidth)") == 1
    assert output.locator(".stderr").inner_text().strip() == "to stderr"


def test_displays_can_be_updated_and_cleared(same_live):
    cell = same_live.plain_cell()
    text = same_live.run_code(cell, "\n".join([
        "from IPython.display import clear_output, display",
        "print('gone'); clear_output()",
        "print('soon gone'); clear_output(wait=True); print('kept')",
        "handle = display('first', display_id=True); handle.update('second')",
        "print('10 %\\r100 %')",
    ]))
    assert text.split() == ["kept", "'second'", "100", "%"]


def test_a_loop_that_prints_without_end_leaves_the_page_usable(live):
    cell = live.plain_cell()
    live.write(cell, "while True:\n    print('x' * 1000)")
    live.cells.nth(cell).locator(".kmm-cell-run").click()
    live.wait_output(cell, "left out")
    assert len(live.output(cell)) < 300_000
    assert live.page.evaluate("1 + 1") == 2
    live.button("restart").click()
    live.wait_state("starting")
    live.wait_live()


def test_an_endless_loop_is_survived_by_restart(live):
    cell = live.plain_cell()
    live.write(cell, "while True:\n    pass")
    live.cells.nth(cell).locator(".kmm-cell-run").click()
    live.wait_cell(cell, "running")
    assert live.note(cell) == "running …"
    assert live.status == f"Running cell {cell + 1} …"
    live.button("restart").click()
    live.wait_state("starting")
    live.wait_live()
    assert live.cell_states()[cell] == "skipped", "what never ends is not run again unasked"
    assert "still running" in live.note(cell)
    states = live.cell_states()
    assert states[:cell] == ["ok"] * cell
    assert live.run_code(cell, "print('back')") == "back"


def test_an_endless_loop_does_not_stand_in_the_way_of_the_next_visit(live):
    cell = live.plain_cell()
    live.write(cell, "while True:\n    pass")
    live.cells.nth(cell).locator(".kmm-cell-run").click()
    live.wait_cell(cell, "running")
    live.page.reload()
    live.wait_live()
    assert live.cell_states()[cell] == "skipped"


def test_edits_survive_reload_and_restart_until_they_are_reset(live):
    cell = live.plain_cell()
    original = live.code(cell)
    reset = live.cells.nth(cell).locator(".kmm-cell-reset")
    assert not reset.is_visible()
    live.run_code(cell, "print('kept by the browser')")
    live.page.reload()
    live.wait_live()
    assert live.code(cell) == "print('kept by the browser')"
    assert live.output(cell) == "kept by the browser"
    live.button("restart").click()
    live.wait_state("starting")
    live.wait_live()
    assert live.output(cell) == "kept by the browser"
    reset.click()
    assert live.code(cell) == original
    assert not reset.is_visible()
    live.page.reload()
    live.wait_live()
    assert live.code(cell) == original


def test_a_cell_that_fails_by_itself_stops_the_run_and_says_so(live):
    cell = live.plain_cell()
    live.write(cell, "raise RuntimeError('no further')")
    live.page.reload()
    live.wait_live()
    states = live.cell_states()
    assert states[cell] == "error"
    assert set(states[cell + 1:]) == {""}, "the cells after it keep what they show"
    assert f"Cell {cell + 1} failed" in live.status
    live.cells.nth(cell).locator(".kmm-cell-reset").click()
    assert live.run(cell) == "ok"


def test_waiting_for_the_keyboard_is_an_error_with_advice(same_live):
    assert "write the value into the cell" in same_live.run_code(same_live.plain_cell(), "input('Your name? ')")


def test_each_visitor_has_random_numbers_of_their_own(live):
    cell = live.plain_cell()
    first = live.run_code(cell, "import random; print(random.random())")
    live.button("restart").click()
    live.wait_state("starting")
    live.wait_live()
    assert re.fullmatch(r"0\.\d+", first)
    assert live.output(cell) != first


def test_the_code_runs_on_the_source_of_the_book(same_live):
    code = "import inspect, kmm_sim.mm.page_alloc as p\nprint(inspect.getsource(p)[:60])"
    text = same_live.run_code(same_live.plain_cell(), code)
    assert text.startswith("# SPDX")


def test_stock_widgets_answer_and_their_failures_are_seen(same_live):
    cell = same_live.plain_cell()
    same_live.run_code(cell, "\n".join([
        "import ipywidgets as w",
        "out, works, fails = w.Output(), w.Button(description='works'), w.Button(description='fails')",
        "def show(_):",
        "    with out: print('order', slider.value)",
        "def fail(_): raise KeyError('from a callback')",
        "slider = w.IntSlider(value=3, description='order')",
        "works.on_click(show); fails.on_click(fail)",
        "w.VBox([slider, works, fails, out])",
    ]))
    output = same_live.cells.nth(cell).locator(".cell_output")
    output.locator("button", has_text="works").click()
    same_live.wait_output(cell, "order 3")
    assert output.locator(".widget-output").inner_text().strip() == "order 3"
    output.locator(".noUi-handle").focus()
    same_live.page.keyboard.press("ArrowRight")
    output.locator("button", has_text="works").click()
    same_live.wait_output(cell, "order 4")
    output.locator("button", has_text="fails").click()
    same_live.wait_output(cell, "KeyError: 'from a callback'")


def test_none_is_null_on_both_sides_of_a_widget(same_live):
    cell = same_live.plain_cell()
    same_live.run_code(cell, "\n".join([
        "import anywidget, traitlets",
        "class Echo(anywidget.AnyWidget):",
        "    _esm = '''export default { render({ model, el }) {",
        "      el.className = 'echo'; el.textContent = String(model.get('value'));",
        "      el.onclick = () => { model.set('value', { inner: null }); model.save_changes(); }; } }'''",
        "    value = traitlets.Any().tag(sync=True)",
        "echo = Echo(value=None)",
        "echo.observe(lambda change: print('Python has', change['new']), 'value')",
        "echo",
    ]))
    echo = same_live.cells.nth(cell).locator(".echo")
    echo.wait_for()
    assert echo.inner_text() == "null"
    echo.click()
    same_live.wait_output(cell, "Python has {'inner': None}")


def test_an_editor_is_left_by_escape_and_tab(same_live):
    cell = same_live.plain_cell()
    editor = same_live.cells.nth(cell).locator(".cm-content")
    assert "Escape" in editor.get_attribute("aria-label")
    same_live.write(cell, "x")
    same_live.page.keyboard.press("Home")
    same_live.page.keyboard.press("Tab")
    assert same_live.code(cell) == "    x"
    same_live.page.keyboard.press("Escape")
    same_live.page.keyboard.press("Tab")
    assert same_live.page.evaluate("document.activeElement.className") == "kmm-cell-run"
    assert same_live.code(cell) == "    x"


def test_a_folded_prediction_opens_when_the_reader_runs_it(same_live):
    folded = same_live.cells.filter(has=same_live.page.locator("details .cell_output"))
    if folded.count() == 0:
        pytest.fail("the chapter has no cell with tag hide-output: this test needs one")
    assert folded.first.locator("details").get_attribute("open") is None
    folded.first.locator(".kmm-cell-run").click()
    folded.first.locator("details[open]").wait_for()


def test_storage_that_is_forbidden_costs_only_the_memory_of_edits(visit, site):
    page = visit(None).page
    page.add_init_script("""
      for (const name of ["getItem", "setItem", "removeItem"]) {
        const before = Storage.prototype[name];
        Storage.prototype[name] = function (key, ...rest) {
          if (key.startsWith("kmm:")) throw new DOMException("forbidden");
          return before.call(this, key, ...rest);
        };
      }""")
    live = LivePage(page)
    live.open(site + CHAPTER)
    live.wait_live()
    assert live.run_code(live.plain_cell(), "print('works')") == "works"
