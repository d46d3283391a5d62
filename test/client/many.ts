// Many streams of many runs through an unruly proxy, read by the client in a process of its own; each stream is compared with
// the run's events as the server lists them. A short version runs in `npm test`, the whole one from the command line
// (`--gap`: ms between two pieces of text of a run):
//   bun test/client/many.ts [--streams N] [--runs N] [--pieces N] [--gap MS] [--rounds N] [--runtime bun|node]

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Client } from '../../src/client/client.ts';
import { ROOT } from '../support/binary.ts';
import { createRun, scripted } from '../support/runs.ts';
import { type TestServer, withServer } from '../support/server.ts';
import { Digest, type Plan, type Report } from './many-streams.ts';
import { type Fate, startUnrulyProxy } from './unruly-proxy.ts';

export type Runtime = 'bun' | 'node';

export interface Load {
  readonly runtime: Runtime;
  readonly runs: number;
  /** Streams of each run. */
  readonly readers: number;
  /** Pieces of text of each run. */
  readonly pieces: number;
  /** Between two pieces. */
  readonly pieceDelayMs: number;
  readonly idleTimeoutMs: number;
  readonly seed: number;
}

export interface Outcome extends Report {
  /** Streams whose events are not those of their run, each once and in order. */
  readonly wrong: readonly string[];
  readonly fates: Readonly<Record<Fate, number>>;
  /** Connections to the proxy at the same time. */
  readonly mostOpen: number;
}

/** For a server whose runs publish every piece of text as an event of its own, whatever the time between them. */
export const SEPARATE_EVENTS = { DIFY_AGENT_STREAM_TEXT_DELTA_COALESCING_ENABLED: 'false' } as const;

/** Runs, streams, compares. */
export async function manyStreams(server: TestServer, load: Load): Promise<Outcome> {
  const { runs, readers, pieces, pieceDelayMs, idleTimeoutMs, seed, runtime } = load;
  const proxy = await startUnrulyProxy({ targetPort: server.port, seed, maxDelayMs: 100, maxBytes: 8_000 });
  try {
    const items = Array.from({ length: pieces }, (_, index) => ({
      // A cut may fall into a character, but most text is plain.
      text: index % 8 === 0 ? `${index} é€𝄞\u2028 ` : `piece ${index} `,
      delay_ms: pieceDelayMs,
    }));
    const runIds = await Promise.all(Array.from({ length: runs }, () => createRun(server.url, scripted([items]))));
    const report = await readApart(runtime, { url: proxy.url, runIds, readers, idleTimeoutMs, reconnectDelayMs: 20 });
    const direct = new Client({ baseUrl: server.url });
    const wrong: string[] = [];
    for (const [index, runId] of runIds.entries()) {
      const expected = await listed(direct, runId);
      for (const digest of report.digests[index] ?? []) {
        if (digest !== expected) wrong.push(`${digest} is not ${expected}`);
      }
    }
    return { ...report, wrong, fates: { ...proxy.fates }, mostOpen: proxy.mostOpen };
  } finally {
    await proxy.close();
  }
}

/** The digest of a run's events, page by page. */
async function listed(client: Client, runId: string): Promise<string> {
  const digest = new Digest();
  for (let after = '0-0'; ; ) {
    const { events, next_cursor } = await client.getEvents(runId, { after, limit: 500 });
    if (events.length === 0) return digest.text();
    for (const event of events) digest.add(event);
    after = next_cursor ?? after;
  }
}

/** Reads a plan's streams in a new process. */
async function readApart(runtime: Runtime, plan: Plan): Promise<Report> {
  const streams = plan.runIds.length * plan.readers;
  const folder = mkdtempSync(join(tmpdir(), 'dify-agent-many-'));
  try {
    const built = await Bun.build({
      entrypoints: [join(ROOT, 'test/client/many-streams.ts')],
      outdir: folder,
      naming: 'reader.mjs',
      target: runtime,
      throw: true,
    });
    const file = built.outputs[0]?.path ?? '';
    const child = Bun.spawn([runtime === 'bun' ? process.execPath : 'node', file, 'read'], {
      stdin: new Blob([JSON.stringify(plan)]),
      stdout: 'pipe',
      stderr: 'inherit',
      // Bun's own limit is 256 requests at once.
      env: { PATH: process.env.PATH ?? '', BUN_CONFIG_MAX_HTTP_REQUESTS: String(streams + 50) },
    });
    const text = await child.stdout.text();
    if ((await child.exited) !== 0) throw new Error(`the reading process ended with ${child.exitCode}`);
    return JSON.parse(text) as Report; // many-streams.ts wrote it
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What the process that reads 1,000 streams may take (the issue). */
const MOST_MEGABYTES = 150;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      streams: { type: 'string', default: '1000' },
      runs: { type: 'string', default: '50' },
      pieces: { type: 'string', default: '80' },
      gap: { type: 'string', default: '250' },
      rounds: { type: 'string', default: '3' },
      runtime: { type: 'string', default: 'bun' },
    },
  });
  const runtime: Runtime = values.runtime === 'node' ? 'node' : 'bun';
  const runs = Number(values.runs);
  const readers = Math.ceil(Number(values.streams) / runs);
  await withServer({ env: SEPARATE_EVENTS }, async (server) => {
    for (let seed = 1; seed <= Number(values.rounds); seed += 1) {
      const pieces = Number(values.pieces);
      const pieceDelayMs = Number(values.gap);
      const load: Load = { runtime, runs, readers, pieces, pieceDelayMs, idleTimeoutMs: 5_000, seed };
      const { events, failures, wrong, fates, mostOpen, ...size } = await manyStreams(server, load);
      const good = wrong.length + failures.length === 0;
      const light = size.mostMegabytes < MOST_MEGABYTES;
      const seconds = (size.elapsedMs / 1000).toFixed(1);
      console.log(`seed ${seed}, ${runtime}: ${runs * readers} streams, ${events} events in ${seconds} s`);
      console.log(`  at most ${mostOpen} connections at once; ${JSON.stringify(fates)}`);
      console.log(
        `  ${wrong.length} wrong, ${failures.length} failed ${[...wrong, ...failures].slice(0, 3).join(' | ')}`,
      );
      console.log(
        `  resident: ${size.emptyMegabytes.toFixed(0)} MB empty, ${size.mostMegabytes.toFixed(0)} MB at most; ` +
          `wanted < ${MOST_MEGABYTES} MB: ${light ? 'pass' : 'MISS'}`,
      );
      if (!good || !light) process.exitCode = 1;
    }
  });
}

if (import.meta.main) void main();
