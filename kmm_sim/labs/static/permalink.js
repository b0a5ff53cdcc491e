// Links: a lab's settings and what its reader did, as one line in the fragment of the page's address.
// kmm_sim/labs/link.py says how it is spelt, and reads it: here it is written, found, and handed on as a text.

const LINK_VERSION = "1";
const MAX_LENGTH = 8000;
const MAX_ACTIONS = 200;
const ENTRY = /^kmm\.(\d{1,3})=(.+)$/;
const opened = new Set(); // links that were followed: a lab that is drawn anew does not follow them again

function spelled(text) {
  const words = text.replace(/[^A-Za-z0-9_.:|+()-]/gu, (sign) => {
    if (sign === " ") return "~";
    return [...new TextEncoder().encode(sign)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
  });
  return words === "" || /^-?[0-9]{1,16}$/.test(words) ? `'${words}` : words;
}

function spelt(given) {
  if (typeof given === "boolean") return given ? "!t" : "!f";
  if (Number.isInteger(given)) return String(given);
  if (Array.isArray(given)) return `*${given.map(spelt).join(",")}`;
  return spelled(String(given));
}

// What stands in the gaps of the action's form, in their order, then the rest by name.
function written(action, forms) {
  const form = forms.find(({ does }) => does === action.do);
  const names = (form?.parts ?? []).filter((part) => typeof part === "object").map((part) => Object.values(part)[0]);
  const others = Object.keys(action).filter((name) => !["do", "at", ...names].includes(name));
  return [action.do, ...names.map((name) => (action[name] == null ? "" : spelt(action[name]))),
    ...others.map((name) => `${name}=${spelt(action[name])}`)].join("/");
}

export class Permalink {
  constructor(bench) {
    this.bench = bench;
    this.onHash = () => this.follow();
    window.addEventListener("hashchange", this.onHash);
  }

  close() {
    window.removeEventListener("hashchange", this.onHash);
  }

  // The run as it stands and the event that is shown; undefined if it is too long for a link.
  text() {
    const { model, player } = this.bench;
    const { name, settings = {} } = model.get("about") ?? {};
    const fields = [LINK_VERSION, name, ...Object.entries(settings).map(([key, each]) => `${key}=${each === "" ? "" : spelt(each)}`)];
    const calls = player.frames.filter((frame) => frame[2]);
    const mine = calls.filter((frame) => frame[3]);
    if (mine.length) fields.push(`:${calls.indexOf(mine[0])}`); // so many recorded calls stand before them
    fields.push(...mine.map((frame) => written(frame[3], model.get("scene")[""].forms ?? [])));
    fields.push(`@${player.at}`);
    const text = fields.join(";");
    return mine.length > MAX_ACTIONS || text.length > MAX_LENGTH ? undefined : text;
  }

  // The number of this lab among those of the page, which does not depend on what is drawn already.
  number() {
    const places = [...document.querySelectorAll(".kmm-view")];
    const place = places.indexOf(this.bench.root.closest(".kmm-view"));
    return place >= 0 ? place + 1 : [...document.querySelectorAll(".kmm-bench")].indexOf(this.bench.root) + 1;
  }

  get inPage() {
    return document.documentElement.dataset.live !== undefined;
  }

  async copy() {
    const { bench } = this;
    const text = this.text();
    if (!text) return bench.remark(["link.long", bench.player.frames.filter((frame) => frame[3]).length]);
    const code = `${bench.model.get("about").name}_lab(link="${text}")`;
    if (this.inPage) {
      const fragment = `#kmm.${this.number()}=${text}`;
      opened.add(fragment.slice(1));
      history.replaceState(history.state, "", fragment);
    }
    try {
      await navigator.clipboard.writeText(this.inPage ? location.href : code);
      bench.remark([this.inPage ? "link.copied" : "link.copied.code"]);
    } catch {
      bench.remark(this.inPage ? ["link.shown"] : ["link.shown.code", code]);
    }
    return undefined;
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
