// The contract of SessionRows: one suite over every store.

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { newRunId } from '../../src/base/ids.ts';
import type { SessionQuery, SessionRows, SessionWrite } from '../../src/managed/ports.ts';
import type { RunStore } from '../../src/runs/ports.ts';
import { payloadOf, runningRecord, terminal } from './kit.ts';

/** A store under test, empty. */
export interface RowsHarness {
  readonly rows: SessionRows;
  readonly runs: RunStore;
  close(): Promise<void>;
}

let counter = 0;

export function rowOf(key: string, more: Partial<SessionWrite> = {}): SessionWrite {
  counter += 1;
  return { key, version: `v${counter}`, tenant: null, head: `{"n":${counter}}`, dueAt: 1_000, ...more };
}

const ALL: SessionQuery = { tenant: null, prefix: '', after: '', limit: 100 };

export function sessionRowsContract(name: string, open: () => Promise<RowsHarness>): void {
  describe(name, () => {
    let harness: RowsHarness;
    let rows: SessionRows;
    beforeEach(async () => {
      harness = await open();
      rows = harness.rows;
    });
    afterEach(() => harness.close());

    const keys = async (query: Partial<SessionQuery>) => (await rows.list({ ...ALL, ...query })).map(({ key }) => key);

    test('a row is there as it was written, its body only where it is asked for', async () => {
      expect(await rows.load('a', { body: true })).toBeNull();
      const row = rowOf('a', { tenant: 'té\nnant "1"', head: '{"a":"\\n\u2028ü"}', body: 'b\n\n{"x": 1}\u0085' });
      expect(await rows.save(row, null)).toBe(true);
      expect(await rows.load('a', { body: true })).toEqual({ ...row, body: row.body ?? null });
      expect(await rows.load('a', { body: false })).toEqual({ ...row, body: null });
    });

    test('only who knows the version writes, and a body stays until another is given', async () => {
      const first = rowOf('a', { body: 'one' });
      expect(await rows.save(first, null)).toBe(true);
      expect(await rows.save(rowOf('a'), null)).toBe(false);
      expect(await rows.save(rowOf('a'), 'unknown')).toBe(false);
      expect(await rows.save(rowOf('b'), 'unknown')).toBe(false);
      const second = rowOf('a');
      expect(await rows.save(second, first.version)).toBe(true);
      expect((await rows.load('a', { body: true }))?.body).toBe('one');
      const third = rowOf('a', { body: 'two' });
      expect(await rows.save(third, second.version)).toBe(true);
      expect((await rows.load('a', { body: true }))?.body).toBe('two');
      expect(await rows.save(rowOf('a', { body: null }), third.version)).toBe(true);
      expect((await rows.load('a', { body: true }))?.body).toBeNull();
    });

    test('a write that arrives twice is one write', async () => {
      const first = rowOf('a', { body: 'one' });
      expect(await rows.save(first, null)).toBe(true);
      expect(await rows.save(first, null)).toBe(true);
      const second = rowOf('a', { body: 'two' });
      expect(await rows.save(second, first.version)).toBe(true);
      expect(await rows.save(second, first.version)).toBe(true);
      expect(await rows.load('a', { body: true })).toMatchObject({ version: second.version, body: 'two' });
    });

    test('of many writers at once one wins', async () => {
      const first = rowOf('a');
      await rows.save(first, null);
      const won = await Promise.all(Array.from({ length: 20 }, () => rows.save(rowOf('a'), first.version)));
      expect(won.filter(Boolean)).toHaveLength(1);
    });

    test('a removed row leaves nothing, and is removed by its version alone', async () => {
      const row = rowOf('a', { tenant: 't', body: 'large' });
      await rows.save(row, null);
      expect(await rows.remove({ ...row, version: 'another' })).toBe(false);
      expect(await rows.remove(row)).toBe(true);
      expect(await rows.remove(row)).toBe(true);
      expect(await rows.load('a', { body: true })).toBeNull();
      expect(await keys({})).toEqual([]);
      expect(await keys({ tenant: 't' })).toEqual([]);
      expect(await rows.due(2_000, 10)).toEqual([]);
      expect(await rows.save(rowOf('a'), null)).toBe(true);
      expect((await rows.load('a', { body: true }))?.body).toBeNull();
    });

    test('lists are in the order of keys, by prefix, after a key, by tenant', async () => {
      for (const [key, tenant] of [
        ['b:2', 'one'],
        ['B', 'one'],
        ['b:10', 'two'],
        ['a', 'one'],
        ['b', null],
        ['~z', 'two'],
        ['!', 'two'],
      ] as const) {
        await rows.save(rowOf(key, { tenant }), null);
      }
      await rows.save(rowOf(' orphan:x'), null);
      expect(await keys({})).toEqual(['!', 'B', 'a', 'b', 'b:10', 'b:2', '~z']);
      expect(await keys({ prefix: 'b' })).toEqual(['b', 'b:10', 'b:2']);
      expect(await keys({ prefix: 'b:', limit: 1 })).toEqual(['b:10']);
      expect(await keys({ prefix: 'b:', after: 'b:10' })).toEqual(['b:2']);
      expect(await keys({ prefix: 'b:', after: 'a' })).toEqual(['b:10', 'b:2']);
      expect(await keys({ prefix: 'b:', after: 'c' })).toEqual([]);
      expect(await keys({ after: 'b' })).toEqual(['b:10', 'b:2', '~z']);
      expect(await keys({ tenant: 'one' })).toEqual(['B', 'a', 'b:2']);
      expect(await keys({ tenant: 'one', prefix: 'b' })).toEqual(['b:2']);
      expect(await keys({ tenant: 'two', after: '!' })).toEqual(['b:10', '~z']);
      expect(await keys({ tenant: 'on' })).toEqual([]);
    });

    test('a session that changes its tenant changes its list', async () => {
      const first = rowOf('a', { tenant: 'one' });
      await rows.save(first, null);
      const second = rowOf('a', { tenant: 'two' });
      await rows.save(second, first.version);
      expect(await keys({ tenant: 'one' })).toEqual([]);
      expect(await keys({ tenant: 'two' })).toEqual(['a']);
      await rows.save(rowOf('a', { tenant: null }), second.version);
      expect(await keys({ tenant: 'two' })).toEqual([]);
      expect(await keys({})).toEqual(['a']);
    });

    test('what is due is found, the longest first, and not before its time', async () => {
      const late = rowOf('late', { dueAt: 3_000 });
      await rows.save(late, null);
      await rows.save(rowOf('early', { dueAt: 1_000 }), null);
      await rows.save(rowOf(' orphan:x', { dueAt: 2_000 }), null);
      expect(await rows.due(999, 10)).toEqual([]);
      expect(await rows.due(1_000, 10)).toEqual(['early']);
      expect(await rows.due(9_000, 2)).toEqual(['early', ' orphan:x']);
      await rows.save(rowOf('late', { dueAt: 500 }), late.version);
      expect(await rows.due(9_000, 1)).toEqual(['late']);
    });

    test('a body of some megabytes is kept', async () => {
      const body = `${'x'.repeat(3_000_000)}ü`;
      await rows.save(rowOf('a', { body }), null);
      expect((await rows.load('a', { body: true }))?.body).toBe(body);
    });

    test("the newest event of a run is told: the terminal one's payload when it is over", async () => {
      expect(await rows.lastEvent(newRunId())).toBeNull();
      const runId = newRunId();
      await harness.runs.create(runningRecord(runId));
      expect(await rows.lastEvent(runId)).toBeNull();
      const many = Array.from({ length: 30 }, (_, i) => payloadOf(runId, i));
      await harness.runs.append(runId, many);
      expect((await rows.lastEvent(runId))?.payload).toBe(many.at(-1) ?? '');
      const end = terminal(runId, 'succeeded');
      const ended = await harness.runs.finalise(runId, end);
      const id = ended.applied ? ended.event.id : '';
      expect(await rows.lastEvent(runId)).toEqual({ id, payload: end.payload });
    });
  });
}
