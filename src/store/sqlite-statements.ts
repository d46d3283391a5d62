// The SQL of the store, prepared once per connection, with the shapes of its rows. No decisions are made here.

import type { Database } from 'bun:sqlite';
import type { RunStatus } from '../protocol/runs.ts';

/** Milliseconds since the epoch; null while the run is running. */
type ExpiresAt = number | null;

interface RunRow {
  readonly key: number;
  readonly status: RunStatus;
  /** A JSON object: the accepted cancel. */
  readonly cancel: string | null;
  /** The last id that was dropped; 0-0: none. */
  readonly trimmed_ms: number;
  readonly trimmed_seq: number;
}

/** The columns of RECORD. */
export interface RecordRow {
  readonly run_id: string;
  readonly status: RunStatus;
  readonly created_at: string;
  readonly updated_at: string;
  /** A JSON string. */
  readonly error: string | null;
  readonly error_type: string | null;
}

interface IdRow {
  readonly ms: number;
  readonly seq: number;
}

interface EventRow extends IdRow {
  readonly payload: string;
}

/** What a new run is written as. */
type RunColumns = [
  runId: string,
  status: RunStatus,
  createdAt: string,
  updatedAt: string,
  error: string | null,
  ExpiresAt,
  requestKey: string | null,
  requestFingerprint: string | null,
  tenant: string | null,
  layers: string | null,
];
/** What a run's end is written as. */
type EndColumns = [
  RunStatus,
  updatedAt: string,
  error: string | null,
  errorType: string | null,
  facts: string | null,
  ExpiresAt,
  key: number,
];

/** How an event is written. */
export type EventColumns = readonly [run: number, ms: number, seq: number, payload: string];

const ADD_EVENTS = 'INSERT INTO events (run, ms, seq, payload) VALUES';
const ONE_EVENT = '(?, ?, ?, ?)';
/** What readers see; its parameter is the time, ms. */
export const VISIBLE = '(expires_at IS NULL OR expires_at > ?)';
export const RECORD = 'run_id, status, created_at, updated_at, error, error_type';
const CREATED = 'run_id, status, created_at, updated_at, error, expires_at, request_key, request_fingerprint';

/** Prepares every statement of the store. They end with `db.close(true)`. */
export function prepareStatements(db: Database) {
  return {
    begin: db.prepare<null, []>('BEGIN IMMEDIATE'),
    commit: db.prepare<null, []>('COMMIT'),
    rollback: db.prepare<null, []>('ROLLBACK'),

    createRun: db.prepare<null, RunColumns>(
      `INSERT INTO runs (${CREATED}, tenant, layers) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    endRun: db.prepare<null, EndColumns>(
      `UPDATE runs SET status = ?, updated_at = ?, error = ?, error_type = ?, facts = ?, expires_at = ?, cancel = NULL
       WHERE key = ?`,
    ),
    cancelRun: db.prepare<null, [cancel: string, key: number]>('UPDATE runs SET cancel = ? WHERE key = ?'),
    trimRun: db.prepare<null, [ms: number, seq: number, key: number]>(
      'UPDATE runs SET trimmed_ms = ?, trimmed_seq = ? WHERE key = ?',
    ),
    /** One event, and several at once, which costs half as much per event; the widest first. */
    addEvent: db.prepare<null, [...EventColumns]>(`${ADD_EVENTS} ${ONE_EVENT}`),
    addEvents: [16, 4].map((rows) => ({
      /** How many. */
      rows,
      statement: db.prepare<null, (number | string)[]>(`${ADD_EVENTS} ${Array(rows).fill(ONE_EVENT).join(', ')}`),
    })),

    run: db.prepare<RunRow, [runId: string, nowMs: number]>(
      `SELECT key, status, cancel, trimmed_ms, trimmed_seq FROM runs WHERE run_id = ? AND ${VISIBLE}`,
    ),
    firstEvent: db.prepare<IdRow, [run: number]>('SELECT ms, seq FROM events WHERE run = ? ORDER BY ms, seq LIMIT 1'),
    lastEvent: db.prepare<IdRow, [run: number]>(
      'SELECT ms, seq FROM events WHERE run = ? ORDER BY ms DESC, seq DESC LIMIT 1',
    ),
    countEvents: db.prepare<{ readonly events: number }, [run: number]>(
      'SELECT count(*) AS events FROM events WHERE run = ?',
    ),
    countBytes: db.prepare<{ readonly bytes: number }, [run: number]>(
      'SELECT coalesce(sum(length(CAST(payload AS BLOB))), 0) AS bytes FROM events WHERE run = ?',
    ),
    record: db.prepare<RecordRow, [runId: string, nowMs: number]>(
      `SELECT ${RECORD} FROM runs WHERE run_id = ? AND ${VISIBLE}`,
    ),
    /** The run that was created by the same request with the same key. */
    sameRequest: db.prepare<RecordRow, [requestKey: string, requestFingerprint: string, nowMs: number]>(
      `SELECT ${RECORD} FROM runs WHERE request_key = ? AND request_fingerprint = ? AND ${VISIBLE} LIMIT 1`,
    ),
    sameKey: db.prepare<unknown, [requestKey: string, nowMs: number]>(
      `SELECT 1 FROM runs WHERE request_key = ? AND ${VISIBLE} LIMIT 1`,
    ),
    running: db.prepare<{ readonly run_id: string }, []>(
      'SELECT run_id FROM runs WHERE expires_at IS NULL ORDER BY key',
    ),
    page: db.prepare<EventRow, [run: number, ms: number, seq: number, limit: number]>(
      'SELECT ms, seq, payload FROM events WHERE run = ? AND (ms, seq) > (?, ?) ORDER BY ms, seq LIMIT ?',
    ),

    sizesAfter: db.prepare<IdRow & { readonly bytes: number }, [run: number, ms: number, seq: number, limit: number]>(
      `SELECT ms, seq, length(CAST(payload AS BLOB)) AS bytes FROM events WHERE run = ? AND (ms, seq) > (?, ?)
       ORDER BY ms, seq LIMIT ?`,
    ),
    deleteBetween: db.prepare<null, [run: number, afterMs: number, afterSeq: number, lastMs: number, lastSeq: number]>(
      'DELETE FROM events WHERE run = ? AND (ms, seq) > (?, ?) AND (ms, seq) <= (?, ?)',
    ),

    expiredRun: db.prepare<{ readonly key: number }, [nowMs: number]>(
      'SELECT key FROM runs WHERE expires_at <= ? ORDER BY expires_at LIMIT 1',
    ),
    deleteEvents: db.prepare<null, [run: number, limit: number]>(
      'DELETE FROM events WHERE rowid IN (SELECT rowid FROM events WHERE run = ? LIMIT ?)',
    ),
    deleteRun: db.prepare<null, [key: number]>('DELETE FROM runs WHERE key = ?'),
    freePages: db.prepare<{ readonly freelist_count: number }, []>('PRAGMA freelist_count'),
    allPages: db.prepare<{ readonly page_count: number }, []>('PRAGMA page_count'),
    ping: db.prepare<unknown, []>('SELECT 1 FROM runs LIMIT 1'),
  } as const;
}

export type Statements = ReturnType<typeof prepareStatements>;
