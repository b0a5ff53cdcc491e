"""The live page in Firefox: it comes to life, runs cells, starts anew, and keeps to its policy."""

import pytest

from live_page import SAVE_DATA, LivePage, go_live

CHAPTER = "book/getting-pages.html"
BREACHES = """document.addEventListener("securitypolicyviolation",
    ({ effectiveDirective, blockedURI }) => (window.breaches ??= []).push([effectiveDirective, blockedURI]))"""

FORBIDDEN = [
    ("fetch('http://127.0.0.1:9/elsewhere').catch(() => 0)", "connect-src"),
    ("document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' }))",
     "script-src-elem"),
    ("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">')", "script-src-attr"),
]
ENDED = "undefined"  # what Firefox calls the end of a worker that is ended in the middle of a loop


@pytest.fixture
def live(firefox, site):
    """The chapter, live in Firefox, in a page that writes down what its policy forbade and what its scripts threw."""
    context, errors = firefox.new_context(viewport={"width": 1280, "height": 900}), []
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)) if str(error) != ENDED else None)
    page.add_init_script(BREACHES)
    live = go_live(page, site + CHAPTER)
    yield live
    breaches = page.evaluate("window.breaches ?? []")
    context.close()
    assert (errors, breaches) == ([], [])


def test_a_page_becomes_live_by_itself(live):
    assert live.states == ["recorded", "starting", "yes"]
    assert set(live.cell_states()) <= {"ok", "skipped"}
    assert live.status == "Live: Python runs here."


def test_a_cell_runs_what_the_reader_writes(live):
    cell = live.plain_cell()
    assert live.run_code(cell, "from kmm_sim import GFP_KERNEL, Machine\n"
                         "print(Machine(pages=64).alloc_pages(GFP_KERNEL, 2).pfn)") == "0"
    live.write(cell, "print('by keyboard')")
    assert live.run(cell, keyboard=True) == "ok"
    assert live.output(cell) == "by keyboard"


def test_a_lab_answers(live):
    lab = live.page.locator(".kmm-bench").first
    before = lab.locator(".kmm-count").inner_text()
    lab.locator(".kmm-call[data-does=alloc] .kmm-do").click()
    live.page.wait_for_function("([lab, before]) => lab.querySelector('.kmm-count').innerText !== before",
                                arg=[lab.element_handle(), before])


def test_restart_survives_an_endless_loop(live: LivePage):
    cell = live.plain_cell()
    live.write(cell, "while True:\n    pass")
    live.cells.nth(cell).locator(".kmm-cell-run").click()
    live.wait_cell(cell, "running")
    live.button("restart").click()
    live.wait_state("starting")
    live.wait_live()
    assert live.run_code(cell, "print('back')") == "back"


@pytest.mark.parametrize(("deed", "directive"), FORBIDDEN)
def test_what_the_policy_forbids_does_not_happen(firefox, site, deed, directive):
    context = firefox.new_context()
    page = context.new_page()
    page.add_init_script(SAVE_DATA + BREACHES)
    page.goto(site + CHAPTER)
    page.evaluate(f"() => {{ {deed} }}")
    page.wait_for_function("() => window.breaches?.length")
    assert page.evaluate("window.breaches.map(([directive]) => directive)") == [directive]
    assert page.evaluate("window.ran ?? null") is None
    context.close()
