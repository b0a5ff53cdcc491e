"""Words that lead on: terms to the glossary, kernel names and lines to the kernel's source."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TERM = re.compile(r'<a class="[^"]*" href="glossary\.html#(term-[^"]*)"[^>]*><span class="[^"]*kmm-term')
SITE = r"https://elixir\.bootlin\.com/linux"
NAME = re.compile(rf"{SITE}/([^/]+)/[CK]/ident/(\w+)")
FILE = re.compile(rf"{SITE}/([^/]+)/source/([^#]+)(?:#L(\d+))?")
LISTED = (HERE / "linux-6.12.117.txt").read_text(encoding="utf-8").splitlines()
COUNTERPART = re.compile(r"Linux: ((?:\w+\(\)(?:,\s+)?)+),\s+([\w/.-]+\.[chS])\b")
GONE = ("mm/slab.py", "mm/slob.py", "mm/sheaf.py", "mm/sheaves.py")  # they follow other kernels than 6.12
NO_END = {"br", "hr", "img", "input", "link", "meta", "source", "wbr"}
LOOKS_LIKE_THE_KERNEL = re.compile(
    r"(_*[A-Za-z]\w+)\(.*\);?|(_*[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)|(?:struct|enum) (\w+)(?: ?\*)?|(\w+_t)"
    r"|((?:mm|fs|include|arch|kernel|lib)/[\w/.-]+\.[chS])|<(linux/[\w/.-]+\.h)>", re.DOTALL)


class Spans(HTMLParser):
    """The code spans of a page's running text, each with the address it leads to, if it is one; and its links."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict]] = []
        self.spans: list[tuple[str, str]] = []
        self.links: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag not in NO_END:
            self.open.append((tag, {name: value or "" for name, value in attrs}))
            self.text = "" if tag in ("a", "code") else self.text

    def handle_endtag(self, tag):
        while self.open and tag not in NO_END:
            last, attrs = self.open.pop()
            if last == tag == "code" and self.is_running_text():
                self.spans.append((self.text, next((a["href"] for t, a in self.open if t == "a"), "")))
            if last == tag == "a" and "kmm-source" in attrs.get("class", ""):
                self.links.append((attrs["href"], self.text))
            if last == tag:
                break

    def handle_data(self, data):
        self.text += data

    def is_running_text(self) -> bool:
        tags = {tag for tag, _ in self.open}
        shown = any("cell_output" in attrs.get("class", "") for _, attrs in self.open)
        return "article" in tags and not shown and not tags & {"pre", "h1", "h2", "h3", "h4", "summary"}


@pytest.fixture
def page(request, built_book) -> str:
    name = next(request.getfixturevalue(n) for n in ("page_name", "chapter_name") if n in request.fixturenames)
    return (built_book / f"{name}.html").read_text(encoding="utf-8")


def exceptions(monkeypatch) -> frozenset[str]:
    """What looks like the kernel's and is not, by name."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "book/_ext"), *sys.path])
    from kmm_links.kernel import NOT_LINUX
    return NOT_LINUX


def test_the_first_use_of_a_term_leads_to_the_glossary(chapter_name, page, built_book):
    terms = TERM.findall(page)
    assert terms
    assert len(terms) == len(set(terms))
    glossary = (built_book / "book/glossary.html").read_text(encoding="utf-8")
    assert all(f'id="{term}"' in glossary for term in terms)


def test_the_first_use_of_every_kernel_name_leads_on(chapter_name, page, notebook, monkeypatch):
    """What a cell of the page defines, an answer to an exercise, is the reader's."""
    cells = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    known = exceptions(monkeypatch) | set(re.findall(r"^def (\w+)", cells, re.MULTILINE))
    linked, silent = set(), []
    for text, href in Spans(page).spans:
        if found := LOOKS_LIKE_THE_KERNEL.fullmatch(text):
            name = next(group for group in found.groups() if group)
            name = f"include/{name}" if text.startswith("<") else name
            if href:
                linked.add(name)
            elif name not in linked | known:
                silent.append(name)
    assert linked
    assert not silent, "give them a place in book/_ext/kmm_links/kernel.py"


def test_only_the_first_use_of_a_kernel_name_is_a_link(chapter_name, page):
    names = [found[2] for href, _ in Spans(page).links if (found := NAME.match(href))]
    assert len(names) == len(set(names))


def test_what_is_looked_up_in_6_12_is_there(page_name, page):
    """The list has what the kernel's source has: see tools/list_linux_names.py."""
    known = {line.split()[0] for line in LISTED}
    dead = []
    for href, _ in Spans(page).links:
        version, name, line = (*(NAME.match(href) or FILE.match(href)).groups(), None)[:3]
        if version.startswith("v6.12") and (f"{name}:{line}" if line else name) not in known:
            dead.append(href)
    assert not dead


def test_a_line_that_is_cited_beside_a_function_is_that_function_s(page_name, page):
    """`f()` (line 12): what the kernel has at line 12 is f, or f with the ending that 6.10 gave it."""
    at = dict(line.split()[:2] for line in LISTED if ":" in line)
    cited = r'<span class="pre">(_*\w+)\(\)</span></code>(?:</a>)?\s\(<a class="kmm-source[^"]*" href="([^"]+#L\d+)"'
    for name, href in re.findall(cited, page):
        _, file, line = FILE.match(href).groups()
        assert at[f"{file}:{line}"].removesuffix("_noprof") in (name, name.removesuffix("_noprof")), href


def test_every_line_that_is_cited_is_a_link(chapter_name, notebook, page):
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    lines = set(re.findall(r"(?:\(|,\s|from\s|at\s)lines?\s+(\d{2,5})\b", text))
    assert lines == {found[3] for href, _ in Spans(page).links if (found := FILE.match(href)) and found[3]} & lines


@pytest.mark.parametrize("module", sorted(
    path.relative_to(ROOT / "kmm_sim").as_posix() for path in (ROOT / "kmm_sim").rglob("*.py")
    if COUNTERPART.search(path.read_text(encoding="utf-8"))))
def test_the_file_beside_a_name_of_linux_defines_it(module):
    pairs = {tuple(line.split()) for line in LISTED if " " in line}
    said = [(name, file) for names, file in COUNTERPART.findall((ROOT / "kmm_sim" / module).read_text(encoding="utf-8"))
            for name in re.findall(r"\w+", names)]
    assert module in GONE or not set(said) - pairs


def test_headings_and_code_have_no_links_of_ours(chapter_name, page):
    for part in re.findall(r"<h[1-6]>.*?</h[1-6]>|<pre>.*?</pre>", page, re.DOTALL):
        assert not TERM.search(part)
        assert "kmm-source" not in part
