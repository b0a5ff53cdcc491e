# SPDX-License-Identifier: GPL-2.0-only
"""Steps that run again only when what they are made from changed."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from sphinx.util import logging

logger = logging.getLogger(__name__)


def digest(*inputs: Path | str | bytes) -> str:
    """One hash of files (their bytes), folders (names and bytes of all files in them) and texts."""
    sha = hashlib.sha256()
    for each in inputs:
        if isinstance(each, Path):
            for file in files_in(each):
                sha.update(f"\0{file.relative_to(each.parent).as_posix()}\0".encode())
                sha.update(file.read_bytes())
        else:
            sha.update(b"\0" + (each.encode() if isinstance(each, str) else each))
    return sha.hexdigest()


def files_in(path: Path) -> list[Path]:
    """The file itself, or every file below the folder, in a fixed order; no caches."""
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


def stage(folder: Path, title: str, inputs: Iterable[Path | str | bytes], make: Callable[[Path], None]) -> Path:
    """Have ``make(folder)`` fill ``folder``, unless it holds what it made from the same inputs before.

    It is filled under another name first, so that an interrupted build never leaves half of it behind.
    """
    key, stamp = digest(*inputs), folder / ".made-from"
    if stamp.is_file() and stamp.read_text() == key:
        return folder
    logger.info("live page: %s", title)
    began = time.monotonic()
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    make(fresh)
    (fresh / ".made-from").write_text(key)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    logger.info("live page: %s took %.1f s", title, time.monotonic() - began)
    return folder


def put_named(source: bytes, folder: Path, name: str) -> dict[str, object]:
    """Write a file under a name that holds the hash of its content; returns the name and size for the manifest."""
    stem, dot, suffix = name.partition(".")
    file = folder / f"{stem}-{hashlib.sha256(source).hexdigest()[:12]}{dot}{suffix}"
    file.write_bytes(source)
    return {"name": file.name, "size": len(source)}


def read_manifest(folder: Path) -> dict:
    """The part of the manifest that a stage left in its folder."""
    return json.loads((folder / "part.json").read_text(encoding="utf-8"))


def write_manifest(folder: Path, part: dict) -> None:
    """Leave a stage's part of the manifest in its folder."""
    (folder / "part.json").write_text(json.dumps(part), encoding="utf-8")
