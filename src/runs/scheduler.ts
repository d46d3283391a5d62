// Accepts runs, keeps them while they live, aborts them when they are cancelled, and ends them when the process stops
// (spec 01 §7.1–§7.4). A stop reads as a story: admit no more, wait, abort the rest, make sure that each has its terminal event.

import { type Clock, rfc3339 } from '../base/clock.ts';
import { newRunId } from '../base/ids.ts';
import type { Logger } from '../observe/logger.ts';
import { NO_PROBE, type Probe, type Refusal } from '../observe/probe.ts';
import type { TerminalEvent } from '../protocol/events.ts';
import type { CancelRunRequest, RunRecord } from '../protocol/runs.ts';
import type { Wire } from '../protocol/wire.ts';
import { CancelledError, cancelledEvent, EndedElsewhereError, ShutdownError, shutdownEvent } from './aborts.ts';
import { createEnder, endingOf } from './endings.ts';
import { IdempotencyConflictError, SchedulerStoppingError, StoreUnavailableError, TooManyRunsError } from './errors.ts';
import { deduplicationOf, type IdempotencyMode } from './idempotency.ts';
import type { CancelIntent, CancelOutcome, CreationFinder, RunStore } from './ports.ts';
import type { RunReason } from './reasons.ts';
import { createReporter, type RunReporter } from './reporter.ts';
import type { EndOutcome } from './sink.ts';
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
 * the run. The signal aborts it, with a reason of aborts.ts; it may be aborted from the beginning. The reporter is told how the
 * run ended by whoever ends it.
 */
export type RunFunction = (
  runId: string,
  submission: Submission,
  signal: AbortSignal,
  reporter: RunReporter,
) => Promise<void>;

export interface SchedulerDeps {
  /** The scheduler becomes its watcher. Without a finder, a repeated key is refused like anything else at the limit. */
  readonly store: RunStore & Partial<CreationFinder>;
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
  /** Default: nobody listens. */
  readonly probe?: Probe;
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
  /** No run is taken any more. */
  readonly isStopping: boolean;
  /** From now on `submit` is refused; everything else goes on. */
  beginShutdown(): void;
  /** Stops: waits the grace (or until `hurry` aborts), aborts the rest and finalises them. Resolves when no run is left. */
  shutdown(hurry?: AbortSignal): Promise<void>;
}

interface ActiveRun {
  readonly abort: AbortController;
  readonly reporter: RunReporter;
  /** Its execution; null while its record is being created. Never rejects. */
  done: Promise<void> | null;
  /** Ends it over its head when it ignores its cancel. */
  overdue: ReturnType<typeof setTimeout> | undefined;
}

export function createScheduler(deps: SchedulerDeps): Scheduler {
  const { store, clock, logger, maxActiveRuns, abortBoundMs = ABORT_BOUND_MS, cancelBoundMs = CANCEL_BOUND_MS } = deps;
  const { probe = NO_PROBE } = deps;
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
      void endOverdue(runId, run, cancelledEvent(intent));
    }, cancelBoundMs);
    run.abort.abort(new CancelledError(intent));
  }

  async function create(submission: Submission): Promise<RunRecord> {
    const runId = newRunId();
    const reporter = createReporter({ probe, logger }, runId, submission.request);
    const run: ActiveRun = { abort: new AbortController(), reporter, done: null, overdue: undefined };
    // Before its record exists: it counts, and a cancel that comes as soon as the record is there finds it.
    active.set(runId, run);
    let repeated = false;
    try {
      const record = newRecord(runId);
      const deduplication = deduplicationOf(submission, deps.idempotency);
      const { composition } = submission.request;
      const outcome = await reporter.within(() => store.create(record, deduplication, composition));
      if (!outcome.created) {
        if (outcome.existing === null) throw new IdempotencyConflictError();
        repeated = true;
        return outcome.existing;
      }
      if (over) {
        // A store so slow that the stop did not wait for it. The caller is told that the run was not taken.
        await ender.end(runId, shutdownEvent);
        throw new SchedulerStoppingError();
      }
      reporter.started();
      run.done = reporter.within(() => execute(runId, submission, run));
      return record;
    } finally {
      if (run.done === null) {
        reporter.dropped(repeated ? 'repeated' : 'refused');
        forget(runId, run);
      }
    }
  }

  /** What a submission that is one too many stands for, if it was made before. */
  async function earlier(submission: Submission): Promise<RunRecord> {
    const deduplication = deduplicationOf(submission, deps.idempotency);
    const found = deduplication === null ? null : ((await store.findCreated?.(deduplication)) ?? null);
    if (found === null) throw new TooManyRunsError(maxActiveRuns);
    if (found.existing === null) throw new IdempotencyConflictError();
    return found.existing;
  }

  /** Tells, and gives the error back to be thrown. */
  function refused<E>(reason: Refusal, error: E): E {
    probe.refused(reason);
    return error;
  }

  function newRecord(runId: string): RunRecord {
    const createdAt = rfc3339(clock.nowMicros());
    const updatedAt = rfc3339(clock.nowMicros());
    return { run_id: runId, status: 'running', created_at: createdAt, updated_at: updatedAt, error: null };
  }

  /** Never rejects. */
  async function execute(runId: string, submission: Submission, run: ActiveRun): Promise<void> {
    try {
      await deps.run(runId, submission, run.abort.signal, run.reporter);
    } catch (error) {
      logger.error('scheduled run failed', { run_id: runId, error });
      const ending = endingOf(run.abort.signal, error);
      const since = performance.now();
      const outcome = ending && (await ender.endAtLast(runId, ending.event));
      written(run, outcome, ending?.reason ?? null, since);
      if (ending !== null && outcome === null) run.reporter.ended(null, 'unwritten');
    } finally {
      run.reporter.ended(null, null); // unless it was told
      forget(runId, run);
    }
  }

  async function endOverdue(runId: string, run: ActiveRun, event: TerminalEvent): Promise<void> {
    const since = performance.now();
    written(run, await ender.endAtLast(runId, event), null, since);
  }

  /** Tells of an end that was written in the runner's place; one that was refused is somebody else's to tell. */
  function written({ reporter }: ActiveRun, outcome: EndOutcome | null, reason: RunReason | null, since: number): void {
    if (outcome?.applied !== true) return;
    reporter.stored(1, outcome.event.payload.length, performance.now() - since);
    reporter.ended(outcome.ending, reason);
  }

  function forget(runId: string, run: ActiveRun): void {
    clearTimeout(run.overdue);
    active.delete(runId);
  }

  async function finaliseLeftOver(runId: string, run: ActiveRun): Promise<void> {
    clearTimeout(run.overdue);
    logger.error('run ignored its abort and is finalised without it', { run_id: runId });
    const ending = endingOf(run.abort.signal, null);
    const since = performance.now();
    if (ending !== null) written(run, await ender.end(runId, ending.event), ending.reason, since);
  }

  return {
    async submit(submission) {
      if (stopping) throw refused('stopping', new SchedulerStoppingError());
      const created = active.size < maxActiveRuns ? create(submission) : earlier(submission);
      creating.add(created);
      try {
        return await created;
      } catch (error) {
        const reason = refusalOf(error);
        throw reason === null ? error : refused(reason, error);
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
    get isStopping() {
      return stopping;
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
      // The process ends before they could say anything.
      for (const [, run] of left) run.reporter.ended(null, 'unwritten');
    },
  };
}

/** Why a creation was refused; null: it failed otherwise. */
function refusalOf(error: unknown): Refusal | null {
  if (error instanceof IdempotencyConflictError) return 'idempotency_conflict';
  if (error instanceof TooManyRunsError) return 'too_many_runs';
  if (error instanceof StoreUnavailableError) return 'store_unavailable';
  return error instanceof SchedulerStoppingError ? 'stopping' : null;
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
