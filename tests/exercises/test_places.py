"""Every exercise stands in its chapter, and every chapter has some."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from kmm_sim.exercises import CHAPTERS, Exercise, Right, Series, all_exercises

ROOT = Path(__file__).resolve().parents[2]
ALL = list(all_exercises())
SAID_BY_THE_PAGE = {"pages/overhead", "zones/marks", "kmalloc/waste"}
"""Their pages say all that their cards do."""


def chapter_of(name: str) -> str:
    return (ROOT / "book" / f"{name.partition('/')[0]}.md").read_text(encoding="utf-8")


def place_of(name: str) -> str:
    """The part of its chapter that an exercise has."""
    text, label = chapter_of(name), name.replace("/", "-")
    place = text.find(f":label: {label}\n")
    assert place >= 0, f"no {{exercise}} with the label {label}"
    return text[place:].partition("```{exercise}")[0].partition("\n## ")[0]


@pytest.mark.parametrize("exercise", ALL, ids=lambda each: each.name)
def test_an_exercise_stands_in_its_chapter_under_its_label(exercise):
    """The page of progress links to the label; the answer is handed in, a hint and the solution can be had."""
    for call in (".check(", ".hint()", ".solution()"):
        assert call in place_of(exercise.name), f"no {call} in its cells"


@pytest.mark.parametrize("exercise", [each for each in ALL if isinstance(each, Exercise) and
                                      (each.parts or each.given) and each.name not in SAID_BY_THE_PAGE],
                         ids=lambda each: each.name)
def test_the_page_shows_the_card_of_an_exercise_that_asks_more_than_one_thing(exercise):
    assert re.search(r"^```\{code-cell\} ipython3\nex\.\w+\n```$", place_of(exercise.name), re.MULTILINE)


def test_no_label_is_without_an_exercise():
    labels = {each.name.replace("/", "-") for each in ALL}
    for chapter in (ROOT / "book").glob("*.md"):
        for label in re.findall(r"^```\{exercise\}[^\n]*\n:label: (\S+)", chapter.read_text(encoding="utf-8"), re.M):
            assert label in labels, f"{chapter.name}: {label}"


def test_there_are_fifty_exercises_of_every_kind_and_three_in_each_chapter():
    assert len(ALL) >= 50
    kinds = Counter((each(seed=1) if isinstance(each, Series) else each).kind for each in ALL)
    assert set(kinds) == set(Exercise.KINDS)
    per_chapter = Counter(each.name.partition("/")[0] for each in ALL)
    assert min(per_chapter[chapter.replace("_", "-")] for chapter in CHAPTERS) >= 3
    for line in (ROOT / "_toc.yml").read_text(encoding="utf-8").partition("The kernel's memory")[2].splitlines():
        if "caption:" in line:
            break
        if found := re.search(r"file: book/(\S+)", line):
            assert per_chapter[found[1]] >= 3, f"{found[1]} has {per_chapter[found[1]]} exercises"


def imported_by(name: str) -> dict[str, object]:
    """Return the names that the cells of an exercise's chapter import, and no others."""
    names: dict[str, object] = {}
    for cell in re.findall(r"^```\{code-cell\}[^\n]*\n(?:---\n.*?---\n)?(.*?)^```", chapter_of(name), re.M | re.S):
        lines = [each for each in ast.parse(cell).body if isinstance(each, ast.Import | ast.ImportFrom)]
        exec(compile(ast.Module(lines, []), name, "exec"), names)
    return names


def handed_in(exercise: Exercise, names: dict[str, object]) -> object:
    """Run the solution as a reader does who pastes it into the cell; return what check() says of it."""
    names["puzzle"] = exercise
    tree = ast.parse(exercise.code)
    match tree.body[-1]:
        case ast.FunctionDef(name=name) | ast.Assign(targets=[ast.Name(id=name)]):
            tree.body.append(ast.parse(f"puzzle.check({name})").body[0])
    last = tree.body.pop()
    assert isinstance(last, ast.Expr)
    exec(compile(tree, exercise.name, "exec"), names)
    return eval(compile(ast.Expression(last.value), exercise.name, "eval"), names)


@pytest.mark.parametrize("exercise", ALL, ids=lambda each: each.name)
def test_a_solution_works_where_it_is_pasted_with_what_the_chapter_has_imported(exercise):
    questions = [exercise] if isinstance(exercise, Exercise) else [
        exercise(seed=seed, level=level) for level in range(1, exercise.levels + 1) for seed in range(1, 5)]
    for question in questions:
        assert isinstance(handed_in(question, imported_by(exercise.name)), Right)
