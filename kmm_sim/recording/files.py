# SPDX-License-Identifier: GPL-2.0-only
"""Reading a recording: gzip, JSON, a header and records.  Whatever else it is gets a sentence."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Recording", "RecordingError", "kind_of", "read"]

FORMAT = "mmoracle-1"


class RecordingError(Exception):
    """The file holds no recording that can be replayed; the message says why in a sentence."""


@dataclass(frozen=True)
class Recording:
    """A recording as it was read: its header and its records, in order."""

    path: Path
    header: Mapping[str, Any]
    records: Sequence[Any]

    @property
    def name(self) -> str:
        """The recording's own name, or that of its file."""
        return str(self.header.get("name") or self.path.name.partition(".json")[0])

    @property
    def kind(self) -> str:
        """What was recorded: ``buddy``, ``script``, ``drain``, ..."""
        return str(self.header["kind"])


def kind_of(record: Any) -> str:
    """Return the name of a record's kind: a letter, or what ``k`` says.  Raises ValueError if it has neither."""
    kind = record.get("k") if isinstance(record, dict) else record[0] if isinstance(record, list) and record else None
    if not isinstance(kind, str):
        raise ValueError(f"{str(record)[:80]} is no record: it does not say of what kind it is")
    return kind


def read(path: str | Path) -> Recording:
    """Return the recording in a file: ``.jsonl`` or ``.json``, as it is or with gzip.

    Raises RecordingError, with a sentence, for anything else.
    """
    path = Path(path)
    text = _text(path)
    if path.name.removesuffix(".gz").endswith(".json"):
        records = [_json(path, 1, text)]
    else:
        records = [
            _json(path, number, line)
            for number, line in enumerate(text.splitlines(), 1)
            if line.strip()
        ]
    header = records[0] if records else None
    if not isinstance(header, dict) or "format" not in header or "kind" not in header:
        raise RecordingError(f"{path} is not a recording: its first line is no header")
    if header["format"] != FORMAT:
        raise RecordingError(f"{path} has the format {header['format']!r}, not {FORMAT!r}")
    return Recording(path, header, records[1:])


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    try:
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        return data.decode()
    except EOFError as error:
        raise RecordingError(f"{path} is cut short: its gzip data ends too early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise RecordingError(f"{path} is not gzip data, whatever its name says") from error
    except UnicodeDecodeError as error:
        raise RecordingError(f"{path} is not a recording: it is not text") from error


def _json(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise RecordingError(f"{path} is not a recording: line {number} is not JSON") from error
