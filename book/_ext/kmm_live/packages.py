# SPDX-License-Identifier: GPL-2.0-only
"""The Python packages of the page, as packed archives.

They are taken from the environment that builds the book: the page then runs exactly the versions that made the
outputs in it, and nothing is downloaded twice. Only source files are taken, so a package that also has compiled
parts (psygnal) works as its pure Python self.
"""

import gzip
import importlib.metadata
import io
import re
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import LiveBuildError

INSTALLED = (
    "anywidget", "asttokens", "comm", "executing", "ipython", "ipython-pygments-lexers", "ipywidgets",
    "matplotlib-inline", "psygnal", "pure-eval", "pygments", "stack-data", "traitlets", "typing-extensions",
)
KERNEL_WHEELS = ("ipykernel-*.whl", "pyodide_kernel-*.whl")  # in the npm package of the JupyterLite kernel
SUFFIXES = {".py", ".json", ".js", ".css", ".txt", ".toml", ".csv", ".gz", ".mo"}

# Nobody has a reason to look into these: their bytecode is enough. Others are met in tracebacks, with their lines.
INNER = re.compile(r"(IPython|IPython_pygments_lexers|asttokens|executing|pure_eval|pygments|stack_data)(/|\.py$)")

# A page has no terminal, and shows no language but Python: most of these packages' bytes are of no use in it.
LEAVE_OUT = re.compile(r"""
    (^|/)(tests?|testing/(plugin|tests?)|__pycache__)/
  | ^IPython/(sphinxext|external)/
  | ^IPython/terminal/(?!__init__|pt_inputhooks/__init__)
  | ^IPython/lib/(?!__init__|display|pretty|clipboard|guisupport)
  | ^pygments/lexers/(?!__init__|_mapping|python\.|special\.)
  | ^pygments/formatters/(?!__init__|_mapping|html\.|terminal|other\.)
  | ^pygments/styles/(?!__init__|_mapping|default\.|monokai\.|friendly)
  | ^anywidget/(nbextension|labextension)/
  | ^ipywidgets/state\.schema
""", re.VERBOSE)

ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # one date for all files: the same files give the same zip


def versions() -> str:
    """Names and versions of the installed packages the page takes; a change means a new archive."""
    return " ".join(f"{name}=={distribution(name).version}" for name in INSTALLED)


def distribution(name: str) -> importlib.metadata.Distribution:
    """The installed package of this name."""
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise LiveBuildError(f"looked for the Python package {name}, which the page's Python needs",
                             "to find it in the environment that builds the book",
                             "pip install -r requirements.txt") from None


def installed_files() -> Iterator[tuple[str, bytes]]:
    """Path and bytes of each file of the installed packages that the page needs."""
    for package in map(distribution, INSTALLED):
        for file in package.files or []:
            name = file.as_posix()
            if name.startswith("..") or LEAVE_OUT.search(name):
                continue
            if file.name == "METADATA":
                yield name, bytes(file.locate().read_bytes()).partition(b"\n\n")[0] + b"\n"
            elif file.suffix in SUFFIXES and ".dist-info/" not in name:
                yield name, file.locate().read_bytes()


def kernel_files(node_modules: Path) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of each file of JupyterLite's kernel and its stand-in for ipykernel."""
    folder = node_modules / "@jupyterlite/pyodide-kernel/pypi"
    for pattern in KERNEL_WHEELS:
        found = sorted(folder.glob(pattern))
        if len(found) != 1:
            raise LiveBuildError(f"looked for {pattern} in {folder}", f"one wheel, not {len(found)}",
                                 "remove _build/live and build again")
        yield from files_in_zip(found[0])


def source_files(package: Path) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of each file of a package in this source tree."""
    for file in sorted(package.rglob("*")):
        name = file.relative_to(package.parent).as_posix()
        if file.is_file() and not LEAVE_OUT.search(name) and file.suffix in SUFFIXES:
            yield name, file.read_bytes()


def packed(files: Iterable[tuple[str, bytes]]) -> bytes:
    """A compressed tar archive of these paths and bytes, always the same for the same files.

    Compressed as a whole: JavaScript then unpacks it in one step, and takes the files out as they lie.
    """
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files):
            entry = tarfile.TarInfo(name)  # of no user, no time
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(out.getvalue(), 9, mtime=0)


def zipped(files: Iterable[tuple[str, bytes]]) -> bytes:
    """A zip file of these paths and bytes, always the same for the same files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, ZIP_DATE), content, zipfile.ZIP_DEFLATED, 9)
    return out.getvalue()


def files_in_zip(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of each file in a zip file."""
    with zipfile.ZipFile(archive) as opened:
        yield from ((name, opened.read(name)) for name in opened.namelist() if not name.endswith("/"))


def with_bytecode(files: Iterable[tuple[str, bytes]], folder: Path,
                  which: re.Pattern[str] = re.compile("")) -> Iterator[tuple[str, bytes]]:
    """These files, with the bytecode below ``folder`` in place of the sources that it was made from.

    ``which``: how the names of those begin that are replaced.
    """
    for name, content in files:
        code = folder / f"{name}c"
        yield (f"{name}c", code.read_bytes()) if which.match(name) and code.is_file() else (name, content)
