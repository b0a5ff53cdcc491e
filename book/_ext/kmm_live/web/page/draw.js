// SPDX-License-Identifier: GPL-2.0-only
// Draw the labs from their saved state, with no Python: each is an anywidget, a module with a render function.
// A page that shows stock ipywidgets at its top level gets the whole widget manager for those.

import { whenGone } from "./gone.js";
import { VIEW, modelOf, readSaved } from "./saved.js";
import { RecordedModel } from "./model.js";
import { loadPart } from "./parts.js";

/** Draw every saved view; resolves when all of them stand. `onSend` hears what a lab would have told Python. */
export async function drawRecorded(onSend) {
  const saved = readSaved();
  const library = new Library(saved, onSend);
  const scripts = [...document.querySelectorAll(VIEW)].filter((script) => saved[modelOf(script)]);
  const isLab = (script) => saved[modelOf(script)].model_module === "anywidget";
  const labs = scripts.filter(isLab).map((script) => drawLab(library, modelOf(script), placeOf(script)));
  const stock = scripts.filter((script) => !isLab(script));
  if (stock.length) labs.push(drawStock(saved, stock));
  for (const outcome of await Promise.allSettled(labs)) if (outcome.status === "rejected") console.error(outcome.reason);
}

/** The models of this page, as a widget that holds others asks for them. */
class Library {
  #models = new Map();

  constructor(saved, onSend) {
    this.saved = saved;
    this.onSend = onSend;
  }

  async get_model(id) {
    const known = this.#models.get(id) ?? new RecordedModel(id, this.saved[id].state, this, this.onSend);
    this.#models.set(id, known);
    return known;
  }
}

async function drawLab(library, id, place) {
  const model = await library.get_model(id);
  const gone = new AbortController();
  const { signal } = gone;
  const experimental = { invoke: () => Promise.reject(new Error("Python is not running in this page yet")) };
  addStyle(model.get("_css"), model.get("_anywidget_id"));
  const module = await loadModule(model.get("_esm"));
  const widget = typeof module.default === "function" ? await module.default() : module.default ?? module;
  await widget.initialize?.({ model, signal, experimental });
  const cleanup = await widget.render?.({ model, el: place, signal, experimental });
  whenGone(place, () => {
    gone.abort();
    cleanup?.();
  });
  place.dataset.drawn = "recorded";
}

async function drawStock(saved, scripts) {
  const { drawSaved } = await loadPart("widgets");
  await drawSaved(saved, scripts.map((script) => [modelOf(script), placeOf(script)]));
}

/** The box a view is drawn in: the extension put it around the script, with room kept for the drawing. */
function placeOf(script) {
  const place = document.createElement("div");
  script.after(place);
  return place;
}

/** A module by its address (the extension moved it to a file of its own) or by its text. */
async function loadModule(source) {
  if (isAddress(source)) return import(absolute(source));
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  try {
    return await import(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}

function addStyle(source, id) {
  if (!source || isAddress(source) || document.getElementById(id)) return; // an address stands in the page's head
  document.head.append(Object.assign(document.createElement("style"), { id, textContent: source }));
}

const isAddress = (source) => source.startsWith("kmm-live:");
const absolute = (source) => new URL(source.slice("kmm-live:".length), window.kmmLive.root).href;
