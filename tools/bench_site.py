# SPDX-License-Identifier: GPL-2.0-only
"""Measure how fast the built book is live in a browser on this machine.

    python tools/bench_site.py _build/html [--page book/getting-pages.html] [--runs 5]

Prints medians: the first paint of a page of which nothing is cached; cold visits by the kept memory and by the
packages; a warm one (the second in the same browser); a restart; a click on a lab until the frame that shows it. Bytes
are counted where they leave the host, headers included. "Python ready" is from the start of the visit.
"""

import argparse
import os
import platform
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from get_chromium import system_chromium
from live_page import LivePage
from serve_book import BookHandler, serving

ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
MARKS = "Object.fromEntries(performance.getEntriesByType('mark').map((m) => [m.name, m.startTime]))"
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
KEPT = "() => document.documentElement.dataset.offline === 'yes'"
# What the names of Python's files begin with.
PYTHON = ("pyodide", "stdlib", "memory", "packages", "sources", "worker", "session", "part")
Figures = dict[str, float]


class Host(BookHandler):
    """The host; it counts what it sends, by the address that was asked for."""

    sent: ClassVar[list[tuple[str, int]]] = []

    def handle_one_request(self) -> None:
        """Answer through a file that counts."""
        out, self.count = self.wfile.write, 0

        def write(data):
            self.count += len(data)
            return out(data)

        self.wfile.write = write  # type: ignore[method-assign]
        try:
            super().handle_one_request()
        finally:
            self.wfile.write = out  # type: ignore[method-assign]
            if self.count:
                Host.sent.append((self.path, self.count))


def sent(part: str = "") -> float:
    """Bytes that the host has sent for addresses with this in them, since the figures were set back."""
    return float(sum(size for path, size in Host.sent if part in path))


def visit(context: BrowserContext, address: str) -> tuple[LivePage, Figures]:
    """Open the page in a new tab, wait until it is live; milliseconds since the visit began."""
    page = context.new_page()
    Host.sent.clear()
    live = LivePage(page)
    live.open(address)
    live.wait_live()
    marks = page.evaluate(MARKS)
    way = "memory" if "kmm-way-memory" in marks else "packages"
    return live, {"labs drawn, ms": marks["kmm-drawn"], f"Python ready ({way}), ms": marks["kmm-python"],
                  "all cells run, ms": marks["kmm-live"], "layout shift": live.shift}


def first_paint(browser: Browser, address: str) -> Figures:
    """A first visit of somebody who saves data: the page and its labs, without Python."""
    context = browser.new_context(service_workers="block")
    Host.sent.clear()
    live = LivePage(context.new_page(), save_data=True)
    live.open(address)
    live.page.wait_for_load_state("networkidle")
    figures = {"first contentful paint, ms": live.page.evaluate(PAINTED),
               "labs drawn, ms": live.page.evaluate(MARKS)["kmm-drawn"],
               "from the host, kB": sent() / 1000, "requests": float(len(Host.sent))}
    context.close()
    return figures


def cold(browser: Browser, address: str, *, memory: bool) -> Figures:
    """A first visit; without ``memory`` the kept memory is not there."""
    context = browser.new_context(service_workers="block")
    if not memory:
        context.route("**/memory-*", lambda route: route.fulfill(status=404))
    live, figures = visit(context, address)
    live.page.wait_for_load_state("networkidle")
    figures |= {"from the host, MB": sent() / 1e6}
    context.close()
    return figures


def warm(browser: Browser, address: str) -> Figures:
    """A second visit, once the first has kept the book."""
    context = browser.new_context()
    first, _ = visit(context, address)
    first.page.wait_for_function(KEPT)
    first.page.close()
    _, figures = visit(context, address)
    python = sum(sent(f"_static/live/{part}-") for part in PYTHON)
    figures |= {"from the host, kB": sent() / 1000, "of it Python, kB": python / 1000}
    context.close()
    return figures


def restart(browser: Browser, address: str) -> Figures:
    """From the press on Restart to the last cell."""
    context = browser.new_context()
    live, _ = visit(context, address)
    live.page.wait_for_function(KEPT)
    begin = live.page.evaluate("performance.now()")
    live.button("restart").click()
    live.wait_state("starting")
    live.wait_live()
    python, end = (live.page.evaluate(f"performance.getEntriesByName('{name}').at(-1).startTime")
                   for name in ("kmm-python", "kmm-live"))
    context.close()
    return {"Python ready, ms": python - begin, "all cells run, ms": end - begin}


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


def processor() -> str:
    """The name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


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
    with serving(options.site, compress=True, handler=Host) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=system_chromium(), args=ARGS)
        address = site + options.page
        print(f"{processor()}, {os.cpu_count()} cores, Chromium {browser.version}, medians of {options.runs};",
              f"_static/live is {size / 1e6:.1f} MB")
        for title, measure in {
            "first paint": lambda: first_paint(browser, address),
            "cold, kept memory": lambda: cold(browser, address, memory=True),
            "cold, packages": lambda: cold(browser, address, memory=False),
            "warm": lambda: warm(browser, address),
            "restart": lambda: restart(browser, address),
            "click": lambda: click(browser, address),
        }.items():
            load = os.getloadavg()[0]
            for name, value in medians(options.runs, measure).items():
                print(f"{title:20} {name:40} {value:10.{1 if value > 1 else 3}f}")
            print(f"{title:20} {'load before and after':40} {load:.1f}, {os.getloadavg()[0]:.1f}", flush=True)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
