// `demo`: the real server in this process, on a free port, with an in-memory store and the scripted model, and one run
// from POST to its terminal event over HTTP. It ignores the environment: it works on any machine and touches nothing.

import { CodedError, errorText } from '../base/errors.ts';
import { loadSettings } from '../config/load.ts';
import { createRedactor } from '../observe/redact.ts';
import { descriptorSink } from '../observe/sink.ts';
import { createLogger } from '../observe/writer.ts';
import { describeEvent, isTerminal, parseEvent, type WireEvent } from './event-lines.ts';
import { EXIT, type Io } from './io.ts';
import { readSse } from './sse.ts';

/** What the demo's server is told; everything else is a default. */
const ENVIRONMENT = {
  DIFY_AGENT_HOST: '127.0.0.1',
  DIFY_AGENT_PORT: '0',
  DIFY_AGENT_STORE_URL: 'sqlite::memory:',
  DIFY_AGENT_ENABLE_SCRIPTED_MODEL: 'true',
  DIFY_AGENT_LOG_LEVEL: 'warn',
} as const;

const WORDS = ['An agent ', 'run is a ', 'list of layers; ', 'you are ', 'reading its ', 'event stream.'];

/** A composition as a caller would post it; with a plugin daemon the llm layer would be `dify.plugin.llm`. */
const REQUEST = {
  composition: {
    schema_version: 1,
    layers: [
      { name: 'prompt', type: 'plain.prompt', config: { prefix: 'You are brief.', user: 'What is an agent run?' } },
      { name: 'history', type: 'pydantic_ai.history' },
      {
        name: 'llm',
        type: 'test.scripted_llm',
        config: {
          turns: [
            {
              items: [{ thinking: 'Somebody wants a demo.' }, ...WORDS.map((text) => ({ text, delay_ms: 30 }))],
              usage: { prompt_tokens: 14, completion_tokens: 17 },
            },
          ],
        },
      },
    ],
  },
} as const;

/** Runs the demo. Exit code 0 when the run succeeded. */
export async function demo(io: Io): Promise<number> {
  const loaded = loadSettings(ENVIRONMENT, null);
  if (!loaded.ok) throw new CodedError('demo_settings', loaded.problems.join('; '));
  const { settings } = loaded;
  const sink = descriptorSink(2);
  const logger = createLogger({
    level: settings.logLevel,
    format: settings.logFormat,
    redactor: createRedactor(),
    sink,
  });
  const { createApp } = await import('../app.ts');
  const app = createApp(settings, { logger });
  try {
    const { url } = await app.start();
    return await showRun(io, url);
  } catch (error) {
    await io.complain(`demo: ${errorText(error)}`);
    return EXIT.failed;
  } finally {
    await app.stop({ hurry: AbortSignal.abort() });
    await sink.flush();
  }
}

async function showRun(io: Io, url: string): Promise<number> {
  await io.print(`A server is listening on ${url}: in memory, with the scripted model.\n`);
  const created = await fetch(`${url}/runs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(REQUEST),
    proxy: false,
  });
  const text = await created.text();
  const runId = created.status === 202 ? parseEvent(text).run_id : undefined;
  if (runId === undefined) throw new CodedError('demo_refused', `POST /runs answered ${created.status}: ${text}`);
  await io.print(`POST /runs accepted run ${runId}. Its events as they arrive:\n\n`);
  const end = await showEvents(io, `${url}/runs/${runId}/events/sse`);
  if (end.type !== 'run_succeeded') return EXIT.failed;
  await io.print(
    `\nOutput\n  ${JSON.stringify(end.data?.output)}\n\nSession snapshot (post it with the next run to go on)\n`,
  );
  for (const layer of end.data?.session_snapshot?.layers ?? []) {
    await io.print(`  ${String(layer.name).padEnd(8)} ${layer.lifecycle_state}\n`);
  }
  await io.print(byHand());
  return EXIT.ok;
}

/** Prints each event when it arrives; resolves with the terminal one. */
async function showEvents(io: Io, url: string): Promise<WireEvent> {
  const response = await fetch(url, { headers: { accept: 'text/event-stream' }, proxy: false });
  if (!response.ok || response.body === null) {
    throw new CodedError('demo_stream', `the event stream answered ${response.status}`);
  }
  for await (const frame of readSse(response.body)) {
    const event = parseEvent(frame.data);
    await io.print(`${describeEvent(event, io.colour)}\n`);
    if (isTerminal(event)) return event;
  }
  throw new CodedError('demo_stream', 'the event stream ended without a terminal event');
}

/** The same without the demo. No single quote occurs in the request, so that a shell takes it as it is. */
function byHand(): string {
  return `
The same by hand, with "dify-agent" being "npm start" in a clone:
  DIFY_AGENT_STORE_URL=sqlite::memory: DIFY_AGENT_ENABLE_SCRIPTED_MODEL=true dify-agent
  curl http://127.0.0.1:8000/runs -H 'content-type: application/json' -d '${JSON.stringify(REQUEST)}'
  curl -N http://127.0.0.1:8000/runs/RUN_ID/events/sse
`;
}
