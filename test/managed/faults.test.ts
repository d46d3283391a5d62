// A store that fails now and then, before or after it has done what it was asked for: nothing is lost, nothing is done twice, no two
// runs of a session overlap, and in the end every session is free.

import { expect, test } from 'bun:test';
import { SessionRefusal } from '../../src/managed/errors.ts';
import type { SessionRows } from '../../src/managed/ports.ts';
import { StoreUnavailableError } from '../../src/runs/errors.ts';
import { type Random, randomNumbers } from '../contract/random.ts';
import { until } from '../support/until.ts';
import { failed, openWorld, textsOf, type World } from './kit.ts';

const SEEDS = 4;
const SUBMISSIONS = 40;

function unreliable(rows: SessionRows, random: Random, isBad: () => boolean): SessionRows {
  const through = async <T>(work: () => Promise<T>): Promise<T> => {
    const fault = isBad() ? random(12) : -1;
    if (fault === 0) throw new StoreUnavailableError(new Error('before'));
    const result = await work();
    if (fault === 1) throw new StoreUnavailableError(new Error('after'));
    return result;
  };
  return {
    load: (key, options) => through(() => rows.load(key, options)),
    save: (row, ifVersion) => through(() => rows.save(row, ifVersion)),
    remove: (row) => through(() => rows.remove(row)),
    list: (query) => through(() => rows.list(query)),
    due: (nowMs, limit) => through(() => rows.due(nowMs, limit)),
    lastEvent: (runId) => through(() => rows.lastEvent(runId)),
  };
}

async function play(seed: number): Promise<number> {
  const random = randomNumbers(seed);
  let bad = true;
  const world = openWorld({ wrap: (rows) => unreliable(rows, random, () => bad), lookMs: 5 });
  world.automatic = false;
  const keys = ['a', 'b', 'c'];
  /** Run → its session, for those that were accepted. */
  const accepted = new Map<string, string>();
  /** Sessions' runs, in the order in which they began. */
  const begun = new Map<string, string[]>(keys.map((key) => [key, []]));
  const overlaps: string[] = [];
  let seen = 0;
  let driving = true;
  const driver = (async () => {
    while (driving) {
      // Runs that have begun end, some of them badly; those of one session must not have overlapped.
      for (; seen < world.started.length; seen += 1) {
        const run = world.started[seen];
        if (run === undefined) break;
        const key = String(run.request.metadata.session);
        const before = begun.get(key)?.at(-1);
        if (before !== undefined && (await world.statusOf(before)) === 'running')
          overlaps.push(`${before} ${run.runId}`);
        begun.get(key)?.push(run.runId);
        setTimeout(() => run.end(random(4) === 0 ? failed() : undefined), random(3));
      }
      // The sweep's time passes.
      world.clock.micros += 5_000;
      await Bun.sleep(1);
    }
  })();
  try {
    const conflicts = ['enqueue', 'enqueue', 'reject', 'interrupt'] as const;
    await Promise.all(
      Array.from({ length: SUBMISSIONS }, async () => {
        const key = keys[random(keys.length)] ?? 'a';
        const conflict = conflicts[random(conflicts.length)] ?? 'enqueue';
        await Bun.sleep(random(60));
        try {
          const { record } = await world.submit(key, { conflict, request: requestOf(key) });
          accepted.set(record.run_id, key);
        } catch (error) {
          if (!(error instanceof SessionRefusal || error instanceof StoreUnavailableError)) throw error;
        }
      }),
    );
    await until('all runs to be over', () => world.scheduler.activeCount === 0, { timeoutMs: 30_000 });
    bad = false;
    for (const key of keys) {
      if ([...accepted.values()].includes(key)) await world.idle(key);
    }
    expect(overlaps).toEqual([]);
    for (const [runId] of accepted) expect(await world.statusOf(runId)).not.toBe('running');
    for (const key of keys) {
      const session = await world.sessions.describe(key, { snapshot: true }).catch(() => null);
      const good: string[] = [];
      for (const runId of begun.get(key) ?? []) if (await hasSnapshot(world, runId)) good.push(runId);
      expect(textsOf(session?.session_snapshot) ?? []).toEqual(good);
    }
    return accepted.size;
  } finally {
    driving = false;
    await driver;
    bad = false;
    await world.close();
  }
}

/** Whether a run left one: those that succeeded, and those whose cancel came when they had their answer. */
async function hasSnapshot({ store }: World, runId: string): Promise<boolean> {
  const events = await store.readEvents(runId, '0-0', 100);
  return events.at(-1)?.payload.includes('"session_snapshot":{') === true;
}

function requestOf(session: string) {
  return {
    composition: { schema_version: 1, layers: [] },
    purpose: 'workflow_node',
    idempotency_key: null,
    metadata: { session },
    session_snapshot: null,
    deferred_tool_results: null,
    on_exit: { default: 'suspend', layers: {} },
  } as const;
}

test(`${SEEDS} histories with a store that fails`, async () => {
  let accepted = 0;
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    try {
      accepted += await play(seed);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  // A model that plays nothing agrees with everything.
  expect(accepted).toBeGreaterThan(SEEDS * 5);
}, 120_000);
