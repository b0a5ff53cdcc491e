// SPDX-License-Identifier: GPL-2.0-only
// A widget's model with no kernel behind it: what an anywidget module reads and listens to.

export class RecordedModel {
  #state;
  #listeners = new Map();

  /** `onSend(model, content, buffers)` hears what the widget would have told Python. */
  constructor(id, state, library, onSend) {
    this.model_id = id;
    this.#state = { ...state };
    this.widget_manager = library;
    this.onSend = onSend;
  }

  get(name) {
    return this.#state[name];
  }

  set(name, value) {
    const changes = typeof name === "object" ? name : { [name]: value };
    const changed = Object.keys(changes).filter((key) => this.#state[key] !== changes[key]);
    for (const key of changed) this.#state[key] = changes[key];
    for (const key of changed) this.trigger(`change:${key}`, this, this.#state[key], {});
    if (changed.length) this.trigger("change", this, {});
  }

  save_changes() {} // there is nobody to tell: the value is set, and the widget heard of it

  send(content, callbacks, buffers) {
    this.onSend?.(this, content, buffers);
  }

  on(names, callback) {
    for (const name of names.split(/\s+/)) this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), callback]);
  }

  off(names, callback) {
    for (const name of names?.split(/\s+/) ?? [...this.#listeners.keys()])
      this.#listeners.set(name, callback ? (this.#listeners.get(name) ?? []).filter((each) => each !== callback) : []);
  }

  trigger(name, ...details) {
    for (const callback of this.#listeners.get(name) ?? []) callback(...details);
  }
}
