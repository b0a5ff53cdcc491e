// SPDX-License-Identifier: GPL-2.0-only
// The words of the page's scripts. They stand in them in English; in a book of another language `self.kmmWords`, which
// the build writes, has the others by the English ones.

/** A text in the language of the book, with its gaps filled: _("{done} of {all}", { done: 1, all: 2 }). */
export function _(text, gaps = {}) {
  return (self.kmmWords?.[text] ?? text).replace(/\{(\w+)\}/g, (gap, name) => gaps[name] ?? gap);
}
