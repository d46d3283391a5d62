// What the demo posts: an agent that looks something up, asks a person, and answers with data. Bodies as a caller would
// write them; with a plugin daemon the llm layer would be `dify.plugin.llm` and the tool would be in `dify.plugin.tools`.

/** A `POST /runs` body. */
export type DemoRequest = Readonly<Record<string, unknown>>;

const WORDS = ['Let me ', 'see what ', 'is left ', 'on the ', 'shelf.'];
const QUESTION = {
  title: 'Tea is running low',
  question: 'Two packs of tea are left. How many shall I order?',
  fields: [{ type: 'paragraph', name: 'packs', label: 'Packs' }],
  actions: [
    { id: 'order', label: 'Order', style: 'primary' },
    { id: 'leave', label: 'Leave it' },
  ],
  urgency: 'normal',
};
const ANSWER = { ordered: true, item: 'green tea', packs: 10 };

/** Id of the question's tool call: the answer names it. */
const QUESTION_ID = 'call_2';
/** What the person of the demo answers. */
export const PERSON_SAYS = {
  status: 'submitted',
  action: { id: 'order', label: 'Order' },
  values: { packs: '10' },
} as const;

/** The first run: thinks, talks, calls a tool, and ends with a question. */
export function firstRequest(): DemoRequest {
  return {
    composition: composition([
      {
        items: [
          { thinking: 'First the stock, then the boss.' },
          ...WORDS.map((text) => ({ text, delay_ms: 30 })),
          ...call('call_1', 'check_stock', { item: 'green tea' }),
        ],
        usage: { prompt_tokens: 61, completion_tokens: 24 },
      },
      { items: call(QUESTION_ID, 'ask_human', QUESTION), usage: { prompt_tokens: 98, completion_tokens: 40 } },
    ]),
  };
}

/** The second run: the same layers, the first one's snapshot, and the person's answer. */
export function secondRequest(snapshot: unknown): DemoRequest {
  return {
    composition: composition([
      { items: call('call_3', 'final_output', ANSWER), usage: { prompt_tokens: 152, completion_tokens: 19 } },
    ]),
    session_snapshot: snapshot,
    deferred_tool_results: { calls: { [QUESTION_ID]: PERSON_SAYS } },
  };
}

type Item = Readonly<Record<string, unknown>>;

function call(id: string, name: string, args: object): Item[] {
  return [{ tool_call: { id, name, arguments: args }, delay_ms: 60 }];
}

function composition(turns: readonly object[]): object {
  return {
    layers: [
      {
        name: 'prompt',
        type: 'plain.prompt',
        config: { prefix: 'You keep the kitchen stocked.', user: 'Are we running out of green tea?' },
      },
      { name: 'history', type: 'pydantic_ai.history' },
      { name: 'llm', type: 'test.scripted_llm', config: { turns, tools: [CHECK_STOCK] } },
      { name: 'ask_human', type: 'dify.ask_human' },
      { name: 'output', type: 'dify.output', config: { json_schema: ORDER_SCHEMA } },
    ],
  };
}

const CHECK_STOCK = {
  name: 'check_stock',
  description: 'Says how much of something is on the shelf.',
  parameters: { type: 'object', properties: { item: { type: 'string' } }, required: ['item'] },
  results: [{ content: { item: 'green tea', packs: 2 }, delay_ms: 40 }],
};

const ORDER_SCHEMA = {
  type: 'object',
  properties: {
    ordered: { type: 'boolean' },
    item: { type: 'string' },
    packs: { type: 'integer', minimum: 0 },
  },
  required: ['ordered', 'item', 'packs'],
  additionalProperties: false,
};
