// SPDX-License-Identifier: GPL-2.0-only
// What the theme's own bootstrap.js does, with those parts of Bootstrap that a page of this book has: menus, the names
// of buttons, the mark at the section that is read.

import Dropdown from "bootstrap/js/src/dropdown.js"; // hears clicks by itself
import ScrollSpy from "bootstrap/js/src/scrollspy.js";
import Tooltip from "bootstrap/js/src/tooltip.js";

const DELAY = { show: 500, hide: 100 }; // ms, as in the theme

window.bootstrap = { Dropdown, ScrollSpy, Tooltip };

for (const part of document.querySelectorAll('[data-bs-spy="scroll"]')) ScrollSpy.getOrCreateInstance(part);
for (const button of document.querySelectorAll('[data-bs-toggle="tooltip"]')) {
  const tooltip = new Tooltip(button, { delay: DELAY });
  if (button.matches(":hover, :focus-visible")) tooltip.show();
}
offerTheTop(document.getElementById("pst-back-to-top"), document.querySelector(".bd-header"));

/** Is this in front of the line of a lab that is always in sight? */
function coversTimeline(element) {
  const { x, y, width, height } = element.getBoundingClientRect();
  return document.elementsFromPoint(x + width / 2, y + height / 2).some((each) => each.closest(".kmm-timeline"));
}

/** Show the button that leads to the top while the reader scrolls upwards, below the header. */
function offerTheTop(button, header) {
  if (!button || !header) return;
  const edge = header.getBoundingClientRect().bottom;
  let last = scrollY;
  button.addEventListener("click", () => scrollTo({ top: 0 }));
  addEventListener("scroll", () => {
    button.style.display = last > scrollY && scrollY > edge ? "block" : "none";
    last = scrollY;
    if (coversTimeline(button)) button.style.display = "none";
  }, { passive: true });
}
