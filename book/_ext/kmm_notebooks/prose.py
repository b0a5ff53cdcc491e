# SPDX-License-Identifier: GPL-2.0-only
"""The text of a finished page as Markdown that every notebook program draws."""

from collections.abc import Iterator
from urllib.parse import urljoin

from bs4 import BeautifulSoup, NavigableString, Tag
from markdownify import MarkdownConverter

NOT_TEXT = "a.headerlink, script, style, noscript, button, .kmm-live, .linenos"


def cells_of(body: str, page: str) -> Iterator[str | None]:
    """The cells of a page in their order: Markdown for text, None for a code cell.

    ``body`` is the page's HTML, ``page`` its address, from which its links are told.
    """
    soup = BeautifulSoup(body, "html.parser")
    for tag in soup.select(NOT_TEXT):
        tag.decompose()
    for tag in soup.select("[href], [src]"):
        for name in ("href", "src"):
            if tag.has_attr(name):
                tag[name] = urljoin(page, tag[name])
    prose: list[str] = []
    for piece in pieces(soup):
        if piece is not None:
            prose.append(str(piece))
            continue
        if text := in_markdown("".join(prose)):
            yield text
        prose = []
        yield None
    if text := in_markdown("".join(prose)):
        yield text


def pieces(parent: Tag) -> Iterator[Tag | NavigableString | None]:
    """What stands on a page, opened as far as there are code cells in it; None for a code cell."""
    for child in parent.children:
        if isinstance(child, Tag) and "cell" in child.get("class", []):
            yield None
        elif isinstance(child, Tag) and child.select_one("div.cell"):
            yield from pieces(child)
        else:
            yield child  # type: ignore[misc]


def in_markdown(html: str) -> str:
    """A piece of a page as Markdown, without empty lines at its ends."""
    return Prose(heading_style="atx", bullets="-", code_language_callback=language, escape_misc=False,
                 newline_style="backslash", sub_symbol="<sub>", sup_symbol="<sup>").convert(html).strip()


def language(pre: Tag) -> str:
    """The language of a listing, from the class that Pygments' box has: highlight-c, highlight-default, ..."""
    for box in pre.parents:
        for name in box.get("class", []):
            if name.startswith("highlight-"):
                found = name.removeprefix("highlight-")
                return {"default": "python", "ipython3": "python"}.get(found, found)
    return ""


class Prose(MarkdownConverter):
    """Markdown for what Sphinx makes of a chapter."""

    def convert_div(self, tag: Tag, text: str, parent_tags: set[str]) -> str:
        """A box with a title is a quotation that begins with it in bold; other boxes are what is in them."""
        if "admonition" not in tag.get("class", []):
            return f"\n\n{text.strip()}\n\n"
        lines = "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())
        return f"\n\n{lines}\n\n"

    def convert_p(self, tag: Tag, text: str, parent_tags: set[str]) -> str:
        """The title of a box is bold; what is seen only of an open fold is no text."""
        classes = tag.get("class", [])
        if "expanded" in classes:
            return ""
        if "admonition-title" in classes and "summary" not in parent_tags:
            return f"\n\n**{text.strip()}**\n\n"
        return super().convert_p(tag, text, parent_tags)  # type: ignore[no-any-return]

    def convert_details(self, tag: Tag, text: str, parent_tags: set[str]) -> str:
        """A fold stays a fold: Markdown has none, and every notebook program draws the tag."""
        return f"\n\n<details>\n{text.strip()}\n\n</details>\n\n"

    def convert_summary(self, tag: Tag, text: str, parent_tags: set[str]) -> str:
        """What is seen of a fold that is closed."""
        return f"<summary>{' '.join(text.split())}</summary>\n\n"

    def convert_dl(self, tag: Tag, text: str, parent_tags: set[str]) -> str:
        """A list of terms, each a paragraph in bold with what it means below."""
        return f"\n\n{text.strip()}\n\n"

    def convert_dt(self, tag: Tag, text: str, parent_tags: set[str]) -> str:
        """A term."""
        return f"\n\n**{' '.join(text.split())}**\n\n"

    def convert_dd(self, tag: Tag, text: str, parent_tags: set[str]) -> str:
        """What a term means."""
        return f"\n\n{text.strip()}\n\n"

    def convert_span(self, tag: Tag, text: str, parent_tags: set[str]) -> str:
        """A formula between the signs that notebooks know."""
        if "math" in tag.get("class", []):
            return f"${tag.get_text().strip().removeprefix(chr(92) + '(').removesuffix(chr(92) + ')').strip()}$"
        return text
