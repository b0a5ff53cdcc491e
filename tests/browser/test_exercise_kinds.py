"""The kinds of exercises that "Getting pages" has not, each done from start to end in the live page."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

LIVE = 120_000  # ms until Python is up, on a slow machine
ANSWER = 20_000


def go_live(page: Page) -> None:
    expect(page.locator("html")).to_have_attribute("data-live", "yes", timeout=LIVE)


def answer_cell(page: Page, call: str) -> Locator:
    """The cell that hands an answer to this check."""
    return page.locator("div.cell").filter(has=page.locator(".cell_input", has_text=f"{call}.check("))


def hand_in(page: Page, this: Locator, call: str, answer: str) -> None:
    this.locator(".cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(f"{call}.check({answer})")
    page.keyboard.press("Shift+Enter")


def outcome(this: Locator, name: str) -> Locator:
    card = this.locator(f'.kmm-exercise[data-outcome="{name}"]:visible')
    expect(card).to_have_count(1, timeout=ANSWER)
    return card


MEMORY = "book/memory-in-the-kernel.html"
WHO = {"read": ("may sleep", "process"), "irq": ("must not sleep", "no process"), "spin": ("must not sleep", "lock"),
       "mutex": ("may sleep", "process"), "timer": ("must not sleep", "no process"), "thread": ("may sleep", "process")}
REPORT = {"who": "insmod", "interrupt": "no", "locks": 1, "mask": "GFP_ATOMIC"}

EXERCISES = [
    pytest.param(MEMORY, "ex.may_sleep", [
        ({**WHO, "mutex": ("must not sleep", "lock")}, "wrong", "Sleeping with one is allowed"),
        ({**WHO, "spin": ("must not sleep", "no process")}, "wrong", "the lock it holds"),
        (WHO, "right", "Tried with 6 cases"),
    ], id="choose"),
    pytest.param(MEMORY, "ex.unchecked", [
        ({9: "leak"}, "wrong", "that is what private_data is for"),
        ({5: "unchecked"}, "wrong", "it is 1 of 2"),
        ({5: "unchecked", 7: "leak"}, "right", "Right"),
    ], id="find the bug"),
    pytest.param(MEMORY, "ex.report", [
        ({**REPORT, "locks": 36}, "wrong", "36 is the number of the task"),
        (REPORT, "right", "Right"),
    ], id="read a report"),
    pytest.param("book/kmalloc.html", "ex.split_record", [
        ([1100], "wrong", "at most 20 bytes"),
        ([1024, 76], "right", "Your score"),
    ], id="design"),
]


@pytest.mark.parametrize(("chapter", "call", "tries"), EXERCISES)
def test_an_exercise_of_each_kind_from_start_to_end(visit, chapter, call, tries):
    """Untouched, wrong in a known way, right; and the page of progress knows of it."""
    page = visit(chapter).page
    this = answer_cell(page, call)
    outcome(this, "not-attempted")
    go_live(page)
    for answer, name, words in tries:
        hand_in(page, this, call, repr(answer))
        expect(outcome(this, name)).to_contain_text(words)
    noted = page.evaluate("JSON.parse(localStorage.getItem('kmm-progress')).exercises")
    (entry,) = noted.values()
    assert (entry["outcome"], entry["tries"]) == ("right", len(tries))


def test_a_wrong_answer_opens_in_the_lab_of_the_page(visit):
    page = visit("book/getting-pages.html").page
    this = answer_cell(page, "ex.buddy_of")
    go_live(page)
    hand_in(page, this, "ex.buddy_of", "lambda pfn, order: (pfn + (1 << order), pfn)")
    wrong = outcome(this, "wrong")
    wrong.get_by_role("button", name="Open in the lab").click()
    lab = page.locator(".kmm-bench").first
    expect(lab).to_be_in_viewport()
    expect(lab.get_by_role("option", name=re.compile("pfn 0, order 0: free")).or_(
        lab.locator('.kmm-block[data-state="free"]').first)).to_be_visible(timeout=ANSWER)
    expect(lab.locator(".kmm-notice")).not_to_contain_text("cannot")


def test_an_answer_without_an_end_is_stopped_by_the_check(visit):
    page = visit("book/getting-pages.html").page
    this = answer_cell(page, "ex.buddy_of")
    go_live(page)
    this.locator(".cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text("def buddy_of(pfn, order):\n    while True: pass\nex.buddy_of.check(buddy_of)")
    page.keyboard.press("Shift+Enter")
    expect(outcome(this, "raised")).to_contain_text("Does a loop in it ever end?")
