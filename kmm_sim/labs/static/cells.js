// The panel of memory: every block is one button around its cells, and the blocks tile the panel.
import { make } from "./scene.js";

const SPLIT_MS = 150;

// Few rows may be tall; many cells must be small. kmm_sim/labs/room.py counts on these heights.
function rowHeight(rows, columns) {
  if (columns > 8) return columns > 16 ? 22 : 32;
  return rows > 4 ? 37 : rows > 2 ? 48 : 62;
}

export class CellsPanel {
  constructor(bench, key) {
    this.bench = bench;
    this.key = key;
    this.blocks = new Map();
    this.ghosts = new Set();
    const { title, note, start, count, columns, orders } = bench.nodes.get(key);
    const rows = Math.ceil((start + count) / columns) - Math.floor(start / columns);
    this.firstRow = Math.floor(start / columns);
    this.columns = columns;
    this.detail = make("span", { class: "kmm-detail" });
    this.map = make("div", { class: "kmm-blocks", role: "group", "aria-label": bench.say(title) });
    const gutter = make("div", { class: "kmm-gutter", "aria-hidden": "true" });
    for (let row = 0; row < rows; row++) gutter.append(make("span", {}, String((this.firstRow + row) * columns)));
    this.element = make(
      "section", { class: "kmm-panel kmm-memory" },
      make("div", { class: "kmm-head" },
        make("span", { class: "kmm-name" }, bench.say(title)),
        make("span", { class: "kmm-note" }, bench.say(note)), this.detail),
      make("div", { class: "kmm-map", "data-columns": columns, "data-plain": orders === false ? "1" : undefined, style: `--columns:${columns};--rows:${rows};--row:${rowHeight(rows, columns)}px` }, gutter, this.map),
      this.legend());
    this.map.addEventListener("keydown", (event) => this.onKey(event));
    this.map.addEventListener("click", (event) => this.onClick(event));
  }

  legend() {
    const { say, nodes } = this.bench;
    const sample = (state, letter, tone, text) =>
      make("li", {}, make("span", { class: "kmm-sample", "data-state": state, "data-tone": tone }, letter), text);
    return make("ul", { class: "kmm-legend" },
      sample("free", "", "", say(["legend.free"])),
      sample("hand", "", "", say(["legend.hand"])),
      ...(nodes.get("").kinds ?? []).map((kind) => sample("used", kind.letter, kind.tone, say(kind.says))));
  }

  at(key) {
    return Number(key.slice(this.key.length + 1));
  }

  // The cells of a block: first column, first row, width and height. A block begins at a multiple of
  // its size, so it is always a rectangle.
  box(key, node) {
    const at = this.at(key);
    const size = 2 ** node.order;
    const wide = Math.min(size, this.columns);
    return [at % this.columns, Math.floor(at / this.columns) - this.firstRow, wide, size / wide];
  }

  place(element, [column, row, wide, high]) {
    element.style.cssText = `--c:${column};--r:${row};--w:${wide};--h:${high}`;
    Object.assign(element.dataset, { wide, high }); // a browser writes a style as it likes: no rule can look for it
  }

  draw(touched, animate) {
    for (const ghost of this.ghosts) ghost.remove();
    this.ghosts.clear();
    const keys = [...touched].filter((key) => key.startsWith(this.key + ":"));
    if (!keys.length) return;
    const before = this.hand && this.blocks.get(this.hand);
    const from = before && { key: this.hand, style: before.style.cssText };
    const focus = this.map.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    for (const key of keys) if (!this.bench.nodes.has(key)) this.remove(key, animate);
    for (const key of keys) if (this.bench.nodes.has(key)) this.update(key, animate, from);
    this.rove(focus && this.covering(this.at(focus)), focus !== null);
  }

  remove(key, animate) {
    const element = this.blocks.get(key);
    this.blocks.delete(key);
    if (this.hand === key) this.hand = undefined;
    if (!element) return;
    if (!animate) element.remove();
    else this.haunt(element);
  }

  // Leave an element to be seen under what moves over it, for as long as that takes.
  haunt(element) {
    element.classList.add("kmm-ghost");
    element.setAttribute("aria-hidden", "true");
    element.tabIndex = -1;
    element.removeAttribute("data-key");
    this.ghosts.add(element);
    setTimeout(() => element.remove(), SPLIT_MS + 20);
  }

  update(key, animate, from) {
    const node = this.bench.nodes.get(key);
    const { state = "free", kind = "" } = node;
    const element = this.blocks.get(key) ?? this.create(key);
    element.classList.toggle("kmm-still", !animate);
    if (state === "hand" && animate && from && from.key !== key) this.comeFrom(element, from, state);
    else if (state === "hand" && this.hand === key && animate) element.classList.remove("kmm-still");
    element.dataset.state = state;
    element.dataset.tone = this.bench.tone(kind);
    this.place(element, this.box(key, node));
    const [pfn, letter, order] = element.children;
    pfn.dataset.text = this.bench.phrases.named("block", { at: this.at(key) });
    letter.dataset.text = kind;
    order.dataset.text = this.bench.phrases.named("block.order", node);
    element.setAttribute("aria-label", this.bench.describe(key));
    if (state === "hand") this.hand = key;
    else if (this.hand === key) this.hand = undefined;
  }

  // A merge downwards: the block in hand has another name now, and is seen to grow from where it was.
  comeFrom(element, from, state) {
    const ghost = element.cloneNode(true);
    this.map.append(ghost);
    this.haunt(ghost);
    element.classList.add("kmm-still");
    element.dataset.state = state;
    element.style.cssText = from.style;
    element.getBoundingClientRect();
    element.classList.remove("kmm-still");
  }

  // The three words on a block are drawn by the style sheet; its name says them all in a sentence.
  create(key) {
    const element = make("button", { class: "kmm-block kmm-still", type: "button", "data-key": key, tabindex: "-1" },
      ...["at", "letter", "order"].map((part) => make("span", { class: `kmm-${part}`, "aria-hidden": "true" })));
    const after = this.ordered().find((other) => this.at(other) > this.at(key));
    this.map.insertBefore(element, after ? this.blocks.get(after) : null);
    this.blocks.set(key, element);
    return element;
  }

  ordered() {
    return [...this.blocks.keys()].sort((a, b) => this.at(a) - this.at(b));
  }

  covering(at) {
    return this.ordered().findLast((key) => this.at(key) <= at);
  }

  // One block takes part in the tab order; the arrow keys go on from there.
  rove(key, focus) {
    const stop = key ?? (this.blocks.has(this.stop) ? this.stop : this.ordered()[0]);
    if (this.stop !== stop) {
      const old = this.blocks.get(this.stop);
      if (old) old.tabIndex = -1;
      this.stop = stop;
    }
    const element = this.blocks.get(stop);
    if (element) element.tabIndex = 0;
    if (focus) element?.focus({ preventScroll: true });
  }

  onKey(event) {
    const key = event.target.dataset?.key;
    if (!key || event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = this.ordered();
    const index = keys.indexOf(key);
    const to = {
      ArrowLeft: keys[index - 1],
      ArrowRight: keys[index + 1],
      ArrowUp: this.covering(this.at(key) - this.columns),
      ArrowDown: this.below(key),
      Home: keys[0],
      End: keys.at(-1),
    };
    if (!(event.key in to)) return;
    event.preventDefault();
    if (to[event.key]) this.rove(to[event.key], true);
  }

  below(key) {
    const [, , wide, high] = this.box(key, this.bench.nodes.get(key));
    const under = this.covering(this.at(key) + (high > 1 ? wide * high : this.columns));
    return under === key ? undefined : under;
  }

  onClick(event) {
    const key = event.target.closest("[data-key]")?.dataset.key;
    if (!key) return;
    this.rove(key, true);
    this.bench.press(key);
  }

  light(keys, key) {
    for (const [other, element] of this.blocks) element.classList.toggle("kmm-lit", keys.has(other));
    this.detail.textContent = key && this.blocks.has(key) ? this.says(key) : "";
  }

  name(key) {
    return this.bench.phrases.named("pfn", { at: this.at(key) });
  }

  says(key) {
    return this.bench.blockText(key);
  }

  text() {
    return this.ordered().map((key) => this.says(key));
  }
}
