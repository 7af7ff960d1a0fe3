// Ranking while a person types: not at each key, and never for an input that has been overtaken.

const QUIET_MS = 300;

export class Live {
  #timer = 0;
  #controller = null;

  /** `work(signal)` is the ranking; its signal is aborted as soon as the input has changed. */
  constructor(work) {
    this.work = work;
  }

  cancel() {
    clearTimeout(this.#timer);
    this.#controller?.abort();
  }

  /** After the last change. */
  soon(ms = QUIET_MS) {
    this.cancel();
    this.#timer = setTimeout(() => this.now(), ms);
  }

  now() {
    this.cancel();
    this.#controller = new AbortController();
    return this.work(this.#controller.signal);
  }
}
