// Compositions to begin with. Those on the scripted model run without any key, where the server allows that model; the others
// are the shape of a real agent, with the places of its keys left empty.

import type { Composition, JsonObject, LayerSpec } from '../../client/types.ts';

export interface Preset {
  readonly id: string;
  readonly name: string;
  /** A sentence. */
  readonly about: string;
  readonly composition: Composition;
}

type Item = JsonObject;

const prompt = (user: string, prefix = 'You are terse.'): LayerSpec => ({
  name: 'prompt',
  type: 'plain.prompt',
  config: { prefix, user },
});

const HISTORY: LayerSpec = { name: 'history', type: 'pydantic_ai.history' };

const CONTEXT: LayerSpec = {
  name: 'execution_context',
  type: 'dify.execution_context',
  config: { tenant_id: '', user_id: '' },
};

const NEEDS_CONTEXT = { execution_context: 'execution_context' };

function scripted(turns: readonly (readonly Item[])[], tools: readonly JsonObject[] = []): LayerSpec {
  const config = { turns: turns.map((items) => ({ items })), ...(tools.length === 0 ? {} : { tools }) };
  return { name: 'llm', type: 'test.scripted_llm', config };
}

const pluginLlm: LayerSpec = {
  name: 'llm',
  type: 'dify.plugin.llm',
  deps: NEEDS_CONTEXT,
  config: {
    plugin_id: 'langgenius/openai',
    model_provider: 'openai',
    model: 'gpt-4o-mini',
    credentials: { openai_api_key: '' },
    model_settings: { temperature: 0.2 },
  },
};

function call(id: string, name: string, args: JsonObject, delay_ms = 150): Item {
  return { tool_call: { id, name, arguments: args }, delay_ms };
}

/** Says a sentence in pieces. */
function spoken(sentence: string, delay_ms: number): readonly Item[] {
  return (sentence.match(/\S+\s*/g) ?? []).map((piece) => ({ text: piece, delay_ms }));
}

const STOCK_TOOL = {
  name: 'check_stock',
  description: 'Says how much of something is on the shelf.',
  parameters: { type: 'object', properties: { item: { type: 'string' } }, required: ['item'] },
  results: [{ content: { item: 'green tea', packs: 2 }, delay_ms: 400 }],
};

const QUESTION = {
  title: 'Tea is running low',
  question: 'Two packs of tea are left. How many shall I order?',
  fields: [{ type: 'paragraph', name: 'packs', label: 'Packs' }],
  actions: [
    { id: 'order', label: 'Order', style: 'primary' },
    { id: 'leave', label: 'Leave it' },
  ],
};

const ANSWER_SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string' }, people: { type: 'integer', minimum: 0 } },
  required: ['city', 'people'],
  additionalProperties: false,
};

/** These need no key, but a server that has the scripted model. */
export const SCRIPTED_PRESETS: readonly Preset[] = [
  {
    id: 'hello',
    name: 'Hello',
    about: 'One prompt, one answer.',
    composition: { layers: [prompt('Hello?'), scripted([[{ text: 'Hello. What can I do for you?' }]])] },
  },
  {
    id: 'thinking',
    name: 'Thinking, streamed',
    about: 'Thinks, then answers word by word.',
    composition: {
      layers: [
        prompt('Why is the sky blue?'),
        scripted([
          [
            { thinking: 'They want the short version. ', delay_ms: 300 },
            { thinking: 'Rayleigh scattering, without the formula.', delay_ms: 500 },
            ...spoken('Air scatters blue light more than red, so blue comes from everywhere.', 80),
          ],
        ]),
      ],
    },
  },
  {
    id: 'tool',
    name: 'Tool call',
    about: 'Calls a tool and answers with what it found.',
    composition: {
      layers: [
        prompt('Are we running out of green tea?', 'You keep the kitchen stocked.'),
        scripted(
          [
            [{ text: 'Let me look. ' }, call('call_1', 'check_stock', { item: 'green tea' })],
            spoken('Two packs are left: order some.', 60),
          ],
          [STOCK_TOOL],
        ),
      ],
    },
  },
  {
    id: 'question',
    name: 'Question to a person',
    about: 'The run ends with a question. Its script knows one round: an answered run asks again.',
    composition: {
      layers: [
        prompt('Keep us in tea.', 'You keep the kitchen stocked.'),
        HISTORY,
        { name: 'ask_human', type: 'dify.ask_human' },
        scripted([[{ thinking: 'I should not decide that alone.' }, call('call_1', 'ask_human', QUESTION)]]),
      ],
    },
  },
  {
    id: 'structured',
    name: 'Structured answer',
    about: 'The answer is an object that fits a JSON Schema.',
    composition: {
      layers: [
        prompt('What is the capital of Norway, and how many live there?'),
        scripted([[call('call_1', 'final_output', { city: 'Oslo', people: 717710 })]]),
        { name: 'output', type: 'dify.output', config: { json_schema: ANSWER_SCHEMA } },
      ],
    },
  },
  {
    id: 'failing',
    name: 'Failing run',
    about: 'Begins to answer; then the model breaks.',
    composition: {
      layers: [
        prompt('Tell me everything.'),
        {
          name: 'llm',
          type: 'test.scripted_llm',
          config: {
            turns: [{ items: [{ text: 'Everything began when ', delay_ms: 300 }], error: 'the model went away' }],
          },
        },
      ],
    },
  },
  {
    id: 'conversation',
    name: 'Conversation',
    about:
      'Keeps what is said in the history layer. To go on, take the snapshot of the run under “Continue a session”.',
    composition: {
      layers: [
        prompt('My name is Ada. Remember it.', 'You have a good memory.'),
        HISTORY,
        scripted([spoken('Nice to meet you, Ada.', 60)]),
      ],
    },
  },
];

/** These need a plugin daemon, and keys of yours. */
export const KEYED_PRESETS: readonly Preset[] = [
  {
    id: 'plugin-llm',
    name: 'Plugin model',
    about: 'A model behind Dify’s plugin daemon, with a history.',
    composition: { layers: [prompt('Name a capital.'), CONTEXT, HISTORY, pluginLlm] },
  },
  {
    id: 'plugin-tools',
    name: 'Plugin model and tool',
    about: 'The same with a tool of a plugin.',
    composition: {
      layers: [
        prompt('What time is it in Oslo?'),
        CONTEXT,
        HISTORY,
        pluginLlm,
        {
          name: 'tools',
          type: 'dify.plugin.tools',
          deps: NEEDS_CONTEXT,
          config: {
            tools: [
              {
                plugin_id: 'langgenius/time',
                provider: 'time',
                tool_name: 'current_time',
                credential_type: 'unauthorized',
                parameters: [{ name: 'timezone', type: 'string', form: 'llm', required: true }],
              },
            ],
          },
        },
      ],
    },
  },
  {
    id: 'shell',
    name: 'Plugin model and shell',
    about: 'Works in a workspace; needs shellctl (DIFY_AGENT_SHELLCTL_ENTRYPOINT), too.',
    composition: {
      layers: [
        prompt('List the files of your workspace.'),
        CONTEXT,
        HISTORY,
        pluginLlm,
        { name: 'shell', type: 'dify.shell', deps: NEEDS_CONTEXT, config: {} },
      ],
    },
  },
];

/** The setting that the scripted model needs. */
export const SCRIPTED_SETTING = 'DIFY_AGENT_ENABLE_SCRIPTED_MODEL=true';
export const SCRIPTED_TYPE = 'test.scripted_llm';
