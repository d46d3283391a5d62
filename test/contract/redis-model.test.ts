// A thousand random histories against a model: two processes write the same runs through connections that break at the worst
// moments, and watch them through each other. Whatever happened, Redis holds each accepted event once, in order, with one end.

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { CURSOR_START, compareEventIds } from '../../src/base/cursor.ts';
import type { TerminalStatus } from '../../src/protocol/runs.ts';
import type { StoredEvent } from '../../src/runs/ports.ts';
import { createLive, type LiveStore } from '../../src/store/live.ts';
import { type CuttingProxy, startCuttingProxy } from '../fakes/cutting-proxy.ts';
import { freshPrefix, openRedis } from '../store/redis-kit.ts';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { until, within } from '../support/until.ts';
import { payloadOf, runningRecord, terminal } from './run-store.ts';

const HISTORIES = 1_000;
const AT_ONCE = 50;

let server: RedisProcess;
let proxies: readonly CuttingProxy[];
let stores: readonly LiveStore[];

beforeAll(async () => {
  server = await startRedis();
  const prefix = freshPrefix();
  proxies = await Promise.all([startCuttingProxy(server.port), startCuttingProxy(server.port)]);
  stores = await Promise.all(
    proxies.map(async ({ port }) => {
      const redis = await openRedis(`redis://127.0.0.1:${port}`, { prefix });
      return createLive(redis, { tail: redis.tail });
    }),
  );
});
afterAll(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await Promise.all(proxies.map((proxy) => proxy.close()));
  await server.dispose();
});

/** Small, fast, and the same on every machine (mulberry32). */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** One write of one process, and what it was told. */
interface Step {
  readonly writer: number;
  readonly events: readonly StoredEvent[];
  readonly refused: string | null | undefined;
  readonly ends: boolean;
}

async function watch(store: LiveStore, runId: string): Promise<readonly StoredEvent[]> {
  const seen: StoredEvent[] = [];
  for (;;) {
    // A request may meet a broken connection; a client comes back with its last id.
    const subscription = await until('a subscription', () => store.subscribe(runId, seen.at(-1)?.id ?? CURSOR_START));
    try {
      for (let events = await subscription.next(); events !== null; events = await subscription.next()) {
        seen.push(...events);
      }
      return seen;
    } catch {
      subscription.close();
    }
  }
}

async function history(seed: number): Promise<void> {
  const random = randomOf(seed);
  const owner = stores[random(2)];
  if (owner === undefined) throw new Error('no store');
  // A creation whose reply is lost is refused and undone; its caller tries again, which is another run.
  const runId = await until('the run', async () => {
    const record = runningRecord();
    await owner.create(record);
    return record.run_id;
  });
  const watching = Promise.all(stores.map((store) => watch(store, runId)));
  watching.catch(() => {});
  const steps: Promise<Step>[] = [];
  const length = 2 + random(12);
  for (let i = 0; i < length; i += 1) {
    const ends = i === length - 1 || random(20) === 0;
    // Another process may end a run, but only its own writes events.
    const writer = ends && i < length - 1 ? random(2) : stores.indexOf(owner);
    const store = stores[writer];
    if (store === undefined) continue;
    if (ends) {
      const status =
        (['succeeded', 'failed', 'cancelled'] as const satisfies readonly TerminalStatus[])[random(3)] ?? 'failed';
      const transition = terminal(runId, status, `${seed}.${i}`);
      steps.push(
        store.finalise(runId, transition).then((outcome) => {
          if (outcome.applied) expect(outcome.event.payload).toBe(transition.payload);
          return outcome.applied
            ? { writer, events: [outcome.event], refused: undefined, ends }
            : { writer, events: [], refused: outcome.status, ends };
        }),
      );
    } else {
      const payloads = Array.from({ length: 1 + random(4) }, (_, j) => payloadOf(runId, `${seed}.${i}.${j}`));
      steps.push(
        store.append(runId, payloads).then((outcome) => {
          if (outcome.appended) expect(outcome.events.map(({ payload }) => payload)).toEqual(payloads);
          return outcome.appended
            ? { writer, events: outcome.events, refused: undefined, ends }
            : { writer, events: [], refused: outcome.status, ends };
        }),
      );
    }
    const pace = random(9);
    if (pace < 3) await steps.at(-1);
    else if (pace < 5) await new Promise((resolve) => setImmediate(resolve));
  }
  check(await Promise.all(steps), await stored(owner, runId));
  const all = await stored(owner, runId);
  for (const seen of await within(`the streams of ${runId}`, watching)) expect(seen).toEqual([...all]);
  const end = all.at(-1);
  expect((await until('the record', () => owner.getRecord(runId))).status).toBe(
    JSON.parse(end?.payload ?? '').type.replace('run_', ''),
  );
}

function stored(store: LiveStore, runId: string): Promise<readonly StoredEvent[]> {
  return until('the events', () => store.readEvents(runId, CURSOR_START, 1_000));
}

function check(steps: readonly Step[], events: readonly StoredEvent[]): void {
  for (const [index, event] of events.entries()) {
    const before = events[index - 1];
    if (before !== undefined) expect(compareEventIds(before.id, event.id)).toBeLessThan(0);
  }
  const accepted = steps.filter(({ refused }) => refused === undefined);
  // Each accepted write is there once, whole and in one piece; nothing else is.
  const told = accepted.flatMap((step) => step.events).toSorted((a, b) => compareEventIds(a.id, b.id));
  expect(told).toEqual([...events]);
  for (const { events: own } of accepted) {
    const at = events.findIndex(({ id }) => id === own[0]?.id);
    expect(events.slice(at, at + own.length)).toEqual([...own]);
  }
  // Each process's own order is kept.
  for (const writer of [0, 1]) {
    const own = accepted.filter((step) => step.writer === writer).flatMap((step) => step.events);
    for (let i = 1; i < own.length; i += 1) {
      expect(compareEventIds(own[i - 1]?.id ?? '', own[i]?.id ?? '')).toBeLessThan(0);
    }
  }
  const ends = accepted.filter((step) => step.ends);
  expect(ends).toHaveLength(1);
  expect(ends[0]?.events[0]?.id).toBe(events.at(-1)?.id ?? '');
  const status = JSON.parse(events.at(-1)?.payload ?? '').type.replace('run_', '');
  for (const { refused } of steps) if (refused !== undefined) expect(refused).toBe(status);
}

test(`${HISTORIES} random histories through breaking connections keep every accepted event once and in order`, async () => {
  const random = randomOf(4711);
  let over = false;
  const stopped = Promise.withResolvers<void>();
  let breaks = 0;
  const chaos = (async () => {
    while (!over) {
      const proxy = proxies[random(2)];
      const kind = random(4);
      if (kind === 0) proxy?.cut();
      else await Promise.race([kind === 1 ? proxy?.cutBefore('EVAL') : proxy?.cutReplyTo('EVAL'), stopped.promise]);
      breaks += 1;
      await Bun.sleep(random(200)); // the faults' rhythm, not a wait for something
    }
  })();
  let next = 0;
  const worker = async () => {
    while (next < HISTORIES) {
      next += 1;
      await history(next);
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  } finally {
    over = true;
    stopped.resolve();
    await chaos;
  }
  expect(breaks).toBeGreaterThan(5);
}, 120_000);
