# SPDX-License-Identifier: GPL-2.0-only
"""What a quiz is, and that each is one: an admonition of class ``quiz`` with a folded answer.

    ::::{admonition} Five pages
    :class: quiz

    The question.

    1. an option
    2. another

    :::{dropdown} Answer
    **2.** Why it is right.

    **1.** What to say to who chose this one.
    :::
    ::::

The first bold numbers are the right options; with no options they are the number to type.
"""

import re
from collections.abc import Iterable

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
NUMBERS = re.compile(r"^(0x[0-9a-f]+|\d+)(?:\s*(?:,|and)\s*(\d+))*\.?$")


def quizzes_in(doctree: nodes.document) -> list[nodes.Element]:
    """Return the quizzes of a page."""
    return [node for node in doctree.findall(nodes.Admonition) if "quiz" in node.get("classes", ())]  # type: ignore[type-var]


def has_quiz(doctree: nodes.document) -> bool:
    """Is there a quiz on this page?"""
    return bool(quizzes_in(doctree))


def quizzes_of(env: BuildEnvironment) -> dict[str, list[str]]:
    """The ids of the quizzes of each page."""
    if not hasattr(env, "kmm_quizzes"):
        env.kmm_quizzes = {}  # type: ignore[attr-defined]
    return env.kmm_quizzes  # type: ignore[attr-defined,no-any-return]


def check_quizzes(app: Sphinx, doctree: nodes.document) -> None:
    """Give each quiz of a page its id, and warn of one that cannot be answered."""
    found = quizzes_of(app.env)[app.env.docname] = []
    for number, quiz in enumerate(quizzes_in(doctree), 1):
        title = quiz.next_node(nodes.title)
        slug = nodes.make_id(title.astext() if title is not None else "") or str(number)
        name = f"quiz-{slug}" if f"quiz-{slug}" not in found else f"quiz-{slug}-{number}"
        quiz["ids"] = [name, *quiz["ids"]]
        found.append(name)
        if fault := fault_of(quiz):
            LOGGER.warning("quiz %r %s", slug, fault, location=quiz, type="quiz")


def fault_of(quiz: nodes.Element) -> str:
    """Say what is wrong with a quiz, or nothing."""
    answer = next((node for node in quiz.findall(nodes.container) if node.get("design_component") == "dropdown"), None)
    if answer is None:
        return "has no folded answer: :::{dropdown} Answer"
    options = [node for node in quiz.children if isinstance(node, nodes.enumerated_list)]
    count = len(options[0].children) if options else 0
    bold = [numbers_in(node) for node in answer.findall(nodes.paragraph)]
    right, *others = [numbers for numbers in bold if numbers] or [[]]
    if not right:
        return "does not say what is right: begin its answer with **2.** or with the number itself"
    if len(options) > 1 or any("bullet" in str(type(node).__name__) for node in quiz.children):
        return "has more than one list of options, or one without numbers"
    if count and not all(1 <= number <= count for numbers in (right, *others) for number in numbers):
        return f"has {count} options, and an answer to another one"
    if count == 1 or (count and len(right) == count):
        return "has nothing to choose"
    return ""


def numbers_in(paragraph: nodes.paragraph) -> list[int]:
    """Return the bold numbers with which a paragraph begins."""
    first = next((child for child in paragraph.children if child.astext().strip()), None)  # MyST begins with empty text
    text = first.astext().strip() if isinstance(first, nodes.strong) else ""
    if not NUMBERS.match(text.lower()):
        return []
    return [int(number, 0) for number in re.findall(r"0x[0-9a-fA-F]+|\d+", text)]


def forget_quizzes(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Forget what a page had: it is read again."""
    quizzes_of(env).pop(docname, None)


def merge_quizzes(app: Sphinx, env: BuildEnvironment, docnames: Iterable[str], other: BuildEnvironment) -> None:
    """Take over what another process has read."""
    quizzes_of(env).update({name: ids for name, ids in quizzes_of(other).items() if name in docnames})
