// The panel of a flow: the stages of a slow path, the levels of a page-table walk.
import { head, make, same } from "./scene.js";
import { Roving } from "./roving.js";

const STEP_SIGNS = { todo: "○", now: "▶", done: "✓", failed: "✕", skipped: "–" };

export class FlowPanel {
  constructor(bench, key) {
    this.bench = bench;
    this.key = key;
    this.steps = new Map();
    this.head = head(bench, key);
    this.list = make("ol", { class: "kmm-flow", "data-across": bench.nodes.get(key).across ? "1" : undefined });
    this.element = make("section", { class: "kmm-panel" }, this.head.element, this.list);
    this.roving = new Roving(this.list);
    this.list.addEventListener("click", (event) => {
      const stop = event.target.closest("[data-stop]");
      if (stop) bench.press(stop.dataset.stop);
    });
  }

  draw(touched, animate) {
    const { steps = [] } = this.bench.nodes.get(this.key);
    if (touched.has(this.key)) this.head.draw();
    for (const key of [...this.steps.keys()]) if (!steps.includes(key)) this.steps.delete(key);
    for (const key of steps) {
      if (!this.steps.has(key)) this.steps.set(key, this.step(key));
      else if (!touched.has(key)) continue;
      this.fill(key, animate);
    }
    same(this.list, steps.map((key) => this.steps.get(key).element));
    this.roving.settle();
  }

  step(key) {
    const [sign, value, says] = [make("span", { class: "kmm-sign", "aria-hidden": "true" }), make("span", { class: "kmm-value" }), make("span", { class: "kmm-step-says" })];
    const label = make("button", { type: "button", class: "kmm-plain", "data-stop": key, tabindex: "-1" });
    return { sign, label, value, says, element: make("li", { class: "kmm-flow-step", "data-key": key }, sign, label, value, says) };
  }

  fill(key, animate) {
    const { label, state = "todo", value, says, refs } = this.bench.nodes.get(key);
    const step = this.steps.get(key);
    step.element.classList.toggle("kmm-fresh", animate && step.element.dataset.state !== state);
    step.element.dataset.state = state;
    step.sign.textContent = STEP_SIGNS[state] ?? "";
    step.label.textContent = this.bench.say(label);
    step.label.setAttribute("aria-label", this.bench.describe(key));
    if (refs) step.element.dataset.ref = refs;
    else delete step.element.dataset.ref;
    step.value.textContent = this.bench.say(value);
    step.says.textContent = this.bench.say(says);
  }

  name(key) {
    return this.bench.say(this.bench.nodes.get(key).label);
  }

  says(key) {
    const { state = "todo", value, says } = this.bench.nodes.get(key);
    return [this.name(key), this.bench.say([`step.${state}`]), this.bench.say(value), this.bench.say(says)].filter(Boolean).join(", ");
  }

  text() {
    return (this.bench.nodes.get(this.key).steps ?? []).map((key) => this.says(key));
  }

  light(keys) {
    for (const [key, { element }] of this.steps) element.classList.toggle("kmm-lit", keys.has(key));
  }
}
