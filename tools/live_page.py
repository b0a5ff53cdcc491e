# SPDX-License-Identifier: GPL-2.0-only
"""Drive a live page of the book with Playwright: what the browser tests and ``bench_site.py`` share.

    page = LivePage(playwright_page)
    page.open(site + "book/getting-pages.html")
    page.wait_live()
    page.write(3, "print('mine')")
    page.run(3)
    assert page.output(3) == "mine"
"""

from collections.abc import Callable

from playwright.sync_api import Locator, Page

STARTED = 120_000  # ms a page may take to be live on a busy machine
ANSWERED = 30_000  # ms a cell may take

# Pretend that the reader asked to save data: Python then starts only when it is wanted.
SAVE_DATA = "Object.defineProperty(navigator, 'connection', { value: { saveData: true } });"

# Write down every state the page goes through, and every word of its status line.
RECORD = """
    window.seen = { states: [], words: [] };
    document.addEventListener("kmm:live", (event) => seen.states.push(event.detail.state));
    addEventListener("DOMContentLoaded", () => {
      const line = document.querySelector(".kmm-live");
      if (line) new MutationObserver(() => seen.words.push(line.innerText.replaceAll("\\n", " ")))
        .observe(line, { childList: true, characterData: true, subtree: true });
    });
"""

# Add up how far the page's content jumped by itself.
SHIFT = """
    window.shift = { sum: 0, parts: [] };
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) {
        shift.sum += entry.value;
        const who = entry.sources.map(({ node }) => node?.className || node?.nodeName);
        shift.parts.push([entry.value.toFixed(4), ...who]);
      }
    }).observe({ type: "layout-shift", buffered: true });
"""

BREACHES = """document.addEventListener("securitypolicyviolation",
    ({ effectiveDirective }) => (window.breaches ??= []).push(effectiveDirective));
"""  # writes down what its policy forbade a page


class LivePage:
    """One page of the book in a browser."""

    def __init__(self, page: Page, *, save_data: bool = False) -> None:
        self.page = page
        page.add_init_script(RECORD + SHIFT + (SAVE_DATA if save_data else ""))

    def open(self, address: str) -> None:
        """Go there; the labs are drawn when this returns."""
        self.page.goto(address, wait_until="load")
        self.page.evaluate("kmmLive.drawn")

    @property
    def state(self) -> str:
        """What the page says it can do: recorded, starting, yes or failed."""
        return str(self.page.evaluate("document.documentElement.dataset.live"))

    @property
    def status(self) -> str:
        """The words of the status line."""
        return self.page.locator(".kmm-live-text").inner_text()

    @property
    def states(self) -> list[str]:
        """Every state so far, in order."""
        return list(self.page.evaluate("seen.states"))

    @property
    def words(self) -> list[str]:
        """Everything the status line said so far."""
        return list(self.page.evaluate("seen.words"))

    @property
    def shift(self) -> float:
        """How far the page's content jumped by itself so far (cumulative layout shift)."""
        return float(self.page.evaluate("shift.sum"))

    def wait_state(self, state: str) -> None:
        """Wait until the page says this of itself."""
        self.page.wait_for_function("state => document.documentElement.dataset.live === state", arg=state,
                                    timeout=STARTED)

    def wait_live(self) -> None:
        """Wait until Python runs and every cell was run, or until it says why not."""
        self.page.wait_for_function("() => ['yes', 'failed'].includes(document.documentElement.dataset.live)",
                                    timeout=STARTED)
        assert self.state == "yes", self.status

    def start(self) -> None:
        """Press Start Python and wait."""
        self.button("start").click()
        self.wait_live()

    def button(self, action: str) -> Locator:
        """A button of the status line: start, restart or stop."""
        return self.page.locator(f".kmm-live [data-action={action}]")

    @property
    def cells(self) -> Locator:
        """The code cells, top to bottom."""
        return self.page.locator("div.cell:has(.kmm-cell-bar)")

    def cell_states(self) -> list[str]:
        """What became of each cell: ok, error, skipped ..."""
        return list(self.cells.evaluate_all("cells => cells.map((cell) => cell.dataset.state ?? '')"))

    def plain_cell(self) -> int:
        """The number of a cell that draws no lab and is not folded: one to write in."""
        usable = self.cells.evaluate_all(
            "cells => cells.map((cell) => !cell.querySelector('.kmm-view, details') && !cell.closest('details')"
            " && !/needs-native|raises-exception/.test(cell.className) && cell.querySelector('.cell_output') !== null)")
        return usable.index(True)

    def code(self, index: int) -> str:
        """The code in a cell's editor."""
        lines = self.cells.nth(index).locator(".cm-line")
        return "\n".join(lines.evaluate_all("lines => lines.map((line) => line.textContent)"))

    def write(self, index: int, code: str) -> None:
        """Replace a cell's code as a reader would: by hand."""
        editor = self.cells.nth(index).locator(".cm-content")
        editor.click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.press("Delete")
        self.page.keyboard.insert_text(code)

    def run(self, index: int, *, keyboard: bool = False) -> str:
        """Run a cell and wait for its end; returns what became of it."""
        cell = self.cells.nth(index)
        if keyboard:
            cell.locator(".cm-content").focus()
            self.page.keyboard.press("Shift+Enter")
        else:
            cell.locator(".kmm-cell-run").click()
        return self.wait_cell(index)

    def wait_cell(self, index: int, state: str = "") -> str:
        """Wait until a cell has come to its end, or to this state."""
        self.page.wait_for_function(
            "([{ dataset: d }, state]) => state ? d.state === state : !['waiting', 'running'].includes(d.state)",
            arg=[self.cells.nth(index).element_handle(), state], timeout=ANSWERED)
        return str(self.cells.nth(index).get_attribute("data-state"))

    def output(self, index: int) -> str:
        """The text of a cell's output."""
        return self.cells.nth(index).locator(".cell_output").inner_text().strip()

    def wait_output(self, index: int, text: str) -> None:
        """Wait until a cell's output has this text in it."""
        self.page.wait_for_function("([cell, text]) => cell.querySelector('.cell_output')?.innerText.includes(text)",
                                    arg=[self.cells.nth(index).element_handle(), text], timeout=ANSWERED)

    def note(self, index: int) -> str:
        """What stands beside a cell's buttons."""
        return self.cells.nth(index).locator(".kmm-cell-note").inner_text()

    def run_code(self, index: int, code: str) -> str:
        """Write this into a cell, run it, and return its output."""
        self.write(index, code)
        self.run(index)
        return self.output(index)


def go_live(page: Page, address: str, before: Callable[[LivePage], None] = lambda page: None) -> LivePage:
    """Open an address and wait until it is live; ``before`` happens once it is open."""
    live = LivePage(page)
    live.open(address)
    before(live)
    live.wait_live()
    return live
