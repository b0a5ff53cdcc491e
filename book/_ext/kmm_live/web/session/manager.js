// SPDX-License-Identifier: GPL-2.0-only
// Jupyter widgets in the page: the stock manager, with comms that talk to our worker.

import { HTMLManager } from "@jupyter-widgets/html-manager/lib/htmlmanager";
import * as output from "@jupyter-widgets/html-manager/lib/output";
import * as base from "@jupyter-widgets/base";
import anywidget from "anywidget"; // bundle.mjs turns it into a module
import { addressOf } from "./moved.js";
import "../widgets.css";

const labs = anywidget(base);

/** An Output widget shows what Python writes while it is entered: messages that answer its `msg_id`. */
class PageOutputModel extends output.OutputModel {
  initialize(attributes, options) {
    super.initialize(attributes, options);
    this.listenTo(this, "change:msg_id", () => this.widget_manager.redirect(this, this.previous("msg_id"), this.get("msg_id")));
  }

  accept(type, content) {
    if (type === "clear_output") this._outputs.clear(content.wait);
    else this._outputs.add({ ...content, output_type: type });
    this.set("outputs", this._outputs.toJSON(), { newMessage: true });
    this.save_changes();
  }
}

/** One widget's line to its Python half. */
class Comm {
  constructor(kernel, comm_id, target_name) {
    Object.assign(this, { kernel, comm_id, target_name });
    kernel.comms.set(comm_id, this);
  }

  open(data, callbacks, metadata, buffers) {
    return this.#send("comm_open", data, callbacks, buffers);
  }

  send(data, callbacks, metadata, buffers) {
    return this.#send("comm_msg", data, callbacks, buffers);
  }

  close(data, callbacks, metadata, buffers) {
    this.kernel.comms.delete(this.comm_id);
    return this.#send("comm_close", data ?? {}, callbacks, buffers);
  }

  on_msg(callback) {
    this.heard = callback;
  }

  on_close(callback) {
    this.closed = callback;
  }

  #send(kind, data, callbacks, buffers) {
    return this.kernel.comm(kind, { comm_id: this.comm_id, target_name: this.target_name, data }, buffers, callbacks);
  }
}

/** What those of these promises give that give something. */
const values = async (promises) => (await Promise.allSettled(promises)).map(({ value }) => value).filter(Boolean);

/** The widgets of the kernel there is, or (with none) of the state that was saved at build time. */
export class PageManager extends HTMLManager {
  #ended = []; // promises of the models of earlier kernels, or the models themselves
  #outputs = new Map(); // message id -> the Output widgets entered under it, innermost last

  constructor(root) {
    super(); // listens to the window for ever, so a page has only one
    this.root = root;
  }

  /** From now on the widgets are those of this kernel; what an earlier one left on the page stays until it is replaced. */
  serve(kernel) {
    this.kernel = kernel;
    this.#ended.push(...Object.values(this._models));
    this._models = Object.create(null); // the base class forgets models only by closing them, views and all
    this.#outputs.clear();
  }

  /** Close the models of earlier kernels that nothing on the page shows any more. */
  async closeEnded() {
    for (const model of await values(this.#ended.splice(0))) {
      const views = await values(Object.values(model.views ?? {}));
      if (views.some(({ el }) => el.isConnected)) this.#ended.push(model);
      else model.close(true);
    }
  }

  loadClass(name, module, version) {
    if (module === "anywidget") return Promise.resolve(labs[name]);
    if (module === "@jupyter-widgets/output" && name === "OutputModel") return Promise.resolve(PageOutputModel);
    return super.loadClass(name, module, version);
  }

  /** A lab's script by its address where the site has it as a file: it is loaded already, and needs no blob. */
  async new_model(options, state = {}) {
    if (typeof state._esm === "string") state = { ...state, _esm: await addressOf(state._esm, this.root) };
    if (state._css && (await addressOf(state._css, this.root)) !== state._css) state = { ...state, _css: "" }; // it is in the page's head
    return super.new_model(options, state);
  }

  async _create_comm(target, id, data, metadata, buffers) {
    if (!this.kernel) return super._create_comm();
    const comm = new Comm(this.kernel, id, target);
    if (data || metadata) await comm.open(data, null, metadata, buffers);
    return comm;
  }

  /** A comm message from Python. */
  async onComm({ type, content, metadata, parent, buffers = [] }) {
    const message = {
      header: { msg_type: type }, parent_header: { msg_id: parent }, metadata: metadata ?? {}, content,
      buffers: buffers.map((each) => new DataView(each)),
    };
    if (type === "comm_open") return this.handle_comm_open(new Comm(this.kernel, content.comm_id, content.target_name), message);
    const comm = this.kernel.comms.get(content.comm_id);
    if (type === "comm_msg") return comm?.heard?.(message);
    this.kernel.comms.delete(content.comm_id);
    return comm?.closed?.(message);
  }

  /** The Output widget that output answering this message belongs to, if one is entered. */
  outputFor(parent) {
    return this.#outputs.get(parent)?.at(-1);
  }

  redirect(model, from, to) {
    if (from) this.#outputs.set(from, this.#outputs.get(from)?.filter((each) => each !== model) ?? []);
    if (to) this.#outputs.set(to, [...(this.#outputs.get(to) ?? []), model]);
  }
}
