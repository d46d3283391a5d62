// Who owns a run in Redis, and what becomes of it when its process dies, is paused, or loses its connection for longer than its
// lease. That lost runs end once, whoever sweeps, is the contract's; here is how owners are told apart.

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { newRunId } from '../../src/base/ids.ts';
import type { RedisStore } from '../../src/store/redis.ts';
import { applied, intentOf, payloadOf, readAll, runningRecord, terminal, toldWatcher } from '../contract/kit.ts';
import { type CuttingProxy, startCuttingProxy } from '../fakes/cutting-proxy.ts';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { until } from '../support/until.ts';
import { command, freshPrefix, listLogger, type OpenOptions, openRedis } from './redis-kit.ts';
import type { OwnerSays } from './redis-owner.ts';

/** Short: tests wait for it. */
const LEASE_SECONDS = 1;
/** Longer than any test: nothing happens by itself. */
const LONG = 3_600;

let server: RedisProcess;
let prefix: string;
let log: ReturnType<typeof listLogger>;
const opened: { close(): Promise<unknown> }[] = [];

beforeEach(async () => {
  server = await startRedis();
  prefix = freshPrefix();
  log = listLogger();
});
afterEach(async () => {
  for (const thing of opened.splice(0)) await thing.close();
  await server.dispose();
});

async function open(options: OpenOptions & { readonly port?: number } = {}): Promise<RedisStore> {
  const url = `redis://127.0.0.1:${options.port ?? server.port}`;
  const store = await openRedis(url, { prefix, leaseSeconds: LEASE_SECONDS, logger: log, ...options });
  opened.push(store);
  return store;
}

async function proxied(): Promise<CuttingProxy> {
  const proxy = await startCuttingProxy(server.port);
  opened.push(proxy);
  return proxy;
}

async function startRun(store: RedisStore): Promise<string> {
  const record = runningRecord();
  await store.create(record);
  return record.run_id;
}

/** A process of its own that owns these runs. */
async function startOwner(
  runs: { readonly writing?: readonly string[]; readonly silent?: readonly string[] },
  days = 0,
) {
  const args = [server.url, prefix, String(LEASE_SECONDS)];
  const lists = [runs.writing ?? [], runs.silent ?? []].map((ids) => ids.join(','));
  const child = Bun.spawn(
    [process.execPath, join(import.meta.dir, 'redis-owner.ts'), ...args, ...lists, String(days)],
    { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' },
  );
  const said: OwnerSays[] = [];
  const reading = (async () => {
    let rest = '';
    for await (const bytes of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + bytes).split('\n');
      rest = lines.pop() ?? '';
      said.push(...lines.map((line) => JSON.parse(line)));
    }
  })();
  const owner = {
    said,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    async close() {
      child.kill('SIGKILL');
      await child.exited;
      await reading;
    },
  };
  opened.push(owner);
  await until('the owner', () => said.some((line) => 'ready' in line));
  return owner;
}

const run = (...words: readonly string[]) => command(server, ...words);
const keys = async (pattern: string) => ((await run('KEYS', `${prefix}:${pattern}`)) as string[]).toSorted();
const length = async (runId: string) => Number(await run('XLEN', `${prefix}:runs:${runId}:events`));
const lostEnd = (runId: string) => terminal(runId, 'failed', 'worker lost');

describe('a process that dies', () => {
  test('has its runs found by another one when its lease is over, and not before', async () => {
    const other = await open();
    const [writing, silent] = [newRunId(), newRunId()];
    const owner = await startOwner({ writing: [writing], silent: [silent] });
    await until('some events', async () => (await length(writing)) > 3);
    expect(await other.listLost()).toEqual([]);
    owner.kill('SIGKILL');
    const lost = await until('the lost runs', async () => {
      const leases = (await keys('x:lease:*')).length;
      const found = await other.listLost();
      if (leases === 2) expect(found).toEqual([]);
      return found.length > 0 && found;
    });
    expect(lost.toSorted()).toEqual([writing, silent].toSorted());
    for (const runId of lost) applied(await other.finaliseLost(runId, lostEnd(runId)));
    expect(await other.listLost()).toEqual([]);
    // Nothing of the dead owner stays but its runs.
    await until('it to be forgotten', async () => {
      await other.listLost();
      return (await run('SCARD', `${prefix}:x:owners`)) === 1;
    });
    expect(await keys('x:owner:*')).toEqual([]);
    expect((await keys('*')).filter((key) => !key.includes(':x:'))).toHaveLength(4); // records and events
  }, 20_000);

  test('has them found at the first look of the next one, when Redis was there all the time', async () => {
    const runId = newRunId();
    const owner = await startOwner({ silent: [runId] });
    await owner.close();
    await until('its lease to run out', async () => (await keys('x:lease:*')).length === 0);
    await until('Redis to be up for a lease', async () =>
      /uptime_in_seconds:[1-9]/.test(String(await run('INFO', 'server'))),
    );
    expect(await (await open()).listLost()).toEqual([runId]);
    // Who cannot know that looks twice.
    expect(await (await open({ leaseSeconds: LONG })).listLost()).toEqual([]);
  }, 20_000);
});

describe('a process that is paused for longer than its lease', () => {
  test('is told which of its runs were ended, writes nothing to them, and goes on with the others', async () => {
    const other = await open();
    const [writing, silent, spared] = [newRunId(), newRunId(), newRunId()];
    const owner = await startOwner({ writing: [writing, spared], silent: [silent] });
    await until('some events', async () => (await length(writing)) > 3);
    owner.kill('SIGSTOP');
    const lost = await until('the lost runs', async () => {
      const found = await other.listLost();
      return found.length === 3 && found;
    });
    const before = await length(spared);
    for (const runId of lost) if (runId !== spared) applied(await other.finaliseLost(runId, lostEnd(runId)));
    const ended = await readAll(other, writing);
    owner.kill('SIGCONT');
    await until('the owner to know', () => owner.said.filter((line) => 'ended' in line).length === 2);
    const told = owner.said.flatMap((line) => ('ended' in line ? line.ended : []));
    expect(told.toSorted()).toEqual([writing, silent].toSorted());
    await until('the refusal', () => owner.said.some((line) => 'refused' in line));
    expect(owner.said).toContainEqual({ refused: writing, status: 'failed' });
    await until('the spared run to go on', async () => (await length(spared)) > before + 3);
    expect(await readAll(other, writing)).toEqual(ended);
    expect(await other.listLost()).toEqual([]);
    const refused = { applied: false, status: 'running', cancel: null } as const;
    expect(await other.finaliseLost(spared, lostEnd(spared))).toEqual(refused);
    expect(owner.said.filter((line) => 'refused' in line || 'ended' in line)).toHaveLength(3);
  }, 20_000);

  test('is not swept by itself when it wakes', async () => {
    const store = await open();
    const runId = await startRun(store);
    await run('DEL', ...(await keys('x:lease:*')));
    for (let i = 0; i < 3; i += 1) expect(await store.listLost()).toEqual([]);
    await until('the lease', async () => (await keys('x:lease:*')).length === 1);
    expect(await store.append(runId, [payloadOf(runId)])).toMatchObject({ appended: true });
  });
});

describe('clocks', () => {
  test('of processes do not matter: days ahead or behind, who lives is not lost, and who dies is', async () => {
    const runs = [newRunId(), newRunId(), newRunId()] as const;
    const ahead = await startOwner({ writing: [runs[0]] }, 3);
    const behind = await startOwner({ writing: [runs[1]] }, -3);
    const mortal = await startOwner({ silent: [runs[2]] });
    const here = await open();
    // Several looks of each.
    for (const [writing, times] of [
      [runs[0], 30],
      [runs[1], 30],
    ] as const) {
      await until('some events', async () => (await length(writing)) > times);
    }
    expect(await here.listLost()).toEqual([]);
    await mortal.close();
    for (const owner of [ahead, behind]) {
      await until('the dead one to be found', () => owner.said.some((line) => 'lost' in line));
      expect(owner.said.filter((line) => 'lost' in line)).toEqual([{ lost: [runs[2]] }]);
    }
  }, 30_000);
});

describe('a process that loses its connection', () => {
  test('for longer than its lease is told what happened meanwhile', async () => {
    const proxy = await proxied();
    const [store, other] = [await open({ port: proxy.port }), await open()];
    const told = toldWatcher();
    store.watchOwn(told);
    const [ended, spared] = [await startRun(store), await startRun(store)];
    proxy.refusing = true;
    proxy.cut();
    const write = store.append(ended, [payloadOf(ended)]);
    await until('the lost runs', async () => (await other.listLost()).length === 2);
    await other.requestCancel(spared, intentOf('meanwhile'));
    applied(await other.finaliseLost(ended, lostEnd(ended)));
    proxy.refusing = false;
    expect(await write).toEqual({ appended: false, status: 'failed' });
    await until('both to be told', () => told.cancels.length === 1 && told.ended.length === 1);
    expect(told.ended).toEqual([ended]);
    expect(told.cancels).toEqual([{ runId: spared, intent: intentOf('meanwhile') }]);
    expect(log.entries.filter(({ message }) => message.startsWith('the lease of this process'))).toHaveLength(1);
    expect(await other.listLost()).toEqual([]);
    applied(await store.finalise(spared, terminal(spared, 'cancelled', 'meanwhile')));
  }, 20_000);

  test('takes its lease again as soon as it is back', async () => {
    const proxy = await proxied();
    const store = await open({ port: proxy.port, leaseSeconds: LONG });
    await startRun(store);
    const [lease = ''] = await keys('x:lease:*');
    await run('DEL', lease);
    proxy.cut();
    await until('the lease', async () => (await run('EXISTS', lease)) === 1);
  });

  test('to a server that has forgotten everything, is told that its runs are gone', async () => {
    const store = await open();
    const told = toldWatcher();
    store.watchOwn(told);
    const runId = await startRun(store);
    await server.end('SIGKILL');
    await server.start();
    await until('it to be told', () => told.ended.length > 0);
    expect(told.ended).toEqual([runId]);
    expect(await store.create(runningRecord())).toEqual({ created: true });
  }, 20_000);

  test('to a server that has forgotten whose runs are whose, says so again', async () => {
    const proxy = await proxied();
    const [store, other] = [await open({ port: proxy.port }), await open()];
    const runId = await startRun(store);
    await run('DEL', ...(await keys('x:*')));
    await until('the run to be known', async () => (await keys('x:owner:*')).length === 1);
    proxy.refusing = true;
    proxy.cut();
    await until('it to be lost', async () => (await other.listLost()).includes(runId));
  }, 20_000);
});

describe('a look for lost runs', () => {
  test('that finds a lease missing once does not count: its owner may be about to take it again', async () => {
    const [store, other] = [await open({ leaseSeconds: LONG }), await open({ leaseSeconds: LONG })];
    await startRun(store);
    await run('DEL', ...(await keys('x:lease:*')));
    for (let i = 0; i < 3; i += 1) expect(await other.listLost()).toEqual([]);
  });

  test('that was before an outage does not count', async () => {
    const proxy = await proxied();
    const other = await open({ port: proxy.port });
    const runId = newRunId();
    const owner = await startOwner({ silent: [runId] });
    await owner.close();
    await until('its lease to run out', async () => (await keys('x:lease:*')).length === 1);
    await until('the lost run', async () => (await other.listLost()).length === 1);
    proxy.cut();
    expect(await other.listLost()).toEqual([]);
    await until('the lost run', async () => (await other.listLost()).length === 1);
  }, 20_000);

  test('never finds what this implementation did not create', async () => {
    const store = await open();
    const theirs = runningRecord();
    await run('SET', `${prefix}:runs:${theirs.run_id}:record`, JSON.stringify(theirs));
    await store.append(theirs.run_id, [payloadOf(theirs.run_id)]);
    const owner = await startOwner({ silent: [newRunId()] });
    await owner.close();
    await until('the lost run', async () => (await store.listLost()).length === 1);
    expect(await store.listLost()).not.toContain(theirs.run_id);
    const refused = { applied: false, status: 'running', cancel: null } as const;
    expect(await store.finaliseLost(theirs.run_id, lostEnd(theirs.run_id))).toEqual(refused);
    expect(await run('EXISTS', `${prefix}:runs:${theirs.run_id}:cancel-intent`)).toBe(0);
  }, 20_000);

  test('passes over runs that are over, gone or spoilt, and forgets them', async () => {
    const other = await open();
    const [over, gone, spoilt, odd, left] = [newRunId(), newRunId(), newRunId(), newRunId(), newRunId()];
    const owner = await startOwner({ silent: [over, gone, spoilt, odd, left] });
    await owner.close();
    const recordKey = (runId: string) => `${prefix}:runs:${runId}:record`;
    applied(await other.finalise(over, terminal(over, 'succeeded')));
    await run('DEL', recordKey(gone), recordKey(odd));
    await run('SET', recordKey(spoilt), '{');
    await run('LPUSH', recordKey(odd), 'x');
    expect(await until('the lost run', async () => (await other.listLost())[0])).toBe(left);
    const [index = ''] = await keys('x:owner:*');
    expect(await run('SMEMBERS', index)).toEqual([left]);
  }, 20_000);

  test('finds thousands of them at once', async () => {
    const proxy = await proxied();
    const [store, other] = [await open({ port: proxy.port }), await open()];
    const runIds = await Promise.all(Array.from({ length: 1_200 }, () => startRun(store)));
    proxy.refusing = true;
    proxy.cut();
    const lost = await until('the lost runs', async () => {
      const found = await other.listLost();
      return found.length > 0 && found;
    });
    expect(lost.toSorted()).toEqual(runIds.toSorted());
  }, 20_000);

  test('and its ends are carried out once, when their replies are lost', async () => {
    const proxy = await proxied();
    const other = await open({ port: proxy.port });
    const runIds = [newRunId(), newRunId()] as const;
    const owner = await startOwner({ silent: runIds });
    await owner.close();
    await until('the lost runs', async () => (await other.listLost()).length === 2);
    for (const runId of runIds) {
      const lost = proxy.cutReplyTo(runId);
      const event = applied(await other.finaliseLost(runId, lostEnd(runId)));
      await lost;
      expect(await readAll(other, runId)).toEqual([event]);
      expect(await other.finaliseLost(runId, lostEnd(runId))).toEqual({
        applied: false,
        status: 'failed',
        cancel: null,
      });
    }
  }, 20_000);
});

describe('a run that somebody else ended although its owner lives', () => {
  test('is left by its owner at the next renewal', async () => {
    const [store, other] = [await open(), await open()];
    const told = toldWatcher();
    store.watchOwn(told);
    const [ended, running] = [await startRun(store), await startRun(store)];
    applied(await other.finalise(ended, terminal(ended, 'failed', 'x')));
    await until('the owner', () => told.ended.length > 0);
    expect(told.ended).toEqual([ended]);
    const [index = ''] = await keys('x:owner:*');
    expect(await run('SMEMBERS', index)).toEqual([running]);
  });

  test('is left by its owner at once when it writes', async () => {
    const [store, other] = [await open({ leaseSeconds: LONG }), await open({ leaseSeconds: LONG })];
    const told = toldWatcher();
    store.watchOwn(told);
    const runId = await startRun(store);
    applied(await other.finalise(runId, terminal(runId, 'failed', 'x')));
    expect(await store.append(runId, [payloadOf(runId)])).toEqual({ appended: false, status: 'failed' });
    expect(told.ended).toEqual([runId]);
  });
});

describe('closing', () => {
  test('leaves nothing of an owner without runs', async () => {
    const store = await open();
    const runId = await startRun(store);
    await store.finalise(runId, terminal(runId, 'succeeded'));
    await store.close();
    expect((await keys('x:*')).filter((key) => !key.includes(':x:trimmed:'))).toEqual([]);
  });

  test('gives up the lease, so that what is left is lost at once', async () => {
    const store = await open({ leaseSeconds: LONG });
    const runId = await startRun(store);
    await store.close();
    expect(await keys('x:lease:*')).toEqual([]);
    const other = await open();
    await until('the lost run', async () => (await other.listLost()).includes(runId));
    applied(await other.finaliseLost(runId, lostEnd(runId)));
  });
});

test('a server whose memory is full keeps who lives alive', async () => {
  const [store, other] = [await open(), await open()];
  const runId = await startRun(store);
  await run('CONFIG', 'SET', 'maxmemory', '1');
  const [lease = ''] = await keys('x:lease:*');
  for (let i = 0; i < 3; i += 1) {
    await until('the lease to run down', async () => Number(await run('PTTL', lease)) < LEASE_SECONDS * 800);
    await until('the lease to be renewed', async () => Number(await run('PTTL', lease)) > LEASE_SECONDS * 900);
  }
  expect(await other.listLost()).toEqual([]);
  await run('CONFIG', 'SET', 'maxmemory', '0');
  expect(await store.append(runId, [payloadOf(runId)])).toMatchObject({ appended: true });
});
