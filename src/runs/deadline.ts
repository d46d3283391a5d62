// How long the agent of a run may work (spec 02 §12.4), and how long work may go on that was told to stop. Entering and
// exiting layers is not under the deadline: the compositor bounds exits, peers have time-outs of their own.

import { CodedError } from '../base/errors.ts';
import { limitSignal, untilAbandoned } from '../base/waiting.ts';

/**
 * How long an agent may take to stop after the abort, ms. Ours stop at once; a tool that ignores its signal is left behind
 * so that the run can end. Shorter than what the scheduler gives a run that it aborts (ABORT_BOUND_MS).
 */
export const STOP_GRACE_MS = 3_000;

/** The agent worked for longer than it may. */
export class RunTimeoutError extends CodedError {
  constructor(seconds: number) {
    super('run_timeout', `Agent run exceeded the configured limit of ${percentG(seconds)} seconds`);
  }
}

/** Settings of `withinDeadline`. */
export interface DeadlineOptions {
  /** Null: no deadline. */
  readonly seconds: number | null;
  /** The run's own signal. */
  readonly signal: AbortSignal;
  /** Milliseconds that the work may take to stop after the abort; then it is left behind. */
  readonly stopGraceMs: number;
}

/**
 * Runs work with a signal that aborts with the run's, or when the time is over. Rejects with RunTimeoutError when it was the
 * time; whatever the work throws before is its own, a result that it still has counts.
 */
export async function withinDeadline<T>(
  { seconds, signal, stopGraceMs }: DeadlineOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limited = limitSignal(signal, seconds, (limit) => new RunTimeoutError(limit));
  try {
    return await untilAbandoned(work(limited.signal), limited.signal, stopGraceMs);
  } catch (error) {
    const { reason } = limited.signal;
    throw reason instanceof RunTimeoutError ? reason : error;
  } finally {
    limited.end();
  }
}

/** C's `%g`: six significant digits, without trailing zeros. */
export function percentG(value: number): string {
  const [digits = '', power = '0'] = value.toExponential(5).split('e');
  const exponent = Number(power);
  if (exponent >= -4 && exponent < 6) return withoutZeros(value.toFixed(5 - exponent));
  const sign = exponent < 0 ? '-' : '+';
  return `${withoutZeros(digits)}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

function withoutZeros(digits: string): string {
  return digits.includes('.') ? digits.replace(/\.?0+$/, '') : digits;
}
