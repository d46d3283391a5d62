// Why a run is aborted: the reason on its signal, which decides how it ends. Whoever aborts makes one of these; runner.ts
// reads it back with abortCause().

import { CodedError } from '../base/errors.ts';
import type { TerminalEvent } from '../protocol/events.ts';
import type { CancelIntent } from './ports.ts';

/** A stop of the process: `run_failed`, reason `shutdown` (spec 01 §7.3 step 4). */
export class ShutdownError extends CodedError {
  constructor() {
    super('shutdown', 'run cancelled during server shutdown');
  }
}

/** An accepted cancel: `run_cancelled` (spec 01 §7.4, V4). */
export class CancelledError extends CodedError {
  readonly intent: CancelIntent;
  constructor(intent: CancelIntent) {
    super('cancelled', 'run cancelled');
    this.intent = intent;
  }
}

/** The run has a terminal event that somebody else wrote: nothing can be written any more. */
export class EndedElsewhereError extends CodedError {
  constructor(runId: string) {
    super('run_over', `run ${runId} is already over`);
  }
}

/** What aborted a run, or null when it was not aborted, or by nothing of these. */
export function abortCause(signal: AbortSignal): ShutdownError | CancelledError | EndedElsewhereError | null {
  const reason: unknown = signal.reason;
  return reason instanceof ShutdownError || reason instanceof CancelledError || reason instanceof EndedElsewhereError
    ? reason
    : null;
}

/** The terminal event of a run that a stop ended. */
export const shutdownEvent: TerminalEvent = {
  type: 'run_failed',
  error: 'run cancelled during server shutdown',
  reason: 'shutdown',
  errorType: null,
  snapshot: null,
  usage: null,
};

/** The terminal event of a cancelled run that left nothing behind. */
export function cancelledEvent({ reason, message }: CancelIntent): Extract<TerminalEvent, { type: 'run_cancelled' }> {
  return { type: 'run_cancelled', reason, message, snapshot: null, usage: null };
}
