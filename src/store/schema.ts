// The schema of the SQLite store and its versions. `PRAGMA user_version` counts the migrations that a file has seen;
// `PRAGMA application_id` tells our files from other programs' databases, which are never touched.

import type { Database } from 'bun:sqlite';
import { StoreOpenError } from './errors.ts';

/** "DFAG" in the database header: this file is a dify-agent store. */
export const APPLICATION_ID = 0x44464147;

/**
 * Migration n brings a file from version n to n + 1. Released entries never change; new ones are added at the end.
 *
 * `expires_at` (milliseconds) is null exactly while the run is running: the process that owns the file runs it, so it cannot expire.
 * `error` is a JSON string, because texts of errors may hold what UTF-8 cannot.
 * `cancel` is the accepted cancel of a running run, as JSON. `trimmed_ms`, `trimmed_seq` are the last id that was dropped to keep
 * the stream bounded. `request_key`, `request_fingerprint` are digests: what was created with the same two is found again.
 * They are columns of the run, so that they live and go with it; the index has only runs that were created with a key.
 * `tenant`, `layers` and `facts` are what lists show (outline.ts); `error_type` belongs to the record. The order of lists is that
 * of `key`, which every index has at its end. Most runs succeed: an index of all statuses would cost each of them two entries.
 * `sessions` are the managed ones (sqlite-sessions.ts); their snapshots stand apart, because an update writes its whole row.
 * Events are in order of arrival with an index beside, not clustered by run: with fifty runs appending at once this
 * wrote half as much (95,000 instead of 50,000 events/s), since an index entry is small where a payload is not.
 */
export const MIGRATIONS: readonly (readonly string[])[] = [
  [
    `CREATE TABLE runs (
      key INTEGER PRIMARY KEY,
      run_id TEXT NOT NULL UNIQUE,
      status TEXT NOT NULL,
      created_at TEXT NOT NULL,
      updated_at TEXT NOT NULL,
      error TEXT,
      expires_at INTEGER
    )`,
    'CREATE INDEX runs_by_expiry ON runs (expires_at)',
    'CREATE TABLE events (run INTEGER NOT NULL, ms INTEGER NOT NULL, seq INTEGER NOT NULL, payload TEXT NOT NULL)',
    'CREATE UNIQUE INDEX events_by_id ON events (run, ms, seq)',
  ],
  [
    'ALTER TABLE runs ADD COLUMN cancel TEXT',
    'ALTER TABLE runs ADD COLUMN trimmed_ms INTEGER NOT NULL DEFAULT 0',
    'ALTER TABLE runs ADD COLUMN trimmed_seq INTEGER NOT NULL DEFAULT 0',
    'ALTER TABLE runs ADD COLUMN request_key TEXT',
    'ALTER TABLE runs ADD COLUMN request_fingerprint TEXT',
    'CREATE INDEX runs_by_request ON runs (request_key, request_fingerprint) WHERE request_key IS NOT NULL',
  ],
  [
    'ALTER TABLE runs ADD COLUMN tenant TEXT',
    'ALTER TABLE runs ADD COLUMN layers TEXT',
    'ALTER TABLE runs ADD COLUMN facts TEXT',
    'ALTER TABLE runs ADD COLUMN error_type TEXT',
    'CREATE INDEX runs_by_tenant ON runs (tenant) WHERE tenant IS NOT NULL',
    "CREATE INDEX runs_failed ON runs (key) WHERE status = 'failed'",
    "CREATE INDEX runs_cancelled ON runs (key) WHERE status = 'cancelled'",
  ],
  [
    `CREATE TABLE sessions (
      key TEXT PRIMARY KEY,
      version TEXT NOT NULL,
      tenant TEXT,
      head TEXT NOT NULL,
      due_at INTEGER NOT NULL
    )`,
    'CREATE TABLE session_bodies (key TEXT PRIMARY KEY, body TEXT NOT NULL)',
    'CREATE INDEX sessions_by_due ON sessions (due_at)',
    'CREATE INDEX sessions_by_tenant ON sessions (tenant, key) WHERE tenant IS NOT NULL',
  ],
];

/** Reads one integer pragma. */
export function pragma(db: Database, name: string): number {
  using statement = db.prepare<Record<string, unknown>, []>(`PRAGMA ${name}`);
  const row = statement.get();
  const value = row === null ? undefined : Object.values(row)[0];
  return typeof value === 'number' ? value : 0;
}

/**
 * The version of the file, 0 for an empty one.
 * @throws StoreOpenError `store_schema_unknown`: written by a newer version, or by another program.
 */
export function checkSchema(db: Database, path: string): number {
  const version = pragma(db, 'user_version');
  const known = MIGRATIONS.length;
  const where = `DIFY_AGENT_STORE_URL: sqlite:${path}`;
  const ours = pragma(db, 'application_id') === APPLICATION_ID;
  using anything = db.prepare('SELECT 1 FROM sqlite_schema LIMIT 1');
  const empty = anything.get() === null;
  if (!ours && !(empty && version === 0)) {
    throw new StoreOpenError('store_schema_unknown', `${where} is a database of another program`);
  }
  if (version > known || version < 0) {
    throw new StoreOpenError(
      'store_schema_unknown',
      `${where} has schema version ${version}, this dify-agent knows up to ${known}: use a newer dify-agent or another file`,
    );
  }
  return version;
}

/** Applies the migrations that `version` lacks, all in one transaction. */
export function migrate(db: Database, version: number): void {
  const missing = MIGRATIONS.slice(version);
  if (missing.length === 0) return;
  db.transaction(() => {
    for (const statements of missing) for (const statement of statements) db.run(statement);
    db.run(`PRAGMA application_id = ${APPLICATION_ID}`);
    db.run(`PRAGMA user_version = ${MIGRATIONS.length}`);
  }).immediate();
}
