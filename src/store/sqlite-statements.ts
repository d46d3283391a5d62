// The SQL of the store, prepared once per connection, with the shapes of its rows. No decisions are made here.

import type { Database } from 'bun:sqlite';
import type { RunStatus } from '../protocol/runs.ts';

/** Milliseconds since the epoch; null while the run is running. */
type ExpiresAt = number | null;

interface RunRow {
  readonly key: number;
  readonly status: RunStatus;
}

interface RecordRow {
  readonly run_id: string;
  readonly status: RunStatus;
  readonly created_at: string;
  readonly updated_at: string;
  /** A JSON string. */
  readonly error: string | null;
}

interface EventRow {
  readonly ms: number;
  readonly seq: number;
  readonly payload: string;
}

const VISIBLE = '(expires_at IS NULL OR expires_at > ?)';
const RECORD = 'run_id, status, created_at, updated_at, error';

/** Prepares every statement of the store. They end with `db.close(true)`. */
export function prepareStatements(db: Database) {
  return {
    begin: db.prepare<null, []>('BEGIN IMMEDIATE'),
    commit: db.prepare<null, []>('COMMIT'),
    rollback: db.prepare<null, []>('ROLLBACK'),

    createRun: db.prepare<
      null,
      [runId: string, status: RunStatus, createdAt: string, updatedAt: string, error: string | null, ExpiresAt]
    >('INSERT INTO runs (run_id, status, created_at, updated_at, error, expires_at) VALUES (?, ?, ?, ?, ?, ?)'),
    endRun: db.prepare<null, [RunStatus, updatedAt: string, error: string | null, ExpiresAt, key: number]>(
      'UPDATE runs SET status = ?, updated_at = ?, error = ?, expires_at = ? WHERE key = ?',
    ),
    addEvent: db.prepare<null, [run: number, ms: number, seq: number, payload: string]>(
      'INSERT INTO events (run, ms, seq, payload) VALUES (?, ?, ?, ?)',
    ),

    run: db.prepare<RunRow, [runId: string, nowMs: number]>(
      `SELECT key, status FROM runs WHERE run_id = ? AND ${VISIBLE}`,
    ),
    lastEvent: db.prepare<{ readonly ms: number; readonly seq: number }, [run: number]>(
      'SELECT ms, seq FROM events WHERE run = ? ORDER BY ms DESC, seq DESC LIMIT 1',
    ),
    record: db.prepare<RecordRow, [runId: string, nowMs: number]>(
      `SELECT ${RECORD} FROM runs WHERE run_id = ? AND ${VISIBLE}`,
    ),
    runningRecords: db.prepare<RecordRow, []>(`SELECT ${RECORD} FROM runs WHERE expires_at IS NULL ORDER BY key`),
    page: db.prepare<EventRow, [run: number, ms: number, seq: number, limit: number]>(
      'SELECT ms, seq, payload FROM events WHERE run = ? AND (ms, seq) > (?, ?) ORDER BY ms, seq LIMIT ?',
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
