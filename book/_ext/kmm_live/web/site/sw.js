// SPDX-License-Identifier: GPL-2.0-only
// The site's service worker: the whole book, Python included, without a network.
//
// It knows every file of its build by size and hash, and keeps a file only if those are right. Of files that a hash in
// their name makes unchanging the kept one is served; of all others the network's, and the kept one when there is none.
// With no network, the files of one build belong together: as long as not all of a new build is kept, the last that is
// kept whole is served.

import { Store, hashOf } from "../store.js";
import { notKept } from "./not-kept.js";

const { version: VERSION, files: FILES } = self.kmmBuild; // written above this line by the Sphinx extension
const store = new Store(registration.scope);
const WHOLE = `${registration.scope}kept/whole`; // { version, files } of the last build that is kept whole
const PATIENCE = 4000; // ms after which a network that says nothing counts as none
const LANES = 3; // files that are fetched at a time
const FIRST = /^(index|search|genindex)\b|^_static\/(searchtools|language_data)|^_static\/live\/.*\.m?js$/;

addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(forgetOthers().catch(() => {}).then(() => clients.claim())));

addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || !request.url.startsWith(registration.scope) || request.headers.has("range")) return;
  const path = pathOf(request.url);
  event.respondWith(FILES[path]?.fixed ? unchanging(event, path) : newest(event, path));
});

addEventListener("message", (event) => {
  const pass = inOrder.then(() => keepThese(event.data)).catch(() => false);
  inOrder = pass;
  event.waitUntil(pass.then((whole) => event.ports[0].postMessage(whole)));
});

let inOrder = Promise.resolve(); // two tabs must not fetch the same

/** A file's name in the site, with which it is kept: what is searched for or jumped to changes no file. */
function pathOf(url) {
  const path = decodeURIComponent(url.slice(registration.scope.length).split(/[?#]/)[0]);
  return path === "" || path.endsWith("/") ? `${path}index.html` : path;
}

async function unchanging(event, path) {
  return (await store.get(path, FILES[path])) ?? fromNetwork(event, path);
}

async function newest(event, path) {
  const answer = fromNetwork(event, path);
  const good = answer.then((it) => (it.ok ? it : undefined), () => undefined);
  const inTime = await Promise.race([good, new Promise((done) => setTimeout(done, PATIENCE))]);
  return inTime ?? (await kept(path)) ?? answer.catch(() => (event.request.mode === "navigate" ? notKept(registration.scope) : Response.error()));
}

/** The network's answer; what passes is kept. */
async function fromNetwork(event, path) {
  const answer = await fetch(event.request);
  if (answer.ok && FILES[path]) event.waitUntil(keep(path, answer.clone()).catch(() => {}));
  return answer;
}

/** The kept file of the build that is served without a network. */
async function kept(path) {
  const whole = (await wholeBuild())?.files[path];
  const file = whole ?? FILES[path];
  return file && store.get(path, file);
}

/** Is the file kept now? Not if these are the bytes of another build, or only some; throws if there is no room. */
async function keep(path, answer) {
  const file = FILES[path];
  if (await store.get(path, file)) return true;
  const bytes = await answer.arrayBuffer().catch(() => new ArrayBuffer()); // it broke off
  if (bytes.byteLength !== file.size || (await hashOf(bytes)) !== file.sha256) return false;
  await store.put(path, file, bytes, answer.headers.get("Content-Type") ?? "");
  return true;
}

/** Keep what the page with these `urls` has loaded, first of all; with `all`, the whole book. Is it here whole then? */
async function keepThese({ urls, all }) {
  const mine = urls.filter((url) => url.startsWith(registration.scope)).map(pathOf).filter((path) => FILES[path]);
  const bySize = Object.keys(FILES).sort((a, b) => FILES[a].size - FILES[b].size);
  const wanted = new Set([...mine, ...(all ? [...bySize.filter((path) => FIRST.test(path)), ...bySize] : [])]);
  const there = new Set((await (await store.open()).keys()).map(({ url }) => url));
  const missing = [...wanted].filter((path) => !there.has(store.key(path, FILES[path].sha256)));
  const queue = missing.values();
  const lanes = Array.from({ length: LANES }, async () => {
    let count = 0;
    for (const path of queue) if (await fetchAndKeep(path)) count += 1;
    return count;
  });
  const count = (await Promise.all(lanes)).reduce((a, b) => a + b);
  if (!all || count < missing.length) return false;
  await (await store.open()).put(WHOLE, Response.json({ version: VERSION, files: FILES }));
  await forgetOthers();
  return true;
}

/** From the browser's own cache if that has it; past that, if it has the file of another build. */
async function fetchAndKeep(path) {
  for (const cache of ["default", "reload"]) {
    const answer = await fetch(new URL(encodeURI(path), registration.scope), { cache, priority: "low" }).catch(() => undefined);
    if (!answer?.ok) return false;
    if (await keep(path, answer)) return true;
  }
  return false;
}

async function wholeBuild() {
  return (await (await store.open()).match(WHOLE))?.json();
}

/** Forget what belongs neither to this build nor to the last that is here whole. */
async function forgetOthers() {
  const cache = await store.open();
  const builds = [FILES, (await wholeBuild())?.files ?? {}];
  const needed = new Set(builds.flatMap((files) => Object.keys(files).map((path) => store.key(path, files[path].sha256))));
  for (const request of await cache.keys()) {
    if (request.url !== WHOLE && !needed.has(request.url)) await cache.delete(request);
  }
}
