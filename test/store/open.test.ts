import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { readdirSync } from 'node:fs';
import { CURSOR_START } from '../../src/base/cursor.ts';
import { noopLogger } from '../../src/observe/logger.ts';
import { openStore, probeStore, type StoreSettings } from '../../src/store/open.ts';
import { probeRedis, REDIS_DEADLINE_MS } from '../../src/store/redis-probe.ts';
import { MIGRATIONS } from '../../src/store/schema.ts';
import { applied, payloadOf, RETENTION, runningRecord, terminal } from '../contract/kit.ts';
import { drivenClock, openSqlite, tempDirectory } from './helpers.ts';

let directory: ReturnType<typeof tempDirectory>;
beforeEach(() => {
  directory = tempDirectory();
});
afterEach(() => directory.remove());

const deps = { clock: drivenClock(), logger: noopLogger };
const settings = (storeUrl: string, more: Partial<StoreSettings> = {}) => ({
  storeUrl,
  redisPrefix: 'dify-agent',
  runRetentionSeconds: RETENTION,
  storeOutageSeconds: 30,
  sqliteSynchronous: 'normal' as const,
  runLeaseSeconds: 30,
  eventStream: { maxEvents: null, maxBytes: null },
  wireVintage: '2026-06' as const,
  runIndexEnabled: null,
  ...more,
});
const open = (storeUrl: string) => openStore(settings(storeUrl), deps);
const probe = (storeUrl: string) => probeStore(settings(storeUrl));

const ADVICE = 'to run without Redis set DIFY_AGENT_STORE_URL=sqlite:./dify-agent.db';

/** A Redis that answers every command with `reply`. */
function fakeRedis(reply: string | null) {
  return Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data(socket, data) {
        if (reply === null) return;
        // One reply per command: commands are arrays of bulk strings.
        for (const _ of data.toString().matchAll(/^\*\d+\r$/gm)) socket.write(reply);
      },
    },
  });
}

/** The answer to HELLO of a Redis that is not as it should be. */
function hello(said: Readonly<Record<string, string>>): string {
  const fields = { server: 'redis', version: '7.0.15', id: '3', mode: 'standalone', role: 'master', ...said };
  const words = Object.entries(fields).flat();
  return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;
}

describe('opening', () => {
  test('a SQLite store is opened with its fan-out, and tells what a dead process left running', async () => {
    const path = directory.file('x.db');
    const left = runningRecord();
    const before = openSqlite(path);
    await before.create(left);
    await before.close();
    const store = await open(`sqlite:${path}`);
    expect(store.description).toBe(`sqlite:${path}`);
    expect(await store.listLost()).toEqual([left.run_id]);
    const subscription = await store.subscribe(left.run_id, CURSOR_START);
    const next = subscription?.next();
    const event = applied(await store.finaliseLost(left.run_id, terminal(left.run_id, 'failed', 'worker lost')));
    expect(await next).toEqual([event]);
    expect(await store.listLost()).toEqual([]);
    await store.close();
  });

  test('a file that turns out to be damaged where its runs are does not open', async () => {
    const path = directory.file('x.db');
    const before = openSqlite(path);
    await before.create(runningRecord());
    await before.close();
    const db = new Database(path);
    const page = db.query("SELECT rootpage FROM sqlite_schema WHERE name = 'runs'").get() as { rootpage: number };
    db.close(true);
    const bytes = new Uint8Array(await Bun.file(path).arrayBuffer());
    bytes.fill(0xff, (page.rootpage - 1) * 4096, page.rootpage * 4096);
    await Bun.write(path, bytes);
    await expect(open(`sqlite:${path}`)).rejects.toMatchObject({
      code: 'store_unusable',
      message: `DIFY_AGENT_STORE_URL: sqlite:${path} is damaged; move it away or restore a backup`,
    });
  });

  test('a SQLite store bounds streams as the settings say', async () => {
    const eventStream = { maxEvents: 10, maxBytes: null };
    const store = await openStore(settings('sqlite::memory:', { eventStream, sqliteSynchronous: 'full' }), deps);
    const record = runningRecord();
    await store.create(record);
    await store.append(record.run_id, new Array<string>(100).fill(payloadOf(record.run_id)));
    expect(await store.readEvents(record.run_id, CURSOR_START, 1_000)).toHaveLength(10);
    await store.close();
  });

  test('a store in memory leaves no file', async () => {
    const store = await open('sqlite::memory:');
    expect(store.description).toBe('sqlite::memory:');
    await store.create(runningRecord());
    await store.close();
    expect(readdirSync('.')).not.toContain(':memory:');
  });

  test.each(['', 'sqlite:', 'sqlite://name.db', 'postgres://u:secret@h/db', 'dify-agent.db', 'file:x.db'])(
    'the URL "%s" is refused without repeating it',
    async (url) => {
      for (const use of [open, probe]) {
        await expect(use(url)).rejects.toMatchObject({
          code: 'store_url_invalid',
          message: 'DIFY_AGENT_STORE_URL: expected sqlite:PATH, sqlite::memory:, redis://HOST or rediss://HOST',
        });
      }
    },
  );
});

describe('Redis', () => {
  test('one that nobody listens for is reported with the way out, without credentials', async () => {
    const listener = fakeRedis(null);
    const { port } = listener;
    listener.stop(true);
    for (const use of [open, probe]) {
      await expect(use(`redis://user:secret@127.0.0.1:${port}/0`)).rejects.toMatchObject({
        code: 'store_unreachable',
        message: `DIFY_AGENT_REDIS_URL: Redis at 127.0.0.1:${port} does not answer; ${ADVICE}`,
      });
    }
  });

  test('an error names the variable that the address comes from', async () => {
    const listener = fakeRedis(null);
    const { port } = listener;
    listener.stop(true);
    const storeUrlVariable = 'DIFY_AGENT_STORE_URL';
    for (const [url, code] of [
      [`redis://127.0.0.1:${port}`, 'store_unreachable'],
      ['redis://h/notadb', 'store_url_invalid'],
    ] as const) {
      const message = expect.stringMatching(/^DIFY_AGENT_STORE_URL: /);
      await expect(probeStore(settings(url, { storeUrlVariable }))).rejects.toMatchObject({ code, message });
      await expect(openStore(settings(url, { storeUrlVariable }), deps)).rejects.toMatchObject({ code, message });
    }
  });

  test('one that accepts but never answers is given up at the deadline', async () => {
    const listener = fakeRedis(null);
    await expect(probeRedis(settings(`redis://127.0.0.1:${listener.port}`), 50)).rejects.toMatchObject({
      message: `DIFY_AGENT_REDIS_URL: Redis at 127.0.0.1:${listener.port} does not answer; ${ADVICE}`,
    });
    expect(REDIS_DEADLINE_MS).toBe(3_000);
    listener.stop(true);
  });

  test.each([
    ['+OK\r\n', 'does not say its version; 6.2 or newer is needed'],
    ['-ERR unknown command `HELLO`, with args beginning with: `2`\r\n', 'is older than 6; 6.2 or newer is needed'],
    [hello({ version: '6.0.16' }), 'is 6.0.16; 6.2 or newer is needed'],
    [hello({ mode: 'cluster' }), 'runs in cluster mode, whose keys cannot be written together; a single one is needed'],
    [hello({ role: 'replica' }), 'is a read-only replica; the URL must lead to the primary'],
  ])('one that says %j is not taken', async (reply, problem) => {
    const listener = fakeRedis(reply);
    for (const use of [open, probe]) {
      await expect(use(`redis://127.0.0.1:${listener.port}`)).rejects.toMatchObject({
        code: 'store_unsupported',
        message: `DIFY_AGENT_REDIS_URL: Redis at 127.0.0.1:${listener.port} ${problem}; ${ADVICE}`,
      });
    }
    listener.stop(true);
  });

  test('one that refuses the password says so', async () => {
    const listener = fakeRedis('-WRONGPASS invalid username-password pair\r\n');
    await expect(open(`redis://:secret@127.0.0.1:${listener.port}`)).rejects.toMatchObject({
      code: 'store_unreachable',
      message: expect.stringContaining('refuses: WRONGPASS'),
    });
    listener.stop(true);
  });

  test.each(['redis:', 'redis://', 'redis://host:notaport', 'redis://h/notadb'])(
    'the URL %s is refused',
    async (url) => {
      await expect(open(url)).rejects.toMatchObject({ code: 'store_url_invalid' });
    },
  );
});

describe('probing', () => {
  test('a missing file is not created', async () => {
    const path = directory.file('x.db');
    expect(await probe(`sqlite:${path}`)).toBe(`sqlite:${path} (will be created)`);
    expect(readdirSync(directory.path)).toEqual([]);
    expect(await probe('sqlite::memory:')).toContain('in memory');
  });

  test('an existing store is opened and left as it was', async () => {
    const path = directory.file('x.db');
    const store = openSqlite(path);
    const record = runningRecord();
    await store.create(record);
    await store.close();
    expect(await probe(`sqlite:${path}`)).toBe(`sqlite:${path} (schema version ${MIGRATIONS.length})`);
    expect(readdirSync(directory.path)).toEqual(['x.db']);
    const again = openSqlite(path);
    expect(await again.getRecord(record.run_id)).toEqual(record);
    await again.close();
  });

  test('a store that a server owns is reported, and stays owned', async () => {
    const path = directory.file('x.db');
    const store = openSqlite(path);
    await expect(probe(`sqlite:${path}`)).rejects.toMatchObject({ code: 'store_locked' });
    await store.create(runningRecord());
    await expect(open(`sqlite:${path}`)).rejects.toMatchObject({ code: 'store_locked' });
    await store.close();
  });

  test('a missing directory and a file that is not a database are reported', async () => {
    await expect(probe(`sqlite:${directory.file('none/x.db')}`)).rejects.toMatchObject({ code: 'store_unusable' });
    await Bun.write(directory.file('text.db'), 'no database '.repeat(100));
    await expect(probe(`sqlite:${directory.file('text.db')}`)).rejects.toMatchObject({ code: 'store_unusable' });
  });
});
