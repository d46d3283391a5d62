// Stream a run: read its server-sent events as they happen, and go on after the last one seen when the connection drops.
//
// Needs a running server that has the scripted model: README.md of this folder starts one.
//
//   npx bun examples/stream-a-run.ts      (another address: npx bun examples/stream-a-run.ts http://127.0.0.1:5050)
//
// To ask a real model, replace the layer `llm` by the two layers in `pluginModel` of poll-a-run.ts.

/** An event of a run, with the members that these examples read. All of them: docs/http-api.md, docs/layers/. */
export interface RunEvent {
  readonly id: string;
  readonly type: 'run_started' | 'pydantic_ai_event' | 'run_succeeded' | 'run_failed' | 'run_cancelled';
  readonly data: {
    readonly event_kind?: string;
    readonly part?: Part;
    readonly delta?: { readonly part_delta_kind: string; readonly content_delta: string };
    /** What a tool came back with; or, as `retry-prompt`, what was wrong with its call. */
    readonly result?: Part;
    readonly output?: unknown;
    /** Instead of `output`: the run ended with a question. */
    readonly deferred_tool_call?: { readonly tool_call_id: string; readonly args: Question };
    readonly session_snapshot?: SessionSnapshot;
    readonly error?: string;
  };
}

interface Part {
  readonly part_kind: string;
  readonly content?: unknown;
  readonly tool_name?: string;
  readonly args?: unknown;
}

/** What the model asks a person. */
export interface Question {
  readonly question: string;
  readonly fields: readonly { readonly name: string; readonly label: string; readonly type: string }[];
  readonly actions: readonly { readonly id: string; readonly label: string }[];
}

/** What resumes a session. Post it back as it came. */
export interface SessionSnapshot {
  readonly schema_version: number;
  readonly layers: readonly {
    readonly name: string;
    readonly lifecycle_state: string;
    readonly runtime_state: unknown;
  }[];
}

const composition = {
  layers: [
    { name: 'prompt', type: 'plain.prompt', config: { user: 'Count to five.' } },
    {
      name: 'llm',
      type: 'test.scripted_llm',
      config: {
        turns: [
          {
            items: ['one', ', two', ', three', ', four', ', five'].map((text) => ({ text, delay_ms: 150 })),
          },
        ],
      },
    },
  ],
};

async function main(baseUrl: string): Promise<void> {
  const runId = await startRun(baseUrl, { composition });
  for await (const event of followRun(baseUrl, runId)) {
    // A text part arrives as one `part_start` with its first piece, then deltas.
    const { part, delta } = event.data;
    if (event.data.event_kind === 'part_start' && part?.part_kind === 'text')
      process.stdout.write(String(part.content));
    if (delta?.part_delta_kind === 'text') process.stdout.write(delta.content_delta);
    if (event.type === 'run_succeeded') console.log(`\nanswer: ${String(event.data.output)}`);
    if (event.type === 'run_failed') throw new Error(`the run failed: ${event.data.error ?? ''}`);
  }
}

/** Posts a run; it executes in the background whether somebody watches or not. */
export async function startRun(baseUrl: string, request: unknown): Promise<string> {
  const response = await fetch(`${baseUrl}/runs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  const { run_id: runId } = (await response.json()) as { run_id: string }; // docs/http-api.md
  return runId;
}

/** Posts a run and waits for its end. Throws when it does not succeed. */
export async function runToEnd(baseUrl: string, request: unknown): Promise<RunEvent['data']> {
  for await (const event of followRun(baseUrl, await startRun(baseUrl, request))) {
    if (event.type === 'run_succeeded') return event.data;
    if (event.type === 'run_failed' || event.type === 'run_cancelled') throw new Error(event.data.error ?? event.type);
  }
  throw new Error('the stream ended before the run did');
}

/**
 * The events of a run, each exactly once, ending after the terminal event. A connection that drops is opened again
 * after the last event seen; five failures in a row without an event in between are given up.
 */
export async function* followRun(baseUrl: string, runId: string): AsyncGenerator<RunEvent> {
  let cursor = '0-0';
  for (let failures = 0; failures < 5; ) {
    try {
      const response = await fetch(`${baseUrl}/runs/${runId}/events/sse?after=${cursor}`);
      if (response.status >= 400 && response.status < 500) throw new GivenUp(`${response.status}`); // asking again will not help
      if (!response.ok || response.body === null) throw new Error(`HTTP ${response.status}`);
      for await (const event of readEvents(response.body)) {
        cursor = event.id;
        failures = 0;
        yield event;
        if (event.type !== 'run_started' && event.type !== 'pydantic_ai_event') return;
      }
      failures += 1; // the stream ended before the run did, e.g. because the server restarts
    } catch (error) {
      if (error instanceof GivenUp) throw error;
      failures += 1;
    }
    await new Promise((resolve) => setTimeout(resolve, 200 * failures));
  }
  throw new GivenUp(`lost the stream of run ${runId} after ${cursor}`);
}

class GivenUp extends Error {}

/** Splits a body into frames. Each has `id`, `event` and one `data` line; lines that begin with `:` are heartbeats. */
async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<RunEvent> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    const frames = text.split('\n\n');
    text = frames.pop() ?? '';
    for (const frame of frames) {
      const data = frame.split('\n').find((line) => line.startsWith('data: '));
      if (data !== undefined) yield JSON.parse(data.slice('data: '.length)) as RunEvent; // docs/http-api.md
    }
  }
}

if (import.meta.main) void main(process.argv[2] ?? process.env.BASE_URL ?? 'http://127.0.0.1:8000');
