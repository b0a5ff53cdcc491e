// SPDX-License-Identifier: GPL-2.0-only
// Start Python under Node, import what a page needs, and keep its memory.
//
//     node snapshot.mjs NODE_MODULES OUT PRELOAD LANGUAGE STDLIB ARCHIVE...
//
// Pyodide's snapshots are private to it: package.json pins its version exactly, and a page whose
// snapshot does not load starts from the archives instead.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";
import { LIBRARY, putFiles } from "./worker/files.js";

const [modules, out, preload, language, stdLibURL, ...archives] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(path.join(modules, "pyodide/pyodide.mjs")).href);

try {
  const python = await loadPyodide({ _makeSnapshot: true, stdLibURL });
  for (const archive of archives) putFiles(python.FS, new Uint8Array(gunzipSync(fs.readFileSync(archive))));
  python.runPython(`import sys; sys.path.append("${LIBRARY}")`);
  python.runPython(`import kmm_boot; kmm_boot.boot(${preload}, True, "${language}")`);
  fs.writeFileSync(out, python.makeMemorySnapshot());
} catch (error) {
  // The stack of an error from inside Pyodide quotes a line of a million characters: only its message helps.
  process.stderr.write(`${String(error?.message || error?.name || error).slice(-3000)}\n`, () => process.exit(1));
}
