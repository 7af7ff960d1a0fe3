// A ranking as a file: CSV (RFC 4180) or JSON.

import { make } from "./dom.js";
import { probability } from "./scale.js";

const COLUMNS = ["side", "place", "index", "logit", "probability", "truncated", "text"];

/** One object a passage, best first, of all sides. */
function rowsOf(answers) {
  return answers.flatMap((answer) =>
    answer.rankings.map(({ index, logit }, place) => ({
      side: answer.side,
      place: place + 1,
      index,
      logit,
      probability: probability(logit),
      truncated: answer.truncated.has(index),
      text: answer.passages[index].text || answer.passages[index].name || "",
    })),
  );
}

const cell = (value) => (/[",\r\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);

export const asCsv = (answers) => [COLUMNS, ...rowsOf(answers).map((row) => COLUMNS.map((name) => row[name]))].map((row) => `${row.map(cell).join(",")}\r\n`).join("");

export const asJson = (answers, model) =>
  JSON.stringify({ model, query: answers[0].query, tokens: answers.map(({ tokens }) => tokens), rankings: rowsOf(answers) }, null, 2);

export function save(name, type, content) {
  const link = make("a", { href: URL.createObjectURL(new Blob([content], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
