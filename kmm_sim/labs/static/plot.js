// The panel of a plot: curves that grow as the run goes on. Each has a colour, a dash or a hatch, and its name.
import { head, make, svg } from "./scene.js";

const PLOT_HIGH = 190;
const EDGE = { left: 46, right: 10, top: 10, bottom: 34 };
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "5 5", "1 4"];

export class PlotPanel {
  constructor(bench, key) {
    this.bench = bench;
    this.key = key;
    this.head = head(bench, key);
    this.picture = svg("svg", { class: "kmm-plot", height: PLOT_HIGH, "aria-hidden": "true" });
    this.legend = make("ul", { class: "kmm-legend" });
    // What is under the cursor; the arrow keys move it.
    this.reading = make("input", { type: "range", class: "kmm-reading", min: "0", step: "1", on: { input: () => this.read(Number(this.reading.value)) } });
    this.element = make("section", { class: "kmm-panel" }, this.head.element,
      make("div", { class: "kmm-plot-box" }, this.picture, this.reading), this.legend);
    this.watch = new ResizeObserver(() => this.element.clientWidth !== this.wide && this.fill());
    this.watch.observe(this.element);
    this.picture.addEventListener("pointermove", (event) => this.point(event));
    this.picture.addEventListener("pointerleave", () => this.read(null));
    this.reading.addEventListener("blur", () => this.read(null));
    this.reading.addEventListener("focus", () => this.read(Number(this.reading.value)));
  }

  draw(touched) {
    const { series = [] } = this.bench.nodes.get(this.key);
    if (touched.has(this.key)) this.head.draw();
    if (touched.has(this.key) || series.some((key) => touched.has(key))) this.fill();
  }

  fill() {
    this.wide = this.element.clientWidth;
    const node = this.node = { kind: "lines", start: 0, step: 1, names: [], marks: [], top: 0, series: [], ...this.bench.nodes.get(this.key) };
    this.curves = node.series.map((key, index) => ({ label: "", values: [], tone: 0, ...this.bench.nodes.get(key), key, index }));
    this.count = Math.max(1, node.names.length, ...this.curves.map(({ values }) => values.length));
    const ground = [Math.max(this.wide, 200) - EDGE.left - EDGE.right, PLOT_HIGH - EDGE.top - EDGE.bottom];
    const [low, high] = this.range();
    const banded = node.kind === "bars" || node.kind === "stack";
    this.x = (nth) => EDGE.left + (banded ? (nth + 0.5) / this.count : nth / Math.max(1, this.count - 1)) * ground[0];
    this.y = (value) => EDGE.top + (1 - (value - low) / (high - low || 1)) * ground[1];
    this.band = ground[0] / this.count;
    this.cursor = svg("line", { class: "kmm-cursor", y1: EDGE.top, y2: PLOT_HIGH - EDGE.bottom, x1: -9, x2: -9 });
    this.picture.setAttribute("width", Math.max(this.wide, 200));
    this.picture.replaceChildren(...this.axes(low, high, ground), ...this.curves.flatMap((curve) => this.curve(curve, low)), ...this.marks(), ...this.now(), this.cursor);
    this.drawLegend();
    this.reading.max = this.count - 1;
    this.reading.setAttribute("aria-label", this.bench.say(["plot.read", this.bench.say(node.title)]));
    this.reading.setAttribute("aria-valuetext", this.at(Number(this.reading.value)));
  }

  range() {
    const { kind, top, marks } = this.node;
    const all = kind === "stack"
      ? Array.from({ length: this.count }, (_, nth) => this.curves.reduce((sum, { values }) => sum + (values[nth] ?? 0), 0))
      : this.curves.flatMap(({ values }) => values.filter((value) => value != null));
    const low = all.reduce((least, value) => Math.min(least, value), 0);
    const high = top || all.concat(marks.map(({ value }) => value)).reduce((most, value) => Math.max(most, value), 1e-9);
    const step = niceStep((high - low) / 4);
    return [Math.floor(low / step) * step, top || Math.ceil(high / step) * step];
  }

  axes(low, high, [wide]) {
    const { x, y, names, start, step } = this.node;
    const parts = [];
    const by = niceStep((high - low) / 4);
    for (let value = low; value <= high + by / 1000; value += by) {
      const at = this.y(value);
      parts.push(svg("line", { class: "kmm-grid", x1: EDGE.left, x2: EDGE.left + wide, y1: at, y2: at }),
        svg("text", { x: EDGE.left - 5, y: at + 4, "text-anchor": "end" }, short(value)));
    }
    const each = Math.max(1, Math.ceil(this.count / Math.max(2, Math.floor(wide / 58))));
    const every = names.length ? each : Math.max(1, niceStep(each));
    for (let nth = 0; nth < this.count; nth += every) {
      const words = names.length ? this.bench.say(names[nth]) : short(start + nth * step);
      parts.push(svg("text", { x: this.x(nth), y: PLOT_HIGH - EDGE.bottom + 14, "text-anchor": nth || names.length ? "middle" : "start" }, words));
    }
    parts.push(svg("text", { class: "kmm-axis", x: EDGE.left + wide, y: PLOT_HIGH - 4, "text-anchor": "end" }, this.bench.say(x)),
      svg("text", { class: "kmm-axis", x: 2, y: PLOT_HIGH - 4 }, y ? `↑ ${this.bench.say(y)}` : ""));
    return parts;
  }

  curve(curve, low) {
    const { kind } = this.node;
    if (kind === "bars" || kind === "stack") return curve.values.map((value, nth) => this.bar(curve, value ?? 0, nth, low));
    let path = "";
    let open = false;
    curve.values.forEach((value, nth) => {
      if (value == null) { open = false; return; }
      const [x, y] = [this.x(nth).toFixed(1), this.y(value).toFixed(1)];
      path += !open ? `M${x} ${y}` : kind === "steps" ? `H${x}V${y}` : `L${x} ${y}`;
      open = true;
    });
    return [svg("path", { class: "kmm-curve", d: path, "data-tone": curve.tone, "data-key": curve.key, "stroke-dasharray": DASHES[curve.index % DASHES.length] })];
  }

  bar({ tone, key, index }, value, nth, low) {
    const stacked = this.node.kind === "stack";
    const under = stacked ? this.curves.slice(0, index).reduce((sum, { values }) => sum + (values[nth] ?? 0), 0) : Math.max(0, low);
    const share = stacked ? 1 : this.curves.length;
    const wide = Math.max(1, (this.band * 0.8) / share);
    const left = this.x(nth) - this.band * 0.4 + (stacked ? 0 : index * wide);
    const [from, to] = [this.y(under), this.y(stacked ? under + value : value)];
    return svg("rect", { class: "kmm-bar-of", x: left, width: wide, y: Math.min(from, to), height: Math.abs(from - to), "data-tone": tone, "data-key": key });
  }

  marks() {
    return this.node.marks.flatMap(({ label, value, tone }) => [
      svg("line", { class: "kmm-level", x1: EDGE.left, x2: this.wide - EDGE.right, y1: this.y(value), y2: this.y(value), "data-tone": tone }),
      svg("text", { class: "kmm-level-name", x: this.wide - EDGE.right - 3, y: this.y(value) - 3, "text-anchor": "end" }, `${this.bench.say(label)} ${short(value)}`)]);
  }

  now() {
    const { now, start, step } = this.node;
    if (now == null) return [];
    const x = this.x((now - start) / step);
    return [svg("line", { class: "kmm-now-line", x1: x, x2: x, y1: EDGE.top, y2: PLOT_HIGH - EDGE.bottom })];
  }

  drawLegend(nth = null) {
    const lines = this.node.kind === "lines" || this.node.kind === "steps";
    this.legend.replaceChildren(...this.curves.map(({ label, tone, values, index, key }) => make("li", { "data-key": key },
      svg("svg", { width: 26, height: 12, "aria-hidden": "true" }, lines
        ? svg("path", { class: "kmm-curve", d: "M0 6H26", "data-tone": tone, "stroke-dasharray": DASHES[index % DASHES.length] })
        : svg("rect", { class: "kmm-bar-of", width: 14, height: 12, x: 6, "data-tone": tone })),
      this.bench.say(label), make("b", {}, short(values[nth ?? values.length - 1])))),
      ...(nth === null ? [] : [make("li", {}, this.where(nth))]));
  }

  where(nth) {
    const { names, start, step, x } = this.node;
    const words = names.length ? this.bench.say(names[nth]) : short(start + nth * step);
    return x ? `${this.bench.say(x)} ${words}` : words;
  }

  at(nth) {
    return [this.where(nth), ...this.curves.map(({ label, values }) => `${this.bench.say(label)} ${short(values[nth])}`)].join(", ");
  }

  point(event) {
    const { left } = this.picture.getBoundingClientRect();
    const share = (event.clientX - left - this.x(0)) / ((this.x(this.count - 1) - this.x(0)) || 1);
    this.read(Math.max(0, Math.min(this.count - 1, Math.round(share * (this.count - 1)))));
  }

  read(nth) {
    const x = nth === null ? -9 : this.x(nth);
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
    this.drawLegend(nth);
    if (nth !== null) this.reading.setAttribute("aria-valuetext", this.at(nth));
  }

  name(key) {
    return this.bench.say(this.bench.nodes.get(key).label);
  }

  says(key) {
    const { values = [] } = this.bench.nodes.get(key);
    const known = values.filter((value) => value != null);
    if (!known.length) return `${this.name(key)}: ${this.bench.say(["empty"])}`;
    const [least, most] = known.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
    return `${this.name(key)}: ${this.bench.say(["plot.series", known.length, short(least), short(most), short(known.at(-1))])}`;
  }

  text() {
    const { series = [], marks = [], names = [] } = this.bench.nodes.get(this.key);
    const bars = names.length && names.length <= 24 ? names.map((_, nth) => this.at(nth)) : [];
    return [...series.map((key) => this.says(key)), ...marks.map(({ label, value }) => `${this.bench.say(label)}: ${short(value)}`), ...bars];
  }

  light(keys) {
    for (const each of this.element.querySelectorAll("[data-key]")) each.classList.toggle("kmm-lit", keys.has(each.dataset.key));
  }
}

// 1, 2 or 5 times a power of ten: a step of that size or the next above.
function niceStep(size) {
  const power = 10 ** Math.floor(Math.log10(size || 1));
  return power * ([1, 2, 5].find((factor) => factor * power >= size * 0.999) ?? 10);
}

function short(value) {
  if (value == null) return "–";
  const size = Math.abs(value);
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))} k`;
  return String(Number(value.toPrecision(4)));
}
