// Poll with the client: start a run, then ask for its events page by page until the one that ends it. For jobs that look now and
// then, and for networks that let no stream through.
//
// Needs a running server that has the scripted model: README.md of this folder starts one.
//
//   npx bun examples/client-poll.ts       (another address: npx bun examples/client-poll.ts http://127.0.0.1:5050)
//
// In a program of your own the import is 'dify-agent/client'; here it is the source, so that nothing has to be built.

import { Client, composition, isTerminal, plainPrompt, scriptedLlm, type TerminalEvent } from '../src/client/index.ts';

/** Between two empty pages, ms. */
const PAUSE_MS = 100;

async function main(baseUrl: string): Promise<void> {
  const client = new Client({ baseUrl, token: process.env.DIFY_AGENT_API_TOKEN ?? '' });
  const { run_id: runId } = await client.createRun({
    composition: composition([
      plainPrompt({ prefix: 'You are terse.', user: 'Which river flows through Vienna?' }),
      // A model of yours instead: executionContext and pluginLlm, as in docs/client.md.
      scriptedLlm({ turns: [{ items: [{ text: 'The ' }, { text: 'Danube.', delay_ms: 300 }] }] }),
    ]),
    // Should this program be killed and started again with the same key: the same run, not a second one.
    idempotency_key: `client-poll-${process.pid}`,
  });
  const end = await poll(client, runId);
  if (end.type === 'run_succeeded') console.log(`answer: ${end.data.output}`);
  else throw new Error(`${end.type}: ${'error' in end.data ? end.data.error : (end.data.reason ?? '')}`);
}

/** Prints the type of each event; resolves with the last one. */
async function poll(client: Client, runId: string): Promise<TerminalEvent> {
  // `after` is exclusive. Whoever stores it can go on from here in another process.
  for (let after = '0-0'; ; ) {
    const { events, next_cursor: next } = await client.getEvents(runId, { after, limit: 500 });
    after = next ?? after;
    for (const event of events) {
      console.log(event.type === 'pydantic_ai_event' ? `${event.type} ${event.data.event_kind}` : event.type);
      if (isTerminal(event)) return event;
    }
    if (events.length === 0) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

if (import.meta.main) void main(process.argv[2] ?? process.env.BASE_URL ?? 'http://127.0.0.1:8000');
