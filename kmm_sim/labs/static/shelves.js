// The panel of shelves: boxes with slots, such as slabs with their objects. A box that goes to another shelf is
// seen to move; a freelist is drawn as the arrows that it is.
import { head, make, same, svg } from "./scene.js";
import { Roving } from "./roving.js";

const MOVE_MS = 150;
const MANY = 18; // boxes on a shelf
const SMALL = 64; // more slots than so many, and they are drawn without letters

export class ShelvesPanel {
  constructor(bench, key) {
    this.bench = bench;
    this.key = key;
    this.shelves = new Map();
    this.boxes = new Map();
    this.unchained = new Set();
    this.head = head(bench, key);
    this.body = make("div", { class: "kmm-shelves" });
    this.none = make("p", { class: "kmm-none" }, bench.say(["nothing_yet"]));
    this.element = make("section", { class: "kmm-panel" }, this.head.element, this.body);
    this.roving = new Roving(this.body);
    this.body.addEventListener("click", (event) => {
      const stop = event.target.closest("[data-stop]");
      if (stop) bench.press(stop.dataset.stop);
    });
  }

  draw(touched, animate) {
    const { shelves = [] } = this.bench.nodes.get(this.key);
    const focus = this.body.contains(document.activeElement) ? document.activeElement.dataset.stop : null;
    this.before = animate ? this.places() : null;
    this.head.draw();
    for (const key of [...this.shelves.keys()]) if (!shelves.includes(key)) this.shelves.delete(key);
    for (const key of shelves) if (!this.shelves.has(key) || touched.has(key)) this.drawShelf(key, touched, animate);
    for (const key of [...this.boxes.keys()]) {
      if (!this.bench.nodes.has(key)) this.boxes.delete(key);
      else if (touched.has(key)) this.drawBox(key, animate);
    }
    const rows = shelves.map((key) => this.shelves.get(key).element);
    same(this.body, this.boxes.size ? rows : [this.none, ...rows]);
    this.roving.settle();
    if (focus && !this.body.contains(document.activeElement)) this.roving.at?.focus({ preventScroll: true });
  }

  // Now that every box has its place: first all is measured, then drawn.
  rest() {
    const chains = [...this.unchained].filter(({ chain, chained }) => chain.length || chained).map((box) => [box, this.chainPath(box)]);
    this.unchained.clear();
    if (this.before) this.move(this.before);
    for (const [box, path] of chains) {
      box.chained = path;
      box.arrows.firstChild.setAttribute("d", path);
    }
  }

  drawShelf(key, touched, animate) {
    const { label, note, keys = [] } = this.bench.nodes.get(key);
    const shelf = this.shelves.get(key) ?? this.shelf(key);
    shelf.label.textContent = this.bench.say(label);
    shelf.note.textContent = this.bench.say(note);
    shelf.element.classList.toggle("kmm-empty", !keys.length);
    for (const each of keys) if (!this.boxes.has(each)) this.drawBox(each, false, animate);
    same(shelf.row, keys.map((each) => this.boxes.get(each).element));
    const many = keys.length > MANY; // in a window of its own, to be scrolled by keys too
    shelf.row.classList.toggle("kmm-many", many);
    if (many) Object.entries({ tabindex: "0", role: "group", "aria-label": shelf.label.textContent }).forEach((each) => shelf.row.setAttribute(...each));
    else for (const name of ["tabindex", "role", "aria-label"]) shelf.row.removeAttribute(name);
  }

  shelf(key) {
    const [label, note, row] = [make("span", { class: "kmm-label" }), make("span", { class: "kmm-note" }), make("div", { class: "kmm-boxes" })];
    const shelf = { label, note, row, element: make("div", { class: "kmm-shelf" }, make("div", { class: "kmm-shelf-head" }, label, note), row) };
    this.shelves.set(key, shelf);
    return shelf;
  }

  drawBox(key, animate, comes) {
    const { label, note, slots = [], widths = [], chain = [], refs = [], tone, state = "" } = this.bench.nodes.get(key);
    const box = this.boxes.get(key) ?? this.box(key, widths.length > 0);
    if (slots.length !== box.slots.length) this.fit(box, slots.length);
    box.element.classList.toggle("kmm-come", Boolean(comes));
    Object.assign(box.element.dataset, { tone: tone ?? "", state });
    box.label.textContent = this.bench.say(label);
    box.note.textContent = this.bench.say(note);
    box.label.setAttribute("aria-label", this.bench.describe(key));
    while (box.slots.length > slots.length) box.slots.pop().remove();
    while (box.slots.length < slots.length) box.slots.push(this.slot(key, box));
    slots.forEach((letter, index) => {
      const slot = box.slots[index];
      const was = slot.textContent;
      if (was !== letter) slot.textContent = letter;
      slot.classList.toggle("kmm-fresh", animate && was !== letter);
      slot.dataset.tone = this.bench.tone(letter);
      slot.dataset.used = letter ? "1" : "";
      if (widths.length) slot.style.flexGrow = widths[index] ?? 1;
      if (refs[index]) slot.dataset.ref = refs[index];
      else delete slot.dataset.ref;
      const pressed = letter && this.bench.formFor(`${key}/${index}`);
      slot.dataset.press = pressed ? "1" : "";
      slot.setAttribute("aria-label", this.bench.describe(`${key}/${index}`));
    });
    box.chain = chain;
    this.unchained.add(box);
  }

  // Between two moments far apart a box may have come to other slots, or to none.
  fit({ element, grid }, count) {
    grid.style.setProperty("--slots", slotColumns(count));
    grid.dataset.small = count > SMALL ? "1" : "";
    if (count) element.append(grid);
    else grid.remove();
  }

  box(key, free) {
    const label = make("button", { type: "button", class: "kmm-plain", "data-stop": key, tabindex: "-1" });
    const note = make("span", { class: "kmm-note" });
    const grid = make("div", { class: "kmm-slots", "data-free": free ? "1" : undefined });
    const arrows = svg("svg", { class: "kmm-arrows", "aria-hidden": "true" }, svg("path"));
    const element = make("div", { class: "kmm-box", "data-key": key, role: "group" }, make("div", { class: "kmm-box-head" }, label, note));
    grid.append(arrows);
    const box = { element, label, note, grid, arrows, slots: [] };
    this.boxes.set(key, box);
    return box;
  }

  slot(key, box) {
    const name = `${key}/${box.slots.length}`;
    const slot = make("button", { type: "button", class: "kmm-slot", tabindex: "-1", "data-key": name, "data-stop": name });
    box.grid.insertBefore(slot, box.arrows);
    return slot;
  }

  // From the head of the freelist to its end: an arrow from each free slot to the next.
  chainPath({ chain, slots }) {
    const place = (index) => {
      const { offsetLeft: left, offsetTop: top, offsetWidth: width, offsetHeight: height } = slots[index];
      return [left + width / 2, top + height / 2, height];
    };
    const known = chain.filter((index) => slots[index]);
    const path = known.slice(1).map((index, nth) => freelistArrow(place(known[nth]), place(index)));
    if (known.length) {
      const [x, y, high] = place(known[0]);
      path.unshift(`M${x} ${y - high / 2 - 1}m-3.5 -6l3.5 6l3.5 -6`);
    }
    return path.join("");
  }

  places() {
    return new Map([...this.boxes].map(([key, { element }]) => [key, element.getBoundingClientRect()]));
  }

  move(before) {
    for (const [key, to] of this.places()) {
      const [from, { element }] = [before.get(key), this.boxes.get(key)];
      if (!from || (Math.abs(from.left - to.left) < 1 && Math.abs(from.top - to.top) < 1)) continue;
      element.animate([{ transform: `translate(${from.left - to.left}px,${from.top - to.top}px)` }, { transform: "none" }],
        { duration: MOVE_MS, easing: "ease-out" });
    }
  }

  name(key) {
    const [box, slot] = key.split("/");
    const label = this.bench.say(this.bench.nodes.get(box)?.label);
    return slot === undefined ? label : this.bench.say(["slot", label, Number(slot)]);
  }

  says(key) {
    const [box, slot] = key.split("/");
    const { slots = [], chain = [], says, note } = this.bench.nodes.get(box);
    if (slot !== undefined) {
      const letter = slots[slot];
      const next = chain.indexOf(Number(slot));
      const state = letter ? this.bench.kindText(letter) : next < 0 ? this.bench.say(["slot.free"])
        : chain[next + 1] === undefined ? this.bench.say(["slot.last"]) : this.bench.say(["slot.next", chain[next + 1]]);
      return `${this.name(key)}: ${state}`;
    }
    const used = slots.filter(Boolean).length;
    const counts = slots.length ? this.bench.say(["box.used", used, slots.length]) : "";
    return [this.name(key), this.bench.say(note), counts, this.bench.say(says)].filter(Boolean).join(", ");
  }

  tip(key) {
    return key.includes("/") ? this.says(key) : this.bench.say(this.bench.nodes.get(key)?.says);
  }

  text() {
    return (this.bench.nodes.get(this.key).shelves ?? []).flatMap((shelf) => {
      const { label, note, keys = [] } = this.bench.nodes.get(shelf);
      return [[this.bench.say(label), this.bench.say(note)].filter(Boolean).join(", ") + (keys.length ? ":" : `: ${this.bench.say(["empty"])}`),
        ...keys.map((key) => `  ${this.says(key)}${this.slotsText(key)}`)];
    });
  }

  slotsText(key) {
    const { slots = [], chain = [] } = this.bench.nodes.get(key);
    if (!slots.length) return "";
    const picture = ` [${slots.map((letter) => letter || "·").join("")}]`;
    return picture + (chain.length ? ` ${this.bench.say(["box.chain"])} ${chain.join(" → ")}` : "");
  }

  // What a Pick may offer.
  picks({ state, of }) {
    const boxes = [...this.boxes.keys()].filter((key) => !state || this.bench.nodes.get(key)?.state === state);
    return of !== "slots" ? boxes : boxes.flatMap((key) =>
      (this.bench.nodes.get(key)?.slots ?? []).flatMap((letter, index) => (letter ? [`${key}/${index}`] : [])));
  }

  light(keys) {
    for (const [key, { element, slots }] of this.boxes) {
      element.classList.toggle("kmm-lit", keys.has(key));
      slots.forEach((slot, index) => slot.classList.toggle("kmm-lit", keys.has(`${key}/${index}`)));
    }
  }
}

function slotColumns(count) {
  return count <= 8 ? Math.max(count, 1) : count <= 20 ? Math.ceil(count / 2) : count <= SMALL ? 16 : 32;
}

// A bowed line from one place to another, with its point at the end.
function freelistArrow([fromX, fromY], [toX, toY]) {
  const [x, y] = [toX - fromX, toY - fromY];
  const long = Math.hypot(x, y) || 1;
  const bow = Math.min(9, long / 4);
  const [midX, midY] = [fromX + x / 2 + (y / long) * bow, fromY + y / 2 - (x / long) * bow];
  const angle = Math.atan2(toY - midY, toX - midX);
  const wing = (turn) => `L${(toX - 6 * Math.cos(angle + turn)).toFixed(1)} ${(toY - 6 * Math.sin(angle + turn)).toFixed(1)}`;
  return `M${fromX} ${fromY}Q${midX.toFixed(1)} ${midY.toFixed(1)} ${toX} ${toY}${wing(0.5)}M${toX} ${toY}${wing(-0.5)}`;
}
