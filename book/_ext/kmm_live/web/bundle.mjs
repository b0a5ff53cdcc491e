// SPDX-License-Identifier: GPL-2.0-only
// Bundle the scripts of the live page with esbuild.
//
//     node bundle.mjs NODE_MODULES OUT
//
// keep.js             what every page loads: has the book kept for offline
// live.js, live.css   what every page with code loads first: draws the labs, small
// session-*.js        the rest, as modules that the page loads when Python starts
// first.js, menus.js  in place of the theme's bootstrap.js: what each page loads, and what it loads later
// sw.js               the service worker (the extension puts it at the top of the site)
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const [modules, out] = process.argv.slice(2);
const here = path.dirname(fileURLToPath(import.meta.url));
const { build } = createRequire(path.join(path.resolve(modules), "/"))("esbuild");

// npm's anywidget is written for requirejs: its last line hands a function to define().
const anywidgetAsModule = {
  name: "anywidget-as-module",
  setup: (b) => b.onLoad({ filter: /anywidget[\\/]dist[\\/]index\.js$/ }, async ({ path: file }) => {
    const text = await fs.promises.readFile(file, "utf8");
    const contents = text.replace(/define\(\["@jupyter-widgets\/base"\], (\w+)\);/, "export default $1;");
    if (contents === text) throw new Error(`${file} no longer ends in the define() we replace`);
    return { contents, loader: "js" };
  }),
};

// The widget manager brings along the controls of ipywidgets 7 and an icon font; a new book uses neither.
const nothing = {
  name: "nothing",
  setup(b) {
    b.onResolve({ filter: /^@jupyter-widgets\/(base7|controls7)|^@fortawesome/ }, ({ path: file }) => ({ path: file, namespace: "nothing" }));
    b.onLoad({ filter: /.*/, namespace: "nothing" }, ({ path: file }) =>
      file.endsWith(".css") ? { contents: "", loader: "css" } : { contents: "module.exports = {}", loader: "js" });
  },
};

// Bootstrap asks for the whole of Popper by name, which nothing can then shorten: it calls one function.
const onlyWhatIsUsed = {
  name: "only-what-is-used",
  setup: (b) => b.onLoad({ filter: /@popperjs[\\/]core[\\/]lib[\\/]index\.js$/ }, () => ({ contents: 'export { createPopper } from "./popper.js";', resolveDir: path.join(path.resolve(modules), "@popperjs/core/lib") })),
};

const common = {
  absWorkingDir: here, outdir: path.resolve(out), nodePaths: [path.resolve(modules)],
  bundle: true, minify: true, target: "es2022", metafile: true, charset: "utf8", legalComments: "none",
  plugins: [anywidgetAsModule, nothing], loader: { ".svg": "dataurl" },
  define: { "process.env.NODE_ENV": '"production"', global: "globalThis", process: "undefined" },
  alias: { path: "path-browserify" }, logLevel: "warning",
};

await build({ ...common, entryPoints: { keep: "page/keep.js", live: "page/main.js", sw: "site/sw.js", first: "theme/first.js" }, format: "iife" });
await build({ ...common, entryPoints: { menus: "theme/menus.js" }, format: "iife", plugins: [onlyWhatIsUsed] });
await build({ ...common, entryPoints: { live: "page/live.css", site: "page/site.css" } });
const { metafile } = await build({
  ...common, format: "esm", splitting: true, entryNames: "[name]-[hash]", chunkNames: "part-[hash]",
  entryPoints: { session: "session/session.js", widgets: "session/widgets.js", worker: "worker/worker.js" },
});

const names = Object.entries(metafile.outputs).filter(([, output]) => output.entryPoint);
const part = { modules: {}, styles: {}, scripts: [] };
for (const [file, { entryPoint, cssBundle }] of names) {
  const key = path.basename(entryPoint, ".js");
  part.modules[key] = path.basename(file);
  if (cssBundle) part.styles[key] = path.basename(cssBundle);
}
part.scripts = Object.keys(metafile.outputs).map((file) => path.basename(file));
fs.writeFileSync(path.join(out, "part.json"), JSON.stringify(part));
