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
    ("%%time\nx = 1", "\nx = 1", ["%%time"]),
    ("\n%%capture out\n%pip install a\nx = 1", "\n\npass\nx = 1", ["%%capture out", "%pip install a"]),
    ("%%bash\nls", "", ["%%bash"]),
    ("%%", "", ["%%"]),
    ("ex.get_order?\n?ex\nx = 1", "pass\npass\nx = 1", ["ex.get_order?", "?ex"]),
    ("%time", "pass", ["%time"]),
], ids=repr)
def test_what_is_no_python_is_left_out_and_told(cell, python, left_out):
    assert python_of(cell) == (python, left_out)


def test_brackets_and_quotes_hold_beside_a_magic_too():
    rest = "x = (1  # (\n% 2)\ny = '''\n%no\n'''\nz = \"'\" \\\n% 2\n"
    assert python_of("%ls\n" + rest) == ("pass\n" + rest, ["%ls"])


def test_a_cell_with_the_line_ends_of_another_system():
    assert python_of("%ls\r\nx = 1\r\n") == ("pass\nx = 1\n", ["%ls"])
