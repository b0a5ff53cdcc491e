# SPDX-License-Identifier: GPL-2.0-only
"""The language of the book, for all that speaks in it: labs and exercises, these extensions, the page's scripts.

The other extensions take most of their words when they are imported, so this one stands before them in _config.yml.
What a script says is in the catalogue of kmm_sim like everything else; a page in English has no word of this.
"""

import json
import os
from pathlib import Path

from sphinx.application import Sphinx

EXTENSIONS = Path(__file__).parents[1]
STATIC = Path(__file__).parent / "static"
ENGLISH = "en"


def setup(app: Sphinx) -> dict[str, object]:
    """Choose the language before anything speaks: here, in the kernels of the chapters, in the Python of the page."""
    os.environ["KMM_LANGUAGE"] = app.config.language
    app.connect("builder-inited", bring_words)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def bring_words(app: Sphinx) -> None:
    """Let every page have the words of its scripts, ahead of them."""
    if app.builder.format != "html":
        return
    app.config.html_static_path.append(str(STATIC))
    if text := script(app.config.language):
        app.add_js_file(None, body=text, priority=250)


def script(language: str) -> str:
    """Return the script that knows the words of the other scripts; none for a book in English."""
    if language == ENGLISH:
        return ""
    words = {ENGLISH: language.replace("_", "-"), **translated()}
    return f"self.kmmWords = {json.dumps(words, ensure_ascii=False)};".replace("<", "\\u003c")


def translated() -> dict[str, str]:
    """Return what the scripts below this folder say in the language that was chosen, by the English of it."""
    from babel.messages.extract import extract_from_dir

    from kmm_sim import catalogue

    found = extract_from_dir(EXTENSIONS, [("**.js", "javascript")], strip_comment_tags=False)
    return {text: said for _file, _line, text, *_rest in found if (said := catalogue._(str(text))) != text}
