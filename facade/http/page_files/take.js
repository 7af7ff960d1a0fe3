// "Take along": the call as a program, the results as files, the state as a link.

import { base } from "./api.js";
import { asCsv, asJson, save } from "./download.js";
import { find, make, say } from "./dom.js";
import { inUse } from "./keys.js";
import { count } from "./scale.js";
import { LANGUAGES } from "./snippets.js";

const SHOWN = 6000; // characters of passages; a longer program is shown in part and copied whole

/** The first passages that have at most SHOWN characters together, and at least one. */
function shortened(passages) {
  let size = 0;
  const end = passages.findIndex(({ text }, index) => (size += text?.length ?? 0) > SHOWN && index > 0);
  return end < 0 ? passages : passages.slice(0, end);
}

export class Take {
  #language = "curl";

  /** `read()` gives {asked, answers, link}: the call, the answers of all sides, and a promise of the link. */
  constructor(read) {
    this.read = read;
    this.tabs = Object.entries(LANGUAGES).map(([name, { label }]) => make("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "code" }, label));
    find("languages").replaceChildren(...this.tabs);
    find("languages").addEventListener("click", ({ target }) => target.role === "tab" && this.#choose(target));
    find("languages").addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const at = this.tabs.indexOf(event.target);
      if (!step || at < 0) return;
      event.preventDefault();
      const next = this.tabs.at((at + step) % this.tabs.length);
      this.#choose(next);
      next.focus();
    });
    find("copy-code").onclick = () => copy(this.#program(), "Program copied");
    find("copy-link").onclick = async () => {
      const link = await this.read().link();
      history.replaceState(null, "", link);
      await copy(link, "Link copied. It holds query and passages, and no image or key");
    };
    find("save-csv").onclick = () => save("rankings.csv", "text/csv", asCsv(this.read().answers));
    find("save-json").onclick = () => save("rankings.json", "application/json", asJson(this.read().answers, this.read().asked.model));
    this.#choose(this.tabs[0]);
  }

  show() {
    const { passages } = this.read().asked;
    const few = shortened(passages);
    find("code").textContent = this.#program(few);
    say(find("left-out"), few.length < passages.length ? `${count(passages.length - few.length, "further passage")} not shown here; Copy takes all` : "");
    const none = !this.read().answers.length;
    find("save-csv").disabled = find("save-json").disabled = none;
  }

  #program(passages = this.read().asked.passages) {
    return LANGUAGES[this.#language].write({ ...this.read().asked, passages, base: base(), keyed: inUse() });
  }

  #choose(chosen) {
    this.#language = chosen.id.replace("tab-", "");
    for (const tab of this.tabs) {
      tab.setAttribute("aria-selected", String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
    }
    find("code").setAttribute("aria-labelledby", chosen.id);
    this.show();
  }
}

/** Put a text on the clipboard; below plain HTTP a browser allows that only through a selection. */
async function copy(text, done) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = make("textarea", { value: text, className: "off-screen", ariaHidden: "true" });
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  say(find("taken"), done);
}
