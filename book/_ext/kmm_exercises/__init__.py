# SPDX-License-Identifier: GPL-2.0-only
"""Quizzes and progress: a Sphinx extension for what readers answer in the pages.

`quiz` checks the quizzes at build time, `listing` writes the tables of exercises.  In the page, `static/exercises`
makes the quizzes clickable and keeps what was done, in the browser and nowhere else.  Everything it needs is on the
page already: without JavaScript a quiz is a question, a list and a folded answer.
"""

import os
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

from .listing import ExerciseTable, fill_tables, table_of
from .quiz import check_quizzes, forget_quizzes, has_quiz, merge_quizzes, quizzes_of

INSIDES = ("exercise-content", "solution-content")
STATIC = Path(__file__).parent / "static"


def setup(app: Sphinx) -> dict[str, object]:
    """Tell Sphinx what to call when."""
    os.environ.setdefault("KMM_PROGRESS", "off")  # what a build runs is nobody's progress
    app.add_node(table_of)
    app.add_directive("exercise-table", ExerciseTable)
    app.connect("builder-inited", lambda app: app.config.html_static_path.append(str(STATIC)))
    app.connect("doctree-read", check_quizzes)
    app.connect("doctree-read", name_the_exercises)
    app.connect("env-purge-doc", forget_quizzes)
    app.connect("env-merge-info", merge_quizzes)
    app.connect("doctree-resolved", fill_tables)
    app.connect("html-page-context", add_to_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def name_the_exercises(app: Sphinx, doctree: nodes.document) -> None:
    """Number the id that sphinx-exercise gives to the inside of every exercise: no two on a page may be the same."""
    for number, section in enumerate(doctree.findall(nodes.section)):
        section["ids"] = [f"{name}-{number}" if name in INSIDES else name for name in section["ids"]]


def add_to_page(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None) -> None:
    """Load what a page needs: quizzes, its exercises' progress, the table of all of them."""
    if app.builder.format != "html" or doctree is None:
        return
    boxes = list(doctree.findall(nodes.container))
    cells = any(box.get("nb_element") == "cell_code" for box in boxes)
    table = any("kmm-progress" in box["classes"] for box in boxes)
    quiz = has_quiz(doctree)
    if quiz or table or cells:
        app.add_css_file("exercises/exercises.css")
    for name, wanted in (("quiz", quiz), ("outcomes", cells), ("progress", table)):
        if wanted:
            app.add_js_file(f"exercises/{name}.js", type="module")


__all__ = ["quizzes_of", "setup"]
