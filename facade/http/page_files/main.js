// The page: input, live ranking, columns, "take along" and server card, joined.

import { rank } from "./api.js";
import { Card } from "./card.js";
import { columns } from "./column.js";
import { find, say } from "./dom.js";
import { Editor } from "./editor.js";
import { EXAMPLES } from "./examples.js";
import { byField } from "./faults.js";
import * as keys from "./keys.js";
import { Live } from "./live.js";
import { sent } from "./passages.js";
import { asLogit, asMs, asPercent, CALIBRATED, count, probability, widthFor } from "./scale.js";
import { fragmentOf, stateIn } from "./share.js";
import { Take } from "./take.js";

const NAMES = ["A", "B"];
let shown = columns(["A"]);
let answers = [];
let failed = false;
let again = 0;

const editor = new Editor((soon) => {
  busy(true);
  if (soon) live.soon();
  else live.now();
});
const live = new Live(rankAll);
const card = new Card(
  (metadata) => {
    editor.allowImages(Boolean(metadata?.modalities.includes("image")));
    take.show();
  },
  () => failed && live.now(),
);
const link = async () => new URL(await fragmentOf(editor.state), location.href).href;
const take = new Take(() => ({ asked: asked(), answers: answers.flatMap((answer, side) => (answer ? { ...answer, side: NAMES[side] } : [])), link }));

const view = () => ({
  width: widthFor(answers.flatMap((answer) => answer?.rankings.map(({ logit }) => logit) ?? [])),
  threshold: editor.state.threshold,
  only: editor.state.only,
});

function asked() {
  const { query } = editor.state;
  const name = card.metadata?.modelInfo[0].shortName.replace(/:[^:]*$/, "") ?? "default";
  return { model: name, query, passages: editor.passages(editor.side), truncate: editor.side.truncate };
}

// From a change until its ranking is drawn, or refused.
function busy(on) {
  document.documentElement.dataset.busy = on;
  find("results").ariaBusy = String(on);
}

async function rankAll(signal) {
  clearTimeout(again);
  const { query, sides } = editor.state;
  if (sides.length !== shown.length) {
    shown = columns(NAMES.slice(0, sides.length));
    answers = [];
  }
  showErrors([]);
  take.show();
  const all = sides.map((side) => ({ side, passages: editor.passages(side) }));
  find("empty").hidden = Boolean(query.trim()) && all.every(({ passages }) => passages.length);
  if (!find("empty").hidden) return busy(false);
  busy(true);
  const outcomes = await Promise.all(all.map((each) => rankOne(query, each, signal)));
  if (signal.aborted) return;
  await showAll(outcomes);
  if (!signal.aborted) busy(false);
}

async function rankOne(query, { side, passages }, signal) {
  try {
    const answer = await rank({ query: { text: query }, passages: sent(passages), truncate: side.truncate }, signal);
    return { answer: { ...answer, query, passages } };
  } catch (refusal) {
    if (refusal.name === "AbortError") return {};
    if (refusal.status === undefined) throw refusal;
    return { refusal };
  }
}

async function showAll(outcomes) {
  answers = outcomes.map(({ answer }, side) => answer ?? (outcomes.length > 1 ? undefined : answers[side]));
  const refusals = outcomes.map(({ refusal }) => refusal);
  failed = refusals.some((refusal) => refusal && (refusal.status === 0 || refusal.status >= 500));
  showErrors(refusals);
  showThreshold();
  showHeadings();
  take.show();
  announce(outcomes);
  await Promise.all(outcomes.map(({ answer, refusal }, side) => (answer ? shown[side].show(answer, view()) : shown[side].fail(outcomes.length > 1 ? refusal.message : ""))));
}

// Errors

function showErrors(refusals) {
  const refusal = refusals[editor.editing] ?? refusals.find(Boolean);
  const found = refusal ? byField(refusal) : { query: [], passages: [], truncate: [], rest: [] };
  for (const field of ["query", "passages", "truncate"]) {
    say(find(`${field}-error`), found[field].join("; "));
    const control = find(field === "truncate" ? "truncate-field" : field);
    control.toggleAttribute("aria-invalid", found[field].length > 0);
  }
  say(find("file-error"), "");
  find("cut-instead").hidden = !found.tooLong;
  say(find("problem-words"), found.rest.join("; "));
  find("problem").hidden = !found.rest.length;
  find("problem-retry").textContent = "";
  if (refusal?.status === 503) retryIn(Math.max(1, refusal.retryAfterS));
}

function retryIn(seconds) {
  find("problem-retry").textContent = seconds ? `Trying again in ${seconds} s.` : "Trying again.";
  again = seconds ? setTimeout(() => retryIn(seconds - 1), 1000) : setTimeout(() => live.now());
}

// Results

function showHeadings() {
  const { sides } = editor.state;
  sides.forEach((side, index) => {
    say(shown[index].heading, sides.length > 1 ? `${NAMES[index]}: ${side.truncate === "END" ? "long ones cut (END)" : "long ones refused (NONE)"}` : "");
  });
  const [a, b] = answers;
  const comparable = a && b && sides[1]?.same;
  const places = (answer) => new Map(answer.rankings.map(({ index }, place) => [index, place]));
  const [before, after] = comparable ? [places(a), places(b)] : [];
  const moved = comparable ? [...before].filter(([index, place]) => after.get(index) !== place).length : 0;
  say(find("difference"), comparable ? (moved ? `${count(moved, "passage")} in another place in B than in A` : "A and B have the same order") : "");
}

function showThreshold() {
  const { threshold, only } = editor.state;
  const { width } = view();
  const slider = find("threshold");
  Object.assign(slider, { min: -width, max: width, step: 0.1, value: threshold });
  const words = `${asLogit(threshold)}, ${asPercent(probability(threshold))}`;
  slider.setAttribute("aria-valuetext", `logit ${words}`);
  find("threshold-value").textContent = words;
  find("threshold-reset").hidden = threshold === CALIBRATED;
  find("only").checked = only;
  const above = answers.map((answer) => answer?.rankings.filter(({ logit }) => logit >= threshold).length);
  find("above").textContent = above.map((number, side) => (number === undefined ? "" : `${above.length > 1 ? `${NAMES[side]}: ` : ""}${number} of ${answers[side].rankings.length} above`)).filter(Boolean).join(" · ");
}

function setThreshold(threshold, only = editor.state.only) {
  Object.assign(editor.state, { threshold, only });
  showThreshold();
  for (const column of shown) column.apply(view());
}

function announce(outcomes) {
  const said = outcomes.map(({ answer }) => answer && `${count(answer.passages.length, "passage")} ranked in ${asMs(answer.ms)}; best is passage ${answer.rankings[0].index + 1}`);
  find("announcement").textContent = said.filter(Boolean).join(". ");
}

// Theme, keyboard, start

find("theme").onclick = () => {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("theme", document.documentElement.dataset.theme);
  } catch {
    // Storage is blocked: the choice holds for this visit.
  }
};
find("key").onclick = async () => {
  if (await keys.open()) live.now();
};
find("threshold").oninput = () => setThreshold(Number(find("threshold").value));
find("threshold-reset").onclick = () => {
  setThreshold(CALIBRATED);
  find("threshold").focus();
};
find("only").onchange = () => setThreshold(editor.state.threshold, find("only").checked);
find("cut-instead").onclick = () => editor.cutInstead();
find("problem-now").onclick = () => live.now();
find("ask").onsubmit = (event) => {
  event.preventDefault();
  live.now();
};
find("skip").onclick = (event) => {
  event.preventDefault(); // the fragment is for the state
  find("results").focus();
};
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !find("key-dialog").open) live.now();
});

async function start() {
  const state = await stateIn(location.hash);
  if (state) editor.load(state);
  else if (!editor.state.query) editor.loadExample(EXAMPLES[0]);
}

addEventListener("hashchange", start);
editor.allowImages(false);
start();
card.watch();
