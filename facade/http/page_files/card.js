// What is served, and how the server is: read every two seconds while the page is visible.

import { readJson, readText } from "./api.js";
import { find, make } from "./dom.js";
import { current } from "./keys.js";
import { sample } from "./metrics.js";
import { count } from "./scale.js";

const EVERY_MS = 2000;
const READY = { state: "ready", words: "Ready" };

export class Card {
  #served = "";
  #refusedKey = null; // the key, or none, that the server refused: it is not asked again with the same
  metadata = null;

  /** `changed(metadata)` is called for another model, engine or bundle, `ready()` when the server is back. */
  constructor(changed, ready) {
    Object.assign(this, { changed, ready });
  }

  /** Look now, and again and again. */
  async watch() {
    if (document.visibilityState === "visible") await this.look();
    setTimeout(() => this.watch(), EVERY_MS);
  }

  async look() {
    if (this.#refusedKey === current()) return;
    this.#refusedKey = null;
    const health = await readJson("v1/health/ready").then(() => READY, unready);
    if (health.state === "locked") this.#refusedKey = current();
    this.#state(health);
    if (health.state === "stopped" || health.state === "locked") return;
    const text = await readText("v1/metrics").catch((refusal) => this.#refused(refusal));
    if (text) this.#load(text);
    const served = sample(text, "reranker_info").labels + sample(text, "reranker_engine_info").labels;
    if (this.metadata && served === this.#served) return;
    this.#served = served;
    this.metadata = (await readJson("v1/metadata").catch((refusal) => this.#refused(refusal))) || this.metadata;
    if (this.metadata) this.#model(this.metadata);
    this.changed(this.metadata);
  }

  #refused({ status }) {
    if (status === 401) this.#refusedKey = current();
    return "";
  }

  #state({ state, words }) {
    const status = find("status");
    if (status.dataset.state === state && status.lastElementChild.textContent === words) return;
    const back = state === "ready" && ["stopped", "unready"].includes(status.dataset.state);
    status.dataset.state = state;
    status.lastElementChild.textContent = words;
    find("card-state").textContent = words;
    find("card-state").dataset.state = state;
    if (back) this.ready();
  }

  #load(text) {
    const value = (name) => sample(text, name).value;
    find("card-load").textContent = `${count(value("reranker_requests_in_flight"), "request")}, ${count(value("reranker_tokens_in_flight"), "token")}`;
    const speed = Math.round(value("reranker_tokens_per_second"));
    find("card-speed").textContent = speed ? `${speed.toLocaleString("en")} tokens a second` : "not measured yet";
  }

  #model({ modelInfo, maxSeqLen, modalities, engine, precision, digest, parity, version }) {
    const [name] = modelInfo[0].shortName.split(/:(?=[^:]*$)/);
    const facts = {
      Model: name,
      "Model version": modelInfo[0].shortName.slice(name.length + 1),
      Takes: modalities.filter((name) => name !== "text_image").join(" and "),
      Limit: `${maxSeqLen.toLocaleString("en")} tokens a pair`,
      Engine: engine || "not known yet",
      Precision: precision,
      Parity: parity?.reference ? `${parity.pairs} pairs against ${parity.reference}: at most ${parity.max_abs_difference} apart, ${(parity.rank_agreement * 100).toFixed(1)} % in the same order` : "no report",
      Digest: digest,
      Server: `Triton Reranker ${version}`,
    };
    find("card-model").replaceChildren(...Object.entries(facts).map(([term, words]) => make("div", {}, make("dt", {}, term), make("dd", { className: term.toLowerCase(), title: term === "Digest" ? words : "" }, words))));
  }
}

function unready({ status, message }) {
  if (status === 0) return { state: "stopped", words: "No answer from the server" };
  return { state: status === 401 ? "locked" : "unready", words: status === 401 ? "An API key is needed" : message };
}
