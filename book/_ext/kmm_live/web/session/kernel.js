// SPDX-License-Identifier: GPL-2.0-only
// The page's end of Python in a worker. To restart it is to end the worker and take another: that survives an endless
// loop, and needs no shared memory (so no special headers from the web host).

import { _ } from "../words.js";

export class KernelGone extends Error {}

export class Kernel {
  comms = new Map(); // comm id -> the comm of a widget
  manager; // hears comm messages; set by the session
  onGone; // told why, when Python ends by itself
  #owners = new Map(); // comm id -> where the cell that made the widget puts its output
  #sinks = new Map(); // message id -> where output that answers it goes
  #asked = new Map(); // message id -> { resolve, reject }
  #count = 0;
  #inOrder = Promise.resolve();

  /** `worker`, and what it has `said` so far: see page/worker.js. */
  constructor({ worker, said }, onProgress) {
    this.ready = new Promise((resolve, reject) => this.#asked.set("start", { resolve, reject }));
    this.ready.catch(() => {});
    this.worker = worker;
    const hear = (data) => {
      if (data.op === "progress") onProgress(data.done, data.total);
      else if (data.op === "way") performance.mark(`kmm-way-${data.way}`);
      else if (data.op === "failed") this.#gone(data.message);
      else this.#inOrder = this.#inOrder.then(() => this.#handle(data)).catch((error) => console.error(error));
    };
    worker.onmessage = ({ data }) => hear(data);
    worker.onerror = (event) => this.#gone(event.message || _("its script could not be loaded"));
    queueMicrotask(() => said.forEach(hear)); // once the session has set `manager` and `onGone`
  }

  /** Run code; `sink(type, content)` gets its output. Resolves with "ok" or "error". */
  execute(code, sink) {
    return this.#ask({ op: "execute", code }, sink);
  }

  /** A message of a widget to its Python half. */
  comm(kind, content, buffers, callbacks) {
    const asked = this.#ask({ op: "comm", kind, content, buffers }, this.#owners.get(content.comm_id));
    const id = `m${this.#count}`;
    asked.then(
      () => callbacks?.iopub?.status?.({ content: { execution_state: "idle" } }),
      () => {}, // Python is gone: whoever ended it says so
    ).finally(() => this.#sinks.delete(id)); // a cell's stays: what it left running may still print
    return id;
  }

  /** End it at once, whatever it is doing. */
  dispose() {
    this.worker.terminate();
    this.manager = this.onGone = undefined; // whatever of its messages still waits concerns nobody
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const { reject } of asked) reject(new KernelGone());
  }

  #gone(why) {
    const { onGone } = this;
    this.dispose();
    onGone?.(why);
  }

  #ask(message, sink) {
    const id = `m${++this.#count}`;
    if (sink) this.#sinks.set(id, sink);
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.worker.postMessage({ ...message, id });
    });
  }

  // Strictly one after the other: `with out:` sets and clears the place output goes to by messages in between.
  async #handle(message) {
    const { op, id, type, parent, content } = message;
    if (!this.manager) return;
    if (op === "reply") {
      this.#asked.get(id)?.resolve(message.status);
      this.#asked.delete(id);
    } else if (type.startsWith("comm_")) {
      if (type === "comm_open" && this.#sinks.has(parent)) this.#owners.set(content.comm_id, this.#sinks.get(parent));
      await this.manager.onComm(message);
    } else {
      const output = this.manager.outputFor(parent);
      if (output) output.accept(type, content);
      else this.#sinks.get(parent)?.(type, content);
    }
  }
}
