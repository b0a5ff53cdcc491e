# SPDX-License-Identifier: GPL-2.0-only
"""Join what every page loads: one style sheet and one script in place of twenty small files.

Each file costs a request with its headers, and a style sheet that imports another a second way to the host before
anything is drawn.  All pages begin with the same ones, in the same order: those are joined.
"""

import re
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

from . import node
from .mend import pages_of, top_of
from .stages import digest

TOOL = Path(__file__).parent / "web/slim.mjs"
FILE = r'(?:\.\./)*(_static/[^"?]*)[^"]*"'  # an address, as far as it says which file of the site it is
SHEET = re.compile(rf'[ \t]*<link (?:rel="stylesheet" type="text/css" )?href="{FILE}(?: rel="stylesheet")? />\n?')
SCRIPT = re.compile(rf'[ \t]*<script(?: src="{FILE})?>([^<]*)</script>\n?')  # no module, none that is deferred
FIRST = re.compile(r'[ \t]*<script src="[^"]*documentation_options\.js')  # what is before it must run before all else
LAST = re.compile(r'[ \t]*<script src="[^"]*(_static/scripts/(?:bootstrap|pydata-sphinx-theme)\.js)[^"]*"></script>\n?')
PRELOAD = re.compile(r'[ \t]*<link rel="preload" as="script"[^>]*>\n?')
JOINED = re.compile(r"(_static/book\.(?:css|js))(?:\?v=\w*)?")


def lighten_theme(site: Path) -> None:
    """Put our own script in place of the theme's bootstrap.js; it says why."""
    (site / "_static/live/first.js").replace(site / "_static/scripts/bootstrap.js")
    for map_ in site.glob("_static/scripts/*.map"):
        map_.unlink()


def join_files(site: Path, modules: Path) -> None:
    """Do it to the site; a page that an earlier build joined, and this one did not write, gets the new versions."""
    pages = {page: page.read_text(encoding="utf-8") for page in pages_of(site)}
    fresh = {page: text for page, text in pages.items() if LAST.search(text)}
    sheets = beginning(SHEET.findall(text) for text in fresh.values())
    scripts = beginning(first_scripts(text) for text in fresh.values())
    last = beginning(LAST.findall(text) for text in fresh.values())
    node.run_node(TOOL, modules, "--join", site / "_static/book.css", *(site / name for name in sheets),
                  expected="esbuild to join the theme's style sheets")
    join_scripts(site, [*scripts, *((name, "") for name in last)])
    for page, text in pages.items():
        joined = with_joined(text, len(sheets), len(scripts)) if page in fresh else text
        joined = JOINED.sub(lambda found: f"{found[1]}?v={digest(site / found[1])[:8]}", joined)
        if joined != text:
            page.write_text(joined, encoding="utf-8")
    for name in {*sheets, *last, *(name for name, _ in scripts if name)}:
        (site / name).unlink()


def beginning(lists: Iterable[list]) -> list:
    """Return what all of these lists begin with."""
    same = takewhile(lambda each: each.count(each[0]) == len(each), zip(*lists, strict=False))
    return [each[0] for each in same]


def first_scripts(text: str) -> list[tuple[str, str]]:
    """Return the first scripts in a page's head that run one after the other: each a file's name, or its own text."""
    scripts, at = [], start_of(text)
    while found := SCRIPT.match(text, at):
        scripts.append((found[1] or "", found[2]))
        at = found.end()
    return scripts


def start_of(text: str) -> int:
    """Return where the first of these scripts begins."""
    found = FIRST.search(text)
    assert found, "a page does not load documentation_options.js, with which Sphinx begins"
    return found.start()


def join_scripts(site: Path, scripts: list[tuple[str, str]]) -> None:
    """Write one script of these; a text that comes twice need not."""
    texts = [(site / name).read_text(encoding="utf-8") if name else text for name, text in scripts]
    (site / "_static/book.js").write_text(";\n".join(dict.fromkeys(texts)), encoding="utf-8")


def with_joined(text: str, sheets: int, scripts: int) -> str:
    """Return a page that loads the joined files in place of its first sheets and scripts."""
    top = top_of(text)
    at = start_of(text)
    head, rest = PRELOAD.sub("", text[:at]), LAST.sub("", text[at:])
    first = SHEET.search(head)
    assert first, "a page's style sheets do not stand before its scripts"
    sheet = f'  <link rel="stylesheet" href="{top}_static/book.css" />\n'
    script = f'    <script src="{top}_static/book.js"></script>\n'
    head = head[:first.start()] + sheet + SHEET.sub("", head[first.start():], count=sheets)
    return head + script + SCRIPT.sub("", rest, count=scripts)
