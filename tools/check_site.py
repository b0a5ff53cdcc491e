# SPDX-License-Identifier: GPL-2.0-only
"""Look at a published book as a reader would: its text, its labs, and Python in the page.

    python tools/check_site.py https://name.github.io/book/ [--same-as FOLDER]

With a folder, each file in it must be the site's, byte for byte: an old build may look as sound as the new one.  Says
what is wrong and ends with status 1, or says nothing.
"""

import argparse
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, Error, sync_playwright

from get_chromium import system_chromium
from live_page import LivePage

CHAPTER = "book/getting-pages.html"
PROBE = "from kmm_sim import Machine\nprint('pfn', Machine(pages=64).alloc_pages(0xcc0, 2).pfn)"
PATIENCE = 5  # times to look before a fault is one: a host needs a while until all of it serves the new pages
PAUSE = 30  # seconds between them


def faults(browser: Browser, address: str, chapter: str = CHAPTER) -> list[str]:
    """Return what is wrong with the book at this address, which ends in a slash."""
    found: list[str] = []
    context = browser.new_context()
    context.on("request", lambda request: found.append(f"asks another site: {request.url}")
               if not request.url.startswith((address, "data:", "blob:")) else None)
    context.on("response", lambda answer: found.append(f"{answer.status} {answer.url}")
               if answer.status >= 400 else None)
    try:
        live = LivePage(context.new_page())
        live.open(address + chapter)
        if live.page.locator("article p").count() < 20:
            found.append(f"{chapter} has hardly any text")
        if not live.page.locator(".kmm-bench").count():
            found.append(f"{chapter} shows no lab")
        live.wait_live()
        said = live.run_code(live.plain_cell(), PROBE)
        if said != "pfn 0":
            found.append(f"a cell that should print 'pfn 0' prints {said!r}")
    except (AssertionError, Error) as problem:
        found.append(str(problem).partition("\n")[0])
    finally:
        context.close()
    return found


def others(address: str, folder: Path) -> list[str]:
    """Return which files of the folder the site at this address does not have, or has with another content."""
    found = []
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        name = file.relative_to(folder).as_posix()
        try:
            with urllib.request.urlopen(address + name, timeout=60) as answer:
                if answer.read() != file.read_bytes():
                    found.append(f"{name} is not the one of this build")
        except (urllib.error.URLError, OSError) as problem:
            found.append(f"{name}: {problem}")
    return found


def main() -> int:
    """Look, a few times if need be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("address")
    parser.add_argument("--same-as", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    address = options.address.rstrip("/") + "/"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=system_chromium())
        for left in reversed(range(PATIENCE)):
            found = others(address, options.same_as) if options.same_as else []
            found = found or faults(browser, address)
            if not found:
                return 0
            if left:
                time.sleep(PAUSE)
    print(*found, sep="\n", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
