// The words of a query, marked in a passage. This shows matching words; it is not how the model ranks.

import { make } from "./dom.js";

const COMMON = new Set(
  ("a an and are as at be but by can could did do does for from had has have how i if in is it its me my no not of on or our so " +
    "than that the their them then there these they this to was we were what when where which who why will with would you your").split(" "),
);

/** A pattern that finds the query's words and their plurals; null where it has none beside common ones. */
export function termsOf(query) {
  const words = query.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const kept = [...new Set(words)].filter((word) => !COMMON.has(word) && (word.length > 1 || /\P{ASCII}/u.test(word)));
  if (!kept.length) return null;
  const stems = kept.map((word) => (word.length > 3 ? word.replace(/s$/, "") : word)).sort((a, b) => b.length - a.length);
  return new RegExp(`(?<![\\p{L}\\p{N}])(?:${stems.join("|")})(?:e?s)?(?![\\p{L}\\p{N}])`, "giu");
}

/** Text nodes and <mark> elements for a text. */
export function marked(text, terms) {
  if (!terms) return [text];
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(terms)) {
    parts.push(text.slice(end, match.index), make("mark", {}, match[0]));
    end = match.index + match[0].length;
  }
  return [...parts, text.slice(end)];
}
