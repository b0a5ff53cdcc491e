# SPDX-License-Identifier: GPL-2.0-only
"""The live page: a Sphinx extension that puts Python into the pages of the book.

At build time it makes what the page loads (`assets`), takes the labs' scripts out of the saved widget state and puts
them beside the pages (`modules`), and keeps room for each lab. In the page, `web/page` draws the labs with no Python;
`web/session` and `web/worker` start it. Nothing is loaded from any other site.

Read in this order: this file, `assets.py`, `web/page/main.js`, `web/session/session.js`, `web/worker/worker.js`.
"""

import importlib.metadata
import json
import os
import shutil
import sys
from pathlib import Path

from docutils import nodes
from jupyter_cache import get_cache
from jupyter_client import KernelManager
from kmm_words import script
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.application import Sphinx

from . import packages
from .assets import Assets, make_assets
from .join import join_files, lighten_theme
from .mend import mend_pages
from .modules import FOLDER, STATE, VIEW, as_script, drop_old, modules_tag, move_modules, style_names, view_box
from .offline import write_worker
from .parts import cut_labs
from .policy import write_policies
from .slim import slim_site
from .stages import stage

MATHJAX = ("tex-mml-chtml.js", "output/chtml/fonts", "input/tex/extensions", "a11y", "sre")
STATUS_LINE = '<div class="kmm-live" hidden></div>'


def setup(app: Sphinx) -> dict[str, object]:
    """Tell Sphinx what to call when."""
    KernelManager.transport_encryption.default_value = "auto"  # ipykernel warns where a chapter's kernel speaks openly
    app.add_config_value("kmm_live_package", "kmm_sim", "html", str)
    app.add_config_value("kmm_live_preload", ["kmm_sim", "ipywidgets", "anywidget"], "html", list)
    app.connect("builder-inited", prepare)
    app.connect("doctree-resolved", box_the_labs)
    app.connect("html-page-context", add_to_page, priority=400)  # before MyST-NB writes the widget state
    app.connect("build-finished", finish, priority=900)  # after whoever else writes into the site
    app.connect("builder-inited", read_in_parallel)
    app.connect("builder-inited", keep_outputs, priority=900)  # after MyST-NB has chosen the place
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def read_in_parallel(app: Sphinx) -> None:
    """Run the chapters on all processors: they take most of a build, and Jupyter Book has no option for it."""
    app.parallel = os.cpu_count() or 1
    # It does not say whether it minds. It works only when all pages have been read, so it does not.
    app.extensions["sphinx_multitoc_numbering"].parallel_read_safe = True


def keep_outputs(app: Sphinx) -> None:
    """Run a chapter's cells again only if one of them changed, which MyST-NB sees to, or what all cells use."""
    versions = [sys.version, packages.versions(), *map(importlib.metadata.version, ("matplotlib", "numpy"))]
    stage(Path(app.env.mystnb_config.execution_cache_path), "forgetting what the cells printed before",  # type: ignore[attr-defined]
          [Path(app.srcdir) / app.config.kmm_live_package, app.config.language, *versions],
          lambda out: get_cache(out).db.dispose())  # the tables, before two processes want to make them at once


def is_html(app: Sphinx) -> bool:
    """Is this a build of pages for a browser?"""
    return app.builder.format == "html" and app.builder.name != "epub"


def prepare(app: Sphinx) -> None:
    """Bring the assets up to date; what fails here stops the build before any chapter is run."""
    if not is_html(app):
        return
    source = Path(app.srcdir)
    app.kmm_live_assets = make_assets(source / "_build/live", source / app.config.kmm_live_package,  # type: ignore[attr-defined]
                                      list(app.config.kmm_live_preload), app.config.language)


def box_the_labs(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put a box around each widget, with room kept for what will be drawn in it."""
    if not is_html(app):
        return
    models = saved_state(app, docname).get("state", {})
    for node in list(doctree.findall(nodes.raw)):
        text = node.astext()
        if text.startswith(f'<script type="{VIEW}">'):
            box = view_box(text, models)
            node.replace_self(nodes.raw(box, box, format="html"))


def saved_state(app: Sphinx, docname: str) -> dict:
    """The widget state that MyST-NB saved for this page; empty if the page has no widget."""
    _, attributes = saved_scripts(app, docname).get("ipywidgets_state", (None, {"body": "{}"}))
    return json.loads(attributes["body"])


def saved_scripts(app: Sphinx, docname: str) -> dict:
    """The scripts that MyST-NB will add to this page."""
    return NbMetadataCollector.get_js_files(app.env, docname)  # type: ignore[arg-type]


def add_to_page(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None) -> None:
    """Load the live page on pages with code cells."""
    if not is_html(app):
        return
    app.add_css_file("live/site.css")
    app.add_js_file("live/keep.js", priority=900, loading_method="defer")
    if doctree is None or not has_code(doctree):
        return
    app.add_css_file("live/live.css")
    app.add_js_file("live/live.js", loading_method="defer")
    context["body"] += STATUS_LINE
    state = saved_state(app, pagename)
    if state:
        state["state"], names = move_modules(state["state"], live_folder(app))
        # Only in memory: what is saved between builds keeps the whole text.
        saved_scripts(app, pagename)["ipywidgets_state"] = (None, {"type": STATE, "body": as_script(state)})
        context["body"] += modules_tag(names)
        for name in style_names(names):
            app.add_css_file(name)


def has_code(doctree: nodes.document) -> bool:
    """Does this page have a code cell?"""
    return any(node.get("nb_element") == "cell_code" for node in doctree.findall(nodes.container))


def live_folder(app: Sphinx) -> Path:
    """Where the live page's files are in the built site."""
    return Path(app.outdir) / "_static/live"


def finish(app: Sphinx, error: Exception | None) -> None:
    """Copy the assets beside the pages and write the service worker at the top of the site."""
    if error is not None or not is_html(app):
        return
    mend_pages(Path(app.outdir))
    assets: Assets = app.kmm_live_assets  # type: ignore[attr-defined]
    assets.copy(live_folder(app), keep=FOLDER)
    lighten_theme(Path(app.outdir))
    drop_old(Path(app.outdir))
    cut_labs(Path(app.outdir), Path(app.srcdir), assets.node_modules, Path(app.srcdir) / "_build/live")
    slim_site(Path(app.outdir), assets.node_modules, Path(app.srcdir) / "_build/live")
    join_files(Path(app.outdir), assets.node_modules)
    write_policies(Path(app.outdir))
    if app.env.get_domain("math").has_equations():  # type: ignore[attr-defined]
        copy_mathjax(assets.node_modules / "mathjax/es5", Path(app.outdir) / "_static/mathjax")
    unchanging = {f"_static/live/{name}" for name in assets.unchanging()}
    write_worker(Path(app.outdir), unchanging, script(app.config.language))


def copy_mathjax(source: Path, target: Path) -> None:
    """MathJax, as far as a page can come to need it."""
    for name in MATHJAX:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name)
