"""Quizzes and the page of progress: by mouse and keyboard, without Python or JavaScript, and with hostile files."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

CHAPTER = "book/getting-pages.html"
PROGRESS = "book/progress.html"
RIGHT = {"outcome": "right", "tries": 2, "first": "2026-11-01", "right": "2026-11-02"}


@pytest.fixture
def chapter(visit) -> Page:
    """The chapter as it is before Python."""
    page = visit(None).page
    page.add_init_script("window.requestIdleCallback = () => 0")
    return page


def quiz(page: Page, title: str) -> Locator:
    return page.locator(".admonition.quiz").filter(has=page.locator(".admonition-title", has_text=title))


def check(this: Locator) -> None:
    this.get_by_role("button", name="Check").click()


def said(this: Locator) -> Locator:
    return this.get_by_role("status")


def test_one_right_option_is_chosen_by_mouse(chapter, site):
    chapter.goto(site + CHAPTER)
    this = quiz(chapter, "Five pages")
    check(this)
    expect(said(this)).to_have_text("Choose an answer first.")
    this.get_by_label("Three").check()
    check(this)
    expect(said(this)).to_contain_text("Not right. 3 is the order, an exponent")
    expect(this.locator("details")).not_to_have_attribute("open", re.compile(".*"))
    this.get_by_label("Eight").check()
    check(this)
    expect(said(this)).to_have_text("Right.")
    expect(this.locator("details")).to_have_attribute("open", "")
    chapter.reload()
    expect(said(quiz(chapter, "Five pages"))).to_have_text("You have had this right before.")


def test_several_right_options_are_ticked_by_keyboard(chapter, site):
    chapter.goto(site + CHAPTER)
    this = quiz(chapter, "Five thousand blocks")
    this.get_by_label("4 KiB", exact=True).focus()
    chapter.keyboard.press("Space")
    for _option in range(4):
        chapter.keyboard.press("Tab")
    chapter.keyboard.press("Enter")
    expect(said(this)).to_contain_text("1 of 2 right ones, and 0 that should not be ticked")
    this.get_by_label("Two pages, at two addresses").focus()
    chapter.keyboard.press("Space")
    check(this)
    expect(said(this)).to_have_text("Right.")


def test_a_number_is_typed(chapter, site):
    chapter.goto(site + CHAPTER)
    this = quiz(chapter, "Whose buddy?")
    field = this.get_by_label("Your answer, a number")
    answers = {"": "Type a number", "seven": "Type a number", "5": "they are no pair", "3": "Try again",
               "-7": "Try again", "0x7": "Right.", " 7 ": "Right."}
    for text, words in answers.items():
        field.fill(text)
        field.press("Enter")
        expect(said(this)).to_contain_text(words)


def test_without_javascript_a_quiz_is_a_list_and_a_folded_answer(visit):
    page = visit(CHAPTER, java_script_enabled=False).page
    this = quiz(page, "Five pages")
    expect(this.locator("ol > li")).to_have_count(3)
    expect(this.locator("details")).to_have_count(1)
    expect(this.get_by_text("Order 3 is the smallest")).not_to_be_visible()
    this.locator("summary").click()
    expect(this.get_by_text("Order 3 is the smallest")).to_be_visible()
    expect(this.locator("button, input")).to_have_count(0)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_in_a_quiz_that_was_answered(visit, built_book, dark):
    axe = built_book.parent / "live/npm/node_modules/axe-core/axe.min.js"
    page = visit(CHAPTER, width=360, dark=dark, bypass_csp=True).page
    quiz(page, "Five pages").get_by_label("Three").check()
    check(quiz(page, "Five pages"))
    quiz(page, "Whose buddy?").get_by_label("Your answer").fill("7")
    check(quiz(page, "Whose buddy?"))
    page.add_script_tag(content=axe.read_text(encoding="utf-8"))
    assert not page.evaluate("() => axe.run('.admonition.quiz').then(({ violations }) => violations.map((v) => v.id))")


def keep(page: Page, site: str, kept) -> None:
    page.goto(site + PROGRESS)
    text = kept if isinstance(kept, str) else json.dumps(kept)
    page.evaluate("(text) => localStorage.setItem('kmm-progress', text)", text)
    page.reload()


def progress(exercises=(), quizzes=()):
    return {"format": "kmm-progress", "version": 1, "exercises": dict(exercises), "quizzes": dict(quizzes)}


def test_the_page_of_progress_shows_saves_and_reads_what_was_done(page, site, tmp_path):
    page.goto(site + CHAPTER)
    this = quiz(page, "Five pages")
    this.get_by_label("Eight").check()
    check(this)
    page.goto(site + PROGRESS)
    expect(page.locator(".kmm-progress-sum")).to_contain_text("and 1 of")
    expect(page.locator("#quizzes-getting-pages-5")).to_contain_text("1 of 5")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as a file").click()
    saved = json.loads(Path(download.value.path()).read_text())
    assert saved["quizzes"]["book/getting-pages#quiz-five-pages"]["outcome"] == "right"

    forget = page.get_by_role("button", name="Forget all")
    forget.click()
    page.get_by_role("button", name="Sure?").click()
    expect(page.locator("#quizzes-getting-pages-5")).to_contain_text("–")

    saved["exercises"]["getting-pages/buddy-of"] = RIGHT
    (tmp_path / "mine.json").write_text(json.dumps(saved))
    page.locator("input[type=file]").set_input_files(tmp_path / "mine.json")
    expect(page.locator(".kmm-progress-said")).to_have_text("2 entries read.")
    expect(page.locator("#done-getting-pages-buddy-of")).to_contain_text("✓ done")
    expect(page.locator("#quizzes-getting-pages-5")).to_contain_text("1 of 5")
    page.locator("#done-getting-pages-buddy-of a").click()
    expect(page).to_have_url(re.compile(r"getting-pages\.html#getting-pages-buddy-of$"))


@pytest.mark.parametrize(("text", "words"), [
    ("", "0 entries read."), ("{", "not JSON"), ("[]", "not progress"), ("null", "not progress"), ("7", "not progress"),
    ('{"format": "kmm-progress", "version": 9}', "another version"), ("[" * 200_000, "not JSON"),
    (" " * 1_000_001, "too large"),
    (json.dumps(progress({"__proto__": RIGHT, "<img src=x onerror=alert(1)>": RIGHT, "a/b": {"outcome": "won"},
                          "a/c": RIGHT | {"first": "<b>", "tries": -1, "score": "x", "more": "x"}})),
     "1 entries read. 3 could not be used."),
    (json.dumps(progress({f"a/b{n}": RIGHT for n in range(3000)})), "2000 entries read. 1000 could not be used."),
], ids=lambda value: value[:24] if isinstance(value, str) else None)
def test_a_file_that_is_no_progress_is_told_why_and_costs_nothing(page, site, tmp_path, text, words):
    keep(page, site, progress({"getting-pages/buddy-of": RIGHT}))
    file = tmp_path / "odd.json"
    file.write_text(text)
    page.locator("input[type=file]").set_input_files(file)
    expect(page.locator(".kmm-progress-said")).to_contain_text(words)
    expect(page.locator("#done-getting-pages-buddy-of")).to_contain_text("✓ done")
    kept = page.evaluate("JSON.parse(localStorage.getItem('kmm-progress'))")
    assert kept["exercises"]["getting-pages/buddy-of"] == RIGHT
    assert not {"more", "score"} & set(kept["exercises"].get("a/c", {}))
    assert page.evaluate("({}).outcome === undefined")


def test_broken_or_blocked_storage_leaves_the_page_whole(visit, site):
    """The theme's own scripts throw if storage is blocked; ours do their work."""
    page = visit(None, errors_expected=True).page
    keep(page, site, "{broken")
    expect(page.locator(".kmm-progress-sum")).to_contain_text("0 of")
    page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new Error('blocked') } })")
    page.goto(site + PROGRESS)
    expect(page.locator(".kmm-progress-sum")).to_contain_text("0 of")
    page.goto(site + CHAPTER)
    this = quiz(page, "Five pages")
    this.get_by_label("Eight").check()
    check(this)
    expect(said(this)).to_have_text("Right.")
