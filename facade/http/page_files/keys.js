// The API key, asked for where the server wants one. It is kept in this variable and nowhere else.

import { find, say } from "./dom.js";

let key = "";
let declined = false;
let asking = null;

export const header = () => (key ? { Authorization: `Bearer ${key}` } : {});
export const inUse = () => Boolean(key);

/** Ask once, for any number of calls that wait. Resolves to whether there is a key to try; a person who declined is asked again by `open` alone. */
export function ask(refused, usedKey) {
  if (usedKey !== key) return Promise.resolve(true); // another call has asked in the meantime
  if (declined) return Promise.resolve(false);
  return open(refused);
}

export function open(why = "") {
  asking ??= new Promise((resolve) => show(why, resolve)).finally(() => {
    asking = null;
  });
  return asking;
}

export const current = () => key;

function show(why, resolve) {
  const dialog = find("key-dialog");
  const field = find("key-field");
  // Without a key yet, the server's message explains why one is needed; with one, it says what is wrong with it.
  say(find("key-error"), why);
  field.setAttribute("aria-invalid", String(Boolean(why && key)));
  const finish = (given) => {
    if (given) key = given;
    declined = !given;
    field.value = "";
    find("key-form").onsubmit = dialog.onclose = find("key-cancel").onclick = null;
    dialog.close();
    resolve(Boolean(given));
  };
  find("key-form").onsubmit = (event) => {
    event.preventDefault();
    if (field.value.trim()) finish(field.value.trim());
  };
  dialog.onclose = () => finish("");
  find("key-cancel").onclick = () => finish("");
  dialog.showModal();
  field.focus();
}
