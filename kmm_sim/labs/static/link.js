// What "Copy link" gives: a lab's settings and what its reader did, written as kmm_sim/labs/link.py reads it.

const LINK_VERSION = "1";
const MAX_ACTIONS = 200;
const LONGEST = 8000; // characters

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

// The run as it stands and the event that is shown; undefined if it is too long for a link.
export function linkOf({ model, player }) {
  const { name, settings = {} } = model.get("about") ?? {};
  const fields = [LINK_VERSION, name, ...Object.entries(settings).map(([key, each]) => `${key}=${each === "" ? "" : spelt(each)}`)];
  const calls = player.frames.filter((frame) => frame[2]);
  const mine = calls.filter((frame) => frame[3]);
  if (mine.length) fields.push(`:${calls.indexOf(mine[0])}`); // so many recorded calls stand before them
  fields.push(...mine.map((frame) => written(frame[3], model.get("scene")[""].forms ?? [])));
  fields.push(`@${player.at}`);
  const text = fields.join(";");
  return mine.length > MAX_ACTIONS || text.length > LONGEST ? undefined : text;
}

export async function copyLink(bench) {
  const { permalink } = bench;
  const text = linkOf(bench);
  if (!text) return bench.remark(["link.long", bench.player.frames.filter((frame) => frame[3]).length]);
  const code = `${bench.model.get("about").name}_lab(link="${text}")`;
  if (permalink.inPage) {
    const fragment = `#kmm.${permalink.number()}=${text}`;
    permalink.know(fragment.slice(1));
    history.replaceState(history.state, "", fragment);
  }
  try {
    await navigator.clipboard.writeText(permalink.inPage ? location.href : code);
    bench.remark([permalink.inPage ? "link.copied" : "link.copied.code"]);
  } catch {
    bench.remark(permalink.inPage ? ["link.shown"] : ["link.shown.code", code]);
  }
  return undefined;
}
