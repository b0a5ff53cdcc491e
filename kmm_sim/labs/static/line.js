// The panel of one line of text, or of a few.
import { make } from "./scene.js";

export class LinePanel {
  constructor(bench, key) {
    this.bench = bench;
    this.key = key;
    const title = this.title = bench.say(bench.nodes.get(key).title);
    this.line = make("pre", { class: "kmm-line", tabindex: "0", role: "group", "aria-label": title });
    this.element = make("section", { class: "kmm-panel kmm-proc" },
      make("div", { class: "kmm-head" }, make("span", { class: "kmm-name kmm-path" }, title)), this.line);
  }

  // Words that changed are marked, as one would underline them in two printouts.
  draw(_touched, animate) {
    const text = this.bench.say(this.bench.nodes.get(this.key).text);
    if (text === this.drawn && !this.marked) return;
    const before = animate && this.drawn?.split("\n").map((line) => line.split(/( +)/));
    this.drawn = text;
    this.marked = Boolean(before);
    this.line.replaceChildren(...text.split("\n").map((line, row, { length }) => make("span", {}, ...line.split(/( +)/).map((word, index) =>
      before && before[row]?.[index] !== word && word.trim() ? make("mark", {}, word) : word), row < length - 1 ? "\n" : "")));
  }

  light() {}

  text() {
    return this.bench.say(this.bench.nodes.get(this.key).text).split("\n");
  }
}
