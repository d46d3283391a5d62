// Sessions in this process: for tests, and for programs whose sessions may end with them.

import {
  decodeCleanup,
  decodeNote,
  decodeSession,
  encodeCleanup,
  encodeNote,
  encodeState,
  MAX_STORED_CHARS,
} from './codec.ts';
import { SessionConflictError } from './errors.ts';
import { newId } from './ids.ts';
import { ownerKey, scopeKey, scopeOf } from './scope.ts';
import type { ClaimOptions, RetryOptions, SessionStore } from './store.ts';
import type { ClaimedCleanup, Owner, Scope, SessionState, TurnNote } from './types.ts';

const MAX_LAPSED = 1_000;

export interface MemoryStoreOptions {
  /** Milliseconds, of any epoch. Default: the machine's clock. */
  readonly now?: () => number;
  /** The most characters of a session or clean-up. Default 64 Mi. */
  readonly maxChars?: number;
}

interface Row {
  readonly rev: number;
  readonly owner: string;
  readonly status: SessionState['status'];
  readonly state: string;
  readonly savedAt: number;
}

interface HeldTurn {
  readonly owner: string;
  readonly token: string;
  readonly until: number;
  readonly note: string | null;
}

interface Owed {
  readonly entry: string;
  readonly due: number;
  readonly claim: string | null;
  readonly attempts: number;
  readonly failedRuns: number;
}

/** A store that ends with the process. Keeps texts, so that nothing it gives out is shared with what it was given. */
export function memorySessionStore({
  now = Date.now,
  maxChars = MAX_STORED_CHARS,
}: MemoryStoreOptions = {}): SessionStore {
  const rows = new Map<string, Row>();
  const turns = new Map<string, HeldTurn>();
  const outbox = new Map<string, Owed>();
  let revisions = 0;

  const ownTurn = (scope: Scope, token: string): HeldTurn | null => {
    const turn = turns.get(scopeKey(scope));
    return turn?.token === token ? turn : null;
  };
  const ownClaim = ({ id, claim }: Pick<ClaimedCleanup, 'id' | 'claim'>): Owed | null => {
    const owed = outbox.get(id);
    return owed?.claim === claim ? owed : null;
  };

  return {
    async load(scope) {
      const key = scopeKey(scope);
      const row = rows.get(key);
      return row === undefined ? null : decodeSession(key, row.rev, row.state);
    },

    async save(scope, next, ifRev, { enqueue = [] } = {}) {
      const key = scopeKey(scope);
      const state = encodeState(next, maxChars);
      const entries = enqueue.map((entry) => [entry.id, encodeCleanup(entry, maxChars)] as const);
      const actual = rows.get(key)?.rev ?? null;
      if (actual !== ifRev) throw new SessionConflictError(ifRev, actual);
      revisions += 1;
      rows.set(key, { rev: revisions, owner: ownerKey(scope), status: next.status, state, savedAt: now() });
      for (const [id, entry] of entries) {
        if (!outbox.has(id)) outbox.set(id, { entry, due: now(), claim: null, attempts: 0, failedRuns: 0 });
      }
      return revisions;
    },

    async *listActive(owner: Owner) {
      const key = ownerKey(owner);
      for (const [scope, row] of [...rows]) {
        if (row.owner === key && row.status === 'active') yield decodeSession(scope, row.rev, row.state);
      }
    },

    async purge(olderThanMs) {
      const old = [...rows].filter(([, row]) => row.status === 'cleaned' && row.savedAt <= now() - olderThanMs);
      for (const [key] of old) rows.delete(key);
      return old.length;
    },

    async beginTurn(scope, token, leaseMs) {
      const key = scopeKey(scope);
      const held = turns.get(key);
      if (held !== undefined && held.token !== token && held.until > now()) {
        return { begun: false, note: decodeNote(held.note), remainingMs: held.until - now() };
      }
      const note = held?.note ?? null;
      turns.set(key, { owner: ownerKey(scope), token, until: now() + leaseMs, note });
      return { begun: true, left: decodeNote(note) };
    },

    async keepTurn(scope, token, leaseMs, note?: TurnNote) {
      const held = ownTurn(scope, token);
      if (held === null) return false;
      const text = note === undefined ? held.note : encodeNote(note);
      turns.set(scopeKey(scope), { ...held, until: now() + leaseMs, note: text });
      return true;
    },

    async endTurn(scope, token) {
      return ownTurn(scope, token) !== null && turns.delete(scopeKey(scope));
    },

    async *listTurns(which) {
      const owner = 'owner' in which ? ownerKey(which.owner) : null;
      const found = [...turns].filter(([, turn]) => (owner === null ? turn.until <= now() : turn.owner === owner));
      if (owner === null) found.sort(([, one], [, other]) => one.until - other.until).splice(MAX_LAPSED);
      for (const [key, { note }] of found) yield { scope: scopeOf(key), note: decodeNote(note) };
    },

    async claim({ limit, leaseMs, ids }: ClaimOptions) {
      const free = [...outbox].filter(([id, { due, claim }]) => {
        return ids === undefined ? due <= now() : ids.includes(id) && (claim === null || due <= now());
      });
      free.sort(([, one], [, other]) => one.due - other.due);
      return free.slice(0, limit).map(([id, owed]) => {
        const claim = newId();
        outbox.set(id, { ...owed, claim, due: now() + leaseMs });
        const { attempts, failedRuns } = owed;
        return { ...decodeCleanup(owed.entry), claim, attempts, failedRuns };
      });
    },

    async retry(entry, { delayMs, failedRuns }: RetryOptions) {
      const owed = ownClaim(entry);
      if (owed === null) return false;
      outbox.set(entry.id, { ...owed, due: now() + delayMs, claim: null, attempts: owed.attempts + 1, failedRuns });
      return true;
    },

    async done(entry) {
      return ownClaim(entry) !== null && outbox.delete(entry.id);
    },

    async backlog() {
      const next = Math.min(...[...outbox.values()].map(({ due }) => due));
      return { entries: outbox.size, nextMs: outbox.size === 0 ? null : Math.max(0, next - now()) };
    },

    async close() {},
  };
}
