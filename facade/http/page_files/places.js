// The lines from old places (as given, at the left) to new ones (ranked, at the right), beside the list.

import { draw } from "./dom.js";

const WIDTH = 64; // of the drawing, in its own units and pixels
const LABEL = 20; // at the left, for the old place's number

export class Places {
  constructor() {
    this.element = draw("svg", { class: "places-lines", "aria-hidden": "true", width: WIDTH });
    this.lines = new Map();
  }

  clear() {
    this.element.replaceChildren();
    this.lines.clear();
  }

  /** Join old place `index` with the row's. */
  add(row) {
    const line = draw("path", { class: "line" });
    const label = draw("text", { class: "old", x: LABEL - 6, "text-anchor": "end", "dominant-baseline": "central" }, String(row.index + 1));
    this.lines.set(row.index, { line, label });
    this.element.append(line, label);
  }

  /** Lay the lines out for rows in ranked order; those that are hidden have none. `middles`: of each row, in pixels. */
  arrange(rows, middles, height) {
    this.element.setAttribute("height", height);
    const shown = rows.filter((row) => !row.element.hidden);
    const old = [...shown].sort((a, b) => a.index - b.index);
    const from = new Map(old.map((row, place) => [row.index, middles[place]]));
    for (const row of rows) {
      const { line, label } = this.lines.get(row.index) ?? {};
      if (!line) continue;
      const hidden = row.element.hidden;
      line.toggleAttribute("hidden", hidden);
      label.toggleAttribute("hidden", hidden);
      if (hidden) continue;
      const start = from.get(row.index);
      const end = middles[shown.indexOf(row)];
      const bend = (WIDTH + LABEL) / 2;
      line.setAttribute("d", `M${LABEL},${start} C${bend},${start} ${bend},${end} ${WIDTH},${end}`);
      line.setAttribute("class", `line ${row.element.classList.contains("above") ? "above" : ""}`);
      label.setAttribute("y", start);
    }
  }

  light(index, on) {
    const found = this.lines.get(index);
    found?.line.classList.toggle("lit", on);
    found?.label.classList.toggle("lit", on);
    if (found && on) this.element.append(found.line, found.label); // above the others
  }
}
