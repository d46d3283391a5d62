// The index of runs in Redis beyond the contract: what it costs when it is off, what is left of it when runs expire, and that
// nothing depends on it.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { newRunId } from '../../src/base/ids.ts';
import type { RunComposition } from '../../src/protocol/runs.ts';
import type { RunListQuery } from '../../src/runs/ports.ts';
import type { RedisStore } from '../../src/store/redis.ts';
import { applied, payloadOf, RETENTION, runningRecord, terminal } from '../contract/kit.ts';
import { documentedUser } from '../support/acl.ts';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { until } from '../support/until.ts';
import { command, freshPrefix, type OpenOptions, openRedis, passTime } from './redis-kit.ts';

const ALL: RunListQuery = { statuses: [], tenant: null, prefix: null, after: null, limit: 50 };

let server: RedisProcess;
let prefix: string;
const opened: RedisStore[] = [];
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.dispose());
beforeEach(() => {
  prefix = freshPrefix();
});
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
});

async function open(options: OpenOptions = {}): Promise<RedisStore> {
  const store = await openRedis(server.url, { prefix, indexed: true, ...options });
  opened.push(store);
  return store;
}
const run = (...words: readonly string[]) => command(server, ...words);
const keys = async (pattern: string) => ((await run('KEYS', `${prefix}:${pattern}`)) as string[]).toSorted();
const members = async (set: string) => (await run('ZRANGE', `${prefix}:x:index:${set}`, '0', '-1')) as string[];

function compositionOf(tenant: string): RunComposition {
  const context = { name: 'c', type: 'dify.execution_context', deps: {}, metadata: {}, config: { tenant_id: tenant } };
  return { schema_version: 1, layers: [context] };
}
async function start(store: RedisStore, tenant = 'acme'): Promise<string> {
  const record = runningRecord();
  await store.create(record, null, compositionOf(tenant));
  return record.run_id;
}
async function listed(store: RedisStore, query: Partial<RunListQuery> = {}): Promise<readonly string[]> {
  const page = await store.lister?.listRuns({ ...ALL, ...query });
  return (page?.runs ?? []).map(({ record }) => record.run_id);
}

describe('off', () => {
  test('writes nothing beside what it always wrote, and has no lists', async () => {
    const store = await open({ indexed: false });
    expect(store.lister).toBeNull();
    const runId = await start(store);
    await store.append(runId, [payloadOf(runId)]);
    applied(await store.finalise(runId, terminal(runId, 'succeeded')));
    expect(await keys('x:index:*')).toEqual([]);
  });
});

describe('on', () => {
  test('every key has a time to live, and no name of a key is caller text', async () => {
    const store = await open();
    const runId = await start(store, 'tenant of a customer');
    applied(await store.finalise(runId, terminal(runId, 'failed', 'x')));
    await start(store, 'another tenant');
    const names = await keys('x:index:*');
    expect(names.join()).not.toContain('customer');
    expect(names.map((name) => name.replace(`${prefix}:x:index:`, '').replace(/:[^:]*$/, ''))).toEqual([
      'all',
      'run',
      'run',
      'status',
      'status',
      'tenant',
      'tenant',
    ]);
    for (const name of names) expect(await run('PTTL', name)).toBeGreaterThan((RETENTION - 1) * 1_000);
  });

  test('runs that the index does not know are not listed, and their ends leave it alone', async () => {
    const [without, store] = [await open({ indexed: false }), await open()];
    const foreign = await start(without);
    const runId = newRunId();
    await run('SET', `${prefix}:runs:${runId}:record`, JSON.stringify({ ...runningRecord(runId) }));
    expect(await listed(store)).toEqual([]);
    await store.requestCancel(foreign, { reason: 'x', message: null, requestedAt: '2026-06-02T08:15:31Z' });
    applied(await without.finalise(foreign, terminal(foreign, 'cancelled')));
    expect(await keys('x:index:*')).toEqual([]);
  });

  test('a run whose end passed the index by is found under its real status, and moved there', async () => {
    const [without, store] = [await open({ indexed: false, leaseSeconds: 1 }), await open()];
    const runId = await start(store);
    applied(await without.finalise(runId, terminal(runId, 'failed', 'x')));
    expect(await members('status:running')).toHaveLength(1);
    expect(await listed(store)).toEqual([runId]);
    expect(await listed(store, { statuses: ['running'] })).toEqual([]);
    expect(await members('status:running')).toEqual([]);
    expect(await listed(store, { statuses: ['failed'] })).toEqual([runId]);
  });

  test('what has expired leaves every set when it is met, and nothing is listed meanwhile', async () => {
    const store = await open();
    const gone = await start(store);
    applied(await store.finalise(gone, terminal(gone, 'succeeded')));
    const kept = await start(store);
    await run('DEL', `${prefix}:runs:${gone}:record`);
    for (const set of ['all', 'status:succeeded']) expect((await members(set)).join()).toContain(gone);
    expect(await listed(store)).toEqual([kept]);
    for (const name of await keys('x:index:*')) {
      if (name.includes(':run:')) continue;
      expect(((await run('ZRANGE', name, '0', '-1')) as string[]).join()).not.toContain(gone);
    }
  });

  test('what nobody lists is dropped by a walk of the process', async () => {
    // Walks through the index come three times per retention.
    const store = await open({ retentionSeconds: 1 });
    const gone = await start(store, 'a');
    const kept = await start(store, 'a');
    await run('DEL', `${prefix}:runs:${gone}:record`);
    await until('the walk', async () => (await members('all')).length === 1);
    expect((await members('all')).join()).toContain(kept);
    expect(await members('status:running')).toHaveLength(1);
  });

  test('what belongs to a running run does not expire under it, however silent it is', async () => {
    // Renewed three times per retention, to five thirds of it.
    const store = await open({ retentionSeconds: 6 });
    const runId = await start(store);
    await passTime(server, prefix, 3);
    const watched = (await keys('x:index:*')).toSorted();
    expect(watched).toHaveLength(4);
    for (const name of watched) {
      await until(`${name} to be renewed`, async () => Number(await run('PTTL', name)) > 8_000);
    }
    expect(await listed(store, { tenant: 'acme', statuses: ['running'] })).toEqual([runId]);
  });

  test('a creation that is taken back is not listed', async () => {
    const store = await open();
    const runId = await start(store);
    const record = await run('GET', `${prefix}:runs:${runId}:record`);
    await run('DEL', `${prefix}:runs:${runId}:record`);
    expect(record).toContain(runId);
    expect(await listed(store, { prefix: runId })).toEqual([]);
    expect(await listed(store, { tenant: 'acme' })).toEqual([]);
  });

  test('keys of another type where the index should be hinder no run', async () => {
    const store = await open();
    for (const set of ['all', 'status:running', 'status:succeeded']) await run('SET', `${prefix}:x:index:${set}`, 'x');
    const runId = await start(store);
    await run('DEL', `${prefix}:x:index:run:${runId}`);
    await run('RPUSH', `${prefix}:x:index:run:${runId}`, 'x');
    applied(await store.finalise(runId, terminal(runId, 'succeeded')));
    expect((await store.getRecord(runId))?.status).toBe('succeeded');
    expect(await listed(store, { tenant: 'acme' })).toEqual([runId]);
    await expect(store.lister?.listRuns(ALL)).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  test('garbage in a set and in a row is passed over', async () => {
    const store = await open();
    const runId = await start(store);
    await run('ZADD', `${prefix}:x:index:all`, '0', 'garbage', '0', '9:x', '0', '9999999999999999::-');
    await run('SET', `${prefix}:x:index:run:${runId}`, '{\n{\n{\n{');
    expect(await listed(store)).toEqual([runId]);
    const page = await store.lister?.listRuns(ALL);
    expect(page?.runs[0]).toMatchObject({ outline: null, facts: null });
    await run('SET', `${prefix}:runs:${runId}:record`, 'not a record');
    expect(await listed(store)).toEqual([]);
  });

  test('records of a vintage that has it get the error type, others do not', async () => {
    const facts = { reason: null, errorType: 'agent_run_limit_exceeded', usage: null };
    for (const newerRecords of [true, false]) {
      const store = await open({ newerRecords });
      const runId = await start(store);
      applied(await store.finalise(runId, { ...terminal(runId, 'failed', 'x'), facts }));
      const text = String(await run('GET', `${prefix}:runs:${runId}:record`));
      expect(text.includes('error_type')).toBe(newerRecords);
      expect((await store.getRecord(runId))?.error_type).toBe(newerRecords ? 'agent_run_limit_exceeded' : undefined);
      const page = await store.lister?.listRuns({ ...ALL, prefix: runId });
      expect(page?.runs[0]?.facts).toEqual(facts);
    }
  });
});

describe('the rights of a user', () => {
  test('are looked at when the store is opened with an index', async () => {
    const { openStore, probeStore } = await import('../../src/store/open.ts');
    const { drivenClock } = await import('./helpers.ts');
    const { noopLogger } = await import('../../src/observe/logger.ts');
    const rules = documentedUser({ password: 's3cret', prefix }).filter((word) => word !== '+zadd');
    await run('ACL', 'SETUSER', 'unlisted', 'reset', ...rules);
    const settings = (runIndexEnabled: boolean | null) => ({
      storeUrl: server.url.replace('//', '//unlisted:s3cret@'),
      redisPrefix: prefix,
      runRetentionSeconds: RETENTION,
      storeOutageSeconds: 30,
      sqliteSynchronous: 'normal' as const,
      runLeaseSeconds: 30,
      eventStream: { maxEvents: null, maxBytes: null },
      wireVintage: '2026-06' as const,
      runIndexEnabled,
    });
    expect(await probeStore(settings(null))).toContain('Redis');
    const refusal = { code: 'store_unreachable', message: expect.stringMatching(/refuses: .*zadd/) };
    await expect(probeStore(settings(true))).rejects.toMatchObject(refusal);
    const deps = { clock: drivenClock(), logger: noopLogger };
    await expect(openStore(settings(true), deps)).rejects.toMatchObject(refusal);
    await run('ACL', 'SETUSER', 'unlisted', '+zadd');
    const store = await openStore(settings(true), deps);
    expect(store.lister).not.toBeNull();
    expect(await keys('x:index:*')).toEqual([]);
    await store.close();
  });
});
