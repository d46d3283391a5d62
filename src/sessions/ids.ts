// Names that nobody else has: tokens of turns, ids of the outbox. `crypto.randomUUID` is missing on pages without https.

/** 128 random bits in hex. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
