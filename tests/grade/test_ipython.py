"""What is IPython's own is left out of a cell, line for line; what is Python stays as it is."""

import pytest

from kmm_sim.grade.ipython import python_of


@pytest.mark.parametrize("cell", [
    "x = (size\n% 2)", "text = '''\n%no magic\n!nor this\n'''", "x = size \\\n% 2", "x %= 2\ny != x", "# why?", "",
    "await wait()"])
def test_a_cell_of_python_is_not_touched(cell):
    assert python_of(cell) == (cell, [])


@pytest.mark.parametrize(("cell", "python", "left_out"), [
    ("%pip install a\nx = 1", "pass\nx = 1", ["%pip install a"]),
    ("if x:\n    !echo\n\t%ls\ny = 1", "if x:\n    pass\n\tpass\ny = 1", ["!echo", "%ls"]),
    ("%pip install a \\\n  b\nx = 1", "pass\n\nx = 1", ["%pip install a \\\n  b"]),
    ("%time check(1)", "check(1)", ["%time"]),
    ("for x in y:\n    %timeit -n 10 -r3 check(x)", "for x in y:\n    check(x)", ["%timeit"]),
    ("x = %time check(1)", "x = check(1)", ["%time"]),
    ("files = !ls", "files = None", ["!ls"]),
    ("%prun -s cumtime f(1)", "f(1)", ["%prun"]),
    ("%prun -q -T out.txt f(1)", "f(1)", ["%prun"]),
    ("%prun -rl 5 f(1)", "f(1)", ["%prun"]),
    ("%timeit -oqn 10 -v t f(1)", "f(1)", ["%timeit"]),
    ("%time --no-raise-error f(1)", "f(1)", ["%time"]),
    ("%time -x + 1", "-x + 1", ["%time"]),
    ("%prun -s 'a b' f(1)\nx = 1", "pass\nx = 1", ["%prun -s 'a b' f(1)"]),
    ("x = %time del y", "x = None", ["%time del y"]),
    ("d['k'] = %time 3", "d['k'] = 3", ["%time"]),
    ('d["="] = %time 3', 'd["="] = 3', ["%time"]),
    ("(a, b) = %time (1, 2)", "(a, b) = (1, 2)", ["%time"]),
    ("x: int = %time 3", "x: int = 3", ["%time"]),
    ("%ls --color=%d\n!a=%b", "pass\npass", ["%ls --color=%d", "!a=%b"]),
    ("%%time\nx = 1", "\nx = 1", ["%%time"]),
    ("\n%%capture out\n%pip install a\nx = 1", "\n\npass\nx = 1", ["%%capture out", "%pip install a"]),
    ("%%bash\nls", "", ["%%bash"]),
    ("%%", "", ["%%"]),
    ("ex.get_order?\n?ex\nx = 1", "pass\npass\nx = 1", ["ex.get_order?", "?ex"]),
    ("%time", "pass", ["%time"]),
], ids=repr)
def test_what_is_no_python_is_left_out_and_told(cell, python, left_out):
    assert python_of(cell) == (python, left_out)


@pytest.mark.parametrize(("cell", "python"), [
    ("  x = 1\n\n  if x:\n      y = 2\n", "x = 1\n\nif x:\n    y = 2\n"),
    ("\n\tx = 1", "\nx = 1"),
    (">>> x = 1\n>>> if x:\n...     y = 2\n...\n>>> y\n2\n", "x = 1\nif x:\n    y = 2\n\ny\n2\n"),
    ("  >>> x = 1\n  >>> y = 2", "x = 1\ny = 2"),
    ("In [3]: if x:\n   ...:     y = 2\n   ...:\n\nIn [14]: y", "if x:\n    y = 2\n\n\ny"),
], ids=repr)
def test_an_indent_or_prompts_that_were_pasted_along_are_taken_away(cell, python):
    assert python_of(cell) == (python, [])


def test_what_is_left_of_a_pasted_cell_may_have_magics():
    assert python_of("  %ls\n  x = %time 1") == ("pass\nx = 1", ["%ls", "%time"])
    assert python_of(">>> %%time\n>>> x = 1") == ("\nx = 1", ["%%time"])
    assert python_of("%%time\n  x = 1\n  y = 2") == ("\nx = 1\ny = 2", ["%%time"])


def test_a_blank_at_the_beginning_of_a_line_is_no_prompt():
    assert python_of("%ls\nx = [\n...\n]") == ("pass\nx = [\n...\n]", ["%ls"])


def test_brackets_and_quotes_hold_beside_a_magic_too():
    rest = "x = (1  # (\n% 2)\ny = '''\n%no\n'''\nz = \"'\" \\\n% 2\n"
    assert python_of("%ls\n" + rest) == ("pass\n" + rest, ["%ls"])


def test_a_cell_with_the_line_ends_of_another_system():
    assert python_of("%ls\r\nx = 1\r\n") == ("pass\nx = 1\n", ["%ls"])
