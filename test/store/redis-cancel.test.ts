// Cancels in Redis: what they leave there, how the owner hears of them whatever breaks, and what becomes of ends that a cancel
// was faster than. What a cancel means is the contract's.

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { RedisStore } from '../../src/store/redis.ts';
import {
  appended,
  applied,
  intentOf,
  payloadOf,
  readAll,
  runningRecord,
  terminal,
  toldWatcher,
} from '../contract/kit.ts';
import { type CuttingProxy, startCuttingProxy } from '../fakes/cutting-proxy.ts';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { until } from '../support/until.ts';
import { command, freshPrefix, listLogger, type OpenOptions, openRedis, passTime } from './redis-kit.ts';

/** Longer than any test: nothing is found by a renewal of the lease. */
const LONG = 3_600;
const RETENTION = 60;

let server: RedisProcess;
let proxy: CuttingProxy;
let prefix: string;
let log: ReturnType<typeof listLogger>;
const opened: RedisStore[] = [];

beforeEach(async () => {
  server = await startRedis();
  proxy = await startCuttingProxy(server.port);
  prefix = freshPrefix();
  log = listLogger();
});
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  await proxy.close();
  await server.dispose();
});

async function open(port: number, options: OpenOptions = {}): Promise<RedisStore> {
  const given = { prefix, leaseSeconds: LONG, retentionSeconds: RETENTION, logger: log, ...options };
  const store = await openRedis(`redis://127.0.0.1:${port}`, given);
  opened.push(store);
  return store;
}

/** An owner behind the proxy, what it is told, and another process. */
async function pair(options: OpenOptions = {}) {
  const [store, other] = [await open(proxy.port, options), await open(server.port, options)];
  const told = toldWatcher();
  store.watchOwn(told);
  return { store, other, told };
}

async function startRun(store: RedisStore): Promise<string> {
  const record = runningRecord();
  await store.create(record);
  return record.run_id;
}

const run = (...words: readonly string[]) => command(server, ...words);
const keysOf = (runId: string) =>
  ['record', 'events', 'cancel-intent'].map((part) => `${prefix}:runs:${runId}:${part}`) as [string, string, string];
const ttlOf = async (key: string) => Number(await run('PTTL', key));

/** The numbers of connections of this name that wait in a blocking command. */
async function waiting(name: string): Promise<readonly string[]> {
  const text = String(await run('CLIENT', 'LIST'));
  return [...text.matchAll(new RegExp(`^id=(\\d+) .* name=${name} .* flags=b `, 'gm'))].map(([, id = '']) => id);
}

describe('what a cancel leaves', () => {
  test('is an intent as the reference writes it, with all times to live renewed, and it goes with the end', async () => {
    const { store, other } = await pair();
    const runId = await startRun(store);
    await store.append(runId, [payloadOf(runId)]);
    const [record, events, intent] = keysOf(runId);
    await passTime(server, prefix, RETENTION / 2);
    await other.requestCancel(runId, intentOf('user_cancelled', null));
    const entries = (await run('XRANGE', intent, '-', '+')) as [string, string[]][];
    expect(entries.map(([, fields]) => fields)).toEqual([
      ['payload', '{"reason":"user_cancelled","message":null,"requested_at":"2026-06-02T08:15:31.500000Z"}'],
    ]);
    for (const key of [record, events, intent]) expect(await ttlOf(key)).toBeGreaterThan((RETENTION - 2) * 1000);

    // A second wish changes nothing.
    await passTime(server, prefix, RETENTION / 2);
    await other.requestCancel(runId, intentOf('second'));
    expect(await run('XRANGE', intent, '-', '+')).toEqual(entries);
    for (const key of [record, events, intent]) {
      expect(await ttlOf(key)).toBeLessThan((RETENTION / 2) * 1000 + 1);
    }
    applied(await store.finalise(runId, terminal(runId, 'cancelled', 'user_cancelled')));
    expect(await run('EXISTS', intent)).toBe(0);
    for (const key of [record, events]) expect(await ttlOf(key)).toBeGreaterThan((RETENTION - 2) * 1000);
  });

  test('is there as long as its run, however long that takes to end', async () => {
    const { store, other } = await pair({ retentionSeconds: 1 });
    const runId = await startRun(store);
    await other.requestCancel(runId, intentOf());
    for (let i = 0; i < 2; i += 1) {
      await run('SET', `${prefix}:clock`, 'x', 'PX', '1100');
      await until('a retention to pass', async () => (await run('EXISTS', `${prefix}:clock`)) === 0);
    }
    expect(await store.finalise(runId, terminal(runId, 'succeeded'))).toMatchObject({ cancel: intentOf() });
  });

  test('is no more than what is kept of announcements', async () => {
    const { store, other } = await pair();
    const runId = await startRun(store);
    await other.requestCancel(runId, intentOf());
    expect(await ttlOf(`${prefix}:x:cancels`)).toBeWithin(1, 600_001);
    for (let i = 0; i < 100; i += 1) await other.requestCancel(runId, intentOf());
    expect(await run('XLEN', `${prefix}:x:cancels`)).toBe(1);
  });
});

describe('the owner hears of a cancel', () => {
  test('of another process, on one connection for all its runs, which it has from its first run on', async () => {
    const { store, other, told } = await pair();
    expect(await waiting('dify-agent-cancels')).toEqual([]);
    const runIds = await Promise.all(Array.from({ length: 100 }, () => startRun(store)));
    await until('the reader', async () => (await waiting('dify-agent-cancels')).length === 1);
    for (const runId of runIds) await other.requestCancel(runId, intentOf(runId));
    await until('all to be told', () => told.cancels.length === runIds.length);
    expect(told.cancels).toEqual(runIds.map((runId) => ({ runId, intent: intentOf(runId) })));
    expect(await waiting('dify-agent-cancels')).toHaveLength(1);
  });

  test('that is long, though its text is announced nowhere', async () => {
    const { store, other, told } = await pair();
    const runId = await startRun(store);
    await until('the reader', async () => (await waiting('dify-agent-cancels')).length === 1);
    const intent = intentOf('r', 'x'.repeat(1_000_000));
    await other.requestCancel(runId, intent);
    await until('it to be told', () => told.cancels.length === 1);
    expect(told.cancels).toEqual([{ runId, intent }]);
    expect(Number(await run('MEMORY', 'USAGE', `${prefix}:x:cancels`))).toBeLessThan(10_000);
  });

  test('of its own, before the request is answered', async () => {
    const { store, told } = await pair();
    const runId = await startRun(store);
    const request = store.requestCancel(runId, intentOf('first'));
    const late = store.requestCancel(runId, intentOf('late'));
    await request;
    expect(told.cancels).toEqual([{ runId, intent: intentOf('first') }]);
    await late;
    expect(told.cancels).toHaveLength(1);
  });

  test('that a Python process recorded, which announces nothing', async () => {
    const { store, told } = await pair({ leaseSeconds: 1 });
    const runId = await startRun(store);
    await until('the reader', async () => (await waiting('dify-agent-cancels')).length === 1);
    const payload = '{"reason": null, "message": "caf\\u00e9", "requested_at": "2026-06-02T08:15:31+00:00"}';
    await run('XADD', keysOf(runId)[2], 'MAXLEN', '1', '*', 'payload', payload);
    await until('it to be told', () => told.cancels.length > 0);
    const intent = { reason: null, message: 'café', requestedAt: '2026-06-02T08:15:31Z' };
    expect(told.cancels).toEqual([{ runId, intent }]);
    expect(await store.finalise(runId, terminal(runId, 'failed'))).toMatchObject({ applied: false, cancel: intent });
  });

  test('that cannot be read: it is one all the same', async () => {
    const { store } = await pair();
    for (const fields of [
      ['payload', '{'],
      ['payload', '[]'],
      ['other', 'x'],
    ]) {
      const runId = await startRun(store);
      await run('XADD', keysOf(runId)[2], '*', ...fields);
      const intent = { reason: null, message: null, requestedAt: '1970-01-01T00:00:00Z' };
      expect(await store.finalise(runId, terminal(runId, 'failed'))).toMatchObject({ applied: false, cancel: intent });
      applied(await store.finalise(runId, terminal(runId, 'cancelled')));
    }
    const runId = await startRun(store);
    await run('SET', keysOf(runId)[2], 'of another type');
    applied(await store.finalise(runId, terminal(runId, 'failed')));
  });

  test('that came while the reader was away', async () => {
    const { store, other, told } = await pair();
    const runIds = await Promise.all(Array.from({ length: 3 }, () => startRun(store)));
    for (const [index, runId] of runIds.entries()) {
      const [reader] = await until('the reader', async () => {
        const ids = await waiting('dify-agent-cancels');
        return ids.length === 1 && ids;
      });
      proxy.refusing = true;
      await run('CLIENT', 'KILL', 'ID', reader ?? '');
      await other.requestCancel(runId, intentOf());
      proxy.refusing = false;
      await until('it to be told', () => told.cancels.length === index + 1);
    }
    expect(told.cancels.map(({ runId }) => runId)).toEqual(runIds);
  }, 20_000);

  test('of somebody who used the same idempotency key, and knew of the run before its owner did', async () => {
    const { store, other, told } = await pair();
    await startRun(store); // the scripts are known, and the reader listens
    await until('the reader', async () => (await waiting('dify-agent-cancels')).length === 1);
    const key = { key: 'k'.repeat(64), fingerprint: 'f'.repeat(64), strict: false };
    const { run_id: runId } = runningRecord();
    const lost = proxy.cutReplyTo(runId);
    const creation = store.create(runningRecord(runId), key);
    proxy.refusing = true;
    await lost;
    expect(await other.create(runningRecord(), key)).toMatchObject({ existing: { run_id: runId } });
    await other.requestCancel(runId, intentOf());
    expect(told.cancels).toEqual([]);
    proxy.refusing = false;
    expect(await creation).toEqual({ created: true });
    await until('it to be told', () => told.cancels.length === 1);
    expect(told.cancels).toEqual([{ runId, intent: intentOf() }]);
  }, 20_000);

  test('that came while the whole process was away', async () => {
    const { store, other, told } = await pair();
    const [before, during] = [await startRun(store), await startRun(store)];
    await until('the reader', async () => (await waiting('dify-agent-cancels')).length === 1);
    await other.requestCancel(before, intentOf('before'));
    await until('it to be told', () => told.cancels.length === 1);
    proxy.refusing = true;
    proxy.cut();
    await other.requestCancel(during, intentOf('during'));
    proxy.refusing = false;
    await until('it to be told', () => told.cancels.length === 2);
    expect(told.cancels).toEqual([
      { runId: before, intent: intentOf('before') },
      { runId: during, intent: intentOf('during') },
    ]);
  }, 20_000);

  test('when the announcements were deleted, or somebody put something else there', async () => {
    const { store, other, told } = await pair();
    const runIds = await Promise.all(Array.from({ length: 3 }, () => startRun(store)));
    await until('the reader', async () => (await waiting('dify-agent-cancels')).length === 1);
    await other.requestCancel(runIds[0] ?? '', intentOf());
    await until('it to be told', () => told.cancels.length === 1);
    await run('DEL', `${prefix}:x:cancels`);
    await other.requestCancel(runIds[1] ?? '', intentOf());
    await until('it to be told', () => told.cancels.length === 2);
    await run('XADD', `${prefix}:x:cancels`, '*', 'junk', 'x');
    await run('XADD', `${prefix}:x:cancels`, '*', 'payload', 'run', 'run', 'nobody knows it');
    await other.requestCancel(runIds[2] ?? '', intentOf());
    await until('it to be told', () => told.cancels.length === 3);
    expect(told.cancels.map(({ runId }) => runId)).toEqual(runIds);
  });
});

describe('an end that a cancel was faster than', () => {
  test('is held back with nothing of it written, but what was said before it is', async () => {
    const { store, other } = await pair();
    const runId = await startRun(store);
    await other.requestCancel(runId, intentOf());
    const writes = [1, 2, 3].map((i) => store.append(runId, [payloadOf(runId, i)]));
    const end = store.finalise(runId, terminal(runId, 'succeeded'));
    const after = store.append(runId, [payloadOf(runId, 4)]);
    const events = (await Promise.all([...writes, after])).flatMap((outcome) => appended(outcome));
    expect(await end).toEqual({ applied: false, status: 'running', cancel: intentOf() });
    const last = applied(await store.finalise(runId, terminal(runId, 'cancelled', 'user_cancelled')));
    expect(await readAll(other, runId)).toEqual([...events, last]);
  });

  test('is so when the reply is lost, too: nothing twice, nothing missing', async () => {
    const { store, other } = await pair();
    const warm = await startRun(store);
    await store.finalise(warm, terminal(warm, 'succeeded'));
    for (const cut of ['before', 'reply'] as const) {
      const runId = await startRun(store);
      await other.requestCancel(runId, intentOf());
      const sprung = cut === 'reply' ? proxy.cutReplyTo('run_succeeded') : proxy.cutBefore('run_succeeded');
      const writes = [1, 2, 3].map((i) => store.append(runId, [payloadOf(runId, i)]));
      const end = store.finalise(runId, terminal(runId, 'succeeded'));
      await sprung;
      const events = (await Promise.all(writes)).flatMap((outcome) => appended(outcome));
      expect(await end).toEqual({ applied: false, status: 'running', cancel: intentOf() });
      const lost = proxy.cutReplyTo('run_cancelled');
      const [more, last] = await Promise.all([
        store.append(runId, [payloadOf(runId, 4)]),
        store.finalise(runId, terminal(runId, 'cancelled', 'user_cancelled')),
      ]);
      await lost;
      expect(await readAll(other, runId)).toEqual([...events, ...appended(more), applied(last)]);
      expect((await other.getRecord(runId))?.status).toBe('cancelled');
    }
  }, 20_000);

  test('was applied before the cancel came: a lost reply does not turn it into a cancel', async () => {
    const { store, other, told } = await pair();
    const warm = await startRun(store);
    await store.finalise(warm, terminal(warm, 'succeeded'));
    const runId = await startRun(store);
    const lost = proxy.cutReplyTo('run_succeeded');
    const end = store.finalise(runId, terminal(runId, 'succeeded'));
    await lost;
    expect(await other.requestCancel(runId, intentOf())).toEqual({ accepted: false, status: 'succeeded' });
    const event = applied(await end);
    expect(await readAll(other, runId)).toEqual([event]);
    expect(told.cancels).toEqual([]);
    expect(told.ended).toEqual([]);
  });

  test('a cancel whose reply was lost is accepted once', async () => {
    const { store, told } = await pair();
    const runId = await startRun(store);
    await store.requestCancel('unknown', intentOf());
    const lost = proxy.cutReplyTo(runId);
    expect(await store.requestCancel(runId, intentOf('mine'))).toEqual({ accepted: true, status: 'running' });
    await lost;
    await until('it to be told', () => told.cancels.length > 0);
    expect(told.cancels).toEqual([{ runId, intent: intentOf('mine') }]);
    expect(await run('XLEN', keysOf(runId)[2])).toBe(1);
  });
});

test('a Python run can be cancelled as its own server would', async () => {
  const other = await open(server.port);
  const record = runningRecord();
  const [recordKey, , intentKey] = keysOf(record.run_id);
  await run('SET', recordKey, JSON.stringify({ ...record, error_type: null }));
  expect(await other.requestCancel(record.run_id, intentOf('r', 'm'))).toEqual({ accepted: true, status: 'running' });
  const [[, fields] = []] = (await run('XRANGE', intentKey, '-', '+')) as [string, string[]][];
  expect(JSON.parse(fields?.[1] ?? '')).toEqual({
    reason: 'r',
    message: 'm',
    requested_at: '2026-06-02T08:15:31.500000Z',
  });
});
