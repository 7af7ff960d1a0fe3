// A side of the comparison: the texts of one field, separated by blank lines, then the images.

/** The passages in a text: its parts between blank lines. */
export const split = (text) =>
  text
    .split(/\r?\n[ \t]*(?:\r?\n[ \t]*)+/)
    .map((part) => part.trim())
    .filter(Boolean);

/** The text of a field that holds these passages; a blank line inside one becomes a line break. */
export const join = (passages) => passages.map((text) => split(text).join("\n")).filter(Boolean).join("\n\n");

/** The passages of a side: {text} each, or {text, image, name}. */
export const passagesOf = (side) => [...split(side.text).map((text) => ({ text })), ...side.images];

/** The same as the request has them. */
export const sent = (passages) =>
  passages.map(({ text, image }) => ({ ...(text ? { text } : {}), ...(image ? { image } : {}) }));
