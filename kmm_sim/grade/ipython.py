# SPDX-License-Identifier: GPL-2.0-only
"""Python from a cell with what is IPython's own in it: lines with % or !, a question mark after a name.

A cell that is Python as it stands is not touched: a line of an expression may begin with ``% 2)``.  From others goes
first what was pasted along, an indent of all lines or prompts.  Then only what begins a line of Python is looked at,
never what stands inside brackets or quotes.
"""

from __future__ import annotations

import ast
import re
import warnings
from textwrap import dedent

__all__ = ["python_of"]

RUN = {
    "time": r"--[\w-]+",
    "timeit": r"-(?=\w)[tcqo]*(?:[nrpv][ \t]*\S+)?",
    "prun": r"-(?=\w)[rq]*(?:[DlsT][ \t]*\S+)?",
    "capture": r"--[\w-]+",
}
"""These do something to Python that stands behind or below them: it is run.  Each has what an option looks like."""

FIRST_PROMPT = re.compile(r"^(?:>>>|In \[\d+\]:)(?: |$)", re.M)
PROMPT = re.compile(r"^(?:>>>|\.{3}|In \[\d+\]:| *\.{3,}:)(?: |$)", re.M)

MAGIC = re.compile(r"""
    (?P<indent>[ \t]*)
    (?P<target>(?![%!?])(?:[^\n\#'"=]|'[^'\n]*'|"[^"\n]*")+=[ \t]*)?
    (?P<magic>[%!](?:[^\n]*\\\n)*[^\n]*)    # with the lines that backslashes join to it
""", re.X)
HELP = re.compile(r"""(?P<indent>[ \t]*)(?P<help>\?[^\n]*|[^\n#'"=]*\?[ \t]*)(?=\n|\Z)""")
STATEMENT = re.compile(rf"%+(?P<name>{'|'.join(RUN)})[ \t]+(?P<rest>\S.*)", re.S)
PIECE = re.compile(r"""
    \#[^\n]* | \\\n
    | \"{3}(?:\\.|[^\\])*?(?:\"{3}|\Z) | '{3}(?:\\.|[^\\])*?(?:'{3}|\Z)
    | "(?:\\.|[^"\\\n])*"? | '(?:\\.|[^'\\\n])*'?
    | (?P<open>[(\[{]) | (?P<close>[)\]}]) | (?P<end>\n)
""", re.X | re.S)


def python_of(cell: str) -> tuple[str, list[str]]:
    """Return a cell as Python, line for line, and what was left out."""
    cell = cell.replace("\r\n", "\n")
    if _is_python(cell) or _is_python(cell := _as_typed(cell)):
        return cell, []
    first, _newline, body = cell.lstrip("\n").partition("\n")
    if not first.startswith("%%"):
        return _without_magics(cell)
    if first[2:].split()[:1] not in [[name] for name in RUN]:
        return "", [first]
    above = "\n" * (cell.count("\n") - body.count("\n"))
    python, left_out = python_of(body)
    return above + python, [first, *left_out]


def _is_python(cell: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(cell)
    except (SyntaxError, ValueError):
        return False
    return True


def _as_typed(cell: str) -> str:
    """Take away the indent of all lines, and prompts, as IPython does of what was pasted."""
    cell = dedent(cell)
    return PROMPT.sub("", cell) if FIRST_PROMPT.search(cell) else cell


def _without_magics(cell: str) -> tuple[str, list[str]]:
    """Put Python, or nothing, in the place of each line that is IPython's."""
    kept, left_out, at = [], [], 0
    while at < len(cell):
        if found := MAGIC.match(cell, at):
            python, what = _instead(found["magic"], "None" if found["target"] else "pass")
            kept.append(found["indent"] + (found["target"] or "") + python)
            kept.append("\n" * (found[0].count("\n") - python.count("\n")))
        elif found := HELP.match(cell, at):
            kept.append(found["indent"] + "pass")
            what = found["help"]
        else:
            end = _end_of_line(cell, at)
            kept.append(cell[at:end])
            at = end
            continue
        left_out.append(what)
        at = found.end()
        kept.append(cell[at:at + 1])
        at += 1
    return "".join(kept), left_out


def _instead(magic: str, nothing: str) -> tuple[str, str]:
    """Return the Python that a magic runs, or ``nothing`` if none can be read, and what of it is left out."""
    if found := STATEMENT.fullmatch(magic):
        python = re.sub(rf"\A(?:{RUN[found['name']]}[ \t]+)*", "", found["rest"])
        if _is_python(f"x = {python}" if nothing == "None" else python):
            return python, f"%{found['name']}"
    return nothing, magic


def _end_of_line(cell: str, at: int) -> int:
    """Find where a line of Python ends: brackets, quotes and backslashes may hold several together."""
    depth = 0
    for piece in PIECE.finditer(cell, at):
        if piece["open"]:
            depth += 1
        elif piece["close"]:
            depth -= 1
        elif piece["end"] and depth <= 0:
            return piece.end()
    return len(cell)
