// The whole profile: every scenario in blocks, on one server of ours with its own Redis, or on servers that are up already, whose
// blocks then alternate. What comes out is blocks; section.ts and compare.ts make figures of them.

import { type Phase, SCENARIOS, type Scenario } from '../../fakes/bench-scenarios.ts';
import { BENCH_PREFIX } from '../store-costs.ts';
import { type BenchStore, withStore } from '../stores.ts';
import { type AddressedProcess, startAddressed } from '../worker.ts';
import { type BlockResult, type BlockSize, measureBlock, type Target } from './block.ts';
import { openRedisCounters } from './redis-counters.ts';

/** How large the blocks are. `exact`: as the profile says; `usual`: its long scenario cut to a third; `short`: to see that it works. */
export type ProfileSize = 'exact' | 'usual' | 'short';

const CUT: BlockSize = { warmUp: { seconds: 3 }, measure: { seconds: 10 } };
const SHORT: BlockSize = { warmUp: { runs: 1 }, measure: { runs: 3 } };

/** The size of one scenario's blocks. */
export function sizeOf({ warmUp, measure }: Scenario, size: ProfileSize): BlockSize {
  if (size === 'short') return SHORT;
  const isLong = (phase: Phase) => 'seconds' in phase;
  return size === 'usual' && isLong(measure) ? CUT : { warmUp, measure };
}

/** Starts the fake peers on a port (0: any). */
export function startFakes(port = 0): Promise<AddressedProcess> {
  return startAddressed(new URL('../../fakes/bench-daemon.ts', import.meta.url).pathname, [String(port)]);
}

/**
 * Every scenario on every target, `blocks` times: scenario by scenario, and within a block one target after the other, each first in
 * its turn. `seen` is told of each block as soon as it is there.
 */
export async function profileBlocks(
  targets: readonly Target[],
  fakes: string,
  {
    blocks,
    size,
    scenarios = SCENARIOS,
  }: { readonly blocks: number; readonly size: ProfileSize; readonly scenarios?: readonly Scenario[] },
  seen: (block: BlockResult) => void = () => {},
): Promise<readonly BlockResult[]> {
  const results: BlockResult[] = [];
  for (const scenario of scenarios) {
    for (let block = 0; block < blocks; block += 1) {
      for (let turn = 0; turn < targets.length; turn += 1) {
        const target = targets[(block + turn) % targets.length];
        if (target === undefined) continue;
        const result = await measureBlock(target, fakes, scenario, sizeOf(scenario, size));
        results.push(result);
        seen(result);
      }
    }
  }
  return results;
}

/** The profile on a server of ours, which is up through all of it. */
export async function ownProfile(
  store: BenchStore,
  options: { readonly blocks: number; readonly size: ProfileSize; readonly scenarios?: readonly Scenario[] },
): Promise<readonly BlockResult[]> {
  const fakes = await startFakes();
  // Retention and grace as the profile asks for (spec 07 §6.1).
  const env = { DIFY_AGENT_PLUGIN_DAEMON_URL: fakes.url, DIFY_AGENT_RUN_RETENTION_SECONDS: '3600' };
  const counters = store.redis === null ? null : await openRedisCounters(store.redis.url, BENCH_PREFIX);
  try {
    return await withStore(store, env, ({ url, pid }) =>
      profileBlocks([{ name: 'dify-agent', url, pid, redis: counters }], fakes.url, options),
    );
  } finally {
    counters?.close();
    await fakes.stop();
  }
}
