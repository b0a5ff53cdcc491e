"""What a chapter's own file keeps: its shape, and cells that call and do not compute."""

import ast
import re
from itertools import takewhile

SHAPE = ("watch it", "the code", "try it", "the real kernel", "then and now", "exercises", "summary")
CELL_LINES = 20  # about 12 is the habit
CELL_COLUMNS = 80  # what the column of text shows without scrolling
CHAPTER_CELLS = 30  # before the exercises; about 25 is the habit


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def parsed(cell):
    """The cell's Python, without the lines that talk to IPython."""
    return ast.parse(re.sub(r"^\s*[%!].*$", "", cell.source, flags=re.MULTILINE))


def test_a_chapter_has_the_shape_of_the_others(chapter_name, notebook):
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    headings = [heading.lower() for heading in re.findall(r"^## +(.+)$", text, re.MULTILINE)]
    at = [next((i for i, heading in enumerate(headings) if part in heading), None) for part in SHAPE]
    missing = [part for part, place in zip(SHAPE, at, strict=True) if place is None]
    assert not missing, f"no heading for {missing} among {headings}"
    assert at == sorted(at), f"the parts stand in another order: {headings}"


def test_a_chapter_opens_with_its_lab(chapter_name, notebook):
    for cell in notebook.cells:
        assert not (cell.cell_type == "markdown" and re.search(r"^## ", cell.source, re.MULTILINE)), \
            "a section begins before the first lab"
        if cell.cell_type == "code" and "kmm_sim.labs" in cell.source:
            return
    raise AssertionError("no cell imports a lab")


def test_a_chapter_has_all_that_a_reader_may_expect(chapter_name, notebook):
    text = "\n".join(cell.source for cell in notebook.cells)
    parts = {"the simulator's source": r"\{literalinclude\} /kmm_sim/", "a figure": r"figures/[\w-]+\.svg",
             "a piece of a real kernel": r"\{literalinclude\} recorded/", "how long it takes": r"minutes",
             "five questions": r"(?s)(?::class: quiz.*?){5}", "three exercises": r"(?s)(?:\{exercise\}.*?){3}",
             "where to read on": r"Read on", "the kernel's documentation of 6.12": r"docs\.kernel\.org/6\.12/",
             "an article of LWN": r"lwn\.net/Articles/\d+/", "which version": r"6\.12"}
    assert not [part for part, pattern in parts.items() if not re.search(pattern, text)]
    words = len(re.sub(r"```.*?```", "", text, flags=re.DOTALL).split())
    assert 1500 <= words <= 4000, f"{words} words: a chapter has 1,500 to 4,000"


def test_cells_call_and_do_not_compute(page_name, notebook):
    checked = set(re.findall(r"\.check\((\w+)", "\n".join(cell.source for cell in code_cells(notebook))))
    for cell in code_cells(notebook):
        assert "sys.path" not in cell.source
        for node in ast.walk(parsed(cell)):
            assert not isinstance(node, ast.ClassDef | ast.AsyncFunctionDef), f"a class in a cell:\n{cell.source}"
            assert not isinstance(node, ast.FunctionDef) or node.name in checked, \
                f"{node.name}() belongs into kmm_sim: only an answer to an exercise is a function in a cell"
        loops = [node for node in ast.walk(parsed(cell)) if isinstance(node, ast.For | ast.While)]
        assert len(loops) < 2, f"two loops are logic; it belongs into kmm_sim:\n{cell.source}"


def test_cells_are_short_enough_to_retype(page_name, notebook):
    cells = code_cells(notebook)
    told = takewhile(lambda cell: "kmm_sim.exercises" not in cell.source, cells)
    assert len(list(told)) <= CHAPTER_CELLS
    for cell in cells:
        assert len(cell.source.splitlines()) <= CELL_LINES, cell.source


def test_no_line_of_a_cell_is_wider_than_the_column(page_name, notebook):
    lines = [line for cell in code_cells(notebook) for line in cell.source.splitlines()]
    assert not [line for line in lines if len(line) > CELL_COLUMNS]


def test_only_imports_are_hidden(page_name, notebook):
    for cell in code_cells(notebook):
        if {"remove-cell", "remove-input"} & set(cell.metadata.get("tags", [])):
            assert all(isinstance(node, ast.Import | ast.ImportFrom) for node in parsed(cell).body), cell.source
