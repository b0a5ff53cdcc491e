# SPDX-License-Identifier: GPL-2.0-only
"""Tables of all exercises, made from the exercises themselves.

``{exercise-table} progress`` is what a reader has done (the page's script fills it in), ``{exercise-table} proof`` is
for who teaches: level, kind, and how each check is proven.
"""

from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from kmm_sim.catalogue import _, ngettext

from .quiz import quizzes_of

FOLDER = "book"


class table_of(nodes.General, nodes.Element):
    """Where a table will stand, once every page was read."""


class ExerciseTable(SphinxDirective):
    """``{exercise-table} progress`` or ``proof``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Leave the place of the table."""
        what = self.arguments[0]
        if what not in ("progress", "proof"):
            raise self.error(f"exercise-table: {what!r} is neither progress nor proof")
        self.env.note_dependency(__file__)
        return [nodes.container("", table_of(what=what), classes=[f"kmm-{what}"])]


def fill_tables(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the tables where they belong."""
    for place in list(doctree.findall(table_of)):
        tables = list(progress(app, docname) if place["what"] == "progress" else proof(app, docname))
        place.replace_self(tables)


def chapters() -> dict[str, list]:
    """The exercises by the page they stand on."""
    from kmm_sim.exercises import all_exercises

    found: dict[str, list] = {}
    for each in all_exercises():
        found.setdefault(each.name.partition("/")[0], []).append(each)
    return found


KINDS = {
    "choose": _("choose"), "compute": _("compute"), "design": _("design"), "find the bug": _("find the bug"),
    "implement": _("implement"), "predict": _("predict"), "read a report": _("read a report"),
}
HEAD = """<p class="kmm-progress-sum">{sum}</p>
<div class="kmm-progress-bar"></div>
<div class="kmm-progress-tools">
<button type="button">{save}</button>
<button type="button">{read}</button>
<button type="button">{forget}</button>
<input type="file" accept=".json,application/json" aria-label="{file}" hidden>
</div>
<p class="kmm-progress-said" role="status"></p>
"""


def title_of(env: BuildEnvironment, chapter: str) -> str:
    """The title of a chapter's page, or its name if the page is not in this build."""
    title = env.titles.get(f"{FOLDER}/{chapter}")
    return title.astext() if title is not None else chapter.replace("-", " ").capitalize()


def link(app: Sphinx, docname: str, chapter: str, text: str, anchor: str = "") -> nodes.Node:
    """A link to a chapter or an exercise in it; plain text if the page is not in this build."""
    target = f"{FOLDER}/{chapter}"
    if target not in app.env.all_docs:
        return nodes.Text(text)
    uri = app.builder.get_relative_uri(docname, target) + (f"#{anchor}" if anchor else "")
    return nodes.reference("", text, refuri=uri, internal=True)


def progress(app: Sphinx, docname: str) -> Iterator[nodes.Node]:
    """How much is done, and one table for each chapter; a script writes into the first and into the last column."""
    quizzes = quizzes_of(app.env)
    exercises, questions = sum(map(len, chapters().values())), sum(map(len, quizzes.values()))
    said = _("{exercises} of {allExercises} exercises and {quizzes} of {allQuizzes} questions done.",
             exercises=0, allExercises=exercises, quizzes=0, allQuizzes=questions)
    head = HEAD.format(sum=said, save=_("Save as a file"), read=_("Read a file"), forget=_("Forget all"),
                       file=_("A file with progress"))
    yield nodes.raw("", head, format="html")
    names = list(dict.fromkeys([*chapters(), *(name.rpartition("/")[2] for name, ids in quizzes.items() if ids)]))
    for chapter in sorted(names, key=lambda name: order(app, name)):
        yield nodes.rubric("", "", link(app, docname, chapter, title_of(app.env, chapter)))
        rows = [row(link(app, docname, chapter, plain(each), anchor_of(each)), nodes.Text(each_kind(each)),
                    nodes.inline("", "–", classes=["kmm-state"]), ids=[f"done-{anchor_of(each)}"])
                for each in chapters().get(chapter, ())]
        count = len(quizzes.get(f"{FOLDER}/{chapter}", ()))
        if count:
            rows.append(row(nodes.Text(_("Check yourself")),
                            nodes.Text(ngettext("{n} question", "{n} questions", count)),
                            nodes.inline("", "–", classes=["kmm-state"]), ids=[f"quizzes-{chapter}-{count}"]))
        yield table((_("Exercise"), _("Kind"), _("You")), (60, 25, 15), rows)


def order(app: Sphinx, chapter: str) -> int:
    """Where a chapter stands in the book."""
    names = [name.rpartition("/")[2] for name in app.env.toctree_includes.get("book/index", ())]
    return names.index(chapter) if chapter in names else len(names)


def proof(app: Sphinx, docname: str) -> Iterator[nodes.Node]:
    """All exercises in one table: what they are and how they are proven."""
    rows = []
    for chapter, exercises in chapters().items():
        for each in exercises:
            question, levels = questions_of(each)
            rows.append(row(
                link(app, docname, chapter, plain(each), anchor_of(each)), nodes.Text(KINDS[question.kind]),
                nodes.Text(levels), nodes.Text(_("a question each seed") if hasattr(each, "make") else cases(question)),
                nodes.Text(str(len(question.right_answers))), nodes.Text(str(len(question.misconceptions))),
                nodes.Text(str(len(question.hints)))))
    yield table((_("Exercise"), _("Kind"), _("Level"), _("Tried with"), _("Right answers"), _("Mistakes it names"),
                 _("Hints")), (40, 16, 8, 12, 8, 8, 8), rows)


def cases(question: object) -> str:
    """With how many cases a right answer is tried; 20 seeds draw others."""
    tried = max(question.check(answer).tried for answer in question.right_answers)  # type: ignore[attr-defined]
    return ngettext("one case", "{n} cases", tried)


def questions_of(each: object) -> tuple:
    """An exercise with its level; of a series, the first question, and all levels."""
    if hasattr(each, "make"):
        made = [each(seed=1, level=level) for level in range(1, each.levels + 1)]  # type: ignore[operator,attr-defined]
        return made[0], ", ".join(str(question.level) for question in made)
    return each, str(each.level)  # type: ignore[attr-defined]


def each_kind(each: object) -> str:
    """What kind of exercise it is, and how hard."""
    question, levels = questions_of(each)
    return _("{kind}, level {levels}", kind=KINDS[question.kind], levels=levels)


def plain(each: object) -> str:
    """The title without the marks of code."""
    return each.title.replace("`", "")  # type: ignore[attr-defined,no-any-return]


def anchor_of(each: object) -> str:
    """Where an exercise stands in its page: the label of its directive."""
    return each.name.replace("/", "-")  # type: ignore[attr-defined,no-any-return]


def row(*cells: nodes.Node, ids: list[str] | None = None) -> nodes.row:
    """A row of a table."""
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells), ids=ids or [])


def table(heads: tuple[str, ...], widths: tuple[int, ...], rows: list[nodes.row]) -> nodes.table:
    """A table with a head."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=width) for width in widths), cols=len(widths))
    group += nodes.thead("", row(*map(nodes.Text, heads)))
    group += nodes.tbody("", *rows)
    return nodes.table("", group)
