// The passages in a file: .txt and .md by blank lines, .jsonl by lines, .csv and .tsv by rows. Nothing leaves the browser.

import { split } from "./passages.js";

const TEXT_KEYS = ["text", "passage", "content", "body", "document", "contents", "page_content"];
const READERS = {
  txt: (content) => ({ passages: split(content).map(asText) }),
  md: (content) => ({ passages: markdown(content).map(asText) }),
  jsonl: jsonLines,
  csv: (content) => ({ passages: table(content, ",").map(asText) }),
  tsv: (content) => ({ passages: table(content, "\t").map(asText) }),
};

export const KINDS = Object.keys(READERS).map((kind) => `.${kind}`);

const asText = (text) => ({ text });

/** {passages, query?} of a file, each passage with `text`, `image` or both. Throws an Error that says what is wrong. */
export async function readPassages(file) {
  const kind = file.name.split(".").pop().toLowerCase();
  const read = READERS[kind];
  if (!read) throw new Error(`${file.name} is none of ${KINDS.join(", ")}`);
  const found = read((await file.text()).replace(/^\uFEFF/, ""));
  if (!found.passages.length) throw new Error(`${file.name} has no passage`);
  return found;
}

export async function readImage(file) {
  const image = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error(`${file.name} can't be read`));
    reader.readAsDataURL(file);
  });
  return { text: "", image, name: file.name };
}

// A heading goes with what follows it, and a fenced block stays whole.
function markdown(content) {
  const blocks = [];
  let fenced = false;
  let open = false;
  for (const line of content.split(/\r?\n/)) {
    const blank = !line.trim() && !fenced;
    if (blank) {
      open = open && /^#{1,6} [^\n]*$/.test(blocks.at(-1));
      continue;
    }
    if (open) blocks[blocks.length - 1] += `\n${line}`;
    else blocks.push(line);
    open = true;
    if (/^\s*(```|~~~)/.test(line)) fenced = !fenced;
  }
  return blocks;
}

function jsonLines(content) {
  const found = { passages: [] };
  content.split(/\r?\n/).forEach((line, number) => {
    if (!line.trim()) return;
    let value;
    try {
      value = JSON.parse(line);
    } catch {
      throw new Error(`line ${number + 1} is not JSON`);
    }
    if (typeof value?.query === "string") found.query ??= value.query;
    const several = value?.passages ?? value?.documents;
    for (const each of Array.isArray(several) ? several : [value]) {
      const passage = typeof each === "string" ? asText(each) : fields(each);
      if (passage) found.passages.push(passage);
    }
  });
  return found;
}

function fields(value) {
  const key = TEXT_KEYS.find((name) => typeof value?.[name] === "string");
  const text = [value?.title, key && value[key]].filter(Boolean).join("\n");
  const image = typeof value?.image === "string" && value.image.startsWith("data:image/") ? value.image : "";
  if (!text && !image) return null;
  return image ? { text, image, name: value.name ?? "image" } : { text };
}

// RFC 4180. The column is the first with a known name, else the one with the longest texts.
function table(content, separator) {
  const [head, ...rows] = records(content, separator);
  if (!head) return [];
  const names = head.map((name) => name.trim().toLowerCase());
  const named = names.findIndex((name) => TEXT_KEYS.includes(name));
  if (named >= 0) return rows.map((row) => row[named] ?? "").filter(Boolean);
  const all = [head, ...rows];
  const sizes = head.map((_, column) => all.reduce((sum, row) => sum + (row[column]?.length ?? 0), 0));
  const longest = sizes.indexOf(Math.max(...sizes));
  return all.map((row) => row[longest] ?? "").filter(Boolean);
}

function records(content, separator) {
  const rows = [[]];
  const cell = new RegExp(`(?:"((?:[^"]|"")*)"|([^${separator}\\r\\n]*))(${separator}|\\r?\\n|$)`, "gy");
  for (const [, quoted, plain, end] of content.matchAll(cell)) {
    rows.at(-1).push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (!end) break;
    if (end !== separator) rows.push([]);
  }
  return rows.filter((row) => row.some(Boolean));
}
