// The measurements of issue SLICE, one function each: start, idle memory, cost of a chunk, idle streams, active runs. Each starts its own server on the store it is given and returns figures; run.ts repeats and prints them.

import { freePort } from '../faults/kill-loop.ts';
import { FOREVER, plugin, scripted } from '../support/runs.ts';
import { DAEMON_KEY, startProcess, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';
import { startDaemonProcess } from './daemon-process.ts';
import { driveApart } from './driver.ts';
import { Connection, getRequest, postRequest } from './http1.ts';
import { megabytes } from './proc.ts';
import { type BenchStore, sqliteStore, withStore } from './stores.ts';

/** A run with one chunk from the scripted model. */
const ONE_CHUNK = JSON.stringify(scripted([[{ text: 'x' }]]));
/** A run that says something and then nothing for ever. */
const LONG_RUN = postRequest('/runs', JSON.stringify(scripted([[{ text: 'a' }, FOREVER]])));

/** Milliseconds from spawning the binary to its first 200 of `path`. */
export async function startUp(store: BenchStore = sqliteStore, path = '/healthz'): Promise<number> {
  return store.withPlace(async (place) => {
    const port = await freePort();
    const started = performance.now();
    const running = await startProcess({ env: { ...place, DIFY_AGENT_PORT: String(port) } });
    try {
      await until(
        'the first 200',
        async () => (await fetch(`http://127.0.0.1:${port}${path}`, { proxy: false } as RequestInit)).status === 200,
        { everyMs: 0 },
      );
      return performance.now() - started;
    } finally {
      await running.dispose();
    }
  });
}

/** Resident MB of a server that answered its first requests. */
export async function idleMemory(store: BenchStore = sqliteStore): Promise<number> {
  return withStore(store, {}, async (server) => settledMegabytes(server.pid));
}

/** What a run of `chunks` chunks costs beyond the fake daemon's own time, in µs per chunk. */
export async function chunkCost(
  chunks: number,
  runs: number,
  store: BenchStore = sqliteStore,
): Promise<{ readonly perChunkMicros: number; readonly fakeMs: number; readonly runMs: number }> {
  const warmUp = Math.ceil(runs / 4);
  const daemon = await startDaemonProcess(chunks, 2 * (runs + warmUp));
  try {
    const direct = await driveApart({
      url: daemon.url,
      body: daemonRequest(),
      direct: {
        path: '/plugin/tenant-1/dispatch/llm/invoke',
        headers: { 'X-Api-Key': DAEMON_KEY, 'X-Plugin-ID': 'langgenius/openai' },
      },
      concurrency: 1,
      runs,
      warmUp,
    });
    const through = await withStore(store, { DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url }, (server) =>
      driveApart({ url: server.url, body: JSON.stringify(plugin()), concurrency: 1, runs, warmUp }),
    );
    if (through.frames !== chunks + 4) throw new Error(`${through.frames} frames for ${chunks} chunks`);
    return {
      perChunkMicros: ((through.p50 - direct.p50) * 1000) / chunks,
      fakeMs: direct.p50,
      runMs: through.p50,
    };
  } finally {
    daemon.stop();
  }
}

/** What `count` SSE streams on one silent run add to the resident memory, in MB. Twenty came and went before. */
export async function idleStreams(count: number, store: BenchStore = sqliteStore): Promise<number> {
  return withStore(store, {}, async (server) => {
    const [runId = ''] = await startRuns(server, 1);
    closeAll(await openStreams(server, runId, 20));
    const before = await settledMegabytes(server.pid);
    const connections = await openStreams(server, runId, count);
    const after = await settledMegabytes(server.pid);
    closeAll(connections);
    return after - before;
  });
}

/** Opens `count` SSE streams on a run; each has sent its first bytes. */
export async function openStreams(server: TestServer, runId: string, count: number): Promise<readonly Connection[]> {
  const connections = Array.from({ length: count }, () => new Connection(server.url));
  for (const batch of inBatches(connections, 50)) {
    await Promise.all(batch.map((connection) => connection.open(getRequest(`/runs/${runId}/events/sse`))));
  }
  return connections;
}

/** Closes them all. */
export function closeAll(connections: readonly Connection[]): void {
  for (const connection of connections) connection.close();
}

/** What an active run (scripted, in the middle of a long delay) adds to the resident memory, in KB. */
export interface ActiveRuns {
  /** Of a server's first tenth of `count`, with what its code and its heap take the first time. */
  readonly first: number;
  /** Of the nine tenths that follow. */
  readonly more: number;
}

/** The resident memory of `count` active runs, posted one after the other to a server that ran a thousand before. */
export async function activeRuns(count: number, store: BenchStore = sqliteStore): Promise<ActiveRuns> {
  return withStore(store, {}, async (server) => {
    const { url, pid } = server;
    await driveApart({ url, body: ONE_CHUNK, concurrency: 50, runs: 1_000, warmUp: 0 });
    const few = Math.ceil(count / 10);
    const before = await settledMegabytes(pid);
    await startAndCount(url, few, few);
    const between = await settledMegabytes(pid);
    await startAndCount(url, count - few, count);
    const after = await settledMegabytes(pid);
    return { first: ((between - before) * 1024) / few, more: ((after - between) * 1024) / (count - few) };
  });
}

/** Posts runs that never end; resolves when so many are active in all. */
async function startAndCount(url: string, runs: number, active: number): Promise<void> {
  const connection = new Connection(url);
  for (let left = runs; left > 0; left -= 1) await connection.send(LONG_RUN);
  connection.close();
  // Not on that connection: the status is only told to who names this machine as the host.
  await until('the runs to be active', async () =>
    (await (await fetch(`${url}/internal/status`, { proxy: false })).text()).includes(`"active":${active},`),
  );
}

async function startRuns(server: TestServer, count: number): Promise<readonly string[]> {
  const connection = new Connection(server.url);
  const runIds: string[] = [];
  for (let index = 0; index < count; index += 1) {
    runIds.push(/"run_id":"([^"]+)"/.exec((await connection.send(LONG_RUN)).body)?.[1] ?? '');
  }
  for (const runId of runIds) {
    await until('a run to be active', async () =>
      (await connection.send(getRequest(`/runs/${runId}/events`))).body.includes('final_result'),
    );
  }
  connection.close();
  return runIds;
}

function* inBatches<T>(values: readonly T[], size: number): Generator<readonly T[]> {
  for (let index = 0; index < values.length; index += size) yield values.slice(index, index + size);
}

/** A model request as the server sends it. */
function daemonRequest(): string {
  const data = {
    provider: 'openai',
    model_type: 'llm',
    model: 'gpt-4o-mini',
    credentials: { openai_api_key: 'sk-golden' },
    prompt_messages: [{ role: 'user', content: 'x', name: null }],
    model_parameters: {},
    tools: null,
    stop: null,
    stream: true,
  };
  return JSON.stringify({ data, user_id: 'user-1' });
}

/** Resident memory in MB once it stands still: five readings 100 ms apart within 0.2 MB, or the last after 5 s. */
async function settledMegabytes(pid: number): Promise<number> {
  const readings: number[] = [];
  for (let left = 50; left > 0; left -= 1) {
    readings.push(megabytes(pid));
    const last = readings.slice(-5);
    if (last.length === 5 && Math.max(...last) - Math.min(...last) < 0.2) break;
    await Bun.sleep(100);
  }
  return readings.at(-1) ?? Number.NaN;
}
