// The names of keys in Redis (spec 01 §6). Keys of our own, which the reference does not know, begin with `{prefix}:x:`;
// this store needs none: what it must remember of a run's writer is the end of the run's stream.

/** The keys of one run. */
export interface RunKeys {
  /** String: the record as JSON. */
  readonly record: string;
  /** Stream: one field `payload` per event. */
  readonly events: string;
}

export function runKeys(prefix: string, runId: string): RunKeys {
  const base = `${prefix}:runs:${runId}`;
  return { record: `${base}:record`, events: `${base}:events` };
}
