// The store and its fan-out against a model, with random interleavings: writers, ends, faults, clock jumps, readers that
// are slow, leave, come back with any cursor. A seed names a history; a failure prints it.
//
// The model is one list per run: what the store has at the end. Whatever was acknowledged must be in it as it was
// acknowledged, whatever was refused must not, and every reader must have seen a gapless piece of it.

import { expect } from 'bun:test';
import { CURSOR_START, compareEventIds, type EventId } from '../../src/base/cursor.ts';
import type { RunStore, StoredEvent } from '../../src/runs/ports.ts';
import { createLive, type LiveStore } from '../../src/store/live.ts';
import { intentOf, payloadOf, runningRecord, terminal } from './kit.ts';
import { mustBeUnavailable, type Random, randomNumbers, turns, unreliable } from './random.ts';

/** A store for one history. */
export interface ModelStore {
  readonly store: RunStore;
  /** Moves the store's clock by seconds, back as well as forth; absent where time cannot be driven. */
  readonly moveClock?: (seconds: number) => void;
}

interface Run {
  readonly runId: string;
  readonly acknowledged: StoredEvent[];
  readonly refused: string[];
  ends: number;
  over: boolean;
  next: number;
}

/** Plays the history of a seed; throws when something does not hold. */
export async function playHistory(seed: number, open: () => ModelStore): Promise<void> {
  const { store, moveClock } = open();
  const random = randomNumbers(seed);
  const faults = { on: random(2) === 0 };
  const live = createLive(unreliable(store, random, faults));
  const runs: Run[] = [];
  const writes = new Set<Promise<void>>();
  const readers: Promise<void>[] = [];
  const seen: Seen[] = [];

  const track = (work: Promise<void>): void => {
    const tracked = work.finally(() => writes.delete(tracked));
    writes.add(tracked);
  };
  const someRun = (): Run | undefined => runs[random(runs.length)];

  for (let step = 40 + random(120); step > 0; step -= 1) {
    const run = someRun();
    const action = random(100);
    if (run === undefined || (action < 4 && runs.length < 4)) {
      // Some were left by a process that died: the fan-out has not seen their beginning.
      const created = await create(random(3) === 0 ? store : live);
      if (created !== null) runs.push(created);
    } else if (action < 50) track(append(live, run, random(30) === 0 ? 300 : 1 + random(4)));
    // Some are ended behind the fan-out's back: it learns of it when its own writes are refused.
    else if (action < 54) track(end(random(4) === 0 ? store : live, run, random));
    else if (action < 56) moveClock?.(random(2) === 0 ? random(5) : -random(5));
    else if (action < 76) {
      const place: Seen = { run, cursor: cursorFor(run, random), events: [], complete: false };
      seen.push(place);
      readers.push(read(live, place, random));
    } else if (action < 80 && writes.size > 0) await Promise.race(writes);
    await turns(random(3));
  }

  // The store is well again, every run ends, and every reader that stayed gets the rest.
  await Promise.all(writes);
  faults.on = false;
  for (const run of runs) await endSurely(live, run, random);
  await Promise.all(readers);

  for (const run of runs) await checkRun(store, run);
  for (const place of seen) await checkReader(store, place);
  expect(live.channels()).toBe(0);
  await live.close();
}

async function create(live: Pick<RunStore, 'create'>): Promise<Run | null> {
  const record = runningRecord();
  try {
    await live.create(record);
  } catch (error) {
    mustBeUnavailable(error);
    return null;
  }
  return { runId: record.run_id, acknowledged: [], refused: [], ends: 0, over: false, next: 0 };
}

async function append(live: LiveStore, run: Run, count: number): Promise<void> {
  const payloads = Array.from({ length: count }, () => payloadOf(run.runId, run.next++));
  try {
    const outcome = await live.append(run.runId, payloads);
    if (outcome.appended) run.acknowledged.push(...outcome.events);
    else run.refused.push(...payloads);
    if (outcome.appended) expect(outcome.events.map(({ payload }) => payload)).toEqual(payloads);
  } catch (error) {
    mustBeUnavailable(error);
  }
}

type Ender = Pick<RunStore, 'finalise' | 'requestCancel'>;

async function end(live: Ender, run: Run, random: Random): Promise<void> {
  const status = (['succeeded', 'failed', 'cancelled'] as const)[random(3)] ?? 'failed';
  try {
    if (status === 'cancelled') await live.requestCancel(run.runId, intentOf());
    let outcome = await live.finalise(run.runId, terminal(run.runId, status));
    // Somebody wanted it cancelled.
    if (!outcome.applied && outcome.cancel !== null) {
      outcome = await live.finalise(run.runId, terminal(run.runId, 'cancelled'));
    }
    run.over = outcome.applied || outcome.status !== 'running';
    if (!outcome.applied) return;
    run.ends += 1;
    run.acknowledged.push(outcome.event);
  } catch (error) {
    mustBeUnavailable(error);
  }
}

async function endSurely(live: Ender, run: Run, random: Random): Promise<void> {
  await end(live, run, random);
  expect(run.over).toBe(true);
}

interface Seen {
  readonly run: Run;
  readonly cursor: EventId;
  readonly events: StoredEvent[];
  /** The stream ended by itself. */
  complete: boolean;
}

/** Reads until the end; breaks off and comes back after the last event now and then, slowly at times. */
async function read(live: LiveStore, place: Seen, random: Random): Promise<void> {
  let patience = random(3) === 0 ? random(12) : Number.POSITIVE_INFINITY;
  const slow = random(3) === 0 ? 8 : 1;
  for (;;) {
    try {
      const subscription = await live.subscribe(place.run.runId, place.events.at(-1)?.id ?? place.cursor);
      if (subscription === null) throw new Error('a running run was not found');
      for (;;) {
        const next = subscription.next();
        // Leaving while an answer is being waited for; what it brought does not count.
        const leaves = random(40) === 0;
        if (leaves) subscription.close();
        const events = await next;
        if (leaves) {
          expect(await subscription.next()).toBeNull();
          break;
        }
        if (events === null) {
          place.complete = true;
          return;
        }
        expect(events.length).toBeGreaterThan(0);
        place.events.push(...events);
        await turns(random(slow));
        patience -= 1;
        if (patience <= 0) {
          subscription.close();
          return;
        }
      }
    } catch (error) {
      mustBeUnavailable(error);
    }
    await turns(1 + random(4));
  }
}

async function checkRun(store: RunStore, run: Run): Promise<void> {
  const truth = await store.readEvents(run.runId, CURSOR_START, 100_000);
  for (let i = 1; i < truth.length; i += 1) {
    expect(compareEventIds(truth[i - 1]?.id ?? '', truth[i]?.id ?? '')).toBeLessThan(0);
  }
  const byId = new Map(truth.map((event) => [event.id, event.payload]));
  for (const { id, payload } of run.acknowledged) expect(byId.get(id)).toBe(payload);
  const payloads = truth.map(({ payload }) => payload);
  const kept = new Set(payloads);
  expect(kept.size).toBe(payloads.length);
  for (const payload of run.refused) expect(kept.has(payload)).toBe(false);
  // Appended in the order in which it was asked for.
  const numbers = payloads.slice(0, -1).map((payload) => JSON.parse(payload).data);
  expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
  const ends = payloads.map((payload) => JSON.parse(payload).type).filter((type: string) => type.startsWith('run_'));
  expect(ends).toEqual([`run_${(await store.getRecord(run.runId))?.status}`]);
  expect(payloads.at(-1)).toContain('"type":"run_');
  expect(run.ends).toBeLessThanOrEqual(1);
}

async function checkReader(store: RunStore, { run, cursor, events, complete }: Seen): Promise<void> {
  const rest = await store.readEvents(run.runId, cursor, 100_000);
  expect(events).toEqual(complete ? [...rest] : rest.slice(0, events.length));
}

function cursorFor(run: Run, random: Random): EventId {
  switch (random(6)) {
    case 0:
      return '18446744073709551615-0';
    case 1:
      return run.acknowledged.at(-1)?.id ?? CURSOR_START;
    case 2:
    case 3:
      return run.acknowledged[random(run.acknowledged.length)]?.id ?? CURSOR_START;
    default:
      return CURSOR_START;
  }
}
