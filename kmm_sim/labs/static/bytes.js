// The panel of bytes: an object, a page, a stack, in hexadecimal. What belongs together has one colour and one
// letter; long runs of the same byte are one line, as hexdump has them.
import { head, make } from "./scene.js";
import { Roving } from "./roving.js";

const NARROW_BYTES = 440; // CSS pixels, below which a row has half as many bytes
const ROWS_ALIKE = 3; // so many rows of the same byte, or more, become one

// Many bytes come as runs: [byte, how many].
const spread = (data = []) => data.flatMap((each) => (Array.isArray(each) ? Array(each[1]).fill(each[0]) : [each]));
const hex = (byte) => byte.toString(16).padStart(2, "0");

export class BytesPanel {
  constructor(bench, key) {
    this.bench = bench;
    this.key = key;
    this.head = head(bench, key);
    this.body = make("div", { class: "kmm-bytes" });
    this.element = make("section", { class: "kmm-panel" }, this.head.element, this.body);
    this.roving = new Roving(this.body);
    this.body.addEventListener("click", (event) => {
      const stop = event.target.closest("[data-stop]");
      if (stop) bench.press(stop.dataset.stop);
    });
    this.watch = new ResizeObserver(() => this.fit());
    this.watch.observe(this.element);
  }

  columns() {
    const { columns = 16 } = this.bench.nodes.get(this.key);
    return this.element.clientWidth && this.element.clientWidth < NARROW_BYTES ? Math.min(columns, 8) : columns;
  }

  draw(touched, animate) {
    const { spans = [] } = this.bench.nodes.get(this.key);
    if (touched.has(this.key)) this.head.draw();
    else if (!spans.some((key) => touched.has(key))) return;
    this.fill(animate ? this.bytes : null);
  }

  // Have as many bytes in a row as there is room for now.
  fit() {
    if (this.columns() !== this.drawn) this.fill(null);
  }

  // Lay the spans end to end, and cut them into rows.
  fill(before) {
    const { start, spans = [], down } = this.bench.nodes.get(this.key);
    const focus = this.body.contains(document.activeElement) ? document.activeElement.dataset.stop : null;
    const columns = this.drawn = this.columns();
    this.bytes = [];
    this.owner = [];
    for (const key of spans) {
      const { size, data: given, fill = 0 } = this.bench.nodes.get(key);
      const data = spread(given);
      for (let at = 0; at < size; at++) {
        this.bytes.push(data[at] ?? fill);
        this.owner.push(key);
      }
    }
    const rows = [];
    for (let at = 0; at < this.bytes.length;) {
      const many = this.alike(at, columns);
      rows.push(many >= ROWS_ALIKE ? this.gap(at, many * columns) : this.row(at, columns, before));
      at += (many >= ROWS_ALIKE ? many : 1) * columns;
    }
    if (down) rows.reverse();
    const named = new Set();
    this.body.style.setProperty("--bytes", columns);
    this.body.replaceChildren(...rows.map(({ at, keys, line, gap }) =>
      make("div", { class: gap ? "kmm-hex-row kmm-hex-gap" : "kmm-hex-row" }, this.address(start, at), line, this.names(keys, named))));
    this.roving.settle();
    if (focus) this.body.querySelector(`[data-stop="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
  }

  // How many rows from here on are of one and the same byte, and of one span.
  alike(at, columns) {
    let end = at;
    while (end < this.bytes.length && this.bytes[end] === this.bytes[at] && this.owner[end] === this.owner[at]) end++;
    return Math.floor((end - at) / columns);
  }

  gap(at, size) {
    const key = this.owner[at];
    const words = this.bench.say(["bytes.same", size, hex(this.bytes[at])]);
    return { at, keys: [key], gap: true, line: make("span", { class: "kmm-hex" }, this.run(key, [words])) };
  }

  row(at, columns, before) {
    const end = Math.min(at + columns, this.bytes.length);
    const line = make("span", { class: "kmm-hex" });
    const keys = [];
    for (let from = at; from < end;) {
      const key = this.owner[from];
      const parts = [];
      let to = from;
      for (; to < end && this.owner[to] === key; to++) {
        const text = hex(this.bytes[to]) + (to + 1 < end && this.owner[to + 1] === key ? " " : "");
        if (before && before[to] !== this.bytes[to]) parts.push(make("mark", {}, text));
        else if (typeof parts.at(-1) === "string") parts[parts.length - 1] += text;
        else parts.push(text);
      }
      line.append(this.run(key, parts));
      keys.push(key);
      from = to;
    }
    return { at, keys, line };
  }

  // Long addresses differ at their end.
  address(start, at) {
    const exact = (BigInt(start) + BigInt(at)).toString(16);
    return make("span", { class: "kmm-address", title: `0x${exact}` }, exact.length > 8 ? `…${exact.slice(-6)}` : exact.padStart(4, "0"));
  }

  run(key, parts) {
    const { tone, letter = "" } = this.bench.nodes.get(key);
    return make("span", { class: "kmm-run", "data-key": key, "data-tone": tone ?? "", "data-letter": letter }, ...parts);
  }

  // The name of a span stands in the topmost row that it is in.
  names(keys, named) {
    const fresh = keys.filter((key) => !named.has(key) && named.add(key) && (this.bench.nodes.get(key).label || this.bench.nodes.get(key).letter));
    return make("span", { class: "kmm-hex-names" }, ...fresh.map((key) => {
      const { tone, letter, label } = this.bench.nodes.get(key);
      return make("button", {
        type: "button", class: "kmm-plain kmm-span-name", tabindex: "-1", "data-stop": key, "data-key": key,
        "data-press": this.bench.formFor(key) ? "1" : undefined, "aria-label": this.bench.describe(key),
      }, letter ? make("span", { class: "kmm-sample", "data-state": "used", "data-tone": tone ?? "", "data-text": letter }) : "", this.bench.say(label));
    }));
  }

  name(key) {
    const { label, letter } = this.bench.nodes.get(key);
    return this.bench.say(label) || letter || key;
  }

  says(key) {
    const { size, says } = this.bench.nodes.get(key);
    const at = this.owner?.indexOf(key) ?? 0;
    const words = this.bench.say(["bytes.span", this.name(key), size, at]);
    return says ? `${words}. ${this.bench.say(says)}` : words;
  }

  tip(key) {
    return this.says(key);
  }

  text() {
    return (this.bench.nodes.get(this.key).spans ?? []).map((key) => {
      const { size, data: given, fill = 0 } = this.bench.nodes.get(key);
      const data = spread(given);
      const shown = data.slice(0, 32).map(hex).join(" ");
      const rest = size - Math.min(data.length, 32);
      return `${this.says(key)}: ${[shown, rest > 0 && data.length <= 32 ? this.bench.say(["bytes.same", rest, hex(fill)]) : ""].filter(Boolean).join(", ")}${data.length > 32 ? " …" : ""}`;
    });
  }

  light(keys) {
    for (const each of this.body.querySelectorAll("[data-key]")) each.classList.toggle("kmm-lit", keys.has(each.dataset.key));
  }
}
