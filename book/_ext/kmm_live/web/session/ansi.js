// SPDX-License-Identifier: GPL-2.0-only
// Text with terminal colours as elements, with the classes that the book's own outputs have.

const NAMES = ["Black", "Red", "Green", "Yellow", "Blue", "Magenta", "Cyan", "White"];
const ESCAPE = /\x1b\[([\d;:]*)([A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b./g;

/** The text's pieces: strings, and spans where there is a colour. */
export function ansiToNodes(text) {
  const nodes = [];
  let style = {};
  let from = 0;
  const take = (to) => to > from && nodes.push(styled(text.slice(from, to), style));
  for (const match of text.matchAll(ESCAPE)) {
    take(match.index);
    from = match.index + match[0].length;
    if (match[2] === "m") style = apply(style, match[1].split(/[;:]/).map(Number));
  }
  take(text.length);
  return nodes;
}

function apply(before, codes) {
  const style = { ...before };
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at];
    if (code === 0) for (const key of Object.keys(style)) delete style[key];
    else if (code === 1) style.bold = true;
    else if (code === 3) style.italic = true;
    else if (code === 4) style.underline = true;
    else if (code === 22) style.bold = false;
    else if (code === 23) style.italic = false;
    else if (code === 24) style.underline = false;
    else if (code === 38 || code === 48) {
      const [colour, used] = extended(codes.slice(at + 1));
      style[code === 38 ? "colour" : "background"] = colour;
      at += used;
    } else if (code === 39) delete style.colour;
    else if (code === 49) delete style.background;
    else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) style.colour = NAMES[code % 10];
    else if ((code >= 40 && code <= 47) || (code >= 100 && code <= 107)) style.background = NAMES[code % 10];
  }
  return style;
}

/** A colour of the 256, or one of red, green and blue: the nearest of the eight, which are readable light and dark. */
function extended([kind, ...rest]) {
  if (kind === 2) return [nearest(rest[0], rest[1], rest[2]), 4];
  const n = rest[0];
  if (n < 16) return [NAMES[n % 8], 2];
  if (n > 231) return [undefined, 2]; // a grey: the text's own colour is as good
  const level = (step) => [0, 95, 135, 175, 215, 255][step];
  return [nearest(level(Math.floor((n - 16) / 36)), level(Math.floor((n - 16) / 6) % 6), level((n - 16) % 6)), 2];
}

function nearest(red, green, blue) {
  const top = Math.max(red, green, blue);
  if (top - Math.min(red, green, blue) < 40) return undefined;
  return NAMES[(red > top / 1.6 ? 1 : 0) + (green > top / 1.6 ? 2 : 0) + (blue > top / 1.6 ? 4 : 0)];
}

function styled(text, style) {
  const classes = [];
  if (style.bold) classes.push("-Color-Bold");
  if (style.colour) classes.push(`-Color-${style.bold ? "Bold-" : ""}${style.colour}`);
  if (style.background) classes.push(`-Color-BG${style.background}`);
  if (style.italic) classes.push("kmm-italic");
  if (style.underline) classes.push("kmm-underline");
  if (!classes.length) return document.createTextNode(text);
  return Object.assign(document.createElement("span"), { className: classes.join(" "), textContent: text });
}
