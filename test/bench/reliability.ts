// What guarantees cost: two builds of the server, both up, under the same loads, block by block in turn, so that a comparison
// holds when the machine's speed drifts. `npx bun test/bench/reliability.ts OTHER_BINARY [--store sqlite|redis|both] [--pairs N]
// [--only runs,streams]`; the binary of this tree is compared with the other one. Prints the median of the pairs' ratios, and
// the ratio of the best fifths: what a machine that is busy otherwise disturbs least.

import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { ensureBinary } from '../support/binary.ts';
import { percentile } from './driver.ts';
import { type Block, type Load, type LoadResult, underLoad } from './reliability-measures.ts';
import { type BenchStore, sqliteStore, startRedisStore } from './stores.ts';

/** A block takes a second or two. */
const LOADS: Readonly<Record<string, Load>> = {
  runs: { chunks: 0, runs: 2_000 },
  streams: { chunks: 1_000, runs: 50 },
};

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      store: { type: 'string', default: 'both' },
      pairs: { type: 'string', default: '20' },
      only: { type: 'string', default: 'runs,streams' },
    },
  });
  const [other] = positionals;
  if (other === undefined) throw new Error('which binary to compare with?');
  const binary = await ensureBinary();
  const redis = values.store === 'sqlite' ? null : await startRedisStore();
  const stores = [...(values.store === 'redis' ? [] : [sqliteStore]), ...(redis === null ? [] : [redis])];
  try {
    for (const name of values.only.split(',')) {
      for (const store of stores) await compare(name, store, binary, other, Number(values.pairs));
    }
  } finally {
    await redis?.dispose();
  }
}

async function compare(name: string, store: BenchStore, binary: string, other: string, pairs: number): Promise<void> {
  const load = LOADS[name];
  if (load === undefined) throw new Error(`no load ${name}: ${Object.keys(LOADS).join(', ')}`);
  const ours: LoadResult[] = [];
  const theirs: LoadResult[] = [];
  const play = async (own: Block, foreign: Block) => {
    for (let pair = 0; pair < pairs; pair += 1) {
      // Each goes first every other time.
      if (pair % 2 === 0) theirs.push(await foreign());
      ours.push(await own());
      if (pair % 2 === 1) theirs.push(await foreign());
    }
  };
  await underLoad({ ...store, binary }, load, pairs, (own) =>
    underLoad({ ...store, binary: other }, load, pairs, (foreign) => play(own, foreign)),
  );
  const told = (of: (result: LoadResult) => number, best: number) => {
    const ratios = ours.map((result, pair) => of(result) / of(theirs[pair] ?? result));
    const good = (results: readonly LoadResult[]) => percentile(results.map(of), best);
    return `${percent(percentile(ratios, 0.5))} in pairs, ${percent(good(ours) / good(theirs))} at best`;
  };
  const rate = (results: readonly LoadResult[]) =>
    Math.round(
      percentile(
        results.map(({ perSecond }) => perSecond),
        0.5,
      ),
    );
  console.log(
    `${store.name}, ${name}: ${rate(ours)} runs/s against ${rate(theirs)}; throughput ${told(({ perSecond }) => perSecond, 0.8)}; ` +
      `CPU per run ${told(({ cpuMsPerRun }) => cpuMsPerRun, 0.2)} (${pairs} pairs; load ${loadavg()[0]?.toFixed(1)})`,
  );
}

function percent(ratio: number): string {
  const change = (ratio - 1) * 100;
  return `${change < 0 ? '' : '+'}${change.toFixed(1)} %`;
}

if (import.meta.main) void main();
