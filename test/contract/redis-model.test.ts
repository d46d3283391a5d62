// A thousand random histories against a model: two processes write the same runs through connections that break at the worst
// moments, and watch them through each other. Whatever happened, Redis holds each accepted event once, in order, with one end.

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { CURSOR_START, compareEventIds } from '../../src/base/cursor.ts';
import type { CancelOutcome, StoredEvent } from '../../src/runs/ports.ts';
import { createLive, type LiveStore } from '../../src/store/live.ts';
import { type CuttingProxy, startCuttingProxy } from '../fakes/cutting-proxy.ts';
import { freshPrefix, openRedis } from '../store/redis-kit.ts';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { until, within } from '../support/until.ts';
import { intentOf, payloadOf, runningRecord, terminal } from './kit.ts';
import { type Random, randomNumbers } from './random.ts';

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

/** Asks for a cancel, again if the answer is lost: the first reason stays. */
function wish(store: LiveStore, runId: string, reason: string): Promise<CancelOutcome> {
  return until('the cancel', () => store.requestCancel(runId, intentOf(reason)));
}

/** Ends a run as it may end: as cancelled if that was asked for. */
async function end(
  store: LiveStore,
  runId: string,
  name: string,
  random: Random,
): Promise<Pick<Step, 'events' | 'refused'>> {
  const transition = terminal(runId, random(2) === 0 ? 'succeeded' : 'failed', name);
  const unasked =
    random(4) === 0 ? await store.finalise(runId, terminal(runId, 'cancelled', `${name}, unasked`)) : null;
  if (unasked?.applied === false && unasked.status === 'running') expect(unasked.cancel).toBeNull();
  if (unasked?.applied === true) return { events: [unasked.event], refused: undefined };
  let outcome = await store.finalise(runId, transition);
  if (outcome.applied) expect(outcome.event.payload).toBe(transition.payload);
  else if (outcome.cancel !== null) outcome = await store.finalise(runId, terminal(runId, 'cancelled', name));
  return outcome.applied ? { events: [outcome.event], refused: undefined } : { events: [], refused: outcome.status };
}

async function history(seed: number): Promise<void> {
  const random = randomNumbers(seed);
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
  const wishes: Promise<CancelOutcome>[] = [];
  const length = 2 + random(12);
  for (let i = 0; i < length; i += 1) {
    const ends = i === length - 1 || random(20) === 0;
    // Another process may end a run, but only its own writes events.
    const writer = ends && i < length - 1 ? random(2) : stores.indexOf(owner);
    const store = stores[writer];
    if (store === undefined) continue;
    if (random(12) === 0) wishes.push(wish(stores[random(2)] ?? store, runId, `${seed}.${i}`));
    if (ends) {
      steps.push(end(store, runId, `${seed}.${i}`, random).then((told) => ({ ...told, writer, ends })));
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
  const { status } = await until('the record', () => owner.getRecord(runId));
  expect(`run_${status}`).toBe(JSON.parse(all.at(-1)?.payload ?? '').type);
  // Cancelled if and only if that was accepted before another end.
  const told = await Promise.all(wishes);
  expect(told.some(({ accepted }) => accepted)).toBe(status === 'cancelled');
  for (const outcome of told) if (!outcome.accepted) expect(`run_${outcome.status}`).toBe(`run_${status}`);
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
    // Ends are left out: one that was refused for a cancel was tried again later.
    const own = accepted.filter((step) => step.writer === writer && !step.ends).flatMap((step) => step.events);
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
  const random = randomNumbers(4711);
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
