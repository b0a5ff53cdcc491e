// SPDX-License-Identifier: GPL-2.0-only
// The scripts and styles of labs stand as files beside the page, named by the hash of their text. Python sends the
// text: if the site has that very text as a file, its address is used instead.

const found = new Map();

/** The absolute address of this text, or of a `kmm-live:` address; the text itself if the site has no such file. */
export async function addressOf(text, root) {
  if (text.startsWith("kmm-live:")) return new URL(text.slice("kmm-live:".length), root).href;
  const known = document.documentElement.querySelector("script#kmm-live-modules");
  if (!known || !globalThis.crypto?.subtle) return text;
  if (!found.has(text)) found.set(text, await hash(text));
  const name = JSON.parse(known.textContent)[found.get(text)];
  return name ? new URL(name, root).href : text;
}

async function hash(text) {
  const sum = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(sum), (byte) => byte.toString(16).padStart(2, "0")).join("").slice(0, 16);
}
