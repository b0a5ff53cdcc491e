// SPDX-License-Identifier: GPL-2.0-only
// The one word that says what the page can do: <html data-live="recorded | starting | yes | failed">.

const root = document.documentElement;

export const state = () => root.dataset.live;

export function setState(next) {
  if (root.dataset.live === next) return;
  root.dataset.live = next;
  document.dispatchEvent(new CustomEvent("kmm:live", { detail: { state: next } }));
}
