# SPDX-License-Identifier: GPL-2.0-only
"""Each chapter as a notebook that any program reads: what the download button and Colab give.

The notebook that the build has executed holds MyST, which only JupyterLab with its extension draws: elsewhere a reader
would see directives.  So its text is replaced by that of the finished page, in plain Markdown, with every listing,
table, figure and link in it; its code and what came out stay.  The first code cell installs the simulator where it is
missing.  Colab opens notebooks from a repository: the workflow that publishes the site pushes them to a branch.
"""

import json
from pathlib import Path
from urllib.parse import urljoin

from docutils import nodes
from sphinx.application import Sphinx

from .prose import cells_of

BRANCH = "notebooks"
INSTALL = """\
# Nothing to change here: this installs the simulator where it is missing, as in Colab.
import importlib.util

if importlib.util.find_spec("kmm_sim") is None:
    %pip install --quiet anywidget "kmm-sim @ git+{repository}@{branch}"
"""


def setup(app: Sphinx) -> dict[str, object]:
    """Tell Sphinx what to call when."""
    app.connect("html-page-context", write_notebook, priority=600)  # after the theme has made its buttons
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def write_notebook(
    app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None
) -> None:
    """Write a page's notebook over the one that the theme has copied, and let Colab open it."""
    if not context.get("ipynb_source"):
        return
    options = app.config.html_theme_options
    repository, branch = options["repository_url"], options["repository_branch"]
    path = Path(app.outdir) / "_sources" / context["ipynb_source"]
    page = urljoin(site_of(repository), app.builder.get_target_uri(pagename))
    executed = json.loads(path.read_text(encoding="utf-8"))
    notebook = in_plain_markdown(executed, context["body"], page)
    at = next((n for n, cell in enumerate(notebook["cells"]) if cell["cell_type"] == "code"), None)
    if at is not None:
        notebook["cells"].insert(at, code_cell(INSTALL.format(repository=repository, branch=branch)))
    path.write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    for group in context["header_buttons"]:
        for button in group.get("buttons", []):
            if button.get("text") == "Colab":
                button["url"] = button["url"].replace(f"/blob/{branch}/", f"/blob/{BRANCH}/").replace(".md", ".ipynb")


def site_of(repository: str) -> str:
    """Where GitHub publishes the pages of a repository: https://owner.github.io/name/."""
    owner, name = repository.rstrip("/").split("/")[-2:]
    return f"https://{owner.lower()}.github.io/{name}/"


def in_plain_markdown(executed: dict, body: str, page: str) -> dict:
    """An executed notebook with the text of its page; outputs that only this book's pages draw are left out."""
    code = [cell for cell in executed["cells"] if cell["cell_type"] == "code"]
    cells, used = [], 0
    for text in cells_of(body, page):
        if text is None:
            cells.append(portable(code[used]))
            used += 1
        else:
            cells.append({"cell_type": "markdown", "metadata": {}, "source": text})
    if used != len(code):
        raise ValueError(f"{page}: the page shows {used} code cells, the notebook has {len(code)}")
    kept = {key: executed["metadata"][key] for key in ("kernelspec", "language_info") if key in executed["metadata"]}
    return {"cells": cells, "metadata": kept, "nbformat": 4, "nbformat_minor": 4}


def portable(cell: dict) -> dict:
    """A code cell with the outputs that need no script: a lab is drawn when its cell is run."""
    outputs = []
    for output in cell["outputs"]:
        data = {kind: value for kind, value in output.get("data", {}).items() if "widget" not in kind}
        if "data" not in output:
            outputs.append(output)
        elif "application/vnd.jupyter.widget-view+json" not in output["data"]:
            outputs.append(output | {"data": data})
    return code_cell("".join(cell["source"]), cell["metadata"].get("tags", []), outputs, cell["execution_count"])


def code_cell(source: str, tags: list[str] = [], outputs: list[dict] = [], count: int | None = None) -> dict:  # noqa: B006
    """A code cell; Colab and JupyterLab fold what the page folds."""
    metadata: dict = {"tags": tags} if tags else {}
    if "hide-cell" in tags or "hide-input" in tags:
        metadata["jupyter"] = {"source_hidden": True}
    return {"cell_type": "code", "execution_count": count, "metadata": metadata, "outputs": outputs, "source": source}
