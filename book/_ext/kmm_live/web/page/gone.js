// SPDX-License-Identifier: GPL-2.0-only
// A drawing has more than its elements: it listens to the window, and its model knows it. All of it goes with them.

/** `cleanup` is called when the element that holds a drawing is taken away. */
export function whenGone(place, cleanup) {
  place.kmmGone = cleanup; // on the element, since two bundles use this module
  place.classList.add("kmm-drawn");
}

/** Take elements out of the page, with the drawings in them. */
export function takeAway(elements) {
  for (const el of [...elements]) {
    for (const place of [el, ...el.querySelectorAll(".kmm-drawn")]) place.kmmGone?.();
    el.remove();
  }
}
