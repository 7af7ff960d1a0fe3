// The ranked list of one side: rows, lines between old and new places, axis, threshold, time.

import { find, make, say } from "./dom.js";
import { inFrames } from "./frames.js";
import { Places } from "./places.js";
import { Row } from "./row.js";
import { asLogit, asMs, count, onAxis } from "./scale.js";
import { showStages } from "./stages.js";
import { termsOf } from "./terms.js";

const ANIMATED = 60; // rows; more of them would be hard to follow, and to draw

export class Column {
  #rows = new Map();
  #run = 0;

  constructor(name) {
    this.ranked = [];
    this.heading = make("h3", { className: "side-name" });
    this.error = make("p", { className: "refusal", hidden: true });
    this.note = make("p", { className: "note", hidden: true });
    this.summary = make("p", { className: "summary" });
    this.stages = make("div", { className: "stages" });
    this.axis = make("div", { className: "axis", ariaHidden: "true" });
    this.list = make("ol", { className: "rows", ariaLabel: "Ranked passages" });
    this.places = new Places();
    const ranking = make("div", { className: "ranking" }, this.places.element, this.list);
    this.element = make("section", { className: "column", ariaLabel: `Ranking ${name}` }, this.heading, this.error, this.note, this.summary, this.stages, this.axis, ranking);
    this.#listen();
  }

  /** Show an answer: {passages, query, rankings, ...}. Resolves when all rows are drawn. */
  async show(answer, view) {
    const run = (this.#run += 1);
    this.answer = answer;
    this.element.classList.remove("stale");
    say(this.error, "");
    say(this.note, "");
    this.summary.replaceChildren(make("b", {}, count(answer.passages.length, "passage")), " · ", count(answer.tokens, "token"), " · ", make("b", {}, asMs(answer.ms)));
    if (answer.queryTruncated) this.summary.append(make("span", { className: "cut" }, "the query alone fills the limit: no passage was read"));
    showStages(this.stages, answer);
    const terms = termsOf(answer.query);
    const before = this.#tops();
    this.ranked = [];
    const rows = new Map();
    const done = await inFrames(
      answer.rankings,
      ({ index, logit }, place) => {
        const passage = answer.passages[index];
        const key = `${index}\n${passage.image ?? ""}\n${passage.text}`;
        const row = this.#rows.get(key) ?? new Row(passage, index);
        row.update({ place, logit, truncated: answer.truncated.has(index) }, terms, view.width);
        row.judge(view.threshold);
        row.element.hidden = view.only && logit < view.threshold;
        const there = this.list.children[place] ?? null;
        if (there !== row.element) this.list.insertBefore(row.element, there);
        rows.set(key, row);
        this.#rows.set(key, row);
        this.ranked.push(row);
      },
      () => run !== this.#run,
    );
    if (!done) return;
    this.#rows = rows;
    while (this.list.children.length > this.ranked.length) this.list.lastChild.remove();
    this.apply(view);
    this.#glide(before);
  }

  /** Take over threshold, filter and width of the axis. */
  apply(view) {
    this.element.style.setProperty("--threshold", onAxis(view.threshold, view.width));
    this.axis.replaceChildren(make("span", {}, asLogit(-view.width).replace(".00", "")), make("span", {}, "0"), make("span", {}, `+${view.width}`));
    for (const row of this.ranked) {
      row.judge(view.threshold);
      row.measure(view.width);
      row.element.hidden = view.only && row.value < view.threshold;
    }
    // One stop for Tab: the row with the focus, else the best. Arrows move it.
    const stop = this.ranked.find((row) => row.more === document.activeElement) ?? this.ranked[0];
    for (const row of this.ranked) row.more.tabIndex = row === stop ? 0 : -1;
    this.arrange();
  }

  /** A request that was refused leaves the last ranking, greyed. */
  fail(message) {
    this.#run += 1;
    this.element.classList.add("stale");
    say(this.error, message);
    say(this.note, this.ranked.length ? "This is the last ranking; the change since then was not ranked." : "");
  }

  arrange() {
    const shown = this.ranked.filter((row) => !row.element.hidden);
    const closed = shown.find((row) => !row.element.classList.contains("open"))?.element.offsetHeight ?? 0;
    let top = 0;
    const middles = shown.map((row) => {
      const height = row.element.classList.contains("open") ? row.element.offsetHeight : closed;
      top += height;
      return top - height + Math.min(height, closed || height) / 2;
    });
    this.places.arrange(this.ranked, middles, top);
  }

  #tops() {
    if (!this.ranked.length || this.ranked.length > ANIMATED || matchMedia("(prefers-reduced-motion: reduce)").matches) return new Map();
    return new Map(this.ranked.map((row) => [row, row.element.getBoundingClientRect().top]));
  }

  #glide(before) {
    for (const [row, top] of before) {
      const moved = top - row.element.getBoundingClientRect().top;
      if (moved && row.element.isConnected) row.element.animate([{ transform: `translateY(${moved}px)` }, { transform: "none" }], { duration: 220, easing: "ease-out" });
    }
  }

  #listen() {
    const rowOf = (event) => this.ranked.find((row) => row.element.contains(event.target));
    this.list.addEventListener("click", (event) => {
      const row = rowOf(event);
      if (!row || getSelection().toString()) return;
      row.toggle();
      this.arrange();
    });
    for (const [kind, on] of [["pointerover", true], ["pointerout", false], ["focusin", true], ["focusout", false]]) {
      this.list.addEventListener(kind, (event) => {
        const row = rowOf(event);
        if (row) this.places.light(row.index, on);
      });
    }
    this.list.addEventListener("keydown", (event) => {
      const shown = this.ranked.filter((row) => !row.element.hidden);
      const at = shown.findIndex((row) => row.element.contains(event.target));
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 }[event.key];
      if (at < 0 || to === undefined || !shown[to]) return;
      event.preventDefault();
      shown[at].more.tabIndex = -1;
      shown[to].more.tabIndex = 0;
      shown[to].more.focus();
    });
    let width = 0;
    new ResizeObserver(([{ contentRect }]) => {
      if (contentRect.width === width) return; // its height grows while rows are drawn
      width = contentRect.width;
      if (this.ranked.length) this.arrange();
    }).observe(this.element);
  }
}

/** The columns in the page, one a side. */
export function columns(names) {
  const made = names.map((name) => new Column(name));
  find("columns").replaceChildren(...made.map((column) => column.element));
  find("columns").classList.toggle("two", made.length > 1);
  return made;
}
