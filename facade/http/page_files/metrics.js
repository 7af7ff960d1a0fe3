// The few Prometheus series that the server card shows.

/** {value, labels} of the first sample of a series; value 0 where there is none. */
export function sample(text, name) {
  const [, labels = "", value] = text.match(new RegExp(`^${name}(?:\\{(.*)\\})? (\\S+)$`, "m")) ?? [];
  return { value: Number(value ?? 0), labels };
}
