"""The exercises of "Getting pages", done by a reader in the live page: read, run, typed, wrong, hinted, right."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from kmm_sim.exercises import getting_pages

CHAPTER = "book/getting-pages.html"
LIVE = 120_000  # ms until Python is up, on a slow machine
ANSWER = 20_000


@pytest.fixture
def chapter(visit) -> Page:
    return visit(CHAPTER).page


def cell(page: Page, code: str) -> Locator:
    """The cell of the chapter whose code has this text."""
    return page.locator("div.cell").filter(has=page.locator(".cell_input", has_text=code))


def go_live(page: Page) -> None:
    expect(page.locator("html")).to_have_attribute("data-live", "yes", timeout=LIVE)


def unfold(page: Page, of: Locator) -> None:
    of.evaluate("el => { for (let d = el.querySelector('details') ?? el.closest('details'); d; "
                "d = d.parentElement.closest('details')) d.open = true }")


def run(of: Locator) -> None:
    of.get_by_role("button", name=re.compile("^Run")).click()
    expect(of).to_have_attribute("data-state", "ok", timeout=ANSWER)


def type_and_run(page: Page, of: Locator, code: str) -> None:
    editor = of.locator(".cm-content")
    editor.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(code)
    page.keyboard.press("Shift+Enter")


def outcome(of: Locator, name: str) -> Locator:
    """The result in this cell's output, once it is of this kind."""
    card = of.locator(f'.kmm-exercise[data-outcome="{name}"]:visible')
    expect(card).to_have_count(1, timeout=ANSWER)
    return card


BUDDY = """def buddy_of(pfn, order):
    return {answer}

ex.buddy_of.check(buddy_of)"""


def test_untouched_exercises_are_not_attempted_before_there_is_python(chapter):
    for code in ("ex.get_order.check(", "ex.buddy_of.check(", "puzzle.check("):
        expect(outcome(cell(chapter, code), "not-attempted")).to_contain_text("Not attempted yet")


def test_a_compute_exercise_from_start_to_end(chapter):
    this = cell(chapter, "ex.get_order.check(")
    go_live(chapter)
    run(this)
    outcome(this, "not-attempted")
    type_and_run(chapter, this, "ex.get_order.check({1: 1, 4096: 1, 4097: 2, 12288: 3, 20000: 5})")
    expect(outcome(this, "wrong")).to_contain_text("That is the number of pages the size needs")
    type_and_run(chapter, this, "ex.get_order.check({1: 0, 4096: 0, 4097: ..., 12288: 2, 20000: 3})")
    expect(outcome(this, "not-attempted")).to_contain_text("Still to fill in: 4097")
    type_and_run(chapter, this, "ex.get_order.check({1: 0, 4096: 0, 4097: 1, 12288: 2, 20000: 3})")
    expect(outcome(this, "right")).to_contain_text("Tried with 5 cases")


def test_an_implement_exercise_from_start_to_end(chapter):
    this = cell(chapter, "ex.buddy_of.check(")
    go_live(chapter)
    type_and_run(chapter, this, BUDDY.format(answer="pfn // 0, 0"))
    failed = outcome(this, "raised")
    expect(failed).to_contain_text("ZeroDivisionError")
    expect(failed).to_contain_text("line 2, in buddy_of")
    expect(failed).to_contain_text("return pfn // 0, 0")

    type_and_run(chapter, this, BUDDY.format(answer="pfn + (1 << order), pfn"))
    wrong = outcome(this, "wrong")
    expect(wrong).to_contain_text("A buddy is not simply the next block")
    expect(wrong).to_contain_text("pfn = 1, order = 0")

    hints = cell(chapter, "ex.buddy_of.hint(")
    unfold(chapter, hints)
    expect(hints.locator(".kmm-exercise:visible")).to_contain_text("Hint 1 of 3")
    run(hints)
    expect(hints.locator(".kmm-exercise:visible")).to_contain_text("Hint 2 of 3", timeout=ANSWER)

    type_and_run(chapter, this, BUDDY.format(answer="pfn + (1 << order), pfn") + ".lab()")
    lab = this.locator(".kmm-bench:visible")
    expect(lab).to_have_count(1, timeout=ANSWER)
    expect(lab).to_contain_text("see which block it merges with")

    type_and_run(chapter, this, BUDDY.format(answer="pfn ^ (1 << order), pfn & ~(1 << order)"))
    outcome(this, "right")


def test_a_prediction_from_start_to_end(chapter):
    question, this = cell(chapter, "ex.free_lists("), cell(chapter, "puzzle.check(").first
    go_live(chapter)
    type_and_run(chapter, question, "puzzle = ex.free_lists(seed=1)\npuzzle")
    expect(question.locator(".kmm-exercise:visible")).to_contain_text("question 1", timeout=ANSWER)
    type_and_run(chapter, this, "puzzle.check({0: [0, 7], 1: [2, 4], 3: [8], 4: [16]})")
    expect(outcome(this, "wrong")).to_contain_text("You wrote the lists by address")
    type_and_run(chapter, this, "puzzle.check({0: [0, 7], 1: [4, 2], 3: [8], 4: [16]})")
    expect(outcome(this, "right")).to_contain_text("Another question")


@pytest.mark.parametrize("width", [1100, 360])
def test_a_card_keeps_its_shape_under_jupyterlabs_styles(visit, width):
    page = visit(None, width=width).page
    rules = "dl { width: 100% } dt { float: left; width: 20%; font-weight: bold } dd { margin: 0 0 .5em 40px }"
    card = getting_pages.buddy_of.check(lambda pfn, order: (pfn + (1 << order), pfn))._repr_html_()
    page.set_content(f"<style>{rules}</style>{card}")
    for label, value in zip(page.locator("dt").all(), page.locator("dd").all(), strict=True):
        left, right = label.bounding_box(), value.bounding_box()
        assert left["height"] < 30, "a label is one line"
        assert abs(left["y"] - right["y"]) < 2
        assert left["x"] + left["width"] < right["x"]
