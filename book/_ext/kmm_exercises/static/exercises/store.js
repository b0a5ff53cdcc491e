// SPDX-License-Identifier: GPL-2.0-only
// What a reader has done, kept in this browser alone: one entry for each exercise and each question of a quiz.
//
//   { format: "kmm-progress", version: 1, exercises: { "getting-pages/buddy-of": ENTRY, ... }, quizzes: { ... } }
//   ENTRY = { outcome: "right" | "wrong" | "raised", tries: 3, first: "2026-11-22", right: "2026-11-23", score: 8 }
//
// JupyterLab writes the same into a file, and both can be read here. What is read is looked at piece by piece: nothing
// of it but numbers, dates and known words is kept.

import { _ } from "../words/words.js";

const KEY = "kmm-progress";
const KINDS = ["exercises", "quizzes"];
const NAME = /^[a-z0-9][a-z0-9/#._-]{0,119}$/i;
const DAY = /^\d{4}-\d\d-\d\d$/;
export const LIMITS = { bytes: 1_000_000, entries: 2000, tries: 100_000 };

export function nothing() {
  return { format: KEY, version: 1, exercises: Object.create(null), quizzes: Object.create(null) };
}

/** What is kept; nothing if there is nothing, or if storage is blocked. */
export function kept() {
  try {
    return parse(localStorage.getItem(KEY) ?? "").progress;
  } catch {
    return nothing();
  }
}

/** Keep it, and tell the other scripts of the page; false if storage is full or blocked. */
export function keep(progress) {
  try {
    localStorage.setItem(KEY, JSON.stringify(progress));
  } catch {
    return false;
  }
  document.dispatchEvent(new CustomEvent("kmm:progress"));
  return true;
}

export function forget() {
  try {
    localStorage.removeItem(KEY);
  } catch {
    return;
  }
  document.dispatchEvent(new CustomEvent("kmm:progress"));
}

/** One more try: `kind` is "exercises" or "quizzes". What was right once stays right. */
export function note(kind, name, outcome, score) {
  if (!NAME.test(name)) return false;
  const progress = kept();
  const today = new Date().toISOString().slice(0, 10);
  const before = progress[kind][name];
  const entry = { outcome, tries: Math.min((before?.tries ?? 0) + 1, LIMITS.tries), first: before?.first ?? today };
  if (outcome === "right") entry.right = before?.right ?? today;
  if (Number.isFinite(score)) entry.score = score;
  progress[kind][name] = before ? better(before, entry) : entry;
  return keep(progress);
}

/** Of two entries for the same thing, what both know; the score of the one that was right, or else the later. */
export function better(one, other) {
  const both = { outcome: one.outcome === "right" ? "right" : other.outcome, tries: Math.max(one.tries, other.tries) };
  for (const day of ["first", "right"]) {
    const [earliest] = [one[day], other[day]].filter(Boolean).sort();
    if (earliest) both[day] = earliest;
  }
  const [later, earlier] = one.outcome === "right" && other.outcome !== "right" ? [one, other] : [other, one];
  const score = later.score ?? earlier.score;
  if (score !== undefined) both.score = score;
  return both;
}

/** Read a file's text: what could be used, and how many entries could not. Throws an Error that says why if it is none. */
export function parse(text) {
  const progress = nothing();
  if (text === "") return { progress, taken: 0, left: 0 };
  if (text.length > LIMITS.bytes) throw new Error(_("This file is too large to be progress in this book."));
  let raw;
  try {
    raw = JSON.parse(text);
  } catch {
    throw new Error(_("This file is not JSON."));
  }
  if (raw === null || typeof raw !== "object" || raw.format !== KEY) throw new Error(_("This file is not progress in this book."));
  if (raw.version !== 1) throw new Error(_("This file is of another version of the book."));
  let taken = 0;
  let left = 0;
  for (const kind of KINDS) {
    if (raw[kind] === null || typeof raw[kind] !== "object" || Array.isArray(raw[kind])) continue;
    for (const [name, value] of Object.entries(raw[kind])) {
      const entry = NAME.test(name) && taken < LIMITS.entries ? entryOf(value) : undefined;
      if (entry) progress[kind][name] = entry;
      taken += entry ? 1 : 0;
      left += entry ? 0 : 1;
    }
  }
  return { progress, taken, left };
}

function entryOf(value) {
  if (value === null || typeof value !== "object" || !["right", "wrong", "raised"].includes(value.outcome)) return undefined;
  const tries = Number.isInteger(value.tries) && value.tries > 0 ? Math.min(value.tries, LIMITS.tries) : 1;
  const entry = { outcome: value.outcome, tries };
  for (const day of ["first", "right"]) if (typeof value[day] === "string" && DAY.test(value[day])) entry[day] = value[day];
  if (Number.isFinite(value.score)) entry.score = value.score;
  return entry;
}

/** Put what was read beside what is kept. */
export function merged(one, other) {
  const all = nothing();
  for (const kind of KINDS) {
    for (const [name, entry] of [...Object.entries(one[kind]), ...Object.entries(other[kind])]) {
      all[kind][name] = all[kind][name] ? better(all[kind][name], entry) : entry;
    }
  }
  return all;
}
