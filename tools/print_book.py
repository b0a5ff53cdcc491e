# SPDX-License-Identifier: GPL-2.0-only
"""Print the built book as one PDF: every page in the order of the book, every lab as its picture.

    python tools/print_book.py _build/html _build/kernel-memory-book.pdf

Chromium prints the pages as they are before Python starts, then a title, contents, and the numbers of the sheets; pypdf
lays all that together, with bookmarks, and turns links between pages into links inside the file.  The glossary needs a
font with Chinese (fonts-noto-cjk on Debian); without one this stops rather than print empty boxes.
"""

import argparse
import io
import re
import sys
from collections.abc import Iterable
from html import escape, unescape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urldefrag

from playwright.sync_api import Browser, Page, sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, NameObject

from get_chromium import system_chromium
from live_page import SAVE_DATA
from serve_book import serving

TITLE = "The Linux kernel's memory, to touch"
NOT_PRINTED = ("book/progress.html",)  # a table that only a browser can fill in
PAPER = {"format": "A4", "print_background": True}
PRINTED = {**PAPER, "scale": 0.8, "margin": {"top": "16mm", "bottom": "16mm", "left": "16mm", "right": "16mm"}}
OPEN = "() => document.querySelectorAll('article details').forEach((each) => { each.open = true; })"
STILL = "*, ::before, ::after { animation: none !important; transition: none !important; }"  # or it is pale
LABS_ARE_DRAWN = """() => [...document.querySelectorAll(".kmm-view")]
    .every((view) => view.querySelector("[data-drawn]"))"""
CHINESE_IS_DRAWN = """() => {
    if (!/\\p{Script=Han}/u.test(document.querySelector("article").innerText)) return true;
    const width = (text) => {
        const pen = document.createElement("canvas").getContext("2d");
        pen.canvas.width = pen.canvas.height = 40;
        pen.font = "30px sans-serif";
        pen.fillText(text, 0, 32);
        return pen.canvas.toDataURL();
    };
    return width("夥") !== width("框") && width("夥") !== width("\\u{10fffd}");
}"""
FRONT = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>
  body {{ font: 11pt/1.5 sans-serif; }}
  header {{ height: 240mm; display: flex; flex-direction: column; justify-content: center; break-after: page; }}
  h1 {{ font-size: 30pt; line-height: 1.2; margin: 0 0 10mm; }}
  h3 {{ margin: 6mm 0 1mm; break-after: avoid; }}
  p {{ margin: 0; }}
  li {{ display: flex; gap: 2mm; }} ul {{ padding: 0; margin: 0; }} a {{ color: inherit; text-decoration: none; }}
  li::before {{ content: ""; order: 1; flex: 1; border-bottom: 1px dotted; margin-bottom: 1.5mm; }}
  li span {{ order: 2; }}
</style><header><h1>{title}</h1><p>{by}</p><p>{date}</p></header><h2>Contents</h2>{lines}</html>"""
NUMBERS = """<!DOCTYPE html><meta charset="utf-8"><style>
  @page { size: A4; margin: 0; } body { margin: 0; }
  p { font: 9px sans-serif; color: #555; text-align: center; break-after: page; }
  p { margin: 0; padding-top: 286mm; height: 10mm; }
</style>"""


class Entry(NamedTuple):
    """A line of the contents: a page of the site with its title, or the title of a part of the book."""

    title: str
    name: str


def contents_of(site: Path) -> list[Entry]:
    """Return the book's parts and pages in its order, as the column on the left lists them."""
    first = (site / "book/index.html").read_text(encoding="utf-8")
    menu = re.search(r'<nav class="bd-links.*?</nav>', first, re.DOTALL)
    assert menu, "book/index.html has no table of contents"
    found = re.findall(r'<span class="caption-text">(.*?)</span>'
                       r'|<a class="[^"]*internal[^"]*" href="([^"]*)">\s*(.*?)\s*</a>', menu[0], re.DOTALL)
    lines = [Entry(unescape(re.sub("<[^>]*>", "", part or title)), f"book/{page}" if page else "")
             for part, page, title in found]
    lines[0] = Entry(lines[0].title, "book/index.html")  # which calls itself "#"
    return [line for line in lines if line.name not in NOT_PRINTED]


def pdf_of(page: Page, html: str, **options: object) -> PdfReader:
    """Print a text."""
    page.set_content(html)
    return PdfReader(io.BytesIO(page.pdf(**options)))


def printed(page: Page, address: str) -> PdfReader:
    """Print a page of the site; its labs are drawn, its folds open."""
    page.goto(address, wait_until="networkidle")
    page.wait_for_function(LABS_ARE_DRAWN)  # a busy machine may not have begun
    assert page.evaluate(CHINESE_IS_DRAWN), "no font has Chinese: install one, such as fonts-noto-cjk"
    page.add_style_tag(content=STILL)
    page.evaluate(OPEN)
    return PdfReader(io.BytesIO(page.pdf(**PRINTED)))


def front(page: Page, site: Path, address: str, lines: Iterable[Entry], starts: dict[str, int]) -> PdfReader:
    """Print the title and the contents, with the numbers of the sheets that pages start on."""
    first = (site / "book/index.html").read_text(encoding="utf-8")
    by, date = (re.search(pattern, first, re.DOTALL) for pattern in
                (r'component-author">\s*(.*?)\s*</p>', r'docbuild:last-update" content="([^"]*)"'))
    rows = [f'<li><a href="{address}{line.name}">{escape(line.title)}</a><span>{starts[line.name] + 1}</span></li>'
            if line.name else f"<h3>{escape(line.title)}</h3>" for line in lines]
    text = FRONT.format(title=escape(TITLE), by=by[1] if by else "", date=date[1] if date else "",
                        lines=f"<ul>{''.join(rows)}</ul>")
    return pdf_of(page, text, **{**PRINTED, "scale": 1})


def print_book(browser: Browser, site: Path, target: Path, names: Iterable[str] | None = None) -> int:
    """Write the book, or its pages of these names, into ``target``; return the number of its sheets."""
    lines = [line for line in contents_of(site) if names is None or not line.name or line.name in names]
    with serving(site) as address:
        page = browser.new_page(color_scheme="light", reduced_motion="reduce")
        page.add_init_script(SAVE_DATA)  # Python is not wanted
        parts = {line.name: printed(page, address + line.name) for line in lines if line.name}
        page.goto("about:blank")
        unknown = dict.fromkeys(parts, 0)
        starts = starts_of(parts, len(front(page, site, address, lines, unknown).pages))
        book = PdfWriter()
        book.append(front(page, site, address, lines, starts), import_outline=False)
        for line in lines:
            if line.name:
                book.append(parts[line.name], import_outline=False)
                book.add_outline_item(title=line.title, page_number=starts[line.name])
        number(book, page)
        turn_inwards(book, {address + name: start for name, start in starts.items()})
        page.close()
    book.add_metadata({"/Title": TITLE})
    book.compress_identical_objects()
    book.write(target)
    return len(book.pages)


def starts_of(parts: dict[str, PdfReader], before: int) -> dict[str, int]:
    """Return the index of the first sheet of each part, with so many sheets before them all."""
    starts = {}
    for name, part in parts.items():
        starts[name] = before
        before += len(part.pages)
    return starts


def number(book: PdfWriter, page: Page) -> None:
    """Put its number at the foot of each sheet but the first."""
    texts = "".join(f"<p>{nth + 1 if nth else ''}</p>" for nth in range(len(book.pages)))
    for sheet, layer in zip(book.pages, pdf_of(page, NUMBERS + texts, **PAPER).pages, strict=False):
        sheet.merge_page(layer)
        sheet.compress_content_streams()


def turn_inwards(book: PdfWriter, starts: dict[str, int]) -> None:
    """Let links to pages of the book lead to their place in this file; what is not in it is only on the site."""
    for sheet in book.pages:
        for annotation in sheet.get("/Annots", []):
            link = annotation.get_object()
            goal = urldefrag(str(link.get("/A", {}).get("/URI", ""))).url
            start = starts.get(goal)
            if start is not None or goal.endswith(NOT_PRINTED):
                del link["/A"]
            if start is not None:
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
