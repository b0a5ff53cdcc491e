// SPDX-License-Identifier: GPL-2.0-only
// A result in the richest form the page can show.

import { marked } from "marked";
import { _ } from "../words.js";
import { takeAway, whenGone } from "../page/gone.js";
import { block } from "./output.js";

const WIDGET = "application/vnd.jupyter.widget-view+json";
const RENDERERS = [
  [WIDGET, showWidget],
  ["text/html", (text, place) => (place.innerHTML = `<div class="output text_html">${text}</div>`)],
  ["image/svg+xml", (text, place) => (place.innerHTML = text)],
  ["image/png", (data, place) => place.append(picture("image/png", data))],
  ["image/jpeg", (data, place) => place.append(picture("image/jpeg", data))],
  ["text/markdown", showMarkdown],
  ["application/json", (value, place) => place.append(block(JSON.stringify(value, null, 2), "text_plain"))],
  ["text/latex", (text, place) => place.append(block(text, "text_plain"))],
  ["text/plain", (text, place) => place.append(block(text, "text_plain"))],
];

/** Fill `place` with the best of these forms. */
export async function renderMime(data, place, manager) {
  takeAway(place.children);
  for (const [type, render] of RENDERERS) {
    if (!(type in data)) continue;
    const value = Array.isArray(data[type]) ? data[type].join("") : data[type];
    if (type === WIDGET && !manager.has_model(value.model_id)) continue; // closed already: its text is left
    await render(value, place, manager);
    return;
  }
}

const SEAM = /(?<=\w[./_])(?=[^\W_]{2})/; // where names in tables may break: as in mend.py

function showMarkdown(text, place) {
  place.innerHTML = marked.parse(text);
  for (const code of place.querySelectorAll("table code")) {
    const name = Object.assign(document.createElement("span"), { className: "pre" });
    name.append(...code.textContent.split(SEAM).flatMap((part) => [document.createElement("wbr"), part]).slice(1));
    code.className = "docutils literal notranslate";
    code.replaceChildren(name);
  }
  for (const cell of place.querySelectorAll("td, th")) {
    const words = document.createElement("p"); // as in the build's
    words.append(...cell.childNodes);
    cell.append(words);
  }
  for (const table of place.querySelectorAll("table")) {
    table.className = "table"; // as the theme draws those of the build, in a box that scrolls if they are wide
    const box = Object.assign(document.createElement("div"), { className: "pst-scrollable-table-container" });
    table.replaceWith(box);
    box.append(table);
  }
}

async function showWidget({ model_id }, place, manager) {
  place.classList.add("kmm-view", "kmm-view-live");
  const inner = place.appendChild(document.createElement("div"));
  const view = await manager.create_view(await manager.get_model(model_id));
  await manager.display_view(view, inner);
  whenGone(inner, () => view.remove());
}

function picture(type, data) {
  return Object.assign(document.createElement("img"), { src: `data:${type};base64,${data.trim()}`, alt: _("output of the cell") });
}
