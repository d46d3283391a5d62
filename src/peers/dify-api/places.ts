// Who may hold how many of the connections to the Dify API. A JSON call is over when the API has answered; a body that passes
// through lasts as long as whoever takes it likes. So bodies have half of the connections, and one owner a quarter of that
// half: nobody who dawdles keeps the others out.

import { createSlots } from '../slots.ts';

/** Connections, given out fairly between owners. Acquiring rejects as Slots does; the function gives back, once. */
export interface Places {
  /** For a call that ends by itself. */
  forAnswer(owner: unknown, signal: AbortSignal): Promise<() => void>;
  /** For a body that passes through. */
  forBody(owner: unknown, signal: AbortSignal): Promise<() => void>;
  /** In use. */
  readonly used: number;
  /** Calls that wait. */
  readonly waiting: number;
}

/** `size` connections; who waits for longer than `timeoutMs` gets what `timedOut` makes. */
export function createPlaces(size: number, timeoutMs: number, timedOut: () => Error): Places {
  const bodies = Math.max(Math.floor(size / 2), 1);
  const all = createSlots(size, timedOut);
  const passing = createSlots(bodies, timedOut, Math.ceil(bodies / 4));

  return {
    forAnswer: (owner, signal) => all.acquire(owner, timeoutMs, signal),
    async forBody(owner, signal) {
      const deadline = performance.now() + timeoutMs;
      const leave = await passing.acquire(owner, timeoutMs, signal);
      try {
        const release = await all.acquire(owner, Math.max(deadline - performance.now(), 0), signal);
        return () => {
          release();
          leave();
        };
      } catch (error) {
        leave();
        throw error;
      }
    },
    get used() {
      return all.used;
    },
    get waiting() {
      return all.waiting + passing.waiting;
    },
  };
}
