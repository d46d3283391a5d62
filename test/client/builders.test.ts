// What the builders make: exactly what is documented, refused by the function where the compiler cannot see, and accepted by
// the real server's validation.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import {
  askHuman,
  Client,
  type Composition,
  cleanupComposition,
  composition,
  executionContext,
  history,
  output,
  plainPrompt,
  pluginLlm,
  pluginTools,
  scriptedLlm,
  shell,
  type TerminalEvent,
} from '../../src/client/index.ts';
import { startServer, type TestServer } from '../support/server.ts';

const context = executionContext({
  name: 'who',
  tenant_id: 'tenant-1',
  user_id: 'u',
  user_from: 'end-user',
  app_id: 'a',
  workflow_id: null,
  agent_config_version_kind: 'snapshot',
  agent_mode: 'workflow_run',
  invoke_from: 'service-api',
  trace_id: 't',
});
const says = scriptedLlm({ turns: [{ items: [{ text: 'done' }] }] });
const model = pluginLlm({
  context,
  plugin_id: 'langgenius/openai',
  model_provider: 'openai',
  model: 'gpt-4o-mini',
  credentials: { key: 'sk', on: true, n: 1.5, none: null },
  model_settings: {
    max_tokens: 10,
    temperature: 0.5,
    top_p: 1,
    top_k: 3,
    timeout: 2,
    parallel_tool_calls: false,
    tool_choice: 'auto',
    seed: 1,
    presence_penalty: 0,
    frequency_penalty: 0,
    logit_bias: { a: 1 },
    stop_sequences: ['END'],
    extra_headers: { 'x-a': 'b' },
    thinking: 'low',
    service_tier: 'auto',
    extra_body: { a: 1 },
  },
});
const tools = pluginTools({
  context,
  tools: [
    {
      plugin_id: 'langgenius/time',
      provider: 'time',
      tool_name: 'current_time',
      credential_type: 'unauthorized',
      name: 'now',
      description: null,
      credentials: {},
      runtime_parameters: { zone: 'UTC' },
      parameters: [
        {
          name: 'zone',
          type: 'select',
          form: 'llm',
          required: false,
          llm_description: 'IANA',
          options: [{ value: 'UTC' }],
          default: null,
          input_schema: null,
        },
      ],
      parameters_json_schema: { type: 'object', properties: {} },
    },
  ],
});
const form = askHuman({
  enabled: true,
  tool_name: 'ask',
  tool_description: 'Asks.',
  max_fields: 2,
  max_actions: 2,
  allowed_field_types: ['paragraph', 'file'],
  allow_file_fields: true,
  max_markdown_chars: 10,
  max_question_chars: 10,
  max_field_label_chars: 10,
  max_action_label_chars: 10,
});
const workspace = shell({
  context,
  env: [{ name: 'A', value: 'b' }, { name: 'B' }],
  secret_refs: [{ name: 'S', ref: 's' }],
  cli_tools: [{ name: 'jq', install_commands: ['true'], env: [], secret_refs: [] }],
  redact_patterns: ['sk-.*'],
  agent_stub_drive_ref: 'agent-1',
  sandbox: { provider: 'p', config: { a: 1 } },
});
const schema = output({
  json_schema: { type: 'object', properties: { a: { type: 'string' } } },
  description: 'An answer.',
  strict: true,
});

describe('a layer', () => {
  test('has the names, dependencies and defaults that are documented', () => {
    expect(plainPrompt({ user: 'Hi' })).toEqual({
      name: 'prompt',
      type: 'plain.prompt',
      deps: {},
      metadata: {},
      config: { prefix: [], user: 'Hi', suffix: [] },
    });
    expect(history({ metadata: { origin: 'x' } })).toEqual({
      name: 'history',
      type: 'pydantic_ai.history',
      deps: {},
      metadata: { origin: 'x' },
      config: null,
    });
    expect([model.name, model.deps, tools.name, tools.deps, workspace.deps, shell().deps]).toEqual([
      'llm',
      { execution_context: 'who' },
      'tools',
      { execution_context: 'who' },
      { execution_context: 'who' },
      {},
    ]);
  });

  test('does not leak its own options into its config', () => {
    for (const layer of [context, model, tools, form, workspace, schema, says]) {
      expect(Object.keys(layer.config ?? {})).not.toContain('context');
      expect(Object.keys(layer.config ?? {})).not.toContain('metadata');
      expect(Object.keys(layer.config ?? {})).not.toContain('name');
    }
  });

  test('whose name is fixed keeps it, whatever JavaScript passes', () => {
    const options: { turns: []; name: string } = { turns: [], name: 'model' };
    expect(scriptedLlm(options).name).toBe('llm');
  });
});

describe('a composition', () => {
  const layers = (list: readonly unknown[]) => list as Parameters<typeof cleanupComposition>[0]; // as JavaScript would pass it
  const built = (list: readonly unknown[]) => composition(layers(list) as readonly (typeof says)[]); // as above

  test.each([
    ['without a model', [history()], 'a composition needs a layer named "llm"'],
    [
      'with two layers of one name',
      [says, plainPrompt({ user: 'a' }), plainPrompt({ user: 'b' })],
      'two layers are named "prompt"',
    ],
    ['without what a layer needs', [model], 'layer "llm" needs "who" before it'],
    ['with what a layer needs behind it', [model, context], 'layer "llm" needs "who" before it'],
  ])('%s is refused', (_, list, text) => {
    expect(() => built(list)).toThrow(text);
  });

  test('for a clean-up needs no model, but what its layers need', () => {
    expect(cleanupComposition([context, history(), workspace])).toMatchObject({ schema_version: 1 });
    expect(() => cleanupComposition([workspace])).toThrow('layer "shell" needs "who" before it');
  });
});

describe('the real server', () => {
  let server: TestServer;
  let client: Client;
  beforeAll(async () => {
    server = await startServer();
    client = new Client({ baseUrl: server.url });
  }, 180_000);
  afterAll(() => server.dispose());

  const run = (one: Composition): Promise<TerminalEvent> => client.runToCompletion({ composition: one });
  const prompt = plainPrompt({ prefix: ['Be brief.'], user: 'Hi', suffix: 'Now.' });

  test.each([
    ['plainPrompt, history, askHuman', composition([prompt, history(), form, says])],
    ['executionContext, pluginTools', composition([prompt, context, tools, says])],
    [
      'scriptedLlm with everything',
      composition([
        prompt,
        scriptedLlm({
          model: 'm',
          turns: [
            {
              items: [
                { delay_ms: 1 },
                { thinking: 'hm', repeat: 2 },
                { tool_call: { id: 'c', name: 'look', arguments: { a: 1 } } },
              ],
              usage: { prompt_tokens: 1, completion_tokens: 2 },
            },
            { items: [{ text: 'done' }], finish_reason: 'stop', error: null },
          ],
          tools: [
            {
              name: 'look',
              description: 'Looks.',
              parameters: { type: 'object' },
              sequential: true,
              results: [{ delay_ms: 1, content: [1] }],
            },
          ],
        }),
      ]),
    ],
  ])('takes %s', async (_, one) => {
    const end = await run(one);
    expect(end).toMatchObject({ type: 'run_succeeded', data: { output: 'done' } });
  });

  test('takes output', async () => {
    const llm = scriptedLlm({
      turns: [{ items: [{ tool_call: { id: 'c', name: 'final_output', arguments: { a: 'x' } } }] }],
    });
    expect(await run(composition([prompt, schema, llm]))).toMatchObject({ data: { output: { a: 'x' } } });
  });

  test('takes pluginLlm: the run fails for want of a plugin daemon, not of a setting', async () => {
    const end = await run(composition([prompt, context, model]));
    if (end.type !== 'run_failed') throw new Error(end.type);
    expect(end.data.error).not.toContain('validation');
    expect(end.data.error.toLowerCase()).toMatch(/connect|daemon|refused|127\.0\.0\.1/);
  });

  test('takes shell: the run fails for want of shellctl, not of a setting', async () => {
    const end = await run(composition([prompt, context, workspace, says]));
    if (end.type !== 'run_failed') throw new Error(end.type);
    expect(end.data.error).toContain('DIFY_AGENT_SHELLCTL_ENTRYPOINT');
  });
});
