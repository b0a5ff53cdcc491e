"""The book's search: it finds what a reader of kernel source types, and the glossary's Chinese words."""

import re
from urllib.parse import quote

import pytest

from live_page import BREACHES

FINISHED = "() => /Search finished|did not match/.test(document.querySelector('.search-summary')?.innerText ?? '')"


def found(page) -> list[str]:
    """The pages that a finished search lists, once each."""
    page.wait_for_function(FINISHED)
    links = page.locator("#search-results li > a").evaluate_all("links => links.map((link) => link.pathname)")
    return list(dict.fromkeys(link.rpartition("/")[2] for link in links))


@pytest.mark.parametrize(("words", "name"), [
    ("__GFP_NOFAIL", "gfp-flags.html"),
    ("nofail", "gfp-flags.html"),  # the end of a name, in small letters
    ("alloc_pages", "getting-pages.html"),
    ("alloc_pages()", "getting-pages.html"),
    ("__rmqueue_smallest", "getting-pages.html"),
    ("rmqueue_smallest", "getting-pages.html"),
    ("夥伴系統", "glossary.html"),
    ("頁框", "glossary.html"),
    ("系統", "glossary.html"),  # the end of a term
])
def test_a_word_is_found_where_it_is_explained(page, site, words, name):
    page.add_init_script(BREACHES)
    page.goto(f"{site}search.html?q={quote(words)}")
    assert name in found(page)
    assert page.evaluate("() => window.breaches ?? []") == []


@pytest.mark.parametrize(("name", "leads_to"), [
    ("alloc_pages", "getting-pages.html"),  # a line of a table
    ("rmqueue_smallest", "getting-pages.html"),  # a listing
    ("kmalloc", "kmalloc.html"),
    ("__GFP_NOFAIL", "gfp-flags.html"),
    ("夥伴系統", "glossary.html"),
])
def test_the_first_hit_is_the_place_that_explains_the_name(page, site, name, leads_to):
    page.goto(f"{site}search.html?q={quote(name)}")
    assert found(page)[0] == leads_to
    first = page.locator("#search-results li > a").first
    anchor = first.get_attribute("href").partition("#")[2]
    first.click()
    page.wait_for_url(f"**/{leads_to}*")
    assert name in page.locator(f"[id='{anchor}']").inner_text()
    page.locator("span.highlighted").first.wait_for(state="attached")
    assert not page.locator(".kmm-view .highlighted").count()


@pytest.mark.parametrize(("word", "chapter"), [
    ("slab", "slab-layer.html"), ("vmalloc", "vmalloc.html"), ("stack", "the-stack.html"), ("zones", "zones.html"),
])
def test_a_chapter_about_a_thing_comes_before_what_has_the_word_in_it(page, site, word, chapter):
    page.goto(f"{site}search.html?q={word}")
    assert chapter in found(page)[:3]


def test_what_is_shown_of_a_page_is_of_its_text(page, site):
    page.goto(f"{site}search.html?q=slab")
    found(page)
    page.wait_for_function("() => document.querySelectorAll('#search-results li p.context').length > 9")
    shown = page.locator("#search-results p.context").all_inner_texts()
    assert not [text for text in shown if re.search("Contents|Binder|JavaScript, which is off", text)]
    assert re.match(r"slab\b.{30}", shown[0], re.DOTALL), "a term without what it means"


def test_a_name_that_is_nowhere_is_not_found(page, site):
    page.goto(f"{site}search.html?q=__GFP_NOSUCHTHING")
    assert found(page) == []
    assert page.locator(".search-summary").inner_text().endswith("make sure that all words are spelled correctly.")


def test_a_reader_searches_from_a_chapter_and_lands_on_the_word(page, site):
    page.goto(site + "book/glossary.html")
    page.keyboard.press("ControlOrMeta+k")
    page.locator(".search-button__search-container input[name=q]").fill("__GFP_NOFAIL")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=__GFP_NOFAIL*")
    assert "gfp-flags.html" in found(page)
    page.locator("#search-results a[href*='gfp-flags.html']").first.click()
    page.locator("span.highlighted", has_text="__GFP_NOFAIL").first.wait_for()


def test_on_a_phone_the_search_fits_and_its_glass_stands_beside_the_words(visit):
    page = visit("search.html?q=alloc_pages", width=360, height=740).page
    assert found(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    glass, text = page.evaluate("""() => {
        const form = document.querySelector(".bd-search-container .bd-search");
        const input = form.querySelector("input");
        const text = input.getBoundingClientRect().left + parseFloat(getComputedStyle(input).paddingLeft);
        return [form.querySelector("i").getBoundingClientRect().right, text];
    }""")
    assert glass <= text


def test_the_index_has_all_chinese_terms_under_one_heading(built_book):
    index = (built_book / "genindex.html").read_text(encoding="utf-8")
    assert re.findall(r"<h2[^>]*>([\u4e00-\u9fff]+)</h2>", index) == ["中文"]
