// Rows of managed sessions in the SQLite store: its own table beside the runs, written in the same group commits. What stands in a row
// is managed/'s; here it is compared by version and set.

import type { Database } from 'bun:sqlite';
import type { SessionRow, SessionRows } from '../managed/ports.ts';

interface Columns {
  readonly key: string;
  readonly version: string;
  readonly tenant: string | null;
  readonly head: string;
  readonly due_at: number;
}

/** Greater than every character of a key. */
const AFTER_ALL = '\x7f';
const HEAD = 'key, version, tenant, head, due_at';
const RANGE = 'key > ? AND key >= ? AND key < ? ORDER BY key LIMIT ?';

type Range = [after: string, from: string, before: string, limit: number];

/** Prepares every statement. They end with `db.close(true)`. */
export function prepareSessionStatements(db: Database) {
  return {
    load: db.prepare<Columns, [key: string]>(`SELECT ${HEAD} FROM sessions WHERE key = ?`),
    insert: db.prepare<null, [key: string, version: string, tenant: string | null, head: string, dueAt: number]>(
      `INSERT INTO sessions (${HEAD}) VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING`,
    ),
    update: db.prepare<
      null,
      [version: string, tenant: string | null, head: string, dueAt: number, key: string, ifVersion: string]
    >('UPDATE sessions SET version = ?, tenant = ?, head = ?, due_at = ? WHERE key = ? AND version = ?'),
    body: db.prepare<{ readonly body: string }, [key: string]>('SELECT body FROM session_bodies WHERE key = ?'),
    setBody: db.prepare<null, [key: string, body: string]>(
      'INSERT INTO session_bodies (key, body) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET body = excluded.body',
    ),
    removeBody: db.prepare<null, [key: string]>('DELETE FROM session_bodies WHERE key = ?'),
    remove: db.prepare<null, [key: string, version: string]>('DELETE FROM sessions WHERE key = ? AND version = ?'),
    list: db.prepare<Columns, Range>(`SELECT ${HEAD} FROM sessions WHERE ${RANGE}`),
    listOf: db.prepare<Columns, [tenant: string, ...Range]>(
      `SELECT ${HEAD} FROM sessions WHERE tenant = ? AND ${RANGE}`,
    ),
    due: db.prepare<{ readonly key: string }, [nowMs: number, limit: number]>(
      'SELECT key FROM sessions WHERE due_at <= ? ORDER BY due_at LIMIT ?',
    ),
    lastEvent: db.prepare<
      { readonly ms: number; readonly seq: number; readonly payload: string },
      [runId: string, nowMs: number]
    >(
      `SELECT ms, seq, payload FROM runs JOIN events ON events.run = runs.key
       WHERE run_id = ? AND (expires_at IS NULL OR expires_at > ?) ORDER BY ms DESC, seq DESC LIMIT 1`,
    ),
  } as const;
}

export interface SqliteSessionsDeps {
  readonly sql: ReturnType<typeof prepareSessionStatements>;
  /** As the store reads and writes (sqlite.ts). */
  readonly read: <T>(query: () => T) => Promise<T>;
  readonly write: <T>(work: () => T, chars?: number) => Promise<T>;
  readonly nowMs: () => number;
}

export function createSqliteSessions({ sql, read, write, nowMs }: SqliteSessionsDeps): SessionRows {
  return {
    load: (key, { body }) =>
      read(() => {
        const text = body ? sql.body.get(key)?.body : undefined;
        return rowOf(sql.load.get(key), text ?? null);
      }),
    save: ({ key, version, tenant, head, dueAt, body }, ifVersion) =>
      write(
        () => {
          const { changes } =
            ifVersion === null
              ? sql.insert.run(key, version, tenant, head, dueAt)
              : sql.update.run(version, tenant, head, dueAt, key, ifVersion);
          if (changes === 0) return sql.load.get(key)?.version === version;
          if (body === null) sql.removeBody.run(key);
          else if (body !== undefined) sql.setBody.run(key, body);
          return true;
        },
        head.length + (body?.length ?? 0),
      ),
    remove: ({ key, version }) =>
      write(() => {
        if (sql.remove.run(key, version).changes === 0) return sql.load.get(key) === null;
        sql.removeBody.run(key);
        return true;
      }),
    list: ({ tenant, prefix, after, limit }) =>
      read(() => {
        // Our own keys begin with a space, which comes before all others.
        const range: Range = [after === '' ? ' ~' : after, prefix, `${prefix}${AFTER_ALL}`, limit];
        const found = tenant === null ? sql.list.all(...range) : sql.listOf.all(tenant, ...range);
        return found.flatMap((columns) => rowOf(columns, null) ?? []);
      }),
    due: (now, limit) => read(() => sql.due.all(now, limit).map(({ key }) => key)),
    lastEvent: (runId) =>
      read(() => {
        const found = sql.lastEvent.get(runId, nowMs());
        return found === null ? null : { id: `${found.ms}-${found.seq}`, payload: found.payload };
      }),
  };
}

function rowOf(columns: Columns | null, body: string | null): SessionRow | null {
  if (columns === null) return null;
  const { key, version, tenant, head, due_at: dueAt } = columns;
  return { key, version, tenant, head, body, dueAt };
}
