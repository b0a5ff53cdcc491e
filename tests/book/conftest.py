"""The chapters as they are written."""

import re
from pathlib import Path

import jupytext
import pytest
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]


def chapter_names() -> list[str]:
    """Every page that _toc.yml names, the root first, without its ending."""
    return re.findall(r"^[\s-]*(?:root|file):\s*(\S+)", (ROOT / "_toc.yml").read_text(), re.MULTILINE)


def pytest_generate_tests(metafunc):
    """Run a test that takes ``page_name`` for every page, one that takes ``chapter_name`` for all but the first."""
    if "page_name" in metafunc.fixturenames:
        metafunc.parametrize("page_name", chapter_names())
    if "chapter_name" in metafunc.fixturenames:
        metafunc.parametrize("chapter_name", chapter_names()[1:])


@pytest.fixture
def notebook(request) -> NotebookNode:
    """The page as the notebook that it is."""
    name = next(request.getfixturevalue(n) for n in ("page_name", "chapter_name") if n in request.fixturenames)
    return jupytext.read(ROOT / f"{name}.md")
