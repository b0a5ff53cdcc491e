// The calls that a reader can make, written as C with its arguments as controls.
import { make } from "./scene.js";

export class CallForm {
  constructor(bench, form) {
    this.bench = bench;
    this.form = form;
    this.gaps = new Map();
    this.element = make("form", { class: "kmm-call", novalidate: "", "data-does": form.does },
      make("code", { class: "kmm-c" }, ...form.parts.map((part) => this.part(part))),
      make("button", { class: "kmm-do", type: "submit" }, bench.say(form.button)),
      (this.note = make("span", { class: "kmm-note" })));
    for (const type of ["pointerenter", "focusin"]) this.element.addEventListener(type, () => bench.showPrototype(form));
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      bench.act({ do: form.does, ...this.values() });
    });
    this.element.addEventListener("input", () => this.annotate());
    this.annotate();
  }

  part(part) {
    if (typeof part === "string") return make("span", { class: "kmm-token" }, part);
    if (part.choice) return this.choice(part);
    if (part.number) return this.number(part);
    return this.pick(part);
  }

  choice(part) {
    const options = part.options.map((word) => make("option", { value: word }, word));
    const select = make("select", { "aria-label": this.bench.say(part.label) }, ...options);
    select.value = part.value;
    this.gaps.set(part.choice, { part, input: select, value: () => select.value });
    return select;
  }

  number(part) {
    const input = make("input", {
      type: "number", inputmode: "numeric", min: part.low, max: part.high, step: "1", value: part.value,
      "aria-label": this.bench.say(part.label),
    });
    const step = (by, sign, label) => make("button", {
      type: "button", class: "kmm-by", tabindex: "-1", "aria-label": this.bench.say([label]),
      on: { click: () => this.nudge(input, part, by) },
    }, sign);
    // What is no number goes to Python as it was typed, for Python to say what is wrong with it.
    const value = () => (/^-?\d+$/.test(input.value) ? Number(input.value) : input.value);
    this.gaps.set(part.number, { part, input, value });
    return make("span", { class: "kmm-number" }, step(-1, "−", "less"), input, step(1, "+", "more"));
  }

  nudge(input, part, by) {
    input.value = Math.max(part.low, Math.min(part.high, (Number(input.value) || 0) + by));
    this.annotate();
  }

  pick(part) {
    const select = make("select", { "aria-label": this.bench.say(part.label) });
    this.gaps.set(part.pick, { part, input: select, value: () => select.value });
    select.addEventListener("change", () => this.follow());
    return select;
  }

  // Offer the blocks that are in the state asked for, and keep the reader's choice while it is there.
  draw() {
    for (const { part, input } of this.gaps.values()) {
      if (!part.pick) continue;
      const keys = part.panels.flatMap((panel) => this.bench.blocksOf(panel, part.state));
      const chosen = keys.includes(input.value) ? input.value : keys[0] ?? "";
      const say = (key) => this.bench.phrases.named("pfn", { at: key.slice(key.indexOf(":") + 1) });
      input.replaceChildren(...keys.map((key) => make("option", { value: key }, say(key))));
      if (!keys.length) input.append(make("option", { value: "" }, this.bench.say(["none_held"])));
      input.value = chosen;
      if (this.followed !== chosen) this.follow();
    }
  }

  // The order of a block that was picked is filled in; the reader may still write another.
  follow() {
    for (const { part, input } of this.gaps.values()) {
      if (!part.follows) continue;
      const picked = this.gaps.get(part.follows).input.value;
      this.followed = picked;
      if (picked && this.bench.nodes.has(picked)) input.value = this.bench.nodes.get(picked).order;
    }
    this.annotate();
  }

  annotate() {
    const notes = [...this.gaps.values()].map(({ part, value }) => part.notes?.[value()]).filter(Boolean);
    this.note.textContent = [...notes, this.form.hint].filter(Boolean).map((note) => this.bench.say(note)).join(" · ");
  }

  values() {
    return Object.fromEntries([...this.gaps].map(([name, { value }]) => [name, value()]));
  }

  restore(values) {
    for (const [name, value] of Object.entries(values ?? {})) {
      const gap = this.gaps.get(name);
      if (gap) gap.input.value = value;
    }
    this.annotate();
  }

  // The action that a click on a block stands for.
  forBlock(key) {
    const order = this.bench.nodes.get(key).order;
    return { do: this.form.does, [this.form.block]: key, order };
  }
}
