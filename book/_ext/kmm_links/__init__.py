# SPDX-License-Identifier: GPL-2.0-only
"""Links where a reader first meets a word: terms to the glossary, kernel names to the kernel's source.

Authors write plain words.  In each page of the book the first use of a term of the glossary becomes a link to it, and
the first use of a kernel function that the simulator has, or of a flag, a link to where Linux 6.12 uses it.  Headings,
code, links and the appendices stay as they are.
"""

import re
from functools import cache
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from kmm_sim.appendix import SOURCE, names

COMMON = frozenset({  # terms that are everyday words as well
    "allocate", "atomic", "flag", "free", "leak", "mask", "merge", "node", "object", "order", "page", "poison",
    "reserve", "slab", "sleep", "split", "swap", "zone",
})
CALL = re.compile(r"_*[a-z]\w+\(\)")
FLAG = re.compile(r"(?:__)?GFP_[A-Z_]+")
APPENDICES = ("glossary", "names", "api", "index", "progress", "for-instructors")
NOT_IN = (nodes.title, nodes.reference, nodes.literal_block, nodes.raw, addnodes.pending_xref, nodes.term, nodes.rubric)


def setup(app: Sphinx) -> dict[str, object]:
    """Tell Sphinx what to call when."""
    app.connect("doctree-read", link_first_uses)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def link_first_uses(app: Sphinx, doctree: nodes.document) -> None:
    """Link a page's words."""
    env = app.env
    folder, _, name = env.docname.rpartition("/")
    if name in APPENDICES or not env.found_docs.issuperset({f"{folder}/glossary"}):
        return
    link_names(doctree)
    link_terms(doctree, env, glossary(Path(app.srcdir) / folder / "glossary.md"))


def prose(doctree: nodes.document, kind: type) -> list:
    """The nodes of a kind that stand in running text."""
    return [node for node in doctree.findall(kind) if not inside(node)]


def inside(node: nodes.Node) -> bool:
    """Whether a node belongs to a heading, to code, or to a link."""
    while node.parent is not None:
        node = node.parent
        if isinstance(node, NOT_IN) or (isinstance(node, nodes.container) and node.get("nb_element")):
            return True
    return False


# Kernel names


@cache
def kernel_names() -> frozenset[str]:
    """The functions of Linux that the simulator has, as ``name()``."""
    return frozenset(name for row in names().rows for name in re.findall(r"\[`(\w+\(\))`\]", row[0]))


def link_names(doctree: nodes.document) -> None:
    """Make the first use of each kernel name a link to the source."""
    seen = set()
    for node in prose(doctree, nodes.literal):
        name = node.astext()
        known = name in kernel_names() if CALL.fullmatch(name) else FLAG.fullmatch(name) is not None
        if not known or name in seen:
            continue
        seen.add(name)
        link = nodes.reference("", "", refuri=SOURCE + name.removesuffix("()"), internal=False, classes=["kmm-source"])
        node.replace_self(link)
        link += node


# Terms


@cache
def glossary(file: Path) -> re.Pattern[str]:
    """A pattern for the English terms of the glossary, the longest first; group 1 is the term itself."""
    block = re.search(r"```\{glossary\}(.*?)```", file.read_text(encoding="utf-8"), re.DOTALL)
    assert block, f"{file} has no glossary"
    terms = re.findall(r"(?:^|\n)\n([A-Za-z][^\n]*)", block[1])
    words = sorted((term for term in terms if term not in COMMON), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, words))})(?:e?s)?(?![\w-])", re.IGNORECASE)


def link_terms(doctree: nodes.document, env: BuildEnvironment, terms: re.Pattern[str]) -> None:
    """Make the first use of each term a link to the glossary."""
    seen: set[str] = set()
    for text in prose(doctree, nodes.Text):
        if isinstance(text.parent, nodes.literal):
            continue
        new = linked(text.astext(), env.docname, terms, seen)
        if len(new) > 1:
            text.parent.replace(text, new)


def linked(text: str, docname: str, terms: re.Pattern[str], seen: set[str]) -> list[nodes.Node]:
    """Return a text in pieces, terms that were not seen before being links."""
    pieces: list[nodes.Node] = []
    at = 0
    for found in terms.finditer(text):
        term = found[1].lower()
        if term in seen:
            continue
        seen.add(term)
        pieces += [nodes.Text(text[at:found.start()]), term_link(found[0], found[1], docname)]
        at = found.end()
    return [*pieces, nodes.Text(text[at:])]


def term_link(words: str, term: str, docname: str) -> addnodes.pending_xref:
    """Return a link that Sphinx resolves once it has read the glossary."""
    link = addnodes.pending_xref("", refdomain="std", reftype="term", reftarget=term, refdoc=docname, refexplicit=True,
                                 refwarn=True)
    link += nodes.inline("", words, classes=["std", "std-term", "kmm-term"])
    return link
