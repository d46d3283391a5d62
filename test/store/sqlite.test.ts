import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { CURSOR_START } from '../../src/base/cursor.ts';
import { newRunId } from '../../src/base/ids.ts';
import { toStoreError } from '../../src/store/errors.ts';
import { MIGRATIONS, pragma } from '../../src/store/schema.ts';
import type { SqliteStore } from '../../src/store/sqlite.ts';
import { openDatabase } from '../../src/store/sqlite-file.ts';
import { appended, applied, payloadOf, RETENTION, runningRecord, terminal } from '../contract/kit.ts';
import { drivenClock, openSqlite, refusal, tempDirectory } from './helpers.ts';

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

const mode = (file: string) => statSync(file).mode & 0o777;

test('a value that SQLite will never take is not taken for a store that is away', () => {
  using db = new Database(':memory:');
  let refused: unknown;
  try {
    db.query('SELECT zeroblob(1500000000)').get();
  } catch (error) {
    refused = error;
  }
  expect(toStoreError(refused)).toMatchObject({ code: 'event_too_large', cause: refused });
});

describe('ownership', () => {
  test('a second store on the same file is refused with one clear line, under any name of the file', async () => {
    const store = openSqlite(path);
    symlinkSync(path, directory.file('symbolic.db'));
    linkSync(path, directory.file('hard.db'));
    for (const name of [path, directory.file('symbolic.db'), directory.file('hard.db')]) {
      const error = refusal(() => openSqlite(name));
      expect(error.code).toBe('store_locked');
      expect(error.message).toBe(`DIFY_AGENT_STORE_URL: sqlite:${name} is owned by another server process`);
    }
    // The refused attempts took nothing away from the owner.
    const runId = await startRun(store);
    expect(refusal(() => openSqlite(path)).code).toBe('store_locked');
    expect((await store.getRecord(runId))?.status).toBe('running');
    await store.close();
    await openSqlite(path).close();
  });

  test('two stores of one process own two files', async () => {
    const stores = [openSqlite(path), openSqlite(directory.file('y.db'))];
    for (const store of stores) await startRun(store);
    for (const store of stores) await store.close();
    const again = [openSqlite(path), openSqlite(directory.file('y.db'))];
    for (const store of again) {
      expect(await store.listLost()).toHaveLength(1);
      await store.close();
    }
  });

  test('everything acknowledged before kill -9 is there afterwards, and the file is free at once', async () => {
    const runIds = [newRunId(), newRunId(), newRunId()];
    const child = Bun.spawn([process.execPath, join(import.meta.dir, 'appender.ts'), path, runIds.join(',')], {
      stdout: 'pipe',
      stderr: 'inherit',
    });
    const decoder = new TextDecoder();
    let output = '';
    for await (const chunk of child.stdout) {
      output += decoder.decode(chunk, { stream: true });
      if (!child.killed && output.split('\n').length > 200) {
        // Another process owns it as long as it lives.
        expect(refusal(() => openSqlite(path)).code).toBe('store_locked');
        child.kill('SIGKILL');
      }
    }
    await child.exited;
    const lines = output.slice(0, output.lastIndexOf('\n')).split('\n');
    const [round = '', ...ids] = (lines.at(-1) ?? '').split(' ');
    const store = openSqlite(path);
    expect((await store.listLost()).toSorted()).toEqual(runIds.toSorted());
    for (const [index, runId] of runIds.entries()) {
      const events = await store.readEvents(runId, CURSOR_START, 1_000_000);
      const acknowledged = 2 * (Number(round) + 1);
      expect(events.length).toBeGreaterThanOrEqual(acknowledged);
      expect(events[acknowledged - 1]?.id).toBe(ids[index] ?? '');
      expect(events.slice(0, 4).map((event) => event.payload)).toEqual(
        [0, -0, 1, -1].map((data) => payloadOf(runId, data)),
      );
      // What was left running can be ended by the next owner, after everything that was written.
      const end = applied(await store.finalise(runId, terminal(runId, 'failed', 'worker lost')));
      expect((await store.readEvents(runId, CURSOR_START, 1_000_000)).at(-1)).toEqual(end);
    }
    expect(await store.listLost()).toEqual([]);
    await store.close();
  });
});

describe('the file', () => {
  test('it and its log are readable by their owner alone, from the start', async () => {
    const before = process.umask(0);
    try {
      const store = openSqlite(path);
      await startRun(store);
      for (const name of readdirSync(directory.path)) expect(mode(directory.file(name))).toBe(0o600);
      expect(existsSync(`${path}-wal`)).toBe(true);
      await store.close();
      expect(readdirSync(directory.path)).toEqual(['x.db']);
    } finally {
      process.umask(before);
    }
  });

  test('a laxer mode is repaired', async () => {
    await openSqlite(path).close();
    chmodSync(path, 0o644);
    writeFileSync(`${path}-shm`, '', { mode: 0o666 });
    const store = openSqlite(path);
    await startRun(store);
    for (const name of readdirSync(directory.path)) expect(mode(directory.file(name))).toBe(0o600);
    await store.close();
  });

  test('a missing directory, a directory and an unreadable path are refused in one line that names the variable', () => {
    mkdirSync(directory.file('d'));
    for (const [name, text] of [
      [directory.file('none/x.db'), `the directory ${directory.file('none')} does not exist`],
      [directory.file('d'), 'is not a file'],
      ['/proc/x.db', 'DIFY_AGENT_STORE_URL: sqlite:/proc/x.db'],
    ] as const) {
      const error = refusal(() => openSqlite(name));
      expect(error.code).toBe('store_unusable');
      expect(error.message).toStartWith(`DIFY_AGENT_STORE_URL: sqlite:${name}`);
      expect(error.message).toContain(text);
      expect(error.message).not.toContain('\n');
    }
    expect(existsSync(directory.file('none'))).toBe(false);
  });

  test('a file that is not a database is refused and left as it was', async () => {
    const text = 'This is a letter, not a database. '.repeat(200);
    writeFileSync(path, text, { mode: 0o644 });
    const error = refusal(() => openSqlite(path));
    expect(error.code).toBe('store_unusable');
    expect(error.message).toBe(`DIFY_AGENT_STORE_URL: sqlite:${path} is not a SQLite database`);
    expect(await Bun.file(path).text()).toBe(text);
    expect(mode(path)).toBe(0o644);
  });

  test('a damaged database is refused', async () => {
    const store = openSqlite(path);
    await startRun(store);
    await store.close();
    const bytes = new Uint8Array(await Bun.file(path).arrayBuffer());
    bytes.fill(0xff, 100, 4096);
    writeFileSync(path, bytes);
    const error = refusal(() => openSqlite(path));
    expect(error.code).toBe('store_unusable');
    expect(error.message).toContain('is damaged');
  });

  test('a store that lacks its tables is refused, and free for others', async () => {
    await openSqlite(path).close();
    const db = new Database(path);
    db.run('DROP TABLE events');
    db.close(true);
    const error = refusal(() => openSqlite(path));
    expect(error.code).toBe('store_unusable');
    expect(error.message).toBe(`DIFY_AGENT_STORE_URL: sqlite:${path} cannot be opened: no such table: events`);
    const again = new Database(path);
    expect(again.query('SELECT * FROM runs').all()).toEqual([]);
    again.close(true);
  });

  test("another program's database is refused and left alone", async () => {
    const other = new Database(path);
    other.run('CREATE TABLE runs (mine TEXT)');
    other.close(true);
    chmodSync(path, 0o644);
    const error = refusal(() => openSqlite(path));
    expect(error.code).toBe('store_schema_unknown');
    expect(error.message).toContain('is a database of another program');
    expect(mode(path)).toBe(0o644);
    const again = new Database(path);
    expect(again.query('SELECT * FROM runs').all()).toEqual([]);
    again.close(true);
  });

  test('a newer schema version is refused', async () => {
    await openSqlite(path).close();
    const db = new Database(path);
    db.run(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    db.close(true);
    const error = refusal(() => openSqlite(path));
    expect(error.code).toBe('store_schema_unknown');
    expect(error.message).toBe(
      `DIFY_AGENT_STORE_URL: sqlite:${path} has schema version ${MIGRATIONS.length + 1}, this dify-agent knows up to ${MIGRATIONS.length}: use a newer dify-agent or another file`,
    );
  });

  test('an empty file is initialised', async () => {
    writeFileSync(path, '');
    const store = openSqlite(path);
    await startRun(store);
    await store.close();
  });

  test('what was written is there after reopening, and ids go on from there', async () => {
    const clock = drivenClock();
    const first = openSqlite(path, { clock });
    const [running, done] = [await startRun(first), await startRun(first)];
    const [before] = appended(await first.append(running, [payloadOf(running, 1)]));
    const end = applied(await first.finalise(done, terminal(done, 'failed', 'x')));
    await first.close();
    // The clock went back an hour meanwhile.
    clock.micros -= 3_600_000_000;
    const second = openSqlite(path, { clock });
    expect(await second.listLost()).toEqual([running]);
    expect(await second.readEvents(done, CURSOR_START, 10)).toEqual([end]);
    expect(await second.append(done, [payloadOf(done)])).toEqual({ appended: false, status: 'failed' });
    const [after] = appended(await second.append(running, [payloadOf(running, 2)]));
    const [ms, seq] = (before?.id ?? '').split('-');
    expect(after?.id).toBe(`${ms}-${Number(seq) + 1}`);
    await second.close();
  });
});

describe('durability', () => {
  test.each([
    [undefined, 1],
    ['normal', 1],
    ['full', 2],
  ] as const)('synchronous %p is what SQLite is told', (synchronous, level) => {
    const db = openDatabase(path, synchronous);
    expect(pragma(db, 'synchronous')).toBe(level);
    db.close(true);
  });
});

describe('ids', () => {
  test('they follow the clock, and count on where it stands still or goes back', async () => {
    const clock = drivenClock(5_000_999);
    const store = openSqlite(':memory:', { clock });
    const runId = await startRun(store);
    const next = async () => appended(await store.append(runId, [payloadOf(runId)]))[0]?.id;
    expect(await next()).toBe('5000-0');
    expect(await next()).toBe('5000-1');
    clock.micros = 1;
    expect(await next()).toBe('5000-2');
    clock.micros = 5_001_000;
    expect(await next()).toBe('5001-0');
    await store.close();
  });

  test('the first event is after the start cursor even at the epoch', async () => {
    const store = openSqlite(':memory:', { clock: drivenClock(0) });
    const runId = await startRun(store);
    const events = appended(await store.append(runId, [payloadOf(runId)]));
    expect(events[0]?.id).toBe('0-1');
    expect(await store.readEvents(runId, CURSOR_START, 10)).toEqual(events);
    await store.close();
  });
});

describe('group commit', () => {
  test('nothing is visible before it is committed, and what is asked for in one turn is committed at once', async () => {
    const store = openSqlite(path);
    const records = [runningRecord(), runningRecord()];
    const writes = records.flatMap((record) => [
      store.create(record),
      store.append(record.run_id, [payloadOf(record.run_id)]),
      store.finalise(record.run_id, terminal(record.run_id, 'succeeded')),
    ]);
    for (const record of records) expect(await store.getRecord(record.run_id)).toBeNull();
    await writes[0];
    for (const record of records) expect((await store.getRecord(record.run_id))?.status).toBe('succeeded');
    await Promise.all(writes);
    await store.close();
  });

  test('one bad write does not fail its neighbours', async () => {
    const store = openSqlite(path);
    const record = runningRecord();
    const results = await Promise.allSettled([
      store.create(record),
      store.append(record.run_id, [payloadOf(record.run_id, 1)]),
      store.create(record),
      store.append(record.run_id, [payloadOf(record.run_id, 2)]),
    ]);
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect(results[2]).toMatchObject({ reason: { code: 'run_exists' } });
    const texts = (await store.readEvents(record.run_id, CURSOR_START, 10)).map((event) => event.payload);
    expect(texts).toEqual([payloadOf(record.run_id, 1), payloadOf(record.run_id, 2)]);
    await store.close();
  });

  test('closing writes what is waiting', async () => {
    const store = openSqlite(path);
    const record = runningRecord();
    const created = store.create(record);
    await store.close();
    await created;
    const again = openSqlite(path);
    expect(await again.getRecord(record.run_id)).toEqual(record);
    await again.close();
  });
});

describe('a full disk', () => {
  test('writes are refused as unavailable, reads go on, and writes work again when there is room', async () => {
    const clock = drivenClock();
    const store = openSqlite(path, { clock, maxPages: 200 });
    const old = await startRun(store);
    await store.append(old, [payloadOf(old, 'x'.repeat(400_000))]);
    await store.finalise(old, terminal(old, 'succeeded'));
    clock.micros += (RETENTION - 10) * 1_000_000;

    const runId = await startRun(store);
    const [first] = appended(await store.append(runId, [payloadOf(runId, 1)]));
    const big = payloadOf(runId, 'y'.repeat(500_000));
    const results = await Promise.allSettled([store.append(runId, [big]), store.append(runId, [payloadOf(runId, 2)])]);
    expect(results[0]).toMatchObject({ status: 'rejected', reason: { code: 'store_unavailable' } });
    expect(results[1]).toMatchObject({ status: 'fulfilled', value: { appended: true } });
    // What was rolled back used up no id.
    expect((await store.readEvents(runId, CURSOR_START, 10)).map((event) => event.id.split('-')[1])).toEqual([
      '0',
      '1',
    ]);
    expect((await store.getRecord(runId))?.status).toBe('running');
    expect(await store.readEvents(runId, CURSOR_START, 1)).toEqual(first === undefined ? [] : [first]);

    clock.micros += 20 * 1_000_000;
    await store.sweep();
    appended(await store.append(runId, [big]));
    applied(await store.finalise(runId, terminal(runId, 'succeeded')));
    const events = await store.readEvents(runId, CURSOR_START, 10);
    expect(events.map((event) => event.payload.length)).toEqual(
      [payloadOf(runId, 1), payloadOf(runId, 2), big, terminal(runId, 'succeeded').payload].map((text) => text.length),
    );
    await store.close();
  });

  test('a create that did not fit leaves nothing behind', async () => {
    const store = openSqlite(path, { maxPages: 12 });
    const failed: string[] = [];
    for (let i = 0; i < 400 && failed.length === 0; i += 1) {
      const record = runningRecord();
      await store.create(record).catch(() => failed.push(record.run_id));
    }
    const [runId = ''] = failed;
    expect(await store.append(runId, [payloadOf(runId)])).toEqual({ appended: false, status: null });
    expect(await store.getRecord(runId)).toBeNull();
    await store.close();
  });
});

describe('a file that is taken away while the server runs', () => {
  const RIDS: readonly (readonly [string, () => void])[] = [
    ['removed', () => rmSync(path)],
    ['renamed', () => renameSync(path, directory.file('old.db'))],
    [
      'replaced',
      () => {
        writeFileSync(directory.file('new.db'), '');
        renameSync(directory.file('new.db'), path);
      },
    ],
  ];

  test.each(RIDS)('when it is %s no run is taken any more, and what runs goes on to its end', async (_, takeAway) => {
    const store = openSqlite(path);
    const runId = await startRun(store);
    takeAway();
    const cause = { message: `${path} was removed or replaced` };
    await expect(store.create(runningRecord())).rejects.toMatchObject({ code: 'store_unavailable', cause });
    await expect(store.ping()).rejects.toMatchObject({ code: 'store_unavailable', cause });
    appended(await store.append(runId, [payloadOf(runId)]));
    applied(await store.finalise(runId, terminal(runId, 'succeeded')));
    expect(await store.readEvents(runId, CURSOR_START, 10)).toHaveLength(2);
    await store.close();
  });

  test('a store in memory has no file to lose', async () => {
    const store = openSqlite(':memory:');
    await startRun(store);
    await store.ping();
    await store.close();
  });
});

describe('retention', () => {
  test('a running run does not expire, however silent', async () => {
    const clock = drivenClock();
    const store = openSqlite(path, { clock });
    const runId = await startRun(store);
    clock.micros += 1000 * RETENTION * 1_000_000;
    await store.sweep();
    expect((await store.getRecord(runId))?.status).toBe('running');
    applied(await store.finalise(runId, terminal(runId, 'succeeded')));
    await store.close();
  });

  test('the sweep deletes expired runs with their events, others stay, and the file shrinks', async () => {
    const clock = drivenClock();
    const store = openSqlite(path, { clock });
    const fill = async (count: number) => {
      const runIds = [];
      for (let i = 0; i < count; i += 1) {
        const runId = await startRun(store);
        await store.append(runId, new Array(100).fill(payloadOf(runId, 'z'.repeat(2_000))));
        await store.finalise(runId, terminal(runId, 'succeeded'));
        runIds.push(runId);
      }
      return runIds;
    };
    await fill(60);
    clock.micros += (RETENTION + 1) * 1_000_000;
    const [kept = ''] = await fill(1);
    await store.sweep();
    expect(await store.readEvents(kept, CURSOR_START, 1_000)).toHaveLength(101);
    await store.close();
    const db = new Database(path);
    expect(db.query('SELECT count(*) AS n FROM runs').get()).toEqual({ n: 1 });
    expect(db.query('SELECT count(*) AS n FROM events').get()).toEqual({ n: 101 });
    db.close(true);
    // 12 MB were written; what stays is the kept run and the free pages that are held for the next.
    expect(statSync(path).size).toBeLessThan(6_000_000);
  });

  test('opening sweeps what expired while no server ran', async () => {
    const clock = drivenClock();
    const first = openSqlite(path, { clock });
    const runId = await startRun(first);
    await first.finalise(runId, terminal(runId, 'succeeded'));
    await first.close();
    clock.micros += (RETENTION + 1) * 1_000_000;
    const second = openSqlite(path, { clock });
    // The sweep was asked for first, so it is committed before or with this.
    await startRun(second);
    await second.close();
    const db = new Database(path);
    expect(db.query('SELECT count(*) AS n FROM runs').get()).toEqual({ n: 1 });
    db.close(true);
  });
});
