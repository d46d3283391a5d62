// What the reference's own tests assert of its runner (spec 02 §13, "Runner" and "Scheduler (seed)"), one by one, with the
// real layers and a model whose answers are written down.

import { describe, expect, test } from 'bun:test';
import type { ModelDelta } from '../../src/agent/model.ts';
import type { JsonObject, JsonValue } from '../../src/base/json.ts';
import { createLayerRegistry } from '../../src/compositor/registry.ts';
import { emptyLayerConfig } from '../../src/layers/empty.ts';
import { createLayerTypes } from '../../src/layers/registry.ts';
import type { AgentLayerType } from '../../src/layers/types.ts';
import { noopLogger } from '../../src/observe/logger.ts';
import { messageSchemas } from '../../src/protocol/messages.ts';
import type { CreateRunRequest } from '../../src/protocol/runs.ts';
import { createRunner } from '../../src/runs/runner.ts';
import { call, finish, modelOf, shape, text } from '../agent/support.ts';
import { clock, memoryStore, now, reporterOf, request, wire } from './support.ts';

type Layers = Readonly<
  Record<
    string,
    { readonly type: string; readonly config?: JsonValue; readonly deps?: Readonly<Record<string, string>> }
  >
>;
type Answers = readonly (readonly (ModelDelta | Error)[])[];

interface Terminal {
  readonly session_snapshot: {
    readonly layers: readonly { name: string; lifecycle_state: string; runtime_state: never }[];
  };
  readonly output?: JsonValue;
  readonly deferred_tool_call?: JsonObject;
  readonly error?: string;
}

/** Plays a composition. `calls` is what the model was asked. */
async function play(
  layers: Layers,
  answers: Answers,
  more: Partial<CreateRunRequest> = {},
  { registered = true, extra = [] }: { readonly registered?: boolean; readonly extra?: readonly AgentLayerType[] } = {},
) {
  const { model, calls } = modelOf(answers);
  const layerTypes = [
    ...createLayerTypes({
      messages: messageSchemas({ now, toolCallId: () => 'pyd_ai_0' }),
      createPluginModel: () => model,
      pluginDaemon: { apiKey: '', streamItems: () => Promise.reject(new Error('no daemon')) as never }, // never called
      scriptedModel: true,
    }),
    ...extra,
  ];
  const store = memoryStore();
  const registry = createLayerRegistry(registered ? layerTypes : []);
  const run = createRunner({ store, wire, clock, logger: noopLogger, layerTypes, registry });
  const runId = crypto.randomUUID();
  await store.create({ run_id: runId, status: 'running', created_at: now(), updated_at: now(), error: null });
  const specs = Object.entries(layers).map(([name, { type, config = null, deps = {} }]) => ({
    ...{ name, type, config, deps },
    metadata: {},
  }));
  const composition = { schema_version: 1, layers: specs };
  const submission = { request: { ...request, ...more, composition }, snapshotPolicy: 'reject' } as const;
  await run(runId, submission, new AbortController().signal, reporterOf(runId, submission));
  const events = (await store.readEvents(runId, '0-0', 10_000)).map(({ payload }) => JSON.parse(payload));
  const terminal = events.at(-1).data as Terminal; // spec 01 §5
  return {
    types: events.map(({ type }) => type as string),
    terminal,
    calls,
    status: (await store.getRecord(runId))?.status,
  };
}

const prompt = (user: JsonValue = 'Hi', prefix: JsonValue = 'Be brief.') => ({
  type: 'plain.prompt',
  config: { prefix, user },
});
const context = { type: 'dify.execution_context', config: { tenant_id: 't' } };
const llm = (on = 'execution_context') => ({
  type: 'dify.plugin.llm',
  deps: { execution_context: on },
  config: { plugin_id: 'a/b', model_provider: 'b', model: 'm' },
});
const history = { type: 'pydantic_ai.history' };
const ask = { type: 'dify.ask_human' };
const output = (json_schema: JsonObject, more: JsonObject = {}) => ({
  type: 'dify.output',
  config: { json_schema, ...more },
});
const TITLE = { type: 'object', properties: { title: { type: 'string' } }, required: ['title'] };

const plain = { prompt: prompt(), execution_context: context, llm: llm() };
const asking = { ...plain, history, ask_human: ask };
const question = (id: string) => [call(id, 'ask_human', '{"question":"Q?"}'), finish('tool_call')];

const statesOf = ({ session_snapshot: snapshot }: Terminal) =>
  Object.fromEntries(snapshot.layers.map((layer) => [layer.name, layer.lifecycle_state]));
const storedIn = ({ session_snapshot: snapshot }: Terminal) =>
  shape((snapshot.layers.find(({ name }) => name === 'history')?.runtime_state ?? { messages: [] }).messages);
/** A snapshot as the next request brings it. */
const resumed = ({ session_snapshot: snapshot }: Terminal) =>
  snapshot as unknown as NonNullable<CreateRunRequest['session_snapshot']>; // it was printed from one
const results = (calls: JsonObject) => ({ deferred_tool_results: { calls, metadata: {} } });

describe('a run that succeeds', () => {
  test('starts, streams and ends; the snapshot names every layer, all suspended', async () => {
    const { types, terminal, status } = await play(plain, [[text('ok')]]);
    expect([types[0], types.at(-1), status]).toEqual(['run_started', 'run_succeeded', 'succeeded']);
    expect(types.filter((type) => type === 'pydantic_ai_event').length).toBeGreaterThan(0);
    expect(statesOf(terminal)).toEqual({ prompt: 'suspended', execution_context: 'suspended', llm: 'suspended' });
  });

  test('whatever the execution context is called', async () => {
    const { terminal } = await play({ prompt: prompt(), where: context, llm: llm('where') }, [[text('ok')]]);
    expect(terminal.output).toBe('ok');
  });

  test('with an output of null says so and has no other result', async () => {
    const layers = { history };
    const states = [{ name: 'history', lifecycle_state: 'suspended' as const, runtime_state: { messages: [] } }];
    const { terminal, status } = await play(layers, [], { session_snapshot: { schema_version: 1, layers: states } });
    expect([Object.keys(terminal), terminal.output, status]).toEqual([
      ['session_snapshot', 'output'],
      null,
      'succeeded',
    ]);
  });

  test('gives each layer its own exit', async () => {
    const exits = { default: 'suspend', layers: { prompt: 'delete', llm: 'delete' } } as const;
    const { terminal } = await play(plain, [[text('ok')]], { on_exit: exits });
    expect(statesOf(terminal)).toEqual({ prompt: 'closed', execution_context: 'suspended', llm: 'closed' });
  });
});

describe('a question', () => {
  test('is the result, and the history ends with the open call', async () => {
    const { terminal } = await play(asking, [question('call_7')]);
    expect(Object.keys(terminal)).toEqual(['session_snapshot', 'deferred_tool_call']);
    expect(terminal.deferred_tool_call).toEqual({
      tool_call_id: 'call_7',
      tool_name: 'ask_human',
      args: {
        ...{ title: null, question: 'Q?', markdown: null, fields: [] },
        ...{ actions: [{ id: 'submit', label: 'Submit', style: 'primary' }], urgency: 'normal' },
      },
      metadata: { layer_type: 'dify.ask_human', tool_name: 'ask_human', schema_version: 1 },
    });
    expect(storedIn(terminal)).toEqual(['request:user-prompt', 'response:tool-call']);
  });

  test('is resumed without a user prompt; a second question makes user, call, return, call', async () => {
    const first = await play(asking, [question('a')]);
    const more = { session_snapshot: resumed(first.terminal), ...results({ a: 'yes' }) };
    const second = await play({ ...asking, prompt: prompt('not sent') }, [question('b')], more);
    expect(shape(second.calls[0]?.messages ?? []).at(-1)).toBe('request:tool-return');
    expect(JSON.stringify(second.calls[0]?.messages)).not.toContain('not sent');
    expect(storedIn(second.terminal)).toEqual([
      'request:user-prompt',
      'response:tool-call',
      'request:tool-return',
      'response:tool-call',
    ]);
  });

  test.each([
    [
      'without a history',
      { prompt: prompt(), execution_context: context, llm: llm(), ask_human: ask },
      [question('a')],
      {},
      "ask_human deferred tool requests require a 'history' layer so the pending tool call can be resumed.",
    ],
    [
      'twice in one answer',
      asking,
      [[call('a', 'ask_human', '{"question":"A?"}'), call('b', 'ask_human', '{"question":"B?"}')]],
      {},
      'ask_human supports exactly one deferred call per run in this version; got 2.',
    ],
    [
      'answered without a history: the model is not asked',
      plain,
      [],
      results({ a: 1 }),
      "Deferred tool results require a 'history' layer with prior message history.",
    ],
  ])('%s fails after its start', async (_, layers, answers, more, error) => {
    const { types, terminal, calls } = await play(layers, answers, more);
    expect([types[0], types.at(-1), terminal.error]).toEqual(['run_started', 'run_failed', error]);
    expect(calls.length).toBe(answers.length);
  });
});

describe('what the model is sent', () => {
  const system = 'request:system-prompt+user-prompt';

  test('is the system prompt, then what is stored, then the user; stored is all but the system', async () => {
    const layers = { ...plain, history };
    const first = await play(layers, [[text('one')]]);
    expect(shape(first.calls[0]?.messages ?? [])).toEqual([system]);
    expect(storedIn(first.terminal)).toEqual(['request:user-prompt', 'response:text']);
    const second = await play(layers, [[text('two')]], { session_snapshot: resumed(first.terminal) });
    expect(shape(second.calls[0]?.messages ?? [])).toEqual([system, 'response:text', 'request:user-prompt']);
    expect(storedIn(second.terminal)).toEqual([
      ...['request:user-prompt', 'response:text'],
      ...['request:user-prompt', 'response:text'],
    ]);
    expect(JSON.stringify(second.terminal)).not.toContain('system-prompt');
  });

  test('has the system prompt without a history layer, too, and then there is no history', async () => {
    const { calls, terminal } = await play(plain, [[text('ok')]]);
    expect(shape(calls[0]?.messages ?? [])).toEqual([system]);
    expect(Object.keys(statesOf(terminal))).not.toContain('history');
  });
});

test('a failing model ends the run as failed and leaves the caller’s snapshot as it was', async () => {
  const layers = { ...plain, history };
  const first = await play(layers, [[text('one')]]);
  const snapshot = resumed(first.terminal);
  const before = JSON.stringify(snapshot);
  const { types, terminal, status } = await play(layers, [[text('half'), new Error('gone')]], {
    session_snapshot: snapshot,
  });
  expect([types.includes('run_succeeded'), terminal.error, status]).toEqual([false, 'gone', 'failed']);
  expect(Object.keys(terminal)).toEqual(['error', 'reason']);
  expect(JSON.stringify(snapshot)).toBe(before);
});

describe('an output layer', () => {
  const structured = (schema: JsonObject, more: JsonObject = {}) => ({
    ...plain,
    history,
    output: output(schema, more),
  });
  const good = [call('o', 'final_output', '{"title":"x"}')];
  const bad = [call('o', 'final_output', '{"title":1}')];

  test('shows the model one tool, and works again when the session is resumed', async () => {
    const layers = structured(TITLE, { description: 'Incident summary', strict: true });
    const first = await play(layers, [good]);
    expect(first.calls[0]?.tools).toEqual([
      {
        name: 'final_output',
        description: 'Incident summary',
        parameters: { ...TITLE, title: 'final_output' },
      },
    ]);
    expect(first.terminal.output).toEqual({ title: 'x' });
    const second = await play(layers, [good], { session_snapshot: resumed(first.terminal) });
    expect(second.terminal.output).toEqual({ title: 'x' });
  });

  test('takes a second answer after exactly two requests, and not a third', async () => {
    const { terminal, calls } = await play(structured(TITLE), [bad, good]);
    expect([terminal.output, calls.length]).toEqual([{ title: 'x' }, 2]);
    const failed = await play(structured(TITLE), [bad, bad, good]);
    expect([failed.status, failed.calls.length]).toEqual(['failed', 2]);
  });

  test.each([
    [
      'recursive',
      {
        ...plain,
        output: output({
          type: 'object',
          $defs: { a: { $ref: '#/$defs/a' } },
          properties: { x: { $ref: '#/$defs/a' } },
        }),
      },
      'Recursive $defs refs are not supported for structured output exposure.',
    ],
    [
      'misnamed',
      { ...plain, answer: output(TITLE) },
      "Layer type 'dify.output' must use reserved layer name 'output', got 'answer'.",
    ],
    [
      'twice',
      { ...plain, output: output(TITLE), again: output(TITLE) },
      "Only one 'dify.output' layer is supported, named 'output'. Found layers: output, again.",
    ],
    ['of another type', { ...plain, output: prompt() }, "Layer 'output' must be DifyOutputLayer, got PromptLayer."],
  ])('that is %s fails before the model is asked', async (_, layers, error) => {
    const { types, terminal, calls } = await play(layers, []);
    expect([types, terminal.error, calls.length]).toEqual([['run_started', 'run_failed'], error, 0]);
  });

  test('that is misnamed is told even where no type is registered', async () => {
    const { terminal } = await play({ ...plain, answer: output(TITLE) }, [], {}, { registered: false });
    expect(terminal.error).toStartWith("Layer type 'dify.output' must use reserved layer name 'output'");
  });
});

describe('a hopeless request is accepted, starts and fails', () => {
  const snapshot = {
    schema_version: 1,
    layers: Object.keys(plain).map((name) => ({ name, lifecycle_state: 'closed' as const, runtime_state: {} })),
  };

  test.each<[string, Layers, Partial<CreateRunRequest>, string]>([
    ['a blank prompt', { ...plain, prompt: prompt('') }, {}, 'run.user_prompts must not be empty'],
    ['a list of blank prompts', { ...plain, prompt: prompt(['', '   ']) }, {}, 'run.user_prompts must not be empty'],
    ['a model under another name', { prompt: prompt(), execution_context: context, model: llm() }, {}, 'llm'],
    ['an exit for nobody', plain, { on_exit: { default: 'suspend', layers: { ghost: 'delete' } } }, 'ghost'],
    ['a closed snapshot', plain, { session_snapshot: snapshot }, 'CLOSED snapshots cannot be entered'],
  ])('%s', async (_, layers, more, part) => {
    const { types, terminal, calls } = await play(layers, [[text('never')]], more);
    expect([types, calls.length]).toEqual([['run_started', 'run_failed'], 0]);
    expect(terminal.error).toContain(part);
  });

  test('a type that is not registered', async () => {
    const { types, terminal } = await play(plain, [], {}, { registered: false });
    expect([types, terminal.error]).toEqual([
      ['run_started', 'run_failed'],
      `"Layer type id 'plain.prompt' is not registered."`,
    ]);
  });

  test('two tools of one name: no model is asked, and no layer is entered', async () => {
    const entered: string[] = [];
    const noting: AgentLayerType = {
      typeId: 'noting',
      className: 'NotingLayer',
      config: emptyLayerConfig,
      state: emptyLayerConfig,
      deps: {},
      create: () => ({ className: 'NotingLayer', state: {}, onCreate: async () => void entered.push('created') }),
    };
    const one = { plugin_id: 'a/b', provider: 'b', tool_name: 'f', credential_type: 'unauthorized' };
    const tools = {
      type: 'dify.plugin.tools',
      deps: { execution_context: 'execution_context' },
      config: { tools: [one, one] },
    };
    const { terminal, calls } = await play(
      { noting: { type: 'noting' }, ...plain, tools },
      [],
      {},
      { extra: [noting] },
    );
    expect(terminal.error).toBe('Agent run requires unique tool names across all layers, got duplicates: f.');
    expect([calls.length, entered]).toEqual([0, []]);
  });
});
