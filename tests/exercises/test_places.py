"""Every exercise stands in its chapter, and every chapter has some."""

import re
from collections import Counter
from pathlib import Path

import pytest

from kmm_sim.exercises import CHAPTERS, Exercise, Series, all_exercises

ROOT = Path(__file__).resolve().parents[2]
ALL = list(all_exercises())


def chapter_of(name: str) -> str:
    return (ROOT / "book" / f"{name.partition('/')[0]}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("exercise", ALL, ids=lambda each: each.name)
def test_an_exercise_stands_in_its_chapter_under_its_label(exercise):
    """The page of progress links to the label; the answer is handed in, a hint and the solution can be had."""
    text = chapter_of(exercise.name)
    place = text.find(f":label: {exercise.name.replace('/', '-')}\n")
    assert place >= 0, f"no {{exercise}} with the label {exercise.name.replace('/', '-')}"
    until_the_next = text[place:].partition("```{exercise}")[0].partition("\n## ")[0]
    for call in (".check(", ".hint()", ".solution()"):
        assert call in until_the_next, f"no {call} in its cells"


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
