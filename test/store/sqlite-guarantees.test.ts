// What the SQLite store guarantees beyond the contract: cancels and keys within one commit and across a failed one, and streams
// that stay small in the file.

import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { statSync } from 'node:fs';
import { CURSOR_START } from '../../src/base/cursor.ts';
import type { StoredEvent } from '../../src/runs/ports.ts';
import type { SqliteStore } from '../../src/store/sqlite.ts';
import { TRIM_STEP_EVENTS } from '../../src/store/sqlite-trim.ts';
import {
  appended,
  applied,
  cancel,
  intentOf,
  payloadOf,
  RETENTION,
  runningRecord,
  terminal,
  toldWatcher,
} from '../contract/kit.ts';
import { drivenClock, openSqlite, tempDirectory } from './helpers.ts';

let directory: ReturnType<typeof tempDirectory>;
let path: string;
beforeEach(() => {
  directory = tempDirectory();
  path = directory.file('x.db');
});
afterEach(() => directory.remove());

async function startRun(store: SqliteStore): Promise<string> {
  const record = runningRecord();
  await store.create(record);
  return record.run_id;
}

describe('cancels and keys in a group commit', () => {
  test('what was asked for in one turn is decided in that order', async () => {
    const store = openSqlite(path);
    const told = toldWatcher();
    store.watchOwn(told);
    const deduplication = { key: 'k', fingerprint: 'f', strict: false };
    const record = runningRecord();
    const runId = record.run_id;
    const outcomes = await Promise.all([
      store.create(record, deduplication),
      store.create(runningRecord(), deduplication),
      store.finalise(runId, terminal(runId, 'cancelled')),
      store.requestCancel(runId, intentOf('a')),
      store.requestCancel(runId, intentOf('b')),
      store.finalise(runId, terminal(runId, 'succeeded')),
    ]);
    expect(outcomes).toEqual([
      { created: true },
      { created: false, existing: record },
      { applied: false, status: 'running', cancel: null },
      { accepted: true, status: 'running' },
      { accepted: true, status: 'running' },
      { applied: false, status: 'running', cancel: intentOf('a') },
    ]);
    expect(told.cancels).toEqual([{ runId, intent: intentOf('a') }]);
    await store.close();
  });

  test('what is rolled back was never asked for: nobody is told, and the key is free', async () => {
    const store = openSqlite(path, { maxPages: 40 });
    const told = toldWatcher();
    store.watchOwn(told);
    const runId = await startRun(store);
    const huge = '😀'.repeat(50_000);
    const deduplication = { key: 'k', fingerprint: 'f', strict: true };
    const refused = await Promise.allSettled([
      store.requestCancel(runId, intentOf(huge)),
      store.create({ ...runningRecord(), error: huge }, deduplication),
    ]);
    for (const result of refused)
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'store_unavailable' } });
    expect(told.cancels).toEqual([]);
    expect(await store.create(runningRecord(), { ...deduplication, fingerprint: 'g' })).toEqual({ created: true });
    // The neighbour of a write that fails is written.
    const [wish, append] = await Promise.allSettled([
      store.requestCancel(runId, intentOf('small')),
      store.append(runId, [payloadOf(runId, huge)]),
    ]);
    expect(wish).toMatchObject({ status: 'fulfilled', value: { accepted: true } });
    expect(append).toMatchObject({ status: 'rejected' });
    expect(told.cancels).toEqual([{ runId, intent: intentOf('small') }]);
    expect(await store.finalise(runId, terminal(runId, 'failed'))).toMatchObject({ cancel: intentOf('small') });
    applied(await store.finalise(runId, terminal(runId, 'cancelled')));
    await store.close();
  });

  test('a key is kept as long as its run, however long that runs', async () => {
    const clock = drivenClock();
    const store = openSqlite(path, { clock });
    const record = runningRecord();
    const deduplication = { key: 'k', fingerprint: 'f', strict: false };
    await store.create(record, deduplication);
    clock.micros += 10 * RETENTION * 1_000_000;
    await store.sweep();
    expect(await store.create(runningRecord(), deduplication)).toEqual({ created: false, existing: record });
    await store.finalise(record.run_id, terminal(record.run_id, 'succeeded'));
    clock.micros += (RETENTION + 1) * 1_000_000;
    // Expired, though not swept yet.
    expect(await store.create(runningRecord(), deduplication)).toEqual({ created: true });
    await store.sweep();
    expect(await store.create(runningRecord(), deduplication)).toMatchObject({ created: false });
    await store.close();
  });

  test('the cancel of a run that is over is not kept', async () => {
    const store = openSqlite(path);
    const runId = await startRun(store);
    await cancel(store, runId, intentOf('because of me'));
    await store.close();
    const db = new Database(path);
    expect(db.query('SELECT cancel FROM runs').all()).toEqual([{ cancel: null }]);
    db.close(true);
  });
});

describe('bounded streams', () => {
  test('a long run stays small: in the file, and in what is read of it', async () => {
    const store = openSqlite(path, { eventStream: { maxEvents: 1_000, maxBytes: 500_000 } });
    const runId = await startRun(store);
    const batch = new Array<string>(100).fill(payloadOf(runId, 'x'.repeat(1_000)));
    for (let i = 0; i < 300; i += 1) await store.append(runId, batch);
    const events = await store.readEvents(runId, CURSOR_START, 10_000);
    expect(events.length).toBeLessThan(600);
    await store.close();
    // 33 MB were written.
    expect(statSync(path).size).toBeLessThan(2_000_000);
  });

  test('a small limit leaves as much as it says, and a tenth', async () => {
    const store = openSqlite(':memory:', { eventStream: { maxEvents: 50, maxBytes: null } });
    const runId = await startRun(store);
    const lengths = new Set<number>();
    for (let i = 0; i < 300; i += 1) {
      await store.append(runId, [payloadOf(runId, i)]);
      if (i > 50) lengths.add((await store.readEvents(runId, CURSOR_START, 1_000)).length);
    }
    expect([...lengths].toSorted((a, b) => a - b)).toEqual([50, 51, 52, 53, 54, 55]);
    await store.close();
  });

  test('one write drops a bounded number of events, the next ones the rest', async () => {
    const eventStream = { maxEvents: null, maxBytes: 1_000_000 };
    const store = openSqlite(':memory:', { eventStream });
    const runId = await startRun(store);
    const small = payloadOf(runId);
    await store.append(runId, new Array<string>(5_000).fill(small));
    const count = async () => (await store.readEvents(runId, CURSOR_START, 10_000)).length;
    await store.append(runId, [payloadOf(runId, 'x'.repeat(2_000_000))]);
    expect(await count()).toBe(5_001 - TRIM_STEP_EVENTS);
    for (let i = 0; i < 5; i += 1) await store.append(runId, [small]);
    // The first and the latest; the large one, which is over the budget alone, went when its turn had come.
    const kept = await store.readEvents(runId, CURSOR_START, 10_000);
    expect(kept.length).toBeLessThanOrEqual(6);
    expect(kept.every(({ payload }) => payload === small)).toBe(true);
    await store.close();
  });

  test('what was dropped stays dropped, and is told, after reopening and a rolled back write', async () => {
    const options = { eventStream: { maxEvents: 20, maxBytes: null }, maxPages: 100 };
    const first = openSqlite(path, options);
    const runId = await startRun(first);
    const written: StoredEvent[] = [];
    const write = async (store: SqliteStore, count: number) => {
      for (let i = 0; i < count; i += 1) written.push(...appended(await store.append(runId, [payloadOf(runId, i)])));
    };
    await write(first, 100);
    const kept = await first.readEvents(runId, CURSOR_START, 1_000);
    const many = new Array<string>(50).fill(payloadOf(runId, 'y'.repeat(20_000)));
    await expect(first.append(runId, many)).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(await first.readEvents(runId, CURSOR_START, 1_000)).toEqual(kept);
    await write(first, 7);
    await first.close();
    const second = openSqlite(path, options);
    await write(second, 30);
    const after = await second.readEvents(runId, CURSOR_START, 1_000);
    expect(after.length).toBeGreaterThanOrEqual(20);
    expect(after.length).toBeLessThanOrEqual(22);
    expect(after.map(({ id }) => id)).toEqual(
      [written[0], ...written.slice(1 - after.length)].map((event) => event?.id ?? ''),
    );
    expect(after.map(({ trimmedBefore }) => trimmedBefore === true)).toEqual(after.map((_, i) => i === 1));
    await second.close();
  });
});
