// What the Redis store leaves in Redis, what it makes of what others left there, and what it costs. That it is a store at all
// is test/contract/redis.test.ts's, what it does in trouble redis-faults.test.ts's.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CURSOR_START } from '../../src/base/cursor.ts';
import { noopLogger } from '../../src/observe/logger.ts';
import { openStore, probeStore } from '../../src/store/open.ts';
import type { RedisStore } from '../../src/store/redis.ts';
import { appended, applied, intentOf, payloadOf, RETENTION, runningRecord, terminal } from '../contract/kit.ts';
import { documentedUser } from '../support/acl.ts';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { until } from '../support/until.ts';
import { drivenClock } from './helpers.ts';
import { command, freshPrefix, listLogger, openRedis, passTime } from './redis-kit.ts';

let server: RedisProcess;
let prefix: string;
let store: RedisStore;
let log: ReturnType<typeof listLogger>;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.dispose());
beforeEach(async () => {
  prefix = freshPrefix();
  log = listLogger();
  store = await openRedis(server.url, { prefix, logger: log });
});
afterEach(() => store.close());

const recordKey = (runId: string) => `${prefix}:runs:${runId}:record`;
const eventsKey = (runId: string) => `${prefix}:runs:${runId}:events`;
const run = (...words: readonly string[]) => command(server, ...words);
const ttlOf = async (key: string) => Number(await run('PTTL', key));

async function startRun(use = store): Promise<string> {
  const record = runningRecord();
  await use.create(record);
  return record.run_id;
}

describe('keys', () => {
  test('a run is one string and one stream, as the reference names and writes them; who owns it is told beside', async () => {
    const ownerless = /:x:(?:lease|owner):[0-9a-f-]{36}/g;
    const keys = async () =>
      ((await run('KEYS', `${prefix}:*`)) as string[]).map((key) => key.replace(ownerless, ':x:ID')).toSorted();
    const ours = [`${prefix}:x:ID`, `${prefix}:x:owners`];
    await until('the lease', async () => (await keys()).length === 2);
    expect(await keys()).toEqual(ours);
    const runId = await startRun();
    expect(await keys()).toEqual([recordKey(runId), ...ours, `${prefix}:x:ID:runs`].toSorted());
    expect(await run('GET', recordKey(runId))).toBe(
      `{"run_id":"${runId}","status":"running","created_at":"2026-06-02T08:15:30.204117Z","updated_at":"2026-06-02T08:15:30.204131Z","error":null}`,
    );
    const [event] = appended(await store.append(runId, [payloadOf(runId)]));
    const end = applied(await store.finalise(runId, terminal(runId, 'failed', 'a "b" / 😀')));
    expect(await keys()).toEqual([recordKey(runId), eventsKey(runId), ...ours].toSorted());
    expect(await run('XRANGE', eventsKey(runId), '-', '+')).toEqual([
      [event?.id ?? '', ['payload', payloadOf(runId)]],
      [end.id, ['payload', end.payload]],
    ]);
    expect(await run('GET', recordKey(runId))).toBe(
      `{"run_id":"${runId}","status":"failed","created_at":"2026-06-02T08:15:30.204117Z","updated_at":"2026-06-02T08:15:31.918004Z","error":"a \\"b\\" / 😀"}`,
    );
  });

  test('every key that the store can leave is listed in docs/stores.md, and expires', async () => {
    const shown = readFileSync(join(import.meta.dir, '../../docs/stores.md'), 'utf8').matchAll(
      /^\| `(\{prefix\}:[^`]+)` \|/gm,
    );
    const forms = [...shown].map(([, form = '']) => {
      const parts = form.split(/\{(\w+)[^}]*\}/);
      return new RegExp(
        `^${parts.map((part, i) => (i % 2 === 0 ? part : part === 'prefix' ? prefix : '[^:]+')).join('')}$`,
      );
    });
    const limited = await openRedis(server.url, { prefix, maxEvents: 1, indexed: true });
    const runId = runningRecord().run_id;
    const context = { name: 'c', type: 'dify.execution_context', deps: {}, metadata: {}, config: { tenant_id: 't' } };
    const composition = { schema_version: 1, layers: [context] };
    await limited.create(runningRecord(runId), { key: '0a', fingerprint: '0b', strict: true }, composition);
    for (let i = 0; i < 40; i += 1) await limited.append(runId, [payloadOf(runId, i)]);
    await limited.requestCancel(runId, intentOf());
    const keys = (await run('KEYS', `${prefix}:*`)) as string[];
    expect(forms).toHaveLength(14);
    for (const form of forms) expect(keys.filter((key) => form.test(key))).not.toEqual([]);
    for (const key of keys) {
      expect(forms.filter((form) => form.test(key))).toHaveLength(1);
      expect([key, (await ttlOf(key)) > 0]).toEqual([key, true]);
    }
    await limited.close();
  });

  test('a run id that exists is refused and left as it is', async () => {
    const runId = await startRun();
    await store.finalise(runId, terminal(runId, 'succeeded'));
    const before = await run('GET', recordKey(runId));
    await expect(store.create(runningRecord(runId))).rejects.toMatchObject({ code: 'run_exists' });
    expect(await run('GET', recordKey(runId))).toBe(String(before));
  });
});

describe('times to live', () => {
  test('creation, the first event and the end set them; what writes in between refreshes both when they are due', async () => {
    const runId = await startRun();
    expect(await ttlOf(recordKey(runId))).toBeWithin((RETENTION - 5) * 1000, RETENTION * 1000 + 1);
    await passTime(server, prefix, RETENTION / 2);
    await store.append(runId, [payloadOf(runId)]);
    for (const key of [recordKey(runId), eventsKey(runId)]) {
      expect(await ttlOf(key)).toBeWithin((RETENTION - 5) * 1000, RETENTION * 1000 + 1);
    }
    // A tenth of this retention may be missing.
    await passTime(server, prefix, RETENTION / 20);
    await store.append(runId, [payloadOf(runId)]);
    expect(await ttlOf(recordKey(runId))).toBeLessThan((RETENTION * 1000 * 19) / 20 + 1);
    await passTime(server, prefix, RETENTION / 10);
    await store.append(runId, [payloadOf(runId)]);
    for (const key of [recordKey(runId), eventsKey(runId)]) {
      expect(await ttlOf(key)).toBeGreaterThan((RETENTION - 5) * 1000);
    }
    await passTime(server, prefix, RETENTION / 20);
    await store.finalise(runId, terminal(runId, 'succeeded'));
    for (const key of [recordKey(runId), eventsKey(runId)]) {
      expect(await ttlOf(key)).toBeGreaterThan((RETENTION - 2) * 1000);
    }
  });

  test('with the default retention they are never more than a minute short', async () => {
    const days = 259_200;
    const long = await openRedis(server.url, { prefix, retentionSeconds: days });
    const runId = await startRun(long);
    await long.append(runId, [payloadOf(runId)]);
    for (let i = 0; i < 4; i += 1) {
      await passTime(server, prefix, 50);
      await long.append(runId, [payloadOf(runId)]);
      for (const key of [recordKey(runId), eventsKey(runId)]) {
        expect(await ttlOf(key)).toBeWithin((days - 61) * 1000, days * 1000 + 1);
      }
    }
    await long.close();
  });

  test('a silent running run lives on, a finished one does not', async () => {
    const short = await openRedis(server.url, { prefix, retentionSeconds: 1 });
    const [silent, finished] = [await startRun(short), await startRun(short)];
    await short.append(silent, [payloadOf(silent)]);
    await short.finalise(finished, terminal(finished, 'succeeded'));
    await until('the finished run to expire', async () => (await short.getRecord(finished)) === null);
    // One more retention.
    await until('another run to come and go', async () => {
      const other = runningRecord().run_id;
      await run('SET', recordKey(other), 'x', 'PX', '1000');
      await until('it to go', async () => (await run('EXISTS', recordKey(other))) === 0);
      return true;
    });
    expect((await short.getRecord(silent))?.status).toBe('running');
    expect(await short.readEvents(silent, CURSOR_START, 10)).toHaveLength(1);
    await short.close();
  });
});

describe('cost', () => {
  async function commandsDuring(work: () => Promise<void>): Promise<ReadonlyMap<string, number>> {
    await run('CONFIG', 'RESETSTAT');
    await work();
    const text = String(await run('INFO', 'commandstats'));
    return new Map(
      [...text.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name = '', calls]) => [name, Number(calls)]),
    );
  }

  test('what a run produces while a write is on its way travels together', async () => {
    const runIds = await Promise.all(Array.from({ length: 10 }, () => startRun()));
    const calls = await commandsDuring(async () => {
      await Promise.all(
        runIds.map(async (runId) => {
          const writes = [];
          for (let i = 0; i < 100; i += 1) {
            writes.push(store.append(runId, [payloadOf(runId, i)]));
            // Some in one turn of the event loop, some in the next.
            if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
          }
          await Promise.all(writes);
        }),
      );
    });
    const sent = (calls.get('evalsha') ?? 0) + (calls.get('eval') ?? 0);
    expect(calls.get('xadd')).toBe(1_000);
    expect(sent).toBeLessThan(200);
    expect(calls.get('pexpire')).toBe(20); // no renewal of the lease falls into it
  });

  test('an end takes along what waits before it', async () => {
    const runId = await startRun();
    const calls = await commandsDuring(async () => {
      const writes = [store.append(runId, [payloadOf(runId, 1)]), store.append(runId, [payloadOf(runId, 2)])];
      await Promise.all([...writes, store.finalise(runId, terminal(runId, 'succeeded'))]);
    });
    expect((calls.get('evalsha') ?? 0) + (calls.get('eval') ?? 0)).toBeLessThanOrEqual(2); // one NOSCRIPT, perhaps
    expect(await store.readEvents(runId, CURSOR_START, 10)).toHaveLength(3);
  });
});

describe('what other implementations left', () => {
  test('a record that cannot be read counts as none, is logged, and is never an error', async () => {
    const runId = runningRecord().run_id;
    for (const text of ['', '{', '{"status":"running"}', '{"status":"paused","created_at":1}']) {
      await run('SET', recordKey(runId), text);
      expect(await store.getRecord(runId)).toBeNull();
    }
    expect(log.entries.filter(({ message }) => message === 'unreadable run record skipped')).toHaveLength(4);
    expect(JSON.stringify(log.entries)).toContain(runId);
    await run('SET', recordKey(runId), '{"status":"paused"}');
    expect(await store.append(runId, [payloadOf(runId)])).toEqual({ appended: false, status: null });
    expect(await store.finalise(runId, terminal(runId, 'failed'))).toEqual({
      applied: false,
      status: null,
      cancel: null,
    });
  });

  test('keys of another type count as none', async () => {
    const runId = await startRun();
    await run('SET', eventsKey(runId), 'x');
    expect(await store.readEvents(runId, CURSOR_START, 10)).toEqual([]);
    await expect(store.append(runId, [payloadOf(runId)])).rejects.toMatchObject({ code: 'store_unavailable' });
    const other = runningRecord().run_id;
    await run('LPUSH', recordKey(other), 'x');
    expect(await store.getRecord(other)).toBeNull();
    // It was about that run alone.
    const fine = await startRun();
    expect(await store.append(fine, [payloadOf(fine)])).toMatchObject({ appended: true });
  });

  test('entries without a payload are passed over, other fields ignored, and a page of them is not the end', async () => {
    const runId = await startRun();
    for (let i = 0; i < 30; i += 1) await run('XADD', eventsKey(runId), '*', 'other', 'x');
    const id = String(await run('XADD', eventsKey(runId), '*', 'trace', 'x', 'payload', 'text'));
    expect(await store.readEvents(runId, CURSOR_START, 10)).toEqual([{ id, payload: 'text' }]);
    expect(log.entries.filter(({ message }) => message === 'event without payload skipped')).toHaveLength(30);
  });

  test.each([
    [
      'with blanks',
      (runId: string) =>
        `{ "run_id": "${runId}", "status": "running", "created_at": "2026-06-02T08:15:30.204117Z", "updated_at": "2026-06-02T08:15:30Z", "error": null }`,
    ],
    [
      'by cjson',
      (runId: string) =>
        `{"status":"running","updated_at":"2026-06-02T08:15:30+00:00","run_id":"${runId}","created_at":"2026-06-02T08:15:30.204117Z"}`,
    ],
    [
      'of a newer vintage',
      (runId: string) =>
        `{"run_id":"${runId}","status":"running","created_at":"2026-06-02T08:15:30.204117Z","updated_at":"2026-06-02T08:15:30Z","error":null,"error_type":null,"x":"\\"status\\":\\"failed\\""}`,
    ],
  ])('a running record written %s takes events and is ended in our form', async (_, text) => {
    const runId = runningRecord().run_id;
    await run('SET', recordKey(runId), text(runId));
    const before = String(await run('XADD', eventsKey(runId), '*', 'payload', 'theirs'));
    const [event] = appended(await store.append(runId, [payloadOf(runId)]));
    const end = applied(await store.finalise(runId, terminal(runId, 'succeeded')));
    const events = await store.readEvents(runId, CURSOR_START, 10);
    expect(events.map(({ id }) => id)).toEqual([before, event?.id ?? '', end.id]);
    expect(await run('GET', recordKey(runId))).toBe(
      `{"run_id":"${runId}","status":"succeeded","created_at":"2026-06-02T08:15:30.204117Z","updated_at":"2026-06-02T08:15:31.918004Z","error":null}`,
    );
  });

  test('a text that only looks like a status does not make a finished run running', async () => {
    const runId = runningRecord().run_id;
    const error = '"status":"running"';
    await run('SET', recordKey(runId), JSON.stringify({ ...runningRecord(runId), status: 'failed', error }));
    expect(await store.append(runId, [payloadOf(runId)])).toEqual({ appended: false, status: 'failed' });
    expect(await store.finalise(runId, terminal(runId, 'succeeded'))).toEqual({
      applied: false,
      status: 'failed',
      cancel: null,
    });
  });

  test('a run that another process ended refuses events with its status, and events of that process are kept apart', async () => {
    const runId = await startRun();
    await store.append(runId, [payloadOf(runId, 1)]);
    const foreign = String(await run('XADD', eventsKey(runId), '*', 'payload', 'theirs'));
    const [own] = appended(await store.append(runId, [payloadOf(runId, 2)]));
    await run('XTRIM', eventsKey(runId), 'MAXLEN', '1');
    const [later] = appended(await store.append(runId, [payloadOf(runId, 3)]));
    expect((await store.readEvents(runId, CURSOR_START, 10)).map(({ id }) => id)).toEqual([
      own?.id ?? '',
      later?.id ?? '',
    ]);
    expect(foreign < (own?.id ?? '')).toBe(true);
    await run('SET', recordKey(runId), JSON.stringify({ ...runningRecord(runId), status: 'cancelled' }));
    expect(await store.append(runId, [payloadOf(runId, 4)])).toEqual({ appended: false, status: 'cancelled' });
  });
});

describe('opening', () => {
  const settings = (args: object = {}) => ({
    storeUrl: server.url,
    redisPrefix: prefix,
    runRetentionSeconds: RETENTION,
    storeOutageSeconds: 30,
    sqliteSynchronous: 'normal' as const,
    runLeaseSeconds: 30,
    eventStream: { maxEvents: null, maxBytes: null },
    wireVintage: '2026-06' as const,
    runIndexEnabled: null,
    ...args,
  });

  test('a Redis store is opened with its fan-out, and ends no runs of others', async () => {
    await startRun();
    const opened = await openStore(settings(), { clock: drivenClock(), logger: noopLogger });
    expect(opened.description).toBe(server.url);
    expect(await opened.listLost()).toEqual([]);
    const runId = await startRun();
    const subscription = await opened.subscribe(runId, CURSOR_START);
    const next = subscription?.next();
    const events = appended(await store.append(runId, [payloadOf(runId)]));
    expect(await next).toEqual([...events]);
    await opened.close();
  });

  test('a probe says the version, warns about an eviction policy, and leaves nothing', async () => {
    await startRun();
    const before = await run('KEYS', `${prefix}:*`);
    const [, version = ''] = /redis_version:(\S+)/.exec(String(await run('INFO', 'server'))) ?? [];
    expect(await probeStore(settings())).toBe(`${server.url} (Redis ${version})`);
    await run('CONFIG', 'SET', 'maxmemory-policy', 'volatile-ttl');
    try {
      const warning =
        'maxmemory-policy is volatile-ttl: Redis may drop runs when its memory is full; set it to noeviction';
      expect(await probeStore(settings())).toBe(`${server.url} (Redis ${version}); WARNING: ${warning}`);
      const opened = await openStore(settings(), { clock: drivenClock(), logger: log });
      expect(log.entries.map(({ message }) => message)).toContain(warning);
      await opened.close();
    } finally {
      await run('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    }
    expect((await run('KEYS', `${prefix}:*`)) as string[]).toEqual(expect.arrayContaining(before as string[]));
    expect(await run('KEYS', `${prefix}:*`)).toHaveLength((before as string[]).length);
  });

  test('a user as older versions needed it is refused', async () => {
    const rules = documentedUser({ password: 's3cret', prefix }).filter(
      (word) => !/^\+s(?:add|rem|members)/.test(word),
    );
    await run('ACL', 'SETUSER', 'older', 'reset', ...rules);
    const storeUrl = server.url.replace('//', '//older:s3cret@');
    const message = expect.stringContaining('refuses: ');
    await expect(probeStore(settings({ storeUrl }))).rejects.toMatchObject({ code: 'store_unreachable', message });
    const deps = { clock: drivenClock(), logger: noopLogger };
    await expect(openStore(settings({ storeUrl }), deps)).rejects.toMatchObject({ message });
  });

  test('a server whose memory is full can be opened and read', async () => {
    const runId = await startRun();
    await run('CONFIG', 'SET', 'maxmemory', '1');
    const opened = await openStore(settings(), { clock: drivenClock(), logger: noopLogger });
    expect((await opened.getRecord(runId))?.status).toBe('running');
    await run('CONFIG', 'SET', 'maxmemory', '0');
    await until('a run', () => opened.create(runningRecord()));
    await opened.close();
  });

  test('a user who may not run scripts, or not touch the prefix, is refused with the reason and without the password', async () => {
    for (const [rules, reason] of [
      [['~*', '+@all', '-@scripting'], 'NOPERM'],
      [['~other:*', '+@all'], 'NOPERM'],
    ] as const) {
      await run('ACL', 'SETUSER', 'limited', 'reset', 'on', '>s3cret', ...rules);
      const storeUrl = server.url.replace('//', '//limited:s3cret@');
      const error = await probeStore(settings({ storeUrl })).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'store_unreachable', message: expect.stringContaining(reason) });
      expect(Bun.inspect(error)).not.toContain('s3cret');
    }
  });
});
