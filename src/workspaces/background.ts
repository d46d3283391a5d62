// Work that outlives the call that started it: jobs on shellctl are cleaned up although the answer has been given, or the run
// is cancelled. Whoever stops the process waits for it here, for a while.

/** Takes note of work that nobody awaits. The work must be bounded by itself and must not reject. */
export type Background = (work: Promise<void>) => void;

/** A `Background` that can be waited for; one per process. */
export interface BackgroundWork {
  readonly track: Background;
  /** Pieces of work that go on. */
  readonly pending: number;
  /** Resolves when nothing goes on any more, or after `timeoutMs`. */
  settle(timeoutMs: number): Promise<void>;
}

/** Nothing goes on yet. */
export function createBackgroundWork(): BackgroundWork {
  const works = new Set<Promise<void>>();
  const idle = async (): Promise<void> => {
    while (works.size > 0) await Promise.allSettled(works);
  };
  return {
    get pending() {
      return works.size;
    },
    track(work) {
      works.add(work);
      const done = () => void works.delete(work);
      work.then(done, done);
    },
    settle: (timeoutMs) => atMost(timeoutMs, idle()),
  };
}

/** Resolves with the work, which must not reject, or after `timeoutMs` without it. */
export async function atMost(timeoutMs: number, work: Promise<void>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, timeoutMs);
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The result of work that cannot be aborted, or the signal's reason as soon as it aborts. What the work brings then is handed to
 * `late`, in the background; a failure is nobody's any more.
 */
export async function unlessAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  late: (result: T) => Promise<void>,
  background: Background = () => {},
): Promise<T> {
  const { promise: gone, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => {
    reject(signal.reason);
    background(work.then(late, () => {}));
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, gone]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
