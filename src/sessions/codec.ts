// Sessions, notes and clean-ups as the JSON texts that stores keep, with a cap on their size. For adapters.

import { parseExactly } from '../client/exact.ts';
import { SessionStoreError, SessionTooLargeError } from './errors.ts';
import { scopeOf } from './scope.ts';
import type { CleanupEntry, SessionState, StoredSession, TurnNote } from './types.ts';

/** The most characters of a session or a clean-up (64 Mi), unless a store is told otherwise. */
export const MAX_STORED_CHARS = 64 * 1024 * 1024;

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
    const value = parseExactly(text);
    if (typeof value === 'object' && value !== null && check(value)) return value as T; // as far as it matters
  } catch {
    // Said below.
  }
  throw new SessionStoreError(`the store has an unreadable ${what}`);
}

function capped(what: string, text: string, limit: number): string {
  if (text.length > limit) throw new SessionTooLargeError(what, text.length, limit);
  return text;
}
