// SPDX-License-Identifier: GPL-2.0-only
// What the reader sees instead of a page that the browser has not kept, when there is no network.

import { _ } from "../words.js";

export function notKept(top) {
  const link = (address, words) => `<a href="${top}${address}">${words}</a>`;
  const [first, search] = [link("book/index.html", _("the first one")), link("search.html", _("the search"))];
  const title = _("No network");
  const words = _('This page of the book is not kept in this browser yet. Other pages may be: {first}, {search}. Once a page has said "kept for offline", all of them are.', { first, search });
  const page = `<!doctype html><html lang="${self.kmmWords?.en ?? "en"}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title><style>body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 15vh auto; padding: 0 1rem; color-scheme: light dark; }</style>
<h1>${title}</h1><p>${words}</p>`;
  return new Response(page, { status: 503, headers: { "Content-Type": "text/html; charset=utf-8" } });
}
