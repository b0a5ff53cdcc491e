"""Each chapter as a notebook that any program reads."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
REPOSITORY = CONFIG["repository"]["url"]
MYST = re.compile(r"```\{|^:{3,}|\{[a-z-]+\}`|^\([a-z-]+\)=$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https://)([^)]+)\)|(?:src|href)=\"(?!https://)([^\"]+)\"")


@pytest.fixture
def portable(built_book, chapter_name):
    """The chapter as the site's download button gives it."""
    return nbformat.read(built_book / "_sources" / f"{chapter_name}.ipynb", as_version=4)


def text_of(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def code_of(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def outside_of_code(text):
    """The text without its listings and code spans, in which any sign may stand."""
    return re.sub(r"`[^`\n]+`", "", re.sub(r"^(> )*```.*?^(> )*```", "", text, flags=re.DOTALL | re.MULTILINE))


def test_a_chapter_is_a_sound_notebook_with_its_code_unchanged(portable, notebook):
    nbformat.validate(portable)
    _, *code = code_of(portable)
    assert code == code_of(notebook)


def test_no_myst_is_left_and_no_link_needs_the_site_beside_it(portable):
    text = outside_of_code(text_of(portable))
    assert not MYST.findall(text)
    assert not LINK.findall(text)


def test_the_listings_figures_and_answers_of_the_page_are_in_it(portable, notebook):
    written, text = text_of(notebook), text_of(portable)
    for function in re.findall(r":pyobject: (\w+)\n", written):
        assert re.search(rf"(def|class) {function}\b", text), f"the listing of {function} is missing"
    for figure in re.findall(r"```\{(?:figure|image)\} (\S+)", written):
        assert Path(figure).name in text
    assert text.count("<details>") == text.count("</details>") >= 5  # the answers to the questions


def test_the_first_cell_installs_the_simulator_where_it_is_missing_and_nowhere_else(portable, tmp_path):
    first, *_ = code_of(portable)
    assert f"git+{REPOSITORY}@{CONFIG['repository']['branch']}" in first
    asked = []
    python = first.replace("%pip install --quiet ", "asked.append(r'''").replace("@main\"\n", "@main\"''')\n")
    exec(python, {"asked": asked})
    assert not asked, "kmm_sim is here, and yet it was installed"
    exec(python.replace('"kmm_sim"', '"kmm_sim_that_is_missing"'), {"asked": asked})
    assert len(asked) == 1
    assert "kmm-sim @ git+" in asked[0]


def test_colab_and_binder_open_this_very_chapter(built_book, chapter_name):
    page = (built_book / f"{chapter_name}.html").read_text(encoding="utf-8")
    place = REPOSITORY.removeprefix("https://github.com/")
    assert f"https://colab.research.google.com/github/{place}/blob/notebooks/{chapter_name}.ipynb" in page
    assert f"https://mybinder.org/v2/gh/{place}/main?urlpath=lab/tree/{chapter_name}.md" in page


def test_the_workflow_pushes_the_notebooks_to_the_branch_that_colab_opens():
    publish = yaml.safe_load((ROOT / ".github/workflows/publish.yml").read_text(encoding="utf-8"))
    (upload,) = [step for step in publish["jobs"]["build"]["steps"] if step.get("with", {}).get("name") == "notebooks"]
    assert upload["with"]["path"] == "_build/html/_sources/**/*.ipynb"  # below book/, as the addresses have it
    assert "git push --force origin notebooks" in publish["jobs"]["notebooks"]["steps"][-1]["run"]


def test_a_chapter_runs_from_its_first_cell_to_its_last_far_from_the_repository(built_book, tmp_path):
    """Where only the simulator is installed: no file of the book is beside the notebook."""
    shutil.copy(built_book / "_sources/book/getting-pages.ipynb", tmp_path)
    notebook = nbformat.read(tmp_path / "getting-pages.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}})
    client.create_kernel_manager().transport_encryption = "auto"
    client.execute()
    answers = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in answers)


def test_the_book_as_one_file_is_linked_where_the_workflow_puts_it(built_book):
    """No test can follow these links: the files are there only once they are published."""
    owner, name = REPOSITORY.rpartition("github.com/")[2].split("/")
    workflow = (ROOT / ".github/workflows/publish.yml").read_text(encoding="utf-8")
    page = (built_book / "book/how-to-use.html").read_text(encoding="utf-8")
    for file in ("kernel-memory-book.zip", "kernel-memory-book.pdf"):
        assert f'href="https://{owner}.github.io/{name}/{file}"' in page
        assert f"_build/{file}" in workflow
