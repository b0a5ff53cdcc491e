// A picture of an element as SVG, drawn from the boxes that the browser laid out: backgrounds, borders,
// words, where they stand, in the colours and fonts they have now. It holds nothing but rect, line, path,
// text and image, so that any program can open it. A new panel needs no code of its own for this.
import { make } from "./scene.js";

const SVG = "http://www.w3.org/2000/svg";
const SOLID = 0.01; // below this opacity nothing is seen

export function mark(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== "") element.setAttribute(key, typeof value === "number" ? inPixels(value) : value);
  }
  element.append(...children);
  return element;
}

const inPixels = (number) => String(Math.round(number * 100) / 100);

// Colours are written as the browser likes, color(srgb ...) for one; other programs know #rrggbb and an opacity.
class Inks {
  constructor() {
    this.pen = make("canvas", { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
    this.known = new Map();
  }

  of(color) {
    if (!this.known.has(color)) this.known.set(color, this.read(color));
    return this.known.get(color);
  }

  read(color) {
    this.pen.clearRect(0, 0, 1, 1);
    this.pen.fillStyle = "#000";
    this.pen.fillStyle = color;
    this.pen.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = this.pen.getImageData(0, 0, 1, 1).data;
    const hex = (part) => part.toString(16).padStart(2, "0");
    return { color: `#${hex(red)}${hex(green)}${hex(blue)}`, alpha: alpha / 255 };
  }

  ascent(style) {
    this.pen.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    const { fontBoundingBoxAscent: up, fontBoundingBoxDescent: down } = this.pen.measureText("x");
    return { up, high: up + down };
  }
}

export class Sheet {
  constructor(element) {
    this.inks = new Inks();
    this.clips = 0;
    this.root = element;
    this.origin = element.getBoundingClientRect();
  }

  // The drawing, standing alone. `skip` says which elements are left out.
  draw(title, skip) {
    this.skip = skip;
    const { width, height } = this.origin;
    const picture = mark("svg", { xmlns: SVG, width: Math.ceil(width), height: Math.ceil(height),
      viewBox: `0 0 ${Math.ceil(width)} ${Math.ceil(height)}`, role: "img", "aria-label": title });
    picture.append(mark("title", {}, title));
    this.element(this.root, picture, 1);
    return picture;
  }

  at(box) {
    return { x: box.left - this.origin.left, y: box.top - this.origin.top, width: box.width, height: box.height };
  }

  element(element, into, opacity) {
    if (this.skip(element)) return;
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    const seen = opacity * Number(style.opacity);
    if (style.display === "none" || style.visibility === "hidden" || seen < SOLID || style.clipPath.startsWith("inset(50%")) return;
    if (element instanceof SVGSVGElement) return void this.inline(element, into, box);
    const group = seen < 1 ? mark("g", { opacity: seen }) : into;
    if (group !== into) into.append(group);
    if (box.width && box.height) this.box(style, this.at(box), group);
    if (element instanceof HTMLCanvasElement) this.canvas(element, group, this.at(box));
    if (element instanceof HTMLInputElement || element instanceof HTMLSelectElement) return;
    this.before(element, style, box, group);
    const inside = this.clip(style, box, element, group);
    for (const child of this.inOrder(element)) {
      if (child.nodeType === Node.TEXT_NODE) this.text(child, style, inside);
      else if (child.nodeType === Node.ELEMENT_NODE) this.element(child, inside, 1);
    }
  }

  // What is lifted above its neighbours is drawn after them.
  inOrder(element) {
    const lift = (child) => (child.nodeType === Node.ELEMENT_NODE ? Number(getComputedStyle(child).zIndex) || 0 : 0);
    const children = [...element.childNodes].map((child) => [lift(child), child]);
    return children.sort(([a], [b]) => a - b).map(([, child]) => child);
  }

  clip(style, box, element, into) {
    const cut = style.overflowX !== "visible" && (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1);
    if (!cut) return into;
    const id = `clip${++this.clips}`;
    const group = mark("g", { "clip-path": `url(#${id})` });
    into.append(mark("clipPath", { id }, mark("rect", this.at(box))), group);
    return group;
  }

  box(style, { x, y, width, height }, into) {
    const ground = this.inks.of(style.backgroundColor);
    const side = parseFloat(style.borderTopWidth) || 0;
    const around = ["Right", "Bottom", "Left"].every((each) => style[`border${each}Width`] === style.borderTopWidth) && side;
    const rx = Math.min(parseFloat(style.borderTopLeftRadius) || 0, width / 2, height / 2);
    const drawn = { x: x + side / 2, y: y + side / 2, width: Math.max(0, width - side), height: Math.max(0, height - side), rx: Math.max(0, rx - side / 2) };
    const filled = ground.alpha > SOLID;
    if (filled) {
      into.append(mark("rect", { ...(around ? drawn : { x, y, width, height, rx }), fill: ground.color, "fill-opacity": ground.alpha < 1 ? ground.alpha : undefined }));
    }
    this.rules(style, { x, y, width, height }, side, into);
    if (around && style.borderTopStyle !== "none") into.append(mark("rect", { ...drawn, fill: "none", ...this.stroke(style, "Top") }));
    else if (!around) this.sides(style, { x, y, width, height }, into);
    this.ring(style, { x, y, width, height, rx }, into);
  }

  stroke(style, side) {
    const { color, alpha } = this.inks.of(style[`border${side}Color`]);
    const width = parseFloat(style[`border${side}Width`]);
    const line = style[`border${side}Style`];
    const dash = line === "dashed" ? `${inPixels(3 * width)} ${inPixels(2 * width)}` : line === "dotted" ? `${inPixels(width)} ${inPixels(width)}` : undefined;
    return { stroke: color, "stroke-width": width, "stroke-opacity": alpha < 1 ? alpha : undefined, "stroke-dasharray": dash };
  }

  sides(style, { x, y, width, height }, into) {
    const ends = { Top: [x, y, x + width, y], Right: [x + width, y, x + width, y + height], Bottom: [x, y + height, x + width, y + height], Left: [x, y, x, y + height] };
    for (const [side, [x1, y1, x2, y2]] of Object.entries(ends)) {
      if (!parseFloat(style[`border${side}Width`]) || style[`border${side}Style`] === "none") continue;
      into.append(mark("line", { x1, y1, x2, y2, ...this.stroke(style, side) }));
    }
  }

  // A ring of light: a shadow without blur or offset.
  ring(style, { x, y, width, height, rx }, into) {
    const ring = /^(.*?\)) 0px 0px 0px ([\d.]+)px$/.exec(style.boxShadow);
    if (!ring) return;
    const wide = Number(ring[2]);
    into.append(mark("rect", { x: x - wide / 2, y: y - wide / 2, width: width + wide, height: height + wide, rx: rx + wide / 2,
      fill: "none", stroke: this.inks.of(ring[1]).color, "stroke-width": wide }));
  }

  // Rules between cells: gradients of one hard line, repeated.
  rules(style, { x, y, width, height }, side, into) {
    if (!style.backgroundImage.includes("linear-gradient")) return;
    const sizes = style.backgroundSize.split(",").map((each) => each.trim().split(" ").map(parseFloat));
    const places = style.backgroundPosition.split(",").map((each) => each.trim().split(" ").map(parseFloat));
    const images = style.backgroundImage.split(/,\s*(?=linear-gradient)/);
    images.forEach((image, index) => {
      const hard = /^linear-gradient\((to right, )?((?:[a-z-]+\([^()]*\)|#\w+|\w+)) 1px, (?:transparent|rgba\(0, 0, 0, 0\)) 1px\)$/.exec(image);
      if (!hard) return;
      const { color, alpha } = this.inks.of(hard[2]);
      const across = Boolean(hard[1]);
      const by = sizes[index % sizes.length][across ? 0 : 1];
      const from = (places[index % places.length][across ? 0 : 1] || 0) + side;
      const room = across ? width : height;
      if (!(by > 2)) return;
      let path = "";
      for (let line = from; line < room - 1; line += by) {
        if (line < 1.5) continue;
        path += across ? `M${inPixels(x + line + 0.5)} ${inPixels(y + side)}v${inPixels(height - 2 * side)}` : `M${inPixels(x + side)} ${inPixels(y + line + 0.5)}h${inPixels(width - 2 * side)}`;
      }
      if (path) into.append(mark("path", { d: path, stroke: color, "stroke-opacity": alpha, "stroke-width": 1, fill: "none" }));
    });
  }

  // Words and lines that the style sheet puts before an element.
  before(element, style, box, into) {
    const own = getComputedStyle(element, "::before");
    if (own.content === "none" || own.content === "normal") return;
    const words = own.content.replace(/^"|"$/g, "").replace(/\\(.)/g, "$1");
    if (words) {
      const { up, high } = this.inks.ascent(own);
      const flows = element.childNodes.length > 0;
      const y = flows ? box.top + parseFloat(style.paddingTop) : box.top + (box.height - high) / 2;
      this.write(words, own, box.left + (flows ? parseFloat(style.paddingLeft) : 0), y + up, into);
    } else if (own.position === "absolute" && parseFloat(own.borderTopWidth)) {
      const x = box.left + parseFloat(style.borderLeftWidth) + parseFloat(own.left);
      const y = box.top + parseFloat(style.borderTopWidth) + parseFloat(own.top);
      const place = this.at({ left: x, top: y, width: parseFloat(own.width), height: 0 });
      into.append(mark("line", { x1: place.x, y1: place.y, x2: place.x + place.width, y2: place.y, ...this.stroke(own, "Top") }));
    }
  }

  // A text may be on several lines: each is written where it stands.
  text(node, style, into) {
    if (!node.data.trim()) return;
    const range = document.createRange();
    range.selectNodeContents(node);
    const { up, high } = this.inks.ascent(style);
    for (const [words, box] of this.lines(node, range)) {
      this.write(words, style, box.left, box.top + (box.height - high) / 2 + up, into);
    }
  }

  lines(node, range) {
    const boxes = [...range.getClientRects()].filter((box) => box.width);
    if (boxes.length < 2) return boxes.map((box) => [node.data, box]);
    const lines = [];
    for (let index = 0; index < node.data.length; index++) {
      range.setStart(node, index);
      range.setEnd(node, index + 1);
      const box = range.getClientRects()[0];
      if (!box?.width) continue;
      const line = lines.at(-1);
      if (line && Math.abs(line[1].top - box.top) < 2) line[0] += node.data[index];
      else lines.push([node.data[index], box]);
    }
    return lines;
  }

  write(words, style, left, baseline, into) {
    const { color, alpha } = this.inks.of(style.color);
    const plain = /^pre/.test(style.whiteSpace) || style.whiteSpaceCollapse === "preserve" ? words : words.replace(/\s+/g, " ").trim();
    if (!plain.trim()) return;
    const line = style.textDecorationLine;
    into.append(mark("text", {
      x: left - this.origin.left, y: baseline - this.origin.top, fill: color, "fill-opacity": alpha < 1 ? alpha : undefined,
      "font-family": style.fontFamily.replaceAll('"', "'"), "font-size": style.fontSize,
      "font-weight": style.fontWeight === "400" ? undefined : style.fontWeight,
      "font-style": style.fontStyle === "normal" ? undefined : style.fontStyle,
      "text-decoration": line === "none" ? undefined : line,
      "letter-spacing": style.letterSpacing === "normal" ? undefined : style.letterSpacing, "xml:space": "preserve",
    }, plain));
  }

  canvas(element, into, place) {
    if (place.width && element.width) into.append(mark("image", { ...place, href: element.toDataURL() }));
  }

  // A drawing within the picture is copied, with the colours that the style sheet gives it.
  inline(element, into, box) {
    if (!box.width || !box.height) return;
    const copy = element.cloneNode(true);
    const [theirs, ours] = [element, copy].map((each) => [each, ...each.querySelectorAll("*")]);
    ours.forEach((each, index) => {
      const style = getComputedStyle(theirs[index]);
      for (const name of ["class", "style", "aria-hidden", "tabindex"]) each.removeAttribute(name);
      for (const name of ["fill", "stroke", "color"]) {
        if (style[name] === "none") each.setAttribute(name, "none");
        else {
          const ink = this.inks.of(style[name]);
          each.setAttribute(name, ink.color);
          if (ink.alpha < 1 && name !== "color") each.setAttribute(`${name}-opacity`, inPixels(ink.alpha));
        }
      }
      for (const name of ["stroke-width", "stroke-dasharray", "opacity", "font-family", "font-size", "font-weight", "text-anchor"]) {
        const value = style.getPropertyValue(name);
        if (value && value !== "none") each.setAttribute(name, value.replaceAll('"', "'"));
      }
    });
    for (const [name, value] of Object.entries(this.at(box))) copy.setAttribute(name, inPixels(value));
    into.append(copy);
  }
}
