// What the models share: random numbers with a seed, and a store that answers late, in any order, and fails sometimes.

import { StoreUnavailableError } from '../../src/runs/errors.ts';
import type { RunStore } from '../../src/runs/ports.ts';

/** An integer from 0 to `below` - 1; 0 when there is none. */
export type Random = (below: number) => number;

/** mulberry32: the same numbers on every machine. */
export function randomNumbers(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return below <= 0 ? 0 : ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/**
 * Answers late, in any order, and fails sometimes: before or after the effect. A creation fails before it alone, for a store that
 * cannot tell takes it back.
 */
export function unreliable(store: RunStore, random: Random, faults: { readonly on: boolean }): RunStore {
  async function attempt<T>(work: () => Promise<T>, keepsAnswer = false): Promise<T> {
    const fate = faults.on ? random(15) : 15;
    if (fate === 0) throw new StoreUnavailableError();
    const result = await work();
    await turns(random(3));
    if (fate === 1 && !keepsAnswer) throw new StoreUnavailableError();
    return result;
  }
  return {
    ...store,
    create: (record, deduplication) => attempt(() => store.create(record, deduplication), true),
    append: (runId, payloads) => attempt(() => store.append(runId, payloads)),
    finalise: (runId, transition) => attempt(() => store.finalise(runId, transition)),
    requestCancel: (runId, intent) => attempt(() => store.requestCancel(runId, intent)),
    listLost: () => attempt(() => store.listLost()),
    finaliseLost: (runId, transition) => attempt(() => store.finaliseLost(runId, transition)),
    getRecord: (runId) => attempt(() => store.getRecord(runId)),
    readEvents: (runId, after, limit) => attempt(() => store.readEvents(runId, after, limit)),
  };
}

export function mustBeUnavailable(error: unknown): void {
  if (!(error instanceof StoreUnavailableError)) throw error;
}

/** Lets everything else have its turn, so many times. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await new Promise((resolve) => setImmediate(resolve));
}
