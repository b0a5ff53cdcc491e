// The timeline: where in the run we are, what that event means, and the trace up to it.
import { make } from "./scene.js";

const ICONS = {
  to_start: "M5 4v12M16 4 8 10l8 6z", step_back: "M14 4 6 10l8 6z", play: "M6 3.5 16 10 6 16.5z",
  pause: "M7 4v12M13 4v12", step: "M6 4l8 6-8 6z", to_end: "M15 4v12M4 4l8 6-8 6z",
};

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

export class Timeline {
  constructor(bench) {
    this.bench = bench;
    const { say } = bench;
    const button = (name, act) => make("button",
      { type: "button", class: `kmm-button kmm-${name}`, "aria-label": say([name]), title: say([name]), on: { click: act } }, icon(name));
    this.back = button("step_back", () => bench.walk(bench.player.at - 1));
    this.forth = button("step", () => bench.walk(bench.player.at + 1));
    this.first = button("to_start", () => bench.jump(0));
    this.last = button("to_end", () => bench.jump(bench.player.end));
    this.play = button("play", () => bench.togglePlay());
    this.range = make("input", { type: "range", min: "0", step: "1", "aria-label": say(["scrub"]),
      on: { input: () => bench.jump(Number(this.range.value)) } });
    this.ticks = make("div", { class: "kmm-ticks", "aria-hidden": "true" });
    this.count = make("span", { class: "kmm-count" });
    this.speed = make("select", { class: "kmm-speed", "aria-label": say(["speed"]) },
      ...["0.5", "1", "2", "4"].map((speed) => make("option", { value: speed }, speed.replace("0.5", "½") + "×")));
    this.speed.value = "1";
    const text = (name, act) => make("button",
      { type: "button", class: "kmm-button kmm-word", title: say([name + ".title"]), on: { click: act } }, say([name]));
    this.undo = text("undo", () => bench.undo());
    this.redo = text("redo", () => bench.redo());
    this.reset = text("reset", () => bench.reset());
    this.buttons = make("div", { class: "kmm-buttons" }, ...this.seed(), this.undo, this.redo, this.reset);
    this.call = make("code", { class: "kmm-now" });
    this.sentence = make("span", { class: "kmm-sentence" });
    this.log = make("ol", { class: "kmm-log", tabindex: "0", "aria-label": say(["log"]) });
    this.lines = [];
    this.says = make("p", { class: "kmm-says" }, this.call, this.sentence);
    this.bar = make("div", { class: "kmm-bar" },
      make("div", { class: "kmm-buttons" }, this.first, this.back, this.play, this.forth, this.last),
      make("div", { class: "kmm-scrub" }, this.ticks, this.range), this.count, this.speed);
    this.element = make("section", { class: "kmm-timeline" }, this.says, this.bar); // stays in view, see bench.css
  }

  // A lab whose run is drawn from a seed can be given another one.
  seed() {
    const { bench } = this;
    const { seed } = bench.model.get("about")?.settings ?? {};
    if (!Number.isInteger(seed)) return [];
    const input = make("input", { type: "number", min: "0", max: "999999999", step: "1", value: seed, "aria-label": bench.say(["seed.label"]) });
    input.addEventListener("change", () => bench.act({ do: "set", settings: { seed: Number(input.value) } }));
    return [make("label", { class: "kmm-seed", title: bench.say(["seed.label"]) }, bench.say(["seed"]), input)];
  }

  draw() {
    const { player, say } = this.bench;
    const { at, end } = player;
    this.range.max = Math.max(end, 1);
    this.range.value = at;
    this.range.disabled = !end;
    const where = say(["event", at, end]);
    this.count.textContent = say(["event.short", at, end]);
    this.count.title = where;
    this.range.style.setProperty("--done", end ? `${(100 * at) / end}%` : "0%");
    for (const [button, off] of [[this.back, !at], [this.first, !at], [this.forth, at === end], [this.last, at === end],
      [this.play, !end], [this.undo, !at], [this.redo, at === end], [this.reset, !at && !this.bench.changed]]) this.enable(button, !off);
    this.drawTicks();
    const text = this.bench.sentence();
    this.call.textContent = at ? say(player.frames[player.callStart()]?.[2]) : "";
    this.sentence.textContent = text;
    this.range.setAttribute("aria-valuetext", `${where}: ${text}`);
    this.drawLog();
  }

  // A disabled button would lose the focus, and with it the reader's place.
  enable(button, on) {
    button.setAttribute("aria-disabled", String(!on));
  }

  drawPlaying(playing) {
    const name = playing ? "pause" : "play";
    this.play.replaceChildren(icon(name));
    this.play.setAttribute("aria-label", this.bench.say([name]));
    this.play.title = this.bench.say([name]);
  }

  // A mark where each call begins.
  drawTicks() {
    const { frames, end } = this.bench.player;
    if (this.ticked === frames.at(-1) && this.tickedEnd === end) return;
    [this.ticked, this.tickedEnd] = [frames.at(-1), end];
    const starts = frames.flatMap((frame, index) => (frame[2] ? [index] : []));
    const shown = starts.length > 60 ? [] : starts;
    this.ticks.replaceChildren(...shown.map((index) => make("i", { style: `left:${(100 * index) / end}%` })));
  }

  drawLog() {
    const { frames, at } = this.bench.player;
    while (this.lines.length && (this.lines.length > at || this.lines.at(-1).frame !== frames[this.lines.length - 1])) {
      this.lines.pop().elements.forEach((element) => element.remove());
    }
    const fresh = document.createDocumentFragment();
    for (let index = this.lines.length; index < at; index++) this.lines.push(this.line(frames[index], fresh));
    this.log.append(fresh);
    this.log.querySelector(".kmm-current")?.classList.remove("kmm-current");
    this.lines.at(-1)?.elements.at(-1).classList.add("kmm-current");
  }

  rest() {
    this.log.scrollTop = this.log.scrollHeight;
  }

  line(frame, parent) {
    const { phrases, say } = this.bench;
    const [event, , call] = frame;
    const elements = call ? [make("li", { class: "kmm-calls-line" }, say(call))] : [];
    elements.push(make("li", {}, phrases.told("log", event)));
    parent.append(...elements);
    return { frame, elements };
  }
}
