// Bounded streams in Redis: what is left there, what readers of other processes see of a gap, and that trimming does not get in
// the way of finding out what a lost reply hid. What is kept and how it is marked is the contract's.

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { CURSOR_START, compareEventIds } from '../../src/base/cursor.ts';
import type { EventSubscription, StoredEvent } from '../../src/runs/ports.ts';
import { createLive } from '../../src/store/live.ts';
import type { RedisStore } from '../../src/store/redis.ts';
import { appended, applied, payloadOf, readAll, runningRecord, terminal } from '../contract/kit.ts';
import { type CuttingProxy, startCuttingProxy } from '../fakes/cutting-proxy.ts';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { until, within } from '../support/until.ts';
import { command, freshPrefix, type OpenOptions, openRedis } from './redis-kit.ts';

const RETENTION = 60;

let server: RedisProcess;
let proxy: CuttingProxy;
let prefix: string;
const opened: { close(): Promise<unknown> }[] = [];

beforeEach(async () => {
  server = await startRedis();
  proxy = await startCuttingProxy(server.port);
  prefix = freshPrefix();
});
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  await proxy.close();
  await server.dispose();
});

async function open(port: number, options: OpenOptions = {}): Promise<RedisStore> {
  const store = await openRedis(`redis://127.0.0.1:${port}`, { prefix, retentionSeconds: RETENTION, ...options });
  opened.push(store);
  return store;
}

async function startRun(store: RedisStore): Promise<string> {
  const record = runningRecord();
  await store.create(record);
  return record.run_id;
}

const run = (...words: readonly string[]) => command(server, ...words);
const eventsKey = (runId: string) => `${prefix}:runs:${runId}:events`;
const trimmedKey = (runId: string) => `${prefix}:x:trimmed:${runId}`;

/** Reads to the end and checks that a mark stands where, and only where, something that was written is missing. */
async function readMarked(subscription: EventSubscription | null): Promise<readonly StoredEvent[]> {
  const seen: StoredEvent[] = [];
  for (let events = await subscription?.next(); events; events = await subscription?.next()) seen.push(...events);
  return seen;
}

function checkMarks(seen: readonly StoredEvent[], written: readonly StoredEvent[]): number {
  const places = new Map(written.map(({ id }, index) => [id, index]));
  let gaps = 0;
  let before = -1;
  for (const event of seen) {
    const place = places.get(event.id) ?? Number.NaN;
    expect(place).toBeGreaterThan(before);
    expect(event.trimmedBefore).toBe(place === before + 1 ? undefined : true);
    expect(event.payload).toBe(written[place]?.payload ?? '');
    if (event.trimmedBefore) gaps += 1;
    before = place;
  }
  expect(seen.at(-1)?.id).toBe(written.at(-1)?.id);
  return gaps;
}

describe('what is left', () => {
  test('are the first events, the last ones, and how far was dropped, for as long as the run', async () => {
    const store = await open(server.port, { maxEvents: 100 });
    const runId = await startRun(store);
    const written = [];
    for (let i = 0; i < 300; i += 1) written.push(...appended(await store.append(runId, [payloadOf(runId, i)])));
    written.push(applied(await store.finalise(runId, terminal(runId, 'succeeded'))));
    const ids = ((await run('XRANGE', eventsKey(runId), '-', '+')) as [string, unknown][]).map(([id]) => id);
    const gap = written.length - ids.length;
    expect(gap).toBeGreaterThan(150);
    expect(ids).toEqual([written[0], ...written.slice(gap + 1)].map((event) => event?.id ?? ''));
    const bytes = written.slice(1, gap + 1).reduce((sum, { payload }) => sum + Buffer.byteLength(payload), 0);
    expect(await run('GET', trimmedKey(runId))).toBe(`${written[gap]?.id} ${bytes}`);
    expect(Number(await run('PTTL', trimmedKey(runId)))).toBeWithin(RETENTION * 1000, 2 * RETENTION * 1000);
  });

  test('is nothing more for a run that is within its limits, or has none', async () => {
    for (const options of [{}, { maxEvents: 1_000, maxBytes: 1_000_000 }]) {
      const store = await open(server.port, options);
      const runId = await startRun(store);
      for (let i = 0; i < 300; i += 1) await store.append(runId, [payloadOf(runId, i)]);
      expect(await run('EXISTS', trimmedKey(runId))).toBe(0);
      expect(await run('XLEN', eventsKey(runId))).toBe(300);
    }
  });

  test('costs one command per tenth of the limit', async () => {
    const store = await open(server.port, { maxEvents: 1_000 });
    const runId = await startRun(store);
    for (let i = 0; i < 1_000; i += 1) await store.append(runId, [payloadOf(runId, i)]);
    await run('CONFIG', 'RESETSTAT');
    for (let i = 0; i < 1_000; i += 1) await store.append(runId, [payloadOf(runId, i)]);
    const stats = String(await run('INFO', 'commandstats'));
    expect(Number(/cmdstat_xlen:calls=(\d+)/.exec(stats)?.[1])).toBeWithin(9, 11);
  });

  test('does not depend on what was refused meanwhile', async () => {
    const store = await open(server.port, { maxEvents: 50 });
    const runId = await startRun(store);
    const written = [];
    for (let i = 0; i < 60; i += 1) written.push(...appended(await store.append(runId, [payloadOf(runId, i)])));
    // The stream is another process's key for a while: neither appends nor trims work.
    await run('RENAME', eventsKey(runId), `${prefix}:aside`);
    await run('SET', eventsKey(runId), 'x');
    await expect(store.append(runId, [payloadOf(runId)])).rejects.toMatchObject({ code: 'store_unavailable' });
    await run('DEL', eventsKey(runId));
    await run('RENAME', `${prefix}:aside`, eventsKey(runId));
    for (let i = 0; i < 60; i += 1) written.push(...appended(await store.append(runId, [payloadOf(runId, i)])));
    expect(checkMarks(await readAll(store, runId), written)).toBe(1);
    expect(Number(await run('XLEN', eventsKey(runId)))).toBeLessThan(70);
  });
});

describe('readers', () => {
  test('of another process are told of every gap and of no other, however fast the run is', async () => {
    const store = await open(server.port, { maxEvents: 20 });
    const other = createLive(await open(proxy.port, { maxEvents: 20 }));
    const behind = await open(proxy.port, { maxEvents: 20 });
    const live = createLive(behind, { tail: behind.tail });
    const runId = await startRun(store);
    const reading = Array.from({ length: 5 }, async () => readMarked(await live.subscribe(runId, CURSOR_START)));
    const written: StoredEvent[] = [];
    for (let i = 0; i < 100; i += 1) {
      const size = 1 + ((i * 7) % 60);
      const payloads = Array.from({ length: size }, (_, j) => payloadOf(runId, `${i}.${j}`));
      written.push(...appended(await store.append(runId, payloads)));
    }
    written.push(applied(await store.finalise(runId, terminal(runId, 'succeeded'))));
    let gaps = 0;
    for (const seen of await within('the streams', Promise.all(reading))) gaps += checkMarks(seen, written);
    expect(gaps).toBeGreaterThan(0);
    checkMarks(await readMarked(await other.subscribe(runId, CURSOR_START)), written);
  }, 20_000);

  test('that were away are told when they come back', async () => {
    const store = await open(server.port, { maxEvents: 20 });
    const redis = await open(proxy.port, { maxEvents: 20 });
    const live = createLive(redis, { tail: redis.tail });
    const runId = await startRun(store);
    const subscription = await live.subscribe(runId, CURSOR_START);
    const written = [...appended(await store.append(runId, [payloadOf(runId, 0)]))];
    const seen = [...((await subscription?.next()) ?? [])];
    const next = subscription?.next();
    proxy.refusing = true;
    proxy.cut();
    for (let i = 1; i < 100; i += 1) written.push(...appended(await store.append(runId, [payloadOf(runId, i)])));
    proxy.refusing = false;
    seen.push(...((await next) ?? []));
    written.push(applied(await store.finalise(runId, terminal(runId, 'succeeded'))));
    seen.push(...(await readMarked(subscription)));
    expect(checkMarks(seen, written)).toBeGreaterThan(0);
  }, 20_000);

  test('do not spin on entries that cannot be read', async () => {
    const redis = await open(server.port, { maxEvents: 20 });
    const runId = runningRecord().run_id;
    await run('SET', `${prefix}:runs:${runId}:record`, JSON.stringify(runningRecord(runId)));
    const live = createLive(redis, { tail: redis.tail });
    const subscription = await live.subscribe(runId, CURSOR_START);
    const next = subscription?.next();
    await until('the tail', async () => /name=dify-agent-tail/.test(String(await run('CLIENT', 'LIST'))));
    await run('XADD', eventsKey(runId), '*', 'other', 'x');
    await run('CONFIG', 'RESETSTAT');
    await until('the tail to wait', async () =>
      / name=dify-agent-tail .* flags=b /.test(String(await run('CLIENT', 'LIST'))),
    );
    const id = String(await run('XADD', eventsKey(runId), '*', 'payload', 'text'));
    expect(await next).toEqual([{ id, payload: 'text' }]);
    const stats = String(await run('INFO', 'commandstats'));
    expect(Number(/cmdstat_xread:calls=(\d+)/.exec(stats)?.[1])).toBeLessThan(10);
  });
});

describe('lost replies', () => {
  test.each([1, 40])(
    'hide nothing and double nothing with a limit of %d events',
    async (maxEvents) => {
      const store = await open(proxy.port, { maxEvents });
      const other = await open(server.port);
      const runId = await startRun(store);
      const written = [...appended(await store.append(runId, [payloadOf(runId, 'first')]))];
      for (let i = 0; i < 30; i += 1) {
        const kind = i % 3;
        const sprung = kind === 0 ? null : kind === 1 ? proxy.cutReplyTo(`"${i}.0"`) : proxy.cutBefore(`"${i}.0"`);
        const payloads = Array.from({ length: 1 + ((i * 17) % 90) }, (_, j) => payloadOf(runId, `${i}.${j}`));
        const outcomes = await Promise.all([
          store.append(runId, payloads),
          store.append(runId, [payloadOf(runId, `${i} more`)]),
        ]);
        await sprung;
        for (const outcome of outcomes) written.push(...appended(outcome));
        const last = (await run('XREVRANGE', eventsKey(runId), '+', '-', 'COUNT', '1')) as [string, unknown][];
        expect(last[0]?.[0]).toBe(written.at(-1)?.id ?? '');
      }
      const lost = proxy.cutReplyTo('run_succeeded');
      written.push(applied(await store.finalise(runId, terminal(runId, 'succeeded'))));
      await lost;
      for (let i = 1; i < written.length; i += 1) {
        expect(compareEventIds(written[i - 1]?.id ?? '', written[i]?.id ?? '')).toBeLessThan(0);
      }
      checkMarks(await readAll(other, runId), written);
    },
    30_000,
  );
});
