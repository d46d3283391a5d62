// Identifiers that peers see. Their shapes are facts of the wire: spec 01 §1.5 (run ids), 06 §2 (message run ids, call ids).

/** A run id: lower-case hyphenated UUIDv4. */
export function newRunId(): string {
  return crypto.randomUUID();
}

/** The id stamped on the messages of one agent run: UUIDv7, not the run id of the HTTP API. */
export function newMessageRunId(): string {
  return Bun.randomUUIDv7();
}

/** The id of a tool call whose provider gave none: `pyd_ai_` and 32 hex digits. */
export function newToolCallId(): string {
  return `pyd_ai_${crypto.randomUUID().replaceAll('-', '')}`;
}
