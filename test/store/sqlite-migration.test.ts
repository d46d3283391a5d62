// Files of older versions: opened, brought up to date, or left as they were.

import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { CURSOR_START } from '../../src/base/cursor.ts';
import type { RunRecord } from '../../src/protocol/runs.ts';
import { APPLICATION_ID, MIGRATIONS } from '../../src/store/schema.ts';
import { probeDatabase } from '../../src/store/sqlite-file.ts';
import { applied, intentOf, payloadOf, runningRecord, terminal } from '../contract/kit.ts';
import { drivenClock, openSqlite, refusal, tempDirectory } from './helpers.ts';

let directory: ReturnType<typeof tempDirectory>;
let path: string;
beforeEach(() => {
  directory = tempDirectory();
  path = directory.file('x.db');
});
afterEach(() => directory.remove());

/** The schema as version 1 was released. */
const VERSION_1 = [
  'PRAGMA auto_vacuum = INCREMENTAL',
  'PRAGMA journal_mode = WAL',
  `CREATE TABLE runs (key INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, status TEXT NOT NULL, created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL, error TEXT, expires_at INTEGER)`,
  'CREATE INDEX runs_by_expiry ON runs (expires_at)',
  'CREATE TABLE events (run INTEGER NOT NULL, ms INTEGER NOT NULL, seq INTEGER NOT NULL, payload TEXT NOT NULL)',
  'CREATE UNIQUE INDEX events_by_id ON events (run, ms, seq)',
  `PRAGMA application_id = ${APPLICATION_ID}`,
  'PRAGMA user_version = 1',
];

describe('a file of version 1', () => {
  const records: readonly RunRecord[] = [
    { ...runningRecord(), status: 'failed', error: 'it "broke"' },
    runningRecord(),
    runningRecord(),
  ];
  const [done, running, bystander] = records.map(({ run_id }) => run_id) as [string, string, string]; // three records

  function writeVersion1(): void {
    const db = new Database(path, { create: true });
    for (const statement of VERSION_1) db.run(statement);
    for (const [index, { run_id, status, created_at, updated_at, error }] of records.entries()) {
      const expiresAt = status === 'running' ? null : drivenClock().micros / 1000 + 1_000;
      db.query('INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)').run(
        index + 1,
        run_id,
        status,
        created_at,
        updated_at,
        error === null ? null : JSON.stringify(error),
        expiresAt,
      );
      for (let seq = 0; seq < 30; seq += 1) {
        db.query('INSERT INTO events VALUES (?, ?, ?, ?)').run(index + 1, 1_000, seq, payloadOf(run_id, seq));
      }
    }
    db.close(true);
  }

  test('its runs are there as they were, and can do what new ones can', async () => {
    writeVersion1();
    const store = openSqlite(path, { eventStream: { maxEvents: 10, maxBytes: 1_000_000 } });
    expect(await store.listLost()).toEqual([running, bystander]);
    for (const record of records) {
      expect(await store.getRecord(record.run_id)).toEqual(record);
      const events = await store.readEvents(record.run_id, CURSOR_START, 100);
      expect(events).toHaveLength(30);
      expect(events[29]).toEqual({ id: '1000-29', payload: payloadOf(record.run_id, 29) });
    }
    const deduplication = { key: 'k', fingerprint: 'f', strict: true };
    const record = runningRecord();
    expect(await store.create(record, deduplication)).toEqual({ created: true });
    expect(await store.create(runningRecord(), deduplication)).toMatchObject({ created: false, existing: record });

    expect(await store.requestCancel(running, intentOf())).toEqual({ accepted: true, status: 'running' });
    expect(await store.requestCancel(done, intentOf())).toEqual({ accepted: false, status: 'failed' });
    await store.close();
    const again = openSqlite(path, { eventStream: { maxEvents: 10, maxBytes: 1_000_000 } });
    expect(await again.finaliseLost(running, terminal(running, 'failed'))).toMatchObject({ cancel: intentOf() });
    const end = applied(await again.finaliseLost(running, terminal(running, 'cancelled')));
    const kept = await again.readEvents(running, CURSOR_START, 100);
    expect(kept.map(({ id }) => id)).toEqual([
      '1000-0',
      ...new Array(8).fill(0).map((_, i) => `1000-${i + 22}`),
      end.id,
    ]);
    expect(kept[1]?.trimmedBefore).toBe(true);
    expect(await again.readEvents(bystander, CURSOR_START, 100)).toHaveLength(30);
    await again.close();
  });

  test('it is told apart before it is migrated', () => {
    writeVersion1();
    expect(probeDatabase(path)).toBe('schema version 1, will be migrated');
    openSqlite(path).close();
    expect(probeDatabase(path)).toBe(`schema version ${MIGRATIONS.length}`);
  });

  test('a migration that fails changes nothing', async () => {
    writeVersion1();
    const db = new Database(path);
    db.run('CREATE INDEX runs_by_request ON runs (status)');
    db.close(true);
    expect(refusal(() => openSqlite(path)).code).toBe('store_unusable');
    const after = new Database(path);
    expect(after.query('PRAGMA user_version').get()).toEqual({ user_version: 1 });
    expect(after.query('SELECT count(*) AS n FROM pragma_table_info(?)').get('runs')).toEqual({ n: 7 });
    after.run('DROP INDEX runs_by_request');
    after.close(true);
    await openSqlite(path).close();
  });
});
