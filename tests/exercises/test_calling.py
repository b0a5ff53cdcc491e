"""The reader's function is called so that it cannot hurt the check, and its error is shown where it happened."""

import subprocess
import sys

import pytest

from kmm_sim.exercises import NotAttempted, Raised, Wrong
from kmm_sim.exercises import getting_pages as ex
from kmm_sim.exercises.calling import call, is_untouched, raised


def test_it_gets_copies():
    numbers = [3, 1, 2]
    assert call(list.sort, numbers).error is None
    assert numbers == [3, 1, 2]


def test_what_it_prints_is_kept_aside_and_cut(capsys):
    called = call(lambda: print("x" * 10_000))
    assert called.printed == "x" * 400
    assert capsys.readouterr().out == ""


def test_what_it_prints_in_the_failing_case_is_shown():
    def answer(pfn, order):
        print("pfn is", pfn)
        return 0, 0

    assert "pfn is 0" in repr(ex.buddy_of.check(answer))


def test_the_line_shown_is_the_last_of_the_readers_own():
    def inner(pfn):
        return int.from_bytes(pfn, "little")

    def answer(pfn, order):
        return inner(pfn), 0

    result = ex.buddy_of.check(answer)
    assert isinstance(result, Raised)
    assert result.error == "TypeError"
    assert result.function == "inner"
    assert result.line == 'return int.from_bytes(pfn, "little")'
    assert result.given == "pfn = 0, order = 0"
    assert "line" in repr(result)


def test_an_error_below_in_a_library_is_shown_at_the_readers_line():
    from statistics import mean

    def answer(pfn, order):
        return mean([]), 0

    assert ex.buddy_of.check(answer).line == "return mean([]), 0"


def test_recursion_without_an_end_is_said_so():
    def answer(pfn, order):
        return answer(pfn, order)

    result = ex.buddy_of.check(answer)
    assert result.error == "RecursionError"
    assert "calls itself without an end" in repr(result)


ENDLESS = """
from kmm_sim.exercises import calling
calling.LIMIT = 0.1

def answer():
    {loop}

print(type(calling.call(answer).error).__name__)
"""


@pytest.mark.parametrize("loop", ["while True: pass", "while 1: continue", "while 1: ...", "while not 0: 1",
                                  "[0 for _ in iter(int, 1)]", "def inner():\n        while True: pass\n    inner()"])
def test_a_loop_of_one_line_without_an_end_is_stopped(loop):
    code = ENDLESS.format(loop=loop)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20,
                           check=True)
    assert ended.stdout == "NoEnd\n"


def test_an_error_whose_text_raises():
    class Nasty(Exception):
        def __str__(self):
            raise SystemExit

    assert "Nasty" in repr(raised(Nasty()))


def test_an_error_is_told_without_the_place_of_an_object():
    assert raised(KeyError(object())).message == "<object object>"


def test_standard_output_is_given_back_even_after_sys_exit():
    before = sys.stdout
    assert isinstance(ex.buddy_of.check(lambda pfn, order: sys.exit(1)), Raised)
    assert sys.stdout is before


def blank(pfn, order):
    """Say what it should do."""
    ...


def blank_returned(pfn, order):
    return ..., ...


def blank_passed(pfn, order):
    """Say what it should do."""


def blank_in_names(pfn, order):
    buddy = ...
    start = ...
    return buddy, start


@pytest.mark.parametrize("answer", [blank, blank_returned, blank_passed, blank_in_names, lambda pfn, order: ...])
def test_a_function_that_is_still_the_template_is_not_attempted(answer):
    assert isinstance(ex.buddy_of.check(answer), NotAttempted)


def test_a_function_that_does_something_is_touched():
    assert not is_untouched(lambda pfn, order: 0)
    assert not is_untouched(lambda pfn, order: pfn)
    assert not is_untouched(print)
    assert not is_untouched(int)


def test_half_an_answer_is_not_attempted_and_says_what_is_left():
    assert "the start" in repr(ex.buddy_of.check(lambda pfn, order: (pfn ^ (1 << order), ...)))
    assert "4096, 20000" in repr(ex.get_order.check({1: 0, 4096: ..., 4097: 1, 12288: 2, 20000: ...}))
    puzzle = ex.free_lists(seed=1)
    assert "order 0, 2" in repr(puzzle.check({0: ..., 1: [2], 2: [...]}))


def test_a_forgotten_return_is_said_so():
    def answer(pfn, order):
        buddy = pfn ^ (1 << order)  # noqa: F841

    assert "it returned None" in repr(ex.buddy_of.check(answer))
    assert "is a `return` missing?" in repr(ex.get_order.check(lambda size: print()))


def test_the_wrong_parameters_are_said_so():
    assert "should take `(pfn, order)`; it takes `(pfn)`" in repr(ex.buddy_of.check(lambda pfn: (1, 0)))
    assert ex.buddy_of.check(lambda pfn, order, zone=None: (pfn ^ (1 << order), pfn & ~(1 << order))).right


def test_a_result_handed_in_for_the_function_is_said_so():
    result = ex.buddy_of.check((9, 8))
    assert isinstance(result, Wrong)
    assert "function itself" in repr(result)
    assert "(9, 8)" in repr(result)
