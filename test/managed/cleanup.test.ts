// The end of a session: what it holds outside is really gone before the row is, however often that takes.

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { SessionRefusal } from '../../src/managed/errors.ts';
import { MAX_ATTEMPTS } from '../../src/managed/settle.ts';
import { until } from '../support/until.ts';
import { failed, openWorld, requestWith, shellLayer, snapshot, succeeded, textsOf, type World } from './kit.ts';

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

/** A session with these workspaces. */
async function holding(key: string, ...ids: readonly string[]): Promise<void> {
  for (const id of ids) world.held.add(id);
  await world.play(key, succeeded(snapshot(['x'], ids)));
}

/** Time passes, also for the sweep. */
function pass(seconds: number): void {
  world.clock.micros += seconds * 1_000_000;
}

const gone = (key = 'k') =>
  until('the row to be gone', async () => (await world.rows.load(key, { body: false })) === null);
const released = (...ids: readonly string[]) =>
  until('what was held to be gone', () => ids.every((id) => !world.held.has(id)));

describe('the end of a session', () => {
  test('that holds nothing is at once', async () => {
    await world.play('k');
    expect(await world.sessions.end('k')).toEqual({ key: 'k', status: 'ended', run_id: null });
    expect(await refusal(look())).toBe('session_not_found');
    expect(await refusal(world.sessions.end('k'))).toBe('session_not_found');
  });

  test('is a run that anybody can see, and deletes what its layers hold before the row goes', async () => {
    await holding('k', '1111111', '2222222');
    const { status, run_id: runId } = await world.sessions.end('k');
    expect(status).toBe('ending');
    await gone();
    await released('1111111', '2222222');
    expect(await world.statusOf(runId ?? '')).toBe('succeeded');
    // The key can be used again.
    await world.play('k');
    expect(world.started.at(-1)?.request.session_snapshot).toBeNull();
  });

  test('cancels what runs and what waits first', async () => {
    await holding('k', '1111111');
    world.automatic = false;
    const runs = [(await world.submit('k')).record.run_id, (await world.submit('k')).record.run_id];
    await world.begun(1);
    await world.sessions.end('k');
    await gone();
    await released('1111111');
    for (const id of runs) expect(await world.statusOf(id)).toBe('cancelled');
    expect(world.started).toHaveLength(2);
  });

  test('lets nothing begin any more', async () => {
    await holding('k', '1111111');
    world.peerIsAway = true;
    await world.sessions.end('k');
    expect(await refusal(world.submit('k'))).toBe('session_ending');
    expect(await refusal(world.sessions.fork('k', 'j', 'new'))).toBe('session_ending');
    expect(await look()).toMatchObject({ status: 'ending', ending: { reason: 'deleted' } });
    expect((await world.sessions.end('k')).status).toBe('ending');
  });

  test('is tried again while a peer is away, and the row stays as long', async () => {
    await holding('k', '1111111');
    world.peerIsAway = true;
    await world.sessions.end('k');
    for (let failures = 1; failures <= 3; failures += 1) {
      await until('a failure', async () => ((await look()).ending?.failed_attempts ?? 0) >= failures);
      pass(5);
    }
    expect(await look()).toMatchObject({ status: 'ending', last_error: { code: 'session_cleanup_failed' } });
    world.peerIsAway = false;
    const sweeps = setInterval(() => pass(5), 10);
    try {
      await gone();
    } finally {
      clearInterval(sweeps);
    }
    expect(world.held.size).toBe(0);
  });

  test('is given up some time, which is logged', async () => {
    await holding('k', '1111111');
    world.peerIsAway = true;
    await world.sessions.end('k');
    const sweeps = setInterval(() => pass(60), 5);
    try {
      await gone();
    } finally {
      clearInterval(sweeps);
    }
    const said = world.log.find(({ message }) => message.includes('given up'));
    expect(said).toMatchObject({ level: 'error', fields: { session: 'k', attempts: MAX_ATTEMPTS } });
  });

  test('of many is one page at a time', async () => {
    for (const key of ['a:1', 'a:2', 'a:3', 'b:1']) await world.play(key);
    const first = await world.sessions.endAll({ tenant: null, prefix: 'a:', after: '', limit: 2 });
    expect(first.sessions.map(({ key }) => key).sort()).toEqual(['a:1', 'a:2']);
    expect(first.nextAfter).toBe('a:2');
    const second = await world.sessions.endAll({ tenant: null, prefix: 'a:', after: 'a:2', limit: 2 });
    expect(second).toMatchObject({ sessions: [{ key: 'a:3', status: 'ended' }], nextAfter: null });
    const left = await world.sessions.list({ tenant: null, prefix: '', after: '', limit: 10 });
    expect(left.map(({ key }) => key)).toEqual(['b:1']);
  });
});

describe('time', () => {
  test('ends a session that is not used, with the same clean-up', async () => {
    await holding('k', '1111111');
    pass(999);
    expect((await look()).status).toBe('idle');
    pass(2);
    await gone();
    await released('1111111');
  });

  test('begins anew with every use, not with a look', async () => {
    await world.play('k');
    pass(900);
    await look();
    await world.play('k');
    pass(900);
    expect((await look()).rev).toBe(2);
    pass(200);
    await gone();
  });

  test('does not end a session whose run goes on', async () => {
    world.automatic = false;
    await world.submit('k');
    const run = await world.begun(0);
    pass(5_000);
    expect((await look()).status).toBe('running');
    run.end();
    await world.idle('k');
    expect((await look()).rev).toBe(1);
  });
});

describe('what a session does not name any more', () => {
  test('is deleted when another snapshot replaces it, and what both name stays', async () => {
    await holding('k', '1111111', '2222222');
    world.held.add('3333333');
    const mine = snapshot(['mine'], ['2222222', '3333333']);
    await world.play('k', undefined, { ...requestWith({ session_snapshot: mine }), snapshot: 'replace' });
    await released('1111111');
    expect([...world.held].sort()).toEqual(['2222222', '3333333']);
  });

  test('is not deleted when the run that was to replace it failed', async () => {
    await holding('k', '1111111');
    const { request } = requestWith({ session_snapshot: snapshot(['mine']) });
    await world.play('k', failed(), { request, snapshot: 'replace' });
    expect(world.held.has('1111111')).toBe(true);
    expect(textsOf((await look()).session_snapshot)).toEqual(['x']);
  });

  test('is deleted when it came with a snapshot that is too large', async () => {
    await holding('k', '1111111');
    world.held.add('2222222');
    await world.play('k', succeeded(snapshot(['x'.repeat(100_001)], ['1111111', '2222222'])));
    await released('2222222');
    expect(world.held.has('1111111')).toBe(true);
  });

  test('is deleted when a closed layer ends the session, unless the run has done it', async () => {
    await holding('k', '1111111', '2222222');
    const before = world.started.length;
    await world.play(
      'k',
      succeeded({
        schema_version: 1,
        layers: [
          { name: 'history', lifecycle_state: 'suspended', runtime_state: { messages: [] } },
          shellLayer('shell0', '1111111', 'closed'),
          shellLayer('shell1', '2222222'),
        ],
      }),
    );
    await released('2222222');
    // Closed by the run itself: not done again.
    expect(world.held.has('1111111')).toBe(true);
    expect((await look()).session_snapshot).toBeNull();
    expect(world.started).toHaveLength(before + 1);
  });

  test('is seen to by rows that no caller can list or name', async () => {
    await holding('k', '1111111');
    world.peerIsAway = true;
    await world.play('k', succeeded(snapshot(['y'])));
    const keys = async () =>
      (await world.sessions.list({ tenant: null, prefix: '', after: '', limit: 10 })).map(({ key }) => key);
    await until('the row', async () => (await world.rows.due(Number.MAX_SAFE_INTEGER, 10)).length === 2);
    expect(await keys()).toEqual(['k']);
    world.peerIsAway = false;
    const sweeps = setInterval(() => pass(5), 10);
    try {
      await until('its end', async () => (await world.rows.due(Number.MAX_SAFE_INTEGER, 10)).length === 1);
    } finally {
      clearInterval(sweeps);
    }
    expect(world.held.size).toBe(0);
  });
});

describe('a fork', () => {
  test('starts where the other is, and goes its own way', async () => {
    const first = await world.play('k');
    expect(await world.sessions.fork('k', 'j', null)).toMatchObject({ key: 'j', rev: 1, status: 'idle' });
    const own = await world.play('j');
    const other = await world.play('k');
    expect(textsOf((await look('j')).session_snapshot)).toEqual([first, own]);
    expect(textsOf((await look('k')).session_snapshot)).toEqual([first, other]);
  });

  test('does not share a workspace: refused, or with new ones', async () => {
    await holding('k', '1111111');
    expect(await refusal(world.sessions.fork('k', 'j', null))).toBe('session_holds_workspace');
    await world.sessions.fork('k', 'j', 'new');
    expect((await look('j')).session_snapshot?.layers[1]).toEqual({
      name: 'shell0',
      lifecycle_state: 'new',
      runtime_state: {},
    });
    expect((await world.sessions.end('j')).status).toBe('ended');
    expect(world.held.has('1111111')).toBe(true);
  });

  test('needs a snapshot and a key that is free', async () => {
    expect(await refusal(world.sessions.fork('k', 'j', null))).toBe('session_not_found');
    await world.play('k', failed());
    expect(await refusal(world.sessions.fork('k', 'j', null))).toBe('session_empty');
    await world.play('k');
    await world.play('j');
    expect(await refusal(world.sessions.fork('k', 'j', null))).toBe('session_exists');
    expect(await refusal(world.sessions.fork('k', 'k', null))).toBe('session_exists');
  });
});
