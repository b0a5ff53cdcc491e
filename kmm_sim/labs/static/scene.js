// The scene at one moment of the run. It goes forward by the patches that Python sent, and back by
// their inverses, which it writes down on the way; kmm_sim/labs/scene.py says what a patch is. Where
// Python runs in the page, its None may come as undefined instead of null.

function changed(node, changes, back) {
  const result = { ...node };
  for (const [name, value] of Object.entries(changes)) {
    if (name.endsWith("~")) {
      const list = [...(node[name.slice(0, -1)] ?? [])];
      const [index, gone, ...come] = value;
      back[name] = [index, come.length, ...list.splice(index, gone, ...come)];
      if (list.length) result[name.slice(0, -1)] = list;
      else delete result[name.slice(0, -1)];
    } else {
      back[name] = node[name] ?? null;
      if (value == null) delete result[name];
      else result[name] = value;
    }
  }
  return result;
}

function apply(nodes, patch) {
  const inverse = {};
  for (const [key, changes] of Object.entries(patch)) {
    const node = nodes.get(key);
    if (changes == null) {
      inverse[key] = node;
      nodes.delete(key);
    } else if (!node) {
      inverse[key] = null;
      nodes.set(key, changes);
    } else {
      nodes.set(key, changed(node, changes, (inverse[key] = {})));
    }
  }
  return inverse;
}

export class Player {
  constructor(scene, frames) {
    this.nodes = new Map(Object.entries(scene));
    this.frames = frames;
    this.undo = [];
  }

  get at() {
    return this.undo.length;
  }

  get end() {
    return this.frames.length;
  }

  // Go to the moment after `at` events; return the keys of what may look different now.
  go(at) {
    const touched = new Set();
    const pass = (patch) => {
      for (const key in patch) touched.add(key);
      return apply(this.nodes, patch);
    };
    while (this.at > at) pass(this.undo.pop());
    while (this.at < at) this.undo.push(pass(this.frames[this.at][1]));
    return touched;
  }

  // The index of the first frame of the call that was going on at this moment.
  callStart(at = this.at) {
    for (let index = Math.min(at, this.end) - 1; index >= 0; index--) {
      if (this.frames[index][2]) return index;
    }
    return 0;
  }

  // How many events there are at the end of the call that the event of this number is part of.
  callEnd(number) {
    for (let index = number; index < this.end; index++) if (this.frames[index][2]) return index;
    return this.end;
  }
}

// Frames from Python: `keep` earlier ones still stand. To do so twice is to do so once, because every
// view of a widget does it to the same frames.
export function takeOver(frames, message) {
  frames.length = Math.min(frames.length, message.keep);
  for (const frame of message.frames) frames.push(frame);
}

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// Let `parent` have these children, in this order; those that are there already keep the focus.
export function same(parent, children) {
  const wanted = new Set(children);
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove();
  children.forEach((child, index) => parent.childNodes[index] !== child && parent.insertBefore(child, parent.childNodes[index]));
}

// The title and the note of a panel, which may change.
export function head(bench, key) {
  const [name, note] = [make("span", { class: "kmm-name" }), make("span", { class: "kmm-note" })];
  const draw = () => {
    const node = bench.nodes.get(key);
    [name.textContent, note.textContent] = [bench.say(node.title), bench.say(node.note)];
  };
  draw();
  return { element: make("div", { class: "kmm-head" }, name, note), draw };
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
