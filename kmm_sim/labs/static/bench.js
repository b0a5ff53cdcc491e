// The bench: draws a scene, steps through the frames of a run, and hands the reader's actions to Python.
// It never simulates: all that it shows was computed by kmm_sim.
import { Phrases } from "./phrases.js";
import { Player, make, takeOver } from "./scene.js";
import { CallForm } from "./calls.js";
import { Permalink } from "./permalink.js";
import { Steady } from "./steady.js";
import { Timeline } from "./timeline.js";

const PLAY_MS = 1100; // an event every so often at speed 1: time to see it and to read the sentence
const ANSWER_MS = 260; // ... and when the events are the answer to what the reader did
const ANSWER_FRAMES = 40; // more than so many waiting, and they are shown several at a time
const PATIENCE_MS = 6000;
// Each is fetched by the first lab that has one: a page of the book need not load them all.
const PANELS = {
  cells: async () => (await import("./cells.js")).CellsPanel,
  lists: async () => (await import("./lists.js")).ListsPanel,
  line: async () => (await import("./line.js")).LinePanel,
  table: async () => (await import("./table.js")).TablePanel,
  shelves: async () => (await import("./shelves.js")).ShelvesPanel,
  flow: async () => (await import("./flow.js")).FlowPanel,
  bytes: async () => (await import("./bytes.js")).BytesPanel,
  plot: async () => (await import("./plot.js")).PlotPanel,
  map: async () => (await import("./map.js")).MapPanel,
};
const LATER = { // what the reader may come to need
  predict: async () => (await import("./predict.js")).Predict,
  link: async () => (await import("./link.js")).copyLink,
  save: async () => (await import("./export.js")).save,
};
const fetched = {}; // the panels so far, by name

const kindsOf = (scene) => [...new Set(Object.values(scene).flatMap(({ panel }) => panel ?? []))];
const isFetched = (scene) => kindsOf(scene).every((kind) => kind in fetched);
const fetchPanels = (scene) => Promise.all(kindsOf(scene).map(async (kind) => { fetched[kind] ??= await PANELS[kind](); }));

class BenchView {
  constructor(model, parent) {
    this.model = model;
    this.phrases = new Phrases(model.get("phrases"), () => this.nodes);
    this.say = (text) => this.phrases.say(text);
    this.waiting = new Map(); // actions that Python has not answered yet
    this.kept = 0; // actions handed to the page because there is no Python yet
    this.onMessage = (message) => this.hear(message);
    this.onLive = () => this.drawNotice();
    this.onScene = () => fetchPanels(this.model.get("scene")).then(() => this.build());
    model.on("msg:custom", this.onMessage);
    model.on("change:scene", this.onScene);
    document.addEventListener("kmm:live", this.onLive);
    this.root = make("div", { class: "kmm-bench" });
    this.root.addEventListener("kmm:perform", (event) => this.perform(event.detail));
    this.root.kmmView = () => this.view();
    this.root.kmmOpen = (link) => this.open(link); // for the page: "open this in the lab"
    for (const type of ["pointerover", "focusin", "pointerleave", "focusout"]) {
      this.root.addEventListener(type, (event) => this.onPoint(event));
    }
    this.permalink = new Permalink(this);
    this.predicting = {
      button: make("button", { type: "button", class: "kmm-button kmm-quiet kmm-predict", "aria-pressed": "false",
        title: this.say(["predict.title"]), on: { click: () => this.withPart(() => this.togglePredict()) } }, this.say(["predict"])),
      element: make("section", { class: "kmm-ask", "aria-label": this.say(["predict"]), hidden: "" }),
    };
    this.onPrint = ({ type }) => this.print(type === "beforeprint");
    for (const type of ["beforeprint", "afterprint"]) window.addEventListener(type, this.onPrint);
    parent.append(this.root);
    this.steady = new Steady(this);
    this.build();
    const { at, error } = model.get("about") ?? {}; // of a link that Python was given
    if (at) this.jump(at);
    if (error) this.error = ["link.error", error];
    this.drawNotice();
    this.send({ do: "hello" }, { quiet: true });
    this.permalink.follow();
  }

  close() {
    this.stop();
    clearTimeout(this.patience);
    clearTimeout(this.telling);
    this.model.off("msg:custom", this.onMessage);
    this.model.off("change:scene", this.onScene);
    document.removeEventListener("kmm:live", this.onLive);
    for (const panel of this.panels) panel.close?.();
    for (const type of ["beforeprint", "afterprint"]) window.removeEventListener(type, this.onPrint);
    this.permalink.close();
    this.steady.close();
  }

  get nodes() {
    return this.player.nodes;
  }

  // ---- Drawing

  build() {
    this.player = new Player(this.model.get("scene"), this.model.get("frames"));
    this.changed = false;
    this.root.dataset.lab = this.model.get("about")?.name ?? "";
    const stage = this.nodes.get("");
    this.tones = Object.fromEntries((stage.kinds ?? []).map(({ letter, tone }) => [letter, tone]));
    this.kindTexts = Object.fromEntries((stage.kinds ?? []).map(({ letter, says }) => [letter, this.say(says)]));
    for (const panel of this.panels ?? []) panel.close?.();
    this.panels = stage.panels.map((key) => new fetched[this.nodes.get(key).panel](this, key));
    this.panelOf = new Map(this.panels.map((panel) => [panel.key, panel]));
    this.tip = make("div", { class: "kmm-tip", "aria-hidden": "true" }); // what is pointed at, in a sentence
    this.forms = (stage.forms ?? []).map((form) => new CallForm(this, form));
    this.timeline = new Timeline(this);
    this.notice = make("p", { class: "kmm-notice", role: "status" });
    this.after = make("div", { class: "kmm-after" }, this.notice, this.timeline.buttons);
    this.live = make("p", { class: "kmm-hidden", role: "status" });
    this.text = make("pre", { tabindex: "0" });
    this.details = make("details", { class: "kmm-text", on: { toggle: () => this.drawText() } },
      make("summary", {}, this.say(["as_text"])), this.text);
    this.extras = make("div", { class: "kmm-extras" }, ...[["link", () => this.copyLink()],
      ["svg", () => this.save("svg")], ["json", () => this.save("json")]].map(([name, act]) => make("button",
      { type: "button", class: "kmm-quiet", title: this.say([`${name}.title`]), on: { click: () => this.withPart(act) } }, this.say([name]))));
    this.root.replaceChildren(this.figure(stage), this.tip);
    this.redraw(new Set(this.nodes.keys()), false);
    this.steady.measure();
    this.drawNotice();
  }

  figure(stage) {
    const title = this.say(stage.title);
    const laid = new Set((stage.layout ?? []).flat());
    const lines = this.panels.filter(({ key }) => this.kind(key) === "line" && !laid.has(key));
    lines.slice(1).forEach((line, index) => line.element.classList.toggle("kmm-more", line.title === lines[index].title));
    const trace = make("section", { class: "kmm-panel kmm-trace" },
      make("div", { class: "kmm-head" }, make("span", { class: "kmm-name" }, this.say(["log"]))), this.timeline.log);
    const rows = this.rows(stage, lines);
    const above = stage.above ?? rows.length;
    const below = rows.slice(above);
    return make("figure", { class: "kmm-figure", role: stage.caption ? undefined : "group", "aria-label": title },
      make("div", { class: "kmm-top" }, make("div", { class: "kmm-title" }, title), this.predicting.button), this.predicting.element,
      make("div", { class: "kmm-stage" }, ...rows.slice(0, above)), this.timeline.element,
      make("section", { class: "kmm-calls" }, ...this.forms.map((form) => form.element), this.after),
      ...(below.length ? [make("div", { class: "kmm-stage kmm-below" }, ...below)] : []),
      make("div", { class: "kmm-foot" }, trace, ...lines.map((line) => line.element)),
      make("div", { class: "kmm-last" }, this.details, this.extras), this.live,
      ...(stage.caption ? [make("figcaption", {}, this.say(stage.caption))] : []));
  }

  // Panels side by side as the stage's layout has them; else each in a row of its own, but cells with their lists.
  rows(stage, lines) {
    const layout = [...(stage.layout ?? [])];
    for (const { key } of this.panels) {
      if (layout.flat().includes(key) || lines.includes(this.panelOf.get(key))) continue;
      const cells = layout.at(-1)?.length === 1 && layout.at(-1)[0];
      if (cells && this.kind(key) === "lists" && this.kind(cells) === "cells") {
        layout.splice(-1, 1, [cells, key]);
      } else layout.push([key]);
    }
    return layout.map((keys) => {
      const shares = [...new Set(keys)].map((key) => [key, keys.filter((each) => each === key).length]);
      const lists = this.kind(keys[0]) === "cells" && shares.length === 2 && keys.length === 2;
      const columns = lists ? "minmax(0, 1.75fr) minmax(0, 1fr)" : shares.map(([, share]) => `minmax(0, ${share}fr)`).join(" ");
      return make("div", { class: "kmm-side", style: `--beside: ${columns}` }, ...shares.map(([key]) => this.panelOf.get(key).element));
    });
  }

  kind(key) {
    return this.nodes.get(key).panel;
  }

  redraw(touched, animate) {
    this.shownEnd = this.player.end;
    this.drawMoment(touched, animate && !this.still());
    this.steady.grow();
    if (this.lit) this.light(this.nodeFor(this.lit) ? this.lit : null);
    this.drawText();
    clearTimeout(this.telling);
    this.telling = setTimeout(() => this.tell(), 500);
  }

  drawMoment(touched, animate) {
    for (const panel of this.panels) panel.draw(touched, animate);
    for (const form of this.forms) form.draw();
    this.timeline.draw();
    this.drawNotice();
    for (const each of [...this.panels, this.timeline]) each.rest?.(); // what must be measured, when all is drawn
  }

  still() {
    return matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  // What a screen reader is told, once things have come to rest.
  tell() {
    const { at, end } = this.player;
    const text = at ? `${this.say(["event", at, end])}: ${this.sentence()}` : "";
    if (this.live.textContent !== text) this.live.textContent = text;
  }

  sentence() {
    const { at, end, frames } = this.player;
    if (!at) return this.say(end > 1 ? ["ready", end] : [end ? "ready.one" : "ready.none"]);
    return this.phrases.told("says", frames[at - 1][0]);
  }

  drawText() {
    if (!this.details.open) return;
    this.text.textContent = this.panels.flatMap((panel) => {
      const { title, note } = this.nodes.get(panel.key);
      return [[this.say(title), this.say(note)].filter(Boolean).join(", ") + ":", ...panel.text().map((line) => "  " + line)];
    }).join("\n");
  }

  blockText(key) {
    const { order, state = "free", kind = "" } = this.nodes.get(key);
    const at = Number(key.slice(key.indexOf(":") + 1));
    const name = `block.${state}` + (order ? "" : ".one");
    return this.phrases.named(name, { at, order, last: at + 2 ** order - 1, kind: this.kindTexts[kind] ?? kind });
  }

  // What a thing is called where it is one of many, and what is said of it where it stands.
  name(key) {
    return this.panelFor(key)?.name?.(key) ?? key;
  }

  describe(key) {
    const text = this.panelFor(key)?.says(key) ?? "";
    const form = this.formFor(key);
    return form ? this.say(["press", text, this.say(form.form.button)]) : text;
  }

  // The panel of a thing, and its node: "s:64/2" is a slot of the box "s:64" in the panel "s".
  panelFor(key) {
    return this.panelOf.get(key.split(":")[0]);
  }

  nodeFor(key) {
    return this.nodes.get(key) ?? this.nodes.get(key.split("/")[0]);
  }

  tone(kind) {
    return this.tones[kind] ?? "";
  }

  kindText(kind) {
    return this.kindTexts[kind] ?? kind;
  }

  // The things that a gap of a call offers.
  picks(part) {
    return part.panels.flatMap((panel) => this.panelOf.get(panel)?.picks?.(part) ?? this.blocksOf(panel, part.state));
  }

  blocksOf(panel, state) {
    const keys = [];
    for (const [key, node] of this.nodes) {
      if (key.startsWith(panel + ":") && (!state || (node.state ?? "free") === state)) keys.push(key);
    }
    return keys.sort((a, b) => a.slice(panel.length + 1) - b.slice(panel.length + 1) || 0);
  }

  // ---- Pointing at a block, anywhere

  onPoint(event) {
    const thing = (element) => element.closest?.("[data-key],[data-ref]");
    const away = event.type === "pointerleave" || event.type === "focusout";
    const focused = this.root.contains(document.activeElement) && thing(document.activeElement); // it stays lit
    const target = (!away && thing(event.target)) || focused;
    this.light(target ? target.dataset.key ?? target.dataset.ref : null);
  }

  // A thing lights up, and with it what it refers to and what refers to it.
  light(key) {
    this.lit = key;
    const keys = new Set(key ? [key] : []);
    for (const [other, { refs, slots }] of key ? this.nodes : []) {
      if (refs) for (const [index, ref] of [refs].flat().entries()) {
        const from = slots ? `${other}/${index}` : other;
        if (from === key) keys.add(ref);
        if (ref === key) keys.add(from);
      }
    }
    for (const panel of this.panels) panel.light(keys, key);
    this.drawTip(key);
  }

  drawTip(key) {
    const text = key ? this.panelFor(key)?.tip?.(key) : "";
    this.tip.textContent = text ?? "";
    const target = text && this.root.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (!target) return;
    const [at, around] = [target.getBoundingClientRect(), this.root.getBoundingClientRect()];
    const left = Math.max(4, Math.min(at.left - around.left, around.width - this.tip.offsetWidth - 4));
    Object.assign(this.tip.style, { left: `${left}px`, top: `${at.bottom - around.top + 4}px` });
  }

  reveal(key) {
    const panel = this.panels.find((each) => each.blocks?.has(key));
    panel?.rove(key, true);
    this.light(key);
  }

  // The call that a click on a thing makes: the first that has a gap for it.
  formFor(key) {
    const { state = "free", slots } = this.nodeFor(key) ?? {};
    const [word, slot] = [key.split(":")[0], key.includes("/")];
    return this.forms?.find(({ form }) => form.block && form.parts.some((part) =>
      part.pick === form.block && part.panels.includes(word) && (part.of === "slots") === slot &&
      (slot ? (!part.state || part.state === state) && slots[key.split("/")[1]] : part.of === "cells" || part.state === state)));
  }

  press(key) {
    const form = this.formFor(key);
    if (form) this.act(form.forBlock(key));
  }

  // ---- The timeline

  jump(at) {
    this.stop();
    this.show(at, false);
  }

  walk(at) {
    this.stop();
    this.look();
    this.show(at, true);
  }

  // The timeline is in sight wherever the lab is; whoever uses it wants to see the picture.
  look() {
    this.panels[0]?.element.scrollIntoView({ block: "nearest" });
  }

  show(at, animate) {
    const wanted = Math.max(0, Math.min(at, this.player.end));
    const to = this.predict?.allow(wanted) ?? wanted;
    this.remarked = undefined;
    this.redraw(this.player.go(to), animate);
    this.drawNotice();
  }

  togglePlay() {
    if (this.timer) return this.stop();
    if (!this.player.end) return undefined;
    if (this.player.at === this.player.end) this.show(0, false);
    this.timeline.drawPlaying(true);
    this.look();
    return this.tick(() => PLAY_MS / Number(this.timeline.speed.value));
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = this.goal = undefined;
    this.answering = false;
    this.timeline?.drawPlaying(false);
  }

  tick(pause) {
    const before = this.player.at;
    const backlog = (this.goal ?? this.player.end) - before;
    if (backlog <= 0) return this.stop();
    const stride = this.answering ? Math.ceil(backlog / ANSWER_FRAMES) : 1;
    this.show(this.player.at + stride, stride === 1);
    this.timer = setTimeout(() => this.tick(pause), pause(backlog));
    if ([this.player.end, this.goal, before].includes(this.player.at)) this.stop();
    return undefined;
  }

  // The events that answer what the reader did: one after the other, quickly, to the end.
  playAnswer() {
    const waiting = Boolean(this.timer) && this.answering;
    if (!waiting) this.playTo();
  }

  playTo(goal) {
    this.stop();
    if (this.still()) {
      this.show(goal ?? this.player.end, false);
      return;
    }
    this.goal = goal;
    this.answering = true;
    this.tick((backlog) => Math.max(40, Math.min(ANSWER_MS, 1800 / backlog)));
  }

  undo() {
    if (this.player.at) this.jump(this.player.callStart());
  }

  // What was undone stands until another call takes its place.
  redo() {
    this.jump(this.player.callEnd(this.player.at + 1));
  }

  // Paper shows how it ended.
  print(begins) {
    if (begins) {
      this.printedAt = this.player.at;
      this.redraw(this.player.go(this.player.end), false);
    } else if (this.printedAt !== undefined) {
      this.redraw(this.player.go(this.printedAt), false);
      this.printedAt = undefined;
    }
  }

  reset() {
    this.jump(0);
    if (this.changed) this.act({ do: "reset" });
  }

  // ---- Python

  // "kernel": a notebook. "live", "recorded", "starting", "failed": a page of the book; see book/_ext.
  python() {
    const state = document.documentElement.dataset.live;
    if (state === undefined) return "kernel";
    return state === "yes" && !this.answered ? "starting" : state;
  }

  act(action) {
    // "at" only for a moment before the last one: where Python runs in the page, a null is not its None.
    const request = ["open", "set"].includes(action.do) || this.isNow() ? action : { ...action, at: this.player.at };
    this.error = this.remarked = undefined;
    if (!this.answering) this.stop();
    const state = this.python();
    if (state === "kernel" || state === "yes") {
      if (!this.repeats(request)) this.send(request, {});
    } else {
      this.kept += 1;
      this.linked = action.do === "open";
      this.root.dispatchEvent(new CustomEvent("kmm:act", { bubbles: true, detail: { action: request } }));
    }
    this.drawNotice();
  }

  // Whether an action is meant for the last moment there will be, rather than the one that is shown.
  isNow() {
    if (this.waiting.size) return [...this.waiting.values()].at(-1).do !== "reset";
    return Boolean(this.answering || this.kept) || this.player.at === this.player.end;
  }

  // To free a block that is being freed is a slip of the finger, not a double free.
  repeats(request) {
    return request.do === "free" && [...this.waiting.values()].some((other) =>
      other.do === "free" && Object.keys(request).every((name) => name === "at" || other[name] === request[name]));
  }

  send(action, { quiet }) {
    const id = `${Date.now()}.${Math.random()}`;
    if (!quiet) {
      this.waiting.set(id, action);
      clearTimeout(this.patience);
      this.late = false;
      this.patience = setTimeout(() => this.giveUp(), PATIENCE_MS);
    }
    try {
      this.model.send({ id, action });
    } catch {
      if (!quiet) this.giveUp();
    }
  }

  giveUp() {
    if (!this.waiting.size) return;
    this.late = true;
    this.waiting.clear();
    this.drawNotice();
  }

  // An answer: new frames, or the reason why there are none. A message without "done" comes unasked.
  hear(message) {
    if (!("keep" in message) && !("done" in message)) return undefined;
    if (message.scene && !isFetched(message.scene)) return fetchPanels(message.scene).then(() => this.hear(message));
    this.answered = true;
    this.late = false;
    const mine = this.waiting.get(message.done);
    this.waiting.delete(message.done);
    if (!this.waiting.size) clearTimeout(this.patience);
    if ("scene" in message) this.showAnew(message);
    else if ("keep" in message) this.receive(message, mine);
    if (message.error && mine) this.error = [mine.do === "open" ? "link.error" : "error", message.error];
    this.drawNotice();
    return undefined;
  }

  receive(message, mine) {
    const { player } = this;
    const news = message.frames.length > 0;
    const follow = news && (mine ? mine.do !== "reset" : player.at === this.shownEnd);
    if (player.at > message.keep) this.redraw(player.go(message.keep), false);
    takeOver(player.frames, message);
    this.predict?.forget(message.keep);
    if (follow && player.at < message.keep && !this.answering) this.redraw(player.go(message.keep), false);
    this.changed = mine?.do === "reset" ? false : this.changed || news;
    if (follow) this.playAnswer();
    else this.redraw(new Set(), false);
  }

  // Another run altogether, of a link or of another seed.
  showAnew(message) {
    const { speed, focus } = this.view();
    this.stop();
    takeOverAll(this.model, message);
    this.build();
    this.changed = message.frames.some((frame) => frame[3]);
    this.predict?.begin(message.at);
    this.restore({ at: message.at, speed, focus });
  }

  // Open a link, as kmm_sim/labs/link.py reads it.
  open(link) {
    this.act({ do: "open", link });
  }

  // What takes a part of the script that was not needed so far.
  async withPart(act) {
    try {
      await act();
    } catch (error) {
      this.remark(["part.failed"]);
      throw error;
    }
  }

  async togglePredict() {
    const Predict = await LATER.predict();
    this.predict ??= new Predict(this);
    this.predict.toggle();
  }

  async copyLink() {
    const copyLink = await LATER.link();
    await copyLink(this);
  }

  async save(ending) {
    const save = await LATER.save();
    save(this, ending);
  }

  remark(text) {
    this.remarked = text;
    this.drawNotice();
  }

  // What the page tells a bench that was drawn anew, now that there is Python: where the reader was,
  // and what the reader had asked for.
  perform({ actions = [], view = {} }) {
    this.answered = true;
    this.restore(view);
    for (const action of actions) this.send(action, {});
    this.drawNotice();
  }

  view() {
    const forms = this.forms.map((form) => form.values());
    const focus = this.root.contains(document.activeElement) ? this.path(document.activeElement) : null;
    return { at: this.player.at, speed: this.timeline.speed.value, forms, focus, text: this.details.open };
  }

  restore(view) {
    if (view.at !== undefined) this.jump(view.at);
    if (view.speed) this.timeline.speed.value = view.speed;
    view.forms?.forEach((values, index) => this.forms[index]?.restore(values));
    if (view.text) this.details.open = true;
    if (view.focus) this.root.querySelector(view.focus)?.focus({ preventScroll: true });
  }

  // Where an element is, such that the same place is found in a bench drawn anew.
  path(element) {
    const steps = [];
    for (let each = element; each !== this.root; each = each.parentElement) {
      steps.unshift(`:nth-child(${[...each.parentElement.children].indexOf(each) + 1})`);
    }
    return steps.length ? `:scope > ${steps.join(" > ")}` : null;
  }

  // One quiet line: what went wrong, what is waited for, or what one can do.
  drawNotice() {
    const { at, end } = this.player;
    const state = this.python();
    const [kind, text] =
      this.error ? ["error", this.error]
      : this.late ? ["error", ["no_answer"]]
      : this.kept && state === "failed" ? ["error", ["failed"]]
      : this.remarked ? ["", this.remarked]
      : this.kept && this.linked ? ["wait", ["link.waits"]]
      : this.kept ? ["wait", this.kept > 1 ? ["starting.many", this.kept] : ["starting"]]
      : at < end && at && !this.timer ? ["", ["past", at, end]]
      : ["", ""];
    this.notice.dataset.kind = kind;
    const words = this.say(text);
    if (this.notice.textContent !== words) this.notice.textContent = words;
  }
}

// All of a run in place of another: every view of the widget does it to the same scene and frames.
function takeOverAll(model, message) {
  for (const name of ["scene", "about"]) {
    const mine = model.get(name);
    for (const key of Object.keys(mine)) delete mine[key];
    Object.assign(mine, message[name]);
  }
  takeOver(model.get("frames"), message);
}

export default {
  // Once for a widget, whatever the number of its views: what comes late is kept for the views to come.
  initialize({ model }) {
    const keep = (message) => {
      Object.assign(model.get("phrases"), message.phrases);
      if ("scene" in message) takeOverAll(model, message);
      else if ("keep" in message) takeOver(model.get("frames"), message);
    };
    model.on("msg:custom", keep);
    return () => model.off("msg:custom", keep);
  },
  async render({ model, el }) {
    await fetchPanels(model.get("scene"));
    el.classList.add("kmm-lab");
    const view = new BenchView(model, el);
    globalThis.requestIdleCallback?.(() => Object.values(LATER).forEach((part) => part().catch(() => {})));
    return () => view.close();
  },
};
