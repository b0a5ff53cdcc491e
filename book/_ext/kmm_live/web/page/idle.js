// SPDX-License-Identifier: GPL-2.0-only
// When to start Python unasked: once the page is there and quiet, and never on a reader who counts bytes.

export function wantsToSaveData() {
  return Boolean(navigator.connection?.saveData) || matchMedia("(prefers-reduced-data: reduce)").matches;
}

/** Call back once the page has loaded and is seen by somebody. */
export function whenSeen(callback) {
  const seen = () => {
    if (document.hidden) document.addEventListener("visibilitychange", () => callback(), { once: true });
    else callback();
  };
  if (document.readyState === "complete") seen();
  else addEventListener("load", seen, { once: true });
}

/** Call back once it also has nothing to do. */
export function whenIdle(callback) {
  whenSeen(() => (window.requestIdleCallback ?? ((f) => setTimeout(f, 200)))(() => callback(), { timeout: 3000 }));
}
