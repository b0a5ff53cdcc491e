// SPDX-License-Identifier: GPL-2.0-only
// Files that the browser keeps, each under the hash of what is in it: a file is there whole or it is not there, and what
// two releases of the book have in common is kept once. The service worker and Python's worker share it.

export class Store {
  /** `scope`: the address of the site's top; another copy of the book below another path has a store of its own. */
  constructor(scope) {
    this.scope = scope;
    this.name = `kmm ${new URL(scope).pathname}`;
  }

  /** The address a file is kept under. The name only tells who looks at the store what that is. */
  key(path, sha256) {
    return `${this.scope}kept/${sha256}/${path.split("/").at(-1)}`;
  }

  open() {
    return caches.open(this.name);
  }

  /** The file, as a Response; undefined if it is not kept, or if the browser keeps nothing. */
  async get(path, { sha256 }) {
    try {
      return await (await this.open()).match(this.key(path, sha256));
    } catch {
      return undefined; // storage is blocked
    }
  }

  /** Keep a file whose bytes were found right; throws if there is no room. */
  async put(path, { sha256 }, bytes, type = "") {
    await (await this.open()).put(this.key(path, sha256), new Response(bytes, { headers: { "Content-Type": type } }));
  }
}

/** The SHA-256 of bytes in hexadecimal; undefined on a page that came over plain http. */
export async function hashOf(bytes) {
  if (!crypto.subtle) return undefined;
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash, (each) => each.toString(16).padStart(2, "0")).join("");
}
