// `npm run bench`: the figures of issue SLICE against their limits; medians of blocks, everything on this machine's
// cores. Options: --blocks N (default 3), --only start,idle,throughput,chunks,streams,active, --json FILE.
// The store and the model stream have benches of their own: test/bench/store.ts, test/bench/model-stream.ts.

import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { ensureBinary } from '../support/binary.ts';
import { percentile } from './driver.ts';
import { activeRuns, chunkCost, idleMemory, idleStreams, startUp, throughput } from './measures.ts';

interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly median: number;
  readonly blocks: readonly number[];
  /** What the issue asks for; null: no limit. */
  readonly limit: { readonly least?: number; readonly most?: number } | null;
  readonly note?: string;
}

type Report = (figure: Figure) => void;

const round = (value: number) => (value >= 100 ? Math.round(value) : Math.round(value * 100) / 100);

async function repeat(blocks: number, measure: () => Promise<number>): Promise<readonly number[]> {
  const values: number[] = [];
  for (let block = 0; block < blocks; block += 1) values.push(round(await measure()));
  return values;
}

const SECTIONS: Readonly<Record<string, (blocks: number, report: Report) => Promise<void>>> = {
  async start(blocks, report) {
    const values = await repeat(Math.max(7, blocks * 3), startUp);
    report({ ...figure('start to first 200', 'ms', values, { most: 60 }) });
  },
  async idle(blocks, report) {
    report(figure('idle RSS', 'MB', await repeat(blocks, idleMemory), { most: 80 }));
  },
  async throughput(blocks, report) {
    for (const concurrency of [1, 10, 50]) {
      const notes: string[] = [];
      const values = await repeat(blocks, async () => {
        const result = await throughput(concurrency, concurrency === 1 ? 2_000 : 10_000);
        notes.push(`p50 ${round(result.p50)} p95 ${round(result.p95)} ms, ${round(result.cpuMsPerRun)} CPU-ms/run`);
        return result.perSecond;
      });
      const limit = concurrency === 50 ? { least: 1_500 } : null;
      report({ ...figure(`one-chunk runs, ${concurrency} at once`, 'runs/s', values, limit), note: notes.join('; ') });
    }
  },
  async chunks(blocks, report) {
    const notes: string[] = [];
    const values = await repeat(blocks, async () => {
      const { perChunkMicros, fakeMs, runMs } = await chunkCost(1_000, 40);
      notes.push(`fake ${round(fakeMs)} ms, run ${round(runMs)} ms`);
      return perChunkMicros;
    });
    report({ ...figure('added per chunk, 1,000 chunks', 'µs', values, { most: 25 }), note: notes.join('; ') });
  },
  async streams(blocks, report) {
    report(figure('1,000 idle SSE streams', 'MB', await repeat(blocks, () => idleStreams(1_000)), { most: 12 }));
  },
  async active(blocks, report) {
    report(figure('an active run, of 1,000', 'KB', await repeat(blocks, () => activeRuns(1_000)), { most: 40 }));
  },
};

function figure(name: string, unit: string, blocks: readonly number[], limit: Figure['limit']): Figure {
  return { name, unit, median: percentile(blocks, 0.5), blocks, limit };
}

function line({ name, unit, median, limit }: Figure): string {
  const wanted = limit === null ? '' : limit.most === undefined ? `≥ ${limit.least}` : `< ${limit.most}`;
  const holds =
    limit === null ||
    ((limit.most === undefined || median < limit.most) && (limit.least === undefined || median >= limit.least));
  return `${name.padEnd(32)} ${String(median).padStart(9)} ${unit.padEnd(7)} ${wanted.padEnd(9)} ${holds ? '' : 'MISSED'}`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { blocks: { type: 'string', default: '3' }, only: { type: 'string' }, json: { type: 'string' } },
  });
  const chosen = values.only?.split(',') ?? Object.keys(SECTIONS);
  const binary = await ensureBinary();
  console.log(`${binary} on ${cpus().length} × ${cpus()[0]?.model}; npm run bench -- --only ${chosen.join(',')}`);
  const figures: Figure[] = [];
  for (const name of chosen) {
    const section = SECTIONS[name];
    if (section === undefined) throw new Error(`no section ${name}: ${Object.keys(SECTIONS).join(', ')}`);
    await section(Number(values.blocks), (found) => {
      figures.push(found);
      console.log(`${found.name}: ${found.blocks.join(', ')} ${found.unit}${found.note ? ` (${found.note})` : ''}`);
    });
  }
  console.log(`\n${figures.map(line).join('\n')}`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);
}

if (import.meta.main) void main();
