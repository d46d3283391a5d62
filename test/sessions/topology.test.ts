// A composition that is not the one of the snapshot (spec 07 §4.3 rule 4), and what is kept of one (rule 2).

import { beforeEach, describe, expect, test } from 'bun:test';
import {
  type CreateRunRequest,
  executionContext,
  history,
  type LayerSpec,
  plainPrompt,
  pluginLlm,
  pluginTools,
  scriptedLlm,
  shell,
} from '../../src/client/index.ts';
import {
  AgentSessions,
  memorySessionStore,
  type Scope,
  SessionConfigurationChangedError,
  type SessionStore,
  SessionStoreError,
} from '../../src/sessions/index.ts';
import { storedComposition } from '../../src/sessions/specs.ts';
import { answers, asks, type FakeRun, FakeServer, fails } from './fake-server.ts';
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

const context = executionContext({ tenant_id: 't-1' });
const prompt = plainPrompt({ user: 'Hello?' });
const llm = scriptedLlm({ turns: [] });
const of =
  (...layers: readonly LayerSpec[]) =>
  (): CreateRunRequest => ({ composition: { layers } });
const full = of(prompt, context, history(), shell({ context }), llm);
const last = (): FakeRun => server.turns.at(-1) as FakeRun; // there is one
const namesOf = ({ request }: FakeRun) =>
  request.session_snapshot?.layers.map(({ name, lifecycle_state }) => `${name} ${lifecycle_state}`);
const cleanedUp = () => server.cleanups.map(({ request }) => request);

describe('reject', () => {
  test.each<[string, () => CreateRunRequest]>([
    ['a layer less', of(prompt, context, history(), llm)],
    ['a layer more', of(prompt, plainPrompt({ name: 'more' }), context, history(), shell({ context }), llm)],
    ['another order', of(context, prompt, history(), shell({ context }), llm)],
    ['another type under the name', of(prompt, context, history(), plainPrompt({ name: 'shell' }), llm)],
    [
      'another model type',
      of(
        prompt,
        context,
        history(),
        shell({ context }),
        pluginLlm({ context, plugin_id: 'a/b', model_provider: 'b', model: 'c' }),
      ),
    ],
  ])('%s: an error with a code, nothing is sent, the session is as it was', async (_, build) => {
    await sessions.run(scope, full);
    const before = await store.load(scope);
    const turn = sessions.run(scope, build);
    await expect(turn).rejects.toThrow(SessionConfigurationChangedError);
    await expect(turn).rejects.toMatchObject({
      code: 'agent_session_configuration_changed',
      stored: [
        'prompt (plain.prompt)',
        'execution_context (dify.execution_context)',
        'history (pydantic_ai.history)',
        'shell (dify.shell)',
        'llm (test.scripted_llm)',
      ],
    });
    expect(server.turns).toHaveLength(1);
    expect(await store.load(scope)).toEqual(before);
    // And the turn is over: the next one is not kept waiting.
    await sessions.run(scope, full);
  });

  test('other configuration of the same layers is no change', async () => {
    await sessions.run(scope, full);
    await sessions.run(
      scope,
      of(plainPrompt({ prefix: 'New.' }), context, history(), shell({ context, env: [{ name: 'A' }] }), llm),
    );
    expect(server.turns).toHaveLength(2);
  });

  test('a session that is over has no layers to compare with', async () => {
    await sessions.run(scope, full);
    await sessions.end(scope);
    await sessions.run(scope, of(prompt, llm));
    expect(last().request.session_snapshot).toBeNull();
  });
});

describe('rebase', () => {
  const rebase = { onTopologyChange: 'rebase' } as const;

  test('what still exists goes on in the new order, what is new starts, what is gone is cleaned up after the run', async () => {
    await sessions.run(scope, full);
    const { lastRunId } = (await store.load(scope)) ?? {};
    server.script = answers('two');
    await sessions.run(scope, of(history(), context, plainPrompt({ name: 'other' }), llm), rebase);
    expect(namesOf(last())).toEqual(['history suspended', 'execution_context suspended', 'other new', 'llm suspended']);
    expect(last().request.session_snapshot?.layers[0]?.runtime_state).toEqual({ messages: ['ok'] });
    expect(server.cleanups).toEqual([]);
    expect(await sessions.drain()).toMatchObject({ cleaned: 1 });
    expect(cleanedUp()).toHaveLength(1);
    const [request] = cleanedUp();
    expect(request?.composition.layers.map(({ name }) => name)).toEqual(['prompt', 'execution_context', 'shell']);
    expect(request?.session_snapshot?.layers.map(({ name }) => name)).toEqual(['prompt', 'execution_context', 'shell']);
    // The context is entered for the shell's sake, and stays.
    expect(request?.on_exit).toEqual({ default: 'delete', layers: { execution_context: 'suspend' } });
    expect(request?.metadata).toMatchObject({ previous_agent_backend_run_id: lastRunId ?? '' });
    expect(await store.load(scope)).toMatchObject({
      status: 'active',
      topology: [{ name: 'history' }, {}, { name: 'other' }, {}],
    });
  });

  test('a name with another type is gone and new', async () => {
    await sessions.run(scope, full);
    await sessions.run(scope, of(prompt, context, history(), plainPrompt({ name: 'shell' }), llm), rebase);
    expect(namesOf(last())).toEqual([
      'prompt suspended',
      'execution_context suspended',
      'history suspended',
      'shell new',
      'llm suspended',
    ]);
    await sessions.drain();
    expect(cleanedUp()[0]?.composition.layers.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'execution_context dify.execution_context',
      'shell dify.shell',
    ]);
  });

  test('only the order changed: nothing is cleaned up', async () => {
    await sessions.run(scope, full);
    await sessions.run(scope, of(llm, shell({ context }), history(), context, prompt), rebase);
    expect(namesOf(last())?.[0]).toBe('llm suspended');
    expect((await store.backlog()).entries).toBe(0);
  });

  test('the run fails: the whole old session is cleaned up, once', async () => {
    await sessions.run(scope, full);
    server.script = fails;
    await sessions.run(scope, of(prompt, history(), llm), rebase);
    await sessions.drain();
    expect(cleanedUp().map(({ composition }) => composition.layers.map(({ name }) => name))).toEqual([
      ['prompt', 'execution_context', 'history', 'shell'],
    ]);
  });

  test('the run cannot be made: nothing is cleaned up', async () => {
    await sessions.run(scope, full);
    const before = await store.load(scope);
    server.refusal = new Error('refused');
    await expect(sessions.run(scope, of(prompt, history(), llm), rebase)).rejects.toThrow('refused');
    expect(await store.load(scope)).toEqual(before);
    expect((await store.backlog()).entries).toBe(0);
  });

  test('an answer goes on with its question', async () => {
    server.script = asks('call_1');
    await sessions.run(scope, full);
    server.script = answers('done');
    await sessions.resume(scope, 'yes', of(history(), llm), rebase);
    expect(last().request.deferred_tool_results).toEqual({ calls: { call_1: 'yes' } });
    expect(namesOf(last())).toEqual(['history suspended', 'llm suspended']);
  });
});

describe('reset', () => {
  const reset = { onTopologyChange: 'reset' } as const;

  test('the run starts afresh; the old session is cleaned up when it has succeeded', async () => {
    await sessions.run(scope, full);
    server.script = answers('new');
    await sessions.run(scope, of(prompt, history(), llm), reset);
    expect(last().request.session_snapshot).toBeNull();
    expect(await store.load(scope)).toMatchObject({
      status: 'active',
      snapshot: { layers: [{}, { runtime_state: { messages: ['new'] } }, {}] },
    });
    await sessions.drain();
    expect(cleanedUp().map(({ composition }) => composition.layers.map(({ name }) => name))).toEqual([
      ['prompt', 'execution_context', 'history', 'shell'],
    ]);
  });

  test('retries of a bad output do not lose what is owed when the store was away in between', async () => {
    await sessions.run(scope, full);
    let away = 3;
    const flaky: SessionStore = {
      ...store,
      save: async (...args) => {
        away -= 1;
        if (away >= 0) throw new SessionStoreError('away');
        return store.save(...args);
      },
    };
    const other = new AgentSessions({ client: server.client, store: flaky });
    let tries = 0;
    await other.run(scope, of(prompt, history(), llm), { ...reset, check: () => (++tries < 2 ? 'no' : null) });
    expect(last().request.session_snapshot).not.toBeNull();
    await sessions.drain();
    expect(cleanedUp()).toHaveLength(1);
  });

  test('an answer needs its question: it is rejected', async () => {
    server.script = asks('call_1');
    await sessions.run(scope, full);
    const turn = sessions.resume(scope, 'yes', of(prompt, history(), llm), reset);
    await expect(turn).rejects.toMatchObject({ code: 'agent_session_configuration_changed' });
    expect((await store.load(scope))?.pending?.toolCallId).toBe('call_1');
  });
});

describe('what is stored of a composition', () => {
  const none: ReadonlySet<string> = new Set();

  test('layers of credentials and the model are left out, their names and types are not', () => {
    const tools = pluginTools({
      context,
      tools: [
        { plugin_id: 'a/b', provider: 'b', tool_name: 't', credential_type: 'api-key', credentials: { k: 'SECRET' } },
      ],
    });
    const model = pluginLlm({
      context,
      plugin_id: 'a/b',
      model_provider: 'b',
      model: 'c',
      credentials: { openai_api_key: 'SECRET' },
    });
    const own = { name: 'mine', type: 'acme.vault', config: { key: 'SECRET' } };
    const odd = { name: 'llm', type: 'acme.model', config: { key: 'SECRET' } };
    const stored = storedComposition({ layers: [prompt, context, tools, model, own] }, new Set(['acme.vault']));
    expect(stored.specs.map(({ name }) => name)).toEqual(['prompt', 'execution_context']);
    expect(stored.topology.map(({ name }) => name)).toEqual(['prompt', 'execution_context', 'tools', 'llm', 'mine']);
    expect(storedComposition({ layers: [odd] }, none).specs).toEqual([]);
    expect(JSON.stringify(stored)).not.toContain('SECRET');
  });

  test('secret-looking keys are removed at any depth, in configs and metadata; the rest stays', () => {
    const secrets = [
      'secret',
      'Client-Secret',
      'credentials',
      'CREDENTIAL',
      'access_token',
      'token',
      'password',
      'db_PassWord',
      'api_key',
      'apiKey',
      'x-api-key',
      'base64_data',
      'Authorization',
      'private_key',
      'passphrase',
    ];
    const config = {
      keep: 1,
      list: [{ deep: Object.fromEntries(secrets.map((key) => [key, 'SECRET'])) }, 'text', null],
      env: [
        { name: 'API_TOKEN', value: 'SECRET' },
        { name: 'LANG', value: 'de' },
      ],
      JSON: JSON.parse('{"__proto__": {"token": "SECRET", "x": 1}}'),
    };
    const metadata = { tenant_id: 't-1', nested: { password: 'SECRET' } };
    const { specs } = storedComposition({ layers: [{ name: 'x', type: 'y', config, metadata }] }, none);
    expect(JSON.stringify(specs)).not.toContain('SECRET');
    expect(JSON.stringify(specs[0]?.config)).toBe(
      '{"keep":1,"list":[{"deep":{}},"text",null],"env":[{"name":"API_TOKEN"},{"name":"LANG","value":"de"}],"JSON":{"__proto__":{"x":1}}}',
    );
    expect(specs[0]?.metadata).toEqual({ tenant_id: 't-1', nested: {} });
    expect(config.list[0]).toHaveProperty('deep.token', 'SECRET');
  });

  test('nothing secret reaches the store: not in the row, not in the outbox, not in the turn', async () => {
    const written: string[] = [];
    const listening = new Proxy(store, {
      get: (target, name: keyof SessionStore) => {
        const method = target[name];
        return (...args: never[]) => {
          written.push(JSON.stringify(args));
          return (method as (...args: never[]) => unknown)(...args); // whatever it is
        };
      },
    });
    const careful = new AgentSessions({ client: server.client, store: listening });
    const secret = pluginLlm({
      context,
      plugin_id: 'a/b',
      model_provider: 'b',
      model: 'c',
      credentials: { openai_api_key: 'SECRET' },
    });
    const build = of(
      prompt,
      context,
      history(),
      shell({ context, env: [{ name: 'GITHUB_TOKEN', value: 'SECRET' }] }),
      secret,
    );
    await careful.run(scope, build);
    server.script = fails;
    await careful.run(scope, build);
    await careful.drain();
    expect(written.length).toBeGreaterThan(10);
    expect(written.join()).not.toContain('SECRET');
    expect(JSON.stringify(last().request)).toContain('SECRET');
  });
});
