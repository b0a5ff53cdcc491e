"""Take the README's picture: the first lab of a chapter, part of the way through its recorded run.

    python tools/take_picture.py _build/html book/figures/readme-buddy.png
"""

import argparse
from pathlib import Path

from playwright.sync_api import sync_playwright

from get_chromium import system_chromium
from serve_book import serving

PAGE = "book/getting-pages.html"
EVENT = 8


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    with serving(options.site) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=system_chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 1600}, device_scale_factor=1.5,
                                color_scheme="light", service_workers="block")
        page.goto(address + PAGE)
        lab = page.locator(".kmm-bench").first
        lab.get_by_role("slider").fill(str(EVENT))
        lab.get_by_role("slider").blur()
        page.add_style_tag(content=".kmm-foot, .kmm-text { display: none !important }")  # its upper half says enough
        page.wait_for_timeout(1_000)  # the split is drawn in motion
        lab.screenshot(path=str(options.picture), animations="disabled")
        browser.close()
    print(f"Wrote {options.picture}")


if __name__ == "__main__":
    main()
