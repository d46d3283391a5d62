// The names of keys in Redis. A run's first three are the reference's (spec 01 §6); keys of our own, which the reference does
// not know, begin with `{prefix}:x:`. docs/stores.md lists them for operators.

/** The keys of one run. */
export interface RunKeys {
  /** String: the record as JSON. */
  readonly record: string;
  /** Stream: one field `payload` per event. */
  readonly events: string;
  /** Stream: one entry, field `payload`, when a cancel was accepted. */
  readonly intent: string;
  /** String: the last event that was dropped, and how many bytes were so far; only when the run's stream was trimmed. */
  readonly trimmed: string;
}

export function runKeys(prefix: string, runId: string): RunKeys {
  const base = `${runsBase(prefix)}${runId}`;
  return {
    record: `${base}:record`,
    events: `${base}:events`,
    intent: `${base}:cancel-intent`,
    trimmed: `${ownBase(prefix)}trimmed:${runId}`,
  };
}

/** What the names of all runs' keys begin with. */
export function runsBase(prefix: string): string {
  return `${prefix}:runs:`;
}

/** What the names of our own keys begin with. */
export function ownBase(prefix: string): string {
  return `${prefix}:x:`;
}

/** An owner that is no process and never has a lease: its runs are lost (lua/discard.lua). */
export const NOBODY = 'nobody';

/** The keys that say who owns which runs. */
export interface OwnerKeys {
  /** Set: the ids of all owners. */
  readonly owners: string;
  /** String with a time to live: there while the owner lives. */
  readonly lease: string;
  /** Set: the owner's runs. */
  readonly index: string;
}

export function ownerKeys(prefix: string, ownerId: string): OwnerKeys {
  const base = ownBase(prefix);
  return { owners: `${base}owners`, lease: `${base}lease:${ownerId}`, index: `${base}owner:${ownerId}:runs` };
}

/** Stream: every accepted cancel, for the owner of its run. */
export function cancelsKey(prefix: string): string {
  return `${ownBase(prefix)}cancels`;
}

/** What the names of the keys of the index of runs begin with (lua/indexed.lua). */
export function indexBase(prefix: string): string {
  return `${ownBase(prefix)}index:`;
}

/** Strings: what an idempotency key was used for. Both are made of digests. */
export interface IdempotencyKeys {
  /** The run of this key and request. */
  readonly same: string;
  /** The request and run of this key's last use. */
  readonly last: string;
}

export function idempotencyKeys(prefix: string, key: string, fingerprint: string): IdempotencyKeys {
  const last = `${ownBase(prefix)}idem:${key}`;
  return { same: `${last}:${fingerprint}`, last };
}

/** The keys of one managed session. */
export interface SessionKeys {
  /** String: the row. */
  readonly row: string;
  /** String: its large part; only when there is one. */
  readonly body: string;
}

export function sessionKeys(prefix: string, key: string): SessionKeys {
  const base = `${ownBase(prefix)}session:`;
  return { row: `${base}row:${key}`, body: `${base}body:${key}` };
}

/** Sorted sets of all managed sessions. */
export interface SessionSets {
  /** By name. */
  readonly keys: string;
  /** By when they are due. */
  readonly due: string;
  /** By tenant and name. */
  readonly tenants: string;
}

export function sessionSets(prefix: string): SessionSets {
  const base = `${ownBase(prefix)}session:`;
  return { keys: `${base}keys`, due: `${base}due`, tenants: `${base}tenants` };
}
