"""Grading notebooks: right ones are right, and what a broken, hostile or endless one does costs itself alone."""

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kmm_sim.__main__ import main
from kmm_sim.exercises import CHAPTERS
from kmm_sim.grade.grading import grade, write_csv, write_report
from kmm_sim.grade.notebook import Broken, read_cells

ROOT = Path(__file__).resolve().parents[2]
IMPORT = "from kmm_sim.exercises import getting_pages as ex"
RIGHT_ORDERS = "ex.get_order.check({1: 0, 4096: 0, 4097: 1, 12288: 2, 20000: 3})"
WRONG_ORDERS = "ex.get_order.check({1: 1, 4096: 1, 4097: 2, 12288: 3, 20000: 5})"
RIGHT_BUDDY = """def buddy_of(pfn, order):
    return pfn ^ (1 << order), pfn & ~(1 << order)

ex.buddy_of.check(buddy_of)"""
RIGHT_LISTS = "ex.free_lists(seed=1).check({0: [0, 7], 1: [4, 2], 3: [8], 4: [16]})"
BUDDY = "ex.buddy_of.check(buddy_of)"
BLANKS = [
    "ex.get_order.check({1: ..., 4096: 0, 4097: ..., 12288: ..., 20000: ...})",
    "def buddy_of(pfn, order):\n    buddy = ...\n    start = ...\n    return buddy, start\n" + BUDDY,
    "ex.free_lists(seed=2).check({0: ..., 1: ..., 2: ..., 3: ..., 4: ...})",
]

NOTEBOOKS = {
    "right": [IMPORT, RIGHT_ORDERS, RIGHT_BUDDY, RIGHT_LISTS],
    "wrong": [IMPORT, WRONG_ORDERS, "def buddy_of(pfn, order):\n    return pfn + (1 << order), pfn\n" + BUDDY],
    "untouched": [IMPORT, "ex.get_order.check({1: ..., 4096: ..., 4097: ..., 12288: ..., 20000: ...})",
                  "def buddy_of(pfn, order):\n    ...\n" + BUDDY],
    "raises": [IMPORT, "1 / 0", RIGHT_ORDERS, "def buddy_of(pfn, order):\n    return [][pfn]\n" + BUDDY,
               "import nowhere"],
    "last counts": [IMPORT, WRONG_ORDERS, RIGHT_ORDERS, "ex.get_order.check(...)"],
    "blanks below": [IMPORT, RIGHT_ORDERS, RIGHT_BUDDY, RIGHT_LISTS, *BLANKS],
    "of IPython": [IMPORT + """
if True:
    %pip install --quiet nothing
""", "%%time\n" + RIGHT_ORDERS, RIGHT_BUDDY + "\nex.buddy_of?", "get_ipython().system('ls')\n" + RIGHT_LISTS],
    "awaits": [IMPORT, "import asyncio\nawait asyncio.sleep(0)\n" + RIGHT_ORDERS],
    "without a seed": [IMPORT, "ex.free_lists(seed=None).check({0: [0, 7], 1: [4, 2], 3: [8], 4: [16]})"],
    "uses names anew": [IMPORT, """
def bit(order):
    return 1 << order

def both(pfn, order):
    return pfn ^ bit(order), pfn & ~bit(order)

def buddy_of(pfn, order):
    return both(pfn, order)
""" + BUDDY, "def bit():\n    pass\nboth = 5\ndel buddy_of", RIGHT_ORDERS],
    # Knows the cases of seed 0, which the page uses, and no others.
    "learned by heart": [IMPORT, """import random
from kmm_sim.exercises.getting_pages import _sizes, linux_get_order
known = {size: linux_get_order(size) for (size,) in _sizes(random.Random(0))}
print(ex.get_order.check(lambda size: known.get(size, 0)))
"""],
    "prints fakes": [IMPORT, "print('Right')\nprint({'exercise': 'getting-pages/buddy-of', 'outcome': 'right'})"],
    "patches the checker": [IMPORT, """
import kmm_sim.exercises.exercise as e, kmm_sim.exercises.implement as i, kmm_sim.exercises.questions as q
from kmm_sim.exercises.result import Right
e.Exercise.check = lambda self, answer=..., seed=0: Right(exercise=self.name)
i.judge_function = i.judge_table = q.judge_answers = lambda *args: Right()
ex.get_order.judge = ex.buddy_of.judge = lambda answer, rng: Right()
""", WRONG_ORDERS, "def buddy_of(pfn, order):\n    return 0, 0\n" + BUDDY],
    "patches only the judge": [IMPORT, """
from kmm_sim.exercises.result import Right
ex.get_order.judge = ex.buddy_of.judge = lambda answer, rng: Right()
""", WRONG_ORDERS, "def buddy_of(pfn, order):\n    return 0, 0\n" + BUDDY],
    # Finds its own pipes and says what it likes: a message can hand in an answer, and no outcome.
    "writes to the judge": [IMPORT, """
import json, os, sys
fake = json.dumps({"exercise": "getting-pages/get-order", "outcome": "right", "right": True, "answer": True}).encode()
for fd in range(3, 64):
    try:
        os.write(fd, len(fake).to_bytes(4, "big") + fake)
    except OSError:
        pass
"""],
    "writes nonsense to the judge": [IMPORT, RIGHT_ORDERS, """
import os
for fd in range(3, 64):
    try:
        os.write(fd, b"\\xff" * 100)
    except OSError:
        pass
"""],
    "without an end": [IMPORT, RIGHT_ORDERS, "while True: pass", RIGHT_BUDDY],
    "catches everything": [IMPORT, RIGHT_ORDERS, """
def forever():
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
forever()
""", RIGHT_BUDDY],
    "function without an end": [IMPORT, RIGHT_ORDERS, "def buddy_of(pfn, order):\n    while True: pass\n" + BUDDY],
    "without an end on other cases": [IMPORT, """
calls = 0
def buddy_of(pfn, order):
    global calls
    calls += 1
    while calls > 3: pass
    return pfn ^ (1 << order), pfn & ~(1 << order)
""" + BUDDY, RIGHT_ORDERS],
    "takes all memory": [IMPORT, "all = [bytearray(1 << 26) for _ in range(1000)]", RIGHT_ORDERS],
    "leaves at once": [IMPORT, RIGHT_ORDERS, "import os; os._exit(0)", RIGHT_BUDDY],
    "kills": [IMPORT, """
import os, signal
refused = 0
for pid in (-1, os.getppid(), 0, 1):
    try:
        os.kill(pid, signal.SIGKILL)
    except PermissionError:
        refused += 1
assert refused == 4
""", RIGHT_ORDERS],
    "has children": [IMPORT, """
import subprocess, sys
for n in range(3):
    subprocess.Popen([sys.executable, "-c", "import os, time; os.setsid(); os.fork(); time.sleep(600) #kmm-left-over"],
                     start_new_session=True)
""", RIGHT_ORDERS],
    "writes elsewhere": [IMPORT, """
import os, pathlib
for action in (lambda: open("{marker}", "w"), lambda: os.truncate("{victim}", 0), lambda: os.chmod("{victim}", 0),
               lambda: os.unlink("{victim}"), lambda: open("{victim}").read(), lambda: os.utime("{folder}")):
    try:
        action()
    except OSError:
        continue
    if action.__code__.co_names[-1] != "utime":
        raise SystemExit("it worked: " + str(action.__code__.co_names))
open("own.txt", "w").write("allowed")
""", RIGHT_ORDERS],
    # Notebooks may be handed in where the package lies.
    "reads beside the package": [IMPORT, """
import os, pathlib
for action in (lambda: open("{root}/README.md"), lambda: os.listdir("{root}"), lambda: os.listdir("{root}/tests")):
    try:
        action()
    except PermissionError:
        continue
    ex.get_order.check([9, 9, 9, 9, 9])
""", "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import numpy'], check=True)",
        "import importlib.resources as r\nr.files('kmm_sim').joinpath('__init__.py').read_text()",
        RIGHT_LISTS],
    "uses the network": [IMPORT, "import socket\nsocket.create_connection(('127.0.0.1', 9), 1)", RIGHT_ORDERS],
    "endless answer": [IMPORT, """
class Endless(list):
    def __iter__(self):
        while True:
            yield 0
    def __len__(self):
        return 1 << 60
ex.get_order.check(Endless())
"""],
    "no cells": [],
    "=1+1": [IMPORT, RIGHT_ORDERS],
}


def ipynb(cells):
    code = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    text = {"cell_type": "markdown", "metadata": {}, "source": ["# Mine"]}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
        text, *(code | {"source": source.splitlines(True)} for source in cells)]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("handed-in")


@pytest.fixture(scope="module")
def grades(folder):
    """All of them at once, as for a class."""
    (folder / "victim").write_text("precious")
    for name, cells in NOTEBOOKS.items():
        cells = [cell.replace("{marker}", str(folder / "marker")).replace("{victim}", str(folder / "victim"))
                 .replace("{folder}", str(folder)).replace("{root}", str(ROOT)) for cell in cells]
        (folder / f"{name}.ipynb").write_text(ipynb(cells))
    (folder / "binary.ipynb").write_bytes(b"\xff\xfe\x00")
    (folder / "no json.ipynb").write_text("{")
    (folder / "deep.ipynb").write_text("[" * 100_000)
    (folder / "old.ipynb").write_text('{"nbformat": 3, "worksheets": []}')
    (folder / "odd.ipynb").write_text('{"nbformat": 4, "cells": [{"cell_type": "code", "source": [1]}]}')
    (folder / "other.txt").write_text("")
    (folder / "folder.ipynb").mkdir()
    paths = [*sorted(folder.glob("*.ipynb")), folder / "other.txt", folder / "missing.ipynb"]
    found = grade(paths, seed=7, timeout=60, cell_timeout=1.5, memory=700, chapters=["getting_pages"], jobs=4)
    return {each.path.name.removesuffix(".ipynb"): each for each in found}


def outcomes(grade):
    return {each.exercise.partition("/")[2]: each.outcome for each in grade.outcomes}


ORDERS_ONLY = {"get-order": "right", "buddy-of": "not-attempted", "free-lists": "not-attempted"}
NOTHING = dict.fromkeys(ORDERS_ONLY, "not-attempted")


@pytest.mark.parametrize(("name", "expected"), [
    ("right", dict.fromkeys(ORDERS_ONLY, "right")),
    ("wrong", {"get-order": "wrong", "buddy-of": "wrong", "free-lists": "not-attempted"}),
    ("untouched", NOTHING),
    ("raises", ORDERS_ONLY | {"buddy-of": "raised"}),
    ("last counts", ORDERS_ONLY),
    ("of IPython", dict.fromkeys(ORDERS_ONLY, "right")),
    ("awaits", ORDERS_ONLY),
    ("uses names anew", ORDERS_ONLY | {"buddy-of": "right"}),
    ("blanks below", dict.fromkeys(ORDERS_ONLY, "right")),
    ("learned by heart", NOTHING | {"get-order": "wrong"}),
    ("prints fakes", NOTHING),
    ("patches the checker", NOTHING),
    ("patches only the judge", NOTHING | {"get-order": "wrong", "buddy-of": "wrong"}),
    ("writes to the judge", NOTHING | {"get-order": "wrong"}),
    ("writes nonsense to the judge", ORDERS_ONLY),
    ("without an end", ORDERS_ONLY | {"buddy-of": "right"}),
    ("catches everything", ORDERS_ONLY | {"buddy-of": "right"}),
    ("function without an end", ORDERS_ONLY | {"buddy-of": "raised"}),
    ("without an end on other cases", ORDERS_ONLY | {"buddy-of": "raised"}),
    ("takes all memory", ORDERS_ONLY),
    ("leaves at once", ORDERS_ONLY | {"buddy-of": "right"}),
    ("kills", ORDERS_ONLY),
    ("has children", ORDERS_ONLY),
    ("writes elsewhere", ORDERS_ONLY),
    ("reads beside the package", NOTHING | {"free-lists": "right"}),
    ("uses the network", ORDERS_ONLY),
    ("endless answer", NOTHING | {"get-order": "wrong"}),
    ("=1+1", ORDERS_ONLY),
])
def test_each_notebook_gets_what_it_earned(grades, name, expected):
    assert grades[name].status == "ok", grades[name]
    assert outcomes(grades[name]) == expected, grades[name].notes


@pytest.mark.parametrize(("name", "words"), [
    ("no cells", "no code cell"), ("binary", "not text"), ("no json", "not JSON"), ("deep", "not JSON"),
    ("old", "version 4"), ("odd", "not text"), ("other.txt", "neither .ipynb nor .md"), ("missing", "cannot be read"),
    ("folder", "cannot be read"),
])
def test_what_is_no_notebook_is_told_why(grades, name, words):
    assert grades[name].status == "broken"
    assert words in grades[name].notes[0]


FLOOD = """
import os
body = b'{"exercise": "%03d", "answer": {"l": [' + b"[]," * 600_000 + b"[]]}}"
for number in range(100):
    fake = body.replace(b"%03d", b"%03d" % number)
    for fd in range(3, 64):
        left = len(fake).to_bytes(4, "big") + fake
        try:
            while left:
                left = left[os.write(fd, left):]
        except OSError:
            pass
"""


def test_who_floods_the_judge_costs_itself(tmp_path):
    (tmp_path / "flood.ipynb").write_text(ipynb([IMPORT, FLOOD]))
    (found,) = grade([tmp_path / "flood.ipynb"], seed=7, memory=256)
    assert (found.status, found.notes) == ("crashed", ("MemoryError",))


def test_nothing_is_left_over(grades, folder):
    assert not (folder / "marker").exists()
    assert (folder / "victim").read_text() == "precious"
    assert within(5, lambda: not processes("cmdline", b"kmm-left-over", b"kmm_sim.grade"))


def test_the_notes_say_what_happened_while_it_ran(grades):
    assert any("ZeroDivisionError" in note for note in grades["raises"].notes)
    assert any(note.startswith("cell 3") for note in grades["leaves at once"].notes)
    for name in ("kills", "writes elsewhere", "reads beside the package"):
        assert not [note for note in grades[name].notes if "cell" in note]
    assert any("PermissionError" in note for note in grades["uses the network"].notes)


def test_the_notes_say_what_was_left_out_of_a_cell(grades):
    assert grades["of IPython"].notes == (
        "cell 1: left out: %pip install --quiet nothing", "cell 2: left out: %%time", "cell 3: left out: ex.buddy_of?")


def test_who_asks_for_any_question_gets_the_same_one_each_time_and_is_told(grades, folder):
    again, = grade([folder / "without a seed.ipynb"], seed=7, chapters=["getting_pages"])
    assert again.outcomes == grades["without a seed"].outcomes
    assert outcomes(again) == NOTHING | {"free-lists": "wrong"}
    assert "without a seed" in again.notes[0]
    assert not grades["right"].notes


def test_what_had_no_end_is_told_with_the_seconds_it_had(grades):
    said = "cell 3: no end: It was stopped after 1.5 seconds. Does a loop in it ever end?"
    assert grades["without an end"].notes == (said,)
    (text,) = (each.text for each in grades["function without an end"].outcomes if each.outcome == "raised")
    assert "stopped after 1.5 seconds" in text


def test_a_chapter_is_known_by_its_answers_too_and_a_notebook_without_one_is_told(tmp_path, capsys):
    other_way = "import importlib\nex = importlib.import_module('kmm_sim.exercises.' + 'getting_pages')"
    (tmp_path / "another way.ipynb").write_text(ipynb([other_way, RIGHT_ORDERS]))
    (tmp_path / "nothing.ipynb").write_text(ipynb(["x = 1"]))
    main(["grade", *map(str, sorted(tmp_path.glob("*.ipynb")))])
    another_way, nothing = sorted(capsys.readouterr().out.splitlines()[:2])
    assert "1 of 3 right" in another_way
    assert "--chapter" in nothing


def test_cells_that_use_up_the_time_leave_some_for_functions(tmp_path):
    (tmp_path / "slow.ipynb").write_text(ipynb([IMPORT, RIGHT_BUDDY, *["while True: pass"] * 9, RIGHT_ORDERS]))
    (found,) = grade([tmp_path / "slow.ipynb"], seed=7, timeout=10)
    assert outcomes(found) == NOTHING | {"buddy-of": "right"}
    assert "the time for cells was up" in found.notes[-1]


def test_a_known_mistake_is_named_and_an_error_has_its_line(grades):
    wrong, raised = (next(each for each in grades[name].outcomes if each.exercise.endswith("buddy-of"))
                     for name in ("wrong", "raises"))
    assert wrong.misconception == "always the next block"
    assert "IndexError" in raised.text
    assert "return [][pfn]" in raised.text


def test_the_fence_was_whole(grades):
    assert set(grades["right"].fence) == {"seccomp", "Landlock"}


def test_the_csv_has_a_line_for_each_notebook_and_no_formula(grades, folder):
    file = io.StringIO()
    relative = [each for name, each in grades.items() if name == "=1+1"]
    object.__setattr__(relative[0], "path", Path("=1+1.ipynb"))
    write_csv(list(grades.values()), file)
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert len(rows) == len(grades)
    right = next(row for row in rows if row["notebook"].endswith("/right.ipynb"))
    assert (right["right"], right["attempted"], right["exercises"], right["seed"]) == ("3", "3", "3", "7")
    assert right["getting-pages/buddy-of"] == "right"
    assert not [row for row in rows if row["notebook"].startswith("=")]


def test_reports_do_not_overwrite_each_other_and_hold_no_markup_of_the_notebook(grades, tmp_path):
    taken = set()
    one, two = (write_report(grades["raises"], tmp_path, taken) for _ in range(2))
    assert one != two
    text = one.read_text()
    assert "1 of 3 exercises are right" in text
    assert "## getting-pages/buddy-of: raised" in text


def test_the_same_seed_gives_the_same_grades_and_md_is_read_as_well(tmp_path):
    chapter = (ROOT / "book/getting-pages.md").read_text(encoding="utf-8")
    done = chapter.replace("orders = {1: ..., 4096: ..., 4097: ..., 12288: ..., 20000: ...}",
                           "orders = [0, 0, 1, 2, 3]")
    assert done != chapter
    (tmp_path / "chapter.md").write_text(done)
    command = [sys.executable, "-m", "kmm_sim", "grade", "chapter.md", "--seed", "5", "--csv", "marks.csv",
               "--report", "out"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stderr
    assert "chapter.md: 1 of 3 right, 1 attempted" in ran.stdout
    assert (tmp_path / "marks.csv").read_text().count("\n") == 2
    assert (tmp_path / "out/chapter.md").is_file()


def test_a_report_says_what_the_check_says(tmp_path):
    answer = "async def buddy_of(pfn, order):\n    return pfn, pfn\n"
    (tmp_path / "waits.ipynb").write_text(ipynb([IMPORT, answer + BUDDY]))
    (found,) = grade([tmp_path / "waits.ipynb"], seed=7)
    (text,) = (each.text for each in found.outcomes if each.outcome == "wrong")
    assert "not a coroutine: write `def`, not `async def`" in " ".join(text.split())


EVERYTHING = """
from kmm_sim.exercises import Series, all_exercises
for each in all_exercises():
    exercise = each(seed=5, level=each.levels) if isinstance(each, Series) else each
    exercise.check(exercise.right_answers[-1])
"""


def test_every_exercise_of_the_book_can_be_graded(tmp_path):
    """A right answer to each, other than the reference, is right from outside as well."""
    (tmp_path / "all.ipynb").write_text(ipynb([EVERYTHING]))
    (found,) = grade([tmp_path / "all.ipynb"], seed=11, chapters=CHAPTERS)
    assert len(found.outcomes) >= 50
    assert not [(each.exercise, each.text) for each in found.outcomes if each.outcome != "right"], found.notes


def test_a_myst_notebook_is_read_without_its_options(tmp_path):
    path = tmp_path / "a.md"
    path.write_text("# A\n\n```{code-cell} ipython3\n---\ntags: [hide-cell]\n---\na = 1\n```\n\n"
                    "```{code-cell}\n:tags: [x]\n%matplotlib inline\nb = 2\n```\n\n```python\nno = 3\n```\n")
    assert read_cells(path) == ["a = 1\n", "%matplotlib inline\nb = 2\n"]


def test_a_file_of_another_kind_is_broken(tmp_path):
    with pytest.raises(Broken):
        read_cells(tmp_path / "nothing.ipynb")


def test_stopping_the_command_stops_the_notebooks(tmp_path):
    (tmp_path / "endless.ipynb").write_text(ipynb([IMPORT, "while True: pass"]))
    command = [sys.executable, "-m", "kmm_sim", "grade", str(tmp_path / "endless.ipynb"), "--timeout", "100"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, "TMPDIR": str(tmp_path)})
    theirs = f"{tmp_path}/kmm-grade-".encode()  # in the surroundings of a student's process, and of no other
    assert within(30, lambda: processes("environ", theirs))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert within(30, lambda: not processes("environ", theirs))


def within(seconds, condition):
    """Whether a condition comes true in this time."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return condition()


def processes(kind, *marks):
    """What /proc has in `environ` or `cmdline` of the processes that have one of these marks there."""
    found = []
    for path in Path("/proc").glob(f"[0-9]*/{kind}"):
        with contextlib.suppress(OSError):  # it ended, or is another user's
            found.append(path.read_bytes())
    return [text for text in found if any(mark in text for mark in marks)]
