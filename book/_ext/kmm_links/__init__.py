# SPDX-License-Identifier: GPL-2.0-only
"""Links where a reader first meets a word: terms to the glossary, kernel names to the kernel's source.

Authors write plain words.  In each page of the book the first use of a term of the glossary becomes a link to it, the
first use of a kernel name or file a link to where Linux 6.12 has it, and every "line 12" a link to that line.
Headings, code, links and the appendices stay as they are.
"""

import re
from functools import cache
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from kmm_links.kernel import link_kernel

COMMON = frozenset({  # terms that are everyday words as well
    "allocate", "atomic", "flag", "free", "leak", "mask", "merge", "node", "object", "order", "page", "poison",
    "reserve", "slab", "sleep", "split", "swap", "zone",
})
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
    join_texts(doctree)
    link_kernel(doctree, prose(doctree, nodes.literal, nodes.Text))
    link_terms(doctree, env, glossary(Path(app.srcdir) / folder / "glossary.md"))


def join_texts(doctree: nodes.document) -> None:
    """Make one text of those that only the end of a line parts: what is looked for may go over it."""
    for parent in list(doctree.findall(nodes.Element)):
        for place in reversed(range(1, len(parent.children))):
            first, second = parent.children[place - 1:place + 1]
            if isinstance(first, nodes.Text) and isinstance(second, nodes.Text):
                parent[place - 1:place + 1] = [nodes.Text(first.astext() + second.astext())]


def prose(doctree: nodes.document, *kinds: type) -> list:
    """The nodes of some kinds that stand in running text."""
    return [node for node in doctree.findall() if isinstance(node, kinds) and not inside(node)]


def inside(node: nodes.Node) -> bool:
    """Whether a node belongs to a heading, to code, or to a link."""
    while node.parent is not None:
        node = node.parent
        if isinstance(node, NOT_IN) or (isinstance(node, nodes.container) and node.get("nb_element")):
            return True
    return False


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
