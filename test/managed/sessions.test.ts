// The life of a managed session: what runs start from, what they leave, who waits for whom.

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { SessionRefusal } from '../../src/managed/errors.ts';
import { MAX_WAITING } from '../../src/managed/record.ts';
import { TooManyRunsError } from '../../src/runs/errors.ts';
import { until } from '../support/until.ts';
import { asked, failed, openWorld, requestWith, snapshot, succeeded, textsOf, type World, wire } from './kit.ts';

let world: World;
beforeEach(() => {
  world = openWorld();
});
afterEach(() => world.close());

const look = (key = 'k') => world.sessions.describe(key, { snapshot: true });

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof SessionRefusal) return error.code;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('what a run starts from and leaves', () => {
  test('each run goes on from what the last one left, and the revision counts', async () => {
    const first = await world.play('k');
    const second = await world.play('k');
    expect(textsOf(world.started[0]?.request.session_snapshot)).toBeUndefined();
    expect(textsOf(world.started[1]?.request.session_snapshot)).toEqual([first]);
    const session = await look();
    expect(session).toMatchObject({ status: 'idle', rev: 2, last_run_id: second, last_run_status: 'succeeded' });
    expect(textsOf(session.session_snapshot)).toEqual([first, second]);
    expect(session.layer_names).toEqual(['history']);
    expect((await world.submit('k')).rev).toBe(2);
  });

  test('sessions of other keys have nothing in common', async () => {
    await world.play('a');
    await world.play('b');
    expect(world.started[1]?.request.session_snapshot).toBeNull();
  });

  test('a failed run without a snapshot leaves the session as it was', async () => {
    const first = await world.play('k');
    await world.play('k', failed());
    expect(await look()).toMatchObject({ rev: 1, status: 'idle', last_run_status: 'failed' });
    expect(textsOf((await look()).session_snapshot)).toEqual([first]);
  });

  test('a failed run with a snapshot is gone on from', async () => {
    await world.play('k');
    await world.play('k', failed(snapshot(['half'])));
    expect((await look()).rev).toBe(2);
    expect(textsOf((await look()).session_snapshot)).toEqual(['half']);
  });

  test('the first run may fail: the session is there, without a snapshot', async () => {
    await world.play('k', failed());
    expect(await look()).toMatchObject({ rev: 0, session_snapshot: null, layer_names: null });
    await world.play('k');
    expect((await look()).rev).toBe(1);
  });

  test('a snapshot with a closed layer is not gone on from', async () => {
    await world.play('k');
    const closed = snapshot(['x']);
    await world.play(
      'k',
      succeeded({ ...closed, layers: closed.layers.map((l) => ({ ...l, lifecycle_state: 'closed' })) }),
    );
    expect(await look()).toMatchObject({ rev: 2, session_snapshot: null });
    await world.play('k');
    expect(world.started[2]?.request.session_snapshot).toBeNull();
  });

  test('numbers and the order of keys survive', async () => {
    const state = { messages: [], exact: JSON.rawJSON('12345678901234567890'), one: JSON.rawJSON('1.0') };
    await world.play(
      'k',
      succeeded({ schema_version: 1, layers: [{ name: 'h', lifecycle_state: 'suspended', runtime_state: state }] }),
    );
    await world.play('k');
    const given = world.started[1]?.request.session_snapshot?.layers[0]?.runtime_state;
    expect(JSON.stringify(given)).toBe('{"messages":[],"exact":12345678901234567890,"one":1.0}');
  });

  test('the tenant is that of the execution context, and stays when a run has none', async () => {
    const context = (config: unknown) =>
      requestWith({
        composition: {
          schema_version: 1,
          layers: [{ name: 'c', type: 'dify.execution_context', deps: {}, metadata: {}, config: config as never }],
        },
      });
    await world.play('k', undefined, context({ tenant_id: 't-1' }));
    await world.play('k');
    await world.play('j', undefined, context('{"tenant_id":"t-2"}'));
    await world.play('i', undefined, context('{"tenant_id":'));
    expect((await look()).tenant_id).toBe('t-1');
    const list = (tenant: string | null) => world.sessions.list({ tenant, prefix: '', after: '', limit: 10 });
    expect((await list('t-2')).map(({ key }) => key)).toEqual(['j']);
    expect((await list(null)).map(({ key }) => key)).toEqual(['i', 'j', 'k']);
  });

  test('what is ended does not come back under the same key', async () => {
    await world.play('k');
    await world.sessions.end('k');
    expect(await refusal(look())).toBe('session_not_found');
    expect((await world.submit('k')).rev).toBe(0);
    expect((await world.begun(1)).request.session_snapshot).toBeNull();
  });
});

describe('a snapshot in the body', () => {
  const own = requestWith({ session_snapshot: snapshot(['mine']) });

  test('begins a session', async () => {
    await world.play('k', undefined, own);
    expect(textsOf(world.started[0]?.request.session_snapshot)).toEqual(['mine']);
  });

  test('is refused where one is stored, unless it is to replace it', async () => {
    await world.play('k');
    expect(await refusal(world.submit('k', own))).toBe('session_snapshot_exists');
    const second = await world.play('k', undefined, { ...own, snapshot: 'replace' });
    expect(textsOf(world.started[1]?.request.session_snapshot)).toEqual(['mine']);
    expect(textsOf((await look()).session_snapshot)).toEqual(['mine', second]);
  });

  test('is refused while a run may leave one', async () => {
    world.automatic = false;
    await world.submit('k');
    expect(await refusal(world.submit('k', own))).toBe('session_snapshot_exists');
  });

  test('is not stored when its run fails', async () => {
    const first = await world.play('k');
    await world.play('k', failed(), { ...own, snapshot: 'replace' });
    expect(textsOf((await look()).session_snapshot)).toEqual([first]);
  });
});

describe('runs of one session', () => {
  beforeEach(() => {
    world.automatic = false;
  });

  test('wait for each other, in order', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 4; i += 1) ids.push((await world.submit('k')).record.run_id);
    expect(await look()).toMatchObject({ status: 'running', active_run_id: ids[0], waiting_run_ids: ids.slice(1) });
    for (let i = 0; i < 4; i += 1) {
      const run = await world.begun(i);
      expect(run.runId).toBe(ids[i] ?? '');
      expect(world.started).toHaveLength(i + 1);
      expect(textsOf(run.request.session_snapshot)).toEqual(i === 0 ? undefined : ids.slice(0, i));
      run.end();
    }
    await world.idle('k');
    expect((await look()).rev).toBe(4);
  });

  test('are submitted at once and still are one after the other', async () => {
    const all = await Promise.all(Array.from({ length: 10 }, () => world.submit('k')));
    expect(new Set(all.map(({ record }) => record.run_id)).size).toBe(10);
    for (let i = 0; i < 10; i += 1) {
      const run = await world.begun(i);
      expect(world.started).toHaveLength(i + 1);
      run.end();
    }
    await world.idle('k');
    expect((await look()).rev).toBe(10);
  });

  test('reject: refused while one is active, and no run is made', async () => {
    await world.submit('k');
    expect(await refusal(world.submit('k', { conflict: 'reject' }))).toBe('session_busy');
    expect(world.scheduler.activeCount).toBe(1);
    (await world.begun(0)).end();
    await world.idle('k');
    await world.submit('k', { conflict: 'reject' });
  });

  test('reject: of many at once one is taken', async () => {
    const all = await Promise.allSettled(Array.from({ length: 10 }, () => world.submit('k', { conflict: 'reject' })));
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('interrupt: cancels what is before it, and starts from what that left', async () => {
    const { record: one } = await world.submit('k');
    (await world.begun(0)).end();
    await world.idle('k');
    const { record: active } = await world.submit('k');
    const { record: waiting } = await world.submit('k');
    await world.begun(1);
    const { record: last } = await world.submit('k', { conflict: 'interrupt' });
    const run = await world.begun(2);
    expect(run.runId).toBe(last.run_id);
    expect(textsOf(run.request.session_snapshot)).toEqual([one.run_id]);
    expect(await world.statusOf(active.run_id)).toBe('cancelled');
    await until('the waiting run', async () => (await world.statusOf(waiting.run_id)) === 'cancelled');
    const events = await world.store.readEvents(active.run_id, '0-0', 10);
    expect(events.at(-1)?.payload).toContain('"reason":"superseded"');
  });

  test('a waiting run can be cancelled, and those behind it move up', async () => {
    const { record: active } = await world.submit('k');
    const { record: waiting } = await world.submit('k');
    const { record: last } = await world.submit('k');
    await world.scheduler.cancel(waiting.run_id, { reason: 'no more', message: null });
    await until('its end', async () => (await world.statusOf(waiting.run_id)) === 'cancelled');
    await until('its place to be free', async () => (await look()).waiting_run_ids.length === 1);
    expect(await look()).toMatchObject({ active_run_id: active.run_id, waiting_run_ids: [last.run_id] });
    (await world.begun(0)).end();
    expect((await world.begun(1)).runId).toBe(last.run_id);
  });

  test('the queue has an end, and refused runs do not count', async () => {
    for (let i = 0; i < MAX_WAITING + 1; i += 1) await world.submit('k');
    expect(await refusal(world.submit('k'))).toBe('session_queue_full');
    expect(world.scheduler.activeCount).toBe(MAX_WAITING + 1);
    // Interrupting goes beyond, but not for ever.
    await world.submit('k', { conflict: 'interrupt' });
  });

  test('waiting runs count for admission', async () => {
    await world.close();
    world = openWorld({ maxActiveRuns: 2 });
    world.automatic = false;
    await world.submit('k');
    await world.submit('k');
    await expect(world.submit('k')).rejects.toBeInstanceOf(TooManyRunsError);
  });

  test('a stop ends the active one and those that wait, and keeps the snapshot', async () => {
    const { record: first } = await world.submit('k');
    (await world.begun(0)).end();
    await world.idle('k');
    const ids = [(await world.submit('k')).record.run_id, (await world.submit('k')).record.run_id];
    await world.begun(1);
    await world.scheduler.shutdown();
    for (const id of ids) expect(await world.statusOf(id)).toBe('failed');
    const events = await world.store.readEvents(ids[1] ?? '', '0-0', 10);
    expect(events.at(-1)?.payload).toContain('"reason":"shutdown"');
    expect(await look()).toMatchObject({ rev: 1, active_run_id: null });
    expect(textsOf((await look()).session_snapshot)).toEqual([first.run_id]);
  });
});

describe('idempotency keys', () => {
  const keyed = requestWith({ idempotency_key: 'once' });

  test('a repeated request is the same run, active or over, whatever the conflict policy', async () => {
    world.automatic = false;
    const { record } = await world.submit('k', keyed);
    for (const conflict of ['enqueue', 'reject', 'interrupt'] as const) {
      expect((await world.submit('k', { ...keyed, conflict })).record.run_id).toBe(record.run_id);
    }
    (await world.begun(0)).end();
    await world.idle('k');
    expect((await world.submit('k', keyed)).record.run_id).toBe(record.run_id);
    expect(world.started).toHaveLength(1);
    expect((await look()).rev).toBe(1);
  });

  test('the same request in another session, or in none, is another run', async () => {
    const one = await world.submit('k', keyed);
    const two = await world.submit('j', keyed);
    const alone = await world.scheduler.submit({ ...keyed, snapshotPolicy: 'reject' });
    expect(new Set([one.record.run_id, two.record.run_id, alone.run_id]).size).toBe(3);
  });

  test('a repeated answer is the same run, although nothing waits for one any more', async () => {
    await world.play('k', asked(snapshot(['q']), 'c1'));
    const answer = requestWith({ idempotency_key: 'a', deferred_tool_results: { calls: { c1: 1 }, metadata: {} } });
    const first = await world.play('k', undefined, { ...answer, resume: true, conflict: 'reject' });
    expect((await world.submit('k', { ...answer, resume: true, conflict: 'reject' })).record.run_id).toBe(first);
  });
});

describe('a question', () => {
  const answering = (calls: Readonly<Record<string, string>>) => ({
    ...requestWith({ deferred_tool_results: { calls, metadata: {} } }),
    resume: true,
    conflict: 'reject' as const,
  });

  test('waits with the session, and its answer resumes it', async () => {
    await world.play('k', asked(snapshot(['q']), 'c1'));
    expect(await look()).toMatchObject({
      status: 'awaiting',
      deferred_tool_call: { tool_call_id: 'c1', args: { q: '?' } },
    });
    await world.play('k', undefined, answering({ c1: 'yes' }));
    expect(world.started[1]?.request.deferred_tool_results).toEqual({ calls: { c1: 'yes' }, metadata: {} });
    expect(textsOf(world.started[1]?.request.session_snapshot)).toEqual(['q']);
    expect(await look()).toMatchObject({ status: 'idle', deferred_tool_call: null });
  });

  test('another answer, an answer to nothing, to nobody, or while it is busy is refused', async () => {
    expect(await refusal(world.submit('k', answering({ c1: 'x' })))).toBe('session_not_found');
    await world.play('k');
    expect(await refusal(world.submit('k', answering({ c1: 'x' })))).toBe('session_not_awaiting');
    await world.play('k', asked(snapshot(['q']), 'c1'));
    expect(await refusal(world.submit('k', answering({ c2: 'x', toString: 'x' })))).toBe('session_not_awaiting');
    world.automatic = false;
    await world.submit('k', answering({ c1: 'x' }));
    expect(await refusal(world.submit('k', answering({ c1: 'x' })))).toBe('session_busy');
  });

  test('stays when the answer did not reach the model', async () => {
    await world.play('k', asked(snapshot(['q']), 'c1'));
    await world.play('k', failed(), answering({ c1: 'x' }));
    expect(await look()).toMatchObject({ status: 'awaiting' });
    const open = { parts: [{ part_kind: 'tool-call', tool_call_id: 'c1' }] };
    const half = { name: 'history', lifecycle_state: 'suspended', runtime_state: { messages: [open] } } as const;
    await world.play('k', failed({ schema_version: 1, layers: [half] }), answering({ c1: 'x' }));
    expect(await look()).toMatchObject({ status: 'awaiting', rev: 2 });
    await world.play('k', failed(snapshot(['answered'])), answering({ c1: 'x' }));
    expect(await look()).toMatchObject({ status: 'idle', rev: 3 });
  });
});

describe('a snapshot that is too large', () => {
  const large = succeeded(snapshot(['x'.repeat(100_001)]));

  test('is not kept: the run succeeds, the next is refused until the caller says what to do', async () => {
    const first = await world.play('k');
    const second = await world.play('k', large);
    expect(await world.statusOf(second)).toBe('succeeded');
    expect(await look()).toMatchObject({ rev: 1, last_error: { code: 'session_snapshot_too_large', run_id: second } });
    expect(await refusal(world.submit('k'))).toBe('session_snapshot_too_large');
    await world.play('k', undefined, { snapshot: 'former' });
    expect(textsOf(world.started[2]?.request.session_snapshot)).toEqual([first]);
    expect((await look()).last_error).toBeNull();
    await world.play('k', large);
    await world.play('k', undefined, {
      ...requestWith({ session_snapshot: snapshot(['small']) }),
      snapshot: 'replace',
    });
    expect((await look()).last_error).toBeNull();
  });
});

describe('ends that nobody took in', () => {
  /** A process that died after the terminal event: the run is over, the session does not know. */
  async function endBehind(): Promise<string> {
    world.automatic = false;
    const { record } = await world.submit('k');
    await world.begun(0);
    const runId = record.run_id;
    const event = succeeded(snapshot(['behind']))({ runId } as never); // looks at nothing of it
    await world.store.finalise(runId, {
      status: 'succeeded',
      updatedAt: '2026-06-02T08:15:30.204117Z',
      error: null,
      payload: wire.encode(runId, '2026-06-02T08:15:30.204117Z', event),
    });
    return runId;
  }

  test('are taken in by the next look', async () => {
    const runId = await endBehind();
    expect(await look()).toMatchObject({ rev: 1, status: 'idle', last_run_id: runId });
    expect(textsOf((await look()).session_snapshot)).toEqual(['behind']);
  });

  test('are taken in by the next run', async () => {
    await endBehind();
    await world.submit('k', { conflict: 'reject' });
    expect(textsOf((await world.begun(1)).request.session_snapshot)).toEqual(['behind']);
  });

  test('are taken in by the sweep', async () => {
    await endBehind();
    world.clock.micros += 60_000_000;
    await until('the sweep', async () => (await world.rows.load('k', { body: true }))?.body !== null);
  });

  test('a run that the store has forgotten frees the session, which says so', async () => {
    world.automatic = false;
    await world.submit('k');
    (await world.begun(0)).end();
    await world.idle('k');
    const row = await world.rows.load('k', { body: false });
    const head = JSON.parse(row?.head ?? '') as { queue: unknown[] };
    head.queue = [{ runId: 'gone', kind: 'run', replaces: false, request: null }];
    await world.rows.save(
      { ...row, key: 'k', tenant: null, dueAt: 0, version: 'x', head: JSON.stringify(head) },
      row?.version ?? '',
    );
    expect(await look()).toMatchObject({ rev: 1, status: 'idle', last_error: { code: 'session_run_lost' } });
  });
});
