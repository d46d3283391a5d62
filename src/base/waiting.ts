// Waiting with an end: for work that must be over by a time, and for work that was told to stop.

/** Gives a task a signal that aborts after `timeoutMs` with `error`; rejects with it then, whatever the task does. */
export async function within<T>(
  timeoutMs: number,
  error: Error,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const expired = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    controller.abort(error);
    expired.reject(error);
  }, timeoutMs);
  try {
    return await Promise.race([task(controller.signal), expired.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits for work that was given the signal. Work that is not over `graceMs` after the abort is left behind: this then
 * rejects with the signal's reason.
 */
export async function untilAbandoned<T>(work: Promise<T>, signal: AbortSignal, graceMs: number): Promise<T> {
  const abandoned = Promise.withResolvers<never>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const onAbort = () => {
    timer = setTimeout(() => abandoned.reject(signal.reason), graceMs);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, abandoned.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

/** A signal with a time limit of its own. */
export interface LimitedSignal {
  readonly signal: AbortSignal;
  /** Calls the limit off. To be called when the work is over. */
  end(): void;
}

/** A signal that aborts with the given one, or after `seconds` with what `timedOut` makes. Null: the given one, at no cost. */
export function limitSignal(
  signal: AbortSignal,
  seconds: number | null,
  timedOut: (seconds: number) => Error,
): LimitedSignal {
  if (seconds === null) return { signal, end: () => {} };
  const controller = new AbortController();
  const onAbort = () => controller.abort(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => controller.abort(timedOut(seconds)), Math.min(seconds * 1000, MAX_TIMER_MS));
  return {
    signal: controller.signal,
    end() {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    },
  };
}

/** A longer timer would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;
