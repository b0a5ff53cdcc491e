// SPDX-License-Identifier: GPL-2.0-only
// Small waits.

export const nextFrame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));

/** Resolves with what `find()` gives once that is something, looking at every change below `el`; or after `limit` ms. */
export function appears(el, find, limit) {
  return new Promise((done) => {
    if (find()) return done(find());
    const finish = () => {
      observer.disconnect();
      clearTimeout(timer);
      done(find());
    };
    const observer = new MutationObserver(() => find() && finish());
    observer.observe(el, { childList: true, subtree: true });
    const timer = setTimeout(finish, limit);
    return undefined;
  });
}
