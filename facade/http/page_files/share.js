// The state of the page in the fragment of its address, which a browser sends to no server.

const PREFIX = "#s=";

const through = async (bytes, stream) => new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());

/** The fragment that holds `state`, without images. */
export async function fragmentOf(state) {
  const bare = { ...state, sides: state.sides.map((side) => ({ ...side, images: [] })) };
  const packed = await through(new TextEncoder().encode(JSON.stringify(bare)), new CompressionStream("deflate-raw"));
  let binary = "";
  for (const byte of packed) binary += String.fromCharCode(byte);
  return PREFIX + btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** The state in a fragment; null where it holds none, or is damaged. */
export async function stateIn(fragment) {
  if (!fragment.startsWith(PREFIX)) return null;
  try {
    const binary = atob(fragment.slice(PREFIX.length).replaceAll("-", "+").replaceAll("_", "/"));
    const packed = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    return checked(JSON.parse(new TextDecoder().decode(await through(packed, new DecompressionStream("deflate-raw")))));
  } catch {
    return null;
  }
}

// A link may come from anywhere, so nothing of it is taken over as it is.
function checked({ query, sides, threshold, only }) {
  const kept = sides.slice(0, 2).map((side, index) => ({ text: String(side.text), images: [], truncate: side.truncate === "NONE" ? "NONE" : "END", same: index > 0 && Boolean(side.same) }));
  if (!kept.length) return null;
  return { query: String(query), sides: kept, threshold: Number(threshold) || 0, only: Boolean(only) };
}
