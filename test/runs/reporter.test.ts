// One line when a run starts and one when it ends, with what it came to; the probe hears the same. However a run ends.

import { describe, expect, test } from 'bun:test';
import type { LogFields } from '../../src/observe/logger.ts';
import { NO_PROBE, NO_RUN, type Probe, type RunEnd, type RunFacts } from '../../src/observe/probe.ts';
import { ShellctlError } from '../../src/peers/shellctl/port.ts';
import { RunTimeoutError } from '../../src/runs/deadline.ts';
import { StoreUnavailableError } from '../../src/runs/errors.ts';
import { reasonOf } from '../../src/runs/reasons.ts';
import { createReporter } from '../../src/runs/reporter.ts';
import type { RunFunction } from '../../src/runs/scheduler.ts';
import { createScheduler } from '../../src/runs/scheduler.ts';
import { createEventSink } from '../../src/runs/sink.ts';
import type { Submission } from '../../src/runs/submission.ts';
import { type Entry, recordingLogger } from '../server/support.ts';
import { until } from '../support/until.ts';
import { aborted, clock, failed, keyed, memoryStore, request, submission, succeeded, wire } from './support.ts';

/** A probe that writes down how runs begin and end. */
function recordingProbe() {
  const begun: RunFacts[] = [];
  const ended: RunEnd[] = [];
  const refusals: string[] = [];
  const probe: Probe = {
    ...NO_PROBE,
    run(facts) {
      begun.push(facts);
      return { ...NO_RUN, end: (end) => void ended.push(end) };
    },
    refused: (reason) => void refusals.push(reason),
  };
  return { probe, begun, ended, refusals };
}

/** A scheduler whose runs do this, and everything that is told of them. */
function scene(run: RunFunction, changes: Partial<Parameters<typeof createScheduler>[0]> = {}) {
  const log: Entry[] = [];
  const told = recordingProbe();
  const store = memoryStore();
  const scheduler = createScheduler({
    ...{ store, wire, clock, run, probe: told.probe, logger: recordingLogger(log), maxActiveRuns: 2 },
    ...{ idempotency: 'on', shutdownGraceSeconds: 0, abortBoundMs: 200, cancelBoundMs: 30 },
    ...changes,
  });
  const lines = (message: string): LogFields[] =>
    log.filter((entry) => entry.message === message).map(({ fields }) => fields);
  return { ...told, scheduler, store, log, lines };
}

const ends =
  (event: Parameters<ReturnType<typeof createEventSink>['finish']>[0], store = memoryStore()): RunFunction =>
  async (runId, _submission, _signal, reporter) => {
    const stored = reporter.stored.bind(reporter);
    const outcome = await createEventSink({ store, wire, clock, runId, stored }).finish(event);
    reporter.ended(outcome.applied ? outcome.ending : null, 'request_limit');
  };

const withTenant = (tenant: unknown): Submission => {
  const layer = { type: 'dify.execution_context', deps: {}, metadata: {}, config: { tenant_id: tenant } };
  const layers = [{ ...layer, name: 'context' }] as Submission['request']['composition']['layers'];
  return { ...submission, request: { ...request, composition: { schema_version: 1, layers } } };
};

describe('the two lines of a run', () => {
  test('have its id, its tenant and what it came to', async () => {
    const store = memoryStore();
    const { scheduler, lines, begun, ended } = scene(ends(succeeded(), store), { store });
    const { run_id } = await scheduler.submit(withTenant('tenant-1'));
    await until('the end', () => lines('run ended').length > 0);
    expect(lines('run started')).toEqual([{ run_id, tenant: 'tenant-1', layers: 1, resumed: false }]);
    expect(lines('run ended')).toEqual([
      {
        run_id,
        tenant: 'tenant-1',
        outcome: 'succeeded',
        reason: undefined,
        duration_ms: expect.any(Number),
        events: 1,
        model_requests: 0,
        tool_calls: 0,
        input_tokens: 0,
        output_tokens: 0,
      },
    ]);
    expect(begun).toEqual([{ runId: run_id, tenantId: 'tenant-1', layers: 1 }]);
    expect(ended).toMatchObject([{ outcome: 'succeeded', reason: null, events: 1 }]);
    expect(ended[0]?.eventChars).toBeGreaterThan(50);
  });

  test('say why it failed, with the reason of the list and a text that is cut', async () => {
    const store = memoryStore();
    const { scheduler, lines, ended } = scene(ends(failed('x'.repeat(10_000)), store), { store });
    await scheduler.submit(submission);
    await until('the end', () => lines('run ended').length > 0);
    expect(lines('run ended')).toMatchObject([{ outcome: 'failed', reason: 'request_limit', error: 'x'.repeat(512) }]);
    expect(ended).toMatchObject([{ outcome: 'failed', reason: 'request_limit' }]);
  });

  test.each([
    ['absent', undefined, undefined],
    ['not a text', { a: 1 }, undefined],
    ['empty', '', undefined],
    ['long', 't'.repeat(5_000), 't'.repeat(128)],
  ])('do not trust the tenant: %s', (_, given, shown) => {
    const log: Entry[] = [];
    createReporter({ probe: NO_PROBE, logger: recordingLogger(log) }, 'r', withTenant(given).request).started();
    expect(log[0]?.fields.tenant).toBe(shown);
  });

  test('count model requests, tool calls and tokens', () => {
    const log: Entry[] = [];
    const content = () => '';
    const reporter = createReporter({ probe: NO_PROBE, logger: recordingLogger(log) }, 'r', request);
    for (const [inputTokens, outputTokens] of [
      [3, 4],
      [30, 40],
    ] as const) {
      const scope = reporter.modelRequest({ provider: 'p', model: 'm', step: 1, content });
      expect(scope.within(() => 'inside')).toBe('inside');
      scope.end({ error: null, finishReason: null, inputTokens, outputTokens, content });
    }
    reporter.toolCall({ tool: 't', callId: 'c', content }).end({ outcome: 'ok', content });
    reporter.ended(succeeded(), null);
    expect(log).toMatchObject([
      { fields: { model_requests: 2, tool_calls: 1, input_tokens: 33, output_tokens: 44, outcome: 'succeeded' } },
    ]);
  });
});

describe('exactly one end is told', () => {
  test('of a run that is not told about by whoever runs it', async () => {
    const { scheduler, lines, ended } = scene(async () => {});
    await scheduler.submit(submission);
    await until('the end', () => lines('run ended').length > 0);
    expect(lines('run ended')).toMatchObject([{ outcome: 'lost' }]);
    expect(ended).toMatchObject([{ outcome: 'lost' }]);
  });

  test('of a run whose runner throws', async () => {
    const { scheduler, lines, ended } = scene(() => Promise.reject(new Error('boom')));
    await scheduler.submit(submission);
    await until('the end', () => lines('run ended').length > 0);
    expect(lines('run ended')).toMatchObject([{ outcome: 'failed', reason: 'internal', error: 'boom', events: 1 }]);
    expect(ended).toMatchObject([{ outcome: 'failed', reason: 'internal' }]);
  });

  test('of a run that ignores its cancel', async () => {
    const { scheduler, lines, ended } = scene(() => new Promise(() => {}));
    const { run_id } = await scheduler.submit(submission);
    await scheduler.cancel(run_id, { reason: 'enough', message: null });
    await until('the end', () => lines('run ended').length > 0);
    await scheduler.shutdown();
    expect(lines('run ended')).toMatchObject([{ outcome: 'cancelled', reason: undefined }]);
    expect(ended).toHaveLength(1);
  });

  test('of a run that ignores the stop', async () => {
    const { scheduler, lines, ended } = scene(() => new Promise(() => {}));
    await scheduler.submit(submission);
    await scheduler.shutdown();
    expect(lines('run ended')).toMatchObject([{ outcome: 'failed', reason: 'shutdown' }]);
    expect(ended).toHaveLength(1);
  });

  test('of a run that the stop aborts', async () => {
    const { scheduler, lines } = scene((_runId, _submission, signal) => aborted(signal));
    await scheduler.submit(submission);
    await scheduler.shutdown();
    expect(lines('run ended')).toMatchObject([{ outcome: 'failed', reason: 'shutdown' }]);
  });

  test('of a run whose end the store never takes', async () => {
    const store = memoryStore();
    const away = { ...store, finalise: () => Promise.reject(new StoreUnavailableError()) };
    const { scheduler, lines } = scene(() => new Promise(() => {}), { store: away });
    await scheduler.submit(submission);
    await scheduler.shutdown();
    expect(lines('run ended')).toMatchObject([{ outcome: 'lost', reason: 'unwritten' }]);
  });
});

describe('what is no run', () => {
  test('has no line: a repeated key, a refusal', async () => {
    const { scheduler, lines, begun, ended, refusals } = scene((_runId, _submission, signal) => aborted(signal), {
      idempotency: 'strict',
    });
    const first = await scheduler.submit(keyed('k'));
    expect((await scheduler.submit(keyed('k'))).run_id).toBe(first.run_id);
    await expect(scheduler.submit(keyed('k', { other: 1 }))).rejects.toThrow('idempotency_key');
    await scheduler.submit(keyed(null));
    await expect(scheduler.submit(keyed(null))).rejects.toThrow('too many');
    scheduler.beginShutdown();
    await expect(scheduler.submit(keyed(null))).rejects.toThrow('shutting down');
    expect(lines('run started')).toHaveLength(2);
    expect([begun.length, ended.map(({ outcome, reason }) => [outcome, reason])]).toEqual([
      4,
      [
        ['not_created', 'repeated'],
        ['not_created', 'refused'],
      ],
    ]);
    expect(refusals).toEqual(['idempotency_conflict', 'too_many_runs', 'stopping']);
    await scheduler.shutdown();
    expect(lines('run ended')).toHaveLength(2);
  });

  test('a store that is away refuses, and that is told once', async () => {
    const store = { ...memoryStore(), create: () => Promise.reject(new StoreUnavailableError()) };
    const { scheduler, refusals, ended, log } = scene(async () => {}, { store });
    await expect(scheduler.submit(submission)).rejects.toThrow('store unavailable');
    expect([refusals, ended.map(({ outcome }) => outcome), log]).toEqual([['store_unavailable'], ['not_created'], []]);
  });
});

test('the reason is one of the list, whatever was thrown', () => {
  expect(reasonOf(new RunTimeoutError(3))).toBe('run_timeout');
  expect(reasonOf(new StoreUnavailableError())).toBe('store_unavailable');
  expect(reasonOf(new ShellctlError('anything-a-server-says', 400, 'x'))).toBe('shellctl');
  expect(reasonOf(Object.assign(new StoreUnavailableError(), { code: 'foreign' }))).toBe('error');
  expect(reasonOf(new TypeError('x'))).toBe('internal');
  expect(reasonOf(undefined)).toBe('internal');
});
