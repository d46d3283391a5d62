// Random bodies of `POST /runs`: valid compositions of every kind, and mutations of them that may be anything.

import { isObject } from '../fakes/daemon-rules.ts';
import { type Random, randomJson } from './random.ts';

/** A JSON value under construction. */
type Value = unknown;

const PROMPT = {
  name: 'prompt',
  type: 'plain.prompt',
  config: { prefix: 'Be brief.', user: 'What now?', suffix: ['x'] },
};
const CONTEXT = {
  name: 'execution_context',
  type: 'dify.execution_context',
  config: { tenant_id: 'tenant-1', user_id: 'user-1', agent_mode: 'workflow_run', invoke_from: 'service-api' },
};
const HISTORY = { name: 'history', type: 'pydantic_ai.history', config: null };
const OUTPUT = {
  name: 'output',
  type: 'dify.output',
  config: {
    json_schema: {
      $defs: { n: { type: 'integer' } },
      type: 'object',
      properties: {
        answer: { $ref: '#/$defs/n' },
        more: { type: 'array', items: { type: 'string', pattern: '^a+$' } },
      },
      required: ['answer'],
    },
  },
};
const ASK = { name: 'ask_human', type: 'dify.ask_human', config: {} };
const ON_CONTEXT = { execution_context: 'execution_context' };

const tool = (name: string) => ({
  plugin_id: 'langgenius/weather',
  provider: 'weather',
  tool_name: name,
  credential_type: 'api-key',
  credentials: { key: 'k' },
  parameters: [
    { name: 'city', type: 'string', form: 'llm', required: false },
    { name: 'unit', type: 'select', form: 'form', required: true, default: 'C', options: [{ value: 'C' }] },
    { name: 'n', type: 'number', form: 'llm' },
  ],
  parameters_json_schema: { type: 'object', properties: { city: { type: 'string' } } },
});

/** A valid request whose daemon replies are those scripted under `key`. */
export function validRequest(random: Random, key: string): Readonly<Record<string, unknown>> {
  const llm = {
    name: 'llm',
    type: 'dify.plugin.llm',
    deps: ON_CONTEXT,
    config: {
      plugin_id: 'langgenius/openai',
      model_provider: 'openai',
      model: 'm',
      credentials: { script_id: key },
      model_settings: random.pick<unknown>([null, { temperature: 1, max_tokens: 9, stop_sequences: ['END'] }]),
    },
  };
  const tools = {
    name: 'tools',
    type: 'dify.plugin.tools',
    deps: ON_CONTEXT,
    config: { tools: [tool('get_weather'), tool('slow')].map((one) => ({ ...one, credentials: { script_id: key } })) },
  };
  return {
    composition: {
      schema_version: 1,
      layers: [
        PROMPT,
        CONTEXT,
        ...(random.chance(0.7) ? [HISTORY] : []),
        llm,
        ...(random.chance(0.7) ? [tools] : []),
        ...(random.chance(0.4) ? [ASK] : []),
        ...(random.chance(0.4) ? [OUTPUT] : []),
      ],
    },
    purpose: random.pick(['workflow_node', 'agent_app']),
    idempotency_key: null,
    metadata: { any: [1, { deep: true }] },
    session_snapshot: null,
    deferred_tool_results: null,
    on_exit: random.pick<unknown>([
      { default: 'suspend', layers: {} },
      { default: 'delete', layers: { prompt: 'suspend' } },
    ]),
  };
}

/** The text of a request after some mutations of its value, and perhaps of the text. */
export function mutated(random: Random, request: ReturnType<typeof validRequest>): string {
  let value: Value = random.chance(0.5) ? resumed(request, random) : structuredClone(request);
  for (let left = 1 + random.int(3); left > 0; left -= 1) {
    const path = random.chance(0.2) ? [] : random.pick(PATHS);
    value = mutateAt(random, value, path);
  }
  const text = JSON.stringify(value) ?? 'null';
  if (random.chance(0.9)) return text;
  const at = random.int(text.length);
  return text.slice(0, at) + random.pick(['', '"', '{', '}', ',', '\\u0000', '\\ud800', '1']) + text.slice(at + 1);
}

/** Where mutations get furthest: the rest of a body is refused at once. `*`: any member. */
const PATHS: readonly (readonly string[])[] = [
  ['composition', 'layers', '*', 'config'],
  ['composition', 'layers', '*', 'config', '*'],
  ['composition', 'layers', '*', 'config', '*', '*'],
  ['composition', 'layers', '*', 'deps'],
  ['session_snapshot', 'layers', '*', 'runtime_state', 'messages', '*'],
  ['session_snapshot', 'layers', '*', 'runtime_state', 'messages', '*', 'parts', '*'],
  ['deferred_tool_results', 'calls'],
  ['on_exit', 'layers'],
];

/** Goes down as far as the path leads, and mutates there. */
function mutateAt(random: Random, value: Value, [step, ...rest]: readonly string[]): Value {
  if (step === undefined) return mutate(random, value);
  if (Array.isArray(value) && value.length > 0) {
    const at = random.int(value.length);
    return value.map((item, index) => (index === at ? mutateAt(random, item, rest) : item));
  }
  if (!isObject(value)) return mutate(random, value);
  const names = Object.keys(value);
  const key = step === '*' && names.length > 0 ? random.pick(names) : step;
  if (!Object.hasOwn(value, key)) return mutate(random, value);
  const changed = mutateAt(random, value[key], rest);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, name === key ? changed : member]));
}

const CALL = { tool_call_id: 'h1', id: null, provider_name: null, provider_details: null, part_kind: 'tool-call' };
const AT = '2026-06-01T08:00:00.000210Z';

/** The request as the second one of a session, with a history that ends in an open question or in an answer. */
function resumed(request: ReturnType<typeof validRequest>, random: Random): Value {
  const { layers } = request.composition as { readonly layers: readonly { readonly name: string }[] }; // ours
  const open = layers.some(({ name }) => name === 'history') && random.chance(0.5);
  const answer = { content: 'ok', id: null, provider_name: null, provider_details: null, part_kind: 'text' };
  const messages = [
    {
      parts: [
        { content: ['Hi', { kind: 'image-url', url: 'https://x/y.png' }], timestamp: AT, part_kind: 'user-prompt' },
      ],
      timestamp: AT,
      kind: 'request',
    },
    {
      parts: [
        { content: 'hm', part_kind: 'thinking' },
        { ...CALL, tool_name: 'ask_human', args: '{"question":"Really?"}' },
      ],
      usage: { input_tokens: 1, details: {} },
      model_name: 'm',
      kind: 'response',
      finish_reason: 'tool_call',
    },
    ...(open
      ? []
      : [
          {
            parts: [
              { tool_name: 'ask_human', content: { n: 1.5, '1': [] }, tool_call_id: 'h1', part_kind: 'tool-return' },
              { content: [{ type: 't', loc: ['a', 0], msg: 'm', input: null }], part_kind: 'retry-prompt' },
            ],
            kind: 'request',
          },
          { parts: [answer], kind: 'response', timestamp: AT },
        ]),
  ];
  const states = layers.map(({ name }) => ({
    name,
    lifecycle_state: 'suspended',
    runtime_state: name === 'history' ? { messages } : {},
  }));
  return {
    ...structuredClone(request),
    session_snapshot: { schema_version: 1, layers: states },
    deferred_tool_results: open ? { calls: { h1: { status: 'submitted' } }, metadata: {} } : null,
  };
}

/** Walks down a random path and changes what is there. */
function mutate(random: Random, value: Value): Value {
  const inside = isObject(value) || Array.isArray(value);
  if (!inside || random.chance(0.12)) return replaced(random, value);
  if (Array.isArray(value)) return mutatedList(random, value);
  const keys = Object.keys(value);
  const key = keys.length === 0 ? 'extra' : random.pick(keys);
  const choice = random.int(12);
  if (choice === 0) return Object.fromEntries(Object.entries(value).filter(([name]) => name !== key));
  if (choice === 1) return { ...value, [random.pick(['extra', '__proto__', 'type', 'name', '1', ''])]: parsed(random) };
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, name === key ? mutate(random, member) : member]),
  );
}

function mutatedList(random: Random, list: readonly Value[]): Value {
  if (list.length === 0) return [parsed(random)];
  const at = random.int(list.length);
  const choice = random.int(10);
  if (choice === 0) return list.filter((_, index) => index !== at);
  if (choice === 1) return [...list, list[at]];
  if (choice === 2) return list.toReversed();
  if (choice === 3) return [...list.slice(0, at), parsed(random), ...list.slice(at)];
  return list.map((item, index) => (index === at ? mutate(random, item) : item));
}

const NAMES = ['llm', 'history', 'output', 'prompt', 'ask_human', 'tools', 'execution_context', '', ' ', 'x\u0000'];
const TYPES = [
  'plain.prompt',
  'pydantic_ai.history',
  'dify.output',
  'dify.ask_human',
  'dify.plugin.llm',
  'dify.shell',
  'x',
];

function replaced(random: Random, value: Value): Value {
  const other: readonly (() => Value)[] = [
    () => parsed(random),
    () => random.pick(NAMES),
    () => random.pick(TYPES),
    () => JSON.stringify(value),
    () => [value],
    () => null,
    () => 'x'.repeat(random.int(100_000)),
    () => nested(value, random.int(400)),
    () => ({ $ref: random.pick(['#/$defs/n', '#', '#/$defs/none', 'http://x/y', '#/$defs/n/properties']) }),
    () => random.pick([-1, 0, 1e9, 0.5, 2 ** 53, true]),
  ];
  return random.pick(other)();
}

function nested(value: Value, depth: number): Value {
  let outer = value;
  for (let left = depth; left > 0; left -= 1)
    outer = left % 2 === 0 ? [outer] : { type: 'object', properties: { a: outer } };
  return outer;
}

function parsed(random: Random): Value {
  return JSON.parse(randomJson(random)) as Value; // any value will do
}
