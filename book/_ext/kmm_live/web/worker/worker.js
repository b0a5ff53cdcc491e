// SPDX-License-Identifier: GPL-2.0-only
// Python, in a worker of its own: JupyterLite's kernel (a real IPython shell, real comms) on Pyodide.
//
// In:  { op: "start" | "execute" | "comm", id, ... }, handled one after the other.
// Out: { op: "progress", done, total }, { op: "reply", id, status }, { op: "failed", message }, and Jupyter's own
//      output messages { type, content, parent }, parent being the id they answer.

import { Streams } from "./streams.js";
import { startPython } from "./python.js";

let python;
let kernel;
let json;
let parent = "";

const toJs = (value) => value?.toJs?.({ dict_converter: Object.fromEntries, create_pyproxies: false }) ?? value;
// Comms speak JSON everywhere else, so here too: converted piece by piece, None would be undefined and null no None.
const dumps = (value) => JSON.parse(json.dumps(value));
const loads = (value) => json.loads(JSON.stringify(value));
const publish = (type, content, more = {}) => postMessage({ type, content, parent, ...more });
const streams = new Streams((name, text) => publish("stream", { name, text }));
const emit = (type, content, more) => {
  streams.flush();
  publish(type, content, more);
};

async function start({ root, manifest, words }) {
  self.kmmWords = words;
  python = await startPython(root, manifest, (done, total) => postMessage({ op: "progress", done, total }));
  json = python.pyimport("json");
  const module = python.pyimport("pyodide_kernel");
  kernel = module.kernel_instance.copy();
  const shell = kernel.interpreter;
  shell.send_comm = (type, content, metadata, topic, buffers) =>
    emit(type, dumps(content), { metadata: dumps(metadata), buffers: (toJs(buffers) ?? []).map((each) => (each.buffer ? each.slice().buffer : each)) });
  for (const stream of [module.stdout_stream, module.stderr_stream]) stream.publish_stream_callback = (name, text) => streams.write(name, text);
  const { display_pub: displays, displayhook } = shell;
  displays.clear_output_callback = (wait) => emit("clear_output", { wait });
  displays.display_data_callback = (...parts) => emit("display_data", display(parts));
  displays.update_display_data_callback = (...parts) => emit("update_display_data", display(parts));
  displayhook.publish_execution_result = (count, data, metadata) => emit("execute_result", { execution_count: count, ...display([data, metadata]) });
  answer("");
}

function display([data, metadata, transient]) {
  return { data: toJs(data), metadata: toJs(metadata) ?? {}, transient: toJs(transient) ?? {} };
}

/** What Python publishes from now on answers this message. */
function answer(id) {
  parent = id;
  kernel._parent_header = python.toPy({ header: { msg_id: id } });
  streams.begin();
}

async function execute({ id, code }) {
  answer(id);
  const { status, ename, evalue, traceback } = toJs(await kernel.run(code));
  if (status === "error") emit("error", { ename, evalue, traceback });
  return status;
}

function comm({ id, kind, content, buffers }) {
  answer(id);
  const message = loads({ content, buffers: [], metadata: {} });
  if (buffers?.length) message.set("buffers", python.toPy(buffers.map((each) => new Uint8Array(each.buffer ?? each))));
  const shell = kernel.interpreter;
  shell._last_traceback = null;
  kernel.comm_manager[kind](null, null, message);
  message.destroy();
  if (shell._last_traceback) emit("error", toJs(shell._last_traceback)); // else what a callback raises is never seen
  return "ok";
}

const handlers = { start, execute, comm };
let inOrder = Promise.resolve();

onmessage = ({ data }) => {
  inOrder = inOrder.then(() => handle(data));
};

async function handle(message) {
  try {
    const status = (await handlers[message.op](message)) ?? "ok";
    streams.flush();
    postMessage({ op: "reply", id: message.id, status });
  } catch (error) {
    streams.flush();
    if (message.op === "start" || isFatal(error)) return postMessage({ op: "failed", message: shortly(error) });
    publish("error", { ename: error.name, evalue: error.message, traceback: [String(error.message)] });
    postMessage({ op: "reply", id: message.id, status: "error" });
  }
  return undefined;
}

/** After these Pyodide cannot go on. */
const isFatal = (error) =>
  error?.pyodide_fatal_error || error instanceof WebAssembly.RuntimeError || error instanceof RangeError || /^Exit/.test(error?.name);

/** What ends Python in the middle of a cell is thrown past it: the cell's own promise would wait for ever. */
addEventListener("unhandledrejection", ({ reason }) => {
  if (isFatal(reason)) postMessage({ op: "failed", message: shortly(reason) });
});

const shortly = (error) => String(error?.message ?? error).trim().split("\n").at(-1).slice(0, 300);
