# SPDX-License-Identifier: GPL-2.0-only
"""Take out of the pages what the theme loads and no page needs.

The theme loads Font Awesome twice: as web fonts, which draw its icons, and as half a megabyte of JavaScript in the
head of every page, which would draw the same icons again and holds up the first paint.
"""

import re
from pathlib import Path

ICON_SCRIPT = re.compile(r'[ \t]*<script src="[^"]*/fontawesome/[^"]*/js/all\.min\.js[^"]*"></script>\n?')


def slim_pages(site: Path) -> None:
    """Do it to every page below ``site``."""
    for page in site.rglob("*.html"):
        if "_static" in page.relative_to(site).parts:
            continue
        text = page.read_text(encoding="utf-8")
        slim = ICON_SCRIPT.sub("", text)
        if slim != text:
            page.write_text(slim, encoding="utf-8")
    for script in (site / "_static").glob("vendor/fontawesome/*/js"):
        for file in script.iterdir():
            file.unlink()
