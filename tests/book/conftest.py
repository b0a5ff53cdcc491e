"""The chapters as they are written."""

from pathlib import Path

import jupytext
import pytest
import yaml
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]


TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
CHAPTERS = "The kernel's memory"  # the part of the book whose pages have the shape of a chapter


def chapter_names() -> list[str]:
    """The pages of the book's main part, without their ending."""
    return [each["file"] for part in TOC["parts"] if part["caption"] == CHAPTERS for each in part["chapters"]]


def page_names() -> list[str]:
    """Every page that _toc.yml names, the root first, without its ending."""
    return [TOC["root"], *(each["file"] for part in TOC["parts"] for each in part["chapters"])]


def pytest_generate_tests(metafunc):
    """Run a test that takes ``page_name`` for every page, one that takes ``chapter_name`` for every chapter."""
    if "page_name" in metafunc.fixturenames:
        metafunc.parametrize("page_name", page_names())
    if "chapter_name" in metafunc.fixturenames:
        metafunc.parametrize("chapter_name", chapter_names())


@pytest.fixture
def notebook(request) -> NotebookNode:
    """The page as the notebook that it is."""
    name = next(request.getfixturevalue(n) for n in ("page_name", "chapter_name") if n in request.fixturenames)
    return jupytext.read(ROOT / f"{name}.md")
