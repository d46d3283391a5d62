// Resume a conversation: the second turn continues where the first one ended. The server keeps no session of yours:
// a run ends with a *session snapshot*, and whoever posts it with the next run goes on from there.
//
// Needs a running server that has the scripted model: README.md of this folder starts one.
//
//   npx bun examples/resume-a-conversation.ts     (another address: … http://127.0.0.1:5050)
//
// To ask a real model, replace the layer `llm` by the two layers in `pluginModel` of poll-a-run.ts.

interface Snapshot {
  readonly schema_version: number;
  readonly layers: readonly {
    readonly name: string;
    readonly lifecycle_state: string;
    readonly runtime_state: { readonly messages?: readonly { readonly kind: string }[] };
  }[];
}

interface Turn {
  readonly output: unknown;
  readonly snapshot: Snapshot;
}

async function main(baseUrl: string): Promise<void> {
  const first = await ask(baseUrl, 'My name is Ada. Who am I?', 'You are Ada.', null);
  console.log(`first answer: ${String(first.output)}`);
  const second = await ask(baseUrl, 'Spell it backwards.', 'adA', first.snapshot);
  console.log(`second answer: ${String(second.output)}`);
  const history = second.snapshot.layers.find((layer) => layer.name === 'history');
  console.log(`the snapshot now holds ${history?.runtime_state.messages?.length ?? 0} messages`);
}

/** One turn: `answer` is what the scripted model says; a real model would see the whole conversation. */
async function ask(baseUrl: string, question: string, answer: string, snapshot: Snapshot | null): Promise<Turn> {
  const request = {
    composition: {
      // The layers of a resumed run must have the same names in the same order as those in the snapshot.
      layers: [
        { name: 'prompt', type: 'plain.prompt', config: { prefix: 'You are terse.', user: question } },
        { name: 'llm', type: 'test.scripted_llm', config: { turns: [{ items: [{ text: answer }] }] } },
        { name: 'history', type: 'pydantic_ai.history' },
      ],
    },
    session_snapshot: snapshot,
    // What layers do at the end: `suspend` (they can be resumed, the default) or `delete` (the conversation is over).
    on_exit: { default: 'suspend' },
  };
  const response = await fetch(`${baseUrl}/runs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  const { run_id: runId } = (await response.json()) as { run_id: string }; // docs/http-api.md

  // The stream ends after the terminal event, so its whole text can be read when nobody watches live.
  const stream = await fetch(`${baseUrl}/runs/${runId}/events/sse`);
  const frames = (await stream.text()).split('\n\n').filter((frame) => frame.includes('data: '));
  const last = frames.at(-1)?.split('data: ')[1] ?? 'null';
  const event = JSON.parse(last) as {
    type: string;
    data: { output: unknown; session_snapshot: Snapshot; error?: string };
  }; // docs/http-api.md
  if (event.type !== 'run_succeeded') throw new Error(`${event.type}: ${event.data.error ?? ''}`);
  return { output: event.data.output, snapshot: event.data.session_snapshot };
}

if (import.meta.main) void main(process.argv[2] ?? process.env.BASE_URL ?? 'http://127.0.0.1:8000');
