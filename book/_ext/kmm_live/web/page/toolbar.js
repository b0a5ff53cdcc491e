// SPDX-License-Identifier: GPL-2.0-only
// The buttons under a code cell. They are there from the start, so that nothing moves when Python comes.

import { _ } from "../words.js";

/** Every code cell of the page, top to bottom, with its buttons: [{ el, input, pre, bar, runButton, resetButton, note }]. */
export function findCells() {
  return [...document.querySelectorAll("div.cell")]
    .filter((el) => el.querySelector(":scope .cell_input pre"))
    .map((el, index) => withToolbar(el, index));
}

function withToolbar(el, index) {
  const input = el.querySelector(".cell_input");
  const bar = document.createElement("div");
  bar.className = "kmm-cell-bar";
  bar.innerHTML = '<button type="button" class="kmm-cell-run"></button><button type="button" class="kmm-cell-reset" hidden></button>' +
    '<span class="kmm-cell-note" role="status"></span>';
  input.append(bar);
  const [runButton, resetButton, note] = bar.children;
  const number = index + 1;
  name(runButton, _("Run"), _("Run this cell (Shift+Enter)"), _("Run code cell {number}", { number }));
  name(resetButton, _("Reset"), _("Bring back the code of the book"), _("Reset code cell {number}", { number }));
  return { el, input, bar, runButton, resetButton, note, pre: input.querySelector("pre"), index };
}

function name(button, textContent, title, ariaLabel) {
  Object.assign(button, { textContent, title, ariaLabel });
}
