// Two turns of one session at once, turns that are interrupted, and what becomes of turns whose process is gone.

import { beforeEach, describe, expect, test } from 'bun:test';
import { DifyAgentClientError, DifyAgentTimeoutError } from '../../src/client/errors.ts';
import { type CreateRunRequest, history, plainPrompt, scriptedLlm } from '../../src/client/index.ts';
import {
  AgentSessions,
  memorySessionStore,
  type Scope,
  SessionBusyError,
  type SessionStore,
  SessionStoreError,
} from '../../src/sessions/index.ts';
import { until } from '../support/until.ts';
import { answers, asks, FakeServer, hangs, messagesOf, snapshotOf } from './fake-server.ts';
import { all, newScope, note } from './kit.ts';

let server: FakeServer;
let store: SessionStore;
/** Two processes: they share the store and the server. */
let one: AgentSessions;
let two: AgentSessions;
let scope: Scope;

beforeEach(() => {
  server = new FakeServer();
  store = memorySessionStore();
  one = new AgentSessions({ client: server.client, store, retryFirstMs: 1, cancelGraceMs: 50 });
  two = new AgentSessions({ client: server.client, store, retryFirstMs: 1, cancelGraceMs: 50 });
  scope = newScope();
});

const layers = [plainPrompt({ user: 'Hello?' }), history(), scriptedLlm({ turns: [] })];
const keyed = (idempotency_key: string) => (): CreateRunRequest => ({ composition: { layers }, idempotency_key });
const build = (): CreateRunRequest => ({ composition: { layers } });
const messages = async () => (await store.load(scope))?.snapshot.layers[1]?.runtime_state.messages;
const succeed = async (n: number, text: string) => {
  const run = await server.turn(n);
  server.end(run, answers(text)(run.request, run) ?? { type: 'run_failed', data: {} });
};

describe('another turn is going on', () => {
  test('reject: an error that names its run', async () => {
    server.script = hangs;
    const first = one.run(scope, build);
    const run = await server.turn(0);
    await until('the note', async () => (await all(store.listTurns({ owner: scope })))[0]?.note);
    const second = two.run(scope, build);
    await expect(second).rejects.toThrow(SessionBusyError);
    await expect(second).rejects.toMatchObject({ code: 'agent_session_busy', runId: run.id });
    await succeed(0, 'one');
    expect(await first).toMatchObject({ output: 'one', persisted: true });
    server.script = answers('two');
    expect(await two.run(scope, build)).toMatchObject({ output: 'two' });
  });

  test('wait: it goes on from what the other left', async () => {
    server.script = hangs;
    const first = one.run(scope, build);
    await server.turn(0);
    const second = two.run(scope, build, { onConflict: 'wait' });
    await succeed(0, 'one');
    await first;
    const run = await server.turn(1);
    expect(messagesOf(run.request)).toEqual(['one']);
    await succeed(1, 'two');
    expect(await second).toMatchObject({ output: 'two', persisted: true });
    expect(await messages()).toEqual(['one', 'two']);
  });

  test('cancel_previous: its run is cancelled, wherever it is', async () => {
    server.script = hangs;
    const first = one.run(scope, build);
    const run = await server.turn(0);
    server.script = answers('two');
    expect(await two.run(scope, build, { onConflict: 'cancel_previous' })).toMatchObject({ output: 'two' });
    expect(await first).toMatchObject({ kind: 'cancelled', reason: 'superseded', runId: run.id });
  });

  test('cancel_previous, and the cancelled run has a snapshot: the conversation goes on', async () => {
    server.script = hangs;
    server.cancelledWith = (request) => snapshotOf(request, ['half an answer']);
    const first = one.run(scope, build);
    await server.turn(0);
    server.script = answers('two');
    await two.run(scope, build, { onConflict: 'cancel_previous' });
    expect(await first).toMatchObject({ kind: 'cancelled' });
    expect(await messages()).toEqual(['half an answer', 'two']);
  });

  test('cancel_previous on a server that cannot cancel: it is waited for', async () => {
    server.script = hangs;
    server.cannotCancel = true;
    const first = one.run(scope, build);
    await server.turn(0);
    const second = two.run(scope, build, { onConflict: 'cancel_previous' });
    await succeed(0, 'one');
    await succeed(1, 'two');
    expect([await first, await second]).toMatchObject([{ output: 'one' }, { output: 'two' }]);
  });

  test('a wait ends with the signal and with the deadline', async () => {
    server.script = hangs;
    const first = one.run(scope, build);
    await server.turn(0);
    const abort = new AbortController();
    const second = two.run(scope, build, { onConflict: 'wait', signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(second).rejects.toThrow('enough');
    const third = two.run(scope, build, { onConflict: 'wait', deadlineMs: 5 });
    await expect(third).rejects.toThrow(DifyAgentTimeoutError);
    expect(server.turns).toHaveLength(1);
    await succeed(0, 'one');
    expect(await first).toMatchObject({ output: 'one', persisted: true });
  });

  test('ten at once, all of which wait: each has its turn, none overwrites another', async () => {
    let n = 0;
    server.script = (request, run) => {
      n += 1;
      return answers(`${n}`)(request, run);
    };
    const turns = Array.from({ length: 10 }, (_, i) =>
      (i % 2 === 0 ? one : two).run(scope, build, { onConflict: 'wait' }),
    );
    for (const result of await Promise.all(turns)) expect(result).toMatchObject({ kind: 'output', persisted: true });
    expect(await messages()).toEqual(['1', '2', '3', '4', '5', '6', '7', '8', '9', '10']);
  });
});

describe('a turn is interrupted', () => {
  test('abort: the run is cancelled, and that is the result', async () => {
    server.script = hangs;
    const abort = new AbortController();
    const turn = one.run(scope, build, { signal: abort.signal });
    const run = await server.turn(0);
    abort.abort();
    expect(await turn).toMatchObject({ kind: 'cancelled', reason: 'client_aborted', persisted: true });
    expect(run.cancelled).toBe('client_aborted');
    expect(await all(store.listTurns({ owner: scope }))).toEqual([]);
  });

  test('deadline: as well', async () => {
    server.script = hangs;
    const result = await one.run(scope, build, { deadlineMs: 20 });
    expect(result).toMatchObject({ kind: 'cancelled', reason: 'deadline_exceeded' });
  });

  test('abort before the run is made: nothing is sent, the reason is thrown', async () => {
    const abort = new AbortController();
    const turn = one.run(
      scope,
      () => {
        abort.abort(new Error('changed my mind'));
        return build();
      },
      { signal: abort.signal },
    );
    await expect(turn).rejects.toThrow('changed my mind');
    expect(server.runs).toEqual([]);
    expect(await all(store.listTurns({ owner: scope }))).toEqual([]);
  });

  test('abort while the run is being made: it is known, so it is cancelled', async () => {
    const abort = new AbortController();
    server.script = () => {
      abort.abort();
      return null;
    };
    expect(await one.run(scope, build, { signal: abort.signal })).toMatchObject({ kind: 'cancelled' });
    expect(server.turns[0]?.status).toBe('cancelled');
  });

  test('the run ends before the cancel arrives: its output is the result', async () => {
    server.script = hangs;
    const abort = new AbortController();
    const turn = one.run(scope, build, {
      signal: abort.signal,
      onEvent: async () => {
        await succeed(0, 'just in time');
        abort.abort();
      },
    });
    expect(await turn).toMatchObject({ kind: 'output', output: 'just in time', persisted: true });
  });

  test('abort without cancelOnAbort: the run goes on, and what it leaves is taken in', async () => {
    server.script = hangs;
    const abort = new AbortController();
    const turn = one.run(scope, build, { signal: abort.signal, cancelOnAbort: false });
    await server.turn(0);
    abort.abort(new Error('away'));
    await expect(turn).rejects.toThrow('away');
    expect(server.turns[0]?.status).toBe('running');
    expect(await two.drain()).toEqual({ cleaned: 0, failed: 0, adopted: 0 });
    await succeed(0, 'one');
    expect(await two.drain()).toEqual({ cleaned: 0, failed: 0, adopted: 1 });
    expect(await messages()).toEqual(['one']);
    expect(await two.drain()).toEqual({ cleaned: 0, failed: 0, adopted: 0 });
  });

  test('abort, and the server is away: the reason is thrown, the end of the run is taken in later', async () => {
    server.script = hangs;
    const abort = new AbortController();
    const turn = one.run(scope, build, { signal: abort.signal });
    const run = await server.turn(0);
    server.down = true;
    abort.abort(new Error('away'));
    await expect(turn).rejects.toThrow('away');
    server.down = false;
    server.end(run, answers('one')(run.request, run) ?? { type: 'run_failed', data: {} });
    expect(await two.drain()).toMatchObject({ adopted: 1 });
    expect(await messages()).toEqual(['one']);
  });

  test('onEvent throws: the run is cancelled, the error is thrown, the session is saved', async () => {
    server.script = hangs;
    server.cancelledWith = (request) => snapshotOf(request, ['half']);
    const calls: string[] = [];
    const turn = one.run(scope, build, {
      onEvent: ({ type }) => {
        calls.push(type);
        throw new Error('the socket of the user is gone');
      },
    });
    await expect(turn).rejects.toThrow('the socket of the user is gone');
    expect(calls).toEqual(['run_started']);
    expect(server.turns[0]?.status).toBe('cancelled');
    expect(await messages()).toEqual(['half']);
    expect(await all(store.listTurns({ owner: scope }))).toEqual([]);
  });

  test('onEvent throws at the last event: what the run left is saved', async () => {
    const turn = one.run(scope, build, {
      onEvent: ({ type }) => {
        if (type === 'run_succeeded') throw new Error('late');
      },
    });
    await expect(turn).rejects.toThrow('late');
    expect(await messages()).toEqual(['ok']);
  });
});

describe('the process of a turn is gone', () => {
  /** A turn whose process died when its run existed. */
  async function abandoned(key = 'key-1'): Promise<void> {
    server.script = hangs;
    const abort = new AbortController();
    const turn = one.run(scope, keyed(key), { signal: abort.signal, cancelOnAbort: false });
    const run = await server.turn(0);
    await until('the note', async () => (await all(store.listTurns({ owner: scope })))[0]?.note?.runId === run.id);
    abort.abort();
    await turn.catch(() => {});
  }

  test('the next turn takes in what its run left, and goes on from there', async () => {
    await abandoned();
    await succeed(0, 'one');
    server.script = answers('two');
    expect(await two.run(scope, build)).toMatchObject({ output: 'two' });
    expect(await messages()).toEqual(['one', 'two']);
  });

  test('the same turn again (same key): its run is found, nothing runs twice', async () => {
    await abandoned('message-7');
    const seen: string[] = [];
    const again = two.run(scope, keyed('message-7'), { onEvent: ({ type }) => void seen.push(type) });
    await succeed(0, 'one');
    expect(await again).toMatchObject({ kind: 'output', output: 'one', persisted: true });
    expect(seen).toEqual(['run_started', 'run_succeeded']);
    expect(server.turns).toHaveLength(1);
    expect(await messages()).toEqual(['one']);
  });

  test('the same turn again, and its run is forgotten: another one is made', async () => {
    await abandoned('message-7');
    server.forget(await server.turn(0));
    server.script = answers('one');
    expect(await two.run(scope, keyed('message-7'))).toMatchObject({ output: 'one', persisted: true });
  });

  test('the same turn again, whose end was saved: it is told again', async () => {
    await abandoned('message-7');
    await succeed(0, 'one');
    const [turn] = await all(store.listTurns({ owner: scope }));
    await two.drain();
    // Killed between the save and the end of the turn.
    await store.beginTurn(scope, 'dead', 60_000);
    await store.keepTurn(scope, 'dead', 0, turn?.note ?? undefined);
    const before = await store.load(scope);
    expect(await two.run(scope, keyed('message-7'))).toMatchObject({ output: 'one', persisted: true });
    expect(server.turns).toHaveLength(1);
    expect(await store.load(scope)).toEqual(before);
  });

  test('an answer again, after its end was saved: it is told again, not refused', async () => {
    server.script = asks('call_1');
    await one.run(scope, keyed('n'));
    server.script = answers('thanks');
    let runId = '';
    const watching: SessionStore = {
      ...store,
      keepTurn: (...args) => {
        runId = args[3]?.runId ?? runId;
        return store.keepTurn(...args);
      },
    };
    const third = new AgentSessions({ client: server.client, store: watching });
    await third.resume(scope, 'yes', keyed('n'));
    await store.beginTurn(scope, 'dead', 60_000);
    await store.keepTurn(scope, 'dead', 0, note(runId, { key: 'n', mode: 'resume' }));
    expect(await two.resume(scope, 'yes', keyed('n'))).toMatchObject({ output: 'thanks', persisted: true });
    expect(server.turns).toHaveLength(2);
    // The node that asked has the same key: that is another turn.
    await expect(two.resume(scope, 'yes', keyed('n'))).rejects.toMatchObject({ code: 'agent_session_no_question' });
  });

  test('its run goes on, reject: an error, and it is still there for the next', async () => {
    await abandoned();
    await expect(two.run(scope, build)).rejects.toMatchObject({ code: 'agent_session_busy', runId: 'run-1' });
    await expect(two.run(scope, build)).rejects.toMatchObject({ code: 'agent_session_busy' });
    await succeed(0, 'one');
    server.script = answers('two');
    await two.run(scope, build);
    expect(await messages()).toEqual(['one', 'two']);
  });

  test('its run goes on, wait and cancel_previous', async () => {
    await abandoned();
    const waiting = two.run(scope, build, { onConflict: 'wait' });
    await succeed(0, 'one');
    await succeed(1, 'two');
    expect(await waiting).toMatchObject({ output: 'two' });
    scope = newScope();
    server.runs.length = 0;
    await abandoned();
    server.script = answers('new');
    expect(await two.run(scope, build, { onConflict: 'cancel_previous' })).toMatchObject({ output: 'new' });
    expect(server.turns[0]?.cancelled).toBe('superseded');
    expect(await messages()).toEqual(['new']);
  });

  test('its run goes on for ever, cancel_previous on a server that cannot cancel: it is left to itself', async () => {
    await one.run(scope, build);
    server.runs.length = 0;
    await abandoned();
    server.cannotCancel = true;
    server.script = answers('two');
    expect(await two.run(scope, build, { onConflict: 'cancel_previous' })).toMatchObject({ output: 'two' });
    expect(await messages()).toEqual(['ok', 'two']);
    expect(await all(store.listTurns({ owner: scope }))).toEqual([]);
  });

  test('a turn that began though the answer of the store was lost keeps nobody waiting', async () => {
    const losing: SessionStore = {
      ...store,
      beginTurn: async (...args) => {
        await store.beginTurn(...args);
        throw new SessionStoreError('socket closed');
      },
    };
    const unlucky = new AgentSessions({ client: server.client, store: losing });
    await expect(unlucky.run(scope, build)).rejects.toThrow('socket closed');
    expect(await two.run(scope, build)).toMatchObject({ kind: 'output' });
  });

  test('its run is forgotten: the session is as it was', async () => {
    await one.run(scope, build);
    server.runs.length = 0;
    await abandoned();
    const before = await store.load(scope);
    server.forget(await server.turn(0));
    expect(await two.drain()).toEqual({ cleaned: 0, failed: 0, adopted: 1 });
    expect(await store.load(scope)).toEqual(before);
    expect(await all(store.listTurns({ owner: scope }))).toEqual([]);
  });

  test('the server is away: it is kept, told, and taken in later', async () => {
    await abandoned();
    server.down = true;
    const told: unknown[] = [];
    expect(await two.drain({ onError: (_, which) => void told.push(which) })).toMatchObject({ adopted: 0 });
    expect(told).toEqual([scope]);
    await expect(two.run(scope, build)).rejects.toThrow(DifyAgentClientError);
    server.down = false;
    await succeed(0, 'one');
    expect(await two.drain()).toMatchObject({ adopted: 1 });
    expect(await messages()).toEqual(['one']);
  });

  test('it died before its run was made: the turn is forgotten, the session as it was', async () => {
    await one.run(scope, build);
    const before = await store.load(scope);
    await store.beginTurn(scope, 'dead', 0);
    await two.drain();
    expect(await all(store.listTurns({ owner: scope }))).toEqual([]);
    expect(await store.load(scope)).toEqual(before);
    await store.beginTurn(scope, 'dead', 0);
    expect(await two.run(scope, build)).toMatchObject({ kind: 'output' });
  });

  test('a process that was only slow finds its run saved by the other', async () => {
    const asleep: SessionStore = {
      ...store,
      keepTurn: async () => false,
      beginTurn: (s, token) => store.beginTurn(s, token, 0),
    };
    const slow = new AgentSessions({
      client: server.client,
      store: { ...asleep, keepTurn: async (s, t, _, n) => (n === undefined ? false : store.keepTurn(s, t, 0, n)) },
    });
    server.script = hangs;
    let other: Promise<unknown> | null = null;
    const turn = slow.run(scope, build, {
      onEvent: async ({ type }) => {
        if (type !== 'run_succeeded') return;
        // While it sleeps, somebody takes the turn and finishes it.
        other = two.drain();
        await other;
      },
    });
    await succeed(0, 'one');
    expect(await turn).toMatchObject({ output: 'one', persisted: true });
    expect(await messages()).toEqual(['one']);
    expect((await store.backlog()).entries).toBe(0);
  });

  test('the session was ended while its run went on: what it left is cleaned up as well', async () => {
    await one.run(scope, build);
    server.script = hangs;
    server.cannotCancel = true;
    const turn = one.run(scope, build);
    await server.turn(1);
    expect(await two.end(scope, { timeoutMs: 60 })).toMatchObject({ cleaned: expect.any(Number) });
    await succeed(1, 'too late');
    expect(await turn).toMatchObject({
      output: 'too late',
      persisted: false,
      persistError: { code: 'agent_session_conflict' },
    });
    await until('the clean-ups', async () => {
      await two.drain();
      return (await store.backlog()).entries === 0;
    });
    expect(server.cleanups.map(({ request }) => messagesOf(request))).toContainEqual(['ok', 'too late']);
    expect(await store.load(scope)).toMatchObject({ status: 'cleaned' });
  });

  test('end cancels what runs, also the first run of a session', async () => {
    server.script = hangs;
    const turn = one.run(scope, build);
    await server.turn(0);
    server.cancelledWith = (request) => snapshotOf(request, ['half']);
    expect(await two.end(scope)).toEqual({ cleaned: 1, failed: [] });
    expect(await turn).toMatchObject({ kind: 'cancelled', reason: 'session_ended' });
    expect(await store.load(scope)).toMatchObject({ status: 'cleaned' });
    expect(server.cleanups).toHaveLength(1);
  });

  test('end of a session whose first run cannot be stopped: the scope is reported', async () => {
    server.script = hangs;
    server.cannotCancel = true;
    const turn = one.run(scope, build);
    await server.turn(0);
    expect(await two.end(scope, { timeoutMs: 40 })).toEqual({ cleaned: 0, failed: [scope] });
    await succeed(0, 'one');
    await turn;
    expect(await two.end(scope)).toEqual({ cleaned: 1, failed: [] });
  });
});

describe('questions', () => {
  beforeEach(async () => {
    server.script = asks('call_1');
    await one.run(scope, build, { correlate: () => 'form-1' });
  });

  test('a turn while a question waits: the question again, without a run', async () => {
    expect(await two.run(scope, build)).toMatchObject({
      kind: 'deferred',
      call: { tool_call_id: 'call_1', tool_name: 'ask_human', args: { question: '?' } },
      correlation: 'form-1',
      repeated: true,
      persisted: true,
    });
    expect(server.turns).toHaveLength(1);
  });

  test('reject: an error with a code', async () => {
    const turn = two.run(scope, build, { onPending: 'reject' });
    await expect(turn).rejects.toMatchObject({ code: 'agent_session_question_pending' });
  });

  test('ignore: a run without an answer, from the snapshot', async () => {
    server.script = answers('whatever');
    await two.run(scope, build, { onPending: 'ignore' });
    expect(server.turns[1]?.request).toMatchObject({
      deferred_tool_results: null,
      session_snapshot: { layers: [{}, {}, {}] },
    });
    expect((await store.load(scope))?.pending).toBeUndefined();
  });

  test('an answer: the request is built with it, and from the stored snapshot', async () => {
    server.script = answers('thanks');
    const seen: unknown[] = [];
    await two.resume(scope, { status: 'timeout' }, (turn) => {
      seen.push(turn.deferred);
      return build();
    });
    expect(seen).toEqual([{ calls: { call_1: { status: 'timeout' } } }]);
    expect(server.turns[1]?.request.deferred_tool_results).toEqual({ calls: { call_1: { status: 'timeout' } } });
  });

  test('an answer whose output is bad: the next attempt is a plain one, the answer was given', async () => {
    server.script = answers('x');
    await two.resume(scope, 'yes', build, { check: (_, attempt) => (attempt === 1 ? 'no' : null) });
    expect(server.turns.slice(1).map(({ request }) => request.deferred_tool_results)).toEqual([
      { calls: { call_1: 'yes' } },
      null,
    ]);
  });

  test('an answer to another question, or to none, is refused', async () => {
    const none = { code: 'agent_session_no_question' };
    await expect(two.resume(scope, 'x', build, { toolCallId: 'call_2' })).rejects.toMatchObject(none);
    await expect(two.resume(newScope(), 'x', build)).rejects.toMatchObject(none);
    server.script = answers('thanks');
    await two.resume(scope, 'x', build, { toolCallId: 'call_1' });
    await expect(two.resume(scope, 'x', build)).rejects.toMatchObject(none);
    expect(server.turns).toHaveLength(2);
  });

  test('two answers at once: one is taken', async () => {
    server.script = answers('thanks');
    const ended = await Promise.allSettled([one.resume(scope, 'a', build), two.resume(scope, 'b', build)]);
    expect(ended.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(server.turns).toHaveLength(2);
  });

  test('an answer that could not be sent leaves the question open', async () => {
    server.down = true;
    await expect(two.resume(scope, 'a', build)).rejects.toThrow(DifyAgentClientError);
    server.down = false;
    expect((await store.load(scope))?.pending?.correlation).toBe('form-1');
    server.script = answers('thanks');
    expect(await two.resume(scope, 'a', build)).toMatchObject({ output: 'thanks' });
  });
});
