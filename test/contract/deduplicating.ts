// The part of the store contract that is about creations that mean the same run (issue 5, item 6).

import { expect, test } from 'bun:test';
import type { Deduplication, RunStore } from '../../src/runs/ports.ts';
import { type Contract, digest, payloadOf, RETENTION, runningRecord, type Traits, terminal } from './kit.ts';

function dedupe(key: string, request = 'request', strict = false): Deduplication {
  return { key: digest(key), fingerprint: digest(request), strict };
}

export function describeDeduplicating(contract: Contract, { durable, shared }: Traits): void {
  async function created(store: RunStore, deduplication: Deduplication | null): Promise<string> {
    const record = runningRecord();
    expect(await store.create(record, deduplication)).toEqual({ created: true });
    return record.run_id;
  }

  test('a creation without a key is always a new run', async () => {
    const { store } = contract;
    const record = runningRecord();
    expect(await store.create(record)).toEqual({ created: true });
    expect(await store.create(runningRecord(), null)).toEqual({ created: true });
    expect(await store.getRecord(record.run_id)).toEqual(record);
  });

  test.each([false, true])(
    'the same key and request find the first run, and nothing is written (strict: %p)',
    async (strict) => {
      const { store } = contract;
      const first = runningRecord();
      expect(await store.create(first, dedupe('k', 'r', strict))).toEqual({ created: true });
      const second = runningRecord();
      const found = { created: false, existing: first } as const;
      expect(await store.create(second, dedupe('k', 'r', strict))).toEqual(found);
      expect(await store.getRecord(second.run_id)).toBeNull();
      expect(await store.append(second.run_id, [payloadOf(second.run_id)])).toEqual({ appended: false, status: null });
    },
  );

  test('a run that is over is found as it is', async () => {
    const { store } = contract;
    const runId = await created(store, dedupe('k'));
    await store.finalise(runId, terminal(runId, 'failed', 'it "broke"'));
    const existing = await store.getRecord(runId);
    expect(existing?.error).toBe('it "broke"');
    expect(await store.create(runningRecord(), dedupe('k'))).toEqual({ created: false, existing });
  });

  test('the same key with another request is another run; both are found again', async () => {
    const { store } = contract;
    const [a, b] = [await created(store, dedupe('k', 'a')), await created(store, dedupe('k', 'b'))];
    expect(await store.create(runningRecord(), dedupe('k', 'a'))).toMatchObject({ existing: { run_id: a } });
    expect(await store.create(runningRecord(), dedupe('k', 'b'))).toMatchObject({ existing: { run_id: b } });
    await created(store, dedupe('other', 'a'));
  });

  test('strictly, the same key with another request is a conflict, and nothing is written', async () => {
    const { store } = contract;
    const runId = await created(store, dedupe('k', 'a', true));
    const refused = runningRecord();
    expect(await store.create(refused, dedupe('k', 'b', true))).toEqual({ created: false, existing: null });
    expect(await store.getRecord(refused.run_id)).toBeNull();
    // It did not take the place of the first.
    expect(await store.create(runningRecord(), dedupe('k', 'a', true))).toMatchObject({ existing: { run_id: runId } });
    await created(store, dedupe('other', 'b', true));
  });

  test.each([false, true])('a key is free again when its run has expired (strict: %p)', async (strict) => {
    const { store, harness } = contract;
    const runId = await created(store, dedupe('k', 'a', strict));
    await store.finalise(runId, terminal(runId, 'succeeded'));
    await harness.passTime(RETENTION - 1);
    expect(await store.create(runningRecord(), dedupe('k', 'a', strict))).toMatchObject({
      existing: { run_id: runId },
    });
    await harness.passTime(2);
    const next = await created(store, dedupe('k', strict ? 'b' : 'a', strict));
    expect(await store.create(runningRecord(), dedupe('k', strict ? 'b' : 'a', strict))).toMatchObject({
      created: false,
      existing: { run_id: next },
    });
  });

  test('fifty creations at once with one key are one run', async () => {
    const { store } = contract;
    const records = Array.from({ length: 50 }, () => runningRecord());
    const outcomes = await Promise.all(records.map((record) => store.create(record, dedupe('k'))));
    const winners = records.filter((_, index) => outcomes[index]?.created === true);
    expect(winners).toHaveLength(1);
    const [winner] = winners;
    if (winner === undefined) throw new Error('no winner');
    for (const outcome of outcomes) if (!outcome.created) expect(outcome).toEqual({ created: false, existing: winner });
    const kept = await Promise.all(records.map(({ run_id }) => store.getRecord(run_id)));
    expect(kept.filter((record) => record !== null)).toEqual([winner]);
  });

  test('of fifty strict creations at once with one key and fifty requests one is taken', async () => {
    const { store } = contract;
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, (_, i) => store.create(runningRecord(), dedupe('k', `request ${i}`, true))),
    );
    expect(outcomes.filter(({ created }) => created)).toHaveLength(1);
    for (const outcome of outcomes) if (!outcome.created) expect(outcome.existing).toBeNull();
  });

  test('creations of many keys at once do not meet', async () => {
    const { store } = contract;
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, (_, i) => store.create(runningRecord(), dedupe(`key ${i % 50}`))),
    );
    expect(outcomes.filter(({ created }) => created)).toHaveLength(50);
  });

  if (durable) {
    test('a creation is found after its process died', async () => {
      const runId = await created(contract.store, dedupe('k', 'a', true));
      const next = await contract.harness.crash?.();
      expect(await next?.create(runningRecord(), dedupe('k', 'a', true))).toMatchObject({
        existing: { run_id: runId },
      });
      expect(await next?.create(runningRecord(), dedupe('k', 'b', true))).toEqual({ created: false, existing: null });
    });
  }

  if (shared) {
    test('fifty creations at once through two processes are one run', async () => {
      const { store } = contract;
      const other = await contract.harness.another?.();
      if (other === undefined) throw new Error('no other process');
      const outcomes = await Promise.all(
        Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? store : other).create(runningRecord(), dedupe('k'))),
      );
      expect(outcomes.filter(({ created }) => created)).toHaveLength(1);
      const found = new Set(outcomes.flatMap((outcome) => (outcome.created ? [] : (outcome.existing?.run_id ?? ''))));
      expect(found.size).toBe(1);
      expect((await other.getRecord([...found][0] ?? ''))?.status).toBe('running');
    });
  }
}
