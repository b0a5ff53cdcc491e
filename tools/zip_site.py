# SPDX-License-Identifier: GPL-2.0-only
"""Pack the built book as one file, to carry to where there is no network.

    python tools/zip_site.py _build/html _build/kernel-memory-book.zip

Unpacked, its one folder works from any static file server and below any path.  The same site makes the same bytes.
"""

import argparse
import sys
import zipfile
from pathlib import Path

FOLDER = "kernel-memory-book"
LEFT_OUT = ("reports", ".buildinfo", ".complete", ".nojekyll")  # what only a build or its host needs
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold
PACKED = (".gz", ".zip", ".png", ".woff2", ".whl")  # packing them once more only takes time
READ_ME = """\
The Linux kernel's memory, to touch
===================================

To read, open index.html. To run the labs and the code, the pages must come from a web server, since browsers allow
no WebAssembly to a page from a file. With Python installed, in this folder:

    python3 -m http.server 8000 --bind 127.0.0.1

then open http://localhost:8000 in a browser. Any other static file server will do, below any path. Nothing is asked
of any other site.
"""


def zip_site(site: Path, target: Path) -> int:
    """Write the site into ``target``; return the number of its files."""
    files = sorted(file for file in site.rglob("*") if file.is_file() and is_wanted(file.relative_to(site)))
    part = target.with_suffix(".part")
    with zipfile.ZipFile(part, "w") as packed:
        add(packed, "READ-ME.txt", READ_ME.encode())
        for file in files:
            add(packed, file.relative_to(site).as_posix(), file.read_bytes())
    part.replace(target)
    return len(files)


def is_wanted(name: Path) -> bool:
    """Does a reader need this file of the site?"""
    return not any(part in LEFT_OUT for part in name.parts)


def add(packed: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Put a file into the zip's one folder, with nothing in it that depends on this machine or this hour."""
    entry = zipfile.ZipInfo(f"{FOLDER}/{name}", LONG_AGO)
    entry.external_attr = 0o644 << 16
    entry.compress_type = zipfile.ZIP_STORED if name.endswith(PACKED) else zipfile.ZIP_DEFLATED
    packed.writestr(entry, content)


def main() -> int:
    """Pack it and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    if not (options.site / "index.html").is_file():
        print(f"There is no book in {options.site}: run `make html` first.", file=sys.stderr)
        return 1
    count = zip_site(options.site, options.target)
    print(f"{options.target}: {count} files, {options.target.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
