# SPDX-License-Identifier: GPL-2.0-only
"""Print the built book as one PDF: every page in the order of the book, every lab as its picture.

    python tools/print_book.py _build/html _build/kernel-memory-book.pdf

Chromium prints the pages as they are before Python starts; pypdf joins them, with bookmarks, and turns links between
them into links inside the file.  The glossary needs a font with Chinese (fonts-noto-cjk on Debian); without one this
stops rather than print empty boxes.
"""

import argparse
import io
import re
import sys
from pathlib import Path
from urllib.parse import urldefrag

from playwright.sync_api import Browser, Page, sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, NameObject

from get_chromium import system_chromium
from serve_book import serving

TITLE = "The Linux kernel's memory, to touch"
FOOT = ('<div style="font: 8px sans-serif; width: 100%; text-align: center; color: #555">'
        '<span class="pageNumber"></span></div>')
PRINTED = {"format": "A4", "scale": 0.8, "print_background": True, "display_header_footer": True,
           "header_template": "<i></i>", "footer_template": FOOT,
           "margin": {"top": "16mm", "bottom": "16mm", "left": "16mm", "right": "16mm"}}
OPEN = "() => document.querySelectorAll('article details').forEach((each) => { each.open = true; })"
CHINESE_IS_DRAWN = """() => {
    const width = (text) => {
        const pen = document.createElement("canvas").getContext("2d");
        pen.canvas.width = pen.canvas.height = 40;
        pen.font = "30px sans-serif";
        pen.fillText(text, 0, 32);
        return pen.canvas.toDataURL();
    };
    return width("夥") !== width("框") && width("夥") !== width("\\u{10fffd}");
}"""


def pages_of(site: Path) -> list[str]:
    """The book's pages in its order, as the column on the left lists them."""
    first = (site / "book/index.html").read_text(encoding="utf-8")
    menu = re.search(r'<nav class="bd-links.*?</nav>', first, re.DOTALL)
    assert menu, "book/index.html has no table of contents"
    names = re.findall(r'<a class="[^"]*internal[^"]*" href="([^"#]+\.html)"', menu[0])
    return list(dict.fromkeys(["book/index.html", *(f"book/{name}" for name in names)]))


def printed(page: Page, address: str) -> tuple[str, bytes]:
    """The title and the PDF of one page; its labs are drawn, its folds open."""
    page.goto(address, wait_until="networkidle")
    page.evaluate("() => window.kmmLive?.drawn")
    page.evaluate(OPEN)
    return page.locator("article h1").first.inner_text().rstrip("#\n "), page.pdf(**PRINTED)


def print_book(browser: Browser, site: Path, target: Path) -> int:
    """Write the book into ``target``; return the number of its sheets."""
    book, starts = PdfWriter(), {}
    with serving(site) as address:
        page = browser.new_page(color_scheme="light")
        page.add_init_script("window.requestIdleCallback = () => 0")  # Python is not wanted
        page.goto(address + "book/index.html")
        assert page.evaluate(CHINESE_IS_DRAWN), "no font has Chinese: install one, such as fonts-noto-cjk"
        for name in pages_of(site):
            title, pdf = printed(page, address + name)
            starts[address + name] = len(book.pages)
            book.append(PdfReader(io.BytesIO(pdf)), import_outline=False)
            book.add_outline_item(title=title, page_number=starts[address + name])
        turn_inwards(book, address, starts)
    book.add_metadata({"/Title": TITLE})
    book.compress_identical_objects()
    book.write(target)
    return len(book.pages)


def turn_inwards(book: PdfWriter, address: str, starts: dict[str, int]) -> None:
    """Let links to pages of the book lead to their place in this file."""
    for sheet in book.pages:
        for annotation in sheet.get("/Annots", []):
            link = annotation.get_object()
            goal = str(link.get("/A", {}).get("/URI", ""))
            start = starts.get(urldefrag(goal).url)
            if start is not None:
                del link["/A"]
                there = ArrayObject([book.pages[start].indirect_reference, NameObject("/Fit")])
                link.update({NameObject("/Dest"): there})


def main() -> int:
    """Print it and say how long it is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=system_chromium(), args=["--no-sandbox"])
        count = print_book(browser, options.site, options.target)
    print(f"{options.target}: {count} sheets, {options.target.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
