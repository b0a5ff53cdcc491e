# SPDX-License-Identifier: GPL-2.0-only
"""More for the book's search: parts of kernel names, parts of Chinese terms, and where a name is explained.

Most pages speak of ``alloc_pages()``.  Who looks for it wants the one that has its source or its line in a table, so
these are entries of the index, which the search lists first.

Sphinx keeps whole words.  Who looks for ``rmqueue`` means ``__rmqueue()`` as well, and Chinese has no spaces, so that
a term is one word with the text around it.  The page's own search splits nothing: all is in the index.

A chapter about slabs is more than every entry of the index that has the word in it: ``scorer.js`` puts it before them.

The index gives each first letter a heading.  Chinese terms have one together: nearly each begins with a character of
its own.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.search.en import SearchEnglish
from sphinx.transforms import SphinxTransform

SHOWN = re.compile(r"\s*(?:@.*\n\s*)*(?:def|class) (\w+)")  # a listing of the simulator that begins with a name
NAME = re.compile(r"(?:struct )?(_*[A-Za-z]\w*)(\(.*)?")
PREFIXED = re.compile(r"_+(?=[A-Za-z])")
CHINESE = re.compile(r"[\u4e00-\u9fff]{3,}")
STARTS_CHINESE = re.compile(r"[\u4e00-\u9fff]")


class KernelWords(SearchEnglish):
    """English, with names and terms as a reader of the kernel's source looks for them."""

    def split(self, input: str) -> list[str]:
        """Return the words of a text, and what they are also to be found by."""
        words = super().split(input)
        return words + [part for word in words for part in parts(word)]


def parts(word: str) -> list[str]:
    """Return a name without its leading underscores, and its words; each two neighbours of a Chinese term.

    Other parts are found by the page itself, unless some page has just that part as a word.
    """
    name = PREFIXED.sub("", word, count=1) if PREFIXED.match(word) else ""
    bare = [name, *filter(None, name.split("_"))] if name else []
    return bare + [run[at:at + 2] for run in CHINESE.findall(word) for at in range(len(run) - 1)]


class Explained(SphinxTransform):
    """Put the names that a page explains into the index, which leads to the place."""

    default_priority = 700  # before the index takes its entries

    def apply(self) -> None:
        """Do it to a page."""
        seen = set()
        for name, place in [*shown(self.document), *tabulated(self.document)]:
            if name in seen:
                continue
            seen.add(name)
            anchor = f"explains-{name}"
            place["ids"].append(anchor)
            self.document.append(addnodes.index(entries=[("single", name, anchor, "main", None)]))


class Together(SphinxTransform):
    """List the Chinese terms of a page under one heading of the index."""

    default_priority = 700

    def apply(self) -> None:
        """Do it to a page."""
        for index in self.document.findall(addnodes.index):
            index["entries"] = [(*entry[:4], "中文") if STARTS_CHINESE.match(entry[1]) else entry
                                for entry in index["entries"]]


def shown(document: nodes.document) -> Iterator[tuple[str, nodes.Element]]:
    """Yield what the listings from the simulator define."""
    for block in document.findall(nodes.literal_block):
        found = SHOWN.match(block.astext())
        if found and "kmm_sim" in Path(block.get("source", "")).parts:
            yield found[1], block


def tabulated(document: nodes.document) -> Iterator[tuple[str, nodes.Element]]:
    """Yield the kernel's names that are alone at the beginning of a table's row."""
    for row in document.findall(nodes.row):
        first = next(iter(row.findall(nodes.entry)))
        codes = list(first.findall(nodes.literal))
        found = NAME.fullmatch(codes[0].astext()) if len(codes) == 1 and codes[0].astext() == first.astext() else None
        if found and (found[2] or "_" in found[1]):
            yield found[1], row


def bring_scorer(app: Sphinx, config: Config) -> None:
    """Let the search count as ``scorer.js`` says."""
    config.html_search_scorer = str(Path(__file__).with_name("scorer.js"))


def setup(app: Sphinx) -> dict[str, object]:
    """Take it in place of Sphinx's English."""
    app.add_search_language(KernelWords)
    app.connect("config-inited", bring_scorer)
    app.add_transform(Explained)
    app.add_transform(Together)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
