// Streams of runs that another process writes: one connection for all of them, woken when the set of runs changes, ended when
// the run is, whoever ended it and however.

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { CURSOR_START } from '../../src/base/cursor.ts';
import type { EventSubscription, StoredEvent } from '../../src/runs/ports.ts';
import { createLive, type LiveStore } from '../../src/store/live.ts';
import { TAIL_BLOCK_MS } from '../../src/store/redis-tail.ts';
import { appended, applied, payloadOf, runningRecord, terminal } from '../contract/kit.ts';
import { type CuttingProxy, startCuttingProxy } from '../fakes/cutting-proxy.ts';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { until, within } from '../support/until.ts';
import { command, freshPrefix, listLogger, openRedis } from './redis-kit.ts';

let server: RedisProcess;
let proxy: CuttingProxy;
let prefix: string;
let log: ReturnType<typeof listLogger>;
/** Executes the runs. */
let writer: LiveStore;
/** Only reads them. */
let reader: LiveStore;

async function open(url: string): Promise<LiveStore> {
  const redis = await openRedis(url, { prefix, logger: log });
  return createLive(redis, { tail: redis.tail });
}

beforeEach(async () => {
  server = await startRedis();
  proxy = await startCuttingProxy(server.port);
  prefix = freshPrefix();
  log = listLogger();
  writer = await open(server.url);
  reader = await open(`redis://127.0.0.1:${proxy.port}`);
});
afterEach(async () => {
  await Promise.all([writer.close(), reader.close()]);
  await proxy.close();
  await server.dispose();
});

const run = (...words: readonly string[]) => command(server, ...words);
const eventsKey = (runId: string) => `${prefix}:runs:${runId}:events`;
const recordKey = (runId: string) => `${prefix}:runs:${runId}:record`;

async function startRun(): Promise<string> {
  const record = runningRecord();
  await writer.create(record);
  return record.run_id;
}

async function subscribe(runId: string, after = CURSOR_START): Promise<EventSubscription> {
  const subscription = await reader.subscribe(runId, after);
  if (subscription === null) throw new Error('no such run');
  return subscription;
}

/** Everything to the end of the stream. */
async function readAll(subscription: EventSubscription): Promise<readonly StoredEvent[]> {
  const seen: StoredEvent[] = [];
  for (let events = await subscription.next(); events !== null; events = await subscription.next())
    seen.push(...events);
  return seen;
}

/** Names of the connections that this prefix's stores hold. */
async function connections(): Promise<readonly string[]> {
  const text = String(await run('CLIENT', 'LIST'));
  return [...text.matchAll(/ name=(dify-agent\S*|test) /g)].map(([, name = '']) => name).toSorted();
}

/** Tails that wait in an XREAD. */
async function blocked(): Promise<number> {
  const text = String(await run('CLIENT', 'LIST'));
  return [...text.matchAll(/ name=dify-agent-tail [^\n]* flags=b /g)].length;
}

describe('a run of another process', () => {
  test('is replayed, then followed, and its stream ends with its terminal event', async () => {
    const runId = await startRun();
    const told = [...appended(await writer.append(runId, [payloadOf(runId, 0)]))];
    const reading = readAll(await subscribe(runId));
    for (let i = 1; i < 50; i += 1) told.push(...appended(await writer.append(runId, [payloadOf(runId, i)])));
    told.push(applied(await writer.finalise(runId, terminal(runId, 'succeeded'))));
    expect(await within('the end', reading)).toEqual(told);
  });

  test('that begins to be followed while the tail waits for others is heard of at once', async () => {
    const first = await startRun();
    const one = await subscribe(first);
    const waiting = one.next();
    for (let i = 0; i < 10; i += 1) {
      await until('the tail to wait', async () => (await blocked()) === 1);
      const runId = await startRun();
      const subscription = await subscribe(runId);
      const next = subscription.next();
      const started = performance.now();
      const events = appended(await writer.append(runId, [payloadOf(runId, i)]));
      expect(await next).toEqual([...events]);
      expect(performance.now() - started).toBeLessThan(TAIL_BLOCK_MS / 2);
    }
    const events = appended(await writer.append(first, [payloadOf(first)]));
    expect(await within('the first', waiting)).toEqual([...events]);
  });

  test('without its record is over', async () => {
    const runId = await startRun();
    const redis = await openRedis(server.url, { prefix, logger: log });
    const runs = new Map<string, boolean>();
    redis.tail.follow(runId, CURSOR_START, (_, ended) => runs.set(runId, ended));
    await until('the tail to wait', async () => (await blocked()) === 1);
    await run('DEL', recordKey(runId), eventsKey(runId));
    const gone = runningRecord().run_id;
    redis.tail.follow(gone, CURSOR_START, (_, ended) => runs.set(gone, ended));
    await until('the end', () => runs.get(gone) === true);
    await redis.close();
  });
});

describe('a Python process', () => {
  test('that writes the event first and the status second ends the stream once', async () => {
    const runId = runningRecord().run_id;
    await run('SET', recordKey(runId), JSON.stringify(runningRecord(runId)));
    const reading = readAll(await subscribe(runId));
    await until('the tail to wait', async () => (await blocked()) === 1);
    await run('XADD', eventsKey(runId), '*', 'payload', payloadOf(runId, {}, 'run_started'));
    await run('XADD', eventsKey(runId), '*', 'payload', `{"type": "run_succeeded", "run_id": "${runId}", "data": {}}`);
    const seen = await within('the end', reading);
    expect(seen).toHaveLength(2);
    expect((await reader.getRecord(runId))?.status).toBe('running');
    await run('SET', recordKey(runId), JSON.stringify({ ...runningRecord(runId), status: 'succeeded' }));
    expect(await readAll(await subscribe(runId))).toEqual([...seen]);
  });

  test('that died between the two leaves no stream open behind its terminal event', async () => {
    const runId = runningRecord().run_id;
    await run('SET', recordKey(runId), JSON.stringify(runningRecord(runId)));
    const id = String(await run('XADD', eventsKey(runId), '*', 'payload', payloadOf(runId, {}, 'run_failed')));
    expect(await within('the end', readAll(await subscribe(runId, id)))).toEqual([]);
    expect(await within('the end', readAll(await subscribe(runId)))).toHaveLength(1);
  });

  test('whose entries cannot be read does not stop the others', async () => {
    const runId = await startRun();
    const reading = readAll(await subscribe(runId));
    await until('the tail to wait', async () => (await blocked()) === 1);
    await run('XADD', eventsKey(runId), '*', 'other', 'x');
    const events = appended(await writer.append(runId, [payloadOf(runId)]));
    const end = applied(await writer.finalise(runId, terminal(runId, 'succeeded')));
    expect(await within('the end', reading)).toEqual([...events, end]);
    expect(log.entries.map(({ message }) => message)).toContain('event without payload skipped');
  });

  test('that used the key of a stream for something else spoils that run alone', async () => {
    const [spoiled, fine] = [await startRun(), await startRun()];
    const one = readAll(await subscribe(spoiled));
    const other = readAll(await subscribe(fine));
    await until('the tail to wait', async () => (await blocked()) === 1);
    await run('SET', eventsKey(spoiled), 'x');
    await writer.append(fine, [payloadOf(fine)]);
    await writer.finalise(fine, terminal(fine, 'succeeded'));
    expect(await within('the end', other, 15_000)).toHaveLength(2);
    expect(await within('the spoiled one', one, 15_000)).toEqual([]);
  }, 30_000);
});

describe('connections', () => {
  test('one idle subscriber and a thousand use the same number', async () => {
    const [first = '', ...runIds] = await Promise.all(Array.from({ length: 100 }, () => startRun()));
    const subscriptions = [await subscribe(first)];
    const nexts = [subscriptions[0]?.next()];
    await until('the tail to wait', async () => (await blocked()) === 1);
    const before = await connections();
    expect(before).toEqual(['dify-agent-tail', 'test', 'test']);
    for (let i = 0; i < 999; i += 1) {
      const subscription = await subscribe(runIds[i % runIds.length] ?? first);
      subscriptions.push(subscription);
      nexts.push(subscription.next());
    }
    await until('all streams to be waited for', async () => {
      const waits = /id=\d+ [^\n]*name=dify-agent-tail [^\n]*/.exec(String(await run('CLIENT', 'LIST')))?.[0] ?? '';
      return (await blocked()) === 1 && waits !== '';
    });
    expect(await connections()).toEqual(before);
    await Promise.all(runIds.map((runId) => writer.finalise(runId, terminal(runId, 'succeeded'))));
    await writer.finalise(first, terminal(first, 'succeeded'));
    const ends = await within('all ends', Promise.all(nexts));
    expect(ends.every((events) => events?.length === 1)).toBe(true);
    expect(await connections()).toEqual(before);
  }, 20_000);

  test('are used only when a foreign run is followed', async () => {
    const runId = await startRun();
    const subscription = await writer.subscribe(runId, CURSOR_START);
    const next = subscription?.next();
    await writer.append(runId, [payloadOf(runId)]);
    expect(await next).toHaveLength(1);
    expect(await connections()).toEqual(['test', 'test']);
  });

  test('that break lose nothing: the stream goes on where it was', async () => {
    const runId = await startRun();
    const reading = readAll(await subscribe(runId));
    const told = [];
    for (let i = 0; i < 10; i += 1) {
      await until('the tail to wait', async () => (await blocked()) === 1);
      told.push(...appended(await writer.append(runId, [payloadOf(runId, i)])));
      proxy.cut();
      told.push(...appended(await writer.append(runId, [payloadOf(runId, -i)])));
    }
    told.push(applied(await writer.finalise(runId, terminal(runId, 'succeeded'))));
    expect(await within('the end', reading)).toEqual(told);
  }, 20_000);
});

test('a user without CLIENT UNBLOCK follows foreign runs all the same', async () => {
  await run('ACL', 'SETUSER', 'u', 'on', '>p', '~*', '+@all', '-client|unblock');
  const limited = await open(server.url.replace('//', '//u:p@'));
  try {
    for (let i = 0; i < 4; i += 1) {
      const runId = await startRun();
      const subscription = await limited.subscribe(runId, CURSOR_START);
      const next = subscription?.next();
      const events = appended(await writer.append(runId, [payloadOf(runId)]));
      expect(await within('the event', Promise.resolve(next))).toEqual([...events]);
    }
    expect(log.entries.filter(({ message }) => message.startsWith('CLIENT UNBLOCK is refused'))).toHaveLength(1);
  } finally {
    await limited.close();
  }
}, 20_000);

test("an end by this process of another's run is seen here after everything before it", async () => {
  const runId = await startRun();
  const reading = readAll(await subscribe(runId));
  await until('the tail to wait', async () => (await blocked()) === 1);
  const told = [];
  for (let i = 0; i < 20; i += 1) told.push(writer.append(runId, [payloadOf(runId, i)]));
  const events = (await Promise.all(told)).flatMap(appended);
  const end = applied(await reader.finalise(runId, terminal(runId, 'failed', 'worker lost')));
  expect(await within('the end', reading)).toEqual([...events, end]);
});
