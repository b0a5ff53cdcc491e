// SPDX-License-Identifier: GPL-2.0-only
// What the reader did to a lab while Python was not there yet. It is done when the lab is, in the same order.

export class Pending {
  wanted; // the index of a cell whose Run button was pressed before Python was there
  #actions = []; // { cell, nth, action }

  add(target, action) {
    const cell = target.closest("div.cell");
    this.#actions.push({ cell, nth: benches(cell).indexOf(target.closest(".kmm-bench")), action });
  }

  /** The actions on the nth lab of a cell, which are then no longer pending. */
  take(cell, nth) {
    const mine = this.#actions.filter((each) => each.cell === cell && each.nth === nth);
    this.#actions = this.#actions.filter((each) => !mine.includes(each));
    return mine.map((each) => each.action);
  }
}

export const benches = (el) => [...(el?.querySelectorAll(".kmm-bench") ?? [])];
