"""What Binder makes of the repository, and what its button opens there."""

import re
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]

CHAPTER = "getting-pages"


def test_binder_takes_the_python_of_the_runtime_file_and_installs_what_the_repository_says(recipe):
    assert f"python-{recipe.python}" == (ROOT / "runtime.txt").read_text().strip()
    assert recipe.commands == ('pip install --no-cache-dir -r "requirements.txt"', "pip install --no-cache-dir .")


@pytest.fixture
def path(built_book):
    """Where the button of a chapter leads in Binder's JupyterLab."""
    page = unescape((built_book / f"book/{CHAPTER}.html").read_text(encoding="utf-8"))
    button = re.search(r'href="(https://mybinder\.org/[^"]*)"', page)
    return parse_qs(urlsplit(button[1]).query)["urlpath"][0]


def test_the_path_of_binders_button_opens_that_chapter_as_a_notebook(lab, browser, path):
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{lab.url}/{path}?token={lab.token}")
    notebook = page.locator(".jp-NotebookPanel")
    notebook.locator(".jp-CodeCell").first.wait_for(timeout=60_000)
    assert "Getting pages" in notebook.locator("h1").first.inner_text()
    page.close()
