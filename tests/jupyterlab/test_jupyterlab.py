"""What Binder makes of the repository, and a chapter in the JupyterLab that it makes.

One file, because `make test` gives each file to one process, and the environment is built once.
"""

import re
import time
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import jupytext
import pytest
from playwright.sync_api import expect

ROOT = Path(__file__).resolve().parents[2]
CHAPTER = "getting-pages"
RUN_TO_THE_END = """() => [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')].map(cell =>
  cell.querySelector('.jp-InputPrompt').textContent)"""


def test_binder_takes_the_python_of_the_runtime_file_and_installs_what_the_repository_says(recipe):
    assert f"python-{recipe.python}" == (ROOT / "runtime.txt").read_text().strip()
    assert recipe.commands == ('pip install --no-cache-dir -r "requirements.txt"', "pip install --no-cache-dir .")


@pytest.fixture
def path(built_book):
    """Where the button of a chapter leads in Binder's JupyterLab."""
    page = unescape((built_book / f"book/{CHAPTER}.html").read_text(encoding="utf-8"))
    button = re.search(r'href="(https://mybinder\.org/[^"]*)"', page)
    return parse_qs(urlsplit(button[1]).query)["urlpath"][0]


def test_the_path_of_binders_button_opens_that_chapter_as_a_notebook(lab, browser, path):
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{lab.url}/{path}?token={lab.token}")
    notebook = page.locator(".jp-NotebookPanel")
    notebook.locator(".jp-CodeCell").first.wait_for(timeout=60_000)
    assert "Getting pages" in notebook.locator("h1").first.inner_text()
    page.close()


@pytest.fixture(scope="module")
def chapter(lab_page):
    """The chapter, opened by double clicks in the list of files and run by the menu, to the end."""
    for name in ("book", f"{CHAPTER}.md"):
        lab_page.locator(".jp-DirListing-item", has_text=re.compile(rf"^{re.escape(name)}")).dblclick()
    notebook = lab_page.locator(".jp-NotebookPanel")
    notebook.locator(".jp-CodeCell").first.wait_for(timeout=60_000)
    lab_page.get_by_text("| Idle").wait_for(timeout=60_000)
    lab_page.locator(".lm-MenuBar-itemLabel", has_text="Run").click()
    lab_page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()
    return notebook


def test_the_chapter_runs_to_the_end(chapter, lab, lab_page):
    written = [cell for cell in jupytext.read(lab.folder / "book" / f"{CHAPTER}.md").cells if cell.cell_type == "code"]
    expected = [f"[{i}]:" for i in range(1, len(written) + 1)]
    deadline = time.monotonic() + 120
    while (prompts := lab_page.evaluate(RUN_TO_THE_END)) != expected:
        assert time.monotonic() < deadline, f"of {len(expected)} cells the prompts are {prompts}"
        lab_page.wait_for_timeout(200)
    shown_errors = sum("raises-exception" in cell.metadata.get("tags", []) for cell in written)
    assert chapter.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == shown_errors


def test_the_lab_is_drawn_and_answers_a_click(chapter):
    """Until the click the lab shows the start of its recorded run: nothing allocated."""
    bench = chapter.locator(".kmm-bench").first
    bench.scroll_into_view_if_needed()
    used = bench.locator(".kmm-block[data-state=used]")
    expect(bench.locator(".kmm-block")).to_have_count(1)
    expect(used).to_have_count(0)
    events_before = bench.locator(".kmm-count").inner_text()

    bench.locator(".kmm-call[data-does=alloc] .kmm-do").click()

    expect(used).to_have_count(1)
    expect(used).to_have_accessible_name(re.compile("pfn 0 to 3, order 2: allocated"))
    expect(bench.locator(".kmm-count")).not_to_have_text(events_before)


def test_an_exercise_is_done_and_remembered(chapter, lab_page):
    """Wrong, right, and the progress that the notebook's kernel keeps in a file."""
    asks = lab_page.locator(".jp-InputArea", has_text="ex.get_order.check(orders)")
    index = chapter.locator(".jp-CodeCell").filter(has=asks).evaluate(
        "cell => [...document.querySelectorAll('.jp-CodeCell')].indexOf(cell)")
    cell = chapter.locator(".jp-CodeCell").nth(index)
    cell.scroll_into_view_if_needed()

    def run(code):
        cell.locator(".cm-content").click()
        lab_page.keyboard.press("Control+A")
        lab_page.keyboard.insert_text(code)
        lab_page.keyboard.press("Control+Enter")

    run("ex.get_order.check([1, 1, 2, 3, 5])")
    expect(cell.locator('.kmm-exercise[data-outcome="wrong"]')).to_contain_text("number of pages the size needs")
    run("ex.get_order.check([0, 0, 1, 2, 3])")
    expect(cell.locator('.kmm-exercise[data-outcome="right"]')).to_contain_text("Tried with 5 cases")
    run("from kmm_sim.exercises import progress\nprogress.show()")
    expect(cell.locator(".kmm-exercise")).to_contain_text("1 of 3")
    expect(cell.locator(".kmm-exercise")).to_contain_text(".kmm-sim/kmm-progress.json")


def test_exercises_and_quizzes_are_readable_in_a_notebook(chapter):
    """JupyterLab draws the same text: a box for an exercise, a question with its answer folded for a quiz."""
    exercise = chapter.get_by_role("complementary").filter(has_text="Write down the order that it must ask for")
    exercise.scroll_into_view_if_needed()
    expect(exercise).to_contain_text("Which order?")
    quiz = chapter.get_by_role("complementary").filter(has_text="How many pages are yours?")
    quiz.scroll_into_view_if_needed()
    expect(quiz.get_by_text("Eight")).to_be_visible()
    expect(quiz.get_by_text("keeps no change")).to_be_hidden()
    quiz.get_by_text("Answer", exact=True).click()
    expect(quiz.get_by_text("keeps no change")).to_be_visible()


def test_a_lab_on_a_dead_kernel_says_so_and_still_steps(chapter, lab_page):
    """The last of these tests: the kernel is gone after it."""
    bench = chapter.locator(".kmm-bench").first
    bench.scroll_into_view_if_needed()
    bench.locator(".kmm-scrub input").evaluate("el => { el.value = 3; el.dispatchEvent(new Event('input')); }")
    lab_page.evaluate("""async () => { const base = document.baseURI.split("/lab")[0];
      const { token } = JSON.parse(document.getElementById("jupyter-config-data").textContent);
      const headers = { Authorization: `token ${token}` };
      for (const { id } of await (await fetch(`${base}/api/kernels`, { headers })).json())
        await fetch(`${base}/api/kernels/${id}`, { method: "DELETE", headers }); }""")
    bench.locator(".kmm-call[data-does=alloc] .kmm-do").click()
    expect(bench.locator(".kmm-notice")).to_have_text(re.compile("No answer from Python"), timeout=15_000)
    at = bench.locator(".kmm-count").inner_text()
    bench.locator(".kmm-step_back").click()
    expect(bench.locator(".kmm-count")).not_to_have_text(at)
