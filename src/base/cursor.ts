// Event ids and cursors: `<ms>-<seq>`, both unsigned 64-bit decimals (spec 01 §2, §6.2).
// Canonical ids have no leading zeros, so they compare by length and then as text: no BigInt per event.

/** An event id in canonical form, e.g. `1780388130204-0`. */
export type EventId = string;

/** The position before the first event; the default cursor. */
export const CURSOR_START: EventId = '0-0';

const MAX_U64 = '18446744073709551615';
const GRAMMAR = /^[ \t]*\+?0*(\d+)(?:-[ \t]*\+?0*(\d+))?$/;

/**
 * Reads a cursor in Redis' grammar: `<ms>` or `<ms>-<seq>`; `<ms>` alone means `<ms>-0`.
 * Leading zeros and blanks before a number are tolerated, as Redis does. Returns its canonical form, or null when it is not a cursor,
 * exceeds 64 bits, or is the maximum id (nothing can follow it; the reference fails on it too).
 */
export function parseCursor(text: string): EventId | null {
  if (text.length > 64) return null;
  const match = GRAMMAR.exec(text);
  if (match === null) return null;
  const ms = match[1] ?? '0';
  const seq = match[2] ?? '0';
  if (compareDecimals(ms, MAX_U64) > 0 || compareDecimals(seq, MAX_U64) > 0) return null;
  return ms === MAX_U64 && seq === MAX_U64 ? null : `${ms}-${seq}`;
}

/** Orders two canonical ids: negative, zero or positive. */
export function compareEventIds(a: EventId, b: EventId): number {
  if (a === b) return 0;
  const dashA = a.indexOf('-');
  const dashB = b.indexOf('-');
  return (
    compareDecimals(a.slice(0, dashA), b.slice(0, dashB)) || compareDecimals(a.slice(dashA + 1), b.slice(dashB + 1))
  );
}

function compareDecimals(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}
