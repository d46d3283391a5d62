import { afterEach, beforeEach, describe, expect, jest, test } from 'bun:test';
import { CURSOR_START } from '../../src/base/cursor.ts';
import { noopLogger } from '../../src/observe/logger.ts';
import { StoreUnavailableError } from '../../src/runs/errors.ts';
import type { RunStore } from '../../src/runs/ports.ts';
import { createRecovery } from '../../src/runs/recovery.ts';
import { type Entry, recordingLogger } from '../server/support.ts';
import { until } from '../support/until.ts';
import { sharedStore } from './shared-store.ts';
import { clock, memoryStore, now, succeeded, wire } from './support.ts';

const LOST = 'the server process that executed this run has ended';
const LOST_EVENT = { type: 'run_failed', data: { error: LOST, reason: 'worker_lost' } };

async function create(store: RunStore, count: number): Promise<string[]> {
  const runIds = Array.from({ length: count }, () => crypto.randomUUID());
  for (const run_id of runIds) {
    await store.create({ run_id, status: 'running', created_at: now(), updated_at: now(), error: null });
  }
  return runIds;
}

const recovery = (store: RunStore, logger = noopLogger) => createRecovery({ store, wire, clock, logger });
const eventsOf = async (store: RunStore, runId: string) =>
  (await store.readEvents(runId, CURSOR_START, 100)).map(({ payload }) => JSON.parse(payload));

/** Two processes, of which one has died. */
function afterDeath(options: { readonly recoveryIntervalMs?: number | null } = {}) {
  const shared = sharedStore(options);
  return { shared, dead: shared.process(), store: shared.process().store };
}

describe('at the start', () => {
  test('runs that a dead process left behind end as lost, those that are over or alive stay as they are', async () => {
    const { dead, store } = afterDeath();
    const [over = '', ...lost] = await create(dead.store, 4);
    await dead.store.finalise(over, { status: 'succeeded', updatedAt: now(), error: null, payload: '{}' });
    const [alive = ''] = await create(store, 1);
    dead.pause();
    const log: Entry[] = [];
    await recovery(store, recordingLogger(log)).start();
    for (const runId of lost) {
      expect(await store.getRecord(runId)).toMatchObject({ status: 'failed', error: LOST });
      expect(await eventsOf(store, runId)).toMatchObject([LOST_EVENT]);
    }
    expect((await store.getRecord(over))?.status).toBe('succeeded');
    expect((await store.getRecord(alive))?.status).toBe('running');
    const warned = { level: 'warn', message: 'ended runs of a process that died', fields: { runs: 3 } };
    const told = { level: 'info', message: 'run ended', fields: { reason: 'worker_lost' } };
    expect(log).toMatchObject([told, told, told, warned]);
  });

  test('a lost run whose cancel was accepted ends as cancelled', async () => {
    const { dead, store } = afterDeath();
    const [runId = ''] = await create(dead.store, 1);
    dead.pause();
    await store.requestCancel(runId, { reason: 'user_cancelled', message: 'enough', requestedAt: now() });
    await recovery(store).start();
    expect(await store.getRecord(runId)).toMatchObject({ status: 'cancelled', error: 'enough' });
    expect(await eventsOf(store, runId)).toMatchObject([
      { type: 'run_cancelled', data: { reason: 'user_cancelled', message: 'enough' } },
    ]);
  });

  test('a cancel that comes while lost runs are being ended is heeded', async () => {
    const { dead, store } = afterDeath();
    const runIds = await create(dead.store, 100);
    dead.pause();
    const intent = { reason: 'stop', message: null, requestedAt: now() };
    const racing: RunStore = {
      ...store,
      async finaliseLost(runId, transition) {
        await store.requestCancel(runId, intent);
        return store.finaliseLost(runId, transition);
      },
    };
    await recovery(racing).start();
    for (const runId of runIds) {
      expect((await store.getRecord(runId))?.status).toBe('cancelled');
      expect(await eventsOf(store, runId)).toHaveLength(1);
    }
  });

  test('nothing is logged when nothing was lost', async () => {
    const log: Entry[] = [];
    await recovery(memoryStore(), recordingLogger(log)).start();
    expect(log).toEqual([]);
  });

  test('a store of this process alone that cannot be written stops the start, in one line with the variable and the cause', async () => {
    const store = {
      ...memoryStore(),
      listLost: async () => ['a'],
      finaliseLost: () => Promise.reject(new StoreUnavailableError(new Error('database or disk is full'))),
    };
    await expect(recovery(store).start()).rejects.toMatchObject({
      code: 'recovery_failed',
      message: 'DIFY_AGENT_STORE_URL: sqlite::memory: cannot be written: database or disk is full',
    });
  });
});

describe('in a shared store', () => {
  test('processes that die later are found, again and again', async () => {
    const { shared, dead, store } = afterDeath({ recoveryIntervalMs: 1 });
    const looking = recovery(store);
    await looking.start();
    for (const died of [dead, shared.process()]) {
      const runIds = await create(died.store, 3);
      died.pause();
      for (const runId of runIds) {
        await until('the end', async () => (await store.getRecord(runId))?.status === 'failed');
      }
    }
    looking.stop();
  });

  test('of several that look at once, one ends each run', async () => {
    const { shared, dead, store } = afterDeath();
    const runIds = await create(dead.store, 200);
    dead.pause();
    const logs: Entry[][] = [[], [], []];
    await Promise.all(logs.map((log) => recovery(shared.process().store, recordingLogger(log)).start()));
    for (const runId of runIds) expect(await eventsOf(store, runId)).toMatchObject([LOST_EVENT]);
    const entries = logs.flat();
    const told = entries.filter(({ message }) => message === 'run ended').map(({ fields }) => String(fields.run_id));
    expect(told.sort()).toEqual([...runIds].sort());
    const counts = entries.filter(({ level }) => level === 'warn').map(({ fields }) => Number(fields.runs));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(200);
  });

  test('an owner that wakes up meanwhile keeps what was not ended', async () => {
    const { dead, store } = afterDeath();
    const [runId = ''] = await create(dead.store, 1);
    dead.pause();
    const late: RunStore = {
      ...store,
      async listLost() {
        const lost = await store.listLost();
        dead.wake();
        return lost;
      },
    };
    await recovery(late).start();
    expect((await store.getRecord(runId))?.status).toBe('running');
    expect(await eventsOf(store, runId)).toEqual([]);
  });

  test('a failure is logged, hides no other run, and the next look tries again', async () => {
    const { dead, store } = afterDeath({ recoveryIntervalMs: 1 });
    const [broken = '', ...others] = await create(dead.store, 3);
    dead.pause();
    let away = true;
    const flaky: RunStore = {
      ...store,
      finaliseLost: (runId, transition) =>
        away && runId === broken ? Promise.reject(new Error('bug')) : store.finaliseLost(runId, transition),
    };
    const log: Entry[] = [];
    const looking = recovery(flaky, recordingLogger(log));
    await looking.start();
    for (const runId of others) expect((await store.getRecord(runId))?.status).toBe('failed');
    expect((await store.getRecord(broken))?.status).toBe('running');
    expect(log.map(({ message }) => message)).toContain('runs of processes that died could not be ended yet');
    away = false;
    await until('the end', async () => (await store.getRecord(broken))?.status === 'failed');
    looking.stop();
  });

  test('a store that is away is not asked about each of ten thousand runs', async () => {
    let asked = 0;
    const { store } = afterDeath({ recoveryIntervalMs: 1_000_000 });
    const away: RunStore = {
      ...store,
      listLost: async () => Array.from({ length: 10_000 }, (_, i) => String(i)),
      finaliseLost() {
        asked += 1;
        return Promise.reject(new StoreUnavailableError());
      },
    };
    const looking = recovery(away);
    await looking.start();
    expect(asked).toBeLessThan(100);
    looking.stop();
  });

  describe('with a driven clock', () => {
    beforeEach(() => void jest.useFakeTimers());
    afterEach(() => void jest.useRealTimers());
    const pass = async (ms: number) => {
      jest.advanceTimersByTime(ms);
      for (let i = 0; i < 10; i += 1) await Promise.resolve();
    };

    test('a look begins an interval after the end of the one before, and none follows the stop', async () => {
      let looks = 0;
      let slow: PromiseWithResolvers<void> | null = null;
      const { store } = afterDeath({ recoveryIntervalMs: 1_000 });
      const counting: RunStore = {
        ...store,
        async listLost() {
          looks += 1;
          await slow?.promise;
          return [];
        },
      };
      const looking = recovery(counting);
      await looking.start();
      expect(looks).toBe(1);
      slow = Promise.withResolvers<void>();
      await pass(1_000);
      await pass(10_000);
      expect(looks).toBe(2);
      slow.resolve();
      await pass(0);
      await pass(1_000);
      expect(looks).toBe(3);
      slow = Promise.withResolvers<void>();
      await pass(1_000);
      looking.stop();
      slow.resolve();
      await pass(10_000);
      expect(looks).toBe(4);
      expect(jest.getTimerCount()).toBe(0);
    });
  });
});

test('a run that was ended as lost takes nothing more from its owner', async () => {
  const { dead, store } = afterDeath();
  const [runId = ''] = await create(dead.store, 1);
  dead.pause();
  await recovery(store).start();
  expect(await dead.store.append(runId, ['{}'])).toEqual({ appended: false, status: 'failed' });
  const { type } = succeeded();
  const late = { status: 'succeeded', updatedAt: now(), error: null, payload: `{"type":"${type}"}` } as const;
  expect(await dead.store.finalise(runId, late)).toEqual({ applied: false, status: 'failed', cancel: null });
});
