// What may be created: not more than the process takes (issue 5, item 5), and each thing once (item 6).

import { describe, expect, test } from 'bun:test';
import type { JsonObject } from '../../src/base/json.ts';
import { IdempotencyConflictError, SchedulerStoppingError, TooManyRunsError } from '../../src/runs/errors.ts';
import { deduplicationOf } from '../../src/runs/idempotency.ts';
import type { RunStore } from '../../src/runs/ports.ts';
import type { RunFunction } from '../../src/runs/scheduler.ts';
import { parseJson } from '../../src/wiretext/json.ts';
import { until } from '../support/until.ts';
import { sharedStore } from './shared-store.ts';
import { aborted, keyed, memoryStore, scene, submission, succeeded } from './support.ts';

/** A run until the gate opens. */
function gated() {
  const gate = Promise.withResolvers<void>();
  return { open: gate.resolve, run: (() => gate.promise) satisfies RunFunction };
}

describe('admission', () => {
  test('refuses what is over the limit before the store is asked, and takes runs again when one is over', async () => {
    const inner = memoryStore();
    let created = 0;
    const store: RunStore = {
      ...inner,
      create(record) {
        created += 1;
        return inner.create(record);
      },
    };
    const { open, run } = gated();
    const { scheduler } = scene(run, { store, maxActiveRuns: 2, graceSeconds: 0 });
    await scheduler.submit(submission);
    await scheduler.submit(submission);
    await expect(scheduler.submit(submission)).rejects.toBeInstanceOf(TooManyRunsError);
    await expect(scheduler.submit(submission)).rejects.toThrow('too many active runs: limit is 2');
    expect(created).toBe(2);
    open();
    await until('the runs to leave', () => scheduler.activeCount === 0);
    await scheduler.submit(submission);
    await scheduler.shutdown();
  });

  test('counts the runs that are being created: of a thousand at once the limit is let in', async () => {
    const { open, run } = gated();
    const { scheduler } = scene(run, { maxActiveRuns: 10 });
    const outcomes = await Promise.allSettled(Array.from({ length: 1_000 }, () => scheduler.submit(submission)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
    expect(scheduler.activeCount).toBe(10);
    open();
    await scheduler.shutdown();
  });

  test('gives back the place of a run that could not be created, or was one before', async () => {
    const inner = memoryStore();
    let broken = true;
    const store: RunStore = {
      ...inner,
      create: (...args) => (broken ? Promise.reject(new Error('bug')) : inner.create(...args)),
    };
    const { scheduler } = scene((_, __, signal) => aborted(signal), { store, maxActiveRuns: 2, graceSeconds: 0 });
    for (let i = 0; i < 3; i += 1) await expect(scheduler.submit(submission)).rejects.toThrow('bug');
    broken = false;
    for (let i = 0; i < 3; i += 1) await scheduler.submit(keyed('k'));
    expect(scheduler.activeCount).toBe(1);
    await scheduler.shutdown();
  });

  test('of a process that stops is refused as such, however many runs there are', async () => {
    const { scheduler } = scene((_, __, signal) => aborted(signal), { maxActiveRuns: 1, graceSeconds: 0 });
    await scheduler.submit(submission);
    scheduler.beginShutdown();
    await expect(scheduler.submit(submission)).rejects.toBeInstanceOf(SchedulerStoppingError);
    await scheduler.shutdown();
  });
});

describe('a repeated idempotency key', () => {
  /** A scheduler that counts what it starts. */
  function counting(options: Parameters<typeof scene>[1] = {}) {
    const started: string[] = [];
    const inTest = scene(
      async (runId, _, signal) => {
        started.push(runId);
        await aborted(signal);
      },
      { graceSeconds: 0, ...options },
    );
    return { ...inTest, started };
  }

  test('with the same request answers with the first run and starts nothing', async () => {
    const { scheduler, started } = counting();
    const first = await scheduler.submit(keyed('k'));
    expect(await scheduler.submit(keyed('k'))).toEqual(first);
    expect(started).toEqual([first.run_id]);
    expect(scheduler.activeCount).toBe(1);
    await scheduler.shutdown();
  });

  test('answers with what has become of the run', async () => {
    const { scheduler, store } = scene(async (_, sink) => void (await sink.finish(succeeded())));
    const { run_id } = await scheduler.submit(keyed('k'));
    await until('the end', async () => (await store.getRecord(run_id))?.status === 'succeeded');
    expect(await scheduler.submit(keyed('k'))).toMatchObject({ run_id, status: 'succeeded' });
  });

  test('of a hundred callers at once, in two processes, is one run', async () => {
    const shared = sharedStore();
    const [one, two] = [shared.process(), shared.process()].map(({ store }) => counting({ store }));
    if (one === undefined || two === undefined) throw new Error('no processes');
    const records = await Promise.all(
      Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? one : two).scheduler.submit(keyed('k'))),
    );
    expect(new Set(records.map(({ run_id }) => run_id)).size).toBe(1);
    expect([...one.started, ...two.started]).toHaveLength(1);
    await Promise.all([one.scheduler.shutdown(), two.scheduler.shutdown()]);
  });

  test('with another request is another run; strictly it is refused', async () => {
    const lax = counting();
    const runs = [await lax.scheduler.submit(keyed('k')), await lax.scheduler.submit(keyed('k', { a: 1 }))];
    expect(lax.started).toEqual(runs.map(({ run_id }) => run_id));
    await lax.scheduler.shutdown();

    const strict = counting({ idempotency: 'strict' });
    const { run_id } = await strict.scheduler.submit(keyed('k'));
    await expect(strict.scheduler.submit(keyed('k', { a: 1 }))).rejects.toBeInstanceOf(IdempotencyConflictError);
    expect(await strict.scheduler.submit(keyed('k'))).toMatchObject({ run_id });
    expect(strict.started).toEqual([run_id]);
    expect(strict.scheduler.activeCount).toBe(1);
    await strict.scheduler.shutdown();
  });

  test.each([
    ['that is absent', null, 'on'],
    ['that is empty', '', 'strict'],
    ['that is switched off', 'k', 'off'],
  ] as const)('%s makes runs of their own', async (_, key, idempotency) => {
    const { scheduler, started } = counting({ idempotency });
    await scheduler.submit(keyed(key));
    await scheduler.submit(keyed(key));
    expect(new Set(started).size).toBe(2);
    await scheduler.shutdown();
  });
});

describe('what is the same request', () => {
  const fingerprint = (metadata: string) => {
    const parsed = parseJson(metadata);
    if (!parsed.ok) throw new Error(metadata);
    return deduplicationOf(keyed('k', parsed.value as JsonObject), 'on')?.fingerprint; // an object in every case below
  };

  test('its digests are of the key and of everything that was asked for, and do not show them', () => {
    const found = deduplicationOf(keyed('wr-1:ne-1'), 'strict');
    expect(found).toEqual({
      key: new Bun.CryptoHasher('sha256').update('wr-1:ne-1').digest('hex'),
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
      strict: true,
    });
    expect(deduplicationOf(keyed('wr-1:ne-1'), 'on')).toEqual({ ...found, strict: false } as typeof found);
  });

  test('numbers and texts that a run could tell apart differ', () => {
    const texts = [
      '1',
      '1.0',
      '12345678901234567890',
      '12345678901234567891',
      'null',
      'NaN',
      'Infinity',
      '"1"',
      '1e400',
    ];
    const prints = texts.map((text) => fingerprint(`{"x":${text}}`));
    expect(new Set(prints.slice(0, 8)).size).toBe(8);
    expect(fingerprint('{"b":1,"a":2}')).not.toBe(fingerprint('{"a":2,"b":1}') as string);
    expect(fingerprint('{ "a" : 1 }')).toBe(fingerprint('{"a":1}') as string);
  });

  test('the snapshot policy is part of it', () => {
    const rebase = deduplicationOf({ ...keyed('k'), snapshotPolicy: 'rebase' }, 'on');
    expect(rebase?.fingerprint).not.toBe(deduplicationOf(keyed('k'), 'on')?.fingerprint as string);
  });
});
