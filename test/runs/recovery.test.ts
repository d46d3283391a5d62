import { expect, test } from 'bun:test';
import { CURSOR_START } from '../../src/base/cursor.ts';
import { noopLogger } from '../../src/observe/logger.ts';
import { StoreUnavailableError } from '../../src/runs/errors.ts';
import type { RunStore } from '../../src/runs/ports.ts';
import { endOrphans } from '../../src/runs/recovery.ts';
import { clock, memoryStore, now, wire } from './support.ts';

async function leftRunning(store: RunStore, count: number): Promise<string[]> {
  const runIds = Array.from({ length: count }, () => crypto.randomUUID());
  for (const run_id of runIds) {
    await store.create({ run_id, status: 'running', created_at: now(), updated_at: now(), error: null });
  }
  return runIds;
}

test('runs that a dead process left behind end as lost, those that are over stay as they are', async () => {
  const store = memoryStore();
  const [over = '', ...lost] = await leftRunning(store, 3);
  await store.finalise(over, { status: 'succeeded', updatedAt: now(), error: null, payload: '{}' });
  const deps = { store, wire, clock, logger: noopLogger };
  expect(await endOrphans(deps, [over, ...lost, 'unknown'])).toBe(2);
  expect((await store.getRecord(over))?.status).toBe('succeeded');
  const error = 'the server process that executed this run has ended';
  for (const runId of lost) {
    expect(await store.getRecord(runId)).toMatchObject({ status: 'failed', error });
    const [event, ...more] = await store.readEvents(runId, CURSOR_START, 10);
    expect(JSON.parse(event?.payload ?? '')).toMatchObject({
      type: 'run_failed',
      data: { error, reason: 'worker_lost' },
    });
    expect(more).toEqual([]);
  }
  expect(await endOrphans(deps, lost)).toBe(0);
});

test('a store that cannot be written stops the start, in one line that names the variable and the cause', async () => {
  const away = new StoreUnavailableError(new Error('database or disk is full'));
  const store: RunStore = { ...memoryStore(), finalise: () => Promise.reject(away) };
  await expect(endOrphans({ store, wire, clock, logger: noopLogger }, ['a', 'b'])).rejects.toMatchObject({
    code: 'recovery_failed',
    message: 'DIFY_AGENT_STORE_URL: sqlite::memory: cannot be written: database or disk is full',
  });
});
