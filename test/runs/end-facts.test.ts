// What of an end reaches the store beside its event: for lists, and for the records of newer vintages.

import { expect, test } from 'bun:test';
import type { TerminalEvent } from '../../src/protocol/events.ts';
import { createWire } from '../../src/protocol/wire.ts';
import { finaliseRun } from '../../src/runs/sink.ts';
import { intentOf, runningRecord } from '../contract/kit.ts';
import { openSqlite } from '../store/helpers.ts';
import { clock } from './support.ts';

const usage = { promptTokens: 13, completionTokens: 8 };
const snapshot = { schema_version: 1, layers: [] };
const limited = { type: 'run_failed', error: 'x', reason: null, errorType: 'agent_run_limit_exceeded' } as const;

test.each<[TerminalEvent, object]>([
  [
    { type: 'run_succeeded', snapshot, result: { output: 1 }, usage },
    { reason: null, errorType: null, usage },
  ],
  [
    { ...limited, snapshot, usage },
    { reason: null, errorType: 'agent_run_limit_exceeded', usage },
  ],
  [
    { ...limited, errorType: null, reason: 'shutdown', snapshot: null, usage: null },
    { reason: 'shutdown', errorType: null, usage: null },
  ],
])('%j is told', async (event, facts) => {
  for (const vintage of ['2026-06', '2026-08'] as const) {
    const store = openSqlite(':memory:');
    const { run_id } = runningRecord();
    await store.create(runningRecord(run_id));
    expect(await finaliseRun({ store, wire: createWire(vintage), clock }, run_id, event)).toMatchObject({
      applied: true,
    });
    const page = await store.listRuns({ statuses: [], tenant: null, prefix: null, after: null, limit: 1 });
    expect(page?.runs[0]?.facts).toEqual(facts as never); // as the table has it
    await store.close();
  }
});

test('a cancel tells its reason, and what the run had used', async () => {
  const store = openSqlite(':memory:');
  const { run_id } = runningRecord();
  await store.create(runningRecord(run_id));
  await store.requestCancel(run_id, intentOf('user_cancelled'));
  const event: TerminalEvent = { type: 'run_succeeded', snapshot, result: { output: 1 }, usage };
  await finaliseRun({ store, wire: createWire('2026-06'), clock }, run_id, event);
  const page = await store.listRuns({ statuses: ['cancelled'], tenant: null, prefix: null, after: null, limit: 1 });
  expect(page?.runs[0]?.facts).toEqual({ reason: 'user_cancelled', errorType: null, usage });
  await store.close();
});
