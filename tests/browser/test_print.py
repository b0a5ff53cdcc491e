"""The book on paper: labs in full colour, numbers that the contents know, links that stay inside, Chinese."""

import re
from unicodedata import normalize

import pypdfium2
import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import Link

from print_book import CHINESE_IS_DRAWN, LABS_ARE_DRAWN, contents_of, print_book, turn_inwards

CHAPTERS = ("book/getting-pages.html", "book/how-to-use.html")
FOLDED = "Every other page is free"  # the title of a lab in a fold
STICKS_OUT = """() => [...document.querySelectorAll(".kmm-bench .kmm-figure")].flatMap((figure) => {
    const around = figure.getBoundingClientRect();
    return [...figure.querySelectorAll(".kmm-timeline, .kmm-plot, .kmm-table")].filter((part) => {
        const box = part.getBoundingClientRect(), panel = (part.closest(".kmm-panel") ?? part).getBoundingClientRect();
        return box.left < around.left + 8 || box.right > panel.right + 1;
    }).map((part) => part.getAttribute("class"));
})"""
BLACK = 60  # as dark as ink at least is, of 255


@pytest.fixture(scope="module")
def paper(browser, built_book, tmp_path_factory):
    """Two chapters on paper."""
    target = tmp_path_factory.mktemp("paper") / "book.pdf"
    count = print_book(browser, built_book, target, CHAPTERS)
    assert count == len(PdfReader(target).pages)
    return target


@pytest.fixture(scope="module")
def sheets(paper):
    """The text of each sheet."""
    return [page.extract_text() for page in PdfReader(paper).pages]


def test_every_sheet_but_the_title_has_its_number(sheets):
    assert [text.split()[-1] for text in sheets[1:]] == [str(nth) for nth in range(2, len(sheets) + 1)]


def test_the_contents_have_the_sheet_on_which_a_chapter_starts(sheets):
    for title in ("Getting pages", "How to use this book"):
        found = re.search(rf"{title}\s*(\d+)", sheets[1])
        assert title in sheets[int(found[1]) - 1].partition("Contents")[0], title


def test_a_link_to_a_printed_page_stays_in_the_file(paper):
    """From the contents, and from one page to the other."""
    book = PdfReader(paper)
    inside = [link.get_object()["/Dest"] for page in book.pages for link in page.get("/Annots", [])
              if "/Dest" in link.get_object()]
    assert len(inside) >= 3
    outside = [str(link.get_object().get("/A", {}).get("/URI", "")) for page in book.pages
               for link in page.get("/Annots", [])]
    assert not [goal for goal in outside if goal.partition("#")[0].endswith(CHAPTERS)]


def test_a_link_to_a_page_of_the_book_that_is_not_printed_leads_nowhere():
    """It would lead to the address from which the book was printed."""
    book = PdfWriter()
    book.add_blank_page(100, 100)
    for goal in ("book/pages.html#flags", "book/progress.html", "book/progress.html#top"):
        book.add_annotation(0, Link(rect=(0, 0, 9, 9), url=f"http://127.0.0.1:9/{goal}"))
    book.add_annotation(0, Link(rect=(0, 0, 9, 9), url="https://docs.kernel.org/"))
    turn_inwards(book, {"http://127.0.0.1:9/book/pages.html": 0})
    links = [link.get_object() for link in book.pages[0]["/Annots"]]
    assert ["/Dest" in link for link in links] == [True, False, False, False]
    assert [link.get("/A", {}).get("/URI") for link in links] == [None, None, None, "https://docs.kernel.org/"]


def test_a_lab_in_a_fold_is_printed_as_dark_as_others(paper, sheets):
    """It fades in when the fold opens, and a fold opens just before the page is printed."""
    document = pypdfium2.PdfDocument(paper)
    page = document[next(nth for nth, text in enumerate(sheets) if FOLDED in text)]
    *_, (start, _) = iter(page.get_textpage().search(FOLDED).get_next, None)  # the cell has it too, before the lab
    left, bottom, right, top = (4 * edge for edge in page.get_textpage().get_charbox(start))
    picture = page.render(scale=4).to_pil().convert("L")
    letter = picture.crop((int(left), int(picture.height - top), int(right) + 1, int(picture.height - bottom) + 1))
    assert letter.getextrema()[0] < BLACK
    document.close()


def test_on_paper_a_lab_is_as_wide_as_its_box_and_nothing_of_it_is_cut(visit):
    """What the screen was measured for, the paper is narrower than."""
    page = visit("book/buddy-system.html", width=1280).page
    page.evaluate("kmmLive.drawn")
    page.wait_for_function(LABS_ARE_DRAWN)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 840, "height": 1100})
    assert page.evaluate(STICKS_OUT) == []


def test_the_glossary_is_printed_with_its_chinese_or_not_at_all(browser, built_book, site, tmp_path):
    """An empty box in place of a word would be seen only by who looks for it."""
    page = browser.new_page()
    page.goto(site + "book/glossary.html")
    drawn = page.evaluate(CHINESE_IS_DRAWN)
    page.close()
    if not drawn:
        with pytest.raises(AssertionError, match="fonts-noto-cjk"):
            print_book(browser, built_book, tmp_path / "book.pdf", ["book/glossary.html"])
        return
    print_book(browser, built_book, tmp_path / "book.pdf", ["book/glossary.html"])
    printed = "".join(page.extract_text() for page in PdfReader(tmp_path / "book.pdf").pages)
    printed = normalize("NFKC", printed)  # a font may draw a radical and the word that is one by the same glyph
    assert "夥伴系統" in printed
    assert "頁框" in printed


def test_what_only_a_browser_can_fill_in_is_left_out(built_book):
    names = [line.name for line in contents_of(built_book)]
    assert "book/progress.html" not in names
    assert "book/glossary.html" in names
