"""The chapters as they are written."""

from pathlib import Path

import jupytext
import pytest
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def notebook(request) -> NotebookNode:
    """The page as the notebook that it is."""
    name = next(request.getfixturevalue(n) for n in ("page_name", "chapter_name") if n in request.fixturenames)
    return jupytext.read(ROOT / f"{name}.md")
