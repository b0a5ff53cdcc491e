// SPDX-License-Identifier: GPL-2.0-only
// The one quiet line that says what the page is doing: at the foot of the window, in the article's column.

import { _ } from "../words.js";

const RECORDED = document.querySelector(".kmm-view") ? _("The labs show a recorded run.") : _("The outputs are those of the book's build.");

const TEXT = {
  recorded: RECORDED,
  starting: _("Starting Python"),
  yes: _("Live: Python runs here."),
  failed: _("Python stopped."),
};

/** What the page says of itself while Python is not loaded, and why it is not. */
export const notLoaded = (why) => `${RECORDED} ${why}`;

export class Status {
  /** `actions`: what the buttons do, { start, restart, stop }. */
  constructor(actions) {
    this.element = document.querySelector(".kmm-live") ?? document.body.appendChild(document.createElement("div"));
    this.element.classList.add("kmm-live");
    this.element.innerHTML =
      '<span class="kmm-live-dot" aria-hidden="true"></span><span class="kmm-live-said"><span class="kmm-live-text" role="status"></span> ' +
      '<span class="kmm-live-kept"></span></span><span class="kmm-live-amount"></span><span class="kmm-live-buttons"></span>';
    this.element.querySelector(".kmm-live-kept").textContent = _("Kept for offline.");
    [this.text, this.amount, this.buttons] = ["text", "amount", "buttons"].map((part) => this.element.querySelector(`.kmm-live-${part}`));
    for (const [name, label] of [["start", _("Start Python")], ["restart", _("Restart")], ["stop", _("Stop")]]) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: label, hidden: true });
      button.dataset.action = name;
      button.addEventListener("click", () => actions[name]());
      this.buttons.append(button);
    }
    this.element.hidden = false;
    // A lab whose controls stick to the foot of the window keeps clear of this line.
    const tell = () => document.documentElement.style.setProperty("--kmm-live-height", `${this.element.offsetHeight}px`);
    new ResizeObserver(tell).observe(this.element);
    tell();
  }

  /** Say it: a state of data-live, more words if there are any, and which buttons make sense. */
  show(state, words = TEXT[state], buttons = { recorded: ["start"], starting: ["stop"], yes: ["restart", "stop"], failed: ["start"] }[state]) {
    this.element.dataset.state = state;
    if (this.text.textContent !== words) this.text.textContent = words;
    this.amount.textContent = "";
    const focused = this.buttons.contains(document.activeElement);
    for (const button of this.buttons.children) button.hidden = !buttons.includes(button.dataset.action);
    const active = document.activeElement;
    if (focused && (active.hidden || !this.buttons.contains(active))) this.buttons.querySelector("button:not([hidden])")?.focus();
  }

  /** How much of how much has come, in bytes; not read aloud, it changes too often. */
  progress(done, total) {
    this.amount.textContent = _("{done} of {total} MB", { done: megabytes(done), total: megabytes(total) });
  }
}

export const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
