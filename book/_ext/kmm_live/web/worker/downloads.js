// SPDX-License-Identifier: GPL-2.0-only
// Fetch what Python needs, side by side, and say how much of it has come. What the browser has kept is not fetched; what
// is fetched is kept, whoever fetches it.

import { _ } from "../words.js";
import { Store, hashOf } from "../store.js";

const ENOUGH = 2e6; // bytes from the network that tell how fast it is
const what = (name) => name.split(/[-./]/)[0]; // a phone has no room for the rest

export class Downloads {
  #done = 0;
  #total = 0;
  #began; // when the first request left
  #fromNetwork = 0;
  #waiting = new Map();
  #tell; // called once enough has come
  #measured = new Promise((done) => (this.#tell = done));

  constructor(root, files, report) {
    Object.assign(this, { root, files, report });
    this.store = new Store(new URL("../../", root).href);
  }

  /** Start to fetch these; their sizes are part of the total from now on. */
  want(...names) {
    for (const name of names) {
      this.#total += this.files[name].size;
      const bytes = this.#bytes(this.files[name]);
      bytes.catch(() => {}); // whoever asks for it is told
      this.#waiting.set(name, bytes);
    }
  }

  /** The bytes of one of them, unpacked if it came as .gz. */
  get(name) {
    return this.#waiting.get(name);
  }

  /** Has the browser kept this file? */
  async has(name) {
    return Boolean(await this.store.get(this.files[name].name, this.files[name]));
  }

  /** Bytes a second of the network, once enough has come to tell; 0 if all that is wanted was kept. */
  async speed() {
    await Promise.race([this.#measured, Promise.allSettled(this.#waiting.values())]);
    return this.#fromNetwork ? (this.#fromNetwork * 1000) / Math.max(1, performance.now() - this.#began) : 0;
  }

  async #bytes(file) {
    const kept = await this.store.get(file.name, file);
    if (kept) {
      this.#count(file.size);
      return unpacked(new Uint8Array(await kept.arrayBuffer()));
    }
    const bytes = await this.#fetch(file);
    const ready = unpacked(bytes);
    ready.catch(() => {}); // if it is spoilt, that is what is said
    if (bytes.length === file.size) await this.#check(file, bytes); // else the host unpacked it
    return ready;
  }

  async #fetch({ name, size }) {
    this.#began ??= performance.now();
    const answer = await fetch(this.root + name);
    if (!answer.ok) throw new Error(_("the site answered {status} for {name}. Reload the page", { status: answer.status, name: what(name) }));
    const parts = [];
    let length = 0;
    for (const reader = answer.body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      length += value.length;
      this.#fromNetwork += value.length;
      if (this.#fromNetwork >= ENOUGH) this.#tell();
      this.#count(value.length);
    }
    if (length < size) throw new Error(_("{name} came only in part. Reload the page", { name: what(name) }));
    const whole = new Uint8Array(length);
    parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
    return whole;
  }

  /** Other bytes than the build wrote: what they would do to Python nobody knows. The right ones are kept. */
  async #check(file, bytes) {
    const hash = await hashOf(bytes);
    if (hash === undefined) return; // the page came over plain http: it has no store either
    if (hash !== file.sha256) throw new Error(_("{name} came spoilt. Reload the page", { name: what(file.name) }));
    this.store.put(file.name, file, bytes).catch(() => {}); // without room or storage it is fetched again next time
  }

  #count(bytes) {
    this.#done += bytes;
    this.report(Math.min(this.#done, this.#total), this.#total);
  }
}

async function unpacked(bytes) {
  const packed = bytes[0] === 0x1f && bytes[1] === 0x8b; // some hosts unpack .gz on the way
  if (!packed) return bytes;
  const length = new DataView(bytes.buffer).getUint32(bytes.length - 4, true); // a gzip file ends with it
  return gathered(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")), length);
}

/** The bytes of a stream of this length: into their place as they come, which is a good deal faster than `Response`. */
async function gathered(stream, length) {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const reader = stream.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    whole.set(value, at);
    at += value.length;
  }
  return whole;
}
