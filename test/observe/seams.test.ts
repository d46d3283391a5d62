// What the clients of peers and the store tell a probe: what was asked, how it ended, once each; and what a probe adds to a
// request travels.

import { afterAll, describe, expect, test } from 'bun:test';
import { AsyncLocalStorage } from 'node:async_hooks';
import { noopLogger } from '../../src/observe/logger.ts';
import { NO_PROBE, type PeerEnd, type PeerFacts, type Probe } from '../../src/observe/probe.ts';
import { createDifyApiClient } from '../../src/peers/dify-api/client.ts';
import { operationOf } from '../../src/peers/dify-api/operation.ts';
import { createPluginDaemonClient } from '../../src/peers/plugin-daemon/client.ts';
import { createShellctlClient } from '../../src/peers/shellctl/client.ts';
import { StoreUnavailableError } from '../../src/runs/errors.ts';
import { probed } from '../../src/store/probed.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { jsonError, startFakeDifyApi } from '../fakes/dify-api.ts';
import { type FakeDaemon, lastItem, type Reply, startFakeDaemon } from '../fakes/plugin-daemon.ts';
import { startFakeShellctl } from '../fakes/shellctl.ts';
import { daemonSettings, llmCall } from '../peers/plugin-daemon/kit.ts';
import { job, quietCall } from '../peers/shellctl/kit.ts';
import { clock, now } from '../runs/support.ts';
import { until } from '../support/until.ts';

const TRACE = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };

/** A probe that writes down peers' requests as `operation status error`. */
function peerProbe() {
  const asked: PeerFacts[] = [];
  const told: string[] = [];
  const probe: Probe = {
    ...NO_PROBE,
    peer(facts) {
      asked.push(facts);
      let over = false;
      return {
        headers: TRACE,
        within: (work) => work(),
        end({ status, error }: PeerEnd) {
          if (!over) told.push(`${facts.operation} ${status} ${error}`);
          over = true;
        },
      };
    },
  };
  return { probe, asked, told };
}

describe('the plugin daemon', () => {
  let daemon: FakeDaemon | null = null;
  afterAll(() => daemon?.stop());

  async function ask(reply: Reply, use: { abort?: boolean; leave?: boolean } = {}): Promise<readonly string[]> {
    daemon ??= await startFakeDaemon();
    daemon.play({ llm: [reply] });
    const { probe, told } = peerProbe();
    const settings = daemonSettings(daemon.url, { readTimeoutSeconds: 0.3 });
    const client = createPluginDaemonClient(settings, { userAgent: 'x', probe });
    const abort = new AbortController();
    try {
      for await (const _items of client.streamItems(llmCall(), abort.signal)) {
        if (use.abort === true) abort.abort(new Error('enough'));
        if (use.leave === true) break;
      }
    } catch {
      // What it fails with is tested elsewhere.
    }
    client.close();
    expect(daemon.llmRequests[0]?.headers.traceparent).toBe(TRACE.traceparent);
    return told;
  }

  test('an answer, read to its end or left', async () => {
    expect(await ask(['a', lastItem()])).toEqual(['llm/invoke 200 null']);
    expect(await ask(['a', { hang: true }], { leave: true })).toEqual(['llm/invoke 200 null']);
    expect(await ask([{ http: 500, text: 'no' }])).toEqual(['llm/invoke 500 null']);
  });

  test('what broke on the way, by its name', async () => {
    expect(await ask([{ cut: true }])).toEqual(['llm/invoke null disconnected']);
    expect(await ask(['a', { cut: true }])).toEqual(['llm/invoke 200 cut_off']);
    expect(await ask([{ hang: true }])).toEqual(['llm/invoke null read_timeout']);
    expect(await ask(['a', { hang: true }])).toEqual(['llm/invoke 200 read_timeout']);
  });

  test('what was called off', async () => {
    expect(await ask(['a', { hang: true }], { abort: true })).toEqual(['llm/invoke 200 aborted']);
  });
});

test('shellctl: calls by what they are, with their own answers, and those without one', async () => {
  const shellctl = startFakeShellctl();
  const { probe, told, asked } = peerProbe();
  const address = { entrypoint: shellctl.url, authToken: shellctl.token, maxConnections: 8 };
  const client = createShellctlClient(address, { userAgent: 'x', timing: { plain: 0.3, slack: 0.3 }, probe });
  const call = quietCall();
  const { job_id } = await client.run(job('true'), call);
  await client.status(job_id, call);
  await client.list(5, call);
  await client.health(call);
  await client.status('job_nobody_knows_this_one', call).catch(() => {});
  shellctl.vanish();
  await client.health(call).catch(() => {});
  const abort = new AbortController();
  abort.abort(new Error('enough'));
  await client.health({ signal: abort.signal, owner: 'x' }).catch(() => {});
  expect(told.slice(0, 4)).toEqual([
    'jobs/run 200 null',
    'jobs/status 200 null',
    'jobs/list 200 null',
    'healthz 200 null',
  ]);
  expect(told.slice(-1)).toEqual(['healthz null request_error']);
  expect(new Set(asked.map(({ peer }) => peer))).toEqual(new Set(['shellctl']));
  expect(shellctl.requests.every(({ headers }) => headers.traceparent === TRACE.traceparent)).toBe(true);
  expect(client.load()).toEqual({ active: 0, waiting: 0 });
  client.close();
  shellctl.stop();
});

describe('the Dify API', () => {
  test('answers, refusals and failures', async () => {
    const api = startFakeDifyApi();
    const { probe, told } = peerProbe();
    const client = createDifyApiClient(
      {
        ...{ baseUrl: api.url, innerApiKey: api.innerKey, maxConnections: 4 },
        ...{ connectTimeoutSeconds: 1, readTimeoutSeconds: 0.2, poolTimeoutSeconds: 1 },
      },
      { userAgent: 'x', probe },
    );
    const path = '/inner/api/upload/file/request?x=1';
    const ask = (signal = new AbortController().signal) =>
      client.json({ method: 'POST', path, body: {}, owner: 'x', totalMs: null }, signal).catch(() => null);
    api.misbehave(
      { kind: 'answer', status: 200, body: '{}' },
      jsonError(500, {}),
      { kind: 'hang' },
      { kind: 'redirect', status: 302, location: 'http://elsewhere.invalid/' },
      { kind: 'hang' },
    );
    for (let i = 0; i < 4; i++) await ask();
    const abort = new AbortController();
    const last = ask(abort.signal);
    await until('the call', () => api.hanging() > 0);
    abort.abort(new Error('enough'));
    await last;
    expect(told).toEqual([
      'files/upload 200 null',
      'files/upload 500 null',
      'files/upload null timeout',
      'files/upload 302 redirected',
      'files/upload null aborted',
    ]);
    expect(api.requests.every(({ headers }) => headers.traceparent === TRACE.traceparent)).toBe(true);
    client.close();
    await api.stop();
  });

  test.each([
    ['/inner/api/upload/file/request', 'files/upload'],
    ['/inner/api/download/file/request', 'files/download'],
    ['/inner/api/drive/agent-pull/manifest?prefix=/pull', 'drive/manifest'],
    ['/inner/api/drive/agent-1/commit', 'drive/commit'],
    ['/inner/api/agent-config/manifest/manifest?user_id=x', 'config/manifest'],
    ['/inner/api/agent-config/a/skills/b/inspect', 'config/inspect'],
    ['/inner/api/agent-config/a/files/b%2Fmanifest/pull', 'config/pull'],
    ['/inner/api/agent-config/a/env', 'config/change'],
    ['', 'config/change'],
  ])('%s is %s', (path, operation) => expect(operationOf(path)).toBe(operation));
});

describe('the store', () => {
  function probeOfStore() {
    const inside = new AsyncLocalStorage<string>();
    const told: string[] = [];
    const probe: Probe = {
      ...NO_PROBE,
      store: (operation) => ({
        within: (work) => inside.run(operation, work),
        end: ({ failed }) => void told.push(`${operation}${failed ? ' failed' : ''}`),
      }),
    };
    return { probe, told, inside };
  }
  const record = () =>
    ({ run_id: crypto.randomUUID(), status: 'running', created_at: now(), updated_at: now(), error: null }) as const;

  test('tells each operation but appends, and does inside what it does', async () => {
    const { probe, told, inside } = probeOfStore();
    const sqlite = openSqliteStore({ path: ':memory:', retentionSeconds: 60, clock, logger: noopLogger });
    const places: (string | undefined)[] = [];
    const store = probed(
      {
        ...sqlite,
        getRecord(runId) {
          places.push(inside.getStore());
          return sqlite.getRecord(runId);
        },
      },
      probe,
    );
    const one = record();
    await store.create(one);
    await store.append(one.run_id, ['{}']);
    await store.getRecord(one.run_id);
    await store.readEvents(one.run_id, '0-0', 5);
    await store.requestCancel(one.run_id, { reason: null, message: null, requestedAt: now() });
    await store.finalise(one.run_id, { status: 'cancelled', updatedAt: now(), error: null, payload: '{}' });
    await store.listLost();
    expect(told).toEqual(['create', 'read', 'read', 'cancel', 'finalise', 'sweep']);
    expect(places).toEqual(['read']);
    expect(store.listRuns).toBe(sqlite.listRuns); // what a store can do beside, it still can
    await store.close();
  });

  test('tells what it failed to do, and the error is the same', async () => {
    const { probe, told } = probeOfStore();
    const sqlite = openSqliteStore({ path: ':memory:', retentionSeconds: 60, clock, logger: noopLogger });
    const away = new StoreUnavailableError();
    const create: typeof sqlite.create = () => Promise.reject(away);
    const store = probed({ ...sqlite, create }, probe);
    expect(await store.create(record()).catch((error: unknown) => error)).toBe(away);
    expect(told).toEqual(['create failed']);
    await store.close();
  });

  test('is itself where nobody listens', async () => {
    const sqlite = openSqliteStore({ path: ':memory:', retentionSeconds: 60, clock, logger: noopLogger });
    expect(probed(sqlite, NO_PROBE)).toBe(sqlite);
    await sqlite.close();
  });

  test('tells sweeps of expired runs', async () => {
    const { probe, told } = probeOfStore();
    const sqlite = openSqliteStore({ path: ':memory:', retentionSeconds: 60, clock, logger: noopLogger, probe });
    await until('the sweep at the start', () => told.includes('sweep'));
    await sqlite.close();
  });
});
