// SPDX-License-Identifier: GPL-2.0-only
// A reader's changes to a cell, kept in the browser until they are reset. They belong to a page, a cell and the text
// that the book has there: if the book changes that text, the old changes are left aside.

export class Edits {
  #key;
  #unfinished;

  constructor(index, original) {
    this.original = original;
    this.#key = `kmm:${location.pathname.replace(/\.html$/, "")}:${index}:${hash(original)}`;
    this.#unfinished = `${this.#key}:running`;
  }

  /** The reader's text; undefined if the cell is as the book has it. */
  get text() {
    return attempt(() => localStorage.getItem(this.#key)) ?? undefined;
  }

  set text(text) {
    attempt(() => (text === this.original ? localStorage.removeItem(this.#key) : localStorage.setItem(this.#key, text)));
  }

  /** Was it running when the page was left? Only changed cells are remembered: the book's own come to an end. */
  get unfinished() {
    return attempt(() => localStorage.getItem(this.#unfinished)) === this.text && this.text !== undefined;
  }

  set unfinished(running) {
    const { text } = this;
    attempt(() => (running && text !== undefined ? localStorage.setItem(this.#unfinished, text) : localStorage.removeItem(this.#unfinished)));
  }
}

/** Storage may be full, or forbidden: then nothing is kept, and the page works on. */
function attempt(action) {
  try {
    return action();
  } catch {
    return undefined;
  }
}

/** FNV-1a: tells two texts apart, no more is asked of it. */
function hash(text) {
  let sum = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) sum = Math.imul(sum ^ text.charCodeAt(at), 0x01000193);
  return (sum >>> 0).toString(36);
}
