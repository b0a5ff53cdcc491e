// SPDX-License-Identifier: GPL-2.0-only
// Two ways to a running kernel: from the memory kept at build time, which is fast but a large file; or by importing
// everything, which takes seconds but fewer bytes. The connection decides.

import BOOT from "./boot.py";
import { Downloads } from "./downloads.js";

const WORTH_IT = 2.5e6; // bytes a second from which the larger file is there sooner than the imports are done
const NEEDED = ["wasm", "stdlib", "packages", "sources"];
const PAGE = 65536; // bytes of WebAssembly memory

/** Start Python with all the page's packages and the kernel; returns Pyodide. */
export async function startPython(root, manifest, report) {
  const downloads = new Downloads(root, manifest.files, report);
  const program = import(`${root}${manifest.pyodide}pyodide.mjs`);
  downloads.want(...NEEDED);
  await Promise.all(NEEDED.map((name) => downloads.get(name)));
  const { loadPyodide } = await program;
  const options = { indexURL: root + manifest.pyodide, stdLibURL: `${root}${manifest.files.stdlib.name}` };
  const start = (more) => withDownloads(downloads, manifest, () => loadPyodide({ ...options, ...more }));
  const kept = await fromMemory(downloads, start);
  const python = kept ?? (await fromPackages(downloads, start, manifest.preload));
  call(python, "ready");
  postMessage({ op: "way", way: kept ? "memory" : "packages" });
  return python;
}

async function fromMemory(downloads, start) {
  if (!downloads.files.memory || downloads.speed < WORTH_IT) return undefined;
  try {
    downloads.want("memory");
    const memory = await downloads.get("memory");
    const python = await withRoom(memory.length, () => start({ _loadSnapshot: memory }));
    python.runPython(BOOT); // names of the main module are not part of a kept memory
    call(python, "resume", await putZips(python, downloads));
    return python;
  } catch (error) {
    console.warn("The kept memory is not used:", error);
    return undefined;
  }
}

async function fromPackages(downloads, start, preload) {
  const python = await start({});
  python.runPython(BOOT);
  call(python, "boot", await putZips(python, downloads), preload, false);
  return python;
}

async function putZips(python, downloads) {
  const zips = ["packages", "sources"].map((name) => [`/tmp/${name}.zip`, name]);
  for (const [path, name] of zips) python.FS.writeFile(path, await downloads.get(name));
  return zips.map(([path]) => path);
}

function call(python, name, ...args) {
  const f = python.globals.get(name);
  try {
    f(...args.map((each) => python.toPy(each)));
  } finally {
    f.destroy();
  }
}

/** Pyodide fetches its program and its library itself: it gets the bytes that have come already. */
async function withDownloads(downloads, manifest, action) {
  const { fetch } = globalThis;
  globalThis.fetch = async (address, options) => {
    const url = String(address?.url ?? address);
    if (url.endsWith("pyodide.asm.wasm")) return new Response(await downloads.get("wasm"), { headers: { "Content-Type": "application/wasm" } });
    if (url.endsWith(manifest.files.stdlib.name)) return new Response(await downloads.get("stdlib"));
    return fetch(address, options);
  };
  try {
    return await action();
  } finally {
    globalThis.fetch = fetch;
  }
}

/** Pyodide restores a memory only into one that is large enough already, and has no option for that. */
async function withRoom(bytes, action) {
  const { instantiate, instantiateStreaming } = WebAssembly;
  const growing = (original) => async (...args) => {
    const result = await original.apply(WebAssembly, args);
    const memory = (result.instance ?? result).exports.memory;
    const missing = bytes - (memory?.buffer.byteLength ?? bytes);
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
    return result;
  };
  Object.assign(WebAssembly, { instantiate: growing(instantiate), instantiateStreaming: growing(instantiateStreaming) });
  try {
    return await action();
  } finally {
    Object.assign(WebAssembly, { instantiate, instantiateStreaming });
  }
}
