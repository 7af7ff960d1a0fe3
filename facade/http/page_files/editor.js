// The input: query, passages and images of the side that is edited, truncate, examples, files. Calls `changed` after each change.

import { find, make, say } from "./dom.js";
import { EXAMPLES } from "./examples.js";
import { KINDS, readImage, readPassages } from "./files.js";
import { join, passagesOf } from "./passages.js";
import { count } from "./scale.js";

const newSide = () => ({ text: "", images: [], truncate: "END", same: false });

export class Editor {
  state = { query: "", sides: [newSide()], threshold: 0, only: false };
  editing = 0;
  takesImages = false;

  /** `changed(soon)`: the input is another one; `soon`: and may change again at once. */
  constructor(changed) {
    this.changed = changed;
    find("examples").replaceChildren(...EXAMPLES.map((example) => this.#exampleButton(example)));
    find("query").oninput = () => this.#edit(() => (this.state.query = find("query").value));
    find("passages").oninput = () => this.#edit(() => (this.side.text = find("passages").value));
    for (const radio of document.getElementsByName("truncate")) radio.onchange = () => this.#edit(() => (this.side.truncate = radio.value), false);
    find("compare").onchange = () => this.#compare(find("compare").checked);
    find("same").onchange = () => this.#edit(() => this.#setSame(find("same").checked), false);
    for (const radio of document.getElementsByName("side")) radio.onchange = () => this.edit(Number(radio.value));
    this.#takeFiles();
  }

  get side() {
    return this.state.sides[this.editing];
  }

  /** The passages of a side; of B, where it is to have the same, those of A. */
  passages(side) {
    return passagesOf(side.same ? this.state.sides[0] : side);
  }

  load(state) {
    this.state = state;
    this.editing = 0;
    this.show();
    this.changed(false);
  }

  loadExample({ query, passages }) {
    const target = this.side.same ? this.state.sides[0] : this.side;
    Object.assign(target, { text: join(passages), images: [] });
    this.state.query = query;
    this.show();
    this.changed(false);
  }

  edit(index) {
    this.editing = index;
    this.show();
  }

  /** Bring the fields up to the state. */
  show() {
    const { side } = this;
    const two = this.state.sides.length > 1;
    find("query").value = this.state.query;
    find("passages").value = side.same ? this.state.sides[0].text : side.text;
    find("passages").readOnly = side.same;
    for (const radio of document.getElementsByName("truncate")) radio.checked = radio.value === side.truncate;
    for (const radio of document.getElementsByName("side")) radio.checked = Number(radio.value) === this.editing;
    find("compare").checked = two;
    find("sides").hidden = !two;
    find("same-field").hidden = this.editing !== 1;
    find("same").checked = side.same;
    this.#showCount();
    this.#showImages();
  }

  /** Whether images may be dropped, as the served model says. */
  allowImages(allowed) {
    this.takesImages = allowed;
    find("files").accept = [...KINDS, ...(allowed ? ["image/*"] : [])].join(",");
    find("drop-hint").textContent = `Leave a blank line between passages, or drop files here: ${KINDS.slice(0, 4).join(", ")}${allowed ? ", images" : ""}`;
  }

  cutInstead() {
    this.#edit(() => (this.side.truncate = "END"), false);
    this.show();
  }

  #edit(change, soon = true) {
    change();
    this.#showCount();
    this.changed(soon);
  }

  #exampleButton(example) {
    return make("button", { type: "button", className: "example", onclick: () => this.loadExample(example) }, example.name, make("small", {}, example.about));
  }

  #compare(on) {
    const [first] = this.state.sides;
    const other = { ...newSide(), truncate: first.truncate === "END" ? "NONE" : "END", same: true };
    this.state.sides = on ? [first, other] : [first];
    this.edit(on ? 1 : 0);
    this.changed(false);
  }

  #setSame(same) {
    const [first] = this.state.sides;
    Object.assign(this.side, { same, text: same ? "" : first.text, images: same ? [] : [...first.images] });
    this.show();
  }

  #showCount() {
    find("count").textContent = count(this.passages(this.side).length, "passage");
  }

  #showImages() {
    const { images, same } = this.side;
    const shown = same ? this.state.sides[0].images : images;
    find("images").replaceChildren(
      ...shown.map((image, index) => {
        const remove = make("button", { type: "button", ariaLabel: `Remove image ${image.name}`, disabled: same }, "×");
        remove.onclick = () => {
          this.#edit(() => images.splice(index, 1), false);
          this.#showImages();
          (find("images").querySelector("button") ?? find("add-files")).focus();
        };
        return make("li", {}, make("img", { src: image.image, alt: image.name, decoding: "async" }), make("span", {}, image.name), remove);
      }),
    );
    find("images").hidden = !shown.length;
  }

  #takeFiles() {
    const zone = find("drop-zone");
    find("add-files").onclick = () => find("files").click();
    find("files").onchange = () => {
      this.#add([...find("files").files]);
      find("files").value = "";
    };
    // Without this, a file that is dropped beside the field replaces the page.
    for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.dataTransfer.types.includes("Files") && event.preventDefault());
    zone.addEventListener("dragover", () => zone.classList.add("over"));
    zone.addEventListener("dragleave", (event) => zone.contains(event.relatedTarget) || zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => {
      zone.classList.remove("over");
      if (event.dataTransfer.files.length) this.#add([...event.dataTransfer.files]);
    });
  }

  async #add(files) {
    const faults = [];
    const texts = [];
    if (this.side.same) this.#setSame(false);
    for (const file of files) {
      try {
        if (file.type.startsWith("image/")) {
          if (!this.takesImages) throw new Error(`${file.name} is an image, and the served model takes text alone`);
          this.side.images.push(await readImage(file));
          continue;
        }
        const { passages, query } = await readPassages(file);
        if (query) this.state.query = query;
        texts.push(...passages.filter((passage) => !passage.image).map(({ text }) => text));
        this.side.images.push(...passages.filter((passage) => passage.image));
      } catch (error) {
        faults.push(error.message);
      }
    }
    // The first file replaces what is there; further text goes by paste.
    if (texts.length) this.side.text = join(texts);
    this.show();
    if (faults.length < files.length) this.changed(false);
    say(find("file-error"), faults.join("; "));
  }
}
