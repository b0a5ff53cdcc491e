// One tab stop for a panel, whatever the number of things in it: the arrow keys go on from there to what lies
// nearest in that direction.

const TOWARDS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Roving {
  constructor(element, selector = "[data-stop]") {
    this.element = element;
    this.selector = selector;
    element.addEventListener("keydown", (event) => this.onKey(event));
    element.addEventListener("focusin", (event) => event.target.matches(selector) && this.stop(event.target));
  }

  stops() {
    return [...this.element.querySelectorAll(this.selector)];
  }

  // After a drawing: exactly one of the stops is in the tab order.
  settle() {
    const stops = this.stops();
    this.stop(stops.includes(this.at) ? this.at : stops.find((each) => each.dataset.stop === this.name) ?? stops[0]);
  }

  stop(element) {
    this.at = element;
    this.name = element?.dataset.stop;
    for (const each of this.stops()) each.tabIndex = each === element ? 0 : -1;
  }

  go(element) {
    this.stop(element);
    element.focus({ preventScroll: true });
    element.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  onKey(event) {
    if (!event.target.matches(this.selector) || event.ctrlKey || event.metaKey || event.altKey) return;
    const stops = this.stops();
    const to = event.key === "Home" ? stops[0] : event.key === "End" ? stops.at(-1)
      : event.key in TOWARDS ? nearestStop(event.target, stops, TOWARDS[event.key]) : undefined;
    if (to === undefined) return;
    event.preventDefault();
    if (to) this.go(to);
  }
}

function nearestStop(from, stops, [x, y]) {
  const middle = (element) => {
    const { left, top, width, height } = element.getBoundingClientRect();
    return [left + width / 2, top + height / 2];
  };
  const [fromX, fromY] = middle(from);
  let best = null;
  let least = Infinity;
  for (const each of stops) {
    const [toX, toY] = middle(each);
    const along = (toX - fromX) * x + (toY - fromY) * y;
    const aside = Math.abs((toX - fromX) * y) + Math.abs((toY - fromY) * x);
    if (along > 2 && along + 3 * aside < least) [best, least] = [each, along + 3 * aside];
  }
  return best;
}
