// The contract of issue 5 against chance: whatever runners, cancels, stops, deaths and recoveries do at once, every accepted run
// ends exactly once, its record says what its event says, and an accepted cancel is what it ends by.

import { expect, test } from 'bun:test';
import { CURSOR_START } from '../../src/base/cursor.ts';
import { noopLogger } from '../../src/observe/logger.ts';
import {
  abortCause,
  CancelledError,
  cancelledEvent,
  EndedElsewhereError,
  shutdownEvent,
} from '../../src/runs/aborts.ts';
import type { CancelOutcome } from '../../src/runs/ports.ts';
import { createRecovery } from '../../src/runs/recovery.ts';
import type { EventSink } from '../../src/runs/sink.ts';
import { until } from '../support/until.ts';
import { sharedStore } from './shared-store.ts';
import { aborted, clock, failed, keyed, scene, succeeded, wire } from './support.ts';

const ROUNDS = 1_500;

/** mulberry32: the same numbers for the same seed, so that a failure can be repeated. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await Promise.resolve();
}

/** Does what a runner may do, well or badly. */
function anyRunner(random: (below: number) => number) {
  return async (_runId: string, sink: EventSink, signal: AbortSignal): Promise<void> => {
    const kind = random(5);
    await turns(random(12));
    if (kind === 0) throw new Error('bug');
    if (kind === 1) return void (await sink.finish(random(2) === 0 ? succeeded() : failed('model broke')));
    if (kind === 2) return new Promise(() => {}); // ignores everything
    await sink.started();
    await aborted(signal).catch(() => {});
    await turns(random(12));
    const cause = abortCause(signal);
    if (cause instanceof EndedElsewhereError) return;
    if (kind === 3 && random(2) === 0) throw cause;
    await sink.finish(cause instanceof CancelledError ? cancelledEvent(cause.intent) : shutdownEvent);
  };
}

async function round(seed: number): Promise<void> {
  const random = randomFrom(seed);
  const shared = sharedStore();
  const [mine, theirs] = [shared.process(), shared.process()];
  const bounds = { graceSeconds: 0, abortBoundMs: 1, cancelBoundMs: 1, maxActiveRuns: 3 };
  const owner = scene(anyRunner(random), { store: mine.store, ...bounds });
  const other = scene(() => Promise.resolve(), { store: theirs.store, ...bounds });
  const accepted = new Set<string>();
  const wishes = new Map<string, CancelOutcome[]>();

  const submit = async () => {
    const record = await owner.scheduler.submit(keyed(random(2) === 0 ? null : 'k')).catch(() => null);
    if (record !== null) accepted.add(record.run_id);
  };
  const cancel = async () => {
    const runId = [...accepted][random(accepted.size || 1)] ?? 'unknown';
    const via = random(2) === 0 ? owner : other;
    const outcome = await via.scheduler.cancel(runId, { reason: 'stop', message: null });
    wishes.set(runId, [...(wishes.get(runId) ?? []), outcome]);
  };
  const recover = () => createRecovery({ store: theirs.store, wire, clock, logger: noopLogger }).start();
  const doings = [submit, submit, submit, cancel, cancel, recover, async () => mine.pause(), async () => mine.wake()];

  const under: Promise<unknown>[] = [submit()];
  for (let step = 0; step < 12; step += 1) {
    under.push((doings[random(doings.length)] ?? submit)());
    await turns(random(6));
  }
  if (random(2) === 0) {
    under.push(owner.scheduler.shutdown());
    under.push(cancel());
  } else {
    mine.pause(); // it died: its runs are the others' to end
    under.push(recover());
  }
  await Promise.all(under);
  mine.pause();
  await recover();

  for (const runId of accepted) {
    // A runner that the scheduler ends over its head is ended after a millisecond.
    await until('the end', async () => (await theirs.store.getRecord(runId))?.status !== 'running');
    const status = (await theirs.store.getRecord(runId))?.status;
    const types = (await theirs.store.readEvents(runId, CURSOR_START, 100)).map(
      ({ payload }) => JSON.parse(payload).type,
    );
    expect(types.filter((type) => type !== 'run_started')).toEqual([`run_${status}`]);
    expect(types.at(-1)).toBe(`run_${status}`);
    const asked = wishes.get(runId) ?? [];
    expect(status === 'cancelled').toBe(asked.some((outcome) => outcome.accepted));
  }
}

test(`${ROUNDS} random courses leave every accepted run with one end`, async () => {
  for (let seed = 1; seed <= ROUNDS; seed += 1) {
    await round(seed).catch((error: unknown) => {
      throw new Error(`seed ${seed}`, { cause: error });
    });
  }
}, 60_000);
