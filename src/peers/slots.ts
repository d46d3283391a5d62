// Which requests to a peer may use a connection. Bun's fetch has no limit per session, so we count ourselves: first come, first
// served between owners, and turn by turn, so that one run with many parallel calls cannot starve the others (spec 03 §10.11).
// Each peer has its own, so that one which hangs does not take the connections of the others.

/** A bounded number of places, given out fairly. */
export interface Slots {
  /**
   * Waits for a place and returns the function that gives it back (calling it twice does nothing). Rejects with
   * what `timedOut` makes after `timeoutMs`, or with the signal's reason. `owner` is whatever identifies the run.
   */
  acquire(owner: unknown, timeoutMs: number, signal: AbortSignal): Promise<() => void>;
  /** Places in use. */
  readonly used: number;
  /** Requests waiting. */
  readonly waiting: number;
}

interface Waiter {
  grant(): void;
}

/** `size` places, of which one owner may have `ownSize`. `timedOut` makes the error of who waited too long. */
export function createSlots(size: number, timedOut: () => Error, ownSize = size): Slots {
  // In the order in which owners are served next; each has at least one waiter.
  const queues = new Map<unknown, Waiter[]>();
  /** Places in use by owner; counted only where there is a limit. */
  const own = new Map<unknown, number>();
  const limited = ownSize < size;
  let used = 0;
  let waiting = 0;

  const isFree = (owner: unknown): boolean => used < size && (!limited || (own.get(owner) ?? 0) < ownSize);

  const take = (owner: unknown): (() => void) => {
    let held = true;
    used += 1;
    if (limited) own.set(owner, (own.get(owner) ?? 0) + 1);
    return () => {
      if (!held) return;
      held = false;
      used -= 1;
      if (limited) giveBack(owner);
      serveNext();
    };
  };

  const giveBack = (owner: unknown): void => {
    const left = (own.get(owner) ?? 1) - 1;
    if (left === 0) own.delete(owner);
    else own.set(owner, left);
  };

  const serveNext = (): void => {
    for (const [owner, queue] of queues) {
      if (!isFree(owner)) continue;
      const waiter = queue.shift();
      queues.delete(owner);
      if (queue.length > 0) queues.set(owner, queue); // to the end: the other owners come first
      waiter?.grant();
      return;
    }
  };

  const withdraw = (owner: unknown, waiter: Waiter): void => {
    const queue = queues.get(owner);
    const at = queue?.indexOf(waiter) ?? -1;
    if (queue === undefined || at < 0) return;
    queue.splice(at, 1);
    if (queue.length === 0) queues.delete(owner);
  };

  return {
    get used() {
      return used;
    },
    get waiting() {
      return waiting;
    },
    async acquire(owner, timeoutMs, signal) {
      signal.throwIfAborted();
      if (isFree(owner)) return take(owner);
      return await new Promise<() => void>((resolve, reject) => {
        const settle = (): void => {
          waiting -= 1;
          clearTimeout(timer);
          signal.removeEventListener('abort', onAbort);
        };
        const waiter: Waiter = {
          grant() {
            settle();
            resolve(take(owner));
          },
        };
        const giveUp = (error: unknown): void => {
          settle();
          withdraw(owner, waiter);
          reject(error);
        };
        const onAbort = (): void => giveUp(signal.reason);
        const timer = setTimeout(() => giveUp(timedOut()), timeoutMs);
        signal.addEventListener('abort', onAbort, { once: true });
        waiting += 1;
        const queue = queues.get(owner);
        if (queue === undefined) queues.set(owner, [waiter]);
        else queue.push(waiter);
      });
    },
  };
}
