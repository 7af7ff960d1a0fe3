// Work on many items without a long frame: as many as fit into some milliseconds, then the browser may paint.

const SLICE_MS = 7;
const FIRST = 12; // at once: what a screen shows

/** Call `work(item, index)` for all items in order; ends early where `stale()` is true. Resolves to whether all were done. */
export async function inFrames(items, work, stale) {
  let began = performance.now();
  for (let index = 0; index < items.length; index += 1) {
    if (index >= FIRST && performance.now() - began > SLICE_MS) {
      await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
      if (stale()) return false;
      began = performance.now();
    }
    work(items[index], index);
  }
  return true;
}
