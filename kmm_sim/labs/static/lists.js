// The panel of lists: each entry names a block and lights it up.
import { make } from "./scene.js";

export class ListsPanel {
  constructor(bench, key) {
    this.bench = bench;
    this.key = key;
    this.rows = new Map();
    const { title, note } = bench.nodes.get(key);
    this.table = make("div", { class: "kmm-rows" });
    this.hand = make("span", { class: "kmm-entries" });
    this.element = make(
      "section", { class: "kmm-panel kmm-lists" },
      make("div", { class: "kmm-head" },
        make("span", { class: "kmm-name" }, bench.say(title)), make("span", { class: "kmm-note" }, bench.say(note))),
      this.table,
      make("div", { class: "kmm-row kmm-hand" }, make("span", { class: "kmm-label" }, bench.say(["hand"])), this.hand));
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.element.addEventListener("click", (event) => {
      const key = event.target.closest("[data-key]")?.dataset.key;
      if (key) this.bench.reveal(key);
    });
  }

  draw(touched, animate) {
    if (touched.has(this.key)) this.arrange();
    for (const key of touched) if (this.rows.has(key)) this.fill(key, animate);
    this.drawHand();
    this.rove(this.stops().find((stop) => stop.dataset.key === this.chosen));
  }

  rest() {
    for (const { entries } of this.rows.values()) {
      if (entries.scrollWidth > entries.clientWidth) entries.tabIndex = 0; // to be scrolled by keys
      else entries.removeAttribute("tabindex");
    }
  }

  arrange() {
    const { lists } = this.bench.nodes.get(this.key);
    for (const key of this.rows.keys()) if (!lists.includes(key)) this.rows.delete(key);
    for (const key of lists) if (!this.rows.has(key)) this.rows.set(key, this.row(key));
    this.table.replaceChildren(...lists.map((key) => this.rows.get(key).element));
    for (const key of lists) this.fill(key, false);
  }

  row(key) {
    const { label, note } = this.bench.nodes.get(key);
    const entries = make("span", { class: "kmm-entries", role: "group", "aria-label": this.bench.say(label) });
    const name = make("span", { class: "kmm-label", title: this.bench.say(note) }, this.bench.say(label));
    return { entries, element: make("div", { class: "kmm-row" }, name, entries), chips: new Map() };
  }

  fill(key, animate) {
    const { entries, chips, element } = this.rows.get(key);
    const keys = this.bench.nodes.get(key)?.keys ?? [];
    const focused = entries.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    for (const [old, chip] of chips) {
      chip.classList.remove("kmm-come");
      if (!keys.includes(old)) chips.delete(old);
    }
    for (const each of keys) if (!chips.has(each)) chips.set(each, this.chip(each, animate));
    entries.replaceChildren(...keys.map((each) => chips.get(each)));
    element.classList.toggle("kmm-empty", !keys.length);
    if (focused) (chips.get(focused) ?? this.stops()[0])?.focus({ preventScroll: true });
  }

  chip(key, animate) {
    const text = key.slice(key.indexOf(":") + 1);
    return make("button", {
      class: animate ? "kmm-chip kmm-come" : "kmm-chip", type: "button", tabindex: "-1", "data-key": key,
      "aria-label": this.bench.phrases.named("pfn", { at: text }),
    }, text);
  }

  drawHand() {
    const { hand = [] } = this.bench.nodes.get(this.key);
    const keys = hand.flatMap((panel) => this.bench.blocksOf(panel, "hand"));
    this.hand.replaceChildren(...keys.map((key) => {
      const order = this.bench.phrases.named("block.order", this.bench.nodes.get(key));
      return make("span", { class: "kmm-chip", "data-ref": key }, `${key.slice(key.indexOf(":") + 1)} · ${order}`);
    }));
  }

  stops() {
    return [...this.table.querySelectorAll("[data-key]")];
  }

  rove(stop, focus) {
    const stops = this.stops();
    const next = stop ?? stops[0];
    for (const each of stops) each.tabIndex = each === next ? 0 : -1;
    if (!focus || !next) return;
    this.chosen = next.dataset.key;
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  onKey(event) {
    const row = event.target.closest?.(".kmm-row");
    if (!event.target.dataset?.key || event.ctrlKey || event.metaKey || event.altKey) return;
    const stops = this.stops();
    const index = stops.indexOf(event.target);
    const rows = [...this.table.children].filter((each) => each.contains(event.target) || each.querySelector("[data-key]"));
    const beside = (step) => rows[rows.indexOf(row) + step]?.querySelector("[data-key]");
    const to = {
      ArrowLeft: stops[index - 1], ArrowRight: stops[index + 1], ArrowUp: beside(-1), ArrowDown: beside(1),
      Home: stops[0], End: stops.at(-1),
    };
    if (!(event.key in to)) return;
    event.preventDefault();
    if (to[event.key]) this.rove(to[event.key], true);
  }

  light(keys) {
    for (const chip of this.element.querySelectorAll(".kmm-chip")) {
      chip.classList.toggle("kmm-lit", keys.has(chip.dataset.key ?? chip.dataset.ref));
    }
  }

  text() {
    return this.bench.nodes.get(this.key).lists.map((list) => {
      const { label, keys = [] } = this.bench.nodes.get(list);
      return `${this.bench.say(label)}: ${keys.map((key) => this.bench.name(key)).join(", ") || this.bench.say(["empty"])}`;
    });
  }
}
