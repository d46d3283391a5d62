// A scheduler over a real in-memory SQLite store, with runs whose behaviour a test writes down.

import { rfc3339, systemClock } from '../../src/base/clock.ts';
import { CURSOR_START } from '../../src/base/cursor.ts';
import { type Logger, noopLogger } from '../../src/observe/logger.ts';
import { NO_PROBE } from '../../src/observe/probe.ts';
import type { CreateRunRequest } from '../../src/protocol/runs.ts';
import { createWire } from '../../src/protocol/wire.ts';
import type { RunStore } from '../../src/runs/ports.ts';
import { createReporter } from '../../src/runs/reporter.ts';
import { createScheduler, type RunFunction, type Scheduler, type SchedulerDeps } from '../../src/runs/scheduler.ts';
import { createEventSink, type EventSink } from '../../src/runs/sink.ts';
import type { Submission } from '../../src/runs/submission.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';

export const clock = systemClock();
export const wire = createWire('2026-06');
const seedWire = wire;

export const request: CreateRunRequest = {
  composition: { schema_version: 1, layers: [] },
  purpose: 'workflow_node',
  idempotency_key: null,
  metadata: {},
  session_snapshot: null,
  deferred_tool_results: null,
  on_exit: { default: 'suspend', layers: {} },
};

export const submission: Submission = { request, snapshotPolicy: 'reject' };

/** A submission that carries a key, and something by which it differs from others. */
export function keyed(key: string | null, metadata: CreateRunRequest['metadata'] = {}): Submission {
  return { ...submission, request: { ...request, idempotency_key: key, metadata } };
}

/** An in-memory store; its runs expire in an hour. */
export function memoryStore(): RunStore {
  return openSqliteStore({ path: ':memory:', retentionSeconds: 3600, clock, logger: noopLogger });
}

export interface Scene {
  readonly scheduler: Scheduler;
  readonly store: RunStore;
  sinkOf(runId: string): EventSink;
  types(runId: string): Promise<string[]>;
  failure(runId: string): Promise<unknown>;
}

/** What a test may have otherwise. */
export interface SceneOptions
  extends Partial<
    Pick<
      SchedulerDeps,
      'store' | 'wire' | 'logger' | 'maxActiveRuns' | 'idempotency' | 'abortBoundMs' | 'cancelBoundMs'
    >
  > {
  readonly graceSeconds?: number;
}

/** A scheduler that runs `run` for every request. */
export function scene(
  run: (runId: string, sink: EventSink, signal: AbortSignal) => Promise<void>,
  options: SceneOptions = {},
): Scene {
  const { store = memoryStore(), wire = seedWire, logger = noopLogger } = options;
  const sinkOf = (runId: string) => createEventSink({ store, wire, clock, runId });
  const runFunction: RunFunction = (runId, _submission, signal) => run(runId, sinkOf(runId), signal);
  const scheduler = createScheduler({
    store,
    wire,
    clock,
    logger,
    run: runFunction,
    maxActiveRuns: 1_000,
    idempotency: 'on',
    ...options,
    shutdownGraceSeconds: options.graceSeconds ?? 30,
  });
  const payloads = async (runId: string) =>
    (await store.readEvents(runId, CURSOR_START, 500)).map(({ payload }) => JSON.parse(payload));
  return {
    scheduler,
    store,
    sinkOf,
    types: async (runId) => (await payloads(runId)).map(({ type }) => type),
    failure: async (runId) => (await payloads(runId)).at(-1)?.data,
  };
}

/** Tells the log alone of a run. */
export const reporterOf = (runId: string, submission: Submission, logger: Logger = noopLogger) =>
  createReporter({ probe: NO_PROBE, logger }, runId, submission.request);

/** A terminal event of each kind. */
export const succeeded = (output = 'done') =>
  ({
    type: 'run_succeeded',
    snapshot: { schema_version: 1, layers: [] },
    result: { output },
    usage: null,
  }) as const;

export const failed = (error: string) =>
  ({ type: 'run_failed', error, reason: null, errorType: null, snapshot: null, usage: null }) as const;

/** RFC 3339 of now. */
export const now = () => rfc3339(clock.nowMicros());

/** Rejects with the signal's reason when it aborts. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
