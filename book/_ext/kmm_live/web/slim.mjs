// SPDX-License-Identifier: GPL-2.0-only
// Leave of style sheets what the pages can use, and of scripts their meaning.
//
//     node slim.mjs NODE_MODULES WORDS OUT CSS...      writes OUT/0.css, OUT/1.css ...
//     node slim.mjs NODE_MODULES --minify FILE...      in place, scripts and style sheets
//     node slim.mjs NODE_MODULES --join OUT CSS...     all in one, with what they import
//     node slim.mjs NODE_MODULES --split JS OUT        a script, and beside it the modules it fetches late; outputs.json
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
} else if (second === "--join") {
  const { build } = require("esbuild");
  const [outfile, ...sheets] = rest;
  const contents = sheets.map((file) => `@import ${JSON.stringify(file)};`).join("\n");
  const addresses = {
    name: "addresses", // of fonts and pictures: as they are seen from the joined sheet
    setup: (b) => b.onResolve({ filter: /.*/ }, ({ path: name, kind, resolveDir }) => kind === "url-token" && !name.startsWith("data:")
      ? { path: path.relative(path.dirname(outfile), path.join(resolveDir, name)), external: true } : undefined),
  };
  const stdin = { contents, loader: "css", resolveDir: path.dirname(outfile) };
  await build({ stdin, outfile, bundle: true, minify: true, charset: "utf8", plugins: [addresses], logLevel: "warning" });
} else if (second === "--split") {
  const [script, target] = rest.map((file) => path.resolve(file));
  const outdir = path.dirname(target);
  const { metafile } = await require("esbuild").build({
    entryPoints: [{ in: script, out: path.parse(target).name }], outdir, chunkNames: "[name]-[hash]", absWorkingDir: outdir,
    bundle: true, splitting: true, format: "esm", minify: true, target: "es2022", charset: "utf8", metafile: true,
  });
  fs.writeFileSync(path.join(outdir, "outputs.json"), JSON.stringify(metafile.outputs));
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
