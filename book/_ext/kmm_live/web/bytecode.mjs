// SPDX-License-Identifier: GPL-2.0-only
// Start Python under Node without a kept memory, and write the bytecode of what that imports.
//
//     node bytecode.mjs NODE_MODULES BYTECODE_PY OUT ARCHIVE
//
// Below OUT the files stand in the folders that Python finds them in.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";
import { LIBRARY, putFiles } from "./worker/files.js";

const [modules, script, out, archive] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(path.join(modules, "pyodide/pyodide.mjs")).href);

const python = await loadPyodide();
putFiles(python.FS, new Uint8Array(gunzipSync(fs.readFileSync(archive))));
python.runPython(`import sys; sys.path.append("${LIBRARY}"); import kmm_boot; kmm_boot.boot()`);
python.runPython(fs.readFileSync(script, "utf8"));
const files = python.runPython(`compiled("${LIBRARY}", next(path for path in sys.path if path.endswith(".zip")))`);
for (const [name, content] of Object.entries(files.toJs({ dict_converter: Object.fromEntries }))) {
  const file = path.join(out, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, content);
}
