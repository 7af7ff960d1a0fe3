// Elements: found by id, or made. Text is only ever put in as text nodes, so markup in it stays text.

export const find = (id) => document.getElementById(id);

/** A new element; `properties` are its properties, or attributes where it has no such property. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** A new SVG element with these attributes. */
export function draw(tag, attributes = {}, text = "") {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

/** Show `text` in an element, and hide the element where there is none. */
export function say(element, text) {
  element.textContent = text;
  element.hidden = !text;
}
