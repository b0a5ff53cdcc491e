# SPDX-License-Identifier: GPL-2.0-only
"""More words for the book's search: parts of kernel names, and parts of Chinese terms.

Sphinx keeps whole words.  Who looks for ``rmqueue`` means ``__rmqueue()`` as well, and Chinese has no spaces, so that
a term is one word with the text around it.  The page's own search splits nothing: all is in the index.
"""

import re

from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

PREFIXED = re.compile(r"_+(?=[A-Za-z])")
CHINESE = re.compile(r"[\u4e00-\u9fff]{3,}")


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


def setup(app: Sphinx) -> dict[str, object]:
    """Take it in place of Sphinx's English."""
    app.add_search_language(KernelWords)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
