// SPDX-License-Identifier: GPL-2.0-only
// Two ways to a running kernel: from the memory kept at build time, which is fast but a large file; or by importing
// everything, which takes seconds but fewer bytes. A memory that the browser has kept is taken; if it has not, the
// connection decides.

import { Downloads } from "./downloads.js";
import { LIBRARY, putFiles } from "./files.js";

const WORTH_IT = 4e6; // bytes a second from which the larger file is there sooner than the imports are done
const NEEDED = ["wasm", "stdlib", "packages", "sources"];
const PAGE = 65536; // bytes of WebAssembly memory

/** Start Python with all the page's packages and the kernel; returns Pyodide. */
export async function startPython(root, manifest, report) {
  const downloads = new Downloads(root, manifest.files, report);
  const program = load(`${root}${manifest.pyodide}`);
  program.catch(() => {}); // whoever waits for it is told
  const hasMemory = manifest.files.memory && (await downloads.has("memory"));
  if (hasMemory) downloads.want("memory");
  downloads.want(...NEEDED);
  const compiled = downloads.get("wasm").then((bytes) => WebAssembly.compile(bytes));
  compiled.catch(() => {});
  const wantsMemory = hasMemory || (manifest.files.memory && (await downloads.speed()) >= WORTH_IT);
  if (wantsMemory && !hasMemory) downloads.want("memory");
  const start = async (more, room) => {
    const [loadPyodide, module] = await Promise.all([program, compiled, downloads.get("stdlib")]); // the rest may still come
    const options = { indexURL: root + manifest.pyodide, stdLibURL: root + manifest.files.stdlib.name, ...more };
    return withOurs({ downloads, manifest, module, room }, () => loadPyodide(options));
  };
  const kept = wantsMemory && (await fromMemory(downloads, start));
  const python = kept || (await fromPackages(downloads, start, manifest));
  python.pyimport("kmm_boot").ready();
  postMessage({ op: "way", way: kept ? "memory" : "packages" });
  return python;
}

/** Pyodide's scripts: the small one and, ahead of its asking, the large one. */
async function load(folder) {
  const [{ loadPyodide }] = await Promise.all(["pyodide.mjs", "pyodide.asm.mjs"].map((name) => import(folder + name)));
  return loadPyodide;
}

async function fromMemory(downloads, start) {
  try {
    const memory = await downloads.get("memory");
    const python = await start({ _loadSnapshot: memory }, memory.length);
    await putAll(python.FS, downloads);
    python.pyimport("kmm_boot").resume();
    return python;
  } catch (error) {
    console.warn("The kept memory is not used:", error);
    return undefined;
  }
}

async function fromPackages(downloads, start, manifest) {
  const python = await start({}, 0);
  await putAll(python.FS, downloads);
  python.runPython(`import sys; sys.path.append("${LIBRARY}")`);
  python.pyimport("kmm_boot").boot.callKwargs({ language: manifest.language });
  return python;
}

async function putAll(FS, downloads) {
  for (const name of ["packages", "sources"]) putFiles(FS, await downloads.get(name));
}

/**
 * Pyodide fetches its program and its library itself: it gets what has come already. And it restores a memory only into
 * one that has room for it, which it has no option for: `room` is how many bytes that is.
 */
async function withOurs({ downloads, manifest, module, room }, action) {
  const { fetch } = globalThis;
  const { instantiateStreaming } = WebAssembly;
  globalThis.fetch = async (address, options) => {
    const url = String(address?.url ?? address);
    if (url.endsWith("pyodide.asm.wasm")) return new Response(); // it is compiled already
    if (url.endsWith(manifest.files.stdlib.name)) return new Response(await downloads.get("stdlib"));
    return fetch(address, options);
  };
  WebAssembly.instantiateStreaming = async (response, imports) => {
    const instance = await WebAssembly.instantiate(module, imports);
    const { memory } = instance.exports;
    const missing = room - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
    return { instance, module };
  };
  try {
    return await action();
  } finally {
    Object.assign(globalThis, { fetch });
    Object.assign(WebAssembly, { instantiateStreaming });
  }
}
