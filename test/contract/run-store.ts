// What every RunStore must do, whatever it keeps runs in (spec 01 §9 store lists, §6, §10). Called once per
// implementation, plain and behind the live decorator. Its longer parts have files of their own.

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { CURSOR_START, compareEventIds } from '../../src/base/cursor.ts';
import { newRunId } from '../../src/base/ids.ts';
import type { TerminalStatus } from '../../src/protocol/runs.ts';
import type { CreationFinder, RunStore } from '../../src/runs/ports.ts';
import { describeCancelling } from './cancelling.ts';
import { describeDeduplicating } from './deduplicating.ts';
import {
  appended,
  applied,
  type Contract,
  type ContractOptions,
  intentOf,
  payloadOf,
  RETENTION,
  runningRecord,
  type StoreHarness,
  type Traits,
  terminal,
  UNLIMITED,
} from './kit.ts';
import { describeListing } from './listing.ts';
import { describeRecovering } from './recovering.ts';
import { describeTrimming } from './trimming.ts';

export { appended, applied, payloadOf, RETENTION, runningRecord, terminal } from './kit.ts';

/** Runs the contract over a kind of store. */
export function runStoreContract(
  name: string,
  open: (options: ContractOptions) => Promise<StoreHarness>,
  traits: Traits,
): void {
  describe(`${name} keeps the store contract`, () => {
    let harness: StoreHarness;
    let store: RunStore & Partial<CreationFinder>;
    let more: StoreHarness[] = [];

    beforeEach(async () => {
      harness = await open({ retentionSeconds: RETENTION, eventStream: UNLIMITED });
      store = harness.store;
    });
    afterEach(async () => {
      const opened = [harness, ...more];
      more = [];
      for (const each of opened) await each.close();
    });

    async function startRun(): Promise<string> {
      const record = runningRecord();
      await store.create(record);
      return record.run_id;
    }
    const readAll = (runId: string) => store.readEvents(runId, CURSOR_START, 20_000);

    const contract: Contract = {
      get store() {
        return store;
      },
      get harness() {
        return harness;
      },
      async open(options) {
        const another = await open({ retentionSeconds: RETENTION, eventStream: UNLIMITED, ...options });
        more.push(another);
        return another;
      },
      startRun,
    };
    describeCancelling(contract, traits);
    describeDeduplicating(contract, traits);
    describeTrimming(contract);
    describeRecovering(contract, traits);
    if (traits.listed) describeListing(contract, traits);

    test('a created run is running and has no events', async () => {
      const record = runningRecord();
      await store.create(record);
      expect(await store.getRecord(record.run_id)).toEqual(record);
      expect(await readAll(record.run_id)).toEqual([]);
      await store.ping();
    });

    test('an unknown run has no record and no events, takes no event and no end', async () => {
      const runId = newRunId();
      expect(await store.getRecord(runId)).toBeNull();
      expect(await readAll(runId)).toEqual([]);
      expect(await store.append(runId, [payloadOf(runId)])).toEqual({ appended: false, status: null });
      expect(await store.finalise(runId, terminal(runId, 'failed', 'x'))).toEqual({
        applied: false,
        status: null,
        cancel: null,
      });
      expect(await store.getRecord(runId)).toBeNull();
      expect(await readAll(runId)).toEqual([]);
    });

    test('an append before the end is accepted and comes before it', async () => {
      const runId = await startRun();
      const payloads = [payloadOf(runId, 1), payloadOf(runId, 2)];
      const events = appended(await store.append(runId, payloads));
      const end = applied(await store.finalise(runId, terminal(runId, 'succeeded')));
      expect(events.map((event) => event.payload)).toEqual(payloads);
      expect(await readAll(runId)).toEqual([...events, end]);
    });

    test('an append of nothing appends nothing', async () => {
      const runId = await startRun();
      expect(await store.append(runId, [])).toEqual({ appended: true, events: [] });
      expect(await readAll(runId)).toEqual([]);
    });

    test.each([
      ['succeeded', null],
      ['failed', 'run.user_prompts must not be empty'],
      ['cancelled', 'user_cancelled'],
    ] as const)('finalising as %s writes status, time, error and event in one step', async (status, error) => {
      const record = runningRecord();
      await store.create(record);
      if (status === 'cancelled') await store.requestCancel(record.run_id, intentOf());
      const event = applied(await store.finalise(record.run_id, terminal(record.run_id, status, error)));
      expect(event.payload).toBe(terminal(record.run_id, status, error).payload);
      expect(await readAll(record.run_id)).toEqual([event]);
      expect(await store.getRecord(record.run_id)).toEqual({
        ...record,
        status,
        updated_at: '2026-06-02T08:15:31.918004Z',
        error,
      });
    });

    test('concurrent success and failure leave exactly one terminal, and the status matches it', async () => {
      for (let round = 0; round < 20; round += 1) {
        const runId = await startRun();
        const attempts: [TerminalStatus, TerminalStatus] =
          round % 2 === 0 ? ['succeeded', 'failed'] : ['failed', 'succeeded'];
        const outcomes = await Promise.all(attempts.map((status) => store.finalise(runId, terminal(runId, status))));
        const winners = outcomes.flatMap((outcome, index) => (outcome.applied ? [{ outcome, index }] : []));
        expect(winners).toHaveLength(1);
        const winner = winners[0];
        if (winner === undefined) throw new Error('no winner');
        const status = attempts[winner.index];
        if (status === undefined) throw new Error('no status');
        expect(outcomes[1 - winner.index]).toEqual({ applied: false, status, cancel: null });
        expect((await store.getRecord(runId))?.status).toBe(status);
        expect(await readAll(runId)).toEqual([winner.outcome.event]);
      }
    });

    test('a second terminal transition changes nothing', async () => {
      const runId = await startRun();
      const event = applied(await store.finalise(runId, terminal(runId, 'succeeded')));
      const before = await store.getRecord(runId);
      expect(await store.finalise(runId, terminal(runId, 'failed', 'late'))).toEqual({
        applied: false,
        status: 'succeeded',
        cancel: null,
      });
      expect(await store.getRecord(runId)).toEqual(before);
      expect(await readAll(runId)).toEqual([event]);
    });

    test("an append after the end is refused with the winner's status and writes nothing", async () => {
      const runId = await startRun();
      const event = applied(await store.finalise(runId, terminal(runId, 'failed', 'x')));
      expect(await store.append(runId, [payloadOf(runId)])).toEqual({ appended: false, status: 'failed' });
      expect(await readAll(runId)).toEqual([event]);
    });

    test('an append on its way when the run ends is before the end or refused', async () => {
      const runId = await startRun();
      const outcomes = await Promise.all([
        store.append(runId, [payloadOf(runId, 1)]),
        store.finalise(runId, terminal(runId, 'succeeded')),
        store.append(runId, [payloadOf(runId, 2)]),
      ]);
      const events = await readAll(runId);
      const accepted = [outcomes[0], outcomes[2]].flatMap((outcome) => (outcome.appended ? outcome.events : []));
      expect(events).toEqual([...accepted, applied(outcomes[1])]);
      expect(outcomes[2]).toEqual({ appended: false, status: 'succeeded' });
    });

    test('ids increase strictly, numerically, across appends and the end', async () => {
      const runId = await startRun();
      const ids = [];
      for (let i = 0; i < 30; i += 1) {
        ids.push(...appended(await store.append(runId, new Array(1 + (i % 13)).fill(payloadOf(runId)))));
      }
      ids.push(applied(await store.finalise(runId, terminal(runId, 'succeeded'))));
      for (let i = 1; i < ids.length; i += 1) {
        expect(compareEventIds(ids[i - 1]?.id ?? '', ids[i]?.id ?? '')).toBeLessThan(0);
      }
      expect(await readAll(runId)).toEqual(ids);
    });

    test('every cursor returns exactly what comes after it', async () => {
      const runId = await startRun();
      // More than ten in one append: sequence numbers order as numbers, not as text.
      const events = appended(await store.append(runId, new Array(25).fill(payloadOf(runId))));
      for (const [index, event] of events.entries()) {
        expect(await store.readEvents(runId, event.id, 100)).toEqual(events.slice(index + 1));
      }
      const [ms = '0'] = (events[0]?.id ?? '').split('-');
      expect((await store.readEvents(runId, `${BigInt(ms) - 1n}-18446744073709551615`, 3)).length).toBe(3);
      // `<ms>` alone is `<ms>-0` exclusively.
      const rest = await store.readEvents(runId, `${ms}-0`, 100);
      expect(rest).toEqual(events.filter((event) => event.id !== `${ms}-0`));
    });

    test.each([
      '9007199254740993-0',
      '9223372036854775807-9223372036854775807',
      '9223372036854775808-0',
      '18446744073709551615-0',
      '18446744073709551615-18446744073709551614',
    ])('nothing follows the cursor %s', async (cursor) => {
      const runId = await startRun();
      await store.append(runId, [payloadOf(runId)]);
      expect(await store.readEvents(runId, cursor, 10)).toEqual([]);
    });

    test('sequence numbers beyond 64 signed bits are ordered against stored ones', async () => {
      const runId = await startRun();
      const [event] = appended(await store.append(runId, [payloadOf(runId)]));
      const ms = event?.id.split('-')[0] ?? '';
      expect(await store.readEvents(runId, `${ms}-9223372036854775808`, 10)).toEqual([]);
      expect(await store.readEvents(runId, `${ms}-18446744073709551615`, 10)).toEqual([]);
    });

    test('pages are at most as long as asked for and lead to each other', async () => {
      const runId = await startRun();
      const events = appended(
        await store.append(
          runId,
          Array.from({ length: 25 }, (_, i) => payloadOf(runId, i)),
        ),
      );
      const read = [];
      let cursor = CURSOR_START;
      for (;;) {
        const page = await store.readEvents(runId, cursor, 10);
        expect(page.length).toBeLessThanOrEqual(10);
        const last = page.at(-1);
        if (last === undefined) break;
        read.push(...page);
        cursor = last.id;
      }
      expect(read).toEqual([...events]);
    });

    test('two runs that write at once do not see each other', async () => {
      const [a, b] = [await startRun(), await startRun()];
      const writes = [];
      for (let i = 0; i < 50; i += 1) {
        writes.push(store.append(a, [payloadOf(a, i)]), store.append(b, [payloadOf(b, i)]));
      }
      await Promise.all(writes);
      await store.finalise(a, terminal(a, 'succeeded'));
      expect(await store.append(b, [payloadOf(b, 50)])).toMatchObject({ appended: true });
      for (const [runId, count] of [[a, 50] as const, [b, 51] as const]) {
        const texts = (await readAll(runId)).map((event) => event.payload).slice(0, count);
        expect(texts).toEqual(Array.from({ length: count }, (_, i) => payloadOf(runId, i)));
      }
    });

    test('a payload comes back as it was written: separators, NUL, astral and escaped lone surrogates, nested output', async () => {
      const runId = await startRun();
      const output = {
        deep: [{ er: [1, 2.5, null, true, { '': 'é', 'a\u0000b': '\u2028\u2029\u0085' }] }],
        big: '😀👨‍👩‍👧',
      };
      const payloads = [
        payloadOf(runId, { session_snapshot: { schema_version: 1, layers: [] }, output }),
        payloadOf(runId, '\ud800 alone, \udc00 alone'),
        `{"run_id":"${runId}","raw":"a\u0000b\u2028\u2029\u0085\ufeff\uffff😀","big":12345678901234567890,"f":1.0}`,
        '',
        ' ',
      ];
      const events = appended(await store.append(runId, payloads));
      expect(events.map((event) => event.payload)).toEqual(payloads);
      expect((await readAll(runId)).map((event) => event.payload)).toEqual(payloads);
    });

    test('a raw lone surrogate, which no store can keep, becomes its JSON escape in what is shown and what is stored', async () => {
      const runId = await startRun();
      const [event] = appended(await store.append(runId, ['{"data":"x\ud83d y\udc00z😀"}']));
      expect(event?.payload).toBe('{"data":"x\\ud83d y\\udc00z😀"}');
      expect(await readAll(runId)).toEqual(event === undefined ? [] : [event]);
    });

    test('an error text comes back as it was written', async () => {
      const runId = await startRun();
      const error = 'line\nNUL\u0000 lone\ud800 sep\u2028 "quoted" \\ 😀';
      await store.finalise(runId, terminal(runId, 'failed', error));
      expect((await store.getRecord(runId))?.error).toBe(error);
    });

    test('ten thousand events are kept in order', async () => {
      const runId = await startRun();
      const payloads = Array.from({ length: 10_000 }, (_, i) => payloadOf(runId, i));
      for (let i = 0; i < 10_000; i += 500) appended(await store.append(runId, payloads.slice(i, i + 500)));
      expect((await readAll(runId)).map((event) => event.payload)).toEqual(payloads);
    });

    test('a payload of five megabytes is kept', async () => {
      const runId = await startRun();
      const payload = payloadOf(runId, 'é'.repeat(2_500_000));
      await store.append(runId, [payload]);
      const [event] = await readAll(runId);
      expect(event?.payload === payload).toBe(true);
    });

    test('a page of very large events may be shorter than asked for, and leads on', async () => {
      const runId = await startRun();
      const payload = payloadOf(runId, 'x'.repeat(5_000_000));
      for (let i = 0; i < 4; i += 1) await store.append(runId, [payload]);
      let cursor = CURSOR_START;
      let count = 0;
      for (;;) {
        const page = await store.readEvents(runId, cursor, 100);
        const last = page.at(-1);
        if (last === undefined) break;
        count += page.length;
        cursor = last.id;
      }
      expect(count).toBe(4);
    });

    test('a finished run is there until its retention is over, then it is unknown', async () => {
      const runId = await startRun();
      await store.append(runId, [payloadOf(runId)]);
      await store.finalise(runId, terminal(runId, 'succeeded'));
      await harness.passTime(RETENTION - 1);
      expect((await store.getRecord(runId))?.status).toBe('succeeded');
      expect(await readAll(runId)).toHaveLength(2);
      await harness.passTime(2);
      expect(await store.getRecord(runId)).toBeNull();
      expect(await readAll(runId)).toEqual([]);
      expect(await store.append(runId, [payloadOf(runId)])).toEqual({ appended: false, status: null });
      expect(await store.finalise(runId, terminal(runId, 'failed'))).toEqual({
        applied: false,
        status: null,
        cancel: null,
      });
    });

    test('refused writes do not prolong the life of a finished run', async () => {
      const runId = await startRun();
      await store.finalise(runId, terminal(runId, 'succeeded'));
      await harness.passTime(RETENTION - 1);
      await store.append(runId, [payloadOf(runId)]);
      await store.finalise(runId, terminal(runId, 'failed'));
      await store.getRecord(runId);
      await harness.passTime(2);
      expect(await store.getRecord(runId)).toBeNull();
    });

    test('a run that writes lives on beyond the retention, and its retention counts from its end', async () => {
      const runId = await startRun();
      for (let i = 0; i < 3; i += 1) {
        await harness.passTime(RETENTION / 2);
        appended(await store.append(runId, [payloadOf(runId, i)]));
      }
      expect((await store.getRecord(runId))?.status).toBe('running');
      await store.finalise(runId, terminal(runId, 'succeeded'));
      await harness.passTime(RETENTION - 1);
      expect(await readAll(runId)).toHaveLength(4);
    });

    test('a closed store answers nothing', async () => {
      const runId = await startRun();
      await store.close();
      await store.close();
      for (const use of [
        () => store.create(runningRecord()),
        () => store.append(runId, [payloadOf(runId)]),
        () => store.finalise(runId, terminal(runId, 'failed')),
        () => store.requestCancel(runId, intentOf()),
        () => store.listLost(),
        () => store.finaliseLost(runId, terminal(runId, 'failed')),
        () => store.getRecord(runId),
        () => store.readEvents(runId, CURSOR_START, 1),
        () => store.ping(),
      ]) {
        await expect(use()).rejects.toMatchObject({ code: 'store_unavailable', message: 'store unavailable' });
      }
    });
  });
}
