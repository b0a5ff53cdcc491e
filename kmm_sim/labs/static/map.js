// The panel of a map: all pages of a machine, millions of them, on one canvas. One zooms in by a click or with the
// keys, down to single pages with their letters.
import { head, make } from "./scene.js";

const MAP_HIGH = 208;
const FAR = { columns: 64, rows: 32 }; // cells of many pages each
const NEAR = { columns: 16, rows: 8 }; // single pages, with room for a letter
const ZOOM = 4; // a step divides the pages of a cell by two to this power

export class MapPanel {
  constructor(bench, key) {
    this.bench = bench;
    this.key = key;
    const { start, count, title } = bench.nodes.get(key);
    [this.start, this.count] = [start, count];
    this.levels = zoomLevels(count);
    [this.level, this.first, this.cursor] = [0, start, start];
    this.strips = new Map();
    this.head = head(bench, key);
    this.where = make("span", { class: "kmm-map-where", role: "status" });
    const button = (name, sign, act) => make("button", { type: "button", class: "kmm-button kmm-zoom", "aria-label": bench.say([name]), title: bench.say([name]), on: { click: act } }, sign);
    this.out = button("map.out", "−", () => this.zoom(this.level - 1));
    this.in = button("map.in", "+", () => this.zoom(this.level + 1));
    this.canvas = make("canvas", { class: "kmm-canvas", height: MAP_HIGH });
    // The map as one thing to the keyboard: the arrow keys move over it.
    this.frame = make("div", { class: "kmm-map-frame", tabindex: "0", role: "application", "aria-label": bench.say(["map.keys", bench.say(title)]) }, this.canvas);
    this.zones = make("span", { class: "kmm-zones" });
    this.legend = make("ul", { class: "kmm-legend" });
    this.element = make("section", { class: "kmm-panel" }, this.head.element,
      make("div", { class: "kmm-map-bar" }, this.out, this.in, this.zones, this.where), this.frame, this.legend);
    this.frame.addEventListener("keydown", (event) => this.onKey(event));
    this.frame.addEventListener("focus", () => this.paint());
    this.frame.addEventListener("blur", () => this.paint());
    this.canvas.addEventListener("pointermove", (event) => this.say(this.under(event)));
    this.canvas.addEventListener("pointerleave", () => this.say(this.cursor));
    this.canvas.addEventListener("click", (event) => this.choose(this.under(event)));
    this.watch = new ResizeObserver(() => this.fit());
    this.watch.observe(this.element);
    // A canvas does not follow the page from light to dark by itself.
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.repaint = () => this.paint();
    this.dark.addEventListener("change", this.repaint);
    this.theme = new MutationObserver(this.repaint);
    this.theme.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  }

  close() {
    this.dark.removeEventListener("change", this.repaint);
    this.theme.disconnect();
    this.watch.disconnect();
  }

  draw(touched) {
    const changed = [...touched].filter((key) => key.startsWith(this.key + ":"));
    if (!changed.length && !touched.has(this.key)) return;
    if (touched.has(this.key)) {
      this.drawWords();
      this.follow(this.bench.nodes.get(this.key).at);
    }
    for (const key of changed) {
      const strip = this.bench.nodes.get(key);
      if (strip) this.strips.set(Number(key.slice(this.key.length + 1)), strip.runs);
      else this.strips.delete(Number(key.slice(this.key.length + 1)));
    }
    this.lay();
    this.paint();
    this.say(this.cursor);
  }

  drawWords() {
    this.head.draw();
    const { legend = [], zones = [] } = this.bench.nodes.get(this.key);
    const words = JSON.stringify([legend, zones]);
    if (words === this.words) return; // a button that has the focus keeps it
    this.words = words;
    this.kinds = new Map(legend.map(({ letter, tone, says }) => [letter, { tone, says: this.bench.say(says) }]));
    this.named = zones.map(([at, name]) => [at, this.bench.say(name)]);
    this.legend.replaceChildren(...[...this.kinds].map(([letter, { tone, says }]) =>
      make("li", {}, make("span", { class: "kmm-sample", "data-state": tone ? "used" : "free", "data-tone": tone || "" }, letter), says)));
    this.zones.replaceChildren(...this.named.map(([at, name]) =>
      make("button", { type: "button", class: "kmm-button kmm-word", on: { click: () => this.goTo(at) } }, name)));
  }

  // Go to the page that the lab looks at, when that is another one.
  follow(at) {
    if (at == null || at === this.at) return;
    this.at = this.cursor = at;
    this.frameAround(at);
  }

  // All runs, one after the other: where each begins, and its letter.
  lay() {
    [this.begins, this.letters] = [[], []];
    for (const first of [...this.strips.keys()].sort((a, b) => a - b)) {
      const runs = this.strips.get(first);
      for (let index = 0, at = first; index < runs.length; at += runs[index + 1], index += 2) {
        if (this.letters.at(-1) === runs[index]) continue;
        this.begins.push(at);
        this.letters.push(runs[index]);
      }
    }
  }

  // The run that a page is in.
  run(page) {
    let [low, high] = [0, this.begins.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.begins[middle] <= page) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  get view() {
    const { shift, columns, rows } = this.levels[this.level];
    return { columns, rows, pages: 2 ** shift, near: this.level === this.levels.length - 1 };
  }

  get end() {
    return this.start + this.count;
  }

  // How many pages of each kind there are from here on.
  tally(from, to) {
    const counts = new Map();
    for (let index = this.run(from); index < this.begins.length && this.begins[index] < to; index++) {
      const size = Math.min(to, this.begins[index + 1] ?? this.end) - Math.max(from, this.begins[index]);
      counts.set(this.letters[index], (counts.get(this.letters[index]) ?? 0) + size);
    }
    return counts;
  }

  // ---- Drawing

  // Be as wide as there is room now.
  fit() {
    this.paint();
  }

  paint() {
    const wide = this.frame.clientWidth;
    if (!wide || !this.begins) return;
    const scale = globalThis.devicePixelRatio || 1;
    Object.assign(this.canvas, { width: Math.round(wide * scale), height: Math.round(MAP_HIGH * scale) });
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    this.inks();
    const { columns, rows, pages, near } = this.view;
    const [across, down] = [wide / columns, MAP_HIGH / rows];
    for (let cell = 0; cell < columns * rows; cell++) {
      const from = this.first + cell * pages;
      if (from >= this.end) break;
      this.cell(pen, from, Math.min(from + pages, this.end), (cell % columns) * across, Math.floor(cell / columns) * down, across, down, near);
    }
    for (const page of [this.at ?? [], this.lit ?? []].flat()) this.outline(pen, page, across, down, 2);
    if (document.activeElement === this.frame || near) this.outline(pen, this.cursor, across, down, 3);
  }

  // The colours of the moment, light or dark.
  inks() {
    const style = getComputedStyle(this.frame);
    if (!this.probe) this.probe = this.element.appendChild(make("span", { hidden: "" }));
    const resolved = (variable) => {
      this.probe.style.color = `var(${variable})`;
      return getComputedStyle(this.probe).color;
    };
    this.color = Object.fromEntries(["--ground", "--line", "--firm", "--accent", "--ink", "--on-tone", ...[1, 2, 3, 4, 5, 6].map((tone) => `--tone-${tone}`)].map((name) => [name, resolved(name)]));
    this.mono = style.getPropertyValue("--mono");
  }

  toneOf(letter) {
    return this.kinds.get(letter)?.tone;
  }

  // A cell has a part of each colour, as wide as its share of the pages.
  cell(pen, from, to, x, y, across, down, near) {
    let left = x;
    const gap = across > 7 ? 1 : 0.5;
    for (const [letter, count] of this.tally(from, to)) {
      const wide = ((across - gap) * count) / (to - from);
      const tone = this.toneOf(letter);
      pen.fillStyle = tone ? this.color[`--tone-${tone}`] : this.color["--ground"];
      pen.fillRect(left, y, wide, down - gap);
      left += wide;
      if (!near) continue;
      pen.fillStyle = tone ? this.color["--on-tone"] : this.color["--ink"];
      pen.font = `600 ${across > 30 ? 12 : 11}px ${this.mono}`;
      pen.textAlign = "center";
      pen.fillText(letter, x + across / 2, across > 30 ? y + 12 : y + down / 2 + 4);
      if (across > 30) {
        pen.font = `9px ${this.mono}`;
        pen.fillText(across > 38 ? String(from) : String(from).slice(-5), x + across / 2, y + down - 5);
      }
    }
    pen.strokeStyle = this.color["--line"];
    pen.lineWidth = gap;
    pen.strokeRect(x + gap / 2, y + gap / 2, across - gap, down - gap);
  }

  outline(pen, page, across, down, width) {
    const { columns, rows, pages } = this.view;
    const cell = Math.floor((page - this.first) / pages);
    if (cell < 0 || cell >= columns * rows) return;
    pen.strokeStyle = this.color["--accent"];
    pen.lineWidth = width;
    pen.strokeRect((cell % columns) * across, Math.floor(cell / columns) * down, across, down);
  }

  // ---- Moving

  under(event) {
    const { left, top, width } = this.canvas.getBoundingClientRect();
    const { columns, rows, pages } = this.view;
    const column = Math.min(columns - 1, Math.max(0, Math.floor(((event.clientX - left) / width) * columns)));
    const row = Math.min(rows - 1, Math.max(0, Math.floor(((event.clientY - top) / MAP_HIGH) * rows)));
    return Math.min(this.first + (row * columns + column) * pages, this.end - 1);
  }

  choose(page) {
    const { near } = this.view;
    this.move(page);
    if (!near) this.zoom(this.level + 1);
    else this.bench.press(`${this.key}:${page}`);
  }

  move(page) {
    this.cursor = Math.max(this.start, Math.min(page, this.end - 1));
    this.frameAround(this.cursor);
    this.paint();
    this.say(this.cursor);
    for (const form of this.bench.forms) form.draw();
  }

  // Let the window be where the page is, and begin at a row.
  frameAround(page) {
    const { columns, rows, pages } = this.view;
    const row = columns * pages;
    const size = row * rows;
    if (page >= this.first && page < this.first + size) return;
    const last = Math.max(0, Math.ceil((this.count - size) / row)) * row;
    this.first = this.start + Math.min(last, Math.max(0, Math.floor((page - this.start - size / 2) / row) * row));
  }

  zoom(level) {
    this.level = Math.max(0, Math.min(level, this.levels.length - 1));
    this.first = Infinity; // to be framed anew
    this.move(this.cursor);
  }

  goTo(page) {
    this.first = Infinity;
    this.move(page);
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { columns, rows, pages, near } = this.view;
    const step = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, PageUp: -columns * rows, PageDown: columns * rows,
    }[event.key];
    if (step) this.move(this.cursor + step * pages);
    else if (event.key === "Home") this.move(this.start);
    else if (event.key === "End") this.move(this.end - 1);
    else if (event.key === "+" || event.key === "=" || (event.key === "Enter" && !near)) this.zoom(this.level + 1);
    else if (event.key === "-" || event.key === "Escape") this.zoom(this.level - 1);
    else if (event.key === "Enter" || event.key === " ") this.bench.press(`${this.key}:${this.cursor}`);
    else return;
    event.preventDefault();
  }

  // ---- In words

  say(page) {
    const { pages } = this.view;
    this.where.textContent = this.wordsFor(page, pages);
    this.out.setAttribute("aria-disabled", String(!this.level));
    this.in.setAttribute("aria-disabled", String(this.level === this.levels.length - 1));
  }

  zone(page) {
    return this.named?.findLast(([at]) => at <= page)?.[1] ?? "";
  }

  kind(letter) {
    return this.kinds.get(letter)?.says ?? letter;
  }

  wordsFor(page, pages) {
    const from = page - ((page - this.start) % pages);
    const to = Math.min(from + pages, this.end);
    const counts = [...this.tally(from, to)].sort((a, b) => b[1] - a[1]);
    const kinds = pages === 1 ? this.kind(counts[0]?.[0]) : counts.map(([letter, count]) => `${count} ${this.kind(letter)}`).join(", ");
    const name = pages === 1 ? this.bench.phrases.named("pfn", { at: from }) : this.bench.say(["map.range", from, to - 1]);
    return [name, this.zone(page), kinds].filter(Boolean).join(" · ");
  }

  name(key) {
    return this.bench.phrases.named("pfn", { at: key.slice(this.key.length + 1) });
  }

  says(key) {
    return this.wordsFor(Number(key.slice(this.key.length + 1)), 1);
  }

  picks() {
    return [`${this.key}:${this.cursor}`];
  }

  // All of it by kind; then what the window shows, run by run.
  text() {
    const { columns, rows, pages } = this.view;
    const to = Math.min(this.end, this.first + columns * rows * pages);
    const all = [...this.tally(this.start, this.end)].map(([letter, count]) => `${this.kind(letter)}: ${count}`);
    const runs = [];
    for (let index = this.run(this.first); index < this.begins.length && this.begins[index] < to && runs.length < 40; index++) {
      const [from, last] = [this.begins[index], (this.begins[index + 1] ?? this.end) - 1];
      runs.push(`${this.bench.say(["map.range", from, last])}: ${this.kind(this.letters[index])}`);
    }
    return [...all, this.bench.say(["map.shown", this.first, to - 1]), ...runs];
  }

  light(keys) {
    const lit = [...keys].filter((key) => key.startsWith(this.key + ":")).map((key) => Number(key.slice(this.key.length + 1)));
    if (!lit.length && !this.lit?.length) return;
    this.lit = lit;
    this.paint();
  }
}

function zoomLevels(count) {
  const near = { shift: 0, ...NEAR };
  if (count <= NEAR.columns * NEAR.rows) return [near];
  const levels = [];
  for (let shift = Math.max(0, Math.ceil(Math.log2(count / (FAR.columns * FAR.rows)))); shift > 0; shift -= ZOOM) levels.push({ shift, ...FAR });
  return [...levels, { shift: 0, ...FAR }, near];
}
