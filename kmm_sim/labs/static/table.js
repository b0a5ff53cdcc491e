// The panel of a table: struct page field by field, the decision of a mask, arithmetic with true and false.
import { head, make, same } from "./scene.js";
import { Roving } from "./roving.js";

const MARK_SIGNS = { yes: "✓", no: "✕", now: "▸", skip: "–" };

export class TablePanel {
  constructor(bench, key) {
    this.bench = bench;
    this.key = key;
    this.rows = new Map();
    const { title } = bench.nodes.get(key);
    // Said in words, for a phone lays the rows out anew.
    this.heads = make("tr", { role: "row" });
    this.body = make("tbody", { role: "rowgroup" });
    this.table = make("table", { class: "kmm-table", role: "table", "aria-label": bench.say(title) }, make("thead", { role: "rowgroup" }, this.heads), this.body);
    this.head = head(bench, key);
    this.none = make("p", { class: "kmm-none" }, bench.say(["nothing_yet"]));
    this.element = make("section", { class: "kmm-panel" }, this.head.element,
      this.none, (this.scroll = make("div", { class: "kmm-scroll" }, this.table)));
    this.roving = new Roving(this.body);
    this.body.addEventListener("click", (event) => {
      const row = event.target.closest("[data-key]");
      if (row) bench.press(row.dataset.key);
    });
  }

  draw(touched, animate) {
    const { columns, rows = [], align = "" } = this.bench.nodes.get(this.key);
    if (touched.has(this.key)) {
      this.head.draw();
      this.align = align;
      this.marked = rows.some((key) => this.bench.nodes.get(key).mark);
      this.heads.replaceChildren(...columns.map((text, index) => {
        const words = this.bench.say(text);
        return make(words ? "th" : "td", { scope: words ? "col" : undefined, role: words ? "columnheader" : "cell", class: this.columnClass(index) }, words);
      }));
      this.table.classList.toggle("kmm-two-lines", columns.length > 3 && align.includes("c"));
      this.table.style.setProperty("--columns", columns.length - 1);
      for (const key of this.rows.keys()) if (!rows.includes(key)) this.rows.delete(key);
    }
    for (const key of rows) {
      if (!this.rows.has(key)) this.rows.set(key, { element: make("tr", { role: "row", "data-key": key }), cells: [] });
      else if (!touched.has(key)) continue;
      this.fill(key, animate);
    }
    if (touched.has(this.key)) same(this.body, rows.map((key) => this.rows.get(key).element));
    this.none.hidden = rows.length > 0;
    this.roving.settle();
  }

  rest() {
    if (this.scroll.scrollWidth > this.scroll.clientWidth) this.scroll.tabIndex = 0; // to be scrolled by keys
    else this.scroll.removeAttribute("tabindex");
  }

  columnClass(index) {
    return `kmm-col-${this.align[index] ?? "l"}`;
  }

  fill(key, animate) {
    const { cells, tone, mark, says } = this.bench.nodes.get(key);
    const row = this.rows.get(key);
    const focused = row.element.contains(document.activeElement);
    const before = row.cells;
    row.cells = cells.map((cell) => this.bench.say(cell));
    row.element.dataset.tone = tone ?? "";
    row.element.dataset.mark = mark ?? "";
    const pressed = this.bench.formFor(key);
    row.element.replaceChildren(...row.cells.map((text, index) => {
      const changed = animate && before.length && before[index] !== text && text !== "";
      const words = changed ? make("mark", {}, text) : document.createTextNode(text);
      const content = index || !(says || pressed) ? [words] : [make("button", {
        type: "button", class: "kmm-plain", "data-stop": key, "data-press": pressed ? "1" : undefined,
        "aria-label": this.bench.describe(key),
      }, words)];
      if (!index && mark) content.unshift(make("span", { class: "kmm-sign", role: "img", "aria-label": this.bench.say([`mark.${mark}`]) }, MARK_SIGNS[mark] ?? ""));
      return make(index ? "td" : "th", { class: this.columnClass(index), scope: index ? undefined : "row", role: index ? "cell" : "rowheader" }, ...content);
    }));
    if (focused) row.element.querySelector("[data-stop]")?.focus({ preventScroll: true });
  }

  name(key) {
    return this.bench.say(this.bench.nodes.get(key).cells[0]);
  }

  says(key) {
    const { cells, mark, says } = this.bench.nodes.get(key);
    const words = [mark ? this.bench.say([`mark.${mark}`]) : "", ...cells.map((cell) => this.bench.say(cell))].filter(Boolean).join(", ");
    return says ? `${words}. ${this.bench.say(says)}` : words;
  }

  text() {
    return (this.bench.nodes.get(this.key).rows ?? []).map((key) => this.says(key));
  }

  tip(key) {
    return this.bench.say(this.bench.nodes.get(key)?.says);
  }

  light(keys) {
    for (const [key, { element }] of this.rows) element.classList.toggle("kmm-lit", keys.has(key));
  }
}
