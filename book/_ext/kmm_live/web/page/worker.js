// SPDX-License-Identifier: GPL-2.0-only
// Python's worker. It can be started before there is anybody to listen to it: that is still on its way.

import { _ } from "../words.js";

/** Start a worker and have it start Python; `said` holds what it says until somebody takes over `onmessage`. */
export function startWorker(root, manifest) {
  const worker = new Worker(root + manifest.modules.worker, { type: "module", name: "Python" });
  const said = [];
  worker.onmessage = ({ data }) => said.push(data);
  worker.onerror = ({ message }) => said.push({ op: "failed", message: message || _("its script could not be loaded") });
  worker.postMessage({ op: "start", id: "start", root, manifest, words: self.kmmWords });
  return { worker, said };
}
