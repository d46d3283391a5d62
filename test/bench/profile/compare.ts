// `npm run bench -- --base-url URL [--base-url URL]`: the reference's profile on servers that are up already, whatever they are made of.
// With two, blocks alternate and each figure is also a ratio of the second to the first, pair by pair.

import { SCENARIOS } from '../../fakes/bench-scenarios.ts';
import { middle, number, rounded } from '../figures.ts';
import type { BlockResult, Target } from './block.ts';
import { type ProfileSize, profileBlocks, startFakes } from './blocks.ts';
import { openRedisCounters } from './redis-counters.ts';

/** What the command line says. Lists go with `urls`, in order; missing ones: unknown. */
export interface CompareOptions {
  readonly urls: readonly string[];
  readonly pids: readonly number[];
  readonly redisUrls: readonly string[];
  readonly redisPrefix: string;
  /** Where the servers expect their plugin daemon. */
  readonly fakesPort: number;
  readonly blocks: number;
  readonly size: ProfileSize;
  /** Ids of scenarios; null: all. */
  readonly only: readonly string[] | null;
}

/** A figure of a block by name. */
const FIGURES: readonly (readonly [string, (block: BlockResult) => number | null])[] = [
  ['overhead p50, ms', ({ overhead_ms }) => overhead_ms.p50],
  ['overhead p95, ms', ({ overhead_ms }) => overhead_ms.p95],
  ['overhead p99, ms', ({ overhead_ms }) => overhead_ms.p99],
  ['first event p50, ms', ({ first_event_ms }) => first_event_ms.p50],
  ['first event p95, ms', ({ first_event_ms }) => first_event_ms.p95],
  ['create p50, ms', ({ create_ms }) => create_ms.p50],
  ['create p95, ms', ({ create_ms }) => create_ms.p95],
  ['e2e p50, ms', ({ e2e_ms }) => e2e_ms.p50],
  ['e2e p95, ms', ({ e2e_ms }) => e2e_ms.p95],
  ['successful runs/s', ({ successful_runs_per_s }) => successful_runs_per_s],
  ['events per run', ({ events_per_run }) => events_per_run],
  ['max active runs', ({ max_active_runs }) => max_active_runs],
  ['fake latency p99, ms', ({ fake_latency_p99_ms }) => fake_latency_p99_ms],
  ['CPU-ms/run', ({ cpu_ms_per_run }) => cpu_ms_per_run],
  ['peak RSS, MB', ({ peak_rss_mb }) => peak_rss_mb],
  ['network KB/run', ({ network_kb_per_run }) => network_kb_per_run],
  ['Redis commands/run', ({ redis_commands_per_run }) => redis_commands_per_run],
  ['Redis network bytes/run', ({ redis_network_bytes_per_run }) => redis_network_bytes_per_run],
  ['Redis storage bytes/run', ({ redis_storage_bytes_per_run }) => redis_storage_bytes_per_run],
];

/** Measures and returns the blocks; prints through `print`. Rejects when a server does not answer `GET /openapi.json` with 200. */
export async function compare(options: CompareOptions, print: (line: string) => void): Promise<readonly BlockResult[]> {
  const targets: Target[] = [];
  for (const [index, url] of options.urls.entries()) {
    // The container health check of the reference's benchmark.
    const { status } = await fetch(`${url.replace(/\/+$/, '')}/openapi.json`, { proxy: false });
    if (status !== 200) throw new Error(`${url}/openapi.json: ${status}`);
    const redisUrl = options.redisUrls[index];
    const redis = redisUrl === undefined ? null : await openRedisCounters(redisUrl, options.redisPrefix);
    targets.push({ name: url, url, pid: options.pids[index] ?? null, redis });
  }
  const scenarios = SCENARIOS.filter(({ id }) => options.only === null || options.only.includes(id));
  if (scenarios.length === 0) throw new Error(`no such scenario: ${SCENARIOS.map(({ id }) => id).join(', ')}`);
  const { blocks, size } = options;
  const fakes = await startFakes(options.fakesPort);
  try {
    const results = await profileBlocks(targets, fakes.url, { blocks, size, scenarios }, (block) => {
      const { scenario, server, overhead_ms, problems } = block;
      print(
        `${server} ${scenario}: overhead p50 ${number(rounded(overhead_ms.p50))} ms${problems.map((p) => `\n  INVALID: ${p}`).join('')}`,
      );
    });
    for (const line of comparison(results, options.urls)) print(line);
    return results;
  } finally {
    await fakes.stop();
    for (const { redis } of targets) redis?.close();
  }
}

/** A table per scenario: medians of the blocks per server, and of two servers the median of the pairs' ratios. */
export function comparison(results: readonly BlockResult[], servers: readonly string[]): readonly string[] {
  const lines: string[] = [];
  for (const scenario of new Set(results.map((block) => block.scenario))) {
    const [first = '', second] = servers;
    const of = (server: string) => results.filter((block) => block.scenario === scenario && block.server === server);
    const invalid = results.filter((block) => block.scenario === scenario && block.problems.length > 0).length;
    lines.push('', `${scenario}${invalid === 0 ? '' : ` (${invalid} INVALID blocks)`}`);
    lines.push(
      `${'median of blocks'.padEnd(26)}${servers.map((server) => server.padStart(26)).join('')}${second === undefined ? '' : 'second ÷ first'.padStart(18)}`,
    );
    for (const [name, figure] of FIGURES) {
      const values = (server: string) => of(server).flatMap((block) => figure(block) ?? []);
      if (servers.every((server) => values(server).length === 0)) continue;
      const medians = servers.map((server) => number(rounded(middle(values(server)))).padStart(26));
      const mine = values(first);
      const ratios =
        second === undefined ? [] : values(second).map((value, pair) => value / (mine[pair] ?? Number.NaN));
      lines.push(
        `${name.padEnd(26)}${medians.join('')}${ratios.length === 0 ? '' : number(rounded(middle(ratios))).padStart(18)}`,
      );
    }
  }
  return lines;
}
