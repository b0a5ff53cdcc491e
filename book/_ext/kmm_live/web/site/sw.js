// SPDX-License-Identifier: GPL-2.0-only
// The site's service worker: a page that has been live once is live again without a download.
//
// Files of the live page have a hash in their name and never change: from the cache, if they are there.
// Everything else: from the network, and from the cache when there is none.
const { version: VERSION, sizes: SIZES } = self.kmmBuild; // written above this line by the Sphinx extension
const FILES = "kmm-live"; // what never changes
const PAGES = `kmm-pages-${VERSION}`; // the pages as they were last seen
const LIVE = new URL("_static/live/", self.registration.scope).href;

addEventListener("install", () => skipWaiting());

addEventListener("activate", (event) => event.waitUntil(takeOver()));

/** Forget what the last build needed and this one does not. */
async function takeOver() {
  const files = await caches.open(FILES);
  for (const request of await files.keys()) {
    if (!(keyOf(request.url) in SIZES)) await files.delete(request);
  }
  for (const name of await caches.keys()) {
    if (name.startsWith("kmm-pages-") && name !== PAGES) await caches.delete(name);
  }
  await clients.claim();
}

addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || new URL(request.url).origin !== location.origin) return;
  if (!request.url.startsWith(self.registration.scope) || request.headers.has("range")) return;
  event.respondWith(keyOf(request.url) in SIZES ? unchanging(event) : newest(event));
});

/** A file's name inside the live folder; what is elsewhere has none. */
function keyOf(url) {
  return url.startsWith(LIVE) ? url.slice(LIVE.length).split(/[?#]/)[0] : undefined;
}

async function unchanging(event) {
  const cache = await caches.open(FILES);
  const kept = await cache.match(event.request);
  if (kept) return kept;
  const answer = await fetch(event.request);
  if (answer.ok) event.waitUntil(keepWhole(cache, event.request, answer.clone()));
  return answer;
}

/** Keep a file only once all of it has come: a connection may break in the middle without an error. */
async function keepWhole(cache, request, answer) {
  try {
    const body = await answer.blob();
    if (body.size !== SIZES[keyOf(request.url)]) return;
    await cache.put(request, new Response(body, { headers: { "Content-Type": answer.headers.get("Content-Type") ?? "" } }));
  } catch {
    // Broken off, or no room: the next visit asks the network again.
  }
}

async function newest(event) {
  const cache = await caches.open(PAGES);
  try {
    const answer = await fetch(event.request);
    if (answer.ok && !answer.redirected) event.waitUntil(cache.put(event.request, answer.clone()).catch(() => {}));
    return answer;
  } catch (error) {
    const kept = await cache.match(event.request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}
