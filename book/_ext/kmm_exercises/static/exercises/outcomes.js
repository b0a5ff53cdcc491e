// SPDX-License-Identifier: GPL-2.0-only
// Notes the outcome of each exercise that is checked in the live page. What the book shows from its build is not the
// reader's: only what appears once Python runs counts. And a wrong answer that can be looked at gets a button that opens
// it in the page's own lab.

import { note } from "./store.js";
import { _ } from "../words/words.js";

const OUTCOMES = ["right", "wrong", "raised"];

function look(node) {
  if (document.documentElement.dataset.live !== "yes" || node.nodeType !== Node.ELEMENT_NODE) return;
  const cards = node.matches(".kmm-exercise") ? [node] : node.querySelectorAll(".kmm-exercise");
  for (const card of cards) {
    const { exercise, outcome, score, kmmNoted } = card.dataset;
    if (kmmNoted || !exercise || !OUTCOMES.includes(outcome)) continue;
    card.dataset.kmmNoted = "yes";
    offerLab(card);
    note("exercises", exercise, outcome, score === undefined ? undefined : Number(score));
  }
}

new MutationObserver((changes) => {
  for (const change of changes) change.addedNodes.forEach(look);
}).observe(document.querySelector("article") ?? document.body, { childList: true, subtree: true });

/** "Open in the lab", if the page has a lab of the kind that the link is for. */
function offerLab(card) {
  const link = card.dataset.labLink ?? "";
  const [, name] = link.split(";");
  if (!/^[a-z_]+$/.test(name ?? "")) return;
  const found = () => document.querySelector(`.kmm-bench[data-lab="${name}"]`);
  if (!found()) return;
  const button = Object.assign(document.createElement("button"), { type: "button", className: "kmm-open-lab", textContent: _("Open in the lab") });
  button.addEventListener("click", () => {
    const bench = found();
    if (!bench?.kmmOpen) return;
    bench.kmmOpen(link);
    bench.scrollIntoView({ block: "start" });
  });
  card.append(button);
}
