// Nothing moves while one steps: every panel keeps the greatest height that it has in the run, which is found by
// drawing some moments of it before the reader sees any. What a reader's own calls bring may still make it grow.

const MOMENTS = 40;
const PATIENCE_TO_DRAW_MS = 250; // a slow device sees a panel grow rather than wait

export class Steady {
  constructor(bench) {
    this.bench = bench;
    this.heights = new Map();
    this.watch = new ResizeObserver(() => this.bench.root.clientWidth !== this.width && this.measure());
    this.watch.observe(bench.root);
  }

  close() {
    this.watch.disconnect();
  }

  get elements() {
    const { panels, forms, timeline, after } = this.bench;
    return [...[...panels, ...forms].map(({ element }) => element), timeline.says, after];
  }

  // Draw the last moment and some of the others, and come back.
  measure() {
    const { player, root } = this.bench;
    this.width = root.clientWidth;
    this.release();
    if (!this.width) return;
    const [at, began] = [player.at, performance.now()];
    const step = Math.max(1, player.end / MOMENTS);
    for (let moment = player.end; moment >= 0; moment -= step) {
      if (performance.now() - began > PATIENCE_TO_DRAW_MS) break;
      this.bench.drawMoment(player.go(Math.round(moment)), false);
      this.grow();
    }
    this.bench.drawMoment(player.go(at), false);
    this.grow();
  }

  release() {
    for (const element of this.heights.keys()) element.style.minHeight = "";
    this.heights.clear();
  }

  grow() {
    const elements = this.elements;
    const heights = elements.map((element) => Math.ceil(element.getBoundingClientRect().height));
    elements.forEach((element, index) => {
      if (heights[index] <= (this.heights.get(element) ?? 0)) return;
      this.heights.set(element, heights[index]);
      element.style.minHeight = `${heights[index]}px`;
    });
  }
}
