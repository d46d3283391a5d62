// Streams of which the beginning is dropped, through the fan-out: who keeps up misses nothing, and who does not is told.

import { afterEach, beforeEach, expect, test } from 'bun:test';
import { CURSOR_START, type EventId } from '../../src/base/cursor.ts';
import type { EventSubscription, StoredEvent } from '../../src/runs/ports.ts';
import { RING_MAX_EVENTS } from '../../src/store/channel.ts';
import { createLive, type LiveStore } from '../../src/store/live.ts';
import type { SqliteStore } from '../../src/store/sqlite.ts';
import { appended, applied, payloadOf, runningRecord, terminal } from '../contract/kit.ts';
import { drain, isPending, openSqlite } from './helpers.ts';

/** Room for fewer events than memory keeps, so that a slow reader meets the gap. */
const MAX_EVENTS = 40;
let sqlite: SqliteStore;
let live: LiveStore;
beforeEach(() => {
  sqlite = openSqlite(':memory:', { eventStream: { maxEvents: MAX_EVENTS, maxBytes: null } });
  live = createLive(sqlite);
});
afterEach(() => live.close());

async function startRun(): Promise<string> {
  const record = runningRecord();
  await live.create(record);
  return record.run_id;
}
async function write(runId: string, count: number, data: unknown = 0): Promise<readonly StoredEvent[]> {
  const all: StoredEvent[] = [];
  for (let i = 0; i < count; i += 1) all.push(...appended(await live.append(runId, [payloadOf(runId, data)])));
  return all;
}
async function subscribe(runId: string, after = CURSOR_START): Promise<EventSubscription> {
  const subscription = await live.subscribe(runId, after);
  if (subscription === null) throw new Error('unknown run');
  return subscription;
}

test('who keeps up misses nothing and is told nothing', async () => {
  const runId = await startRun();
  const seen = drain(await subscribe(runId));
  const all = [...(await write(runId, 500))];
  all.push(applied(await live.finalise(runId, terminal(runId, 'succeeded'))));
  expect(await seen).toEqual(all);
});

test('who comes late gets the first event, is told of the gap, and goes on live without another', async () => {
  const runId = await startRun();
  const all = [...(await write(runId, 500))];
  const subscription = await subscribe(runId);
  const seen = drain(subscription);
  while (!(await isPending(seen)) || all.length < 550) all.push(...(await write(runId, 1)));
  all.push(applied(await live.finalise(runId, terminal(runId, 'succeeded'))));
  const got = await seen;
  expect(got[0]).toEqual(all[0] as StoredEvent);
  expect(got.flatMap((event, index) => (event.trimmedBefore ? [index] : []))).toEqual([1]);
  expect(got.map(({ id }) => id).slice(1)).toEqual(all.map(({ id }) => id).slice(1 - got.length));
});

test.each([1, 10_000])(
  'who falls behind into what is dropped (%d characters each) is told, and sees the end',
  async (size) => {
    const runId = await startRun();
    const slow = await subscribe(runId);
    const quick = drain(await subscribe(runId));
    const all = [...(await write(runId, 3, 'x'.repeat(size)))];
    const got = [...((await slow.next()) ?? [])];
    all.push(...(await write(runId, 2 * RING_MAX_EVENTS, 'x'.repeat(size))));
    all.push(applied(await live.finalise(runId, terminal(runId, 'succeeded'))));
    got.push(...(await drain(slow)));
    expect(await quick).toEqual(all);
    const marks = got.flatMap((event, index) => (event.trimmedBefore ? [index] : []));
    expect(marks).toEqual([3]);
    expect(got.map(({ id }) => id)).toEqual([...all.slice(0, 3), ...all.slice(3 - got.length)].map(({ id }) => id));
  },
);

test('what memory still has is served without a gap, though the store has dropped it', async () => {
  const runId = await startRun();
  const busy = await subscribe(runId);
  const all = await write(runId, RING_MAX_EVENTS - 10);
  expect((await live.readEvents(runId, CURSOR_START, 1_000)).length).toBeLessThan(60);
  const got: StoredEvent[] = [];
  while (got.length < all.length) got.push(...((await busy.next()) ?? []));
  expect(got).toEqual([...all]);
  busy.close();
});

test('more at once than is kept reaches who waits, and a gap whoever does not', async () => {
  const runId = await startRun();
  const [first] = await write(runId, 1);
  const [waiting, late] = [await subscribe(runId, first?.id), await subscribe(runId, first?.id)];
  const next = waiting.next();
  const batch = appended(
    await live.append(
      runId,
      Array.from({ length: 2 * RING_MAX_EVENTS }, (_, i) => payloadOf(runId, i)),
    ),
  );
  expect(await next).toEqual(batch);
  waiting.close();
  const got = await late.next();
  // Memory keeps more than the store: nobody is told of a gap that need not be.
  expect(got?.map(({ id }) => id)).toEqual(batch.slice(-(got?.length ?? 0)).map(({ id }) => id));
  expect(got?.[0]?.trimmedBefore).toBe(true);
  late.close();
});

test('where a tail met a gap, each reader is told of its own', async () => {
  const record = runningRecord();
  const runId = record.run_id;
  await sqlite.create(record);
  const tails: ((events: readonly StoredEvent[], ended: boolean) => void)[] = [];
  const watching = createLive(sqlite, {
    tail: {
      follow(_runId, _after, publish) {
        tails.push(publish);
        return () => {};
      },
    },
  });
  const append = async (count: number) =>
    appended(await sqlite.append(runId, new Array<string>(count).fill(payloadOf(runId))));
  const open = async (after: EventId) => {
    const subscription = await watching.subscribe(runId, after);
    if (subscription === null) throw new Error('unknown run');
    return subscription;
  };
  const early = await append(3);
  const behind = await open(CURSOR_START);
  expect(await behind.next()).toEqual(early);
  const waiting = behind.next();
  expect(await isPending(waiting)).toBe(true);
  // More than is kept, before the tail comes to it; what it brings begins with a gap.
  const all = [...early, ...(await append(200))];
  const kept = await sqlite.readEvents(runId, early[2]?.id ?? '', 1_000);
  expect(kept[0]?.trimmedBefore).toBe(true);
  const dropped = all.at(-kept.length - 1)?.id ?? '';
  // This one has seen the last that was dropped: through another process.
  const informed = await open(dropped);
  tails[0]?.(kept, false);
  expect(await waiting).toEqual(kept);
  expect(await informed.next()).toEqual(kept.map(({ id, payload }) => ({ id, payload })));
  const end = applied(await sqlite.finalise(runId, terminal(runId, 'succeeded')));
  tails[0]?.([end], true);
  expect(await drain(behind)).toEqual([end]);
  expect(await drain(informed)).toEqual([end]);
  expect(watching.channels()).toBe(0);
});
