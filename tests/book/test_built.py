"""The built book, read as files: every cell ran, every link leads somewhere, nothing comes from elsewhere."""

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

LOADING = {"script": ("src",), "img": ("src", "srcset"), "source": ("src", "srcset"), "iframe": ("src",),
           "video": ("src", "poster"), "audio": ("src",), "embed": ("src",), "object": ("data",), "link": ("href",),
           "image": ("href",), "use": ("href",)}
LINKS_THAT_LOAD_NOTHING = {"canonical", "next", "prev", "search", "index", "author", "license", "alternate", "help"}
ELSEWHERE = re.compile(r"^\s*(https?:)?//", re.IGNORECASE)


class Page(HTMLParser):
    """The ids of a page, where it links to and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and set(given.get("rel", "").split()) <= LINKS_THAT_LOAD_NOTHING:
            return
        self.loads += [given[name] for name in LOADING.get(tag, ()) if name in given]
        self.loads += re.findall(r"url\(['\"]?([^'\")]+)", given.get("style", ""))


@pytest.fixture(scope="module")
def pages(built_book) -> dict[Path, Page]:
    """Every page a reader can open."""
    found = [path for path in built_book.rglob("*.html") if not {"_static", "_sources"} & set(path.parts)]
    return {path: Page(path) for path in found}


def test_every_page_of_the_contents_is_there(page_name, built_book):
    assert (built_book / f"{page_name}.html").is_file()


def test_every_cell_ran(page_name, notebook, built_book):
    """The executed notebook has an answer for each cell, and an error only where the chapter shows one."""
    written = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if not written or "kernelspec" not in notebook.metadata:  # a page that is no notebook only shows code
        return
    executed = json.loads((built_book.parent / "jupyter_execute" / f"{page_name}.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in executed["cells"] if cell["cell_type"] == "code"]
    assert ["".join(cell["source"]) for cell in cells] == [cell.source for cell in written]
    for cell in cells:
        if "skip-execution" in cell["metadata"].get("tags", []):
            continue
        assert cell["execution_count"], f"not run: {cell['source']}"
        failed = any(output["output_type"] == "error" for output in cell["outputs"])
        may_fail = "raises-exception" in cell["metadata"].get("tags", [])
        assert failed == may_fail, f"{cell['source']}: {cell['outputs']}"


def test_every_internal_link_leads_somewhere(pages, built_book):
    broken = []
    for path, page in pages.items():
        for link in page.links + page.loads:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                broken.append(f"{path.relative_to(built_book)}: {link}")
            elif target in pages and parts.fragment and unquote(parts.fragment) not in pages[target].ids:
                broken.append(f"{path.relative_to(built_book)}: {link} (no such place in the page)")
    assert pages
    assert not broken


def test_no_page_loads_anything_from_another_site(pages, built_book):
    assert not [f"{path.relative_to(built_book)}: {url}" for path, page in pages.items()
                for url in page.loads if ELSEWHERE.match(url)]


def test_no_style_sheet_loads_anything_from_another_site(built_book):
    loaded = re.compile(r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^'\")\s]+)", re.IGNORECASE)
    sheets = list(built_book.rglob("*.css"))
    assert sheets
    assert not [f"{path.relative_to(built_book)}: {url}" for path in sheets
                for url in loaded.findall(path.read_text(encoding="utf-8", errors="replace"))]


LISTING = re.compile(r'<div class="highlight-(?:default|ipython3|c)\b[^>]*><div class="highlight"><pre>(.*?)</pre>',
                     re.DOTALL)
WRAPPED = re.compile(r'<span class="(?:sd|c1)">.*?</span>', re.DOTALL)  # docstrings and comments go on in the next line


def test_no_line_of_a_listing_is_cut_on_a_small_laptop(page_name, built_book):
    """94 columns are what a window of 1024 pixels has; what a kernel printed is as wide as it is."""
    for listing in LISTING.findall((built_book / f"{page_name}.html").read_text(encoding="utf-8")):
        code = unescape(re.sub("<[^>]+>", "", WRAPPED.sub("", listing)))
        assert not [line for line in code.splitlines() if len(line) > 94]
