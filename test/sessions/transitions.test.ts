// The table of spec 07 §4.1, row by row, on an in-process server of runs and the memory store.

import { beforeEach, describe, expect, test } from 'bun:test';
import { DifyAgentClientError, DifyAgentNotFoundError } from '../../src/client/errors.ts';
import { type CreateRunRequest, history, plainPrompt, type RunEvent, scriptedLlm } from '../../src/client/index.ts';
import {
  AgentSessions,
  memorySessionStore,
  type Scope,
  type SessionStore,
  SessionStoreError,
  type StoredSession,
} from '../../src/sessions/index.ts';
import { until } from '../support/until.ts';
import { answers, asks, type FakeRun, FakeServer, fails, messagesOf, snapshotOf } from './fake-server.ts';
import { newScope } from './kit.ts';

let server: FakeServer;
let store: SessionStore;
let sessions: AgentSessions;
let scope: Scope;

beforeEach(() => {
  server = new FakeServer();
  store = memorySessionStore();
  sessions = new AgentSessions({ client: server.client, store, retryFirstMs: 1 });
  scope = newScope();
});

const layers = [plainPrompt({ user: 'Hello?' }), history(), scriptedLlm({ turns: [] })];
const build = (): CreateRunRequest => ({ composition: { layers } });

/** What is stored of a conversation of these answers. */
function conversation(...texts: readonly unknown[]) {
  const runtime = (name: string) => (name === 'history' ? { messages: texts } : {});
  return {
    status: 'active',
    snapshot: {
      schema_version: 1,
      layers: ['prompt', 'history', 'llm'].map((name) => ({
        name,
        lifecycle_state: 'suspended',
        runtime_state: runtime(name),
      })),
    },
  };
}

/** A session with one answer in it. */
async function anActiveSession(): Promise<StoredSession> {
  server.script = answers('one');
  await sessions.run(scope, build);
  return row();
}

async function row(): Promise<StoredSession> {
  const found = await store.load(scope);
  if (found === null) throw new Error('no session');
  return found;
}

const last = (): FakeRun => server.turns.at(-1) as FakeRun; // there is one

describe('a turn begins', () => {
  test('enter node, no row: the run has no snapshot', async () => {
    const seen: unknown[] = [];
    await sessions.run(scope, (turn) => {
      seen.push(turn);
      return build();
    });
    expect(seen).toEqual([{ attempt: 1 }]);
    expect(last().request).toMatchObject({
      session_snapshot: null,
      deferred_tool_results: null,
      on_exit: { default: 'suspend', layers: {} },
      idempotency_key: expect.stringMatching(/^.{16,}$/),
    });
  });

  test('enter node, row cleaned: the run has no snapshot', async () => {
    const { rev } = await anActiveSession();
    await store.save(
      scope,
      { status: 'cleaned', snapshot: { schema_version: 1, layers: [] }, specs: [], topology: [] },
      rev,
    );
    await sessions.run(scope, build);
    expect(last().request.session_snapshot).toBeNull();
    expect(await row()).toMatchObject(conversation('one'));
  });

  test('enter node, row active: the run has the stored snapshot', async () => {
    const { snapshot } = await anActiveSession();
    const seen: unknown[] = [];
    await sessions.run(scope, (turn) => {
      seen.push(turn.snapshot);
      return build();
    });
    expect(seen).toEqual([snapshot]);
    expect(last().request.session_snapshot).toEqual(snapshot);
  });

  test('enter node, row ending: the run has no snapshot, and the old one is cleaned up alone', async () => {
    await anActiveSession();
    server.down = true;
    expect(await sessions.end(scope, { timeoutMs: 20 })).toEqual({ cleaned: 0, failed: [scope] });
    expect(await row()).toMatchObject({ ...conversation('one'), ending: expect.any(String) });
    server.down = false;
    server.script = answers('new');
    await sessions.run(scope, build);
    expect(last().request.session_snapshot).toBeNull();
    await until('the clean-up', async () => (await sessions.drain()).cleaned === 1);
    expect(await row()).toMatchObject(conversation('new'));
    expect((await row()).ending).toBeUndefined();
  });
});

describe('a run ends', () => {
  test('run_succeeded with output: snapshot, specs and run id are stored, the row is active', async () => {
    const events: RunEvent[] = [];
    const result = await sessions.run(scope, build, { onEvent: (event) => void events.push(event) });
    expect(result).toEqual({ kind: 'output', output: 'ok', runId: last().id, attempt: 1, persisted: true });
    expect(await row()).toEqual({
      ...conversation('ok'),
      scope,
      rev: expect.any(Number),
      specs: [
        {
          name: 'prompt',
          type: 'plain.prompt',
          deps: {},
          metadata: {},
          config: { prefix: [], suffix: [], user: 'Hello?' },
        },
        { name: 'history', type: 'pydantic_ai.history', deps: {}, metadata: {}, config: null },
      ],
      topology: [
        { name: 'prompt', type: 'plain.prompt' },
        { name: 'history', type: 'pydantic_ai.history' },
        { name: 'llm', type: 'test.scripted_llm' },
      ],
      lastRunId: last().id,
    } as unknown as StoredSession);
    expect(events.map(({ type }) => type)).toEqual(['run_started', 'run_succeeded']);
    expect((await store.backlog()).entries).toBe(0);
  });

  test('run_succeeded with output: a question that was open is not any more', async () => {
    server.script = asks('call_1');
    await sessions.run(scope, build);
    server.script = answers('thanks');
    await sessions.resume(scope, { status: 'submitted' }, build);
    expect((await row()).pending).toBeUndefined();
  });

  test('run_succeeded with deferred_tool_call: as well, with the question', async () => {
    server.script = asks('call_1');
    const result = await sessions.run(scope, build, { correlate: (call) => `form-of-${call.tool_call_id}` });
    expect(result).toMatchObject({
      kind: 'deferred',
      call: { tool_call_id: 'call_1', tool_name: 'ask_human', args: { question: '?' } },
      correlation: 'form-of-call_1',
      persisted: true,
      repeated: false,
    });
    const { status, pending } = await row();
    expect(status).toBe('active');
    expect(pending).toEqual({
      toolCallId: 'call_1',
      toolName: 'ask_human',
      args: { question: '?' },
      metadata: {},
      correlation: 'form-of-call_1',
    });
  });

  test.each(['run_failed', 'run_cancelled'] as const)(
    '%s, row active: the row is cleaned and its clean-up owed',
    async (type) => {
      const { snapshot, lastRunId } = await anActiveSession();
      server.script = () => ({ type, data: { error: 'ill', reason: 'why' } });
      const result = await sessions.run(scope, build);
      expect(result).toMatchObject({
        kind: type === 'run_failed' ? 'failed' : 'cancelled',
        persisted: true,
        reason: 'why',
      });
      const { lastRunId: failedRun, ...rest } = await row();
      expect(rest).toMatchObject({ status: 'cleaned', snapshot: { layers: [] }, specs: [] });
      expect(failedRun).toBe(last().id);
      const [owed] = await store.claim({ limit: 9, leaseMs: 1 });
      expect(owed).toMatchObject({
        scope,
        reason: type === 'run_failed' ? 'failed' : 'cancelled',
        previousRunId: lastRunId,
      });
      expect(owed?.snapshot.layers).toEqual(snapshot.layers.filter(({ name }) => name !== 'llm'));
    },
  );

  test.each(['run_failed', 'run_cancelled'] as const)('%s, no row: nothing is stored', async (type) => {
    server.script = () => ({ type, data: { error: 'ill' } });
    expect(await sessions.run(scope, build)).toMatchObject({ persisted: true });
    expect(await store.load(scope)).toBeNull();
    expect((await store.backlog()).entries).toBe(0);
  });

  test('run_failed: the next run starts afresh, and the clean-up does not touch it', async () => {
    await anActiveSession();
    server.script = fails;
    await sessions.run(scope, build);
    server.script = answers('again');
    await sessions.run(scope, build);
    expect(last().request.session_snapshot).toBeNull();
    expect(await sessions.drain()).toEqual({ cleaned: 1, failed: 0, adopted: 0 });
    expect(await row()).toMatchObject(conversation('again'));
  });

  test.each(['run_failed', 'run_cancelled'] as const)(
    '%s with a snapshot: it is stored, the row stays active',
    async (type) => {
      await anActiveSession();
      server.script = (request) => ({
        type,
        data: { error: 'ill', session_snapshot: snapshotOf(request, ['one', 'two']) },
      });
      expect(await sessions.run(scope, build)).toMatchObject({ persisted: true });
      expect(await row()).toMatchObject(conversation('one', 'two'));
      expect((await store.backlog()).entries).toBe(0);
    },
  );

  test('a failed answer with a snapshot: the question stays open if the history still ends with it', async () => {
    server.script = asks('call_1');
    await sessions.run(scope, build);
    const { snapshot, pending } = await row();
    server.script = () => ({ type: 'run_failed', data: { error: 'ill', session_snapshot: snapshot } });
    await sessions.resume(scope, 'yes', build);
    expect((await row()).pending).toEqual(pending as NonNullable<typeof pending>);
    const parts = [{ part_kind: 'tool-return', tool_call_id: 'call_1', content: 'yes' }];
    server.script = (request) => ({
      type: 'run_failed',
      data: {
        error: 'ill',
        session_snapshot: snapshotOf(request, [...messagesOf(request), { kind: 'request', parts }] as never),
      },
    });
    await sessions.resume(scope, 'yes', build);
    expect((await row()).pending).toBeUndefined();
  });

  test('a finalising turn (on_exit delete): everything is closed, the row is cleaned, nothing is owed', async () => {
    await anActiveSession();
    server.script = (request) => ({
      type: 'run_succeeded',
      data: { output: 'bye', session_snapshot: snapshotOf(request, [], 'closed') },
    });
    const finalising = { ...build(), on_exit: { default: 'delete' as const } };
    expect(await sessions.run(scope, () => finalising)).toMatchObject({
      kind: 'output',
      output: 'bye',
      persisted: true,
    });
    expect(last().request.on_exit).toEqual({ default: 'delete' });
    expect((await row()).status).toBe('cleaned');
    expect((await store.backlog()).entries).toBe(0);
  });

  test('a turn that closes one layer: the snapshot cannot be entered again, the rest of it is owed', async () => {
    server.script = (request) => {
      const [first, ...rest] = snapshotOf(request).layers;
      const closed = { name: 'prompt', lifecycle_state: 'closed', runtime_state: {} };
      expect(first?.name).toBe('prompt');
      return {
        type: 'run_succeeded',
        data: { output: 'x', session_snapshot: { schema_version: 1, layers: [closed, ...rest] } },
      };
    };
    await sessions.run(scope, build);
    expect((await row()).status).toBe('cleaned');
    const [owed] = await store.claim({ limit: 9, leaseMs: 1 });
    expect(owed).toMatchObject({ reason: 'closed', snapshot: { layers: [{ name: 'history' }] } });
  });

  test('type check fails, retry: the next attempt starts from the new snapshot, under the key with a suffix', async () => {
    await anActiveSession();
    let n = 0;
    server.script = (request, run) => {
      n += 1;
      return answers(`try ${n}`)(request, run);
    };
    const events: string[] = [];
    const attempts: number[] = [];
    const result = await sessions.run(
      scope,
      ({ attempt }) => {
        attempts.push(attempt);
        return { ...build(), idempotency_key: 'wr-1:ne-1' };
      },
      { check: (output) => (output === 'try 3' ? null : 'no'), onEvent: ({ run_id }) => void events.push(run_id) },
    );
    expect(result).toMatchObject({ kind: 'output', output: 'try 3', attempt: 3, persisted: true });
    const tries = server.turns.slice(1).map(({ request }) => request);
    expect(tries.map((request) => request.idempotency_key)).toEqual([
      'wr-1:ne-1',
      'wr-1:ne-1:retry-1',
      'wr-1:ne-1:retry-2',
    ]);
    expect(tries.map(messagesOf)).toEqual([['one'], ['one', 'try 1'], ['one', 'try 1', 'try 2']]);
    expect(attempts).toEqual([1, 2, 3]);
    expect(new Set(events).size).toBe(3);
    expect(await row()).toMatchObject(conversation('one', 'try 1', 'try 2', 'try 3'));
  });

  test('type check fails to the end: the result has failed, the row is active', async () => {
    const result = await sessions.run(scope, build, { check: () => 'not a number', maxAttempts: 2 });
    expect(result).toMatchObject({
      kind: 'failed',
      error: 'not a number',
      reason: 'output_type_check_failed',
      attempt: 2,
    });
    expect(await row()).toMatchObject(conversation('ok', 'ok'));
  });

  test('type check: a run that fails or asks is not tried again', async () => {
    for (const script of [fails, asks('c')]) {
      server.script = script;
      await sessions.run(newScope(), build, { check: () => 'no' });
    }
    expect(server.turns).toHaveLength(2);
  });

  test('transport error when the run is made: the row is as it was', async () => {
    const before = await anActiveSession();
    server.refusal = new DifyAgentClientError('createRun request failed: refused');
    await expect(sessions.run(scope, build)).rejects.toThrow('createRun request failed: refused');
    expect(await row()).toEqual(before);
    server.refusal = null;
    await sessions.run(scope, build);
    expect(last().request.session_snapshot).toEqual(before.snapshot);
  });

  test('transport error while the run goes on: the row is as it was', async () => {
    const before = await anActiveSession();
    server.script = () => {
      server.down = true;
      return null;
    };
    await expect(sessions.run(scope, build)).rejects.toThrow(DifyAgentClientError);
    expect(await row()).toEqual(before);
    expect((await store.backlog()).entries).toBe(0);
  });

  test('a run that the server has forgotten: the row is as it was, and the next turn is not kept waiting', async () => {
    const before = await anActiveSession();
    server.script = (_, run) => {
      queueMicrotask(() => server.forget(run));
      return null;
    };
    await expect(sessions.run(scope, build)).rejects.toThrow(DifyAgentNotFoundError);
    expect(await row()).toEqual(before);
    server.script = answers('two');
    expect(await sessions.run(scope, build)).toMatchObject({ output: 'two' });
    expect(last().request.session_snapshot).toEqual(before.snapshot);
  });

  test('store error on save: the result is untouched and says so, the row is as it was', async () => {
    const before = await anActiveSession();
    const broken = { ...store, save: async () => Promise.reject(new SessionStoreError('disk full')) };
    const other = new AgentSessions({ client: server.client, store: broken });
    server.script = answers('two');
    const result = await other.run(scope, build);
    expect(result).toMatchObject({ kind: 'output', output: 'two', persisted: false });
    expect(result.persistError).toBeInstanceOf(SessionStoreError);
    expect(await row()).toEqual(before);
    // What it left is taken in when the store is back.
    expect(await sessions.drain()).toEqual({ cleaned: 0, failed: 0, adopted: 1 });
    expect(await row()).toMatchObject(conversation('one', 'two'));
  });

  test('a save whose answer is lost: it is found in the store', async () => {
    const forgetful: SessionStore = {
      ...store,
      save: async (...args) => {
        await store.save(...args);
        throw new SessionStoreError('socket closed');
      },
    };
    const other = new AgentSessions({ client: server.client, store: forgetful });
    expect(await other.run(scope, build)).toMatchObject({ persisted: true });
    expect(await row()).toMatchObject(conversation('ok'));
  });

  test('a snapshot that is too large: the result says so, the row is as it was', async () => {
    const small = memorySessionStore({ maxChars: 2_000 });
    const other = new AgentSessions({ client: server.client, store: small });
    await other.run(scope, build);
    const before = await small.load(scope);
    server.script = answers('x'.repeat(3_000));
    const result = await other.run(scope, build);
    expect(result).toMatchObject({
      kind: 'output',
      persisted: false,
      persistError: { code: 'agent_session_too_large' },
    });
    expect(await small.load(scope)).toEqual(before);
  });
});

describe('an owner ends', () => {
  test('each active row: a clean-up run with the stored layers, and the row is cleaned', async () => {
    const { snapshot, lastRunId } = await anActiveSession();
    expect(await sessions.end(scope)).toEqual({ cleaned: 1, failed: [] });
    const [run, ...more] = server.cleanups;
    expect(more).toEqual([]);
    expect(run?.request).toEqual({
      composition: { schema_version: 1, layers: expect.any(Array) },
      purpose: 'workflow_node',
      idempotency_key: expect.stringMatching(/^[0-9a-f]{32}:agent-session-cleanup$/),
      metadata: { previous_agent_backend_run_id: lastRunId, agent_backend_lifecycle: 'session_cleanup' },
      session_snapshot: { schema_version: 1, layers: snapshot.layers.filter(({ name }) => name !== 'llm') },
      deferred_tool_results: null,
      on_exit: { default: 'delete', layers: {} },
    } as unknown as CreateRunRequest);
    expect(run?.request.composition.layers.map(({ name }) => name)).toEqual(['prompt', 'history']);
    expect(await row()).toMatchObject({ status: 'cleaned', lastRunId });
    expect((await store.backlog()).entries).toBe(0);
    expect(await sessions.end(scope)).toEqual({ cleaned: 0, failed: [] });
  });

  test('a workflow run is named in the metadata', async () => {
    scope = newScope({ ownerKind: 'workflow_run' });
    await anActiveSession();
    await sessions.end(scope);
    expect(server.cleanups[0]?.request.metadata).toMatchObject({ workflow_run_id: scope.ownerId });
  });

  test('a row with nothing to clean up is retired locally', async () => {
    await sessions.run(scope, () => ({ composition: { layers: [scriptedLlm({ turns: [] })] } }));
    expect(await sessions.end(scope)).toEqual({ cleaned: 1, failed: [] });
    expect(server.cleanups).toEqual([]);
    expect((await row()).status).toBe('cleaned');
  });

  test('a clean-up that fails is tried again under another key; the row stays active until the server confirms', async () => {
    await anActiveSession();
    let tries = 0;
    const good = server.cleanup;
    server.cleanup = (request, run) => {
      tries += 1;
      return tries < 3 ? { type: 'run_failed', data: { error: 'the sandbox is away' } } : good(request, run);
    };
    expect(await sessions.end(scope)).toEqual({ cleaned: 1, failed: [] });
    const keys = server.cleanups.map(({ request }) => request.idempotency_key?.replace(/^.*:agent/, 'agent'));
    expect(keys).toEqual(['agent-session-cleanup', 'agent-session-cleanup:retry-1', 'agent-session-cleanup:retry-2']);
  });

  test('the server is away: the row stays active and in the outbox, and is cleaned when it is back', async () => {
    await anActiveSession();
    server.down = true;
    expect(await sessions.end(scope, { timeoutMs: 30 })).toEqual({ cleaned: 0, failed: [scope] });
    expect((await row()).status).toBe('active');
    expect((await store.backlog()).entries).toBe(1);
    // Again: nothing is owed twice.
    expect(await sessions.end(scope, { timeoutMs: 30 })).toEqual({ cleaned: 0, failed: [scope] });
    expect((await store.backlog()).entries).toBe(1);
    server.down = false;
    expect(await sessions.end(scope)).toEqual({ cleaned: 1, failed: [] });
    expect((await row()).status).toBe('cleaned');
    expect(server.cleanups).toHaveLength(1);
  });

  test('the server says that there is nothing left: the row is cleaned', async () => {
    await anActiveSession();
    const error = "Layer 'history' is closed; CLOSED snapshots cannot be entered.";
    server.cleanup = () => ({ type: 'run_failed', data: { error } });
    expect(await sessions.end(scope)).toEqual({ cleaned: 1, failed: [] });
    expect((await row()).status).toBe('cleaned');
  });

  test('all slots of the owner, or some; no other owner', async () => {
    const slots = ['one', 'two', 'three'].map((slot) => ({ ...scope, slot }));
    const stranger = newScope();
    for (const each of [...slots, stranger]) await sessions.run(each, build);
    expect(await sessions.end(scope, { slots: ['two'] })).toEqual({ cleaned: 1, failed: [] });
    expect(await sessions.end(scope)).toEqual({ cleaned: 2, failed: [] });
    expect(await store.load(stranger)).toMatchObject({ status: 'active' });
  });

  test('an owner that pauses is not over: a question outlives clients and stores that are closed', async () => {
    server.script = asks('call_1');
    await sessions.run(scope, build);
    const later = new AgentSessions({ client: server.client, store });
    await later.drain();
    expect((await later.load(scope))?.pending?.toolCallId).toBe('call_1');
    server.script = answers('fine');
    expect(await later.resume(scope, { status: 'submitted' }, build)).toMatchObject({ kind: 'output', output: 'fine' });
    expect(last().request.deferred_tool_results).toEqual({ calls: { call_1: { status: 'submitted' } } });
  });
});
