// One ranked passage: its place, text, bar around 0, numbers and marks.

import { make } from "./dom.js";
import { asLogit, asPercent, onAxis, probability } from "./scale.js";
import { marked } from "./terms.js";

// Characters that a closed row can show. The whole text is put in when the row is opened, which keeps 512 long passages light.
const PREVIEW = 420;

export class Row {
  #shown = "";

  constructor(passage, index) {
    this.passage = passage;
    this.index = index;
    this.place = make("span", { className: "place" });
    this.moved = make("span", { className: "moved" });
    this.text = make("p", { className: "text" });
    this.marks = make("span", { className: "marks" });
    this.fill = make("i", { className: "fill" });
    this.logit = make("span", { className: "logit" });
    this.chance = make("span", { className: "chance" });
    this.more = make("button", { type: "button", className: "more", tabIndex: -1, ariaExpanded: "false" });
    const said = passage.image ? [make("img", { src: passage.image, alt: `Image ${passage.name}`, loading: "lazy", decoding: "async" })] : [];
    this.element = make(
      "li",
      { className: "row" },
      make("span", { className: "places" }, this.place, this.moved),
      make("div", { className: "said" }, ...said, make("div", { className: "words" }, this.text, this.marks)),
      make("div", { className: "score" }, make("span", { className: "bar", ariaHidden: "true" }, this.fill), make("span", { className: "numbers" }, this.chance, this.logit)),
      this.more,
    );
    this.element.dataset.index = index;
  }

  /** `entry`: {place, logit, truncated}, place from 0. */
  update(entry, terms, width) {
    Object.assign(this, { at: entry.place, value: entry.logit });
    const rise = this.index - entry.place;
    this.place.textContent = entry.place + 1;
    this.moved.textContent = rise > 0 ? `\u2191${rise}` : rise < 0 ? `\u2193${-rise}` : "=";
    this.moved.className = `moved ${rise > 0 ? "up" : rise < 0 ? "down" : ""}`;
    this.moved.title = `Given as passage ${this.index + 1}`;
    this.logit.textContent = asLogit(entry.logit);
    this.chance.textContent = asPercent(probability(entry.logit));
    this.marks.replaceChildren(...(entry.truncated ? [make("span", { className: "cut", title: "The end was cut: query and passage are longer than the model's limit" }, "end cut")] : []));
    this.more.setAttribute("aria-label", `Whole text of passage ${this.index + 1}, place ${entry.place + 1}`);
    this.terms = terms;
    this.write();
    this.measure(width);
  }

  measure(width) {
    const at = onAxis(this.value, width);
    this.fill.style.setProperty("--from", Math.min(at, 0.5));
    this.fill.style.setProperty("--length", Math.abs(at - 0.5));
    this.fill.classList.toggle("negative", this.value < 0);
  }

  write() {
    const whole = this.passage.text ?? "";
    const open = this.more.ariaExpanded === "true";
    const text = open || whole.length <= PREVIEW ? whole : `${whole.slice(0, PREVIEW)}\u2026`;
    const key = `${this.terms?.source}\n${text}`;
    if (key === this.#shown) return;
    this.#shown = key;
    this.text.replaceChildren(...marked(text || this.passage.name || "", this.terms));
  }

  toggle(open = this.more.ariaExpanded !== "true") {
    this.more.ariaExpanded = String(open);
    this.element.classList.toggle("open", open);
    this.write();
  }

  judge(threshold) {
    this.element.classList.toggle("above", this.value >= threshold);
  }
}
