// The part of the store contract that is about bounded streams (issue 5, item 4): the oldest events go, the first and the last
// stay, and a reader is told where something is missing.

import { describe, expect, test } from 'bun:test';
import { CURSOR_START, compareEventIds } from '../../src/base/cursor.ts';
import type { RunStore, StoredEvent } from '../../src/runs/ports.ts';
import { appended, applied, type Contract, cancel, payloadOf, readAll, runningRecord, terminal } from './kit.ts';

const MAX_EVENTS = 100;
const MAX_BYTES = 100_000;

/** What is kept must be the first event and a piece at the end, with a mark between if and only if something is missing. */
function checkKept(kept: readonly StoredEvent[], written: readonly StoredEvent[]): void {
  const gap = written.length - kept.length;
  const expected = gap === 0 ? [...written] : [...written.slice(0, 1), ...written.slice(gap + 1)];
  expect(kept.map(({ id, payload }) => ({ id, payload }))).toEqual(expected);
  const marked = kept.flatMap((event, index) => (event.trimmedBefore === true ? [index] : []));
  expect(marked).toEqual(gap === 0 ? [] : [1]);
}

export function describeTrimming(contract: Contract): void {
  async function start(eventStream: { maxEvents?: number; maxBytes?: number }): Promise<[RunStore, string]> {
    const { store } = await contract.open({ eventStream: { maxEvents: null, maxBytes: null, ...eventStream } });
    const record = runningRecord();
    await store.create(record);
    return [store, record.run_id];
  }

  async function write(store: RunStore, runId: string, count: number, perAppend = 1, data: unknown = 0) {
    const events: StoredEvent[] = [];
    for (let i = 0; i < count; i += perAppend) {
      events.push(...appended(await store.append(runId, new Array<string>(perAppend).fill(payloadOf(runId, data)))));
    }
    return events;
  }

  describe('bounded streams', () => {
    test.each([1, 7, 500])(
      'a thousand events, %d per append, leave the first, a bounded number, and the last',
      async (size) => {
        const [store, runId] = await start({ maxEvents: MAX_EVENTS });
        const written = await write(store, runId, 1_000, size);
        checkKept(await readAll(store, runId), written);
        const end = applied(await store.finalise(runId, terminal(runId, 'succeeded')));
        const kept = await readAll(store, runId);
        expect(kept.length).toBeGreaterThanOrEqual(MAX_EVENTS);
        expect(kept.length).toBeLessThanOrEqual(2 * MAX_EVENTS + 1);
        checkKept(kept, [...written, end]);
      },
    );

    test('what was written is acknowledged and returned whole, also what is dropped at once', async () => {
      const [store, runId] = await start({ maxEvents: MAX_EVENTS });
      const payloads = Array.from({ length: 5 * MAX_EVENTS }, (_, i) => payloadOf(runId, i));
      const events = appended(await store.append(runId, payloads));
      expect(events.map(({ payload }) => payload)).toEqual(payloads);
      expect(events.every(({ trimmedBefore }) => trimmedBefore === undefined)).toBe(true);
      checkKept(await readAll(store, runId), events);
    });

    test('fewer events than the limit stay, unmarked', async () => {
      const [store, runId] = await start({ maxEvents: MAX_EVENTS, maxBytes: MAX_BYTES });
      const written = await write(store, runId, MAX_EVENTS - 1);
      const end = applied(await store.finalise(runId, terminal(runId, 'succeeded')));
      expect(await readAll(store, runId)).toEqual([...written, end]);
    });

    test('every cursor returns what follows it, marked if and only if something between is missing', async () => {
      const [store, runId] = await start({ maxEvents: MAX_EVENTS });
      const written = await write(store, runId, 450, 3);
      const kept = await readAll(store, runId);
      const gap = written.length - kept.length;
      expect(gap).toBeGreaterThan(0);
      for (const [index, { id }] of written.entries()) {
        const [first, ...rest] = await store.readEvents(runId, id, 1_000);
        const expected = written.slice(Math.max(index, gap) + 1);
        expect([first, ...rest].flatMap((event) => event?.id ?? [])).toEqual(expected.map((event) => event.id));
        // The last dropped event is at index `gap`: whoever has seen it misses nothing.
        expect(first?.trimmedBefore).toBe(index < gap ? true : undefined);
        expect(rest.some((event) => event.trimmedBefore)).toBe(false);
      }
      const single = await store.readEvents(runId, CURSOR_START, 1);
      expect(single).toEqual(written.slice(0, 1));
      const [second] = await store.readEvents(runId, single[0]?.id ?? '', 1);
      expect(second).toEqual({ id: kept[1]?.id ?? '', payload: kept[1]?.payload ?? '', trimmedBefore: true });
      expect(await store.readEvents(runId, '18446744073709551615-0', 10)).toEqual([]);
    });

    test('a byte budget bounds what is kept', async () => {
      const [store, runId] = await start({ maxBytes: MAX_BYTES });
      const written = await write(store, runId, 500, 1, 'é'.repeat(500));
      const end = applied(await store.finalise(runId, terminal(runId, 'succeeded')));
      const kept = await readAll(store, runId);
      checkKept(kept, [...written, end]);
      const bytes = kept.reduce((sum, { payload }) => sum + Buffer.byteLength(payload), 0);
      expect(bytes).toBeGreaterThan(MAX_BYTES / 2);
      expect(bytes).toBeLessThanOrEqual(2 * MAX_BYTES);
    });

    test('with both limits the tighter one counts', async () => {
      const [store, runId] = await start({ maxEvents: 10 * MAX_EVENTS, maxBytes: MAX_BYTES });
      const written = await write(store, runId, 500, 1, 'x'.repeat(1_000));
      const kept = await readAll(store, runId);
      checkKept(kept, written);
      expect(kept.length).toBeLessThanOrEqual((2 * MAX_BYTES) / 1_000);
    });

    test('an event larger than the whole budget neither takes the first with it nor keeps the end out', async () => {
      const [store, runId] = await start({ maxBytes: MAX_BYTES });
      const written = [
        ...(await write(store, runId, 3)),
        ...(await write(store, runId, 1, 1, 'x'.repeat(3 * MAX_BYTES))),
        ...(await write(store, runId, 3)),
      ];
      const end = applied(
        await store.finalise(runId, { ...terminal(runId, 'failed'), payload: 'y'.repeat(3 * MAX_BYTES) }),
      );
      const kept = await readAll(store, runId);
      checkKept(kept, [...written, end]);
      expect(kept.at(-1)?.payload.length).toBe(3 * MAX_BYTES);
    });

    test.each([1, 2])('a limit of %d keeps the first event and the end', async (maxEvents) => {
      const [store, runId] = await start({ maxEvents });
      const written = await write(store, runId, 600, 5);
      checkKept(await readAll(store, runId), written);
      written.push(await cancel(store, runId));
      checkKept(await readAll(store, runId), written);
    });

    test('a run that ends without a further event is kept as it is', async () => {
      const [store, runId] = await start({ maxEvents: 1, maxBytes: 1 });
      const end = applied(await store.finalise(runId, terminal(runId, 'succeeded')));
      expect(await readAll(store, runId)).toEqual([end]);
    });

    test('refused writes trim nothing, and runs do not trim each other', async () => {
      const { store } = await contract.open({ eventStream: { maxEvents: MAX_EVENTS, maxBytes: null } });
      const [a, b] = [runningRecord().run_id, runningRecord().run_id];
      for (const runId of [a, b]) await store.create(runningRecord(runId));
      const short = await write(store, a, 50);
      short.push(applied(await store.finalise(a, terminal(a, 'succeeded'))));
      const long = await write(store, b, 1_000, 10);
      await store.append(a, new Array<string>(1_000).fill(payloadOf(a)));
      expect(await readAll(store, a)).toEqual(short);
      checkKept(await readAll(store, b), long);
    });

    test('ids go on ascending past what was dropped', async () => {
      const [store, runId] = await start({ maxEvents: 5 });
      const written = await write(store, runId, 900, 9);
      for (let i = 1; i < written.length; i += 1) {
        expect(compareEventIds(written[i - 1]?.id ?? '', written[i]?.id ?? '')).toBeLessThan(0);
      }
    });
  });
}
