// What managed sessions need of a store: rows that are compared and set, found by name and by when they are due. store/ implements
// it beside the runs, so that a row and the runs that it names live in one place. What stands in a row is record.ts's.

import type { StoredEvent } from '../runs/ports.ts';

/** A session as the store keeps it. */
export interface SessionRow {
  /** The caller's key (key.ts), or one of ours, which begins with a space. ASCII, at most 300 characters. */
  readonly key: string;
  /** New with every write; never comes back. */
  readonly version: string;
  /** For listing; null: not known. Well-formed. */
  readonly tenant: string | null;
  /** One line of text. */
  readonly head: string;
  /** The large part. Null: there is none, or it was not asked for. */
  readonly body: string | null;
  /** When somebody should look at it, milliseconds since the epoch. */
  readonly dueAt: number;
}

/** A row as it is to be written. `body`: absent: as it was. */
export type SessionWrite = Omit<SessionRow, 'body'> & { readonly body?: string | null };

/** Which rows to list, by key. */
export interface SessionQuery {
  /** Null: of any tenant. */
  readonly tenant: string | null;
  /** Empty: all keys of callers. Never lists our own. */
  readonly prefix: string;
  /** Only keys after this one; empty: from the start. */
  readonly after: string;
  readonly limit: number;
}

/** Rows of sessions. Every method rejects with StoreUnavailableError; all may be called again after that. */
export interface SessionRows {
  /** Null: there is none. */
  load(key: string, options: { readonly body: boolean }): Promise<SessionRow | null>;
  /**
   * Writes the row if the stored one has version `ifVersion` (null: if there is none). False: it has another, and nothing was
   * written. A write whose answer was lost is recognised by its version when it is repeated.
   */
  save(row: SessionWrite, ifVersion: string | null): Promise<boolean>;
  /** Removes the row if it has this version; true also when there is none. */
  remove(row: Pick<SessionRow, 'key' | 'version' | 'tenant'>): Promise<boolean>;
  /** In the order of keys, without bodies. */
  list(query: SessionQuery): Promise<readonly SessionRow[]>;
  /** Keys of rows that are due, the longest first. */
  due(nowMs: number, limit: number): Promise<readonly string[]>;
  /** The newest event of a run: the terminal one when the run is over. Null: the run is unknown, or has none yet. */
  lastEvent(runId: string): Promise<StoredEvent | null>;
}
