# SPDX-License-Identifier: GPL-2.0-only
"""The code cells of a notebook: ``.ipynb`` (version 4), or MyST Markdown as the book's chapters are."""

from __future__ import annotations

import json
import re
from pathlib import Path

__all__ = ["Broken", "read_cells"]

LARGEST = 20_000_000
MOST_CELLS = 2000


class Broken(Exception):
    """The file is no notebook that can be read; the message says why."""


def read_cells(path: Path) -> list[str]:
    """Return the source of each code cell."""
    try:
        if path.stat().st_size > LARGEST:
            raise Broken(f"it has more than {LARGEST // 1_000_000} MB")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise Broken(f"it cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Broken("it is not text in UTF-8") from None
    if path.suffix == ".ipynb":
        cells = _ipynb(text)
    elif path.suffix == ".md":
        cells = _myst(text)
    else:
        raise Broken("its name ends in neither .ipynb nor .md")
    if not cells:
        raise Broken("it has no code cell")
    if len(cells) > MOST_CELLS:
        raise Broken(f"it has more than {MOST_CELLS} cells")
    return cells


def _ipynb(text: str) -> list[str]:
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        raise Broken("it is not JSON, as a notebook is") from None
    if not isinstance(raw, dict) or raw.get("nbformat") != 4 or not isinstance(raw.get("cells"), list):
        raise Broken("it is no notebook of version 4: open it in JupyterLab and save it")
    cells = []
    for cell in raw["cells"]:
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source", "")
        lines = source if isinstance(source, list) else [source]
        if not all(isinstance(line, str) for line in lines):
            raise Broken("the source of one of its cells is not text")
        cells.append("".join(lines))
    return cells


def _myst(text: str) -> list[str]:
    """Cells are fenced, ``{code-cell}``; options in a YAML header or lines with colons are left out."""
    cells = []
    fence = re.compile(r"^(?P<fence>`{3,}|:{3,})\{code-cell\}[^\n]*\n(?P<body>.*?)^(?P=fence)[ \t]*$", re.M | re.S)
    for found in fence.finditer(text.replace("\r\n", "\n")):
        body = re.sub(r"\A---\n.*?^---\n", "", found["body"], count=1, flags=re.M | re.S)
        cells.append(re.sub(r"\A(?::[\w-]+:[^\n]*\n)+", "", body))
    return cells
