# SPDX-License-Identifier: GPL-2.0-only
"""Measure how fast the built book is live in a browser on this machine.

    python tools/bench_site.py _build/html [--page book/getting-pages.html] [--runs 5]

Prints medians: cold (nothing cached) by the kept memory and by the packages, warm (second visit in the same browser),
restart, a click on a lab until the frame that shows it, and the bytes each way takes.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from get_chromium import system_chromium
from live_page import LivePage
from serve_book import serving

ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
Figures = dict[str, float]


def visit(context: BrowserContext, address: str) -> tuple[LivePage, Figures]:
    """Open the page in a new tab, wait until it is live; milliseconds since the visit began, and bytes."""
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    received = [0.0]
    session.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    live = LivePage(page)
    live.open(address)
    first = sum(received)
    live.wait_live()
    marks = page.evaluate("Object.fromEntries(performance.getEntriesByType('mark').map((m) => [m.name, m.startTime]))")
    way = "memory" if "kmm-way-memory" in marks else "packages"
    return live, {"labs drawn, ms": marks["kmm-drawn"], f"Python ready ({way}), ms": marks["kmm-python"],
                  "all cells run, ms": marks["kmm-live"], "layout shift": live.shift, "first paint, kB": first / 1000}


def wire_bytes(context: BrowserContext, answered: list[int]) -> None:
    """Collect the size of every answer in this context as the network carried it, workers included."""
    def add(request) -> None:
        sizes = request.sizes()
        answered.append(sizes["responseBodySize"] + sizes["responseHeadersSize"])

    context.on("requestfinished", add)


def cold(browser: Browser, address: str, *, memory: bool) -> Figures:
    """A first visit; without ``memory`` the kept memory is not there."""
    context = browser.new_context(service_workers="block")
    if not memory:
        context.route("**/memory-*", lambda route: route.fulfill(status=404))
    answered: list[int] = []
    wire_bytes(context, answered)
    live, figures = visit(context, address)
    live.page.wait_for_load_state("networkidle")
    context.close()
    return figures | {"whole page, MB": sum(answered) / 1e6}


def warm(browser: Browser, address: str) -> Figures:
    """A second visit, with the service worker in charge."""
    context = browser.new_context()
    first, _ = visit(context, address)
    first.page.evaluate("navigator.serviceWorker.ready")
    first.page.reload()
    first.wait_live()
    first.page.wait_for_load_state("networkidle")
    first.page.close()
    _, figures = visit(context, address)
    context.close()
    return figures


def restart(browser: Browser, address: str) -> Figures:
    """From the press on Restart to the last cell."""
    context = browser.new_context(service_workers="block")
    live, _ = visit(context, address)
    begin = live.page.evaluate("performance.now()")
    live.button("restart").click()
    live.wait_state("starting")
    live.wait_live()
    end = live.page.evaluate("performance.getEntriesByName('kmm-live').at(-1).startTime")
    context.close()
    return {"restart, ms": end - begin}


# One call, then its undoing, and so on: from the click to the first frame in which the memory looks different.
CLICKS = """async () => {
  const bench = document.querySelector(".kmm-bench");
  const button = (text) => [...bench.querySelectorAll("button")].find((each) => each.textContent.trim() === text);
  const times = [];
  for (let n = 0; n < 20; n += 1) {
    const changed = new Promise((done) => new MutationObserver((_, observer) => { observer.disconnect(); done(); })
      .observe(bench.querySelector(".kmm-map"), { subtree: true, childList: true, attributes: true }));
    const began = performance.now();
    button(n % 2 ? "Undo" : "Allocate").click();
    await changed;
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    if (n % 2 === 0) times.push(performance.now() - began);
    await new Promise((done) => setTimeout(done, 2000)); // the drawing comes to rest
  }
  return times;
}"""


def click(browser: Browser, address: str) -> Figures:
    """From a click on a lab's Allocate to the frame that shows the first change."""
    context = browser.new_context(service_workers="block")
    live, _ = visit(context, address)
    times = live.page.evaluate(CLICKS)
    context.close()
    return {"click to repaint, ms": statistics.median(times), "click to repaint, slowest of 10, ms": max(times)}


def medians(runs: int, measure: Callable[[], Figures]) -> Figures:
    """The median of each figure over some runs."""
    all_ = [measure() for _ in range(runs)]
    names = dict.fromkeys(name for run in all_ for name in run)
    return {name: statistics.median(run[name] for run in all_ if name in run) for name in names}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--page", default="book/getting-pages.html")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    live = options.site / "_static/live"
    if not live.is_dir():
        print(f"There is no live page in {options.site}: run `make html` first.", file=sys.stderr)
        return 1
    size = sum(file.stat().st_size for file in live.rglob("*") if file.is_file())
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, medians of {options.runs};",
          f"_static/live is {size / 1e6:.1f} MB")
    with serving(options.site, compress=True) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=system_chromium(), args=ARGS)
        address = site + options.page
        for title, measure in {
            "cold, kept memory": lambda: cold(browser, address, memory=True),
            "cold, packages": lambda: cold(browser, address, memory=False),
            "warm": lambda: warm(browser, address),
            "restart": lambda: restart(browser, address),
            "click": lambda: click(browser, address),
        }.items():
            for name, value in medians(options.runs, measure).items():
                print(f"{title:20} {name:40} {value:10.1f}" if value > 1 else f"{title:20} {name:40} {value:10.3f}")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
