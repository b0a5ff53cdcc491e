# SPDX-License-Identifier: GPL-2.0-only
"""A lab on a page of its own, with the real Python behind it and nothing in between: no kernel, no book.

    lab = put_lab(page, buddy_lab(script="+0 -0"))
    lab.allocate(2)
    lab.settle()

What the browser sends goes straight to a Bench in this process; its answers go straight back.
"""

import json
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page

from kmm_sim.labs import Bench

IN_BOTH = pytest.mark.parametrize("engine", ["chromium", "firefox"], indirect=True)
"""For a test that is run in Chromium and in Firefox."""

PAGE = """<!doctype html><html lang="en" {attributes}><meta charset="utf-8"><title>A lab</title>
<body style="margin: 0"><main><div id="lab"></div></main></body></html>"""
MODEL = """async ({ esm, css, state, answers }) => {
  document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
  const { default: widget } = await import(URL.createObjectURL(new Blob([esm], { type: "text/javascript" })));
  const listeners = {};
  const tell = (name, ...what) => (listeners[name] ?? []).slice().forEach((listener) => listener(...what));
  const model = {
    get: (name) => state[name],
    on: (name, listener) => (listeners[name] ??= []).push(listener),
    off: (name, listener) => { listeners[name] = listeners[name].filter((other) => other !== listener); },
    send: async (content) => { if (answers) for (const each of await toPython(content)) draw(each); },
  };
  const draw = (answer) => {
    const began = performance.now();
    tell("msg:custom", answer, []);
    document.body.getBoundingClientRect(); // lays the page out
    drawn.push(performance.now() - began);
  };
  Object.assign(window, { state, tell, acts: [], drawn: [] }); // drawn: how long each answer took, ms
  document.addEventListener("kmm:act", (event) => acts.push(event.detail.action));
  widget.initialize({ model });
  window.close = await widget.render({ model, el: document.getElementById("lab") });
}"""


@dataclass
class Lab:
    """A bench on a page: ``sent`` is every message from the browser, ``answers`` every one to it."""

    page: Page
    bench: Bench
    sent: list
    answers: list

    def find(self, selector, **options):
        """The elements that a selector finds."""
        return self.page.locator(selector, **options)

    @property
    def at(self):
        """The event that is shown, and how many there are."""
        return tuple(map(int, self.find(".kmm-count").inner_text().split(" / ")))

    @property
    def blocks(self):
        """The blocks on the screen: first pfn, state, order."""
        return self.page.evaluate("""() => [...document.querySelectorAll(".kmm-block[data-key]")].map((each) =>
          [Number(each.dataset.key.slice(2)), each.dataset.state, each.querySelector(".kmm-order").dataset.text])""")

    @property
    def lists(self):
        """The free lists on the screen: label, entries."""
        return self.page.evaluate("""() => [...document.querySelectorAll(".kmm-row")].map((row) =>
          [".kmm-label", ".kmm-chip"].map((each) => [...row.querySelectorAll(each)].map((one) => one.textContent)))
          .map(([[label], chips]) => [label, chips])""")

    def allocate(self, order, gfp="GFP_KERNEL"):
        """Fill in the form of alloc_pages() and press its button."""
        form = self.find(".kmm-call[data-does=alloc]")
        form.locator("select").select_option(gfp)
        self.write(form.locator("input"), order)
        form.locator(".kmm-do").click()

    def settle(self, at=None):
        """Wait until nothing moves, and everything is at its end (or at that event)."""
        self.page.wait_for_function(
            """at => !document.querySelector(".kmm-ghost") && document.querySelector(".kmm-count").textContent
              .split(" / ").every((n, i, all) => n === (at ?? all[1]))""", arg=None if at is None else str(at))

    def write(self, input, value):
        """Write over what is in a field, key by key: Firefox adds what Playwright fills in to what is there."""
        input.press("Control+a")
        input.press("Delete")
        input.press_sequentially(str(value))

    def scrub(self, at):
        """Move the timeline to an event."""
        slider = self.find(".kmm-scrub input")
        slider.evaluate("(el, at) => { el.value = at; el.dispatchEvent(new Event('input')); }", at)

    def wait_for_blocks(self, count, state=""):
        """Wait until so many blocks are drawn, in this state."""
        state = state and f"[data-state={state}]"
        self.page.wait_for_function(
            f"document.querySelectorAll('.kmm-block{state}').length === {count}", timeout=20_000)


def put_lab(page: Page, bench: Bench, *, live: str | None = None, answers: bool = True) -> Lab:
    """Draw a bench on an empty page; ``live`` is what the page says of itself, None being a notebook."""
    lab = Lab(page, bench, [], [])

    def to_python(content):
        replies = []
        bench.send = lambda content, buffers=None: replies.append(json.loads(json.dumps(content)))
        lab.sent.append(content)
        bench._on_message(bench, content, [])
        lab.answers.extend(replies)
        return replies

    page.expose_function("toPython", to_python)
    page.set_content(PAGE.format(attributes=f'data-live="{live}"' if live else ""))
    state = {name: getattr(bench, name) for name in ("scene", "frames", "phrases", "about")}
    state = json.loads(json.dumps(state))
    page.evaluate(MODEL, {"esm": bench._esm, "css": bench._css, "state": state, "answers": answers})
    return lab
