"""What holds for every exercise of the book: a new one is tried here by being in its chapter's EXERCISES."""

import ast
import functools
import importlib.util
import inspect
import itertools
from pathlib import Path

import pytest

from kmm_sim.exercises import Exercise, NotAttempted, Raised, Right, Series, Wrong, all_exercises, calling

SEEDS = range(20)


def examples():
    """The exercises of example_exercises.py: one of each kind, proven like those of the book."""
    path = Path(__file__).with_name("example_exercises.py")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.EXERCISES


EXERCISES = (*all_exercises(), *examples())


def questions():
    """Each exercise; of a series, a question of each level."""
    for each in EXERCISES:
        if isinstance(each, Series):
            yield from (pytest.param(each(seed=3, level=level), id=f"{each.name}-{level}")
                        for level in range(1, each.levels + 1))
        else:
            yield pytest.param(each, id=each.name)


ALL = list(questions())
every = pytest.mark.parametrize("exercise", ALL)
series = pytest.mark.parametrize("series", [each for each in EXERCISES if isinstance(each, Series)],
                                 ids=lambda each: each.name)


def filled(template):
    """Run a template cell and return what it would hand to check(): its function, its value, its argument."""
    tree = ast.parse(template)
    names = {}
    match tree.body:
        case [ast.FunctionDef(name=name)] | [ast.Assign(targets=[ast.Name(id=name)])]:
            exec(template, names)  # the templates are ours
            return names[name]
        case [ast.Expr(ast.Call(args=[argument]))]:
            return eval(ast.unparse(argument), names)
    raise AssertionError(f"a template is a function, an assignment or a call, not {template!r}")


@every
def test_it_says_who_it_is(exercise):
    assert exercise.kind in Exercise.KINDS
    assert exercise.level in (1, 2, 3)
    assert exercise.name.count("/") == 1
    assert exercise.name.replace("-", "").replace("/", "").isalpha()


def test_names_are_unique():
    names = [each.name for each in EXERCISES]
    assert len(names) == len(set(names))


@every
def test_an_untouched_cell_is_not_attempted(exercise):
    assert isinstance(exercise.check(filled(exercise.template)), NotAttempted)
    assert isinstance(exercise.check(...), NotAttempted)
    assert isinstance(exercise.check(), NotAttempted)


# Seeds and hostile answers are gone through inside a test: thousands of tests would take longer than what they check.

@every
def test_every_right_answer_passes_under_every_seed(exercise):
    assert len(exercise.right_answers) >= 2
    for answer in exercise.right_answers:
        for seed in SEEDS:
            result = exercise.check(answer, seed=seed)
            assert isinstance(result, Right), (seed, result)


@every
def test_each_misconception_is_named_in_its_own_words(exercise):
    for mistake in exercise.misconceptions:
        for seed in (0, 7):
            result = exercise.check(mistake.answer, seed=seed)
            assert isinstance(result, Wrong), (mistake.name, result)
            assert result.misconception == mistake.name
            assert result.why.startswith(mistake.words)
            assert len(result.why) > 40
            assert result.given
            assert result.expected != result.got


@every
def test_there_are_misconceptions_each_with_its_own_words(exercise):
    words = [mistake.words for mistake in exercise.misconceptions if mistake.words]
    assert len(words) >= 3
    assert len(words) == len(set(words))


@every
def test_it_is_wrong_to_answer_with_another_kind_of_thing(exercise):
    for answer in (None, "4", 3.5, True, object(), {1, 2}, b"", (each for each in ()), Exercise, [], {}, [[[]]], print):
        result = exercise.check(answer)
        assert isinstance(result, Wrong | Raised), (answer, result)
        assert repr(result).count("\n") >= 1


@every
def test_a_constant_answer_does_not_pass(exercise):
    for constant in (0, 1, -1, (0, 0), [0], {}, "0", 10**5000, float("nan"), None, True):
        for answer in (constant, lambda *args, constant=constant: constant):
            assert not exercise.check(answer).right, constant


@every
def test_every_question_answered_alike_does_not_pass(exercise):
    """... nor with the right answer to one of them."""
    right = exercise.right_answers[0]
    if isinstance(right, dict) and len(right) > 1 and exercise.kind != "find the bug":
        for value in list(right.values()):
            answer = dict.fromkeys(right, value)
            assert exercise.check(answer).right == (answer == right), answer


class AlwaysEqual:
    """Says that it is equal to, and larger and smaller than, anything."""

    def _yes(self, *args):
        return True

    __eq__ = __ne__ = __lt__ = __gt__ = __le__ = __ge__ = __contains__ = __bool__ = _yes
    __hash__ = object.__hash__


class EqualNumber(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


class EqualList(list):
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False


class EqualDict(dict):
    __eq__ = EqualList.__eq__
    __ne__ = EqualList.__ne__


LIARS = (AlwaysEqual(), EqualNumber(77), EqualList([EqualNumber(77)]), EqualList([EqualNumber(77)] * 2), EqualDict(),
         EqualDict({0: EqualList([EqualNumber(77)])}), [AlwaysEqual()] * 6)


@every
def test_an_answer_that_equals_everything_does_not_pass(exercise):
    for liar in LIARS:
        for answer in (liar, lambda *args, liar=liar: liar):
            assert not exercise.check(answer).right, type(liar)


class Explosive:
    """Raises whatever is asked of it."""

    def __getattribute__(self, name):
        raise SystemExit(name)

    def __repr__(self):
        raise SystemExit("repr")

    __index__ = __iter__ = __len__ = __call__ = __eq__ = __hash__ = __bool__ = __str__ = __repr__


def endless():
    """Lists that never end, and claim not to."""
    class Endless(list):
        def __iter__(self):
            while True:
                yield 0

        def __len__(self):
            return 10**12

    return Endless()


@every
def test_no_answer_gets_an_error_out_of_check(exercise):
    for answer in (Explosive(), [Explosive()] * 5, {0: Explosive()}, {Explosive.__index__: 1}, range(10**12),
                   [0] * 10**5, {0: range(10**9)}, endless(), [endless()] * 5, {0: endless()}):
        for each in (answer, lambda *args, answer=answer: answer):
            result = exercise.check(each)
            assert isinstance(result, Wrong | Raised)
            assert len(repr(result)) < 3000
            assert len(result._repr_html_()) < 12000


ERRORS = (ValueError("no"), SystemExit(3), KeyboardInterrupt(), MemoryError(), GeneratorExit(), StopIteration(),
          BaseException())


@every
def test_an_answer_that_raises_is_an_outcome_of_its_own(exercise):
    for error in ERRORS:
        def answer(*args, error=error):
            raise error

        result = exercise.check(answer)
        if exercise.kind == "implement":
            assert isinstance(result, Raised)
            assert result.error == type(error).__name__
            assert result.line == "raise error"
            assert result.function == "answer"
            assert result.given
        else:
            assert isinstance(result, Wrong | Raised), result


@every
def test_an_answer_without_an_end_is_stopped_and_told_so(exercise, monkeypatch):
    monkeypatch.setattr(calling, "LIMIT", 0.05)

    def endless_loop(*args):
        while True:
            pass

    def catches_everything(*args):
        while True:
            try:
                endless_loop()
            except Exception:
                continue

    for answer in (endless_loop, catches_everything) if exercise.kind == "implement" else ():
        result = exercise.check(answer)
        assert isinstance(result, Raised)
        assert "Does a loop in it ever end?" in repr(result)
        assert result.function == "endless_loop"


@every
def test_hints_come_one_by_one_and_then_all(exercise):
    exercise.hints_shown = 0
    hints = [exercise.hint() for _hint in exercise.hints]
    assert len(hints) >= 3
    for number, hint in enumerate(hints, 1):
        assert f"Hint {number} of {len(hints)}" in repr(hint)
    for _again in range(2):
        last = repr(exercise.hint())
        assert "No more hints" in last
        assert "solution()" in last


@every
def test_a_hint_is_not_the_solution(exercise):
    assert not any(exercise.code.strip() in hint for hint in exercise.hints)


@every
def test_the_solution_is_code_that_runs(exercise):
    solution = exercise.solution()
    compile(solution.code, "solution", "exec")
    assert len(solution.why) > 60


@every
def test_everything_shows_itself_as_html_and_as_text(exercise):
    results = [exercise, exercise.solution(), exercise.hint(), exercise.check(...), exercise.check(None),
               exercise.check(exercise.right_answers[0]), exercise.check(exercise.misconceptions[0].answer)]
    for result in results:
        bundle = result._repr_mimebundle_()
        assert bundle == {"text/plain": repr(result), "text/html": result._repr_html_()}
        assert f'data-exercise="{exercise.name}"' in bundle["text/html"]
        assert "<" not in bundle["text/plain"].replace("<<", "").replace("< size", "")


@every
def test_the_check_leaves_the_answer_alone(exercise):
    for answer in exercise.right_answers:
        if not callable(answer):
            before = repr(answer)
            exercise.check(answer)
            assert repr(answer) == before


@every
def test_the_failing_case_can_be_opened_in_a_lab(exercise):
    """Each lab once: for other mistakes of the same exercise it is the same lab, elsewhere."""
    from kmm_sim.labs import Bench

    opened = set()
    for mistake in exercise.misconceptions:
        result = exercise.check(mistake.answer)
        if result.state is None:
            assert result.machine is None
            with pytest.raises(LookupError):
                result.lab()
            continue
        assert result.machine is None or result.machine is not result.machine, "each time a machine of one's own"
        assert ".lab()" in repr(result)
        if type(result.state) not in opened:
            opened.add(type(result.state))
            lab = result.lab()
            assert isinstance(lab, Bench)
            lab.close()


@series
def test_each_question_of_a_series_has_its_right_answers_and_tells_mistakes_apart(series):
    for seed, level in itertools.product(SEEDS, range(1, series.levels + 1)):
        question = series(seed=seed, level=level)
        assert all(question.check(answer).right for answer in question.right_answers)
        for mistake in question.misconceptions:
            assert question.check(mistake.answer).misconception == mistake.name, (seed, level)


@series
def test_a_series_is_fresh_each_time_and_the_same_for_the_same_seed(series):
    assert series(seed=5).given == series(seed=5).given
    assert len({series(seed=seed).given for seed in SEEDS}) > 15
    assert series().title != series().title or series().title != series().title
    with pytest.raises(ValueError, match="level 9"):
        series(level=9)
    with pytest.raises(TypeError):
        series(seed="five")


def test_right_answers_that_are_functions_are_called_with_what_the_template_promises():
    for each in ALL:
        exercise = each.values[0]
        untouched = filled(exercise.template)
        for answer in filter(callable, exercise.right_answers):
            if callable(untouched):
                inspect.signature(answer).bind(*inspect.signature(untouched).parameters)


@every
def test_functions_wrapped_in_other_callables_count(exercise):
    class Method:
        def __init__(self, function):
            self.function = function

        def answer(self, *args):
            return self.function(*args)

        __call__ = answer

    for function in filter(callable, exercise.right_answers):
        assert exercise.check(functools.partial(function)).right
        assert exercise.check(functools.wraps(function)(lambda *args, function=function: function(*args))).right
        assert exercise.check(Method(function)).right
        assert exercise.check(Method(function).answer).right
