// Who may hold how many of the connections to the Dify API. A JSON call is over when the API has answered; a body that passes
// through lasts as long as whoever takes it likes. So bodies have half of the connections, and one owner a quarter of that
// half: nobody who dawdles keeps the others out.

import { createSlots, type Slots } from '../slots.ts';

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
  const bodiesOfOne = Math.ceil(bodies / 4);
  const all = createSlots(size, timedOut);
  const passing = createSlots(bodies, timedOut);
  const own = new Map<unknown, Slots>();

  /** A place among the owner's own; the owner is forgotten with the last one. */
  async function ownPlace(owner: unknown, signal: AbortSignal): Promise<() => void> {
    const slots = own.get(owner) ?? createSlots(bodiesOfOne, timedOut);
    own.set(owner, slots);
    const forget = (): void => {
      if (slots.used === 0 && slots.waiting === 0) own.delete(owner);
    };
    try {
      const release = await slots.acquire(owner, timeoutMs, signal);
      return () => {
        release();
        forget();
      };
    } catch (error) {
      forget();
      throw error;
    }
  }

  return {
    forAnswer: (owner, signal) => all.acquire(owner, timeoutMs, signal),
    async forBody(owner, signal) {
      const deadline = performance.now() + timeoutMs;
      const held: (() => void)[] = [];
      const release = (): void => {
        for (const give of held.splice(0).reverse()) give();
      };
      try {
        held.push(await ownPlace(owner, signal));
        for (const slots of [passing, all]) {
          held.push(await slots.acquire(owner, Math.max(deadline - performance.now(), 0), signal));
        }
        return release;
      } catch (error) {
        release();
        throw error;
      }
    },
    get used() {
      return all.used;
    },
    get waiting() {
      let waiting = all.waiting + passing.waiting;
      for (const slots of own.values()) waiting += slots.waiting;
      return waiting;
    },
  };
}
