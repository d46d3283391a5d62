// Sessions, notes and clean-ups as the JSON texts that stores keep, with a cap on their size. For adapters.

import { SessionStoreError, SessionTooLargeError } from './errors.ts';
import { scopeOf } from './scope.ts';
import type { CleanupEntry, SessionState, StoredSession, TurnNote } from './types.ts';

/** The most characters of a session or a clean-up (64 Mi), unless a store is told otherwise. */
export const MAX_STORED_CHARS = 64 * 1024 * 1024;

/** Perhaps an integer beyond 2^53: cheap to look for, settled by the reviver. */
const LONG_NUMBER = /\d{16}/;

/** @throws SessionTooLargeError */
export function encodeState(state: SessionState, limit: number): string {
  return capped('a session', JSON.stringify(state), limit);
}

/** @throws SessionTooLargeError */
export function encodeCleanup(entry: CleanupEntry, limit: number): string {
  return capped('a clean-up', JSON.stringify(entry), limit);
}

export function encodeNote(note: TurnNote): string {
  return JSON.stringify(note);
}

/** @throws SessionStoreError when it is no session. */
export function decodeSession(scopeText: string, rev: number, state: string): StoredSession {
  // What encodeState wrote; anything else lacks these members.
  const read = parsed<SessionState>('session', state, (value) => 'status' in value && 'snapshot' in value);
  return { ...read, scope: scopeOf(scopeText), rev };
}

/** @throws SessionStoreError */
export function decodeNote(note: string | null): TurnNote | null {
  return note === null ? null : parsed<TurnNote>('note of a turn', note, (value) => 'runId' in value);
}

/** @throws SessionStoreError */
export function decodeCleanup(entry: string): CleanupEntry {
  return parsed<CleanupEntry>('clean-up', entry, (value) => 'specs' in value && 'snapshot' in value);
}

function parsed<T>(what: string, text: string, check: (value: object) => boolean): T {
  try {
    const value: unknown = LONG_NUMBER.test(text) ? exactly(text) : JSON.parse(text);
    if (typeof value === 'object' && value !== null && check(value)) return value as T; // as far as it matters
  } catch {
    // Said below.
  }
  throw new SessionStoreError(`the store has an unreadable ${what}`);
}

/** As the client reads snapshots: integers beyond 2^53 keep their digits when they are printed again, where the runtime can. */
function exactly(text: string): unknown {
  // Not in TypeScript's library yet.
  const { rawJSON } = JSON as { readonly rawJSON?: (text: string) => unknown };
  if (rawJSON === undefined) return JSON.parse(text);
  return JSON.parse(text, (_key: string, value: unknown, { source }: { readonly source?: string } = {}) =>
    typeof value === 'number' && source !== undefined && !Number.isSafeInteger(value) && /^-?\d+$/.test(source)
      ? rawJSON(source)
      : value,
  );
}

function capped(what: string, text: string, limit: number): string {
  if (text.length > limit) throw new SessionTooLargeError(what, text.length, limit);
  return text;
}
