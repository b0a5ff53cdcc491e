// SPDX-License-Identifier: GPL-2.0-only
// What Python prints, in portions: a loop that prints must not bury the page in messages.

const AT_ONCE = 100; // writes of a cell that go out as they come
const PAUSE = 50; // ms between the later portions
const MOST = 300_000; // characters of a cell; the rest is dropped: the page shows fewer, and says so

export class Streams {
  #name;
  #text = "";
  #writes = 0;
  #length = 0;
  #last = 0;

  constructor(publish) {
    this.publish = publish;
  }

  /** Another cell, or another message of a widget, starts to print. */
  begin() {
    this.flush();
    this.#writes = this.#length = 0;
  }

  write(name, text) {
    if (name !== this.#name) this.flush();
    this.#name = name;
    if (this.#length >= MOST) return;
    this.#length += text.length;
    this.#text += text;
    this.#writes += 1;
    if (this.#writes < AT_ONCE || this.#length >= MOST || performance.now() - this.#last > PAUSE) this.flush();
  }

  flush() {
    if (!this.#text) return;
    this.publish(this.#name, this.#text);
    this.#text = "";
    this.#last = performance.now();
  }
}
