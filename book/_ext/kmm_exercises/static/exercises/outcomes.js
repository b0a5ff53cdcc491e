// SPDX-License-Identifier: GPL-2.0-only
// Notes the outcome of each exercise that is checked in the live page. What the book shows from its build is not the
// reader's: only what appears once Python runs counts.

import { note } from "./store.js";

const OUTCOMES = ["right", "wrong", "raised"];

function look(node) {
  if (document.documentElement.dataset.live !== "yes" || node.nodeType !== Node.ELEMENT_NODE) return;
  const cards = node.matches(".kmm-exercise") ? [node] : node.querySelectorAll(".kmm-exercise");
  for (const card of cards) {
    const { exercise, outcome, score, kmmNoted } = card.dataset;
    if (kmmNoted || !exercise || !OUTCOMES.includes(outcome)) continue;
    card.dataset.kmmNoted = "yes";
    note("exercises", exercise, outcome, score === undefined ? undefined : Number(score));
  }
}

new MutationObserver((changes) => {
  for (const change of changes) change.addedNodes.forEach(look);
}).observe(document.querySelector("article") ?? document.body, { childList: true, subtree: true });
