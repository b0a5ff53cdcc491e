# SPDX-License-Identifier: GPL-2.0-only
"""List the kernel names, files and lines that the book points at, as far as a kernel's source has them.

    python tools/list_linux_names.py ~/linux-6.12.117 _build/html >tests/book/linux-6.12.117.txt

A test then holds the links of the pages and the ``Linux: f(), file`` lines of the simulator against that list, without
the source.  What the source does not have is missing in the list, and is told.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from html import unescape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COUNTERPART = re.compile(r"Linux: ((?:\w+\(\)(?:,\s+)?)+),\s+([\w/.-]+\.[chS])\b")
LINK = re.compile(r'href="https://elixir\.bootlin\.com/linux/v6\.12[.\d]*/(?:[CK]/ident/(\w+)|source/([^"#]+)(?:#L(\d+))?)"')
SKIPPED = re.compile(r"/\*.*?\*/|//[^\n]*|(?<!define )__alloc_size\([^)]*\)", re.DOTALL)
SCOPE = re.compile(r"^(?![\s#}])[^\n;={}]*?\b(\w+)[ \t]*\(", re.MULTILINE)  # a function, or a call outside of one
OTHER = (
    re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", re.MULTILINE),
    re.compile(r"\b(?:struct|union|enum)\s+(\w+)\s*\{"),
    re.compile(r"^typedef\b[^;{]*?(\w+);|^\}\s*(\w+);", re.MULTILINE),
    re.compile(r"^[ \t]+([A-Za-z_]\w+)\s*(?:=[^=;\n]*)?,?[ \t]*$", re.MULTILINE),  # of an enum
    re.compile(r"^(?![#}])[ \t]*(?:[\w*]+[ \t*]+)+\**(\w+)(?:\[[^\]]*\])*\s*(?:=|;|__)", re.MULTILINE),  # a member
    re.compile(r"^(?:SYSCALL_DEFINE\d|DEFINE_IDTENTRY\w*)\((\w+)", re.MULTILINE),
    re.compile(r"^\s*(?:menu)?config (\w+)", re.MULTILINE),  # an option, in a Kconfig
)


def cited(site: Path) -> Iterator[tuple[str, str, str]]:
    """What pages link to: a name, or a file, and the line of it."""
    for page in sorted((site / "book").glob("*.html")):
        for name, file, line in LINK.findall(page.read_text(encoding="utf-8")):
            yield name, unescape(file), line


def counterparts() -> Iterator[tuple[str, str]]:
    """The names that the simulator says it follows, each with the file that it says has it."""
    for module in sorted((ROOT / "kmm_sim").rglob("*.py")):
        for names, file in COUNTERPART.findall(module.read_text(encoding="utf-8")):
            for name in re.findall(r"\w+", names):
                yield name, file


def definitions(source: Path) -> dict[str, set[str]]:
    """Each name that a kernel defines, or declares in a header, with the files that do so."""
    found = defaultdict(set)
    for path in sorted(source.rglob("*")):
        file = str(path.relative_to(source))
        if not path.is_file() or file.startswith(("Documentation", "tools", "samples", "scripts")):
            continue
        if path.suffix not in (".c", ".h", ".S") and not path.name.startswith("Kconfig"):
            continue
        text = SKIPPED.sub(lambda gone: re.sub(r"[^\n]", " ", gone[0]), path.read_text(errors="replace"))
        for each in SCOPE.finditer(text):
            rest = re.search(r"\)[^;{(]*([;{])", text[each.end():each.end() + 3000])
            if rest and (rest[1] == "{" or file.endswith(".h")):
                found[each[1]].add(file)
        for pattern in OTHER:
            for each in pattern.finditer(text):
                name = next(group for group in each.groups() if group)
                found[f"CONFIG_{name}" if path.name.startswith("Kconfig") else name].add(file)
    for name in [name for name in found if name.endswith("_noprof")]:  # 6.10 has macros of the old names around these
        found[name.removesuffix("_noprof")] |= found[name]
    return found


def words_of(file: Path, line: int) -> str:
    """Return what a line defines, or else its last word; nothing if there is no such line."""
    text = file.read_text(errors="replace").splitlines()[line - 1:line] if file.is_file() else []
    call = re.search(r"(\w+)(?:\[\d+\] __ro_after_init|\()", SKIPPED.sub("", text[0])) if text else None
    return call[1] if call else (re.findall(r"\w+", "".join(text)) or [""])[-1]


def main() -> None:
    """Print the list, and what is missing."""
    source, site = map(Path, sys.argv[1:])
    known, lines, missing = definitions(source), set(), []
    for name, file in counterparts():
        if file in known.get(name, ()):
            lines.add(f"{name} {file}")
        else:
            missing.append(f"{name} {file}")
    for name, file, line in cited(site):
        if name in known:
            lines.add(name)
        elif line and (words := words_of(source / file, int(line))):
            lines.add(f"{file}:{line} {words}")
        elif file and not line and (source / file).exists():
            lines.add(file)
        else:
            missing.append(f"{name}{file}:{line}")
    print("# What tools/list_linux_names.py found in Linux 6.12.117 of what the book points at.")
    print(*sorted(lines), sep="\n")
    print(*sorted(set(missing)), sep="\n", file=sys.stderr)


if __name__ == "__main__":
    main()
