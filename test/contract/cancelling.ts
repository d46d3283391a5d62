// The part of the store contract that is about cancels (spec 01 §6.1 V4, §7.4): the wish is durable, the owner hears of it once,
// and from then on the run can end in one way only.

import { expect, test } from 'bun:test';
import { newRunId } from '../../src/base/ids.ts';
import { until } from '../support/until.ts';
import {
  appended,
  applied,
  type Contract,
  cancel,
  intentOf,
  payloadOf,
  RETENTION,
  readAll,
  runningRecord,
  type Traits,
  terminal,
  toldWatcher,
} from './kit.ts';

export function describeCancelling(contract: Contract, { shared }: Traits): void {
  test('a cancel of an unknown run is not accepted and leaves nothing', async () => {
    const { store } = contract;
    const runId = newRunId();
    expect(await store.requestCancel(runId, intentOf())).toEqual({ accepted: false, status: null });
    await store.create(runningRecord(runId));
    expect(await store.finalise(runId, terminal(runId, 'cancelled'))).toEqual({
      applied: false,
      status: 'running',
      cancel: null,
    });
  });

  test('an accepted cancel changes neither the record nor the events, and its run goes on', async () => {
    const { store } = contract;
    const record = runningRecord();
    const runId = record.run_id;
    await store.create(record);
    const [before] = appended(await store.append(runId, [payloadOf(runId, 1)]));
    expect(await store.requestCancel(runId, intentOf())).toEqual({ accepted: true, status: 'running' });
    expect(await store.getRecord(runId)).toEqual(record);
    const [after] = appended(await store.append(runId, [payloadOf(runId, 2)]));
    expect(await readAll(store, runId)).toEqual([before, after].flatMap((event) => event ?? []));
  });

  test('after a cancel success and failure are refused with it, and the run ends as cancelled, once', async () => {
    const { store } = contract;
    const record = runningRecord();
    const runId = record.run_id;
    await store.create(record);
    const intent = intentOf('user_cancelled', 'enough');
    await store.requestCancel(runId, intent);
    for (const status of ['succeeded', 'failed'] as const) {
      const refused = { applied: false, status: 'running', cancel: intent } as const;
      expect(await store.finalise(runId, terminal(runId, status))).toEqual(refused);
    }
    expect(await store.getRecord(runId)).toEqual(record);
    expect(await readAll(store, runId)).toEqual([]);

    const transition = terminal(runId, 'cancelled', 'enough');
    const event = applied(await store.finalise(runId, transition));
    expect(event.payload).toBe(transition.payload);
    const over = { ...record, status: 'cancelled', updated_at: transition.updatedAt, error: 'enough' } as const;
    expect(await store.getRecord(runId)).toEqual(over);
    for (const status of ['cancelled', 'succeeded', 'failed'] as const) {
      const refused = { applied: false, status: 'cancelled', cancel: null } as const;
      expect(await store.finalise(runId, terminal(runId, status, 'late'))).toEqual(refused);
    }
    expect(await store.requestCancel(runId, intentOf('again'))).toEqual({ accepted: true, status: 'cancelled' });
    expect(await store.append(runId, [payloadOf(runId)])).toEqual({ appended: false, status: 'cancelled' });
    expect(await store.getRecord(runId)).toEqual(over);
    expect(await readAll(store, runId)).toEqual([event]);
  });

  test('of several cancels the first reason stays', async () => {
    const { store } = contract;
    const runId = await contract.startRun();
    const first = intentOf('first', null);
    expect(await store.requestCancel(runId, first)).toEqual({ accepted: true, status: 'running' });
    expect(await store.requestCancel(runId, intentOf('second', 'm'))).toEqual({ accepted: true, status: 'running' });
    expect(await store.finalise(runId, terminal(runId, 'failed'))).toMatchObject({ applied: false, cancel: first });
  });

  test('an end as cancelled that nobody asked for changes nothing', async () => {
    const { store } = contract;
    const record = runningRecord();
    const runId = record.run_id;
    await store.create(record);
    const refused = { applied: false, status: 'running', cancel: null } as const;
    expect(await store.finalise(runId, terminal(runId, 'cancelled'))).toEqual(refused);
    expect(await store.getRecord(runId)).toEqual(record);
    expect(await readAll(store, runId)).toEqual([]);
    const events = appended(await store.append(runId, [payloadOf(runId)]));
    const end = applied(await store.finalise(runId, terminal(runId, 'succeeded')));
    expect(await readAll(store, runId)).toEqual([...events, end]);
  });

  test.each(['succeeded', 'failed'] as const)('a cancel after the end as %s is too late', async (status) => {
    const { store } = contract;
    const runId = await contract.startRun();
    const event = applied(await store.finalise(runId, terminal(runId, status, 'x')));
    const before = await store.getRecord(runId);
    expect(await store.requestCancel(runId, intentOf())).toEqual({ accepted: false, status });
    const refused = { applied: false, status, cancel: null } as const;
    expect(await store.finalise(runId, terminal(runId, 'cancelled'))).toEqual(refused);
    expect(await store.getRecord(runId)).toEqual(before);
    expect(await readAll(store, runId)).toEqual([event]);
  });

  test('a success and a cancel at the same time: either the cancel is too late, or the run ends as cancelled', async () => {
    const { store } = contract;
    const met = { success: 0, cancel: 0 };
    for (let round = 0; round < 40; round += 1) {
      const runId = await contract.startRun();
      const end = () => store.finalise(runId, terminal(runId, 'succeeded'));
      const early = round % 2 === 0 ? end() : null;
      const wish = store.requestCancel(runId, intentOf());
      let ended = await (early ?? end());
      let wished = await wish;
      if (ended.applied) {
        met.success += 1;
        expect(wished).toEqual({ accepted: false, status: 'succeeded' });
      } else {
        met.cancel += 1;
        expect(wished).toEqual({ accepted: true, status: 'running' });
        expect(ended).toEqual({ applied: false, status: 'running', cancel: intentOf() });
        ended = await store.finalise(runId, terminal(runId, 'cancelled'));
        wished = await store.requestCancel(runId, intentOf());
        expect(wished).toEqual({ accepted: true, status: 'cancelled' });
      }
      const event = applied(ended);
      expect(await readAll(store, runId)).toEqual([event]);
      expect(event.payload).toContain(`"run_${(await store.getRecord(runId))?.status}"`);
    }
    // A race that always has the same winner was none.
    expect(Math.min(met.success, met.cancel)).toBeGreaterThan(0);
  });

  test('an append on its way when a cancelled run ends is before the end or refused', async () => {
    const { store } = contract;
    const runId = await contract.startRun();
    await store.requestCancel(runId, intentOf());
    const [before, end, after] = await Promise.all([
      store.append(runId, [payloadOf(runId, 1)]),
      store.finalise(runId, terminal(runId, 'cancelled')),
      store.append(runId, [payloadOf(runId, 2)]),
    ]);
    const accepted = [before, after].flatMap((outcome) => (outcome.appended ? outcome.events : []));
    expect(await readAll(store, runId)).toEqual([...accepted, applied(end)]);
    expect(after).toEqual({ appended: false, status: 'cancelled' });
  });

  test('any reason and message come back as they were given', async () => {
    const { store } = contract;
    const text = 'line\nNUL\u0000 lone\ud800 sep\u2028 "quoted" \\ 😀 '.repeat(100);
    for (const intent of [intentOf(null, null), intentOf('', ''), intentOf(text, null), intentOf(null, text)]) {
      const runId = await contract.startRun();
      await store.requestCancel(runId, intent);
      expect(await store.finalise(runId, terminal(runId, 'failed'))).toMatchObject({ cancel: intent });
    }
  });

  test('whoever runs the run is told once, with the first reason, however often and fast it is asked for', async () => {
    const { store } = contract;
    const told = toldWatcher();
    store.watchOwn(told);
    const [runId, other] = [await contract.startRun(), await contract.startRun()];
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, i) => store.requestCancel(runId, intentOf(`reason ${i}`))),
    );
    for (const outcome of outcomes) expect(outcome).toEqual({ accepted: true, status: 'running' });
    await until('the watcher', () => told.cancels.length > 0);
    const intent = intentOf('reason 0');
    expect(await store.finalise(runId, terminal(runId, 'failed'))).toMatchObject({ cancel: intent });
    await store.requestCancel(runId, intentOf('late'));
    await cancel(store, runId, intentOf('later'));
    await store.requestCancel(runId, intentOf('latest'));
    // Whatever is told, is told in order: with the second run's cancel everything about the first has come.
    await store.requestCancel(other, intentOf('other'));
    await until('the second', () => told.cancels.length > 1);
    expect(told.cancels).toEqual([
      { runId, intent },
      { runId: other, intent: intentOf('other') },
    ]);
    expect(told.ended).toEqual([]);
  });

  test('when the watcher is told, the cancel stands', async () => {
    const { store } = contract;
    const seen = Promise.withResolvers<unknown>();
    store.watchOwn({
      cancelRequested: (runId) => store.finalise(runId, terminal(runId, 'succeeded')).then(seen.resolve, seen.reject),
      endedElsewhere() {},
    });
    const runId = await contract.startRun();
    await store.requestCancel(runId, intentOf());
    expect(await seen.promise).toEqual({ applied: false, status: 'running', cancel: intentOf() });
  });

  test('a run that is over is not talked about', async () => {
    const { store } = contract;
    const told = toldWatcher();
    store.watchOwn(told);
    const [over, running] = [await contract.startRun(), await contract.startRun()];
    await store.finalise(over, terminal(over, 'succeeded'));
    await store.requestCancel(over, intentOf());
    await store.requestCancel(newRunId(), intentOf());
    await store.requestCancel(running, intentOf());
    await until('the watcher', () => told.cancels.length > 0);
    expect(told.cancels.map(({ runId }) => runId)).toEqual([running]);
  });

  test('a cancelled run is kept for its retention, which refused requests do not prolong', async () => {
    const { store } = contract;
    const runId = await contract.startRun();
    await cancel(store, runId);
    await contract.harness.passTime(RETENTION - 1);
    expect((await store.getRecord(runId))?.status).toBe('cancelled');
    expect(await store.requestCancel(runId, intentOf())).toEqual({ accepted: true, status: 'cancelled' });
    await contract.harness.passTime(2);
    expect(await store.getRecord(runId)).toBeNull();
    expect(await store.requestCancel(runId, intentOf())).toEqual({ accepted: false, status: null });
  });

  if (!shared) return;

  test('any process may ask for a cancel, and it is the owner that hears of it', async () => {
    const { store } = contract;
    const other = await contract.harness.another?.();
    if (other === undefined) throw new Error('no other process');
    const told = [toldWatcher(), toldWatcher()] as const;
    store.watchOwn(told[0]);
    other.watchOwn(told[1]);
    const runId = await contract.startRun();
    const intent = intentOf('from afar');
    expect(await other.requestCancel(runId, intent)).toEqual({ accepted: true, status: 'running' });
    expect(await store.requestCancel(runId, intentOf('late'))).toEqual({ accepted: true, status: 'running' });
    await until('the owner', () => told[0].cancels.length > 0);
    expect(await store.finalise(runId, terminal(runId, 'succeeded'))).toMatchObject({ applied: false, cancel: intent });
    applied(await store.finalise(runId, terminal(runId, 'cancelled')));
    expect(await other.requestCancel(runId, intent)).toEqual({ accepted: true, status: 'cancelled' });
    expect((await other.getRecord(runId))?.status).toBe('cancelled');
    expect(told[0].cancels).toEqual([{ runId, intent }]);
    expect(told[1].cancels).toEqual([]);
  });
}
