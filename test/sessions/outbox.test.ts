// The worker of the outbox: what is owed is done once the server can, by whichever worker, and nothing keeps the rest waiting.

import { beforeEach, describe, expect, test } from 'bun:test';
import { DifyAgentHTTPError } from '../../src/client/errors.ts';
import {
  AgentSessions,
  memorySessionStore,
  type Scope,
  type SessionStore,
  SessionStoreError,
} from '../../src/sessions/index.ts';
import { until } from '../support/until.ts';
import { FakeServer } from './fake-server.ts';
import { active, CLEANED_STATE, cleanup, newScope } from './kit.ts';

let server: FakeServer;
let store: SessionStore;
let now: number;

beforeEach(() => {
  server = new FakeServer();
  now = 1_000_000;
  store = memorySessionStore({ now: () => now });
});

const worker = (over: Partial<SessionStore> = {}) =>
  new AgentSessions({ client: server.client, store: { ...store, ...over }, retryFirstMs: 1_000, retryMaxMs: 60_000 });

/** Owes a clean-up for each id. */
async function owe(...ids: readonly string[]): Promise<Scope> {
  const scope = newScope();
  await store.save(scope, CLEANED_STATE, null, { enqueue: ids.map((id) => cleanup(id, scope)) });
  return scope;
}

const keys = () => server.cleanups.map(({ request }) => request.idempotency_key);

describe('one pass', () => {
  test('does everything that is due, and reports it', async () => {
    await owe('a', 'b', 'c', 'd', 'e', 'f');
    expect(await worker().drain({ concurrency: 2 })).toEqual({ cleaned: 6, failed: 0, adopted: 0 });
    expect(keys().sort()).toEqual(['a', 'b', 'c', 'd', 'e', 'f'].map((id) => `${id}:agent-session-cleanup`));
    expect(await store.backlog()).toEqual({ entries: 0, nextMs: null });
  });

  test('two workers at once do each clean-up once', async () => {
    await owe(...Array.from({ length: 50 }, (_, i) => `${i}`));
    const [one, two] = await Promise.all([worker().drain(), worker().drain()]);
    expect(one.cleaned + two.cleaned).toBe(50);
    expect(new Set(keys()).size).toBe(50);
    expect(keys()).toHaveLength(50);
  });

  test('nothing is due: nothing is sent', async () => {
    expect(await worker().drain()).toEqual({ cleaned: 0, failed: 0, adopted: 0 });
    expect(server.runs).toEqual([]);
  });

  test('one that fails does not keep the others waiting, and is told', async () => {
    const scope = await owe('bad', 'good');
    const good = server.cleanup;
    server.cleanup = (request, run) =>
      request.idempotency_key?.startsWith('bad')
        ? { type: 'run_failed', data: { error: 'no sandbox' } }
        : good(request, run);
    const told: [string, Scope | null][] = [];
    const report = await worker().drain({ onError: (error, which) => told.push([String(error), which]) });
    expect(report).toEqual({ cleaned: 1, failed: 1, adopted: 0 });
    expect(told).toEqual([[expect.stringMatching(/clean-up run run-\d failed: no sandbox/), scope]]);
  });

  test('pauses grow with jitter, up to the longest, for ever', async () => {
    await owe('bad');
    server.refusal = new DifyAgentHTTPError(422, 'no');
    const pauses: number[] = [];
    for (let i = 0; i < 12; i += 1) {
      expect(await worker().drain()).toMatchObject({ failed: 1 });
      const { entries, nextMs } = await store.backlog();
      expect(entries).toBe(1);
      pauses.push(nextMs ?? -1);
      now += nextMs ?? 0;
    }
    for (const [i, ms] of pauses.entries()) {
      const longest = Math.min(60_000, 1_000 * 2 ** i);
      expect(ms).toBeGreaterThanOrEqual(longest / 2);
      expect(ms).toBeLessThanOrEqual(longest);
    }
    server.refusal = null;
    now += 60_000;
    expect(await worker().drain()).toMatchObject({ cleaned: 1 });
  });

  test('a server that asks for patience gets it, within reason', async () => {
    await owe('slow');
    server.refusal = new DifyAgentHTTPError(429, 'busy', 7_000);
    await worker().drain();
    expect((await store.backlog()).nextMs).toBe(7_000);
    now += 7_000;
    server.refusal = new DifyAgentHTTPError(429, 'busy', 999_999_000);
    await worker().drain();
    expect((await store.backlog()).nextMs).toBe(60_000);
  });

  test('an answer that is lost: the same key finds the run that was made', async () => {
    await owe('lost');
    server.loseAnswer = true;
    expect(await worker().drain()).toMatchObject({ failed: 1 });
    server.loseAnswer = false;
    now += 60_000;
    expect(await worker().drain()).toMatchObject({ cleaned: 1 });
    expect(keys()).toEqual(['lost:agent-session-cleanup']);
  });

  test('a run that does not end in time is looked for again under its key', async () => {
    await owe('slow');
    server.cleanup = () => null;
    expect(await worker().drain({ timeoutMs: 5 })).toMatchObject({ failed: 1 });
    const [run] = server.cleanups;
    if (run !== undefined) server.end(run, { type: 'run_succeeded', data: { output: null, session_snapshot: null } });
    now += 60_000;
    expect(await worker().drain({ timeoutMs: 5 })).toMatchObject({ cleaned: 1 });
    expect(keys()).toHaveLength(1);
  });

  test('a worker that dies: its claim lapses, another does it; the run is the same', async () => {
    await owe('mine');
    await store.claim({ limit: 1, leaseMs: 90_000 });
    expect(await worker().drain()).toMatchObject({ cleaned: 0 });
    now += 90_000;
    expect(await worker().drain()).toMatchObject({ cleaned: 1 });
  });

  test('a worker that dies after the server has cleaned up: the next finds the same run', async () => {
    await owe('mine');
    const dying = worker({ done: () => Promise.reject(new SessionStoreError('killed')) });
    await expect(dying.drain({ timeoutMs: 1_000 })).rejects.toThrow('killed');
    now += 120_000;
    expect(await worker().drain()).toMatchObject({ cleaned: 1 });
    expect(keys()).toEqual(['mine:agent-session-cleanup']);
  });

  test('a session that went on meanwhile is not touched', async () => {
    const scope = newScope();
    const ended = { ...active(), ending: 'e1' };
    const rev = await store.save(scope, ended, null, { enqueue: [cleanup('e1', scope)] });
    await store.save(scope, active('new'), rev);
    expect(await worker().drain()).toMatchObject({ cleaned: 1 });
    expect(await store.load(scope)).toMatchObject(active('new'));
  });

  test('the signal stops it; what it held is handed back', async () => {
    await owe('a', 'b');
    server.cleanup = () => null;
    const abort = new AbortController();
    const draining = worker().drain({ signal: abort.signal, concurrency: 1 });
    await until('the run', () => server.cleanups[0]);
    abort.abort();
    expect(await draining).toEqual({ cleaned: 0, failed: 1, adopted: 0 });
    const left = await store.claim({ limit: 9, leaseMs: 1, ids: ['a', 'b'] });
    expect(left).toHaveLength(2);
  });

  test('a store that does not answer is an error of the pass', async () => {
    const broken = worker({ claim: () => Promise.reject(new SessionStoreError('away')) });
    await expect(broken.drain()).rejects.toThrow(SessionStoreError);
  });
});

describe('the loop', () => {
  test('does what comes, as it comes, until the signal aborts', async () => {
    const abort = new AbortController();
    const looping = worker().drain({ loop: true, signal: abort.signal, pollMs: 2 });
    await owe('a');
    await until('the first', () => keys().length === 1);
    await owe('b', 'c');
    await until('the others', async () => (await store.backlog()).entries === 0);
    abort.abort();
    expect(await looping).toEqual({ cleaned: 3, failed: 0, adopted: 0 });
  });

  test('goes on when the store was away, and tells', async () => {
    let trouble = 3;
    const flaky = new AgentSessions({
      client: server.client,
      store: {
        ...store,
        claim: (options) => {
          trouble -= 1;
          return trouble >= 0 ? Promise.reject(new SessionStoreError('away')) : store.claim(options);
        },
      },
      retryFirstMs: 1,
    });
    await owe('a');
    const told: unknown[] = [];
    const abort = new AbortController();
    const looping = flaky.drain({
      loop: true,
      signal: abort.signal,
      pollMs: 2,
      concurrency: 1,
      onError: (_, scope) => void told.push(scope),
    });
    await until('the clean-up', () => keys().length === 1);
    abort.abort();
    expect(await looping).toMatchObject({ cleaned: 1 });
    expect(told).toEqual([null, null, null]);
  });

  test('a signal that is aborted already: nothing is done', async () => {
    await owe('a');
    expect(await worker().drain({ loop: true, signal: AbortSignal.abort() })).toEqual({
      cleaned: 0,
      failed: 0,
      adopted: 0,
    });
    expect(server.runs).toEqual([]);
  });
});

test.each([{ leaseMs: 0 }, { retryFirstMs: Number.NaN }, { retryMaxMs: 2 ** 31 }, { cancelGraceMs: -1 }])(
  'an option that cannot be is refused: %p',
  (options) => {
    expect(() => new AgentSessions({ client: server.client, store, ...options })).toThrow(TypeError);
  },
);
