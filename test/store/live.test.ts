import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { CURSOR_START, compareEventIds, type EventId } from '../../src/base/cursor.ts';
import { newRunId } from '../../src/base/ids.ts';
import { StoreUnavailableError } from '../../src/runs/errors.ts';
import type { EventSubscription, OwnRunsWatcher, RunStore, StoredEvent } from '../../src/runs/ports.ts';
import { RING_MAX_EVENTS } from '../../src/store/channel.ts';
import { createLive, type LiveStore } from '../../src/store/live.ts';
import type { SqliteStore } from '../../src/store/sqlite.ts';
import {
  appended,
  applied,
  intentOf,
  payloadOf,
  RETENTION,
  runningRecord,
  terminal,
  toldWatcher,
} from '../contract/kit.ts';
import { type DrivenClock, drain, drivenClock, isPending, openSqlite, tempDirectory } from './helpers.ts';

let clock: DrivenClock;
let sqlite: SqliteStore;
let live: LiveStore;
/** Pages read from the store. */
let reads: number;

/** The store, counted. */
function counted(store: RunStore): RunStore {
  return {
    ...store,
    readEvents(runId, after, limit) {
      reads += 1;
      return store.readEvents(runId, after, limit);
    },
  };
}

beforeEach(() => {
  clock = drivenClock();
  sqlite = openSqlite(':memory:', { clock });
  reads = 0;
  live = createLive(counted(sqlite));
});
afterEach(() => live.close());

async function startRun(): Promise<string> {
  const record = runningRecord();
  await live.create(record);
  return record.run_id;
}

async function subscribe(runId: string, after: EventId = CURSOR_START): Promise<EventSubscription> {
  const subscription = await live.subscribe(runId, after);
  if (subscription === null) throw new Error('unknown run');
  return subscription;
}

async function append(runId: string, ...data: unknown[]): Promise<readonly StoredEvent[]> {
  return appended(
    await live.append(
      runId,
      data.map((item) => payloadOf(runId, item)),
    ),
  );
}

const end = async (runId: string) => applied(await live.finalise(runId, terminal(runId, 'succeeded')));

describe('a running run', () => {
  test('its events arrive as they are stored, and the stream ends after the terminal event', async () => {
    const runId = await startRun();
    const subscription = await subscribe(runId);
    const next = subscription.next();
    expect(await isPending(next)).toBe(true);
    const first = await append(runId, 1);
    expect(await next).toEqual(first);
    const second = await append(runId, 2, 3);
    const last = await end(runId);
    expect(await drain(subscription)).toEqual([...second, last]);
    expect(await subscription.next()).toBeNull();
    expect(reads).toBe(0);
  });

  test.each(['succeeded', 'failed', 'cancelled'] as const)('a live run_%s ends the stream', async (status) => {
    const runId = await startRun();
    const events = drain(await subscribe(runId));
    if (status === 'cancelled') await live.requestCancel(runId, intentOf());
    const event = applied(await live.finalise(runId, terminal(runId, status)));
    expect(await events).toEqual([event]);
  });

  test('all subscribers share the objects of an event, so that it is encoded once', async () => {
    const runId = await startRun();
    const subscriptions = [await subscribe(runId), await subscribe(runId)];
    const pages = subscriptions.map((subscription) => subscription.next());
    await append(runId, 1);
    const [a, b] = await Promise.all(pages);
    expect(a?.[0]).toBe(b?.[0] as StoredEvent);
    for (const subscription of subscriptions) subscription.close();
  });

  test('who comes late gets the stored events first, then live ones', async () => {
    const runId = await startRun();
    const early: StoredEvent[] = [];
    for (let i = 0; i < 250; i += 1) early.push(...(await append(runId, i)));
    const subscription = await subscribe(runId, early[9]?.id);
    const got: StoredEvent[] = [];
    while (got.length < 240) got.push(...((await subscription.next()) ?? []));
    expect(got).toEqual(early.slice(10));
    const next = subscription.next();
    expect(await isPending(next)).toBe(true);
    const late = await append(runId, 'late');
    expect(await next).toEqual(late);
    expect(reads).toBe(2);
    subscription.close();
  });

  test('a subscriber that was busy gets what it missed from memory, in one piece', async () => {
    const runId = await startRun();
    const subscription = await subscribe(runId);
    const missed = [...(await append(runId, 1)), ...(await append(runId, 2, 3)), await end(runId)];
    expect(await subscription.next()).toEqual(missed);
    expect(await subscription.next()).toBeNull();
    expect(reads).toBe(0);
  });

  test('a subscriber that fell behind what memory keeps reads the store again and misses nothing', async () => {
    const runId = await startRun();
    const [slow, quick] = [await subscribe(runId), await subscribe(runId)];
    const all: StoredEvent[] = [];
    const seen = drain(quick);
    for (let i = 0; i < 3 * RING_MAX_EVENTS; i += 1) all.push(...(await append(runId, i)));
    all.push(await end(runId));
    expect(await drain(slow)).toEqual(all);
    expect(await seen).toEqual(all);
    expect(reads).toBeGreaterThan(0);
  });

  test('events larger than what memory keeps still arrive', async () => {
    const runId = await startRun();
    const slow = await subscribe(runId);
    const all = [
      ...(await append(runId, 'a')),
      ...(await append(runId, 'x'.repeat(300_000))),
      ...(await append(runId, 'y'.repeat(200_000))),
      ...(await append(runId, 'b')),
      await end(runId),
    ];
    expect(await drain(slow)).toEqual(all);
  });

  test('a cursor ahead of the head waits, skips what is not after it, and ends with the run', async () => {
    const runId = await startRun();
    await append(runId, 1);
    const future = await subscribe(runId, '1780388130205-0');
    const next = future.next();
    await append(runId, 2);
    expect(await isPending(next)).toBe(true);
    clock.micros += 5_000;
    const events = await append(runId, 3);
    expect(await next).toEqual(events);
    const never = drain(await subscribe(runId, '18446744073709551615-0'));
    await end(runId);
    expect(await never).toEqual([]);
    future.close();
  });

  test('subscribers that come and go at any moment see every event once, in order', async () => {
    const runId = await startRun();
    const total = 1_500;
    const all: StoredEvent[] = [];
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed % below;
    };
    const turns = async (count: number) => {
      for (let i = 0; i < count; i += 1) await new Promise((resolve) => setImmediate(resolve));
    };
    const writer = (async () => {
      while (all.length < total) {
        // Mostly one at a time, sometimes a burst beyond what memory keeps; the clock stands still now and then.
        const count = random(20) === 0 ? 300 : 1 + random(3);
        if (random(3) === 0) clock.micros += 1_000;
        all.push(...(await append(runId, ...new Array(count).fill(0))));
        await turns(random(3));
      }
      all.push(await end(runId));
    })();
    const readers = Array.from({ length: 12 }, async () => {
      await turns(random(200));
      const seen: StoredEvent[] = [];
      for (;;) {
        const subscription = await subscribe(runId, seen.at(-1)?.id ?? CURSOR_START);
        const patience = 1 + random(40);
        for (let i = 0; i < patience; i += 1) {
          const events = await subscription.next();
          if (events === null) return seen;
          seen.push(...events);
          await turns(random(6));
        }
        subscription.close();
        expect(await subscription.next()).toBeNull();
      }
    });
    await writer;
    for (const seen of await Promise.all(readers)) {
      expect(seen.map((event) => event.id)).toEqual(all.map((event) => event.id));
    }
  });

  test('an event that is published while a page is being read is not missed', async () => {
    const record = runningRecord();
    const runId = record.run_id;
    await sqlite.create(record);
    let release = () => {};
    let gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow = createLive({
      ...sqlite,
      async readEvents(...page) {
        const events = await sqlite.readEvents(...page);
        await gate;
        return events;
      },
    });
    const subscription = await slow.subscribe(runId, CURSOR_START);
    const next = subscription?.next();
    const first = appended(await slow.append(runId, [payloadOf(runId, 1)]));
    release();
    gate = Promise.resolve();
    expect(await next).toEqual(first);
    subscription?.close();
  });

  test('closing resolves a pending next with null and disturbs nobody else', async () => {
    const runId = await startRun();
    const [a, b] = [await subscribe(runId), await subscribe(runId)];
    const [nextA, nextB] = [a.next(), b.next()];
    a.close();
    a.close();
    expect(await nextA).toBeNull();
    const events = await append(runId, 1);
    expect(await nextB).toEqual(events);
    b.close();
  });

  test('a run left by a dead process is watched until its new owner ends it', async () => {
    const record = runningRecord();
    await sqlite.create(record);
    const [before] = appended(await sqlite.append(record.run_id, [payloadOf(record.run_id)]));
    const subscription = await subscribe(record.run_id);
    expect(await subscription.next()).toEqual(before === undefined ? [] : [before]);
    const next = subscription.next();
    const event = await end(record.run_id);
    expect(await next).toEqual([event]);
    expect(await subscription.next()).toBeNull();
  });

  test('an end that this process did not write is noticed when its own end is refused', async () => {
    const runId = await startRun();
    const events = drain(await subscribe(runId));
    await append(runId, 1);
    await sqlite.finalise(runId, terminal(runId, 'failed'));
    expect(await live.finalise(runId, terminal(runId, 'succeeded'))).toMatchObject({
      applied: false,
      status: 'failed',
    });
    expect(await events).toEqual([...(await sqlite.readEvents(runId, CURSOR_START, 10))]);
  });

  test('closing the store ends its subscriptions', async () => {
    const runId = await startRun();
    const next = (await subscribe(runId)).next();
    await live.close();
    expect(await next).toBeNull();
  });
});

describe('a run that is over', () => {
  test('it is replayed to its terminal event, then the stream ends', async () => {
    const runId = await startRun();
    const events = [...(await append(runId, ...new Array(230).fill(0))), await end(runId)];
    expect(await drain(await subscribe(runId))).toEqual(events);
    expect(await drain(await subscribe(runId, events[200]?.id))).toEqual(events.slice(201));
  });

  test('a cursor at or after the terminal event ends at once', async () => {
    const runId = await startRun();
    const event = await end(runId);
    expect(await (await subscribe(runId, event.id)).next()).toBeNull();
    expect(await (await subscribe(runId, '18446744073709551615-0')).next()).toBeNull();
  });

  test('who is still reading when it ends gets the rest, also with others gone', async () => {
    const runId = await startRun();
    const [slow, other] = [await subscribe(runId), await subscribe(runId)];
    const events = [...(await append(runId, 1)), await end(runId)];
    other.close();
    expect(await drain(slow)).toEqual(events);
  });

  test('an unknown or expired run cannot be subscribed to', async () => {
    expect(await live.subscribe(newRunId(), CURSOR_START)).toBeNull();
    const runId = await startRun();
    await end(runId);
    clock.micros += (RETENTION + 1) * 1_000_000;
    expect(await live.subscribe(runId, CURSOR_START)).toBeNull();
  });

  test('a run that expires during the replay ends the stream', async () => {
    const runId = await startRun();
    await append(runId, ...new Array(150).fill(0));
    await end(runId);
    const subscription = await subscribe(runId);
    expect(await subscription.next()).toHaveLength(100);
    clock.micros += (RETENTION + 1) * 1_000_000;
    expect(await subscription.next()).toBeNull();
  });
});

describe('a store that fails or answers out of order', () => {
  test('a failed read rejects, and the subscription is over', async () => {
    const runId = await startRun();
    await append(runId, 1);
    const broken = createLive({ ...sqlite, readEvents: () => Promise.reject(new StoreUnavailableError()) });
    const subscription = await broken.subscribe(runId, CURSOR_START);
    await expect(subscription?.next()).rejects.toBeInstanceOf(StoreUnavailableError);
    expect(await subscription?.next()).toBeNull();
  });

  test('a failed record look-up rejects the subscription', async () => {
    const broken = createLive({ ...sqlite, getRecord: () => Promise.reject(new StoreUnavailableError()) });
    await expect(broken.subscribe(newRunId(), CURSOR_START)).rejects.toBeInstanceOf(StoreUnavailableError);
  });

  test('answers that overtake each other are published in the order of the writes', async () => {
    const gates: (() => void)[] = [];
    const overtaking = createLive({
      ...sqlite,
      async append(runId, payloads) {
        const outcome = await sqlite.append(runId, payloads);
        await new Promise<void>((resolve) => gates.push(resolve));
        return outcome;
      },
    });
    const record = runningRecord();
    const runId = record.run_id;
    await overtaking.create(record);
    const subscription = await overtaking.subscribe(runId, CURSOR_START);
    if (subscription === null) throw new Error('unknown run');
    const seen = drain(subscription);
    const writes = [1, 2, 3].map((data) => overtaking.append(runId, [payloadOf(runId, data)]));
    const finalised = overtaking.finalise(runId, terminal(runId, 'succeeded'));
    await finalised;
    while (gates.length < 3) await new Promise((resolve) => setImmediate(resolve));
    for (const gate of gates.reverse()) gate();
    await Promise.all(writes);
    const ids = (await seen).map((event) => event.id);
    expect(ids).toHaveLength(4);
    expect([...ids].sort(compareEventIds)).toEqual(ids);
  });

  test('an append that failed although it was written is delivered before the next event', async () => {
    let lose = true;
    const losing = createLive({
      ...sqlite,
      async append(runId, payloads) {
        const outcome = await sqlite.append(runId, payloads);
        if (lose) throw new StoreUnavailableError();
        return outcome;
      },
    });
    const record = runningRecord();
    const runId = record.run_id;
    await losing.create(record);
    const subscription = await losing.subscribe(runId, CURSOR_START);
    const next = subscription?.next();
    await expect(losing.append(runId, [payloadOf(runId, 1)])).rejects.toBeInstanceOf(StoreUnavailableError);
    lose = false;
    await losing.append(runId, [payloadOf(runId, 2)]);
    expect((await next)?.map((event) => event.payload)).toEqual([payloadOf(runId, 1), payloadOf(runId, 2)]);
    subscription?.close();
  });
});

describe('a run that somebody wants to end', () => {
  test('a refused end leaves its stream open, and the end that is taken closes it', async () => {
    const runId = await startRun();
    const subscription = await subscribe(runId);
    expect(await live.finalise(runId, terminal(runId, 'cancelled'))).toMatchObject({
      applied: false,
      status: 'running',
    });
    expect(await live.requestCancel(runId, intentOf())).toEqual({ accepted: true, status: 'running' });
    expect(await live.finalise(runId, terminal(runId, 'succeeded'))).toMatchObject({
      applied: false,
      status: 'running',
    });
    expect(await live.finaliseLost(runId, terminal(runId, 'failed'))).toMatchObject({
      applied: false,
      status: 'running',
    });
    const next = subscription.next();
    expect(await isPending(next)).toBe(true);
    const events = await append(runId, 1);
    expect(await next).toEqual(events);
    const event = applied(await live.finalise(runId, terminal(runId, 'cancelled')));
    expect(await drain(subscription)).toEqual([event]);
    expect(reads).toBe(0);
    expect(live.channels()).toBe(0);
  });

  test('the watcher hears of cancels through the fan-out', async () => {
    const told = toldWatcher();
    live.watchOwn(told);
    const runId = await startRun();
    await live.requestCancel(runId, intentOf('why'));
    expect(told.cancels).toEqual([{ runId, intent: intentOf('why') }]);
  });

  test('a refused creation is not remembered', async () => {
    const deduplication = { key: 'k', fingerprint: 'f', strict: true };
    const record = runningRecord();
    expect(await live.create(record, deduplication)).toEqual({ created: true });
    expect(await live.create(runningRecord(), deduplication)).toEqual({ created: false, existing: record });
    expect(await live.create(runningRecord(), { ...deduplication, fingerprint: 'g' })).toEqual({
      created: false,
      existing: null,
    });
    expect(live.channels()).toBe(1);
    await end(record.run_id);
    expect(await live.create(runningRecord(), deduplication)).toMatchObject({ created: false });
    expect(live.channels()).toBe(0);
  });

  test('a lost run that is ended is seen to its end by who watches it', async () => {
    const directory = tempDirectory();
    const path = directory.file('x.db');
    const before = openSqlite(path);
    const record = runningRecord();
    await before.create(record);
    const [first] = appended(await before.append(record.run_id, [payloadOf(record.run_id)]));
    await before.close();
    const next = createLive(openSqlite(path));
    const subscriptions = [
      await next.subscribe(record.run_id, CURSOR_START),
      await next.subscribe(record.run_id, first?.id ?? ''),
    ];
    const seen = subscriptions.map((subscription) => drain(subscription as EventSubscription)); // the run is known
    const event = applied(await next.finaliseLost(record.run_id, terminal(record.run_id, 'failed')));
    expect(await Promise.all(seen)).toEqual([[first as StoredEvent, event], [event]]);
    expect(next.channels()).toBe(0);
    await next.close();
    directory.remove();
  });

  test('a run that somebody else ended while this process was away ends its streams, with what the store has', async () => {
    const told = toldWatcher();
    const watchers: OwnRunsWatcher[] = [];
    const sleeper = createLive({ ...sqlite, watchOwn: (watcher) => void watchers.push(watcher) });
    sleeper.watchOwn(told);
    const record = runningRecord();
    const runId = record.run_id;
    await sleeper.create(record);
    const [first] = appended(await sleeper.append(runId, [payloadOf(runId)]));
    const subscription = await sleeper.subscribe(runId, first?.id ?? '');
    if (subscription === null) throw new Error('unknown run');
    const seen = drain(subscription);
    const event = applied(await sqlite.finalise(runId, terminal(runId, 'failed', 'worker lost')));
    watchers[0]?.endedElsewhere(runId);
    expect(await seen).toEqual([event]);
    expect(told.ended).toEqual([runId]);
    expect(sleeper.channels()).toBe(0);
    // Its late writes change nothing.
    expect(await sleeper.append(runId, [payloadOf(runId)])).toEqual({ appended: false, status: 'failed' });
    watchers[0]?.endedElsewhere(runId);
    expect(sleeper.channels()).toBe(0);
  });
});

describe('a run of another process', () => {
  test('one tail, begun where the first subscriber caught up, serves all its subscribers and stops with the last', async () => {
    const record = runningRecord();
    const runId = record.run_id;
    await sqlite.create(record);
    const [first] = appended(await sqlite.append(runId, [payloadOf(runId, 1)]));
    const tails: { after: EventId; publish: (events: readonly StoredEvent[], ended: boolean) => void }[] = [];
    let stopped = 0;
    const watching = createLive(sqlite, {
      tail: {
        follow(_runId, after, publish) {
          tails.push({ after, publish });
          return () => {
            stopped += 1;
          };
        },
      },
    });
    const subscriptions = [
      await watching.subscribe(runId, CURSOR_START),
      await watching.subscribe(runId, first?.id ?? ''),
    ];
    const seen = subscriptions.map((subscription) => drain(subscription as EventSubscription));
    while (tails.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const [second] = appended(await sqlite.append(runId, [payloadOf(runId, 2)]));
    const last = applied(await sqlite.finalise(runId, terminal(runId, 'succeeded')));
    // The tail may repeat what subscribers have.
    tails[0]?.publish([first as StoredEvent, second as StoredEvent], false);
    tails[0]?.publish([last], true);
    const [a, b] = await Promise.all(seen);
    expect(a).toEqual([first as StoredEvent, second as StoredEvent, last]);
    expect(b).toEqual([second as StoredEvent, last]);
    expect(tails.map((tail) => tail.after)).toEqual([first?.id ?? '']);
    expect(stopped).toBe(1);
  });
});

describe('a run that ended a moment ago', () => {
  let lately: LiveStore;
  beforeEach(() => {
    lately = createLive(counted(sqlite), { clock });
  });

  async function ended(events: number): Promise<string> {
    const record = runningRecord();
    await lately.create(record);
    for (let i = 0; i < events; i += 1) await lately.append(record.run_id, [payloadOf(record.run_id, i)]);
    await lately.finalise(record.run_id, terminal(record.run_id, 'succeeded'));
    return record.run_id;
  }

  test('is read from memory, as a whole or in part, and is what the store has', async () => {
    const runId = await ended(3);
    const stored = await sqlite.readEvents(runId, CURSOR_START, 100);
    const whole = await lately.subscribe(runId, CURSOR_START);
    expect(whole?.rest?.()).toEqual(stored);
    expect(await whole?.next()).toBeNull();
    const part = await lately.subscribe(runId, stored[1]?.id ?? '');
    expect(await part?.next()).toEqual(stored.slice(2));
    expect(await part?.next()).toBeNull();
    expect([reads, lately.channels()]).toEqual([0, 0]);
  });

  test('has nothing left behind its last event', async () => {
    const runId = await ended(1);
    const last = (await sqlite.readEvents(runId, CURSOR_START, 100)).at(-1)?.id ?? '';
    const subscription = await lately.subscribe(runId, last);
    expect(subscription?.rest?.()).toBeNull();
    expect(await subscription?.next()).toBeNull();
  });

  test('is asked of the store when the moment is over, and gone with it', async () => {
    const runId = await ended(1);
    clock.micros += 1_000_000;
    const subscription = await lately.subscribe(runId, CURSOR_START);
    expect(subscription?.rest?.()).toBeNull();
    expect((await subscription?.next())?.length).toBe(2);
    expect(reads).toBeGreaterThan(0);
    clock.micros += RETENTION * 1_000_000;
    expect(await lately.subscribe(runId, CURSOR_START)).toBeNull();
  });

  test('with more events than are kept for nobody is asked of the store', async () => {
    const runId = await ended(40);
    const subscription = await lately.subscribe(runId, CURSOR_START);
    expect(subscription?.rest?.()).toBeNull();
    expect((await subscription?.next())?.length).toBe(41);
    expect(reads).toBe(1);
  });

  test('of a running one is ready what is at hand, once, and nothing that has to be waited or asked for', async () => {
    const record = runningRecord();
    await lately.create(record);
    const subscription = await lately.subscribe(record.run_id, CURSOR_START);
    expect(subscription?.ready?.()).toBeNull();
    await lately.append(record.run_id, [payloadOf(record.run_id, 0), payloadOf(record.run_id, 1)]);
    const stored = await sqlite.readEvents(record.run_id, CURSOR_START, 100);
    expect(subscription?.ready?.()).toEqual(stored);
    expect(subscription?.ready?.()).toBeNull();
    const end = await lately.finalise(record.run_id, terminal(record.run_id, 'succeeded'));
    expect(await subscription?.next()).toEqual(end.applied ? [end.event] : []);
    const late = await createLive(counted(sqlite), { clock }).subscribe(record.run_id, CURSOR_START);
    expect(late?.ready?.()).toBeNull();
    late?.close();
    expect(late?.ready?.()).toBeNull();
  });

  test('a running one has no rest', async () => {
    const record = runningRecord();
    await lately.create(record);
    const subscription = await lately.subscribe(record.run_id, CURSOR_START);
    expect(subscription?.rest?.()).toBeNull();
    subscription?.close();
    await lately.finalise(record.run_id, terminal(record.run_id, 'succeeded'));
  });
});
