// What a reader can take along: the picture as SVG, the run as JSON, each a file with a name that says what it is.
import { make } from "./scene.js";
import { linkOf } from "./link.js";
import { Sheet } from "./sheet.js";

const FORMAT = 1; // of the JSON

// The drawing as it is now, without what can only be used on a screen, and as wide on a phone as anywhere.
export function pictureOf(bench) {
  const fit = () => bench.panels.forEach((panel) => panel.fit?.());
  bench.steady.release();
  bench.root.classList.add("kmm-picture");
  try {
    fit();
    const figure = bench.root.querySelector(".kmm-figure");
    const picture = new Sheet(figure).draw(bench.say(bench.nodes.get("").title), (element) => element.matches(".kmm-hidden, .kmm-ghost"));
    return new XMLSerializer().serializeToString(picture);
  } finally {
    bench.root.classList.remove("kmm-picture");
    fit();
    bench.steady.measure();
  }
}

export function runOf(bench) {
  const { model, player, phrases, say } = bench;
  const { name, settings = {} } = model.get("about") ?? {};
  const calls = [];
  for (const [[kind, ...gaps], , call, action] of player.frames) {
    if (call || !calls.length) calls.push({ call: call ? say(call) : "", ...(action ? { action } : {}), events: [] });
    const trace = phrases.told("log", [kind, ...gaps]);
    calls.at(-1).events.push({ event: kind, values: gaps, trace, says: phrases.told("says", [kind, ...gaps]) });
  }
  return { format: FORMAT, lab: name, title: say(bench.nodes.get("").title), settings, shown: player.at, events: player.end,
    link: linkOf(bench) ?? null, calls };
}

const fileWord = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 40);

export function nameOf(bench, ending) {
  const { name, settings = {} } = bench.model.get("about") ?? {};
  const numbers = Object.entries(settings).filter(([, value]) => Number.isInteger(value)).map(([key, value]) => `${key}-${value}`);
  const { at, end } = bench.player;
  const moment = ending === "svg" ? `event-${at}-of-${end}` : `${end}-events`;
  return [fileWord(name || bench.say(bench.nodes.get("").title)), "lab", ...numbers.map(fileWord), moment].join("-") + `.${ending}`;
}

export function save(bench, ending) {
  const [type, text] = ending === "svg" ? ["image/svg+xml", pictureOf(bench)] : ["application/json", JSON.stringify(runOf(bench), null, 1)];
  const href = URL.createObjectURL(new Blob([text], { type }));
  const link = make("a", { href, download: nameOf(bench, ending), hidden: "" });
  bench.root.append(link); // Firefox follows only what is in the page
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
  bench.remark(["saved", nameOf(bench, ending)]);
}
