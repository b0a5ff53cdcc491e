"""The simulator's source is part of the book: each function of ``kmm_sim/mm`` is shown, or excused by name."""

import ast
import re
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LISTING = re.compile(r"\{literalinclude\} /kmm_sim/mm/(\w+)\.py\n((?::.*\n)*)")
EXCUSED = tomllib.loads((HERE / "excused.toml").read_text(encoding="utf-8"))


def functions() -> set[str]:
    """The public functions, as module.name."""
    return {f"{file.stem}.{node.name}" for file in (ROOT / "kmm_sim/mm").glob("*.py")
            for node in ast.parse(file.read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")}


def shown() -> set[str]:
    """What chapters list by name, as module.name."""
    listings = [found for file in (ROOT / "book").glob("*.md")
                for found in LISTING.finditer(file.read_text(encoding="utf-8"))]
    return {f"{found[1]}.{name[1]}" for found in listings if (name := re.search(r":pyobject: (\S+)", found[2]))}


def excused() -> set[str]:
    return {f"{module}.{name}" for module, excuse in EXCUSED.items() for name in excuse["functions"]}


def test_every_function_is_shown_or_excused():
    assert not functions() - shown() - excused()


def test_an_excuse_is_for_a_function_that_no_chapter_shows():
    assert excused() <= functions()
    assert not excused() & shown()
    assert all(excuse["why"] for excuse in EXCUSED.values())
    assert len(shown() & functions()) >= 45
