import { describe, expect, test } from 'bun:test';
import { shutdownEvent } from '../../src/runs/aborts.ts';
import { SchedulerStoppingError, StoreUnavailableError } from '../../src/runs/errors.ts';
import type { RunStore } from '../../src/runs/ports.ts';
import { aborted, failed, memoryStore, scene, submission, succeeded } from './support.ts';

const SHUTDOWN = { error: 'run cancelled during server shutdown', reason: 'shutdown' };

describe('while the server runs', () => {
  test('a run is registered while it runs and removed after it', async () => {
    const gate = Promise.withResolvers<void>();
    const over = Promise.withResolvers<void>();
    const { scheduler, store } = scene(async (_, sink) => {
      await gate.promise;
      await sink.finish(succeeded());
      over.resolve();
    });
    const record = await scheduler.submit(submission);
    expect(record.status).toBe('running');
    expect(scheduler.activeCount).toBe(1);
    gate.resolve();
    await over.promise;
    await scheduler.shutdown();
    expect(scheduler.activeCount).toBe(0);
    expect((await store.getRecord(record.run_id))?.status).toBe('succeeded');
  });

  test('the record is durable before submit answers, and the answer does not wait for the run', async () => {
    const { scheduler, store } = scene((_, __, signal) => aborted(signal), { graceSeconds: 0 });
    const { run_id } = await scheduler.submit(submission);
    expect(await store.getRecord(run_id)).toMatchObject({ run_id, status: 'running', error: null });
    await scheduler.shutdown();
  });

  test('a store that fails refuses the run and registers nothing', async () => {
    const store: RunStore = { ...memoryStore(), create: () => Promise.reject(new StoreUnavailableError()) };
    const { scheduler } = scene(async () => {}, { store });
    await expect(scheduler.submit(submission)).rejects.toBeInstanceOf(StoreUnavailableError);
    expect(scheduler.activeCount).toBe(0);
  });

  test.each([
    ['rejects', () => Promise.reject(new Error('bug')), 'bug'],
    [
      'throws at once',
      () => {
        throw new Error('bug');
      },
      'bug',
    ],
    ['rejects with nothing that prints', () => Promise.reject(Object.create(null)), 'an error that has no text'],
  ] as const)('a run that %s is ended in its place and removed, and the scheduler goes on', async (_, run, error) => {
    const { scheduler, store, types } = scene(run);
    const records = [await scheduler.submit(submission), await scheduler.submit(submission)];
    await scheduler.shutdown();
    expect(scheduler.activeCount).toBe(0);
    for (const { run_id } of records) {
      expect(await store.getRecord(run_id)).toMatchObject({ status: 'failed', error });
      expect(await types(run_id)).toEqual(['run_failed']);
    }
  });

  test('a run that throws after its end is not ended twice', async () => {
    const { scheduler, store, types } = scene(async (_, sink) => {
      await sink.finish(succeeded());
      throw new Error('bug');
    });
    const { run_id } = await scheduler.submit(submission);
    await scheduler.shutdown();
    expect((await store.getRecord(run_id))?.status).toBe('succeeded');
    expect(await types(run_id)).toEqual(['run_succeeded']);
  });
});

describe('shutdown', () => {
  test('with no grace ends a run as failed with the exact text, and with exactly one event when it never started', async () => {
    const { scheduler, store, types, failure } = scene(
      async (_, sink, signal) => {
        await aborted(signal).catch(() => {});
        await sink.finish(shutdownEvent);
      },
      { graceSeconds: 0 },
    );
    const { run_id } = await scheduler.submit(submission);
    await scheduler.shutdown();
    expect(await store.getRecord(run_id)).toMatchObject({ status: 'failed', error: SHUTDOWN.error });
    expect(await types(run_id)).toEqual(['run_failed']);
    expect(await failure(run_id)).toEqual(SHUTDOWN);
  });

  test('lets a run finish within the grace', async () => {
    const gate = Promise.withResolvers<void>();
    const { scheduler, types } = scene(async (_, sink) => {
      await sink.started();
      await gate.promise;
      await sink.finish(succeeded());
    });
    const { run_id } = await scheduler.submit(submission);
    const stopped = scheduler.shutdown();
    gate.resolve();
    await stopped;
    expect(await types(run_id)).toEqual(['run_started', 'run_succeeded']);
  });

  test('does not overwrite a success that was won meanwhile', async () => {
    const { scheduler, store, types } = scene(
      async (_, sink, signal) => {
        await aborted(signal).catch(() => {});
        await sink.finish(succeeded());
        await sink.finish(shutdownEvent);
      },
      { graceSeconds: 0 },
    );
    const { run_id } = await scheduler.submit(submission);
    await scheduler.shutdown();
    expect((await store.getRecord(run_id))?.status).toBe('succeeded');
    expect(await types(run_id)).toEqual(['run_succeeded']);
  });

  test('refuses runs from its beginning and stores nothing for them', async () => {
    const created: string[] = [];
    const inner = memoryStore();
    const store: RunStore = {
      ...inner,
      create: (record) => {
        created.push(record.run_id);
        return inner.create(record);
      },
    };
    const { scheduler } = scene(async () => {}, { store });
    scheduler.beginShutdown();
    await expect(scheduler.submit(submission)).rejects.toBeInstanceOf(SchedulerStoppingError);
    await scheduler.shutdown();
    await expect(scheduler.submit(submission)).rejects.toThrow('run scheduler is shutting down');
    expect(created).toEqual([]);
  });

  test('waits for a run that is being accepted, and ends it too', async () => {
    const gate = Promise.withResolvers<void>();
    const inner = memoryStore();
    const store: RunStore = {
      ...inner,
      create: async (record) => {
        await gate.promise;
        return inner.create(record);
      },
    };
    const { scheduler, types } = scene(
      async (_, sink, signal) => {
        await aborted(signal).catch(() => {});
        await sink.finish(shutdownEvent);
      },
      { store, graceSeconds: 0 },
    );
    const submitted = scheduler.submit(submission);
    const stopped = scheduler.shutdown();
    gate.resolve();
    const { run_id } = await submitted;
    await stopped;
    expect(await types(run_id)).toEqual(['run_failed']);
  });

  test('a run whose record became durable only after the stop is not started, ended, and refused to its caller', async () => {
    const gate = Promise.withResolvers<void>();
    const inner = memoryStore();
    const created: string[] = [];
    const store: RunStore = {
      ...inner,
      create: async (record) => {
        await gate.promise;
        created.push(record.run_id);
        return inner.create(record);
      },
    };
    let started = 0;
    const { scheduler, failure } = scene(
      async () => {
        started += 1;
      },
      { store, graceSeconds: 0, abortBoundMs: 10 },
    );
    const submitted = scheduler.submit(submission);
    await scheduler.shutdown();
    gate.resolve();
    await expect(submitted).rejects.toBeInstanceOf(SchedulerStoppingError);
    expect(started).toBe(0);
    expect(await failure(created[0] ?? '')).toEqual(SHUTDOWN);
  });

  test('a store that never answers does not hold it up', async () => {
    const never = new Promise<never>(() => {});
    const store: RunStore = { ...memoryStore(), finalise: () => never };
    const { scheduler } = scene(() => never, { store, graceSeconds: 0, abortBoundMs: 10 });
    await scheduler.submit(submission);
    await scheduler.shutdown();
  });

  test('ends a run that ignores its abort over its head, once', async () => {
    const stuck = Promise.withResolvers<void>();
    const { scheduler, types, failure, sinkOf } = scene(() => stuck.promise, { graceSeconds: 0, abortBoundMs: 20 });
    const { run_id } = await scheduler.submit(submission);
    await scheduler.shutdown();
    expect(await failure(run_id)).toEqual(SHUTDOWN);
    const late = await sinkOf(run_id).finish(succeeded('too late'));
    expect(late).toEqual({ applied: false, status: 'failed', cancel: null });
    expect(await types(run_id)).toEqual(['run_failed']);
    stuck.resolve();
  });

  test('a hurry ends the grace and still finalises', async () => {
    const { scheduler, failure } = scene(async (_, sink, signal) => {
      await aborted(signal).catch(() => {});
      await sink.finish(shutdownEvent);
    });
    const { run_id } = await scheduler.submit(submission);
    const hurry = new AbortController();
    const stopped = scheduler.shutdown(hurry.signal);
    hurry.abort();
    await stopped;
    expect(await failure(run_id)).toEqual(SHUTDOWN);
  });

  test('a store that fails at the end does not keep the others from being finalised', async () => {
    const inner = memoryStore();
    let broken = '';
    const store: RunStore = {
      ...inner,
      finalise: (runId, transition) =>
        runId === broken ? Promise.reject(new StoreUnavailableError()) : inner.finalise(runId, transition),
    };
    const never = new Promise<void>(() => {});
    const { scheduler, failure } = scene(() => never, { store, graceSeconds: 0, abortBoundMs: 10 });
    broken = (await scheduler.submit(submission)).run_id;
    const { run_id } = await scheduler.submit(submission);
    await scheduler.shutdown();
    expect(await failure(run_id)).toEqual(SHUTDOWN);
  });
});

test('of two ends of one run the first wins and the second changes nothing', async () => {
  const { scheduler, store, types, sinkOf } = scene(async (_, sink) => void (await sink.started()));
  const { run_id } = await scheduler.submit(submission);
  const [first, second] = await Promise.all([sinkOf(run_id).finish(failed('a')), sinkOf(run_id).finish(succeeded())]);
  expect(first.applied).toBe(true);
  expect(second).toEqual({ applied: false, status: 'failed', cancel: null });
  expect(await store.getRecord(run_id)).toMatchObject({ status: 'failed', error: 'a' });
  expect(await types(run_id)).toEqual(['run_started', 'run_failed']);
});
