// Redis in trouble (redis-faults.ts) in the middle of streaming runs: runs fed by the fake daemon, watched by clients that
// reconnect, half of them at the server that executes the runs and half at another. What every run must look like
// afterwards. Short rounds are tests of `npm test`; long ones are `npm run test:faults`.

import { startCuttingProxy } from '../fakes/cutting-proxy.ts';
import { type FakeDaemon, lastItem, type Reply, startFakeDaemon } from '../fakes/plugin-daemon.ts';
import { follow, poll } from '../support/patient-client.ts';
import type { RedisProcess } from '../support/redis-process.ts';
import { createRun, plugin, type RunBody, runStatus } from '../support/runs.ts';
import { startServer, type TestServer } from '../support/server.ts';
import type { SseFrame } from '../support/sse.ts';
import { TERMINAL_TYPES } from '../support/strict-client.ts';
import { until } from '../support/until.ts';
import { dataOf, mustAscend, mustEqual } from './checks.ts';
import type { Fault, World } from './redis-faults.ts';
import { withOwnRedis } from './site.ts';

/** How large a round is. */
export interface RoundSize {
  readonly runs: number;
  /** Text chunks of each run. */
  readonly chunks: number;
  /** Between two chunks of a run. */
  readonly gapMs: number;
}

/** What a round was about. */
export interface RedisRoundReport {
  readonly events: number;
  /** Events that clients had seen when the fault began, and when it was over. */
  readonly seenBefore: number;
  readonly seenAfter: number;
  /** Streams that were opened in all: more than runs when some were cut. */
  readonly connections: number;
}

const PREFIX = 'fault-test';
const CLEAN_EXIT = JSON.stringify({ code: 0, signal: null });

/** Every so many runs are polled too; odd, so that both servers are. */
const POLLED_EVERY = 7;

/** Every third client hangs up after so many events and comes back, during the fault too. */
const RESTLESS_AFTER = 10;

/** Plays one fault. Throws with what was wrong with a run. */
export async function redisRound(fault: Fault, size: RoundSize): Promise<RedisRoundReport> {
  return withOwnRedis(fault.redis ?? {}, async (redis) => {
    const proxy = await startCuttingProxy(redis.port);
    const daemon = await startFakeDaemon();
    try {
      const env = {
        DIFY_AGENT_STORE_URL: `redis://127.0.0.1:${proxy.port}/0`,
        DIFY_AGENT_REDIS_PREFIX: PREFIX,
        DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url,
      };
      const servers: TestServer[] = [];
      try {
        const server = await startServer({ env });
        servers.push(server);
        const reader = await startServer({ env });
        servers.push(reader);
        const report = await playRound(fault, size, { redis, proxy, server, reader }, daemon);
        for (const started of servers) mustEqual('the exit', [JSON.stringify(await started.stop())], [CLEAN_EXIT]);
        return report;
      } catch (error) {
        const said = servers.map(({ stderrLines }) => stderrLines.slice(-40).join('\n')).join('\n--\n');
        throw new Error(`${fault.name}: the servers said:\n${said}`, { cause: error });
      } finally {
        for (const started of servers) await started.dispose();
      }
    } finally {
      await daemon.stop();
      await proxy.close();
    }
  });
}

async function playRound(fault: Fault, size: RoundSize, world: World, daemon: FakeDaemon): Promise<RedisRoundReport> {
  const { url } = world.server;
  const urlOf = (run: number) => (run % 2 === 0 ? url : world.reader.url);
  let seen = 0;
  const runIds = await Promise.all(
    Array.from({ length: size.runs }, (_, run) => {
      daemon.play({ llm: [replyOf(run, size)] }, `run-${run}`);
      return createRun(url, bodyOf(run));
    }),
  );
  const following = Promise.all(
    runIds.map((runId, run) =>
      follow(urlOf(run), runId, {
        ...(run % 3 === 0 ? { hangUpAfter: RESTLESS_AFTER } : {}),
        onEvent: () => {
          seen += 1;
        },
      }),
    ),
  );
  // Some are also polled all the way through the fault, at the other server.
  const polling = Promise.all(
    runIds.flatMap((runId, run) => (run % POLLED_EVERY === 0 ? [poll(urlOf(run + 1), runId)] : [])),
  );
  polling.catch(() => {}); // awaited below
  following.catch(() => {});
  const third = (size.runs * size.chunks) / 3;
  await until('a third of the events', () => seen >= third, { timeoutMs: 30_000, everyMs: 1 });
  const seenBefore = seen;
  await fault.strike(world);
  const seenAfter = seen;
  const followed = await following;
  const polled = await polling;
  for (const [run, runId] of runIds.entries()) {
    const frames = followed[run]?.frames ?? [];
    await checkRun(urlOf(run), runId, frames, run, size);
    if (run % POLLED_EVERY === 0) {
      mustEqual('what was polled during the fault', polled[run / POLLED_EVERY] ?? [], dataOf(frames));
    }
  }
  await checkStreams(world.redis, runIds, new Map(runIds.map((runId, run) => [runId, followed[run]?.frames ?? []])));
  const connections = followed.reduce((sum, { connections }) => sum + connections, 0);
  const late = await createRunAfter(world, daemon, size);
  return { events: seen + late, seenBefore, seenAfter, connections };
}

/** A new run after the fault is as good as one before it. Returns its number of events. */
async function createRunAfter({ server }: World, daemon: FakeDaemon, size: RoundSize): Promise<number> {
  daemon.play({ llm: [replyOf(size.runs, { ...size, gapMs: 0 })] }, `run-${size.runs}`);
  const runId = await createRun(server.url, bodyOf(size.runs));
  const { frames } = await follow(server.url, runId);
  await checkRun(server.url, runId, frames, size.runs, size);
  return frames.length;
}

function bodyOf(run: number): RunBody {
  return JSON.parse(JSON.stringify(plugin()).replace('"openai_api_key":"sk-golden"', `"script_id":"run-${run}"`));
}

function chunkTexts(run: number, { chunks }: RoundSize): readonly string[] {
  return Array.from({ length: chunks }, (_, chunk) => `${run}.${chunk} `);
}

function replyOf(run: number, size: RoundSize): Reply {
  const texts = chunkTexts(run, size);
  return [...texts.flatMap((text) => (size.gapMs > 0 ? [text, { delay: size.gapMs }] : [text])), lastItem()];
}

/** Ids ascend; stream, pages and daemon agree; one terminal event, the last; nothing twice. */
async function checkRun(
  url: string,
  runId: string,
  frames: readonly SseFrame[],
  run: number,
  size: RoundSize,
): Promise<void> {
  mustAscend(frames.map((frame) => frame.id));
  mustEqual('the pages', await poll(url, runId), dataOf(frames));
  const types = frames.map((frame) => frame.event);
  mustEqual(
    'the terminal events',
    types.filter((type) => TERMINAL_TYPES.includes(type)),
    ['run_succeeded'],
  );
  mustEqual('the last event', types.slice(-1), ['run_succeeded']);
  mustEqual('the first event', types.slice(0, 1), ['run_started']);
  mustEqual('the chunks', textsOf(frames), chunkTexts(run, size));
  const terminal = JSON.parse(frames.at(-1)?.data ?? '') as { data: { output: string } }; // checked by the reader
  mustEqual('the output', [terminal.data.output], [chunkTexts(run, size).join('')]);
  mustEqual('the status', [(await runStatus(url, runId)).status], ['succeeded']);
}

/** The texts of a run's deltas, one for each. */
function textsOf(frames: readonly SseFrame[]): readonly string[] {
  return frames.flatMap((frame) => {
    if (frame.event !== 'pydantic_ai_event') return [];
    const { data } = JSON.parse(frame.data) as {
      data: { event_kind: string; part?: { content: string }; delta?: { content_delta: string } };
    }; // checked by the reader
    if (data.event_kind === 'part_start') return [data.part?.content ?? ''];
    return data.event_kind === 'part_delta' ? [data.delta?.content_delta ?? ''] : [];
  });
}

/** Redis itself holds exactly what was read through the server. */
async function checkStreams(
  redis: RedisProcess,
  runIds: readonly string[],
  frames: ReadonlyMap<string, readonly SseFrame[]>,
): Promise<void> {
  await redis.admin(async (client) => {
    for (const runId of runIds) {
      const entries = (await client.xRange(`${PREFIX}:runs:${runId}:events`, '-', '+')) ?? [];
      const ids = entries.map(({ id }) => id);
      mustEqual(
        `the stream of ${runId} in Redis`,
        ids,
        (frames.get(runId) ?? []).map((frame) => frame.id),
      );
    }
  });
}
