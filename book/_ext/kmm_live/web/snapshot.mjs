// SPDX-License-Identifier: GPL-2.0-only
// Start Python under Node, import what a page needs, and keep its memory.
//
//     node snapshot.mjs NODE_MODULES BOOT OUT PRELOAD ZIP...
//
// Pyodide's snapshots are private to it: package.json pins its version exactly, and a page whose
// snapshot does not load starts from the zip files instead.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [modules, boot, out, preload, ...zips] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(path.join(modules, "pyodide/pyodide.mjs")).href);

try {
  const python = await loadPyodide({ _makeSnapshot: true });
  zips.forEach((zip, n) => python.FS.writeFile(`/tmp/${n}.zip`, fs.readFileSync(zip)));
  python.runPython(fs.readFileSync(boot, "utf8"));
  const paths = JSON.stringify(zips.map((_, n) => `/tmp/${n}.zip`));
  python.runPython(`boot(${paths}, ${preload}, True)`);
  fs.writeFileSync(out, python.makeMemorySnapshot());
} catch (error) {
  // The stack of an error from inside Pyodide quotes a line of a million characters: only its message helps.
  process.stderr.write(`${String(error?.message || error?.name || error).slice(-3000)}\n`, () => process.exit(1));
}
