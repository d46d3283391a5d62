// Creations through connections that break: what was reported as failed does not stay, what is tried again by its key is one
// run, and what a dead connection delivers late is nothing.

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { createConnection } from 'node:net';
import type { Deduplication } from '../../src/runs/ports.ts';
import type { RedisStore } from '../../src/store/redis.ts';
import { applied, payloadOf, runningRecord, terminal } from '../contract/kit.ts';
import { type CuttingProxy, startCuttingProxy } from '../fakes/cutting-proxy.ts';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { until, within } from '../support/until.ts';
import { command, freshPrefix, type OpenOptions, openRedis } from './redis-kit.ts';

const UNAVAILABLE = { code: 'store_unavailable', message: 'store unavailable' };
const LEASE_SECONDS = 1;

let server: RedisProcess;
let proxy: CuttingProxy;
let prefix: string;
const opened: RedisStore[] = [];

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
  const store = await openRedis(`redis://127.0.0.1:${port}`, { prefix, leaseSeconds: LEASE_SECONDS, ...options });
  opened.push(store);
  // The server knows the scripts afterwards.
  const { run_id } = runningRecord();
  await store.create(runningRecord(run_id));
  await store.finalise(run_id, terminal(run_id, 'succeeded'));
  await run('DEL', recordKey(run_id), `${prefix}:runs:${run_id}:events`);
  return store;
}

const run = (...words: readonly string[]) => command(server, ...words);
const recordKey = (runId: string) => `${prefix}:runs:${runId}:record`;
const keys = async (pattern: string) => ((await run('KEYS', `${prefix}:${pattern}`)) as string[]).toSorted();
const digest = (text: string) => new Bun.CryptoHasher('sha256').update(text).digest('hex');

function dedupe(key: string, request = 'request', strict = false): Deduplication {
  return { key: digest(key), fingerprint: digest(request), strict };
}

/** Every run id in the sets of owners. */
async function indexed(): Promise<readonly string[]> {
  const sets = await keys('x:owner:*');
  return (await Promise.all(sets.map((key) => run('SMEMBERS', key) as Promise<string[]>))).flat();
}

/** Sends the bytes on a connection of their own; the answer. */
async function deliver(bytes: Buffer | null): Promise<string> {
  if (bytes === null) throw new Error('nothing was captured');
  const socket = createConnection({ host: '127.0.0.1', port: server.port });
  const answer = new Promise<Buffer>((resolve, reject) => socket.once('data', resolve).once('error', reject));
  socket.write(bytes);
  try {
    return (await within('an answer', answer)).toString();
  } finally {
    socket.destroy();
  }
}

describe('a creation whose reply was lost', () => {
  test.each([null, dedupe('k')])('is repeated and is one run (%#)', async (deduplication) => {
    const store = await open(proxy.port);
    const record = runningRecord();
    const lost = proxy.cutReplyTo(record.run_id);
    expect(await store.create(record, deduplication)).toEqual({ created: true });
    await lost;
    expect(await keys('runs:*')).toEqual([recordKey(record.run_id)]);
    expect(await indexed()).toEqual([record.run_id]);
    applied(await store.finalise(record.run_id, terminal(record.run_id, 'succeeded')));
    expect(await indexed()).toEqual([]);
  });

  test('is repeated when it never arrived', async () => {
    const store = await open(proxy.port);
    const record = runningRecord();
    const cut = proxy.cutBefore(record.run_id);
    expect(await store.create(record)).toEqual({ created: true });
    await cut;
    expect(await indexed()).toEqual([record.run_id]);
  });

  test('and that cannot be repeated in time is refused, and nothing of it stays', async () => {
    const store = await open(proxy.port);
    const record = runningRecord();
    const lost = proxy.cutReplyTo(record.run_id);
    const creation = store.create(record);
    proxy.refusing = true;
    await lost;
    await expect(creation).rejects.toMatchObject(UNAVAILABLE);
    expect(await keys('runs:*')).toEqual([recordKey(record.run_id)]);
    proxy.refusing = false;
    await until('the record to be gone', async () => (await keys('runs:*')).length === 0);
    expect(await indexed()).toEqual([]);
    expect(await store.create(runningRecord())).toEqual({ created: true });
  });

  test('does not arrive late: what an older connection delivers is not applied', async () => {
    const store = await open(proxy.port);
    const record = runningRecord();
    const cut = proxy.cutBefore(record.run_id);
    const creation = store.create(record);
    proxy.refusing = true;
    await cut;
    await expect(creation).rejects.toMatchObject(UNAVAILABLE);
    const late = proxy.captured(record.run_id);
    proxy.refusing = false;
    await until('the connection', () => store.create(runningRecord()));
    expect(await deliver(late)).toContain('lapsed');
    expect(await run('EXISTS', recordKey(record.run_id))).toBe(0);
    // Nor while the process is away altogether.
    await store.close();
    expect(await deliver(late)).toContain('lapsed');
  });
});

describe('an idempotency key', () => {
  test('whose creation was refused in doubt is free: the next one is a run that is executed', async () => {
    const store = await open(proxy.port);
    const record = runningRecord();
    const lost = proxy.cutReplyTo(record.run_id);
    const creation = store.create(record, dedupe('k', 'a', true));
    proxy.refusing = true;
    await lost;
    await expect(creation).rejects.toMatchObject(UNAVAILABLE);
    proxy.refusing = false;
    const next = runningRecord();
    const outcome = await until('an answer', () => store.create(next, dedupe('k', 'b', true)));
    expect(outcome).toEqual({ created: true });
    expect(await store.create(runningRecord(), dedupe('k', 'b', true))).toMatchObject({ existing: next });
  }, 20_000);

  test('that somebody used while its creation was in doubt names a run that ends', async () => {
    const store = await open(proxy.port, { leaseSeconds: 60 });
    const other = await open(server.port, { leaseSeconds: 60 });
    const record = runningRecord();
    const lost = proxy.cutReplyTo(record.run_id);
    const creation = store.create(record, dedupe('k'));
    proxy.refusing = true;
    await lost;
    expect(await other.create(runningRecord(), dedupe('k'))).toEqual({ created: false, existing: record });
    await expect(creation).rejects.toMatchObject(UNAVAILABLE);
    proxy.refusing = false;
    await until('it to be given up', async () => (await other.listLost()).includes(record.run_id));
    applied(await other.finaliseLost(record.run_id, terminal(record.run_id, 'failed', 'worker lost')));
    await until('the key to be free', async () => (await other.create(runningRecord(), dedupe('k'))).created);
    await until('nobody to be forgotten', async () => {
      await other.listLost();
      return (await run('SISMEMBER', `${prefix}:x:owners`, 'nobody')) === 0;
    });
  }, 20_000);

  test('is kept as long as its run, however long that goes on, and forgotten soon after', async () => {
    const store = await open(server.port, { retentionSeconds: 1 });
    const record = runningRecord();
    await store.create(record, dedupe('k'));
    // Longer than its times to live.
    await until('another run to come and go twice', async () => {
      for (let i = 0; i < 2; i += 1) {
        const { run_id } = runningRecord();
        await run('SET', recordKey(run_id), 'x', 'PX', '1500');
        await until('it to go', async () => (await run('EXISTS', recordKey(run_id))) === 0);
      }
      return true;
    });
    expect(await store.create(runningRecord(), dedupe('k'))).toEqual({ created: false, existing: record });
    await store.finalise(record.run_id, terminal(record.run_id, 'succeeded'));
    await until('the keys to go', async () => (await keys('x:idem:*')).length === 0);
    expect(await store.create(runningRecord(), dedupe('k'))).toEqual({ created: true });
  }, 20_000);

  test('whose run has a record that cannot be read is free', async () => {
    const store = await open(server.port);
    const record = runningRecord();
    await store.create(record, dedupe('k'));
    await run('SET', recordKey(record.run_id), '{');
    expect(await store.create(runningRecord(), dedupe('k'))).toEqual({ created: true });
  });

  test('and the request are kept as digests alone', async () => {
    const store = await open(server.port);
    const { run_id } = runningRecord();
    await store.create(runningRecord(run_id), dedupe('a secret key', 'a secret request'));
    const [last, same] = await keys('x:idem:*');
    expect(last).toBe(`${prefix}:x:idem:${digest('a secret key')}`);
    expect(same).toBe(`${last}:${digest('a secret request')}`);
    expect(await run('GET', same ?? '')).toBe(run_id);
    expect(await run('GET', last ?? '')).toBe(`${digest('a secret request')} ${run_id}`);
  });
});

test('a creation after a lapse of the lease takes the lease first', async () => {
  const store = await open(server.port, { leaseSeconds: 60 });
  const [lease = ''] = await keys('x:lease:*');
  await run('DEL', lease);
  const records = Array.from({ length: 20 }, () => runningRecord());
  const outcomes = await Promise.all(records.map((record) => store.create(record)));
  for (const outcome of outcomes) expect(outcome).toEqual({ created: true });
  expect(await keys('x:lease:*')).toEqual([lease]);
  expect([...(await indexed())].toSorted()).toEqual(records.map(({ run_id }) => run_id).toSorted());
  const [first] = records;
  expect(await store.append(first?.run_id ?? '', [payloadOf(first?.run_id ?? '')])).toMatchObject({ appended: true });
});
