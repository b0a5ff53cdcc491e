// SPDX-License-Identifier: GPL-2.0-only
// The widget state that was saved when the book was built.

const STATE = 'script[type="application/vnd.jupyter.widget-state+json"]';
export const VIEW = 'script[type="application/vnd.jupyter.widget-view+json"]';

/** Every saved model by its id: { model_module, model_name, state, ... }; buffers are in place. */
export function readSaved() {
  const models = {};
  for (const script of document.querySelectorAll(STATE)) Object.assign(models, JSON.parse(script.textContent).state);
  for (const model of Object.values(models)) for (const buffer of model.buffers ?? []) put(model.state, buffer);
  return models;
}

/** The model that a view shows. */
export const modelOf = (script) => JSON.parse(script.textContent).model_id;

function put(target, { path, data, encoding }) {
  const bytes = encoding === "hex" ? data.match(/../g)?.map((pair) => parseInt(pair, 16)) ?? [] : Array.from(atob(data), (c) => c.charCodeAt(0));
  const last = path.at(-1);
  const holder = path.slice(0, -1).reduce((at, step) => (at[step] ??= {}), target);
  holder[last] = new DataView(Uint8Array.from(bytes).buffer);
}
