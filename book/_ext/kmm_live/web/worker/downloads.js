// SPDX-License-Identifier: GPL-2.0-only
// Fetch what Python needs, side by side, and say how much of it has come.

export class Downloads {
  #done = 0;
  #total = 0;
  #began = performance.now();
  #waiting = new Map();

  constructor(root, files, report) {
    Object.assign(this, { root, files, report });
  }

  /** Start to fetch these; their sizes are part of the total from now on. */
  want(...names) {
    for (const name of names) {
      this.#total += this.files[name].size;
      const bytes = this.#fetch(this.files[name]).then(unpacked);
      bytes.catch(() => {}); // whoever asks for it is told
      this.#waiting.set(name, bytes);
    }
  }

  /** The bytes of one of them, unpacked if it came as .gz. */
  get(name) {
    return this.#waiting.get(name);
  }

  /** Bytes a second, so far. */
  get speed() {
    return (this.#done * 1000) / Math.max(1, performance.now() - this.#began);
  }

  async #fetch({ name, size, sha256 }) {
    const answer = await fetch(this.root + name);
    if (!answer.ok) throw new Error(`the site answered ${answer.status} for ${name}. If the book was changed since this page was opened, reload the page`);
    const parts = [];
    let length = 0;
    for (const reader = answer.body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      length += value.length;
      this.#done += value.length;
      this.report(Math.min(this.#done, this.#total), this.#total);
    }
    if (length < size) // (more means that the host unpacked it)
      throw new Error(`${name} came only in part (${length} of ${size} bytes). Reload the page to try again`);
    const whole = new Uint8Array(length);
    parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
    if (length === size && (await isSpoilt(whole, sha256))) {
      await forget(this.root + name);
      throw new Error(`${name} came spoilt. Reload the page to try again`);
    }
    return whole;
  }
}

/** Other bytes than the build wrote: what they would do to Python nobody knows, to wait for ever among it. */
async function isSpoilt(bytes, sha256) {
  if (!crypto.subtle) return false; // a page that came over plain http
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash, (each) => each.toString(16).padStart(2, "0")).join("") !== sha256;
}

/** The service worker knows a whole file by its size only: it must not keep this one. */
async function forget(address) {
  try {
    for (const name of await caches.keys()) await (await caches.open(name)).delete(address);
  } catch {
    // no storage, so nothing is kept
  }
}

async function unpacked(bytes) {
  const packed = bytes[0] === 0x1f && bytes[1] === 0x8b; // some hosts unpack .gz on the way
  if (!packed) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
