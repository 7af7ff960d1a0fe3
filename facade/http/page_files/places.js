// The lines from old places (as given, at the left) to new ones (ranked, at the right), beside the list.

import { draw } from "./dom.js";

const WIDTH = 64; // of the drawing, in its own units and pixels
const LABEL = 20; // at the left, for the old place's number
// More lines would hide each other, and take a long time to paint. Of the rows below, the one under the pointer or the focus has its line.
const MOST = 60;

export class Places {
  #curves = new Map();

  constructor() {
    this.element = draw("svg", { class: "places-lines", "aria-hidden": "true", width: WIDTH });
    this.lit = draw("g");
  }

  /** Draw the lines of rows in ranked order; hidden ones have none. `middles`: of each row that is shown, in pixels. */
  arrange(rows, middles, height) {
    const shown = rows.filter((row) => !row.element.hidden);
    const old = [...shown].sort((a, b) => a.index - b.index);
    const from = new Map(old.map((row, place) => [row.index, middles[place]]));
    this.#curves = new Map(shown.map((row, place) => [row.index, [from.get(row.index), middles[place]]]));
    const lines = shown.slice(0, MOST).flatMap((row) => this.#line(row.index, row.element.classList.contains("above") ? "above" : ""));
    this.element.setAttribute("height", height);
    this.element.replaceChildren(...lines, this.lit);
    this.lit.replaceChildren();
  }

  light(index, on) {
    this.lit.replaceChildren(...(on && this.#curves.has(index) ? this.#line(index, "lit") : []));
  }

  #line(index, kind) {
    const [start, end] = this.#curves.get(index);
    const bend = (WIDTH + LABEL) / 2;
    return [
      draw("path", { class: `line ${kind}`, d: `M${LABEL},${start} C${bend},${start} ${bend},${end} ${WIDTH},${end}` }),
      draw("text", { class: `old ${kind}`, x: LABEL - 6, y: start, "text-anchor": "end", "dominant-baseline": "central" }, String(index + 1)),
    ];
  }
}
