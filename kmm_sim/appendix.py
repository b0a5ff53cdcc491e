# SPDX-License-Identifier: GPL-2.0-only
"""Tables about the simulator itself, made from its own docstrings and recordings.

    names()              what Linux calls each function, and where it stands there
    simplified()         what each module leaves out
    calls()              what a machine can be asked to do
    fidelity(folder)     each recording of a real kernel, and how much of it came out the same

A table shows itself as Markdown in a notebook and as plain text in a shell.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import kmm_sim.mm
from kmm_sim.machine import Machine
from kmm_sim.recording import Result, check

__all__ = ["Table", "calls", "fidelity", "names", "simplified"]

LINUX = re.compile(r"Linux: ((?:\w+\(\)(?:, )?)+), (\S+)")
SOURCE = "https://elixir.bootlin.com/linux/v6.12/C/ident/"
"""Where a kernel name is looked up."""
VERSIONS = {"mm.slab": "v2.6.34", "mm.slob": "v6.1", "mm.sheaf": "v7.0", "mm.sheaves": "v7.0"}
"""Modules of what 6.12 has no more, or not yet, and the kernel to look in."""
RECORDINGS = ("*.jsonl.gz", "*-zones-*.json.gz")
"""What a file with a recording is called; other files hold texts of /proc and of the kernel's log."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of Markdown under their headings."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def _repr_markdown_(self) -> str:
        lines = (self.headings, ("---",) * len(self.headings), *self.rows)
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)

    def __repr__(self) -> str:
        plain = [[_plain(cell) for cell in row] for row in (self.headings, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*plain, strict=True)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in plain)


def names() -> Table:
    """Return a row for each function of ``kmm_sim.mm`` that Linux has too: its name there, version, file, ours."""
    rows = []
    for module in _modules():
        for name, function in _functions(module):
            for found in LINUX.finditer(inspect.getdoc(function) or ""):
                version = VERSIONS.get(_short(module), "v6.12")
                theirs = ", ".join(_link(name, version) for name in found[1].split(", "))
                rows.append((theirs, version[1:], f"`{found[2].rstrip('.,')}`", f"`{_short(module)}.{name}()`"))
    return Table(("Linux", "version", "file", "here"), tuple(sorted(rows, key=lambda row: row[0].lower().strip("[`_"))))


def simplified() -> Table:
    """Return what each module of ``kmm_sim.mm`` says that it leaves out or does in another way."""
    rows = []
    for module in _modules():
        places = [("", module.__doc__), *((f"{name}()", inspect.getdoc(f)) for name, f in _functions(module))]
        for place, text in places:
            if words := _simplified(text or ""):
                where = f"{_short(module)}.{place}" if place else _short(module)
                rows.append((f"`{where}`", words))
    return Table(("here", "what is left out, or done in another way"), tuple(rows))


def calls() -> Table:
    """Return the methods and properties of a machine: how each is called, what it does, its name in Linux."""
    rows = []
    for name, member in inspect.getmembers(Machine):
        text = inspect.getdoc(member) or ""
        if name.startswith("_") or not text:
            continue
        found = LINUX.search(text)
        signature = f"`{name}{_arguments(member)}`"
        rows.append((signature, _first_sentence(text), ", ".join(map(_link, found[1].split(", "))) if found else ""))
    return Table(("call", "what it does", "in Linux"), tuple(rows))


def fidelity(folder: str | Path) -> Table:
    """Replay the recordings in ``folder`` and return what was compared, and how much of it was the same.

    Sections recorded with interrupts on, where reclaim could run beside the calls, say so.
    Raises RecordingError for a file that is not as it should be.
    """
    paths = sorted(path for pattern in RECORDINGS for path in Path(folder).glob(pattern))
    results = [result for path in paths for result in check(path)]
    total = _row("all of them", [each for each in results if not each.interrupts_on])
    rows = [_row(f"`{each.name}`" + (" (interrupts on)" if each.interrupts_on else ""), [each]) for each in results]
    return Table(("recording", "compared", "the same", "first difference", "what was compared"), (*rows, total))


def _row(name: str, results: Iterable[Result]) -> tuple[str, ...]:
    tallies = [(what, tally) for result in results for what, tally in result.tallies.items()]
    compared, same = sum(tally.total for _, tally in tallies), sum(tally.same for _, tally in tallies)
    kinds = ", ".join(dict.fromkeys(what for what, _ in tallies)) if name != "all of them" else ""
    first = next((result.first_difference for result in results if result.first_difference), "none")
    return name, f"{compared:,}", f"{same:,}", first, kinds


def _plain(cell: str) -> str:
    """Return a cell without the marks of Markdown."""
    return re.sub(r"\[(.*?)\]\(.*?\)", r"\1", cell).replace("`", "")


def _modules() -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(kmm_sim.mm.__path__):
        yield importlib.import_module(f"kmm_sim.mm.{found.name}")


def _functions(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, value in vars(module).items():
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_"):
            yield name, value


def _short(module: ModuleType) -> str:
    return module.__name__.removeprefix("kmm_sim.")


def _link(name: str, version: str = "v6.12") -> str:
    return f"[`{name}`]({SOURCE.replace('v6.12', version)}{name.removesuffix('()')})"


def _simplified(text: str) -> str:
    """Return what stands behind ``Simplified:`` in a docstring, to the end of its paragraph."""
    found = re.search(r"Simplified: (.*?)(?:\n\s*\n|\nLinux:|\Z)", inspect.cleandoc(text), re.DOTALL)
    return " ".join(found[1].replace("``", "`").split()) if found else ""


def _first_sentence(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].partition(" Linux: ")[0].replace("``", "`").split())


def _arguments(member: object) -> str:
    """Return a method's parameters without ``self`` and types; nothing for a property."""
    if not callable(member):
        return ""
    parameters = [p for p in inspect.signature(member).parameters.values() if p.name != "self"]
    shown = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters]
    return f"({', '.join(shown)})"
