"""What a reader has done is kept in a file, and a file that is broken or full costs nothing else."""

import json
import sys

import pytest

from kmm_sim.exercises import buddy_system, progress
from kmm_sim.exercises import getting_pages as ex

RIGHT = {1: 0, 4096: 0, 4097: 1, 12288: 2, 20000: 3}
WRONG = RIGHT | {20000: 2}


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "new" / "progress.json"
    monkeypatch.setenv("KMM_PROGRESS", str(path))
    return path


def entry(file):
    return json.loads(file.read_text())["exercises"]["getting-pages/get-order"]


def test_outside_a_notebook_nothing_is_kept(monkeypatch):
    monkeypatch.delenv("KMM_PROGRESS", raising=False)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)  # which another test may have imported
    assert progress.place() is None
    ex.get_order.check(RIGHT)


def test_it_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("KMM_PROGRESS", "off")
    assert progress.place() is None
    assert "Nothing is kept here" in repr(progress.show())


def test_an_untouched_cell_is_no_try(file):
    ex.get_order.check(...)
    assert not file.exists()


def test_tries_are_counted_and_what_was_right_stays_right(file):
    ex.get_order.check(WRONG)
    assert entry(file)["outcome"] == "wrong"
    ex.get_order.check(RIGHT)
    ex.get_order.check(WRONG)
    assert (entry(file)["outcome"], entry(file)["tries"]) == ("right", 3)
    assert "1 of 3" in repr(progress.show())
    assert list(file.parent.iterdir()) == [file], "nothing is left over"


def test_a_score_that_was_right_is_not_lost_to_a_later_try(file):
    def tried(answer):
        buddy_system.spoil.check(answer)
        return json.loads(file.read_text())["exercises"]["buddy-system/spoil"].get("score")

    best = list(range(0, 64, 8))
    assert [tried(answer) for answer in ([], list(range(0, 64, 4)), best, list(range(64)), [], best)] == [
        None, 16, 8, 8, 8, 8]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": "other"}', "[" * 100_000, "x" * 2_000_000,
                                  '{"format": "kmm-progress", "version": 1, "exercises": [1], "quizzes": null}',
                                  '{"format": "kmm-progress", "version": 1, "exercises": {"a/b": {"outcome": "won"}, '
                                  '"<b>": {"outcome": "right"}, "a/c": 3}}'], ids=lambda text: text[:12] or "empty")
def test_a_broken_file_is_begun_anew(file, text):
    file.parent.mkdir()
    file.write_text(text)
    assert ex.get_order.check(RIGHT).right
    assert set(json.loads(file.read_text())["exercises"]) == {"getting-pages/get-order"}


def test_entries_are_read_piece_by_piece(file):
    file.parent.mkdir()
    odd = {"outcome": "right", "tries": -4, "first": "<script>", "right": "2026-11-22", "score": True, "more": "x" * 99}
    quiz = {"outcome": "wrong", "tries": 2}
    file.write_text(json.dumps({"format": "kmm-progress", "version": 1, "exercises": {"getting-pages/get-order": odd},
                                "quizzes": {"book/pages#quiz-one": quiz}}))
    ex.get_order.check(WRONG)
    assert entry(file) | {"first": ""} == {"outcome": "right", "tries": 2, "first": "", "right": "2026-11-22"}
    assert json.loads(file.read_text())["quizzes"] == {"book/pages#quiz-one": quiz}


def test_a_place_that_cannot_be_written_to_does_not_cost_the_check(monkeypatch):
    monkeypatch.setenv("KMM_PROGRESS", "/proc/nowhere/progress.json")
    assert ex.get_order.check(RIGHT).right
