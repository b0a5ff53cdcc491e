// Predict, then reveal: nothing new is shown before the reader has said what it will be.
// A call may have a question of its own, which Python sent with its first frame; where it has none,
// the reader is asked which of several events comes next.
import { make } from "./scene.js";

const OPTIONS = 3; // of a question that is made here

// The same question in the same run always has its answers in the same order.
function mixed(items, seed) {
  const key = (item) => [...`${seed}${item}`].reduce((sum, sign) => (Math.imul(sum, 31) + sign.charCodeAt(0)) >>> 0, 7);
  return items.map((item) => [key(String(item)), item]).sort(([a], [b]) => a - b).map(([, item]) => item);
}

export class Predict {
  constructor(bench) {
    this.bench = bench;
    this.on = false;
    Object.assign(this, bench.predicting); // its button, and where it asks
    bench.root.addEventListener("keydown", (event) => this.onKey(event));
  }

  toggle() {
    const { player } = this.bench;
    if (!this.on) this.bench.jump(player.at === player.end ? 0 : player.at);
    this.on = !this.on;
    this.button.setAttribute("aria-pressed", String(this.on));
    this.element.hidden = !this.on;
    this.question = this.verdict = undefined;
    this.right = this.asked = 0;
    if (!this.on) return;
    this.seen = player.at;
    this.askNext();
    this.look();
  }

  // As the bench does with the picture: the timeline may cover what is asked and what is said to the answer.
  look() {
    this.element.scrollIntoView({ block: "nearest" });
  }

  // Another run: what there was to see is seen.
  begin(at) {
    this.question = this.verdict = undefined;
    this.seen = at;
    if (this.on) this.draw();
  }

  // How far the reader may look, of what is wanted. Where that is not all of it, there is a question.
  allow(to) {
    if (!this.on || to <= this.seen) return to;
    if (!this.question) this.askNext();
    return Math.min(to, this.seen);
  }

  // Frames from `keep` on are others now.
  forget(keep) {
    if (!this.on) return;
    if (this.seen >= keep || this.question?.to > keep) this.question = this.verdict = undefined;
    this.seen = Math.min(this.seen, keep);
    this.draw();
  }

  askNext() {
    this.question = this.next();
    this.verdict = undefined;
    this.draw();
  }

  next() {
    const { player, say } = this.bench;
    const frame = player.frames[this.seen];
    if (!frame) return undefined;
    if (!frame[4] && !this.others(this.sentence(frame)).length) return this.skip();
    const call = frame[2] ? say(["predict.call", say(frame[2])]) : "";
    if (frame[4]) {
      const [text, options, answer, hides] = frame[4];
      return { call: hides ? "" : call, text: say(text), options: options.map(say), answer, to: player.callEnd(this.seen + 1), code: true };
    }
    const truth = this.sentence(frame);
    const options = mixed([truth, ...this.others(truth)], this.seen);
    return { call, text: say(["ask.next"]), options, answer: options.indexOf(truth), to: this.seen + 1 };
  }

  // An event that nothing in the run can be mistaken for is shown without a question.
  skip() {
    this.seen += 1;
    return this.next();
  }

  sentence([[name, ...gaps]]) {
    return this.bench.phrases.told("says", [name, ...gaps]);
  }

  // Sentences of other calls of the run: near by, of other kinds first. Those of the same call come true.
  others(truth) {
    const { frames } = this.bench.player;
    const just = this.seen ? this.sentence(frames[this.seen - 1]) : "";
    const end = this.bench.player.callEnd(this.seen + 1);
    const begin = frames.findLastIndex((frame, index) => index <= this.seen && frame[2]);
    const near = frames.map((frame, index) => [Math.abs(index - this.seen), frame, index])
      .filter(([, , index]) => index < begin || index >= end).sort(([a], [b]) => a - b);
    const kinds = new Map();
    for (const [, frame] of near) {
      const text = this.sentence(frame);
      if (text !== truth && text !== just) kinds.set(frame[0][0], [...(kinds.get(frame[0][0]) ?? []), text]);
    }
    const wrong = new Set([...kinds.values()].map(([first]) => first));
    for (const texts of kinds.values()) for (const text of texts) wrong.add(text);
    return [...wrong].slice(0, OPTIONS - 1);
  }

  answer(index) {
    const { question } = this;
    if (!question) return;
    const right = index === question.answer;
    this.asked += 1;
    this.right += right ? 1 : 0;
    this.verdict = { right, question, text: right ? ["predict.right"] : ["predict.wrong", question.options[question.answer]] };
    this.question = undefined;
    this.seen = question.to;
    this.draw();
    this.element.querySelector("button")?.focus({ preventScroll: true });
    this.look();
    this.bench.playTo(question.to);
  }

  onKey(event) {
    if (!this.on || !this.question || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select")) return;
    const index = Number(event.key) - 1;
    if (!(index in this.question.options)) return;
    event.preventDefault();
    this.answer(index);
  }

  draw() {
    const { say, player } = this.bench;
    const { question, verdict } = this;
    const score = this.asked ? say(["predict.score", this.right, this.asked]) : "";
    const asked = question ?? verdict?.question;
    const head = make("p", { class: "kmm-question", role: verdict ? undefined : "status" },
      ...(asked?.call ? [make("code", {}, asked.call), " "] : []), asked ? asked.text : say(["predict.done"]));
    const said = verdict ? [make("p", { class: "kmm-verdict", role: "status", "data-right": String(verdict.right) }, say(verdict.text))] : [];
    const buttons = question
      ? question.options.map((option, index) => make("button",
        { type: "button", class: "kmm-option", on: { click: () => this.answer(index) } }, make("span", { class: "kmm-digit", "aria-hidden": "true" }, String(index + 1)), option))
      : verdict && this.seen < player.end
        ? [make("button", { type: "button", class: "kmm-option kmm-go", on: { click: () => this.goOn() } }, say(["predict.next"]))] : [];
    this.element.replaceChildren(head, ...said, make("div", { class: "kmm-options", "data-short": String(Boolean(question?.code)) }, ...buttons),
      make("span", { class: "kmm-score" }, score));
  }

  goOn() {
    this.bench.jump(this.seen);
    this.askNext();
    this.element.querySelector("button")?.focus({ preventScroll: true });
    this.look();
  }
}
