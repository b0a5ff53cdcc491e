// SPDX-License-Identifier: GPL-2.0-only
// The output of a cell. What was there stays until its successor is ready, so that nothing on the page jumps.

import { _ } from "../words.js";
import { takeAway } from "../page/gone.js";
import { ansiToNodes } from "./ansi.js";
import { renderMime } from "./mime.js";

const PATIENCE = 700; // ms after which a cell that still runs shows what it has so far
const LONGEST = 200_000; // characters of text that one cell keeps on the page

export class Output {
  #patience;

  constructor(el) {
    this.el = el;
    this.box = el.querySelector(".cell_output");
    el.addEventListener("toggle", () => this.#reach(), true); // what was folded away had no size
  }

  /** Start anew; returns the function that takes the new output's messages. */
  begin(manager) {
    this.settle();
    const box = this.#box();
    this.newest = Object.assign(document.createElement("div"), { className: "kmm-cell-output kmm-cell-coming" });
    box.append(this.newest);
    const content = (this.content = new Content(this.newest, manager));
    this.#patience = setTimeout(() => this.newest.hasChildNodes() && this.#swap(), PATIENCE);
    this.running = true;
    return (type, message) => {
      content.accept(type, message);
      if (this.content === content && this.running && performance.now() - this.began > PATIENCE) this.#swap();
    };
  }

  /** The reader asked for it: unfold it, if the book keeps it folded. */
  unfold() {
    const fold = this.box?.closest("details");
    if (fold && this.el.contains(fold)) fold.open = true;
  }

  get text() {
    return this.newest?.textContent ?? "";
  }

  /** Resolves when all of the new output is in the page, though not yet seen. */
  drawn() {
    return this.content?.drawn();
  }

  /** The new output is complete: it takes the place of the old one. */
  settle() {
    if (!this.running) return;
    this.running = false;
    this.#swap();
    this.box.style.minHeight = "";
    if (!this.newest.hasChildNodes()) this.box.hidden = true;
    this.#reach();
  }

  /** What scrolls can be scrolled by keyboard. */
  #reach() {
    for (const each of this.newest?.querySelectorAll("pre, .output, .pst-scrollable-table-container") ?? []) {
      if (each.scrollWidth > each.clientWidth || each.scrollHeight > each.clientHeight) each.tabIndex = 0;
    }
  }

  #box() {
    if (!this.box) {
      this.box = Object.assign(document.createElement("div"), { className: "cell_output docutils container" });
      this.el.querySelector(".cell_input").after(this.box);
    }
    this.began = performance.now();
    this.box.hidden = false;
    return this.box;
  }

  /** Show the new output and take away the old; the room stays until the cell is done. */
  #swap() {
    clearTimeout(this.#patience);
    if (!this.newest.classList.contains("kmm-cell-coming")) return;
    this.box.style.minHeight = `${this.box.offsetHeight}px`;
    takeAway([...this.box.children].filter((child) => child !== this.newest));
    this.newest.classList.remove("kmm-cell-coming");
  }
}

/** What one run of a cell has written. */
class Content {
  #clearNext = false;
  #waiting = []; // promises of pictures and labs that are not drawn yet
  #length = 0;

  constructor(box, manager) {
    this.box = box;
    this.manager = manager;
  }

  async drawn() {
    while (this.#waiting.length) await Promise.allSettled(this.#waiting.splice(0));
  }

  accept(type, content) {
    if (type === "clear_output") {
      if (content.wait) this.#clearNext = true;
      else this.#clear();
      return;
    }
    if (type === "update_display_data") return this.#update(content);
    if (this.#clearNext) this.#clear();
    if (type === "stream") this.#stream(content);
    else if (type === "error") this.box.append(block(content.traceback.join("\n"), "traceback"));
    else this.#show(content);
  }

  #clear() {
    this.#clearNext = false;
    this.#length = 0;
    takeAway(this.box.children);
  }

  /** Text goes on where the same stream left off; a carriage return writes over the line. */
  #stream({ name, text }) {
    const last = this.box.lastElementChild;
    const kind = name === "stderr" ? "stderr" : "stream";
    const room = LONGEST - this.#length;
    this.#length += text.length;
    if (room <= 0) return undefined;
    const same = last?.dataset.stream === name;
    const whole = overwritten((same ? last.kmmText : "") + text.slice(0, room));
    const now = block(whole, kind);
    now.dataset.stream = name;
    now.kmmText = whole;
    if (same) {
      const { scrollTop } = last.firstElementChild;
      last.replaceWith(now);
      now.firstElementChild.scrollTop = scrollTop;
    } else this.box.append(now);
    if (text.length >= room) this.box.append(Object.assign(document.createElement("p"), { className: "kmm-cell-cut", textContent: _("The rest is left out: this cell writes too much.") }));
    return undefined;
  }

  #show({ data, transient }) {
    const place = document.createElement("div");
    place.className = "kmm-cell-shown";
    if (transient?.display_id) place.dataset.display = transient.display_id;
    this.box.append(place);
    this.#render(data, place);
  }

  /** update_display() reaches every place with that id, in whatever cell. */
  #update({ data, transient }) {
    const places = document.querySelectorAll(`.kmm-cell-shown[data-display="${CSS.escape(transient?.display_id ?? "")}"]`);
    for (const place of places) this.#render(data, place);
  }

  #render(data, place) {
    const drawing = renderMime(data, place, this.manager).catch((error) => place.append(block(String(error), "stderr")));
    this.#waiting.push(drawing);
  }
}

/** A block of text as the book's own outputs look. */
export function block(text, kind) {
  const box = document.createElement("div");
  box.className = `output ${kind} highlight-myst-ansi notranslate${isProse(text) ? " kmm-prose" : ""}`;
  const pre = document.createElement("pre");
  pre.append(...ansiToNodes(text.replace(/\n+$/, ""))); // as the book does with its own
  const frame = Object.assign(document.createElement("div"), { className: "highlight" });
  frame.append(pre);
  box.append(frame);
  return box;
}

/** Has a text no columns? As in `mend.py`; without the codes of colours. */
function isProse(text) {
  return !/\S(?: {2,}\S+(?: \S+)*){3}/.test(text.replace(/\x1b\[[0-9;]*m/g, ""));
}

/** What a terminal shows of this text: after a carriage return the line is written over. */
function overwritten(text) {
  if (!text.includes("\r")) return text;
  return text.replaceAll("\r\n", "\n").split("\n").map((line) => {
    const parts = line.split("\r");
    return parts.reduce((shown, part) => part + shown.slice(part.length));
  }).join("\n");
}
