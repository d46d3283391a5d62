// The Redis store in trouble, one kind at a time: replies lost, commands delivered twice, servers that freeze, refuse, forget
// or are replaced. What many runs look like after such a thing is test/faults', random mixtures are test/contract's.

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { createConnection } from 'node:net';
import { CURSOR_START, compareEventIds } from '../../src/base/cursor.ts';
import { createLive } from '../../src/store/live.ts';
import { REQUEST_DEADLINE_MS, type RedisStore } from '../../src/store/redis.ts';
import { BACKLOG_MAX_CHARS, WRITE_MAX_CHARS } from '../../src/store/redis-writer.ts';
import { appended, applied, payloadOf, runningRecord, terminal } from '../contract/kit.ts';
import { type CuttingProxy, startCuttingProxy } from '../fakes/cutting-proxy.ts';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { until, within } from '../support/until.ts';
import { command, freshPrefix, listLogger, type OpenOptions, openRedis } from './redis-kit.ts';

/** A primary does not wait for more replicas to come. */
const REPLICA = { config: ['--repl-diskless-sync-delay', '0'] };

const UNAVAILABLE = { code: 'store_unavailable', message: 'store unavailable' };

let server: RedisProcess;
let proxy: CuttingProxy;
let prefix: string;
let log: ReturnType<typeof listLogger>;
const opened: RedisStore[] = [];

beforeEach(async () => {
  server = await startRedis(REPLICA);
  proxy = await startCuttingProxy(server.port);
  prefix = freshPrefix();
  log = listLogger();
});
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  await proxy.close();
  await server.dispose();
});

async function open(options: OpenOptions = {}): Promise<RedisStore> {
  const store = await openRedis(`redis://127.0.0.1:${proxy.port}`, { prefix, logger: log, ...options });
  opened.push(store);
  // The server knows the scripts afterwards: a lost reply is that of a command that was carried out.
  const runId = await startRun(store);
  await store.append(runId, [payloadOf(runId)]);
  await store.finalise(runId, terminal(runId, 'succeeded'));
  return store;
}

async function startRun(store: RedisStore): Promise<string> {
  const record = runningRecord();
  await store.create(record);
  return record.run_id;
}

const run = (...words: readonly string[]) => command(server, ...words);
const eventsKey = (runId: string) => `${prefix}:runs:${runId}:events`;
const recordKey = (runId: string) => `${prefix}:runs:${runId}:record`;
const messages = () => log.entries.map(({ message }) => message);

/** What the stream holds, as the operator sees it. */
async function stored(runId: string, of = server): Promise<readonly { id: string; payload: string }[]> {
  const entries = (await command(of, 'XRANGE', eventsKey(runId), '-', '+')) as [string, [string, string]][];
  return entries.map(([id, [, payload]]) => ({ id, payload }));
}

function goAway(): void {
  proxy.refusing = true;
  proxy.cut();
}

describe('rejected but applied', () => {
  test('an append whose reply was lost is found in the stream, with its ids, and not written again', async () => {
    const store = await open();
    const runId = await startRun(store);
    await store.append(runId, [payloadOf(runId, 0)]);
    const lost = proxy.cutReplyTo('EVALSHA');
    const payloads = [payloadOf(runId, 1), payloadOf(runId, 2)];
    const events = appended(await store.append(runId, payloads));
    await lost;
    const [next] = appended(await store.append(runId, [payloadOf(runId, 3)]));
    expect(events.map(({ payload }) => payload)).toEqual(payloads);
    expect((await stored(runId)).slice(1)).toEqual([...events, next ?? { id: '', payload: '' }]);
  });

  test('likewise the first append of a run, equal payloads, and what was asked for meanwhile', async () => {
    const store = await open();
    const runId = await startRun(store);
    const lost = proxy.cutReplyTo('EVALSHA');
    const same = payloadOf(runId, 'same');
    const first = store.append(runId, [same, same]);
    await lost;
    const second = store.append(runId, [same]);
    const third = store.append(runId, [same]);
    const told = [...appended(await first), ...appended(await second), ...appended(await third)];
    expect(told).toHaveLength(4);
    expect(await stored(runId)).toEqual(told);
  });

  test('an append that never arrived is written once', async () => {
    const store = await open();
    const runId = await startRun(store);
    const cut = proxy.cutBefore('EVALSHA');
    const events = appended(await store.append(runId, [payloadOf(runId)]));
    await cut;
    expect(await stored(runId)).toEqual([...events]);
  });

  test('an end whose reply was lost was applied: record, event and answer say so', async () => {
    const store = await open();
    const runId = await startRun(store);
    const waiting = store.append(runId, [payloadOf(runId)]);
    const lost = proxy.cutReplyTo('EVALSHA');
    const end = applied(await store.finalise(runId, terminal(runId, 'succeeded')));
    await lost;
    expect(await stored(runId)).toEqual([...appended(await waiting), end]);
    expect((await store.getRecord(runId))?.status).toBe('succeeded');
    expect(await store.append(runId, [payloadOf(runId)])).toEqual({ appended: false, status: 'succeeded' });
  });

  test('an end that was given up in doubt and is tried again with a new text is recognised as applied', async () => {
    const store = await open({ outageSeconds: 0 });
    const runId = await startRun(store);
    const lost = proxy.cutReplyTo('EVALSHA');
    const first = terminal(runId, 'failed', 'x');
    await expect(store.finalise(runId, first)).rejects.toMatchObject(UNAVAILABLE);
    await lost;
    await until('the connection', () => store.ping().then(() => true));
    const again = { ...first, updatedAt: '2026-06-02T08:15:32Z', payload: payloadOf(runId, 'later', 'run_failed') };
    const event = applied(await store.finalise(runId, again));
    expect(event.payload).toBe(first.payload);
    expect(await stored(runId)).toEqual([event]);
    expect(await store.finalise(runId, again)).toEqual({ applied: false, status: 'failed', cancel: null });
  });

  test("an end that was given up in doubt is not taken for another process's end", async () => {
    const store = await open({ outageSeconds: 0 });
    const runId = await startRun(store);
    const cut = proxy.cutBefore('EVALSHA');
    await expect(store.finalise(runId, terminal(runId, 'failed', 'x'))).rejects.toMatchObject(UNAVAILABLE);
    await cut;
    const other = await openRedis(server.url, { prefix });
    opened.push(other);
    applied(await other.finalise(runId, terminal(runId, 'failed', 'theirs')));
    await until('the connection', () => store.ping().then(() => true));
    const late = await store.finalise(runId, terminal(runId, 'failed', 'x'));
    expect(late).toEqual({ applied: false, status: 'failed', cancel: null });
  });

  test('subscribers see each event once, in order, however often replies are lost', async () => {
    const redis = await open();
    const live = createLive(redis, { tail: redis.tail });
    const runId = runningRecord().run_id;
    await live.create(runningRecord(runId));
    const subscription = await live.subscribe(runId, CURSOR_START);
    const seen: unknown[] = [];
    const watching = (async () => {
      for (let events = await subscription?.next(); events; events = await subscription?.next()) seen.push(...events);
    })();
    for (let i = 0; i < 5; i += 1) {
      const lost = proxy.cutReplyTo('EVALSHA');
      await live.append(runId, [payloadOf(runId, i)]);
      await lost;
    }
    await live.finalise(runId, terminal(runId, 'succeeded'));
    await within('the end', watching);
    expect(seen).toEqual([...(await stored(runId))]);
    expect(seen).toHaveLength(6);
  });
});

test('a command that is delivered twice is applied once', async () => {
  const store = await open();
  const runId = await startRun(store);
  await store.append(runId, [payloadOf(runId, 0)]);
  await store.append(runId, [payloadOf(runId, 1)]);
  await deliverAgain(proxy.captured(payloadOf(runId, 1).slice(0, 40)));
  expect(await stored(runId)).toHaveLength(2);
  await store.append(runId, [payloadOf(runId, 2)]);
  await deliverAgain(proxy.captured('EVALSHA'));
  expect(await stored(runId)).toHaveLength(3);
  await store.finalise(runId, terminal(runId, 'succeeded'));
  await deliverAgain(proxy.captured('run_succeeded'));
  expect(await stored(runId)).toHaveLength(4);
});

/** Sends the bytes on a connection of their own and waits for an answer. */
async function deliverAgain(bytes: Buffer | null): Promise<void> {
  if (bytes === null) throw new Error('nothing was captured');
  const socket = createConnection({ host: '127.0.0.1', port: server.port });
  const answer = new Promise<Buffer>((resolve, reject) => socket.once('data', resolve).once('error', reject));
  socket.write(bytes);
  expect((await within('an answer', answer)).toString()).not.toStartWith('-');
  socket.destroy();
}

describe('away', () => {
  test('requests fail soon, with the reason logged once, and work again afterwards', async () => {
    const store = await open();
    const runId = await startRun(store);
    goAway();
    for (let i = 0; i < 5; i += 1) {
      const started = performance.now();
      await expect(store.getRecord(runId)).rejects.toMatchObject(UNAVAILABLE);
      await expect(store.create(runningRecord())).rejects.toMatchObject(UNAVAILABLE);
      await expect(store.readEvents(runId, CURSOR_START, 1)).rejects.toMatchObject(UNAVAILABLE);
      await expect(store.ping()).rejects.toMatchObject(UNAVAILABLE);
      expect(performance.now() - started).toBeLessThan(REQUEST_DEADLINE_MS + 500);
    }
    proxy.refusing = false;
    await until('it to be back', () => store.ping().then(() => true));
    expect((await store.getRecord(runId))?.status).toBe('running');
    expect(messages().filter((message) => message === 'no connection to Redis').length).toBeLessThan(5);
    expect(messages().filter((message) => message === 'connected to Redis again')).toHaveLength(1);
    // Nothing that was refused without being sent leaves a record.
    expect((await run('KEYS', `${prefix}:*:record`)) as string[]).toHaveLength(2);
  });

  test('a request waits for a connection that comes back at once', async () => {
    const store = await open();
    const runId = await startRun(store);
    proxy.cut();
    expect((await store.getRecord(runId))?.status).toBe('running');
    const lost = proxy.cutReplyTo('GET');
    expect((await store.getRecord(runId))?.status).toBe('running');
    await lost;
  });

  test('appends wait for it and are written in order', async () => {
    const store = await open();
    const runIds = await Promise.all(Array.from({ length: 20 }, () => startRun(store)));
    goAway();
    const writes = runIds.flatMap((runId) =>
      Array.from({ length: 50 }, (_, i) => store.append(runId, [payloadOf(runId, i)])),
    );
    await expect(store.getRecord('x')).rejects.toMatchObject(UNAVAILABLE);
    proxy.refusing = false;
    await Promise.all(writes);
    for (const runId of runIds) {
      const payloads = (await stored(runId)).map(({ payload }) => payload);
      expect(payloads).toEqual(Array.from({ length: 50 }, (_, i) => payloadOf(runId, i)));
    }
  });

  test('longer than the budget: what waits is rejected, what comes is rejected at once, and the run can be ended later', async () => {
    const store = await open({ outageSeconds: 0.2 });
    const runId = await startRun(store);
    const [first] = appended(await store.append(runId, [payloadOf(runId, 0)]));
    goAway();
    await expect(store.append(runId, [payloadOf(runId, 1)])).rejects.toMatchObject(UNAVAILABLE);
    const started = performance.now();
    await expect(store.append(runId, [payloadOf(runId, 2)])).rejects.toMatchObject(UNAVAILABLE);
    await expect(store.finalise(runId, terminal(runId, 'failed'))).rejects.toMatchObject(UNAVAILABLE);
    expect(performance.now() - started).toBeLessThan(150);
    proxy.refusing = false;
    const end = await until('the end', () => store.finalise(runId, terminal(runId, 'failed')));
    expect(await stored(runId)).toEqual(first === undefined ? [] : [first, applied(end)]);
    expect(messages()).toContain('the store is away for too long, giving up what waits for it');
    // The next outage has its own budget.
    const other = await startRun(store);
    proxy.cut();
    expect(await store.append(other, [payloadOf(other)])).toMatchObject({ appended: true });
  });

  test('what waits is bounded', async () => {
    const store = await open();
    const runId = await startRun(store);
    goAway();
    await expect(store.ping()).rejects.toMatchObject(UNAVAILABLE);
    const big = payloadOf(runId, 'x'.repeat(BACKLOG_MAX_CHARS / 4 - 1_000));
    const waiting = [1, 2, 3, 4].map(() => store.append(runId, [big]));
    for (const write of waiting) write.catch(() => {});
    await expect(store.append(runId, [big])).rejects.toMatchObject(UNAVAILABLE);
    proxy.refusing = false;
    for (const outcome of await Promise.all(waiting)) expect(outcome.appended).toBe(true);
  }, 30_000);

  test('has nothing to do with an event that is too large: trying it again would never help', async () => {
    const store = await open();
    const runId = await startRun(store);
    const huge = 'x'.repeat(WRITE_MAX_CHARS + 1);
    const tooLarge = { code: 'event_too_large' };
    await expect(store.append(runId, [huge])).rejects.toMatchObject(tooLarge);
    await expect(store.finalise(runId, { ...terminal(runId, 'failed'), payload: huge })).rejects.toMatchObject(
      tooLarge,
    );
    expect((await store.getRecord(runId))?.status).toBe('running');
    applied(await store.finalise(runId, terminal(runId, 'failed')));
  });

  test('a store that is closed meanwhile rejects what waits', async () => {
    const store = await open();
    const runId = await startRun(store);
    goAway();
    const write = store.append(runId, [payloadOf(runId)]);
    const request = store.getRecord(runId);
    await store.close();
    await expect(write).rejects.toMatchObject(UNAVAILABLE);
    await expect(request).rejects.toMatchObject(UNAVAILABLE);
  });
});

describe('frozen', () => {
  test('requests do not hang, the connection is given up, and after the thaw everything is there once', async () => {
    const store = await open();
    const runId = await startRun(store);
    await store.append(runId, [payloadOf(runId, 0)]);
    server.freeze();
    const writes = [1, 2].map((i) => store.append(runId, [payloadOf(runId, i)]));
    const started = performance.now();
    await expect(store.getRecord(runId)).rejects.toMatchObject(UNAVAILABLE);
    await expect(store.ping()).rejects.toMatchObject(UNAVAILABLE);
    const record = runningRecord();
    await expect(store.create(record)).rejects.toMatchObject(UNAVAILABLE);
    expect(performance.now() - started).toBeLessThan(3 * REQUEST_DEADLINE_MS + 500);
    await until('the connection to be given up', () => messages().includes('no connection to Redis'), {
      timeoutMs: 12_000,
    });
    await expect(store.getRecord(runId)).rejects.toMatchObject(UNAVAILABLE);
    server.thaw();
    for (const write of writes) expect((await within('the append', write)).appended).toBe(true);
    expect((await stored(runId)).map(({ payload }) => payload)).toEqual([0, 1, 2].map((i) => payloadOf(runId, i)));
    await until('the refused creation to be undone', async () => (await run('EXISTS', recordKey(record.run_id))) === 0);
  }, 40_000);

  test('is noticed in spite of requests that keep writing to it', async () => {
    const store = await open();
    const runId = await startRun(store);
    proxy.stuck = true;
    let over = false;
    const polling = (async () => {
      while (!over) {
        void store.getRecord(runId).catch(() => {});
        await Bun.sleep(50); // a client's rhythm
      }
    })();
    await until('the connection to be given up', () => messages().includes('no connection to Redis'), {
      timeoutMs: 15_000,
    });
    proxy.stuck = false;
    await until('it to be back', () => store.ping().then(() => true));
    over = true;
    await polling;
  }, 40_000);
});

describe('refusing', () => {
  test('scripts that were flushed are sent again: events, ends, pages', async () => {
    const store = await open();
    const runId = await startRun(store);
    for (let i = 0; i < 3; i += 1) {
      await run('SCRIPT', 'FLUSH');
      expect(await store.append(runId, [payloadOf(runId, i)])).toMatchObject({ appended: true });
      await run('SCRIPT', 'FLUSH');
      expect(await store.readEvents(runId, CURSOR_START, 10)).toHaveLength(i + 1);
    }
    await run('SCRIPT', 'FLUSH');
    applied(await store.finalise(runId, terminal(runId, 'succeeded')));
    expect(await stored(runId)).toHaveLength(4);
  });

  test('OOM: events wait, new runs are refused, reading goes on, the reason is logged once', async () => {
    const store = await open();
    const runId = await startRun(store);
    await store.append(runId, [payloadOf(runId, 0)]);
    await run('CONFIG', 'SET', 'maxmemory', '1');
    const writes = [1, 2, 3].map((i) => store.append(runId, [payloadOf(runId, i)]));
    for (let i = 0; i < 3; i += 1) await expect(store.create(runningRecord())).rejects.toMatchObject(UNAVAILABLE);
    expect((await store.getRecord(runId))?.status).toBe('running');
    expect(await store.readEvents(runId, CURSOR_START, 10)).toHaveLength(1);
    await run('CONFIG', 'SET', 'maxmemory', '0');
    for (const write of writes) expect((await within('the append', write)).appended).toBe(true);
    expect((await stored(runId)).map(({ payload }) => payload)).toEqual([0, 1, 2, 3].map((i) => payloadOf(runId, i)));
    expect(log.entries.filter(({ fields }) => fields.code === 'OOM')).toHaveLength(2); // append, SET
  });

  test('for longer than the budget: events are rejected, and the next one is tried', async () => {
    const store = await open({ outageSeconds: 0.1 });
    const runId = await startRun(store);
    await run('CONFIG', 'SET', 'maxmemory', '1');
    await expect(store.append(runId, [payloadOf(runId, 1)])).rejects.toMatchObject(UNAVAILABLE);
    await expect(store.append(runId, [payloadOf(runId, 2)])).rejects.toMatchObject(UNAVAILABLE);
    await run('CONFIG', 'SET', 'maxmemory', '0');
    const [event] = appended(await until('an append', () => store.append(runId, [payloadOf(runId, 3)])));
    expect(await stored(runId)).toEqual(event === undefined ? [] : [event]);
  });

  test('READONLY: a server that became a replica is left, and taken again when it may write', async () => {
    const store = await open();
    const runId = await startRun(store);
    await run('REPLICAOF', '127.0.0.1', '9');
    const write = store.append(runId, [payloadOf(runId)]);
    await until('the connection to be left', () => messages().includes('no connection to Redis'));
    await expect(store.create(runningRecord())).rejects.toMatchObject(UNAVAILABLE);
    await run('REPLICAOF', 'NO', 'ONE');
    expect((await within('the append', write)).appended).toBe(true);
    expect(await stored(runId)).toHaveLength(1);
  });

  test('NOPERM: a permission that is taken away and given back', async () => {
    await run('ACL', 'SETUSER', 'u', 'on', '>p', '~*', '+@all');
    const store = await openRedis(`redis://u:p@127.0.0.1:${proxy.port}`, { prefix, logger: log });
    opened.push(store);
    const runId = await startRun(store);
    await run('ACL', 'SETUSER', 'u', '-xadd');
    const write = store.append(runId, [payloadOf(runId)]);
    await until('the complaint', () => log.entries.some(({ fields }) => fields.code === 'NOPERM'));
    await run('ACL', 'SETUSER', 'u', '+xadd');
    expect((await within('the append', write)).appended).toBe(true);
    expect(Bun.inspect(log.entries)).not.toContain('u:p');
  });

  test('LOADING: a server that is reading its data set is waited for', async () => {
    await server.dispose();
    // A fiftieth of a second per key, and questions answered in between: longer than this test waits, unless it is told to hurry.
    const slow = ['--key-load-delay', '20000', '--loading-process-events-interval-bytes', '1024'];
    server = await startRedis({ config: slow });
    proxy.targetPort = server.port;
    const store = await open();
    const runId = await startRun(store);
    const numbers = Array.from({ length: 1_000 }, (_, i) => payloadOf(runId, i));
    await Promise.all(numbers.map((payload) => store.append(runId, [payload])));
    await command(server, 'EVAL', "for i = 1, 2000 do redis.call('SET', 'filler' .. i, i) end", '0');
    await command(server, 'SAVE');
    await server.end('SIGKILL');
    const write = store.append(runId, [payloadOf(runId, 'after')]);
    const starting = server.start();
    await until('a refusal', () => log.entries.some(({ fields }) => String(fields.reason).includes('LOADING')));
    await command(server, 'CONFIG', 'SET', 'key-load-delay', '0');
    await starting;
    expect((await within('the append', write)).appended).toBe(true);
    expect(messages()).toContain('connected to Redis again');
    const payloads = (await stored(runId)).map(({ payload }) => payload);
    expect(payloads).toEqual([...numbers, payloadOf(runId, 'after')]);
  }, 60_000);
});

describe('replaced', () => {
  test('a restart on another address: nothing twice, nothing missing', async () => {
    const second = await startRedis(REPLICA);
    try {
      const store = await open();
      const runId = await startRun(store);
      const told = [...appended(await store.append(runId, [payloadOf(runId, 0)]))];
      await command(second, 'REPLICAOF', '127.0.0.1', String(server.port));
      await until('the replica', async () => (await stored(runId, second)).length === 1);
      await server.end('SIGKILL');
      const writes = [1, 2, 3].map((i) => store.append(runId, [payloadOf(runId, i)]));
      await command(second, 'REPLICAOF', 'NO', 'ONE');
      proxy.targetPort = second.port;
      proxy.cut();
      for (const write of writes) told.push(...appended(await within('the append', write)));
      expect(await stored(runId, second)).toEqual(told);
    } finally {
      await second.dispose();
    }
  }, 30_000);

  test('a failover that lost events, to a server whose clock is behind: ids still ascend', async () => {
    const second = await startRedis(REPLICA);
    try {
      const store = await open();
      const runId = await startRun(store);
      await command(second, 'REPLICAOF', '127.0.0.1', String(server.port));
      await until('the replica', async () => (await command(second, 'EXISTS', recordKey(runId))) === 1);
      await command(second, 'REPLICAOF', 'NO', 'ONE');
      // What the old primary has and the new one does not, from a clock far ahead.
      await run('XADD', eventsKey(runId), '9000000000000-7', 'payload', 'lost');
      const [ahead] = appended(await store.append(runId, [payloadOf(runId, 0)]));
      expect(ahead?.id).toBe('9000000000000-8');
      await server.end('SIGKILL');
      proxy.targetPort = second.port;
      proxy.cut();
      const told = [
        ...appended(await within('the append', store.append(runId, [payloadOf(runId, 1), payloadOf(runId, 2)]))),
        ...appended(await store.append(runId, [payloadOf(runId, 3)])),
        applied(await store.finalise(runId, terminal(runId, 'succeeded'))),
      ];
      expect(await stored(runId, second)).toEqual(told);
      expect(compareEventIds(ahead?.id ?? '', told[0]?.id ?? '')).toBeLessThan(0);
    } finally {
      await second.dispose();
    }
  }, 30_000);
});
