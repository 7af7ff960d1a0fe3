// The time of an answer as a stacked bar: the server's stages, and what is left for network and browser.

import { make } from "./dom.js";
import { asMs } from "./scale.js";

const MEANING = {
  decode: "read the request",
  tokenise: "texts to tokens",
  queue: "wait for the model",
  infer: "the model computes",
  pack: "tokens to tensors",
  rank: "sort",
  network: "network and browser",
};

/** Show the stages of an answer in `host`. */
export function showStages(host, { stages, ms }) {
  const inside = stages.reduce((sum, stage) => sum + stage.ms, 0);
  const all = [...stages, { name: "network", ms: Math.max(0, ms - inside) }];
  const bar = make("div", { className: "stack", ariaHidden: "true" });
  const legend = make("ul", { className: "legend", ariaLabel: "Time of the answer by stage" });
  for (const stage of all) {
    const part = make("span", { className: `part ${stage.name}`, title: `${stage.name}: ${asMs(stage.ms)}` });
    part.style.flexGrow = stage.ms;
    bar.append(part);
    const meaning = MEANING[stage.name] ?? "";
    legend.append(make("li", { title: meaning }, make("i", { className: `key ${stage.name}`, ariaHidden: "true" }), `${stage.name} `, make("b", {}, asMs(stage.ms))));
  }
  host.replaceChildren(bar, legend);
}
