// Tools: what the model calls, what comes back, and what happens when it calls one wrongly.
//
// Needs a running server that has the scripted model: README.md of this folder starts one.
//
//   npx bun examples/call-tools.ts      (another address: npx bun examples/call-tools.ts http://127.0.0.1:5050)
//
// Model and tools are scripted here: turn k of the script is the model's k-th answer. `pluginTools` at the end is the layer
// that brings real ones from Dify's plugin daemon (docs/layers/plugin-tools.md).

import { followRun, startRun } from './stream-a-run.ts';

const call = (id: string, name: string, args: unknown) => ({ tool_call: { id, name, arguments: args } });

const composition = {
  layers: [
    { name: 'prompt', type: 'plain.prompt', config: { user: 'Is it warmer in Oslo or in Rome?' } },
    {
      name: 'llm',
      type: 'test.scripted_llm',
      config: {
        tools: [
          {
            name: 'weather',
            description: 'The temperature of a city.',
            parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
            results: [{ content: { celsius: 4 }, delay_ms: 200 }, { content: { celsius: 21 } }],
          },
        ],
        turns: [
          // A name that no layer has: the model is told which there are, and tries again.
          { items: [call('call_1', 'temperature', { city: 'Oslo' })] },
          // Two calls in one answer run side by side; results arrive as they complete.
          { items: [call('call_2', 'weather', { city: 'Oslo' }), call('call_3', 'weather', { city: 'Rome' })] },
          { items: [{ text: 'Rome is warmer by 17 degrees.' }] },
        ],
      },
    },
  ],
};

async function main(baseUrl: string): Promise<void> {
  for await (const { type, data } of followRun(baseUrl, await startRun(baseUrl, { composition }))) {
    if (data.event_kind === 'function_tool_call') console.log(`-> ${data.part?.tool_name} ${data.part?.args}`);
    if (data.event_kind === 'function_tool_result') {
      const wrong = data.result?.part_kind === 'retry-prompt' ? 'call again: ' : '';
      console.log(`<- ${data.result?.tool_name} ${wrong}${JSON.stringify(data.result?.content)}`);
    }
    if (type === 'run_succeeded') console.log(`answer: ${data.output}`);
    if (type === 'run_failed') throw new Error(data.error);
  }
}

/** A layer of real tools; it needs the layer `execution_context` before it (see `pluginModel` in poll-a-run.ts). */
export const pluginTools = {
  name: 'tools',
  type: 'dify.plugin.tools',
  deps: { execution_context: 'execution_context' },
  config: {
    tools: [
      {
        plugin_id: 'langgenius/wikipedia',
        provider: 'wikipedia',
        tool_name: 'wikipedia_search',
        credential_type: 'unauthorized',
        // `form: "llm"` is what the model gives; everything else stays hidden from it.
        parameters: [
          { name: 'query', type: 'string', form: 'llm', required: true },
          { name: 'language', type: 'string', form: 'form' },
        ],
        runtime_parameters: { language: 'en' },
        parameters_json_schema: { type: 'object', properties: { query: { type: 'string' } }, required: ['query'] },
      },
    ],
  },
};

if (import.meta.main) void main(process.argv[2] ?? process.env.BASE_URL ?? 'http://127.0.0.1:8000');
