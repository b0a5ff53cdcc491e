// SPDX-License-Identifier: GPL-2.0-only
// Draw stock ipywidgets from the state saved at build time, with no Python.

import { PageManager } from "./manager.js";

/** `views`: pairs of a model's id and the element to draw it in. */
export async function drawSaved(models, views) {
  const manager = new PageManager(window.kmmLive.root);
  await manager.set_state({ version_major: 2, version_minor: 0, state: models });
  for (const [id, place] of views) {
    await manager.display_view(manager.create_view(await manager.get_model(id)), place);
    place.dataset.drawn = "recorded";
  }
}
