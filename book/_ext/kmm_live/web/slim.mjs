// SPDX-License-Identifier: GPL-2.0-only
// Leave of style sheets what the pages can use, and of scripts their meaning.
//
//     node slim.mjs NODE_MODULES WORDS OUT CSS...      writes OUT/0.css, OUT/1.css ...
//     node slim.mjs NODE_MODULES --minify FILE...      in place, scripts and style sheets
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const [modules, second, ...rest] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(modules), "/"));

if (second === "--minify") {
  const { transform } = require("esbuild");
  for (const file of rest) {
    const loader = path.extname(file).slice(1);
    const { code } = await transform(fs.readFileSync(file, "utf8"), { loader, minify: true, target: "es2022", charset: "utf8" });
    fs.writeFileSync(file, code);
  }
} else {
  const { PurgeCSS } = require("purgecss");
  const [out, ...sheets] = rest;
  const words = fs.readFileSync(second, "utf8");
  const content = [{ raw: words, extension: "txt" }];
  const defaultExtractor = (text) => text.split("\n");
  for (const [nth, file] of sheets.entries()) {
    const [{ css }] = await new PurgeCSS().purge({ content, css: [file], defaultExtractor, variables: false, keyframes: false });
    const { code } = await require("esbuild").transform(css, { loader: "css", minify: true });
    fs.writeFileSync(path.join(out, `${nth}.css`), code);
  }
}
