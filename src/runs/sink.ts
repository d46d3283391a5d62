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
  /** Publishes stream events. Resolves when few enough are in flight; rejects when the run was ended elsewhere or the store is away. */
  emit(events: readonly AgentStreamEvent[]): Promise<void>;
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

/** `RunStatusResponse.error` (spec 01 §1.5). */
function recordError(event: TerminalEvent): string | null {
  if (event.type === 'run_failed') return event.error;
  if (event.type === 'run_cancelled') return event.message ?? event.reason;
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
  let wake: (() => void) | null = null;

  function settle(count: number): void {
    inFlight -= count;
    wake?.();
    wake = null;
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
    while (inFlight >= MAX_IN_FLIGHT) await new Promise<void>((resolve) => (wake = resolve));
  }

  return {
    started: () => publish([{ type: 'run_started' }]),
    emit: (events) => publish(events.map((data) => ({ type: 'pydantic_ai_event', data }))),
    finish: (event) => finaliseRun(deps, runId, event),
  };
}

/** Delays between attempts to end a run whose store is away, in ms: about half a minute in all. */
const FINISH_RETRY_MS = [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800] as const;

/**
 * Ends a run; tries again while the store is away, so that a passing outage does not leave it `running`. Trying again is
 * safe: the first terminal wins. Throws the last StoreUnavailableError.
 */
export async function finishPersistently(sink: EventSink, event: TerminalEvent): Promise<FinaliseOutcome> {
  for (const delay of FINISH_RETRY_MS) {
    try {
      return await sink.finish(event);
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error;
      await new Promise((resolve) => setTimeout(resolve, delay));
    }
  }
  return sink.finish(event);
}
