// One signal for an abort and a deadline, and the pauses between tries.

import { DifyAgentTimeoutError } from '../client/errors.ts';

/** The longest timer that there is, ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface Limit {
  /** Aborts with the given signal's reason, or with DifyAgentTimeoutError. */
  readonly signal: AbortSignal;
  /** Stops the timer. */
  clear(): void;
}

/** `what`: in the message of the time-out. */
export function limitOf(what: string, given: AbortSignal | undefined, ms: number | undefined): Limit {
  const abort = new AbortController();
  const onAbort = () => abort.abort(given?.reason);
  const onDeadline = () => abort.abort(new DifyAgentTimeoutError(`${what} timed out`));
  const timer =
    ms === undefined || ms === Number.POSITIVE_INFINITY
      ? undefined
      : setTimeout(onDeadline, Math.min(ms, MAX_TIMER_MS));
  if (given?.aborted === true) onAbort();
  given?.addEventListener('abort', onAbort, { once: true });
  return {
    signal: abort.signal,
    clear() {
      clearTimeout(timer);
      given?.removeEventListener('abort', onAbort);
    },
  };
}

/** A doubling pause with jitter: between half of it and all. `failures`: 1 for the first. */
export function backoff(failures: number, firstMs: number, maxMs: number): number {
  const longest = Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 30));
  return longest / 2 + (Math.random() * longest) / 2;
}
