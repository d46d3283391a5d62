// `dify-agent/sessions/sqlite`: sessions in a file that any number of processes on one machine may share. Runs on Bun, and on
// Node 22.5 or later.

import { messageOf } from '../client/errors.ts';
import {
  decodeCleanup,
  decodeNote,
  decodeSession,
  encodeCleanup,
  encodeNote,
  encodeState,
  MAX_STORED_CHARS,
} from './codec.ts';
import { AgentSessionError, SessionConflictError, SessionStoreError } from './errors.ts';
import { newId } from './ids.ts';
import { ownerKey, scopeKey, scopeOf } from './scope.ts';
import {
  openDatabase,
  type SqlDatabase,
  type SqliteDriver,
  type SqlRow,
  type SqlStatement,
  type SqlValue,
} from './sqlite-driver.ts';
import { SCHEMA, STATEMENTS, type StatementName } from './sqlite-statements.ts';
import type { ClaimOptions, RetryOptions, SaveOptions, SessionStore } from './store.ts';
import type { ClaimedCleanup, Owner, Scope, SessionState, TurnNote } from './types.ts';

export interface SqliteStoreOptions {
  /**
   * When a commit waits for the disk. `normal` (default) survives the death of any process, `full` a power cut, too.
   */
  readonly synchronous?: 'normal' | 'full';
  /** How long to wait for other processes, ms. Default 5,000. The wait blocks this process. */
  readonly busyTimeoutMs?: number;
  /** The most characters of a session or clean-up. Default 64 Mi. */
  readonly maxChars?: number;
  /** Milliseconds since 1970; the same for all processes. Default: the machine's clock. */
  readonly now?: () => number;
  /** Default: what the platform has. */
  readonly driver?: SqliteDriver;
}

/**
 * Opens (and creates) the file; `:memory:` for none. Its tables are called `agent_session…`: the file may have others.
 * @throws SessionStoreError
 */
export async function openSqliteSessionStore(path: string, options: SqliteStoreOptions = {}): Promise<SessionStore> {
  const { synchronous = 'normal', busyTimeoutMs = 5_000, maxChars = MAX_STORED_CHARS, now = Date.now } = options;
  let db: SqlDatabase | null = null;
  try {
    db = await openDatabase(path, options.driver);
    // First: all that follows may have to wait.
    db.exec(`PRAGMA busy_timeout = ${Math.trunc(busyTimeoutMs)}`);
    db.exec('PRAGMA journal_mode = WAL');
    db.exec(`PRAGMA synchronous = ${synchronous === 'full' ? 'FULL' : 'NORMAL'}`);
    db.exec(SCHEMA);
    return new SqliteSessionStore(db, maxChars, now);
  } catch (error) {
    db?.close();
    throw wrapped(error);
  }
}

class SqliteSessionStore implements SessionStore {
  readonly #db: SqlDatabase;
  readonly #maxChars: number;
  readonly #now: () => number;
  readonly #statements = new Map<StatementName, SqlStatement>();
  #closed = false;

  constructor(db: SqlDatabase, maxChars: number, now: () => number) {
    this.#db = db;
    this.#maxChars = maxChars;
    this.#now = now;
  }

  async load(scope: Scope) {
    const key = scopeKey(scope);
    return this.#do(() => sessionOf(this.#get('load', key)));
  }

  async save(scope: Scope, next: SessionState, ifRev: number | null, { enqueue = [] }: SaveOptions = {}) {
    const key = scopeKey(scope);
    const state = encodeState(next, this.#maxChars);
    const entries = enqueue.map((entry) => [entry.id, encodeCleanup(entry, this.#maxChars)] as const);
    return this.#write(() => {
      const actual = numberOrNull(this.#get('revision', key)?.rev);
      if (actual !== ifRev) throw new SessionConflictError(ifRev, actual);
      const rev = Number(this.#get('nextRevision')?.last);
      this.#run('save', key, ownerKey(scope), next.status, rev, state, this.#now());
      for (const [id, entry] of entries) this.#run('enqueue', id, entry, this.#now());
      return rev;
    });
  }

  async *listActive(owner: Owner) {
    const keys = this.#do(() => this.#all('active', ownerKey(owner)));
    for (const { scope } of keys) {
      const session = this.#do(() => sessionOf(this.#get('load', String(scope))));
      if (session?.status === 'active') yield session;
    }
  }

  async purge(olderThanMs: number) {
    return this.#write(() => this.#run('purge', this.#now() - olderThanMs));
  }

  async beginTurn(scope: Scope, token: string, leaseMs: number) {
    const key = scopeKey(scope);
    return this.#write(() => {
      const now = this.#now();
      const held = this.#get('turn', key);
      const note = decodeNote(textOrNull(held?.note));
      const remainingMs = Number(held?.until ?? 0) - now;
      if (held != null && held.token !== token && remainingMs > 0) return { begun: false as const, note, remainingMs };
      this.#run('beginTurn', key, ownerKey(scope), token, now + leaseMs);
      return { begun: true as const, left: note };
    });
  }

  async keepTurn(scope: Scope, token: string, leaseMs: number, note?: TurnNote) {
    const key = scopeKey(scope);
    const text = note === undefined ? null : encodeNote(note);
    return this.#write(() => this.#run('keepTurn', this.#now() + leaseMs, text, key, token) > 0);
  }

  async endTurn(scope: Scope, token: string) {
    const key = scopeKey(scope);
    return this.#write(() => this.#run('endTurn', key, token) > 0);
  }

  async *listTurns(which: { readonly owner: Owner } | { readonly lapsed: true }) {
    const rows = this.#do(() =>
      'owner' in which ? this.#all('turnsOf', ownerKey(which.owner)) : this.#all('lapsedTurns', this.#now()),
    );
    for (const { scope, note } of rows) {
      yield { scope: scopeOf(String(scope)), note: this.#do(() => decodeNote(textOrNull(note))) };
    }
  }

  async claim({ limit, leaseMs, ids }: ClaimOptions) {
    return this.#write(() => {
      const now = this.#now();
      const rows =
        ids === undefined ? this.#all('due', now, limit) : this.#all('dueOf', JSON.stringify(ids), now, limit);
      return rows.map((row): ClaimedCleanup => {
        const entry = decodeCleanup(String(row.entry));
        const claim = newId();
        this.#run('claim', claim, now + leaseMs, entry.id);
        return { ...entry, claim, attempts: Number(row.attempts), failedRuns: Number(row.failed_runs) };
      });
    });
  }

  async retry({ id, claim }: Pick<ClaimedCleanup, 'id' | 'claim'>, { delayMs, failedRuns, error }: RetryOptions) {
    return this.#write(() => this.#run('retry', Math.ceil(this.#now() + delayMs), failedRuns, error, id, claim) > 0);
  }

  async done({ id, claim }: Pick<ClaimedCleanup, 'id' | 'claim'>) {
    return this.#write(() => this.#run('done', id, claim) > 0);
  }

  async backlog() {
    const row = this.#do(() => this.#get('backlog'));
    const next = numberOrNull(row?.next);
    return { entries: Number(row?.entries ?? 0), nextMs: next === null ? null : Math.max(0, next - this.#now()) };
  }

  async close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#db.close();
  }

  #statement(name: StatementName): SqlStatement {
    const known = this.#statements.get(name);
    if (known !== undefined) return known;
    const made = this.#db.prepare(STATEMENTS[name]);
    this.#statements.set(name, made);
    return made;
  }

  #get(name: StatementName, ...values: SqlValue[]): SqlRow | null {
    return this.#statement(name).get(...values) ?? null;
  }

  #all(name: StatementName, ...values: SqlValue[]): readonly SqlRow[] {
    return this.#statement(name).all(...values);
  }

  /** How many rows it changed. */
  #run(name: StatementName, ...values: SqlValue[]): number {
    return Number(this.#statement(name).run(...values).changes);
  }

  #do<T>(work: () => T): T {
    try {
      if (this.#closed) throw new SessionStoreError('the store is closed');
      return work();
    } catch (error) {
      throw wrapped(error);
    }
  }

  #rollback(): void {
    try {
      this.#db.exec('ROLLBACK');
    } catch {
      // SQLite has done it itself, as it does when the disk is full.
    }
  }

  /** One transaction that has the file for itself from the beginning: nothing that it read can have changed when it writes. */
  #write<T>(work: () => T): T {
    return this.#do(() => {
      this.#db.exec('BEGIN IMMEDIATE');
      try {
        const result = work();
        this.#db.exec('COMMIT');
        return result;
      } catch (error) {
        this.#rollback();
        throw error;
      }
    });
  }
}

function sessionOf(row: SqlRow | null) {
  return row === null ? null : decodeSession(String(row.scope), Number(row.rev), String(row.state));
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function numberOrNull(value: unknown): number | null {
  return value == null ? null : Number(value);
}

function wrapped(error: unknown): AgentSessionError {
  if (error instanceof AgentSessionError) return error;
  return new SessionStoreError(`SQLite: ${messageOf(error)}`, { cause: error });
}
