// The part of the store contract that is about runs whose process died (issue 5, item 1): they are found, and ended once.

import { expect, test } from 'bun:test';
import { newRunId } from '../../src/base/ids.ts';
import type { RunStore } from '../../src/runs/ports.ts';
import { until } from '../support/until.ts';
import {
  appended,
  applied,
  type Contract,
  intentOf,
  payloadOf,
  readAll,
  runningRecord,
  type Traits,
  terminal,
  toldWatcher,
} from './kit.ts';

export function describeRecovering(contract: Contract, { durable, shared }: Traits): void {
  async function crash(): Promise<RunStore> {
    const next = await contract.harness.crash?.();
    if (next === undefined) throw new Error('the store cannot crash');
    return next;
  }

  /** The store of the process after the one that died, as soon as it counts the runs as lost. */
  async function successor(...runIds: string[]): Promise<RunStore> {
    const next = await crash();
    const sorted = JSON.stringify(runIds.toSorted());
    await until('the lost runs', async () => JSON.stringify((await next.listLost()).toSorted()) === sorted);
    return next;
  }

  test('it says how often to look for lost runs', () => {
    const { recoveryIntervalMs } = contract.store;
    if (shared) expect(recoveryIntervalMs).toBeGreaterThan(0);
    else expect(recoveryIntervalMs).toBeNull();
  });

  test('the runs of a living process are not lost and cannot be ended as lost', async () => {
    const { store } = contract;
    const [plain, wished] = [await contract.startRun(), await contract.startRun()];
    await store.requestCancel(wished, intentOf());
    expect(await store.listLost()).toEqual([]);
    for (const runId of [plain, wished]) {
      for (const status of ['failed', 'cancelled'] as const) {
        const refused = { applied: false, status: 'running', cancel: null } as const;
        expect(await store.finaliseLost(runId, terminal(runId, status))).toEqual(refused);
      }
      expect((await store.getRecord(runId))?.status).toBe('running');
      expect(await readAll(store, runId)).toEqual([]);
    }
    applied(await store.finalise(plain, terminal(plain, 'succeeded')));
    applied(await store.finalise(wished, terminal(wished, 'cancelled')));
  });

  test('a run that is over or unknown cannot be ended as lost', async () => {
    const { store } = contract;
    const runId = await contract.startRun();
    const event = applied(await store.finalise(runId, terminal(runId, 'succeeded')));
    const over = { applied: false, status: 'succeeded', cancel: null } as const;
    expect(await store.finaliseLost(runId, terminal(runId, 'failed'))).toEqual(over);
    expect(await readAll(store, runId)).toEqual([event]);
    const unknown = newRunId();
    const none = { applied: false, status: null, cancel: null } as const;
    expect(await store.finaliseLost(unknown, terminal(unknown, 'failed'))).toEqual(none);
    expect(await store.getRecord(unknown)).toBeNull();
  });

  if (durable) {
    test('of a process that died the running runs are lost, and no others', async () => {
      const { store } = contract;
      const [running, silent, over] = [await contract.startRun(), await contract.startRun(), await contract.startRun()];
      const events = appended(await store.append(running, [payloadOf(running, 1), payloadOf(running, 2)]));
      await store.finalise(over, terminal(over, 'succeeded'));
      const next = await successor(running, silent);
      const record = runningRecord();
      await next.create(record);
      expect((await next.listLost()).toSorted()).toEqual([running, silent].toSorted());

      const transition = terminal(running, 'failed', 'worker lost');
      const end = applied(await next.finaliseLost(running, transition));
      expect(end.payload).toBe(transition.payload);
      expect(await readAll(next, running)).toEqual([...events, end]);
      expect(await next.getRecord(running)).toMatchObject({ status: 'failed', error: 'worker lost' });
      expect(await next.listLost()).toEqual([silent]);
      const again = { applied: false, status: 'failed', cancel: null } as const;
      expect(await next.finaliseLost(running, transition)).toEqual(again);
      expect(await next.append(running, [payloadOf(running)])).toEqual({ appended: false, status: 'failed' });

      applied(await next.finaliseLost(silent, terminal(silent, 'failed')));
      expect(await next.listLost()).toEqual([]);
      expect(await next.finaliseLost(record.run_id, terminal(record.run_id, 'failed'))).toMatchObject({
        applied: false,
        status: 'running',
      });
    });

    test('a cancel that was accepted before the death stands: the lost run ends as cancelled', async () => {
      const { store } = contract;
      const intent = intentOf('user_cancelled', 'before the end');
      const runId = await contract.startRun();
      await store.requestCancel(runId, intent);
      const next = await successor(runId);
      const told = toldWatcher();
      next.watchOwn(told);
      expect(await next.finaliseLost(runId, terminal(runId, 'failed'))).toEqual({
        applied: false,
        status: 'running',
        cancel: intent,
      });
      expect(await next.requestCancel(runId, intentOf('late'))).toEqual({ accepted: true, status: 'running' });
      const end = applied(await next.finaliseLost(runId, terminal(runId, 'cancelled', 'before the end')));
      expect(await readAll(next, runId)).toEqual([end]);
      expect((await next.getRecord(runId))?.status).toBe('cancelled');
      expect(await next.listLost()).toEqual([]);
      // The run was never this process's own.
      expect(told.cancels).toEqual([]);
    });

    test('a lost run can be cancelled, and does not end as cancelled otherwise', async () => {
      const runId = await contract.startRun();
      const next = await successor(runId);
      const unasked = { applied: false, status: 'running', cancel: null } as const;
      expect(await next.finaliseLost(runId, terminal(runId, 'cancelled'))).toEqual(unasked);
      expect(await next.requestCancel(runId, intentOf())).toEqual({ accepted: true, status: 'running' });
      expect(await next.finaliseLost(runId, terminal(runId, 'failed'))).toMatchObject({ cancel: intentOf() });
      applied(await next.finaliseLost(runId, terminal(runId, 'cancelled')));
    });

    test('two sweeps at once end each lost run once', async () => {
      const runIds = await Promise.all(Array.from({ length: 10 }, () => contract.startRun()));
      const next = await successor(...runIds);
      const second = shared ? await contract.harness.another?.() : next;
      if (second === undefined) throw new Error('no other process');
      const outcomes = await Promise.all(
        runIds.flatMap((runId) =>
          [next, second].map((store) => store.finaliseLost(runId, terminal(runId, 'failed', 'worker lost'))),
        ),
      );
      expect(outcomes.filter((outcome) => outcome.applied)).toHaveLength(runIds.length);
      for (const outcome of outcomes) if (!outcome.applied) expect(outcome.status).toBe('failed');
      for (const runId of runIds) expect(await readAll(second, runId)).toHaveLength(1);
      expect(await next.listLost()).toEqual([]);
    });
  }

  if (shared) {
    test('the runs of another process that lives are not lost and cannot be ended as lost', async () => {
      const other = await contract.harness.another?.();
      if (other === undefined) throw new Error('no other process');
      const runId = await contract.startRun();
      expect(await other.listLost()).toEqual([]);
      const refused = { applied: false, status: 'running', cancel: null } as const;
      expect(await other.finaliseLost(runId, terminal(runId, 'failed'))).toEqual(refused);
      applied(await contract.store.finalise(runId, terminal(runId, 'succeeded')));
    });
  }
}
