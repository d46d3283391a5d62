// Where one run's events leave for the store: encoded once, appended in order, several in flight (design §3).
// The producer is held back when too many are not yet durable, so a fast model cannot outrun the store.

import { type Clock, rfc3339 } from '../base/clock.ts';
import type { AgentStreamEvent, RunEvent, TerminalEvent } from '../protocol/events.ts';
import type { TerminalStatus } from '../protocol/runs.ts';
import type { Wire } from '../protocol/wire.ts';
import { StoreUnavailableError } from './errors.ts';
import type { FinaliseOutcome, RunStore } from './ports.ts';

/** Events that may be on their way to the store before the producer waits. */
const MAX_IN_FLIGHT = 1024;

/** One run's way out. Nothing can be emitted after `finish`. */
export interface EventSink {
  started(): Promise<void>;
  /**
   * Publishes stream events. Resolves when few enough are in flight; rejects when the run was ended elsewhere or the store
   * is away. May be called again before it has resolved.
   */
  emit(events: readonly AgentStreamEvent[]): Promise<void>;
  /** Resolves when everything emitted is durable; rejects like `emit`. A run with a hole in its events has not succeeded. */
  settled(): Promise<void>;
  /** Ends the run: its terminal event and its status in one step, after everything emitted before. */
  finish(event: TerminalEvent): Promise<FinaliseOutcome>;
}

/** Thrown to a producer whose run already has a terminal event. */
export class RunOverError extends Error {
  constructor(runId: string) {
    super(`run ${runId} is already over`);
    this.name = 'RunOverError';
  }
}

const STATUS_OF = {
  run_succeeded: 'succeeded',
  run_failed: 'failed',
  run_cancelled: 'cancelled',
} as const satisfies Record<TerminalEvent['type'], TerminalStatus>;

/** Builds the terminal step of a run, for the runner and for whoever ends a run in its place. */
export function finaliseRun(
  deps: { readonly store: RunStore; readonly wire: Wire; readonly clock: Clock },
  runId: string,
  event: TerminalEvent,
): Promise<FinaliseOutcome> {
  const at = rfc3339(deps.clock.nowMicros());
  return deps.store.finalise(runId, {
    status: STATUS_OF[event.type],
    updatedAt: at,
    error: recordError(event),
    payload: deps.wire.encode(runId, at, event),
  });
}

/** `RunStatusResponse.error` (spec 01 §1.5): the same text as in the event, whose encoder lets no lone surrogate through. */
function recordError(event: TerminalEvent): string | null {
  if (event.type === 'run_failed') return event.error.toWellFormed();
  if (event.type === 'run_cancelled') return (event.message ?? event.reason)?.toWellFormed() ?? null;
  return null;
}

export function createEventSink(deps: {
  readonly store: RunStore;
  readonly wire: Wire;
  readonly clock: Clock;
  readonly runId: string;
}): EventSink {
  const { store, wire, clock, runId } = deps;
  let inFlight = 0;
  let failure: { readonly error: unknown } | null = null;
  let waiting: (() => void)[] = [];

  function settle(count: number): void {
    inFlight -= count;
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  }

  /** Waits until fewer than `limit` events are in flight. */
  async function drained(limit: number): Promise<void> {
    while (inFlight >= limit) await new Promise<void>((resolve) => waiting.push(resolve));
    if (failure !== null) throw failure.error;
  }

  function append(payloads: readonly string[]): void {
    inFlight += payloads.length;
    store.append(runId, payloads).then(
      (outcome) => {
        if (!outcome.appended) failure ??= { error: new RunOverError(runId) };
        settle(payloads.length);
      },
      (error: unknown) => {
        failure ??= { error };
        settle(payloads.length);
      },
    );
  }

  async function publish(events: readonly RunEvent[]): Promise<void> {
    if (failure !== null) throw failure.error;
    append(events.map((event) => wire.encode(runId, rfc3339(clock.nowMicros()), event)));
    if (inFlight >= MAX_IN_FLIGHT) await drained(MAX_IN_FLIGHT);
  }

  return {
    started: () => publish([{ type: 'run_started' }]),
    emit: (events) => publish(events.map((data) => ({ type: 'pydantic_ai_event', data }))),
    settled: () => drained(1),
    finish: (event) => finaliseRun(deps, runId, event),
  };
}

/** Before the first further attempt to end a run whose store is away, in ms; doubles from attempt to attempt … */
const FIRST_RETRY_MS = 50;
/** … up to this. */
const MAX_RETRY_MS = 12_800;
/** Further attempts once the run is aborted: about six seconds, more than the scheduler waits for it. */
const ATTEMPTS_AFTER_ABORT = 7;

/**
 * Ends a run; tries again while the store is away, until it is back or the server stops (`signal`), so that no outage
 * leaves a run `running`. Trying again is safe: the first terminal wins. Throws the last StoreUnavailableError.
 */
export async function finishPersistently(
  sink: Pick<EventSink, 'finish'>,
  event: TerminalEvent,
  { signal, onAway }: { readonly signal: AbortSignal; readonly onAway: (error: StoreUnavailableError) => void },
): Promise<FinaliseOutcome> {
  let aborted = signal.aborted;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await sink.finish(event);
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error;
      if (attempt === 0) onAway(error);
      if (signal.aborted && !aborted) [aborted, attempt] = [true, 0];
      if (aborted && attempt >= ATTEMPTS_AFTER_ABORT) throw error;
      await pause(Math.min(FIRST_RETRY_MS * 2 ** attempt, MAX_RETRY_MS), aborted ? null : signal);
    }
  }
}

/** Waits; the signal ends it early. */
async function pause(ms: number, signal: AbortSignal | null): Promise<void> {
  const over = Promise.withResolvers<void>();
  const stop = () => over.resolve();
  const timer = setTimeout(stop, ms);
  signal?.addEventListener('abort', stop, { once: true });
  await over.promise;
  clearTimeout(timer);
  signal?.removeEventListener('abort', stop);
}
