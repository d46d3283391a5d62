// Structured output: the answer is an object that fits a JSON Schema. One that does not fit goes back to the model, once.
//
// Needs a running server that has the scripted model: README.md of this folder starts one.
//
//   npx bun examples/structured-output.ts      (another address: npx bun examples/structured-output.ts http://127.0.0.1:5050)
//
// To ask a real model, replace the layer `llm` by the two layers in `pluginModel` of poll-a-run.ts.

import { followRun, startRun } from './stream-a-run.ts';

/** The layer `output` makes the model answer by calling a tool of this name (docs/layers/output.md). */
const answer = (id: string, args: unknown) => ({ tool_call: { id, name: 'final_output', arguments: args } });

const composition = {
  layers: [
    { name: 'prompt', type: 'plain.prompt', config: { user: 'What does the invoice say?' } },
    {
      name: 'llm',
      type: 'test.scripted_llm',
      config: {
        turns: [
          { items: [answer('call_1', { total: 'ninety', lines: ['tea', 'cups'] })] },
          { items: [answer('call_2', { total: 90.5, lines: ['tea', 'cups'] })] },
        ],
      },
    },
    {
      name: 'output',
      type: 'dify.output',
      config: {
        json_schema: {
          type: 'object',
          properties: { total: { type: 'number' }, lines: { type: 'array', items: { type: 'string' } } },
          required: ['total', 'lines'],
          additionalProperties: false,
        },
      },
    },
  ],
};

async function main(baseUrl: string): Promise<void> {
  for await (const { type, data } of followRun(baseUrl, await startRun(baseUrl, { composition }))) {
    if (data.result?.part_kind === 'retry-prompt') console.log(`refused: ${JSON.stringify(data.result.content)}`);
    if (type === 'run_succeeded') console.log(`answer: ${JSON.stringify(data.output)}`);
    if (type === 'run_failed') throw new Error(data.error);
  }
}

if (import.meta.main) void main(process.argv[2] ?? process.env.BASE_URL ?? 'http://127.0.0.1:8000');
