// `demo`: the real server in this process, on a free port, with an in-memory store and the scripted model, and a session
// of two runs over HTTP: a tool call, a question to a person, its answer, structured output. It ignores the environment:
// it works on any machine and touches nothing. What is posted: demo-requests.ts.

import { CodedError, errorText } from '../base/errors.ts';
import { loadSettings } from '../config/load.ts';
import { createRedactor } from '../observe/redact.ts';
import { descriptorSink } from '../observe/sink.ts';
import { createLogger } from '../observe/writer.ts';
import { type DemoRequest, firstRequest, PERSON_SAYS, secondRequest } from './demo-requests.ts';
import { describeEvent, describeQuestion, isTerminal, parseEvent, type WireEvent } from './event-lines.ts';
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

/** A run of the demo takes half a second. */
const RUN_TIMEOUT_MS = 20_000;

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
    return await showSession(io, url);
  } catch (error) {
    await io.complain(`demo: ${errorText(error)}`);
    return EXIT.failed;
  } finally {
    await app.stop({ hurry: AbortSignal.abort() });
    await sink.flush();
  }
}

async function showSession(io: Io, url: string): Promise<number> {
  await io.print(`A server is listening on ${url}: in memory, with the scripted model.\n`);
  const first = await showRun(io, url, firstRequest());
  const question = first.data?.deferred_tool_call;
  if (first.type !== 'run_succeeded' || question === undefined) return EXIT.failed;
  await io.print(
    `\nThe run is over, and nothing waits inside the server. It asks a person:\n${describeQuestion(question)}`,
  );
  await io.print(`  Somebody answers: ${JSON.stringify(PERSON_SAYS.values)}, "${PERSON_SAYS.action.label}".\n\n`);

  const second = await showRun(io, url, secondRequest(first.data?.session_snapshot));
  if (second.type !== 'run_succeeded') return EXIT.failed;
  await io.print(
    `\nOutput\n  ${JSON.stringify(second.data?.output)}\n\nSession snapshot (post it with the next run to go on)\n`,
  );
  for (const layer of second.data?.session_snapshot?.layers ?? []) {
    await io.print(`  ${String(layer.name).padEnd(10)} ${layer.lifecycle_state}\n`);
  }
  await io.print(byHand());
  return EXIT.ok;
}

/** Posts a run and shows it to its end; resolves with its terminal event. */
async function showRun(io: Io, url: string, request: DemoRequest): Promise<WireEvent> {
  const created = await fetch(`${url}/runs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
    proxy: false,
    signal: AbortSignal.timeout(RUN_TIMEOUT_MS),
  });
  const text = await created.text();
  const runId = created.status === 202 ? parseEvent(text).run_id : undefined;
  if (runId === undefined) throw new CodedError('demo_refused', `POST /runs answered ${created.status}: ${text}`);
  await io.print(`POST /runs accepted run ${runId}. Its events as they arrive:\n\n`);
  return showEvents(io, `${url}/runs/${runId}/events/sse`);
}

/** Prints each event when it arrives; resolves with the terminal one. */
async function showEvents(io: Io, url: string): Promise<WireEvent> {
  const response = await fetch(url, {
    headers: { accept: 'text/event-stream' },
    proxy: false,
    signal: AbortSignal.timeout(RUN_TIMEOUT_MS),
  });
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
  curl http://127.0.0.1:8000/runs -H 'content-type: application/json' -d '${JSON.stringify(firstRequest())}'
  curl -N http://127.0.0.1:8000/runs/RUN_ID/events/sse
Then the answer: the same layers with session_snapshot and deferred_tool_results (docs/sessions.md, examples/).
`;
}
