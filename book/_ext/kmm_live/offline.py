# SPDX-License-Identifier: GPL-2.0-only
"""Tell the service worker what the site is made of: every file that a reader without a network can come to need."""

import hashlib
import json
import re
from pathlib import Path

LEFT_OUT = re.compile(r"""
    ^(sw\.js|objects\.inv)$
  | ^(_sources|reports)/            # what one downloads, and what a build leaves
  | ^_static/locales/              # the theme's words in other languages
  | ^_static/live/sw\.js$          # the part of the service worker that is put into the one at the top
  | ^_static/mathjax/(a11y|sre|input)/
  | (^|/)\.[^/]*$
  | ^[^/]*\.(zip|pdf|epub)$         # the book in other forms
  | \.(map|ttf|txt|ipynb)$          # what browsers do not ask for
""", re.VERBOSE)


def write_worker(site: Path, fixed: set[str], words: str) -> None:
    """Write the service worker at the top of the site.

    ``fixed`` are the files whose name says what is in them, ``words`` a script with what the worker says.
    """
    files = kept_files(site, fixed)
    build = {"version": hashlib.sha256(json.dumps(files).encode()).hexdigest()[:12], "files": files}
    worker = (site / "_static/live/sw.js").read_text(encoding="utf-8")
    (site / "sw.js").write_text(f"self.kmmBuild = {json.dumps(build)};\n{words}{worker}", encoding="utf-8")


def kept_files(site: Path, fixed: set[str]) -> dict[str, dict]:
    """Size and hash of each file to keep, by its path in the site."""
    files = {}
    for file in sorted(site.rglob("*")):
        name = file.relative_to(site).as_posix()
        if not file.is_file() or LEFT_OUT.search(name):
            continue
        content = file.read_bytes()
        files[name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        if name in fixed:
            files[name]["fixed"] = True
    return files
