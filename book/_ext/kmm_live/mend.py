# SPDX-License-Identifier: GPL-2.0-only
"""Mend the finished pages where the theme and MyST-NB leave a fault that no option takes away.

The theme loads Font Awesome twice: as web fonts, which draw its icons, and as half a megabyte of JavaScript in the
head of every page, which would draw the same icons again and holds up the first paint.

Some names that are spoken do not contain the words that are seen, so that nobody can ask for a thing by what it says:
the fold of a cell is "Toggle hidden content", the field "Search Ctrl+K" is "Search".  Without that name the words that
are seen are the name.  And the left column belongs to no landmark.

A first visit had no colours until all scripts had run, and a reader who likes the dark a white page: the theme asks
what the system prefers only then.  It is asked before anything is drawn; without scripts the page is light.

A wide table or figure scrolls on a phone, and only who can point at it reaches what is out of sight: it takes the
focus.  What a cell or a kernel says scrolls too, and a long sentence is cut where it matters: without columns it is
wrapped.

A name or a path in a table may break where one of its words ends, and nowhere else.

The pictures in the menu of the launch buttons are wanted only once it opens, those that cells draw once they are near,
the script of tabs only where there are any.

Words that were searched for are marked wherever they stand: not in labs, whose script owns what is in them, nor in
drawings, parts of which have no place that could be marked.

A search that finds nothing advises to select more categories, and there are none.  What it shows of a page found began
with the page's buttons and its table of contents, and had what is said where there are no scripts: it is of the text.
Of a term in the glossary it showed the term alone: what it means belongs to it.

The page at the top of the site, which leads to the first one, is no more than an instruction to do so.

In another language than English Sphinx's script makes a function of a text, the rule for plurals, which the pages'
policy forbids: it gets that function.

Where storage is blocked or full, the theme's scripts and the search would stop at their first word to it.  They get
one that forgets; what is ours (its names begin with kmm) is refused as before, since it tells the reader so.
"""

import re
import struct
from html import escape, unescape
from pathlib import Path

from kmm_sim.catalogue import _

TABS = re.compile(r'[ \t]*<script[^>]* src="[^"]*/design-tabs\.js[^"]*"></script>\n?')
FORGETFUL = """<script>
  for (const name of ["localStorage", "sessionStorage"]) {
    let real;
    try { (real = window[name]).setItem("kmm-probe", ""); real.removeItem("kmm-probe"); continue; } catch {}
    const kept = new Map();
    const refuse = () => { throw new DOMException("storage is blocked or full", "QuotaExceededError"); };
    Object.defineProperty(window, name, { configurable: true, value: {
      getItem: (key) => kept.get(key) ?? real?.getItem(key) ?? null,
      setItem: (key, text) => { key.startsWith("kmm") ? refuse() : kept.set(key, String(text)); },
      removeItem: (key) => { kept.delete(key); real?.removeItem(key); },
    } });
  }
  </script>
  """
SCHEME = """dataset.theme = { light: "light", dark: "dark" }[document.documentElement.dataset.mode]
      ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");"""
OUTPUT = re.compile(r'(<div class="(?:output [^"]*highlight-|highlight-text )[^"]*)("><div class="highlight"><pre>)'
                    r'(.*?)(?=</pre>)', re.DOTALL)
REDIRECT = re.compile(r'^<meta http-equiv="Refresh"[^>]*>\s*$')
WHOLE = """<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <title>{title}</title>
    {refresh}
  </head>
</html>
"""
CATEGORIES = " and that you've selected enough categories"
ALL_OF_A_PAGE, TEXT_OF_A_PAGE = '[role="main"]', "article.bd-article"
LEFT_OUT, NO_SCRIPT_TOO = '[".headerlink"', '["noscript",".headerlink"'
TERM = "return anchorContent.textContent;"
MEANING = """return `${anchorContent.textContent} ${
        anchorContent.matches("dt") ? htmlElement.querySelector(`${anchor} ~ dd`)?.textContent ?? "" : ""}`;"""
MARKED = 'node.matches("button, select, textarea")'
NOT_IN_LABS = 'node.matches("button, select, textarea, .kmm-view, svg")'
RULE_MADE = re.compile(r'new Function\(\s*"n",\s*`return \(\$\{catalog\.plural_expr\}\)`\s*\)')
RULE = re.compile(r'"plural_expr": "([^"]*)"')
DRAWN = re.compile(r'<img alt="[^"]*_images/[^"]*" src="([^"]*_images/[^"]*\.png)" ?/>')
TABLE = re.compile(r"<table.*?</table>", re.DOTALL)
NAME = re.compile(r'(?<=<span class="pre">)[^<]+(?=</span>)')
SEAM = re.compile(r"(?<=\w[./_])(?=[^\W_]{2})")  # in mm/page_alloc.c behind mm/, page_ and alloc.
COLUMNS = re.compile(r"\S(?: {2,}\S+(?: \S+)*){3}")  # a line with three gaps


def named(tag: str, name: str) -> str:
    """Return the beginning of a tag with a name that is spoken, as what is put in place of a fault."""
    return f'{tag} aria-label="{escape(name)}"'


REPAIRS = (
    (re.compile(r'(?<!  </script>\n  )(?=<script data-cfasync="false">)'), FORGETFUL),
    (re.compile(r'(?<=<html)([^>]*) data-theme="auto"'), r"\1"),
    (re.compile(r'dataset\.theme = localStorage\.getItem\("theme"\) \|\| "auto";'), SCHEME),
    (re.compile(r'[ \t]*<script src="[^"]*/fontawesome/[^"]*/js/all\.min\.js[^"]*"></script>\n?'), ""),
    (re.compile(r' aria-label="Toggle hidden content"'), ""),
    (re.compile(r'(<div class="pst-scrollable-table-container")'),
     named(r'\1 tabindex="0" role="group"', _("Table"))),
    (re.compile(r'(<div class="kmm-wide [^"]*")(?! tabindex)'),
     named(r'\1 tabindex="0" role="group"', _("Figure"))),
    (re.compile(r'(<button class="btn search-button-field[^>]*) aria-label="Search"'), r"\1"),
    (re.compile(r'<img (alt="[^"]*" src="[^"]*/logo_(?:binder|colab))'), r'<img loading="lazy" \1'),
    (re.compile(r'(<div class="bd-sidebar-primary bd-sidebar")(?=>)'), named(r'\1 role="complementary"', _("Site"))),
)


def mend_pages(site: Path) -> None:
    """Do it to every page below ``site``."""
    for page in pages_of(site):
        text = page.read_text(encoding="utf-8")
        mended = mend(text, page.parent)
        if mended != text:
            page.write_text(mended, encoding="utf-8")
    marks = site / "_static/sphinx_highlight.js"
    found = marks.read_text(encoding="utf-8")
    assert MARKED in found or NOT_IN_LABS in found, "Sphinx marks what was searched for in another way"
    marks.write_text(found.replace(MARKED, NOT_IN_LABS), encoding="utf-8")
    words = site / "_static/translations.js"
    mend_plurals(site / "_static/doctools.js", words)
    mend_search(site / "_static/searchtools.js", words)
    for script in (site / "_static").glob("vendor/fontawesome/*/js"):
        for file in script.iterdir():
            file.unlink()


def mend_search(script: Path, words: Path) -> None:
    """Let the search show what a page says; a book in English has no ``words``."""
    found = script.read_text(encoding="utf-8")
    assert ALL_OF_A_PAGE in found or TEXT_OF_A_PAGE in found, "Sphinx's search takes the text of a page from elsewhere"
    found = found.replace(ALL_OF_A_PAGE, TEXT_OF_A_PAGE).replace(LEFT_OUT, NO_SCRIPT_TOO).replace(TERM, MEANING)
    if not words.is_file():  # in another language that sentence is looked for as it is
        found = found.replace(CATEGORIES, "")
    script.write_text(found, encoding="utf-8")


def mend_plurals(script: Path, words: Path) -> None:
    """Let the rule for plurals be a function from the start; a book in English has no ``words``."""
    if not words.is_file():
        return
    text = script.read_text(encoding="utf-8")
    assert RULE_MADE.search(text), "Sphinx makes its rule for plurals in another way"
    script.write_text(RULE_MADE.sub("catalog.plural_expr", text), encoding="utf-8")
    words.write_text(RULE.sub(r'"plural_expr": (n) => (\1)', words.read_text(encoding="utf-8")), encoding="utf-8")


def pages_of(site: Path) -> list[Path]:
    """Return the site's pages."""
    return [page for page in sorted(site.rglob("*.html")) if "_static" not in page.relative_to(site).parts]


def top_of(text: str) -> str:
    """Return the way from a page to the top of the site, as the page says it: "../" or nothing."""
    found = re.search(r'data-content_root="([^"]*)"', text)
    assert found, "a page does not say where the site's top is"
    return found[1]


def mend(text: str, folder: Path) -> str:
    """Return a page without these faults; ``folder`` is where it stands."""
    text = REDIRECT.sub(lambda found: WHOLE.format(title=_("To the first page"), refresh=found[0].strip()), text)
    for fault, cure in REPAIRS:
        text = fault.sub(cure, text)
    text = OUTPUT.sub(lambda found: found[1] + (" kmm-prose" if is_prose(found[3]) else "") + found[2] + found[3], text)
    text = TABLE.sub(lambda found: NAME.sub(lambda name: SEAM.sub("<wbr/>", name[0]), found[0]), text)
    text = DRAWN.sub(lambda found: drawn(found[1], folder), text)
    return text if "sd-tab-set" in text else TABS.sub("", text)


def is_prose(output: str) -> bool:
    """Has an output no columns?  As in `web/session/output.js`."""
    return not COLUMNS.search(unescape(re.sub(r"<[^>]*>", "", output)))


def drawn(source: str, folder: Path) -> str:
    """Return the tag of a picture that a cell drew: loaded when it is near, with room kept for it until then."""
    width, height = struct.unpack(">II", (folder / source).read_bytes()[16:24])  # a PNG says so in its first chunk
    alt = escape(_("What the cell draws"))
    return f'<img alt="{alt}" loading="lazy" width="{width}" height="{height}" src="{source}"/>'
