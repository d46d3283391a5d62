// Texts that a store can keep exactly. SQLite and Redis keep UTF-8, which has no lone surrogates: written raw they
// would come back as U+FFFD. A payload is JSON, so such a code unit can only stand inside a string, where `\udXXX` means the same.

const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** The payload as it is stored and shown: itself, or with raw lone surrogates written as JSON escapes. */
export function storablePayload(payload: string): string {
  if (payload.isWellFormed()) return payload;
  return payload.replace(LONE_SURROGATE, (unit) => `\\u${unit.charCodeAt(0).toString(16)}`);
}
