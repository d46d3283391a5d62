// The measurements of issue REDIS, one function each, over HTTP on any store: many chunks stored and streamed, one-chunk
// runs, a long replay; and on Redis what they cost there: commands and connections.

import type { AdminClient } from '../support/redis-process.ts';
import { plugin } from '../support/runs.ts';
import { until } from '../support/until.ts';
import { startDaemonProcess } from './daemon-process.ts';
import { type DriverResult, driveApart, driveWarm, percentile, warmRuns } from './driver.ts';
import { readFrames } from './frames.ts';
import { Connection, getRequest, postRequest } from './http1.ts';
import { closeAll, openStreams } from './measures.ts';
import { type BenchStore, withStore } from './stores.ts';

/** Events of a run that are not chunks: started, final_result, part_end, succeeded. */
export const EVENTS_BESIDE_CHUNKS = 4;
/** The longest run seen in production (spec 07 §5). */
export const LONGEST_RUN_EVENTS = 78_098;

const BODY = JSON.stringify(plugin());

/** How many runs of how many chunks, all at once. */
export interface Load {
  readonly runs: number;
  readonly chunks: number;
  readonly concurrency: number;
  /** Between two chunks of a run, ms. Default 0: as fast as they go. */
  readonly gapMs?: number;
}

/** Events per second from the fake daemon through the store to an SSE client each, and runs per second. */
export async function streaming(
  store: BenchStore,
  load: Load,
): Promise<DriverResult & { readonly eventsPerSecond: number; readonly cpuMsPerRun: number }> {
  const { runs, chunks, concurrency } = load;
  // As many chunks at least as it takes for code to get fast.
  const warmUp = Math.min(runs, concurrency * (chunks === 1 ? 10 : 1));
  const daemon = await startDaemonProcess(chunks, warmRuns({ runs, warmUp, concurrency }));
  try {
    return await withStore(store, { DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url }, async ({ url, pid }) => {
      const result = await driveWarm(pid, { url, body: BODY, concurrency, runs, warmUp });
      mustHave(result.frames, chunks);
      return { ...result, eventsPerSecond: result.perSecond * result.frames };
    });
  } finally {
    daemon.stop();
  }
}

/** Events per second of reading a finished run over SSE from its beginning, the median of three. */
export async function replay(store: BenchStore, events: number = LONGEST_RUN_EVENTS): Promise<number> {
  const chunks = events - EVENTS_BESIDE_CHUNKS;
  const daemon = await startDaemonProcess(chunks, 1, 50);
  try {
    return await withStore(store, { DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url }, async ({ url }) => {
      const connection = new Connection(url);
      const created = await connection.send(postRequest('/runs', BODY));
      const path = `/runs/${/"run_id":"([^"]+)"/.exec(created.body)?.[1]}`;
      await until(
        'the run to end',
        async () => (await connection.send(getRequest(path))).body.includes('"succeeded"'),
        { timeoutMs: 120_000, everyMs: 50 },
      );
      connection.close();
      const rates: number[] = [];
      for (let reading = 0; reading < 3; reading += 1) {
        const { frames, seconds } = await readFrames(url, `${path}/events/sse`);
        mustHave(frames, chunks);
        rates.push(events / seconds);
      }
      return percentile(rates, 0.5);
    });
  } finally {
    daemon.stop();
  }
}

function mustHave(frames: number, chunks: number): void {
  if (frames !== chunks + EVENTS_BESIDE_CHUNKS) throw new Error(`${frames} frames for ${chunks} chunks`);
}

/** What one load costs in Redis. */
export interface Commands {
  /** Commands that the server sent, those inside scripts not counted. */
  readonly sent: number;
  readonly events: number;
  readonly perEvent: number;
  /** INFO commandstats: calls of each command, those inside scripts counted. */
  readonly calls: Readonly<Record<string, number>>;
}

/** Commands sent to Redis per event, from the moment the server is ready; measured with MONITOR, so not timed. */
export async function commands(store: BenchStore, load: Load): Promise<Commands> {
  const { redis } = store;
  if (redis === null) throw new Error('only Redis has commands');
  const daemon = await startDaemonProcess(load.chunks, load.runs, 1, load.gapMs);
  try {
    return await withStore(store, { DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url }, async ({ url }) =>
      redis.admin(async (client) => {
        const monitor = await watchCommands(redis.port);
        await client.configResetStat();
        const { runs, concurrency } = load;
        const { frames } = await driveApart({ url, body: BODY, concurrency, runs, warmUp: 0 });
        const calls = callsOf(await client.info('commandstats'));
        // The client's own two commands.
        const sent = (await monitor.stop()) - 2;
        const events = runs * frames;
        return { sent, events, perEvent: sent / events, calls };
      }),
    );
  } finally {
    daemon.stop();
  }
}

/** Counts the commands of all clients, without those that scripts call (`[0 lua]`). */
async function watchCommands(port: number): Promise<{ stop(): Promise<number> }> {
  let count = -1; // the +OK of MONITOR itself
  let rest = '';
  const ready = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname: '127.0.0.1',
    port,
    socket: {
      data(_, bytes) {
        const lines = (rest + bytes.toString('latin1')).split('\r\n');
        rest = lines.pop() ?? '';
        for (const line of lines) if (!/^\+[\d.]+ \[\d+ lua\]/.test(line)) count += 1;
        ready.resolve();
      },
    },
  });
  socket.write('MONITOR\r\n');
  await ready.promise;
  return {
    async stop() {
      let before = -1;
      // Until nothing arrives any more.
      while (before !== count) {
        before = count;
        await Bun.sleep(100);
      }
      socket.terminate();
      return count;
    },
  };
}

function callsOf(info: string): Readonly<Record<string, number>> {
  return Object.fromEntries(
    [...info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name = '', calls]) => [name, Number(calls)]),
  );
}

/** Connections of one server to Redis with this many SSE streams on one silent run of another process. */
export async function connections(store: BenchStore, streams: readonly number[]): Promise<readonly number[]> {
  const { redis } = store;
  if (redis === null) throw new Error('only Redis has connections');
  return withStore(store, {}, async (server) =>
    redis.admin(async (client) => {
      const runId = crypto.randomUUID();
      const now = new Date().toISOString();
      const record = { run_id: runId, status: 'running', created_at: now, updated_at: now, error: null };
      const key = `dify-agent-bench:runs:${runId}`;
      await client.set(`${key}:record`, JSON.stringify(record), { expiration: { type: 'EX', value: 3600 } });
      const counts: number[] = [];
      for (const count of streams) {
        const open = await openStreams(server, runId, count);
        counts.push(await settledConnections(client));
        closeAll(open);
      }
      return counts;
    }),
  );
}

/** Connections without the one that asks, once two readings 200 ms apart agree: a stream opens its tail when it has caught up. */
async function settledConnections(client: AdminClient): Promise<number> {
  const count = async () => (await client.clientList()).length - 1;
  for (let before = await count(); ; ) {
    await Bun.sleep(200);
    const now = await count();
    if (now === before) return now;
    before = now;
  }
}
