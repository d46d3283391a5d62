// Stream with the client: text as it comes, tool calls as they happen. Connections that break are replaced from the last event on;
// Ctrl-C cancels the run on the server, too.
//
// Needs a running server that has the scripted model: README.md of this folder starts one.
//
//   npx bun examples/client-stream.ts     (another address: npx bun examples/client-stream.ts http://127.0.0.1:5050)
//
// In a program of your own the import is 'dify-agent/client'; here it is the source, so that nothing has to be built.

import {
  Client,
  composition,
  EMPTY_VIEW,
  foldEvent,
  plainPrompt,
  type RunEvent,
  scriptedLlm,
} from '../src/client/index.ts';

const weather = {
  name: 'weather',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  results: [{ content: { celsius: 21 } }],
};
const script = [
  { items: [{ tool_call: { id: 'call_1', name: 'weather', arguments: { city: 'Rome' } } }] },
  { items: ['It is ', 'warm: ', '21 degrees.'].map((text) => ({ text, delay_ms: 100 })) },
];

async function main(baseUrl: string): Promise<void> {
  const client = new Client({ baseUrl, token: process.env.DIFY_AGENT_API_TOKEN ?? '' });
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort(new Error('interrupted')));
  let view = EMPTY_VIEW;
  const end = await client.runToCompletion(
    {
      composition: composition([
        plainPrompt({ user: 'Is it warm in Rome?' }),
        scriptedLlm({ turns: script, tools: [weather] }),
      ]),
    },
    {
      signal: stop.signal,
      cancelOnAbort: true,
      // Heartbeats of the server count as life; a minute without anything is a dead connection.
      idleTimeoutMs: 60_000,
      deadlineMs: 20 * 60_000,
      onEvent: (event) => {
        // The whole state of the run, for programs that draw it anew each time; show() prints what is new.
        view = foldEvent(view, event);
        show(event);
      },
    },
  );
  const calls = view.items.filter(({ kind }) => kind === 'tool').length;
  console.log(`\n${end.type} after ${calls} tool call`);
  if (end.type === 'run_failed') process.exitCode = 1;
}

function show({ type, data }: RunEvent): void {
  if (type !== 'pydantic_ai_event') return;
  switch (data.event_kind) {
    case 'part_start':
      if (data.part.part_kind === 'text') process.stdout.write(data.part.content);
      break;
    case 'part_delta':
      if (data.delta.part_delta_kind === 'text') process.stdout.write(data.delta.content_delta);
      break;
    case 'function_tool_call': {
      const { args } = data.part;
      // Arguments are JSON text, or an object.
      console.log(`-> ${data.part.tool_name} ${typeof args === 'string' ? args : JSON.stringify(args)}`);
      break;
    }
    case 'function_tool_result':
      // Older servers say `result`, newer ones `part`.
      console.log(`<- ${JSON.stringify((data.part ?? data.result).content)}`);
      break;
  }
}

if (import.meta.main) void main(process.argv[2] ?? process.env.BASE_URL ?? 'http://127.0.0.1:8000');
