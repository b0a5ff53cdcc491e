# SPDX-License-Identifier: GPL-2.0-only
"""The labs' scripts and styles as files of the site, and room for the labs in the page.

A widget's saved state holds its whole JavaScript and CSS, once for every lab of a page. Here they become files, named
by their hash: a page gets smaller, the browser keeps them from page to page, and they need no inline script.
"""

import hashlib
import json
import re
from html import escape
from pathlib import Path

from kmm_sim.catalogue import _

STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
FOLDER = "modules"  # in the live page's folder
PREFIX = "kmm-live:"  # in a saved state: "a file of the live page", whatever the address of the site


def move_modules(state: dict, live: Path) -> tuple[dict, dict[str, str]]:
    """The saved models with addresses for scripts and styles; and the files by the hash of their text.

    The files are written below ``live``, the live page's folder in the built site.
    """
    names: dict[str, str] = {}

    def moved(text: str, suffix: str) -> str:
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        names[key] = f"{FOLDER}/{key}{suffix}"
        file = live / names[key]
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return PREFIX + names[key]

    slim = {}
    for model_id, model in state.items():
        values = dict(model["state"])
        if model.get("model_name") == "LayoutModel":  # forty properties, at their default null
            values = {name: value for name, value in values.items() if value is not None}
        for name, suffix in (("_esm", ".js"), ("_css", ".css")):
            if model.get("model_module") == "anywidget" and values.get(name):
                values[name] = moved(values[name], suffix)
        slim[model_id] = {**model, "state": values}
    return slim, names


def view_box(script: str, state: dict) -> str:
    """The script tag of a view in a box that keeps room for it, as the widget's ``_room`` says.

    ``_room`` is a trait of a lab: its height in pixels in a wide and in a narrow (phone) column, [wide, narrow].
    """
    match = re.search(r"<script[^>]*>(.*)</script>", script, re.DOTALL)
    model = state.get(json.loads(match[1])["model_id"], {}) if match else {}
    room = model.get("state", {}).get("_room")
    style = f' style="--kmm-live-room-wide: {int(room[0])}px; --kmm-live-room-narrow: {int(room[1])}px"' if room else ""
    off = _("This lab is drawn by JavaScript, which is off.")
    return f'<div class="kmm-view kmm-view-room"{style}>{script}<noscript>{off}</noscript></div>'


def as_script(value: object) -> str:
    """JSON that may stand inside a script tag."""
    return json.dumps(value, separators=(",", ":")).replace("</", "<\\/")


def modules_tag(names: dict[str, str]) -> str:
    """The files of this page by hash, for the script that has only the text of a lab's script."""
    return f'<script type="application/json" id="kmm-live-modules">{as_script(names)}</script>'


def style_names(names: dict[str, str]) -> list[str]:
    """The style sheets among the files, as ``add_css_file`` wants them."""
    return [f"live/{escape(name)}" for name in names.values() if name.endswith(".css")]


def drop_old(site: Path) -> None:
    """Delete the files of labs that earlier builds left: those that no page names, nor what a page names."""
    files = {file.name: file for file in (site / "_static/live" / FOLDER).glob("*.*")}
    named = [page.read_text(encoding="utf-8") for page in site.rglob("*.html")]
    while named:
        found = [name for name in files if any(name in text for text in named)]
        named = [files.pop(name).read_text(encoding="utf-8") for name in found]
    for file in files.values():
        file.unlink()
