// Ends runs in the place of whoever should have: a runner that failed, that ignores its abort, or that was never started.
// Which terminal event such a run gets, and how long it is tried to write it.

import type { Clock } from '../base/clock.ts';
import { errorText } from '../base/errors.ts';
import type { Logger } from '../observe/logger.ts';
import type { TerminalEvent } from '../protocol/events.ts';
import type { Wire } from '../protocol/wire.ts';
import { abortCause, CancelledError, cancelledEvent, EndedElsewhereError, shutdownEvent } from './aborts.ts';
import { StoreUnavailableError } from './errors.ts';
import type { RunStore } from './ports.ts';
import { type RunReason, reasonOf } from './reasons.ts';
import { type EndOutcome, finaliseRun, finishPersistently } from './sink.ts';

/** Writes terminal events. The first of a run wins, so that nothing here can spoil one. No method rejects: null if it failed. */
export interface Ender {
  /** One attempt. */
  end(runId: string, event: TerminalEvent): Promise<EndOutcome | null>;
  /** Tries until the store takes it, or for some seconds once `hurry` was called. */
  endAtLast(runId: string, event: TerminalEvent): Promise<EndOutcome | null>;
  /** The process stops. */
  hurry(): void;
}

export function createEnder(deps: {
  readonly store: RunStore;
  readonly wire: Wire;
  readonly clock: Clock;
  readonly logger: Logger;
}): Ender {
  const { logger } = deps;
  const stop = new AbortController();

  async function attempt(runId: string, work: () => Promise<EndOutcome>): Promise<EndOutcome | null> {
    try {
      return await work();
    } catch (error) {
      logger.error('run could not be finalised', { run_id: runId, error });
      return null;
    }
  }

  return {
    end: (runId, event) => attempt(runId, () => finaliseRun(deps, runId, event)),
    endAtLast(runId, event) {
      const finish = (ending: TerminalEvent) => finaliseRun(deps, runId, ending);
      const onAway = (error: StoreUnavailableError) =>
        logger.warn('the end of the run cannot be stored yet', { run_id: runId, error });
      return attempt(runId, () => finishPersistently({ finish }, event, { signal: stop.signal, onAway }));
    },
    hurry: () => stop.abort(),
  };
}

/** How a run ends. */
export interface Ending {
  readonly event: TerminalEvent;
  /** Why it failed; null: it did not. */
  readonly reason: RunReason | null;
}

/** The end of a run whose runner did not write one; `error`: what it threw. Null: somebody else has ended the run. */
export function endingOf(signal: AbortSignal, error: unknown): Ending | null {
  const cause = abortCause(signal);
  if (cause instanceof EndedElsewhereError) return null;
  if (cause instanceof CancelledError) return { event: cancelledEvent(cause.intent), reason: null };
  if (cause !== null) return { event: shutdownEvent, reason: 'shutdown' };
  const reason = error instanceof StoreUnavailableError ? error.code : null;
  return {
    event: { type: 'run_failed', error: errorText(error), reason, errorType: null, snapshot: null, usage: null },
    reason: reasonOf(error),
  };
}
