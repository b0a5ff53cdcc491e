// SPDX-License-Identifier: GPL-2.0-only
// The buttons under a code cell. They are there from the start, so that nothing moves when Python comes.

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
  bar.innerHTML =
    `<button type="button" class="kmm-cell-run" title="Run this cell (Shift+Enter)" aria-label="Run code cell ${index + 1}">Run</button>` +
    `<button type="button" class="kmm-cell-reset" title="Bring back the code of the book" aria-label="Reset code cell ${index + 1}" hidden>Reset</button>` +
    '<span class="kmm-cell-note" role="status"></span>';
  input.append(bar);
  const [runButton, resetButton, note] = bar.children;
  return { el, input, bar, runButton, resetButton, note, pre: input.querySelector("pre"), index };
}
