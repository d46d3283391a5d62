// How SQLite reads lists of runs: through an index, whatever is asked for, and a search in bounded steps.

import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { newRunId } from '../../src/base/ids.ts';
import type { RunListQuery } from '../../src/runs/ports.ts';
import type { SqliteStore } from '../../src/store/sqlite.ts';
import { LIST_SQL, WINDOW_RUNS } from '../../src/store/sqlite-list.ts';
import { applied, runningRecord, terminal } from '../contract/kit.ts';
import { drivenClock, openSqlite, tempDirectory } from './helpers.ts';

const ALL: RunListQuery = { statuses: [], tenant: null, prefix: null, after: null, limit: 50 };

let directory: ReturnType<typeof tempDirectory>;
let path: string;
beforeEach(() => {
  directory = tempDirectory();
  path = directory.file('x.db');
});
afterEach(() => directory.remove());

/** Runs as a version without lists left them. */
async function fill(count: number, idOf: (i: number) => string = () => newRunId()): Promise<void> {
  await openSqlite(path).close();
  const db = new Database(path);
  const insert = db.query(
    "INSERT INTO runs (run_id, status, created_at, updated_at) VALUES (?, 'running', '2026-06-02T08:15:30Z', '2026-06-02T08:15:30Z')",
  );
  db.transaction(() => {
    for (let i = 0; i < count; i += 1) insert.run(idOf(i));
  })();
  db.close(true);
}

describe('the plan of a query', () => {
  async function planOf(name: keyof typeof LIST_SQL): Promise<readonly string[]> {
    await fill(1_000);
    const db = new Database(path);
    const sql = LIST_SQL[name];
    const parameters = Array<number>(sql.split('?').length - 1).fill(1);
    const rows = db.query(`EXPLAIN QUERY PLAN ${sql}`).all(...parameters);
    db.close(true);
    return rows.map((row) => (row as { readonly detail: string }).detail); // as SQLite names it
  }

  test.each([
    ['all', 'SEARCH runs USING INTEGER PRIMARY KEY (rowid<?)'],
    ['tenant', 'SEARCH runs USING INDEX runs_by_tenant (tenant=? AND rowid<?)'],
    ['running', 'SEARCH runs USING INDEX runs_by_expiry (expires_at=? AND rowid<?)'],
    ['failed', 'SEARCH runs USING INDEX runs_failed (key<?)'],
    ['cancelled', 'SEARCH runs USING INDEX runs_cancelled (key<?)'],
    ['row', 'SEARCH runs USING INTEGER PRIMARY KEY (rowid=?)'],
  ] as const)('%s is one range of one index, in the order of the list', async (name, plan) => {
    expect(await planOf(name)).toEqual([plan]);
  });

  test('ids is one range of the index of ids, of which few are sorted', async () => {
    expect(await planOf('ids')).toEqual([
      'SEARCH runs USING INDEX sqlite_autoindex_runs_1 (run_id>? AND run_id<?)',
      'USE TEMP B-TREE FOR ORDER BY',
    ]);
  });
});

describe('a search', () => {
  test('for a short text looks through a bounded number of runs at a time, and goes on where it stopped', async () => {
    const count = 2 * WINDOW_RUNS + 10;
    const wanted = new Map([
      [0, 'zz-first'],
      [WINDOW_RUNS, 'zz-middle'],
      [count - 1, 'zz-last'],
    ]);
    await fill(count, (i) => wanted.get(i) ?? `x${i}`);
    const store = openSqlite(path);
    const found: string[] = [];
    let pages = 0;
    let after: string | null = null;
    do {
      const page = await store.listRuns({ ...ALL, prefix: 'zz', after });
      if (page === null) throw new Error('the cursor was refused');
      pages += 1;
      found.push(...page.runs.map(({ record }) => record.run_id));
      after = page.nextAfter;
    } while (after !== null);
    expect(found).toEqual(['zz-last', 'zz-middle', 'zz-first']);
    expect(pages).toBe(3);
    const telling = await store.listRuns({ ...ALL, prefix: 'zz-first' });
    expect(telling).toMatchObject({ runs: [{ record: { run_id: 'zz-first' } }], nextAfter: null });
    await store.close();
  }, 30_000);
});

describe('the record of a run that a limit ended', () => {
  let store: SqliteStore;
  test('has its error type, also after reopening; other records have none', async () => {
    store = openSqlite(path, { clock: drivenClock() });
    const [limited, other] = [runningRecord(), runningRecord()];
    for (const record of [limited, other]) await store.create(record);
    const facts = { reason: null, errorType: 'agent_run_limit_exceeded', usage: null };
    applied(await store.finalise(limited.run_id, { ...terminal(limited.run_id, 'failed', 'x'), facts }));
    applied(await store.finalise(other.run_id, terminal(other.run_id, 'failed', 'x')));
    for (let round = 0; round < 2; round += 1) {
      expect(await store.getRecord(limited.run_id)).toMatchObject({ error_type: 'agent_run_limit_exceeded' });
      expect(await store.getRecord(other.run_id)).not.toHaveProperty('error_type');
      await store.close();
      store = openSqlite(path, { clock: drivenClock() });
    }
    await store.close();
  });
});

test('a file of version 2 is listed, without outlines', async () => {
  await fill(3);
  const store = openSqlite(path);
  const page = await store.listRuns(ALL);
  expect(page?.runs.map(({ outline, facts }) => [outline, facts])).toEqual(Array(3).fill([null, null]));
  await store.close();
});

test('an error of any length is shown cut, even in the midst of an escape', async () => {
  const store = openSqlite(path);
  const errors = Array.from({ length: 24 }, (_, i) => 'x'.repeat(15_980 + i) + '\u0001\\"\n'.repeat(50));
  for (const error of errors) {
    const record = runningRecord();
    await store.create(record);
    applied(await store.finalise(record.run_id, terminal(record.run_id, 'failed', error)));
  }
  const page = await store.listRuns(ALL);
  for (const { record } of page?.runs ?? []) expect(record.error).toBe(`${'x'.repeat(1_999)}…`);
  expect(page?.runs).toHaveLength(24);
  await store.close();
});
