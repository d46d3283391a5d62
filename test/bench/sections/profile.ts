// The reference's own profile (spec 07 §6.1) as a section: its headline figures, per scenario, against the issue's targets.

import { budgetMs, idealRunsPerSecond, SCENARIOS, type Scenario } from '../../fakes/bench-scenarios.ts';
import { type Draft, middle } from '../figures.ts';
import type { BlockResult } from '../profile/block.ts';
import { ownProfile } from '../profile/blocks.ts';
import type { Bench, Sections } from '../section.ts';

export const profileSections: Sections = {
  profile: { stores: ['redis'], measure: (bench) => profile(bench, bench.short ? 'short' : 'usual') },
  profileexact: { stores: ['redis'], extra: true, measure: (bench) => profile(bench, 'exact') },
};

async function profile(bench: Bench, size: 'exact' | 'usual' | 'short'): Promise<void> {
  const results = await ownProfile(bench.store, { blocks: bench.blocks, size });
  const invalid: string[] = [];
  for (const scenario of SCENARIOS) {
    const blocks = results.filter((block) => block.scenario === scenario.id);
    const problems = blocks.flatMap((block) => block.problems);
    // An invalid block has no figure.
    if (problems.length === 0) report(bench, scenario, blocks);
    else invalid.push(`${scenario.id} is invalid: ${problems.slice(0, 5).join('; ')}`);
  }
  if (invalid.length > 0) throw new Error(invalid.join('\n'));
}

function report(bench: Bench, scenario: Scenario, blocks: readonly BlockResult[]): void {
  const { id, chunks, concurrency } = scenario;
  const driver = `${concurrency === 1 ? 'one run at a time' : `${concurrency} at once`}, POST + SSE to the terminal event`;
  const draft = (part: string, name: string, unit: string, of: (block: BlockResult) => number | null): Draft => ({
    ...{ id: `${id}.${part}`, name: `${id}: ${name}`, unit, model: 'fake daemon', driver },
    blocks: blocks.flatMap((block) => of(block) ?? []),
  });
  bench.report({
    ...draft(
      'overhead.p50',
      `own overhead (end to end − ${budgetMs(scenario)} ms), p50`,
      'ms',
      (b) => b.overhead_ms.p50,
    ),
    note: blocks.map(({ fake_latency_p99_ms }) => `fake p99 ${fake_latency_p99_ms.toFixed(1)} ms`).join('; '),
  });
  bench.report(draft('overhead.p95', 'own overhead, p95', 'ms', ({ overhead_ms }) => overhead_ms.p95));
  bench.report(draft('overhead.p99', 'own overhead, p99', 'ms', ({ overhead_ms }) => overhead_ms.p99));
  if (chunks === 1_000) {
    bench.report(
      draft('chunk', 'own overhead per chunk', 'µs', ({ overhead_ms }) => (overhead_ms.p50 * 1000) / chunks),
    );
  }
  bench.report({
    ...draft('first.p50', 'first event after POST, p50', 'ms', ({ first_event_ms }) => first_event_ms.p50),
    ...(concurrency === 1 ? { floor: 'floor.run' } : {}),
  });
  bench.report(draft('first.p95', 'first event after POST, p95', 'ms', ({ first_event_ms }) => first_event_ms.p95));
  bench.report(draft('create.p50', 'POST, p50', 'ms', ({ create_ms }) => create_ms.p50));
  bench.report(draft('create.p95', 'POST, p95', 'ms', ({ create_ms }) => create_ms.p95));
  const ideal = idealRunsPerSecond(scenario);
  const efficiency = (block: BlockResult) => (100 * block.successful_runs_per_s) / ideal;
  bench.report({
    ...draft('rate', 'runs per second', 'runs/s', ({ successful_runs_per_s }) => successful_runs_per_s),
    note: `${middle(blocks.map(efficiency)).toFixed(0)} % of the ideal ${ideal.toFixed(1)}; ${middle(blocks.map((b) => b.events_per_run))} events per run`,
  });
  bench.report(draft('cpu', 'server CPU per run', 'ms', ({ cpu_ms_per_run }) => cpu_ms_per_run));
  bench.report(draft('rss', 'peak RSS', 'MB', ({ peak_rss_mb }) => peak_rss_mb));
  bench.report(draft('network', 'network of the server per run', 'KB', ({ network_kb_per_run }) => network_kb_per_run));
  bench.report(
    draft('commands', 'Redis commands per run, those in scripts too', 'commands', (b) => b.redis_commands_per_run),
  );
  bench.report(
    draft('stored', 'Redis bytes per run', 'bytes', ({ redis_storage_bytes_per_run }) => redis_storage_bytes_per_run),
  );
}
