// Where one run's events leave for the store: encoded once, appended in order, several in flight (design §3).
// The producer is held back when too many are not yet durable, so a fast model cannot outrun the store.

import { type Clock, rfc3339 } from '../base/clock.ts';
import { NO_PROBE, type Probe, type RunProbe } from '../observe/probe.ts';
import type { AgentStreamEvent, RunEvent, TerminalEvent } from '../protocol/events.ts';
import type { TerminalStatus } from '../protocol/runs.ts';
import type { Wire } from '../protocol/wire.ts';
import { StoreUnavailableError } from './errors.ts';
import type { EndFacts, FinaliseOutcome, RunStore, StoredEvent } from './ports.ts';

/** Events that may be on their way to the store before the producer waits. */
const MAX_IN_FLIGHT = 1024;
/** Characters of payload likewise (4 Mi): an event may be as large as a line of the daemon (8 MiB). */
const MAX_IN_FLIGHT_CHARS = 4 * 1024 * 1024;

const KEPT = { failed: false };
const FAILED = { failed: true };
function nobody(): void {}

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
  /** Ends the run: its terminal event and its status in one step, after everything emitted before. See finaliseRun. */
  finish(event: TerminalEvent): Promise<EndOutcome>;
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

/** What became of an end. The event that was written is not the one that was given when a cancel had been accepted. */
export type EndOutcome =
  | { readonly applied: true; readonly event: StoredEvent; readonly ending: TerminalEvent }
  | Extract<FinaliseOutcome, { applied: false }>;

/**
 * Ends a run, for the runner and for whoever ends a run in its place. An accepted cancel has priority (spec 01 §7.4): the
 * run then ends as cancelled, with what the event has of snapshot and usage. `finaliseLost`: only if its owner is dead.
 */
export async function finaliseRun(
  deps: { readonly store: RunStore; readonly wire: Wire; readonly clock: Clock },
  runId: string,
  event: TerminalEvent,
  how: 'finalise' | 'finaliseLost' = 'finalise',
): Promise<EndOutcome> {
  const { store, wire, clock } = deps;
  const write = async (ending: TerminalEvent): Promise<EndOutcome> => {
    const at = rfc3339(clock.nowMicros());
    const outcome = await store[how](runId, {
      status: STATUS_OF[ending.type],
      updatedAt: at,
      error: recordError(ending),
      facts: factsOf(ending),
      payload: wire.encode(runId, at, ending),
    });
    return outcome.applied ? { ...outcome, ending } : outcome;
  };

  const outcome = await write(event);
  if (outcome.applied || outcome.status !== 'running') return outcome;
  if (event.type !== 'run_cancelled') {
    if (outcome.cancel === null) return outcome;
    const { reason, message } = outcome.cancel;
    return write({ type: 'run_cancelled', reason, message, snapshot: event.snapshot, usage: event.usage });
  }
  if (how === 'finaliseLost') return outcome;
  // The store took the wish and has lost it since (a failover): it is told again, or the run would never end.
  const { reason, message } = event;
  await store.requestCancel(runId, { reason, message, requestedAt: rfc3339(clock.nowMicros()) });
  return write(event);
}

/** What lists and the records of newer vintages tell of an end beside its error. */
function factsOf(event: TerminalEvent): EndFacts {
  return {
    reason: event.type === 'run_succeeded' ? null : event.reason,
    errorType: event.type === 'run_failed' ? event.errorType : null,
    usage: event.usage,
  };
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
  /** Told of every append. Default: nobody. */
  readonly probe?: Pick<Probe, 'store'>;
  /** Told of every batch that is durable. Default: nobody. */
  readonly stored?: RunProbe['stored'];
}): EventSink {
  const { store, wire, clock, runId, probe = NO_PROBE, stored = nobody } = deps;
  let inFlight = 0;
  let charsInFlight = 0;
  let failure: { readonly error: unknown } | null = null;
  let waiting: (() => void)[] = [];

  function settle(count: number, chars: number): void {
    inFlight -= count;
    charsInFlight -= chars;
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  }

  const isFull = () => inFlight >= MAX_IN_FLIGHT || charsInFlight >= MAX_IN_FLIGHT_CHARS;

  /** Waits as long as `busy`. */
  async function drained(busy: () => boolean): Promise<void> {
    while (busy()) await new Promise<void>((resolve) => waiting.push(resolve));
    if (failure !== null) throw failure.error;
  }

  function append(payloads: readonly string[]): void {
    let chars = 0;
    for (const { length } of payloads) chars += length;
    inFlight += payloads.length;
    charsInFlight += chars;
    const since = performance.now();
    const scope = probe.store('append');
    const write = () => store.append(runId, payloads);
    scope.within(write).then(
      (outcome) => {
        scope.end(KEPT);
        if (outcome.appended) stored(payloads.length, chars, performance.now() - since);
        else failure ??= { error: new RunOverError(runId) };
        settle(payloads.length, chars);
      },
      (error: unknown) => {
        scope.end(FAILED);
        failure ??= { error };
        settle(payloads.length, chars);
      },
    );
  }

  async function publish(events: readonly RunEvent[]): Promise<void> {
    if (failure !== null) throw failure.error;
    append(events.map((event) => wire.encode(runId, rfc3339(clock.nowMicros()), event)));
    if (isFull()) await drained(isFull);
  }

  return {
    started: () => publish([{ type: 'run_started' }]),
    emit: (events) => publish(events.map((data) => ({ type: 'pydantic_ai_event', data }))),
    settled: () => drained(() => inFlight > 0),
    async finish(event) {
      const since = performance.now();
      const outcome = await finaliseRun(deps, runId, event);
      if (outcome.applied) stored(1, outcome.event.payload.length, performance.now() - since);
      return outcome;
    },
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
): Promise<EndOutcome> {
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
