// SPDX-License-Identifier: GPL-2.0-only
// What the reader sees instead of a page that the browser has not kept, when there is no network.

export function notKept(top) {
  const page = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>No network</title><style>body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 15vh auto; padding: 0 1rem; color-scheme: light dark; }</style>
<h1>No network</h1><p>This page of the book is not kept in this browser yet. Other pages may be: <a href="${top}book/index.html">the first one</a>,
<a href="${top}search.html">the search</a>. Once a page has said "kept for offline", all of them are.</p>`;
  return new Response(page, { status: 503, headers: { "Content-Type": "text/html; charset=utf-8" } });
}
