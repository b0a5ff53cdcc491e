// SPDX-License-Identifier: GPL-2.0-only
// A page with Python: starts the kernel, runs the cells in order, and brings everything back after a restart.

import { _ } from "../words.js";
import { startWorker } from "../page/worker.js";
import { Cell } from "./cell.js";
import { Kernel, KernelGone } from "./kernel.js";
import { PageManager } from "./manager.js";
import { nextFrame } from "./wait.js";

export class Session {
  #queue = Promise.resolve(); // one cell at a time, in the order asked for
  #kernel;
  #manager;
  #running; // the cell that runs now

  constructor({ cells, status, pending, manifest, root, setState }) {
    Object.assign(this, { status, pending, manifest, root, setState });
    this.#manager = new PageManager(root);
    this.cells = cells.map((parts) => new Cell(parts, this));
  }

  /** A new Python (`python`: one that was started already); then every cell in order. A failure is said in the status line. */
  async start(python = startWorker(this.root, this.manifest)) {
    this.setState("starting");
    this.status.show("starting");
    this.#kernel?.dispose(); // two presses on Restart in one moment
    const kernel = (this.#kernel = new Kernel(python, (done, total) => this.status.progress(done, total)));
    kernel.onGone = (why) => this.#failed(why);
    kernel.manager = this.#manager;
    this.#manager.serve(kernel);
    this.#queue = Promise.resolve();
    for (const cell of this.cells) cell.forget();
    try {
      await kernel.ready;
      performance.mark("kmm-python");
      for (const cell of this.cells) cell.edit();
      if (await this.#runAll(kernel)) await this.#goLive();
      await this.#manager.closeEnded();
    } catch (error) {
      if (!(error instanceof KernelGone)) throw error;
    }
  }

  async #runAll(kernel) {
    this.stoppedAt = undefined;
    for (const cell of this.cells) {
      this.status.show("starting", _("Starting Python: running cell {number} of {all}", { number: cell.index + 1, all: this.cells.length }), ["restart", "stop"]);
      const outcome = await this.#enqueue(cell, true);
      if (kernel !== this.#kernel) return false;
      if (outcome === "error") {
        this.stoppedAt = cell;
        break;
      }
    }
    return true;
  }

  async #goLive() {
    performance.mark("kmm-live");
    this.setState("yes");
    this.#say();
    for (const cell of this.cells) cell.perform(); // what was done to a lab while later cells still ran
    const wanted = this.cells[this.pending.wanted];
    this.pending.wanted = undefined;
    if (wanted && wanted.index > (this.stoppedAt?.index ?? this.cells.length)) await this.run(wanted.index);
  }

  /** Run one cell as soon as those before it in the queue are done; undefined if there is no Python to do it. */
  run(index) {
    if (!this.#kernel) return undefined;
    return this.#enqueue(this.cells[index], false).catch((error) => {
      if (!(error instanceof KernelGone)) throw error;
    });
  }

  #enqueue(cell, automatic) {
    const kernel = this.#kernel;
    cell.wait();
    const turn = this.#queue.then(async () => {
      if (kernel !== this.#kernel) throw new KernelGone();
      this.#running = cell;
      if (!automatic) this.#say();
      try {
        return await cell.run(kernel, automatic);
      } finally {
        this.#running = undefined;
        if (kernel === this.#kernel) this.#say();
      }
    });
    this.#queue = turn.catch(() => {});
    return turn;
  }

  #say() {
    if (document.documentElement.dataset.live !== "yes") return;
    const failed = this.stoppedAt && _(
      "Cell {number} failed, so the cells after it were not run: mend it, or run them yourself.", { number: this.stoppedAt.index + 1 });
    this.status.show("yes", this.#running ? _("Running cell {number} …", { number: this.#running.index + 1 }) : failed || undefined);
  }

  /** End Python, whatever it is doing, and start a new one. */
  async restart() {
    this.#end();
    await nextFrame();
    await this.start();
  }

  /** End Python, whatever it is doing. */
  stop() {
    this.#end();
    for (const cell of this.cells) cell.rest();
  }

  #end() {
    this.#running?.interrupted();
    this.#running = undefined;
    const kernel = this.#kernel;
    this.#kernel = undefined;
    kernel?.dispose();
  }

  #failed(why) {
    this.#end();
    for (const cell of this.cells) cell.rest();
    this.setState("failed");
    this.status.show("failed", _("Python stopped: {why}", { why }));
  }

  /** A lab that is still a recording was told something only Python could answer: its cell has not been run. */
  unheard() {
    if (!this.#kernel) return undefined;
    this.status.show("yes", _("This lab is still a recording: run the cell it belongs to."));
    return true;
  }
}
