// Links: a lab's settings and what its reader did, as one line in the fragment of the page's address.
// kmm_sim/labs/link.py says how it is spelt, and reads it: link.js writes it; here it is found, and handed on as a text.

const MAX_LENGTH = 8000;
const ENTRY = /^kmm\.(\d{1,3})=(.+)$/;
const opened = new Set(); // links that were followed: a lab that is drawn anew does not follow them again

export class Permalink {
  constructor(bench) {
    this.bench = bench;
    this.onHash = () => this.follow();
    window.addEventListener("hashchange", this.onHash);
  }

  close() {
    window.removeEventListener("hashchange", this.onHash);
  }

  // The number of this lab among those of the page, which does not depend on what is drawn already.
  number() {
    const places = [...document.querySelectorAll(".kmm-view")];
    const place = places.indexOf(this.bench.root.closest(".kmm-view"));
    return place >= 0 ? place + 1 : [...document.querySelectorAll(".kmm-bench")].indexOf(this.bench.root) + 1;
  }

  // A link that this page wrote itself is not followed.
  know(entry) {
    opened.add(entry);
  }

  get inPage() {
    return document.documentElement.dataset.live !== undefined;
  }

  // Follow the link in the address, if there is one for this lab: once, and only in a page of the book.
  follow() {
    if (!this.inPage) return;
    for (const entry of location.hash.slice(1).split("&")) {
      const [, number, text] = ENTRY.exec(entry) ?? [];
      if (Number(number) !== this.number() || opened.has(entry)) continue;
      opened.add(entry);
      this.bench.open(text.slice(0, MAX_LENGTH + 1));
      this.bench.root.scrollIntoView({ block: "start" });
    }
  }
}
