// SPDX-License-Identifier: GPL-2.0-only
// Have the service worker keep the book for offline: what this page has loaded at once, since that costs nothing; the
// rest once nobody waits for anything, and not on a reader who counts bytes.
//
// <html data-offline="yes | no"> says whether all of it is kept now.

import { wantsToSaveData, whenIdle } from "./idle.js";

const root = document.documentElement;
const top = new URL(root.dataset.content_root ?? "./", location.href);

/** Ask the service worker in charge; does it have the whole book now? */
function ask(all) {
  const urls = [location.href, ...performance.getEntriesByType("resource").map(({ name }) => name)];
  const { port1, port2 } = new MessageChannel();
  navigator.serviceWorker.controller.postMessage({ urls, all }, [port2]);
  return new Promise((done) => (port1.onmessage = ({ data }) => done(data)));
}

/** Resolves once Python has come, or does not come: it needs the network more. */
function settled() {
  return new Promise((done) => {
    const look = () => ["yes", "failed", undefined].includes(root.dataset.live) && done();
    document.addEventListener("kmm:live", look);
    look();
  });
}

async function keep() {
  await new Promise(whenIdle);
  await ask(false);
  if (wantsToSaveData()) return;
  await settled();
  await new Promise(whenIdle);
  root.dataset.offline = (await ask(true)) ? "yes" : "no";
}

if ("serviceWorker" in navigator && isSecureContext) {
  const { serviceWorker } = navigator;
  serviceWorker.addEventListener("controllerchange", keep); // the first one, or that of a new build
  if (serviceWorker.controller) keep();
  addEventListener("load", () => serviceWorker.register(new URL("sw.js", top)).catch(() => {})); // the page works without
}
