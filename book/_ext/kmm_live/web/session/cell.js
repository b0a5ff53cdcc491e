// SPDX-License-Identifier: GPL-2.0-only
// A code cell that runs: its editor, its buttons, its output, and the labs in it.

import { _ } from "../words.js";
import { benches } from "../page/pending.js";
import { Edits } from "./edits.js";
import { makeEditor } from "./editor.js";
import { Output } from "./output.js";
import { appears } from "./wait.js";

const NATIVE = _("This cell needs numpy, matplotlib or files that this page does not have: it shows what came out when the book was built. It runs in JupyterLab and in Binder.");
const DRAW_LIMIT = 5000; // ms that a lab may take to draw itself before the old one is taken away all the same

export class Cell {
  #stuck = false; // it was running when Python was ended: running it unasked would end the same way
  #done = false; // it was run by the Python that is there now

  constructor(parts, session) {
    Object.assign(this, parts);
    this.session = session;
    this.original = this.pre.textContent.replace(/\n$/, "");
    this.edits = new Edits(this.index, this.original);
    this.output = new Output(this.el);
    this.resetButton.addEventListener("click", () => this.#bringBack());
  }

  has(tag) {
    return this.el.classList.contains(`tag_${tag}`);
  }

  get code() {
    return this.editor?.text ?? this.edits.text ?? this.original;
  }

  /** From now on the code can be edited. */
  edit() {
    if (this.editor) return;
    const caret = this.pre.contains(document.activeElement);
    this.editor = makeEditor({
      doc: this.edits.text ?? this.original,
      label: _("Code cell {number}, Python. Shift+Enter runs it, Escape and then Tab leaves it.", { number: this.index + 1 }),
      onRun: () => this.session.run(this.index),
      onChange: (text) => this.#changed(text),
    });
    this.pre.closest(".highlight, .cell_input > *").replaceWith(this.editor.element);
    if (caret) this.editor.focus();
    this.#changed(this.code);
  }

  #changed(text) {
    this.edits.text = text;
    this.resetButton.hidden = text === this.original;
  }

  #bringBack() {
    this.edits.text = this.original;
    this.editor?.replace(this.original);
    this.resetButton.hidden = true;
    this.editor?.focus();
  }

  /** Python is new: what this cell did is gone from it. */
  forget() {
    this.#done = false;
  }

  wait() {
    this.#show("waiting", "");
  }

  /** Nothing is asked of this cell any more. */
  rest() {
    if (["waiting", "running"].includes(this.el.dataset.state)) this.#show("", "");
  }

  interrupted() {
    this.#stuck = true;
    this.output.settle();
    this.#show("stopped", _("Stopped while it was running."));
  }

  /** Run it in this kernel; "ok", "error" or "skipped". `automatic`: the page does it, not the reader. */
  async run(kernel, automatic) {
    if (this.has("needs-native")) return this.#skip(automatic ? "" : NATIVE);
    if (automatic && (this.#stuck || this.edits.unfinished)) return this.#skip(_("Not run again: it was still running when Python was ended. Run starts it."));
    this.#show("running", _("running …"));
    this.edits.unfinished = true;
    const views = benches(this.el).map((bench) => bench.kmmView?.());
    const sink = this.output.begin(kernel.manager);
    const status = await kernel.execute(this.code, sink);
    this.edits.unfinished = this.#stuck = false;
    await this.#whenDrawn(views.length);
    this.output.settle();
    if (!automatic) this.output.unfold();
    this.#done = true;
    this.#show(status, status === "error" ? this.#hint() : "");
    this.perform(views);
    return status === "error" && this.has("raises-exception") ? "ok" : status;
  }

  #skip(note) {
    this.#show("skipped", note);
    return "skipped";
  }

  #hint() {
    return /ModuleNotFoundError[^]*'(numpy|matplotlib)/.test(this.output.text) ? NATIVE : "";
  }

  #show(state, note) {
    this.el.dataset.state = state;
    this.note.textContent = note;
  }

  /** Labs draw themselves a moment after they arrive: as many as there were are waited for. */
  async #whenDrawn(count) {
    await this.output.drawn();
    const box = this.output.newest;
    if (count && box?.querySelector(".kmm-view-live")) await appears(box, () => benches(box).length >= count, DRAW_LIMIT);
  }

  /** Hand each lab the way the old one was looked at, and what the reader did to it before it could answer. */
  perform(views = []) {
    if (!this.#done) return;
    benches(this.el).forEach((bench, nth) => {
      const actions = this.session.pending.take(this.el, nth);
      const view = views[nth];
      if (actions.length || view !== undefined) bench.dispatchEvent(new CustomEvent("kmm:perform", { detail: { actions, view: view ?? null } }));
    });
  }
}
