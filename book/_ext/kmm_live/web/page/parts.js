// SPDX-License-Identifier: GPL-2.0-only
// Load the parts of the live page that are not needed to read it.

import { _ } from "../words.js";

/** Where the live page's files are, as an absolute address that ends in a slash. */
export const ROOT = new URL("./", document.currentScript.src).href;

let manifest;

/** What belongs together in this build; asked for once, and again after a failure. */
export async function loadManifest() {
  manifest ??= fetchManifest();
  try {
    return await manifest;
  } catch (error) {
    manifest = undefined;
    throw error;
  }
}

async function fetchManifest() {
  const answer = await fetch(`${ROOT}manifest.json`, { cache: "no-cache" });
  if (!answer.ok) throw new Error(_("the site answered {status} for {address}", { status: answer.status, address: answer.url }));
  return answer.json();
}

/** A module of the live page by its name, with its style sheet. */
export async function loadPart(name) {
  const { modules, styles } = await loadManifest();
  const [part] = await Promise.all([import(ROOT + modules[name]), styles[name] && loadStyle(ROOT + styles[name])]);
  return part;
}

function loadStyle(address) {
  if (document.querySelector(`link[href="${address}"]`)) return undefined;
  return new Promise((done, failed) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: address, onload: done, onerror: failed });
    document.head.prepend(link); // the page's own rules come later, and win
  });
}
