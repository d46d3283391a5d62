// Sessions on the real server: what the in-process one of the other tests only pretends.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  askHuman,
  Client,
  type Composition,
  executionContext,
  history,
  type LayerSpec,
  plainPrompt,
  type ScriptedItem,
  scriptedLlm,
  shell,
} from '../../src/client/index.ts';
import { AgentSessions, memorySessionStore, type Scope, type SessionStore } from '../../src/sessions/index.ts';
import { type FakeShellctl, startFakeShellctl } from '../fakes/shellctl.ts';
import { startServer, type TestServer, withServer } from '../support/server.ts';
import { until } from '../support/until.ts';
import { all, newScope } from './kit.ts';

let shellctl: FakeShellctl;
let server: TestServer;
let store: SessionStore;
let sessions: AgentSessions;
let scope: Scope;

beforeAll(async () => {
  shellctl = startFakeShellctl();
  server = await startServer({
    env: { DIFY_AGENT_SHELLCTL_ENTRYPOINT: shellctl.url, DIFY_AGENT_SHELLCTL_AUTH_TOKEN: shellctl.token },
  });
}, 180_000);
afterAll(async () => {
  await server?.dispose();
  shellctl?.stop();
});
beforeEach(() => {
  store = memorySessionStore();
  sessions = new AgentSessions({ client: new Client({ baseUrl: server.url }), store, retryFirstMs: 10 });
  scope = newScope();
});

const context = executionContext({ tenant_id: 't-1' });
const prompt = plainPrompt({ prefix: 'Be terse.', user: 'Hello?' });

/** A script is JSON; its builder's type asks for more than that. */
function llm(...items: readonly ScriptedItem[]): LayerSpec {
  return scriptedLlm({ turns: [{ items }] } as Parameters<typeof scriptedLlm>[0]);
}

const of =
  (...layers: readonly LayerSpec[]) =>
  (): { composition: Composition } => ({ composition: { layers } });
const talk = (text: string) => of(prompt, history(), llm({ text }));
const work = (text: string) =>
  of(prompt, context, history(), shell({ context, env: [{ name: 'A_TOKEN', value: 'x' }] }), llm({ text }));

/** Directories that sessions have in the sandbox. */
function workspaces(): readonly string[] {
  const path = join(shellctl.home, 'workspace');
  return existsSync(path) ? readdirSync(path) : [];
}

async function said(): Promise<readonly unknown[]> {
  const entry = (await store.load(scope))?.snapshot.layers.find(({ name }) => name === 'history');
  const messages = (entry?.runtime_state.messages ?? []) as unknown as {
    parts: { part_kind: string; content: string }[];
  }[]; // spec 02
  return messages.flatMap(({ parts }) => parts.filter((part) => part.part_kind === 'text').map((part) => part.content));
}

test('a conversation goes on from turn to turn', async () => {
  for (const text of ['one', 'two', 'three']) {
    expect(await sessions.run(scope, talk(text))).toMatchObject({ kind: 'output', output: text, persisted: true });
  }
  expect(await said()).toEqual(['one', 'two', 'three']);
  expect(await sessions.end(scope)).toEqual({ cleaned: 1, failed: [] });
});

test('a question is answered later, by another process', async () => {
  const question = { question: 'May I?', fields: [{ type: 'paragraph', name: 'why', label: 'Why?' }] };
  const asking = of(
    prompt,
    history(),
    askHuman(),
    llm({ tool_call: { id: 'call_1', name: 'ask_human', arguments: question } }),
  );
  const asked = await sessions.run(scope, asking, { correlate: () => 'form-1' });
  expect(asked).toMatchObject({ kind: 'deferred', call: { tool_call_id: 'call_1', args: { question: 'May I?' } } });
  const later = new AgentSessions({ client: new Client({ baseUrl: server.url }), store });
  expect(await later.run(scope, asking)).toMatchObject({ kind: 'deferred', repeated: true, correlation: 'form-1' });
  const answer = { status: 'submitted', values: { why: 'Because.' } };
  const answered = await later.resume(scope, answer, of(prompt, history(), askHuman(), llm({ text: 'Thanks.' })));
  expect(answered).toMatchObject({ kind: 'output', output: 'Thanks.', persisted: true });
  expect((await store.load(scope))?.pending).toBeUndefined();
});

test('a workspace lives as long as its session, and is gone after its end', async () => {
  const before = workspaces();
  await sessions.run(scope, work('one'));
  const [made, ...more] = workspaces().filter((name) => !before.includes(name));
  expect(more).toEqual([]);
  await sessions.run(scope, work('two'));
  expect(workspaces()).toContain(made ?? '');
  expect(await sessions.end(scope)).toEqual({ cleaned: 1, failed: [] });
  expect(workspaces()).toEqual(before as string[]);
});

test('a turn that fails: the old workspace is cleaned up by the worker; twice does no harm', async () => {
  const before = workspaces();
  await sessions.run(scope, work('one'));
  const failing = of(
    prompt,
    context,
    history(),
    shell({ context }),
    llm({ tool_call: { id: 'x', name: 'none', arguments: '{}' } }),
  );
  expect(await sessions.run(scope, failing)).toMatchObject({ kind: 'failed', persisted: true });
  const [owed] = await store.claim({ limit: 1, leaseMs: 0 });
  expect(await sessions.drain()).toMatchObject({ cleaned: 1, failed: 0 });
  expect(workspaces()).toEqual(before as string[]);
  if (owed === undefined) throw new Error('nothing was owed');
  const rev = (await store.load(scope))?.rev ?? null;
  const { claim: _claim, attempts: _attempts, failedRuns: _failedRuns, ...again } = owed;
  const cleaned = { status: 'cleaned' as const, snapshot: { schema_version: 1, layers: [] }, specs: [], topology: [] };
  await store.save(scope, cleaned, rev, { enqueue: [{ ...again, id: `${again.id}-2` }] });
  expect(await sessions.drain()).toMatchObject({ cleaned: 1, failed: 0 });
});

test('rebase: the conversation goes on without the shell, whose workspace is cleaned up; and gets a new one later', async () => {
  const before = workspaces();
  await sessions.run(scope, work('one'));
  await expect(sessions.run(scope, talk('two'))).rejects.toMatchObject({ code: 'agent_session_configuration_changed' });
  const rebase = { onTopologyChange: 'rebase' } as const;
  expect(await sessions.run(scope, talk('two'), rebase)).toMatchObject({ output: 'two' });
  expect(await sessions.drain()).toMatchObject({ cleaned: 1, failed: 0 });
  expect(workspaces()).toEqual(before as string[]);
  expect(await sessions.run(scope, work('three'), rebase)).toMatchObject({ output: 'three' });
  expect(await said()).toEqual(['one', 'two', 'three']);
  expect(workspaces()).toHaveLength(before.length + 1);
  await sessions.end(scope);
  expect(workspaces()).toEqual(before as string[]);
});

test('reset: the conversation begins again, the old workspace is cleaned up', async () => {
  const before = workspaces();
  await sessions.run(scope, work('one'));
  await sessions.run(scope, talk('two'), { onTopologyChange: 'reset' });
  expect(await said()).toEqual(['two']);
  await sessions.drain();
  expect(workspaces()).toEqual(before as string[]);
});

test('cancel_previous stops the run of another process', async () => {
  const other = new AgentSessions({ client: new Client({ baseUrl: server.url }), store });
  const first = other.run(scope, of(prompt, history(), llm({ delay_ms: 600_000 })));
  await until('the note', async () => (await all(store.listTurns({ owner: scope })))[0]?.note);
  const second = await sessions.run(scope, talk('two'), { onConflict: 'cancel_previous' });
  expect(second).toMatchObject({ kind: 'output', output: 'two' });
  expect(await first).toMatchObject({ kind: 'cancelled', reason: 'superseded' });
});

test('a deadline stops the run, on the server too', async () => {
  const result = await sessions.run(scope, of(prompt, history(), llm({ delay_ms: 600_000 })), { deadlineMs: 300 });
  expect(result).toMatchObject({ kind: 'cancelled', reason: 'deadline_exceeded' });
  expect((await new Client({ baseUrl: server.url }).getRun(result.runId)).status).toBe('cancelled');
});

test('a bad output is tried again from the new snapshot', async () => {
  const build = ({ attempt }: { readonly attempt: number }) => talk(attempt === 1 ? 'no number' : '42')();
  const check = (output: unknown) => (/^\d+$/.test(String(output)) ? null : 'must be a number');
  expect(await sessions.run(scope, build, { check })).toMatchObject({ output: '42', attempt: 2 });
  expect(await said()).toEqual(['no number', '42']);
});

test('a finalising turn (on_exit delete) ends its session by itself', async () => {
  const before = workspaces();
  await sessions.run(scope, work('one'));
  await sessions.run(scope, () => ({ ...work('bye')(), on_exit: { default: 'delete' } }));
  expect(await store.load(scope)).toMatchObject({ status: 'cleaned' });
  expect(await store.backlog()).toMatchObject({ entries: 0 });
  expect(workspaces()).toEqual(before as string[]);
});

describe('other servers', () => {
  for (const mode of ['off', 'strict'] as const) {
    test(`idempotency ${mode}: turns, clean-ups and their retries work as well`, async () => {
      await withServer({ env: { DIFY_AGENT_IDEMPOTENCY: mode } }, async ({ url }) => {
        const other = new AgentSessions({ client: new Client({ baseUrl: url }), store, retryFirstMs: 10 });
        await other.run(scope, talk('one'));
        await other.run(scope, talk('two'), { check: (_, attempt) => (attempt === 1 ? 'again' : null) });
        expect(await said()).toEqual(['one', 'two', 'two']);
        expect(await other.end(scope)).toEqual({ cleaned: 1, failed: [] });
      });
    }, 60_000);
  }

  test('a server that was restarted without its runs: the session is as it was and goes on', async () => {
    const client = { url: '' };
    const moving = () => new Client({ baseUrl: client.url });
    await withServer({}, async ({ url }) => {
      client.url = url;
      await new AgentSessions({ client: moving(), store }).run(scope, talk('one'));
      const abort = new AbortController();
      const turn = new AgentSessions({ client: moving(), store }).run(
        scope,
        of(prompt, history(), llm({ delay_ms: 600_000 })),
        {
          signal: abort.signal,
          cancelOnAbort: false,
        },
      );
      await until('the note', async () => (await all(store.listTurns({ owner: scope })))[0]?.note);
      abort.abort(new Error('away'));
      await expect(turn).rejects.toThrow('away');
    });
    const before = await store.load(scope);
    await withServer({}, async ({ url }) => {
      client.url = url;
      const later = new AgentSessions({ client: moving(), store });
      expect(await later.drain()).toMatchObject({ adopted: 1 });
      expect(await store.load(scope)).toEqual(before);
      expect(await later.run(scope, talk('two'))).toMatchObject({ output: 'two', persisted: true });
    });
    expect(await said()).toEqual(['one', 'two']);
  }, 60_000);
});
