// SPDX-License-Identifier: GPL-2.0-only
// The first script of a page with code: draws the labs from their recorded run, then starts Python when there is
// time, or at once when the reader acts. All that Python needs is in another part, loaded then.

import { _ } from "../words.js";
import { drawRecorded } from "./draw.js";
import { Pending } from "./pending.js";
import { ROOT, loadManifest, loadPart } from "./parts.js";
import { setState, state } from "./state.js";
import { Status, notLoaded } from "./status.js";
import { findCells } from "./toolbar.js";
import { startWorker } from "./worker.js";
import { wantsToSaveData, whenIdle, whenSeen } from "./idle.js";

const live = (window.kmmLive = { root: ROOT, state });
setState("recorded");

const status = new Status({ start: () => start(), restart: () => session?.restart(), stop: () => stop() });
const pending = new Pending();
const cells = findCells();
let session; // once Python has been asked for
let prepared; // Python's worker, as a promise, until the session takes it over
let attempt = 0;

/** Start Python's worker: it has a processor of its own, and much to fetch and unpack before it needs the page. */
function prepare() {
  prepared ??= loadManifest().then((manifest) => startWorker(ROOT, manifest));
  prepared.catch(() => {}); // start() says it
  return prepared;
}

/** Start Python, unless that is being done; a failure is said in the status line. */
async function start() {
  if (state() === "starting" || state() === "yes") return;
  const mine = ++attempt;
  setState("starting");
  status.show("starting");
  const python = prepare();
  prepared = undefined;
  const forget = () => python.then(({ worker }) => worker.terminate(), () => {});
  try {
    const [manifest, { Session }] = await Promise.all([loadManifest(), loadPart("session"), python]);
    session ??= live.session = new Session({ cells, status, pending, manifest, root: ROOT, setState });
  } catch (error) {
    forget();
    if (mine !== attempt) return;
    setState("failed");
    console.error(error);
    status.show("failed", _("Python could not be loaded. What is on the page still works."));
    return;
  }
  if (mine === attempt) await session.start(await python);
  else forget();
}

function stop() {
  attempt += 1; // in case the session's script is still on its way
  session?.stop();
  setState("recorded");
  status.show("recorded", _("Python was stopped. The labs keep what they show."));
}

for (const cell of cells) {
  cell.runButton.addEventListener("click", () => session?.run(cell.index) ?? wake(cell.index));
  cell.pre.addEventListener("click", () => wake());
}

/** The reader acted: Python is wanted now. A cell's index: that one is run even if the run stops before it. */
function wake(index) {
  if (index !== undefined) pending.wanted = index;
  start();
}

document.addEventListener("kmm:act", (event) => {
  pending.add(event.target, event.detail.action);
  wake();
});

status.show("recorded");
if (location.protocol === "file:") {
  status.show("recorded", _("This page was opened as a file. The labs and Python need a web server, such as python3 -m http.server."), []);
} else {
  live.drawn = drawRecorded(() => session?.unheard()); // a lab greets Python when it is drawn: that starts nothing
  live.drawn.then(() => performance.mark("kmm-drawn"));
  if (wantsToSaveData()) status.show("recorded", notLoaded(_("Python is not loaded, to save data.")));
  else if (cells.length) {
    whenSeen(prepare);
    whenIdle(start);
  }
}
