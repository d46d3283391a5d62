// Lists of runs in the SQLite store: newest first, which is the order of their keys. Runs are looked for through the index that
// fits best, reading little of each and of a bounded number; what a page shows of them is read afterwards.

import type { Database } from 'bun:sqlite';
import type { RunStatus } from '../protocol/runs.ts';
import type { ListedRun, RunListPage, RunListQuery } from '../runs/ports.ts';
import { listedRun, MAX_ERROR_CHARS, shortText } from './outline.ts';
import { toRecord } from './sqlite-runs.ts';
import { RECORD, type RecordRow, VISIBLE } from './sqlite-statements.ts';

/** Runs that one request looks at, at most: about 10 ms. */
export const WINDOW_RUNS = 10_000;
/** A text of this many characters names so few runs that they are found through the index of ids. */
const TELLING_CHARS = 8;
/** Characters of a page's runs after which it ends early (4 Mi); a page has at least one run. */
const PAGE_MAX_CHARS = 4 * 1024 * 1024;
/** What is read of an error's JSON text: enough for what lists show of it. */
const ERROR_CHARS = 8 * MAX_ERROR_CHARS;
/** Above every key. */
const NO_KEY = Number.MAX_SAFE_INTEGER;

/** What a run is chosen by. */
interface Candidate {
  readonly key: number;
  readonly run_id: string;
  readonly status: RunStatus;
  readonly tenant: string | null;
}

interface ListedRow extends RecordRow {
  readonly key: number;
  /** As outline.ts writes them. */
  readonly tenant: string | null;
  readonly layers: string | null;
  readonly facts: string | null;
}

const LOOK = 'SELECT key, run_id, status, tenant FROM runs';
const NEWEST = 'ORDER BY key DESC LIMIT ?';
const COLUMNS = RECORD.replace('error,', `substr(error, 1, ${ERROR_CHARS}) AS error,`);

/** The queries, for who looks at how SQLite plans them: runs before a key, from new to old. */
export const LIST_SQL = {
  all: `${LOOK} WHERE key < ? AND ${VISIBLE} ${NEWEST}`,
  tenant: `${LOOK} WHERE tenant = ? AND key < ? AND ${VISIBLE} ${NEWEST}`,
  /** Those and only those that run have no end of their life yet. */
  running: `${LOOK} WHERE expires_at IS NULL AND key < ? ${NEWEST}`,
  failed: `${LOOK} WHERE status = 'failed' AND key < ? AND ${VISIBLE} ${NEWEST}`,
  cancelled: `${LOOK} WHERE status = 'cancelled' AND key < ? AND ${VISIBLE} ${NEWEST}`,
  /** Ids from one up to, but not including, another. */
  ids: `${LOOK} WHERE run_id >= ? AND run_id < ? AND +key < ? AND ${VISIBLE} ORDER BY +key DESC LIMIT ?`,
  row: `SELECT key, ${COLUMNS}, tenant, layers, facts FROM runs WHERE key = ?`,
} as const;

type Before = [beforeKey: number, nowMs: number, limit: number];

/** Reads pages; null: the cursor is none. Synchronous, like all reads of this store. */
export type SqliteLister = (query: RunListQuery) => RunListPage | null;

/** Prepares the queries; they end with `db.close(true)`. */
export function createSqliteLister(db: Database, nowMs: () => number): SqliteLister {
  const sql = {
    all: db.prepare<Candidate, Before>(LIST_SQL.all),
    tenant: db.prepare<Candidate, [tenant: string, ...Before]>(LIST_SQL.tenant),
    running: db.prepare<Candidate, [beforeKey: number, limit: number]>(LIST_SQL.running),
    failed: db.prepare<Candidate, Before>(LIST_SQL.failed),
    cancelled: db.prepare<Candidate, Before>(LIST_SQL.cancelled),
    ids: db.prepare<Candidate, [from: string, to: string, ...Before]>(LIST_SQL.ids),
    row: db.prepare<ListedRow, [key: number]>(LIST_SQL.row),
  };

  /** Runs among which are those that the query wants, newest first. */
  function candidates({ statuses, tenant, prefix }: RunListQuery, before: number): Iterable<Candidate> {
    const now = nowMs();
    if (prefix !== null && prefix.length >= TELLING_CHARS) {
      return sql.ids.iterate(prefix, following(prefix), before, now, WINDOW_RUNS);
    }
    if (tenant !== null) return sql.tenant.iterate(shortText(tenant), before, now, WINDOW_RUNS);
    const [status, ...others] = statuses;
    if (others.length > 0 || status === undefined) return sql.all.iterate(before, now, WINDOW_RUNS);
    if (status === 'running') return sql.running.iterate(before, WINDOW_RUNS);
    return sql[status === 'succeeded' ? 'all' : status].iterate(before, now, WINDOW_RUNS);
  }

  function page(query: RunListQuery, before: number): RunListPage {
    const { statuses, prefix, limit } = query;
    const tenant = query.tenant === null ? null : shortText(query.tenant);
    const keys: number[] = [];
    let looked = 0;
    let last = 0;
    for (const run of candidates(query, before)) {
      const wanted =
        (statuses.length === 0 || statuses.includes(run.status)) &&
        (tenant === null || run.tenant === tenant) &&
        (prefix === null || run.run_id.startsWith(prefix));
      // One more than is shown says that there is another page.
      if (wanted && keys.length === limit) return shown(keys, keys.at(-1) ?? null);
      if (wanted) keys.push(run.key);
      looked += 1;
      last = run.key;
    }
    return shown(keys, looked < WINDOW_RUNS ? null : last);
  }

  /** The page of these runs; `end`: where the next one begins. */
  function shown(keys: readonly number[], end: number | null): RunListPage {
    const runs: ListedRun[] = [];
    let chars = 0;
    for (const [index, key] of keys.entries()) {
      const row = sql.row.get(key);
      if (row === null) continue;
      runs.push(listedRun(toRecord({ ...row, error: closed(row.error) }), row));
      chars += (row.error?.length ?? 0) + (row.layers?.length ?? 0);
      if (chars >= PAGE_MAX_CHARS && index < keys.length - 1) return { runs, nextAfter: cursorOf(key) };
    }
    return { runs, nextAfter: end === null ? null : cursorOf(end) };
  }

  return (query) => {
    const before = query.after === null ? NO_KEY : keyOf(query.after);
    return before === null ? null : page(query, before);
  };
}

/** A JSON string that may have been cut, in the midst of an escape even, as one that can be read. */
function closed(text: string | null): string | null {
  if (text === null || text.length < ERROR_CHARS) return text;
  for (let end = text.length; end > text.length - LONGEST_ESCAPE; end -= 1) {
    const whole = `${text.slice(0, end)}"`;
    if (isJson(whole)) return whole;
  }
  return text; // it was exactly that long
}

/** `\u0000` */
const LONGEST_ESCAPE = 6;

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The next page begins before this key. */
function cursorOf(key: number): string {
  return `s${key.toString(36)}`;
}

/** Null: not one of ours. */
function keyOf(cursor: string): number | null {
  if (!/^s[0-9a-z]{1,11}$/.test(cursor)) return null;
  const key = Number.parseInt(cursor.slice(1), 36);
  return Number.isSafeInteger(key) ? key : null;
}

/** A text that follows, as SQLite compares (UTF-8, byte by byte), all that begin with this one, unless they go on with U+10FFFF. */
function following(prefix: string): string {
  return `${prefix}\u{10ffff}`;
}
