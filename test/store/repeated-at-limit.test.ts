// A creation that repeats an earlier one finds it, also when this process takes no more runs: nothing new would be executed.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { IdempotencyConflictError, StoreUnavailableError, TooManyRunsError } from '../../src/runs/errors.ts';
import type { CreationFinder, RunStore } from '../../src/runs/ports.ts';
import { createLive } from '../../src/store/live.ts';
import { keyed, memoryStore, scene, submission } from '../runs/support.ts';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { openRedis } from './redis-kit.ts';

let server: RedisProcess;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.dispose());

/** Runs until it is aborted. */
const endless = (_runId: string, _submission: unknown, signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

describe.each([
  ['SQLite', async () => memoryStore()],
  ['Redis', () => openRedis(server.url)],
  ['Redis behind the fan-out', async () => createLive(await openRedis(server.url))],
] as const)('at the limit, on %s', (_name, open: () => Promise<RunStore & Partial<CreationFinder>>) => {
  test('a repeated key answers with its run, another one is refused', async () => {
    const store = await open();
    const { scheduler } = scene(endless, { store, maxActiveRuns: 1, graceSeconds: 0 });
    const first = await scheduler.submit(keyed('once'));
    expect(await scheduler.submit(keyed('once'))).toEqual(first);
    for (const other of [submission, keyed('twice'), keyed('once', { other: true }), keyed('')]) {
      await expect(scheduler.submit(other)).rejects.toBeInstanceOf(TooManyRunsError);
    }
    expect(scheduler.activeCount).toBe(1);
    await scheduler.shutdown();
    await store.close();
  });

  test('strictly, a key that was used for something else is a conflict', async () => {
    const store = await open();
    const { scheduler } = scene(endless, { store, maxActiveRuns: 1, graceSeconds: 0, idempotency: 'strict' });
    const first = await scheduler.submit(keyed('once'));
    expect(await scheduler.submit(keyed('once'))).toEqual(first);
    await expect(scheduler.submit(keyed('once', { other: true }))).rejects.toBeInstanceOf(IdempotencyConflictError);
    await expect(scheduler.submit(keyed('twice'))).rejects.toBeInstanceOf(TooManyRunsError);
    await scheduler.shutdown();
    await store.close();
  });

  test('where keys mean nothing, and where the store does not answer, nothing is found', async () => {
    const store = await open();
    const off = scene(endless, { store, maxActiveRuns: 1, graceSeconds: 0, idempotency: 'off' }).scheduler;
    await off.submit(keyed('once'));
    await expect(off.submit(keyed('once'))).rejects.toBeInstanceOf(TooManyRunsError);
    await off.shutdown();
    const on = scene(endless, { store, maxActiveRuns: 1, graceSeconds: 0 }).scheduler;
    await on.submit(keyed('another'));
    await store.close();
    await expect(on.submit(keyed('another'))).rejects.toBeInstanceOf(StoreUnavailableError);
    await expect(on.submit(submission)).rejects.toBeInstanceOf(TooManyRunsError);
  });
});
