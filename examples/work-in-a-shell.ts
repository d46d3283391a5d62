// Work in a shell: the agent builds a small program in one run and uses it in the next one. The workspace is on shellctl's side
// and lives as long as the session; the snapshot of a run is how the next one finds it.
//
//   npx bun examples/work-in-a-shell.ts      (another address: npx bun examples/work-in-a-shell.ts http://127.0.0.1:5050)
//
// It needs a server with the scripted model and with a shellctl (docs/layers/shell.md). To ask a real model, replace the layer
// `llm` by the two layers in `pluginModel` of poll-a-run.ts.

import { followRun, runToEnd, type SessionSnapshot, startRun } from './stream-a-run.ts';

const BUILD = `cat > primes <<'END'
#!/usr/bin/awk -f
{ for (n = 2; n <= $1; n++) { for (d = 2; d * d <= n && n % d; d++); if (d * d > n) printf "%d ", n }; print "" }
END
chmod +x primes
echo 20 | ./primes`;

async function main(baseUrl: string): Promise<void> {
  const built = await work(baseUrl, 'Write a program that lists primes.', BUILD, 'It works.', null);
  const used = await work(baseUrl, 'Which primes are below 50?', 'echo 49 | ./primes', 'See above.', built);

  // The session is over: a run without a model that deletes what its layers hold.
  const { session_snapshot: closed } = await runToEnd(baseUrl, {
    composition: { layers: layers('', '', '').filter(({ name }) => name !== 'llm') },
    session_snapshot: { ...used, layers: used.layers.filter(({ name }) => name !== 'llm') },
    on_exit: { default: 'delete' },
  });
  console.log(`the shell is ${closed?.layers.find(({ name }) => name === 'shell')?.lifecycle_state}`);
}

/** The scripted model runs `script`, then says `answer`; a real one would do as it is asked. */
function layers(request: string, script: string, answer: string) {
  const call = { id: 'call_1', name: 'shell_run', arguments: { script } };
  return [
    { name: 'prompt', type: 'plain.prompt', config: { user: request } },
    { name: 'shell', type: 'dify.shell', config: { env: [{ name: 'LC_ALL', value: 'C' }] } },
    {
      name: 'llm',
      type: 'test.scripted_llm',
      config: { turns: [{ items: [{ tool_call: call }] }, { items: [{ text: answer }] }] },
    },
  ];
}

/** One run; prints what the shell printed, and resolves with the snapshot that goes on from here. */
async function work(
  baseUrl: string,
  request: string,
  script: string,
  answer: string,
  snapshot: SessionSnapshot | null,
): Promise<SessionSnapshot> {
  const runId = await startRun(baseUrl, {
    composition: { layers: layers(request, script, answer) },
    session_snapshot: snapshot,
    // `suspend` keeps workspace and jobs; it is the default.
    on_exit: { default: 'suspend' },
  });
  for await (const { type, data } of followRun(baseUrl, runId)) {
    if (data.event_kind === 'function_tool_result') {
      const result = data.result?.content as { readonly output?: string; readonly error?: string }; // docs/layers/shell.md
      if (result.output === undefined) throw new Error(result.error);
      console.log(`shell: ${result.output.trim()}`);
    }
    if (type === 'run_failed') throw new Error(data.error);
    if (data.session_snapshot !== undefined) {
      console.log(`answer: ${data.output}`);
      return data.session_snapshot;
    }
  }
  throw new Error('the stream ended before the run did');
}

if (import.meta.main) void main(process.argv[2] ?? process.env.BASE_URL ?? 'http://127.0.0.1:8000');
