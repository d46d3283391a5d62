// Many streams of many runs through an unruly proxy, read by the client in a process of its own; each stream is compared with
// the run's events as the server lists them. A short version runs in `npm test`, a long one from the command line:
//   bun test/client/many.ts [--streams N] [--events N] [--rounds N]

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Client } from '../../src/client/client.ts';
import { ROOT } from '../support/binary.ts';
import { createRun, scripted } from '../support/runs.ts';
import { withServer } from '../support/server.ts';
import { digestOf, type Plan, type Report } from './many-streams.ts';
import { type Fate, startUnrulyProxy } from './unruly-proxy.ts';

export interface ManyOptions {
  readonly runs: number;
  /** Streams of each run. */
  readonly readers: number;
  /** Pieces of text of each run. */
  readonly pieces: number;
  /** Between two pieces. */
  readonly pieceDelayMs: number;
  readonly seed: number;
}

export interface ManyResult extends Report {
  /** Streams whose events are not those of their run, each once and in order. */
  readonly wrong: readonly string[];
  readonly fates: Readonly<Record<Fate, number>>;
}

/** Runs, streams, compares. */
export function manyStreams({ runs, readers, pieces, pieceDelayMs, seed }: ManyOptions): Promise<ManyResult> {
  // A run's pieces shall be events of their own, whatever the time between them.
  const env = { DIFY_AGENT_STREAM_TEXT_DELTA_COALESCING_ENABLED: 'false' };
  return withServer({ env }, async (server) => {
    const proxy = await startUnrulyProxy({ targetPort: server.port, seed, maxDelayMs: 100, maxBytes: 8_000 });
    try {
      const body = scripted([[{ text: 'x', delay_ms: pieceDelayMs, repeat: pieces }]]);
      const runIds = await Promise.all(Array.from({ length: runs }, () => createRun(server.url, body)));
      const plan: Plan = { url: proxy.url, runIds, readers, idleTimeoutMs: 3_000, reconnectDelayMs: 20 };
      const report = await readApart(plan);
      const direct = new Client({ baseUrl: server.url });
      const wrong: string[] = [];
      for (const [index, runId] of runIds.entries()) {
        const expected = digestOf(await listed(direct, runId));
        for (const digest of report.digests[index] ?? [])
          if (digest !== expected) wrong.push(`${digest} is not ${expected}`);
      }
      return { ...report, wrong, fates: { ...proxy.fates } };
    } finally {
      await proxy.close();
    }
  });
}

/** All ids of a run, page by page. */
async function listed(client: Client, runId: string): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let after = '0-0'; ; ) {
    const { events, next_cursor } = await client.getEvents(runId, { after, limit: 500 });
    if (events.length === 0) return ids;
    ids.push(...events.map(({ id }) => id));
    after = next_cursor ?? after;
  }
}

async function readApart(plan: Plan): Promise<Report> {
  const streams = plan.runIds.length * plan.readers;
  const child = Bun.spawn([process.execPath, join(ROOT, 'test/client/many-streams.ts')], {
    stdin: new Blob([JSON.stringify(plan)]),
    stdout: 'pipe',
    stderr: 'inherit',
    // Bun's own limit is 256 at once.
    env: { PATH: process.env.PATH ?? '', BUN_CONFIG_MAX_HTTP_REQUESTS: String(streams + 50) },
  });
  const text = await child.stdout.text();
  if ((await child.exited) !== 0) throw new Error(`the reading process ended with ${child.exitCode}`);
  return JSON.parse(text) as Report; // many-streams.ts wrote it
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      streams: { type: 'string', default: '1000' },
      events: { type: 'string', default: '300' },
      rounds: { type: 'string', default: '5' },
    },
  });
  for (let seed = 1; seed <= Number(values.rounds); seed += 1) {
    const runs = 50;
    const readers = Number(values.streams) / runs;
    const result = await manyStreams({ runs, readers, pieces: Number(values.events), pieceDelayMs: 40, seed });
    const { events, failures, wrong, fates, maxRssMegabytes: rss, elapsedMs } = result;
    console.log(`seed ${seed}: ${runs * readers} streams, ${events} events in ${(elapsedMs / 1000).toFixed(1)} s`);
    console.log(`  ${rss.toFixed(0)} MB at most, ${JSON.stringify(fates)}`);
    console.log(
      `  ${wrong.length} wrong, ${failures.length} failed ${[...wrong, ...failures].slice(0, 3).join(' | ')}`,
    );
    if (wrong.length + failures.length > 0 || rss > 150) process.exitCode = 1;
  }
}

if (import.meta.main) void main();
