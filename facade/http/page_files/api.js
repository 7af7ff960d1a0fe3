// Calls to the server that sent this page, at addresses relative to the page.

import * as keys from "./keys.js";

/** The server's address without a final slash, for programs. */
export const base = () => new URL(".", location.href).href.replace(/\/$/, "");

/** A refusal by the server, or none of its answers at all (status 0). */
export class Refusal extends Error {
  constructor(status, message, detail = {}, retryAfterS = 0) {
    super(message);
    Object.assign(this, { status, detail, retryAfterS });
  }
}

async function call(path, options = {}) {
  const used = keys.current();
  let answer;
  try {
    answer = await fetch(path, { ...options, cache: "no-store", headers: { ...options.headers, ...keys.header() } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "The server does not answer. It may have been stopped, or the network is down.");
  }
  if (answer.ok) return answer;
  const refusal = await refusalOf(answer);
  if (answer.status === 401 && (await keys.ask(refusal.message, used))) {
    options.signal?.throwIfAborted();
    return call(path, options);
  }
  throw refusal;
}

async function refusalOf(answer) {
  const retryAfterS = Number(answer.headers.get("Retry-After")) || 0;
  try {
    const { message, detail } = await answer.json();
    return new Refusal(answer.status, message, detail, retryAfterS);
  } catch {
    return new Refusal(answer.status, `The server answered with status ${answer.status}.`, {}, retryAfterS);
  }
}

export const readJson = async (path) => (await call(path)).json();
export const readText = async (path) => (await call(path)).text();

/** Rank. Resolves to {rankings, tokens, stages, ms, truncated, queryTruncated}; rejects with a Refusal or an AbortError. */
export async function rank(body, signal) {
  const began = performance.now();
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal };
  const answer = await call("v1/ranking", options);
  const { rankings, usage } = await answer.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "The answer broke off, or it is none of this server.");
  });
  const listed = answer.headers.get("X-Truncated-Passages");
  return {
    rankings,
    tokens: usage.total_tokens,
    stages: serverTiming(answer.headers.get("Server-Timing") ?? ""),
    ms: performance.now() - began,
    truncated: new Set(listed ? listed.split(",").map(Number) : []),
    queryTruncated: answer.headers.has("X-Truncated-Query"),
  };
}

/** [{name, ms}] of a Server-Timing header. */
function serverTiming(header) {
  return [...header.matchAll(/([\w-]+);dur=([\d.]+)/g)].map(([, name, ms]) => ({ name, ms: Number(ms) }));
}
