// The measurements of issue AGENT, one function each: what a run with tools adds to the daemon's own time, how long a
// large snapshot takes to resume, and whether finished runs leave the heap.

import { heapStats } from 'bun:jsc';
import { createApp } from '../../src/app.ts';
import { loadSettings } from '../../src/config/load.ts';
import { noopLogger } from '../../src/observe/logger.ts';
import { agent, call } from '../support/agent-runs.ts';
import { plugin, scripted } from '../support/runs.ts';
import { DAEMON_KEY, defaultEnv } from '../support/server.ts';
import { BENCH_TOOL, startAgentDaemon, TOOL_ROUNDS } from './agent-daemon.ts';
import { driveApart, percentile } from './driver.ts';
import { Connection, getRequest, postRequest } from './http1.ts';
import { type BenchStore, withStore } from './stores.ts';

/** What runs of the tool profile take, in ms: with us between, without us, and the difference of the medians. */
export interface ToolCost {
  readonly ownMs: number;
  readonly runMs: number;
  readonly daemonMs: number;
}

/** Two tool rounds and 100 chunks (spec 07 §6.1), one run at a time. */
export async function toolRounds(runs: number, store: BenchStore): Promise<ToolCost> {
  const warmUp = Math.ceil(runs / 5);
  const daemon = await startAgentDaemon(2 * (runs + warmUp));
  try {
    const direct = new Connection(daemon.url);
    const alone: number[] = [];
    for (let left = runs + warmUp; left > 0; left -= 1) alone.push(await timed(() => askDirectly(direct)));
    direct.close();
    const body = JSON.stringify(withTool());
    const through = await withStore(store, { DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url }, ({ url }) =>
      driveApart({ url, body, concurrency: 1, runs, warmUp }),
    );
    const daemonMs = percentile(alone.slice(warmUp), 0.5);
    return { ownMs: through.p50 - daemonMs, runMs: through.p50, daemonMs };
  } finally {
    daemon.stop();
  }
}

/** The requests of one run, without us: the daemon's own time, and its timers' as they really are. */
async function askDirectly(connection: Connection): Promise<void> {
  const headers = { 'X-Api-Key': DAEMON_KEY, 'X-Plugin-ID': 'langgenius/openai' };
  const ask = async (kind: string, data: object) => {
    const { status } = await connection.send(
      postRequest(`/plugin/tenant-1/dispatch/${kind}/invoke`, JSON.stringify({ data, user_id: 'user-1' }), headers),
    );
    if (status !== 200) throw new Error(`the daemon answered ${status}`);
  };
  for (let round = 0; round < TOOL_ROUNDS; round += 1) {
    await ask('llm', MODEL_REQUEST);
    await ask('tool', TOOL_REQUEST);
  }
  await ask('llm', MODEL_REQUEST);
}

const MODEL_REQUEST = {
  ...{ provider: 'openai', model_type: 'llm', model: 'm', credentials: {} },
  prompt_messages: [{ role: 'user', content: 'x', name: null }],
  ...{ model_parameters: {}, tools: null, stop: null, stream: true },
};
const TOOL_REQUEST = {
  ...{ provider: 'benchmark', tool: BENCH_TOOL, credentials: {}, credential_type: 'api-key' },
  tool_parameters: { query: 'benchmark' },
};

function withTool(): object {
  const { composition } = plugin() as unknown as { readonly composition: { readonly layers: readonly object[] } }; // test/support/runs.ts
  const parameters = [{ name: 'query', type: 'string', form: 'llm', required: true }];
  const tool = {
    ...{ plugin_id: 'benchmark/tool', provider: 'benchmark', tool_name: BENCH_TOOL, credential_type: 'api-key' },
    parameters,
    parameters_json_schema: { type: 'object', properties: { query: { type: 'string' } }, required: ['query'] },
  };
  const tools = { name: 'tools', type: 'dify.plugin.tools', deps: { execution_context: 'execution_context' } };
  return { composition: { layers: [...composition.layers, { ...tools, config: { tools: [tool] } }] } };
}

/** Milliseconds (median) from posting a snapshot of `bytes` to having read the terminal event, which carries it again. */
export async function resume(bytes: number, runs: number, store: BenchStore): Promise<number> {
  const body = JSON.stringify(scripted([[{ text: 'ok' }]], { history: true, snapshot: largeSnapshot(bytes) }));
  return withStore(store, {}, async ({ url }) => {
    const connection = new Connection(url);
    const times: number[] = [];
    for (let left = runs; left > 0; left -= 1) times.push(await timed(() => resumeOnce(url, body, connection)));
    connection.close();
    return percentile(times, 0.5);
  });
}

async function resumeOnce(url: string, body: string, connection: Connection): Promise<void> {
  const response = await fetch(`${url}/runs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    proxy: false,
  });
  const text = await response.text();
  const runId = /"run_id":"([^"]+)"/.exec(text)?.[1];
  if (runId === undefined) throw new Error(`POST: ${response.status} ${text}`);
  const stream = await connection.send(getRequest(`/runs/${runId}/events/sse`));
  if (!stream.body.includes('\nevent: run_succeeded\n')) throw new Error(`no success: ${stream.body.slice(0, 500)}`);
}

/** A conversation of questions, tool calls, their results and answers, about so many bytes as JSON. */
export function largeSnapshot(bytes: number): object {
  const at = '2026-06-01T08:00:00.000210Z';
  const provider = { id: null, provider_name: 'P', provider_details: null };
  const turn = (index: number) => [
    {
      parts: [{ content: `question ${index} ${'q'.repeat(200)}`, timestamp: at, part_kind: 'user-prompt' }],
      kind: 'request',
    },
    {
      parts: [{ tool_name: 'f', args: '{"a":1}', tool_call_id: `c${index}`, ...provider, part_kind: 'tool-call' }],
      ...{ model_name: 'm', timestamp: at, kind: 'response' },
    },
    {
      parts: [
        {
          tool_name: 'f',
          content: 'r'.repeat(800),
          tool_call_id: `c${index}`,
          timestamp: at,
          part_kind: 'tool-return',
        },
      ],
      kind: 'request',
    },
    {
      parts: [{ content: 'a'.repeat(400), ...provider, part_kind: 'text' }],
      ...{ model_name: 'm', timestamp: at, kind: 'response' },
    },
  ];
  const count = Math.ceil(bytes / JSON.stringify(turn(0)).length);
  const messages = Array.from({ length: count }, (_, index) => turn(index)).flat();
  const suspended = (name: string, state: object) => ({ name, lifecycle_state: 'suspended', runtime_state: state });
  return { layers: [suspended('prompt', {}), suspended('llm', {}), suspended('history', { messages })] };
}

/** Heap in MB after the first and after all runs: a whole server in this process, collected before each reading. */
export async function heapAfter(
  first: number,
  all: number,
  store: BenchStore,
): Promise<{ readonly firstMegabytes: number; readonly allMegabytes: number }> {
  const body = JSON.stringify(
    agent([[{ thinking: 'hm' }, call('c1', 'echo', { n: 1 })], [{ text: 'ok' }]], {
      tools: [{ name: 'echo' }],
      history: true,
    }),
  );
  return store.withPlace(async (place) => {
    const loaded = loadSettings({ ...defaultEnv(), ...place }, null);
    if (!loaded.ok) throw new Error(loaded.problems.join('; '));
    const app = createApp(loaded.settings, { logger: noopLogger });
    try {
      const { url } = await app.start();
      const drive = (runs: number) => driveApart({ url, body, concurrency: 20, runs, warmUp: 0 });
      await drive(first);
      const firstMegabytes = await settledHeap();
      await drive(all - first);
      return { firstMegabytes, allMegabytes: await settledHeap() };
    } finally {
      await app.stop({ hurry: AbortSignal.abort() });
    }
  });
}

/** MB of live objects: collects until two readings agree within a percent, at most 20 times. */
async function settledHeap(): Promise<number> {
  let last = Number.POSITIVE_INFINITY;
  for (let left = 20; left > 0; left -= 1) {
    Bun.gc(true);
    const now = heapStats().heapSize / 2 ** 20;
    if (Math.abs(last - now) < now / 100) return now;
    last = now;
    await Bun.sleep(100);
  }
  return last;
}

async function timed(run: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await run();
  return performance.now() - started;
}
