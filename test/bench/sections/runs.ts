// Sections about runs: how many per second, what one costs, how fast events go through, how long they are under way.

import type { Draft, Limit } from '../figures.ts';
import { growth } from '../growth-measures.ts';
import { live } from '../live-measures.ts';
import { chunkCost } from '../measures.ts';
import type { Bench, Sections } from '../section.ts';
import { firstAndSteady, onServer, type SmallBlock, type SmallRuns, STEADY_AFTER_RUNS } from '../steady.ts';
import { bytesPerRun, transactionsPerRun } from '../store-costs.ts';
import { commands, connections, LONGEST_RUN_EVENTS, replay, streaming } from '../store-measures.ts';

const BOTH = ['sqlite', 'redis'] as const;
const SCRIPTED = 'scripted model';
const DAEMON = 'fake daemon';

export const runSections: Sections = {
  streaming: {
    stores: BOTH,
    async measure({ store, repeat, report, size }) {
      const load = { runs: size(150, 4), chunks: size(1_000, 50), concurrency: size(50, 2) };
      const results = await repeat(() => streaming(store, load));
      report({
        id: 'streaming',
        name: 'events stored and streamed, 50 runs × 1,000 chunks',
        model: DAEMON,
        driver: '50 runs at once, POST + SSE to the end',
        unit: 'events/s',
        blocks: results.map(({ eventsPerSecond }) => eventsPerSecond),
        floor: 'floor.append',
      });
    },
  },
  runs: {
    stores: BOTH,
    async measure(bench) {
      const { store, blocks, size, short } = bench;
      await onServer(store, 'scripted', async (block) => {
        await smallRuns(bench, block, { id: 'runs.50', model: SCRIPTED, cpu: { below: 0.4 }, least: 2_500 });
        for (const concurrency of short ? [] : [1, 100, 1_000]) {
          const results: SmallRuns[] = [];
          while (results.length < blocks) {
            results.push(await block({ runs: size(concurrency === 1 ? 3_000 : 10_000, 20), concurrency }));
          }
          reportRuns(bench, `runs.${concurrency}`, SCRIPTED, concurrency, results);
        }
      });
    },
  },
  daemon: {
    stores: BOTH,
    measure: (bench) =>
      onServer(bench.store, 'daemon', (block) => smallRuns(bench, block, { id: 'daemon', model: DAEMON })),
  },
  failing: {
    stores: BOTH,
    measure: (bench) =>
      onServer(bench.store, 'failing', (block) => smallRuns(bench, block, { id: 'failing', model: 'no model' })),
  },
  chunks: {
    stores: BOTH,
    async measure({ store, repeat, report, size }) {
      const results = await repeat(() => chunkCost(size(1_000, 20), size(40, 4), store));
      report({
        id: 'chunk',
        name: 'added per chunk of 1,000, one write each, without the fake’s own time',
        model: DAEMON,
        driver: 'one run at a time, POST + SSE to the end',
        unit: 'µs',
        blocks: results.map(({ perChunkMicros }) => perChunkMicros),
        limit: { below: 12 },
        note: results.map(({ fakeMs, runMs }) => `fake ${fakeMs.toFixed(1)} ms, run ${runMs.toFixed(1)} ms`).join('; '),
      });
    },
  },
  replay: {
    stores: BOTH,
    async measure({ store, repeat, report, size }) {
      report({
        id: 'replay',
        name: `replay of ${LONGEST_RUN_EVENTS.toLocaleString('en-US')} events over SSE`,
        model: DAEMON,
        driver: 'one reader, from the beginning, of a run that is over',
        unit: 'events/s',
        blocks: await repeat(() => replay(store, size(LONGEST_RUN_EVENTS, 500))),
        floor: 'floor.frames',
      });
    },
  },
  live: {
    stores: BOTH,
    async measure({ store, repeat, report, size }) {
      const load = { runs: size(100, 5), streamsPerRun: 1, chunks: size(200, 20), gapMs: 20 };
      const results = await repeat(() => live(store, load));
      const driver = '100 active runs, a chunk every 20 ms each, one SSE reader each';
      const shared = { model: DAEMON, driver, unit: 'ms' } as const;
      const name = 'chunk at the daemon’s socket → event at the subscriber';
      report({
        ...{ ...shared, id: 'live.p50', name: `${name}, p50` },
        blocks: results.map(({ p50 }) => p50),
      });
      report({
        ...{ ...shared, id: 'live.p99', name: `${name}, p99` },
        blocks: results.map(({ p99 }) => p99),
        note: results.map(({ cpuMicrosPerFrame }) => `${cpuMicrosPerFrame.toFixed(0)} µs CPU per event`).join('; '),
      });
    },
  },
  subscribers: {
    stores: ['redis'],
    async measure({ store, repeat, report, size }) {
      const load = { runs: 1, streamsPerRun: size(1_000, 10), chunks: size(80, 10), gapMs: 50 };
      const results = await repeat(() => live(store, load));
      const driver = '1,000 SSE readers of one run that says 20 chunks a second';
      const shared = { model: DAEMON, driver } as const;
      report({
        ...{ ...shared, id: 'subscribers.p99', name: '1,000 active subscribers: chunk → event, p99', unit: 'ms' },
        blocks: results.map(({ p99 }) => p99),
        note: results
          .map(({ p50, framesPerSecond }) => `p50 ${p50.toFixed(1)} ms, ${framesPerSecond.toFixed(0)} frames/s`)
          .join('; '),
      });
      report({
        ...{ ...shared, id: 'subscribers.cpu', name: '1,000 active subscribers: server CPU per frame', unit: 'µs' },
        blocks: results.map(({ cpuMicrosPerFrame }) => cpuMicrosPerFrame),
      });
    },
  },
  growth: {
    stores: ['redis'],
    async measure({ store, repeat, report, short }) {
      const load = short
        ? { perSecond: 100, points: [10, 20], seconds: 0.5 }
        : { perSecond: 500, points: [100, 1_000, 10_000], seconds: 3 };
      const results = await repeat(() => growth(store, load));
      const shared = { model: SCRIPTED, driver: '500 POSTs per second whatever happens, no readers' } as const;
      for (const [index, active] of load.points.entries()) {
        const points = results.flatMap((points) => points[index] ?? []);
        report({
          ...{
            ...shared,
            id: `growth.${active}`,
            name: `CPU per run with ${active.toLocaleString('en-US')} active`,
            unit: 'ms',
          },
          blocks: points.map(({ cpuMsPerRun }) => cpuMsPerRun),
          note: points
            .map(
              ({ postP50, postP99, lateMs, megabytes }) =>
                `POST p50 ${postP50.toFixed(1)} p99 ${postP99.toFixed(1)} ms, runs ${lateMs.toFixed(0)} ms late, ${megabytes.toFixed(0)} MB`,
            )
            .join('; '),
        });
      }
      report({
        ...{ ...shared, id: 'growth', name: 'CPU per run at 10,000 active against 100 active', unit: '×' },
        blocks: results.map(
          (points) => (points.at(-1)?.cpuMsPerRun ?? Number.NaN) / (points[0]?.cpuMsPerRun ?? Number.NaN),
        ),
      });
    },
  },
  commands: {
    stores: ['redis'],
    async measure({ store, repeat, report, size }) {
      const load = { runs: size(50, 3), chunks: size(1_000, 100), concurrency: size(50, 3) };
      const results = await repeat(() => commands(store, load));
      report({
        ...{ id: 'commands', name: 'commands sent to Redis per event', unit: 'commands', limit: { below: 0.2 } },
        ...{ model: DAEMON, driver: '50 runs × 1,000 chunks at once, SSE readers, under MONITOR' },
        blocks: results.map(({ perEvent }) => perEvent),
      });
      const single = { runs: size(500, 5), chunks: 1, concurrency: size(50, 1) };
      const found = await commands(store, single);
      report({
        ...{ id: 'commands.run', name: 'commands sent to Redis per one-chunk run', unit: 'commands' },
        ...{ model: DAEMON, driver: '50 at once, SSE readers, under MONITOR' },
        blocks: [found.sent / single.runs],
        note: JSON.stringify(found.calls),
      });
      const [one = 0, thousand = 0] = await connections(store, [1, size(1_000, 20)]);
      report({
        ...{
          id: 'connections',
          name: 'more connections to Redis with 1,000 streams than with 1',
          unit: '',
          limit: { most: 1 },
        },
        ...{ model: 'no model', driver: '1,000 SSE readers of a run of another process' },
        blocks: [thousand - one],
      });
    },
  },
  bytes: {
    stores: BOTH,
    async measure({ store, report, size }) {
      const shared = { model: SCRIPTED, driver: '50 at once, POST + SSE to the end' } as const;
      const runs = size(10_000, 50);
      const bytes = await bytesPerRun(store, runs);
      report({
        ...{ ...shared, id: 'bytes', name: 'store bytes per one-chunk run', unit: 'bytes', blocks: [bytes] },
        note: `${((bytes * runs) / 2 ** 20).toFixed(1)} MB after ${runs} runs`,
      });
      if (store.redis !== null) return;
      report({
        ...{ ...shared, id: 'transactions.1', name: 'write transactions per one-chunk run', unit: 'transactions' },
        driver: 'one at a time, POST + SSE to the end',
        blocks: [await transactionsPerRun(10, 1)],
      });
      report({
        ...{
          ...shared,
          id: 'transactions.20',
          name: 'write transactions per one-chunk run, 20 at once',
          unit: 'transactions',
        },
        driver: '20 at once, POST + SSE to the end',
        blocks: [await transactionsPerRun(20, 20)],
      });
    },
  },
};

interface SmallFigures {
  readonly id: string;
  readonly model: Draft['model'];
  /** Limits that are not in the table of targets. */
  readonly least?: number;
  readonly cpu?: Limit;
}

/** Fifty at once: the first runs of a server, and blocks of those that follow (steady.ts). */
async function smallRuns(bench: Bench, block: SmallBlock, { id, model, least, cpu }: SmallFigures): Promise<void> {
  const { blocks, report, size } = bench;
  const concurrency = size(50, 5);
  const load = { runs: size(10_000, 20), concurrency };
  const { first, steady } = await firstAndSteady(block, load, blocks, size(STEADY_AFTER_RUNS, 20));
  reportRuns(bench, id, model, concurrency, steady, least === undefined ? null : { least }, cpu ?? null);
  const shared = { model, driver: `${concurrency} at once, POST + SSE to the end` } as const;
  const name = `${NAMES[id] ?? 'one-chunk runs'}, the first ${(load.runs / 2).toLocaleString('en-US')} of a server`;
  report({ ...shared, id: `${id}.first`, name, unit: 'runs/s', blocks: [first.perSecond] });
  report({
    ...shared,
    id: `${id}.first.cpu`,
    name: `server CPU per run, ${name}`,
    unit: 'ms',
    blocks: [first.cpuMsPerRun],
  });
}

const NAMES: Readonly<Record<string, string>> = { failing: 'instantly failing runs' };

function reportRuns(
  { report }: Bench,
  id: string,
  model: Draft['model'],
  concurrency: number,
  results: readonly SmallRuns[],
  limit: Limit | null = null,
  cpuLimit: Limit | null = null,
): void {
  const shared = { model, driver: `${concurrency} at once, POST + SSE to the end` } as const;
  const name = NAMES[id] ?? 'one-chunk runs';
  report({
    ...{ ...shared, id, name: `${name}, ${concurrency} at once`, unit: 'runs/s', limit },
    blocks: results.map(({ perSecond }) => perSecond),
    floor: 'floor.runs',
    note: results.map(({ p50, p95 }) => `p50 ${p50.toFixed(1)} p95 ${p95.toFixed(1)} ms`).join('; '),
  });
  report({
    ...{ ...shared, id: `${id}.cpu`, name: `server CPU per run, ${name}, ${concurrency} at once`, unit: 'ms' },
    limit: cpuLimit,
    blocks: results.map(({ cpuMsPerRun }) => cpuMsPerRun),
  });
}
