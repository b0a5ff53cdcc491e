// SPDX-License-Identifier: GPL-2.0-only
// The page that shows what is done: fills in the tables, writes a file and reads one.

import { LIMITS, forget, keep, kept, merged, parse } from "./store.js";
import { _ } from "../words/words.js";

const [done, tried] = [_("✓ done"), _("… tried")];
const OUTCOMES = { right: done, wrong: tried, raised: tried };
const place = document.querySelector(".kmm-progress");
const [sum, bar, said] = ["sum", "bar", "said"].map((part) => place.querySelector(`.kmm-progress-${part}`));
const [saves, reads, forgets] = place.querySelectorAll(".kmm-progress-tools button");
const file = place.querySelector(".kmm-progress-tools input");
saves.addEventListener("click", save);
reads.addEventListener("click", () => file.click());
twice(forgets, _("Sure? Click again"), () => {
  forget();
  said.textContent = _("Forgotten.");
});
file.addEventListener("change", () => file.files[0] && read(file.files[0]));
document.addEventListener("kmm:progress", show);
window.addEventListener("storage", show);
window.addEventListener("pageshow", show);
show();

function show() {
  const progress = kept();
  const count = { exercises: 0, allExercises: 0, quizzes: 0, allQuizzes: 0 };
  for (const row of place.querySelectorAll("tr[id]")) {
    const state = row.querySelector(".kmm-state");
    if (row.id.startsWith("done-")) {
      const name = Object.keys(progress.exercises).find((each) => each.replace("/", "-") === row.id.slice(5));
      const entry = name && progress.exercises[name];
      count.allExercises += 1;
      count.exercises += entry?.outcome === "right" ? 1 : 0;
      row.dataset.outcome = entry?.outcome ?? "";
      state.textContent = entry ? OUTCOMES[entry.outcome] : "–";
      if (entry?.right) state.title = entry.right;
    } else {
      const [, chapter, total] = /^quizzes-(.*)-(\d+)$/.exec(row.id);
      const all = Object.entries(progress.quizzes).filter(([name]) => name.startsWith(`book/${chapter}#`));
      const right = Math.min(Number(total), all.filter(([, entry]) => entry.outcome === "right").length);
      count.allQuizzes += Number(total);
      count.quizzes += right;
      row.dataset.outcome = right === Number(total) ? "right" : "";
      state.textContent = all.length ? _("{right} of {total}", { right, total }) : "–";
    }
  }
  sum.textContent = _("{exercises} of {allExercises} exercises and {quizzes} of {allQuizzes} questions done.", count);
  const part = (count.exercises + count.quizzes) / Math.max(1, count.allExercises + count.allQuizzes);
  bar.style.setProperty("--kmm-part", `${(100 * part).toFixed(1)}%`);
}

function save() {
  const address = URL.createObjectURL(new Blob([`${JSON.stringify(kept(), null, 1)}\n`], { type: "application/json" }));
  const link = Object.assign(document.createElement("a"), { href: address, download: "kmm-progress.json" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

async function read(chosen) {
  file.value = "";
  try {
    const { progress, taken, left } = parse(chosen.size > LIMITS.bytes ? " ".repeat(LIMITS.bytes + 1) : await chosen.text());
    const whole = keep(merged(kept(), progress));
    said.textContent = [
      _("{taken} entries read.", { taken }), left ? _("{left} could not be used.", { left }) : "",
      whole ? "" : _("The browser keeps nothing for this site: save a file before you leave."),
    ].join(" ").trim();
  } catch (error) {
    said.textContent = error.message;
  }
}

/** Let a button ask once more before it acts. */
function twice(button, sure, action) {
  const words = button.textContent;
  button.addEventListener("click", () => {
    const armed = button.textContent === sure;
    button.textContent = armed ? words : sure;
    if (armed) action();
  });
  button.addEventListener("blur", () => { button.textContent = words; });
}
