// What keeps sessions: the interface that memory.ts, sqlite.ts and redis.ts implement, and that an adapter of your own has to.
// test/sessions/store-contract.ts is what it must pass. How to write one: docs/agent-sessions.md.

import type { ClaimedCleanup, CleanupEntry, Owner, Scope, SessionState, StoredSession, TurnNote } from './types.ts';

/** What is written together with a session. */
export interface SaveOptions {
  /** Added to the outbox in the same atomic step, due at once; none of it when the save is refused. */
  readonly enqueue?: readonly CleanupEntry[];
}

export type TurnOutcome =
  /** The turn is the caller's. `left`: what its last owner noted and did not finish; it stays until it is replaced. */
  | { readonly begun: true; readonly left: TurnNote | null }
  /** Somebody else has it, for so long at least. */
  | { readonly begun: false; readonly note: TurnNote | null; readonly remainingMs: number };

export interface StoredTurn {
  readonly scope: Scope;
  readonly note: TurnNote | null;
}

export interface ClaimOptions {
  /** The most entries to hand out. */
  readonly limit: number;
  /** How long they are the caller's, ms; after that they are due again. */
  readonly leaseMs: number;
  /** Only these, whether due or not, but not those that another worker holds. */
  readonly ids?: readonly string[];
}

export interface RetryOptions {
  /** From now, ms. */
  readonly delayMs: number;
  readonly failedRuns: number;
  /** For people; at most 1,000 characters are given. */
  readonly error: string;
}

export interface Backlog {
  /** All entries of the outbox, claimed ones too. */
  readonly entries: number;
  /** Until the next one is due, or its claim lapses, ms; 0: now; null: there is none. */
  readonly nextMs: number | null;
}

/**
 * Sessions, turns and the outbox. Several processes may share one store. Times are durations, measured by the clock of the
 * store, so that the clocks of its users need not agree.
 *
 * Every method is one atomic step, durable when its promise resolves. It rejects with SessionStoreError when the store cannot
 * do it now; the step may then have happened or not. Methods never wait for one another.
 */
export interface SessionStore {
  /** The session, or null when there never was one (or it was purged). */
  load(scope: Scope): Promise<StoredSession | null>;
  /**
   * Writes the session if its revision is still `ifRev` (null: if there is none), and answers with the new one: larger than
   * any that this scope had.
   * @throws SessionConflictError when it is not; SessionTooLargeError. Nothing was written then.
   */
  save(scope: Scope, next: SessionState, ifRev: number | null, options?: SaveOptions): Promise<number>;
  /** Sessions with status `active`, in any order. What changes meanwhile may or may not be among them. */
  listActive(owner: Owner): AsyncIterable<StoredSession>;
  /** Forgets sessions that have been `cleaned` for so long. How many it were. */
  purge(olderThanMs: number): Promise<number>;

  /** Takes the turn of a session, if nobody has it or its lease is over. `token` names this owner. */
  beginTurn(scope: Scope, token: string, leaseMs: number): Promise<TurnOutcome>;
  /**
   * Prolongs the lease and, if one is given, replaces the note. `leaseMs` 0: gives the turn up, its note stays.
   * False: the turn is no longer this owner's, nothing was written. A lease that is over can be prolonged until somebody
   * takes the turn.
   */
  keepTurn(scope: Scope, token: string, leaseMs: number, note?: TurnNote): Promise<boolean>;
  /** Forgets the turn and its note. False: as above. */
  endTurn(scope: Scope, token: string): Promise<boolean>;
  /** Turns of an owner; or those whose lease is over, oldest first, at most 1,000. */
  listTurns(which: { readonly owner: Owner } | { readonly lapsed: true }): AsyncIterable<StoredTurn>;

  /** Hands out entries that are due, oldest first, each to one caller. */
  claim(options: ClaimOptions): Promise<readonly ClaimedCleanup[]>;
  /** Hands an entry back for later and counts the attempt. False: the claim is not this caller's any more. */
  retry(entry: Pick<ClaimedCleanup, 'id' | 'claim'>, options: RetryOptions): Promise<boolean>;
  /** Removes an entry. False: as above. */
  done(entry: Pick<ClaimedCleanup, 'id' | 'claim'>): Promise<boolean>;
  backlog(): Promise<Backlog>;

  /** Gives up what the store opened itself (not what it was given). */
  close(): Promise<void>;
}
