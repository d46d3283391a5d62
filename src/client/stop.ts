// Why waiting ends early: the caller's signal, or a time that has passed. Made by hand instead of with AbortSignal.any and
// AbortSignal.timeout: the first is missing in early Node 20, and a signal that lives as long as its process would collect
// one listener for every stream it was ever given to.

/** Timers hold no more (24.8 days); longer means for ever. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * A signal that aborts with its parent's, or when its time is up. To be released. The time is given anew for every piece of a
 * stream, so that costs two assignments: a timer that fires early looks how much is left.
 */
export class Stop {
  readonly #abort = new AbortController();
  readonly #parent: AbortSignal | undefined;
  readonly #ms: number;
  readonly #follow = (): void => this.#abort.abort(this.#parent?.reason);
  readonly #ring = (): void => {
    this.#timer = undefined;
    this.#wait();
  };
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the time is up, on `performance.now`'s clock; infinite: the clock stands. */
  #due = Number.POSITIVE_INFINITY;
  #expired = false;

  /** The clock starts at once. `ms` undefined or beyond 24 days: there is none. */
  constructor(parent: AbortSignal | undefined, ms: number | undefined) {
    this.#parent = parent;
    this.#ms = ms === undefined || ms > LONGEST_TIMER_MS ? Number.POSITIVE_INFINITY : ms;
    if (parent?.aborted === true) this.#follow();
    else parent?.addEventListener('abort', this.#follow);
    this.restart();
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The time was up, before anything else happened. */
  get expired(): boolean {
    return this.#expired;
  }

  /** Gives the whole time again. */
  restart(): void {
    this.#due = performance.now() + this.#ms;
    if (this.#timer === undefined) this.#wait();
  }

  /** Stops the clock, until it is restarted. */
  rest(): void {
    this.#due = Number.POSITIVE_INFINITY;
  }

  /** Ends it now. */
  readonly stop = (): void => this.#abort.abort();

  /** Lets go of the parent and the clock. */
  release(): void {
    this.rest();
    clearTimeout(this.#timer);
    this.#parent?.removeEventListener('abort', this.#follow);
  }

  #wait(): void {
    const left = this.#due - performance.now();
    if (left === Number.POSITIVE_INFINITY || this.#abort.signal.aborted) return;
    // Timers ring up to a millisecond early.
    if (left > 0) this.#timer = setTimeout(this.#ring, Math.ceil(left));
    else {
      this.#expired = true;
      this.#abort.abort();
    }
  }
}

/** Waits, at most 24 days; an abort ends it at once, without an error. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.min(ms, LONGEST_TIMER_MS));
    signal?.addEventListener('abort', done);
  });
}

/** The promise, or a rejection with the signal's reason as soon as it aborts. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    const over = () => signal.removeEventListener('abort', abort);
    signal.addEventListener('abort', abort);
    promise.then(resolve, reject).finally(over);
    if (signal.aborted) abort();
  });
}
