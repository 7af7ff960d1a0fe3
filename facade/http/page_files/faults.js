// Which field a refusal belongs to. The words are the server's own.

const FIELDS = ["query", "passages", "truncate"];

/** {query, passages, truncate, rest}: the messages of a refusal by field; `tooLong`: whether cutting would help. */
export function byField({ status, message, detail = {} }) {
  const found = { query: [], passages: [], truncate: [], rest: [], tooLong: status === 422 };
  const errors = detail.errors ?? [];
  for (const { path, message: words } of errors) {
    const [, name, place] = path.match(/^(\w+)(?:\[(\d+)\])?/) ?? [];
    const where = place === undefined ? "" : `Passage ${Number(place) + 1}: `;
    found[FIELDS.includes(name) ? name : "rest"].push(where + words);
  }
  if (errors.length) return found;
  const field = status === 422 || status === 413 ? "passages" : "rest";
  const places = (detail.pairs ?? []).map(({ passage }) => passage + 1);
  found[field].push(message + (places.length ? ` (passage ${list(places)})` : ""));
  return found;
}

const SHOWN = 8;

const list = (numbers) =>
  numbers.slice(0, SHOWN).join(", ") + (numbers.length > SHOWN ? ` and ${numbers.length - SHOWN} more` : "");
