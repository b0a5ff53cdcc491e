// The panel of a plot: curves that grow as the run goes on. Each has a colour, a dash or a hatch, and its name.
import { head, make, same, svg } from "./scene.js";

const PLOT_HIGH = 190;
const EDGE = { left: 46, right: 10, top: 10, bottom: 34 };
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "5 5", "1 4"];
const FONT = "11px system-ui, sans-serif"; // as in bench.css
const APART = 13; // from the name of a mark to the next

export class PlotPanel {
  constructor(bench, key) {
    this.bench = bench;
    this.key = key;
    this.head = head(bench, key);
    this.cursor = svg("line", { class: "kmm-cursor", y1: EDGE.top, y2: PLOT_HIGH - EDGE.bottom, x1: -9, x2: -9 });
    [this.ground, this.shapes, this.over] = [svg("g"), svg("g"), svg("g")];
    this.picture = svg("svg", { class: "kmm-plot", height: PLOT_HIGH, "aria-hidden": "true" }, this.ground, this.shapes, this.over, this.cursor);
    this.legend = make("ul", { class: "kmm-legend" });
    this.place = make("li");
    this.drawn = new Map(); // a curve's shape, its line of the legend and the number there
    // What is under the cursor; the arrow keys move it.
    this.reading = make("input", { type: "range", class: "kmm-reading", min: "0", step: "1", on: { input: () => this.read(Number(this.reading.value)) } });
    this.element = make("section", { class: "kmm-panel" }, this.head.element,
      make("div", { class: "kmm-plot-box" }, this.picture, this.reading), this.legend);
    this.watch = new ResizeObserver(() => this.element.clientWidth !== this.wide && this.fit());
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

  // Be as wide as there is room now.
  fit() {
    this.fill();
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
    // What a run seldom changes is drawn anew only then.
    const { kind, x, y, start, step, names, marks } = node;
    const frame = JSON.stringify([this.wide, low, high, this.count, kind, x, y, start, step, names, marks]);
    if (frame !== this.frame) {
      this.frame = frame;
      this.picture.setAttribute("width", Math.max(this.wide, 200));
      this.picture.setAttribute("viewBox", `0 0 ${Math.max(this.wide, 200)} ${PLOT_HIGH}`); // paper is narrower
      this.ground.replaceChildren(...this.axes(low, high, ground));
      this.marked = this.marks();
    }
    for (const [key, { path, line }] of this.drawn) {
      if (node.series.includes(key)) continue;
      path.remove();
      line.remove();
      this.drawn.delete(key);
    }
    for (const curve of this.curves) this.curve(curve, low);
    same(this.shapes, this.curves.map(({ key }) => this.drawn.get(key).path));
    this.over.replaceChildren(...this.marked, ...this.now());
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
    const high = top || all.concat(marks.map(({ value }) => value)).reduce((most, value) => Math.max(most, value), 0) || 1;
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
    const named = (nth) => (names.length ? this.bench.say(names[nth]) : short(start + nth * step));
    const widest = Math.max(...Array.from({ length: this.count }, (_, nth) => widthOf(named(nth))));
    const each = Math.max(1, Math.ceil(((widest + (names.length ? 3 : 12)) * this.count) / wide)); // as many as stand beside each other
    const every = names.length ? each : Math.max(1, niceStep(each));
    for (let nth = 0; nth < this.count; nth += every) {
      parts.push(svg("text", { x: this.x(nth), y: PLOT_HIGH - EDGE.bottom + 14, "text-anchor": nth || names.length ? "middle" : "start" }, named(nth)));
    }
    parts.push(svg("text", { class: "kmm-axis", x: EDGE.left + wide, y: PLOT_HIGH - 4, "text-anchor": "end" }, this.bench.say(x)),
      svg("text", { class: "kmm-axis", x: 2, y: PLOT_HIGH - 4 }, y ? `↑ ${this.bench.say(y)}` : ""));
    return parts;
  }

  // One shape for a curve, or for all bars of a series, whatever their number.
  curve(curve, low) {
    const bars = this.node.kind === "bars" || this.node.kind === "stack";
    if (!this.drawn.has(curve.key)) this.drawn.set(curve.key, this.begun(curve, bars));
    this.drawn.get(curve.key).path.setAttribute("d", bars ? curve.values.map((value, nth) => this.bar(curve, value ?? 0, nth, low)).join("") : this.line(curve));
  }

  begun({ key, tone, index }, bars) {
    const dash = { "data-tone": tone, "stroke-dasharray": DASHES[index % DASHES.length] };
    const sample = bars
      ? svg("rect", { class: "kmm-bar-of", width: 14, height: 12, x: 6, "data-tone": tone })
      : svg("path", { class: "kmm-curve", d: "M0 6H26", ...dash });
    const [label, number] = [make("span"), make("b")];
    return {
      path: bars ? svg("path", { class: "kmm-bar-of", "data-key": key, "data-tone": tone }) : svg("path", { class: "kmm-curve", "data-key": key, ...dash }),
      line: make("li", { "data-key": key }, svg("svg", { width: 26, height: 12, "aria-hidden": "true" }, sample), label, number), label, number,
    };
  }

  line(curve) {
    const { kind } = this.node;
    let path = "";
    let open = false;
    curve.values.forEach((value, nth) => {
      if (value == null) { open = false; return; }
      const [x, y] = [this.x(nth).toFixed(1), this.y(value).toFixed(1)];
      path += !open ? `M${x} ${y}` : kind === "steps" ? `H${x}V${y}` : `L${x} ${y}`;
      open = true;
    });
    return path;
  }

  bar({ index }, value, nth, low) {
    const stacked = this.node.kind === "stack";
    const under = stacked ? this.curves.slice(0, index).reduce((sum, { values }) => sum + (values[nth] ?? 0), 0) : Math.max(0, low);
    const share = stacked ? 1 : this.curves.length;
    const wide = Math.max(1, (this.band * 0.8) / share);
    const left = this.x(nth) - this.band * 0.4 + (stacked ? 0 : index * wide);
    const [from, to] = [this.y(under), this.y(stacked ? under + value : value)];
    return `M${left.toFixed(1)} ${from.toFixed(1)}V${to.toFixed(1)}h${wide.toFixed(1)}V${from.toFixed(1)}z`;
  }

  // A line for each, and its name just above; names that would stand over one another make room, upwards.
  marks() {
    let lowest = PLOT_HIGH - EDGE.bottom;
    const [right, marks] = [this.wide - EDGE.right, this.node.marks.map((mark) => ({ ...mark, y: this.y(mark.value) }))];
    return marks.sort((a, b) => b.y - a.y).flatMap(({ label, value, tone, y }) => {
      const at = Math.min(y - 3, lowest);
      lowest = at - APART;
      return [svg("line", { class: "kmm-level", x1: EDGE.left, x2: right, y1: y, y2: y, "data-tone": tone }),
        svg("text", { class: "kmm-level-name", x: right - 3, y: at, "text-anchor": "end" }, `${this.bench.say(label)} ${short(value)}`)];
    });
  }

  now() {
    const { now, start, step } = this.node;
    if (now == null) return [];
    const x = this.x((now - start) / step);
    return [svg("line", { class: "kmm-now-line", x1: x, x2: x, y1: EDGE.top, y2: PLOT_HIGH - EDGE.bottom })];
  }

  // With the newest values, or those that are pointed at. Of bars beside each other none is the newest.
  drawLegend(nth = null) {
    for (const { key, label, values } of this.curves) {
      const line = this.drawn.get(key);
      line.label.textContent = this.bench.say(label);
      line.number.textContent = nth === null && this.node.kind === "bars" ? "" : short(values[nth ?? values.length - 1]);
    }
    if (nth !== null) this.place.textContent = this.where(nth);
    same(this.legend, [...this.curves.map(({ key }) => this.drawn.get(key).line), ...(nth === null ? [] : [this.place])]);
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

let pen;

function widthOf(words) {
  pen ??= document.createElement("canvas").getContext("2d");
  pen.font = FONT;
  return pen.measureText(words).width;
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
