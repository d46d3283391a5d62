// The V4 semantics of spec 01 §7.4 and its test list (§9): the wish is durable, the owner ends the run when it has stopped.

import { describe, expect, test } from 'bun:test';
import { createWire } from '../../src/protocol/wire.ts';
import {
  abortCause,
  CancelledError,
  cancelledEvent,
  EndedElsewhereError,
  shutdownEvent,
} from '../../src/runs/aborts.ts';
import { StoreUnavailableError } from '../../src/runs/errors.ts';
import type { RunStore } from '../../src/runs/ports.ts';
import type { EventSink } from '../../src/runs/sink.ts';
import { until, within } from '../support/until.ts';
import { sharedStore } from './shared-store.ts';
import { aborted, failed, memoryStore, now, scene, submission, succeeded } from './support.ts';

const SNAPSHOT = { schema_version: 1, layers: [] } as const;
const USAGE = { promptTokens: 13, completionTokens: 8 } as const;
const STOP = { reason: 'user_cancelled', message: null } as const;
const TEXT = { reason: 'user_cancelled', message: 'enough' } as const;

/** A runner that obeys: stops, exits its layers, and ends the run by what aborted it. */
async function obedient(_: string, sink: EventSink, signal: AbortSignal): Promise<void> {
  if (!signal.aborted) {
    await sink.started();
    await aborted(signal).catch(() => {});
  }
  const cause = abortCause(signal);
  const left = { snapshot: SNAPSHOT, usage: USAGE };
  if (cause instanceof CancelledError) await sink.finish({ ...cancelledEvent(cause.intent), ...left });
  else if (!(cause instanceof EndedElsewhereError)) await sink.finish({ ...shutdownEvent, ...left });
}

const over = (store: RunStore, runId: string) =>
  until('the end', async () => {
    const record = await store.getRecord(runId);
    return record?.status === 'running' ? null : record;
  });

describe('a cancel', () => {
  test('aborts its run and no other, which ends as cancelled', async () => {
    const { scheduler, store, types, failure } = scene(obedient, { graceSeconds: 0 });
    const [one, other] = [await scheduler.submit(submission), await scheduler.submit(submission)];
    expect(await scheduler.cancel(one.run_id, TEXT)).toEqual({ accepted: true, status: 'running' });
    expect(await over(store, one.run_id)).toMatchObject({ status: 'cancelled', error: 'enough' });
    expect(await types(one.run_id)).toEqual(['run_started', 'run_cancelled']);
    expect(await failure(one.run_id)).toEqual(TEXT);
    expect((await store.getRecord(other.run_id))?.status).toBe('running');
    await until('the run to leave', () => scheduler.activeCount === 1);
    await scheduler.shutdown();
  });

  test('may be repeated: the first reason stays', async () => {
    const gate = Promise.withResolvers<void>();
    const { scheduler, store, failure } = scene(async (runId, sink, signal) => {
      await aborted(signal).catch(() => {});
      await gate.promise;
      await obedient(runId, sink, signal);
    });
    const { run_id } = await scheduler.submit(submission);
    expect(await scheduler.cancel(run_id, STOP)).toEqual({ accepted: true, status: 'running' });
    expect(await scheduler.cancel(run_id, { reason: 'later', message: 'later' })).toEqual({
      accepted: true,
      status: 'running',
    });
    gate.resolve();
    expect(await over(store, run_id)).toMatchObject({ error: 'user_cancelled' });
    expect(await failure(run_id)).toEqual(STOP);
    expect(await scheduler.cancel(run_id, TEXT)).toEqual({ accepted: true, status: 'cancelled' });
  });

  test('of a run that is over or unknown is refused', async () => {
    const { scheduler, store, types } = scene(async (_, sink) => void (await sink.finish(succeeded())));
    const { run_id } = await scheduler.submit(submission);
    await over(store, run_id);
    expect(await scheduler.cancel(run_id, STOP)).toEqual({ accepted: false, status: 'succeeded' });
    expect(await scheduler.cancel('unknown', STOP)).toEqual({ accepted: false, status: null });
    expect(await types(run_id)).toEqual(['run_succeeded']);
  });

  test('that comes after the success leaves a run alone that still cleans up', async () => {
    const gate = Promise.withResolvers<void>();
    let seen: AbortSignal | null = null;
    const { scheduler, store } = scene(async (_, sink, signal) => {
      seen = signal;
      await sink.finish(succeeded());
      await gate.promise;
    });
    const { run_id } = await scheduler.submit(submission);
    await over(store, run_id);
    expect(await scheduler.cancel(run_id, STOP)).toEqual({ accepted: false, status: 'succeeded' });
    expect(seen).toMatchObject({ aborted: false });
    expect(scheduler.activeCount).toBe(1);
    gate.resolve();
    await scheduler.shutdown();
  });

  test('that no store takes is told', async () => {
    const store = { ...memoryStore(), requestCancel: () => Promise.reject(new StoreUnavailableError()) };
    const { scheduler } = scene(obedient, { store, graceSeconds: 0 });
    const { run_id } = await scheduler.submit(submission);
    await expect(scheduler.cancel(run_id, STOP)).rejects.toBeInstanceOf(StoreUnavailableError);
    await scheduler.shutdown();
  });

  test('has texts that can be printed, whatever was sent', async () => {
    const { scheduler, store, failure } = scene(obedient);
    const { run_id } = await scheduler.submit(submission);
    await scheduler.cancel(run_id, { reason: 'a\ud83d', message: null });
    expect((await over(store, run_id)).error).toBe('a\ufffd');
    expect(await failure(run_id)).toEqual({ reason: 'a\ufffd', message: null });
  });
});

describe('a cancel that meets', () => {
  test('a record that has just become durable is not lost', async () => {
    const inner = memoryStore();
    const store: RunStore = {
      ...inner,
      async create(record) {
        const outcome = await inner.create(record);
        await inner.requestCancel(record.run_id, { ...STOP, requestedAt: now() });
        return outcome;
      },
    };
    const { scheduler, types } = scene(obedient, { store });
    const { run_id } = await scheduler.submit(submission);
    expect((await over(store, run_id)).status).toBe('cancelled');
    expect(await types(run_id)).toEqual(['run_cancelled']);
  });

  test.each([
    ['success', succeeded()],
    ['failure', { ...failed('model broke'), snapshot: SNAPSHOT, usage: USAGE }],
    ['shutdown', { ...shutdownEvent, snapshot: SNAPSHOT, usage: USAGE }],
  ] as const)('a %s of a runner that did not hear of it wins, with the snapshot of that end', async (_, ending) => {
    const gate = Promise.withResolvers<void>();
    const { scheduler, store, types, failure } = scene(
      async (_runId, sink) => {
        await sink.started();
        await gate.promise;
        await sink.finish(ending);
      },
      { wire: createWire('2026-08') },
    );
    const { run_id } = await scheduler.submit(submission);
    await scheduler.cancel(run_id, TEXT);
    gate.resolve();
    expect(await over(store, run_id)).toMatchObject({ status: 'cancelled', error: 'enough' });
    expect(await types(run_id)).toEqual(['run_started', 'run_cancelled']);
    const usage = ending.usage === null ? null : { prompt_tokens: 13, completion_tokens: 8, total_tokens: 21 };
    expect(await failure(run_id)).toEqual({ ...TEXT, session_snapshot: SNAPSHOT, usage });
  });

  test('a success at the same time: the record, the event and the answer agree', async () => {
    for (let round = 0; round < 50; round += 1) {
      const gate = Promise.withResolvers<void>();
      const { scheduler, store, types } = scene(async (_, sink) => {
        await gate.promise;
        await sink.finish(succeeded());
      });
      const { run_id } = await scheduler.submit(submission);
      if (round % 2 === 0) gate.resolve();
      const asked = scheduler.cancel(run_id, STOP);
      gate.resolve();
      const { accepted } = await asked;
      const { status } = await over(store, run_id);
      expect(status).toBe(accepted ? 'cancelled' : 'succeeded');
      expect(await types(run_id)).toEqual([`run_${status}`]);
      await scheduler.shutdown();
    }
  });

  test('a stop: the run ends as cancelled, whichever aborted it', async () => {
    const { scheduler, store, failure } = scene(obedient, { graceSeconds: 0, wire: createWire('2026-08') });
    const { run_id } = await scheduler.submit(submission);
    const [, { accepted }] = await Promise.all([scheduler.shutdown(), scheduler.cancel(run_id, TEXT)]);
    const { status } = await over(store, run_id);
    expect(status).toBe(accepted ? 'cancelled' : 'failed');
    if (accepted) expect(await failure(run_id)).toMatchObject({ ...TEXT, session_snapshot: SNAPSHOT });
  });

  test('a stop that has aborted the run: its shutdown is refused and it ends as cancelled with its snapshot', async () => {
    const stopped = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const { scheduler, store, types, failure } = scene(
      async (_, sink, signal) => {
        await aborted(signal).catch(() => stopped.resolve());
        await gate.promise;
        await sink.finish({ ...shutdownEvent, snapshot: SNAPSHOT });
      },
      { graceSeconds: 0, wire: createWire('2026-08') },
    );
    const { run_id } = await scheduler.submit(submission);
    const over = scheduler.shutdown();
    await stopped.promise;
    expect(await scheduler.cancel(run_id, STOP)).toEqual({ accepted: true, status: 'running' });
    gate.resolve();
    await over;
    expect((await store.getRecord(run_id))?.status).toBe('cancelled');
    expect(await types(run_id)).toEqual(['run_cancelled']);
    expect(await failure(run_id)).toEqual({ ...STOP, session_snapshot: SNAPSHOT, usage: null });
  });

  test('a run that breaks, ends it as cancelled', async () => {
    const { scheduler, store, failure } = scene(async (_, __, signal) => {
      await aborted(signal).catch(() => {});
      throw new Error('bug in the clean-up');
    });
    const { run_id } = await scheduler.submit(submission);
    await scheduler.cancel(run_id, STOP);
    expect((await over(store, run_id)).status).toBe('cancelled');
    expect(await failure(run_id)).toEqual(STOP);
  });

  test('a store that loses the wish (a failover) is told it again: the run does not stay running', async () => {
    const inner = memoryStore();
    let forgotten = 0;
    const store: RunStore = {
      ...inner,
      async requestCancel(runId, intent) {
        if (forgotten > 0) return inner.requestCancel(runId, intent);
        forgotten += 1;
        watched?.cancelRequested(runId, intent);
        return { accepted: true, status: 'running' };
      },
      watchOwn(watcher) {
        watched = watcher;
        inner.watchOwn(watcher);
      },
    };
    let watched: Parameters<RunStore['watchOwn']>[0] | undefined;
    const { scheduler, types } = scene(obedient, { store });
    const { run_id } = await scheduler.submit(submission);
    await scheduler.cancel(run_id, TEXT);
    expect(await over(store, run_id)).toMatchObject({ status: 'cancelled', error: 'enough' });
    expect(await types(run_id)).toEqual(['run_started', 'run_cancelled']);
  });
});

describe('a runner that ignores its cancel', () => {
  test('leaves the run running for a while; then it is ended over its head, once', async () => {
    const stuck = Promise.withResolvers<void>();
    const { scheduler, store, types, failure, sinkOf } = scene(() => stuck.promise, { cancelBoundMs: 30 });
    const { run_id } = await scheduler.submit(submission);
    await scheduler.cancel(run_id, TEXT);
    expect((await store.getRecord(run_id))?.status).toBe('running');
    expect(await over(store, run_id)).toMatchObject({ status: 'cancelled', error: 'enough' });
    expect(await failure(run_id)).toEqual(TEXT);
    // It still occupies the process.
    expect(scheduler.activeCount).toBe(1);
    expect(await sinkOf(run_id).finish(succeeded('late'))).toEqual({
      applied: false,
      status: 'cancelled',
      cancel: null,
    });
    stuck.resolve();
    await scheduler.shutdown();
    expect(await types(run_id)).toEqual(['run_cancelled']);
  });

  test('is waited for by a stop, and ends as cancelled', async () => {
    const { scheduler, store, types } = scene(() => new Promise(() => {}), { graceSeconds: 0, abortBoundMs: 20 });
    const { run_id } = await scheduler.submit(submission);
    await scheduler.cancel(run_id, STOP);
    await scheduler.shutdown();
    expect((await store.getRecord(run_id))?.status).toBe('cancelled');
    expect(await types(run_id)).toEqual(['run_cancelled']);
  });

  test('is ended over its head as soon as the store is back', async () => {
    const inner = memoryStore();
    let away = true;
    let attempts = 0;
    const store: RunStore = {
      ...inner,
      async finalise(runId, transition) {
        attempts += 1;
        if (away) throw new StoreUnavailableError();
        return inner.finalise(runId, transition);
      },
    };
    const { scheduler } = scene(() => new Promise(() => {}), { store, cancelBoundMs: 1, abortBoundMs: 1 });
    const { run_id } = await scheduler.submit(submission);
    await scheduler.cancel(run_id, STOP);
    await until('a second attempt', () => attempts > 1);
    away = false;
    expect((await over(store, run_id)).status).toBe('cancelled');
    const hurry = AbortSignal.abort();
    await scheduler.shutdown(hurry);
  });
});

test('a run whose runner gave up on the store is ended when the store is back', async () => {
  const inner = memoryStore();
  let away = true;
  const store: RunStore = {
    ...inner,
    finalise: (runId, transition) =>
      away ? Promise.reject(new StoreUnavailableError()) : inner.finalise(runId, transition),
  };
  const { scheduler, failure } = scene(async (_, sink) => void (await sink.finish(succeeded())), { store });
  const { run_id } = await scheduler.submit(submission);
  expect(scheduler.activeCount).toBe(1);
  away = false;
  expect((await over(store, run_id)).status).toBe('failed');
  expect(await failure(run_id)).toEqual({ error: 'store unavailable', reason: 'store_unavailable' });
  await within('the stop', scheduler.shutdown());
});

describe('two processes on one store', () => {
  test('a cancel through either stops the run of its owner, which alone ends it', async () => {
    const shared = sharedStore();
    const wire = createWire('2026-08');
    const owner = scene(obedient, { store: shared.process().store, wire });
    const other = scene(() => Promise.reject(new Error('not mine')), { store: shared.process().store, wire });
    const { run_id } = await owner.scheduler.submit(submission);
    expect(await other.scheduler.cancel(run_id, TEXT)).toEqual({ accepted: true, status: 'running' });
    expect(await over(other.store, run_id)).toMatchObject({ status: 'cancelled', error: 'enough' });
    expect(await other.types(run_id)).toEqual(['run_started', 'run_cancelled']);
    expect(await other.failure(run_id)).toEqual({
      ...TEXT,
      session_snapshot: SNAPSHOT,
      usage: { prompt_tokens: 13, completion_tokens: 8, total_tokens: 21 },
    });
    expect(await other.scheduler.cancel(run_id, STOP)).toEqual({ accepted: true, status: 'cancelled' });
    expect(other.scheduler.activeCount).toBe(0);
  });

  test('a run that another process ended stops here, and nothing more is written', async () => {
    const shared = sharedStore();
    const [sleeper, other] = [shared.process(), shared.process()];
    const causes: unknown[] = [];
    const { scheduler, types } = scene(
      async (_, sink, signal) => {
        await sink.started();
        await aborted(signal).catch((reason: unknown) => causes.push(reason));
        throw signal.reason;
      },
      { store: sleeper.store },
    );
    const { run_id } = await scheduler.submit(submission);
    await until('the start', async () => (await types(run_id)).length === 1);
    sleeper.pause();
    const lost = { status: 'failed', updatedAt: now(), error: 'lost', payload: '{"type":"run_failed"}' } as const;
    expect((await other.store.finaliseLost(run_id, lost)).applied).toBe(true);
    sleeper.wake();
    await until('the run to leave', () => scheduler.activeCount === 0);
    expect(causes).toEqual([expect.any(EndedElsewhereError)]);
    expect(await types(run_id)).toEqual(['run_started', 'run_failed']);
    await scheduler.shutdown();
  });

  test('a run that another process ended and that does not stop is no left-over of a stop', async () => {
    const shared = sharedStore();
    const [sleeper, other] = [shared.process(), shared.process()];
    let finalised = 0;
    const store: RunStore = {
      ...sleeper.store,
      finalise(runId, transition) {
        finalised += 1;
        return sleeper.store.finalise(runId, transition);
      },
    };
    const { scheduler } = scene(() => new Promise(() => {}), { store, graceSeconds: 0, abortBoundMs: 10 });
    const { run_id } = await scheduler.submit(submission);
    sleeper.pause();
    await other.store.finaliseLost(run_id, { status: 'failed', updatedAt: now(), error: 'lost', payload: '{}' });
    sleeper.wake();
    await scheduler.shutdown();
    expect(finalised).toBe(0);
  });
});
