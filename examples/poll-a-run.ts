// Poll a run: post a composition, ask for its events until the terminal one, print the answer.
//
// Needs a running server that has the scripted model: README.md of this folder starts one.
//
//   npx bun examples/poll-a-run.ts        (another address: npx bun examples/poll-a-run.ts http://127.0.0.1:5050)
//
// Nothing but fetch is needed. The model here is scripted, so that it works without keys; `pluginModel` at the end
// shows the layers that ask a real one through Dify's plugin daemon.

interface RunEvent {
  readonly id: string;
  readonly type: string;
  readonly data: { readonly event_kind?: string; readonly output?: unknown; readonly error?: string };
}

/** A composition is a list of layers. `llm` is the reserved name of the model. */
const composition = {
  layers: [
    {
      name: 'prompt',
      type: 'plain.prompt',
      config: { prefix: 'You are terse.', user: 'Which river flows through Vienna?' },
    },
    {
      name: 'llm',
      type: 'test.scripted_llm',
      config: { turns: [{ items: [{ text: 'The ' }, { text: 'Danube.', delay_ms: 300 }] }] },
    },
  ],
};

async function main(baseUrl: string): Promise<void> {
  const created = await fetchJson<{ run_id: string }>(`${baseUrl}/runs`, { composition });
  const run = `${baseUrl}/runs/${created.run_id}`;
  console.log(`run ${created.run_id} was accepted`);

  // `after` is exclusive: each page begins where the last one ended. A page may be empty while the model thinks.
  let cursor = '0-0';
  for (;;) {
    const page = await fetchJson<{ events: RunEvent[]; next_cursor: string | null }>(`${run}/events?after=${cursor}`);
    cursor = page.next_cursor ?? cursor;
    for (const event of page.events) {
      console.log(`${event.id}  ${event.type} ${event.data.event_kind ?? ''}`);
      if (event.type === 'run_succeeded') {
        console.log(`answer: ${String(event.data.output)}`);
        return;
      }
      // run_failed and run_cancelled are the other two ends; `error` says why.
      if (event.type === 'run_failed' || event.type === 'run_cancelled') {
        throw new Error(`${event.type}: ${event.data.error ?? ''}`);
      }
    }
    if (page.events.length === 0) await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** POST when there is a body, else GET. A 4xx or 5xx answer carries `{"detail": …}`. */
async function fetchJson<T>(url: string, body?: unknown): Promise<T> {
  const response = await fetch(url, {
    ...(body === undefined
      ? {}
      : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text}`);
  return JSON.parse(text) as T; // the server's documented shapes: docs/http-api.md
}

/** The two layers that replace the scripted `llm` when a plugin daemon is configured (DIFY_AGENT_PLUGIN_DAEMON_URL). */
export const pluginModel = [
  { name: 'execution_context', type: 'dify.execution_context', config: { tenant_id: '<your tenant>', user_id: 'me' } },
  {
    name: 'llm',
    type: 'dify.plugin.llm',
    deps: { execution_context: 'execution_context' },
    config: {
      plugin_id: 'langgenius/openai',
      model_provider: 'openai',
      model: 'gpt-4o-mini',
      credentials: { openai_api_key: '<your key>' },
    },
  },
];

if (import.meta.main) void main(process.argv[2] ?? process.env.BASE_URL ?? 'http://127.0.0.1:8000');
