// SPDX-License-Identifier: GPL-2.0-only
// In place of the theme's bootstrap.js, which is a seventh of what a first visit would load and does nothing before the
// reader points at a menu or scrolls: fetch what of it a page of this book has, in menus.js, then, or when there is time.

const START = '[data-bs-toggle="dropdown"]';
const HINTS = ["pointerover", "focusin", "touchstart", "scroll"]; // with which the reader comes near it
let loaded;

function load() {
  for (const hint of HINTS) removeEventListener(hint, load);
  loaded ??= new Promise((done) => {
    const src = `${document.documentElement.dataset.content_root}_static/live/menus.js`;
    document.head.append(Object.assign(document.createElement("script"), { src, onload: done }));
  });
  return loaded;
}

for (const hint of HINTS) addEventListener(hint, load, { passive: true });
addEventListener("load", () => (window.requestIdleCallback ?? setTimeout)(load));

document.addEventListener("click", async (event) => {
  const button = event.target.closest(START);
  if (!button || window.bootstrap) return; // later ones Bootstrap hears itself
  event.preventDefault();
  await load();
  window.bootstrap.Dropdown.getOrCreateInstance(button).show();
});
