# SPDX-License-Identifier: GPL-2.0-only
"""What a page may load and run: files of this site, and the inline scripts that the build wrote, by their hashes.

The promise that nothing leaves the reader's computer is thus kept by the browser, not only by us.  Python in the page
needs 'wasm-unsafe-eval', and a widget that the reader writes comes as a blob; styles may be inline, since the theme,
the editor and widgets write them.
"""

import base64
import hashlib
import re
from html import escape, unescape
from pathlib import Path

from .mend import pages_of

INLINE = re.compile(r"<script(?P<attributes>[^>]*)>(?P<text>.*?)</script>", re.DOTALL)
HANDLER = re.compile(r'<\w[^>]*? on\w+="([^"]*)"')
DATA = re.compile(r'type="(?!text/javascript"|module")')
ELSEWHERE = "window.print()"  # a button that the search page does not have, but meets in the pages that it quotes
EARLIER = re.compile(r'\n *<meta http-equiv="Content-Security-Policy"[^>]*>')
CHARSET = re.compile(r"<meta charset=[^>]*>")


def write_policies(site: Path) -> None:
    """Give every page below ``site`` its policy; afterwards none may change."""
    for page in pages_of(site):
        text = page.read_text(encoding="utf-8")
        if (safe := with_policy(text)) != text:
            page.write_text(safe, encoding="utf-8")


def with_policy(page: str) -> str:
    """Return the page with its Content-Security-Policy, in the first place where it can stand."""
    page = EARLIER.sub("", page)  # of a page that was written by an earlier build and mended again
    meta = f'<meta http-equiv="Content-Security-Policy" content="{escape(policy(page))}">'
    return CHARSET.sub(lambda found: f"{found[0]}\n    {meta}", page, count=1)


def policy(page: str) -> str:
    """Return what this page may do."""
    # The theme's buttons have handlers: full screen, print.
    handlers = [ELSEWHERE, *(unescape(text) for text in HANDLER.findall(page))]
    hashes = sorted({f"'sha256-{sha256(text)}'" for text in [*inline_scripts(page), *handlers]})
    return "; ".join([
        "default-src 'self'",
        " ".join(["script-src 'self' blob: 'wasm-unsafe-eval' 'unsafe-hashes'", *hashes]),
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    ])


def inline_scripts(page: str) -> list[str]:
    """Return the texts of the scripts that a browser would run; data in a script element is none."""
    return [found["text"] for found in INLINE.finditer(page)
            if " src=" not in found["attributes"] and not DATA.search(found["attributes"])]


def sha256(text: str) -> str:
    """Return the hash of a script as a policy has it."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
