// Accepts runs, keeps them while they live, and ends them when the process stops (spec 01 §7.1–§7.3). A stop reads as a
// story: admit no more, wait, abort the rest, make sure that each has its terminal event.

import { type Clock, rfc3339 } from '../base/clock.ts';
import { errorText } from '../base/errors.ts';
import { newRunId } from '../base/ids.ts';
import type { Logger } from '../observe/logger.ts';
import type { TerminalEvent } from '../protocol/events.ts';
import type { CreateRunRequest, RunRecord } from '../protocol/runs.ts';
import type { Wire } from '../protocol/wire.ts';
import { SchedulerStoppingError } from './errors.ts';
import type { RunStore } from './ports.ts';
import { finaliseRun } from './sink.ts';

/** How long aborted runs may take to exit their layers before they are finalised over their heads, in ms. */
export const ABORT_BOUND_MS = 5_000;

/**
 * Executes one run to its terminal event. Resolves in every case that it can handle; when it rejects, the scheduler ends
 * the run. The signal aborts it.
 */
export type RunFunction = (runId: string, request: CreateRunRequest, signal: AbortSignal) => Promise<void>;

export interface SchedulerDeps {
  readonly store: RunStore;
  readonly wire: Wire;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly run: RunFunction;
  /** Seconds; zero or less: running runs are aborted at once. */
  readonly shutdownGraceSeconds: number;
  /** Default ABORT_BOUND_MS. */
  readonly abortBoundMs?: number;
}

export interface Scheduler {
  /** Accepts a run: its record is durable when this resolves. Throws SchedulerStoppingError, StoreUnavailableError. */
  submit(request: CreateRunRequest): Promise<RunRecord>;
  /** Runs of this process that are not over yet. */
  readonly activeCount: number;
  /** From now on `submit` is refused; everything else goes on. */
  beginShutdown(): void;
  /** Stops: waits the grace (or until `hurry` aborts), aborts the rest and finalises them. Resolves when no run is left. */
  shutdown(hurry?: AbortSignal): Promise<void>;
}

/** The reason on the signal of a run that is aborted by a stop. */
export class ShutdownError extends Error {
  constructor() {
    super('run cancelled during server shutdown');
    this.name = 'ShutdownError';
  }
}

/** The terminal event of a run that a stop ended (spec 01 §7.3 step 4). */
export const shutdownEvent: TerminalEvent = {
  type: 'run_failed',
  error: 'run cancelled during server shutdown',
  reason: 'shutdown',
  errorType: null,
  snapshot: null,
  usage: null,
};

interface ActiveRun {
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

export function createScheduler(deps: SchedulerDeps): Scheduler {
  const { store, clock, logger, abortBoundMs = ABORT_BOUND_MS } = deps;
  const active = new Map<string, ActiveRun>();
  const creating = new Set<Promise<unknown>>();
  let stopping = false;
  /** The last run was seen to: nobody would look after another one. */
  let over = false;

  async function create(request: CreateRunRequest): Promise<RunRecord> {
    const runId = newRunId();
    const createdAt = rfc3339(clock.nowMicros());
    const record: RunRecord = {
      run_id: runId,
      status: 'running',
      created_at: createdAt,
      updated_at: rfc3339(clock.nowMicros()),
      error: null,
    };
    await store.create(record);
    if (over) {
      // A store so slow that the stop did not wait for it. The caller is told that the run was not taken.
      await finaliseInstead(runId, shutdownEvent);
      throw new SchedulerStoppingError();
    }
    const abort = new AbortController();
    active.set(runId, { abort, done: execute(runId, request, abort.signal) });
    return record;
  }

  /** Never rejects. */
  async function execute(runId: string, request: CreateRunRequest, signal: AbortSignal): Promise<void> {
    try {
      await deps.run(runId, request, signal);
    } catch (error) {
      logger.error('scheduled run failed', { run_id: runId, error });
      const texts = { error: errorText(error), reason: null };
      await finaliseInstead(runId, { type: 'run_failed', ...texts, errorType: null, snapshot: null, usage: null });
    } finally {
      active.delete(runId);
    }
  }

  /** Ends a run in the place of whoever should have. The first terminal event wins. Never rejects. */
  async function finaliseInstead(runId: string, event: TerminalEvent): Promise<void> {
    try {
      await finaliseRun(deps, runId, event);
    } catch (error) {
      logger.error('run could not be finalised', { run_id: runId, error });
    }
  }

  function finaliseLeftOver(runId: string): Promise<void> {
    logger.error('run ignored its abort and is finalised without it', { run_id: runId });
    return finaliseInstead(runId, shutdownEvent);
  }

  return {
    async submit(request) {
      if (stopping) throw new SchedulerStoppingError();
      const created = create(request);
      creating.add(created);
      try {
        return await created;
      } finally {
        creating.delete(created);
      }
    },
    get activeCount() {
      return active.size;
    },
    beginShutdown() {
      stopping = true;
    },
    async shutdown(hurry) {
      stopping = true;
      // What was let in is started first, so that nothing accepted is lost.
      await within(abortBoundMs, Promise.allSettled(creating));
      await within(deps.shutdownGraceSeconds * 1000, allDone(active), hurry);
      if (active.size > 0) {
        logger.warn('grace is over, aborting runs', { runs: active.size });
        for (const run of active.values()) run.abort.abort(new ShutdownError());
        await within(abortBoundMs, allDone(active));
      }
      over = true;
      await within(abortBoundMs, Promise.all([...active.keys()].map(finaliseLeftOver)));
    },
  };
}

function allDone(active: ReadonlyMap<string, ActiveRun>): Promise<unknown> {
  return Promise.all([...active.values()].map((run) => run.done));
}

/** Waits for `work`, at most `ms`, or until `hurry` aborts. */
async function within(ms: number, work: Promise<unknown>, hurry?: AbortSignal): Promise<void> {
  if (ms <= 0 || hurry?.aborted === true) {
    // Let what is already finished settle, so that a run that is over is not counted as left.
    await Promise.race([work, new Promise((resolve) => setImmediate(resolve))]);
    return;
  }
  const limit = Promise.withResolvers<void>();
  const timer = setTimeout(limit.resolve, Math.min(ms, 2 ** 31 - 1));
  const stop = () => limit.resolve();
  hurry?.addEventListener('abort', stop, { once: true });
  await Promise.race([work, limit.promise]);
  clearTimeout(timer);
  hurry?.removeEventListener('abort', stop);
}
