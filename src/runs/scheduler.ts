// Accepts runs, keeps them while they live, aborts them when they are cancelled, and ends them when the process stops
// (spec 01 §7.1–§7.4). A stop reads as a story: admit no more, wait, abort the rest, make sure that each has its terminal event.

import { type Clock, rfc3339 } from '../base/clock.ts';
import { newRunId } from '../base/ids.ts';
import type { Logger } from '../observe/logger.ts';
import type { CancelRunRequest, RunRecord } from '../protocol/runs.ts';
import type { Wire } from '../protocol/wire.ts';
import { CancelledError, cancelledEvent, EndedElsewhereError, ShutdownError, shutdownEvent } from './aborts.ts';
import { createEnder, endingOf } from './endings.ts';
import { IdempotencyConflictError, SchedulerStoppingError, TooManyRunsError } from './errors.ts';
import { deduplicationOf, type IdempotencyMode } from './idempotency.ts';
import type { CancelIntent, CancelOutcome, RunStore } from './ports.ts';
import type { Submission } from './submission.ts';

/** How long runs that a stop aborted may take to exit their layers before they are finalised over their heads, in ms. */
export const ABORT_BOUND_MS = 5_000;
/**
 * The same for a cancelled run, in ms. Longer, because nobody waits for the process: what the layers still do (their
 * clean-up is bounded itself) is worth a snapshot in the terminal event.
 */
export const CANCEL_BOUND_MS = 30_000;

/**
 * Executes one run to its terminal event. Resolves in every case that it can handle; when it rejects, the scheduler ends
 * the run. The signal aborts it, with a reason of aborts.ts; it may be aborted from the beginning.
 */
export type RunFunction = (runId: string, submission: Submission, signal: AbortSignal) => Promise<void>;

export interface SchedulerDeps {
  /** The scheduler becomes its watcher. */
  readonly store: RunStore;
  readonly wire: Wire;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly run: RunFunction;
  /** Runs that are executed or being created at once, ≥ 1; more are refused. */
  readonly maxActiveRuns: number;
  readonly idempotency: IdempotencyMode;
  /** Seconds; zero or less: running runs are aborted at once. */
  readonly shutdownGraceSeconds: number;
  /** Default ABORT_BOUND_MS. */
  readonly abortBoundMs?: number;
  /** Default CANCEL_BOUND_MS. */
  readonly cancelBoundMs?: number;
}

export interface Scheduler {
  /**
   * Accepts a run: its record is durable when this resolves. A repeated `idempotency_key` yields the run that was created
   * for it before, as it is now. Throws SchedulerStoppingError, TooManyRunsError, IdempotencyConflictError,
   * StoreUnavailableError.
   */
  submit(submission: Submission): Promise<RunRecord>;
  /**
   * Asks for the end of a run, whichever process executes it: the wish is durable when this resolves, `run_cancelled`
   * follows when the run has stopped (spec 01 §7.4, V4). Throws StoreUnavailableError.
   */
  cancel(runId: string, request: CancelRunRequest): Promise<CancelOutcome>;
  /** Runs of this process that are being created or not over yet. */
  readonly activeCount: number;
  /** From now on `submit` is refused; everything else goes on. */
  beginShutdown(): void;
  /** Stops: waits the grace (or until `hurry` aborts), aborts the rest and finalises them. Resolves when no run is left. */
  shutdown(hurry?: AbortSignal): Promise<void>;
}

interface ActiveRun {
  readonly abort: AbortController;
  /** Its execution; null while its record is being created. Never rejects. */
  done: Promise<void> | null;
  /** Ends it over its head when it ignores its cancel. */
  overdue: ReturnType<typeof setTimeout> | undefined;
}

export function createScheduler(deps: SchedulerDeps): Scheduler {
  const { store, clock, logger, maxActiveRuns, abortBoundMs = ABORT_BOUND_MS, cancelBoundMs = CANCEL_BOUND_MS } = deps;
  const active = new Map<string, ActiveRun>();
  const creating = new Set<Promise<unknown>>();
  const ender = createEnder(deps);
  let stopping = false;
  /** The last run was seen to: nobody would look after another one. */
  let over = false;

  store.watchOwn({
    cancelRequested,
    endedElsewhere(runId) {
      active.get(runId)?.abort.abort(new EndedElsewhereError(runId));
    },
  });

  function cancelRequested(runId: string, intent: CancelIntent): void {
    const run = active.get(runId);
    if (run === undefined || run.abort.signal.aborted) return;
    run.overdue = setTimeout(() => {
      logger.error('run ignored its cancel and is finalised without it', { run_id: runId });
      void ender.endAtLast(runId, cancelledEvent(intent));
    }, cancelBoundMs);
    run.abort.abort(new CancelledError(intent));
  }

  async function create(submission: Submission): Promise<RunRecord> {
    const runId = newRunId();
    const run: ActiveRun = { abort: new AbortController(), done: null, overdue: undefined };
    // Before its record exists: it counts, and a cancel that comes as soon as the record is there finds it.
    active.set(runId, run);
    try {
      const record = newRecord(runId);
      const outcome = await store.create(record, deduplicationOf(submission, deps.idempotency));
      if (!outcome.created) {
        if (outcome.existing === null) throw new IdempotencyConflictError();
        return outcome.existing;
      }
      if (over) {
        // A store so slow that the stop did not wait for it. The caller is told that the run was not taken.
        await ender.end(runId, shutdownEvent);
        throw new SchedulerStoppingError();
      }
      run.done = execute(runId, submission, run);
      return record;
    } finally {
      if (run.done === null) forget(runId, run);
    }
  }

  function newRecord(runId: string): RunRecord {
    const createdAt = rfc3339(clock.nowMicros());
    const updatedAt = rfc3339(clock.nowMicros());
    return { run_id: runId, status: 'running', created_at: createdAt, updated_at: updatedAt, error: null };
  }

  /** Never rejects. */
  async function execute(runId: string, submission: Submission, run: ActiveRun): Promise<void> {
    try {
      await deps.run(runId, submission, run.abort.signal);
    } catch (error) {
      logger.error('scheduled run failed', { run_id: runId, error });
      await ender.endAtLast(runId, endingOf(run.abort.signal, error));
    } finally {
      forget(runId, run);
    }
  }

  function forget(runId: string, run: ActiveRun): void {
    clearTimeout(run.overdue);
    active.delete(runId);
  }

  async function finaliseLeftOver(runId: string, run: ActiveRun): Promise<void> {
    clearTimeout(run.overdue);
    logger.error('run ignored its abort and is finalised without it', { run_id: runId });
    await ender.end(runId, endingOf(run.abort.signal, null));
  }

  return {
    async submit(submission) {
      if (stopping) throw new SchedulerStoppingError();
      if (active.size >= maxActiveRuns) throw new TooManyRunsError(maxActiveRuns);
      const created = create(submission);
      creating.add(created);
      try {
        return await created;
      } finally {
        creating.delete(created);
      }
    },
    cancel(runId, { reason, message }) {
      const requestedAt = rfc3339(clock.nowMicros());
      // What the event and the record will say, of which no half of a surrogate pair can be printed.
      const text = (value: string | null) => value?.toWellFormed() ?? null;
      return store.requestCancel(runId, { reason: text(reason), message: text(message), requestedAt });
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
        ender.hurry();
        await within(abortBoundMs, allDone(active));
      }
      over = true;
      const left = [...active].filter(([, run]) => run.done !== null);
      await within(abortBoundMs, Promise.all(left.map(([runId, run]) => finaliseLeftOver(runId, run))));
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
