// Requests as the Dify API sends them (spec 07 §2): its examples verbatim, explicit nulls, every vintage's execution
// context, and which members of other vintages are taken and which refused.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chunk, type FakeDaemon, lastItem, startFakeDaemon, toolCallItem } from '../fakes/plugin-daemon.ts';
import { type FakeShellctl, startFakeShellctl } from '../fakes/shellctl.ts';
import { agent, runAgent } from '../support/agent-runs.ts';
import { ROOT } from '../support/binary.ts';
import { plugin, post, type RunBody } from '../support/runs.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';

interface Layer {
  readonly name: string;
  readonly type: string;
  readonly config: unknown;
}

/** As much of a request as is looked at here. */
interface Request extends RunBody {
  readonly composition: { readonly layers: readonly Layer[] };
  readonly session_snapshot: { readonly layers: readonly { readonly name: string; runtime_state: unknown }[] } | null;
}

let daemon: FakeDaemon;
let shellctl: FakeShellctl;
let server: TestServer;

beforeAll(async () => {
  daemon = await startFakeDaemon();
  shellctl = startFakeShellctl();
  server = await startServer({
    env: {
      DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url,
      DIFY_AGENT_SHELLCTL_ENTRYPOINT: shellctl.url,
      DIFY_AGENT_SHELLCTL_AUTH_TOKEN: shellctl.token,
    },
  });
}, 180_000);

afterAll(async () => {
  await server.dispose();
  shellctl.stop();
  await daemon.stop();
});

const example = (name: string): Request =>
  JSON.parse(readFileSync(join(ROOT, 'test/fixtures/dify-api', `${name}.json`), 'utf8')) as Request; // spec 07 §2.6–§2.8

/** The example with other runtime states. */
function withStates(request: Request, states: Readonly<Record<string, object>>): Request {
  const layers = (request.session_snapshot?.layers ?? []).map((layer) => ({
    ...layer,
    runtime_state: states[layer.name] ?? layer.runtime_state,
  }));
  return { ...request, session_snapshot: { ...request.session_snapshot, layers } };
}

test('a resumption whose history holds no question says so', async () => {
  const run = await runAgent(server.url, example('agent-app-resume'));
  expect(run.error).toBe(
    'Tool call results were provided, but the message history does not contain a `ModelResponse`.',
  );
});

describe('a workflow node', () => {
  const time = { type: 'text', message: { text: '2026-06-01 10:00' }, meta: {} };
  const called = [toolCallItem('c1', 'current_time', '{"timezone":"UTC"}'), lastItem('tool_calls')];
  const answer = { renewal_date: '2027-01-01', risks: ['clause 7'] };

  test('calls its tool and answers by its schema', async () => {
    daemon.play({
      llm: [called, [toolCallItem('o1', 'final_output', JSON.stringify(answer)), lastItem('tool_calls')]],
      tool: { current_time: [[{ data: time }]] },
    });
    const run = await runAgent(server.url, example('workflow-node'));
    expect(run.terminal.output).toEqual(answer);
    expect(daemon.violations).toEqual([]);
    const [request] = daemon.llmRequests;
    expect([request?.path, request?.headers['x-plugin-id']]).toEqual([
      '/plugin/t-1/dispatch/llm/invoke',
      'langgenius/openai',
    ]);
    expect(request?.body).toMatchObject({
      user_id: 'u-9',
      data: {
        provider: 'openai',
        model: 'gpt-5.2',
        credentials: { openai_api_key: 'sk-…' },
        model_parameters: { temperature: 0.2, max_tokens: 2048 },
        stop: ['END'],
        tools: [
          ...[{ name: 'ask_human' }, { name: 'current_time', description: 'current_time' }, { name: 'shell_run' }],
          ...[{ name: 'shell_wait' }, { name: 'shell_input' }, { name: 'shell_interrupt' }, { name: 'final_output' }],
        ],
        prompt_messages: [
          { role: 'system', content: 'You are a careful contract reviewer.' },
          { role: 'system', content: 'Extract the renewal date and the risks.' },
          { role: 'system', content: expect.stringContaining('shell_run') },
          { role: 'system' },
          { role: 'user', content: expect.stringContaining('check clause 7') },
        ],
      },
    });
    expect(daemon.toolRequests[0]?.body).toEqual({
      data: {
        provider: 'time',
        tool: 'current_time',
        credentials: {},
        credential_type: 'unauthorized',
        tool_parameters: { timezone: 'UTC' },
      },
      user_id: 'u-9',
    });
    // A workspace was made for it, and stays.
    const [id = ''] = readdirSync(join(shellctl.home, 'workspace'));
    const { layers } = run.terminal.session_snapshot as NonNullable<Request['session_snapshot']>; // of a success
    expect(layers.find(({ name }) => name === 'shell')?.runtime_state).toEqual({
      session_id: id,
      workspace_cwd: `~/workspace/${id}`,
      job_ids: [],
      job_offsets: {},
    });
    // Everything is suspended and can be resumed; nothing of the configuration is in the events.
    const text = run.frames.map(({ data }) => data).join('\n');
    expect(text).not.toContain('openai_api_key');
    expect(text).not.toContain('agent_config_snapshot_id');
  });

  test('pauses with a question, and goes on with the form that came back', async () => {
    const question = '{"question":"Renew?","actions":[{"id":"approve_renewal_now_please","label":"Approve"}]}';
    daemon.play({ llm: [[toolCallItem('call_abc', 'ask_human', question), lastItem('tool_calls')]] });
    const node = { ...example('workflow-node'), idempotency_key: 'wr-1:ne-2' };
    const asked = await runAgent(server.url, node);
    expect(asked.terminal.deferred_tool_call).toMatchObject({ tool_call_id: 'call_abc', tool_name: 'ask_human' });

    daemon.play({ llm: [[toolCallItem('o1', 'final_output', JSON.stringify(answer)), lastItem('tool_calls')]] });
    const { deferred_tool_results: results } = example('agent-app-resume');
    const resumed = await runAgent(server.url, {
      ...node,
      session_snapshot: asked.terminal.session_snapshot,
      deferred_tool_results: results,
    });
    expect(resumed.terminal.output).toEqual(answer);
    // The form's value goes to the model as it is, and its action need not be one of the question's (spec 07 §3.2).
    expect(JSON.stringify(daemon.llmRequests[0]?.body)).toContain('\\"action\\":{\\"id\\":\\"approve\\"');
  });
});

test('an agent app resumes: the prompts that are sent again do not count, the answer does', async () => {
  const request = example('agent-app-resume');
  const call = { tool_name: 'ask_human', args: '{"question":"May I deploy?"}', tool_call_id: 'call_abc' };
  const messages = [
    { parts: [{ content: 'Deploy it.', part_kind: 'user-prompt' }], kind: 'request' },
    { parts: [{ ...call, part_kind: 'tool-call' }], kind: 'response', model_name: 'claude-x' },
  ];
  daemon.play({ llm: [[{ data: chunk({ content: 'Deployed.' }) }, lastItem()]] });
  const run = await runAgent(server.url, withStates(request, { history: { messages } }));
  expect(run.terminal.output).toBe('Deployed.');
  expect(run.kinds.slice(0, 2)).toEqual(['TC(null)', 'TR(tool-return)']);
  expect(daemon.llmRequests[0]?.body).toMatchObject({
    data: {
      prompt_messages: [
        { role: 'system', content: 'You help with deployments.' },
        { role: 'system' },
        { role: 'user', content: 'Deploy it.' },
        { role: 'assistant', tool_calls: [{ id: 'call_abc' }] },
        { role: 'tool', tool_call_id: 'call_abc', content: expect.stringContaining('"comment":"ok"') },
      ],
    },
  });
  expect(run.stored.at(-1)).toBe('response:text');
});

describe('a cleanup', () => {
  // The state in the example of spec 07 §2.8 has a session id alone; spec 04 §2.4 wants both.
  test('with the state of the example says what the state lacks', async () => {
    const run = await runAgent(server.url, example('cleanup'));
    expect(run.error).toBe('DifyShellLayer runtime state is missing session_id or workspace_cwd.');
  });

  test('closes what is left, and removes the workspace', async () => {
    const workspace = join(shellctl.home, 'workspace/def5678');
    mkdirSync(join(workspace, 'sub'), { recursive: true });
    const state = { session_id: 'def5678', workspace_cwd: '~/workspace/def5678' };
    const run = await runAgent(server.url, withStates(example('cleanup'), { shell: state }));
    expect(run.types).toEqual(['run_started', 'run_succeeded']);
    const closed = (name: string, runtime_state: object) => ({ name, lifecycle_state: 'closed', runtime_state });
    expect(run.terminal).toEqual({
      session_snapshot: {
        schema_version: 1,
        layers: [
          closed('execution_context', {}),
          closed('history', { messages: [] }),
          closed('shell', { ...state, job_ids: [], job_offsets: {} }),
        ],
      },
      output: null,
    });
    expect(existsSync(workspace)).toBe(false);
    await until('the jobs to be gone', () => shellctl.jobIds().length === 0);
  });
});

/** A plugin composition with some layers' configs replaced. */
function withConfigs(configs: Readonly<Record<string, object | null>>, more: readonly unknown[] = []): RunBody {
  const { composition } = plugin({ history: true }) as unknown as Request; // a composition, as above
  const layers = composition.layers.map((layer) =>
    Object.hasOwn(configs, layer.name)
      ? {
          ...layer,
          config: configs[layer.name] === null ? null : { ...(layer.config as object), ...configs[layer.name] },
        } // an object in these tests
      : layer,
  );
  return { composition: { layers: [...layers, ...more] } };
}

const answering = () => daemon.play({ llm: [[{ data: chunk({ content: 'ok' }) }, lastItem()]] });

describe('members with explicit nulls and defaults', () => {
  test('are those of the Python client: everything is written out', async () => {
    answering();
    const { composition } = plugin() as unknown as Request; // as above
    const tool = {
      ...{ plugin_id: 'a/b', provider: 'b', tool_name: 'f', credential_type: 'oauth2', name: null, description: null },
      ...{ credentials: { token: null }, runtime_parameters: {}, parameters_json_schema: { type: 'object' } },
      parameters: [
        {
          ...{ name: 'x', type: 'select', form: 'llm', required: false, default: null, llm_description: null },
          ...{
            input_schema: null,
            options: [{ value: 1, label: { en_US: 'One' } }],
            human_description: null,
            min: null,
          },
        },
      ],
    };
    const context = { execution_context: 'execution_context' };
    const extra = [
      { name: 'history', type: 'pydantic_ai.history', deps: {}, metadata: {}, config: null },
      { name: 'tools', type: 'dify.plugin.tools', deps: context, metadata: {}, config: { tools: [tool] } },
      { name: 'ask_human', type: 'dify.ask_human', deps: {}, metadata: {}, config: { tool_description: null } },
    ];
    const layers = composition.layers.map((layer) => ({ deps: {}, metadata: {}, ...layer }));
    const run = await runAgent(server.url, {
      composition: { schema_version: 1, layers: [...layers, ...extra] },
      purpose: 'agent_app',
      idempotency_key: null,
      metadata: {},
      session_snapshot: null,
      deferred_tool_results: null,
      on_exit: { default: 'suspend', layers: {} },
    });
    expect([run.error, run.terminal.output]).toEqual([undefined, 'ok']);
  });

  test.each(['metadata', 'on_exit', 'purpose'])('but %s may not be null', async (member) => {
    expect((await post(server.url, { ...plugin(), [member]: null })).status).toBe(422);
  });

  test('metadata of layers is taken, whatever its size, and never comes back', async () => {
    answering();
    const { composition } = plugin() as unknown as Request; // as above
    const metadata = { origin: 'agent_soul', note: 'm'.repeat(2_000), deep: [{ n: 1 }] };
    const layers = composition.layers.map((layer) => ({ ...layer, metadata }));
    const run = await runAgent(server.url, { composition: { layers }, metadata });
    expect(run.terminal.output).toBe('ok');
    expect(run.frames.map(({ data }) => data).join()).not.toContain('mmmm');
  });
});

test('five purposes', async () => {
  const body = agent([[{ text: 'ok' }]]);
  for (const purpose of ['workflow_node', 'single_step', 'agent_app', 'babysit', 'fasten_preview']) {
    expect((await runAgent(server.url, { ...body, purpose })).terminal.output).toBe('ok');
  }
  expect((await post(server.url, { ...body, purpose: 'cleanup' })).status).toBe(422);
});

test('an idempotency key makes a request that is sent again the same run, and no other', async () => {
  const body = { ...agent([[{ text: 'ok' }]]), idempotency_key: 'wr-1:ne-1' };
  const runs = await Promise.all([
    ...[runAgent(server.url, body), runAgent(server.url, body)],
    runAgent(server.url, { ...body, purpose: 'babysit' }),
  ]);
  expect(new Set(runs.map(({ runId }) => runId)).size).toBe(2);
});

describe('the execution contexts of all vintages', () => {
  const ids = { tenant_id: 't-1', user_id: 'u-1', app_id: 'a', conversation_id: null };
  test.each([
    ['26 May', { ...ids, invoke_from: 'workflow_run' }],
    ['June', { ...ids, user_from: 'end-user', invoke_from: 'single_step' }],
    ['between', { ...ids, user_from: null, agent_mode: null, invoke_from: null, trace_id: 't' }],
    ['later', { ...ids, user_from: 'account', agent_mode: 'agent_app', invoke_from: 'web-app' }],
    [
      'with the kind of configuration',
      { ...ids, agent_config_version_id: 'v', agent_config_version_kind: 'build_draft' },
    ],
    ['the least', { tenant_id: 't-1', user_id: 'u-1' }],
  ])('%s', async (_, config) => {
    answering();
    const { composition } = plugin() as unknown as Request; // as above
    const layers = composition.layers.map((layer) =>
      layer.type === 'dify.execution_context' ? { ...layer, config } : layer,
    );
    const run = await runAgent(server.url, { composition: { layers } });
    expect([run.error, run.terminal.output]).toEqual([undefined, 'ok']);
    expect(daemon.llmRequests[0]).toMatchObject({ path: '/plugin/t-1/dispatch/llm/invoke', body: { user_id: 'u-1' } });
  });
});

describe('members of later vintages', () => {
  test('that are unambiguous are taken', async () => {
    answering();
    const settings = { temperature: 1, top_k: 5, tool_choice: 'auto', service_tier: 'auto' };
    const run = await runAgent(
      server.url,
      withConfigs({ llm: { context_window_tokens: 128_000, model_settings: settings } }),
    );
    expect([run.error, run.terminal.output]).toEqual([undefined, 'ok']);
  });

  test.each([
    'dify.drive',
    'dify.config',
    'dify.knowledge_base',
    'dify.core.tools',
    'dify.user_prompt',
    'dify.runtime',
  ])('a layer of type %s is refused by its name', async (type) => {
    const run = await runAgent(server.url, withConfigs({}, [{ name: 'more', type }]));
    expect(run.error).toBe(`"Layer type id '${type}' is not registered."`);
  });

  test('a layer without a type, and an execution context outside of the composition, are no requests of this wire', async () => {
    const typeless = { composition: { layers: [{ name: 'llm', config: {} }] } };
    const outside = { ...plugin(), execution_context: { tenant_id: 't-1' } };
    for (const body of [typeless, outside]) expect((await post(server.url, body)).status).toBe(422);
  });

  test('a prompt of null is no text', async () => {
    const run = await runAgent(server.url, withConfigs({ prompt: { prefix: null } }));
    expect(run.error).toStartWith('2 validation errors for PromptLayerConfig\nprefix.list[str]\n');
  });
});
