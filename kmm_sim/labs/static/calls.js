// The calls that a reader can make, written as C with its arguments as controls.
import { make } from "./scene.js";

export class CallForm {
  constructor(bench, form) {
    this.bench = bench;
    this.form = form;
    this.gaps = new Map();
    this.offered = new Map();
    this.element = make("form", { class: "kmm-call", novalidate: "", "data-does": form.does },
      make("code", { class: "kmm-c" }, ...form.parts.map((part) => this.part(part))),
      make("button", { class: "kmm-do", type: "submit" }, bench.say(form.button)),
      (this.note = make("span", { class: "kmm-note" })), make("code", { class: "kmm-prototype" }, bench.say(form.prototype)));
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
    if (part.typed) return this.typed(part);
    if (part.flags) return this.flags(part);
    if (part.toggle) return this.toggle(part);
    return this.pick(part);
  }

  choice(part) {
    const options = part.options.map((word, index) => make("option", { value: word }, part.words?.[index] ?? word));
    const select = make("select", { "aria-label": this.bench.say(part.label) }, ...options);
    select.value = part.value;
    this.gaps.set(part.choice, { part, input: select, value: () => select.value });
    return select;
  }

  number(part) {
    const input = make("input", {
      type: "number", inputmode: "numeric", min: part.low, max: part.high, step: "1", value: part.value,
      "aria-label": this.bench.say(part.label), style: `width:${Math.max(3, String(part.high).length + 1)}ch`,
    });
    const step = (by, sign, label) => make("button", {
      type: "button", class: "kmm-by", tabindex: "-1", "aria-label": this.bench.say([label]),
      on: { click: () => this.nudge(input, part, by) },
    }, sign);
    // What is no number goes to Python as it was typed, for Python to say what is wrong with it.
    const value = () => (/^-?\d+$/.test(input.value) ? Number(input.value) : input.value);
    this.gaps.set(part.number, { part, input, value });
    return make("span", { class: "kmm-number" }, step(-(part.step ?? 1), "−", "less"), input, step(part.step ?? 1, "+", "more"));
  }

  nudge(input, part, by) {
    input.value = Math.max(part.low, Math.min(part.high, (Number(input.value) || 0) + by));
    this.annotate();
  }

  typed(part) {
    const input = make("input", {
      type: "text", class: "kmm-typed", spellcheck: "false", autocomplete: "off", autocapitalize: "off", value: part.value,
      "aria-label": this.bench.say(part.label), style: `width:${(part.width ?? 12) + 2}ch`,
    });
    this.gaps.set(part.typed, { part, input, value: () => input.value });
    return input;
  }

  // Words to choose any of: __GFP_IO | __GFP_FS. What each means is said while it is pointed at.
  flags(part) {
    const boxes = part.options.map((word) => make("input", { type: "checkbox", value: word }));
    const checked = (words) => boxes.forEach((box) => { box.checked = words.includes(box.value); });
    checked(part.value ?? []);
    this.gaps.set(part.flags, {
      part, value: () => boxes.filter((box) => box.checked).map((box) => box.value), restore: checked,
    });
    return make("fieldset", { class: "kmm-flags" }, make("legend", { class: "kmm-hidden" }, this.bench.say(part.label)),
      ...boxes.map((box, index) => make("label", { class: "kmm-flag", title: this.bench.say(part.says?.[index]) || undefined }, box, make("span", {}, part.words?.[index] ?? box.value))));
  }

  toggle(part) {
    const input = make("input", { type: "checkbox", role: "switch" });
    input.checked = Boolean(part.value);
    this.gaps.set(part.toggle, { part, value: () => input.checked, restore: (on) => { input.checked = on; } });
    return make("label", { class: "kmm-flag kmm-toggle" }, input, make("span", {}, this.bench.say(part.label)));
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
      const keys = this.bench.picks(part);
      const chosen = keys.includes(input.value) ? input.value : keys[0] ?? "";
      const offers = keys.length ? keys.map((key) => [key, this.bench.name(key)]) : [["", this.bench.say(["none_held"])]];
      const [offered, now] = [this.offered.get(input), offers.join()];
      if (offered !== now) input.replaceChildren(...offers.map(([value, name]) => make("option", { value }, name)));
      this.offered.set(input, now);
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
      const taken = picked && this.bench.nodeFor(picked)?.[part.takes ?? "order"];
      if (taken !== undefined && taken !== "") input.value = taken;
    }
    this.annotate();
  }

  annotate() {
    const notes = [...this.gaps.values()].map(({ part, value }) => part.notes?.[part.choice ? part.options.indexOf(value()) : value()]).filter(Boolean);
    this.note.textContent = [...notes, this.form.hint].filter(Boolean).map((note) => this.bench.say(note)).join(" · ");
  }

  values() {
    return Object.fromEntries([...this.gaps].map(([name, { value }]) => [name, value()]));
  }

  restore(values) {
    for (const [name, value] of Object.entries(values ?? {})) {
      const gap = this.gaps.get(name);
      if (gap?.restore) gap.restore(value);
      else if (gap) gap.input.value = value;
    }
    this.annotate();
  }

  // The action that a click on a thing stands for: the thing, what follows from it, and the rest as it is set.
  forBlock(key) {
    const action = { do: this.form.does, ...this.values(), [this.form.block]: key };
    for (const { part } of this.gaps.values()) {
      if (part.follows === this.form.block) action[part.number] = this.bench.nodeFor(key)[part.takes ?? "order"];
    }
    return action;
  }
}
