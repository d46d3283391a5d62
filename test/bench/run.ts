// `npm run bench`: the figures of the issues SLICE, REDIS, AGENT and RELIABLE against their limits; medians of blocks, everything on this
// machine's cores. Options: --store sqlite|redis|both (default sqlite; redis starts one of its own; both: each section on one
// and then the other), --blocks N (default 3), --only NAMES of the sections below, --json FILE.
// SQLite alone, the model stream and the comparison of two builds have benches of their own: test/bench/store.ts,
// test/bench/model-stream.ts, test/bench/reliability.ts.

import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { ensureBinary } from '../support/binary.ts';
import { heapAfter, resume, toolRounds } from './agent-measures.ts';
import { percentile } from './driver.ts';
import { activeRuns, chunkCost, idleMemory, idleStreams, startUp, throughput } from './measures.ts';
import { floor } from './redis-floor.ts';
import { cancelTimes, cancelTimesAcross, ownerDeath } from './reliability-measures.ts';
import { commands, connections, LONGEST_RUN_EVENTS, replay, streaming } from './store-measures.ts';
import { type BenchStore, sqliteStore, startRedisStore } from './stores.ts';

interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly median: number;
  readonly blocks: readonly number[];
  /** What the issue asks for; null: no limit. */
  readonly limit: { readonly least?: number; readonly most?: number } | null;
  readonly note?: string;
}

/** One group of figures. Limits are those of the issue that asked for them on that store. */
type Section = (store: BenchStore, blocks: number, report: (figure: Figure) => void) => Promise<void>;

const round = (value: number) => (value >= 100 ? Math.round(value) : Math.round(value * 100) / 100);

async function repeat(blocks: number, measure: () => Promise<number>): Promise<readonly number[]> {
  const values: number[] = [];
  for (let block = 0; block < blocks; block += 1) values.push(round(await measure()));
  return values;
}

const SECTIONS: Readonly<Record<string, Section>> = {
  async start(store, blocks, report) {
    const values = await repeat(Math.max(7, blocks * 3), () => startUp(store));
    report(figure('start to first 200', 'ms', values, onSqlite(store, { most: 60 })));
  },
  async idle(store, blocks, report) {
    report(figure('idle RSS', 'MB', await repeat(blocks, () => idleMemory(store)), onSqlite(store, { most: 80 })));
  },
  async throughput(store, blocks, report) {
    for (const concurrency of [1, 10, 50]) {
      const notes: string[] = [];
      const values = await repeat(blocks, async () => {
        const result = await throughput(concurrency, concurrency === 1 ? 2_000 : 10_000, store);
        notes.push(`p50 ${round(result.p50)} p95 ${round(result.p95)} ms, ${round(result.cpuMsPerRun)} CPU-ms/run`);
        return result.perSecond;
      });
      const limit = concurrency === 50 ? { least: 1_500 } : null;
      report({ ...figure(`one-chunk runs, ${concurrency} at once`, 'runs/s', values, limit), note: notes.join('; ') });
    }
  },
  async chunks(store, blocks, report) {
    const notes: string[] = [];
    const values = await repeat(blocks, async () => {
      const { perChunkMicros, fakeMs, runMs } = await chunkCost(1_000, 40, store);
      notes.push(`fake ${round(fakeMs)} ms, run ${round(runMs)} ms`);
      return perChunkMicros;
    });
    const limit = onSqlite(store, { most: 25 });
    report({ ...figure('added per chunk, 1,000 chunks', 'µs', values, limit), note: notes.join('; ') });
  },
  async streams(store, blocks, report) {
    const values = await repeat(blocks, () => idleStreams(1_000, store));
    report(figure('1,000 idle SSE streams', 'MB', values, onSqlite(store, { most: 12 })));
  },
  async active(store, blocks, report) {
    const values = await repeat(blocks, () => activeRuns(1_000, store));
    report(figure('an active run, of 1,000', 'KB', values, onSqlite(store, { most: 40 })));
  },
  async streaming(store, blocks, report) {
    const load = { runs: 150, chunks: 1_000, concurrency: 50 };
    const values = await repeat(blocks, async () => (await streaming(store, load)).eventsPerSecond);
    report(figure('stored and streamed, 50 × 1,000', 'events/s', values, onRedis(store, { least: 35_000 })));
  },
  async daemon(store, blocks, report) {
    const load = { runs: 5_000, chunks: 1, concurrency: 50 };
    const values = await repeat(blocks, async () => (await streaming(store, load)).perSecond);
    report(figure('one daemon chunk, 50 at once', 'runs/s', values, onRedis(store, { least: 1_500 })));
  },
  async replay(store, blocks, report) {
    const values = await repeat(blocks, () => replay(store));
    const name = `replay of ${LONGEST_RUN_EVENTS} events`;
    report(figure(name, 'events/s', values, onRedis(store, { least: 150_000 })));
  },
  async commands(store, blocks, report) {
    if (store.redis === null) return;
    const notes: string[] = [];
    const values = await repeat(blocks, async () => {
      const { sent, events, perEvent, calls } = await commands(store, { runs: 50, chunks: 1_000, concurrency: 50 });
      notes.push(`${sent} for ${events} events: ${JSON.stringify(calls)}`);
      return perEvent;
    });
    report({ ...figure('commands sent per event', '', values, { most: 0.2 }), note: notes.join('; ') });
    const paced = await commands(store, { runs: 50, chunks: 200, concurrency: 50, gapMs: 10 });
    report(figure('the same, a chunk every 10 ms', '', [round(paced.perEvent)], null));
  },
  async connections(store, _, report) {
    if (store.redis === null) return;
    const [one = 0, thousand = 0] = await connections(store, [1, 1_000]);
    report(figure('connections, 1,000 streams for 1', 'more', [thousand - one], { most: 1 }));
  },
  async tools(store, blocks, report) {
    const notes: string[] = [];
    const values = await repeat(blocks, async () => {
      const { ownMs, runMs, daemonMs } = await toolRounds(50, store);
      notes.push(`daemon alone ${round(daemonMs)} ms, run ${round(runMs)} ms`);
      return ownMs;
    });
    report({ ...figure('two tool rounds, 100 chunks: own', 'ms', values, { most: 8 }), note: notes.join('; ') });
  },
  async resume(store, blocks, report) {
    const values = await repeat(blocks, () => resume(2 * 2 ** 20, 20, store));
    report(figure('resuming a snapshot of 2 MB', 'ms', values, { most: 60 }));
  },
  async heap(store, _, report) {
    const { firstMegabytes, allMegabytes } = await heapAfter(1_000, 10_000, store);
    const grown = round((allMegabytes / firstMegabytes - 1) * 100);
    const note = `${round(firstMegabytes)} MB, then ${round(allMegabytes)} MB`;
    report({ ...figure('heap, 10,000 runs for 1,000', '% more', [grown], { most: 10 }), note });
  },
  async cancel(store, blocks, report) {
    const samples = Math.max(20, 10 * blocks);
    const own = await cancelTimes(store, samples);
    report(latency('cancel to upstream socket closed', own, { most: 50 }));
    if (store.redis === null) return;
    report(latency('the same, through another process', await cancelTimesAcross(store, samples), { most: 150 }));
  },
  async recovery(store, blocks, report) {
    if (store.redis === null) return;
    const values = await repeat(Math.max(5, blocks), () => ownerDeath(store, 2, 20));
    const worst = round(Math.max(...values));
    report({ ...figure('killed owner: its runs over', 'leases', values, { most: 2 }), note: `worst ${worst}` });
  },
  async floor({ redis }, blocks, report) {
    if (redis === null) return;
    const pipelined: number[] = [];
    const scripted = await repeat(blocks, async () => {
      const measured = await floor(redis, 200_000);
      pipelined.push(round(measured.pipelined));
      return measured.scripted;
    });
    report(figure('floor: pipelined XADD', 'events/s', pipelined, null));
    report(figure('floor: script of ten', 'events/s', scripted, null));
  },
};

/** A limit that was set for SQLite (issue SLICE). */
function onSqlite(store: BenchStore, limit: NonNullable<Figure['limit']>): Figure['limit'] {
  return store.name === 'sqlite' ? limit : null;
}

/** A limit that was set for Redis. */
function onRedis(store: BenchStore, limit: NonNullable<Figure['limit']>): Figure['limit'] {
  return store.name === 'redis' ? limit : null;
}

function figure(name: string, unit: string, blocks: readonly number[], limit: Figure['limit']): Figure {
  return { name, unit, median: percentile(blocks, 0.5), blocks, limit };
}

/** Milliseconds of many samples: the blocks are their quartiles and the worst. */
function latency(name: string, samples: readonly number[], limit: Figure['limit']): Figure {
  const quartiles = [0.25, 0.5, 0.75, 0.95, 1].map((share) => round(percentile(samples, share)));
  const note = `25, 50, 75, 95 and 100 % of ${samples.length} samples`;
  return { name, unit: 'ms', median: round(percentile(samples, 0.5)), blocks: quartiles, limit, note };
}

function line({ name, unit, median, limit }: Figure): string {
  const wanted = limit === null ? '' : limit.most === undefined ? `≥ ${limit.least}` : `< ${limit.most}`;
  const holds =
    limit === null ||
    ((limit.most === undefined || median < limit.most) && (limit.least === undefined || median >= limit.least));
  return `${name.padEnd(40)} ${String(median).padStart(9)} ${unit.padEnd(7)} ${wanted.padEnd(9)} ${holds ? '' : 'MISSED'}`;
}

const STORES: Readonly<Record<string, readonly BenchStore['name'][]>> = {
  sqlite: ['sqlite'],
  redis: ['redis'],
  both: ['sqlite', 'redis'],
};

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      store: { type: 'string', default: 'sqlite' },
      blocks: { type: 'string', default: '3' },
      only: { type: 'string' },
      json: { type: 'string' },
    },
  });
  const chosen = values.only?.split(',') ?? Object.keys(SECTIONS);
  const unknown = chosen.find((name) => SECTIONS[name] === undefined);
  if (unknown !== undefined) throw new Error(`no section ${unknown}: ${Object.keys(SECTIONS).join(', ')}`);
  const wanted = STORES[values.store];
  if (wanted === undefined) throw new Error(`no store ${values.store}: ${Object.keys(STORES).join(', ')}`);
  const binary = await ensureBinary();
  console.log(
    `${binary} on ${cpus().length} × ${cpus()[0]?.model}; --store ${values.store} --only ${chosen.join(',')}`,
  );
  const redis = wanted.includes('redis') ? await startRedisStore() : null;
  const stores = wanted.map((name) => (name === 'redis' && redis !== null ? redis : sqliteStore));
  try {
    const figures = await measure(stores, chosen, Number(values.blocks));
    console.log(`\n${figures.map(line).join('\n')}`);
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);
  } finally {
    await redis?.dispose();
  }
}

/** Each section on each store in turn, so that a comparison holds when the machine's speed drifts. */
async function measure(stores: readonly BenchStore[], names: readonly string[], blocks: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const name of names) {
    for (const store of stores) {
      await SECTIONS[name]?.(store, blocks, (found) => {
        const shown = stores.length === 1 ? found : { ...found, name: `${store.name}: ${found.name}` };
        figures.push(shown);
        console.log(`${shown.name}: ${found.blocks.join(', ')} ${found.unit}${found.note ? ` (${found.note})` : ''}`);
      });
    }
  }
  return figures;
}

if (import.meta.main) void main();
